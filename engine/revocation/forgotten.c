/*
 * A store that was restored from an old copy has forgotten what was revoked since. The lists that were
 * published have not: what they show as revoked goes back into the book, so that CRLs and OCSP go on
 * saying it, and who operates is told how the store gets it back.
 */
#include <inttypes.h>
#include <stdio.h>

#include "engine/base/arena.h"
#include "engine/revocation/internal.h"
#include "engine/x509/crl.h"
#include "engine/x509/der_writer.h"

enum { ARENA_BLOCK_SIZE = 4096 };

/* When the entry may leave. What nobody knows the end of stays. */
static int64_t end_of(struct cm_publisher *publisher, int64_t generation_number,
                      struct cm_bytes serial)
{
    struct cm_certificate_found found = { .number = 0 };
    struct cm_serial ours;
    struct cm_error ignored;
    struct cm_arena arena;
    if (!cm_serial_from_content(serial, &ours))
        return CM_DER_TIME_MAX_S;
    cm_arena_init(&arena, ARENA_BLOCK_SIZE);
    bool is_known = cm_store_find_certificate(publisher->reader, cm_serial_number(&ours), &arena,
                                              &found, &ignored)
                        == CM_OK
                    && found.number != 0 && found.generation_number == generation_number;
    cm_arena_done(&arena);
    return is_known ? found.not_after : CM_DER_TIME_MAX_S;
}

static void keep_entry(const struct cm_shard *shard, const struct cm_crl_entry *entry,
                       const char *path, struct cm_forgotten *kept)
{
    struct cm_book *book = shard->publisher->env.book;
    int64_t number = shard->key->generation_number;
    if (entry->serial.size > CM_SERIAL_SIZE || !cm_book_falls_short(book, number, entry))
        return;
    const struct cm_revocation revocation = {
        .generation_number = number,
        .serial = entry->serial,
        .reason = entry->reason,
        .revoked_s = entry->revoked_s,
        .invalidity_s = entry->invalidity_s,
        .not_after_s = end_of(shard->publisher, number, entry->serial),
    };
    cm_book_put_back(book, &revocation);
    if (kept->count++ == 0) {
        kept->shard = shard;
        kept->path = path;
    }
}

void cm_forgotten_keep(const struct cm_shard *shard, const struct cm_crl_read *crl,
                       const char *path, struct cm_forgotten *kept)
{
    struct cm_bytes rest = crl->entries;
    struct cm_crl_entry entry;
    struct cm_error ignored;
    cm_status status;
    while (cm_crl_next_entry(&rest, &entry, &status, &ignored))
        keep_entry(shard, &entry, path, kept);
}

void cm_forgotten_tell(const struct cm_publisher *publisher, const struct cm_forgotten *kept)
{
    const char *folder = publisher->env.settings->status.publish_folder;
    char text[3 * CM_ERROR_TEXT_SIZE];
    if (kept->count == 0 || !publisher->env.on_notice)
        return;
    snprintf(text, sizeof text,
             "%" PRIu64 " certificates that published CRLs show as revoked are not revoked in the "
             "store: is the store an old copy? They stay revoked as long as the CRLs are there; "
             "certmill ca import --issuer %s --crl %s%s brings those of that one into the store",
             kept->count, kept->shard->key->name, folder, kept->path);
    publisher->env.on_notice(text, publisher->env.arg);
}

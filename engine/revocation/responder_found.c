/* The certificate that an engine before this one has issued to a responder, and that is still good. */
#include "engine/revocation/responder_parts.h"

#include <stdlib.h>

struct search {
    const struct cm_responder_slot *slot;
    int64_t now_s;
    int64_t best_s;       /* end of the best one */
    struct cm_bytes best; /* owned; empty: none */
    bool is_barred;       /* the device gets no certificate */
};

/* Of this key, not yet to be renewed, and not revoked. */
static bool will_do(const struct search *search, const struct cm_certificate *certificate)
{
    const struct cm_issuer *issuer = &search->slot->issuer->issuer;
    int64_t end_s = certificate->not_after_s < issuer->not_after_s
                        ? cm_responder_half_life_s(certificate)
                        : certificate->not_after_s;
    return cm_bytes_equal(certificate->spki, search->slot->key->spki)
           && cm_bytes_equal(certificate->issuer, issuer->name)
           && certificate->not_before_s <= search->now_s && search->now_s < end_s
           && !cm_responder_is_revoked(search->slot, certificate->serial);
}

static bool look_at(const struct cm_certificate_found *found, void *arg)
{
    struct search *search = arg;
    struct cm_certificate certificate;
    if (found->generation_number != search->slot->issuer->generation_number
        || found->not_after <= search->best_s
        || cm_certificate_read(found->der, &certificate, NULL) != CM_OK
        || !will_do(search, &certificate))
        return true;
    free((void *)(uintptr_t)search->best.data);
    search->best = cm_bytes_copy(found->der);
    search->best_s = found->not_after;
    return true;
}

static cm_status read_all(struct search *search, struct cm_store_reader *reader,
                          struct cm_error *err)
{
    struct cm_arena arena;
    struct cm_device device = { .number = 0 };
    cm_status status = cm_store_reader_begin(reader, err);
    if (status != CM_OK)
        return status;
    cm_arena_init(&arena, 4096);
    status = cm_store_find_device(reader, cm_bytes_str(search->slot->device), &arena, &device, err);
    search->is_barred = device.number != 0 && device.state != CM_DEVICE_ALLOWED;
    if (status == CM_OK && device.number != 0)
        status = cm_store_walk_device_certificates(reader, device.number, look_at, search, err);
    cm_arena_done(&arena);
    cm_store_reader_end(reader);
    return status;
}

cm_status cm_responder_find(struct cm_responder_slot *slot, struct cm_error *err)
{
    int64_t now_ms = cm_responder_time_ms(slot->responders);
    struct search search = { .slot = slot, .now_s = now_ms / 1000 };
    struct cm_store_reader *reader = NULL;
    cm_status status = cm_store_reader_open(slot->responders->env.store, &reader, err);
    if (status != CM_OK)
        return status;
    status = read_all(&search, reader, err);
    cm_store_reader_close(reader);
    if (status == CM_OK && search.is_barred && (slot->in_use || search.best.size == 0))
        status =
            CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0, "device %s is not allowed", slot->device);
    else if (status == CM_OK && search.best.size > 0)
        status = cm_responder_use(slot, search.best, err);
    free((void *)(uintptr_t)search.best.data);
    return status;
}

/* CRLs written; crl_read.c reads them. */
#include "engine/x509/crl.h"

#include <assert.h>
#include <stdlib.h>

#include "engine/x509/extension.h"
#include "engine/x509/serial.h"
#include "engine/x509/signed.h"
#include "engine/x509/url.h"

#define TAIL_SIZE  256 /* of the extensions, without their URLs and AKI */
#define HEAD_SIZE  128 /* of what stands before the entries, without the issuer */
#define OUTER_SIZE 6   /* of a tag and a length, at most */

#define REFUSE(err, ...) CM_FAIL(err, CM_INVALID, CM_ORIGIN_SELF, 0, "CRL: " __VA_ARGS__)

/* --- entries -------------------------------------------------------------------------------------- */

static void put_reason(struct cm_der_writer *w, enum cm_reason reason)
{
    size_t mark = cm_der_mark(w);
    uint8_t value = (uint8_t)reason;
    cm_der_put_tlv(w, CM_DER_ENUMERATED, cm_bytes(&value, 1));
    cm_extension_wrap(w, mark, cm_oid_content(CM_OID_REASON_CODE), false);
}

static void put_invalidity(struct cm_der_writer *w, int64_t invalidity_s)
{
    size_t mark = cm_der_mark(w);
    cm_der_put_generalized_time(w, invalidity_s);
    cm_extension_wrap(w, mark, cm_oid_content(CM_OID_INVALIDITY_DATE), false);
}

size_t cm_crl_entry_write(const struct cm_crl_entry *entry,
                          uint8_t ret_octets[CM_CRL_ENTRY_SIZE_MAX])
{
    struct cm_der_writer w;
    uint8_t space[CM_CRL_ENTRY_SIZE_MAX];
    if (!cm_serial_is_good(entry->serial) || !cm_der_time_is_in_range(entry->revoked_s)
        || !cm_der_time_is_in_range(entry->invalidity_s) || !cm_reason_name(entry->reason))
        return 0;
    cm_der_writer_init(&w, space, sizeof space);
    if (entry->invalidity_s != 0)
        put_invalidity(&w, entry->invalidity_s);
    if (entry->reason != CM_REASON_UNSPECIFIED)
        put_reason(&w, entry->reason);
    if (cm_der_mark(&w) > 0)
        cm_der_wrap(&w, CM_DER_SEQUENCE, 0);
    cm_der_put_time(&w, entry->revoked_s);
    cm_der_put_tlv(&w, CM_DER_INTEGER, entry->serial);
    cm_der_wrap(&w, CM_DER_SEQUENCE, 0);
    struct cm_bytes written = cm_der_written(&w);
    memcpy(ret_octets, written.data, written.size);
    return written.size;
}

/* Both are minimal and positive: the longer one is the larger. */
int cm_crl_serial_compare(struct cm_bytes one, struct cm_bytes other)
{
    if (one.size != other.size)
        return one.size < other.size ? -1 : 1;
    return memcmp(one.data, other.data, one.size);
}

/* --- the list ------------------------------------------------------------------------------------- */

static cm_status check_urls(const struct cm_crl *crl, struct cm_error *err)
{
    const char *const urls[] = { crl->url, crl->freshest_url };
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        const char *problem = urls[i] ? cm_url_problem(urls[i]) : NULL;
        if (problem)
            return REFUSE(err, "URL: %s", problem);
    }
    return CM_OK;
}

static cm_status check(const struct cm_crl *crl, struct cm_bytes entries, struct cm_error *err)
{
    if (crl->issuer.size <= 2) /* an empty name is a SEQUENCE of two octets */
        return REFUSE(err, "no issuer");
    if (crl->aki.size == 0)
        return REFUSE(err, "no authority key identifier");
    if (cm_sigalg_der(crl->sigalg).size == 0)
        return REFUSE(err, "no signature algorithm");
    if (!cm_der_time_is_in_range(crl->this_update_s) || !cm_der_time_is_in_range(crl->next_update_s)
        || crl->this_update_s >= crl->next_update_s)
        return REFUSE(err, "nextUpdate is not after thisUpdate");
    if (crl->is_delta && crl->base_number > crl->number)
        return REFUSE(err, "the base of a delta is later than the delta");
    if (crl->is_delta && crl->freshest_url)
        return REFUSE(err, "a delta has no freshestCRL");
    if (entries.size > CM_CRL_SIZE_MAX)
        return REFUSE(err, "%zu octets of entries, allowed %u", entries.size, CM_CRL_SIZE_MAX);
    return check_urls(crl, err);
}

static void put_number(struct cm_der_writer *w, enum cm_oid id, uint64_t number, bool critical)
{
    size_t mark = cm_der_mark(w);
    cm_der_put_uint(w, number);
    cm_extension_wrap(w, mark, cm_oid_content(id), critical);
}

static void put_distribution_point(struct cm_der_writer *w, const struct cm_crl *crl)
{
    size_t mark = cm_der_mark(w);
    if (crl->user_certificates)
        cm_der_put_tlv(w, CM_DER_CONTEXT(1), cm_bytes("\xff", 1));
    cm_extension_put_point_name(w, cm_bytes_str(crl->url), cm_bytes(NULL, 0), cm_bytes(NULL, 0));
    cm_der_wrap(w, CM_DER_SEQUENCE, mark);
    cm_extension_wrap(w, mark, cm_oid_content(CM_OID_ISSUING_DISTRIBUTION_POINT), true);
}

/* What stands behind the entries. Written backwards: the list has AKI first. */
static void put_tail(struct cm_der_writer *w, const struct cm_crl *crl)
{
    if (crl->freshest_url)
        cm_extension_put_points(w, CM_OID_FRESHEST_CRL, cm_bytes_str(crl->freshest_url),
                                cm_bytes(NULL, 0), cm_bytes(NULL, 0));
    if (crl->url)
        put_distribution_point(w, crl);
    if (crl->is_delta)
        put_number(w, CM_OID_DELTA_CRL_INDICATOR, crl->base_number, true);
    put_number(w, CM_OID_CRL_NUMBER, crl->number, false);
    cm_extension_put_aki(w, crl->aki);
    cm_der_wrap(w, CM_DER_SEQUENCE, 0);
    cm_der_wrap(w, CM_DER_CONTEXT_CONSTRUCTED(0), 0);
}

/* What stands before the entries; of the sizes of what comes behind it, only the sum is needed. */
static void put_head(struct cm_der_writer *w, const struct cm_crl *crl, size_t entries_size,
                     size_t tail_size)
{
    if (entries_size > 0)
        cm_der_put_header(w, CM_DER_SEQUENCE, entries_size);
    cm_der_put_time(w, crl->next_update_s);
    cm_der_put_time(w, crl->this_update_s);
    cm_der_put(w, crl->issuer);
    cm_der_put(w, cm_sigalg_der(crl->sigalg));
    cm_der_put_uint(w, 1); /* v2 */
    cm_der_put_header(w, CM_DER_SEQUENCE, cm_der_mark(w) + entries_size + tail_size);
}

/* The list in three pieces; head and tail live in the arena. */
struct pieces {
    struct cm_bytes head, entries, tail;
};

static size_t url_size(const char *url)
{
    return url ? strlen(url) : 0;
}

static void write_pieces(const struct cm_crl *crl, struct cm_bytes entries, struct cm_arena *arena,
                         struct pieces *ret_pieces)
{
    struct cm_der_writer w;
    size_t tail_size = TAIL_SIZE + crl->aki.size + url_size(crl->url) + url_size(crl->freshest_url);
    size_t head_size = HEAD_SIZE + crl->issuer.size;
    cm_der_writer_init(&w, cm_arena_alloc(arena, tail_size), tail_size);
    put_tail(&w, crl);
    ret_pieces->tail = cm_der_written(&w);
    ret_pieces->entries = entries;
    cm_der_writer_init(&w, cm_arena_alloc(arena, head_size), head_size);
    put_head(&w, crl, entries.size, ret_pieces->tail.size);
    ret_pieces->head = cm_der_written(&w);
}

static size_t pieces_size(const struct pieces *pieces)
{
    return pieces->head.size + pieces->entries.size + pieces->tail.size;
}

static struct cm_bytes join(const struct pieces *pieces, uint8_t *memory)
{
    uint8_t *entries = memory + pieces->head.size;
    memcpy(memory, pieces->head.data, pieces->head.size);
    if (pieces->entries.size > 0)
        memcpy(entries, pieces->entries.data, pieces->entries.size);
    memcpy(entries + pieces->entries.size, pieces->tail.data, pieces->tail.size);
    return cm_bytes(memory, pieces_size(pieces));
}

cm_status cm_crl_compose(const struct cm_crl *crl, struct cm_bytes entries, struct cm_arena *arena,
                         struct cm_bytes *ret_tbs, struct cm_error *err)
{
    struct pieces pieces;
    cm_status status = check(crl, entries, err);
    if (status != CM_OK)
        return status;
    write_pieces(crl, entries, arena, &pieces);
    *ret_tbs = join(&pieces, cm_arena_alloc(arena, pieces_size(&pieces)));
    return CM_OK;
}

/* --- drafts --------------------------------------------------------------------------------------- */

/* The header of a list with so much in it; returns its size. */
static size_t write_outer(size_t content_size, uint8_t ret_octets[OUTER_SIZE])
{
    struct cm_der_writer w;
    uint8_t space[OUTER_SIZE];
    cm_der_writer_init(&w, space, sizeof space);
    cm_der_put_header(&w, CM_DER_SEQUENCE, content_size);
    struct cm_bytes written = cm_der_written(&w);
    memcpy(ret_octets, written.data, written.size);
    return written.size;
}

cm_status cm_crl_draft_make(const struct cm_crl *crl, struct cm_bytes entries,
                            struct cm_crl_draft *ret_draft, struct cm_error *err)
{
    struct cm_arena arena;
    struct pieces pieces;
    uint8_t outer[OUTER_SIZE];
    cm_status status = check(crl, entries, err);
    if (status != CM_OK)
        return status;
    cm_arena_init(&arena, 1024);
    write_pieces(crl, entries, &arena, &pieces);
    size_t tail_room = cm_signed_room(crl->sigalg, CM_SIGNATURE_SIZE_MAX);
    size_t size = OUTER_SIZE + pieces_size(&pieces) + tail_room;
    uint8_t *memory = malloc(size);
    if (memory) {
        /* Where it will stand, unless the signature is so short that the length takes fewer octets. */
        size_t lead = write_outer(pieces_size(&pieces) + tail_room, outer);
        *ret_draft = (struct cm_crl_draft){ .tbs = join(&pieces, memory + lead),
                                            .sigalg = crl->sigalg,
                                            .memory = memory,
                                            .memory_size = size };
    }
    cm_arena_done(&arena);
    return memory ? CM_OK
                  : CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "CRL of %zu octets", size);
}

struct cm_bytes cm_crl_draft_finish(struct cm_crl_draft *draft, struct cm_bytes signature)
{
    uint8_t tail[CM_SIGNATURE_SIZE_MAX + 256], outer[OUTER_SIZE];
    struct cm_der_writer w;
    assert(signature.size <= CM_SIGNATURE_SIZE_MAX);
    cm_der_writer_init(&w, tail, sizeof tail);
    cm_signed_put_tail(&w, draft->sigalg, signature);
    struct cm_bytes behind = cm_der_written(&w);
    size_t content_size = draft->tbs.size + behind.size;
    size_t lead = write_outer(content_size, outer);
    uint8_t *memory = draft->memory;
    if (draft->tbs.data != memory + lead)
        memmove(memory + lead, draft->tbs.data, draft->tbs.size);
    memcpy(memory, outer, lead);
    memcpy(memory + lead + draft->tbs.size, behind.data, behind.size);
    *draft = (struct cm_crl_draft){ .memory = NULL };
    return cm_bytes(memory, lead + content_size);
}

void cm_crl_draft_done(struct cm_crl_draft *draft)
{
    free(draft->memory);
    *draft = (struct cm_crl_draft){ .memory = NULL };
}

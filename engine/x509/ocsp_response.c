#include "engine/x509/ocsp_response.h"

#include <assert.h>

#include "engine/base/hash.h"
#include "engine/x509/extension.h"
#include "engine/x509/key.h"
#include "engine/x509/signed.h"

#define SINGLE_SIZE 96  /* of a SingleResponse, without its CertID */
#define REST_SIZE   128 /* of ResponseData, without its singles and the nonce itself */
#define FRAME_SIZE  64  /* around a BasicOCSPResponse and its certificate */

#define REFUSE(err, ...) CM_FAIL(err, CM_INVALID, CM_ORIGIN_SELF, 0, "OCSP response: " __VA_ARGS__)

/* --- errors --------------------------------------------------------------------------------------- */

#define ERROR_SIZE 5

struct cm_bytes cm_ocsp_error(enum cm_ocsp_status status)
{
    /* SEQUENCE { ENUMERATED } */
    static const uint8_t errors[][ERROR_SIZE] = {
#define ERROR(status) [status] = { 0x30, 0x03, 0x0a, 0x01, status }
        ERROR(CM_OCSP_MALFORMED_REQUEST),
        ERROR(CM_OCSP_INTERNAL_ERROR),
        ERROR(CM_OCSP_TRY_LATER),
        ERROR(CM_OCSP_UNAUTHORIZED),
#undef ERROR
    };
    assert(status > CM_OCSP_SUCCESSFUL && status <= CM_OCSP_UNAUTHORIZED && errors[status][0]);
    return cm_bytes(errors[status], ERROR_SIZE);
}

/* --- what is signed ------------------------------------------------------------------------------- */

static cm_status check_single(const struct cm_ocsp_single *single, struct cm_error *err)
{
    if (single->cert_id.size == 0)
        return REFUSE(err, "no CertID");
    if (!cm_der_time_is_in_range(single->this_update_s)
        || !cm_der_time_is_in_range(single->next_update_s)
        || single->this_update_s > single->next_update_s)
        return REFUSE(err, "nextUpdate is before thisUpdate");
    if (single->state == CM_OCSP_REVOKED
        && (!cm_der_time_is_in_range(single->revoked_s) || !cm_reason_name(single->reason)))
        return REFUSE(err, "revoked at no time, or for no reason that there is");
    return CM_OK;
}

static cm_status check(const struct cm_ocsp_response *response, struct cm_error *err)
{
    if (response->singles_count == 0)
        return REFUSE(err, "about no certificate");
    if (!cm_der_time_is_in_range(response->produced_s))
        return REFUSE(err, "producedAt is no time");
    if (response->nonce.size > CM_OCSP_NONCE_SIZE_MAX)
        return REFUSE(err, "a nonce of %zu octets", response->nonce.size);
    for (uint32_t i = 0; i < response->singles_count; i++) {
        cm_status status = check_single(&response->singles[i], err);
        if (status != CM_OK)
            return status;
    }
    return CM_OK;
}

static size_t tbs_room(const struct cm_ocsp_response *response)
{
    size_t size = REST_SIZE + response->nonce.size;
    for (uint32_t i = 0; i < response->singles_count; i++)
        size += SINGLE_SIZE + response->singles[i].cert_id.size;
    return size;
}

static void put_revoked(struct cm_der_writer *w, const struct cm_ocsp_single *single)
{
    size_t mark = cm_der_mark(w);
    if (single->reason != CM_REASON_UNSPECIFIED) {
        uint8_t reason = (uint8_t)single->reason;
        cm_der_put_tlv(w, CM_DER_ENUMERATED, cm_bytes(&reason, 1));
        cm_der_wrap(w, CM_DER_CONTEXT_CONSTRUCTED(0), mark);
    }
    cm_der_put_generalized_time(w, single->revoked_s);
    cm_der_wrap(w, CM_DER_CONTEXT_CONSTRUCTED(1), mark);
}

static void put_state(struct cm_der_writer *w, const struct cm_ocsp_single *single)
{
    switch (single->state) {
    case CM_OCSP_GOOD:
        cm_der_put_tlv(w, CM_DER_CONTEXT(0), cm_bytes(NULL, 0));
        break;
    case CM_OCSP_REVOKED:
        put_revoked(w, single);
        break;
    case CM_OCSP_UNKNOWN:
        cm_der_put_tlv(w, CM_DER_CONTEXT(2), cm_bytes(NULL, 0));
        break;
    }
}

static void put_single(struct cm_der_writer *w, const struct cm_ocsp_single *single)
{
    size_t mark = cm_der_mark(w);
    cm_der_put_generalized_time(w, single->next_update_s);
    cm_der_wrap(w, CM_DER_CONTEXT_CONSTRUCTED(0), mark);
    cm_der_put_generalized_time(w, single->this_update_s);
    put_state(w, single);
    cm_der_put(w, single->cert_id);
    cm_der_wrap(w, CM_DER_SEQUENCE, mark);
}

/* responseExtensions with a nonce alone. */
static void put_nonce(struct cm_der_writer *w, struct cm_bytes nonce)
{
    size_t mark = cm_der_mark(w);
    cm_der_put_tlv(w, CM_DER_OCTET_STRING, nonce);
    cm_extension_wrap(w, mark, cm_oid_content(CM_OID_OCSP_NONCE), false);
    cm_der_wrap(w, CM_DER_SEQUENCE, mark);
    cm_der_wrap(w, CM_DER_CONTEXT_CONSTRUCTED(1), mark);
}

static void put_responder(struct cm_der_writer *w, const struct cm_ocsp_response *response)
{
    size_t mark = cm_der_mark(w);
    cm_der_put_tlv(w, CM_DER_OCTET_STRING,
                   cm_bytes(response->responder_key_hash, sizeof response->responder_key_hash));
    cm_der_wrap(w, CM_DER_CONTEXT_CONSTRUCTED(2), mark); /* byKey */
}

cm_status cm_ocsp_compose(const struct cm_ocsp_response *response, struct cm_arena *arena,
                          struct cm_bytes *ret_tbs, struct cm_error *err)
{
    struct cm_der_writer w;
    cm_status status = check(response, err);
    if (status != CM_OK)
        return status;
    size_t room = tbs_room(response);
    cm_der_writer_init(&w, cm_arena_alloc(arena, room), room);
    if (response->nonce.size > 0)
        put_nonce(&w, response->nonce);
    size_t mark = cm_der_mark(&w);
    for (uint32_t i = response->singles_count; i-- > 0;)
        put_single(&w, &response->singles[i]);
    cm_der_wrap(&w, CM_DER_SEQUENCE, mark);
    cm_der_put_generalized_time(&w, response->produced_s);
    put_responder(&w, response);
    cm_der_wrap(&w, CM_DER_SEQUENCE, 0);
    *ret_tbs = cm_der_written(&w);
    return CM_OK;
}

/* --- the whole ------------------------------------------------------------------------------------ */

struct cm_bytes cm_ocsp_assemble(struct cm_bytes tbs, enum cm_sigalg sigalg,
                                 struct cm_bytes signature, struct cm_bytes certificate,
                                 struct cm_arena *arena)
{
    static const uint8_t successful[] = { CM_DER_ENUMERATED, 1, CM_OCSP_SUCCESSFUL };
    size_t room = tbs.size + cm_signed_room(sigalg, signature.size) + certificate.size + FRAME_SIZE;
    struct cm_der_writer w;
    cm_der_writer_init(&w, cm_arena_alloc(arena, room), room);
    if (certificate.size > 0) {
        cm_der_put_tlv(&w, CM_DER_SEQUENCE, certificate);
        cm_der_wrap(&w, CM_DER_CONTEXT_CONSTRUCTED(0), 0);
    }
    cm_signed_put_tail(&w, sigalg, signature);
    cm_der_put(&w, tbs);
    cm_der_wrap(&w, CM_DER_SEQUENCE, 0); /* BasicOCSPResponse */
    cm_der_wrap(&w, CM_DER_OCTET_STRING, 0);
    cm_der_put_tlv(&w, CM_DER_OID, cm_oid_content(CM_OID_OCSP_BASIC));
    cm_der_wrap(&w, CM_DER_SEQUENCE, 0); /* ResponseBytes */
    cm_der_wrap(&w, CM_DER_CONTEXT_CONSTRUCTED(0), 0);
    cm_der_put(&w, cm_bytes(successful, sizeof successful));
    cm_der_wrap(&w, CM_DER_SEQUENCE, 0);
    return cm_der_written(&w);
}

bool cm_ocsp_hash_issuer(struct cm_bytes name, struct cm_bytes spki,
                         struct cm_ocsp_issuer_hashes *ret_hashes)
{
    struct cm_bytes bits;
    if (!cm_public_key_bits(spki, &bits))
        return false;
    cm_sha1(&name, 1, ret_hashes->name_sha1);
    cm_sha1(&bits, 1, ret_hashes->key_sha1);
    cm_sha256(&name, 1, ret_hashes->name_sha256);
    cm_sha256(&bits, 1, ret_hashes->key_sha256);
    return true;
}

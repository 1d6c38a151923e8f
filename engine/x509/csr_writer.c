#include "engine/x509/csr_writer.h"

#include "engine/x509/extension.h"
#include "engine/x509/proof.h"
#include "engine/x509/signed.h"

enum { EXTENSIONS_SIZE_MAX = 256 };

static void put_extensions(struct cm_der_writer *w, const struct cm_csr_input *in)
{
    const struct cm_profile *profile = in->profile;
    size_t mark = cm_der_mark(w);
    cm_der_put_named_bits(w,
                          in->key_type == CM_KEY_RSA ? profile->key_usage_rsa : profile->key_usage);
    cm_extension_wrap(w, mark, cm_oid_content(CM_OID_KEY_USAGE), true);
    size_t constraints = cm_der_mark(w);
    if (profile->path_len != CM_PATH_LEN_NONE)
        cm_der_put_uint(w, (uint64_t)profile->path_len);
    cm_der_put_true(w);
    cm_der_wrap(w, CM_DER_SEQUENCE, constraints);
    cm_extension_wrap(w, constraints, cm_oid_content(CM_OID_BASIC_CONSTRAINTS), true);
    cm_der_wrap(w, CM_DER_SEQUENCE, mark);
}

/* Attributes: one, the extensions that are asked for. */
static void put_attributes(struct cm_der_writer *w, const struct cm_csr_input *in)
{
    size_t mark = cm_der_mark(w);
    put_extensions(w, in);
    cm_der_wrap(w, CM_DER_SET, mark);
    cm_der_put_tlv(w, CM_DER_OID, cm_oid_content(CM_OID_EXTENSION_REQUEST));
    cm_der_wrap(w, CM_DER_SEQUENCE, mark);
    cm_der_wrap(w, CM_DER_CONTEXT_CONSTRUCTED(0), mark);
}

cm_status cm_csr_compose(const struct cm_csr_input *in, struct cm_arena *arena,
                         struct cm_bytes *ret_info, struct cm_error *err)
{
    size_t space = in->subject.size + in->spki.size + EXTENSIONS_SIZE_MAX;
    struct cm_der_writer w;
    cm_der_writer_init(&w, cm_arena_alloc(arena, space), space);
    put_attributes(&w, in);
    cm_der_put(&w, in->spki);
    cm_der_put(&w, in->subject);
    cm_der_put_uint(&w, 0);
    cm_der_wrap(&w, CM_DER_SEQUENCE, 0);
    *ret_info = cm_der_written(&w);
    if (ret_info->size == 0)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "the request has no room");
    return CM_OK;
}

cm_status cm_csr_check_authority(struct cm_bytes der, struct cm_arena *arena,
                                 struct cm_csr *ret_csr, struct cm_error *err)
{
    struct cm_refusal refusal;
    struct cm_proof *proof = NULL;
    if (!cm_csr_read_with(der, CM_CSR_OF_AUTHORITY, arena, ret_csr, &refusal))
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "the request: %s: %s",
                       cm_refusal_name(refusal.code), refusal.message);
    cm_status status = cm_proof_new(&proof, err);
    if (status == CM_OK && !cm_proof_check(proof, ret_csr, &refusal))
        status = CM_FAIL(err, CM_CORRUPT, CM_ORIGIN_SELF, 0, "the request: %s: %s",
                         cm_refusal_name(refusal.code), refusal.message);
    cm_proof_free(proof);
    return status;
}

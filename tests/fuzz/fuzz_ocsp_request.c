/*
 * OCSP requests: what is taken lies within the input, and OpenSSL takes it, too, finds the same in it, and
 * encodes it to the same octets again.
 */
#include <stdlib.h>

#include <openssl/ocsp.h>

#include "engine/x509/der.h"
#include "engine/x509/ocsp_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static bool lies_within(struct cm_bytes span, struct cm_bytes whole)
{
    return span.data >= whole.data && span.size <= whole.size
           && (size_t)(span.data - whole.data) <= whole.size - span.size;
}

static void check_spans(struct cm_bytes der, const struct cm_ocsp_request *request)
{
    must(request->ids_count >= 1 && request->ids_count <= CM_OCSP_REQUESTS_MAX);
    must(request->nonce.size <= CM_OCSP_NONCE_SIZE_MAX);
    must(request->nonce.size == 0 || lies_within(request->nonce, der));
    for (uint32_t i = 0; i < request->ids_count; i++) {
        const struct cm_ocsp_cert_id *id = &request->ids[i];
        must(lies_within(id->whole, der) && lies_within(id->serial, id->whole)
             && lies_within(id->name_hash, id->whole) && lies_within(id->key_hash, id->whole));
    }
}

/* A requestor and a signature are DER, and nobody here looks further into them: OpenSSL does. */
static bool has_what_is_passed_over(struct cm_bytes input)
{
    struct cm_refusal refusal;
    struct cm_der der = cm_der_open(input, &refusal), whole, tbs;
    must(cm_der_enter(&der, CM_DER_SEQUENCE, "", &whole)
         && cm_der_enter(&whole, CM_DER_SEQUENCE, "", &tbs));
    return !cm_der_at_end(&whole) || cm_der_next_is(&tbs, CM_DER_CONTEXT_CONSTRUCTED(1));
}

static void check_id(const struct cm_ocsp_cert_id *id, OCSP_ONEREQ *one)
{
    ASN1_OCTET_STRING *name_hash, *key_hash;
    ASN1_INTEGER *serial;
    unsigned char *der = NULL;
    OCSP_id_get0_info(&name_hash, NULL, &key_hash, &serial, OCSP_onereq_get0_id(one));
    must(cm_bytes_equal(id->name_hash, cm_bytes(name_hash->data, (size_t)name_hash->length)));
    must(cm_bytes_equal(id->key_hash, cm_bytes(key_hash->data, (size_t)key_hash->length)));
    must((serial->type & V_ASN1_NEG) == 0);
    int size = i2d_ASN1_INTEGER(serial, &der);
    must(size > 2 && cm_bytes_equal(id->serial, cm_bytes(der + 2, (size_t)size - 2)));
    OPENSSL_free(der);
}

static void check_openssl(struct cm_bytes input, const struct cm_ocsp_request *request)
{
    const unsigned char *next = input.data;
    unsigned char *der = NULL;
    OCSP_REQUEST *theirs = d2i_OCSP_REQUEST(NULL, &next, (long)input.size);
    must(theirs && next == input.data + input.size);
    int size = i2d_OCSP_REQUEST(theirs, &der);
    must(size > 0 && cm_bytes_equal(cm_bytes(der, (size_t)size), input));
    must(OCSP_request_onereq_count(theirs) == (int)request->ids_count);
    for (uint32_t i = 0; i < request->ids_count; i++)
        check_id(&request->ids[i], OCSP_request_onereq_get0(theirs, (int)i));
    must((OCSP_REQUEST_get_ext_by_NID(theirs, NID_id_pkix_OCSP_Nonce, -1) >= 0)
         == (request->nonce.size > 0));
    OPENSSL_free(der);
    OCSP_REQUEST_free(theirs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cm_bytes input = cm_bytes(data, size);
    struct cm_ocsp_request request;
    struct cm_refusal refusal = { .code = CM_REFUSAL_NONE };
    if (!cm_ocsp_request_read(input, &request, &refusal)) {
        must(refusal.code != CM_REFUSAL_NONE);
        return 0;
    }
    check_spans(input, &request);
    if (!has_what_is_passed_over(input))
        check_openssl(input, &request);
    return 0;
}

#include "tests/fuzz/csr_oracle.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "engine/x509/key_check.h"

static bool span_is_inside(struct cm_bytes span, struct cm_bytes whole)
{
    return span.size == 0
           || (span.data >= whole.data && span.data + span.size <= whole.data + whole.size);
}

static bool spans_are_inside(const struct cm_csr *csr, struct cm_bytes der)
{
    bool are_inside = span_is_inside(csr->info, der) && span_is_inside(csr->subject, csr->info)
                      && span_is_inside(csr->spki, csr->info) && span_is_inside(csr->signature, der)
                      && span_is_inside(csr->key.point, csr->spki)
                      && span_is_inside(csr->key.modulus, csr->spki);
    for (size_t i = 0; i < csr->sans_count; i++)
        are_inside = are_inside && span_is_inside(csr->sans[i].value, csr->info);
    for (size_t i = 0; i < csr->name->count; i++)
        are_inside = are_inside && span_is_inside(csr->name->attributes[i].value, csr->subject);
    return are_inside;
}

static bool subject_is_same(X509_REQ *req, const struct cm_csr *csr)
{
    unsigned char *der = NULL;
    int size = i2d_X509_NAME(X509_REQ_get_subject_name(req), &der);
    bool is_same =
        size > 0 && cm_bytes_equal(cm_bytes(der, (size_t)size), csr->subject)
        && (size_t)X509_NAME_entry_count(X509_REQ_get_subject_name(req)) == csr->name->count;
    OPENSSL_free(der);
    return is_same;
}

static bool key_is_same(X509_REQ *req, const struct cm_csr *csr)
{
    unsigned char *der = NULL;
    int size = i2d_X509_PUBKEY(X509_REQ_get_X509_PUBKEY(req), &der);
    bool is_same = size > 0 && cm_bytes_equal(cm_bytes(der, (size_t)size), csr->spki);
    OPENSSL_free(der);
    return is_same;
}

static bool san_is_same(const GENERAL_NAME *name, const struct cm_san *san)
{
    static const int types[] = { [CM_SAN_DNS] = GEN_DNS,
                                 [CM_SAN_URI] = GEN_URI,
                                 [CM_SAN_IP] = GEN_IPADD,
                                 [CM_SAN_EMAIL] = GEN_EMAIL };
    int type;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);
    return type == types[san->type]
           && cm_bytes_equal(san->value, cm_bytes(ASN1_STRING_get0_data(value),
                                                  (size_t)ASN1_STRING_length(value)));
}

static bool sans_are_same(X509_REQ *req, const struct cm_csr *csr)
{
    STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(req);
    GENERAL_NAMES *names = X509V3_get_d2i(extensions, NID_subject_alt_name, NULL, NULL);
    int count = names ? sk_GENERAL_NAME_num(names) : 0;
    bool are_same = (size_t)count == csr->sans_count;
    for (int i = 0; are_same && i < count; i++)
        are_same = san_is_same(sk_GENERAL_NAME_value(names, i), &csr->sans[i]);
    GENERAL_NAMES_free(names);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    return are_same;
}

static bool openssl_verifies(X509_REQ *req)
{
    EVP_PKEY *key = X509_REQ_get0_pubkey(req);
    return key && X509_REQ_verify(req, key) == 1;
}

static const char *compare(X509_REQ *req, const struct cm_csr *csr, bool is_proven,
                           enum cm_refusal_code code)
{
    if (!subject_is_same(req, csr))
        return "OpenSSL reads another subject";
    if (!key_is_same(req, csr))
        return "OpenSSL reads another key";
    if (!sans_are_same(req, csr))
        return "OpenSSL reads other alternative names";
    if (is_proven != openssl_verifies(req) && code != CM_REFUSAL_CSR_SIGNATURE_ENCODING)
        return is_proven ? "OpenSSL refuses the signature" : "only OpenSSL accepts the signature";
    return NULL;
}

static const char *check_accepted(struct cm_proof *proof, struct cm_bytes der,
                                  const struct cm_csr *csr, struct cm_refusal *refusal)
{
    const unsigned char *next = der.data;
    X509_REQ *req = d2i_X509_REQ(NULL, &next, (long)der.size);
    const char *problem = NULL;
    bool is_proven = cm_proof_check(proof, csr, refusal);
    if (!req)
        problem = "OpenSSL does not read it";
    else if (next != der.data + der.size)
        problem = "OpenSSL leaves bytes behind";
    else
        problem = compare(req, csr, is_proven, refusal->code);
    if (is_proven)
        cm_key_check(&csr->key, refusal);
    X509_REQ_free(req);
    ERR_clear_error();
    return problem;
}

/* What a refusal must look like whatever was sent: a code, and one line of printable ASCII. */
static const char *check_refusal(const struct cm_refusal *refusal)
{
    if (refusal->code == CM_REFUSAL_NONE)
        return "refused without a code";
    for (const char *c = refusal->message; *c; c++)
        if (*c < ' ' || *c > '~')
            return "a message with bytes of the request";
    return refusal->message[0] ? NULL : "an empty message";
}

const char *cm_csr_oracle(struct cm_proof *proof, struct cm_bytes input,
                          enum cm_refusal_code *ret_code)
{
    struct cm_arena arena;
    struct cm_refusal refusal = { .code = CM_REFUSAL_NONE };
    struct cm_bytes der;
    struct cm_csr csr;
    const char *problem = NULL;
    cm_arena_init(&arena, 16384);
    if (cm_pem_read_csr(input, &arena, &der, &refusal) && cm_csr_read(der, &arena, &csr, &refusal))
        problem = spans_are_inside(&csr, der) ? check_accepted(proof, der, &csr, &refusal)
                                              : "a span points outside of the input";
    else
        problem = check_refusal(&refusal);
    cm_arena_done(&arena);
    *ret_code = refusal.code;
    return problem;
}

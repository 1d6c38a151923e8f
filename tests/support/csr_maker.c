#include "tests/support/csr_maker.h"

#include <stdlib.h>

#include <openssl/x509.h>

EVP_PKEY *cm_test_key(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    if (!key)
        abort();
    return key;
}

struct cm_bytes cm_test_csr(EVP_PKEY *key, const char *name, struct cm_arena *arena)
{
    X509_REQ *request = X509_REQ_new();
    uint8_t *der = NULL;
    X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(request), "CN", MBSTRING_UTF8,
                               (const unsigned char *)name, -1, -1, 0);
    if (!X509_REQ_set_pubkey(request, key) || !X509_REQ_sign(request, key, EVP_sha256()))
        abort();
    int size = i2d_X509_REQ(request, &der);
    if (size <= 0)
        abort();
    struct cm_bytes copy = cm_arena_copy(arena, cm_bytes(der, (size_t)size));
    OPENSSL_free(der);
    X509_REQ_free(request);
    return copy;
}

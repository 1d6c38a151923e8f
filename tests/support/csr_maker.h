/* CSRs with real keys for tests, made with OpenSSL. Aborts when OpenSSL fails. */
#ifndef CM_TESTS_SUPPORT_CSR_MAKER_H
#define CM_TESTS_SUPPORT_CSR_MAKER_H

#include <openssl/evp.h>

#include "engine/base/arena.h"

/* A new P-256 key. Freed by the caller with EVP_PKEY_free. */
EVP_PKEY *cm_test_key(void);

/* A CSR of the key with the subject CN=name, DER, in the arena. */
struct cm_bytes cm_test_csr(EVP_PKEY *key, const char *name, struct cm_arena *arena);

#endif

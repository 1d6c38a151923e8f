/*
 * Fresh keys of every type, and signatures by OpenSSL's own way: what proofs are tried with. For tests of
 * engine/x509; the test's thread.
 */
#ifndef CM_TESTS_UNIT_X509_KEY_PAIRS_H
#define CM_TESTS_UNIT_X509_KEY_PAIRS_H

#include <openssl/evp.h>

#include "engine/x509/key.h"

struct key_pair {
    const char *type;  /* of OpenSSL: "EC", "RSA", "ED25519" */
    const char *group; /* of "EC" */
    size_t bits;       /* of "RSA" */
    EVP_PKEY *pkey;
    unsigned char *spki;
    struct cm_public_key key;
};

/* Makes what is not there yet of a pair that says what it is to be. 0 on success, as CUnit has it. */
int key_pair_make(struct key_pair *pair);
void key_pair_done(struct key_pair *pair);

/* Into space of CM_SIGNATURE_SIZE_MAX octets. A failure ends the test. */
struct cm_bytes key_pair_sign(const struct key_pair *pair, enum cm_sigalg alg,
                              struct cm_bytes message, uint8_t *space);

#endif

/*
 * Raw keys: one signature check with a key given as its numbers, as cheap as OpenSSL can do it.
 *
 * This is the one place that uses OpenSSL's low-level EC_KEY and RSA calls, deprecated since 3.0
 * and present in every 3.x. A device key is used once, so building an EVP_PKEY and a context for
 * it is paid with every request: measured on P-256, EVP costs 6 us (one thread) to 12 us (two
 * threads, which then meet in OpenSSL's locks) on top of a 62 us verification; an EC_KEY that
 * takes the point costs 0.1 us and no lock. Internal to engine/x509.
 *
 * Thread: one struct cm_raw_keys a worker.
 */
#ifndef CM_X509_RAW_KEY_H
#define CM_X509_RAW_KEY_H

#include <openssl/evp.h>

#include "engine/x509/key.h"

enum cm_raw_verdict {
    CM_RAW_GOOD,
    CM_RAW_BAD_SIGNATURE,
    CM_RAW_BAD_KEY, /* not a point of the curve */
    CM_RAW_FAILED   /* OpenSSL had no memory */
};

struct cm_raw_keys;

/* NULL when out of memory. */
struct cm_raw_keys *cm_raw_keys_new(void);
void cm_raw_keys_free(struct cm_raw_keys *keys);

enum cm_raw_verdict cm_raw_verify_ecdsa(struct cm_raw_keys *keys, const struct cm_public_key *key,
                                        struct cm_bytes digest, struct cm_bytes signature);

/* Whether the key's point is one of its curve; of a hostile key, before anything else computes with it. */
enum cm_raw_verdict cm_raw_check_point(struct cm_raw_keys *keys, const struct cm_public_key *key);

/* PKCS#1 v1.5, or PSS with MGF1 over the same hash and a salt as long as the hash. */
enum cm_raw_verdict cm_raw_verify_rsa(const struct cm_public_key *key, const EVP_MD *hash,
                                      bool is_pss, struct cm_bytes digest,
                                      struct cm_bytes signature);

/* Whether what the public operation gave is a PSS encoding of the digest, as above. */
bool cm_raw_is_pss_of(const struct cm_public_key *key, const EVP_MD *hash, struct cm_bytes digest,
                      const uint8_t *encoded);

#endif

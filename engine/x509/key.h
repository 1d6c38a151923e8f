/*
 * Public keys: reads a SubjectPublicKeyInfo into spans, letting through only what is on the list:
 * P-256, P-384, P-521 as uncompressed points of a named curve (RFC 5480), RSA of 2048 to 8192 bits
 * with the exponent 65537 (RFC 3279), Ed25519 (RFC 8410).
 *
 * No arithmetic happens here, so that a hostile key costs nothing: whether an EC point is on its
 * curve shows when the proof of possession is checked, weak keys show in engine/x509/key_check.h.
 * Any thread.
 */
#ifndef CM_X509_KEY_H
#define CM_X509_KEY_H

#include "engine/x509/algorithm.h"
#include "engine/x509/der.h"

#define CM_RSA_BITS_MIN 2048
#define CM_RSA_BITS_MAX 8192

struct cm_public_key {
    enum cm_key_type type;
    uint32_t bits;           /* 256, 384, 521; of the modulus; 256 for Ed25519 */
    struct cm_bytes point;   /* EC: 04 X Y. Ed25519: the 32 octets. Else empty */
    struct cm_bytes modulus; /* RSA: big-endian, without a sign octet. Else empty */
    struct cm_bytes exponent;
};

/* Reads a whole SubjectPublicKeyInfo. The key's spans point into it. */
bool cm_public_key_read(struct cm_bytes spki, struct cm_public_key *ret_key,
                        struct cm_refusal *refusal);

/* The same for the next element of der. */
bool cm_public_key_read_der(struct cm_der *der, struct cm_public_key *ret_key,
                            struct cm_bytes *ret_spki);

/*
 * The octets of subjectPublicKey, whatever the key is: what key identifiers are hashes of. False: this
 * is no SubjectPublicKeyInfo.
 */
bool cm_public_key_bits(struct cm_bytes spki, struct cm_bytes *ret_bits);

#endif

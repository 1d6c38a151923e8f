/*
 * Multi-buffer: up to eight operations of one kind at once, in the lanes of the processor's AVX-512
 * registers, by Intel's Cryptography Primitives Library (crypto-mb).
 *
 * This folder is the one place that knows the library. It looks for it at run time, gives it numbers in
 * the form that it wants, and hands back what came of each lane as one bit. It decides nothing: callers
 * read encodings to the letter, put points to the proof that they are on their curve, draw nonces, and
 * check what was signed (engine/x509/signature_lanes.h, providers/openssl/lanes.h).
 *
 *     if (cm_mb_takes(CM_MB_P256))
 *         good = cm_mb_ecdsa_verify(CM_MB_P256, checks, count);      bit i: lane i is good
 *
 * Lanes are independent: what is wrong in one shows in its own bit and nowhere else. A call costs the same
 * whatever the number of lanes, so a few are cheaper one by one with OpenSSL; those who call know from how
 * many on. Lanes that are not asked for compute a copy of the first.
 *
 * Numbers are big-endian octets as they stand in certificates, except where a type says limbs: 64 bits
 * each, the lowest first, as the private ones are kept. The library computes on private numbers in
 * constant time; what is copied of them here is wiped before a call returns.
 *
 * Thread: any. What cm_mb_takes denies may not be called.
 * Source: the headers crypto_mb/ec_nistp256.h and its neighbours, ed25519.h, rsa.h, status.h.
 */
#ifndef CM_MULTIBUFFER_MULTIBUFFER_H
#define CM_MULTIBUFFER_MULTIBUFFER_H

#include <openssl/bn.h>

#include "engine/base/bytes.h"

enum { CM_MB_LANES = 8 };

enum cm_mb_kind { CM_MB_P256, CM_MB_P384, CM_MB_P521, CM_MB_ED25519, CM_MB_RSA, CM_MB_KINDS_COUNT };

/* The library is found, this processor has what it takes, and it agreed with OpenSSL in this kind. The first
 * call with a kind tries, which takes some milliseconds. */
bool cm_mb_takes(enum cm_mb_kind kind);

/* In words for people: which library, and what it does not do, or why it is not there. Static. Tries all kinds. */
const char *cm_mb_describe(void);

/* --------------------------------------------------------------------------------------- ECDSA -- */

#define CM_MB_FIELD_SIZE_MAX 66 /* octets of a P-521 number */
#define CM_MB_LIMBS_MAX      9

typedef unsigned long long cm_mb_limb; /* as the library has it */

/* curve: one of the first three kinds. Octets of a coordinate, and of a number below the order. */
size_t cm_mb_field_size(enum cm_mb_kind curve);
size_t cm_mb_limbs(enum cm_mb_kind curve);

/*
 * Each number fills the first cm_mb_field_size octets of its field. digest: the hash as a number, cut to its
 * left octets or filled up before them. point: X, then Y, of the curve, which the library does not check.
 */
struct cm_mb_ecdsa_check {
    uint8_t r[CM_MB_FIELD_SIZE_MAX], s[CM_MB_FIELD_SIZE_MAX];
    uint8_t digest[CM_MB_FIELD_SIZE_MAX];
    const uint8_t *point;
};

/* A lane is bad also where r or s is not between 1 and the order (exclusive). */
uint8_t cm_mb_ecdsa_verify(enum cm_mb_kind curve, const struct cm_mb_ecdsa_check *checks,
                           unsigned count);

/* nonce: between 1 and the order (exclusive), used for nothing else ever; the caller wipes it. */
struct cm_mb_ecdsa_draft {
    uint8_t digest[CM_MB_FIELD_SIZE_MAX];
    cm_mb_limb nonce[CM_MB_LIMBS_MAX];
    uint8_t r[CM_MB_FIELD_SIZE_MAX], s[CM_MB_FIELD_SIZE_MAX]; /* written */
};

/* scalar: limbs of the private key. A lane whose bit is 0 has no signature. */
uint8_t cm_mb_ecdsa_sign(enum cm_mb_kind curve, const cm_mb_limb *scalar,
                         struct cm_mb_ecdsa_draft *drafts, unsigned count);

/* ------------------------------------------------------------------------------------- Ed25519 -- */

#define CM_MB_ED25519_KEY_SIZE       32
#define CM_MB_ED25519_SIGNATURE_SIZE 64

struct cm_mb_ed25519_check {
    const uint8_t *key, *signature;
    struct cm_bytes message;
};

/* A lane is bad also where S is not below the order (RFC 8032, 5.1.7). */
uint8_t cm_mb_ed25519_verify(const struct cm_mb_ed25519_check *checks, unsigned count);

struct cm_mb_ed25519_draft {
    struct cm_bytes message;
    uint8_t *signature; /* written */
};

uint8_t cm_mb_ed25519_sign(const uint8_t *seed, const uint8_t *key,
                           const struct cm_mb_ed25519_draft *drafts, unsigned count);

/* ----------------------------------------------------------------------------------------- RSA -- */

#define CM_MB_RSA_SIZE_MAX 512 /* octets of a 4096-bit number */

struct cm_mb_rsa_check {
    const uint8_t *modulus, *signature;  /* bits / 8 octets each */
    uint8_t encoded[CM_MB_RSA_SIZE_MAX]; /* written: signature ^ 65537 mod modulus */
};

/* RSAVP1 of RFC 8017. A lane is bad where the signature is not below the modulus. */
uint8_t cm_mb_rsa_public(uint32_t bits, struct cm_mb_rsa_check *checks, unsigned count);

struct cm_mb_rsa_key { /* borrowed */
    const BIGNUM *p, *q, *dp, *dq, *qinv;
};

struct cm_mb_rsa_draft {
    const uint8_t *encoded; /* bits / 8 octets, below the modulus */
    uint8_t *signature;     /* written: as many */
};

/* RSASP1 of RFC 8017 by the Chinese remainders: a fault in it gives the key away, so that nothing of it
 * may leave before it was verified. */
uint8_t cm_mb_rsa_private(uint32_t bits, const struct cm_mb_rsa_key *key,
                          const struct cm_mb_rsa_draft *drafts, unsigned count);

#endif

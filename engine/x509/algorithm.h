/*
 * Algorithms: the key types and signature algorithms that certmill knows, each with its
 * AlgorithmIdentifier in DER (RFC 5758, RFC 8017 and RFC 4055, RFC 8410).
 *
 * One list makes the enum, the names in settings and messages, and the encodings. RSA-PSS always
 * comes with MGF1 over the same hash and a salt as long as the hash; other parameters are not
 * accepted. Pure data; any thread.
 */
#ifndef CM_X509_ALGORITHM_H
#define CM_X509_ALGORITHM_H

#include "engine/base/bytes.h"

/* X(symbol, name in settings) */
#define CM_KEY_TYPE_MAP(X)                                                                         \
    X(P256, "p256")                                                                                \
    X(P384, "p384")                                                                                \
    X(P521, "p521")                                                                                \
    X(RSA, "rsa")                                                                                  \
    X(ED25519, "ed25519")

enum cm_key_type {
    CM_KEY_UNKNOWN,
#define X(symbol, name) CM_KEY_##symbol,
    CM_KEY_TYPE_MAP(X)
#undef X
        CM_KEY_TYPE_COUNT
};

/* X(symbol, name, key type of RSA or Ed25519; UNKNOWN: any EC key, hash) */
#define CM_SIGALG_MAP(X)                                                                           \
    X(ECDSA_SHA256, "ecdsa-with-sha256", UNKNOWN, "SHA256")                                        \
    X(ECDSA_SHA384, "ecdsa-with-sha384", UNKNOWN, "SHA384")                                        \
    X(ECDSA_SHA512, "ecdsa-with-sha512", UNKNOWN, "SHA512")                                        \
    X(RSA_SHA256, "rsa-pkcs1-sha256", RSA, "SHA256")                                               \
    X(RSA_SHA384, "rsa-pkcs1-sha384", RSA, "SHA384")                                               \
    X(RSA_SHA512, "rsa-pkcs1-sha512", RSA, "SHA512")                                               \
    X(RSA_PSS_SHA256, "rsa-pss-sha256", RSA, "SHA256")                                             \
    X(RSA_PSS_SHA384, "rsa-pss-sha384", RSA, "SHA384")                                             \
    X(RSA_PSS_SHA512, "rsa-pss-sha512", RSA, "SHA512")                                             \
    X(ED25519, "ed25519", ED25519, "")

enum cm_sigalg {
    CM_SIGALG_UNKNOWN,
#define X(symbol, name, key, hash) CM_SIGALG_##symbol,
    CM_SIGALG_MAP(X)
#undef X
        CM_SIGALG_COUNT
};

/* Largest signature of any algorithm here: RSA-8192. Bytes. */
#define CM_SIGNATURE_SIZE_MAX 1024

const char *cm_key_type_name(enum cm_key_type type);
enum cm_key_type cm_key_type_find(const char *name);

const char *cm_sigalg_name(enum cm_sigalg alg);
enum cm_sigalg cm_sigalg_find(const char *name);

/* OpenSSL's name of the hash ("SHA256"); "" where the algorithm hashes by itself (Ed25519). */
const char *cm_sigalg_hash(enum cm_sigalg alg);
bool cm_sigalg_is_pss(enum cm_sigalg alg);

/* True where a key of this type can make a signature of this algorithm. */
bool cm_sigalg_fits(enum cm_sigalg alg, enum cm_key_type type);

/* The algorithm a key of this type signs with unless settings say otherwise. */
enum cm_sigalg cm_sigalg_default(enum cm_key_type type);

/* AlgorithmIdentifier, DER, tag and length included. Static. */
struct cm_bytes cm_sigalg_der(enum cm_sigalg alg);

/* The algorithm with exactly this encoding; CM_SIGALG_UNKNOWN when there is none. */
enum cm_sigalg cm_sigalg_from_der(struct cm_bytes algorithm_identifier);

#endif

/*
 * The parts of the OpenSSL provider: loading a private key, knowing what it is, signing with it.
 *
 * Everything here runs on a worker's thread. A private key is shared by the workers and only read;
 * what changes while signing (hash and signature contexts) is prepared once for each worker and
 * key, because initialising costs about a fifth of a P-256 signature and takes locks of OpenSSL's.
 */
#ifndef CM_PROVIDERS_OPENSSL_INTERNAL_H
#define CM_PROVIDERS_OPENSSL_INTERNAL_H

#include "providers/openssl/options.h"
#include "providers/passphrase.h"
#include "providers/provider.h"

#include <openssl/evp.h>

/* Where keys and their passphrases come from, and how they sign; borrowed. */
struct cm_ossl_source {
    const char *folder; /* relative paths start here; may be NULL */
    const struct cm_passphrase *passphrase;
    struct cm_ossl_options options;
};

/* load.c: finds the private key. Fails with: NO_KEY, DENIED, UNSUPPORTED, UNAVAILABLE, NO_MEMORY. */
CM_MUST_USE cm_status cm_ossl_load(const struct cm_ossl_source *source, const char *reference,
                                   EVP_PKEY **ret_pkey, struct cm_error *err);

/*
 * create.c: makes a key file, encrypted where the source names a passphrase.
 * Fails with: EXISTS, UNSUPPORTED (no "file:" reference, no such kind of key), MISMATCH, DENIED, IO,
 * NO_MEMORY; then there is no file.
 */
CM_MUST_USE cm_status cm_ossl_create(const struct cm_ossl_source *source, const char *reference,
                                     const struct cm_key_spec *spec, enum cm_sigalg alg,
                                     struct cm_error *err);

/* Removes a key file. Fails with: UNSUPPORTED (no "file:" reference), DENIED, IO. */
CM_MUST_USE cm_status cm_ossl_destroy(const struct cm_ossl_source *source, const char *reference,
                                      struct cm_error *err);

/* load.c: the path that a "file:" reference names. Fails with: NO_KEY (it is too long). */
CM_MUST_USE cm_status cm_ossl_file_path(const struct cm_ossl_source *source, const char *reference,
                                        char *path, size_t space, struct cm_error *err);

/* What a worker needs for one key. Zero-initialised; used by one thread at a time. */
struct cm_ossl_signer {
    EVP_MD *hash;                  /* NULL for Ed25519 */
    EVP_MD_CTX *digest;            /* of the hash; for Ed25519 of the whole signature */
    EVP_PKEY_CTX *sign;            /* NULL for Ed25519 */
    bool lacks_fixed_nonces;       /* they are wanted, and only lanes have them */
    struct cm_ossl_nonces *nonces; /* of lanes (lanes.h); NULL before the first */
};

/* signer.c. Fails with: NO_MEMORY, UNSUPPORTED. Half-made signers are _done as well. */
CM_MUST_USE cm_status cm_ossl_signer_init(struct cm_ossl_signer *signer, EVP_PKEY *pkey,
                                          enum cm_sigalg alg, bool has_fixed_nonces,
                                          struct cm_error *err);
void cm_ossl_signer_done(struct cm_ossl_signer *signer);

/* False when OpenSSL refused; its error queue is left to the caller. */
CM_MUST_USE bool cm_ossl_signer_sign(struct cm_ossl_signer *signer, EVP_PKEY *pkey,
                                     struct cm_bytes message, uint8_t *signature, uint32_t space,
                                     uint32_t *ret_size);

/* Into *ret_size octets at digest. Not for Ed25519. */
CM_MUST_USE bool cm_ossl_signer_hash(struct cm_ossl_signer *signer, struct cm_bytes message,
                                     uint8_t *digest, unsigned *ret_size);

/* key.c: an open key, with a signer for each worker. Behind cm_key.backend. */
struct cm_ossl_key {
    struct cm_key key;
    char *reference;
    EVP_PKEY *pkey;
    uint8_t *spki;
    bool remote;                 /* lives behind a store: a failed signature may have been made */
    bool has_fixed_nonces;       /* RFC 6979, as settings want it of ECDSA */
    struct cm_ossl_lanes *lanes; /* NULL: signatures are made one by one */
    uint32_t signers_count;      /* workers */
    struct cm_ossl_signer *signers[]; /* made by their workers when they first sign */
};

/*
 * Loads, names and proves the key that the reference names.
 * Fails with: as in cm_provider_open_key.
 */
CM_MUST_USE cm_status cm_ossl_key_open(const struct cm_ossl_source *source, const char *reference,
                                       enum cm_sigalg alg, uint32_t workers_count,
                                       struct cm_ossl_key **ret_key, struct cm_error *err);
void cm_ossl_key_free(struct cm_ossl_key *key);

/* The worker's own signer of the key, made when it first signs; NULL when it cannot be made. */
struct cm_ossl_signer *cm_ossl_key_signer(struct cm_ossl_key *key, uint32_t worker_index);

/* Signs up to CM_BLOCKING_ITEMS, in lanes where that pays; writes each item's outcome. */
void cm_ossl_key_sign(struct cm_ossl_key *key, uint32_t worker_index, struct cm_sign_item *items,
                      uint32_t count);

/* True for "file:" references, whatever the case of the letters. */
bool cm_ossl_is_file(const char *reference);

#endif

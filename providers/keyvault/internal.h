/*
 * The Key Vault provider's own: keyvault.c is its life, opening.c finds and makes keys, key.c is an
 * open key, sign.c the batches. Below them: vault.h (calls to one vault), and below that token.h,
 * pace.h, http.h and the pure parts.
 */
#ifndef CM_PROVIDERS_KEYVAULT_INTERNAL_H
#define CM_PROVIDERS_KEYVAULT_INTERNAL_H

#include <openssl/evp.h>

#include "providers/keyvault/jose.h"
#include "providers/keyvault/options.h"
#include "providers/keyvault/vault.h"

#define CM_KEYVAULT_URL_SIZE (CM_VAULT_URI_SIZE + 128)

struct cm_keyvault {
    struct cm_provider head;
    struct cm_vault_options options;
    struct cm_http *http;
    struct cm_vault_env env;
    struct cm_vault **vaults; /* one for each host that a key was asked for at */
    size_t vaults_count;
};

/* The vault of this URI's host, made when it is first named. */
struct cm_vault *cm_keyvault_vault(struct cm_keyvault *self, const struct cm_vault_uri *uri);

/* An open key: pinned to its version. */
struct cm_vault_key {
    struct cm_key key;
    struct cm_keyvault *owner;
    struct cm_vault *vault;
    struct cm_vault_uri uri; /* with the version */
    char reference[CM_VAULT_URI_SIZE];
    char sign_url[CM_KEYVAULT_URL_SIZE];
    const char *alg; /* the service's name of it */
    uint32_t cost_us;
    struct cm_jwk jwk;
    EVP_MD *digest;
    EVP_PKEY *public_key;
    EVP_PKEY_CTX *verifier;
    /* whether the vault has another version by now */
    char latest_url[CM_KEYVAULT_URL_SIZE];
    struct cm_timer look_timer;
    struct cm_vault_call look;
    bool is_looking, is_closed;
    char told_version[CM_VAULT_VERSION_SIZE]; /* of which the operator knows */
};

/*
 * Does:       makes the handle of a key whose bundle the vault has sent. The bundle is checked: its
 *             kid is the one that was asked for, it may sign, is enabled and within its time, is as
 *             well protected as the settings want, and alg fits.
 * Owns:       *ret_key is the caller's, until cm_vault_key_free.
 * Fails with: CORRUPT, NO_KEY (disabled, or outside its time), DENIED (may not sign), MISMATCH,
 *             UNSUPPORTED.
 */
CM_MUST_USE cm_status cm_vault_key_new(struct cm_keyvault *self, struct cm_vault *vault,
                                       const struct cm_vault_uri *asked, const json_t *bundle,
                                       enum cm_sigalg alg, struct cm_vault_key **ret_key,
                                       struct cm_error *err);
/* Now, or when the look that is out has come back. Takes NULL. */
void cm_vault_key_free(struct cm_vault_key *key);

/* From now on the vault is asked now and then whether there is another version; the operator is told. */
void cm_vault_key_watch(struct cm_vault_key *key);

/* The hash that is signed; returns its size, 0: OpenSSL failed. */
size_t cm_vault_key_hash(const struct cm_vault_key *key, struct cm_bytes message,
                         uint8_t ret_hash[EVP_MAX_MD_SIZE]);

enum { CM_VAULT_SIGN_BODY_SIZE = 160 };
void cm_vault_key_write_body(const struct cm_vault_key *key, struct cm_bytes hash,
                             char ret_body[CM_VAULT_SIGN_BODY_SIZE]);

/*
 * Does:       takes the signature out of a sign answer, after the answer's key id and the signature
 *             have been checked. Returns its size; 0: err says what is wrong.
 */
uint32_t cm_vault_key_take(const struct cm_vault_key *key, const json_t *answer,
                           struct cm_bytes hash, uint8_t *ret_signature, uint32_t space,
                           struct cm_error *err);

/* opening.c: the provider's functions */
void cm_keyvault_open_key(struct cm_provider *provider, const char *reference, enum cm_sigalg alg,
                          cm_key_opened_fn *opened, void *arg);
void cm_keyvault_make_key(struct cm_provider *provider, const char *reference,
                          const struct cm_key_spec *spec, enum cm_sigalg alg,
                          cm_key_opened_fn *opened, void *arg);
void cm_keyvault_destroy_key(struct cm_key *key, cm_key_destroyed_fn *destroyed, void *arg);

/* sign.c: the provider's functions */
cm_status cm_keyvault_sign(struct cm_provider *provider, struct cm_sign_batch *batch,
                           struct cm_error *err);
void cm_keyvault_cancel(struct cm_provider *provider, struct cm_sign_batch *batch);

#endif

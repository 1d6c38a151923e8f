/*
 * Vault: one Key Vault or Managed HSM, and the calls that wait for it.
 *
 * A call waits until there is a token, until the pace lets it go, and then for its answer; what the
 * vault says in between (401: another token; 429: later; 5xx: again) is dealt with here, so that
 * whoever made the call hears of it once, with the final word:
 *
 *     OK            2xx, and the answer's JSON
 *     DENIED        401 in spite of a fresh token, 403, or no token to be had; of a signature
 *                   UNAVAILABLE, as the next three: it waits until an operator has mended it
 *     NO_KEY        404
 *     EXISTS        409; of a READ UNAVAILABLE: the name is being deleted or restored
 *     UNSUPPORTED   400 and other 4xx: not what this vault does
 *     THROTTLED     a signature: 429 until the deadline
 *     UNAVAILABLE   cannot be reached, 5xx three times, or its circuit is open; or, of what is no
 *                   signature, the deadline passed
 *     UNCERTAIN     the request had left, and no answer came; only where repeating matters
 *     EXPIRED       a signature: the deadline passed before it could go
 *     CANCELLED     on request, before it went, or instead of going again
 *     CORRUPT       2xx with something that is no JSON object; of a signature UNCERTAIN
 *
 * The first thing that ever goes out is a request without a token: its 401 says where tokens come
 * from. When the circuit is open, signatures that wait come back UNAVAILABLE at once, so that another
 * key may make them; one key is read now and then to see whether the vault is back.
 *
 * Thread: the loop's alone.
 */
#ifndef CM_PROVIDERS_KEYVAULT_VAULT_H
#define CM_PROVIDERS_KEYVAULT_VAULT_H

#include <jansson.h>

#include "providers/keyvault/pace.h"
#include "providers/keyvault/token.h"
#include "providers/keyvault/uri.h"

struct cm_vault;
struct cm_vault_call;
struct cm_vault_slot;

/* answer is NULL unless status is OK; answer and err are borrowed for the call. */
typedef void cm_vault_done_fn(struct cm_vault_call *call, cm_status status, const json_t *answer,
                              const struct cm_error *err);

/* What the repetition of a call would mean. */
enum cm_vault_nature {
    CM_VAULT_READ,      /* nothing: it is repeated as often as it takes */
    CM_VAULT_SIGNATURE, /* nothing to the vault; but a lost answer is UNCERTAIN to us */
    CM_VAULT_ONCE       /* another key: never repeated once it has left */
};

/* Lives in its owner; zero-initialised. The first part is the owner's to fill. */
struct cm_vault_call {
    const char *method;
    const char *url;  /* borrowed until done */
    const char *body; /* JSON; NULL: none; borrowed until done */
    enum cm_vault_nature nature;
    uint32_t cost_us; /* pace.h */
    uint64_t deadline_ns;
    bool is_cancelled; /* set, and then cm_vault_sweep */
    cm_vault_done_fn *done;
    void *arg;
    /* the vault's own */
    struct cm_vault_call *next;
    uint8_t failures_count; /* 5xx, no connection */
    uint8_t refusals_count; /* 401 */
    bool has_been_out;
    bool may_be_done; /* it had left, and no answer said whether it was carried out */
};

/* Where the vaults of an instance get what they share, and whom they tell. Borrowed. */
struct cm_vault_env {
    struct cm_loop *loop;
    struct cm_http *http;
    const struct cm_vault_options *options;
    void (*notice)(void *arg, const char *text);
    void *arg;
};

/* uri: its host and port are the vault's. */
struct cm_vault *cm_vault_new(const struct cm_vault_env *env, const struct cm_vault_uri *uri);
/* What still waits or is out ends CANCELLED, inside. */
void cm_vault_free(struct cm_vault *vault);

bool cm_vault_is_at(const struct cm_vault *vault, const struct cm_vault_uri *uri);
bool cm_vault_is_managed_hsm(const struct cm_vault *vault);
const char *cm_vault_host(const struct cm_vault *vault);

/* Calls back: call->done, once, never inside this call. */
void cm_vault_submit(struct cm_vault *vault, struct cm_vault_call *call);

/* Ends those waiting calls that are cancelled; those that are out end with the answer they get, whatever
 * it is. done is called inside. */
void cm_vault_sweep(struct cm_vault *vault);

/* The vault does not answer: a signature would come back UNAVAILABLE. */
bool cm_vault_is_away(const struct cm_vault *vault);

/* "https://HOST/PATH?api-version=V" + more, which begins with "&" or is "". */
void cm_vault_write_url(const struct cm_vault *vault, const char *path, const char *more,
                        char *ret_url, size_t space);

/* Adds the vault's figures. */
void cm_vault_tell(const struct cm_vault *vault, struct cm_provider_pace *figures);

#endif

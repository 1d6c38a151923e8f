/*
 * Tokens: the bearer token of one vault, asked for when it is needed and replaced before it ends.
 *
 *     NONE       nobody has asked yet, or the vault has refused what there was (401)
 *     ASKING     a request is with the directory; whoever needs a token waits
 *     GOOD       there is one; from its refresh time on another one is asked for meanwhile, and
 *                this one is used until it ends
 *     FAILED     the last request failed, or the vault has refused its token before it had taken it
 *                once; asked again after 1, 2, 4 ... 60 s
 *
 * One request at a time. Who waits is told by one callback, when there is something to be told.
 * Thread: the loop's alone.
 */
#ifndef CM_PROVIDERS_KEYVAULT_TOKEN_H
#define CM_PROVIDERS_KEYVAULT_TOKEN_H

#include "providers/keyvault/credential.h"
#include "providers/keyvault/http.h"

struct cm_tokens {
    struct cm_loop *loop;
    struct cm_http *http;
    const struct cm_vault_options *options;
    struct cm_challenge challenge; /* where and for what; from the vault */
    bool has_challenge;
    struct cm_token token;
    uint64_t number; /* of tokens that have come: tells them apart */
    bool was_taken;  /* the vault has taken the one that came last */
    struct cm_token_request request;
    struct cm_http_call call;
    struct cm_timer retry;
    unsigned failures_count;    /* since the vault took a token */
    struct cm_error err;        /* of the last failure; status OK: a token has come since */
    void (*changed)(void *arg); /* a token has come, or has failed to come; on the loop */
    void *arg;
};

/* options and http are borrowed. */
void cm_tokens_init(struct cm_tokens *tokens, struct cm_loop *loop, struct cm_http *http,
                    const struct cm_vault_options *options, void (*changed)(void *arg), void *arg);
void cm_tokens_done(struct cm_tokens *tokens);

/* What the vault asks for; the first one comes before any token. */
void cm_tokens_challenged(struct cm_tokens *tokens, const struct cm_challenge *challenge);

/*
 * The token to send now, borrowed until the loop's next turn; NULL: there is none, and changed will
 * be called. Asks for one, or for the next one, where that is due.
 */
const char *cm_tokens_get(struct cm_tokens *tokens);

/*
 * What the vault said to a request that went with the token of this number: it has taken the token,
 * or refused it (401), as `why` says; then it is used no more, and another one is asked for: at once
 * where the vault had taken this one before, else as after a failure, of which changed tells, inside.
 * About an older token they do nothing.
 */
void cm_tokens_taken(struct cm_tokens *tokens, uint64_t number);
void cm_tokens_refused(struct cm_tokens *tokens, uint64_t number, const char *why);

/* True when FAILED, and no earlier token is good: err says why. */
bool cm_tokens_have_failed(const struct cm_tokens *tokens);

#endif

/*
 * Token: one token of one provider instance: its slot, its login, a session for each worker, and
 * the way back after a fault.
 *
 *     cm_p11_token_use(token, worker_index, &use, &err);     a session, logged in, this worker's
 *     code = use.module->f->C_Sign(use.session, ...);
 *     cm_p11_token_give(&use, code);                         always; a fault is acted upon later
 *
 * A token is *ready* under an epoch: a number that grows with each login. What was learned under
 * another epoch (object handles above all) is void and has to be looked up and proved again.
 *
 * A fault that tells of a lost session, login or token ends the epoch. The next use tries to come
 * back, one thread at a time and at most once a second, so that neither a token that is away nor one
 * that fails again at once sees a storm of logins: own sessions closed, slot found again by label
 * and serial number, PIN read again (passphrase.h), one C_Login. In between, and while the
 * token stays away, uses fail at once. When the token does not come back by itself and no
 * other token of the module is ready, the module is started anew: some look for tokens only then.
 *
 * A token is one object in its instance, however many URIs name it: find_token of pkcs11.c has it
 * learn which one it is before anybody uses it, and takes the object that there is. Only URIs that
 * name different sources of the PIN have one each.
 *
 * A PIN that the token refuses is never tried again, and neither is a login that ends in a code which
 * is not known to be transient: the token may count it. The whole instance is denied until it is
 * reopened, and one thread of it at a time logs in.
 */
#ifndef CM_PROVIDERS_PKCS11_TOKEN_H
#define CM_PROVIDERS_PKCS11_TOKEN_H

#include "providers/passphrase.h"
#include "providers/pkcs11/module.h"
#include "providers/pkcs11/uri.h"

#include <pthread.h>

/* What all tokens of an instance share. */
struct cm_p11_access {
    struct cm_passphrase passphrase; /* the PIN, where no URI names another */
    uint32_t workers_count;
    pthread_mutex_t mutex; /* held from looking at denied to the end of a login */
    struct cm_error refusal;
    atomic_bool denied; /* a login was refused; set once, refusal says how */
};

/* One worker's session; more workers than sessions share them by turns. */
struct cm_p11_session {
    pthread_mutex_t mutex; /* of all of it; held while used */
    CK_SESSION_HANDLE handle;
    bool is_open;
    bool is_ill;         /* a call in it failed: not used again */
    uint32_t epoch;      /* under which it was opened */
    uint32_t generation; /* of the module */
};

struct cm_p11_token {
    struct cm_p11_access *access;
    struct cm_p11_module *module;
    struct cm_p11_token *next;         /* the instance's list */
    struct cm_p11_uri wanted;          /* by which URI it was found */
    char label[CM_P11_TOKEN_SIZE + 1]; /* set by learn, as the next */
    char serial[CM_P11_SHORT_SIZE + 1];
    atomic_ulong slot;
    atomic_uint sessions_count; /* how many of sessions are used; 1 at least */
    atomic_uint epoch;
    atomic_bool ready;
    atomic_uint strikes;        /* faults of single calls in a row */
    atomic_bool restart_wanted; /* the module said that it is beyond recovery */

    pthread_mutex_t mutex; /* of the rest; held while connecting */
    bool known;            /* label and serial are */
    uint64_t next_try_ns;
    uint32_t tries_failed;
    struct cm_error failure;          /* of the last try */
    struct cm_p11_session sessions[]; /* workers_count */
};

/* A session, borrowed. */
struct cm_p11_use {
    struct cm_p11_token *token;
    struct cm_p11_module *module;
    struct cm_p11_session *of;
    CK_SESSION_HANDLE session;
    CK_SLOT_ID slot;
    uint32_t epoch;
};

/* token.c. Takes over the share of the module when it succeeds. Fails with: NO_MEMORY. */
CM_MUST_USE cm_status cm_p11_token_new(struct cm_p11_access *access, struct cm_p11_module *module,
                                       const struct cm_p11_uri *wanted,
                                       struct cm_p11_token **ret_token, struct cm_error *err);

/* Closes its sessions, which logs out. With no use open. Takes NULL. */
void cm_p11_token_free(struct cm_p11_token *token);

/*
 * Does:       looks for the token that the URI means, and notes its label and serial number; nothing
 *             when they are known. Needed before the first use.
 * Thread:     any; calls into the module.
 * Fails with: NO_KEY (no such token, several), UNAVAILABLE; may be tried again.
 */
CM_MUST_USE cm_status cm_p11_token_learn(struct cm_p11_token *token, struct cm_error *err);

/* True when both have turned out to be the same token, and log in with the same PIN. */
bool cm_p11_token_same(const struct cm_p11_token *token, const struct cm_p11_token *other);

/* True when the URI says of the token what this one's does. */
bool cm_p11_token_is(const struct cm_p11_token *token, const struct cm_p11_uri *uri);

/*
 * Does:       gives this worker a session that is logged in, connecting first where needed; locks it.
 * Thread:     a worker's; one use at a time each.
 * Fails with: DENIED, TOKEN_REMOVED, UNAVAILABLE, NO_KEY (no such token, several), UNSUPPORTED.
 */
CM_MUST_USE cm_status cm_p11_token_use(struct cm_p11_token *token, uint32_t worker_index,
                                       struct cm_p11_use *ret_use, struct cm_error *err);

/* Ends the use. code is what the last call into the module came to. */
void cm_p11_token_give(struct cm_p11_use *use, CK_RV code);

/* Ends the epoch: what is used under it has turned out to be void. */
void cm_p11_token_doubt(struct cm_p11_token *token, uint32_t epoch, bool restart);

/* Uses count sessions at most from now on, and closes the others. 1 at least. */
void cm_p11_token_trim(struct cm_p11_token *token, uint32_t count);

/* True when no other token of the module is ready: it may be started anew on a suspicion. */
bool cm_p11_token_may_restart(const struct cm_p11_token *token);

/* Tests only, before the first token: instead of a second between tries. */
void cm_p11_token_set_pace(uint32_t pace_ms);

/* codes.c: what a code means for the token. */
enum cm_p11_meaning {
    CM_P11_FINE,
    CM_P11_REFUSED, /* this call, and it would be again: the token is well */
    CM_P11_STRIKE,  /* something failed; another session may do */
    CM_P11_LOST,    /* session, login or handle is void */
    CM_P11_REMOVED, /* so is the token */
    CM_P11_BROKEN   /* so is the module */
};
enum cm_p11_meaning cm_p11_meaning(CK_RV code);

/* UNAVAILABLE, TOKEN_REMOVED or UNSUPPORTED, as the code says. */
cm_status cm_p11_status(CK_RV code);

/* slot.c: the slot whose token the token's URI, or its label and serial number, name. Inside. */
CM_MUST_USE cm_status cm_p11_slot_find(struct cm_p11_token *token, CK_SLOT_ID *ret_slot,
                                       CK_TOKEN_INFO *ret_info, struct cm_error *err);

/* A padded field of the module's as text. Space: size + 1. */
void cm_p11_unpad(const unsigned char *field, size_t size, char *text);

/* login.c: logs in through the session, once. Inside. Fails with: DENIED, UNAVAILABLE, ... */
CM_MUST_USE cm_status cm_p11_login(struct cm_p11_token *token, CK_SESSION_HANDLE session,
                                   const CK_TOKEN_INFO *info, struct cm_error *err);

#endif

/*
 * Waiting: the calls that wait for one vault, first come first served.
 *
 * Calls lie in their owners, so that nothing here fails for want of memory. Thread: the loop's alone.
 */
#ifndef CM_PROVIDERS_KEYVAULT_WAITING_H
#define CM_PROVIDERS_KEYVAULT_WAITING_H

#include "providers/keyvault/vault.h"

struct cm_vault_waiting {
    struct cm_vault_call *first, **last;
    uint32_t count;
};

void cm_vault_waiting_init(struct cm_vault_waiting *waiting);

void cm_vault_waiting_append(struct cm_vault_waiting *waiting, struct cm_vault_call *call);
/* One that has been out already goes before the others. */
void cm_vault_waiting_prepend(struct cm_vault_waiting *waiting, struct cm_vault_call *call);
/* Where there is one. */
struct cm_vault_call *cm_vault_waiting_take(struct cm_vault_waiting *waiting);

/* Calls done with the status and the text of err. */
void cm_vault_call_end(struct cm_vault_call *call, const struct cm_error *err);

/* What becomes of a call that waits; OK: it goes on waiting. Else err is filled. */
typedef cm_status cm_vault_judge_fn(const struct cm_vault_call *call, void *arg,
                                    struct cm_error *err);

/* Ends those that judge does not let wait on. done, called inside, may add more: they are not judged. */
void cm_vault_waiting_end_those(struct cm_vault_waiting *waiting, cm_vault_judge_fn *judge,
                                void *arg);

#endif

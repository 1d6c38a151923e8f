#include "providers/keyvault/waiting.h"

void cm_vault_waiting_init(struct cm_vault_waiting *waiting)
{
    *waiting = (struct cm_vault_waiting){ .last = &waiting->first };
}

void cm_vault_waiting_append(struct cm_vault_waiting *waiting, struct cm_vault_call *call)
{
    call->next = NULL;
    *waiting->last = call;
    waiting->last = &call->next;
    waiting->count++;
}

void cm_vault_waiting_prepend(struct cm_vault_waiting *waiting, struct cm_vault_call *call)
{
    call->next = waiting->first;
    if (!waiting->first)
        waiting->last = &call->next;
    waiting->first = call;
    waiting->count++;
}

struct cm_vault_call *cm_vault_waiting_take(struct cm_vault_waiting *waiting)
{
    struct cm_vault_call *call = waiting->first;
    waiting->first = call->next;
    if (!waiting->first)
        waiting->last = &waiting->first;
    waiting->count--;
    return call;
}

void cm_vault_call_end(struct cm_vault_call *call, const struct cm_error *err)
{
    call->done(call, err->status, NULL, err);
}

/* The list is taken apart first, because done may add to it. */
void cm_vault_waiting_end_those(struct cm_vault_waiting *waiting, cm_vault_judge_fn *judge,
                                void *arg)
{
    struct cm_vault_call *call = waiting->first;
    cm_vault_waiting_init(waiting);
    while (call) {
        struct cm_vault_call *next = call->next;
        struct cm_error err = { .status = CM_OK };
        if (judge(call, arg, &err) == CM_OK)
            cm_vault_waiting_append(waiting, call);
        else
            cm_vault_call_end(call, &err);
        call = next;
    }
}

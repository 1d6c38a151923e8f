/*
 * CA answer: the certificate that another CA has made for a request of ours (`certmill ca create --csr`),
 * taken by the generation that waits for it.
 *
 *     if (cm_ca_answer_take(&answer, call, &err) == CM_OK)
 *         ... answer.name is what it says ...
 *     cm_ca_answer_done(&answer);                  whatever came out
 *
 * Private to `certmill ca import`. One thread.
 */
#ifndef CM_TOOLS_CA_ANSWER_H
#define CM_TOOLS_CA_ANSWER_H

#include "tools/ca_record.h"
#include "tools/chain_files.h"
#include "tools/generations.h"
#include "tools/new_files.h"

struct cm_ca_answer {
    const struct cm_call *call;
    /* written */
    const char *name; /* of the generation: "site-1" */
    const char *path; /* of the certificate */
    bool changed;     /* else all of it was so already */
    bool is_active;   /* it issues from now on; else it is for ca activate */
    struct cm_chain_files files;
    /* its own */
    struct cm_ca_record record;
    struct cm_generations generations;
    const struct cm_generation *generation; /* as it was found */
    const struct cm_generation *signer;     /* the one of ours that has signed it; NULL: none has */
    struct cm_new_files new_files;
};

/*
 * Does:       finds the generation that has asked for it, by name and key; checks subject, CA bits, validity
 *             and the chain with its signatures; opens the key, which is proved; records certificate and
 *             chain, and makes the first generation of an authority active. Done again it changes nothing,
 *             and finishes what was begun.
 * Fails with: NOT_FOUND (nobody waits under this name), EXISTS (it has another one already), MISMATCH (with
 *             what is wrong), what files, providers and the store fail with.
 */
CM_MUST_USE cm_status cm_ca_answer_take(struct cm_ca_answer *answer, const struct cm_call *call,
                                        struct cm_error *err);

void cm_ca_answer_done(struct cm_ca_answer *answer);

#endif

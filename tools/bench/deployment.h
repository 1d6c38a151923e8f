/*
 * Deployment of a run: made in a scratch folder, with every device on its allow-list.
 *
 * Its keys are files, or in a SoftHSM token in the folder, or, with an instance of the operator's own (-c
 * or --kind), one key there: made for the run and destroyed after it, or named with --key. Even then
 * settings, names, store, allow-list and queue are the scratch folder's. The certificates lead to a CA of
 * the run's own, which nobody trusts; the operator's store and streams are not opened.
 *
 *     cm_bench_deploy(&plan, &deployment, &err);
 *     ... deployment.settings ...
 *     cm_bench_undeploy(&deployment);                     also when deploy failed
 *
 * While there is such a key interruptions are held (interruptions.h). One thread.
 */
#ifndef CM_TOOLS_BENCH_DEPLOYMENT_H
#define CM_TOOLS_BENCH_DEPLOYMENT_H

#include "tools/new_authority.h"
#include "tools/private_token.h"
#include "tools/provider_target.h"

struct cm_bench_plan;

/* A provider of the operator's own, and the key in it. */
struct cm_bench_instance {
    bool is_used;
    struct cm_provider_target target;
    struct cm_new_authority ca; /* its handle is closed again: the engine opens the key itself */
    enum cm_key_type type;
    uint32_t bits;
    struct cm_arena arena;
    char made[CM_NEW_AUTHORITY_KEY_SIZE]; /* the key that is to be destroyed; "": none */
    double per_second;                    /* signatures, of it alone */
};

struct cm_bench_deployment {
    struct cm_settings settings; /* what the engine is opened with */
    struct cm_settings *read;    /* the scratch folder's file, which they are made of */
    char store_path[4300];
    struct cm_private_token token; /* of a SoftHSM token */
    struct cm_bench_instance instance;
    enum cm_key_type ca_type;
    uint32_t ca_bits; /* of an RSA key */
};

/* Fails with: what init, store and, of an instance, its provider fail with; CANCELLED. */
CM_MUST_USE cm_status cm_bench_deploy(const struct cm_bench_plan *plan,
                                      struct cm_bench_deployment *ret_deployment,
                                      struct cm_error *err);
void cm_bench_undeploy(struct cm_bench_deployment *deployment);

/*
 * The part that is about an instance. open: finds it, makes or finds the key, measures it alone, has it sign
 * a certificate of its own. record: as the one authority of an empty store. close: destroys the key.
 */
bool cm_bench_instance_is_asked_for(const struct cm_call *call);
CM_MUST_USE cm_status cm_bench_instance_open(const struct cm_bench_plan *plan,
                                             struct cm_bench_instance *instance,
                                             struct cm_error *err);
CM_MUST_USE cm_status cm_bench_instance_record(const struct cm_bench_instance *instance,
                                               const char *authority, struct cm_store *store,
                                               struct cm_error *err);
void cm_bench_instance_close(struct cm_bench_instance *instance);

#endif

/* From the fleet to the last figure: what is measured before, the run, and what is measured after. */
#include "tools/bench/bench.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/fleet_cache.h"
#include "tools/interruptions.h"

#define CEILING_SECONDS 1.5

/* --- the fleet ----------------------------------------------------------------------------------- */

static cm_status make_anew(const struct cm_bench_plan *plan, struct cm_fleet **ret_fleet,
                           struct cm_error *err)
{
    struct cm_progress progress;
    cm_progress_start(&progress, "requests made", plan->fleet.devices_count, plan->quiet);
    cm_status status = cm_fleet_make(&plan->fleet, &progress, ret_fleet, err);
    cm_progress_end(&progress);
    return status;
}

/* A cache that cannot be read is made anew, one that cannot be written is an error: it was asked for. */
cm_status cm_bench_make_fleet(const struct cm_bench_plan *plan, struct cm_fleet **ret_fleet,
                              bool *ret_is_cached, struct cm_error *err)
{
    *ret_is_cached = false;
    if (!plan->fleet_cache)
        return make_anew(plan, ret_fleet, err);
    cm_status status = cm_fleet_cache_read(plan->fleet_cache, &plan->fleet, ret_fleet, err);
    *ret_is_cached = status == CM_OK;
    if (status == CM_OK)
        return CM_OK;
    if (status != CM_NOT_FOUND)
        fprintf(stderr, "certmill: %s; it is made anew\n", err->text);
    status = make_anew(plan, ret_fleet, err);
    if (status == CM_OK)
        status = cm_fleet_cache_write(plan->fleet_cache, &plan->fleet, *ret_fleet, err);
    return status;
}

/* --- phases -------------------------------------------------------------------------------------- */

static cm_status measure_ceiling(const struct cm_bench_plan *plan,
                                 const struct cm_bench_deployment *deployment,
                                 struct cm_bench_ceiling *ret_ceiling, struct cm_error *err)
{
    return cm_bench_measure_ceiling(&plan->fleet, deployment->ca_type, deployment->ca_bits,
                                    CEILING_SECONDS, ret_ceiling, err);
}

static cm_status measure_token(const struct cm_bench_plan *plan,
                               const struct cm_bench_deployment *deployment,
                               struct cm_bench_token *ret_token, struct cm_error *err)
{
    if (strcmp(plan->provider, "pkcs11") != 0)
        return CM_OK;
    return cm_bench_measure_token(&deployment->token, plan->ca_key, ret_token, err);
}

static cm_status run_queue(const struct cm_bench_plan *plan,
                           const struct cm_bench_deployment *deployment,
                           struct cm_bench_result *result, struct cm_error *err)
{
    switch (plan->queue) {
    case CM_BENCH_REDIS:
        return cm_bench_run_redis(plan, deployment, result, err);
    case CM_BENCH_SPOOL:
        return cm_bench_run_spool(plan, deployment, result, err);
    default:
        return cm_bench_run_memory(plan, deployment, result, err);
    }
}

/* Of a run that was interrupted nothing more is measured: whoever did so wants to see what there is. */
static cm_status measure_after(const struct cm_bench_plan *plan,
                               const struct cm_bench_deployment *deployment,
                               struct cm_bench_result *result, struct cm_error *err)
{
    result->ceiling_after = result->ceiling_before;
    result->token_after = result->token_before;
    if (result->is_interrupted)
        return CM_OK;
    cm_status status = measure_token(plan, deployment, &result->token_after, err);
    return status == CM_OK ? measure_ceiling(plan, deployment, &result->ceiling_after, err)
                           : status;
}

static void take_means(struct cm_bench_result *result)
{
    const struct cm_bench_ceiling *before = &result->ceiling_before,
                                  *after = &result->ceiling_after;
    result->ceiling.per_second = (before->per_second + after->per_second) / 2;
    result->ceiling.cpu_us = (before->cpu_us + after->cpu_us) / 2;
    result->token_per_second =
        (result->token_before.per_second + result->token_after.per_second) / 2;
}

static void note_provider(const struct cm_bench_deployment *deployment,
                          struct cm_bench_result *result)
{
    result->provider_name = deployment->settings.providers[0].name;
    result->provider_kind = deployment->settings.providers[0].kind;
    result->provider_per_second = deployment->instance.per_second;
    result->processors = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
}

cm_status cm_bench_run_phases(const struct cm_bench_plan *plan,
                              const struct cm_bench_deployment *deployment,
                              struct cm_bench_result *result, struct cm_error *err)
{
    note_provider(deployment, result);
    cm_status status = measure_ceiling(plan, deployment, &result->ceiling_before, err);
    if (status == CM_OK)
        status = measure_token(plan, deployment, &result->token_before, err);
    if (status == CM_OK)
        status = cm_interruptions_check(err);
    if (status == CM_OK)
        status = run_queue(plan, deployment, result, err);
    if (status == CM_OK)
        status = measure_after(plan, deployment, result, err);
    take_means(result);
    return status;
}

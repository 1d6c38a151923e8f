/*
 * Bench: what the parts of `certmill bench` tell each other. Private to tools/bench/.
 *
 *     command.c     the command; plan.c reads what it is asked to do, phases.c does it
 *     schedule.c    when each request is due
 *     deployment.c  a scratch deployment with every device on its allow-list
 *     instance.c    a key for it in a provider of the operator's own
 *     tally.c       which request was answered when: rates, latencies, doubles
 *     run.c         the engine in this process, its loop, and what the run costs
 *     sampler.c     a look at all processes, ten times a second; samples.c, processes.c
 *     from_memory.c from_spool.c from_redis.c    where the requests come from
 *     load.c        the load generator: a process that is to Redis what a backend is
 *     ceiling.c     what the bare cryptography would allow
 *     token.c       what a bare loop over a token's C_Sign would allow
 *     report.c      what is told of a run, as one JSON object; text.c for people
 *     page.c        the page with plots: figures.c, from answers; figures_machine.c, from samples;
 *                   plot.c, bars.c and scale.c draw them
 *     compare.c     the command `bench compare`; comparison.c tells differences from noise
 */
#ifndef CM_TOOLS_BENCH_H
#define CM_TOOLS_BENCH_H

#include "tools/bench/deployment.h"
#include "tools/bench/samples.h"
#include "tools/bench/tally.h"
#include "tools/command.h"
#include "tools/fleet.h"

/* --- plan ---------------------------------------------------------------------------------------- */

enum cm_bench_queue { CM_BENCH_MEMORY, CM_BENCH_REDIS, CM_BENCH_SPOOL };

struct cm_bench_plan {
    const struct cm_call *call;
    struct cm_bench_schedule schedule;
    struct cm_fleet_settings fleet;
    const char *mix;         /* as it was asked for: "p256", "mix", "p256=90,rsa-2048=10" */
    const char *fleet_cache; /* folder; NULL: none */
    enum cm_bench_queue queue;
    const char *queue_name;
    uint32_t window;     /* requests that wait for an answer at most, in a closed loop */
    uint32_t per_entry;  /* requests in one entry of a Redis stream */
    const char *results; /* "single", "grouped" */
    double latency_bound_ms;
    const char *ca_key;   /* as init's --key-type */
    const char *provider; /* "openssl"; "pkcs11": a SoftHSM token in the folder */
    const char *folder;   /* scratch */
    uint32_t check_signatures;
    const char *multi_buffer; /* "auto", "off" */
    const char *signers;      /* "process" or "inline" */
    const char *redis_aof;    /* "no", "everysec", "always" */
    bool quiet;
};

/* False: the command line is wrong, and that was said. */
bool cm_bench_plan_read(const struct cm_call *call, struct cm_bench_plan *ret_plan);

static inline bool cm_bench_is_open_loop(const struct cm_bench_plan *plan)
{
    return plan->schedule.stages_count > 0;
}

/* --- ceiling ------------------------------------------------------------------------------------- */

/*
 * One thread for each processor does nothing but verify with the devices' and sign with the CA's
 * type of key, with prepared keys and contexts, for this long. Of a mix: each type for its part of the
 * time, put together by the fleet's shares.
 */
struct cm_bench_ceiling {
    double per_second; /* pairs, all threads together */
    double cpu_us;     /* of a pair: what others on the machine do hardly touches it */
};
CM_MUST_USE cm_status cm_bench_measure_ceiling(const struct cm_fleet_settings *fleet,
                                               enum cm_key_type ca, uint32_t ca_bits,
                                               double seconds, struct cm_bench_ceiling *ret_ceiling,
                                               struct cm_error *err);

/* The label of the authority's key in the token. */
#define CM_BENCH_TOKEN_KEY "certmill-issuing-1"

/* C_SignInit and C_Sign, nothing else, with the number of sessions that did best. */
struct cm_bench_token {
    double per_second;
    double cpu_us; /* of a signature */
    unsigned sessions;
};
CM_MUST_USE cm_status cm_bench_measure_token(const struct cm_private_token *token,
                                             const char *ca_key, struct cm_bench_token *ret_token,
                                             struct cm_error *err);

/* --- the run ------------------------------------------------------------------------------------- */

struct cm_bench_result {
    struct cm_bench_figures figures;
    struct cm_bench_samples samples;
    bool is_interrupted;
    uint32_t type_counts[CM_KEY_TYPE_COUNT];
    struct cm_bench_ceiling ceiling_before, ceiling_after, ceiling; /* the last: their mean */
    struct cm_bench_token token_before, token_after;                /* of a SoftHSM token */
    double token_per_second;    /* their mean; 0: there is no token */
    double provider_per_second; /* of an instance of the operator's: alone; 0: it was not asked */
    const char *provider_name, *provider_kind;
    double cpu_s[CM_BENCH_PROCESS_COUNT];
    double idle_share;   /* of all processors, from start to end */
    double others_share; /* taken by processes that do not belong to the run */
    double machine_s;    /* what the shares are of: seconds of one processor */
    uint64_t peak_memory;
    uint64_t store_size;
    uint64_t batches, batches_answered;
    uint64_t station_ns[CM_STATION_COUNT];
    uint32_t processors;
    double fleet_s;
    bool is_fleet_cached;
    char redis_version[32];
};

struct cm_engine;
struct cm_loop;
struct cm_queue_ops;
struct cm_queue_settings;

/* A way to bring requests to the engine. Everything on the engine's loop. */
struct cm_bench_source {
    const struct cm_queue_ops *ops;
    const struct cm_queue_settings *queue;
    void (*begin)(struct cm_loop *loop, void *arg); /* requests are taken from now on */
    void (*count)(uint32_t *ret_sent, uint32_t *ret_answered, void *arg); /* ten times a second */
    bool (*is_done)(void *arg);                                           /* the same */
    pid_t redis_pid, load_pid;                                            /* 0: none */
    void *arg;
};

/* Runs the engine until the source is done, or a signal comes; fills the engine's part of the result. */
CM_MUST_USE cm_status cm_bench_run_engine(const struct cm_bench_plan *plan,
                                          const struct cm_bench_deployment *deployment,
                                          const struct cm_bench_source *source,
                                          struct cm_bench_result *result, struct cm_error *err);

CM_MUST_USE cm_status cm_bench_run_memory(const struct cm_bench_plan *plan,
                                          const struct cm_bench_deployment *deployment,
                                          struct cm_bench_result *result, struct cm_error *err);
CM_MUST_USE cm_status cm_bench_run_spool(const struct cm_bench_plan *plan,
                                         const struct cm_bench_deployment *deployment,
                                         struct cm_bench_result *result, struct cm_error *err);
CM_MUST_USE cm_status cm_bench_run_redis(const struct cm_bench_plan *plan,
                                         const struct cm_bench_deployment *deployment,
                                         struct cm_bench_result *result, struct cm_error *err);

/* All that is measured: ceilings before and after, and the run between them. */
CM_MUST_USE cm_status cm_bench_run_phases(const struct cm_bench_plan *plan,
                                          const struct cm_bench_deployment *deployment,
                                          struct cm_bench_result *result, struct cm_error *err);

/* The fleet of the plan, from its cache or with a progress of its own. */
CM_MUST_USE cm_status cm_bench_make_fleet(const struct cm_bench_plan *plan,
                                          struct cm_fleet **ret_fleet, bool *ret_is_cached,
                                          struct cm_error *err);

/* --- output -------------------------------------------------------------------------------------- */

struct json_t;

/* What is told of a run: docs/guides/benchmarks.md has its members. The caller's. */
struct json_t *cm_bench_report(const struct cm_bench_plan *plan,
                               const struct cm_bench_result *result);

void cm_bench_print_text(const struct cm_bench_plan *plan, const struct cm_bench_result *result);

/* Fails with: IO. */
CM_MUST_USE cm_status cm_bench_write_page(const struct cm_bench_plan *plan,
                                          const struct cm_bench_result *result, const char *path,
                                          struct cm_error *err);

/* What follows from the result. 0 where there is nothing to divide. */
double cm_bench_ratio(const struct cm_bench_result *result);     /* rate to ceiling */
double cm_bench_cpu_us(const struct cm_bench_result *result);    /* all processes, a certificate */
double cm_bench_cpu_ratio(const struct cm_bench_result *result); /* if processor time were all */
double cm_bench_token_ratio(const struct cm_bench_result *result);
/* Of the processor time of a certificate: what a software token takes for its bare signature. */
double cm_bench_token_share(const struct cm_bench_result *result);

#define CM_BENCH_LINE_SIZE 1024
/* Of an open loop, in a sentence or two: up to which rate it goes well, and what happens then. */
const char *cm_bench_conclusion(const struct cm_bench_plan *plan,
                                const struct cm_bench_figures *figures, char *text, size_t space);

/* The command line that makes this run again. */
const char *cm_bench_line(const struct cm_call *call, char *text, size_t space);

#endif

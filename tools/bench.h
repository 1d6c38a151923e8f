/*
 * Bench: what the parts of `certmill bench` tell each other. Private to tools/bench*.c.
 *
 *     bench.c             the command: plan, phases, exit code
 *     bench_deployment.c  a scratch deployment with every device on its allow-list
 *     bench_tally.c       which request was answered when: rates, latencies, doubles
 *     bench_run.c         the engine in this process, its loop, and what the run costs
 *     bench_memory.c      requests and answers inside the process
 *     bench_spool.c       requests and answers as files
 *     bench_redis.c       a private redis-server, and beside it
 *     bench_load.c        the load generator: a process that is to Redis what a backend is
 *     bench_ceiling.c     what the bare cryptography would allow
 *     bench_token.c       what a bare loop over a token's C_Sign would allow
 *     bench_report.c      JSON and text; bench_html.c the page with plots
 */
#ifndef CM_TOOLS_BENCH_H
#define CM_TOOLS_BENCH_H

#include <stdatomic.h>
#include <sys/types.h>

#include "engine/base/loop.h"
#include "engine/base/status.h"
#include "engine/x509/algorithm.h"
#include "tools/command.h"
#include "tools/fleet.h"
#include "tools/private_token.h"

#define CM_BENCH_SLICES    10
#define CM_BENCH_HISTOGRAM 96 /* four buckets for each doubling, from 1 us on */

/* --- plan ---------------------------------------------------------------------------------------- */

enum cm_bench_queue { CM_BENCH_MEMORY, CM_BENCH_REDIS, CM_BENCH_SPOOL };

struct cm_bench_plan {
    uint32_t devices_count;
    enum cm_bench_queue queue;
    const char *queue_name;
    uint32_t rate_per_s;  /* 0: as fast as answers come */
    uint32_t window;      /* requests that wait for an answer at most, without a rate */
    const char *key_type; /* "p256", ..., "mix" */
    const char *ca_key;   /* as init's --key-type */
    const char *provider; /* "openssl", "pkcs11": a SoftHSM token in the folder */
    const char *folder;   /* scratch */
    uint32_t check_signatures;
    const char *signers;   /* "process" or "inline" */
    const char *redis_aof; /* "no", "everysec", "always" */
    bool quiet;
};

/* --- tally --------------------------------------------------------------------------------------- */

/* One request, by its index. Written by who sends and who receives, read when both have ended. */
struct cm_bench_moment {
    uint64_t sent_ns; /* when it was due, with a rate */
    uint64_t received_ns;
};

struct cm_bench_tally {
    struct cm_bench_moment *moments;
    uint64_t *arrivals_ns; /* received_ns in the order of arrival */
    uint32_t count;
    _Atomic uint32_t answered; /* different requests */
    uint32_t issued, refused, failed, repeated, unknown;
    char problem[160]; /* the first answer that was no certificate */
};

/* What is left of a tally: plain data that crosses processes. */
struct cm_bench_figures {
    uint32_t requests, issued, refused, failed, repeated, unknown, missing;
    double seconds; /* first push to last result */
    double per_second;
    double slices[CM_BENCH_SLICES]; /* certificates a second in each tenth of the run */
    double p50_ms, p90_ms, p99_ms, max_ms;
    uint32_t histogram[CM_BENCH_HISTOGRAM];
    double load_cpu_s;
    char problem[160];
};

void cm_bench_tally_init(struct cm_bench_tally *tally, uint32_t count);
void cm_bench_tally_done(struct cm_bench_tally *tally);

#define CM_BENCH_ID_SIZE 16
/* The request id of an index, "r0000000". */
void cm_bench_request_id(uint32_t index, char ret_id[CM_BENCH_ID_SIZE]);

/* Notes an answer; now_ns is the monotonic clock. */
void cm_bench_tally_receive(struct cm_bench_tally *tally, struct cm_bytes id,
                            struct cm_bytes status, struct cm_bytes code, struct cm_bytes message,
                            uint64_t now_ns);

/* Works everything out; takes the tally apart (sorts it). */
void cm_bench_tally_work_out(struct cm_bench_tally *tally, struct cm_bench_figures *ret_figures);

/* Lower edge of a bucket of the histogram in milliseconds. */
double cm_bench_bucket_ms(unsigned bucket);

/* How many requests are due at now_ns by a rate that began at begin_ns; count when there is none. */
uint32_t cm_bench_due(const struct cm_bench_plan *plan, uint64_t begin_ns, uint64_t now_ns);
/* When a request is due. */
uint64_t cm_bench_due_ns(const struct cm_bench_plan *plan, uint64_t begin_ns, uint32_t index);

/* --- ceiling ------------------------------------------------------------------------------------- */

/*
 * One thread for each processor does nothing but verify with the device's and sign with the CA's
 * type of key, with prepared keys and contexts, for this long.
 */
struct cm_bench_ceiling {
    double per_second; /* pairs, all threads together */
    double cpu_us;     /* of a pair: what others on the machine do hardly touches it */
};
CM_MUST_USE cm_status cm_bench_measure_ceiling(enum cm_key_type device, enum cm_key_type ca,
                                               uint32_t ca_bits, double seconds,
                                               struct cm_bench_ceiling *ret_ceiling,
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

/* --- deployment ---------------------------------------------------------------------------------- */

/* Does: init in plan->folder, with what the plan changes in the settings, and the allow-list; *ret_token
 * is filled with a pkcs11 provider. */
CM_MUST_USE cm_status cm_bench_deploy(const struct cm_bench_plan *plan,
                                      struct cm_private_token *ret_token, struct cm_error *err);

/* --- the run ------------------------------------------------------------------------------------- */

struct cm_bench_result {
    struct cm_bench_figures figures;
    uint32_t type_counts[CM_KEY_TYPE_COUNT];
    struct cm_bench_ceiling ceiling_before, ceiling_after, ceiling; /* the last: their mean */
    struct cm_bench_token token_before, token_after;                /* of a pkcs11 provider */
    double token_per_second; /* their mean; 0: there is no token */
    double engine_cpu_s, signers_cpu_s, redis_cpu_s;
    double idle_share;   /* of all processors, from start to end */
    double others_share; /* taken by processes that do not belong to the run */
    double machine_s;    /* what the shares are of: seconds of one processor */
    uint64_t peak_memory;
    uint64_t store_size;
    uint64_t batches;
    uint32_t processors;
    double fleet_s;
    char redis_version[32];
};

struct cm_fleet;
struct cm_engine;
struct cm_queue_ops;
struct cm_queue_settings;

/* A way to bring requests to the engine. Everything on the engine's loop. */
struct cm_bench_source {
    const struct cm_queue_ops *ops;
    const struct cm_queue_settings *queue;
    void (*begin)(struct cm_loop *loop, void *arg); /* requests are taken from now on */
    uint32_t (*answered)(void *arg);                /* looked at ten times a second */
    bool (*is_done)(void *arg);                     /* the same */
    pid_t redis_pid;                                /* 0: none; its CPU seconds are counted */
    void *arg;
};

/* Runs the engine until the source is done; fills the engine's part of the result. */
CM_MUST_USE cm_status cm_bench_run_engine(const struct cm_bench_plan *plan,
                                          const struct cm_bench_source *source,
                                          struct cm_bench_result *result, struct cm_error *err);

CM_MUST_USE cm_status cm_bench_run_memory(const struct cm_bench_plan *plan,
                                          struct cm_bench_result *result, struct cm_error *err);
CM_MUST_USE cm_status cm_bench_run_spool(const struct cm_bench_plan *plan,
                                         struct cm_bench_result *result, struct cm_error *err);
CM_MUST_USE cm_status cm_bench_run_redis(const struct cm_bench_plan *plan,
                                         struct cm_bench_result *result, struct cm_error *err);

/* The fleet of the plan, with a progress of its own. */
CM_MUST_USE cm_status cm_bench_make_fleet(const struct cm_bench_plan *plan,
                                          struct cm_fleet **ret_fleet, struct cm_error *err);

/* Processor time of the whole machine since it started. Seconds of one processor. */
struct cm_bench_machine {
    double idle_s, busy_s;
};

struct cm_bench_machine cm_bench_read_machine(void);

/* User and system time of this process so far, and of another (0 when it is gone). Seconds. */
double cm_bench_cpu_s(void);
double cm_bench_cpu_of_s(pid_t pid);

/* --- output -------------------------------------------------------------------------------------- */

#define CM_BENCH_COMMAND_SIZE 512
/* The command line that makes this run again. */
const char *cm_bench_command(const struct cm_bench_plan *plan, char *text, size_t space);

void cm_bench_print_text(const struct cm_bench_plan *plan, const struct cm_bench_result *result);
void cm_bench_print_json(const struct cm_bench_plan *plan, const struct cm_bench_result *result);
CM_MUST_USE cm_status cm_bench_write_html(const struct cm_bench_plan *plan,
                                          const struct cm_bench_result *result, const char *path,
                                          struct cm_error *err);

#endif

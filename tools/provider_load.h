/*
 * Provider load: keeps batches of one key in flight for a while, and says what came of it. Used by
 * `provider test` and `provider bench`.
 */
#ifndef CM_TOOLS_PROVIDER_LOAD_H
#define CM_TOOLS_PROVIDER_LOAD_H

#include "tools/provider_session.h"

struct cm_provider_load {
    uint32_t batches_in_flight;
    uint32_t batch_items; /* 1: latencies are those of single signatures */
    double seconds;       /* less where it is interrupted (interruptions.h) */
};

struct cm_provider_load_result {
    uint64_t signatures; /* made, of the messages asked for */
    uint64_t failures;
    cm_status failure; /* of the last that failed */
    double per_second;
    double p50_us, p99_us, max_us; /* from asking to the last answer of a batch */
};

/* How many sessions or, of a vault, requests in flight are to be kept busy, and what the provider takes. */
struct cm_provider_load_size {
    uint32_t sessions;
    uint32_t batches_max; /* caps.batches_in_flight */
    uint32_t batch_items; /* at most */
    bool is_vault;
};

/*
 * A load of batches that keeps so many busy: twice as many items as are in flight, so that there is
 * always a next one. A vault has far more in flight than it takes batches, and what waits for its pace
 * when the time is over is still signed: no more than needed.
 */
struct cm_provider_load cm_provider_load_in_batches(const struct cm_provider_load_size *size,
                                                    double seconds);

/*
 * Does:       signs until the time is over and every batch is back. The first tenth is not counted.
 * Fails with: what cm_provider_sign fails with; failures of single items are counted, not returned.
 */
CM_MUST_USE cm_status cm_provider_load_run(struct cm_provider_session *session, struct cm_key *key,
                                           const struct cm_provider_load *load,
                                           struct cm_provider_load_result *ret_result,
                                           struct cm_error *err);

#endif

/*
 * Limits: how fast, and how many certificates a day, a requester or a group may have.
 *
 * Rates are token buckets refilled by the monotonic clock. Quotas count certificates in a UTC day:
 * one is reserved when a request is admitted, given back when it comes to nothing, and the total is
 * kept in the store with the certificates, so that a restart forgets nothing.
 *
 * Thread: any; each scope has a mutex.
 */
#ifndef CM_ENGINE_LIMITS_H
#define CM_ENGINE_LIMITS_H

#include <pthread.h>

#include "engine/store/store.h"

/* One requester's or one group's. Owned by the engine; zero rate or quota: no limit. */
struct cm_limit {
    char name[80]; /* "requester:local": the name of the usage row */
    uint32_t rate_per_s;
    uint32_t burst;
    uint64_t quota_per_day;

    struct {
        pthread_mutex_t mutex;
        double tokens;
        uint64_t refilled_ns;
        int64_t day; /* days since 1970-01-01 that used_count is about */
        uint64_t used_count;
    } shared; /* under the mutex */
};

void cm_limit_init(struct cm_limit *limit, const char *scope, const char *name, uint32_t rate_per_s,
                   uint32_t burst, uint64_t quota_per_day);
void cm_limit_done(struct cm_limit *limit);

/* Takes a token. False: too fast; *ret_wait_ms says when there will be one. */
bool cm_limit_take(struct cm_limit *limit, uint64_t now_ns, uint32_t *ret_wait_ms);

/* Reserves one certificate of today's quota. False: it is used up. */
bool cm_limit_reserve(struct cm_limit *limit, int64_t time_ms);
void cm_limit_give_back(struct cm_limit *limit);

/* At start-up: what the store has counted for the day. */
void cm_limit_restore(struct cm_limit *limit, int64_t day, int64_t used_count);

int64_t cm_limit_day(int64_t time_ms);

#endif

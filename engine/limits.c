#include "engine/limits.h"

#include <stdio.h>

#include "engine/base/clock.h"

void cm_limit_init(struct cm_limit *limit, const char *scope, const char *name, uint32_t rate_per_s,
                   uint32_t burst, uint64_t quota_per_day)
{
    *limit = (struct cm_limit){ .rate_per_s = rate_per_s,
                                .burst = burst ? burst : rate_per_s,
                                .quota_per_day = quota_per_day };
    snprintf(limit->name, sizeof limit->name, "%s:%s", scope, name);
    pthread_mutex_init(&limit->shared.mutex, NULL);
    limit->shared.tokens = limit->burst;
}

void cm_limit_done(struct cm_limit *limit)
{
    pthread_mutex_destroy(&limit->shared.mutex);
}

int64_t cm_limit_day(int64_t time_ms)
{
    return time_ms / (24 * 3600 * 1000LL);
}

/* Those who take may come out of order: time that has been refilled once is not refilled again. */
static void refill(struct cm_limit *limit, uint64_t now_ns)
{
    if (now_ns <= limit->shared.refilled_ns)
        return;
    if (limit->shared.refilled_ns != 0) {
        double seconds = (double)(now_ns - limit->shared.refilled_ns) / (double)CM_NS_PER_S;
        limit->shared.tokens += seconds * limit->rate_per_s;
        if (limit->shared.tokens > limit->burst)
            limit->shared.tokens = limit->burst;
    }
    limit->shared.refilled_ns = now_ns;
}

bool cm_limit_take(struct cm_limit *limit, uint64_t now_ns, uint32_t *ret_wait_ms)
{
    if (limit->rate_per_s == 0)
        return true;
    pthread_mutex_lock(&limit->shared.mutex); /* { */
    refill(limit, now_ns);
    bool taken = limit->shared.tokens >= 1;
    if (taken)
        limit->shared.tokens -= 1;
    else
        *ret_wait_ms = (uint32_t)((1 - limit->shared.tokens) * 1000 / limit->rate_per_s) + 1;
    pthread_mutex_unlock(&limit->shared.mutex); /* } */
    return taken;
}

bool cm_limit_reserve(struct cm_limit *limit, int64_t time_ms)
{
    int64_t day = cm_limit_day(time_ms);
    if (limit->quota_per_day == 0)
        return true;
    pthread_mutex_lock(&limit->shared.mutex); /* { */
    if (limit->shared.day != day) {
        limit->shared.day = day;
        limit->shared.used_count = 0;
    }
    bool reserved = limit->shared.used_count < limit->quota_per_day;
    if (reserved)
        limit->shared.used_count++;
    pthread_mutex_unlock(&limit->shared.mutex); /* } */
    return reserved;
}

void cm_limit_give_back(struct cm_limit *limit)
{
    pthread_mutex_lock(&limit->shared.mutex); /* { */
    if (limit->shared.used_count > 0)
        limit->shared.used_count--;
    pthread_mutex_unlock(&limit->shared.mutex); /* } */
}

void cm_limit_restore(struct cm_limit *limit, int64_t day, int64_t used_count)
{
    pthread_mutex_lock(&limit->shared.mutex); /* { */
    limit->shared.day = day;
    limit->shared.used_count = (uint64_t)used_count;
    pthread_mutex_unlock(&limit->shared.mutex); /* } */
}

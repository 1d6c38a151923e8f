#include "engine/campaign/moment.h"

#include "engine/base/clock.h"
#include "engine/base/hash.h"

int64_t cm_moment_deadline_s(const struct cm_campaign *campaign, int64_t not_after_s)
{
    int64_t end_s = campaign->created_ms / 1000 + campaign->window_s;
    return not_after_s < end_s ? not_after_s : end_s;
}

int64_t cm_moment_not_before_s(const struct cm_campaign *campaign, struct cm_bytes device,
                               int64_t deadline_s)
{
    int64_t start_s = campaign->created_ms / 1000;
    const struct cm_bytes parts[] = { campaign->name, cm_bytes("", 1), device };
    uint8_t hash[CM_SHA256_SIZE];
    if (deadline_s <= start_s)
        return start_s;
    cm_sha256(parts, sizeof parts / sizeof parts[0], hash);
    /* 32 bits are finer than any window that is told in seconds, and the product fits 64. */
    uint64_t share = cm_big_endian_read(hash, 4), span_s = (uint64_t)(deadline_s - start_s);
    return start_s + (int64_t)((share * span_s) >> 32);
}

static double most_of(const struct cm_moment_pace *pace)
{
    return pace->rate_per_s > 10 ? pace->rate_per_s / 10.0 : 1;
}

static void refill(struct cm_moment_pace *pace, uint64_t now_ns)
{
    double most = most_of(pace);
    if (pace->refilled_ns == 0)
        pace->tokens = 1;
    else if (now_ns > pace->refilled_ns)
        pace->tokens +=
            (double)(now_ns - pace->refilled_ns) / (double)CM_NS_PER_S * pace->rate_per_s;
    if (pace->tokens > most)
        pace->tokens = most;
    if (now_ns > pace->refilled_ns)
        pace->refilled_ns = now_ns;
}

uint32_t cm_moment_pace_take(struct cm_moment_pace *pace, uint64_t now_ns, uint32_t wanted,
                             uint32_t *ret_wait_ms)
{
    refill(pace, now_ns);
    uint32_t taken = pace->tokens < wanted ? (uint32_t)pace->tokens : wanted;
    pace->tokens -= taken;
    if (taken == 0)
        *ret_wait_ms = (uint32_t)((1 - pace->tokens) * 1000 / pace->rate_per_s) + 1;
    return taken;
}

void cm_moment_pace_give_back(struct cm_moment_pace *pace, uint32_t count)
{
    double most = most_of(pace);
    pace->tokens += count;
    if (pace->tokens > most)
        pace->tokens = most;
}

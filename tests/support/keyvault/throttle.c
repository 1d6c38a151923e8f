#include "tests/support/keyvault/keyvault.h"

/* Transactions in a period, in units of the cheapest one of the budget. */
static const int limits[KV_BUDGET_COUNT] = {
    [KV_BUDGET_KEYS] = 4000,
    [KV_BUDGET_CREATE] = 20,
    [KV_BUDGET_IMPORT] = 300,
    [KV_BUDGET_OTHER] = 4000,
};

int kv_throttle_cost(const struct kv_type *type)
{
    int cost = type->is_hsm ? 2 : 1;
    if (type->family == KV_EC || type->bits == 2048)
        return cost;
    return type->bits == 3072 ? 4 * cost : 8 * cost;
}

static int64_t fixed_sum(struct kv_window *window, int64_t now_ms, int period_ms)
{
    if (window->begin_ms == 0 || now_ms - window->begin_ms >= period_ms) {
        window->begin_ms = now_ms;
        window->sum = 0;
    }
    return window->sum;
}

/* The period before now, rounded up to whole slices: never more passes than in a true sliding window. */
static int64_t sliding_sum(const struct kv_window *window, int64_t now_slice)
{
    int64_t sum = 0;
    for (int i = 0; i < KV_WINDOW_SLICES; i++)
        if (now_slice - window->slice_number[i] < KV_WINDOW_SLICES)
            sum += window->slice[i];
    return sum;
}

static void count_slice(struct kv_window *window, int64_t now_slice, int cost)
{
    int place = (int)(now_slice % KV_WINDOW_SLICES);
    if (window->slice_number[place] != now_slice) {
        window->slice_number[place] = now_slice;
        window->slice[place] = 0;
    }
    window->slice[place] += cost;
}

bool kv_throttle_take(struct kv_throttle *throttle, enum kv_budget budget, int cost)
{
    const struct kv_throttle_options *options = &throttle->options;
    struct kv_window *window = &throttle->windows[budget];
    int64_t now_ms = kv_now_ms();
    int64_t slice = now_ms * (KV_WINDOW_SLICES - 1) / options->period_ms;
    if (!options->on)
        return true;
    int64_t sum = options->sliding ? sliding_sum(window, slice)
                                   : fixed_sum(window, now_ms, options->period_ms);
    bool passes = (double)(sum + cost) <= (double)limits[budget] * options->scale + 1e-6;
    if (!passes && !options->count_throttled)
        return false;
    if (options->sliding)
        count_slice(window, slice, cost);
    else
        window->sum += cost;
    return passes;
}

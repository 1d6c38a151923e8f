#include "providers/calls.h"

#include <pthread.h>

static struct {
    pthread_mutex_t mutex;
    struct cm_calls *first;
} registry = { .mutex = PTHREAD_MUTEX_INITIALIZER };

void cm_calls_watch(struct cm_calls *calls)
{
    pthread_mutex_lock(&registry.mutex); /* { */
    calls->next = registry.first;
    registry.first = calls;
    pthread_mutex_unlock(&registry.mutex); /* } */
}

void cm_calls_unwatch(struct cm_calls *calls)
{
    pthread_mutex_lock(&registry.mutex); /* { */
    struct cm_calls **at = &registry.first;
    while (*at && *at != calls)
        at = &(*at)->next;
    if (*at)
        *at = calls->next;
    pthread_mutex_unlock(&registry.mutex); /* } */
}

static uint64_t longest_of(const struct cm_calls *calls, uint64_t now_ns)
{
    uint64_t longest_ns = 0;
    for (uint32_t i = 0; i < calls->calls_count; i++) {
        uint64_t since_ns = atomic_load_explicit(&calls->calls[i].since_ns, memory_order_relaxed);
        if (since_ns != 0 && since_ns < now_ns && now_ns - since_ns > longest_ns)
            longest_ns = now_ns - since_ns;
    }
    return longest_ns;
}

uint64_t cm_calls_longest_ns(void)
{
    uint64_t longest_ns = 0;
    uint64_t now_ns = cm_clock_monotonic_ns();
    pthread_mutex_lock(&registry.mutex); /* { */
    for (const struct cm_calls *calls = registry.first; calls; calls = calls->next) {
        uint64_t ns = longest_of(calls, now_ns);
        longest_ns = ns > longest_ns ? ns : longest_ns;
    }
    pthread_mutex_unlock(&registry.mutex); /* } */
    return longest_ns;
}

#include "bench/requests.h"

#include <stdlib.h>

static struct cm_bench_requests *by_type[CM_KEY_TYPE_COUNT];

static bool make(struct cm_bench_requests *requests, enum cm_key_type type,
                 struct cm_bench_run *run)
{
    uint32_t count = type == CM_KEY_RSA ? CM_BENCH_RSA_REQUESTS : CM_BENCH_REQUESTS;
    struct cm_fleet_settings settings;
    struct cm_refusal refusal;
    struct cm_error err;
    cm_arena_init(&requests->arena, 1 << 16);
    cm_fleet_settings_uniform(count, type, &settings);
    if (cm_fleet_make(&settings, NULL, &requests->fleet, &err) != CM_OK)
        return cm_bench_fail(run, "%s", err.text);
    for (uint32_t i = 0; i < CM_BENCH_REQUESTS; i++)
        if (!cm_csr_read(requests->fleet->devices[i % count].csr, &requests->arena,
                         &requests->csrs[i], &refusal))
            return cm_bench_fail(run, "%s", refusal.message);
    return true;
}

struct cm_bench_requests *cm_bench_requests(struct cm_bench_run *run, enum cm_key_type type)
{
    if (by_type[type])
        return by_type[type];
    by_type[type] = calloc(1, sizeof *by_type[type]);
    return by_type[type] && make(by_type[type], type, run) ? by_type[type] : NULL;
}

void cm_bench_requests_close(void)
{
    for (unsigned type = 0; type < CM_KEY_TYPE_COUNT; type++) {
        if (!by_type[type])
            continue;
        cm_fleet_free(by_type[type]->fleet);
        cm_arena_done(&by_type[type]->arena);
        free(by_type[type]);
        by_type[type] = NULL;
    }
}

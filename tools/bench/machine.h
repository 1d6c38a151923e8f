/*
 * Machine: what a run took place on, so that a report says it by itself.
 */
#ifndef CM_TOOLS_BENCH_MACHINE_H
#define CM_TOOLS_BENCH_MACHINE_H

#include <jansson.h>

/* {"cpu": "...", "processors": 2, "memory_bytes": ..., "kernel": "...", "system": "...", ...}. The caller's. */
json_t *cm_bench_describe_machine(void);

/* {"certmill": "...", "openssl": "...", "sqlite": "...", "redis": "..."}. The caller's. */
json_t *cm_bench_describe_versions(const char *redis);

#endif

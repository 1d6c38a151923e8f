/*
 * Fleet: many devices, each with a real key and a real certification request, made on all cores.
 * For benchmarks, the quickstart and tests.
 *
 *     struct cm_fleet_settings settings;
 *     cm_fleet_settings_mix(10000, &settings);
 *     cm_fleet_make(&settings, NULL, &fleet, &err);
 *     ... fleet->devices[0].csr ...
 *     cm_fleet_free(fleet);
 *
 * Ids and key types are the same in every fleet of the same settings, evenly spread; keys are
 * random. Every tenth device asks for a DNS name. One thread calls.
 */
#ifndef CM_TOOLS_FLEET_H
#define CM_TOOLS_FLEET_H

#include "engine/base/arena.h"
#include "engine/base/status.h"
#include "engine/x509/algorithm.h"
#include "tools/progress.h"

#define CM_FLEET_ID_SIZE 24 /* room for the id of any device, NUL included */

struct cm_fleet_settings {
    uint32_t devices_count;
    /* of each key type; what is missing to 100, and what rounding leaves, is P-256; where the others
       make 100 the largest of them gets the rest */
    uint32_t percent[CM_KEY_TYPE_COUNT];
    uint32_t rsa_max;       /* devices: an RSA key takes as long as 1,000 others */
    uint32_t threads_count; /* 0: as many as processors */
};

/* 3 % P-384, 3 % RSA-2048 (at most 300), 4 % Ed25519, P-256 the rest. */
void cm_fleet_settings_mix(uint32_t devices_count, struct cm_fleet_settings *ret_settings);

/* All of one type; RSA as many as asked for. */
void cm_fleet_settings_uniform(uint32_t devices_count, enum cm_key_type type,
                               struct cm_fleet_settings *ret_settings);

/* "p256=90,rsa-2048=10": shares that make 100. Fails with: INVALID. */
CM_MUST_USE cm_status cm_fleet_settings_read(const char *text, uint32_t devices_count,
                                             struct cm_fleet_settings *ret_settings,
                                             struct cm_error *err);

/* "p256", "rsa-2048": as above. */
const char *cm_fleet_key_name(enum cm_key_type type);

/* How many devices of each key type that makes. */
void cm_fleet_count_types(const struct cm_fleet_settings *settings,
                          uint32_t ret_counts[CM_KEY_TYPE_COUNT]);

struct cm_fleet_device {
    enum cm_key_type type;
    struct cm_bytes csr; /* DER */
};

struct cm_fleet {
    struct cm_fleet_device *devices;
    uint32_t devices_count;
    uint32_t counts[CM_KEY_TYPE_COUNT]; /* devices of each key type */
    uint64_t elapsed_ns;                /* for making it */
    struct cm_arena *arenas;            /* one for each thread: the CSRs */
    uint32_t arenas_count;
};

/* Does: makes the fleet, with a progress of its own unless progress is NULL. Fails with:
   UNSUPPORTED, NO_MEMORY. */
CM_MUST_USE cm_status cm_fleet_make(const struct cm_fleet_settings *settings,
                                    struct cm_progress *progress, struct cm_fleet **ret_fleet,
                                    struct cm_error *err);
void cm_fleet_free(struct cm_fleet *fleet);

/* One whose devices have no requests yet, with so many empty arenas. */
struct cm_fleet *cm_fleet_new(const struct cm_fleet_settings *settings, uint32_t arenas_count);

/* "device-000001" for index 0. */
void cm_fleet_device_id(uint32_t index, char ret_id[CM_FLEET_ID_SIZE]);

/* "9000 P-256, 300 P-384, ..." */
const char *cm_fleet_describe(const struct cm_fleet *fleet, char *text, size_t space);

/* Writes FOLDER/DEVICE.csr in PEM for every device; the folder is there. Fails with: IO. */
CM_MUST_USE cm_status cm_fleet_write_csrs(const struct cm_fleet *fleet, const char *folder,
                                          struct cm_error *err);

/* Writes the allow-list that `certmill device import` reads. Fails with: IO. */
CM_MUST_USE cm_status cm_fleet_write_allow_list(const struct cm_fleet *fleet, const char *path,
                                                const char *group, struct cm_error *err);

#endif

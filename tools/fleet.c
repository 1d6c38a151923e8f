#include "tools/fleet.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/x509/pem_writer.h"
#include "tools/fleet_csr.h"

enum {
    RSA_DEVICES_MAX = 300, /* of a mix: some ten seconds on two cores */
    DEVICES_PER_TURN = 16,
    DNS_EVERY = 10,
    ARENA_BLOCK_SIZE = 1 << 20,
    LOOK_PERIOD_US = 5000
};

static const char *const type_labels[CM_KEY_TYPE_COUNT] = {
    [CM_KEY_P256] = "P-256",   [CM_KEY_P384] = "P-384",      [CM_KEY_P521] = "P-521",
    [CM_KEY_RSA] = "RSA-2048", [CM_KEY_ED25519] = "Ed25519",
};

void cm_fleet_settings_mix(uint32_t devices_count, struct cm_fleet_settings *ret_settings)
{
    *ret_settings =
        (struct cm_fleet_settings){ .devices_count = devices_count, .rsa_max = RSA_DEVICES_MAX };
    ret_settings->percent[CM_KEY_P384] = 3;
    ret_settings->percent[CM_KEY_RSA] = 3;
    ret_settings->percent[CM_KEY_ED25519] = 4;
}

void cm_fleet_settings_uniform(uint32_t devices_count, enum cm_key_type type,
                               struct cm_fleet_settings *ret_settings)
{
    *ret_settings =
        (struct cm_fleet_settings){ .devices_count = devices_count, .rsa_max = devices_count };
    ret_settings->percent[type] = 100;
}

void cm_fleet_device_id(uint32_t index, char ret_id[CM_FLEET_ID_SIZE])
{
    snprintf(ret_id, CM_FLEET_ID_SIZE, "device-%06" PRIu32, index + 1);
}

/* --- which device has which key ------------------------------------------------------------------ */

/* Who gets what rounding leaves. */
static unsigned type_of_rest(const struct cm_fleet_settings *settings)
{
    uint32_t others = 0;
    unsigned largest = CM_KEY_P256;
    for (unsigned type = 1; type < CM_KEY_TYPE_COUNT; type++) {
        others += type != CM_KEY_P256 ? settings->percent[type] : 0;
        if (settings->percent[type] > settings->percent[largest])
            largest = type;
    }
    return others < 100 ? CM_KEY_P256 : largest;
}

void cm_fleet_count_types(const struct cm_fleet_settings *settings,
                          uint32_t ret_counts[CM_KEY_TYPE_COUNT])
{
    uint32_t rest = settings->devices_count;
    ret_counts[CM_KEY_UNKNOWN] = 0;
    for (unsigned type = 1; type < CM_KEY_TYPE_COUNT; type++) {
        uint32_t count =
            (uint32_t)((uint64_t)settings->devices_count * settings->percent[type] / 100);
        if (type == CM_KEY_RSA && count > settings->rsa_max)
            count = settings->rsa_max;
        if (type == CM_KEY_P256)
            count = 0; /* the rest */
        ret_counts[type] = count;
        rest -= count;
    }
    ret_counts[type_of_rest(settings)] += rest;
}

/* Each type gathers credit in proportion to its share; the richest gets the device and pays. */
static void deal_types(struct cm_fleet *fleet)
{
    int64_t credit[CM_KEY_TYPE_COUNT] = { 0 };
    for (uint32_t i = 0; i < fleet->devices_count; i++) {
        unsigned richest = CM_KEY_P256;
        for (unsigned type = 1; type < CM_KEY_TYPE_COUNT; type++) {
            credit[type] += fleet->counts[type];
            if (credit[type] > credit[richest])
                richest = type;
        }
        credit[richest] -= fleet->devices_count;
        fleet->devices[i].type = (enum cm_key_type)richest;
    }
}

/* --- threads ------------------------------------------------------------------------------------- */

struct making {
    struct cm_fleet *fleet;
    _Atomic uint32_t next;
    _Atomic uint32_t made;
    _Atomic uint32_t running;
    _Atomic bool failed;
};

struct maker_thread {
    struct making *making;
    struct cm_arena *arena;
    pthread_t thread;
    cm_status status;
    struct cm_error err;
};

static cm_status make_device(struct maker_thread *self, struct cm_csr_maker *maker, uint32_t i)
{
    struct cm_fleet_device *device = &self->making->fleet->devices[i];
    char id[CM_FLEET_ID_SIZE], dns[64];
    cm_fleet_device_id(i, id);
    snprintf(dns, sizeof dns, "%s.devices.example", id);
    return cm_csr_maker_make(maker, device->type, id, i % DNS_EVERY == DNS_EVERY - 1 ? dns : NULL,
                             self->arena, &device->csr, &self->err);
}

static void make_devices(struct maker_thread *self, struct cm_csr_maker *maker)
{
    struct making *making = self->making;
    uint32_t count = making->fleet->devices_count, from;
    while (self->status == CM_OK && !making->failed
           && (from = atomic_fetch_add(&making->next, DEVICES_PER_TURN)) < count) {
        for (uint32_t i = from; i < from + DEVICES_PER_TURN && i < count; i++) {
            if (self->status == CM_OK)
                self->status = make_device(self, maker, i);
            making->made++;
        }
    }
}

static void *run_maker(void *arg)
{
    struct maker_thread *self = arg;
    struct cm_csr_maker *maker = NULL;
    self->status = cm_csr_maker_new(&maker, &self->err);
    if (self->status == CM_OK)
        make_devices(self, maker);
    cm_csr_maker_free(maker);
    if (self->status != CM_OK)
        self->making->failed = true;
    self->making->running--;
    return NULL;
}

static void watch(struct making *making, struct cm_progress *progress)
{
    while (making->running > 0) {
        usleep(LOOK_PERIOD_US);
        if (progress)
            cm_progress_set(progress, making->made);
    }
}

static cm_status make_all(struct cm_fleet *fleet, struct cm_progress *progress,
                          struct cm_error *err)
{
    struct making making = { .fleet = fleet };
    struct maker_thread *threads = calloc(fleet->arenas_count, sizeof *threads);
    uint32_t started = 0;
    cm_status status = CM_OK;
    if (!threads)
        abort();
    for (; started < fleet->arenas_count && status == CM_OK; started++) {
        threads[started].making = &making;
        threads[started].arena = &fleet->arenas[started];
        making.running++;
        if (pthread_create(&threads[started].thread, NULL, run_maker, &threads[started]) != 0) {
            making.running--;
            making.failed = true;
            status = CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "could not start a thread");
            break;
        }
    }
    watch(&making, progress);
    for (uint32_t i = 0; i < started; i++) {
        pthread_join(threads[i].thread, NULL);
        if (status == CM_OK && threads[i].status != CM_OK) {
            status = threads[i].status;
            *err = threads[i].err;
        }
    }
    free(threads);
    return status;
}

struct cm_fleet *cm_fleet_new(const struct cm_fleet_settings *settings, uint32_t arenas_count)
{
    struct cm_fleet *fleet = calloc(1, sizeof *fleet);
    if (!fleet)
        abort();
    fleet->devices_count = settings->devices_count;
    fleet->arenas_count = arenas_count;
    fleet->devices = calloc(fleet->devices_count + 1, sizeof *fleet->devices);
    fleet->arenas = calloc(fleet->arenas_count, sizeof *fleet->arenas);
    if (!fleet->devices || !fleet->arenas)
        abort();
    for (uint32_t i = 0; i < fleet->arenas_count; i++)
        cm_arena_init(&fleet->arenas[i], ARENA_BLOCK_SIZE);
    cm_fleet_count_types(settings, fleet->counts);
    return fleet;
}

cm_status cm_fleet_make(const struct cm_fleet_settings *settings, struct cm_progress *progress,
                        struct cm_fleet **ret_fleet, struct cm_error *err)
{
    uint64_t begin = cm_clock_monotonic_ns();
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    struct cm_fleet *fleet =
        cm_fleet_new(settings, settings->threads_count ? settings->threads_count
                               : processors > 0        ? (uint32_t)processors
                                                       : 1);
    deal_types(fleet);
    cm_status status = make_all(fleet, progress, err);
    if (status != CM_OK) {
        cm_fleet_free(fleet);
        return status;
    }
    fleet->elapsed_ns = cm_clock_monotonic_ns() - begin;
    *ret_fleet = fleet;
    return CM_OK;
}

void cm_fleet_free(struct cm_fleet *fleet)
{
    if (!fleet)
        return;
    for (uint32_t i = 0; i < fleet->arenas_count; i++)
        cm_arena_done(&fleet->arenas[i]);
    free(fleet->arenas);
    free(fleet->devices);
    free(fleet);
}

/* --- what is made of it -------------------------------------------------------------------------- */

const char *cm_fleet_describe(const struct cm_fleet *fleet, char *text, size_t space)
{
    size_t used = 0;
    text[0] = '\0';
    for (unsigned type = 1; type < CM_KEY_TYPE_COUNT; type++)
        if (fleet->counts[type] > 0 && used < space)
            used += (size_t)snprintf(text + used, space - used, "%s%" PRIu32 " %s",
                                     used ? ", " : "", fleet->counts[type], type_labels[type]);
    return text;
}

static cm_status write_file(const char *path, struct cm_bytes content, struct cm_error *err)
{
    FILE *file = fopen(path, "wx");
    if (!file)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "%s", path);
    bool written = fwrite(content.data, 1, content.size, file) == content.size;
    if (fclose(file) != 0 || !written)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "%s", path);
    return CM_OK;
}

cm_status cm_fleet_write_csrs(const struct cm_fleet *fleet, const char *folder,
                              struct cm_error *err)
{
    struct cm_arena arena;
    cm_status status = CM_OK;
    cm_arena_init(&arena, 4096);
    for (uint32_t i = 0; i < fleet->devices_count && status == CM_OK; i++) {
        char id[CM_FLEET_ID_SIZE];
        cm_fleet_device_id(i, id);
        cm_arena_reset(&arena);
        status =
            write_file(cm_arena_printf(&arena, "%s/%s.csr", folder, id),
                       cm_pem_write("CERTIFICATE REQUEST", fleet->devices[i].csr, &arena), err);
    }
    cm_arena_done(&arena);
    return status;
}

cm_status cm_fleet_write_allow_list(const struct cm_fleet *fleet, const char *path,
                                    const char *group, struct cm_error *err)
{
    char id[CM_FLEET_ID_SIZE];
    FILE *file = fopen(path, "wx");
    if (!file)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "%s", path);
    fprintf(file, "device,group\n");
    for (uint32_t i = 0; i < fleet->devices_count; i++) {
        cm_fleet_device_id(i, id);
        fprintf(file, "%s,%s\n", id, group);
    }
    bool failed = ferror(file) != 0;
    if (fclose(file) != 0 || failed)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "%s", path);
    return CM_OK;
}

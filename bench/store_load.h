/*
 * What the engine asks of its store: an intent and a record for each batch of certificates, several
 * batches in flight. For the benchmarks of the store. One thread: the loop's.
 */
#ifndef CM_BENCH_STORE_LOAD_H
#define CM_BENCH_STORE_LOAD_H

#include "engine/base/clock.h"
#include "engine/store/store.h"

struct load_batch;

struct load {
    /* the caller's */
    struct cm_loop *loop;
    struct cm_store *store;
    struct cm_store_reader
        *reader; /* looks every request up before it is recorded; NULL: none is */
    uint32_t batch_size, in_flight;
    unsigned fleet;   /* certificates are of so many devices, by number */
    unsigned devices; /* of them are on the list */
    double rate;      /* certificates a second that are due, whatever waits; 0: as many as can be */
    struct cm_serial *kept; /* of the first batches one serial each; so many have place */
    unsigned kept_max;

    /* what came of it */
    uint64_t done; /* certificates */
    unsigned kept_count;
    double store_us, lookup_us, loop_us; /* of processor time, in all */
    double wall_us;
    float
        *waits_ms; /* from submit (intents: from when they were due) to done; the caller frees it */
    size_t waits_count;

    /* its own */
    struct cm_arena arena;
    uint64_t to_submit;
    uint64_t next_due_ns;
    uint32_t running;
    int64_t last_number;
    struct load_batch *batches;
    size_t waits_space;
};

/* Ends the program where the status is not OK. */
void load_check(cm_status status, const struct cm_error *err);

/* Puts devices on the list as far as they are not there: "device-00000000" and so on, of group "default". */
void load_devices(struct load *load);

/* Records rows certificates; some less when they are no multiple of a batch. */
void load_run(struct load *load, uint64_t rows);

/* Sorts what waited. share: 0.5 for the median, 1 for the longest. */
double load_wait_ms(struct load *load, double share);

#endif

#include "providers/blocking.h"

#include <assert.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/workers.h"
#include "providers/calls.h"

/* Primes of an RSA key are searched for on a token that is not made for it. */
#define CREATING_PATIENCE_NS (110 * CM_NS_PER_S)

/* A worker, and the note of when its call began. */
struct seat {
    uint32_t index;
    struct cm_call *call;
};

/* One worker's part in a batch. */
struct part {
    struct cm_work work;
    struct job *job;
};

/* A batch in flight. */
struct job {
    struct cm_blocking *blocking;
    struct job *next_free;
    struct cm_sign_batch *batch;
    struct part *parts;       /* as many as a crew has workers */
    uint32_t parts_in_flight; /* the loop's */
    atomic_uint next_item;    /* the first item that nobody has taken */
    atomic_bool cancelled;
};

/* Workers that take the same batches. */
struct crew {
    struct cm_worker_ops ops;
    char name[16];
    struct seat *seats; /* of its first worker */
    struct cm_workers *workers;
};

enum { CREW, OCSP_CREW, CREWS_MAX };

struct cm_blocking {
    struct cm_provider *provider;
    const struct cm_blocking_ops *ops;
    struct crew crews[CREWS_MAX];
    uint32_t crews_count;
    uint32_t workers_count; /* of a crew */
    void *state;            /* the backend's */
    struct seat *seats;
    struct cm_calls calls;
    struct job *jobs;
    struct part *parts;
    struct job *free; /* the loop's */
};

/* ------------------------------------------------------------------ signing -- */

/* OK: they are to be signed. */
static cm_status look_before(const struct job *job)
{
    uint64_t deadline_ns = job->batch->deadline_ns;
    if (atomic_load_explicit(&job->cancelled, memory_order_relaxed))
        return CM_CANCELLED;
    return deadline_ns != 0 && cm_clock_monotonic_ns() >= deadline_ns ? CM_EXPIRED : CM_OK;
}

/* Together where the backend can, else count is 1. */
static void sign_items(struct job *job, struct seat *seat, struct cm_sign_item *items,
                       uint32_t count)
{
    const struct cm_blocking *blocking = job->blocking;
    const struct cm_blocking_ops *ops = blocking->ops;
    cm_status status = look_before(job);
    for (uint32_t i = 0; i < count; i++) {
        items[i].signature_size = 0;
        items[i].status = status;
    }
    if (status != CM_OK)
        return;
    cm_call_begin(seat->call, 0);
    if (ops->sign_some)
        ops->sign_some(blocking->state, seat->index, job->batch->key, items, count);
    else
        items->status = ops->sign_one(blocking->state, seat->index, job->batch->key, items);
    cm_call_end(seat->call);
}

static void run_part(struct cm_work *work, void *seat)
{
    struct job *job = ((struct part *)work)->job;
    uint32_t count = job->batch->items_count;
    uint32_t step = job->blocking->ops->sign_some ? CM_BLOCKING_ITEMS : 1;
    for (;;) {
        uint32_t first = atomic_fetch_add(&job->next_item, CM_BLOCKING_ITEMS);
        if (first >= count)
            return;
        uint32_t end = count - first > CM_BLOCKING_ITEMS ? first + CM_BLOCKING_ITEMS : count;
        for (uint32_t i = first; i < end; i += step)
            sign_items(job, seat, &job->batch->items[i], end - i < step ? end - i : step);
    }
}

static void on_part_done(struct cm_work *work)
{
    struct job *job = ((struct part *)work)->job;
    struct cm_blocking *blocking = job->blocking;
    if (--job->parts_in_flight > 0)
        return;
    struct cm_sign_batch *batch = job->batch;
    batch->backend = NULL;
    job->batch = NULL;
    job->next_free = blocking->free;
    blocking->free = job;
    cm_provider_batch_done(blocking->provider, batch);
}

static struct cm_workers *workers_for(const struct cm_blocking *blocking, enum cm_lane lane)
{
    bool are_others = lane == CM_LANE_OCSP && blocking->crews_count > OCSP_CREW;
    return blocking->crews[are_others ? OCSP_CREW : CREW].workers;
}

cm_status cm_blocking_sign(struct cm_blocking *blocking, struct cm_sign_batch *batch,
                           struct cm_error *err)
{
    struct cm_workers *workers = workers_for(blocking, batch->lane);
    struct job *job = blocking->free;
    if (!job)
        return CM_FAIL(err, CM_BUSY, CM_ORIGIN_SELF, 0, "all places for batches are taken");
    uint32_t pieces = (batch->items_count + CM_BLOCKING_ITEMS - 1) / CM_BLOCKING_ITEMS;
    blocking->free = job->next_free;
    job->batch = batch;
    job->parts_in_flight = pieces < blocking->workers_count ? pieces : blocking->workers_count;
    atomic_store(&job->next_item, 0);
    atomic_store(&job->cancelled, false);
    batch->backend = job;
    for (uint32_t i = 0, parts_count = job->parts_in_flight; i < parts_count; i++)
        cm_workers_submit(workers, &job->parts[i].work);
    return CM_OK;
}

void cm_blocking_cancel(struct cm_sign_batch *batch)
{
    struct job *job = batch->backend;
    if (job) /* NULL: its done is on the way already */
        atomic_store_explicit(&job->cancelled, true, memory_order_relaxed);
}

/* ------------------------------------------------------------------ keys -- */

struct opening {
    struct cm_work work;
    struct cm_blocking *blocking;
    char *reference;
    bool creates;
    struct cm_key_spec spec;
    enum cm_sigalg alg;
    cm_key_opened_fn *opened;
    void *arg;
    cm_status status;
    struct cm_key *key;
    struct cm_error err;
};

static void run_opening(struct cm_work *work, void *context)
{
    struct seat *seat = context;
    struct opening *opening = (struct opening *)work;
    const struct cm_blocking_ops *ops = opening->blocking->ops;
    void *state = opening->blocking->state;
    if (opening->spec.transfer_blob.size > 0) {
        opening->status = CM_FAIL(&opening->err, CM_UNSUPPORTED, CM_ORIGIN_SELF, 0,
                                  "provider %s imports no keys", opening->blocking->provider->name);
        return;
    }
    cm_call_begin(seat->call, opening->creates ? CREATING_PATIENCE_NS : 0);
    opening->status = opening->creates
                          ? ops->key_create(state, seat->index, opening->reference, &opening->spec,
                                            opening->alg, &opening->key, &opening->err)
                          : ops->key_open(state, seat->index, opening->reference, opening->alg,
                                          &opening->key, &opening->err);
    cm_call_end(seat->call);
    if (opening->key)
        opening->key->provider = opening->blocking->provider;
}

static void on_opening_done(struct cm_work *work)
{
    struct opening *opening = (struct opening *)work;
    opening->opened(opening->status, opening->key, &opening->err, opening->arg);
    free(opening->reference);
    free(opening);
}

static void submit_opening(struct opening with)
{
    struct opening *opening = calloc(1, sizeof *opening);
    if (!opening || !(with.reference = strdup(with.reference)))
        abort();
    *opening = with;
    opening->work = (struct cm_work){ .run = run_opening, .done = on_opening_done };
    cm_workers_submit(opening->blocking->crews[CREW].workers, &opening->work);
}

void cm_blocking_open_key(struct cm_blocking *blocking, const char *reference, enum cm_sigalg alg,
                          cm_key_opened_fn *opened, void *arg)
{
    submit_opening((struct opening){ .blocking = blocking,
                                     .reference = (char *)(uintptr_t)reference,
                                     .alg = alg,
                                     .opened = opened,
                                     .arg = arg });
}

void cm_blocking_create_key(struct cm_blocking *blocking, const char *reference,
                            const struct cm_key_spec *spec, enum cm_sigalg alg,
                            cm_key_opened_fn *opened, void *arg)
{
    assert(blocking->ops->key_create);
    submit_opening((struct opening){ .blocking = blocking,
                                     .reference = (char *)(uintptr_t)reference,
                                     .creates = true,
                                     .spec = *spec,
                                     .alg = alg,
                                     .opened = opened,
                                     .arg = arg });
}

struct destruction {
    struct cm_work work;
    struct cm_blocking *blocking;
    struct cm_key *key;
    cm_key_destroyed_fn *destroyed;
    void *arg;
    cm_status status;
    struct cm_error err;
};

static void run_destruction(struct cm_work *work, void *context)
{
    struct seat *seat = context;
    struct destruction *destruction = (struct destruction *)work;
    struct cm_blocking *blocking = destruction->blocking;
    cm_call_begin(seat->call, 0);
    destruction->status = blocking->ops->key_destroy(blocking->state, seat->index, destruction->key,
                                                     &destruction->err);
    cm_call_end(seat->call);
}

static void on_destruction_done(struct cm_work *work)
{
    struct destruction *destruction = (struct destruction *)work;
    destruction->destroyed(destruction->status, &destruction->err, destruction->arg);
    free(destruction);
}

void cm_blocking_destroy_key(struct cm_blocking *blocking, struct cm_key *key,
                             cm_key_destroyed_fn *destroyed, void *arg)
{
    struct destruction *destruction = calloc(1, sizeof *destruction);
    if (!destruction)
        abort();
    *destruction =
        (struct destruction){ .work = { .run = run_destruction, .done = on_destruction_done },
                              .blocking = blocking,
                              .key = key,
                              .destroyed = destroyed,
                              .arg = arg };
    cm_workers_submit(blocking->crews[CREW].workers, &destruction->work);
}

/* ------------------------------------------------------------------ life -- */

static cm_status make_jobs(struct cm_blocking *blocking)
{
    uint32_t jobs_count = blocking->provider->caps.batches_in_flight;
    uint32_t parts_count = blocking->workers_count;
    blocking->jobs = calloc(jobs_count, sizeof *blocking->jobs);
    blocking->parts = calloc((size_t)jobs_count * parts_count, sizeof *blocking->parts);
    if (!blocking->jobs || !blocking->parts)
        return CM_NO_MEMORY;
    for (uint32_t i = 0; i < jobs_count; i++) {
        struct job *job = &blocking->jobs[i];
        *job = (struct job){ .blocking = blocking,
                             .next_free = blocking->free,
                             .parts = blocking->parts + (size_t)i * parts_count };
        for (uint32_t k = 0; k < parts_count; k++)
            job->parts[k] =
                (struct part){ .work = { .run = run_part, .done = on_part_done }, .job = job };
        blocking->free = job;
    }
    return CM_OK;
}

static cm_status make_seats(struct cm_blocking *blocking)
{
    uint32_t count = blocking->crews_count * blocking->workers_count;
    blocking->seats = calloc(count, sizeof *blocking->seats);
    blocking->calls.calls = calloc(count, sizeof *blocking->calls.calls);
    if (!blocking->seats || !blocking->calls.calls)
        return CM_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++)
        blocking->seats[i] = (struct seat){ .index = i, .call = &blocking->calls.calls[i] };
    blocking->calls.calls_count = count;
    cm_calls_watch(&blocking->calls);
    return CM_OK;
}

static cm_status take_seat(void *arg, uint32_t worker_index, void **ret_seat, struct cm_error *err)
{
    const struct crew *crew = arg;
    (void)err;
    *ret_seat = &crew->seats[worker_index];
    return CM_OK;
}

static cm_status start_crew(struct cm_blocking *blocking, uint32_t index, struct cm_loop *loop,
                            struct cm_error *err)
{
    struct crew *crew = &blocking->crews[index];
    bool is_for_ocsp = index == OCSP_CREW;
    snprintf(crew->name, sizeof crew->name, is_for_ocsp ? "%.8s-o" : "%.10s", blocking->ops->name);
    crew->ops = (struct cm_worker_ops){ .name = crew->name,
                                        .nice = is_for_ocsp ? blocking->ops->ocsp_nice : 0,
                                        .open = take_seat };
    crew->seats = blocking->seats + (size_t)index * blocking->workers_count;
    return cm_workers_new(loop, blocking->workers_count, &crew->ops, crew, &crew->workers, err);
}

uint32_t cm_blocking_default_workers(void)
{
    cpu_set_t processors;
    if (sched_getaffinity(0, sizeof processors, &processors) != 0)
        return 1;
    int count = CPU_COUNT(&processors);
    return count > 0 ? (uint32_t)count : 1;
}

void cm_blocking_limit(struct cm_blocking *blocking, uint32_t count)
{
    for (uint32_t i = 0; i < blocking->crews_count; i++)
        cm_workers_limit(blocking->crews[i].workers, count);
}

cm_status cm_blocking_new(struct cm_provider *provider, struct cm_loop *loop,
                          uint32_t workers_count, const struct cm_blocking_ops *ops, void *state,
                          struct cm_blocking **ret_blocking, struct cm_error *err)
{
    assert(provider->caps.batches_in_flight > 0);
    struct cm_blocking *blocking = calloc(1, sizeof *blocking);
    if (!blocking)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for a provider");
    blocking->provider = provider;
    blocking->ops = ops;
    blocking->crews_count = ops->ocsp_nice > 0 ? CREWS_MAX : 1;
    blocking->workers_count = workers_count;
    blocking->state = state;
    cm_status status = make_jobs(blocking);
    if (status == CM_OK)
        status = make_seats(blocking);
    if (status != CM_OK)
        CM_FAIL(err, status, CM_ORIGIN_SELF, 0, "no memory for batches in flight");
    for (uint32_t i = 0; status == CM_OK && i < blocking->crews_count; i++)
        status = start_crew(blocking, i, loop, err);
    if (status != CM_OK) {
        cm_blocking_free(blocking);
        return status;
    }
    *ret_blocking = blocking;
    return CM_OK;
}

void cm_blocking_free(struct cm_blocking *blocking)
{
    if (!blocking)
        return;
    for (uint32_t i = 0; i < blocking->crews_count; i++)
        cm_workers_free(blocking->crews[i].workers);
    cm_calls_unwatch(&blocking->calls);
    free(blocking->calls.calls);
    free(blocking->seats);
    free(blocking->parts);
    free(blocking->jobs);
    free(blocking);
}

/* ------------------------------------------------------------------ a backend's functions -- */

static struct cm_blocking *blocking_of(struct cm_provider *provider)
{
    return ((struct cm_blocking_provider *)provider)->blocking;
}

void cm_blocking_provider_open_key(struct cm_provider *provider, const char *reference,
                                   enum cm_sigalg alg, cm_key_opened_fn *opened, void *arg)
{
    cm_blocking_open_key(blocking_of(provider), reference, alg, opened, arg);
}

void cm_blocking_provider_create_key(struct cm_provider *provider, const char *reference,
                                     const struct cm_key_spec *spec, enum cm_sigalg alg,
                                     cm_key_opened_fn *opened, void *arg)
{
    cm_blocking_create_key(blocking_of(provider), reference, spec, alg, opened, arg);
}

void cm_blocking_provider_destroy_key(struct cm_key *key, cm_key_destroyed_fn *destroyed, void *arg)
{
    cm_blocking_destroy_key(blocking_of(key->provider), key, destroyed, arg);
}

cm_status cm_blocking_provider_sign(struct cm_provider *provider, struct cm_sign_batch *batch,
                                    struct cm_error *err)
{
    return cm_blocking_sign(blocking_of(provider), batch, err);
}

void cm_blocking_provider_cancel(struct cm_provider *provider, struct cm_sign_batch *batch)
{
    (void)provider;
    cm_blocking_cancel(batch);
}

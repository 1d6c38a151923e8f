/*
 * Signing: jobs of all threads, in batches of one generation each. A batch leaves when there is something
 * to sign and a batch of that generation is not out: so a lone request does not wait, and under load
 * batches fill by themselves while others are signed.
 */
#include "engine/status/internal.h"

#include <assert.h>
#include <stdlib.h>

#include "engine/base/clock.h"

enum { BATCH_ITEMS_MAX = 256, AGAIN_MS = 5 };

struct cm_ocsp_batch {
    struct cm_sign_batch batch;
    struct cm_status_service *service;
    struct cm_ocsp_generation *generation;
    bool is_out;
    struct cm_sign_item items[BATCH_ITEMS_MAX];
    struct cm_ocsp_job *jobs[BATCH_ITEMS_MAX];
};

static void put_waiting(struct cm_ocsp_generation *generation, struct cm_errand *errand)
{
    errand->next = NULL;
    *generation->last_waiting = errand;
    generation->last_waiting = &errand->next;
}

static void put_back(struct cm_ocsp_generation *generation, struct cm_errand *errand)
{
    errand->next = generation->first_waiting;
    if (!generation->first_waiting)
        generation->last_waiting = &errand->next;
    generation->first_waiting = errand;
}

static struct cm_ocsp_job *first_waiting(const struct cm_ocsp_generation *generation)
{
    return (struct cm_ocsp_job *)generation->first_waiting;
}

static struct cm_ocsp_job *take_waiting(struct cm_ocsp_generation *generation)
{
    struct cm_ocsp_job *job = first_waiting(generation);
    generation->first_waiting = job->errand.next;
    if (!generation->first_waiting)
        generation->last_waiting = &generation->first_waiting;
    return job;
}

static void give_back(struct cm_ocsp_job *job, cm_status status)
{
    job->status = status;
    cm_errand_return(&job->errand);
}

/* NULL: as many as may be are out. */
static struct cm_ocsp_batch *find_batch(struct cm_status_service *service,
                                        struct cm_ocsp_generation *generation)
{
    for (int i = 0; i < CM_OCSP_BATCHES; i++) {
        struct cm_ocsp_batch *batch = generation->batches[i];
        if (batch && !batch->is_out)
            return batch;
        if (batch)
            continue;
        batch = calloc(1, sizeof *batch);
        if (!batch)
            abort();
        batch->service = service;
        batch->generation = generation;
        generation->batches[i] = batch;
        return batch;
    }
    return NULL;
}

static void on_signed(struct cm_sign_batch *sign_batch, void *arg);

/* Jobs of the signer that the first of them was composed for; a renewal makes a batch short, once. */
static void fill(struct cm_ocsp_batch *batch)
{
    struct cm_ocsp_generation *generation = batch->generation;
    struct cm_ocsp_signer *signer = first_waiting(generation)->signer;
    uint32_t items_max = cm_provider_caps(signer->key->provider).batch_items_max;
    uint32_t count = 0;
    if (items_max > BATCH_ITEMS_MAX)
        items_max = BATCH_ITEMS_MAX;
    while (count < items_max && generation->first_waiting
           && first_waiting(generation)->signer == signer) {
        struct cm_ocsp_job *job = take_waiting(generation);
        batch->jobs[count] = job;
        batch->items[count++] = (struct cm_sign_item){ .message = job->tbs,
                                                       .signature = job->signature,
                                                       .signature_space = sizeof job->signature };
    }
    batch->batch = (struct cm_sign_batch){
        .key = signer->key,
        .lane = CM_LANE_OCSP,
        .items = batch->items,
        .items_count = count,
        .deadline_ns = cm_clock_monotonic_ns()
                       + (uint64_t)batch->service->settings->deadline_ms * CM_NS_PER_MS,
        .done = on_signed,
        .done_arg = batch,
    };
}

static void on_again(void *arg);

/* Not taken: back to where they were, in their order, or back to their threads. */
static void unfill(struct cm_ocsp_batch *batch, cm_status status)
{
    struct cm_ocsp_generation *generation = batch->generation;
    for (uint32_t i = batch->batch.items_count; i > 0; i--) {
        if (status == CM_BUSY)
            put_back(generation, &batch->jobs[i - 1]->errand);
        else
            give_back(batch->jobs[i - 1], status);
    }
    if (status == CM_BUSY)
        cm_timer_start(&batch->service->again, batch->service->env.loop, AGAIN_MS, on_again,
                       batch->service);
}

static void sign_waiting(struct cm_status_service *service, struct cm_ocsp_generation *generation)
{
    struct cm_ocsp_batch *batch;
    while (generation->first_waiting && (batch = find_batch(service, generation))) {
        struct cm_error err;
        fill(batch);
        cm_status status = cm_provider_sign(batch->batch.key->provider, &batch->batch, &err);
        if (status != CM_OK) {
            unfill(batch, status);
            return;
        }
        batch->is_out = true;
        service->batches_out++;
    }
}

void cm_signing_go(struct cm_status_service *service)
{
    uint32_t count = atomic_load(&service->generations_count);
    for (uint32_t i = 0; i < count; i++)
        sign_waiting(service, service->generations[i]);
}

static void on_again(void *arg)
{
    cm_signing_go(arg);
}

static void on_signed(struct cm_sign_batch *sign_batch, void *arg)
{
    struct cm_ocsp_batch *batch = arg;
    struct cm_status_service *service = batch->service;
    for (uint32_t i = 0; i < sign_batch->items_count; i++) {
        batch->jobs[i]->signature_size = batch->items[i].signature_size;
        give_back(batch->jobs[i], batch->items[i].status);
    }
    batch->is_out = false;
    service->batches_out--;
    cm_signing_go(service);
}

void cm_signing_take(struct cm_errand *errand)
{
    put_waiting(((struct cm_ocsp_job *)errand)->generation, errand);
}

static void give_up_waiting(struct cm_status_service *service,
                            struct cm_ocsp_generation *generation)
{
    uint64_t now_ms = cm_clock_monotonic_ns() / CM_NS_PER_MS;
    while (generation->first_waiting
           && now_ms - first_waiting(generation)->began_ms > service->settings->deadline_ms / 2)
        give_back(take_waiting(generation), CM_EXPIRED);
}

void cm_signing_look(struct cm_status_service *service)
{
    uint32_t count = atomic_load(&service->generations_count);
    for (uint32_t i = 0; i < count; i++) {
        cm_generation_ask_signer(service, service->generations[i]);
        give_up_waiting(service, service->generations[i]);
    }
}

bool cm_signing_is_idle(const struct cm_status_service *service)
{
    return service->batches_out == 0;
}

void cm_signing_drop(struct cm_ocsp_generation *generation)
{
    while (generation->first_waiting)
        give_back(take_waiting(generation), CM_CLOSING);
}

void cm_signing_done(struct cm_ocsp_generation *generation)
{
    for (int i = 0; i < CM_OCSP_BATCHES; i++) {
        assert(!generation->batches[i] || !generation->batches[i]->is_out);
        free(generation->batches[i]);
    }
}

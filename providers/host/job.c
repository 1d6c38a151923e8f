#include "providers/host/signer.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"

enum { RETRY_MS = 2 };

static void submit_waiting(void *arg);

/* ------------------------------------------------------------------ life of a job -- */

void cm_jobs_init(struct cm_signer *signer)
{
    struct cm_provider_caps caps = cm_provider_caps(signer->provider);
    signer->jobs_count = caps.batches_in_flight;
    signer->jobs = calloc(signer->jobs_count, sizeof *signer->jobs);
    if (!signer->jobs)
        abort();
    for (uint32_t i = 0; i < signer->jobs_count; i++) {
        struct cm_job *job = &signer->jobs[i];
        job->signer = signer;
        job->items = calloc(caps.batch_items_max, sizeof *job->items);
        job->inner = calloc(caps.batch_items_max, sizeof *job->inner);
        job->positions = calloc(caps.batch_items_max, sizeof *job->positions);
        if (!job->items || !job->inner || !job->positions)
            abort();
        job->next = signer->free_jobs;
        signer->free_jobs = job;
    }
}

void cm_jobs_done(struct cm_signer *signer)
{
    for (uint32_t i = 0; i < signer->jobs_count; i++) {
        cm_buffer_done(&signer->jobs[i].body);
        cm_buffer_done(&signer->jobs[i].signatures);
        free(signer->jobs[i].items);
        free(signer->jobs[i].inner);
        free(signer->jobs[i].positions);
    }
    cm_timer_done(&signer->retry);
    free(signer->jobs);
}

static void release(struct cm_job *job)
{
    struct cm_signer *signer = job->signer;
    job->is_used = false;
    job->body.size = 0;
    cm_buffer_trim(&job->body);
    job->next = signer->free_jobs;
    signer->free_jobs = job;
    job->key->jobs_count--;
    if (job->key->is_closing)
        cm_keyring_close(&signer->ring, job->key);
}

static void answer(struct cm_job *job)
{
    struct cm_channel *channel = &job->signer->channel;
    if (!job->signer->is_leaving) {
        cm_wire_write_signed(&channel->out, job->id, job->items, job->items_count,
                             job->refusal[0] ? job->refusal : NULL);
        cm_channel_flush(channel);
    }
    release(job);
}

/* ------------------------------------------------------------------ the inner provider -- */

static void on_inner_done(struct cm_sign_batch *batch, void *arg)
{
    struct cm_job *job = arg;
    struct cm_signer *signer = job->signer;
    job->is_inside = false;
    for (uint32_t i = 0; i < batch->items_count; i++) {
        struct cm_sign_item *item = &job->items[job->positions[i]];
        item->status = job->inner[i].status;
        item->signature_size = job->inner[i].signature_size;
    }
    answer(job);
    if (signer->waiting)
        submit_waiting(signer);
}

static void fail_all(struct cm_job *job, cm_status status)
{
    for (uint32_t i = 0; i < job->batch.items_count; i++)
        job->items[job->positions[i]].status = status;
    answer(job);
}

/* False: the inner provider has no room now. */
static bool submit(struct cm_job *job)
{
    struct cm_error err;
    cm_status status = job->is_withdrawn
                           ? CM_CANCELLED
                           : cm_provider_sign(job->signer->provider, &job->batch, &err);
    if (status == CM_BUSY)
        return false;
    job->is_inside = status == CM_OK;
    if (status != CM_OK)
        fail_all(job, status == CM_INVALID ? CM_UNSUPPORTED : status);
    return true;
}

static void submit_waiting(void *arg)
{
    struct cm_signer *signer = arg;
    while (signer->waiting) {
        struct cm_job *job = signer->waiting;
        struct cm_job *after = job->next;
        if (!submit(job)) {
            cm_timer_start(&signer->retry, signer->loop, RETRY_MS, submit_waiting, signer);
            return;
        }
        signer->waiting = after;
    }
}

static void submit_or_wait(struct cm_job *job)
{
    struct cm_signer *signer = job->signer;
    struct cm_job **at = &signer->waiting;
    while (*at)
        at = &(*at)->next;
    job->next = NULL;
    *at = job;
    if (signer->waiting == job)
        submit_waiting(signer);
}

/* ------------------------------------------------------------------ the floor -- */

/* What becomes of one item: OK is to be signed. */
static cm_status judge(struct cm_job *job, const struct cm_floor_question *question,
                       uint64_t now_ns)
{
    struct cm_binding *binding = job->key->binding;
    char text[CM_FLOOR_TEXT_SIZE];
    if (!binding->has_floor)
        return CM_OK;
    if (!cm_floor_allows(&binding->floor, question, text)) {
        if (job->refusal[0] == '\0')
            memcpy(job->refusal, text, sizeof text);
        return CM_DENIED;
    }
    return cm_floor_take(&binding->floor, &binding->bucket, now_ns) ? CM_OK : CM_THROTTLED;
}

/* Fills items, and inner with what may be signed. */
static void divide(struct cm_job *job, struct cm_wire_sign *sign)
{
    uint32_t space = job->key->key->signature_size_max, count = 0;
    uint64_t now_ns = cm_clock_monotonic_ns();
    struct cm_floor_question question = { .lane = sign->lane, .now_s = cm_clock_wall_s() };
    const struct cm_binding *binding = job->key->binding;
    question.key_hash = binding->has_hash ? binding->key_hash : NULL;
    job->signatures.size = 0;
    cm_buffer_reserve(&job->signatures, (size_t)space * sign->items_count);
    for (uint32_t i = 0; i < sign->items_count; i++) {
        struct cm_sign_item *item = &job->items[i];
        cm_wire_next_item(sign, &question.message, &question.intent_hash);
        *item = (struct cm_sign_item){ .message = question.message,
                                       .intent_hash = question.intent_hash,
                                       .signature = job->signatures.data + (size_t)i * space,
                                       .signature_space = space };
        item->status = judge(job, &question, now_ns);
        if (item->status != CM_OK)
            continue;
        job->inner[count] = *item;
        job->positions[count++] = i;
    }
    job->batch = (struct cm_sign_batch){ .key = job->key->key,
                                         .lane = sign->lane,
                                         .items = job->inner,
                                         .items_count = count,
                                         .deadline_ns = sign->deadline_ns,
                                         .done = on_inner_done,
                                         .done_arg = job };
}

/* ------------------------------------------------------------------ what the engine asks -- */

/* The engine keeps to what READY has told it: more batches, or more items, are not its doing. */
bool cm_jobs_sign(struct cm_signer *signer, const struct cm_wire_frame *frame)
{
    struct cm_job *job = signer->free_jobs;
    struct cm_wire_sign sign;
    if (!job || !cm_wire_read_sign(frame->body, &sign)
        || sign.items_count > cm_provider_caps(signer->provider).batch_items_max)
        return false;
    struct cm_ring_key *key = cm_keyring_find(&signer->ring, sign.key_id);
    if (!key)
        return false;
    signer->free_jobs = job->next;
    job->is_used = true;
    job->is_inside = job->is_withdrawn = false;
    job->id = frame->id;
    job->key = key;
    job->refusal[0] = '\0';
    job->items_count = sign.items_count;
    key->jobs_count++;
    job->body.size = 0;
    cm_buffer_append(&job->body, frame->body.data, frame->body.size);
    if (!cm_wire_read_sign(cm_bytes(job->body.data, job->body.size), &sign))
        abort(); /* the same bytes */
    divide(job, &sign);
    if (job->batch.items_count > 0)
        submit_or_wait(job);
    else
        answer(job);
    return true;
}

void cm_jobs_cancel(struct cm_signer *signer, uint64_t id)
{
    for (uint32_t i = 0; i < signer->jobs_count; i++) {
        struct cm_job *job = &signer->jobs[i];
        if (!job->is_used || job->id != id)
            continue;
        if (job->is_inside)
            cm_provider_cancel(signer->provider, &job->batch);
        else
            job->is_withdrawn = true;
    }
}

void cm_jobs_withdraw(struct cm_signer *signer)
{
    while (signer->waiting) {
        struct cm_job *job = signer->waiting;
        signer->waiting = job->next;
        release(job);
    }
    for (uint32_t i = 0; i < signer->jobs_count; i++)
        if (signer->jobs[i].is_used && signer->jobs[i].is_inside)
            cm_provider_cancel(signer->provider, &signer->jobs[i].batch);
}

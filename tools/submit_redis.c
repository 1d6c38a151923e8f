/*
 * Through a Redis stream, as a backend does: push the requests, read the requester's result stream,
 * and pick the answers by their ids.
 */
#include "tools/submit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/loop.h"
#include "engine/x509/pem_writer.h"
#include "queue/client.h"
#include "tools/runner.h"

struct submitting {
    struct cm_submission *submission;
    struct cm_loop *loop;
    struct cm_client *client;
    struct cm_client_request *requests;
    struct cm_timer timeout;
    struct cm_submitted **by_id; /* the files, sorted: there may be hundreds of thousands */
    struct cm_arena arena;       /* of the PEM texts */
    uint32_t chains_pending;
    bool is_over; /* the client is being closed: what was not pushed is not pushed again */
    bool was_up;
    bool down_was_told;
    char down_text[CM_ERROR_TEXT_SIZE - 40];
    cm_status status;
    struct cm_error err;
};

static void look_around(struct submitting *submitting)
{
    const struct cm_submission *submission = submitting->submission;
    if (submission->answered_count == submission->files_count && submitting->chains_pending == 0)
        cm_loop_stop(submitting->loop);
}

static char *own_text(struct cm_bytes bytes)
{
    char *text = strndup(bytes.data ? (const char *)bytes.data : "", bytes.size);
    if (!text)
        abort();
    return text;
}

/* A file whose certificate is here and whose chain has been asked for. */
struct chain_wait {
    struct submitting *submitting;
    struct cm_submitted *file;
};

static void on_chain(struct cm_bytes chain, void *arg)
{
    struct chain_wait *wait = arg;
    struct cm_submitted *file = wait->file;
    size_t size = strlen(file->pem);
    file->pem = realloc(file->pem, size + chain.size + 1);
    if (!file->pem)
        abort();
    if (chain.size)
        memcpy(file->pem + size, chain.data, chain.size);
    file->pem[size + chain.size] = '\0';
    wait->submitting->chains_pending--;
    look_around(wait->submitting);
    free(wait);
}

static void take_issued(struct submitting *submitting, struct cm_submitted *file,
                        const struct cm_client_result *result)
{
    struct chain_wait *wait = calloc(1, sizeof *wait);
    char *issuer = own_text(result->issuer);
    if (!wait)
        abort();
    *wait = (struct chain_wait){ submitting, file };
    file->is_issued = true;
    file->pem = own_text(cm_pem_write("CERTIFICATE", result->certificate, &submitting->arena));
    submitting->chains_pending++;
    cm_client_read_chain(submitting->client, issuer, on_chain, wait);
    free(issuer);
}

static int compare_ids(const void *a, const void *b)
{
    return strcmp((*(struct cm_submitted *const *)a)->id, (*(struct cm_submitted *const *)b)->id);
}

static void sort_files(struct submitting *submitting)
{
    const struct cm_submission *submission = submitting->submission;
    submitting->by_id = calloc(submission->files_count, sizeof *submitting->by_id);
    if (!submitting->by_id)
        abort();
    for (uint32_t i = 0; i < submission->files_count; i++)
        submitting->by_id[i] = &submission->files[i];
    qsort(submitting->by_id, submission->files_count, sizeof *submitting->by_id, compare_ids);
}

/* The first file whose id does not stand before this one. */
static uint32_t find_id(const struct submitting *submitting, struct cm_bytes id)
{
    uint32_t from = 0, to = submitting->submission->files_count;
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        const char *other = submitting->by_id[middle]->id;
        size_t size = strlen(other);
        int order = memcmp(other, id.data, size < id.size ? size : id.size);
        if (order < 0 || (order == 0 && size < id.size))
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

static void take_answer(struct submitting *submitting, struct cm_submitted *file,
                        const struct cm_client_result *result)
{
    file->is_answered = true;
    submitting->submission->answered_count++;
    if (cm_bytes_is(result->status, "issued")) {
        take_issued(submitting, file, result);
    } else {
        file->code = own_text(result->code);
        file->message = own_text(result->message);
    }
}

/* Files of one name and content share their id and its answer. */
static void take_result(struct submitting *submitting, const struct cm_client_result *result)
{
    if (!result->id.data)
        return;
    for (uint32_t i = find_id(submitting, result->id);
         i < submitting->submission->files_count
         && cm_bytes_is(result->id, submitting->by_id[i]->id);
         i++)
        if (!submitting->by_id[i]->is_answered)
            take_answer(submitting, submitting->by_id[i], result);
}

static void on_results(const struct cm_client_result *results, uint32_t count, void *arg)
{
    struct submitting *submitting = arg;
    for (uint32_t i = 0; i < count; i++)
        take_result(submitting, &results[i]);
    look_around(submitting);
}

static void push(struct submitting *submitting);

static void fail(struct submitting *submitting, cm_status status)
{
    submitting->status = status;
    cm_loop_stop(submitting->loop);
}

static void on_pushed(cm_status status, const char *text, void *arg)
{
    struct submitting *submitting = arg;
    if (submitting->is_over)
        return;
    if (status == CM_UNAVAILABLE) {
        push(submitting); /* the same ids: whatever arrived the first time is answered once */
    } else if (status != CM_OK) {
        fail(submitting,
             CM_FAIL(&submitting->err, status, CM_ORIGIN_SELF, 0, "the queue refused: %s", text));
    }
}

/* Again for each push: the time must be that of now. */
static cm_status sign_all(struct submitting *submitting)
{
    const struct cm_submission *submission = submitting->submission;
    cm_status status = CM_OK;
    for (uint32_t i = 0; i < submission->files_count && status == CM_OK; i++)
        status = cm_submission_sign(submission, &submission->files[i],
                                    submitting->requests[i].fields, &submitting->err);
    return status;
}

static void push(struct submitting *submitting)
{
    cm_status status = sign_all(submitting);
    if (status != CM_OK) {
        fail(submitting, status);
        return;
    }
    cm_client_push(submitting->client, submitting->requests, submitting->submission->files_count,
                   on_pushed, submitting);
}

static void fill_requests(struct submitting *submitting)
{
    const struct cm_submission *submission = submitting->submission;
    submitting->requests = calloc(submission->files_count, sizeof *submitting->requests);
    if (!submitting->requests)
        abort();
    for (uint32_t i = 0; i < submission->files_count; i++) {
        const struct cm_submitted *file = &submission->files[i];
        struct cm_bytes *fields = submitting->requests[i].fields;
        fields[CM_FIELD_ID] = cm_bytes_str(file->id);
        fields[CM_FIELD_REQUESTER] = cm_bytes_str(submission->requester);
        fields[CM_FIELD_DEVICE] =
            cm_bytes_str(submission->device ? submission->device : file->name);
        fields[CM_FIELD_CSR] = cm_bytes(file->csr, file->csr_size);
        if (submission->renews)
            fields[CM_FIELD_OP] = cm_bytes_str("renew");
        if (submission->serial)
            fields[CM_FIELD_SERIAL] = cm_bytes_str(submission->serial);
        if (submission->profile)
            fields[CM_FIELD_PROFILE] = cm_bytes_str(submission->profile);
    }
}

/* Why nothing happens, once; it may be over before the time is up. */
static void on_event(enum cm_queue_event event, const char *text, void *arg)
{
    struct submitting *submitting = arg;
    if (event == CM_QUEUE_UP)
        submitting->was_up = true;
    if (event != CM_QUEUE_DOWN)
        return;
    if (!submitting->down_was_told)
        fprintf(stderr, "certmill: queue: %s; trying again\n", text);
    submitting->down_was_told = true;
    snprintf(submitting->down_text, sizeof submitting->down_text, "%s", text);
}

static void on_timeout(void *arg)
{
    struct submitting *submitting = arg;
    if (!submitting->was_up && submitting->down_was_told)
        submitting->status = CM_FAIL(&submitting->err, CM_UNAVAILABLE, CM_ORIGIN_SELF, 0,
                                     "the queue cannot be reached: %s", submitting->down_text);
    cm_loop_stop(submitting->loop);
}

cm_status cm_submit_redis(struct cm_submission *submission, struct cm_error *err)
{
    const struct cm_settings_redis *redis = &submission->settings->redis;
    const struct cm_client_settings settings = { .url = redis->url,
                                                 .password_ref = redis->password,
                                                 .tls = cm_runner_tls(redis),
                                                 .prefix = redis->prefix,
                                                 .requester = submission->requester,
                                                 .per_entry = submission->per_entry };
    struct submitting submitting = { .submission = submission };
    cm_status status = cm_submission_open_signer(submission, err);
    if (status == CM_OK)
        status = cm_loop_new(&submitting.loop, err);
    if (status != CM_OK)
        return status;
    cm_arena_init(&submitting.arena, 65536);
    status = cm_client_open(submitting.loop, &settings, on_results, on_event, &submitting,
                            &submitting.client, err);
    if (status == CM_OK) {
        sort_files(&submitting);
        fill_requests(&submitting);
        push(&submitting);
        cm_timer_start(&submitting.timeout, submitting.loop, submission->timeout_s * 1000,
                       on_timeout, &submitting);
        cm_loop_run(submitting.loop);
        status = submitting.status;
        if (status != CM_OK)
            *err = submitting.err;
    }
    submitting.is_over = true;
    cm_timer_done(&submitting.timeout);
    cm_client_close(submitting.client);
    free(submitting.requests);
    free(submitting.by_id);
    cm_arena_done(&submitting.arena);
    cm_loop_free(submitting.loop);
    return status;
}

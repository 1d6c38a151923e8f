/*
 * OCSP on a thread: an answer that is there is given; else one is composed as a job, signed on the engine's
 * loop, and given when it has come back. Whatever the book learns meanwhile is in it, or it is made anew.
 */
#include "engine/status/internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/base/clock.h"
#include "engine/status/ocsp_state.h"

enum {
    ROUNDS_MAX = 4,     /* of composing one answer: its certificates change all the time */
    CHECKED_EVERY = 16, /* signatures that need not all be */
    ARENA_BLOCK_SIZE = 4096
};

/* --- jobs ---------------------------------------------------------------------------------------- */

static void on_back(struct cm_errand *errand);

static struct cm_ocsp_job *take_job(struct cm_status_thread *thread)
{
    struct cm_ocsp_job *job = thread->jobs_free;
    if (job) {
        thread->jobs_free = job->next_free;
        return job;
    }
    job = calloc(1, sizeof *job);
    if (!job)
        abort();
    cm_arena_init(&job->arena, ARENA_BLOCK_SIZE);
    job->errand = (struct cm_errand){ .take = cm_signing_take, .back = on_back, .thread = thread };
    job->next_of_all = thread->jobs;
    thread->jobs = job;
    return job;
}

static void end_job(struct cm_ocsp_job *job)
{
    struct cm_status_thread *thread = job->errand.thread;
    if (job->fallback)
        atomic_store(&job->fallback->is_renewing, false);
    cm_ocsp_answer_let_go(job->fallback);
    job->fallback = NULL;
    job->request = NULL;
    cm_arena_reset(&job->arena);
    job->next_free = thread->jobs_free;
    thread->jobs_free = job;
}

void cm_ocsp_free_jobs(struct cm_status_thread *thread)
{
    while (thread->jobs) {
        struct cm_ocsp_job *job = thread->jobs;
        thread->jobs = job->next_of_all;
        cm_ocsp_answer_let_go(job->fallback);
        cm_arena_done(&job->arena);
        free(job);
    }
}

/* --- answers ------------------------------------------------------------------------------------- */

static void answer_error(struct cm_status_thread *thread, struct evhttp_request *request,
                         enum cm_ocsp_status status)
{
    struct cm_counters *counters = &thread->counters;
    cm_count(status == CM_OCSP_MALFORMED_REQUEST ? &counters->ocsp_malformed
             : status == CM_OCSP_UNAUTHORIZED    ? &counters->ocsp_unauthorized
             : status == CM_OCSP_TRY_LATER       ? &counters->ocsp_later
                                                 : &counters->ocsp_failed);
    cm_send_response(thread, request, cm_ocsp_error(status));
}

/* No new answer: the old one, while it is true, is better than none. */
static void fail_job(struct cm_ocsp_job *job, enum cm_ocsp_status status)
{
    struct cm_status_thread *thread = job->errand.thread;
    int64_t now_s = cm_status_now_s(thread->service);
    if (job->fallback && cm_ocsp_answer_is_valid(job->fallback, now_s)) {
        cm_count(&thread->counters.ocsp_cached);
        cm_send_answer(thread, job->request, job->fallback, now_s);
    } else
        answer_error(thread, job->request, status);
    end_job(job);
}

/* --- composing ----------------------------------------------------------------------------------- */

static bool set_times(struct cm_ocsp_job *job)
{
    int64_t now_s = cm_status_now_s(job->errand.thread->service);
    job->signer = atomic_load(&job->generation->signer);
    if (!job->signer || now_s < 0)
        return false;
    job->this_update_s = now_s;
    job->next_update_s = now_s + job->generation->about.validity_s;
    if (job->next_update_s > job->signer->not_after_s)
        job->next_update_s = job->signer->not_after_s;
    return job->next_update_s > job->this_update_s;
}

static cm_status find_states(struct cm_ocsp_job *job, struct cm_error *err)
{
    struct cm_status_service *service = job->errand.thread->service;
    struct cm_store_reader *reader = job->errand.thread->reader;
    /* The revision first: what changes after it is seen when the signature has come. */
    job->revision = cm_book_revision(service->env.book);
    cm_status status = cm_store_reader_begin(reader, err);
    if (status != CM_OK)
        return status;
    for (uint32_t i = 0; status == CM_OK && i < job->read.ids_count; i++) {
        job->singles[i] = (struct cm_ocsp_single){ .cert_id = job->read.ids[i].whole,
                                                   .this_update_s = job->this_update_s,
                                                   .next_update_s = job->next_update_s };
        status = cm_ocsp_find_state(service->env.book, reader, job->generation->about.number,
                                    job->read.ids[i].serial, &job->singles[i], err);
    }
    cm_store_reader_end(reader);
    return status;
}

static cm_status compose(struct cm_ocsp_job *job, struct cm_error *err)
{
    struct cm_ocsp_response response = { .produced_s = job->this_update_s,
                                         .singles = job->singles,
                                         .singles_count = job->read.ids_count,
                                         .nonce = job->read.nonce };
    memcpy(response.responder_key_hash, job->signer->key_hash, sizeof job->signer->key_hash);
    cm_status status = find_states(job, err);
    return status == CM_OK ? cm_ocsp_compose(&response, &job->arena, &job->tbs, err) : status;
}

static void send_job(struct cm_ocsp_job *job)
{
    struct cm_error err;
    cm_status status;
    job->rounds++;
    job->status = CM_CLOSING; /* what it comes to when nobody takes it */
    if (!set_times(job))
        fail_job(job, CM_OCSP_TRY_LATER);
    else if ((status = compose(job, &err)) != CM_OK)
        fail_job(job, status == CM_BUSY ? CM_OCSP_TRY_LATER : CM_OCSP_INTERNAL_ERROR);
    else if (!cm_errand_send(&job->errand))
        fail_job(job, CM_OCSP_TRY_LATER);
}

/* --- what has come back -------------------------------------------------------------------------- */

static bool has_changed(struct cm_ocsp_job *job)
{
    struct cm_status_service *service = job->errand.thread->service;
    if (cm_book_revision(service->env.book) == job->revision)
        return false;
    for (uint32_t i = 0; i < job->read.ids_count; i++)
        if (!cm_ocsp_is_as_in_book(service->env.book, job->generation->about.number,
                                   job->read.ids[i].serial, &job->singles[i]))
            return true;
    return false;
}

/* The verifier of a signer; in place of the one that was made first when there are too many. */
static struct cm_verifier *find_verifier(struct cm_status_thread *thread,
                                         const struct cm_ocsp_signer *signer,
                                         uint32_t *ret_signatures_count)
{
    const size_t count = sizeof thread->checked / sizeof thread->checked[0];
    struct cm_public_key key;
    struct cm_refusal refusal;
    struct cm_error err;
    for (size_t i = 0; i < count; i++)
        if (thread->checked[i].signer == signer) {
            *ret_signatures_count = thread->checked[i].signatures_count++;
            return thread->checked[i].verifier;
        }
    struct cm_verifier *verifier = NULL;
    if (!cm_public_key_read(signer->spki, &key, &refusal)
        || cm_verifier_new(&key, signer->sigalg, &verifier, &err) != CM_OK)
        return NULL;
    cm_verifier_free(thread->checked[count - 1].verifier);
    memmove(&thread->checked[1], &thread->checked[0], (count - 1) * sizeof thread->checked[0]);
    thread->checked[0].signer = signer;
    thread->checked[0].verifier = verifier;
    thread->checked[0].signatures_count = 1;
    *ret_signatures_count = 0;
    return verifier;
}

/* Kept where it is about one certificate that exists, and nobody's nonce stands in it. */
static bool is_for_all(const struct cm_ocsp_job *job)
{
    return job->read.ids_count == 1 && job->read.nonce.size == 0
           && job->singles[0].state != CM_OCSP_UNKNOWN;
}

/* A faulty RSA signature gives the key away, and one that is kept is given to many; any other is of no use
 * to one who asks again. */
static bool is_sound(struct cm_ocsp_job *job)
{
    uint32_t signatures_count = 0;
    struct cm_verifier *verifier =
        find_verifier(job->errand.thread, job->signer, &signatures_count);
    if (!verifier)
        return false;
    if (job->signer->key->type != CM_KEY_RSA && !is_for_all(job)
        && signatures_count % CHECKED_EVERY != 0)
        return true;
    return cm_verifier_check(verifier, job->tbs, cm_bytes(job->signature, job->signature_size))
           == CM_OK;
}

/* Put first, looked up again after: a change that comes between is seen here or by forget. */
static void keep(struct cm_ocsp_job *job, struct cm_ocsp_answer *answer)
{
    struct cm_status_thread *thread = job->errand.thread;
    bool is_kept = cm_answers_put(thread->service->answers, &job->read.ids[0], answer);
    if (has_changed(job))
        cm_answers_forget(thread->service->answers, job->generation->about.number,
                          job->read.ids[0].serial);
    else if (is_kept)
        cm_recent_put(job->recent, job->asked, answer);
}

static void answer_job(struct cm_ocsp_job *job)
{
    struct cm_status_thread *thread = job->errand.thread;
    struct cm_bytes der = cm_ocsp_assemble(job->tbs, job->signer->sigalg,
                                           cm_bytes(job->signature, job->signature_size),
                                           job->signer->certificate, &job->arena);
    cm_count(&thread->counters.ocsp_signed);
    if (is_for_all(job)) {
        struct cm_ocsp_answer *answer = cm_ocsp_answer_new(der, job->generation->about.number,
                                                           job->this_update_s, job->next_update_s);
        keep(job, answer);
        cm_send_answer(thread, job->request, answer, job->this_update_s);
        cm_ocsp_answer_let_go(answer);
    } else
        cm_send_response(thread, job->request, der);
    end_job(job);
}

static void on_back(struct cm_errand *errand)
{
    struct cm_ocsp_job *job = (struct cm_ocsp_job *)errand;
    if (job->status != CM_OK)
        fail_job(job, job->status == CM_CORRUPT ? CM_OCSP_INTERNAL_ERROR : CM_OCSP_TRY_LATER);
    else if (has_changed(job) || job->signer != atomic_load(&job->generation->signer)) {
        if (job->rounds < ROUNDS_MAX)
            send_job(job);
        else
            fail_job(job, CM_OCSP_TRY_LATER);
    } else if (!is_sound(job))
        fail_job(job, CM_OCSP_INTERNAL_ERROR);
    else
        answer_job(job);
}

/* --- what is asked ------------------------------------------------------------------------------- */

/* One generation for all: one responder signs the answer. */
static struct cm_ocsp_generation *find_generation(struct cm_status_service *service,
                                                  const struct cm_ocsp_request *asked)
{
    struct cm_ocsp_generation *found = cm_generations_find(service, &asked->ids[0]);
    for (uint32_t i = 1; found && i < asked->ids_count; i++)
        if (cm_generations_find(service, &asked->ids[i]) != found)
            return NULL;
    return found;
}

/* The first who finds it old makes the next one; all others get it meanwhile. */
static bool is_to_be_given(struct cm_ocsp_answer *answer, int64_t now_s)
{
    return cm_ocsp_answer_is_valid(answer, now_s)
           && (!cm_ocsp_answer_is_old(answer, now_s)
               || atomic_exchange(&answer->is_renewing, true));
}

static bool give_kept(struct cm_ocsp_job *job)
{
    struct cm_status_thread *thread = job->errand.thread;
    int64_t now_s = cm_status_now_s(thread->service);
    if (job->read.ids_count != 1 || job->read.nonce.size > 0)
        return false;
    struct cm_ocsp_answer *answer =
        cm_answers_find(thread->service->answers, job->generation->about.number, &job->read.ids[0]);
    if (!answer)
        return false;
    if (!is_to_be_given(answer, now_s)) {
        if (cm_ocsp_answer_is_valid(answer, now_s))
            job->fallback = answer;
        else
            cm_ocsp_answer_let_go(answer);
        return false;
    }
    cm_recent_put(job->recent, job->asked, answer);
    cm_count(&thread->counters.ocsp_cached);
    cm_send_answer(thread, job->request, answer, now_s);
    cm_ocsp_answer_let_go(answer);
    return true;
}

/* der lives in the job's arena. */
static void consider(struct cm_ocsp_job *job, struct cm_bytes der)
{
    struct cm_status_thread *thread = job->errand.thread;
    struct cm_refusal refusal;
    job->rounds = 0;
    job->began_ms = cm_clock_monotonic_ns() / CM_NS_PER_MS;
    if (!cm_ocsp_request_read(der, &job->read, &refusal)) {
        fail_job(job, CM_OCSP_MALFORMED_REQUEST);
        return;
    }
    job->generation = find_generation(thread->service, &job->read);
    if (!job->generation)
        fail_job(job, CM_OCSP_UNAUTHORIZED);
    else if (give_kept(job))
        end_job(job);
    else
        send_job(job);
}

/* True: it was asked in the same octets before, and the answer is still the same. */
static bool give_recent(struct cm_status_thread *thread, struct evhttp_request *request,
                        struct cm_recent *recent, struct cm_bytes asked)
{
    struct cm_ocsp_answer *answer = cm_recent_find(recent, asked);
    int64_t now_s = answer ? cm_status_now_s(thread->service) : 0;
    if (!answer || !cm_ocsp_answer_is_valid(answer, now_s) || cm_ocsp_answer_is_old(answer, now_s))
        return false;
    cm_count(&thread->counters.ocsp_cached);
    cm_send_answer(thread, request, answer, now_s);
    return true;
}

static void serve_octets(struct cm_status_thread *thread, struct evhttp_request *request,
                         struct cm_bytes asked, bool is_text)
{
    struct cm_recent *recent = is_text ? thread->recent_texts : thread->recent_bodies;
    size_t size = 0;
    if (give_recent(thread, request, recent, asked))
        return;
    struct cm_ocsp_job *job = take_job(thread);
    job->request = request;
    job->recent = recent;
    job->asked = cm_arena_copy(&job->arena, asked);
    if (!is_text) {
        consider(job, job->asked);
        return;
    }
    uint8_t *der = cm_arena_alloc(&job->arena, asked.size + 1);
    if (cm_target_decode(asked, der, asked.size, &size))
        consider(job, cm_bytes(der, size));
    else
        fail_job(job, CM_OCSP_MALFORMED_REQUEST);
}

static bool has_type(struct evhttp_request *request)
{
    static const char type[] = "application/ocsp-request";
    const char *text =
        evhttp_find_header(evhttp_request_get_input_headers(request), "Content-Type");
    size_t size = sizeof type - 1;
    return text && evutil_ascii_strncasecmp(text, type, size) == 0
           && (text[size] == '\0' || text[size] == ';' || text[size] == ' ');
}

void cm_ocsp_serve(struct cm_status_thread *thread, struct evhttp_request *request,
                   const struct cm_target *target)
{
    struct evbuffer *body = evhttp_request_get_input_buffer(request);
    size_t size = evbuffer_get_length(body);
    if (evhttp_request_get_command(request) != EVHTTP_REQ_POST)
        serve_octets(thread, request, target->request, true);
    else if (!has_type(request))
        cm_send_error(thread, request, 415, NULL);
    else
        serve_octets(thread, request, cm_bytes(size ? evbuffer_pullup(body, -1) : NULL, size),
                     false);
}

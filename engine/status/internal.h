/*
 * Inside of the status service.
 *
 *     thread.c       an event loop, evhttp on it; what a request needs from its thread
 *     serve.c        one request to whoever answers it; documents
 *     send.c         answers of every kind on their way
 *     ocsp.c         what is asked, looked up, composed, checked and given: on a thread
 *     signing.c      what waits for signatures: on the engine's loop
 *     generations.c  whom OCSP is answered for, and who signs
 *     report.c       the engine's numbers, fetched on its loop; metrics.c, page.c show them
 *     service.c      life
 *
 * A request that needs the engine's loop travels as a struct cm_errand: put into the service's inbox by
 * a thread, and given back through the thread's loop.
 */
#ifndef CM_STATUS_INTERNAL_H
#define CM_STATUS_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include <event2/buffer.h>
#include <event2/http.h>
#include <jansson.h>

#include "engine/base/arena.h"
#include "engine/status/answers.h"
#include "engine/status/connections.h"
#include "engine/status/status.h"
#include "engine/status/target.h"
#include "engine/x509/proof.h"
#include "providers/provider.h"

#define CM_HEADERS_SIZE_MAX 8192 /* octets of a request's head */

struct cm_status_thread;

/* X(member, name in JSON and metrics, help): since the start, each thread its own. */
#define CM_COUNTER_MAP(X)                                                                          \
    X(requests, "requests", "requests that were read whole")                                       \
    X(documents, "documents", "CRLs and CA certificates sent")                                     \
    X(unmodified, "unmodified", "answers 304")                                                     \
    X(refused, "refused", "answers 4xx and 5xx")                                                   \
    X(connections_refused, "connections_refused", "connections over the limit, closed at once")    \
    X(connections_cut, "connections_cut", "connections closed because they were too slow")         \
    X(ocsp_cached, "ocsp_cached", "OCSP answers given again")                                      \
    X(ocsp_signed, "ocsp_signed", "OCSP answers made and signed")                                  \
    X(ocsp_malformed, "ocsp_malformed", "OCSP answers malformedRequest")                           \
    X(ocsp_unauthorized, "ocsp_unauthorized", "OCSP answers unauthorized")                         \
    X(ocsp_later, "ocsp_later", "OCSP answers tryLater")                                           \
    X(ocsp_failed, "ocsp_failed", "OCSP answers internalError")

struct cm_counters {
#define X(member, name, help) _Atomic uint64_t member;
    CM_COUNTER_MAP(X)
#undef X
};

static inline void cm_count(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* ------------------------------------------------------------------------ errands -- */

struct cm_errand {
    struct cm_errand *next;                 /* of the inbox, then of whoever has it */
    struct cm_task task;                    /* back to the thread */
    void (*take)(struct cm_errand *errand); /* on the engine's loop */
    void (*back)(struct cm_errand *errand); /* on the thread */
    struct cm_status_thread *thread;
};

/* False: there are too many, or the service stops. Thread: an HTTP thread. */
bool cm_errand_send(struct cm_errand *errand);
/* Thread: the engine's loop. */
void cm_errand_return(struct cm_errand *errand);

/* -------------------------------------------------------------------- generations -- */

/* As a responder was at one time. Kept until close: answers that are out name it. */
struct cm_ocsp_signer {
    struct cm_ocsp_signer *older;
    struct cm_key *key;
    struct cm_bytes certificate; /* owned */
    struct cm_bytes spki;        /* owned */
    enum cm_sigalg sigalg;
    int64_t not_after_s;
    uint8_t key_hash[20];
};

#define CM_OCSP_BATCHES 2 /* out at a time for one generation: while one is signed the next fills */

struct cm_ocsp_batch;
struct cm_ocsp_job;

struct cm_ocsp_generation {
    struct cm_status_generation about;
    struct cm_ocsp_signer *_Atomic signer; /* NULL: nobody, for now */
    /* the engine's loop's: */
    struct cm_ocsp_signer *signers;                  /* all, latest first */
    struct cm_errand *first_waiting, **last_waiting; /* jobs */
    struct cm_ocsp_batch *batches[CM_OCSP_BATCHES];  /* made when first needed */
};

/* Any thread. NULL: not ours. */
struct cm_ocsp_generation *cm_generations_find(struct cm_status_service *service,
                                               const struct cm_ocsp_cert_id *id);
/* The engine's loop: asks who signs now. */
void cm_generation_ask_signer(struct cm_status_service *service,
                              struct cm_ocsp_generation *generation);
void cm_generations_done(struct cm_status_service *service);

/* ------------------------------------------------------------------------ signing -- */

/* One answer on its way: a thread's, an errand while it is to be signed. */
struct cm_ocsp_job {
    struct cm_errand errand; /* first */
    struct cm_ocsp_job *next_free, *next_of_all;
    struct evhttp_request *request; /* NULL: idle */
    struct cm_ocsp_generation *generation;
    struct cm_ocsp_signer *signer;
    struct cm_arena arena;
    struct cm_bytes asked;    /* octets to remember it under, */
    struct cm_recent *recent; /* here */
    struct cm_ocsp_request read;
    struct cm_ocsp_single singles[CM_OCSP_REQUESTS_MAX];
    struct cm_ocsp_answer *fallback; /* held: an old one that is still valid; NULL: none */
    int64_t revision;                /* of the book, before the look-up */
    int64_t this_update_s, next_update_s;
    uint32_t rounds; /* how often it was composed */
    uint64_t began_ms;
    struct cm_bytes tbs;
    cm_status status; /* of the signature */
    uint32_t signature_size;
    uint8_t signature[CM_SIGNATURE_SIZE_MAX];
};

/* The engine's loop. */
void cm_signing_take(struct cm_errand *errand);          /* puts a job in line */
void cm_signing_go(struct cm_status_service *service);   /* signs what is in line */
void cm_signing_look(struct cm_status_service *service); /* now and then: who waits for too long */
bool cm_signing_is_idle(const struct cm_status_service *service);
void cm_signing_drop(struct cm_ocsp_generation *generation); /* gives back what is in line */
void cm_signing_done(struct cm_ocsp_generation *generation);

/* ------------------------------------------------------------------------- report -- */

/* What /metrics, /readyz, / and /api/v1/status show: JSON as text. Shared, never changed. */
struct cm_report {
    _Atomic uint32_t holders_count;
    uint64_t made_ms;
    char *text;
};

struct cm_reports {
    pthread_mutex_t mutex; /* over latest */
    struct cm_report *latest;
};

void cm_report_let_go(struct cm_report *report); /* takes NULL */

/* Answers the request with the page that it names, at once or when the report is there. */
void cm_report_serve(struct cm_status_thread *thread, struct evhttp_request *request,
                     enum cm_target_kind kind);

/* Prometheus text from the JSON of a report. */
void cm_metrics_write(struct evbuffer *text, const json_t *status);
/* HTML. */
void cm_page_write(struct evbuffer *text, const json_t *status);
/* One line each: why the engine is not ready. Returns whether it is. */
bool cm_ready_write(struct evbuffer *text, const json_t *status);

/* ------------------------------------------------------------------------ threads -- */

struct cm_status_thread {
    struct cm_status_service *service;
    struct cm_loop *loop;
    struct evhttp *http;
    struct evhttp_bound_socket *bound; /* NULL: no connections are taken any more */
    bool is_deaf;                      /* out of descriptors: listens again at the next look */
    struct cm_connections *connections;
    struct cm_store_reader *reader;
    struct cm_recent *recent_texts, *recent_bodies; /* of GET, of POST */
    struct evbuffer *body;                          /* of the answer that is being sent */
    struct cm_ocsp_job *jobs_free, *jobs;           /* jobs: all of them */
    struct {
        const struct cm_ocsp_signer *signer;
        struct cm_verifier *verifier;
        uint32_t signatures_count;
    } checked[8]; /* verifiers of the signers seen last */
    struct cm_counters counters;
    struct cm_task stop;
    int socket; /* until the listener has it */
    pthread_t thread;
    bool is_running;
};

CM_MUST_USE cm_status cm_thread_open(struct cm_status_service *service,
                                     struct cm_status_thread *thread, int socket,
                                     struct cm_error *err);
CM_MUST_USE cm_status cm_thread_start(struct cm_status_thread *thread, struct cm_error *err);
void cm_thread_stop(struct cm_status_thread *thread); /* takes no connections any more */
void cm_thread_end(struct cm_status_thread *thread); /* joins it, after all that was posted to it */
void cm_thread_done(struct cm_status_thread *thread);

/* ------------------------------------------------------------------------ serving -- */

void cm_serve(struct evhttp_request *request, void *thread); /* evhttp's callback */
void cm_ocsp_serve(struct cm_status_thread *thread, struct evhttp_request *request,
                   const struct cm_target *target);
void cm_ocsp_free_jobs(struct cm_status_thread *thread);

/* --- send.c: each ends the request. --- */
void cm_send_text(struct cm_status_thread *thread, struct evhttp_request *request, int code,
                  const char *content_type, struct evbuffer *text);
void cm_send_error(struct cm_status_thread *thread, struct evhttp_request *request, int code,
                   const char *allow);
void cm_send_document(struct cm_status_thread *thread, struct evhttp_request *request,
                      struct cm_document *document); /* takes the holder over */
void cm_send_answer(struct cm_status_thread *thread, struct evhttp_request *request,
                    struct cm_ocsp_answer *answer, int64_t now_s);
/* An OCSP response that nobody may keep: copied. */
void cm_send_response(struct cm_status_thread *thread, struct evhttp_request *request,
                      struct cm_bytes der);

/* ------------------------------------------------------------------------ service -- */

struct cm_status_service {
    struct cm_status_service_env env;
    const struct cm_settings_status *settings;
    uint16_t port;
    struct cm_status_thread *threads;
    uint32_t threads_count;
    uint32_t connections_max; /* as many as the settings say, or as there are descriptors for */
    _Atomic uint32_t connections_count;
    _Atomic uint32_t errands_count;
    atomic_bool is_stopping;
    struct cm_answers *answers;
    struct cm_reports reports;
    struct cm_ocsp_generation *generations[CM_STATUS_GENERATIONS_MAX];
    _Atomic uint32_t generations_count; /* those before it do not change */
    uint32_t batches_out;               /* the engine's loop's, as the next two are */
    uint64_t failures_told, tell_again_ms;
    struct cm_timer look;
    struct cm_timer again; /* a provider had no room */
    int wake_fd;
    struct cm_watch wake;
    struct {
        pthread_mutex_t mutex;
        struct cm_errand *first, **last;
    } inbox;
};

/* Unix seconds; negative: the clock is not to be trusted. */
int64_t cm_status_now_s(const struct cm_status_service *service);

#endif

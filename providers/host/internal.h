/*
 * The engine's side of a hosted provider: host.c is its life and what the signer answers,
 * supervisor.c keeps a signer running, hosted_key.c and hosted_batch.c do what their names say.
 * The loop's alone.
 */
#ifndef CM_PROVIDERS_HOST_INTERNAL_H
#define CM_PROVIDERS_HOST_INTERNAL_H

#include "providers/host/channel.h"
#include "providers/host/notices.h"
#include "providers/host/process.h"

struct cm_host;

/* A key that the engine has open. The handle lives through any number of signers. */
struct cm_hosted_key {
    struct cm_key key;
    struct cm_host *host;
    struct cm_hosted_key *next;
    uint64_t id;
    char *reference;    /* as it was asked for; its floor's name */
    char *pinned;       /* by which it is opened again; NULL: by reference */
    enum cm_sigalg alg; /* as it was asked for */
    uint8_t *spki;
    bool is_usable;          /* open in the present signer, and the same as ever */
    bool is_being_opened;    /* again; the answer is awaited */
    bool was_denied;         /* the last time */
    unsigned failures_count; /* of opening it again, in a row */
    struct cm_timer retry;
};

/* A key that the engine wants opened or created. */
struct cm_hosted_opening {
    struct cm_hosted_opening *next;
    struct cm_host *host;
    uint64_t id;
    char *reference;
    enum cm_sigalg alg;
    bool creates;
    cm_key_opened_fn *opened;
    void *arg;
    struct cm_task refusal; /* where it is answered without the signer */
    struct cm_error err;
};

/* A batch that the signer has, or that waits to leave. */
struct cm_hosted_batch {
    struct cm_sign_batch *batch; /* NULL: free */
    uint64_t id;                 /* of the frame; the low bits are the position among batches */
    uint64_t position;           /* of the frame, in the channel: what has begun to leave is sent */
};

/* The floor of a reference. */
struct cm_hosted_floor {
    struct cm_hosted_floor *next;
    char *reference;
    struct cm_floor floor; /* issuer_name is owned */
};

enum cm_host_phase {
    CM_HOST_STARTING, /* a process is there, READY is awaited */
    CM_HOST_UP,
    CM_HOST_ENDING,  /* the process is being collected */
    CM_HOST_WAITING, /* before the next start */
    CM_HOST_CLOSED
};

struct cm_host {
    struct cm_provider head;
    struct cm_loop *loop;
    /* as it was opened; the strings are owned */
    struct cm_wire_hello hello;
    char *program; /* NULL: this one */

    enum cm_host_phase phase;
    struct cm_process process;
    struct cm_channel channel;
    bool is_answered;           /* READY has come */
    struct cm_wire_ready ready; /* text: in ready_text */
    char ready_text[CM_ERROR_TEXT_SIZE];
    char complaint[CM_ERROR_TEXT_SIZE]; /* of what it said last; "": none */
    bool is_open;                 /* the first READY was a good one: from now on it is kept up */
    struct cm_provider_pace pace; /* as the present signer told it last */
    struct cm_notices notices;
    struct cm_timer notices_timer; /* while some were left out, to the end of the minute */

    struct cm_timer timer;   /* the look at the process, or the next start */
    uint64_t started_ns;     /* the present process */
    uint64_t frames_seen;    /* of the channel, at the last look */
    unsigned silent_looks;   /* in a row */
    unsigned ending_looks;   /* at a process that is to end */
    unsigned failures_count; /* starts in a row that came to nothing, or not to much */
    unsigned refusals_count; /* READYs in a row that were bad */
    uint64_t down_ns;        /* since when; 0: it is up */

    uint64_t ids_count;
    struct cm_hosted_key *keys;
    struct cm_hosted_opening *openings;
    struct cm_hosted_floor *floors;
    struct cm_hosted_batch *batches;
    uint32_t batches_count; /* room for what the first signer took */
};

/* What is told of failures in a row: the first, and then less and less often. */
static inline bool cm_host_is_told(unsigned failures_count)
{
    return (failures_count & (failures_count - 1)) == 0;
}

/* host.c: words of the signer's become a notice, as long as they are not too many. */
void cm_host_pass_on(struct cm_host *host, const char *lead, const char *text);
/* The signer is gone, and with it what was to be said of it. */
void cm_host_forget(struct cm_host *host);

/* supervisor.c. open waits for READY; close for the end. */
CM_MUST_USE cm_status cm_supervisor_open(struct cm_host *host, struct cm_error *err);
void cm_supervisor_close(struct cm_host *host);
void cm_supervisor_on_ready(struct cm_host *host); /* is_answered and ready are filled */
/*
 * The signer is of no use any more: killed, and followed by another. why may be NULL; of starts in a
 * row that end so it is told less and less often.
 */
void cm_supervisor_give_up(struct cm_host *host, const char *why);

/* hosted_key.c */
void cm_hosted_open_key(struct cm_provider *provider, const char *reference, enum cm_sigalg alg,
                        cm_key_opened_fn *opened, void *arg);
void cm_hosted_create_key(struct cm_provider *provider, const char *reference,
                          const struct cm_key_spec *spec, enum cm_sigalg alg,
                          cm_key_opened_fn *opened, void *arg);
void cm_hosted_close_key(struct cm_key *key);
/* False: breaks the protocol. */
CM_MUST_USE bool cm_hosted_on_key_opened(struct cm_host *host, const struct cm_wire_frame *frame);
void cm_hosted_keys_reopen(struct cm_host *host); /* a new signer is ready */
void cm_hosted_keys_lose(struct cm_host *host);   /* the signer is gone */
void cm_hosted_keys_done(struct cm_host *host);

/* hosted_batch.c */
CM_MUST_USE cm_status cm_hosted_sign(struct cm_provider *provider, struct cm_sign_batch *batch,
                                     struct cm_error *err);
void cm_hosted_cancel(struct cm_provider *provider, struct cm_sign_batch *batch);
CM_MUST_USE bool cm_hosted_on_signed(struct cm_host *host, const struct cm_wire_frame *frame);
void cm_hosted_batches_lose(struct cm_host *host);

#endif

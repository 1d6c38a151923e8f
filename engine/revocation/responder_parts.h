/*
 * The responders' parts: responder.c is their life and when something is due, responder_key.c the keys,
 * responder_issue.c how a certificate comes to be, responder_found.c the one of an engine before.
 *
 * A slot does one thing at a time. Each step ends in cm_responder_done or cm_responder_failed; after a
 * failure the next look goes on where it was: a promise that stands is signed, a certificate that was
 * signed is recorded. The loop's alone.
 */
#ifndef CM_ENGINE_RESPONDER_PARTS_H
#define CM_ENGINE_RESPONDER_PARTS_H

#include "engine/revocation/responder.h"

/* What was in use once is so for batches that are out. */
struct cm_responder_use {
    struct cm_responder_use *before;
    struct cm_responder responder; /* certificate is owned */
    struct cm_bytes serial;        /* within the certificate; empty: the CA's own key */
    int64_t renew_s;               /* half of its life is over */
};

/* A certificate on its way. What it points at is in the arena. */
struct cm_responder_making {
    bool is_promised, is_signed;
    struct cm_arena arena;
    struct cm_serial serial;
    struct cm_tbs tbs;
    uint8_t tbs_hash[CM_HASH_SIZE];
    struct cm_intent intent;
    struct cm_intent_item item;
    uint8_t signature[CM_SIGNATURE_SIZE_MAX];
    struct cm_sign_item sign_item;
    struct cm_sign_batch sign_batch;
    struct cm_bytes certificate;
    struct cm_certificate_row row;
    struct cm_abandoned_row abandoned;
    const char *why; /* it is */
    struct cm_store_op op;
    struct cm_audit_event audit;
};

struct cm_responder_slot {
    struct cm_responders *responders;
    const struct cm_issuer_key *issuer;
    bool is_delegated;
    bool is_busy;        /* something is in flight */
    bool was_looked_for; /* a certificate of an engine before */
    char device[112];    /* "ocsp-responder/issuing-1" */
    char *reference;     /* of the delegated key, owned; NULL: not known yet */
    struct cm_key *key;  /* the delegated one; NULL: not open */
    struct cm_profile profile;
    struct cm_template *template;      /* NULL: not built yet */
    struct cm_responder_making making; /* of the next certificate */
    struct cm_responder_use *in_use;   /* the latest first; NULL: none yet */
    uint64_t retry_ns;                 /* not before; cm_clock_monotonic_ns */
    unsigned failures_count;           /* in a row */
};

struct cm_responders {
    struct cm_responders_env env;
    struct cm_responder_slot
        *slots; /* of the issuers' keys, in their order; room for all there may be */
    uint32_t slots_count;
    uint32_t busy_count;
    bool is_stopped;
    struct cm_timer timer;
};

/* responder.c: begins a step, and its ends. */
void cm_responder_begin(struct cm_responder_slot *slot);
void cm_responder_done(struct cm_responder_slot *slot);
void cm_responder_failed(struct cm_responder_slot *slot, const struct cm_error *err);
/* certificate is copied; it is in use from now on. */
cm_status cm_responder_use(struct cm_responder_slot *slot, struct cm_bytes certificate,
                           struct cm_error *err);
void cm_responder_tell(const struct cm_responders *responders, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
int64_t cm_responder_time_ms(const struct cm_responders *responders); /* negative: suspect */
/* Or on hold; a certificate of the slot's generation. */
bool cm_responder_is_revoked(const struct cm_responder_slot *slot, struct cm_bytes serial);

/* responder_key.c */
void cm_responder_open_key(struct cm_responder_slot *slot);

/*
 * What the key is called in a provider of this kind; neighbour: a key of ours that is there, which says
 * in what token, or vault; may be NULL. The caller's to free; NULL: nothing says where it belongs.
 */
char *cm_responder_reference(const char *kind, const char *neighbour, const char *issuer_name);

/* responder_found.c: the one that there is, if there is one, is in use. Fails with DENIED where there can
 * be none: the device is not allowed. */
CM_MUST_USE cm_status cm_responder_find(struct cm_responder_slot *slot, struct cm_error *err);

/* responder_issue.c: takes up what stands, or begins anew. */
void cm_responder_issue(struct cm_responder_slot *slot);

/* The moment when half of its life is over. */
static inline int64_t cm_responder_half_life_s(const struct cm_certificate *certificate)
{
    return certificate->not_before_s + (certificate->not_after_s - certificate->not_before_s) / 2;
}

#endif

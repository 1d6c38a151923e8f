/*
 * Provider: where keys live, and how batches of messages get signed with them.
 *
 * The engine opens a provider instance from settings, opens keys in it by reference, and submits
 * batches of messages (to-be-signed bytes; the provider hashes where its mechanism wants a digest,
 * because Ed25519 signs messages). Everything is asynchronous; everything calls back on the loop,
 * on a later turn, exactly once.
 *
 *     cm_provider_open(&cm_provider_openssl, loop, &settings, &provider, &err);
 *     cm_provider_open_key(provider, "file:keys/issuing.pem", CM_SIGALG_UNKNOWN, on_key, self);
 *     ...
 *     batch->key = key; batch->items = items; batch->items_count = 256;
 *     status = cm_provider_sign(provider, batch, &err);   (on OK, batch->done comes later)
 *
 * Nothing in this contract assumes that caller and provider share memory: a batch can be copied to
 * another process and its results copied back (providers/host/), and callers do not notice.
 *
 * Backends: openssl/ (software keys, any OpenSSL 3 provider), pkcs11/ (keys in an HSM or another
 * token), keyvault/ (keys in Azure Key Vault or Managed HSM), fake/ (tests: scripted faults), and
 * host/ (any of the others in a process of its own, host.h). A backend that blocks implements struct cm_blocking_ops and is made asynchronous by
 * blocking.h. One conformance suite (provider_test.c and provider_keys_test.c in
 * tests/conformance) runs against each.
 */
#ifndef CM_PROVIDERS_PROVIDER_H
#define CM_PROVIDERS_PROVIDER_H

#include "engine/base/bytes.h"
#include "engine/base/loop.h"
#include "engine/base/status.h"
#include "engine/x509/algorithm.h"

struct cm_provider;
struct cm_provider_ops;
struct cm_host_settings;

/* What an instance is opened with. Plain data, copied by open. */
struct cm_provider_settings {
    const char *name;                    /* of the instance, for messages */
    const char *folder;                  /* relative key references start here; may be NULL */
    const char *passphrase_ref;          /* as in engine/base/secret.h; NULL: none */
    const char *module;                  /* pkcs11: path of the vendor's module; may be NULL */
    uint32_t workers_count;              /* threads or sessions; 0: as many as do any good */
    const char *options;                 /* the backend's own, as its header says; NULL: none */
    const struct cm_host_settings *host; /* of a signer process (host.h); else NULL */
};

/* What an instance can take. Plain data, so that the batcher can be tested with invented numbers. */
struct cm_provider_caps {
    uint32_t batch_items_max;   /* items in one batch */
    uint32_t batches_in_flight; /* more than these are BUSY, or half for OCSP */
    bool blocks;                /* each signature occupies a worker until it is done */
    size_t batch_octets_max;    /* about so many in one batch's messages; 0: no bound */
};

/* What a new key is to be. */
struct cm_key_spec {
    enum cm_key_type type;
    uint32_t bits; /* of an RSA modulus: 2048, 3072, 4096, ...; else 0 */
    /* Empty: a new key. Else one that was wrapped elsewhere, to be imported as it is (BYOK): the whole
     * file. Borrowed for the call. */
    struct cm_bytes transfer_blob;
};

/*
 * What a signature is for. OCSP never gets more than half of the places in flight, and where the
 * processor signs it yields to the others (blocking.h). A signer process (host/) holds each lane to a
 * floor of its own, whatever the engine asks.
 */
enum cm_lane {
    CM_LANE_LEAF,     /* certificates of devices; zero, so that nothing less is assumed */
    CM_LANE_CRL,      /* CRLs */
    CM_LANE_OCSP,     /* OCSP responses and responders' certificates */
    CM_LANE_CEREMONY, /* CA certificates, cross certificates, CSRs */
    CM_LANE_AUDIT     /* checkpoints of the audit log */
};

/* An open key. Made by open_key, owned by the caller until close_key; immutable meanwhile. */
struct cm_key {
    struct cm_provider *provider;
    enum cm_key_type type;
    uint32_t bits;               /* of an RSA modulus; else of the curve */
    enum cm_sigalg alg;          /* the one algorithm that this handle signs with */
    uint32_t signature_size_max; /* bytes; space that every item must offer */
    struct cm_bytes spki;        /* SubjectPublicKeyInfo, DER; lives as long as the key */
    const char *reference;       /* that names this very key from now on; lives as long as the key;
                                    NULL: the one that it was asked for with does */
    void *backend;               /* the backend's */
};

/* One message to sign. Lives in an array owned by the caller. */
struct cm_sign_item {
    struct cm_bytes message; /* borrowed until the batch is done */
    const uint8_t
        *intent_hash;         /* SHA-256 of the message as the durable intent has it; may be NULL */
    uint8_t *signature;       /* borrowed until the batch is done; DER Ecdsa-Sig-Value for ECDSA */
    uint32_t signature_space; /* bytes available at signature; at least signature_size_max */
    uint32_t signature_size;  /* bytes; written by the provider */
    cm_status status;         /* written by the provider, once */
};

struct cm_sign_batch {
    struct cm_key *key; /* outlives the batch */
    enum cm_lane lane;
    struct cm_sign_item *items; /* borrowed until done */
    uint32_t items_count;       /* 1 .. caps.batch_items_max */
    uint64_t
        deadline_ns; /* cm_clock_monotonic_ns(); items not begun by then are EXPIRED; 0: none */
    void (*done)(struct cm_sign_batch *batch, void *arg);
    void *done_arg;
    /* The provider's while submitted: */
    void *backend;
    struct cm_task task;
    bool cancelled;
};

/*
 * key is NULL unless status is OK. err is borrowed for the call. What a backend has to say of a key that
 * works, but not quite as settings ask, it answers as err's text with OK ("": nothing): whoever watches
 * is told it as a NOTICE, and the caller gets no text.
 */
typedef void cm_key_opened_fn(cm_status status, struct cm_key *key, const struct cm_error *err,
                              void *arg);

/*
 * The front functions check arguments once and call the backend.
 *
 * cm_provider_open
 * Does:       makes an instance and starts its workers; may block briefly, at start-up; and where the
 *             passphrase is a prompt, until somebody has typed it.
 * Owns:       *ret_provider is the caller's, until cm_provider_close.
 * Thread:     the loop's.
 * Fails with: UNSUPPORTED (not built in), DENIED (passphrase missing or wrong), MALFORMED (options),
 *             UNAVAILABLE, NO_MEMORY; half-built state is cleaned up inside.
 */
CM_MUST_USE cm_status cm_provider_open(const struct cm_provider_ops *ops, struct cm_loop *loop,
                                       const struct cm_provider_settings *settings,
                                       struct cm_provider **ret_provider, struct cm_error *err);

/* batches_in_flight may change while it is open (host.h), batch_items_max does not. */
struct cm_provider_caps cm_provider_caps(const struct cm_provider *provider);
const char *cm_provider_name(const struct cm_provider *provider);

/* What happens to an instance by itself. */
enum cm_provider_event {
    CM_PROVIDER_DOWN,  /* its process is gone; sign answers UNAVAILABLE until UP */
    CM_PROVIDER_UP,    /* it is back, its keys are being opened again */
    CM_PROVIDER_NOTICE /* something that an operator should see; it goes on */
};

/* text is one line, borrowed for the call. */
typedef void cm_provider_told_fn(struct cm_provider *provider, enum cm_provider_event event,
                                 const char *text, void *arg);

/*
 * Who hears of events; NULL: nobody. Events before this call are not repeated.
 * Calls back: told, any number of times until close, on the loop, never inside a call.
 */
void cm_provider_watch(struct cm_provider *provider, cm_provider_told_fn *told, void *arg);

/* How an instance is. One that lives in this process is up, always was, and has no pid. */
struct cm_provider_state {
    bool is_up;
    uint64_t since_ns;       /* cm_clock_monotonic_ns() of the last change */
    uint32_t restarts_count; /* of its process */
    int32_t pid;             /* of its process; 0: none */
};

struct cm_provider_state cm_provider_state(const struct cm_provider *provider);

/* How an instance that asks a service gets on with it. All zero where there is no such service. */
struct cm_provider_pace {
    uint32_t rate_per_s;        /* P-256 signatures it may make now; 0: nobody counts */
    uint32_t in_flight;         /* requests that the service has */
    uint32_t waiting;           /* items that wait for their turn */
    uint64_t succeeded_count;   /* requests, since it was opened */
    uint64_t throttled_count;   /* answered 429 */
    uint64_t failed_count;      /* no connection, 5xx, no answer in time */
    uint32_t latency_us_median; /* of the last few hundred */
    uint32_t latency_us_p99;
    uint32_t circuits_open; /* services that are not asked any more, except whether they are back */
};

/* As of now; of a hosted instance, as of a second ago. Loop's thread. */
struct cm_provider_pace cm_provider_pace(const struct cm_provider *provider);

/* False: all zero. */
bool cm_provider_pace_is_any(const struct cm_provider_pace *pace);

/*
 * Does:       finds the key that the reference names, reads its public key, and proves it: signs a
 *             test message and verifies it. alg CM_SIGALG_UNKNOWN takes the key type's default.
 * Thread:     the loop's.
 * Calls back: opened, once, on the loop, never inside this call.
 *             Statuses: NO_KEY, DENIED, MALFORMED (the reference), MISMATCH (alg does not fit),
 *             UNSUPPORTED, CORRUPT (the proof failed, or an answer makes no sense), UNAVAILABLE,
 *             TOKEN_REMOVED, CLOSING (draining), NO_MEMORY.
 */
void cm_provider_open_key(struct cm_provider *provider, const char *reference, enum cm_sigalg alg,
                          cm_key_opened_fn *opened, void *arg);
void cm_provider_close_key(struct cm_key *key);

/*
 * Does:       makes a new key where the reference says, so that it never was anywhere else, and opens
 *             it as open_key does. The reference is one that open_key takes later.
 * Thread:     the loop's.
 * Calls back: opened, as for open_key. More statuses: EXISTS (there is a key of that reference:
 *             nothing is touched), UNSUPPORTED (the backend makes no keys, or not of that kind), IO,
 *             UNCERTAIN (it may have been made: the answer was lost).
 */
void cm_provider_create_key(struct cm_provider *provider, const char *reference,
                            const struct cm_key_spec *spec, enum cm_sigalg alg,
                            cm_key_opened_fn *opened, void *arg);

typedef void cm_key_destroyed_fn(cm_status status, const struct cm_error *err, void *arg);

/*
 * Does:       destroys the key where it lives, for good, and closes the handle; when that fails, the
 *             handle stays open.
 * Thread:     the loop's, with nothing of the key in flight.
 * Calls back: destroyed, once, on the loop, never inside this call. Statuses: OK; UNSUPPORTED (the
 *             backend destroys none; a hosted one never does: no engine destroys keys), DENIED,
 *             NO_KEY (it is not there any more), TOKEN_REMOVED, UNAVAILABLE, CORRUPT (the answer makes
 *             no sense), IO, CLOSING.
 */
void cm_provider_destroy_key(struct cm_key *key, cm_key_destroyed_fn *destroyed, void *arg);

/*
 * Signs every item of the batch, in any order.
 *
 * Owns:       on OK the batch, its items and their buffers belong to the provider until done; on any
 *             other status nothing was taken and nothing will be called.
 * Thread:     the loop's.
 * Calls back: batch->done exactly once, on the loop, never before this returns.
 * Fails with: BUSY (try again after the next done), CLOSING (draining), UNAVAILABLE (what holds the
 *             key does not answer), NO_MEMORY, INVALID (items_count or a signature_space outside its
 *             bounds, or another provider's key).
 *             Outcomes of items are in item->status: OK; EXPIRED, CANCELLED (not begun);
 *             THROTTLED, UNAVAILABLE, TOKEN_REMOVED (not signed, may be tried again);
 *             UNCERTAIN (may have been signed, answer lost: never retried blindly); CORRUPT.
 */
CM_MUST_USE cm_status cm_provider_sign(struct cm_provider *provider, struct cm_sign_batch *batch,
                                       struct cm_error *err);

/* A wish. done still comes once; items end CANCELLED or with their true result. Loop's thread. */
void cm_provider_cancel(struct cm_provider *provider, struct cm_sign_batch *batch);

/*
 * Does:       takes nothing new (sign and open_key answer CLOSING) and calls drained once the last
 *             done and the last opened have come.
 * Calls back: drained, once, on the loop, never inside this call.
 */
void cm_provider_drain(struct cm_provider *provider, void (*drained)(void *arg), void *arg);

/* With nothing in flight (after drained) and every key closed. Takes NULL. */
void cm_provider_close(struct cm_provider *provider);

/* ------------------------------------------------------------------ for backends -- */

/* The embedded head of every instance. */
struct cm_provider {
    const struct cm_provider_ops *ops;
    struct cm_loop *loop;
    struct cm_provider_caps caps;
    char *name;                     /* the front's, owned */
    struct cm_provider_state state; /* the backend's; filled by the front at opening */
    cm_provider_told_fn *told;      /* may be NULL */
    void *told_arg;
    uint32_t batches_in_flight;
    uint32_t ocsp_batches_in_flight; /* of them */
    uint32_t openings_in_flight;     /* drain waits for these too */
    uint32_t keys_open;
    bool draining;
    void (*drained)(void *arg);
    void *drained_arg;
    struct cm_task drained_task;
};

/* The front keeps counts, BUSY, CLOSING and drain; a backend does only its own part. */
struct cm_provider_ops {
    const char *name; /* "openssl" */
    /* life */
    cm_status (*open)(struct cm_loop *loop, const struct cm_provider_settings *settings,
                      struct cm_provider **ret_provider, struct cm_error *err);
    void (*close)(struct cm_provider *provider);
    /* keys */
    void (*open_key)(struct cm_provider *provider, const char *reference, enum cm_sigalg alg,
                     cm_key_opened_fn *opened, void *arg);
    void (*close_key)(struct cm_key *key);
    void (*create_key)(struct cm_provider *provider, const char *reference,
                       const struct cm_key_spec *spec, enum cm_sigalg alg, cm_key_opened_fn *opened,
                       void *arg); /* NULL: this backend makes none */
    void (*destroy_key)(struct cm_key *key, cm_key_destroyed_fn *destroyed,
                        void *arg); /* leaves the handle; NULL: this backend destroys none */
    /* signing: when all items have their status, the backend calls cm_provider_batch_done */
    cm_status (*sign)(struct cm_provider *provider, struct cm_sign_batch *batch,
                      struct cm_error *err);
    void (*cancel)(struct cm_provider *provider, struct cm_sign_batch *batch);
    /* adds to zeroes; NULL: nobody counts */
    void (*pace)(const struct cm_provider *provider, struct cm_provider_pace *ret_pace);
};

/*
 * A passphrase that is missing is found out when the provider is opened, not with its first key. Any thread.
 * Fails with: DENIED (the passphrase cannot be read).
 */
CM_MUST_USE cm_status cm_provider_check_passphrase(const struct cm_provider_settings *settings,
                                                   struct cm_error *err);

/* How much longer than its calls take opening with these settings may last: somebody is asked. */
uint32_t cm_provider_asking_ms(const struct cm_provider_settings *settings);

/* Tells whoever watches. On the loop, not from inside a call of the front's. */
void cm_provider_tell(struct cm_provider *provider, enum cm_provider_event event,
                      const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Posts batch->done to the loop. Any thread; once a batch. */
void cm_provider_batch_done(struct cm_provider *provider, struct cm_sign_batch *batch);

#endif

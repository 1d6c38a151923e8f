/*
 * Blocking: makes a backend that can only "sign one, and wait" into an asynchronous provider.
 *
 * The adapter has worker threads, and a backend that keeps something for each of them keeps it by the
 * worker's index. A batch goes to all of them: each takes a few items at a time until none is left, so a slow batch (RSA-4096) is shared
 * and a quick one costs little. The deadline and the wish to cancel are looked at before every
 * item. Keys are opened on a worker too, because that reads files and does arithmetic. The batch is
 * done, on the loop, when the last worker has left it. There is no lock around sign_one.
 *
 *     provider->caps = ...;
 *     cm_blocking_new(provider, loop, 2, &ops, self, &self->blocking, &err);
 *     ... ops->sign calls cm_blocking_sign, ops->cancel calls cm_blocking_cancel ...
 *     cm_blocking_free(self->blocking);
 */
#ifndef CM_PROVIDERS_BLOCKING_H
#define CM_PROVIDERS_BLOCKING_H

#include "providers/provider.h"

struct cm_blocking;

/* What a worker takes at a time: few enough that the end of a slow batch is shared too, many enough that the
 * counter is cool and multi-buffer lanes are full. */
enum { CM_BLOCKING_ITEMS = 8 };

/* What the backend does, on a worker's thread. One worker does one thing at a time. */
struct cm_blocking_ops {
    const char *name; /* of the threads, at most 10 characters; with ocsp_nice 8 */
    /* Above 0: batches of the OCSP lane are signed by as many workers more, whose indexes follow, that are
     * nicer by this: who asks for answers takes from certificates only what their processors have left. */
    int ocsp_nice;
    cm_status (*key_open)(void *state, uint32_t worker_index, const char *reference,
                          enum cm_sigalg alg, struct cm_key **ret_key, struct cm_error *err);
    /* NULL: keys are not made here. */
    cm_status (*key_create)(void *state, uint32_t worker_index, const char *reference,
                            const struct cm_key_spec *spec, enum cm_sigalg alg,
                            struct cm_key **ret_key, struct cm_error *err);
    /* NULL: keys are not destroyed here. Leaves what key_open made. */
    cm_status (*key_destroy)(void *state, uint32_t worker_index, struct cm_key *key,
                             struct cm_error *err);
    /* Writes signature and signature_size; the status is the item's. */
    cm_status (*sign_one)(void *state, uint32_t worker_index, struct cm_key *key,
                          struct cm_sign_item *item);
    /* NULL: one by one. Else up to CM_BLOCKING_ITEMS at once; writes each item's signature, size and status. */
    void (*sign_some)(void *state, uint32_t worker_index, struct cm_key *key,
                      struct cm_sign_item *items, uint32_t count);
};

/*
 * Does:       starts the workers.
 * Owns:       provider, ops and state are borrowed until cm_blocking_free; provider->caps is set.
 * Thread:     the loop's.
 * Fails with: NO_MEMORY.
 */
CM_MUST_USE cm_status cm_blocking_new(struct cm_provider *provider, struct cm_loop *loop,
                                      uint32_t workers_count, const struct cm_blocking_ops *ops,
                                      void *state, struct cm_blocking **ret_blocking,
                                      struct cm_error *err);

/* With nothing in flight. Takes NULL. */
void cm_blocking_free(struct cm_blocking *blocking);

/* These have the contracts of provider.h. */
void cm_blocking_open_key(struct cm_blocking *blocking, const char *reference, enum cm_sigalg alg,
                          cm_key_opened_fn *opened, void *arg);
void cm_blocking_create_key(struct cm_blocking *blocking, const char *reference,
                            const struct cm_key_spec *spec, enum cm_sigalg alg,
                            cm_key_opened_fn *opened, void *arg);
void cm_blocking_destroy_key(struct cm_blocking *blocking, struct cm_key *key,
                             cm_key_destroyed_fn *destroyed, void *arg);
CM_MUST_USE cm_status cm_blocking_sign(struct cm_blocking *blocking, struct cm_sign_batch *batch,
                                       struct cm_error *err);
void cm_blocking_cancel(struct cm_sign_batch *batch);

/*
 * From now on only the first count workers take part, in openings and in batches: a backend learns
 * how many its key store can take only when it has opened a key there. Thread: any.
 */
void cm_blocking_limit(struct cm_blocking *blocking, uint32_t count);

/*
 * The head of a backend that is nothing but blocking calls, and its provider's functions: what they
 * do is the adapter's.
 *
 *     struct my_provider { struct cm_blocking_provider head; ... };
 *     const struct cm_provider_ops cm_provider_my = { ..., CM_BLOCKING_PROVIDER_OPS };
 */
struct cm_blocking_provider {
    struct cm_provider provider;
    struct cm_blocking *blocking;
};

void cm_blocking_provider_open_key(struct cm_provider *provider, const char *reference,
                                   enum cm_sigalg alg, cm_key_opened_fn *opened, void *arg);
void cm_blocking_provider_create_key(struct cm_provider *provider, const char *reference,
                                     const struct cm_key_spec *spec, enum cm_sigalg alg,
                                     cm_key_opened_fn *opened, void *arg);
void cm_blocking_provider_destroy_key(struct cm_key *key, cm_key_destroyed_fn *destroyed,
                                      void *arg);
cm_status cm_blocking_provider_sign(struct cm_provider *provider, struct cm_sign_batch *batch,
                                    struct cm_error *err);
void cm_blocking_provider_cancel(struct cm_provider *provider, struct cm_sign_batch *batch);

#define CM_BLOCKING_PROVIDER_OPS                                                                   \
    .open_key = cm_blocking_provider_open_key, .create_key = cm_blocking_provider_create_key,      \
    .destroy_key = cm_blocking_provider_destroy_key, .sign = cm_blocking_provider_sign,            \
    .cancel = cm_blocking_provider_cancel

/* The number of processors that this process may use; what workers_count 0 stands for. */
uint32_t cm_blocking_default_workers(void);

#endif

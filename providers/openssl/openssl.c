#include "providers/backends.h"
#include "providers/blocking.h"
#include "providers/openssl/lanes.h"

#include <stdlib.h>

#include <openssl/err.h>

enum { BATCH_ITEMS_MAX = 1024 };

_Static_assert((int)CM_BLOCKING_ITEMS <= (int)CM_MB_LANES,
               "what a worker takes at a time goes into lanes");

/* Signing is the processor's work here. Threads that are nicer by ten get a tenth of the share of others. */
enum { OCSP_NICE = 10, CREWS = 2 };

struct ossl_provider {
    struct cm_blocking_provider head;
    uint32_t workers_count;
    struct cm_passphrase passphrase;
    struct cm_ossl_source source; /* points to it */
};

/* ------------------------------------------------------------------ on workers -- */

static cm_status open_key_here(void *state, uint32_t worker_index, const char *reference,
                               enum cm_sigalg alg, struct cm_key **ret_key, struct cm_error *err)
{
    struct ossl_provider *self = state;
    struct cm_ossl_key *key;
    (void)worker_index;
    cm_status status =
        cm_ossl_key_open(&self->source, reference, alg, CREWS * self->workers_count, &key, err);
    if (status == CM_OK)
        *ret_key = &key->key;
    return status;
}

/*
 * A file that was made and cannot be opened would be in the way of the next attempt. Where it cannot
 * be removed either the error says so.
 */
static void take_back(const struct cm_ossl_source *source, const char *reference,
                      struct cm_error *err)
{
    const struct cm_error first = *err;
    struct cm_error left;
    if (cm_ossl_destroy(source, reference, &left) != CM_OK)
        (void)CM_FAIL(err, first.status, first.origin, first.native,
                      "%.130s; it is left there: %.80s", first.text, left.text);
}

static cm_status create_key_here(void *state, uint32_t worker_index, const char *reference,
                                 const struct cm_key_spec *spec, enum cm_sigalg alg,
                                 struct cm_key **ret_key, struct cm_error *err)
{
    const struct ossl_provider *self = state;
    cm_status status = cm_ossl_create(&self->source, reference, spec, alg, err);
    if (status != CM_OK)
        return status;
    status = open_key_here(state, worker_index, reference, alg, ret_key, err);
    if (status != CM_OK)
        take_back(&self->source, reference, err);
    return status;
}

static cm_status destroy_key_here(void *state, uint32_t worker_index, struct cm_key *key,
                                  struct cm_error *err)
{
    const struct ossl_provider *self = state;
    const struct cm_ossl_key *ours = key->backend;
    (void)worker_index;
    return cm_ossl_destroy(&self->source, ours->reference, err);
}

static cm_status sign_one(void *state, uint32_t worker_index, struct cm_key *key,
                          struct cm_sign_item *item)
{
    (void)state;
    cm_ossl_key_sign(key->backend, worker_index, item, 1);
    ERR_clear_error();
    return item->status;
}

static void sign_some(void *state, uint32_t worker_index, struct cm_key *key,
                      struct cm_sign_item *items, uint32_t count)
{
    (void)state;
    cm_ossl_key_sign(key->backend, worker_index, items, count);
    ERR_clear_error();
}

static const struct cm_blocking_ops blocking_ops = {
    .name = "cm-sign",
    .ocsp_nice = OCSP_NICE,
    .key_open = open_key_here,
    .key_create = create_key_here,
    .key_destroy = destroy_key_here,
    .sign_one = sign_one,
    .sign_some = sign_some,
};

/* ------------------------------------------------------------------ on the loop -- */

static void close_provider(struct cm_provider *provider)
{
    struct ossl_provider *self = (struct ossl_provider *)provider;
    cm_blocking_free(self->head.blocking);
    cm_passphrase_close(&self->passphrase);
    free(self);
}

static cm_status open_provider(struct cm_loop *loop, const struct cm_provider_settings *settings,
                               struct cm_provider **ret_provider, struct cm_error *err)
{
    struct cm_ossl_options options;
    cm_status status = cm_ossl_options_read(settings->options, &options, err);
    if (status == CM_OK)
        status = cm_provider_check_passphrase(settings, err);
    if (status != CM_OK)
        return status;
    struct ossl_provider *self = calloc(1, sizeof *self);
    if (!self)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for a provider");
    self->workers_count =
        settings->workers_count ? settings->workers_count : cm_blocking_default_workers();
    /* One in work, one waiting for each worker, and room for the caller to fill the next two. */
    self->head.provider.caps =
        (struct cm_provider_caps){ .batch_items_max = BATCH_ITEMS_MAX,
                                   .batches_in_flight = 2 + 2 * self->workers_count,
                                   .blocks = true };
    status = cm_passphrase_open(&self->passphrase, settings, err);
    self->source = (struct cm_ossl_source){ .folder = self->passphrase.folder,
                                            .passphrase = &self->passphrase,
                                            .options = options };
    if (status == CM_OK)
        status = cm_blocking_new(&self->head.provider, loop, self->workers_count, &blocking_ops,
                                 self, &self->head.blocking, err);
    if (status != CM_OK) {
        close_provider(&self->head.provider);
        return status;
    }
    *ret_provider = &self->head.provider;
    return CM_OK;
}

static void close_key(struct cm_key *key)
{
    cm_ossl_key_free(key->backend);
}

const struct cm_provider_ops cm_provider_openssl = {
    .name = "openssl",
    .open = open_provider,
    .close = close_provider,
    .close_key = close_key,
    CM_BLOCKING_PROVIDER_OPS,
};

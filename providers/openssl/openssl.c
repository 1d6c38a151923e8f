#include "providers/backends.h"
#include "providers/blocking.h"
#include "providers/openssl/internal.h"

#include <stdlib.h>

#include <openssl/err.h>

enum { BATCH_ITEMS_MAX = 1024 };

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

/* The worker's own signer of the key; NULL when it cannot be made. */
static struct cm_ossl_signer *find_signer(uint32_t worker_index, struct cm_ossl_key *key)
{
    struct cm_ossl_signer *signer = key->signers[worker_index];
    if (signer)
        return signer;
    signer = calloc(1, sizeof *signer);
    if (!signer)
        return NULL;
    if (cm_ossl_signer_init(signer, key->pkey, key->key.alg, NULL) != CM_OK) {
        cm_ossl_signer_done(signer);
        free(signer);
        return NULL;
    }
    key->signers[worker_index] = signer;
    return signer;
}

static cm_status sign_one(void *state, uint32_t worker_index, struct cm_key *key,
                          struct cm_sign_item *item)
{
    struct cm_ossl_key *self = key->backend;
    struct cm_ossl_signer *signer = find_signer(worker_index, self);
    (void)state;
    if (!signer)
        return CM_UNAVAILABLE;
    if (cm_ossl_signer_sign(signer, self->pkey, item->message, item->signature,
                            item->signature_space, &item->signature_size))
        return CM_OK;
    ERR_clear_error();
    return self->remote ? CM_UNCERTAIN : CM_UNAVAILABLE;
}

static const struct cm_blocking_ops blocking_ops = {
    .name = "cm-sign",
    .ocsp_nice = OCSP_NICE,
    .key_open = open_key_here,
    .key_create = create_key_here,
    .key_destroy = destroy_key_here,
    .sign_one = sign_one,
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
    cm_status status = cm_provider_check_settings("openssl", settings, err);
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
                                            .passphrase = &self->passphrase };
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

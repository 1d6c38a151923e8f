#include "providers/keyvault/internal.h"

#include <stdlib.h>

#include "providers/backends.h"

enum {
    BATCH_ITEMS_MAX = 1024,
    BATCHES_IN_FLIGHT = 16,
    CONNECTIONS_MORE = 2 /* than may be in flight: for a token, and for the first request of all */
};

static void tell(void *arg, const char *text)
{
    cm_provider_tell(arg, CM_PROVIDER_NOTICE, "%s", text);
}

struct cm_vault *cm_keyvault_vault(struct cm_keyvault *self, const struct cm_vault_uri *uri)
{
    for (size_t i = 0; i < self->vaults_count; i++)
        if (cm_vault_is_at(self->vaults[i], uri))
            return self->vaults[i];
    struct cm_vault **more =
        realloc(self->vaults, (self->vaults_count + 1) * sizeof(struct cm_vault *));
    if (!more)
        abort();
    self->vaults = more;
    return self->vaults[self->vaults_count++] = cm_vault_new(&self->env, uri);
}

static void keyvault_close(struct cm_provider *provider)
{
    struct cm_keyvault *self = (struct cm_keyvault *)provider;
    for (size_t i = 0; i < self->vaults_count; i++)
        cm_vault_free(self->vaults[i]);
    free(self->vaults);
    cm_http_free(self->http);
    cm_vault_options_done(&self->options);
    free(self);
}

/* Providers have one word for a secret that is not there. */
static cm_status deny(struct cm_error *err)
{
    if (err)
        err->status = CM_DENIED;
    return CM_DENIED;
}

static cm_status keyvault_open(struct cm_loop *loop, const struct cm_provider_settings *settings,
                               struct cm_provider **ret_provider, struct cm_error *err)
{
    struct cm_keyvault *self = calloc(1, sizeof *self);
    if (!self)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for a provider");
    cm_status status = cm_vault_options_read(settings, &self->options, err);
    if (status != CM_OK) {
        free(self);
        return status == CM_NOT_FOUND ? deny(err) : status;
    }
    status = cm_http_new(loop, self->options.trust, self->options.in_flight_max + CONNECTIONS_MORE,
                         &self->http, err);
    if (status != CM_OK) {
        keyvault_close(&self->head);
        return status;
    }
    self->env = (struct cm_vault_env){ .loop = loop,
                                       .http = self->http,
                                       .options = &self->options,
                                       .notice = tell,
                                       .arg = &self->head };
    self->head.caps = (struct cm_provider_caps){ .batch_items_max = BATCH_ITEMS_MAX,
                                                 .batches_in_flight = BATCHES_IN_FLIGHT };
    *ret_provider = &self->head;
    return CM_OK;
}

static void keyvault_close_key(struct cm_key *key)
{
    cm_vault_key_free(key->backend);
}

static void keyvault_pace(const struct cm_provider *provider, struct cm_provider_pace *ret_pace)
{
    const struct cm_keyvault *self = (const struct cm_keyvault *)provider;
    for (size_t i = 0; i < self->vaults_count; i++)
        cm_vault_tell(self->vaults[i], ret_pace);
}

const struct cm_provider_ops cm_provider_keyvault = {
    .name = "keyvault",
    .open = keyvault_open,
    .close = keyvault_close,
    .open_key = cm_keyvault_open_key,
    .close_key = keyvault_close_key,
    .create_key = cm_keyvault_make_key,
    .destroy_key = cm_keyvault_destroy_key,
    .sign = cm_keyvault_sign,
    .cancel = cm_keyvault_cancel,
    .pace = keyvault_pace,
};

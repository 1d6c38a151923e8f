#include "providers/backends.h"
#include "providers/blocking.h"
#include "providers/pkcs11/key.h"

#include <stdlib.h>

enum { BATCH_ITEMS_MAX = 1024, SESSIONS_MAX = 64, SESSIONS_AUTO = 16, BATCHES_MAX = 34 };

struct p11_provider {
    struct cm_blocking_provider head;
    struct cm_p11_access access;
    struct cm_p11_module *module; /* of the settings; may be NULL */
    uint32_t asked_count;         /* of sessions; 0: to be measured */

    pthread_mutex_t mutex; /* of the rest */
    struct cm_p11_token *tokens;
    uint32_t sessions_count; /* of workers that take part */
    bool measured;
};

/* ------------------------------------------------------------------ tokens -- */

/* The settings' module; where they name none, the URI's. */
static cm_status find_module(struct p11_provider *self, const struct cm_p11_uri *uri,
                             struct cm_p11_module **ret_module, struct cm_error *err)
{
    if (!self->module && uri->module_path[0] == '\0')
        return CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_SELF, 0,
                       "key %s: which PKCS#11 module? Name it in settings (module: /PATH) or with "
                       "module-path=",
                       uri->shown);
    /* Settings are the operator's; a reference must not bring in other code. */
    if (self->module && uri->module_path[0] && strcmp(self->module->path, uri->module_path) != 0)
        return CM_FAIL(err, CM_MISMATCH, CM_ORIGIN_SELF, 0,
                       "key %s: its module-path is not the module of settings, %s", uri->shown,
                       self->module->path);
    return cm_p11_module_ref(self->module ? self->module->path : uri->module_path, ret_module, err);
}

/* The object of the same URI, learnt or not; else a new one. Takes over the share of the module. */
static cm_status take_token(struct p11_provider *self, struct cm_p11_module *module,
                            const struct cm_p11_uri *uri, struct cm_p11_token **ret_token,
                            struct cm_error *err)
{
    struct cm_p11_token *token = self->tokens;
    while (token && (token->module != module || !cm_p11_token_is(token, uri)))
        token = token->next;
    cm_status status = token ? CM_OK : cm_p11_token_new(&self->access, module, uri, ret_token, err);
    if (token || status != CM_OK) {
        cm_p11_module_unref(module);
        if (token)
            *ret_token = token;
        return status;
    }
    (*ret_token)->next = self->tokens;
    self->tokens = *ret_token;
    return CM_OK;
}

/* Another URI may have named the same token before: then that one's object is it. */
static struct cm_p11_token *merge(struct p11_provider *self, struct cm_p11_token *token)
{
    struct cm_p11_token *other = self->tokens, **at = &self->tokens;
    while (other && (other == token || !cm_p11_token_same(other, token)))
        other = other->next;
    if (!other)
        return token;
    while (*at != token)
        at = &(*at)->next;
    *at = token->next;
    cm_p11_token_free(token);
    return other;
}

static cm_status find_token(struct p11_provider *self, const struct cm_p11_uri *uri,
                            struct cm_p11_token **ret_token, struct cm_error *err)
{
    struct cm_p11_module *module;
    struct cm_p11_token *token;
    cm_status status = find_module(self, uri, &module, err);
    if (status != CM_OK)
        return status;
    pthread_mutex_lock(&self->mutex); /* { */
    status = take_token(self, module, uri, &token, err);
    if (status == CM_OK && !token->known) { /* so that nobody has it yet */
        status = cm_p11_token_learn(token, err);
        if (status == CM_OK)
            token = merge(self, token);
    }
    pthread_mutex_unlock(&self->mutex); /* } */
    if (status == CM_OK)
        *ret_token = token;
    return status;
}

/* ------------------------------------------------------------------ sessions -- */

/* The first key's token is measured; a token with fewer sessions than workers lowers the number. */
static void settle_sessions(struct p11_provider *self, struct cm_p11_key *key, struct cm_error *err)
{
    struct cm_p11_token *token = key->token;
    pthread_mutex_lock(&self->mutex); /* { */
    uint32_t before = self->sessions_count;
    if (self->asked_count == 0 && !self->measured) {
        before = self->sessions_count = cm_p11_measure_sessions(key);
        cm_p11_token_trim(token, self->sessions_count);
    }
    self->measured = true;
    uint32_t allowed = atomic_load(&token->sessions_count);
    if (allowed < self->sessions_count)
        self->sessions_count = allowed;
    cm_blocking_limit(self->head.blocking, self->sessions_count);
    pthread_mutex_unlock(&self->mutex); /* } */
    if (allowed < before)
        CM_FAIL(err, CM_OK, CM_ORIGIN_SELF, 0,
                "token %s allows %u sessions, %u were asked for: %u signatures are made at a time",
                token->label, allowed, before, allowed);
}

/* ------------------------------------------------------------------ on workers -- */

static cm_status open_uri(struct p11_provider *self, uint32_t worker_index,
                          struct cm_p11_token *token, const struct cm_p11_uri *uri,
                          enum cm_sigalg alg, struct cm_key **ret_key, struct cm_error *err)
{
    struct cm_p11_key *key;
    cm_status status = cm_p11_key_open(token, uri, alg, worker_index, &key, err);
    if (status != CM_OK)
        return status;
    settle_sessions(self, key, err);
    *ret_key = &key->key;
    return CM_OK;
}

static cm_status find_place(struct p11_provider *self, const char *reference,
                            struct cm_p11_uri *uri, struct cm_p11_token **ret_token,
                            struct cm_error *err)
{
    cm_status status = cm_p11_uri_parse(cm_bytes_str(reference), uri, err);
    return status == CM_OK ? find_token(self, uri, ret_token, err) : status;
}

static cm_status open_key_here(void *state, uint32_t worker_index, const char *reference,
                               enum cm_sigalg alg, struct cm_key **ret_key, struct cm_error *err)
{
    struct cm_p11_uri uri;
    struct cm_p11_token *token;
    cm_status status = find_place(state, reference, &uri, &token, err);
    return status == CM_OK ? open_uri(state, worker_index, token, &uri, alg, ret_key, err) : status;
}

static cm_status create_key_here(void *state, uint32_t worker_index, const char *reference,
                                 const struct cm_key_spec *spec, enum cm_sigalg alg,
                                 struct cm_key **ret_key, struct cm_error *err)
{
    struct cm_p11_uri uri;
    struct cm_p11_token *token;
    if (alg != CM_SIGALG_UNKNOWN && !cm_sigalg_fits(alg, spec->type))
        return CM_FAIL(err, CM_MISMATCH, CM_ORIGIN_SELF, 0, "a %s key cannot sign with %s",
                       cm_key_type_name(spec->type), cm_sigalg_name(alg));
    cm_status status = find_place(state, reference, &uri, &token, err);
    if (status == CM_OK)
        status = cm_p11_key_make(token, &uri, spec, worker_index, err);
    if (status != CM_OK)
        return status;
    status = open_uri(state, worker_index, token, &uri, alg, ret_key, err);
    if (status != CM_OK)
        cm_p11_key_take_back(token, &uri, worker_index, err);
    return status;
}

static cm_status destroy_key_here(void *state, uint32_t worker_index, struct cm_key *key,
                                  struct cm_error *err)
{
    struct cm_p11_key *self = key->backend;
    struct cm_p11_uri uri;
    (void)state;
    pthread_mutex_lock(&self->mutex); /* { */
    cm_p11_key_names(self, &uri);
    memcpy(uri.object, self->uri.object, sizeof uri.object); /* the halves' labels may differ */
    pthread_mutex_unlock(&self->mutex);                      /* } */
    return cm_p11_key_destroy(self->token, &uri, worker_index, err);
}

static cm_status sign_one(void *state, uint32_t worker_index, struct cm_key *key,
                          struct cm_sign_item *item)
{
    (void)state;
    return cm_p11_key_sign(key->backend, worker_index, item->message, item->signature,
                           item->signature_space, &item->signature_size);
}

static const struct cm_blocking_ops blocking_ops = {
    .name = "cm-pkcs11",
    .key_open = open_key_here,
    .key_create = create_key_here,
    .key_destroy = destroy_key_here,
    .sign_one = sign_one,
};

/* ------------------------------------------------------------------ on the loop -- */

static void close_provider(struct cm_provider *provider)
{
    struct p11_provider *self = (struct p11_provider *)provider;
    cm_blocking_free(self->head.blocking);
    while (self->tokens) {
        struct cm_p11_token *token = self->tokens;
        self->tokens = token->next;
        cm_p11_token_free(token);
    }
    cm_p11_module_unref(self->module);
    pthread_mutex_destroy(&self->access.mutex);
    pthread_mutex_destroy(&self->mutex);
    cm_passphrase_close(&self->access.passphrase);
    free(self);
}

static cm_status check_settings(const struct cm_provider_settings *settings, struct cm_error *err)
{
    if (settings->workers_count > SESSIONS_MAX)
        return CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_SELF, 0,
                       "the pkcs11 provider has %d sessions at most, %u are asked for",
                       SESSIONS_MAX, settings->workers_count);
    if (settings->options && settings->options[0] != '\0')
        return CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_SELF, 0,
                       "the pkcs11 provider takes no options");
    return cm_provider_check_passphrase(settings, err);
}

static void init(struct p11_provider *self, const struct cm_provider_settings *settings)
{
    uint32_t count = settings->workers_count ? settings->workers_count : SESSIONS_AUTO;
    uint32_t batches = 2 + 2 * count;
    pthread_mutex_init(&self->mutex, NULL);
    pthread_mutex_init(&self->access.mutex, NULL);
    self->asked_count = settings->workers_count;
    self->sessions_count = count;
    self->access.workers_count = count;
    self->head.provider.caps = (struct cm_provider_caps){
        .batch_items_max = BATCH_ITEMS_MAX,
        .batches_in_flight = batches < BATCHES_MAX ? batches : BATCHES_MAX,
        .blocks = true,
    };
}

static cm_status start(struct p11_provider *self, struct cm_loop *loop,
                       const struct cm_provider_settings *settings, struct cm_error *err)
{
    cm_status status = cm_passphrase_open(&self->access.passphrase, settings, err);
    if (status == CM_OK && settings->module && settings->module[0] != '\0')
        status = cm_p11_module_ref(settings->module, &self->module, err);
    if (status == CM_OK)
        status = cm_blocking_new(&self->head.provider, loop, self->access.workers_count,
                                 &blocking_ops, self, &self->head.blocking, err);
    /* One worker, until the first key has told how many sessions its token takes. */
    if (status == CM_OK)
        cm_blocking_limit(self->head.blocking, 1);
    return status;
}

static cm_status open_provider(struct cm_loop *loop, const struct cm_provider_settings *settings,
                               struct cm_provider **ret_provider, struct cm_error *err)
{
    cm_status status = check_settings(settings, err);
    if (status != CM_OK)
        return status;
    struct p11_provider *self = calloc(1, sizeof *self);
    if (!self)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for a provider");
    init(self, settings);
    status = start(self, loop, settings, err);
    if (status != CM_OK) {
        close_provider(&self->head.provider);
        return status;
    }
    *ret_provider = &self->head.provider;
    return CM_OK;
}

static void close_key(struct cm_key *key)
{
    cm_p11_key_free(key->backend);
}

const struct cm_provider_ops cm_provider_pkcs11 = {
    .name = "pkcs11",
    .open = open_provider,
    .close = close_provider,
    .close_key = close_key,
    CM_BLOCKING_PROVIDER_OPS,
};

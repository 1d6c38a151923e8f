#include "tools/provider_session.h"

#include <stdio.h>

#include "engine/x509/certificate.h"
#include "providers/backends.h"
#include "providers/verify.h"

static void on_opened(cm_status status, struct cm_key *key, const struct cm_error *err, void *arg)
{
    struct cm_provider_session *session = arg;
    session->key = key;
    session->status = status;
    session->err = *err;
    cm_loop_stop(session->loop);
}

static void on_destroyed(cm_status status, const struct cm_error *err, void *arg)
{
    on_opened(status, NULL, err, arg);
}

static void on_signed(struct cm_sign_batch *batch, void *arg)
{
    struct cm_provider_session *session = arg;
    (void)batch;
    cm_loop_stop(session->loop);
}

static void on_drained(void *arg)
{
    struct cm_provider_session *session = arg;
    cm_loop_stop(session->loop);
}

static cm_status wait(struct cm_provider_session *session, struct cm_error *err)
{
    cm_loop_run(session->loop);
    if (session->status != CM_OK)
        *err = session->err;
    return session->status;
}

cm_status cm_provider_session_open(struct cm_provider_session *session,
                                   const struct cm_settings_provider *settings,
                                   struct cm_error *err)
{
    const struct cm_provider_ops *ops = cm_provider_find(settings->kind);
    const struct cm_provider_settings instance = { .name = settings->name,
                                                   .folder = settings->keys,
                                                   .passphrase_ref = settings->passphrase,
                                                   .module = settings->module,
                                                   .options = settings->options,
                                                   .workers_count = settings->workers };
    *session = (struct cm_provider_session){ 0 };
    if (!ops)
        return CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_SELF, 0,
                       "this build has no provider of the kind %s", settings->kind);
    cm_status status = cm_loop_new(&session->loop, err);
    if (status == CM_OK)
        status = cm_provider_open(ops, session->loop, &instance, &session->provider, err);
    return status;
}

cm_status cm_provider_session_open_single(struct cm_provider_session *session,
                                          const struct cm_settings_provider *settings,
                                          struct cm_error *err)
{
    struct cm_settings_provider single = *settings;
    single.workers = 1;
    return cm_provider_session_open(session, &single, err);
}

cm_status cm_provider_session_open_key(struct cm_provider_session *session, const char *reference,
                                       enum cm_sigalg alg, struct cm_key **ret_key,
                                       struct cm_error *err)
{
    cm_provider_open_key(session->provider, reference, alg, on_opened, session);
    cm_status status = wait(session, err);
    if (status == CM_OK)
        *ret_key = session->key;
    return status;
}

cm_status cm_provider_session_create_key(struct cm_provider_session *session, const char *reference,
                                         const struct cm_key_spec *spec, struct cm_key **ret_key,
                                         struct cm_error *err)
{
    cm_provider_create_key(session->provider, reference, spec, CM_SIGALG_UNKNOWN, on_opened,
                           session);
    cm_status status = wait(session, err);
    if (status == CM_OK)
        *ret_key = session->key;
    return status;
}

cm_status cm_provider_session_destroy_key(struct cm_provider_session *session, struct cm_key *key,
                                          struct cm_error *err)
{
    cm_provider_destroy_key(key, on_destroyed, session);
    return wait(session, err);
}

void cm_provider_session_say_left(const char *reference, const struct cm_error *err, char *ret_text)
{
    snprintf(ret_text, CM_LEFT_TEXT_SIZE,
             "the key %s is left there: %s; remove it with its store's own tools", reference,
             err->text);
}

cm_status cm_provider_session_take_back(struct cm_provider_session *session, struct cm_key *key,
                                        const char *reference, char *ret_text)
{
    struct cm_error err = { 0 };
    cm_status status = CM_OK;
    if (!key)
        status = cm_provider_session_open_key(session, reference, CM_SIGALG_UNKNOWN, &key, &err);
    if (status == CM_OK)
        status = cm_provider_session_destroy_key(session, key, &err);
    if (status == CM_OK)
        return CM_OK;
    if (key)
        cm_provider_close_key(key);
    cm_provider_session_say_left(reference, &err, ret_text);
    return status;
}

cm_status cm_provider_session_sign(struct cm_provider_session *session, struct cm_key *key,
                                   struct cm_bytes message, uint8_t *ret_signature,
                                   size_t *ret_size, struct cm_error *err)
{
    struct cm_sign_item item = { .message = message,
                                 .signature = ret_signature,
                                 .signature_space = CM_SIGNATURE_SIZE_MAX };
    struct cm_sign_batch batch = { .key = key,
                                   .lane = CM_LANE_CEREMONY,
                                   .items = &item,
                                   .items_count = 1,
                                   .done = on_signed,
                                   .done_arg = session };
    cm_status status = cm_provider_sign(session->provider, &batch, err);
    if (status != CM_OK)
        return status;
    cm_loop_run(session->loop);
    if (item.status != CM_OK)
        return CM_FAIL(err, item.status, CM_ORIGIN_SELF, 0, "the provider could not sign: %s",
                       cm_status_text(item.status));
    *ret_size = item.signature_size;
    return CM_OK;
}

cm_status cm_provider_session_certify(struct cm_provider_session *session, struct cm_key *key,
                                      struct cm_bytes tbs, struct cm_arena *arena,
                                      struct cm_bytes *ret_der, struct cm_error *err)
{
    uint8_t octets[CM_SIGNATURE_SIZE_MAX];
    size_t size = 0;
    cm_status status = cm_provider_session_sign(session, key, tbs, octets, &size, err);
    if (status != CM_OK)
        return status;
    const struct cm_bytes signature = cm_bytes(octets, size);
    if (!cm_spki_verify(key->spki, key->alg, tbs, signature))
        return CM_FAIL(err, CM_CORRUPT, CM_ORIGIN_SELF, 0,
                       "the signature on the certificate does not verify");
    *ret_der = cm_certificate_assemble(tbs, key->alg, signature, arena);
    return CM_OK;
}

void cm_provider_session_close(struct cm_provider_session *session)
{
    if (session->provider) {
        cm_provider_drain(session->provider, on_drained, session);
        cm_loop_run(session->loop);
        cm_provider_close(session->provider);
    }
    cm_loop_free(session->loop);
    *session = (struct cm_provider_session){ 0 };
}

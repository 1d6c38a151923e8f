#include "tools/ca_signer.h"

#include <stdlib.h>

#include "engine/fixing.h"
#include "tools/generations.h"

#define TEXT_OF(bytes) (int)(bytes).size, (const char *)(bytes).data

static cm_status open_key(struct cm_ca_signer *signer, const struct cm_settings_provider *provider,
                          struct cm_arena *arena, struct cm_error *err)
{
    const struct cm_generation *generation = signer->generation;
    const char *reference = cm_arena_printf(arena, "%.*s", TEXT_OF(generation->key));
    cm_status status = cm_provider_session_open_single(&signer->session, provider, err);
    if (status == CM_OK)
        status = cm_provider_session_open_key(&signer->session, reference, CM_SIGALG_UNKNOWN,
                                              &signer->key, err);
    if (status == CM_OK && !cm_bytes_equal(signer->key->spki, signer->certificate.spki))
        status = CM_FAIL(err, CM_MISMATCH, CM_ORIGIN_SELF, 0,
                         "the key %s is not the one in the certificate of %s", reference,
                         cm_generation_name(arena, generation));
    return status;
}

cm_status cm_ca_signer_open(struct cm_ca_signer *signer, const struct cm_settings *settings,
                            const struct cm_generation *generation, struct cm_arena *arena,
                            struct cm_error *err)
{
    const char *name = cm_arena_printf(arena, "%.*s", TEXT_OF(generation->provider));
    const struct cm_settings_provider *provider = cm_settings_provider(settings, name);
    *signer = (struct cm_ca_signer){ .generation = generation };
    if (!provider)
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0, "the settings have no provider %s",
                       name);
    cm_status status = cm_certificate_read(generation->certificate, &signer->certificate, err);
    if (status == CM_OK)
        status = cm_issuer_from_certificate(&signer->certificate, &signer->issuer, err);
    return status == CM_OK ? open_key(signer, provider, arena, err) : status;
}

/* ------------------------------------------------------------------------------------ URLs -- */

struct fixed {
    struct cm_loop *loop;
    bool is_done;
    cm_status status;
    struct cm_error err;
};

static void on_fixed(cm_status status, const struct cm_error *err, void *arg)
{
    struct fixed *fixed = arg;
    fixed->is_done = true;
    fixed->status = status;
    fixed->err = *err;
    if (fixed->loop)
        cm_loop_stop(fixed->loop);
}

/* Done at once, where there is nothing to write down. */
static cm_status wait_fixed(struct cm_fixing *fixing, struct cm_loop *loop, struct cm_error *err)
{
    struct fixed fixed = { 0 };
    cm_fixing_begin(fixing, on_fixed, &fixed);
    if (!fixed.is_done) {
        fixed.loop = loop;
        cm_loop_run(loop);
    }
    if (fixed.status != CM_OK)
        *err = fixed.err;
    return fixed.status;
}

static const char *keep(char *url, struct cm_arena *arena)
{
    const char *kept = url ? cm_arena_printf(arena, "%s", url) : NULL;
    free(url);
    return kept;
}

cm_status cm_ca_signer_fill_urls(struct cm_ca_signer *signer, const struct cm_settings *settings,
                                 struct cm_loop *loop, struct cm_store *store,
                                 struct cm_arena *arena, struct cm_error *err)
{
    const struct cm_generation *generation = signer->generation;
    const struct cm_settings_authority *authority = cm_settings_authority(
        settings, cm_arena_printf(arena, "%.*s", TEXT_OF(generation->authority)));
    const char *name = cm_generation_name(arena, generation);
    struct cm_fixed fixed;
    if (!authority)
        return CM_OK;
    struct cm_fixing *fixing = cm_fixing_new(store);
    cm_fixing_look(fixing, generation, name, authority, &fixed);
    cm_status status = wait_fixed(fixing, loop, err);
    cm_fixing_free(fixing);
    signer->issuer.crl_shards = fixed.crl_shards;
    signer->issuer.crl_url = keep(fixed.crl_url, arena);
    signer->issuer.ocsp_url = keep(cm_fill_issuer_url(authority->ocsp_url, name), arena);
    signer->issuer.ca_issuers_url =
        keep(cm_fill_issuer_url(authority->ca_issuers_url, name), arena);
    return status;
}

cm_status cm_ca_signer_open_issuer(struct cm_ca_signer *signer, struct cm_ca_record *record,
                                   const struct cm_generation *generation, struct cm_error *err)
{
    struct cm_deployment *deployment = &record->deployment;
    bool is_ours = !record->client; /* else the engine has fixed what it serves */
    cm_status status =
        cm_ca_signer_open(signer, deployment->settings, generation, &deployment->arena, err);
    if (status != CM_OK)
        return status;
    signer->issuer.sigalg = signer->key->alg;
    return cm_ca_signer_fill_urls(signer, deployment->settings, is_ours ? deployment->loop : NULL,
                                  is_ours ? deployment->store : NULL, &deployment->arena, err);
}

void cm_ca_signer_close(struct cm_ca_signer *signer)
{
    if (signer->key)
        cm_provider_close_key(signer->key);
    signer->key = NULL;
    cm_provider_session_close(&signer->session);
}

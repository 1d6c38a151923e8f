/*
 * Signers: the provider instances of the settings, each in a process of its own. The engine never
 * opens a key store itself, unless the settings say so for debugging.
 */
#include "engine/internal.h"

#include <stdlib.h>

#include "providers/backends.h"
#include "providers/host.h"

/* Down, up again, a key that is another one, a message below the floor: the operator sees it. */
static void on_told(struct cm_provider *provider, enum cm_provider_event event, const char *text,
                    void *arg)
{
    (void)provider;
    (void)event;
    cm_engine_notice(arg, "%s", text);
}

static cm_status open_signer(struct cm_engine *engine, uint32_t position, struct cm_error *err)
{
    const struct cm_settings_provider *from = &engine->settings->providers[position];
    const struct cm_host_settings host = { .kind = from->kind,
                                           .program = engine->options.signer_program,
                                           .call_deadline_ms = from->call_deadline_ms };
    const struct cm_provider_settings to = { .name = from->name,
                                             .folder = from->keys,
                                             .passphrase_ref = from->passphrase,
                                             .module = from->module,
                                             .options = from->options,
                                             .workers_count = from->workers,
                                             .host = &host };
    const struct cm_provider_ops *ops = cm_provider_find(from->kind);
    if (!ops)
        return CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_SELF, 0,
                       "provider %s: this build has no kind %s", from->name, from->kind);
    if (!engine->settings->engine.signs_inline)
        ops = &cm_provider_hosted;
    cm_status status = cm_provider_open(ops, engine->loop, &to, &engine->providers[position], err);
    if (status == CM_OK)
        cm_provider_watch(engine->providers[position], on_told, engine);
    return status;
}

cm_status cm_engine_open_signers(struct cm_engine *engine, struct cm_error *err)
{
    uint32_t count = engine->settings->providers_count;
    engine->providers = calloc(count, sizeof(struct cm_provider *));
    if (!engine->providers)
        abort();
    for (uint32_t i = 0; i < count; i++) {
        cm_status status = open_signer(engine, i, err);
        if (status != CM_OK)
            return status;
    }
    return CM_OK;
}

const struct cm_provider *cm_engine_provider(const struct cm_engine *engine, uint32_t position)
{
    return position < engine->settings->providers_count ? engine->providers[position] : NULL;
}

/* Listen: operators' programs reach the engine while it serves. */
#include "engine/internal.h"

#include <jansson.h>

static void fill_status(json_t *object, void *arg)
{
    const struct cm_engine *engine = arg;
    const struct cm_engine_counters *counters = &engine->counters;
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        { "issued", counters->issued },         { "refused", counters->refused },
        { "failed", counters->failed },         { "repeated", counters->repeated },
        { "given_back", counters->given_back }, { "batches", counters->batches },
        { "in_flight", counters->in_flight },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        json_object_set_new(object, rows[i].name, json_integer((json_int_t)rows[i].value));
}

static void on_notice(const char *text, void *arg)
{
    cm_engine_notice(arg, "%s", text);
}

static void on_idle(void *arg)
{
    cm_engine_look_around(arg);
}

void cm_engine_listen(struct cm_engine *engine)
{
    const struct cm_control_env env = { .loop = engine->loop,
                                        .settings = engine->settings,
                                        .store = engine->store,
                                        .fill_status = fill_status,
                                        .on_notice = on_notice,
                                        .on_idle = on_idle,
                                        .arg = engine };
    struct cm_error err;
    if (cm_control_open(&env, &engine->control, &err) != CM_OK)
        cm_engine_notice(engine, "no control socket, continuing without: %s", err.text);
}

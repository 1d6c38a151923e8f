#include "tools/deployment.h"

#include <string.h>

static cm_status open_reader(struct cm_deployment *deployment, struct cm_error *err)
{
    cm_status status = cm_store_reader_open(deployment->store, &deployment->reader, err);
    if (status != CM_OK)
        return status;
    return cm_store_reader_begin(deployment->reader, err);
}

/* A running engine owns the store; what it is doing cannot be done beside it. */
static cm_status explain_busy(struct cm_error *err)
{
    char text[CM_ERROR_TEXT_SIZE];
    snprintf(text, sizeof text, "%.170s; stop the engine first, or try again when it is done",
             err->text);
    return CM_FAIL(err, CM_BUSY, CM_ORIGIN_SELF, 0, "%s", text);
}

cm_status cm_deployment_open_store(struct cm_deployment *deployment, enum cm_deployment_use use,
                                   struct cm_error *err)
{
    struct cm_store_settings settings = { .path = deployment->settings->store_path,
                                          .read_only = use == CM_DEPLOYMENT_READ };
    if (use == CM_DEPLOYMENT_WRITE) {
        cm_status status = cm_loop_new(&deployment->loop, err);
        if (status != CM_OK)
            return status;
    }
    cm_status status =
        cm_store_open(&cm_store_sqlite, deployment->loop, &settings, &deployment->store, err);
    if (status == CM_BUSY)
        return explain_busy(err);
    if (status == CM_OK && use == CM_DEPLOYMENT_READ)
        status = open_reader(deployment, err);
    return status;
}

cm_status cm_deployment_open(struct cm_deployment *deployment, const struct cm_call *call,
                             enum cm_deployment_use use, struct cm_error *err)
{
    *deployment = (struct cm_deployment){ 0 };
    cm_arena_init(&deployment->arena, 65536);
    cm_status status = cm_settings_read(cm_call_value(call, "config"), &deployment->settings, err);
    if (status == CM_OK && use != CM_DEPLOYMENT_SETTINGS)
        status = cm_deployment_open_store(deployment, use, err);
    return status;
}

const char *cm_deployment_ocsp_url(const struct cm_settings *settings, struct cm_arena *arena)
{
    const char *listen = settings->status.listen;
    const char *port = listen ? strrchr(listen, ':') : NULL;
    return port && strcmp(port, ":0") != 0 ? cm_arena_printf(arena, "http://%s/ocsp", listen)
                                           : NULL;
}

void cm_deployment_close(struct cm_deployment *deployment)
{
    if (deployment->reader)
        cm_store_reader_end(deployment->reader);
    cm_store_reader_close(deployment->reader);
    cm_store_close(deployment->store);
    cm_loop_free(deployment->loop);
    cm_settings_free(deployment->settings);
    cm_arena_done(&deployment->arena);
}

int cm_deployment_run(const struct cm_call *call, enum cm_deployment_use use,
                      cm_deployment_do_fn *does)
{
    struct cm_deployment deployment;
    struct cm_error err = { 0 };
    cm_status status = cm_deployment_open(&deployment, call, use, &err);
    if (status == CM_OK)
        status = does(call, &deployment, &err);
    cm_deployment_close(&deployment);
    return status == CM_OK ? CM_EXIT_DONE : cm_call_fail(call, "%s", err.text);
}

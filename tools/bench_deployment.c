#include "tools/bench.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/settings/settings.h"
#include "engine/store/store.h"
#include "tools/commands.h"
#include "tools/inner_call.h"

enum { ROWS_PER_CHANGE = 10000 };

/* What init leaves to its defaults. */
static cm_status append_settings(const struct cm_bench_plan *plan, const char *path,
                                 struct cm_error *err)
{
    FILE *file = fopen(path, "a");
    if (!file)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "%s", path);
    fprintf(file, "\nengine:\n  check-signatures: %" PRIu32 "\n  signers: %s\n",
            plan->check_signatures, plan->signers);
    return fclose(file) == 0 ? CM_OK : CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "%s", path);
}

static cm_status allow_some(struct cm_store *store, struct cm_device_row *rows,
                            char (*ids)[CM_FLEET_ID_SIZE], uint32_t from, uint32_t count,
                            struct cm_error *err)
{
    static const struct cm_audit_event audit = { .kind = "device-import",
                                                 .actor = { (const uint8_t *)"bench", 5 },
                                                 .detail = { (const uint8_t *)"{}", 2 } };
    for (uint32_t i = 0; i < count; i++) {
        cm_fleet_device_id(from + i, ids[i]);
        rows[i] = (struct cm_device_row){ .id = cm_bytes_str(ids[i]),
                                          .group = cm_bytes_str("default"),
                                          .state = CM_DEVICE_ALLOWED };
    }
    struct cm_store_op op = {
        .kind = CM_STORE_DEVICES, .devices = rows, .devices_count = count, .audit = &audit
    };
    return cm_store_apply(store, &op, err);
}

static cm_status allow_devices(struct cm_store *store, uint32_t devices_count, struct cm_error *err)
{
    struct cm_device_row *rows = calloc(ROWS_PER_CHANGE, sizeof *rows);
    char(*ids)[CM_FLEET_ID_SIZE] = calloc(ROWS_PER_CHANGE, sizeof *ids);
    cm_status status = CM_OK;
    if (!rows || !ids)
        abort();
    for (uint32_t from = 0; from < devices_count && status == CM_OK; from += ROWS_PER_CHANGE) {
        uint32_t left = devices_count - from;
        status = allow_some(store, rows, ids, from, left < ROWS_PER_CHANGE ? left : ROWS_PER_CHANGE,
                            err);
    }
    free(rows);
    free(ids);
    return status;
}

static cm_status import_devices(const struct cm_bench_plan *plan, const char *path,
                                struct cm_error *err)
{
    struct cm_settings *settings = NULL;
    struct cm_loop *loop = NULL;
    struct cm_store *store = NULL;
    cm_status status = cm_settings_read(path, &settings, err);
    if (status == CM_OK)
        status = cm_loop_new(&loop, err);
    if (status == CM_OK) {
        const struct cm_store_settings store_settings = { .path = settings->store_path };
        status = cm_store_open(&cm_store_sqlite, loop, &store_settings, &store, err);
    }
    if (status == CM_OK)
        status = allow_devices(store, plan->devices_count, err);
    cm_store_close(store);
    cm_loop_free(loop);
    cm_settings_free(settings);
    return status;
}

static cm_status init(const struct cm_bench_plan *plan, struct cm_private_token *token,
                      struct cm_error *err)
{
    const char *arguments[20] = {
        plan->folder, "--quiet",    "--organization", "Bench",
        "--key-type", plan->ca_key, "--base-url",     "http://pki.example"
    };
    if (strcmp(plan->provider, "pkcs11") == 0) {
        cm_status status = cm_private_token_make(token, plan->folder, err);
        if (status != CM_OK)
            return status;
        const char *const more[] = { "--provider",  "pkcs11",  "--module",
                                     token->module, "--token", CM_PRIVATE_TOKEN_URI,
                                     "--pin",       token->pin };
        memcpy(arguments + 8, more, sizeof more);
    }
    if (cm_inner_call(&cm_command_init, arguments) != CM_EXIT_DONE)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_SELF, 0, "no deployment could be made in %s",
                       plan->folder);
    return CM_OK;
}

cm_status cm_bench_deploy(const struct cm_bench_plan *plan, struct cm_private_token *ret_token,
                          struct cm_error *err)
{
    char path[4200];
    cm_status status = init(plan, ret_token, err);
    snprintf(path, sizeof path, "%s/certmill.yaml", plan->folder);
    if (status == CM_OK)
        status = append_settings(plan, path, err);
    if (status == CM_OK)
        status = import_devices(plan, path, err);
    return status;
}

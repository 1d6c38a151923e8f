#include "tools/bench/bench.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/loop.h"
#include "tools/commands.h"
#include "tools/inner_call.h"
#include "tools/submit.h"

enum { ROWS_PER_CHANGE = 10000, SETTINGS_SIZE_MAX = 1 << 20 };

/* --- the settings -------------------------------------------------------------------------------- */

/* What init leaves to its defaults. */
static cm_status append_settings(const struct cm_bench_plan *plan, const char *path,
                                 struct cm_error *err)
{
    FILE *file = fopen(path, "a");
    if (!file)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "%s", path);
    fprintf(file, "\nengine:\n  check-signatures: %" PRIu32 "\n  multi-buffer: %s\n  signers: %s\n",
            plan->check_signatures, plan->multi_buffer, plan->signers);
    return fclose(file) == 0 ? CM_OK : CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "%s", path);
}

/* Into what init says of the requester. */
static cm_status group_results(const char *path, struct cm_error *err)
{
    static const char line[] = "  - name: local\n", more[] = "    results: grouped\n";
    uint8_t *text;
    size_t size;
    cm_status status = cm_file_read(path, SETTINGS_SIZE_MAX, &text, &size, err);
    if (status != CM_OK)
        return status;
    const char *at = strstr((const char *)text, line), *rest = at ? at + strlen(line) : NULL;
    char *joined = NULL;
    if (!at)
        status = CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0, "%s has no requester local", path);
    else if (asprintf(&joined, "%.*s%s%s", (int)(rest - (const char *)text), (const char *)text,
                      more, rest)
             < 0)
        abort();
    else
        status = cm_file_write(path, joined, strlen(joined), CM_FILE_LATER, err);
    free(joined);
    free(text);
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

/* Its provider instead of the scratch folder's, and a store that knows of no other. */
static void take_instance(struct cm_bench_deployment *deployment, const char *folder)
{
    struct cm_bench_instance *instance = &deployment->instance;
    struct cm_settings *settings = &deployment->settings;
    settings->providers = &instance->target.provider;
    settings->providers_count = 1;
    snprintf(deployment->store_path, sizeof deployment->store_path, "%s/store/instance.db", folder);
    settings->store_path = deployment->store_path;
    deployment->ca_type = instance->type;
    deployment->ca_bits = instance->type == CM_KEY_RSA ? instance->bits : 0;
}

static void take_ca_key(struct cm_bench_deployment *deployment, const char *ca_key)
{
    bool is_rsa = strncmp(ca_key, "rsa-", 4) == 0;
    deployment->ca_type = is_rsa ? CM_KEY_RSA : cm_key_type_find(ca_key);
    deployment->ca_bits = is_rsa ? (uint32_t)strtoul(ca_key + 4, NULL, 10) : 0;
}

/* --- the allow-list ------------------------------------------------------------------------------ */

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

/* --- the store ----------------------------------------------------------------------------------- */

static cm_status fill_store(const struct cm_bench_plan *plan,
                            const struct cm_bench_deployment *deployment, struct cm_error *err)
{
    const struct cm_bench_instance *instance = &deployment->instance;
    const struct cm_settings *settings = &deployment->settings;
    struct cm_loop *loop = NULL;
    struct cm_store *store = NULL;
    cm_status status = cm_loop_new(&loop, err);
    if (status == CM_OK) {
        const struct cm_store_settings store_settings = { .path = settings->store_path,
                                                          .create = instance->is_used };
        status = cm_store_open(&cm_store_sqlite, loop, &store_settings, &store, err);
    }
    if (status == CM_OK && instance->is_used)
        status = cm_bench_instance_record(instance, settings->authorities[0].name, store, err);
    if (status == CM_OK)
        status = allow_devices(store, plan->fleet.devices_count, err);
    cm_store_close(store);
    cm_loop_free(loop);
    return status;
}

cm_status cm_bench_deploy(const struct cm_bench_plan *plan,
                          struct cm_bench_deployment *ret_deployment, struct cm_error *err)
{
    struct cm_bench_deployment *deployment = ret_deployment;
    char path[4200];
    *deployment = (struct cm_bench_deployment){ .read = NULL };
    deployment->instance.is_used = cm_bench_instance_is_asked_for(plan->call);
    snprintf(path, sizeof path, "%s/certmill.yaml", plan->folder);
    cm_status status = init(plan, &deployment->token, err);
    if (status == CM_OK)
        status = append_settings(plan, path, err);
    if (status == CM_OK && strcmp(plan->results, "grouped") == 0)
        status = group_results(path, err);
    if (status == CM_OK)
        status = cm_settings_read(path, &deployment->read, err);
    if (status != CM_OK)
        return status;
    deployment->settings = *deployment->read;
    take_ca_key(deployment, plan->ca_key);
    if (deployment->instance.is_used) {
        status = cm_bench_instance_open(plan, &deployment->instance, err);
        if (status == CM_OK)
            take_instance(deployment, plan->folder);
    }
    return status == CM_OK ? fill_store(plan, deployment, err) : status;
}

void cm_bench_undeploy(struct cm_bench_deployment *deployment)
{
    cm_bench_instance_close(&deployment->instance);
    cm_settings_free(deployment->read);
    deployment->read = NULL;
}

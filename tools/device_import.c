/* certmill device import: devices onto the allow-list. */
#include <stdio.h>

#include "engine/store/device.h"
#include "tools/commands.h"
#include "tools/control_client.h"
#include "tools/deployment.h"
#include "tools/device_file.h"
#include "tools/operator.h"
#include "tools/progress.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static cm_status store_rows(struct cm_deployment *deployment, const struct cm_device_file *file,
                            bool replace, struct cm_imported_devices *ret_imported,
                            struct cm_error *err)
{
    struct cm_arena *arena = &deployment->arena;
    struct cm_audit_event audit = {
        .kind = "device-import",
        .actor = cm_bytes_str(cm_operator_name(arena)),
        .detail = cm_bytes_str(cm_arena_printf(arena, "{\"devices\":%u,\"replace\":%s}",
                                               file->count, replace ? "true" : "false")),
    };
    struct cm_store_op op = { .kind = CM_STORE_DEVICES,
                              .devices = file->rows,
                              .devices_count = file->count,
                              .audit = &audit };
    cm_status status = cm_device_hash_rows(file->rows, file->count, audit.digest, err);
    if (status == CM_OK)
        status = cm_store_apply(deployment->store, &op, err);
    if (status == CM_OK)
        *ret_imported = (struct cm_imported_devices){ .changed = op.devices_changed,
                                                      .state_kept = op.devices_kept };
    return status;
}

/* To the engine that writes the store. busy says which process that is. */
static cm_status send_rows(const struct cm_call *call, struct cm_deployment *deployment,
                           const struct cm_device_file *file,
                           struct cm_imported_devices *ret_imported, struct cm_error *busy)
{
    struct cm_control_client *client;
    struct cm_progress progress;
    cm_status status = cm_control_client_open_busy(deployment->settings->store_path, &client, busy);
    if (status != CM_OK)
        return status;
    cm_progress_start(&progress, "devices imported", file->count,
                      cm_call_flag(call, "json") || cm_call_flag(call, "quiet"));
    status = cm_control_client_import(client, cm_operator_name(&deployment->arena), file->rows,
                                      file->count, &progress, ret_imported, busy);
    cm_progress_end(&progress);
    cm_control_client_close(client);
    return status;
}

static cm_status apply_rows(const struct cm_call *call, struct cm_deployment *deployment,
                            const struct cm_device_file *file,
                            struct cm_imported_devices *ret_imported, struct cm_error *err)
{
    bool replace = cm_call_flag(call, "replace");
    for (uint32_t i = 0; i < file->count; i++)
        file->rows[i].replace = replace;
    /* Only now: nobody waits for the store while a file is read. */
    cm_status status = cm_deployment_open_store(deployment, CM_DEPLOYMENT_WRITE, err);
    if (status == CM_BUSY)
        return send_rows(call, deployment, file, ret_imported, err);
    if (status == CM_OK)
        status = store_rows(deployment, file, replace, ret_imported, err);
    return status;
}

static void say_imported(const struct cm_call *call, uint32_t read,
                         const struct cm_imported_devices *imported)
{
    uint32_t changed = imported->changed, kept = imported->state_kept;
    if (cm_call_flag(call, "json")) {
        printf("{\"read\":%u,\"imported\":%u,\"unchanged\":%u,\"state_kept\":%u}\n", read, changed,
               read - changed, kept);
        return;
    }
    if (cm_call_flag(call, "quiet"))
        return;
    printf("%u device%s read, %u imported, %u left as they were\n", read, read == 1 ? "" : "s",
           changed, read - changed);
    if (kept > 0)
        printf("%u of them stay quarantined or retired: `certmill device reinstate` ends that\n",
               kept);
}

static cm_status import(const struct cm_call *call, struct cm_deployment *deployment,
                        struct cm_error *err)
{
    struct cm_device_file file;
    struct cm_imported_devices imported = { 0 };
    cm_status status =
        cm_device_file_read(call->operands[0], deployment->settings, cm_call_value(call, "group"),
                            &deployment->arena, &file, err);
    if (status != CM_OK)
        return status;
    if (file.count > 0)
        status = apply_rows(call, deployment, &file, &imported, err);
    if (status == CM_OK)
        say_imported(call, file.count, &imported);
    cm_device_file_done(&file);
    return status;
}

static int run(const struct cm_call *call)
{
    return cm_deployment_run(call, CM_DEPLOYMENT_SETTINGS, import);
}

static const char *const paragraphs[] = {
    "Puts devices on the allow-list, from a file or from standard input (`-`): all of them, or none "
    "where a line is bad.",
    "CSV begins with a header. The column `device` has the id; `group`, which may be left out with "
    "`--group`, has the name of a group of the settings; every other column is an attribute, for "
    "use in profiles. An empty cell is no attribute.",
    "JSON lines hold one object each: `{\"device\":\"m-1\",\"group\":\"default\","
    "\"attributes\":{\"model\":\"M200\"}}`.",
    "A device that is on the list already is left as it is, unless `--replace` is given.",
    "Importing lets no device out of quarantine or retirement: its group and attributes are replaced, its state stays, and how many that were is said. `certmill device reinstate` lets it out.",
    "While `certmill serve` runs, the store is its own: the devices are then handed to it, through the socket `control.sock` beside the store's file, which is for its user and root. All are checked before the first is taken; a certificate can be had for a device as soon as the command is done. Should the engine stop halfway, the message says how many devices are on the list; do the same again.",
    NULL
};
static const struct cm_option options[] = {
    CM_OPTION_CONFIG,
    { .name = "group",
      .letter = 'g',
      .type = CM_OPTION_TEXT,
      .argument = "GROUP",
      .help = "Of devices whose line names none." },
    { .name = "replace",
      .type = CM_OPTION_FLAG,
      .help = "Overwrite the group and attributes of devices that are there; their state stays." },
    CM_OPTION_JSON,
    CM_OPTION_QUIET,
};
static const struct cm_example examples[] = {
    { "certmill device import --group default devices.csv", "A CSV file without a group column." },
    { "registry-export | certmill device import -", "JSON lines from another program." },
};

const struct cm_command cm_command_device_import = {
    .name = "device import",
    .operands = "FILE|-",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "put devices on the allow-list, from CSV or JSON lines",
    .paragraphs = paragraphs,
    .options = options,
    .options_count = COUNT(options),
    .examples = examples,
    .examples_count = COUNT(examples),
    .when_failed = "failed; nothing was imported, unless the message says how much",
    .run = run,
};

/* certmill device import, list, show: the allow-list. */
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "engine/store/device.h"
#include "tools/commands.h"
#include "tools/control_client.h"
#include "tools/deployment.h"
#include "tools/device_file.h"
#include "tools/operator.h"
#include "tools/progress.h"

#define COUNT(array)   (sizeof(array) / sizeof((array)[0]))
#define TEXT_OF(bytes) (int)(bytes).size, (const char *)(bytes).data

/* ---------------------------------------------------------------------------------- import -- */

static cm_status store_rows(struct cm_deployment *deployment, const struct cm_device_file *file,
                            bool replace, uint32_t *ret_changed, struct cm_error *err)
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
        *ret_changed = op.devices_changed;
    return status;
}

/* Which process has the store, and what to do, is said already; added is why it was not asked. */
static cm_status explain_silence(const struct cm_error *why, struct cm_error *busy)
{
    size_t size = strlen(busy->text);
    snprintf(busy->text + size, sizeof busy->text - size, " (%s)", why->text);
    return CM_BUSY;
}

/* To the engine that writes the store. busy says which process that is. */
static cm_status send_rows(const struct cm_call *call, struct cm_deployment *deployment,
                           const struct cm_device_file *file, uint32_t *ret_changed,
                           struct cm_error *busy)
{
    struct cm_control_client *client;
    struct cm_progress progress;
    struct cm_error err;
    cm_status status = cm_control_client_open(deployment->settings->store_path, &client, &err);
    if (status == CM_UNAVAILABLE)
        return explain_silence(&err, busy);
    cm_progress_start(&progress, "devices imported", file->count,
                      cm_call_flag(call, "json") || cm_call_flag(call, "quiet"));
    if (status == CM_OK)
        status = cm_control_client_import(client, cm_operator_name(&deployment->arena), file->rows,
                                          file->count, &progress, ret_changed, &err);
    cm_progress_end(&progress);
    cm_control_client_close(client);
    if (status != CM_OK)
        *busy = err;
    return status;
}

static cm_status apply_rows(const struct cm_call *call, struct cm_deployment *deployment,
                            const struct cm_device_file *file, uint32_t *ret_changed,
                            struct cm_error *err)
{
    bool replace = cm_call_flag(call, "replace");
    for (uint32_t i = 0; i < file->count; i++)
        file->rows[i].replace = replace;
    /* Only now: nobody waits for the store while a file is read. */
    cm_status status = cm_deployment_open_store(deployment, CM_DEPLOYMENT_WRITE, err);
    if (status == CM_BUSY)
        return send_rows(call, deployment, file, ret_changed, err);
    if (status == CM_OK)
        status = store_rows(deployment, file, replace, ret_changed, err);
    return status;
}

static void say_imported(const struct cm_call *call, uint32_t read, uint32_t changed)
{
    if (cm_call_flag(call, "json"))
        printf("{\"read\":%u,\"imported\":%u,\"unchanged\":%u}\n", read, changed, read - changed);
    else if (!cm_call_flag(call, "quiet"))
        printf("%u device%s read, %u imported, %u left as they were\n", read, read == 1 ? "" : "s",
               changed, read - changed);
}

static cm_status import(const struct cm_call *call, struct cm_deployment *deployment,
                        struct cm_error *err)
{
    struct cm_device_file file;
    uint32_t changed = 0;
    cm_status status =
        cm_device_file_read(call->operands[0], deployment->settings, cm_call_value(call, "group"),
                            &deployment->arena, &file, err);
    if (status != CM_OK)
        return status;
    if (file.count > 0)
        status = apply_rows(call, deployment, &file, &changed, err);
    if (status == CM_OK)
        say_imported(call, file.count, changed);
    cm_device_file_done(&file);
    return status;
}

static int run_import(const struct cm_call *call)
{
    struct cm_deployment deployment;
    struct cm_error err = { 0 };
    cm_status status = cm_deployment_open(&deployment, call, CM_DEPLOYMENT_SETTINGS, &err);
    if (status == CM_OK)
        status = import(call, &deployment, &err);
    cm_deployment_close(&deployment);
    return status == CM_OK ? CM_EXIT_DONE : cm_call_fail(call, "%s", err.text);
}

/* ------------------------------------------------------------------------------ list, show -- */

/* Takes the next pair off key NUL value NUL, repeated. False at the end. */
static bool next_attribute(struct cm_bytes *rest, const char **ret_key, const char **ret_value)
{
    if (rest->size == 0)
        return false;
    *ret_key = (const char *)rest->data;
    *ret_value = *ret_key + strlen(*ret_key) + 1;
    *rest = cm_bytes_from(*rest, strlen(*ret_key) + strlen(*ret_value) + 2);
    return true;
}

static json_t *to_json(const struct cm_device *device)
{
    json_t *attributes = json_object();
    struct cm_bytes rest = device->attributes;
    const char *key, *value;
    while (next_attribute(&rest, &key, &value))
        json_object_set_new(attributes, key, json_string(value));
    return json_pack("{s:s%, s:s%, s:s, s:o}", "device", device->id.data, device->id.size, "group",
                     device->group.data, device->group.size, "state",
                     cm_device_state_name(device->state), "attributes", attributes);
}

static void print_attributes(const struct cm_device *device, const char *before)
{
    struct cm_bytes rest = device->attributes;
    const char *key, *value;
    while (next_attribute(&rest, &key, &value))
        printf("%s%s=%s", before, key, value);
}

struct listing {
    bool json;
    uint64_t count;
};

static bool list_one(const struct cm_device *device, void *arg)
{
    struct listing *listing = arg;
    listing->count++;
    if (listing->json) {
        json_t *object = to_json(device);
        if (listing->count > 1)
            putchar(',');
        json_dumpf(object, stdout, JSON_COMPACT);
        json_decref(object);
        return true;
    }
    printf("%.*s\t%.*s\t%s", TEXT_OF(device->id), TEXT_OF(device->group),
           cm_device_state_name(device->state));
    print_attributes(device, "\t");
    putchar('\n');
    return !ferror(stdout);
}

static cm_status list(const struct cm_call *call, struct cm_deployment *deployment,
                      struct cm_error *err)
{
    struct listing listing = { .json = cm_call_flag(call, "json") };
    const char *group = cm_call_value(call, "group");
    if (listing.json)
        fputs("{\"devices\":[", stdout);
    cm_status status =
        cm_store_walk_devices(deployment->reader, group ? cm_bytes_str(group) : cm_bytes(NULL, 0),
                              list_one, &listing, err);
    if (listing.json)
        puts("]}");
    return status;
}

static int run_list(const struct cm_call *call)
{
    struct cm_deployment deployment;
    struct cm_error err = { 0 };
    const char *group = cm_call_value(call, "group");
    cm_status status = cm_deployment_open(&deployment, call, CM_DEPLOYMENT_READ, &err);
    if (status == CM_OK && group && !cm_settings_group(deployment.settings, cm_bytes_str(group)))
        status = CM_FAIL(&err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                         "there is no group \"%s\" in the settings", group);
    if (status == CM_OK)
        status = list(call, &deployment, &err);
    cm_deployment_close(&deployment);
    return status == CM_OK ? CM_EXIT_DONE : cm_call_fail(call, "%s", err.text);
}

static void print_device(const struct cm_call *call, const struct cm_device *device)
{
    if (cm_call_flag(call, "json")) {
        json_t *object = to_json(device);
        json_dumpf(object, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(object);
        return;
    }
    printf("device      %.*s\ngroup       %.*s\nstate       %s\nattributes ", TEXT_OF(device->id),
           TEXT_OF(device->group), cm_device_state_name(device->state));
    print_attributes(device, " ");
    putchar('\n');
}

static int run_show(const struct cm_call *call)
{
    struct cm_deployment deployment;
    struct cm_device device = { 0 };
    struct cm_error err = { 0 };
    cm_status status = cm_deployment_open(&deployment, call, CM_DEPLOYMENT_READ, &err);
    if (status == CM_OK)
        status = cm_store_find_device(deployment.reader, cm_bytes_str(call->operands[0]),
                                      &deployment.arena, &device, &err);
    if (status == CM_OK && device.number == 0)
        status = CM_FAIL(&err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                         "the device \"%s\" is not on the allow-list", call->operands[0]);
    if (status == CM_OK)
        print_device(call, &device);
    cm_deployment_close(&deployment);
    return status == CM_OK ? CM_EXIT_DONE : cm_call_fail(call, "%s", err.text);
}

/* ---------------------------------------------------------------------------- descriptions -- */

static const char *const import_paragraphs[] = {
    "Puts devices on the allow-list, from a file or from standard input (`-`): all of them, or none "
    "where a line is bad.",
    "CSV begins with a header. The column `device` has the id; `group`, which may be left out with "
    "`--group`, has the name of a group of the settings; every other column is an attribute, for "
    "use in profiles. An empty cell is no attribute.",
    "JSON lines hold one object each: `{\"device\":\"m-1\",\"group\":\"default\","
    "\"attributes\":{\"model\":\"M200\"}}`.",
    "A device that is on the list already is left as it is, unless `--replace` is given.",
    "While `certmill serve` runs, the store is its own: the devices are then handed to it, through the socket `control.sock` beside the store's file, which is for its user and root. All are checked before the first is taken; a certificate can be had for a device as soon as the command is done. Should the engine stop halfway, the message says how many devices are on the list; do the same again.",
    NULL
};
static const struct cm_option import_options[] = {
    CM_OPTION_CONFIG,
    { .name = "group",
      .letter = 'g',
      .type = CM_OPTION_TEXT,
      .argument = "GROUP",
      .help = "Of devices whose line names none." },
    { .name = "replace",
      .type = CM_OPTION_FLAG,
      .help = "Overwrite the group and attributes of devices that are there." },
    CM_OPTION_JSON,
    CM_OPTION_QUIET,
};
static const struct cm_example import_examples[] = {
    { "certmill device import --group default devices.csv", "A CSV file without a group column." },
    { "registry-export | certmill device import -", "JSON lines from another program." },
};

const struct cm_command cm_command_device_import = {
    .name = "device import",
    .operands = "FILE|-",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "put devices on the allow-list, from CSV or JSON lines",
    .paragraphs = import_paragraphs,
    .options = import_options,
    .options_count = COUNT(import_options),
    .examples = import_examples,
    .examples_count = COUNT(import_examples),
    .when_failed = "failed; nothing was imported, unless the message says how much",
    .run = run_import,
};

static const char *const list_paragraphs[] = {
    "Lists the devices on the allow-list, one a line: id, group, state and attributes, separated by "
    "tabs.",
    NULL
};
static const struct cm_option list_options[] = {
    CM_OPTION_CONFIG,
    { .name = "group",
      .letter = 'g',
      .type = CM_OPTION_TEXT,
      .argument = "GROUP",
      .help = "Only devices of this group." },
    CM_OPTION_JSON,
};
static const struct cm_example list_examples[] = {
    { "certmill device list --group default | wc -l", "How many devices a group has." },
};

const struct cm_command cm_command_device_list = {
    .name = "device list",
    .operands = "",
    .summary = "list the devices on the allow-list",
    .paragraphs = list_paragraphs,
    .options = list_options,
    .options_count = COUNT(list_options),
    .examples = list_examples,
    .examples_count = COUNT(list_examples),
    .run = run_list,
};

static const char *const show_paragraphs[] = { "Shows what the allow-list says about one device.",
                                               NULL };
static const struct cm_option show_options[] = { CM_OPTION_CONFIG, CM_OPTION_JSON };
static const struct cm_example show_examples[] = {
    { "certmill device show m-1 --json", "One device, for a program." },
};

const struct cm_command cm_command_device_show = {
    .name = "device show",
    .operands = "ID",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "show a device of the allow-list",
    .paragraphs = show_paragraphs,
    .options = show_options,
    .options_count = COUNT(show_options),
    .examples = show_examples,
    .examples_count = COUNT(show_examples),
    .when_failed = "the device is not on the list, or it could not be read",
    .run = run_show,
};

/* certmill device list, show: the allow-list. */
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "tools/commands.h"
#include "tools/deployment.h"
#include "tools/device_holders.h"

#define COUNT(array)   (sizeof(array) / sizeof((array)[0]))
#define TEXT_OF(bytes) (int)(bytes).size, (const char *)(bytes).data

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

static cm_status list_wanted(const struct cm_call *call, struct cm_deployment *deployment,
                             struct cm_error *err)
{
    const char *group = cm_call_value(call, "group");
    if (group && !cm_settings_group(deployment->settings, cm_bytes_str(group)))
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                       "there is no group \"%s\" in the settings", group);
    return cm_call_value(call, "generation") ? cm_device_list_holders(call, deployment, err)
                                             : list(call, deployment, err);
}

static int run_list(const struct cm_call *call)
{
    if (cm_call_value(call, "until") && !cm_call_value(call, "generation"))
        return cm_usage_fail("--until goes with --generation");
    return cm_deployment_run(call, CM_DEPLOYMENT_READ, list_wanted);
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

static cm_status show(const struct cm_call *call, struct cm_deployment *deployment,
                      struct cm_error *err)
{
    struct cm_device device = { 0 };
    cm_status status = cm_store_find_device(deployment->reader, cm_bytes_str(call->operands[0]),
                                            &deployment->arena, &device, err);
    if (status == CM_OK && device.number == 0)
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                       "the device \"%s\" is not on the allow-list", call->operands[0]);
    if (status == CM_OK)
        print_device(call, &device);
    return status;
}

static int run_show(const struct cm_call *call)
{
    return cm_deployment_run(call, CM_DEPLOYMENT_READ, show);
}

/* ---------------------------------------------------------------------------- descriptions -- */

static const char *const list_paragraphs[] = {
    "Lists the devices on the allow-list, one a line: id, group, state and attributes, separated by "
    "tabs.",
    "With `--generation` it lists the devices that hold a certificate of this generation that has neither ended "
    "nor been revoked, but for `cACompromise` or `superseded`, which a renewal makes good: id, group, state, serial number and end of the certificate, and whether the device has a "
    "newer one of an active key (`renewed`) or not (`to come`); how many they are stands on standard error. Of "
    "several certificates it is the last one. A running engine is not held up by it.",
    NULL
};
static const struct cm_option list_options[] = {
    CM_OPTION_CONFIG,
    { .name = "group",
      .letter = 'g',
      .type = CM_OPTION_TEXT,
      .argument = "GROUP",
      .help = "Only devices of this group." },
    { .name = "generation",
      .type = CM_OPTION_TEXT,
      .argument = "NAME-N",
      .help = "Only devices that hold a certificate of this generation, like `issuing-1`." },
    { .name = "until",
      .type = CM_OPTION_TEXT,
      .argument = "TIME",
      .help =
          "With `--generation`: only certificates that end before this time, like `2026-01-31`." },
    CM_OPTION_JSON,
};
static const struct cm_example list_examples[] = {
    { "certmill device list --group default | wc -l", "How many devices a group has." },
    { "certmill device list --generation issuing-1 --until 2026-07-01",
      "Whose certificates of a key end before July." },
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

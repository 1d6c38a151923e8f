#include "tools/device_holders.h"

#include <inttypes.h>
#include <stdio.h>

#include <jansson.h>

#include "tools/generations.h"
#include "tools/holders.h"
#include "tools/time_text.h"

#define TEXT_OF(bytes)  (int)(bytes).size, (const char *)(bytes).data
#define S_OR_NOT(count) ((count) == 1 ? "" : "s")

struct listing {
    bool json;
    int64_t end_s; /* only certificates that end before it; 0: all */
    uint64_t count, renewed;
};

static void print_json(const struct listing *listing, const struct cm_holder *holder,
                       const char *serial)
{
    json_t *object =
        json_pack("{s:s%, s:s%, s:s, s:s, s:I, s:b, s:b}", "device", holder->device.id.data,
                  holder->device.id.size, "group", holder->device.group.data,
                  holder->device.group.size, "state", cm_device_state_name(holder->device.state),
                  "serial", serial, "not_after", (json_int_t)holder->not_after_s, "revoked",
                  holder->is_revoked, "renewed", holder->renewed != 0);
    if (listing->count > 1)
        putchar(',');
    json_dumpf(object, stdout, JSON_COMPACT);
    json_decref(object);
}

static bool list_one(const struct cm_holder *holder, void *arg)
{
    struct listing *listing = arg;
    char serial[2 * CM_SERIAL_SIZE + 1], end[CM_TIME_TEXT_SIZE];
    if (listing->end_s > 0 && holder->not_after_s >= listing->end_s)
        return true;
    listing->count++;
    listing->renewed += holder->renewed != 0;
    cm_hex_encode(cm_serial_content(&holder->serial), serial);
    if (listing->json)
        print_json(listing, holder, serial);
    else
        printf("%.*s\t%.*s\t%s\t%s\t%s\t%s\n", TEXT_OF(holder->device.id),
               TEXT_OF(holder->device.group), cm_device_state_name(holder->device.state), serial,
               cm_time_write(holder->not_after_s, end), holder->renewed ? "renewed" : "to come");
    return !ferror(stdout);
}

static cm_status read_end(const struct cm_call *call, int64_t *ret_end_s, struct cm_error *err)
{
    const char *text = cm_call_value(call, "until");
    *ret_end_s = 0;
    if (text && !cm_time_read(text, ret_end_s))
        return CM_FAIL(err, CM_INVALID, CM_ORIGIN_SELF, 0,
                       "--until: expected a time like 2026-01-31T12:00:00Z, 2026-01-31 or Unix "
                       "seconds, found \"%.60s\"",
                       text);
    return CM_OK;
}

cm_status cm_device_list_holders(const struct cm_call *call, struct cm_deployment *deployment,
                                 struct cm_error *err)
{
    const char *group = cm_call_value(call, "group");
    struct listing listing = { .json = cm_call_flag(call, "json") };
    struct cm_generations generations;
    const struct cm_generation *generation = NULL;
    cm_status status = read_end(call, &listing.end_s, err);
    if (status == CM_OK)
        status = cm_generations_read(deployment->store, &deployment->arena, &generations, err);
    if (status == CM_OK)
        status =
            cm_generations_named(&generations, cm_call_value(call, "generation"), &generation, err);
    if (status != CM_OK)
        return status;
    const struct cm_holders holders = { .generation_number = generation->number,
                                        .until = INT64_MAX,
                                        .groups = group ? cm_bytes(group, strlen(group) + 1)
                                                        : cm_bytes(NULL, 0) };
    if (listing.json)
        fputs("{\"devices\":[", stdout);
    status = cm_holders_walk(deployment->store, &holders, list_one, &listing, err);
    if (listing.json)
        printf("],\"count\":%" PRIu64 ",\"renewed\":%" PRIu64 "}\n", listing.count,
               listing.renewed);
    else if (status == CM_OK)
        fprintf(stderr, "%" PRIu64 " device%s, %" PRIu64 " of them with a newer certificate\n",
                listing.count, S_OR_NOT(listing.count), listing.renewed);
    return status;
}

/* certmill campaign list, show: how renewal campaigns are getting on. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/control/control.h"
#include "tools/campaign.h"
#include "tools/commands.h"
#include "tools/control_client.h"
#include "tools/holders.h"
#include "tools/time_text.h"

#define COUNT(array)   (sizeof(array) / sizeof((array)[0]))
#define TEXT_OF(bytes) (int)(bytes).size, (const char *)(bytes).data

/* ---------------------------------------------------------------------------------------- list -- */

static bool add_row(const struct cm_campaign *campaign, void *arg)
{
    json_array_append_new(arg, cm_campaign_to_json(campaign, cm_clock_wall_s()));
    return true;
}

static int64_t number_of(const json_t *row, const char *key)
{
    return json_integer_value(json_object_get(row, key));
}

static const char *text_of(const json_t *row, const char *key)
{
    return json_string_value(json_object_get(row, key));
}

static void print_row(const json_t *row)
{
    char end[CM_TIME_TEXT_SIZE];
    printf("%s\t%s\t%s\t%" PRId64 " of %" PRId64 "\t%s\n", text_of(row, "name"),
           text_of(row, "generation"), text_of(row, "state"), number_of(row, "noticed"),
           number_of(row, "expected"), cm_time_write(number_of(row, "window_end_s"), end));
}

static int run_list(const struct cm_call *call)
{
    struct cm_deployment deployment;
    struct cm_error err = { 0 };
    json_t *rows = json_array();
    cm_status status = cm_deployment_open(&deployment, call, CM_DEPLOYMENT_READ, &err);
    if (status == CM_OK)
        status = cm_store_walk_campaigns(deployment.reader, add_row, rows, &err);
    cm_deployment_close(&deployment);
    if (status == CM_OK && cm_call_flag(call, "json"))
        cm_campaign_print_json(json_pack("{s:O}", "campaigns", rows));
    for (size_t i = 0; status == CM_OK && !cm_call_flag(call, "json") && i < json_array_size(rows);
         i++)
        print_row(json_array_get(rows, i));
    json_decref(rows);
    return status == CM_OK ? CM_EXIT_DONE : cm_call_fail(call, "%s", err.text);
}

/* ---------------------------------------------------------------------------------------- show -- */

struct look {
    const char *name;
    struct cm_arena *arena;
    struct cm_campaign found; /* number 0: none */
};

static bool keep_named(const struct cm_campaign *campaign, void *arg)
{
    struct look *look = arg;
    if (!cm_bytes_is(campaign->name, look->name))
        return true;
    look->found = *campaign;
    look->found.name = cm_arena_copy(look->arena, campaign->name);
    look->found.actor = cm_arena_copy(look->arena, campaign->actor);
    look->found.groups = cm_arena_copy(look->arena, campaign->groups);
    look->found.generation_name = cm_arena_copy(look->arena, campaign->generation_name);
    return false;
}

/* Whether an engine runs, and why its notices wait: in the arena; "": they do not. */
static void ask_engine(const struct cm_deployment *deployment, struct look *look, bool *ret_runs,
                       const char **ret_trouble)
{
    struct cm_control_client *client;
    struct cm_error ignored;
    json_t *answer = NULL, *row;
    size_t i;
    *ret_trouble = "";
    *ret_runs =
        cm_control_client_open(deployment->settings->store_path, &client, &ignored) == CM_OK;
    if (!*ret_runs)
        return;
    json_t *request = json_pack("{s:i, s:s}", "v", CM_CONTROL_VERSION, "op", "campaign-list");
    if (cm_control_client_call(client, request, &answer, &ignored) == CM_OK)
        json_array_foreach(json_object_get(answer, "campaigns"), i, row)
        {
            if (strcmp(text_of(row, "name"), look->name) == 0)
                *ret_trouble = cm_arena_printf(look->arena, "%s", text_of(row, "trouble"));
        }
    json_decref(answer);
    json_decref(request);
    cm_control_client_close(client);
}

static void print_groups(const json_t *groups)
{
    printf("groups      ");
    for (size_t i = 0; i < json_array_size(groups); i++)
        printf("%s%s", i > 0 ? ", " : "", json_string_value(json_array_get(groups, i)));
    puts(json_array_size(groups) == 0 ? "every one" : "");
}

static void print_sending(const json_t *row)
{
    char end[CM_TIME_TEXT_SIZE];
    printf("notices     %" PRId64 " sent, at most %" PRId64 " a second", number_of(row, "noticed"),
           number_of(row, "rate_per_s"));
    if (number_of(row, "ended_s") == 0)
        printf("; about %" PRId64 " to be sent", number_of(row, "remaining"));
    if (number_of(row, "sending_end_s") > 0)
        printf(", the last about %s", cm_time_write(number_of(row, "sending_end_s"), end));
    putchar('\n');
}

static void print_text(const json_t *row, bool engine_runs)
{
    char text[CM_TIME_TEXT_SIZE];
    const char *trouble = text_of(row, "trouble");
    printf("campaign    %s\ngeneration  %s\nstate       %s\n", text_of(row, "name"),
           text_of(row, "generation"), text_of(row, "state"));
    print_groups(json_object_get(row, "groups"));
    printf("started     %s by %s\n", cm_time_write(number_of(row, "started_s"), text),
           text_of(row, "actor"));
    printf("window      until %s\n", cm_time_write(number_of(row, "window_end_s"), text));
    print_sending(row);
    printf("devices     %" PRId64 " as it was started; %" PRId64 " have come since, %" PRId64
           " are still to come\n",
           number_of(row, "expected"), number_of(row, "renewed_since"), number_of(row, "to_come"));
    if (strcmp(text_of(row, "state"), "running") == 0 && !engine_runs)
        puts("engine      none runs: its notices wait for certmill serve");
    else if (trouble[0] != '\0')
        printf("engine      waits: %s\n", trouble);
}

static cm_status show(const struct cm_call *call, struct cm_deployment *deployment,
                      struct cm_error *err)
{
    struct look look = { .name = call->operands[0], .arena = &deployment->arena };
    struct cm_holders_count count;
    const char *trouble;
    bool engine_runs;
    cm_status status = cm_store_walk_campaigns(deployment->reader, keep_named, &look, err);
    if (status == CM_OK && look.found.number == 0)
        status =
            CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                    "there is no campaign %.80s; certmill campaign list shows them", look.name);
    const struct cm_holders holders = { .generation_number = look.found.generation_number,
                                        .until = look.found.until,
                                        .groups = look.found.groups };
    if (status == CM_OK)
        status = cm_holders_count(deployment->store, &holders, look.found.created_ms, &count, err);
    if (status != CM_OK)
        return status;
    ask_engine(deployment, &look, &engine_runs, &trouble);
    json_t *row = cm_campaign_to_json(&look.found, cm_clock_wall_s());
    json_object_set_new(row, "actor",
                        json_stringn((const char *)look.found.actor.data, look.found.actor.size));
    json_object_set_new(row, "renewed_since", json_integer(count.renewed_since));
    json_object_set_new(row, "to_come", json_integer(count.to_come));
    json_object_set_new(row, "engine", json_boolean(engine_runs));
    json_object_set_new(row, "trouble", json_string(trouble));
    if (cm_call_flag(call, "json")) {
        cm_campaign_print_json(row);
        return CM_OK;
    }
    print_text(row, engine_runs);
    json_decref(row);
    return CM_OK;
}

static int run_show(const struct cm_call *call)
{
    return cm_deployment_run(call, CM_DEPLOYMENT_READ, show);
}

/* -------------------------------------------------------------------------------- descriptions -- */

static const struct cm_option options[] = { CM_OPTION_CONFIG, CM_OPTION_JSON };

static const char *const list_paragraphs[] = {
    "Lists the renewal campaigns, one a line: name, generation, state, notices that were sent of those that "
    "were expected, and the end of the window, separated by tabs.",
    NULL
};
const struct cm_command cm_command_campaign_list = {
    .name = "campaign list",
    .operands = "",
    .summary = "list the renewal campaigns",
    .paragraphs = list_paragraphs,
    .options = options,
    .options_count = COUNT(options),
    .run = run_list,
};

static const char *const show_paragraphs[] = {
    "Shows how a campaign is getting on: notices that were sent and are to be sent, when the last one will be, "
    "how many of its devices have come since it was started, and how many still hold a certificate of the "
    "generation and no newer one.",
    "The devices are counted now, by a walk over the certificates in the store; with a million of them that "
    "takes a while. `certmill campaign list`, the status page and the metrics count as they go.",
    NULL
};
const struct cm_command cm_command_campaign_show = {
    .name = "campaign show",
    .operands = "NAME",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "show how a campaign is getting on",
    .paragraphs = show_paragraphs,
    .options = options,
    .options_count = COUNT(options),
    .when_failed = "there is no such campaign, or it could not be read",
    .run = run_show,
};

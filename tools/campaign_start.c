/* certmill campaign start: devices are asked to come for new certificates. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/settings/value.h"
#include "tools/campaign.h"
#include "tools/commands.h"
#include "tools/generations.h"
#include "tools/holders.h"

#define COUNT(array)    (sizeof(array) / sizeof((array)[0]))
#define S_OR_NOT(count) ((count) == 1 ? "" : "s")

struct start {
    const struct cm_call *call;
    json_t *request;
    struct cm_holders_count count;
    bool by_engine;
};

/* --------------------------------------------------------------------------- what is asked for -- */

/* "100/s" or "100". */
static bool read_rate(const char *text, json_int_t *ret_rate)
{
    size_t digits = strspn(text, "0123456789");
    *ret_rate = strtoll(text, NULL, 10);
    return digits > 0 && digits < 10 && (text[digits] == '\0' || strcmp(text + digits, "/s") == 0)
           && *ret_rate >= 1 && *ret_rate <= CM_CAMPAIGN_RATE_MAX;
}

static int plan(struct start *start)
{
    const struct cm_call *call = start->call;
    const char *window = cm_call_value(call, "window"), *rate = cm_call_value(call, "rate");
    uint64_t window_ms = 0;
    json_int_t rate_per_s = 0;
    if (!settings_duration_parse(window, &window_ms) || window_ms / 1000 < CM_CAMPAIGN_WINDOW_S_MIN
        || window_ms / 1000 > CM_CAMPAIGN_WINDOW_S_MAX)
        return cm_usage_fail("--window: expected a time from 1m to 366d, like 7d, found \"%.60s\"",
                             window);
    if (!read_rate(rate, &rate_per_s))
        return cm_usage_fail("--rate: expected 1/s to %d/s, found \"%.60s\"", CM_CAMPAIGN_RATE_MAX,
                             rate);
    json_t *groups = json_array();
    for (size_t i = 0; cm_call_value_at(call, "group", i); i++)
        json_array_append_new(groups, json_string(cm_call_value_at(call, "group", i)));
    start->request =
        json_pack("{s:s, s:s, s:s, s:I, s:I, s:o}", "op", "campaign-start", "name",
                  call->operands[0], "generation", cm_call_value(call, "generation"), "window",
                  (json_int_t)(window_ms / 1000), "rate", rate_per_s, "groups", groups);
    return start->request ? CM_EXIT_DONE : cm_usage_fail("names are UTF-8");
}

/* ---------------------------------------------------------------------------- whom it is about -- */

static cm_status count(struct start *start, struct cm_deployment *deployment, struct cm_error *err)
{
    struct cm_generations generations;
    const struct cm_generation *generation = NULL;
    struct cm_campaign_plan read;
    cm_status status =
        cm_campaign_plan_read(start->request, deployment->settings, cm_bytes_str("counted"),
                              &deployment->arena, &read, err);
    if (status == CM_OK)
        status = cm_generations_read(deployment->store, &deployment->arena, &generations, err);
    if (status == CM_OK)
        status = cm_generations_named(&generations, cm_call_value(start->call, "generation"),
                                      &generation, err);
    if (status != CM_OK)
        return status;
    const struct cm_holders holders = { .generation_number = generation->number,
                                        .until = INT64_MAX,
                                        .groups = read.campaign.groups };
    return cm_holders_count(deployment->store, &holders, 0, &start->count, err);
}

static cm_status count_first(struct start *start, struct cm_error *err)
{
    struct cm_deployment deployment;
    cm_status status = cm_deployment_open(&deployment, start->call, CM_DEPLOYMENT_READ, err);
    if (status == CM_OK)
        status = count(start, &deployment, err);
    cm_deployment_close(&deployment);
    if (status == CM_OK && start->count.to_come == 0)
        return CM_FAIL(
            err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
            "no device is to come: none holds a certificate of %.80s without a newer one",
            cm_call_value(start->call, "generation"));
    json_object_set_new(start->request, "expected", json_integer(start->count.to_come));
    return status;
}

/* ------------------------------------------------------------------------------- the command -- */

static void tell(const struct start *start, bool is_started)
{
    const struct cm_call *call = start->call;
    const struct cm_holders_count *found = &start->count;
    if (cm_call_flag(call, "json")) {
        cm_campaign_print_json(
            json_pack("{s:s, s:b, s:I, s:I, s:I}", "campaign", call->operands[0], "started",
                      is_started, "expected", (json_int_t)found->to_come, "renewed",
                      (json_int_t)found->renewed, "barred", (json_int_t)found->barred));
        return;
    }
    printf("%" PRId64 " device%s %s asked to come; %" PRId64 " %s come already, %" PRId64
           " may not\n",
           found->to_come, S_OR_NOT(found->to_come), is_started ? "are" : "would be",
           found->renewed, found->renewed == 1 ? "has" : "have", found->barred);
    if (is_started && !start->by_engine)
        printf("no engine runs: the notices are sent when certmill serve does\n");
}

static cm_status carry_out(struct start *start, struct cm_error *err)
{
    bool changed, is_dry = cm_call_flag(start->call, "dry-run");
    cm_status status = count_first(start, err);
    if (status == CM_OK && !is_dry)
        status =
            cm_campaign_carry_out(start->call, start->request, &start->by_engine, &changed, err);
    if (status == CM_OK)
        tell(start, !is_dry);
    return status;
}

static int run(const struct cm_call *call)
{
    struct start start = { .call = call };
    struct cm_error err = { 0 };
    int code = plan(&start);
    if (code == CM_EXIT_DONE && carry_out(&start, &err) != CM_OK)
        code = cm_call_fail(call, "%s", err.text);
    json_decref(start.request);
    return code;
}

static const char *const paragraphs[] = {
    "Asks the devices that hold certificates of a generation to come for new ones: after its key was "
    "replaced (`certmill ca rotate`), or has to be. For each device the engine publishes a notice, in "
    "the stream `PREFIX:notices` of Redis or the file `notices.jsonl` of the spool's folder; whoever looks "
    "after the devices sees to it that they come.",
    "Devices come spread over `--window`: the notice says when, by a hash of campaign and device. Notices "
    "are sent no faster than `--rate`, in the order in which the certificates were issued. A device "
    "gets none that has a newer certificate of an active key of the same authority by then, or that is in "
    "quarantine or retired.",
    "Names are used once. The audit log has your name. Without an engine the campaign stands in the store, "
    "and begins when `certmill serve` does; its window begins now.",
    NULL
};
static const struct cm_option options[] = {
    CM_OPTION_CONFIG,
    { .name = "generation",
      .type = CM_OPTION_TEXT,
      .argument = "NAME-N",
      .required = true,
      .help = "Whose certificates are to be replaced, like `issuing-1`." },
    { .name = "window",
      .type = CM_OPTION_TEXT,
      .argument = "TIME",
      .standard = "7d",
      .help = "Devices are to come within so long, `1m` to `366d`." },
    { .name = "rate",
      .type = CM_OPTION_TEXT,
      .argument = "N/s",
      .standard = "100/s",
      .help = "Notices in a second, at most." },
    { .name = "group",
      .letter = 'g',
      .type = CM_OPTION_TEXT,
      .argument = "GROUP",
      .repeats = true,
      .help = "Only devices of this group; may be given more than once." },
    { .name = "dry-run",
      .type = CM_OPTION_FLAG,
      .help = "Only say how many devices there are; nothing is started." },
    CM_OPTION_JSON,
};
static const struct cm_example examples[] = {
    { "certmill campaign start autumn --generation issuing-1 --dry-run", "How many would come." },
    { "certmill campaign start autumn --generation issuing-1 --window 14d",
      "All within two weeks." },
};

const struct cm_command cm_command_campaign_start = {
    .name = "campaign start",
    .operands = "NAME",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "ask devices to come for new certificates",
    .paragraphs = paragraphs,
    .options = options,
    .options_count = COUNT(options),
    .examples = examples,
    .examples_count = COUNT(examples),
    .when_failed = "failed; nothing was started. Also when no device is to come",
    .run = run,
};

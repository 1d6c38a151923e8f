/* certmill ceremony prepare: a plan, for others to approve. */
#include <stdio.h>

#include <jansson.h>

#include "engine/base/ceremony.h"
#include "tools/ceremony.h"
#include "tools/commands.h"
#include "tools/operator.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---------------------------------------------------------------------------------- the deed -- */

static int read_parameters(const struct cm_call *call, struct cm_arena *arena, struct cm_deed *deed)
{
    struct cm_plan_parameter *rows = cm_arena_zalloc(arena, CM_PLAN_PARAMETERS_MAX * sizeof *rows);
    const char *text;
    for (size_t i = 0; (text = cm_call_value_at(call, "set", i)); i++) {
        const char *equals = strchr(text, '=');
        if (!equals || i == CM_PLAN_PARAMETERS_MAX)
            return cm_usage_fail("--set: expected at most %d times NAME=VALUE, found \"%.60s\"",
                                 CM_PLAN_PARAMETERS_MAX, text);
        rows[i].name = cm_arena_printf(arena, "%.*s", (int)(equals - text), text);
        rows[i].value = equals + 1;
        deed->parameters_count++;
    }
    deed->parameters = rows;
    if (!cm_plan_sort_parameters(rows, deed->parameters_count))
        return cm_usage_fail("--set: one name twice");
    return CM_EXIT_DONE;
}

static int read_deed(const struct cm_call *call, struct cm_arena *arena, struct cm_deed *ret_deed)
{
    *ret_deed = (struct cm_deed){ .subject = call->operands[1] };
    if (!cm_ceremony_find(cm_bytes_str(call->operands[0]), &ret_deed->operation))
        return cm_usage_fail("there is no operation \"%.40s\"; certmill ceremony prepare --help "
                             "lists them",
                             call->operands[0]);
    return read_parameters(call, arena, ret_deed);
}

static const char *value_of(const struct cm_deed *deed, const char *name)
{
    for (uint32_t i = 0; i < deed->parameters_count; i++)
        if (strcmp(deed->parameters[i].name, name) == 0)
            return deed->parameters[i].value;
    return NULL;
}

/* What is not said of an order has its default, so that the plan says all of it. */
static cm_status complete(const struct cm_settings *settings, struct cm_arena *arena,
                          struct cm_deed *deed, struct cm_error *err)
{
    enum { DEFAULTS_COUNT = 2 };
    uint32_t count = deed->parameters_count;
    struct cm_plan_parameter *rows =
        cm_arena_zalloc(arena, (count + DEFAULTS_COUNT) * sizeof *rows);
    const char *kind = value_of(deed, "kind");
    struct cm_order order;
    if (deed->operation != CM_CEREMONY_REVOKE_GROUP)
        return CM_OK;
    if (!cm_settings_group(settings, cm_bytes_str(deed->subject)))
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                       "there is no group \"%.64s\" in the settings", deed->subject);
    for (uint32_t i = 0; i < count; i++)
        rows[i] = deed->parameters[i];
    if (!kind)
        rows[count++] = (struct cm_plan_parameter){ "kind", "revoke" };
    if (!value_of(deed, "reason") && (!kind || strcmp(kind, "revoke") == 0))
        rows[count++] = (struct cm_plan_parameter){ "reason", "unspecified" };
    (void)cm_plan_sort_parameters(rows, count); /* no name came twice */
    deed->parameters = rows;
    deed->parameters_count = count;
    const struct cm_plan plan = { .operation = deed->operation,
                                  .subject = deed->subject,
                                  .parameters = rows,
                                  .parameters_count = count };
    return cm_deed_order(&plan, arena, &order, err);
}

/* ------------------------------------------------------------------------------- the command -- */

static cm_status make(const struct cm_call *call, struct cm_deployment *deployment,
                      struct cm_deed *deed, struct cm_arena *arena, struct cm_bytes *ret_text,
                      struct cm_error *err)
{
    struct cm_plan plan;
    cm_status status = cm_deployment_open(deployment, call, CM_DEPLOYMENT_READ, err);
    if (status == CM_OK)
        status = complete(deployment->settings, arena, deed, err);
    if (status == CM_OK)
        status = cm_plan_make(deployment->settings, deployment->reader, deed,
                              cm_operator_name(arena), arena, &plan, err);
    if (status == CM_OK)
        *ret_text = cm_plan_write(&plan, arena);
    cm_deployment_close(deployment);
    return status;
}

/* The store has it first: a file alone is nobody's to approve. */
static cm_status prepare(const struct cm_call *call, struct cm_deed *deed, struct cm_arena *arena,
                         struct cm_plan_record *ret_record, struct cm_error *err)
{
    const char *out = cm_call_value(call, "out");
    struct cm_deployment deployment;
    struct cm_bytes text;
    bool changed = false;
    cm_status status = make(call, &deployment, deed, arena, &text, err);
    if (status != CM_OK)
        return status;
    status = cm_deployment_open(&deployment, call, CM_DEPLOYMENT_SETTINGS, err);
    if (status == CM_OK)
        status = cm_ceremony_take(&deployment, "plan-prepare", text, &changed, err);
    cm_deployment_close(&deployment);
    if (status == CM_OK)
        status = cm_plan_read(text, arena, &ret_record->plan, err);
    if (status == CM_OK && out)
        status = cm_ceremony_write_file(
            out, cm_bytes_str(cm_arena_printf(arena, "%s\n", (const char *)text.data)), err);
    cm_plan_digest(text, ret_record->row.digest);
    return status;
}

static void tell(const struct cm_call *call, const struct cm_plan_record *record)
{
    char id[CM_PLAN_HEX_SIZE], digest[CM_DIGEST_HEX_SIZE];
    const char *out = cm_call_value(call, "out");
    cm_hex_encode(cm_bytes(record->plan.id, sizeof record->plan.id), id);
    cm_hex_encode(cm_bytes(record->row.digest, sizeof record->row.digest), digest);
    if (cm_call_flag(call, "json")) {
        json_t *object = json_pack("{s:s, s:s, s:i}", "plan", id, "digest", digest, "approvals",
                                   (int)record->plan.approvals);
        json_dumpf(object, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(object);
    } else if (!out || strcmp(out, "-") != 0) {
        printf("plan %s, for %u operators to approve: certmill ceremony show %.8s\n", id,
               record->plan.approvals, id);
    }
}

static int run(const struct cm_call *call)
{
    struct cm_plan_record record = { .approvals_count = 0 };
    struct cm_error err = { 0 };
    struct cm_arena arena;
    struct cm_deed deed;
    cm_arena_init(&arena, 65536);
    int code = read_deed(call, &arena, &deed);
    if (code == CM_EXIT_DONE && prepare(call, &deed, &arena, &record, &err) != CM_OK)
        code = cm_call_fail(call, "%s", err.text);
    else if (code == CM_EXIT_DONE)
        tell(call, &record);
    cm_arena_done(&arena);
    return code;
}

static const char *const paragraphs[] = {
    "Prepares an operation that `dual-control` in the settings marks, as a plan that operators approve: "
    "what it does, to what, with which parameters; the states and the certificates' fingerprints as the store has "
    "them now; who has prepared it; until when it is good.",
    "`OPERATION` is one of `root-key`, `create`, `rotate`, `activate`, `retire`, `compromise` and "
    "`revoke-group`. `SUBJECT` is the authority (`issuing`), the generation (`issuing-2`) or the group.",
    "Of `revoke-group`, `--set` knows `kind` (`revoke` or `retire`), `reason`, `invalidity` (Unix "
    "seconds) and `why`, as `certmill revoke` and `certmill device retire` have them.",
    "The plan is in the store, and in the audit log, before the command ends. Preparing counts as no "
    "approval: whoever prepares a plan may sign it as any operator. No plan takes the place of "
    "another one. " CM_CEREMONY_ENGINE,
    NULL
};
static const struct cm_option options[] = {
    CM_OPTION_CONFIG,
    { .name = "set",
      .type = CM_OPTION_TEXT,
      .argument = "NAME=VALUE",
      .repeats = true,
      .help = "A parameter of the operation, once for each." },
    { .name = "out",
      .letter = 'o',
      .type = CM_OPTION_PATH,
      .argument = "FILE",
      .help = "Write the plan there as well, for those who sign it elsewhere; `-` is standard "
              "output." },
    CM_OPTION_JSON,
};
static const struct cm_example examples[] = {
    { "certmill ceremony prepare activate issuing-2", "To let a new generation issue." },
    { "certmill ceremony prepare revoke-group pilot --set why=stolen -o plan.json",
      "To revoke a whole group." },
};

const struct cm_command cm_command_ceremony_prepare = {
    .name = "ceremony prepare",
    .operands = "OPERATION SUBJECT",
    .operands_min = 2,
    .operands_max = 2,
    .summary = "prepare an operation that several people approve",
    .paragraphs = paragraphs,
    .options = options,
    .options_count = COUNT(options),
    .examples = examples,
    .examples_count = COUNT(examples),
    .run = run,
};

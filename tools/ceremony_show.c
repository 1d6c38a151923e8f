/* certmill ceremony show, list: what is to be done, as a script to read aloud. */
#include <stdio.h>
#include <unistd.h>

#include <jansson.h>

#include "tools/ceremony.h"
#include "tools/commands.h"
#include "tools/time_text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --------------------------------------------------------------------------------- the script -- */

static void print_facts(const struct cm_plan_record *record)
{
    const struct cm_plan *plan = &record->plan;
    char id[CM_PLAN_HEX_SIZE], prepared[CM_TIME_TEXT_SIZE], expires[CM_TIME_TEXT_SIZE];
    char shown[240];
    cm_hex_encode(cm_bytes(plan->id, sizeof plan->id), id);
    printf("CEREMONY   %s %s\nwhich      %s\nplan       %s\nprepared   %s by %s\ngood until %s\n"
           "state      %s\n",
           cm_ceremony_name(plan->operation), plan->subject, cm_ceremony_text(plan->operation), id,
           cm_time_write(plan->prepared_s, prepared),
           cm_bytes_printable(cm_bytes_str(plan->prepared_by), shown, sizeof shown),
           cm_time_write(plan->expires_s, expires), cm_ceremony_state(record));
    for (uint32_t i = 0; i < plan->parameters_count; i++) {
        char value[CM_PLAN_VALUE_SIZE_MAX + 1];
        printf("%s%s = %s\n", i == 0 ? "\nWith\n  " : "  ", plan->parameters[i].name,
               cm_bytes_printable(cm_bytes_str(plan->parameters[i].value), value, sizeof value));
    }
}

static void print_found(const struct cm_plan *plan)
{
    if (plan->operation == CM_CEREMONY_REVOKE_GROUP)
        printf("\nThe group had %lld device%s when this was prepared\n", (long long)plan->devices,
               plan->devices == 1 ? "" : "s");
    else
        printf("\nIt runs only while this is so%s\n",
               plan->found_count == 0 ? ": the authority has no generation" : "");
    for (uint32_t i = 0; i < plan->found_count; i++) {
        const struct cm_plan_found *found = &plan->found[i];
        printf("  %.*s is %s; %s\n", (int)found->generation.size,
               (const char *)found->generation.data, cm_generation_state_name(found->state),
               found->has_certificate ? "SHA-256 of its certificate, read aloud:"
                                      : "it has no certificate");
        if (found->has_certificate)
            cm_ceremony_print_words(found->certificate, "    ");
    }
}

static void print_digest(const struct cm_plan_record *record)
{
    printf("\nThe plan, all of it\n  %.*s\n\nIts SHA-256, read aloud and compared by everybody "
           "before they sign\n",
           (int)record->row.text.size, (const char *)record->row.text.data);
    cm_ceremony_print_words(record->row.digest, "    ");
}

static void print_approvals(const struct cm_settings *settings, const struct cm_plan_record *record,
                            enum cm_approval_purpose purpose)
{
    char when[CM_TIME_TEXT_SIZE], shown[80];
    for (uint32_t i = 0; i < record->approvals_count; i++) {
        const struct cm_plan_approval *approval = &record->approvals[i];
        if (approval->purpose == purpose)
            printf("  %s %s at %s%s\n", cm_bytes_printable(approval->operator, shown, sizeof shown),
                   purpose == CM_APPROVAL_RUN ? "approved it" : "wants it cancelled",
                   cm_time_write(approval->time_ms / 1000, when),
                   cm_plan_approval_counts(settings, record, approval)
                       ? ""
                       : ": does not count any more (not that operator's key or role now)");
    }
}

static bool has_approved(const struct cm_settings *settings, const struct cm_plan_record *record,
                         const char *operator)
{
    for (uint32_t i = 0; i < record->approvals_count; i++)
        if (record->approvals[i].purpose == CM_APPROVAL_RUN
            && cm_bytes_is(record->approvals[i].operator, operator)
            && cm_plan_approval_counts(settings, record, &record->approvals[i]))
            return true;
    return false;
}

static void print_missing(const struct cm_settings *settings, const struct cm_plan_record *record)
{
    uint32_t count = cm_plan_count_approvals(settings, record, CM_APPROVAL_RUN);
    uint32_t wanted = cm_plan_wants_approvals(settings, record);
    char id[CM_PLAN_HEX_SIZE];
    cm_hex_encode(cm_bytes(record->plan.id, sizeof record->plan.id), id);
    if (record->row.state != CM_PLAN_PENDING)
        return;
    if (count >= wanted) {
        printf("\nNext: certmill ceremony run %.8s\n", id);
        return;
    }
    printf("\nMissing: %u more of", wanted - count);
    for (uint32_t i = 0; i < settings->operators_count; i++)
        if (cm_settings_operator_counts(&settings->operators[i],
                                        record->plan.role[0] ? record->plan.role : NULL)
            && !has_approved(settings, record, settings->operators[i].name))
            printf(" %s", settings->operators[i].name);
    printf("\nNext: certmill ceremony approve %.8s --operator NAME --key FILE\n", id);
}

static void print_script(const struct cm_settings *settings, const struct cm_plan_record *record)
{
    print_facts(record);
    print_found(&record->plan);
    print_digest(record);
    if (!settings)
        return;
    printf("\nApprovals: %u of %u%s%s\n",
           cm_plan_count_approvals(settings, record, CM_APPROVAL_RUN),
           cm_plan_wants_approvals(settings, record),
           record->plan.role[0] ? ", with the role " : "", record->plan.role);
    print_approvals(settings, record, CM_APPROVAL_RUN);
    print_approvals(settings, record, CM_APPROVAL_CANCEL);
    print_missing(settings, record);
}

/* ------------------------------------------------------------------------------------- as JSON -- */

static json_t *approvals_to_json(const struct cm_settings *settings,
                                 const struct cm_plan_record *record)
{
    json_t *rows = json_array();
    for (uint32_t i = 0; i < record->approvals_count; i++) {
        const struct cm_plan_approval *approval = &record->approvals[i];
        json_array_append_new(
            rows, json_pack("{s:s%, s:s, s:I, s:b}", "operator",
                            (const char *)approval->operator.data, approval->operator.size,
                            "purpose", cm_approval_purpose_name(approval->purpose), "time",
                            (json_int_t)(approval->time_ms / 1000), "counts",
                            (int)cm_plan_approval_counts(settings, record, approval)));
    }
    return rows;
}

/* settings NULL: of a file. */
static json_t *to_json(const struct cm_settings *settings, const struct cm_plan_record *record)
{
    char digest[CM_DIGEST_HEX_SIZE];
    cm_hex_encode(cm_bytes(record->row.digest, sizeof record->row.digest), digest);
    json_t *object =
        json_pack("{s:s, s:s, s:o}", "digest", digest, "state", cm_ceremony_state(record), "plan",
                  json_loadb((const char *)record->row.text.data, record->row.text.size, 0, NULL));
    if (settings) {
        json_object_set_new(object, "approvals", approvals_to_json(settings, record));
        json_object_set_new(
            object, "counted",
            json_integer(cm_plan_count_approvals(settings, record, CM_APPROVAL_RUN)));
        json_object_set_new(object, "wanted",
                            json_integer(cm_plan_wants_approvals(settings, record)));
    }
    return object;
}

static void print_json(json_t *object)
{
    json_dumpf(object, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(object);
}

/* --------------------------------------------------------------------------------------- show -- */

static void show(const struct cm_call *call, const struct cm_settings *settings,
                 const struct cm_plan_record *record)
{
    if (cm_call_flag(call, "json"))
        print_json(to_json(settings, record));
    else
        print_script(settings, record);
}

static cm_status show_file(const struct cm_call *call, struct cm_arena *arena, struct cm_error *err)
{
    struct cm_plan_record record;
    cm_status status = cm_ceremony_read_file(call->operands[0], arena, &record, err);
    if (status == CM_OK)
        show(call, NULL, &record);
    return status;
}

static cm_status show_stored(const struct cm_call *call, struct cm_arena *arena,
                             struct cm_error *err)
{
    struct cm_deployment deployment;
    struct cm_plan_record record;
    cm_status status = cm_deployment_open(&deployment, call, CM_DEPLOYMENT_READ, err);
    if (status == CM_OK)
        status = cm_plan_find(deployment.reader, call->operands[0], arena, &record, err);
    if (status == CM_OK)
        show(call, deployment.settings, &record);
    cm_deployment_close(&deployment);
    return status;
}

static int run_show(const struct cm_call *call)
{
    struct cm_error err = { 0 };
    struct cm_arena arena;
    cm_arena_init(&arena, 65536);
    cm_status status = access(call->operands[0], F_OK) == 0 ? show_file(call, &arena, &err)
                                                            : show_stored(call, &arena, &err);
    cm_arena_done(&arena);
    return status == CM_OK ? CM_EXIT_DONE : cm_call_fail(call, "%s", err.text);
}

/* --------------------------------------------------------------------------------------- list -- */

struct listing {
    struct cm_deployment *deployment;
    struct cm_store_reader *reader; /* for approvals, beside the walk's */
    json_t *all;                    /* NULL: print lines */
    cm_status status;
    struct cm_error *err;
};

static void list_record(struct listing *listing, const struct cm_plan_record *record)
{
    const struct cm_settings *settings = listing->deployment->settings;
    char id[CM_PLAN_HEX_SIZE], until[CM_TIME_TEXT_SIZE];
    if (listing->all) {
        json_array_append_new(listing->all, to_json(settings, record));
        return;
    }
    cm_hex_encode(cm_bytes(record->row.id, sizeof record->row.id), id);
    printf("%.8s  %-10s %u of %u   %-21s %s %s\n", id, cm_ceremony_state(record),
           cm_plan_count_approvals(settings, record, CM_APPROVAL_RUN),
           cm_plan_wants_approvals(settings, record), cm_time_write(record->row.expires_s, until),
           cm_ceremony_name(record->plan.operation), record->plan.subject);
}

static bool list_one(const struct cm_plan_row *row, void *arg)
{
    struct listing *listing = arg;
    struct cm_plan_record record;
    char id[CM_PLAN_HEX_SIZE];
    cm_hex_encode(cm_bytes(row->id, sizeof row->id), id);
    listing->status =
        cm_plan_find(listing->reader, id, &listing->deployment->arena, &record, listing->err);
    if (listing->status == CM_OK)
        list_record(listing, &record);
    return listing->status == CM_OK;
}

static cm_status list_all(const struct cm_call *call, struct cm_deployment *deployment,
                          struct cm_error *err)
{
    struct listing listing = { .deployment = deployment, .err = err };
    cm_status status = cm_store_reader_open(deployment->store, &listing.reader, err);
    if (status == CM_OK && cm_call_flag(call, "json"))
        listing.all = json_array();
    else if (status == CM_OK)
        printf("PLAN      STATE      APPROVED  UNTIL                 OPERATION\n");
    if (status == CM_OK)
        status = cm_store_walk_plans(deployment->reader, list_one, &listing, err);
    if (status == CM_OK)
        status = listing.status;
    if (status == CM_OK && listing.all)
        print_json(json_pack("{s:O}", "plans", listing.all));
    json_decref(listing.all);
    cm_store_reader_close(listing.reader);
    return status;
}

static int run_list(const struct cm_call *call)
{
    return cm_deployment_run(call, CM_DEPLOYMENT_READ, list_all);
}

/* -------------------------------------------------------------------------------- descriptions -- */

static const char *const show_paragraphs[] = {
    "Prints the script of a ceremony: what the plan does, with which parameters; the generations as it has found "
    "them, with the fingerprints of their certificates; the whole text of the plan; its SHA-256; "
    "who has approved it, and what is missing. Hashes stand in lines of four words, to be read aloud.",
    CM_CEREMONY_PLAN
    " A plan in a file, as `prepare --out` writes it, is shown without settings and "
    "store, where it is signed elsewhere.",
    NULL
};
static const struct cm_option show_options[] = { CM_OPTION_CONFIG, CM_OPTION_JSON };
static const struct cm_example show_examples[] = {
    { "certmill ceremony show 1f2e3d4c", "A plan of the store." },
    { "certmill ceremony show plan.json", "A plan that was brought." },
};

const struct cm_command cm_command_ceremony_show = {
    .name = "ceremony show",
    .operands = "PLAN|FILE",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "print the script of a plan, to be read aloud",
    .paragraphs = show_paragraphs,
    .options = show_options,
    .options_count = COUNT(show_options),
    .examples = show_examples,
    .examples_count = COUNT(show_examples),
    .run = run_show,
};

static const char *const list_paragraphs[] = {
    "Lists every plan that was ever prepared: the beginning of its id, its state, its approvals, until when it is "
    "good, and what it does. A plan is open, expired, running (a group of many devices), run or "
    "cancelled.",
    NULL
};
static const struct cm_option list_options[] = { CM_OPTION_CONFIG, CM_OPTION_JSON };
static const struct cm_example list_examples[] = {
    { "certmill ceremony list -c /srv/ca/certmill.yaml", "The plans of one deployment." },
};

const struct cm_command cm_command_ceremony_list = {
    .name = "ceremony list",
    .operands = "",
    .summary = "list the plans and what has become of them",
    .paragraphs = list_paragraphs,
    .options = list_options,
    .options_count = COUNT(list_options),
    .examples = list_examples,
    .examples_count = COUNT(list_examples),
    .run = run_list,
};

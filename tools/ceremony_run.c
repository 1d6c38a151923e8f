/* certmill ceremony run, record: what was approved is done, and what was done is told. */
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>
#include <openssl/evp.h>

#include "tools/ca_record.h"
#include "tools/ceremony.h"
#include "tools/commands.h"
#include "tools/orders.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --------------------------------------------------------------------------------------- run -- */

static cm_status run_order(const struct cm_call *call, const struct cm_plan_record *record,
                           struct cm_arena *arena, json_t *outcome, struct cm_error *err)
{
    struct cm_plan_use use = { .found_count = 0 };
    struct cm_deployment deployment;
    struct cm_order order;
    memcpy(use.id, record->row.id, sizeof use.id);
    cm_status status = cm_deed_order(&record->plan, arena, &order, err);
    if (status != CM_OK)
        return status;
    order.plan = &use;
    status = cm_deployment_open(&deployment, call, CM_DEPLOYMENT_SETTINGS, err);
    if (status == CM_OK)
        status = cm_orders_carry_out(&deployment, &order, 1, err);
    cm_deployment_close(&deployment);
    if (status == CM_OK && order.code != CM_REFUSAL_NONE)
        status =
            CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0, "%s", cm_order_complaint(arena, &order));
    json_object_set_new(outcome, "certificates", json_integer(order.certificates_changed));
    json_object_set_new(outcome, "devices", json_integer(order.devices_changed));
    return status;
}

/* An engine does it where one runs, as it does for certmill ca activate. */
static cm_status run_activation(const struct cm_call *call, const struct cm_plan_record *record,
                                json_t *outcome, struct cm_error *err)
{
    struct cm_ca_record ca;
    json_t *answer = NULL;
    char id[CM_PLAN_HEX_SIZE];
    cm_hex_encode(cm_bytes(record->row.id, sizeof record->row.id), id);
    cm_status status = cm_ca_record_open(&ca, call, err);
    ca.plan = id;
    if (status == CM_OK)
        status = cm_ca_record_move(&ca, record->plan.subject, CM_GENERATION_ACTIVE, CM_KEY_KEPT,
                                   false, NULL, &answer, err);
    if (status == CM_OK)
        json_object_update(outcome, answer);
    json_decref(answer);
    cm_ca_record_close(&ca);
    return status;
}

/* What needs keys, or more than the plan says, is done by its own command. */
static cm_status name_command(const struct cm_plan_record *record, struct cm_error *err)
{
    const struct cm_plan *plan = &record->plan;
    char id[CM_PLAN_HEX_SIZE];
    bool is_new = plan->operation == CM_CEREMONY_ROOT_KEY || plan->operation == CM_CEREMONY_CREATE;
    cm_hex_encode(cm_bytes(record->row.id, sizeof record->row.id), id);
    return CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_SELF, 0,
                   "this plan is run by its own command: certmill ca %s %s%s --plan %.8s%s",
                   is_new ? "create" : cm_ceremony_name(plan->operation), plan->subject,
                   plan->operation == CM_CEREMONY_CROSS_SIGN ? " FILE" : "", id,
                   plan->parameters_count > 0 ? ", with the plan's parameters" : "");
}

static cm_status run_plan(const struct cm_call *call, struct cm_arena *arena, json_t *outcome,
                          struct cm_error *err)
{
    struct cm_plan_record record;
    cm_status status = cm_ceremony_find_plan(call, arena, &record, err);
    if (status != CM_OK)
        return status;
    if (record.plan.operation == CM_CEREMONY_REVOKE_GROUP)
        return run_order(call, &record, arena, outcome, err);
    if (record.plan.operation == CM_CEREMONY_ACTIVATE)
        return run_activation(call, &record, outcome, err);
    return name_command(&record, err);
}

static void tell(const json_t *outcome)
{
    const json_t *certificates = json_object_get(outcome, "certificates");
    const char *stopped = json_string_value(json_object_get(outcome, "stopped"));
    if (certificates)
        printf("the plan has run: %lld certificates of %lld devices revoked\n",
               (long long)json_integer_value(certificates),
               (long long)json_integer_value(json_object_get(outcome, "devices")));
    else
        printf("the plan has run%s%s\n", stopped ? ": it issues in place of " : "",
               stopped ? stopped : "");
}

static int run_run(const struct cm_call *call)
{
    struct cm_error err = { 0 };
    struct cm_arena arena;
    json_t *outcome = json_object();
    cm_arena_init(&arena, 65536);
    cm_status status = run_plan(call, &arena, outcome, &err);
    int code = status == CM_OK ? CM_EXIT_DONE : cm_call_fail(call, "%s", err.text);
    if (status == CM_OK && cm_call_flag(call, "json")) {
        json_dumpf(outcome, stdout, JSON_COMPACT);
        putchar('\n');
    } else if (status == CM_OK) {
        tell(outcome);
    }
    json_decref(outcome);
    cm_arena_done(&arena);
    return code;
}

/* ------------------------------------------------------------------------------------- record -- */

static json_t *base64_of(struct cm_bytes bytes)
{
    char *text = malloc((bytes.size + 2) / 3 * 4 + 1);
    if (!text)
        abort();
    EVP_EncodeBlock((unsigned char *)text, bytes.data, (int)bytes.size);
    json_t *string = json_string(text);
    free(text);
    return string;
}

static json_t *approvals_of(const struct cm_settings *settings, const struct cm_plan_record *record)
{
    json_t *rows = json_array();
    for (uint32_t i = 0; i < record->approvals_count; i++) {
        const struct cm_plan_approval *approval = &record->approvals[i];
        char message[CM_APPROVAL_MESSAGE_SIZE];
        cm_approval_message(approval->purpose, record->row.digest, message);
        json_array_append_new(
            rows,
            json_pack("{s:s%, s:s, s:s, s:o, s:o, s:I, s:b}", "operator",
                      (const char *)approval->operator.data, approval->operator.size, "purpose",
                      cm_approval_purpose_name(approval->purpose), "message", message, "key",
                      base64_of(approval->key), "signature", base64_of(approval->signature), "time",
                      (json_int_t)(approval->time_ms / 1000), "counts",
                      (int)cm_plan_approval_counts(settings, record, approval)));
    }
    return rows;
}

struct trail {
    const char *id;
    json_t *rows;
};

static json_t *hash_of(const uint8_t hash[CM_HASH_SIZE])
{
    char hex[2 * CM_HASH_SIZE + 1];
    cm_hex_encode(cm_bytes(hash, CM_HASH_SIZE), hex);
    return json_string(hex);
}

/* Rows that name the plan: of its steps, and of what it has done. */
static bool add_row(const struct cm_audit_row *row, void *arg)
{
    struct trail *trail = arg;
    if (!memmem(row->detail.data, row->detail.size, trail->id, strlen(trail->id)))
        return true;
    json_array_append_new(trail->rows,
                          json_pack("{s:I, s:I, s:s, s:s%, s:s%, s:o, s:o, s:o}", "number",
                                    (json_int_t)row->number, "time_ms", (json_int_t)row->time_ms,
                                    "kind", row->kind, "actor", (const char *)row->actor.data,
                                    row->actor.size, "detail", (const char *)row->detail.data,
                                    row->detail.size, "digest", hash_of(row->digest), "previous",
                                    hash_of(row->previous), "hash", hash_of(row->hash)));
    return true;
}

static cm_status make_record(struct cm_deployment *deployment, const struct cm_plan_record *record,
                             json_t **ret_object, struct cm_error *err)
{
    char id[CM_PLAN_HEX_SIZE], digest[CM_DIGEST_HEX_SIZE];
    struct trail trail = { .id = id, .rows = json_array() };
    cm_hex_encode(cm_bytes(record->row.id, sizeof record->row.id), id);
    cm_hex_encode(cm_bytes(record->row.digest, sizeof record->row.digest), digest);
    cm_status status = cm_store_walk_audit(deployment->reader, 1, add_row, &trail, err);
    if (status == CM_OK)
        *ret_object = json_pack(
            "{s:i, s:s%, s:s, s:s, s:I, s:i, s:o, s:O}", "v", 1, "plan",
            (const char *)record->row.text.data, record->row.text.size, "digest", digest, "outcome",
            cm_ceremony_state(record), "settled", (json_int_t)(record->row.settled_ms / 1000),
            "wanted", (int)cm_plan_wants_approvals(deployment->settings, record), "approvals",
            approvals_of(deployment->settings, record), "audit", trail.rows);
    json_decref(trail.rows);
    return status;
}

static cm_status write_record(const struct cm_call *call, struct cm_arena *arena,
                              struct cm_error *err)
{
    struct cm_deployment deployment;
    struct cm_plan_record record;
    json_t *object = NULL;
    cm_status status = cm_deployment_open(&deployment, call, CM_DEPLOYMENT_READ, err);
    if (status == CM_OK)
        status = cm_plan_find(deployment.reader, call->operands[0], arena, &record, err);
    if (status == CM_OK)
        status = make_record(&deployment, &record, &object, err);
    cm_deployment_close(&deployment);
    if (status != CM_OK)
        return status;
    char *text = object ? json_dumps(object, JSON_INDENT(2)) : NULL;
    if (!text)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for a record");
    status = cm_ceremony_write_file(cm_call_value(call, "out"),
                                    cm_bytes_str(cm_arena_printf(arena, "%s\n", text)), err);
    free(text);
    json_decref(object);
    return status;
}

static int run_record(const struct cm_call *call)
{
    struct cm_error err = { 0 };
    struct cm_arena arena;
    cm_arena_init(&arena, 65536);
    cm_status status = write_record(call, &arena, &err);
    cm_arena_done(&arena);
    return status == CM_OK ? CM_EXIT_DONE : cm_call_fail(call, "%s", err.text);
}

/* -------------------------------------------------------------------------------- descriptions -- */

static const char *const run_paragraphs[] = {
    "Runs a plan that has its approvals. It runs once, within its time, and only while the generations are as it has "
    "found them; all of that is checked in the transaction that makes the change.",
    "Plans of `revoke-group` and `activate` run here; the others are run by their own command, `certmill ca "
    "create`, `rotate`, `retire` and so on, with `--plan ID`.",
    "Cut off in the middle, a plan of a whole group is running: run it again, and it goes on to its end. What was "
    "done stays done.",
    CM_CEREMONY_PLAN " While `certmill serve` runs, it makes the change; else the store is written "
                     "here.",
    NULL
};
static const struct cm_option run_options[] = { CM_OPTION_CONFIG, CM_OPTION_JSON };
static const struct cm_example run_examples[] = {
    { "certmill ceremony run 1f2e3d4c", "When enough have approved it." },
};

const struct cm_command cm_command_ceremony_run = {
    .name = "ceremony run",
    .operands = "PLAN",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "run a plan that has its approvals",
    .paragraphs = run_paragraphs,
    .options = run_options,
    .options_count = COUNT(run_options),
    .examples = run_examples,
    .examples_count = COUNT(run_examples),
    .when_failed = "it was not run; of a group a part may be done, run it again",
    .run = run_run,
};

static const char *const record_paragraphs[] = {
    "Writes the record of a ceremony as JSON: the plan to the last octet, its SHA-256, each approval with the line "
    "that was signed, key and signature, what became of it, and every row of the audit log that names "
    "it. The operators' signatures are verified with `openssl` alone, see docs/guides/ceremony.md.",
    CM_CEREMONY_PLAN, NULL
};
static const struct cm_option record_options[] = {
    CM_OPTION_CONFIG,
    { .name = "out",
      .letter = 'o',
      .type = CM_OPTION_PATH,
      .argument = "FILE",
      .standard = "-",
      .help = "A file that is not there yet; `-` is standard output." },
    { .name = "json", .type = CM_OPTION_FLAG, .help = "Errors as one JSON object, too." },
};
static const struct cm_example record_examples[] = {
    { "certmill ceremony record 1f2e3d4c --out record.json", "For the files of the ceremony." },
};

const struct cm_command cm_command_ceremony_record = {
    .name = "ceremony record",
    .operands = "PLAN",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "write the signed record of a ceremony",
    .paragraphs = record_paragraphs,
    .options = record_options,
    .options_count = COUNT(record_options),
    .examples = record_examples,
    .examples_count = COUNT(record_examples),
    .run = run_record,
};

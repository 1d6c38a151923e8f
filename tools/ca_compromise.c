/* certmill ca compromise: somebody else may have an authority's key. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "engine/base/clock.h"
#include "tools/ca_rotation.h"
#include "tools/commands.h"
#include "tools/operator.h"
#include "tools/orders.h"

#define COUNT(array)    (sizeof(array) / sizeof((array)[0]))
#define S_OR_NOT(count) ((count) == 1 ? "" : "s")

enum { STRETCH_ROWS = 20000, ORDERS_MAX = 1000 };

/* Steps, each of which may be done again: whoever was interrupted runs the command once more. */
struct compromise {
    const struct cm_call *call;
    struct cm_arena arena;
    int64_t number; /* of the generation */
    const char *authority, *name;
    bool keeps;               /* as the settings say: what it has issued */
    const char *signers_name; /* NULL: it was signed by none of ours */
    struct cm_bytes serial;   /* of its certificate */
    bool has_active;          /* another generation of the authority issues */
    uint64_t revoked;         /* certificates */
    const char *replacement;  /* NULL: none was asked for, or made */
};

static const char *copy_text(struct compromise *compromise, struct cm_bytes text)
{
    return cm_arena_printf(&compromise->arena, "%.*s", (int)text.size, (const char *)text.data);
}

/* --------------------------------------------------------------------------------- what it is -- */

static cm_status describe(struct compromise *compromise, const struct cm_generations *generations,
                          const struct cm_generation *generation, struct cm_error *err)
{
    struct cm_certificate certificate;
    cm_status status = cm_certificate_read(generation->certificate, &certificate, err);
    if (status != CM_OK)
        return status;
    const struct cm_generation *signer = cm_generations_find_signer(generations, &certificate);
    compromise->number = generation->number;
    compromise->authority = copy_text(compromise, generation->authority);
    compromise->name = cm_generation_name(&compromise->arena, generation);
    compromise->serial = cm_arena_copy(&compromise->arena, certificate.serial);
    if (signer && signer != generation)
        compromise->signers_name = cm_generation_name(&compromise->arena, signer);
    return CM_OK;
}

static cm_status find(struct compromise *compromise, struct cm_ca_record *record,
                      struct cm_error *err)
{
    const char *name = compromise->call->operands[0];
    struct cm_generations generations;
    const struct cm_generation *found = NULL;
    cm_status status =
        cm_generations_read(record->deployment.store, &record->deployment.arena, &generations, err);
    for (uint32_t i = 0; status == CM_OK && i < generations.count; i++)
        if (cm_generation_is_named(&generations.all[i], name))
            found = &generations.all[i];
    if (status == CM_OK && !found)
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                       "there is no key %.80s of an authority; certmill ca list shows them", name);
    if (status == CM_OK)
        status = describe(compromise, &generations, found, err);
    if (status != CM_OK)
        return status;
    const struct cm_generation *active = cm_generations_active(&generations, compromise->authority);
    const struct cm_settings_authority *settings =
        cm_settings_authority(record->deployment.settings, compromise->authority);
    compromise->has_active = active && active->number != found->number;
    compromise->keeps = settings && settings->keeps_on_compromise;
    return CM_OK;
}

static cm_status stop(struct compromise *compromise, struct cm_error *err)
{
    struct cm_ca_record record;
    cm_status status = cm_ca_record_open(&record, compromise->call, err);
    if (status == CM_OK)
        status = find(compromise, &record, err);
    if (status == CM_OK)
        status =
            cm_ca_record_move(&record, compromise->name, CM_GENERATION_COMPROMISED, CM_KEY_KEPT,
                              true, cm_call_value(compromise->call, "why"), NULL, err);
    cm_ca_record_close(&record);
    return status;
}

/* ------------------------------------------------------------------------------- revocations -- */

/* The store is opened for each part: by this process, or asked for of the engine that has it. */
static cm_status carry_out(struct compromise *compromise, struct cm_order *orders, uint32_t count,
                           struct cm_error *err)
{
    struct cm_deployment deployment;
    cm_status status =
        cm_deployment_open(&deployment, compromise->call, CM_DEPLOYMENT_SETTINGS, err);
    if (status == CM_OK && count > 0)
        status = cm_orders_carry_out(&deployment, orders, count, err);
    for (uint32_t i = 0; status == CM_OK && i < count; i++) {
        if (orders[i].code != CM_REFUSAL_NONE)
            status = CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0, "%s",
                             cm_order_complaint(&deployment.arena, &orders[i]));
        else
            compromise->revoked += orders[i].certificates_changed;
    }
    cm_deployment_close(&deployment);
    return status;
}

static struct cm_order order_of(const struct compromise *compromise, struct cm_bytes serial,
                                const char *issuer, enum cm_reason reason)
{
    const char *why = cm_call_value(compromise->call, "why");
    return (struct cm_order){ .kind = CM_ORDER_REVOKE,
                              .serial = serial,
                              .issuer = cm_bytes_str(issuer),
                              .reason = reason,
                              .time_s = cm_clock_wall_s(),
                              .why = cm_bytes_str(why ? why : "") };
}

/* What relying parties go by: its signer says that the certificate is not to be trusted. */
static cm_status revoke_certificate(struct compromise *compromise, struct cm_error *err)
{
    if (!compromise->signers_name)
        return CM_OK;
    struct cm_order order =
        order_of(compromise, compromise->serial, compromise->signers_name, CM_REASON_CA_COMPROMISE);
    cm_status status = carry_out(compromise, &order, 1, err);
    compromise->revoked = 0;
    return status;
}

/* A stretch of the certificates, of which those of the key are revoked. */
struct stretch {
    struct compromise *compromise;
    struct cm_order orders[ORDERS_MAX];
    struct cm_serial serials[ORDERS_MAX];
    uint32_t count;
    cm_certificate_number last;
};

static bool take(const struct cm_certificate_listed *certificate, void *arg)
{
    struct stretch *stretch = arg;
    stretch->last = certificate->number;
    if (certificate->generation_number != stretch->compromise->number
        || certificate->not_after_s < cm_clock_wall_s())
        return true;
    struct cm_serial *serial = &stretch->serials[stretch->count];
    *serial = certificate->serial;
    stretch->orders[stretch->count++] = order_of(stretch->compromise, cm_serial_content(serial),
                                                 stretch->compromise->name, CM_REASON_SUPERSEDED);
    return stretch->count < ORDERS_MAX;
}

static cm_status revoke_stretch(struct stretch *stretch, bool *ret_is_end, struct cm_error *err)
{
    struct cm_deployment reading;
    cm_certificate_number after = stretch->last, last = after;
    stretch->count = 0;
    cm_status status =
        cm_deployment_open(&reading, stretch->compromise->call, CM_DEPLOYMENT_READ, err);
    if (status == CM_OK)
        status = cm_store_walk_certificates(reading.reader, after, STRETCH_ROWS, take, stretch,
                                            &last, err);
    cm_deployment_close(&reading);
    *ret_is_end = last == after;
    return status == CM_OK ? carry_out(stretch->compromise, stretch->orders, stretch->count, err)
                           : status;
}

static cm_status revoke_issued(struct compromise *compromise, struct cm_error *err)
{
    struct stretch *stretch = cm_arena_zalloc(&compromise->arena, sizeof *stretch);
    struct cm_progress progress;
    bool is_end = compromise->keeps;
    cm_status status = CM_OK;
    stretch->compromise = compromise;
    cm_progress_start(&progress, "certificates revoked", 0, cm_call_flag(compromise->call, "json"));
    while (status == CM_OK && !is_end) {
        status = revoke_stretch(stretch, &is_end, err);
        cm_progress_set(&progress, compromise->revoked);
    }
    cm_progress_end(&progress);
    return status;
}

/* ------------------------------------------------------------------------------- replacement -- */

static cm_status rotate(struct compromise *compromise, struct cm_ca_record *record,
                        struct cm_error *err)
{
    const struct cm_call *call = compromise->call;
    struct cm_ca_rotation rotation = { .authority = compromise->authority,
                                       .replaced = compromise->name,
                                       .provider = cm_call_value(call, "provider"),
                                       .key = cm_call_value(call, "key") };
    cm_status status = cm_ca_rotation_carry_out(&rotation, record, err);
    if (status == CM_OK)
        status = cm_ca_record_move(record, rotation.name, CM_GENERATION_ACTIVE, CM_KEY_KEPT, false,
                                   NULL, NULL, err);
    if (status == CM_OK)
        compromise->replacement = cm_arena_printf(&compromise->arena, "%s", rotation.name);
    return status;
}

static cm_status replace(struct compromise *compromise, struct cm_error *err)
{
    struct cm_ca_record record;
    if (cm_call_flag(compromise->call, "no-replace") || compromise->has_active)
        return CM_OK;
    cm_status status = cm_ca_record_open(&record, compromise->call, err);
    record.plan = NULL; /* that was the one to stop the old key */
    if (status == CM_OK)
        status = rotate(compromise, &record, err);
    cm_ca_record_close(&record);
    return status;
}

/* ------------------------------------------------------------------------------- the command -- */

static void tell_json(const struct compromise *compromise)
{
    json_t *object = json_pack("{s:s, s:s, s:I}", "generation", compromise->name, "state",
                               "compromised", "certificates", (json_int_t)compromise->revoked);
    if (compromise->signers_name)
        json_object_set_new(object, "revoked_by", json_string(compromise->signers_name));
    if (compromise->replacement)
        json_object_set_new(object, "replacement", json_string(compromise->replacement));
    json_dumpf(object, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(object);
}

static void tell(const struct compromise *compromise)
{
    printf("%s is compromised: it issues nothing more\n", compromise->name);
    if (compromise->signers_name)
        printf("  its certificate is revoked by %s\n", compromise->signers_name);
    else
        printf("  none of ours has signed it: tell those who trust it\n");
    if (compromise->keeps)
        printf("  what it has issued stays as it is, as the settings say\n");
    else
        printf("  %" PRIu64 " certificate%s of it revoked\n", compromise->revoked,
               S_OR_NOT(compromise->revoked));
    if (compromise->replacement)
        printf("  %s issues in its place\n", compromise->replacement);
    else if (!compromise->has_active)
        printf("  nothing of %s issues: certmill ca rotate %s --replace %s --activate\n",
               compromise->authority, compromise->authority, compromise->name);
}

/* A fleet takes a while to revoke, and requests wait for the next key meanwhile: so that one comes first. Where it
 * cannot be had, everything is revoked all the same. */
static cm_status go_through(struct compromise *compromise, struct cm_error *err)
{
    struct cm_error why;
    cm_status status = stop(compromise, err);
    if (status == CM_OK)
        status = revoke_certificate(compromise, err);
    if (status != CM_OK)
        return status;
    cm_status replaced = replace(compromise, &why);
    status = revoke_issued(compromise, err);
    if (status != CM_OK || replaced == CM_OK)
        return status;
    return CM_FAIL(err, replaced, CM_ORIGIN_SELF, 0,
                   "%.80s is stopped and revoked, but there is no next key: %.250s",
                   compromise->name, why.text);
}

static int run(const struct cm_call *call)
{
    struct compromise compromise = { .call = call };
    struct cm_error err = { 0 };
    if (!cm_call_flag(call, "yes"))
        return cm_usage_fail("this cannot be undone: --yes says that it is meant");
    cm_arena_init(&compromise.arena, 65536);
    cm_status status = go_through(&compromise, &err);
    if (status == CM_OK && cm_call_flag(call, "json"))
        tell_json(&compromise);
    else if (status == CM_OK)
        tell(&compromise);
    cm_arena_done(&compromise.arena);
    return status == CM_OK ? CM_EXIT_DONE : cm_call_fail(call, "%s", err.text);
}

static const char *const paragraphs[] = {
    "Says that somebody else may have the key of a generation, `NAME-N` or `NAME/N`. It issues nothing from then on: "
    "a running engine stops at once, and what is being signed with the key is not recorded, but made again with "
    "another one. Its own certificate is revoked by its signer (`cACompromise`), where that is one of ours. The next "
    "key is made and activated, without cross certificates, unless another one of the authority issues.",
    "Then what it has issued is revoked (`superseded`), unless `on-compromise` of its authority says `keep`: devices come with `op=renew` "
    "then. Its CRLs and OCSP responses go on: they say what is revoked.",
    "Each step can be done again: after an interruption run the command once more.", NULL
};
static const struct cm_option options[] = {
    CM_OPTION_CONFIG,
    CM_OPTION_PLAN,
    { .name = "yes", .type = CM_OPTION_FLAG, .help = "It is meant: there is no way back." },
    { .name = "why",
      .type = CM_OPTION_TEXT,
      .argument = "TEXT",
      .help = "For the audit log: what has happened." },
    { .name = "no-replace",
      .type = CM_OPTION_FLAG,
      .help = "Make no next key: requests wait for one." },
    { .name = "provider",
      .type = CM_OPTION_TEXT,
      .argument = "NAME",
      .help = "Where the next key lives, as of `certmill ca rotate`." },
    { .name = "key",
      .type = CM_OPTION_TEXT,
      .argument = "REFERENCE",
      .help = "The next key, as of `certmill ca rotate`." },
    CM_OPTION_JSON,
};
static const struct cm_example examples[] = {
    { "certmill ca compromise issuing-1 --yes --why 'stolen backup'",
      "Another key issues, and all devices are to renew." },
};

const struct cm_command cm_command_ca_compromise = {
    .name = "ca compromise",
    .operands = "NAME-N",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "stop a key that somebody else may have",
    .paragraphs = paragraphs,
    .options = options,
    .options_count = COUNT(options),
    .examples = examples,
    .examples_count = COUNT(examples),
    .when_failed = "failed; the text says at which step, those before it are done",
    .run = run,
};

/* certmill revoke: certificates that are not to be trusted any more. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "engine/base/clock.h"
#include "engine/orders.h"
#include "tools/commands.h"
#include "tools/orders.h"
#include "tools/time_text.h"

#define COUNT(array)    (sizeof(array) / sizeof((array)[0]))
#define S_OR_NOT(count) ((count) == 1 ? "" : "s")

struct revocation {
    const struct cm_call *call;
    struct cm_arena arena;
    struct cm_order order;
};

/* -------------------------------------------------------------------------- what is asked for -- */

static struct cm_bytes text_of(const struct cm_call *call, const char *option)
{
    const char *value = cm_call_value(call, option);
    return value ? cm_bytes_str(value) : cm_bytes(NULL, 0);
}

/* As orders have it: Unix seconds. */
static int take_time(struct revocation *revocation, struct cm_order_texts *texts)
{
    const char *text = cm_call_value(revocation->call, "invalidity");
    int64_t seconds;
    if (!text)
        return CM_EXIT_DONE;
    if (!cm_time_read(text, &seconds))
        return cm_usage_fail("--invalidity: expected a time like 2026-01-31T12:00:00Z, 2026-01-31 "
                             "or Unix seconds, found \"%.60s\"",
                             text);
    if (seconds > cm_clock_wall_s())
        return cm_usage_fail("--invalidity: %s is still to come", text);
    texts->invalidity = cm_bytes_str(cm_arena_printf(&revocation->arena, "%" PRId64, seconds));
    return CM_EXIT_DONE;
}

static int plan(struct revocation *revocation)
{
    const struct cm_call *call = revocation->call;
    struct cm_refusal refusal;
    struct cm_order_texts texts = {
        .kind = cm_bytes_str("revoke"),
        .device = text_of(call, "device"),
        .group = text_of(call, "group"),
        .issuer = text_of(call, "issuer"),
        .reason = text_of(call, "reason"),
        .why = text_of(call, "why"),
    };
    if (!cm_order_take_serial(call, &revocation->arena, &texts.serial))
        return CM_EXIT_USAGE;
    int code = take_time(revocation, &texts);
    if (code != CM_EXIT_DONE)
        return code;
    if (!cm_order_read(&texts, cm_clock_wall_s(), &revocation->arena, &revocation->order, &refusal))
        return cm_usage_fail("%s; see certmill revoke --help", refusal.message);
    if (texts.group.data && !cm_call_flag(call, "yes") && !isatty(STDIN_FILENO))
        return cm_usage_fail("--group asks before it revokes; without a terminal give --yes");
    return CM_EXIT_DONE;
}

/* ---------------------------------------------------------------------------- a whole group -- */

static bool count_one(const struct cm_device *device, void *arg)
{
    (void)device;
    ++*(uint64_t *)arg;
    return true;
}

static cm_status count_devices(const struct cm_call *call, struct cm_bytes group,
                               uint64_t *ret_count, struct cm_error *err)
{
    struct cm_deployment deployment;
    uint64_t count = 0;
    cm_status status = cm_deployment_open(&deployment, call, CM_DEPLOYMENT_READ, err);
    if (status == CM_OK)
        status = cm_store_walk_devices(deployment.reader, group, count_one, &count, err);
    if (status == CM_OK)
        *ret_count = count;
    cm_deployment_close(&deployment);
    return status;
}

static bool is_yes(void)
{
    char answer[16] = "";
    return fgets(answer, sizeof answer, stdin) && strcmp(answer, "yes\n") == 0;
}

/* One word too few, and a fleet is without certificates. */
static cm_status confirm(const struct revocation *revocation, struct cm_error *err)
{
    struct cm_bytes group = revocation->order.group;
    uint64_t count = 0;
    if (group.size == 0 || cm_call_flag(revocation->call, "yes"))
        return CM_OK;
    cm_status status = count_devices(revocation->call, group, &count, err);
    if (status != CM_OK)
        return status;
    fprintf(stderr,
            "Revoke every certificate of the %" PRIu64 " device%s of the group %s? Type yes: ",
            count, S_OR_NOT(count), (const char *)group.data);
    if (!is_yes())
        return CM_FAIL(err, CM_CANCELLED, CM_ORIGIN_SELF, 0, "nothing was revoked");
    return CM_OK;
}

/* ------------------------------------------------------------------------------ the command -- */

static void tell(const struct cm_call *call, const struct cm_order *order)
{
    uint32_t certificates = order->certificates_changed;
    if (cm_call_flag(call, "json")) {
        json_t *object = json_pack("{s:I, s:I}", "certificates", (json_int_t)certificates,
                                   "devices", (json_int_t)order->devices_changed);
        json_dumpf(object, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(object);
        return;
    }
    if (cm_call_flag(call, "quiet"))
        return;
    if (certificates == 0)
        printf("0 certificates revoked: none was left to revoke\n");
    else if (order->group.size > 0)
        printf("%u certificate%s of %u device%s revoked\n", certificates, S_OR_NOT(certificates),
               order->devices_changed, S_OR_NOT(order->devices_changed));
    else
        printf("%u certificate%s revoked\n", certificates, S_OR_NOT(certificates));
}

static cm_status carry_out(struct revocation *revocation, struct cm_deployment *deployment,
                           struct cm_error *err)
{
    const struct cm_settings *settings = deployment->settings;
    struct cm_order *order = &revocation->order;
    if (order->group.size > 0 && !cm_settings_group(settings, order->group))
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                       "there is no group \"%s\" in the settings", (const char *)order->group.data);
    cm_status status = confirm(revocation, err);
    if (status == CM_OK)
        status = cm_orders_carry_out(deployment, order, 1, err);
    if (status == CM_OK && order->code != CM_REFUSAL_NONE)
        status = CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0, "%s",
                         cm_order_complaint(&deployment->arena, order));
    return status;
}

static cm_status give_order(struct revocation *revocation, struct cm_error *err)
{
    struct cm_deployment deployment;
    cm_status status =
        cm_deployment_open(&deployment, revocation->call, CM_DEPLOYMENT_SETTINGS, err);
    if (status == CM_OK)
        status = carry_out(revocation, &deployment, err);
    cm_deployment_close(&deployment);
    return status;
}

static int run(const struct cm_call *call)
{
    struct revocation revocation = { .call = call };
    struct cm_error err = { 0 };
    cm_arena_init(&revocation.arena, 4096);
    int code = plan(&revocation);
    if (code == CM_EXIT_DONE && give_order(&revocation, &err) != CM_OK)
        code = cm_call_fail(call, "%s", err.text);
    else if (code == CM_EXIT_DONE)
        tell(call, &revocation.order);
    cm_arena_done(&revocation.arena);
    return code;
}

static const char *const paragraphs[] = {
    "Revokes one certificate by its serial number, every certificate of a device, or those of every "
    "device of a group. It is durable, and in the audit log with your name and `--why`, before the "
    "command ends; OCSP answers so within a second, CRLs within `crl-delay`.",
    "Revoking is for good, but for the reason `certificateHold`, which a later revocation replaces. A "
    "certificate that is revoked already keeps its date and reason, unless the new one is "
    "`keyCompromise`. Doing it again changes nothing and is no error. A serial that no authority of the "
    "deployment has issued is refused.",
    "The device may have new certificates. To stop that as well, see `certmill device quarantine` and "
    "`certmill device retire`.",
    "While `certmill serve` runs, it is asked through `control.sock` beside the store's file; else the "
    "store is written here, and CRLs and OCSP follow once the engine runs.",
    NULL
};
static const struct cm_option options[] = {
    CM_OPTION_CONFIG,
    { .name = "serial",
      .type = CM_OPTION_TEXT,
      .argument = "HEX",
      .help = "This certificate. Colons and upper case are fine." },
    { .name = "issuer",
      .type = CM_OPTION_TEXT,
      .argument = "NAME",
      .help = "With `--serial`: which key has issued it, like `issuing-1`. Without it: whichever "
              "has; needed where two have the same number." },
    { .name = "device", .type = CM_OPTION_TEXT, .argument = "ID", .help = "All of this device." },
    { .name = "group",
      .letter = 'g',
      .type = CM_OPTION_TEXT,
      .argument = "NAME",
      .help = "All of every device of this group." },
    { .name = "reason",
      .type = CM_OPTION_CHOICE,
      .argument = "NAME",
      .standard = "unspecified",
      .choices = "unspecified keyCompromise cACompromise affiliationChanged superseded "
                 "cessationOfOperation certificateHold privilegeWithdrawn aACompromise",
      .help = "What CRLs and OCSP say (RFC 5280, 5.3.1)." },
    { .name = "invalidity",
      .type = CM_OPTION_TEXT,
      .argument = "TIME",
      .help = "When the key is thought to have been lost, like `2026-01-31T12:00:00Z`: the "
              "invalidity date." },
    { .name = "why",
      .type = CM_OPTION_TEXT,
      .argument = "TEXT",
      .help = "For the audit log; one line." },
    { .name = "yes", .type = CM_OPTION_FLAG, .help = "With `--group`: do not ask." },
    CM_OPTION_JSON,
    CM_OPTION_QUIET,
};
static const struct cm_example examples[] = {
    { "certmill revoke --serial 019af3c2d1000001a1b2c3d4e5f60718293a4b5c", "One certificate." },
    { "certmill revoke --device m-1 --reason keyCompromise --why 'stolen: 4711'",
      "All certificates of a device." },
    { "certmill revoke --group pilot --reason cessationOfOperation --yes",
      "All of a group, from a script." },
};

const struct cm_command cm_command_revoke = {
    .name = "revoke",
    .operands = "",
    .summary = "revoke certificates by serial, device or group",
    .paragraphs = paragraphs,
    .options = options,
    .options_count = COUNT(options),
    .examples = examples,
    .examples_count = COUNT(examples),
    .when_failed = "failed or was refused; of a group a part may be done, do it again",
    .run = run,
};

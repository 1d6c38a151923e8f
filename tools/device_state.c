/* certmill device quarantine, reinstate, retire: what a device may have, and its certificates with it. */
#include <stdio.h>

#include <jansson.h>

#include "engine/base/clock.h"
#include "engine/orders.h"
#include "tools/commands.h"
#include "tools/orders.h"

#define COUNT(array)    (sizeof(array) / sizeof((array)[0]))
#define S_OR_NOT(count) ((count) == 1 ? "" : "s")

enum { IDS_MAX = 100000 };

struct asked {
    struct cm_order *orders; /* a device each, or one certificate */
    uint32_t count;
};

/* False: the complaint was made. */
static bool read_order(const struct cm_order_texts *texts, struct cm_arena *arena,
                       struct cm_order *ret_order)
{
    struct cm_refusal refusal;
    if (cm_order_read(texts, cm_clock_wall_s(), arena, ret_order, &refusal))
        return true;
    cm_usage_fail("%s", refusal.message);
    return false;
}

static bool read_devices(const struct cm_call *call, struct cm_order_texts *texts,
                         struct cm_arena *arena, struct asked *ret_asked)
{
    uint32_t count = (uint32_t)call->operands_count;
    struct cm_order *orders = cm_arena_zalloc(arena, count * sizeof *orders);
    for (uint32_t i = 0; i < count; i++) {
        texts->device = cm_bytes_str(call->operands[i]);
        if (!read_order(texts, arena, &orders[i]))
            return false;
    }
    *ret_asked = (struct asked){ .orders = orders, .count = count };
    return true;
}

static bool read_certificate(struct cm_order_texts *texts, struct cm_arena *arena,
                             struct asked *ret_asked)
{
    struct cm_order *order = cm_arena_zalloc(arena, sizeof *order);
    *ret_asked = (struct asked){ .orders = order, .count = 1 };
    return read_order(texts, arena, order);
}

static bool read_asked(const struct cm_call *call, enum cm_order_kind kind, struct cm_arena *arena,
                       struct asked *ret_asked)
{
    struct cm_order_texts texts = { .kind = cm_bytes_str(cm_order_name(kind)) };
    bool may_have_serial = kind == CM_ORDER_REINSTATE;
    const char *why = cm_call_value(call, "why");
    const char *issuer = may_have_serial ? cm_call_value(call, "issuer") : NULL;
    if (why)
        texts.why = cm_bytes_str(why);
    if (issuer)
        texts.issuer = cm_bytes_str(issuer);
    if (may_have_serial && !cm_order_take_serial(call, arena, &texts.serial))
        return false;
    if ((call->operands_count > 0) != (texts.serial.size > 0))
        return texts.serial.size > 0 ? read_certificate(&texts, arena, ret_asked)
                                     : read_devices(call, &texts, arena, ret_asked);
    cm_usage_fail("expected either IDs or --serial; see certmill device reinstate --help");
    return false;
}

static json_t *to_json(const struct cm_order *order)
{
    json_t *row = json_pack("{s:s, s:b, s:I}", "device", (const char *)order->device.data, "done",
                            order->code == CM_REFUSAL_NONE, "certificates",
                            (json_int_t)order->certificates_changed);
    if (order->code != CM_REFUSAL_NONE) {
        json_object_set_new(row, "code", json_string(cm_refusal_name(order->code)));
        json_object_set_new(row, "message", json_string(order->message));
    }
    return row;
}

static void print_json(const struct cm_order *orders, uint32_t count)
{
    json_t *rows = json_array();
    for (uint32_t i = 0; i < count; i++)
        json_array_append_new(rows, to_json(&orders[i]));
    json_t *object = json_pack("{s:o}", "devices", rows);
    json_dumpf(object, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(object);
}

static void complain(const struct cm_order *orders, uint32_t count, struct cm_arena *arena)
{
    for (uint32_t i = 0; i < count; i++)
        if (orders[i].code != CM_REFUSAL_NONE)
            fprintf(stderr, "certmill: %s: %s\n", (const char *)orders[i].device.data,
                    cm_order_complaint(arena, &orders[i]));
}

/* done: what has happened to the devices, and to their certificates. */
static void print_text(const struct cm_order *orders, uint32_t count, const char *const done[2])
{
    uint32_t devices = 0, certificates = 0, unchanged = 0;
    for (uint32_t i = 0; i < count; i++) {
        devices += orders[i].devices_changed;
        certificates += orders[i].certificates_changed;
        unchanged += orders[i].code == CM_REFUSAL_NONE && orders[i].devices_changed == 0;
    }
    printf("%u device%s %s, %u certificate%s %s", devices, S_OR_NOT(devices), done[0], certificates,
           S_OR_NOT(certificates), done[1]);
    if (unchanged > 0)
        printf("; %u %s so already", unchanged, unchanged == 1 ? "was" : "were");
    putchar('\n');
}

static bool all_done(const struct cm_order *orders, uint32_t count)
{
    uint32_t done = 0;
    while (done < count && orders[done].code == CM_REFUSAL_NONE)
        done++;
    return done == count;
}

static int tell_devices(const struct cm_call *call, const struct asked *asked,
                        const char *const done[2], struct cm_arena *arena)
{
    complain(asked->orders, asked->count, arena);
    if (cm_call_flag(call, "json"))
        print_json(asked->orders, asked->count);
    else if (!cm_call_flag(call, "quiet"))
        print_text(asked->orders, asked->count, done);
    return all_done(asked->orders, asked->count) ? CM_EXIT_DONE : CM_EXIT_FAILED;
}

/* It was changed, or it was refused. */
static int tell_certificate(const struct cm_call *call, const struct cm_order *order,
                            const char *done, struct cm_arena *arena)
{
    if (order->code != CM_REFUSAL_NONE)
        return cm_call_fail(call, "%s", cm_order_complaint(arena, order));
    if (cm_call_flag(call, "json"))
        printf("{\"certificates\":%u}\n", order->certificates_changed);
    else if (!cm_call_flag(call, "quiet"))
        printf("%u certificate %s\n", order->certificates_changed, done);
    return CM_EXIT_DONE;
}

static int tell(const struct cm_call *call, const struct asked *asked, const char *const done[2],
                struct cm_arena *arena)
{
    return asked->orders[0].serial.size > 0
               ? tell_certificate(call, &asked->orders[0], done[1], arena)
               : tell_devices(call, asked, done, arena);
}

static int run(const struct cm_call *call, enum cm_order_kind kind, const char *const done[2])
{
    struct cm_deployment deployment;
    struct cm_arena arena;
    struct asked asked;
    struct cm_error err = { 0 };
    int code = CM_EXIT_USAGE;
    cm_arena_init(&arena, 65536);
    if (read_asked(call, kind, &arena, &asked)) {
        cm_status status = cm_deployment_open(&deployment, call, CM_DEPLOYMENT_SETTINGS, &err);
        if (status == CM_OK)
            status = cm_orders_carry_out(&deployment, asked.orders, asked.count, &err);
        code =
            status == CM_OK ? tell(call, &asked, done, &arena) : cm_call_fail(call, "%s", err.text);
        cm_deployment_close(&deployment);
    }
    cm_arena_done(&arena);
    return code;
}

static int run_quarantine(const struct cm_call *call)
{
    static const char *const done[] = { "in quarantine", "on hold" };
    return run(call, CM_ORDER_QUARANTINE, done);
}

static int run_reinstate(const struct cm_call *call)
{
    static const char *const done[] = { "reinstated", "not on hold any more" };
    return run(call, CM_ORDER_REINSTATE, done);
}

static int run_retire(const struct cm_call *call)
{
    static const char *const done[] = { "retired", "revoked" };
    return run(call, CM_ORDER_RETIRE, done);
}

/* ---------------------------------------------------------------------------- descriptions -- */

#define ORDER_PARAGRAPH                                                                                \
    "Each device is dealt with by itself: one that is refused does not stop the others. What was "     \
    "asked for is durable, and in the audit log with your name and `--why`, before the command ends. " \
    "While `certmill serve` runs, it is asked through `control.sock` beside the store's file."
#define FAILED "failed, or not done for every device; standard error says for which"

/* clang-format off */
#define OPTION_WHY                                                                                      \
    { .name = "why", .type = CM_OPTION_TEXT, .argument = "TEXT", .help = "For the audit log; one line." }
/* clang-format on */

static const struct cm_option options[] = {
    CM_OPTION_CONFIG,
    OPTION_WHY,
    CM_OPTION_JSON,
    CM_OPTION_QUIET,
};

static const char *const quarantine_paragraphs[] = {
    "Takes the trust from devices for the time being: their certificates are on hold "
    "(`certificateHold`), and they get no new ones. `certmill device reinstate` takes it back, "
    "`certmill revoke` and `certmill device retire` make it final.",
    ORDER_PARAGRAPH, NULL
};
static const struct cm_example quarantine_examples[] = {
    { "certmill device quarantine m-1 m-2 --why 'odd traffic'", "Two devices." },
};

const struct cm_command cm_command_device_quarantine = {
    .name = "device quarantine",
    .operands = "ID...",
    .operands_min = 1,
    .operands_max = IDS_MAX,
    .summary = "put devices and their certificates on hold",
    .paragraphs = quarantine_paragraphs,
    .options = options,
    .options_count = COUNT(options),
    .examples = quarantine_examples,
    .examples_count = COUNT(quarantine_examples),
    .when_failed = FAILED,
    .run = run_quarantine,
};

static const char *const reinstate_paragraphs[] = {
    "Gives devices that are in quarantine the trust back: their certificates are off hold (a delta CRL "
    "says `removeFromCRL`), and they may have new ones. Where the group's settings say "
    "`reinstate: fresh`, they are revoked instead (`superseded`), and the device asks for new ones. What was "
    "revoked meanwhile, or before, stays "
    "revoked. A device that is not in quarantine, or retired, is refused.",
    "With `--serial` it is about one certificate that is on hold by itself: `certmill revoke --serial` with "
    "the reason `certificateHold` has put it there, or it came so from another CA with `certmill ca import`. "
    "One whose device is in quarantine comes back with the device only.",
    ORDER_PARAGRAPH, NULL
};
static const struct cm_option reinstate_options[] = {
    CM_OPTION_CONFIG,
    { .name = "serial",
      .type = CM_OPTION_TEXT,
      .argument = "HEX",
      .help = "This certificate, and no device. Colons and upper case are fine." },
    { .name = "issuer",
      .type = CM_OPTION_TEXT,
      .argument = "NAME",
      .help = "With `--serial`: which key has issued it, like `issuing-1`. Without it: whichever "
              "has; needed where two have the same number." },
    OPTION_WHY,
    CM_OPTION_JSON,
    CM_OPTION_QUIET,
};
static const struct cm_example reinstate_examples[] = {
    { "certmill device reinstate m-1", "It was a false alarm." },
    { "certmill device reinstate --serial 0a1b2c --issuer issuing-1",
      "A certificate that was on hold when its CA moved in." },
};

const struct cm_command cm_command_device_reinstate = {
    .name = "device reinstate",
    .operands = "[ID...]",
    .operands_max = IDS_MAX,
    .summary = "take devices and their certificates off hold",
    .paragraphs = reinstate_paragraphs,
    .options = reinstate_options,
    .options_count = COUNT(reinstate_options),
    .examples = reinstate_examples,
    .examples_count = COUNT(reinstate_examples),
    .when_failed = FAILED,
    .run = run_reinstate,
};

static const char *const retire_paragraphs[] = {
    "Takes devices out of service for good: their certificates are revoked "
    "(`cessationOfOperation`), and they get no new ones. There is no way back.",
    ORDER_PARAGRAPH, NULL
};
static const struct cm_example retire_examples[] = {
    { "certmill device retire m-1 --why scrapped", "A device that is no more." },
};

const struct cm_command cm_command_device_retire = {
    .name = "device retire",
    .operands = "ID...",
    .operands_min = 1,
    .operands_max = IDS_MAX,
    .summary = "take devices out of service and revoke their certificates",
    .paragraphs = retire_paragraphs,
    .options = options,
    .options_count = COUNT(options),
    .examples = retire_examples,
    .examples_count = COUNT(retire_examples),
    .when_failed = FAILED,
    .run = run_retire,
};

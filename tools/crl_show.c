/* certmill crl show: what a CRL says. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "engine/base/clock.h"
#include "engine/x509/crl.h"
#include "engine/x509/name_write.h"
#include "tools/commands.h"
#include "tools/deployment.h"
#include "tools/der_file.h"
#include "tools/published.h"
#include "tools/serial.h"
#include "tools/time_text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { NUMBER_TEXT_SIZE = 2 * CM_CRL_NUMBER_SIZE_MAX + 3 };

/* ---------------------------------------------------------------------------------- the head -- */

/* In decimal where it fits 64 bits, as ours do, else in hex. */
static const char *number_text(struct cm_bytes number, char text[NUMBER_TEXT_SIZE])
{
    if (number.size <= 8) {
        snprintf(text, NUMBER_TEXT_SIZE, "%" PRIu64,
                 number.size ? cm_big_endian_read(number.data, number.size) : UINT64_C(0));
    } else {
        memcpy(text, "0x", 3);
        cm_hex_encode(cm_bytes(number.data, number.size <= CM_CRL_NUMBER_SIZE_MAX
                                                ? number.size
                                                : CM_CRL_NUMBER_SIZE_MAX),
                      text + 2);
    }
    return text;
}

static void put(json_t *object, const char *key, const char *text)
{
    if (object)
        json_object_set_new(object, key, json_string(text));
    else
        printf("%-12s%s\n", key, text);
}

static void put_bytes(json_t *object, const char *key, struct cm_bytes text)
{
    char shown[400];
    if (text.size > 0)
        put(object, key, cm_bytes_printable(text, shown, sizeof shown));
}

static void put_end(json_t *object, const struct cm_crl_read *crl)
{
    char text[CM_TIME_TEXT_SIZE];
    if (crl->next_update_s == 0)
        return;
    cm_time_write(crl->next_update_s, text);
    if (object)
        put(object, "next_update", text);
    else
        printf("%-12s%s%s\n", "next update", text,
               crl->next_update_s <= cm_clock_wall_s() ? " (it has ended)" : "");
}

/* To the object, or where it is NULL to standard output. */
static void put_head(json_t *object, const struct cm_crl_read *crl)
{
    char name[CM_NAME_TEXT_SIZE], number[NUMBER_TEXT_SIZE], time[CM_TIME_TEXT_SIZE];
    put(object, "issuer", cm_name_write(crl->issuer, name));
    if (crl->aki.size > 0 && crl->aki.size <= 64) {
        char hex[129];
        cm_hex_encode(crl->aki, hex);
        put(object, object ? "key_id" : "key id", hex);
    }
    if (crl->has_number)
        put(object, "number", number_text(crl->number, number));
    if (crl->is_delta)
        put(object, object ? "base" : "delta of", number_text(crl->base_number, number));
    put(object, object ? "this_update" : "this update", cm_time_write(crl->this_update_s, time));
    put_end(object, crl);
    put_bytes(object, "url", crl->url);
    put(object, "algorithm", cm_sigalg_name(crl->sigalg));
}

/* ------------------------------------------------------------------------------- the entries -- */

static void put_entry(json_t *entries, const struct cm_crl_entry *entry)
{
    char serial[CM_SERIAL_TEXT_SIZE], time[CM_TIME_TEXT_SIZE], since[CM_TIME_TEXT_SIZE] = "";
    cm_serial_write(entry->serial, serial);
    cm_time_write(entry->revoked_s, time);
    if (entry->invalidity_s != 0)
        cm_time_write(entry->invalidity_s, since);
    if (entries)
        json_array_append_new(entries,
                              json_pack("{s:s, s:s, s:s, s:s*}", "serial", serial, "revoked", time,
                                        "reason", cm_reason_name(entry->reason), "invalidity",
                                        since[0] ? since : NULL));
    else
        printf("  %-40s  %s  %s%s%s\n", serial, time, cm_reason_name(entry->reason),
               since[0] ? ", invalid since " : "", since);
}

/* entries NULL: printed, where is_printed. */
static cm_status walk_entries(const struct cm_crl_read *crl, json_t *entries, bool is_printed,
                              uint64_t *ret_count, struct cm_error *err)
{
    struct cm_bytes rest = crl->entries;
    struct cm_crl_entry entry;
    cm_status status = CM_OK;
    uint64_t count = 0;
    for (; cm_crl_next_entry(&rest, &entry, &status, err); count++)
        if (entries || is_printed)
            put_entry(entries, &entry);
    *ret_count = count;
    return status;
}

/* -------------------------------------------------------------------------------- the command -- */

static cm_status show_json(const struct cm_crl_read *crl, struct cm_error *err)
{
    json_t *object = json_object(), *entries = json_array();
    uint64_t count;
    put_head(object, crl);
    cm_status status = walk_entries(crl, entries, false, &count, err);
    json_object_set_new(object, "entries", entries);
    if (status == CM_OK) {
        json_dumpf(object, stdout, JSON_COMPACT);
        putchar('\n');
    }
    json_decref(object);
    return status;
}

static cm_status show_text(const struct cm_crl_read *crl, struct cm_error *err)
{
    uint64_t count;
    cm_status status = walk_entries(crl, NULL, false, &count, err); /* all good, and how many */
    if (status != CM_OK)
        return status;
    put_head(NULL, crl);
    printf("%-12s%" PRIu64 "\n", "entries", count);
    return walk_entries(crl, NULL, true, &count, err);
}

static cm_status show(struct cm_bytes der, const char *where, void *arg, struct cm_error *err)
{
    const struct cm_call *call = arg;
    struct cm_crl_read crl;
    struct cm_error why;
    cm_status status = cm_crl_read(der, &crl, &why);
    if (status == CM_OK)
        status = cm_call_flag(call, "json") ? show_json(&crl, &why) : show_text(&crl, &why);
    if (status != CM_OK)
        return CM_FAIL(err, status, CM_ORIGIN_SELF, 0, "%.100s: %.130s", where, why.text);
    return CM_OK;
}

static cm_status show_published(const struct cm_call *call, const char *issuer,
                                struct cm_error *err)
{
    struct cm_deployment deployment;
    const char *path = NULL;
    cm_status status = cm_deployment_open(&deployment, call, CM_DEPLOYMENT_SETTINGS, err);
    if (status == CM_OK)
        status = cm_published_crl(deployment.settings, &deployment.arena, issuer,
                                  (uint32_t)cm_call_number(call, "shard"),
                                  cm_call_flag(call, "delta"), &path, err);
    if (status == CM_OK)
        status = cm_der_file_walk(path, CM_LABEL_CRL, show, (void *)(uintptr_t)call, err);
    cm_deployment_close(&deployment);
    return status;
}

static int run(const struct cm_call *call)
{
    struct cm_error err = { 0 };
    const char *issuer = cm_call_value(call, "issuer");
    if ((call->operands_count == 0) == !issuer)
        return cm_usage_fail("expected a FILE or --issuer; see certmill crl show --help");
    if (!issuer && (cm_call_value(call, "shard") || cm_call_flag(call, "delta")))
        return cm_usage_fail("--shard and --delta go with --issuer");
    cm_status status = issuer ? show_published(call, issuer, &err)
                              : cm_der_file_walk(call->operands[0], CM_LABEL_CRL, show,
                                                 (void *)(uintptr_t)call, &err);
    return status == CM_OK ? CM_EXIT_DONE : cm_call_fail(call, "%s", err.text);
}

static const char *const paragraphs[] = {
    "Shows what a CRL says: who has issued it, its number, from when until when it counts, and every "
    "entry with its date and reason. Its signature is not looked at: `openssl crl -CAfile` does that.",
    "`FILE` holds DER or PEM, `-` is standard input. With `--issuer` it is the CRL in the "
    "`status.publish-folder` of the settings.",
    NULL
};
static const struct cm_option options[] = {
    CM_OPTION_CONFIG,
    { .name = "issuer",
      .type = CM_OPTION_TEXT,
      .argument = "NAME",
      .help = "The CRL that was published for this key, like `issuing-1`." },
    { .name = "shard",
      .type = CM_OPTION_NUMBER,
      .argument = "N",
      .max = 65535,
      .help = "With `--issuer`: which of its shards. Without it: 0." },
    { .name = "delta",
      .type = CM_OPTION_FLAG,
      .help = "With `--issuer`: the delta CRL beside it." },
    CM_OPTION_JSON,
};
static const struct cm_example examples[] = {
    { "certmill crl show --issuer issuing-1 --shard 3", "One that was published." },
    { "curl -s http://pki.example/crl/issuing-1/0.crl | certmill crl show -",
      "What relying parties get." },
};

const struct cm_command cm_command_crl_show = {
    .name = "crl show",
    .operands = "[FILE|-]",
    .operands_max = 1,
    .summary = "show what a CRL says",
    .paragraphs = paragraphs,
    .options = options,
    .options_count = COUNT(options),
    .examples = examples,
    .examples_count = COUNT(examples),
    .when_failed = "there is no such CRL, or it is none",
    .run = run,
};

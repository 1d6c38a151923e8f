/* certmill ca rotate: the next key of an authority, ready to take over from the one that it has. */
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "tools/ca_rotation.h"
#include "tools/ca_scheduled.h"
#include "tools/commands.h"
#include "tools/time_text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void tell_json(const struct cm_ca_rotation *rotation, bool is_active)
{
    char until[CM_TIME_TEXT_SIZE];
    json_t *object = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:b}", "generation", rotation->name, "replaces",
        rotation->old_name, "state", is_active ? "active" : "pending", "provider",
        rotation->provider, "key", rotation->ca.key, "certificate", rotation->path, "not_after",
        cm_time_write(rotation->certificate.not_after_s, until), "crosses",
        (json_int_t)rotation->crosses_count, "was_there", rotation->was_there);
    json_dumpf(object, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(object);
}

static void tell(const struct cm_ca_rotation *rotation, bool is_active)
{
    char until[CM_TIME_TEXT_SIZE];
    if (rotation->was_there)
        printf("%s was made already\n", rotation->name);
    else if (strcmp(rotation->signers_name, rotation->name) == 0)
        printf("%s, signed by itself\n", rotation->name);
    else
        printf("%s, signed by %s\n", rotation->name, rotation->signers_name);
    printf("  %s\n      until %s\n  %s\n      its key, in provider %s%s\n", rotation->path,
           cm_time_write(rotation->certificate.not_after_s, until), rotation->ca.key,
           rotation->provider, rotation->took_up ? ", that an interrupted run had left" : "");
    if (rotation->crosses_count > 0)
        printf("  %u cross certificates with %s\n", rotation->crosses_count, rotation->old_name);
    if (is_active)
        printf("\n%s issues now, in place of %s.\n", rotation->name, rotation->old_name);
    else
        printf("\nIt is pending: certmill ca activate %s lets it issue in place of %s.\n",
               rotation->name, rotation->old_name);
}

static cm_status rotate(const struct cm_call *call, struct cm_ca_rotation *rotation,
                        struct cm_ca_record *record, struct cm_error *err)
{
    bool is_active = cm_call_flag(call, "activate");
    cm_status status = cm_ca_rotation_carry_out(rotation, record, err);
    if (status == CM_OK && is_active)
        status = cm_ca_record_move(record, rotation->name, CM_GENERATION_ACTIVE, CM_KEY_KEPT, false,
                                   NULL, NULL, err);
    if (status == CM_OK && cm_call_flag(call, "json"))
        tell_json(rotation, is_active);
    else if (status == CM_OK)
        tell(rotation, is_active);
    return status;
}

/* ----------------------------------------------------------------------------------- scheduled -- */

static void tell_step(const char *generation, const char *is, void *arg)
{
    json_t *steps = arg;
    if (steps)
        json_array_append_new(steps,
                              json_pack("{s:s, s:s}", "generation", generation, "state", is));
    else
        printf("%s is %s now\n", generation, is);
}

/* Silent where nothing is due: it may be asked every minute. */
static cm_status keep_schedule(const struct cm_call *call, struct cm_ca_record *record,
                               struct cm_error *err)
{
    json_t *steps = cm_call_flag(call, "json") ? json_array() : NULL;
    cm_status status = cm_ca_scheduled_carry_out(record, call->operands[0], tell_step, steps, err);
    if (steps && status == CM_OK) {
        json_dumpf(steps, stdout, JSON_COMPACT);
        putchar('\n');
    }
    json_decref(steps);
    return status;
}

/* What the settings say is not said once more. */
static bool names_more(const struct cm_call *call)
{
    static const char *const values[] = { "provider", "key", "key-type", "replace" };
    bool found = cm_call_flag(call, "existing-key") || cm_call_flag(call, "no-cross")
                 || cm_call_flag(call, "activate");
    for (size_t i = 0; i < COUNT(values); i++)
        found |= cm_call_value(call, values[i]) != NULL;
    return found;
}

/* ----------------------------------------------------------------------------------------- run -- */

static int run(const struct cm_call *call)
{
    struct cm_ca_rotation rotation = { .authority = call->operands[0],
                                       .replaced = cm_call_value(call, "replace"),
                                       .provider = cm_call_value(call, "provider"),
                                       .key = cm_call_value(call, "key"),
                                       .key_type = cm_call_value(call, "key-type"),
                                       .has_key = cm_call_flag(call, "existing-key"),
                                       .no_crosses = cm_call_flag(call, "no-cross") };
    struct cm_ca_record record;
    struct cm_error err = { 0 };
    if (rotation.has_key && !rotation.key)
        return cm_usage_fail("--existing-key: --key says which");
    if (cm_call_flag(call, "scheduled") && names_more(call))
        return cm_usage_fail("--scheduled: the settings say what is done");
    cm_status status = cm_ca_record_open(&record, call, &err);
    if (status == CM_OK)
        status = cm_call_flag(call, "scheduled") ? keep_schedule(call, &record, &err)
                                                 : rotate(call, &rotation, &record, &err);
    cm_ca_record_close(&record);
    return status == CM_OK ? CM_EXIT_DONE : cm_call_fail(call, "%s", err.text);
}

static const char *const paragraphs[] = {
    "Makes the next generation of the authority `NAME`: a new key, of the same type and in the same provider "
    "unless `--key-type` and `--provider` say otherwise (so a CA moves from files to an HSM, or to a vault), "
    "and a certificate by the same signer with the same subject, constraints and policies. It begins as "
    "pending: nothing changes until `certmill ca activate`, or `--activate` here.",
    "Cross certificates go with it (RFC 4210, 4.4): the new key certified by the old one, for those who trust "
    "the old one, and the old key by the new one. `certmill ca export-chain --cross` prints them.",
    "An engine may be running, and goes on issuing: it is handed what is to be recorded, and opens the new "
    "key. The provider must be in the settings that it was started with. The intent is in the audit log "
    "before any key signs.",
    "A run that is killed leaves the authority as it was; run it again: a key that was left under the name that "
    "certmill gives it is taken up, and a pending generation is shown again.",
    "With `--scheduled` the settings of the authority say what is done: with `rotation: prepare` the next key is "
    "made when the active one has issued for `issues-for` but `rotate-ahead`; with `automatic` it issues, too, "
    "when `issues-for` is over, and keys that issue no more and of which every certificate has ended are "
    "retired. Nothing is due: nothing is done or printed, and that is success. `certmill serve` runs this by "
    "itself; without one, a timer may.",
    NULL
};
static const struct cm_option options[] = {
    CM_OPTION_CONFIG,
    { .name = "provider",
      .type = CM_OPTION_TEXT,
      .argument = "NAME",
      .help = "Of the settings: where the new key lives. Without it: where the old one does." },
    { .name = "key",
      .type = CM_OPTION_TEXT,
      .argument = "REFERENCE",
      .help =
          "As of `certmill ca create`. Without it the key is called `NAME-2`, beside the old one." },
    { .name = "key-type",
      .type = CM_OPTION_CHOICE,
      .argument = "TYPE",
      .choices = "p256 p384 p521 rsa-2048 rsa-3072 rsa-4096 ed25519",
      .help = "Of the new key. Without it: that of the old one." },
    { .name = "existing-key", .type = CM_OPTION_FLAG, .help = "The key is there: bring your own." },
    { .name = "replace",
      .type = CM_OPTION_TEXT,
      .argument = "NAME-N",
      .help = "Whose place it takes, where several keys of the authority are active." },
    { .name = "no-cross", .type = CM_OPTION_FLAG, .help = "Make no cross certificates." },
    { .name = "activate", .type = CM_OPTION_FLAG, .help = "And let it issue at once." },
    { .name = "scheduled",
      .type = CM_OPTION_FLAG,
      .help = "Do what the settings say is due by now, which may be nothing." },
    CM_OPTION_PLAN,
    CM_OPTION_JSON,
};
static const struct cm_example examples[] = {
    { "certmill ca rotate issuing",
      "The next key, beside the old one; then `certmill ca activate issuing`." },
    { "certmill ca rotate issuing --provider hsm --key 'pkcs11:object=issuing-2'",
      "From files into a token." },
    { "certmill ca rotate issuing --scheduled", "In a timer, where no engine runs all the time." },
    { "certmill ca rotate root --key-type p384", "A new root, certified by the old one, too." },
};

const struct cm_command cm_command_ca_rotate = {
    .name = "ca rotate",
    .operands = "NAME",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "make the next key of an authority",
    .paragraphs = paragraphs,
    .options = options,
    .options_count = COUNT(options),
    .examples = examples,
    .examples_count = COUNT(examples),
    .when_failed = "failed; the authority is as it was",
    .run = run,
};

/* certmill ceremony sign, approve, cancel: what operators sign, where the store is or elsewhere. */
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "engine/x509/key.h"

#include "tools/ceremony.h"
#include "tools/commands.h"
#include "tools/der_file.h"
#include "tools/key_session.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---------------------------------------------------------------------------------- the key -- */

/* Without --provider it needs no settings: the operator's key is the operator's affair. */
static cm_status find_provider(const struct cm_call *call, const struct cm_settings *settings,
                               struct cm_settings_provider *ret_provider, struct cm_error *err)
{
    const char *name = cm_call_value(call, "provider");
    const struct cm_settings_provider *found = NULL;
    if (name && settings)
        found = cm_settings_provider(settings, name);
    if (name && !found)
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                       "there is no provider \"%.60s\" in the settings", name);
    if (found)
        *ret_provider = *found;
    else
        *ret_provider = (struct cm_settings_provider){ .name = "operator",
                                                       .kind = cm_call_value(call, "kind"),
                                                       .module = cm_call_value(call, "module"),
                                                       .keys = ".",
                                                       .passphrase = cm_call_value(call, "pin"),
                                                       .call_deadline_ms = 10000 };
    return CM_OK;
}

static cm_status sign_with(struct cm_key_session *session, struct cm_arena *arena,
                           struct cm_approval *approval, struct cm_error *err)
{
    char message[CM_APPROVAL_MESSAGE_SIZE];
    uint8_t signature[CM_SIGNATURE_SIZE_MAX];
    struct cm_public_key key;
    struct cm_refusal refusal;
    size_t size = 0;
    if (!cm_public_key_read(session->key->spki, &key, &refusal)
        || cm_approval_sigalg(key.type) == CM_SIGALG_UNKNOWN)
        return CM_FAIL(err, CM_MISMATCH, CM_ORIGIN_SELF, 0,
                       "an operator signs with a key of Ed25519 or P-256; this is another");
    cm_approval_message(approval->by.purpose, approval->digest, message);
    cm_status status = cm_key_session_sign(session, cm_bytes_str(message), signature, &size, err);
    if (status != CM_OK)
        return status;
    approval->by.key = cm_arena_copy(arena, session->key->spki);
    approval->by.signature = cm_arena_copy(arena, cm_bytes(signature, size));
    return CM_OK;
}

/* settings NULL: there are none here. */
static cm_status sign(const struct cm_call *call, const struct cm_settings *settings,
                      const struct cm_plan_record *record, enum cm_approval_purpose purpose,
                      struct cm_arena *arena, struct cm_bytes *ret_text, struct cm_error *err)
{
    struct cm_approval approval = {
        .by = { .purpose = purpose, .operator= cm_bytes_str(cm_call_value(call, "operator")) }
    };
    struct cm_settings_provider provider;
    struct cm_key_session session = { 0 };
    memcpy(approval.plan, record->row.id, sizeof approval.plan);
    memcpy(approval.digest, record->row.digest, sizeof approval.digest);
    cm_status status = find_provider(call, settings, &provider, err);
    if (status != CM_OK)
        return status;
    status = cm_key_session_open(&session, &provider, cm_call_value(call, "key"), err);
    if (status == CM_OK)
        status = sign_with(&session, arena, &approval, err);
    cm_key_session_close(&session);
    if (status == CM_OK)
        *ret_text = cm_approval_write(&approval, arena);
    return status;
}

/* The whole digest, or its beginning, as it was read aloud. */
static cm_status check_digest(const struct cm_call *call, const struct cm_plan_record *record,
                              struct cm_error *err)
{
    const char *said = cm_call_value(call, "digest");
    char hex[CM_DIGEST_HEX_SIZE];
    cm_hex_encode(cm_bytes(record->row.digest, sizeof record->row.digest), hex);
    if (!said || strcmp(said, hex) == 0)
        return CM_OK;
    return CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0,
                   "the plan has not this digest, but %s: nothing was signed", hex);
}

/* -------------------------------------------------------------------------------------- sign -- */

static cm_status sign_file(const struct cm_call *call, struct cm_arena *arena, struct cm_error *err)
{
    struct cm_plan_record record;
    struct cm_settings *settings = NULL;
    struct cm_bytes text;
    cm_status status = cm_ceremony_read_file(call->operands[0], arena, &record, err);
    if (status == CM_OK)
        status = check_digest(call, &record, err);
    if (status == CM_OK && cm_call_value(call, "provider"))
        status = cm_settings_read(cm_call_value(call, "config"), &settings, err);
    if (status == CM_OK)
        status = sign(call, settings, &record,
                      cm_call_flag(call, "cancel") ? CM_APPROVAL_CANCEL : CM_APPROVAL_RUN, arena,
                      &text, err);
    if (status == CM_OK)
        status = cm_ceremony_write_file(cm_call_value(call, "out"), text, err);
    cm_settings_free(settings);
    return status;
}

static int run_sign(const struct cm_call *call)
{
    struct cm_error err = { 0 };
    struct cm_arena arena;
    cm_arena_init(&arena, 65536);
    cm_status status = sign_file(call, &arena, &err);
    cm_arena_done(&arena);
    return status == CM_OK ? CM_EXIT_DONE : cm_call_fail(call, "%s", err.text);
}

/* --------------------------------------------------------------------------- approve and cancel -- */

static cm_status read_approval(const char *path, struct cm_arena *arena, struct cm_bytes *ret_text,
                               struct cm_error *err)
{
    struct cm_bytes content;
    cm_status status = cm_whole_file_read(path, &content, err);
    if (status != CM_OK)
        return status;
    *ret_text = cm_arena_copy(arena, content);
    free((void *)(uintptr_t)content.data);
    return CM_OK;
}

/* A file that was brought is for this plan and this purpose, or it is a slip. */
static cm_status check_brought(struct cm_bytes text, const struct cm_plan_record *record,
                               enum cm_approval_purpose purpose, struct cm_arena *arena,
                               struct cm_error *err)
{
    struct cm_approval approval;
    cm_status status = cm_approval_read(text, arena, &approval, err);
    if (status != CM_OK)
        return status;
    if (memcmp(approval.plan, record->row.id, sizeof approval.plan) != 0)
        return CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0, "the approval is for another plan");
    if (approval.by.purpose != purpose)
        return CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0,
                       "the approval was signed to %s the plan, not to %s it",
                       cm_approval_purpose_name(approval.by.purpose),
                       cm_approval_purpose_name(purpose));
    return CM_OK;
}

static cm_status find_text(const struct cm_call *call, const struct cm_plan_record *record,
                           enum cm_approval_purpose purpose, struct cm_arena *arena,
                           struct cm_bytes *ret_text, struct cm_error *err)
{
    const char *path = cm_call_value(call, "approval");
    struct cm_settings *settings = NULL;
    cm_status status;
    if (path) {
        status = read_approval(path, arena, ret_text, err);
        return status == CM_OK ? check_brought(*ret_text, record, purpose, arena, err) : status;
    }
    status = check_digest(call, record, err);
    if (status == CM_OK)
        status = cm_settings_read(cm_call_value(call, "config"), &settings, err);
    if (status == CM_OK)
        status = sign(call, settings, record, purpose, arena, ret_text, err);
    cm_settings_free(settings);
    return status;
}

static cm_status take(const struct cm_call *call, const char *step, struct cm_bytes text,
                      bool *ret_changed, struct cm_error *err)
{
    struct cm_deployment deployment;
    cm_status status = cm_deployment_open(&deployment, call, CM_DEPLOYMENT_SETTINGS, err);
    if (status == CM_OK)
        status = cm_ceremony_take(&deployment, step, text, ret_changed, err);
    cm_deployment_close(&deployment);
    return status;
}

struct outcome {
    bool changed, cancelled;
    uint32_t count, wanted;
};

/* How many there are now; enough that want it cancelled cancel it. */
static cm_status look_again(const struct cm_call *call, const char *id,
                            enum cm_approval_purpose purpose, struct cm_arena *arena,
                            struct outcome *outcome, struct cm_error *err)
{
    struct cm_deployment deployment;
    struct cm_plan_record record;
    bool ignored;
    cm_status status = cm_deployment_open(&deployment, call, CM_DEPLOYMENT_READ, err);
    if (status == CM_OK)
        status = cm_plan_find(deployment.reader, id, arena, &record, err);
    if (status == CM_OK) {
        outcome->count = cm_plan_count_approvals(deployment.settings, &record, purpose);
        outcome->wanted = cm_plan_wants_approvals(deployment.settings, &record);
    }
    cm_deployment_close(&deployment);
    if (status != CM_OK || purpose != CM_APPROVAL_CANCEL || outcome->count < outcome->wanted)
        return status;
    status = take(call, "plan-cancel", cm_bytes_str(id), &ignored, err);
    outcome->cancelled = status == CM_OK;
    return status;
}

static cm_status approve(const struct cm_call *call, enum cm_approval_purpose purpose,
                         struct cm_arena *arena, struct outcome *outcome, struct cm_error *err)
{
    struct cm_plan_record record;
    struct cm_bytes text;
    char id[CM_PLAN_HEX_SIZE];
    cm_status status = cm_ceremony_find_plan(call, arena, &record, err);
    if (status == CM_OK)
        status = find_text(call, &record, purpose, arena, &text, err);
    if (status == CM_OK)
        status = take(call, "plan-approve", text, &outcome->changed, err);
    if (status != CM_OK)
        return status;
    cm_hex_encode(cm_bytes(record.row.id, sizeof record.row.id), id);
    return look_again(call, id, purpose, arena, outcome, err);
}

static void tell(const struct cm_call *call, enum cm_approval_purpose purpose,
                 const struct outcome *outcome)
{
    if (cm_call_flag(call, "json")) {
        json_t *object = json_pack("{s:b, s:i, s:i, s:b}", "changed", (int)outcome->changed,
                                   "counted", (int)outcome->count, "wanted", (int)outcome->wanted,
                                   "cancelled", (int)outcome->cancelled);
        json_dumpf(object, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(object);
        return;
    }
    printf("%s%u of %u %s\n", outcome->changed ? "" : "nothing new: ", outcome->count,
           outcome->wanted,
           outcome->cancelled           ? "want it cancelled: the plan is cancelled"
           : purpose == CM_APPROVAL_RUN ? "have approved the plan"
                                        : "want it cancelled");
}

static int run_with(const struct cm_call *call, enum cm_approval_purpose purpose)
{
    struct outcome outcome = { .changed = false };
    struct cm_error err = { 0 };
    struct cm_arena arena;
    bool brings = cm_call_value(call, "approval");
    if (brings ? cm_call_value(call, "operator") || cm_call_value(call, "key")
               : !cm_call_value(call, "operator") || !cm_call_value(call, "key"))
        return cm_usage_fail("expected --operator NAME with --key REFERENCE, or --approval FILE");
    cm_arena_init(&arena, 65536);
    cm_status status = approve(call, purpose, &arena, &outcome, &err);
    cm_arena_done(&arena);
    if (status != CM_OK)
        return cm_call_fail(call, "%s", err.text);
    tell(call, purpose, &outcome);
    return CM_EXIT_DONE;
}

static int run_approve(const struct cm_call *call)
{
    return run_with(call, CM_APPROVAL_RUN);
}

static int run_cancel(const struct cm_call *call)
{
    return run_with(call, CM_APPROVAL_CANCEL);
}

/* -------------------------------------------------------------------------------- descriptions -- */

#define KEY_OPTIONS                                                                                \
    { .name = "provider",                                                                          \
      .type = CM_OPTION_TEXT,                                                                      \
      .argument = "NAME",                                                                          \
      .help = "The key is in this provider of the settings." },                                    \
        { .name = "kind",                                                                          \
          .type = CM_OPTION_CHOICE,                                                                \
          .argument = "KIND",                                                                      \
          .choices = "openssl pkcs11",                                                             \
          .standard = "openssl",                                                                   \
          .help = "Without `--provider`: `openssl` for a key file, `pkcs11` for a token." },       \
        { .name = "module",                                                                        \
          .type = CM_OPTION_PATH,                                                                  \
          .argument = "FILE",                                                                      \
          .help = "With `--kind pkcs11`: the vendor's module, an absolute path." },                \
        { .name = "pin",                                                                           \
          .type = CM_OPTION_TEXT,                                                                  \
          .argument = "REFERENCE",                                                                 \
          .help = "Where the key file's passphrase or the token's PIN is: `file:PATH`, "           \
                  "`env:NAME`, `credential:NAME`, `prompt:WORDS`." },                              \
    {                                                                                              \
        .name = "digest", .type = CM_OPTION_TEXT, .argument = "HEX",                               \
        .help = "Sign only if the plan has this SHA-256, 64 lower-case digits."                    \
    }

static const char *const sign_paragraphs[] = {
    "Signs a plan in a file with an operator's key, and writes the approval to a file, for `certmill ceremony "
    "approve --approval` to bring where the store is. It needs no settings and no store, so that the key may "
    "stay on a machine without a network.",
    "Read first what is signed: `certmill ceremony show FILE`. What is signed is the line "
    "`certmill-plan-v1 run DIGEST` (or `cancel`), without an end of line.",
    NULL
};
static const struct cm_option sign_options[] = {
    CM_OPTION_CONFIG,
    { .name = "operator",
      .type = CM_OPTION_TEXT,
      .argument = "NAME",
      .required = true,
      .help = "Whose key it is, as in the settings of the deployment." },
    { .name = "key",
      .type = CM_OPTION_TEXT,
      .argument = "REFERENCE",
      .required = true,
      .help = "The operator's private key: `file:PATH`, or what the provider calls it." },
    KEY_OPTIONS,
    { .name = "cancel",
      .type = CM_OPTION_FLAG,
      .help = "Sign that the plan is to be cancelled, not that it may run." },
    { .name = "out",
      .letter = 'o',
      .type = CM_OPTION_PATH,
      .argument = "FILE",
      .standard = "-",
      .help = "The approval; `-` is standard output." },
    { .name = "json", .type = CM_OPTION_FLAG, .help = "Errors as one JSON object, too." },
};
static const struct cm_example sign_examples[] = {
    { "certmill ceremony sign plan.json --operator bob --key file:bob.key -o bob",
      "Where the key is." },
};

const struct cm_command cm_command_ceremony_sign = {
    .name = "ceremony sign",
    .operands = "FILE",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "sign a plan where the store is not",
    .paragraphs = sign_paragraphs,
    .options = sign_options,
    .options_count = COUNT(sign_options),
    .examples = sign_examples,
    .examples_count = COUNT(sign_examples),
    .run = run_sign,
};

#define APPROVE_OPTIONS(words)                                                                     \
    CM_OPTION_CONFIG,                                                                              \
        { .name = "operator",                                                                      \
          .type = CM_OPTION_TEXT,                                                                  \
          .argument = "NAME",                                                                      \
          .help = "Who " words ": an operator of the settings." },                                 \
        { .name = "key",                                                                           \
          .type = CM_OPTION_TEXT,                                                                  \
          .argument = "REFERENCE",                                                                 \
          .help = "With `--operator`: the private key, `file:PATH` or what the provider calls "    \
                  "it." },                                                                         \
        KEY_OPTIONS,                                                                               \
        { .name = "approval",                                                                      \
          .type = CM_OPTION_PATH,                                                                  \
          .argument = "FILE",                                                                      \
          .help = "In place of `--operator` and `--key`: what `certmill ceremony sign` has "       \
                  "written." },                                                                    \
        CM_OPTION_JSON

static const char *const approve_paragraphs[] = {
    "Approves a plan with an operator's signature, made here or brought in a file. The signature is verified with the "
    "key that the settings have for the operator, here and again when the plan runs. An operator counts "
    "once, however often they sign.",
    "Read the script aloud first: `certmill ceremony show PLAN`. " CM_CEREMONY_PLAN
    " " CM_CEREMONY_ENGINE,
    NULL
};
static const struct cm_option approve_options[] = { APPROVE_OPTIONS("approves") };
static const struct cm_example approve_examples[] = {
    { "certmill ceremony approve 1f2e3d4c --operator ann --key file:ann.key", "By a key file." },
    { "certmill ceremony approve 1f2e3d4c --approval bob.json", "By a signature from elsewhere." },
};

const struct cm_command cm_command_ceremony_approve = {
    .name = "ceremony approve",
    .operands = "PLAN",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "approve a plan with an operator's signature",
    .paragraphs = approve_paragraphs,
    .options = approve_options,
    .options_count = COUNT(approve_options),
    .examples = approve_examples,
    .examples_count = COUNT(approve_examples),
    .run = run_approve,
};

static const char *const cancel_paragraphs[] = {
    "Says with an operator's signature that a plan is not wanted any more. When as many operators have said so as "
    "have to approve it, it is cancelled and does not run any more: no one alone cancels what others "
    "approve. A plan that nobody runs ends by itself.",
    CM_CEREMONY_PLAN " " CM_CEREMONY_ENGINE, NULL
};
static const struct cm_option cancel_options[] = { APPROVE_OPTIONS("wants it cancelled") };
static const struct cm_example cancel_examples[] = {
    { "certmill ceremony cancel 1f2e3d4c --operator ann --key file:ann.key", "One of two." },
};

const struct cm_command cm_command_ceremony_cancel = {
    .name = "ceremony cancel",
    .operands = "PLAN",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "say that a plan is to be cancelled",
    .paragraphs = cancel_paragraphs,
    .options = cancel_options,
    .options_count = COUNT(cancel_options),
    .examples = cancel_examples,
    .examples_count = COUNT(cancel_examples),
    .run = run_cancel,
};

/* certmill audit verify: whether the log is whole, and whether a proof is one. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/authority/trail.h"
#include "tools/audit_text.h"
#include "tools/commands.h"
#include "tools/deployment.h"
#include "tools/der_file.h"
#include "tools/progress.h"
#include "tools/time_text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ------------------------------------------------------------------ what it is given -- */

/* The first value of a file, in an arena. */
struct taken {
    struct cm_arena *arena;
    struct cm_bytes der;
};

static cm_status take(struct cm_bytes der, const char *where, void *arg, struct cm_error *err)
{
    struct taken *taken = arg;
    (void)where;
    (void)err;
    if (taken->der.size == 0)
        taken->der = cm_arena_copy(taken->arena, der);
    return CM_OK;
}

static cm_status read_der(const char *path, const char *label, struct cm_arena *arena,
                          struct cm_bytes *ret_der, struct cm_error *err)
{
    struct taken taken = { .arena = arena };
    cm_status status = cm_der_file_walk(path, label, take, &taken, err);
    *ret_der = taken.der;
    return status;
}

/* Empty without --key. */
static cm_status read_key(const struct cm_call *call, struct cm_arena *arena,
                          struct cm_bytes *ret_spki, struct cm_error *err)
{
    const char *path = cm_call_value(call, "key");
    *ret_spki = cm_bytes(NULL, 0);
    return path ? read_der(path, "PUBLIC KEY", arena, ret_spki, err) : CM_OK;
}

/* ------------------------------------------------------------------ the log -- */

static void on_progress(int64_t rows, int64_t rows_count, void *arg)
{
    struct cm_progress *progress = arg;
    progress->total = (uint64_t)(rows_count > rows ? rows_count : rows);
    cm_progress_set(progress, (uint64_t)rows);
}

static const char *hex(const uint8_t hash[CM_HASH_SIZE], char text[2 * CM_HASH_SIZE + 1])
{
    cm_hex_encode(cm_bytes(hash, CM_HASH_SIZE), text);
    return text;
}

static void print_json(const struct cm_trail_found *found)
{
    char head[2 * CM_HASH_SIZE + 1], signer[2 * CM_HASH_SIZE + 1];
    json_t *object =
        json_pack("{s:b, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:s}", "whole",
                  found->is_whole, "error", found->text, "row", (json_int_t)found->row, "rows",
                  (json_int_t)found->rows, "certificates", (json_int_t)found->certificates,
                  "certificates_before", (json_int_t)found->certificates_before, "abandoned",
                  (json_int_t)found->abandoned, "checkpoints", (json_int_t)found->checkpoints,
                  "covered", (json_int_t)found->covered, "head", hex(found->head, head), "signer",
                  found->checkpoints > 0 ? hex(found->signer, signer) : "");
    json_dumpf(object, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(object);
}

static void print_text(const struct cm_trail_found *found)
{
    char text[2 * CM_HASH_SIZE + 1];
    printf("the audit log is whole: %" PRId64 " rows, %" PRId64 " certificates, %" PRId64
           " abandoned serials\n",
           found->rows, found->certificates, found->abandoned);
    if (found->certificates_before > 0)
        printf("%" PRId64 " certificates are from before the log had their trees: only counted\n",
               found->certificates_before);
    printf("row %" PRId64 " has the hash %s\n", found->rows, hex(found->head, text));
    if (found->checkpoints > 0)
        printf("%" PRId64 " checkpoints, the last over row %" PRId64 ", signed by the key %s\n",
               found->checkpoints, found->covered, hex(found->signer, text));
    else
        printf("no checkpoints: whether its end was cut off, nobody can tell\n");
}

static cm_status verify_log(const struct cm_call *call, struct cm_deployment *deployment,
                            struct cm_trail_found *found, struct cm_error *err)
{
    const char *file = cm_call_value(call, "checkpoints");
    struct cm_progress progress;
    struct cm_trail_settings trail = {
        .reader = deployment->reader,
        .file = file ? file : deployment->settings->audit.file,
        .step_ms_max = (int64_t)deployment->settings->engine.clock_step_s_max * 1000,
        .progress = on_progress,
        .arg = &progress,
    };
    cm_status status = read_key(call, &deployment->arena, &trail.spki, err);
    if (status != CM_OK)
        return status;
    cm_store_reader_end(deployment->reader); /* one for each piece: an engine may be writing */
    cm_progress_start(&progress, "rows verified", 1,
                      cm_call_flag(call, "quiet") || cm_call_flag(call, "json"));
    status = cm_trail_verify(&trail, found, err);
    cm_progress_end(&progress);
    return status;
}

static int run_log(const struct cm_call *call)
{
    struct cm_deployment deployment;
    struct cm_trail_found found;
    struct cm_error err;
    cm_status status = cm_deployment_open(&deployment, call, CM_DEPLOYMENT_READ, &err);
    if (status == CM_OK)
        status = verify_log(call, &deployment, &found, &err);
    cm_deployment_close(&deployment);
    if (status != CM_OK)
        return cm_call_fail(call, "%s", err.text);
    if (cm_call_flag(call, "json"))
        print_json(&found);
    else if (found.is_whole && !cm_call_flag(call, "quiet"))
        print_text(&found);
    if (!found.is_whole)
        fprintf(stderr, "certmill: audit log: %s\n", found.text);
    return found.is_whole ? CM_EXIT_DONE : CM_EXIT_FAILED;
}

/* ------------------------------------------------------------------ a proof -- */

static void print_proof(const struct cm_audit_proof_found *found)
{
    char text[2 * CM_HASH_SIZE + 1], time[CM_TIME_TEXT_SIZE];
    printf("the certificate is in row %" PRId64 " of %s, under the root %s\n", found->row,
           cm_time_write(found->time_ms / 1000, time), hex(found->root, text));
    printf("row %" PRId64 " has the hash %s\n", found->row, hex(found->row_hash, text));
    if (found->checkpoint > 0)
        printf("checkpoint %" PRId64 " of %s covers it, signed by the key %s\n", found->checkpoint,
               cm_time_write(found->checkpoint_time_ms / 1000, time), hex(found->signer, text));
    else
        printf(
            "no checkpoint covers it yet: hold the root or the hash against one that you trust\n");
}

static cm_status check_proof(const struct cm_call *call, struct cm_arena *arena,
                             struct cm_audit_proof_found *found, struct cm_error *err)
{
    const char *path = cm_call_value(call, "proof");
    struct cm_bytes proof = cm_bytes(NULL, 0), certificate, spki;
    struct cm_error why;
    cm_status status = read_der(cm_call_value(call, "certificate"), CM_LABEL_CERTIFICATE, arena,
                                &certificate, err);
    if (status == CM_OK)
        status = read_key(call, arena, &spki, err);
    if (status == CM_OK)
        status = cm_whole_file_read(path, &proof, err);
    if (status != CM_OK)
        return status;
    status = cm_audit_proof_check(proof, certificate, spki, found, &why);
    free((void *)(uintptr_t)proof.data);
    if (status != CM_OK)
        return CM_FAIL(err, status, CM_ORIGIN_SELF, 0, "%.100s: %.150s", path, why.text);
    return CM_OK;
}

static int run_proof(const struct cm_call *call)
{
    enum { ARENA_BLOCK_SIZE = 16384 };
    struct cm_audit_proof_found found;
    struct cm_error err;
    struct cm_arena arena;
    if (!cm_call_value(call, "certificate"))
        return cm_usage_fail("--proof goes with --certificate");
    cm_arena_init(&arena, ARENA_BLOCK_SIZE);
    cm_status status = check_proof(call, &arena, &found, &err);
    cm_arena_done(&arena);
    if (status != CM_OK)
        return cm_call_fail(call, "%s", err.text);
    if (!cm_call_flag(call, "quiet"))
        print_proof(&found);
    return CM_EXIT_DONE;
}

static int run(const struct cm_call *call)
{
    if (cm_call_value(call, "proof"))
        return run_proof(call);
    if (cm_call_value(call, "certificate"))
        return cm_usage_fail("--certificate goes with --proof");
    return run_log(call);
}

static const char *const paragraphs[] = {
    "Reads the whole audit log and says whether any row was changed, removed, put in, exchanged for another or "
    "cut off, and whether each certificate and abandoned serial is the one that its row was made over. Of what is "
    "wrong the first row is named, on standard error, and the exit code is 1. An engine may run meanwhile.",
    "It makes every hash of the chain again, and the root over the certificates of every row; it checks the signature "
    "of every checkpoint and that the log has what it covers; the totals; and that times do not go back. A log "
    "whose end was cut off, or that was made anew as a whole, is found by checkpoints alone, and best by those "
    "that whoever changed it could not reach: the file of `audit.file`, or a copy of it with `--checkpoints`.",
    "With `--key` every checkpoint must be signed by this key. Without it, by one that the log itself says was "
    "opened for it.",
    "With `--proof` and `--certificate` no deployment is needed: it checks what `certmill audit prove` has written.",
    NULL
};
static const struct cm_option options[] = {
    CM_OPTION_CONFIG,
    { .name = "checkpoints",
      .type = CM_OPTION_PATH,
      .argument = "FILE",
      .help = "Checkpoints, one JSON object a line. Without it: `audit.file` of the settings." },
    { .name = "key",
      .type = CM_OPTION_PATH,
      .argument = "PEM",
      .help = "The public key that must have signed the checkpoints." },
    { .name = "proof",
      .type = CM_OPTION_PATH,
      .argument = "FILE",
      .help = "Check this proof, and no log." },
    { .name = "certificate",
      .type = CM_OPTION_PATH,
      .argument = "FILE",
      .help = "With `--proof`: the certificate that it is about, PEM or DER." },
    CM_OPTION_JSON,
    CM_OPTION_QUIET,
};
static const struct cm_example examples[] = {
    { "certmill audit verify --key audit.pub.pem", "All of it, by one key." },
    { "certmill audit verify --proof proof.json --certificate device.pem",
      "That this certificate is in the log: anywhere, without the deployment." },
};

const struct cm_command cm_command_audit_verify = {
    .name = "audit verify",
    .operands = "",
    .summary = "check that nothing of the audit log was changed",
    .paragraphs = paragraphs,
    .options = options,
    .options_count = COUNT(options),
    .examples = examples,
    .examples_count = COUNT(examples),
    .when_failed = "something was changed, and standard error says where; or it could not be read",
    .run = run,
};

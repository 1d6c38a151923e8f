/* certmill ca cross-sign: a certificate by one of our authorities for a CA that is not ours. */
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "engine/base/hash.h"
#include "engine/x509/name_write.h"
#include "engine/x509/pem_writer.h"
#include "tools/ca_cross.h"
#include "tools/ca_terms.h"
#include "tools/commands.h"
#include "tools/new_files.h"
#include "tools/serial.h"
#include "tools/time_text.h"

#define COUNT(array)   (sizeof(array) / sizeof((array)[0]))
#define TEXT_OF(bytes) (int)(bytes).size, (const char *)(bytes).data

/* What is told of a certificate, as texts. */
struct told {
    char serial[CM_SERIAL_TEXT_SIZE], subject[CM_NAME_TEXT_SIZE], until[CM_TIME_TEXT_SIZE];
    char sha256[2 * CM_PLAN_DIGEST_SIZE + 1];
};

static void describe(const struct cm_ca_cross *cross, struct told *told)
{
    uint8_t hash[CM_PLAN_DIGEST_SIZE];
    cm_sha256(&cross->certificate.der, 1, hash);
    cm_hex_encode(cm_bytes(hash, sizeof hash), told->sha256);
    cm_serial_write(cross->certificate.serial, told->serial);
    cm_name_write(cross->certificate.subject, told->subject);
    cm_time_write(cross->certificate.not_after_s, told->until);
}

static void tell_json(const struct cm_ca_cross *cross, const struct told *told, const char *path,
                      struct cm_bytes pem)
{
    json_t *object =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s%}", "signer", cross->signers_name, "subject",
                  told->subject, "serial", told->serial, "not_after", told->until, "proof",
                  cm_cross_proof_name(cross->ca.proof), "sha256", told->sha256, "certificate",
                  (const char *)pem.data, pem.size);
    if (path)
        json_object_set_new(object, "file", json_string(path));
    json_dumpf(object, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(object);
}

/* Where the certificate has standard output, the words have the other one. */
static void tell(const struct cm_ca_cross *cross, const struct told *told, const char *path,
                 struct cm_bytes pem)
{
    FILE *out = path ? stdout : stderr;
    if (!path)
        fwrite(pem.data, 1, pem.size, stdout);
    fprintf(out, "%s, certified by %s\n", told->subject, cross->signers_name);
    if (path)
        fprintf(out, "  %s\n", path);
    fprintf(out, "      SHA-256 %s\n      serial %s\n      until %s%s\n", told->sha256,
            told->serial, told->until,
            cross->is_cut_short ? ", no longer than what is above it and its own certificate" : "");
    if (cross->ca.proof == CM_CROSS_PROOF_NONE)
        fprintf(out, "      nothing has proved that it has the key\n");
    fprintf(out, "\nTo take it back: certmill revoke --serial %s --issuer %s\n", told->serial,
            cross->signers_name);
}

/* ------------------------------------------------------------------------------------- the terms -- */

static void tell_terms_json(const struct cm_ca_cross *cross)
{
    json_t *terms = json_object();
    for (uint32_t i = 0; i < cross->terms.count; i++)
        json_object_set_new(terms, cross->terms.rows[i].name,
                            json_string(cross->terms.rows[i].value));
    json_t *object = json_pack("{s:s, s:o}", "signer", cross->signers_name, "terms", terms);
    json_dumpf(object, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(object);
}

/* In single quotes, for a shell. */
static void print_quoted(const char *name, const char *value)
{
    printf(" \\\n  --set '%s=", name);
    for (; *value; value++)
        if (*value == '\'')
            fputs("'\\''", stdout);
        else
            putchar(*value);
    putchar('\'');
}

/* The command that prepares their plan. */
static void tell_terms(const struct cm_ca_cross *cross)
{
    printf("certmill ceremony prepare cross-sign %s", cross->signers_name);
    for (uint32_t i = 0; i < cross->terms.count; i++)
        print_quoted(cross->terms.rows[i].name, cross->terms.rows[i].value);
    putchar('\n');
}

/* ------------------------------------------------------------------------------------- the file -- */

/* Before anything is signed: there, or nowhere to be. */
static cm_status check_place(const char *path, struct cm_error *err)
{
    if (!path)
        return CM_OK;
    if (access(path, F_OK) == 0)
        return CM_FAIL(err, CM_EXISTS, CM_ORIGIN_SELF, 0,
                       "%s is there already; nothing is overwritten", path);
    char *copy = strdup(path);
    bool is_writable = copy && access(dirname(copy), W_OK | X_OK) == 0;
    free(copy);
    return is_writable ? CM_OK
                       : CM_FAIL(err, CM_IO, CM_ORIGIN_SELF, 0,
                                 "%s cannot be written there; nothing was signed", path);
}

/* It is recorded by now, and is somebody's to know of. */
static cm_status write_file(const struct cm_ca_cross *cross, const struct told *told,
                            const char *path, struct cm_bytes pem, struct cm_error *err)
{
    struct cm_new_files files = { 0 };
    struct cm_error why;
    if (!path)
        return CM_OK;
    cm_status status = cm_new_files_write(&files, path, 0644, pem, &why);
    cm_new_files_done(&files);
    if (status == CM_OK)
        return CM_OK;
    return CM_FAIL(
        err, status, CM_ORIGIN_SELF, 0,
        "certificate %s of %.60s is recorded, but was not written: %.80s; revoke it, and run "
        "this again",
        told->serial, cross->signers_name, why.text);
}

/* ------------------------------------------------------------------------------------ the command -- */

static cm_status finish(const struct cm_ca_cross *cross, const struct cm_call *call,
                        struct cm_arena *arena, struct cm_error *err)
{
    const struct cm_bytes pem = cm_pem_write("CERTIFICATE", cross->certificate.der, arena);
    const char *path = cm_call_value(call, "out");
    struct told told;
    describe(cross, &told);
    cm_status status = write_file(cross, &told, path, pem, err);
    if (status == CM_OK && cm_call_flag(call, "json"))
        tell_json(cross, &told, path, pem);
    else if (status == CM_OK)
        tell(cross, &told, path, pem);
    return status;
}

static cm_status carry_out(const struct cm_call *call, struct cm_ca_cross *cross,
                           struct cm_error *err)
{
    struct cm_ca_record record;
    cm_status status = check_place(cm_call_value(call, "out"), err);
    if (status != CM_OK)
        return status;
    status = cm_ca_record_open(&record, call, err);
    if (status == CM_OK)
        status = cm_ca_cross_carry_out(cross, &record, err);
    if (status == CM_OK && !cross->terms_only)
        status = finish(cross, call, &record.deployment.arena, err);
    else if (status == CM_OK && cm_call_flag(call, "json"))
        tell_terms_json(cross);
    else if (status == CM_OK)
        tell_terms(cross);
    cm_ca_record_close(&record);
    return status;
}

static int plan(const struct cm_call *call, struct cm_arena *arena, struct cm_ca_cross *cross,
                struct cm_profile *profile)
{
    if (cross->csr && cross->without_proof)
        return cm_usage_fail("--csr and --without-proof: a request is a proof");
    if (cross->terms_only && (cm_call_value(call, "out") || cm_call_value(call, "plan")))
        return cm_usage_fail("--terms: nothing is signed, so --out and --plan go without it");
    *profile = *cm_profile_builtin("issuing-ca");
    profile->path_len = 0;
    profile->ski_method = CM_SKI_RFC5280_1; /* as others have it, who refer to this key */
    cross->profile = profile;
    return cm_ca_terms_plan(call, arena, profile, &cross->must_last);
}

static int run(const struct cm_call *call)
{
    struct cm_ca_cross cross = { .authority = call->operands[0],
                                 .file = call->operands[1],
                                 .csr = cm_call_value(call, "csr"),
                                 .without_proof = cm_call_flag(call, "without-proof"),
                                 .terms_only = cm_call_flag(call, "terms") };
    struct cm_profile profile;
    struct cm_error err = { 0 };
    struct cm_arena arena;
    cm_arena_init(&arena, 4096);
    int code = plan(call, &arena, &cross, &profile);
    if (code == CM_EXIT_DONE && carry_out(call, &cross, &err) != CM_OK)
        code = cm_call_fail(call, "%s", err.text);
    cm_arena_done(&arena);
    return code;
}

static const char *const paragraphs[] = {
    "Gives a CA that is not ours a certificate by the authority `NAME` (its newest active key, or the "
    "active key `NAME-N`), with the CA's own name and key: a cross certificate (RFC 5280, 3.2). Relying "
    "parties that trust the root of `NAME` then accept what that CA issues, as far as this certificate allows. "
    "`FILE` is the CA's certificate or its request (PKCS#10), PEM or DER; `-` is standard input.",
    "The CA shows that it has the key: by a request, or by a certificate that signs itself. Of a "
    "certificate that another CA has signed nothing shows it: give a request by the same key with `--csr`, "
    "or `--without-proof`, where you know it from elsewhere. A request as `FILE` must ask for a CA's certificate.",
    "What the CA's certificate or request says of path length, names and policies is not taken over: the options "
    "say it. Without them no CA may stand below it, and names are not limited. What the authority, or one above "
    "it, does not allow is refused before anything is signed, and so are weak keys, and names and keys of "
    "authorities of ours. The key identifier is the one in the CA's certificate, so that what it has issued "
    "refers to it; else the SHA-1 of the key (RFC 5280, 4.2.1.2, method 1).",
    "The intent is in the audit log before the key signs, and the certificate is recorded among those of the "
    "authority before it is written: it is revoked as any other (`certmill revoke --serial SERIAL "
    "--issuer root-1`), and names the same CRL, OCSP and certificate URLs as those of `certmill ca create`. An "
    "engine that is running records it.",
    "Under dual control (`cross-sign`, or `create`, which stands for it as well) the plan has what the "
    "certificate says as its parameters: subject, key, proof, path length, names and policies. With `--terms` "
    "nothing is signed, and the command is printed that prepares the plan.",
    NULL
};
static const struct cm_option options[] = {
    CM_OPTION_CONFIG,
    { .name = "csr",
      .type = CM_OPTION_PATH,
      .argument = "FILE",
      .help =
          "A request by the key in the certificate, PEM or DER: the proof that the CA has it." },
    { .name = "without-proof",
      .type = CM_OPTION_FLAG,
      .help = "Certify a key that nobody has shown to have. The audit log says so." },
    { .name = "path-length",
      .type = CM_OPTION_NUMBER,
      .argument = "N",
      .max = 100,
      .help = "How many CAs may follow below it, one below the other. Without it: none." },
    { .name = "validity",
      .type = CM_OPTION_TEXT,
      .argument = "DURATION",
      .help =
          "How long the certificate lives, like `365d`; not longer than what is above it, nor than the CA's own "
          "certificate. Without it: 3650d, or as long as these." },
    CM_CA_TERMS_OPTIONS,
    { .name = "terms",
      .type = CM_OPTION_FLAG,
      .help = "Check everything, sign nothing, and print the command that prepares the plan." },
    { .name = "out",
      .letter = 'o',
      .type = CM_OPTION_PATH,
      .argument = "FILE",
      .help = "Where to, PEM; without it standard output. What is there is not overwritten." },
    CM_OPTION_PLAN,
    CM_OPTION_JSON,
};
static const struct cm_example examples[] = {
    { "certmill ca cross-sign root ca.pem --permit-dns p.example --out cross.pem",
      "A partner's root, for devices of `p.example` alone." },
    { "certmill ca cross-sign root sub.pem --csr sub.csr --out cross.pem",
      "A CA below another root, which proves that it has the key." },
};

const struct cm_command cm_command_ca_cross_sign = {
    .name = "ca cross-sign",
    .operands = "NAME FILE",
    .operands_min = 2,
    .operands_max = 2,
    .summary = "certify a CA that is not ours",
    .paragraphs = paragraphs,
    .options = options,
    .options_count = COUNT(options),
    .examples = examples,
    .examples_count = COUNT(examples),
    .when_failed = "failed; nothing was signed, or the message says what is recorded",
    .run = run,
};

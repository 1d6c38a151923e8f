/* certmill ca import: a CA that moves in, with what it has issued and revoked. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "tools/ca_answer.h"
#include "tools/commands.h"
#include "tools/generations.h"
#include "tools/inventory.h"
#include "tools/move_in.h"
#include "tools/progress.h"

#define COUNT(array)    (sizeof(array) / sizeof((array)[0]))
#define S_OR_NOT(count) ((count) == 1 ? "" : "s")

/* ----------------------------------------------------------------------------- what it brings -- */

/* Adds every file of an option that may be given more than once. */
static cm_status add_all(const struct cm_call *call, const char *option,
                         cm_status (*add)(struct cm_inventory *, const char *, struct cm_error *),
                         struct cm_inventory *inventory, struct cm_error *err)
{
    cm_status status = CM_OK;
    const char *path;
    for (size_t i = 0; status == CM_OK && (path = cm_call_value_at(call, option, i)); i++)
        status = add(inventory, path, err);
    return status;
}

/* What is signed comes last: it counts most. */
static cm_status read_all(const struct cm_call *call, struct cm_inventory *inventory,
                          struct cm_error *err)
{
    cm_status status = add_all(call, "index", cm_inventory_add_index, inventory, err);
    if (status == CM_OK)
        status = add_all(call, "certificates", cm_inventory_add_certificates, inventory, err);
    if (status == CM_OK)
        status = add_all(call, "crl", cm_inventory_add_crl, inventory, err);
    return status;
}

static cm_status read_inventory(struct cm_move_in *move, struct cm_inventory **ret_inventory,
                                struct cm_error *err)
{
    const struct cm_call *call = move->call;
    struct cm_progress progress;
    cm_progress_start(&progress, "records read", 0,
                      cm_call_flag(call, "json") || cm_call_flag(call, "quiet"));
    cm_status status = cm_inventory_open(move->certificate, &progress, ret_inventory, err);
    if (status == CM_OK)
        status = read_all(call, *ret_inventory, err);
    cm_progress_end(&progress);
    if (status == CM_OK)
        status = cm_inventory_rows(*ret_inventory, &move->rows, &move->rows_count, err);
    if (status == CM_OK && !cm_inventory_last_crl(*ret_inventory, &move->last_crl))
        fprintf(stderr, "certmill: the number of a CRL does not fit 63 bits; ours cannot go on "
                        "behind it\n");
    return status;
}

/* ------------------------------------------------------------------------------ the command -- */

static void tell(const struct cm_move_in *move)
{
    uint32_t revoked = 0;
    for (uint32_t i = 0; i < move->rows_count; i++)
        revoked += move->rows[i].revoked_s != 0;
    if (cm_call_flag(move->call, "json")) {
        json_t *object =
            json_pack("{s:s, s:b, s:I, s:I, s:I}", "issuer", move->issuer, "new", move->is_new,
                      "certificates", (json_int_t)move->rows_count, "revoked", (json_int_t)revoked,
                      "changed", (json_int_t)move->changed);
        json_dumpf(object, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(object);
        return;
    }
    if (cm_call_flag(move->call, "quiet"))
        return;
    if (move->is_new)
        printf("%s has moved in, with its key in provider %s\n", move->issuer,
               move->provider->name);
    printf("%u certificate%s read, %u of them revoked; %u new or changed\n", move->rows_count,
           S_OR_NOT(move->rows_count), revoked, move->changed);
    if (move->is_new && !cm_settings_authority(move->settings, move->authority))
        printf(
            "\nTo issue with it, and for its CRLs, name it in the settings: a line \"- name: %s\" "
            "below\n\"authorities\", and \"authority: %s\" in a group.\n",
            move->authority, move->authority);
}

/* For a generation that waits: nothing but a certificate and what is above it. */
static bool is_answer(const struct cm_call *call)
{
    return call->operands_count > 0 && cm_call_value(call, "certificate")
           && !cm_call_value(call, "key") && !cm_call_value(call, "issuer");
}

static int check_answer(const struct cm_call *call)
{
    if (cm_call_value(call, "provider") || cm_call_value(call, "index")
        || cm_call_value(call, "certificates") || cm_call_value(call, "crl"))
        return cm_usage_fail("AUTHORITY and --certificate without --key bring the certificate that "
                             "was asked for, and --chain alone goes with them");
    return CM_EXIT_DONE;
}

static int check(const struct cm_call *call)
{
    bool is_new = cm_call_value(call, "key") != NULL;
    if (is_answer(call))
        return check_answer(call);
    if (is_new == (cm_call_value(call, "issuer") != NULL))
        return cm_usage_fail("expected --key for a CA that moves in, or --issuer for one that is "
                             "here");
    if (is_new && (call->operands_count == 0 || !cm_call_value(call, "certificate")))
        return cm_usage_fail("--key goes with AUTHORITY and --certificate");
    if (!is_new
        && (call->operands_count > 0 || cm_call_value(call, "certificate")
            || cm_call_value(call, "chain") || cm_call_value(call, "provider")))
        return cm_usage_fail(
            "--issuer stands for AUTHORITY, --certificate, --chain and --provider");
    if (is_new && !cm_is_authority_name(call->operands[0]))
        return cm_usage_fail("\"%s\" is no name: letters, digits, - _ and . make one",
                             call->operands[0]);
    if (!is_new && !cm_call_value(call, "index") && !cm_call_value(call, "certificates")
        && !cm_call_value(call, "crl"))
        return cm_usage_fail("nothing to import: give --certificates, --index or --crl");
    return CM_EXIT_DONE;
}

static void tell_answer(const struct cm_ca_answer *answer)
{
    const struct cm_call *call = answer->call;
    if (cm_call_flag(call, "json")) {
        json_t *object =
            json_pack("{s:s, s:b, s:b, s:s*}", "issuer", answer->name, "changed", answer->changed,
                      "active", answer->is_active, "certificate", answer->path);
        json_dumpf(object, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(object);
    } else if (!cm_call_flag(call, "quiet")) {
        printf("%s has its certificate%s%s\n", answer->name, answer->changed ? "" : ", as before",
               answer->is_active ? ", and issues" : "");
        if (answer->path)
            printf("  %s\n", answer->path);
        if (answer->changed && !answer->is_active)
            printf("\nIt issues once it is made active: certmill ca activate %s\n", answer->name);
    }
}

static int run_answer(const struct cm_call *call)
{
    struct cm_ca_answer answer;
    struct cm_error err = { 0 };
    int code = CM_EXIT_DONE;
    if (cm_ca_answer_take(&answer, call, &err) == CM_OK)
        tell_answer(&answer);
    else
        code = cm_call_fail(call, "%s", err.text);
    cm_ca_answer_done(&answer);
    return code;
}

static int run(const struct cm_call *call)
{
    struct cm_move_in move;
    struct cm_inventory *inventory = NULL;
    struct cm_error err = { 0 };
    int code = check(call);
    if (code != CM_EXIT_DONE)
        return code;
    if (is_answer(call))
        return run_answer(call);
    cm_status status = cm_move_in_plan(&move, call, &err);
    if (status == CM_OK)
        status = read_inventory(&move, &inventory, &err);
    if (status == CM_OK)
        status = cm_move_in_carry_out(&move, &err);
    if (status == CM_OK)
        tell(&move);
    else
        code = cm_call_fail(call, "%s", err.text);
    cm_inventory_close(inventory);
    cm_move_in_done(&move);
    return code;
}

static const char *const paragraphs[] = {
    "Without `--key` and `--issuer` it brings what was asked for: the certificate that another CA has made "
    "from the request of `certmill ca create AUTHORITY --csr`, with the certificates above it in "
    "`--chain`, unless an authority of ours has signed it. Key, subject, CA bits, validity, path "
    "length and every signature of the chain are checked, and the key is proved. The first key of an "
    "authority issues from then on; a later one waits for `certmill ca activate`. An engine that is running records it.",
    "With `--key` it takes over a CA that was run by other software: its key, which is there already, becomes the key of "
    "`AUTHORITY`, and the certificates that it has issued are recorded with what has become of them, so "
    "that CRLs and OCSP go on where the old CA stopped.",
    "What has become of certificates is taken from the old CA's CRLs, whose signatures are checked, and "
    "from the `index.txt` of `openssl ca`. Certificates and CRLs of another CA are refused by name. A "
    "certificate of which neither says anything is good. One that is only known by its serial ends, for "
    "our CRLs, when its CA does.",
    "With `--issuer` more is imported for a key that is here, which may be done while `certmill serve` "
    "runs; for a new one it must not run. All files are read and checked before anything is written. "
    "Doing it again changes nothing; a revocation is never taken back. Without an engine, the "
    "numbers of our CRLs go on behind those of the CRLs that are given.",
    "The devices of these certificates are not put on the allow-list; they are revoked by serial.",
    NULL
};
static const struct cm_option options[] = {
    CM_OPTION_CONFIG,
    { .name = "key",
      .type = CM_OPTION_TEXT,
      .argument = "REFERENCE",
      .help = "Where the CA's key is: `file:PATH`, relative to the provider's folder, a `pkcs11:` "
              "URI with an `object`, or `https://VAULT/keys/NAME[/VERSION]`." },
    { .name = "certificate",
      .type = CM_OPTION_PATH,
      .argument = "FILE",
      .help = "The authority's certificate, PEM or DER." },
    { .name = "chain",
      .type = CM_OPTION_PATH,
      .argument = "FILE",
      .help = "The certificates above it, each signed by the next, PEM. A root is left out." },
    { .name = "provider",
      .type = CM_OPTION_TEXT,
      .argument = "NAME",
      .help = "Of the settings: where the key lives. Without it: the first." },
    { .name = "issuer",
      .type = CM_OPTION_TEXT,
      .argument = "NAME",
      .help = "In place of all these: a key that is here, like `issuing-1`." },
    { .name = "certificates",
      .type = CM_OPTION_PATH,
      .argument = "PATH",
      .repeats = true,
      .help = "What it has issued: a file, PEM (any number of blocks) or DER, or a folder of such "
              "files. May be given more than once." },
    { .name = "index",
      .type = CM_OPTION_PATH,
      .argument = "FILE",
      .repeats = true,
      .help = "The `index.txt` of `openssl ca`. May be given more than once." },
    { .name = "crl",
      .type = CM_OPTION_PATH,
      .argument = "FILE",
      .repeats = true,
      .help = "A complete CRL of the CA, PEM or DER. May be given more than once." },
    CM_OPTION_PLAN,
    CM_OPTION_JSON,
    CM_OPTION_QUIET,
};
static const struct cm_example examples[] = {
    { "certmill ca import site --certificate site.pem --chain above.pem",
      "What another CA has made of `site.csr`." },
    { "certmill ca import old --key file:k.pem --certificate ca.pem --index i.txt",
      "A CA of `openssl ca`; `--certificates newcerts` brings what it has issued, too." },
    { "certmill ca import --issuer old-1 --crl last.crl", "What it has revoked since." },
};

const struct cm_command cm_command_ca_import = {
    .name = "ca import",
    .operands = "[AUTHORITY]",
    .operands_max = 1,
    .summary = "take the certificate that was asked for, or a whole CA with its key",
    .paragraphs = paragraphs,
    .options = options,
    .options_count = COUNT(options),
    .examples = examples,
    .examples_count = COUNT(examples),
    .when_failed = "failed; nothing was written, unless the message says how much: do it again",
    .run = run,
};

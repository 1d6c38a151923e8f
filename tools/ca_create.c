/* certmill ca create: an authority below one of ours, or a root; its key made, or there already. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "tools/ca_creation.h"
#include "tools/ca_terms.h"
#include "tools/commands.h"
#include "tools/time_text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool is_in_settings(const struct cm_ca_creation *creation)
{
    const struct cm_settings *settings = creation->record.deployment.settings;
    for (uint32_t i = 0; i < settings->authorities_count; i++)
        if (strcmp(settings->authorities[i].name, creation->ca.name) == 0)
            return true;
    return false;
}

static void tell_json(const struct cm_ca_creation *creation, const char *until)
{
    const struct cm_new_authority *ca = &creation->ca;
    json_t *object =
        json_pack("{s:s, s:I, s:s, s:s, s:s}", "authority", ca->name, "generation",
                  (json_int_t)creation->generation, creation->csr_path ? "request" : "certificate",
                  creation->path, "key", ca->key, "sha256", ca->fingerprint);
    if (!creation->csr_path)
        json_object_set_new(object, "not_after", json_string(until));
    json_dumpf(object, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(object);
}

static void tell_request(const struct cm_ca_creation *creation)
{
    const struct cm_new_authority *ca = &creation->ca;
    printf("%s-%" PRId64 " waits for its certificate\n  %s\n      the request; SHA-256 %s\n  %s\n"
           "      its key, in provider %s\n\n"
           "Have it signed as a CA, and bring what comes back, with the certificates above it:\n\n"
           "  certmill ca import %s --certificate FILE --chain FILE\n",
           ca->name, creation->generation, creation->path, ca->fingerprint, ca->key,
           creation->provider->name, ca->name);
}

static void tell(const struct cm_ca_creation *creation)
{
    const struct cm_new_authority *ca = &creation->ca;
    char until[CM_TIME_TEXT_SIZE];
    cm_time_write(creation->not_after_s, until);
    if (cm_call_flag(creation->call, "json")) {
        tell_json(creation, until);
        return;
    }
    if (creation->csr_path) {
        tell_request(creation);
        return;
    }
    printf("%s-%" PRId64
           ", signed by %s\n  %s\n      SHA-256 %s\n      until %s%s\n  %s\n      its key, in "
           "provider %s\n",
           ca->name, creation->generation,
           creation->signers_name ? creation->signers_name : "itself", creation->path,
           ca->fingerprint, until, creation->is_cut_short ? ", as long as what is above it" : "",
           ca->key, creation->provider->name);
    if (!is_in_settings(creation))
        printf("\nTo issue with it, name it in the settings: a line \"- name: %s\" below "
               "\"authorities\",\nand \"authority: %s\" in a group.\n",
               ca->name, ca->name);
}

/* -------------------------------------------------------------------------------- the plan -- */

static int plan_path_length(struct cm_ca_creation *creation, bool is_root)
{
    const struct cm_call *call = creation->call;
    bool may_sign_cas = cm_call_flag(call, "sub-ca");
    if (!is_root && !may_sign_cas)
        creation->profile.path_len = 0;
    if (may_sign_cas && cm_call_value(call, "path-length")
        && cm_call_number(call, "path-length") == 0)
        return cm_usage_fail("--sub-ca and --path-length 0: one says that there may be authorities "
                             "below it, the other that there may not");
    return CM_EXIT_DONE;
}

static int plan_profile(struct cm_ca_creation *creation)
{
    struct cm_profile *profile = &creation->profile;
    bool is_root = cm_call_flag(creation->call, "self-signed");
    creation->signers_name = is_root ? NULL : cm_call_value(creation->call, "signed-by");
    *profile = *cm_profile_builtin(is_root ? "root-ca" : "issuing-ca");
    creation->ca.profile = profile;
    int code = plan_path_length(creation, is_root);
    if (code == CM_EXIT_DONE)
        code = cm_ca_terms_plan(creation->call, &creation->arena, profile, &creation->must_last);
    return code;
}

static bool is_given(const struct cm_call *call, const char *name)
{
    for (size_t i = 0; i < call->command->options_count; i++) {
        const struct cm_option *option = &call->command->options[i];
        if (strcmp(option->name, name) == 0)
            return option->repeats ? cm_call_value_at(call, name, 0) != NULL
                                   : call->values[i] != NULL;
    }
    return false;
}

/* What is in the certificate is for whoever signs it to say. */
static int plan_request(struct cm_ca_creation *creation)
{
    static const char *const others[] = { "signed-by",     "self-signed", "validity",
                                          "policy",        "permit-dns",  "permit-email",
                                          "permit-uri",    "permit-ip",   "exclude-dns",
                                          "exclude-email", "exclude-uri", "exclude-ip" };
    creation->csr_path = cm_call_value(creation->call, "csr");
    for (size_t i = 0; creation->csr_path && i < COUNT(others); i++)
        if (is_given(creation->call, others[i]))
            return cm_usage_fail("--csr and --%s: that is for whoever signs the request",
                                 others[i]);
    return CM_EXIT_DONE;
}

static int plan(struct cm_ca_creation *creation)
{
    const struct cm_call *call = creation->call;
    const char *key_type = cm_call_value(call, "key-type");
    struct cm_new_authority *ca = &creation->ca;
    uint32_t bits =
        strncmp(key_type, "rsa-", 4) == 0 ? (uint32_t)strtoul(key_type + 4, NULL, 10) : 0;
    ca->name = call->operands[0];
    if (!cm_is_authority_name(ca->name))
        return cm_usage_fail("\"%s\" is no name: letters, digits, - _ and . make one", ca->name);
    creation->is_beside = cm_call_flag(call, "beside");
    if (creation->is_beside && cm_call_flag(call, "self-signed"))
        return cm_usage_fail("--beside and --self-signed: a root has one key");
    ca->key = cm_call_value(call, "key");
    ca->has_key = cm_call_flag(call, "existing-key");
    ca->spec = (struct cm_key_spec){ .type = bits ? CM_KEY_RSA : cm_key_type_find(key_type),
                                     .bits = bits };
    if (ca->has_key && cm_call_value(call, "transfer"))
        return cm_usage_fail("--transfer and --existing-key: a key that is there needs no import");
    ca->cn = cm_call_value(call, "cn");
    ca->organization = cm_call_value(call, "organization");
    int code = plan_request(creation);
    return code == CM_EXIT_DONE ? plan_profile(creation) : code;
}

static int carry_out(struct cm_ca_creation *creation)
{
    struct cm_error err = { 0 };
    cm_status status = cm_ca_record_open(&creation->record, creation->call, &err);
    if (status == CM_OK)
        status = cm_ca_creation_carry_out(creation, &err);
    if (status == CM_OK)
        tell(creation);
    cm_ca_record_close(&creation->record);
    return status == CM_OK ? CM_EXIT_DONE : cm_call_fail(creation->call, "%s", err.text);
}

static int run(const struct cm_call *call)
{
    struct cm_ca_creation creation = { .call = call };
    cm_arena_init(&creation.arena, 4096);
    int exit_code = plan(&creation);
    if (exit_code == CM_EXIT_DONE)
        exit_code = carry_out(&creation);
    cm_arena_done(&creation.arena);
    return exit_code;
}

static const char *const paragraphs[] = {
    "Makes the authority `NAME`: a new key where `--key` says, inside the token with `pkcs11:` (it "
    "never leaves it, and can do nothing but sign) or the vault with `https:`, and a certificate signed "
    "by `--signed-by`. With `--existing-key` the key is there already. Either is proved by a signature "
    "first. Of a key in a vault the store names the version.",
    "With `--beside` the authority is there, and gets one more key, with a certificate of its own by the "
    "same signer: generation `NAME-2`, then `NAME-3`. All active keys of an authority issue at once, "
    "in shares that follow their speed, and the others go on while one is away. A key in another "
    "provider is named with `--provider`.",
    "Whether the signer may certify what is planned is asked before a key is made: its path length and "
    "that of everything above it, its name constraints and policies, its validity, and its key usage. "
    "The names that may stand below the new authority are limited with `--permit-dns`, "
    "`--exclude-dns` and their like; certmill itself issues nothing that they forbid, and relying "
    "parties take nothing.",
    "With `--csr` another CA signs: an off-line root, Active Directory Certificate Services, any other. The "
    "key is made, a request (PKCS#10) is written, and the generation is pending until `certmill ca "
    "import` brings the certificate.",
    "The certificate stands among those of its signer, which revokes it as any other (`certmill revoke "
    "--serial SERIAL --issuer root-1`). Where the signer is an authority of the settings, the "
    "certificate names the CRL, OCSP and certificate URLs of it.",
    "The intent is in the audit log before the signer sees the certificate; it stands in "
    "`ca/NAME.pem` (with `--beside`: `ca/NAME-2.pem`) and in the store. An engine that is running records it, and issues with one more key of an authority that it has at "
    "once; an authority that is new to its settings it takes up when it starts again. When something fails, the new "
    "key is destroyed again.",
    NULL
};

static const struct cm_option options[] = {
    CM_OPTION_CONFIG,
    { .name = "key",
      .type = CM_OPTION_TEXT,
      .argument = "REFERENCE",
      .required = true,
      .help =
          "`file:PATH`, relative to the provider's folder, a `pkcs11:` URI with an `object`, or "
          "`https://VAULT/keys/NAME`, with `/VERSION` for one version of a key that is there." },
    { .name = "existing-key", .type = CM_OPTION_FLAG, .help = "The key is there: bring your own." },
    { .name = "transfer",
      .type = CM_OPTION_PATH,
      .argument = "FILE",
      .help =
          "`keyvault`: import the key from this transfer blob (BYOK), which was wrapped for the "
          "vault's HSM elsewhere; `--key-type` is its type." },
    { .name = "beside",
      .type = CM_OPTION_FLAG,
      .help = "One more issuing key for the authority `NAME`, beside those it has." },
    { .name = "provider",
      .type = CM_OPTION_TEXT,
      .argument = "NAME",
      .help = "Of the settings: where the key lives. Without it: the first." },
    { .name = "key-type",
      .type = CM_OPTION_CHOICE,
      .argument = "TYPE",
      .standard = "p256",
      .choices = "p256 p384 p521 rsa-2048 rsa-3072 rsa-4096 ed25519",
      .help = "Of a new key." },
    { .name = "signed-by",
      .type = CM_OPTION_TEXT,
      .argument = "NAME",
      .standard = "root",
      .help = "The authority whose active key signs the certificate." },
    { .name = "csr",
      .type = CM_OPTION_PATH,
      .argument = "FILE",
      .help = "Another CA signs the certificate: write a request for it here. `certmill ca import` "
              "takes the answer." },
    { .name = "self-signed", .type = CM_OPTION_FLAG, .help = "A root: it signs itself." },
    { .name = "sub-ca",
      .type = CM_OPTION_FLAG,
      .help = "It may sign authorities below it (profile `sub-ca`)." },
    { .name = "path-length",
      .type = CM_OPTION_NUMBER,
      .argument = "N",
      .max = 100,
      .help =
          "How many authorities may follow below it, one below the other. Without it: none, with "
          "`--sub-ca` 1, with `--self-signed` any number." },
    { .name = "validity",
      .type = CM_OPTION_TEXT,
      .argument = "DURATION",
      .help = "How long its certificate lives, like `3650d`; not longer than what is above it. "
              "Without it: 3650d, a root 7300d, or as long as what is above it." },
    CM_CA_TERMS_OPTIONS,
    { .name = "cn",
      .type = CM_OPTION_TEXT,
      .argument = "TEXT",
      .help = "Common name in its certificate. Without it: `NAME`, with `--beside` `NAME-2`." },
    { .name = "organization",
      .letter = 'o',
      .type = CM_OPTION_TEXT,
      .argument = "TEXT",
      .help = "Organization in its certificate." },
    CM_OPTION_PLAN,
    CM_OPTION_JSON,
};
static const struct cm_example examples[] = {
    { "certmill ca create line-2 --key 'pkcs11:token=ca;object=line-2'",
      "A second issuing authority, with a new key in the token." },
    { "certmill ca create line-3 --existing-key --key pkcs11:object=ours",
      "With a key that the token holds already." },
    { "certmill ca create line-4 --key https://NAME.vault.azure.net/keys/line-4",
      "With a new key in a key vault." },
    { "certmill ca create plant --key file:plant.pem --permit-dns plant.example",
      "One that may only name devices of `plant.example`." },
    { "certmill ca create site --key file:site.pem --csr site.csr",
      "One whose certificate another CA signs." },
    { "certmill ca create issuing --beside --provider west --key file:west.pem",
      "A second issuing key for an authority, in another provider." },
};

const struct cm_command cm_command_ca_create = {
    .name = "ca create",
    .operands = "NAME",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "make an authority: its key and certificate",
    .paragraphs = paragraphs,
    .options = options,
    .options_count = COUNT(options),
    .examples = examples,
    .examples_count = COUNT(examples),
    .when_failed = "failed; nothing was left behind but the intent in the audit log",
    .run = run,
};

/* certmill ca create: an authority below one of ours, or a root; its key made, or there already. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>
#include <openssl/sha.h>

#include "engine/base/clock.h"
#include "engine/x509/certificate.h"
#include "engine/x509/pem_writer.h"
#include "tools/commands.h"
#include "tools/deployment.h"
#include "tools/generations.h"
#include "tools/interruptions.h"
#include "tools/new_authority.h"
#include "tools/new_files.h"
#include "tools/operator.h"

#define COUNT(array)   (sizeof(array) / sizeof((array)[0]))
#define TEXT_OF(bytes) (int)(bytes).size, (const char *)(bytes).data

enum { TRANSFER_SIZE_MAX = 65536 }; /* a blob of RSA 4096 has about 4 kB */

/* The authority that signs. Strings live in the deployment's arena. */
struct parent {
    const char *name; /* NULL: the new one signs itself */
    const char *provider;
    const char *key;
    struct cm_bytes certificate, chain;
    struct cm_provider_session session;
    struct cm_key *handle;
    struct cm_issuer issuer;
};

struct creation {
    const struct cm_call *call;
    struct cm_deployment deployment;
    struct cm_new_files files;
    const struct cm_settings_provider *provider;
    struct cm_provider_session session;
    struct cm_new_authority ca;
    struct cm_profile profile;
    struct parent parent;
    bool is_beside;               /* one more key of an authority that is there */
    int64_t generation;           /* its number within the authority: one more than the last */
    struct cm_bytes signers_name; /* who signed the authority's active key; empty: there is none */
    char key_taken_by[80];        /* name of the generation that has the key; "": none */
    const char *folder;           /* of certificates */
    const char *path;             /* of the certificate */
};

static const char *copy_text(struct creation *creation, struct cm_bytes text)
{
    return cm_arena_printf(&creation->deployment.arena, "%.*s", TEXT_OF(text));
}

/* ------------------------------------------------------------------------------- the record -- */

/* One of the same authority: the new one is numbered after it, and has the same signer. */
static void look_at_sibling(struct creation *creation, const struct cm_generation *generation)
{
    struct cm_certificate certificate;
    struct cm_error ignored;
    if (generation->generation >= creation->generation)
        creation->generation = generation->generation + 1;
    if (generation->state == CM_GENERATION_ACTIVE
        && cm_certificate_read(generation->certificate, &certificate, &ignored) == CM_OK)
        creation->signers_name = cm_arena_copy(&creation->deployment.arena, certificate.issuer);
}

/* The generations that matter: those of the same name, and the signer's active one. */
static bool look_at(const struct cm_generation *generation, void *arg)
{
    struct creation *creation = arg;
    struct parent *parent = &creation->parent;
    struct cm_arena *arena = &creation->deployment.arena;
    if (cm_bytes_is(generation->authority, creation->ca.name))
        look_at_sibling(creation, generation);
    if (!parent->name || generation->state != CM_GENERATION_ACTIVE
        || !cm_bytes_is(generation->authority, parent->name))
        return true;
    parent->provider = copy_text(creation, generation->provider);
    parent->key = copy_text(creation, generation->key);
    parent->certificate = cm_arena_copy(arena, generation->certificate);
    parent->chain = cm_arena_copy(arena, generation->chain);
    return true;
}

/* Two authorities with one key could not be told apart by those who check certificates. */
static bool look_at_key(const struct cm_generation *generation, void *arg)
{
    struct creation *creation = arg;
    struct cm_certificate certificate;
    struct cm_error ignored;
    if (cm_certificate_read(generation->certificate, &certificate, &ignored) == CM_OK
        && cm_bytes_equal(certificate.spki, creation->ca.handle->spki))
        snprintf(creation->key_taken_by, sizeof creation->key_taken_by, "%.*s-%" PRId64,
                 TEXT_OF(generation->authority), generation->generation);
    return true;
}

static cm_status walk(struct creation *creation, cm_generation_walk_fn *look, struct cm_error *err)
{
    struct cm_store_reader *reader = NULL;
    cm_status status = cm_store_reader_open(creation->deployment.store, &reader, err);
    if (status != CM_OK)
        return status;
    status = cm_store_reader_begin(reader, err);
    if (status == CM_OK)
        status = cm_store_walk_generations(reader, look, creation, err);
    cm_store_reader_end(reader);
    cm_store_reader_close(reader);
    return status;
}

static cm_status refuse_taken_key(struct creation *creation, struct cm_error *err)
{
    cm_status status = walk(creation, look_at_key, err);
    if (status == CM_OK && creation->key_taken_by[0] != '\0')
        return CM_FAIL(err, CM_EXISTS, CM_ORIGIN_SELF, 0, "the key %s is that of %s already",
                       creation->ca.key, creation->key_taken_by);
    return status;
}

static cm_status check_name(const struct creation *creation, struct cm_error *err)
{
    if (!creation->is_beside && creation->generation > 1)
        return CM_FAIL(err, CM_EXISTS, CM_ORIGIN_SELF, 0,
                       "there is an authority %s already; certmill ca list shows it, and --beside "
                       "gives it one more key",
                       creation->ca.name);
    if (creation->is_beside && creation->signers_name.size == 0)
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                       "there is no authority %s with an active key to stand beside",
                       creation->ca.name);
    return CM_OK;
}

/* The number is known only now, and the file and the subject are named after it. */
static void name_after_generation(struct creation *creation)
{
    struct cm_arena *arena = &creation->deployment.arena;
    struct cm_new_authority *ca = &creation->ca;
    creation->folder = cm_arena_printf(arena, "%s/ca", creation->deployment.settings->folder);
    creation->path = cm_arena_printf(arena, "%s/%s.pem", creation->folder, ca->name);
    if (creation->is_beside) {
        const char *name = cm_arena_printf(arena, "%s-%" PRId64, ca->name, creation->generation);
        creation->path = cm_arena_printf(arena, "%s/%s.pem", creation->folder, name);
        ca->cn = ca->cn ? ca->cn : name;
    }
    ca->cn = ca->cn ? ca->cn : ca->name;
}

static cm_status read_generations(struct creation *creation, struct cm_error *err)
{
    creation->generation = 1;
    cm_status status = walk(creation, look_at, err);
    if (status == CM_OK)
        status = check_name(creation, err);
    if (status == CM_OK)
        name_after_generation(creation);
    if (status == CM_OK && creation->parent.name && !creation->parent.key)
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                       "there is no authority %s with an active key to sign with",
                       creation->parent.name);
    return status;
}

static struct cm_audit_event audit_event(struct creation *creation, const char *kind,
                                         struct cm_bytes octets)
{
    struct cm_arena *arena = &creation->deployment.arena;
    struct cm_audit_event event = {
        .kind = kind,
        .actor = cm_bytes_str(cm_operator_name(arena)),
        .detail = cm_bytes_str(cm_arena_printf(
            arena, "{\"authority\":\"%s\",\"generation\":%" PRId64 ",\"signer\":\"%s\"}",
            creation->ca.name, creation->generation,
            creation->parent.name ? creation->parent.name : creation->ca.name)),
    };
    SHA256(octets.data, octets.size, event.digest);
    return event;
}

/* Before the key sees the bytes: their hash is in the audit log. */
static cm_status record_intent(const struct cm_new_authority *authority, struct cm_bytes tbs,
                               void *arg, struct cm_error *err)
{
    struct creation *creation = arg;
    const struct cm_audit_event event = audit_event(creation, "ca-create-intent", tbs);
    struct cm_store_op op = { .kind = CM_STORE_RECORD, .audit = &event };
    (void)authority;
    return cm_store_apply(creation->deployment.store, &op, err);
}

static cm_status record_generation(struct creation *creation, struct cm_error *err)
{
    struct cm_arena *arena = &creation->deployment.arena;
    const struct cm_new_authority *ca = &creation->ca;
    const struct cm_audit_event event = audit_event(creation, "ca-create", ca->der);
    struct cm_generation generation = {
        .authority = cm_bytes_str(ca->name),
        .generation = creation->generation,
        .state = CM_GENERATION_ACTIVE,
        .provider = cm_bytes_str(creation->provider->name),
        .key = cm_bytes_str(ca->key),
        .sigalg = cm_bytes_str(cm_sigalg_name(ca->sigalg)),
        .certificate = ca->der,
        .created_ms = cm_clock_wall_ms(),
    };
    struct cm_store_op op = { .kind = CM_STORE_GENERATION,
                              .generation = &generation,
                              .audit = &event };
    if (creation->parent.name) {
        struct cm_bytes own = cm_pem_write("CERTIFICATE", ca->der, arena);
        generation.chain = cm_bytes_str(
            cm_arena_printf(arena, "%.*s%.*s", TEXT_OF(own), TEXT_OF(creation->parent.chain)));
    }
    return cm_store_apply(creation->deployment.store, &op, err);
}

/* -------------------------------------------------------------------------------- the keys -- */

static cm_status find_provider(struct creation *creation, const char *name,
                               const struct cm_settings_provider **ret_provider,
                               struct cm_error *err)
{
    const struct cm_settings *settings = creation->deployment.settings;
    *ret_provider = name ? cm_settings_provider(settings, name) : &settings->providers[0];
    if (!*ret_provider)
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0, "the settings have no provider %s",
                       name);
    return CM_OK;
}

/* The signer's key, proved, and the same as in its certificate. */
static cm_status open_parent(struct creation *creation, struct cm_error *err)
{
    struct parent *parent = &creation->parent;
    const struct cm_settings_provider *provider;
    struct cm_certificate certificate;
    if (!parent->name)
        return CM_OK;
    cm_status status = find_provider(creation, parent->provider, &provider, err);
    if (status == CM_OK)
        status = cm_certificate_read(parent->certificate, &certificate, err);
    if (status == CM_OK)
        status = cm_issuer_from_certificate(&certificate, &parent->issuer, err);
    if (status == CM_OK)
        status = cm_provider_session_open_single(&parent->session, provider, err);
    if (status == CM_OK)
        status = cm_provider_session_open_key(&parent->session, parent->key, CM_SIGALG_UNKNOWN,
                                              &parent->handle, err);
    if (status == CM_OK && !cm_bytes_equal(parent->handle->spki, certificate.spki))
        status = CM_FAIL(err, CM_MISMATCH, CM_ORIGIN_SELF, 0,
                         "the key %s is not the one in the certificate of %s", parent->key,
                         parent->name);
    if (status == CM_OK && creation->is_beside
        && !cm_bytes_equal(creation->signers_name, certificate.subject))
        status = CM_FAIL(err, CM_MISMATCH, CM_ORIGIN_SELF, 0,
                         "the active key of %s was not signed by %s; all keys of an authority have "
                         "the same signer",
                         creation->ca.name, parent->name);
    return status;
}

static cm_status read_whole(struct creation *creation, const char *path, FILE *file,
                            struct cm_error *err)
{
    uint8_t *octets = cm_arena_zalloc(&creation->deployment.arena, TRANSFER_SIZE_MAX + 1);
    size_t size = fread(octets, 1, TRANSFER_SIZE_MAX + 1, file);
    if (ferror(file))
        return CM_FAIL(err, CM_IO, CM_ORIGIN_SELF, 0, "%s cannot be read", path);
    if (size == 0 || size > TRANSFER_SIZE_MAX)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0,
                       "%s is no transfer blob: expected 1 to %d octets", path, TRANSFER_SIZE_MAX);
    creation->ca.spec.transfer_blob = cm_bytes(octets, size);
    return CM_OK;
}

static cm_status read_transfer(struct creation *creation, struct cm_error *err)
{
    const char *path = cm_call_value(creation->call, "transfer");
    if (!path)
        return CM_OK;
    FILE *file = fopen(path, "rb");
    if (!file)
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, errno, "%s: %s", path, strerror(errno));
    cm_status status = read_whole(creation, path, file, err);
    fclose(file);
    return status;
}

static cm_status open_keys(struct creation *creation, struct cm_error *err)
{
    cm_status status = find_provider(creation, cm_call_value(creation->call, "provider"),
                                     &creation->provider, err);
    if (status == CM_OK)
        status = read_transfer(creation, err);
    if (status == CM_OK)
        status = open_parent(creation, err);
    if (status == CM_OK)
        status = cm_provider_session_open_single(&creation->session, creation->provider, err);
    if (status == CM_OK)
        status = cm_new_authority_open_key(&creation->ca, &creation->session, err);
    return status;
}

static void close_keys(struct creation *creation, bool undo)
{
    cm_new_authority_close_key(&creation->ca, undo);
    if (creation->parent.handle)
        cm_provider_close_key(creation->parent.handle);
    cm_provider_session_close(&creation->parent.session);
    cm_provider_session_close(&creation->session);
}

/* ------------------------------------------------------------------------------ the command -- */

static cm_status sign_and_record(struct creation *creation, struct cm_error *err)
{
    struct parent *parent = &creation->parent;
    struct cm_arena *arena = &creation->deployment.arena;
    const struct cm_new_authority_signer signer = {
        .session = parent->name ? &parent->session : &creation->session,
        .key = parent->name ? parent->handle : creation->ca.handle,
        .issuer = parent->name ? &parent->issuer : NULL,
        .record = record_intent,
        .arg = creation,
    };
    cm_status status = cm_new_authority_sign(&creation->ca, &signer, arena, err);
    if (status == CM_OK)
        status = cm_new_files_write(&creation->files, creation->path, 0644,
                                    cm_pem_write("CERTIFICATE", creation->ca.der, arena), err);
    if (status == CM_OK)
        status = cm_folder_sync(creation->folder, err);
    if (status == CM_OK)
        status = cm_interruptions_check(err);
    if (status == CM_OK)
        status = record_generation(creation, err);
    return status;
}

static cm_status create(struct creation *creation, struct cm_error *err)
{
    cm_interruptions_hold(CM_NEW_AUTHORITY_INTERRUPTED);
    cm_status status = read_generations(creation, err);
    if (status == CM_OK)
        status = open_keys(creation, err);
    if (status == CM_OK)
        status = refuse_taken_key(creation, err);
    if (status == CM_OK)
        status = sign_and_record(creation, err);
    close_keys(creation, status != CM_OK);
    if (status != CM_OK)
        cm_new_files_undo(&creation->files);
    cm_new_files_done(&creation->files);
    cm_interruptions_release();
    return status;
}

static bool is_in_settings(const struct creation *creation)
{
    const struct cm_settings *settings = creation->deployment.settings;
    for (uint32_t i = 0; i < settings->authorities_count; i++)
        if (strcmp(settings->authorities[i].name, creation->ca.name) == 0)
            return true;
    return false;
}

static void tell(const struct creation *creation)
{
    const struct cm_new_authority *ca = &creation->ca;
    if (cm_call_flag(creation->call, "json")) {
        json_t *object = json_pack("{s:s, s:I, s:s, s:s, s:s}", "authority", ca->name, "generation",
                                   (json_int_t)creation->generation, "certificate", creation->path,
                                   "key", ca->key, "sha256", ca->fingerprint);
        json_dumpf(object, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(object);
        return;
    }
    printf("%s-%" PRId64
           ", signed by %s\n  %s\n      SHA-256 %s\n  %s\n      its key, in provider %s\n",
           ca->name, creation->generation, creation->parent.name ? creation->parent.name : "itself",
           creation->path, ca->fingerprint, ca->key, creation->provider->name);
    if (!is_in_settings(creation))
        printf("\nTo issue with it, name it in the settings: a line \"- name: %s\" below "
               "\"authorities\",\nand \"authority: %s\" in a group.\n",
               ca->name, ca->name);
}

static void plan_profile(struct creation *creation)
{
    const char *parent = cm_call_value(creation->call, "signed-by");
    bool is_root = cm_call_flag(creation->call, "self-signed");
    creation->parent.name = is_root ? NULL : parent;
    creation->profile = *cm_profile_builtin(is_root ? "root-ca" : "issuing-ca");
    if (!is_root && !cm_call_flag(creation->call, "sub-ca"))
        creation->profile.path_len = 0;
    creation->ca.profile = &creation->profile;
}

static int plan(struct creation *creation)
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
    plan_profile(creation);
    return CM_EXIT_DONE;
}

static int run(const struct cm_call *call)
{
    struct creation creation = { .call = call };
    struct cm_error err = { 0 };
    int exit_code = plan(&creation);
    if (exit_code != CM_EXIT_DONE)
        return exit_code;
    cm_status status = cm_deployment_open(&creation.deployment, call, CM_DEPLOYMENT_WRITE, &err);
    if (status == CM_OK)
        status = create(&creation, &err);
    if (status == CM_OK)
        tell(&creation);
    cm_deployment_close(&creation.deployment);
    return status == CM_OK ? CM_EXIT_DONE : cm_call_fail(call, "%s", err.text);
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
    "The intent is in the audit log before the signer sees the certificate; it stands in "
    "`ca/NAME.pem` (with `--beside`: `ca/NAME-2.pem`) and in the store. The engine must not be running. When something fails, the new "
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
    { .name = "self-signed", .type = CM_OPTION_FLAG, .help = "A root: it signs itself." },
    { .name = "sub-ca",
      .type = CM_OPTION_FLAG,
      .help = "It may sign authorities below it (profile `sub-ca`)." },
    { .name = "cn",
      .type = CM_OPTION_TEXT,
      .argument = "TEXT",
      .help = "Common name in its certificate. Without it: `NAME`, with `--beside` `NAME-2`." },
    { .name = "organization",
      .letter = 'o',
      .type = CM_OPTION_TEXT,
      .argument = "TEXT",
      .help = "Organization in its certificate." },
    CM_OPTION_JSON,
};
static const struct cm_example examples[] = {
    { "certmill ca create line-2 --key 'pkcs11:token=ca;object=line-2'",
      "A second issuing authority, with a new key in the token." },
    { "certmill ca create line-3 --existing-key --key pkcs11:object=ours",
      "With a key that the token holds already." },
    { "certmill ca create line-4 --key https://NAME.vault.azure.net/keys/line-4",
      "With a new key in a key vault." },
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

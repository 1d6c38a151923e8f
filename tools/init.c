#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>
#include <openssl/sha.h>

#include "engine/base/clock.h"
#include "engine/store/store.h"
#include "engine/x509/pem_writer.h"
#include "tools/commands.h"
#include "tools/generations.h"
#include "tools/init_plan.h"
#include "tools/interruptions.h"
#include "tools/operator.h"
#include "tools/vault_flags.h"

#define COUNT(array)      (sizeof(array) / sizeof((array)[0]))
#define DEFAULT_REDIS_URL "redis://127.0.0.1:6379"

/* ------------------------------------------------------------------------------- the store -- */

/* signer: number of the generation that has signed it; 0: it has signed itself. */
static cm_status record_authority(struct cm_store *store, const struct cm_init_plan *plan,
                                  const struct cm_init_authority *authority, int64_t signer,
                                  int64_t *ret_number, struct cm_error *err)
{
    const struct cm_new_authority *ca = &authority->ca;
    struct cm_imported_row row;
    cm_status status = CM_OK;
    struct cm_generation generation = {
        .authority = cm_bytes_str(ca->name),
        .generation = 1,
        .state = CM_GENERATION_ACTIVE,
        .provider = cm_bytes_str(cm_init_provider_name(plan)),
        .key = cm_bytes_str(ca->key),
        .sigalg = cm_bytes_str(cm_sigalg_name(ca->sigalg)),
        .certificate = ca->der,
        .created_ms = cm_clock_wall_ms(),
    };
    struct cm_audit_event audit = {
        .kind = "ca-create",
        .actor = cm_bytes_str(cm_operator_name(plan->arena)),
        .detail = cm_bytes_str(cm_arena_printf(
            plan->arena, "{\"authority\":\"%s\",\"generation\":1,\"sha256\":\"%s\"}", ca->name,
            ca->fingerprint)),
    };
    SHA256(ca->der.data, ca->der.size, audit.digest);
    struct cm_store_op op = { .kind = CM_STORE_GENERATION,
                              .generation = &generation,
                              .audit = &audit };
    if (signer) {
        generation.chain = cm_pem_write("CERTIFICATE", ca->der, plan->arena);
        status = cm_generation_row_below(signer, ca->der, &row, err);
        op.imported = &row;
        op.imported_count = 1;
    }
    if (status == CM_OK)
        status = cm_store_apply(store, &op, err);
    if (status == CM_OK)
        *ret_number = generation.number;
    return status;
}

static void note_store_files(const struct cm_init_plan *plan, const char *path)
{
    static const char *const suffixes[] = { "", ".lock", "-wal", "-shm" };
    for (size_t i = 0; i < COUNT(suffixes); i++)
        cm_new_files_note(plan->files, cm_arena_printf(plan->arena, "%s%s", path, suffixes[i]));
}

static cm_status make_store(const struct cm_init_plan *plan, const struct cm_init_authority *root,
                            const struct cm_init_authority *issuing, struct cm_error *err)
{
    const char *path = cm_arena_printf(plan->arena, "%s/store/certmill.db", plan->folder);
    struct cm_store_settings settings = { .path = path, .create = true };
    struct cm_loop *loop = NULL;
    struct cm_store *store = NULL;
    int64_t number = 0;
    cm_status status = cm_loop_new(&loop, err);
    if (status == CM_OK) {
        note_store_files(plan, path);
        status = cm_store_open(&cm_store_sqlite, loop, &settings, &store, err);
    }
    if (status == CM_OK)
        status = record_authority(store, plan, root, 0, &number, err);
    if (status == CM_OK)
        status = record_authority(store, plan, issuing, number, &number, err);
    cm_store_close(store);
    cm_loop_free(loop);
    return status;
}

/* ----------------------------------------------------------------------------- the folders -- */

static const struct {
    const char *path;
    mode_t mode;
    bool spool; /* only with the spool queue */
} folders[] = {
    { "keys", 0700, false },          { "ca", 0755, false },
    { "store", 0700, false },         { "spool", 0750, true },
    { "spool/incoming", 0750, true }, { "spool/answered", 0750, true },
    { "spool/refused", 0750, true },
};

static bool wants_folder(const struct cm_init_plan *plan, size_t i)
{
    return !folders[i].spool || strcmp(plan->queue, "spool") == 0;
}

static cm_status make_folders(const struct cm_init_plan *plan, struct cm_error *err)
{
    const char *settings = cm_arena_printf(plan->arena, "%s/certmill.yaml", plan->folder);
    cm_status status = cm_new_files_folder(plan->files, plan->folder, 0755, true, err);
    if (status != CM_OK)
        return status;
    if (access(settings, F_OK) == 0)
        return CM_FAIL(err, CM_EXISTS, CM_ORIGIN_SELF, 0,
                       "there is a deployment in %s already; nothing is overwritten", plan->folder);
    for (size_t i = 0; i < COUNT(folders) && status == CM_OK; i++)
        if (wants_folder(plan, i))
            status = cm_new_files_folder(
                plan->files, cm_arena_printf(plan->arena, "%s/%s", plan->folder, folders[i].path),
                folders[i].mode, false, err);
    return status;
}

static cm_status sync_folders(const struct cm_init_plan *plan, struct cm_error *err)
{
    cm_status status = CM_OK;
    for (size_t i = 0; i < COUNT(folders) && status == CM_OK; i++)
        if (wants_folder(plan, i))
            status = cm_folder_sync(
                cm_arena_printf(plan->arena, "%s/%s", plan->folder, folders[i].path), err);
    if (status == CM_OK)
        status = cm_folder_sync(plan->folder, err);
    if (status == CM_OK)
        status = cm_folder_sync(cm_arena_printf(plan->arena, "%s/..", plan->folder), err);
    return status;
}

/*
 * Read as everyone will, before there is a key: a vault keeps the names of those that are deleted again.
 * Under another name, because a folder with a settings file is a whole deployment.
 */
static cm_status check_settings(const struct cm_init_plan *plan, struct cm_error *err)
{
    const char *path = cm_arena_printf(plan->arena, "%s/certmill.yaml.new", plan->folder);
    struct cm_settings *settings = NULL;
    cm_status status =
        cm_new_files_write(plan->files, path, 0600, cm_init_settings_text(plan), err);
    if (status != CM_OK)
        return status;
    status = cm_settings_read(path, &settings, err);
    cm_settings_free(settings);
    unlink(path);
    return status;
}

/* Written last. */
static cm_status write_settings(const struct cm_init_plan *plan, struct cm_error *err)
{
    const char *path = cm_arena_printf(plan->arena, "%s/certmill.yaml", plan->folder);
    return cm_new_files_write(plan->files, path, 0644, cm_init_settings_text(plan), err);
}

/* Relative paths start in the deployment's folder, as they will when the settings are read. */
static cm_status find_secrets(struct cm_init_plan *plan, struct cm_error *err)
{
    char *folder = realpath(plan->folder, NULL);
    cm_status status = CM_OK;
    plan->passphrase_from = plan->passphrase;
    if (folder && plan->passphrase && strncmp(plan->passphrase, "file:", 5) == 0
        && plan->passphrase[5] != '/')
        plan->passphrase_from =
            cm_arena_printf(plan->arena, "file:%s/%s", folder, plan->passphrase + 5);
    if (cm_init_is_in_vault(plan))
        status = cm_vault_flags_options(plan->call, folder, plan->arena, &plan->vault_options, err);
    free(folder);
    return status;
}

static cm_status open_provider(const struct cm_init_plan *plan, struct cm_provider_session *session,
                               struct cm_error *err)
{
    const struct cm_settings_provider provider = {
        .name = cm_init_provider_name(plan),
        .kind = plan->provider,
        .module = plan->module,
        .keys = cm_arena_printf(plan->arena, "%s/keys", plan->folder),
        .passphrase = plan->passphrase_from,
        .workers = 1,
        .options = plan->vault_options,
    };
    return cm_provider_session_open(session, &provider, err);
}

static cm_status fill_folders(struct cm_init_plan *plan, struct cm_provider_session *session,
                              struct cm_init_authority *root, struct cm_init_authority *issuing,
                              struct cm_error *err)
{
    cm_status status = check_settings(plan, err);
    if (status == CM_OK)
        status = open_provider(plan, session, err);
    if (status == CM_OK)
        status = cm_init_make_authorities(plan, session, root, issuing, err);
    if (status == CM_OK)
        status = make_store(plan, root, issuing, err);
    if (status == CM_OK)
        status = cm_interruptions_check(err);
    if (status == CM_OK)
        status = write_settings(plan, err);
    if (status == CM_OK)
        status = sync_folders(plan, err);
    return status;
}

/* All of it, or nothing. */
static cm_status make_deployment(struct cm_init_plan *plan, struct cm_init_authority *root,
                                 struct cm_init_authority *issuing, struct cm_error *err)
{
    struct cm_provider_session session = { 0 };
    *root = *issuing = (struct cm_init_authority){ 0 };
    cm_interruptions_hold(CM_NEW_AUTHORITY_INTERRUPTED);
    cm_status status = make_folders(plan, err);
    if (status == CM_OK)
        status = find_secrets(plan, err);
    if (status == CM_OK)
        status = fill_folders(plan, &session, root, issuing, err);
    cm_new_authority_close_key(&issuing->ca, status != CM_OK);
    cm_new_authority_close_key(&root->ca, status != CM_OK);
    cm_provider_session_close(&session);
    if (status != CM_OK)
        cm_new_files_undo(plan->files);
    cm_interruptions_release();
    return status;
}

/* ------------------------------------------------------------------------------ the command -- */

static json_t *authority_json(const struct cm_init_authority *authority)
{
    const char *key = authority->key_path ? authority->key_path : authority->ca.key;
    return json_pack("{s:s, s:s, s:s}", "certificate", authority->path, "key", key, "sha256",
                     authority->ca.fingerprint);
}

static void print_json(const struct cm_init_plan *plan, const struct cm_init_authority *root,
                       const struct cm_init_authority *issuing)
{
    json_t *object = json_pack("{s:s, s:s+, s:o, s:o}", "folder", plan->folder, "settings",
                               plan->folder, "/certmill.yaml", "root", authority_json(root),
                               "issuing", authority_json(issuing));
    json_dumpf(object, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(object);
}

static void print_text(const struct cm_init_plan *plan, const struct cm_init_authority *root,
                       const struct cm_init_authority *issuing)
{
    const char *dir = plan->folder, *place = cm_init_place(plan);
    printf("A deployment stands in %s:\n\n", dir);
    printf(
        "  %s/certmill.yaml\n      settings: every key is explained in docs/reference/settings.md\n",
        dir);
    printf("  %s\n      root certificate, for relying parties\n      SHA-256 %s\n", root->path,
           root->ca.fingerprint);
    printf("  %s\n      issuing certificate\n      SHA-256 %s\n", issuing->path,
           issuing->ca.fingerprint);
    if (issuing->key_path)
        printf("  %s\n      the issuing key: signs every certificate\n", issuing->key_path);
    else
        printf("  %s\n      the issuing key%s: signs every certificate\n", issuing->ca.key, place);
    if (root->key_path)
        printf("  %s\n      the root key: MOVE IT OFF-LINE NOW. The engine never needs it; whoever "
               "has\n      it can make authorities that every relying party trusts.\n",
               root->key_path);
    else
        printf("  %s\n      the root key%s: the engine never needs it\n", root->ca.key, place);
    printf("  %s/store/certmill.db\n      the record of everything\n\nNext:\n\n", dir);
    printf("  certmill doctor -c %s/certmill.yaml\n", dir);
    printf("  certmill device import -c %s/certmill.yaml devices.csv\n", dir);
}

static int check_vault(const struct cm_init_plan *plan)
{
    const struct cm_call *call = plan->call;
    bool is_wanted = cm_init_is_in_vault(plan);
    const char *complaint = is_wanted ? cm_vault_flags_complaint(call) : NULL;
    if (!is_wanted && cm_vault_flags_given(call))
        return cm_usage_fail(
            "--vault, --credential and what goes with them need --provider keyvault");
    if (complaint)
        return cm_usage_fail("%s", complaint);
    if (is_wanted && !cm_call_value(call, "vault") && !(plan->root_key && plan->issuing_key))
        return cm_usage_fail("--provider keyvault needs --vault: where the keys are made");
    return CM_EXIT_DONE;
}

static int read_plan(const struct cm_call *call, struct cm_init_plan *plan)
{
    const char *key_type = cm_call_value(call, "key-type");
    plan->call = call;
    plan->folder = call->operands[0];
    plan->organization = cm_call_value(call, "organization");
    plan->provider = cm_call_value(call, "provider");
    plan->module = cm_call_value(call, "module");
    plan->token = cm_call_value(call, "token");
    plan->key_label = cm_call_value(call, "key-label");
    plan->root_key = cm_call_value(call, "root-key");
    plan->issuing_key = cm_call_value(call, "issuing-key");
    plan->passphrase = cm_call_value(call, "passphrase");
    if (!plan->passphrase)
        plan->passphrase = cm_call_value(call, "pin");
    if (!plan->passphrase)
        plan->passphrase = cm_call_value(call, "client-secret");
    plan->queue = cm_call_value(call, "queue");
    plan->redis_url = cm_call_value(call, "redis-url");
    plan->base_url = cm_call_value(call, "base-url");
    plan->listen = cm_call_value(call, "listen");
    plan->sub_ca = cm_call_flag(call, "sub-ca");
    plan->key_bits = strncmp(key_type, "rsa-", 4) == 0 ? (uint32_t)atoi(key_type + 4) : 0;
    plan->key_type = plan->key_bits ? CM_KEY_RSA : cm_key_type_find(key_type);
    if (plan->redis_url && strcmp(plan->queue, "redis") != 0)
        return cm_usage_fail("--redis-url goes with --queue redis");
    if (!plan->redis_url && strcmp(plan->queue, "redis") == 0)
        plan->redis_url = DEFAULT_REDIS_URL;
    if (strcmp(plan->provider, "pkcs11") != 0 && (plan->module || plan->token))
        return cm_usage_fail("--module and --token go with --provider pkcs11");
    if (check_vault(plan) != CM_EXIT_DONE)
        return CM_EXIT_USAGE;
    if (!cm_flag_is_plain(plan->redis_url) || !cm_flag_is_plain(plan->base_url)
        || !cm_flag_is_plain(plan->listen) || !cm_flag_is_plain(plan->passphrase)
        || !cm_flag_is_plain(plan->module) || !cm_flag_is_plain(plan->token))
        return cm_usage_fail("an URL or reference has characters that are not allowed in it");
    if (plan->folder[0] == '\0')
        return cm_usage_fail("expected DIR, found nothing");
    return CM_EXIT_DONE;
}

static int run(const struct cm_call *call)
{
    struct cm_arena arena;
    struct cm_new_files files = { 0 };
    struct cm_init_plan plan = { .arena = &arena, .files = &files };
    struct cm_init_authority root, issuing;
    struct cm_error err = { 0 };
    int exit_code = read_plan(call, &plan);
    if (exit_code != CM_EXIT_DONE)
        return exit_code;
    cm_arena_init(&arena, 16384);
    if (make_deployment(&plan, &root, &issuing, &err) != CM_OK) {
        exit_code = cm_call_fail(call, "%s", err.text);
    } else if (cm_call_flag(call, "json")) {
        print_json(&plan, &root, &issuing);
    } else if (!cm_call_flag(call, "quiet")) {
        print_text(&plan, &root, &issuing);
    }
    cm_new_files_done(&files);
    cm_arena_done(&arena);
    return exit_code;
}

static const char *const paragraphs[] = {
    "Makes a working deployment in the folder `DIR`: settings, a root and an issuing authority with "
    "new keys, and an empty store. What is there already is never overwritten, and when something "
    "fails, everything that was made is removed again.",
    "The root certificate lives 20 years, the issuing certificate 10. Both keys are of the same "
    "type; P-256, the default, is what every device understands and the fastest to sign with.",
    "The root key stands in `DIR/keys/root.pem` only so that you can move it off-line: the engine "
    "never needs it. With `--provider pkcs11` both keys are made in the token, with `--provider "
    "keyvault` in an Azure Key Vault; there the store names their versions, so that a rotation in the "
    "vault changes nothing.",
    NULL
};

static const struct cm_option options[] = {
    { .name = "provider",
      .type = CM_OPTION_CHOICE,
      .argument = "KIND",
      .standard = "openssl",
      .choices = "openssl pkcs11 keyvault",
      .help =
          "Where the keys live: in files, or in a PKCS#11 token or an Azure Key Vault, where they "
          "are made and which they never leave." },
    { .name = "module",
      .type = CM_OPTION_PATH,
      .argument = "FILE",
      .help = "`pkcs11`: the vendor's module, an absolute path." },
    { .name = "token",
      .type = CM_OPTION_TEXT,
      .argument = "URI",
      .help =
          "`pkcs11`: the token, like `pkcs11:token=LABEL`. Without it: the only one there is." },
    { .name = "pin",
      .type = CM_OPTION_TEXT,
      .argument = "REFERENCE",
      .help =
          "`pkcs11`: where the PIN is: `file:PATH`, `env:NAME`, `credential:NAME` or `prompt:WORDS`. "
          "A relative PATH starts in `DIR`." },
    { .name = "key-label",
      .type = CM_OPTION_TEXT,
      .argument = "LABEL",
      .standard = "certmill",
      .help = "`pkcs11`, `keyvault`: the new keys are called `LABEL-root` and `LABEL-issuing-1`." },
    CM_VAULT_FLAGS("A relative path starts in `DIR`."),
    { .name = "root-key",
      .type = CM_OPTION_TEXT,
      .argument = "REFERENCE",
      .help = "The root's key is there already: `file:PATH`, a `pkcs11:` URI or "
              "`https://VAULT/keys/NAME[/VERSION]`." },
    { .name = "issuing-key",
      .type = CM_OPTION_TEXT,
      .argument = "REFERENCE",
      .help = "The issuing authority's key is there already." },
    { .name = "organization",
      .letter = 'o',
      .type = CM_OPTION_TEXT,
      .argument = "NAME",
      .help = "Stands in the names of both authorities." },
    { .name = "key-type",
      .type = CM_OPTION_CHOICE,
      .argument = "TYPE",
      .standard = "p256",
      .choices = "p256 p384 p521 rsa-2048 rsa-3072 rsa-4096 ed25519",
      .help = "Of the keys of both authorities." },
    { .name = "passphrase",
      .type = CM_OPTION_TEXT,
      .argument = "REFERENCE",
      .help = "Encrypts the key files, or with `--certificate` opens its private key: `file:PATH`, "
              "`env:NAME` or `credential:NAME`. A relative PATH starts in `DIR`." },
    { .name = "queue",
      .type = CM_OPTION_CHOICE,
      .argument = "KIND",
      .standard = "spool",
      .choices = "spool redis",
      .help = "Where requests will come from." },
    { .name = "redis-url",
      .type = CM_OPTION_TEXT,
      .argument = "URL",
      .help = "Of the Redis server, with `--queue redis`. Without it: `" DEFAULT_REDIS_URL "`." },
    { .name = "base-url",
      .type = CM_OPTION_TEXT,
      .argument = "URL",
      .help =
          "Where relying parties will find CRLs, OCSP and CA certificates, like "
          "`http://pki.example`; stands in every certificate. Without it certificates name no "
          "such place. Without `--listen` CRLs are written into `DIR/public`, for a web server." },
    { .name = "listen",
      .type = CM_OPTION_TEXT,
      .argument = "ADDRESS",
      .help = "The engine serves CRLs, OCSP and CA certificates itself, over HTTP, like "
              "`127.0.0.1:8899`." },
    { .name = "sub-ca",
      .type = CM_OPTION_FLAG,
      .help = "The issuing authority may sign authorities below it (profile `sub-ca`)." },
    CM_OPTION_JSON,
    CM_OPTION_QUIET,
};

static const struct cm_example examples[] = {
    { "certmill init /srv/ca --organization 'Example Devices'",
      "A deployment with a spool folder for CSR files." },
    { "certmill init /srv/ca --queue redis --redis-url unix:///run/redis.sock",
      "One that takes its requests from Redis." },
    { "certmill init /srv/ca --provider pkcs11 --module /opt/hsm.so --pin env:PIN",
      "One whose keys are made in a token." },
    { "certmill init ca --provider keyvault --vault https://NAME.vault.azure.net",
      "One whose keys are made in a key vault, by the machine's managed identity." },
};

const struct cm_command cm_command_init = {
    .name = "init",
    .operands = "DIR",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "make a new deployment: settings, root and issuing CA, store",
    .paragraphs = paragraphs,
    .options = options,
    .options_count = COUNT(options),
    .examples = examples,
    .examples_count = COUNT(examples),
    .when_failed = "failed; nothing was left behind",
    .run = run,
};

/*
 * Providers: batches of signatures by backend, key type and the size of the batch; beside a bare OpenSSL loop
 * on one thread, which is what everyone writes. One batch is under way at a time.
 *
 * A hosted provider works in a process of its own: what that takes is the counter signer_us, of a signature.
 * pkcs11 needs SoftHSM, and makes a token of its own. keyvault needs a vault: bench/with_vault starts the
 * tests' emulator and says where it is, by BENCH_VAULT_KEY (the URI of a P-256 key), BENCH_VAULT_OPTIONS
 * (JSON, as providers/keyvault/options.h) and BENCH_VAULT_SECRET.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>

#include "bench/suites.h"
#include "providers/backends.h"
#include "providers/fake/fake.h"
#include "providers/host.h"
#include "tools/private_token.h"
#include "tools/scratch.h"

enum { ITEMS_MAX = 256, MESSAGE_SIZE = 500 };

enum backend { BARE, OPENSSL, OPENSSL_HOSTED, FAKE, PKCS11, PKCS11_HOSTED, KEYVAULT };

#define KIND(backend, type) ((int)(backend) << 8 | (int)(type))

static char folder[256]; /* of key files and the token; made when first needed */
static struct cm_private_token token;
static uint8_t message[MESSAGE_SIZE];

/* One instance with one key, and a batch for it. */
struct signing {
    struct cm_loop *loop;
    struct cm_provider *provider;
    struct cm_key *key;
    struct cm_error err;
    struct cm_sign_batch batch;
    struct cm_sign_item items[ITEMS_MAX];
    uint8_t signatures[ITEMS_MAX][CM_SIGNATURE_SIZE_MAX];
    double signer_us; /* processor time of its process, before an iteration */
    EVP_PKEY *bare;
    EVP_MD_CTX *context;
};

static enum backend backend_of(const struct cm_bench_run *run)
{
    return (enum backend)(run->bench->kind >> 8);
}

static enum cm_key_type type_of(const struct cm_bench_run *run)
{
    return (enum cm_key_type)(run->bench->kind & 0xff);
}

static bool is_hosted(const struct cm_bench_run *run)
{
    return backend_of(run) == OPENSSL_HOSTED || backend_of(run) == PKCS11_HOSTED;
}

static bool is_in_token(const struct cm_bench_run *run)
{
    return backend_of(run) == PKCS11 || backend_of(run) == PKCS11_HOSTED;
}

/* ------------------------------------------------------------------ what there is -- */

static cm_status make_folder(struct cm_error *err)
{
    return folder[0] ? CM_OK : cm_scratch_make("certmill-bench-keys", folder, sizeof folder, err);
}

static cm_status make_token(struct cm_error *err)
{
    return token.module ? CM_OK : cm_private_token_make(&token, folder, err);
}

static const char *softhsm_missing(void)
{
    return cm_private_token_module() ? NULL : "SoftHSM is not installed (tools/setup --tests)";
}

static const char *vault_missing(void)
{
    return getenv("BENCH_VAULT_KEY") ? NULL : "no vault is named; see bench/with_vault";
}

static void close_all(void)
{
    if (folder[0])
        cm_scratch_remove(folder);
}

/* ------------------------------------------------------------------ an instance and its key -- */

static const struct cm_provider_ops *ops_of(const struct cm_bench_run *run)
{
    static const struct cm_provider_ops *const by_backend[] = {
        [OPENSSL] = &cm_provider_openssl,   [OPENSSL_HOSTED] = &cm_provider_hosted,
        [FAKE] = &cm_provider_fake,         [PKCS11] = &cm_provider_pkcs11,
        [KEYVAULT] = &cm_provider_keyvault, [PKCS11_HOSTED] = &cm_provider_hosted,
    };
    return by_backend[backend_of(run)];
}

static bool open_provider(struct signing *signing, struct cm_bench_run *run)
{
    const struct cm_host_settings host = { .kind = is_in_token(run) ? "pkcs11" : "openssl",
                                           .signs_anything = true };
    const struct cm_provider_settings settings = {
        .name = "bench",
        .folder = folder,
        .module = is_in_token(run) ? token.module : NULL,
        .passphrase_ref = is_in_token(run)              ? token.pin
                          : backend_of(run) == KEYVAULT ? "env:BENCH_VAULT_SECRET"
                                                        : NULL,
        .workers_count = 1,
        .options = backend_of(run) == KEYVAULT ? getenv("BENCH_VAULT_OPTIONS") : NULL,
        .host = is_hosted(run) ? &host : NULL
    };
    struct cm_error err;
    if (cm_loop_new(&signing->loop, &err) != CM_OK
        || cm_provider_open(ops_of(run), signing->loop, &settings, &signing->provider, &err)
               != CM_OK)
        return cm_bench_fail(run, "%s", err.text);
    return true;
}

static void on_key(cm_status status, struct cm_key *key, const struct cm_error *err, void *arg)
{
    struct signing *signing = arg;
    signing->key = key;
    if (status != CM_OK)
        signing->err = *err;
    cm_loop_stop(signing->loop);
}

/* The key that is there; else a new one. */
static bool open_key(struct signing *signing, struct cm_bench_run *run)
{
    char reference[400];
    enum cm_key_type type = type_of(run);
    const struct cm_key_spec spec = { .type = type, .bits = type == CM_KEY_RSA ? 2048 : 0 };
    snprintf(reference, sizeof reference, is_in_token(run) ? "%s;object=bench-%s" : "file:%s%s.pem",
             is_in_token(run) ? CM_PRIVATE_TOKEN_URI : "", cm_key_type_name(type));
    if (backend_of(run) == KEYVAULT)
        snprintf(reference, sizeof reference, "%s", getenv("BENCH_VAULT_KEY"));
    cm_provider_open_key(signing->provider, reference, CM_SIGALG_UNKNOWN, on_key, signing);
    cm_loop_run(signing->loop);
    if (!signing->key && signing->err.status == CM_NO_KEY) {
        cm_provider_create_key(signing->provider, reference, &spec, CM_SIGALG_UNKNOWN, on_key,
                               signing);
        cm_loop_run(signing->loop);
    }
    return signing->key || cm_bench_fail(run, "%s: %s", reference, signing->err.text);
}

/* ------------------------------------------------------------------ signing -- */

static void on_signed(struct cm_sign_batch *batch, void *arg)
{
    (void)batch;
    cm_loop_stop(((struct signing *)arg)->loop);
}

static void prepare_batch(struct signing *signing, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        signing->items[i] = (struct cm_sign_item){ .message = cm_bytes(message, MESSAGE_SIZE),
                                                   .signature = signing->signatures[i],
                                                   .signature_space = CM_SIGNATURE_SIZE_MAX };
    signing->batch = (struct cm_sign_batch){ .key = signing->key,
                                             .items = signing->items,
                                             .items_count = count,
                                             .done = on_signed,
                                             .done_arg = signing };
}

static bool sign(struct cm_bench_run *run)
{
    struct signing *signing = run->self;
    struct cm_error err;
    if (cm_provider_sign(signing->provider, &signing->batch, &err) != CM_OK)
        return cm_bench_fail(run, "%s", err.text);
    cm_loop_run(signing->loop);
    for (uint32_t i = 0; i < run->size; i++)
        if (signing->items[i].status != CM_OK)
            return cm_bench_fail(run, "a signature: %s", cm_status_text(signing->items[i].status));
    return true;
}

/* ------------------------------------------------------------------ opening -- */

/* Signs once before the clock runs: connections, sessions and tokens are there then. */
static bool open_signing(struct cm_bench_run *run)
{
    struct signing *signing = calloc(1, sizeof *signing);
    struct cm_error err;
    run->self = signing;
    if (make_folder(&err) != CM_OK || (is_in_token(run) && make_token(&err) != CM_OK))
        return cm_bench_fail(run, "%s", err.text);
    if (!open_provider(signing, run) || !open_key(signing, run))
        return false;
    prepare_batch(signing, run->size);
    return sign(run);
}

static void on_drained(void *arg)
{
    cm_loop_stop(((struct signing *)arg)->loop);
}

static void close_signing(struct cm_bench_run *run)
{
    struct signing *signing = run->self;
    cm_provider_close_key(signing->key);
    if (signing->provider) {
        cm_provider_drain(signing->provider, on_drained, signing);
        cm_loop_run(signing->loop);
    }
    cm_provider_close(signing->provider);
    cm_loop_free(signing->loop);
    free(signing);
}

/* ------------------------------------------------------------------ what a signer takes -- */

static double signer_us(const struct signing *signing)
{
    return cm_bench_cpu_us_of(cm_provider_state(signing->provider).pid);
}

static bool look_at_signer(struct cm_bench_run *run)
{
    struct signing *signing = run->self;
    signing->signer_us = signer_us(signing);
    return true;
}

static bool count_signer(struct cm_bench_run *run)
{
    struct signing *signing = run->self;
    cm_bench_count(run, "signer_us", signer_us(signing) - signing->signer_us);
    return true;
}

/* ------------------------------------------------------------------ bare -- */

/* The provider makes the key. */
static bool open_bare(struct cm_bench_run *run)
{
    char path[300];
    if (!open_signing(run))
        return false;
    struct signing *signing = run->self;
    snprintf(path, sizeof path, "%s/%s.pem", folder, cm_key_type_name(type_of(run)));
    FILE *file = fopen(path, "r");
    signing->bare = file ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : NULL;
    signing->context = EVP_MD_CTX_new();
    if (file)
        fclose(file);
    return (signing->bare && signing->context) || cm_bench_fail(run, "%s is no key", path);
}

static void close_bare(struct cm_bench_run *run)
{
    struct signing *signing = run->self;
    EVP_MD_CTX_free(signing->context);
    EVP_PKEY_free(signing->bare);
    close_signing(run);
}

/* With its initialisation every time. */
static bool sign_bare(struct cm_bench_run *run)
{
    struct signing *signing = run->self;
    const char *hash = cm_sigalg_hash(cm_sigalg_default(type_of(run)));
    for (uint32_t i = 0; i < run->size; i++) {
        size_t size = CM_SIGNATURE_SIZE_MAX;
        if (EVP_DigestSignInit_ex(signing->context, NULL, hash[0] ? hash : NULL, NULL, NULL,
                                  signing->bare, NULL)
                <= 0
            || EVP_DigestSign(signing->context, signing->signatures[i], &size, message,
                              MESSAGE_SIZE)
                   <= 0)
            return cm_bench_fail(run, "OpenSSL does not sign");
    }
    return true;
}

/* ------------------------------------------------------------------ the table -- */

#define BARELY(label, type)                                                                        \
    {                                                                                              \
        .name = "bare/" label, .kind = KIND(OPENSSL, CM_KEY_##type), .setup = open_bare,           \
        .run = sign_bare, .teardown = close_bare, .sizes = {                                       \
            64                                                                                     \
        }                                                                                          \
    }
#define HERE(label, backend, type, ...)                                                            \
    {                                                                                              \
        .name = label, .kind = KIND(backend, CM_KEY_##type), .setup = open_signing, .run = sign,   \
        .teardown = close_signing, .is_concurrent = true, __VA_ARGS__                              \
    }
#define HOSTED(label, backend, type, ...)                                                          \
    HERE(label, backend, type, .prepare = look_at_signer, .settle = count_signer, __VA_ARGS__)
#define SIZES .sizes = { 1, 8, 64, 256 }
#define FEW   .sizes = { 64 }

static const struct cm_bench benches[] = {
    BARELY("p256", P256),
    BARELY("p384", P384),
    BARELY("p521", P521),
    BARELY("ed25519", ED25519),
    BARELY("rsa", RSA),
    HERE("openssl/p256", OPENSSL, P256, SIZES),
    HERE("openssl/p384", OPENSSL, P384, FEW),
    HERE("openssl/p521", OPENSSL, P521, FEW),
    HERE("openssl/ed25519", OPENSSL, ED25519, FEW),
    HERE("openssl/rsa", OPENSSL, RSA, FEW),
    HOSTED("openssl-hosted/p256", OPENSSL_HOSTED, P256, SIZES),
    HOSTED("openssl-hosted/p384", OPENSSL_HOSTED, P384, FEW),
    HOSTED("openssl-hosted/p521", OPENSSL_HOSTED, P521, FEW),
    HOSTED("openssl-hosted/ed25519", OPENSSL_HOSTED, ED25519, FEW),
    HOSTED("openssl-hosted/rsa", OPENSSL_HOSTED, RSA, FEW),
    HERE("fake/p256", FAKE, P256, SIZES),
    HERE("pkcs11/p256", PKCS11, P256, SIZES, .missing = softhsm_missing),
    HERE("pkcs11/rsa", PKCS11, RSA, FEW, .missing = softhsm_missing),
    HOSTED("pkcs11-hosted/p256", PKCS11_HOSTED, P256, SIZES, .missing = softhsm_missing),
    HERE("keyvault/p256", KEYVAULT, P256, SIZES, .missing = vault_missing),
};

const struct cm_bench_suite cm_bench_providers = { "providers", benches, CM_BENCH_COUNT(benches),
                                                   close_all };

/*
 * Certificates: what one costs before its signature (composing, linting, and the key identifier that is a part
 * of both), by profile; and after it: assembling, reading back, verifying, by the key type of the CA.
 * One P-256 key, one issuer with every URL.
 */
#include "engine/x509/certificate.h"

#include <stdlib.h>

#include <openssl/x509.h>

#include "bench/suites.h"
#include "engine/x509/lint.h"
#include "engine/x509/proof.h"

enum {
    CERTIFICATES = 256
}; /* of an iteration, as in the engine: between two resets of the arena */

/* CN=Issuer */
static const uint8_t name[] = { 0x30, 0x11, 0x31, 0x0f, 0x30, 0x0d, 0x06, 0x03, 0x55, 0x04,
                                0x03, 0x0c, 0x06, 'I',  's',  's',  'u',  'e',  'r' };
/* The generator of P-256, as a public key. */
static const uint8_t spki[] = {
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04, 0x6b, 0x17, 0xd1, 0xf2, 0xe1,
    0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d,
    0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96, 0x4f, 0xe3, 0x42, 0xe2, 0xfe,
    0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce, 0x33, 0x57, 0x6b,
    0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5
};

static const char *const profiles[] = { "device-client", "device-server", "gateway", "ldevid" };

struct making {
    const struct cm_profile *profile;
    struct cm_issuer issuer;
    struct cm_template *template;
    struct cm_composer *composer;
    struct cm_template_input input;
    struct cm_arena arena;
    struct cm_tbs tbs;
    struct cm_bytes certificate, signature;
    struct cm_public_key key; /* of the CA */
    struct cm_verifier *verifier;
};

/* ------------------------------------------------------------------ before the signature -- */

static struct cm_issuer issuer(void)
{
    return (struct cm_issuer){
        .name = cm_bytes(name, sizeof name),
        .ski = cm_bytes("0123456789abcdefghij", 20),
        .not_before_s = 1577836800,
        .not_after_s = 2840140799,
        .path_len = CM_PATH_LEN_NONE,
        .sigalg = CM_SIGALG_ECDSA_SHA256,
        .crl_shards = 64,
        .crl_url = "http://pki.example/crl/issuing/${shard}.crl",
        .ocsp_url = "http://pki.example/ocsp",
        .ca_issuers_url = "http://pki.example/ca/issuing.cer",
    };
}

static struct cm_template_input input(void)
{
    return (struct cm_template_input){
        .serial = cm_bytes("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10", 16),
        .issue_time_s = 1767268800,
        .device = cm_bytes_str("device-000001"),
        .spki = cm_bytes(spki, sizeof spki),
        .key_type = CM_KEY_P256,
    };
}

static bool compose_one(struct making *making, struct cm_bench_run *run)
{
    struct cm_refusal refusal;
    return cm_template_compose(making->template, making->composer, &making->input, &making->arena,
                               &making->tbs, &refusal)
           || cm_bench_fail(run, "%s", refusal.message);
}

static bool open_profile(struct cm_bench_run *run, const char *profile)
{
    struct making *making = calloc(1, sizeof *making);
    struct cm_error err = { .text = "no such profile" };
    run->self = making;
    cm_arena_init(&making->arena, 1 << 18);
    making->profile = cm_profile_builtin(profile);
    making->issuer = issuer();
    making->input = input();
    if (!making->profile || cm_composer_new(&making->composer, &err) != CM_OK
        || cm_template_build(making->profile, &making->issuer, &making->template, &err) != CM_OK)
        return cm_bench_fail(run, "%s: %s", profile, err.text);
    return compose_one(making, run);
}

static bool open_making(struct cm_bench_run *run)
{
    return open_profile(run, profiles[run->bench->kind]);
}

static void close_making(struct cm_bench_run *run)
{
    struct making *making = run->self;
    cm_verifier_free(making->verifier);
    cm_template_free(making->template);
    cm_composer_free(making->composer);
    cm_arena_done(&making->arena);
    free(making);
}

static bool compose(struct cm_bench_run *run)
{
    struct making *making = run->self;
    cm_arena_reset(&making->arena);
    for (uint32_t i = 0; i < run->size; i++)
        if (!compose_one(making, run))
            return false;
    return true;
}

static bool lint(struct cm_bench_run *run)
{
    struct making *making = run->self;
    struct cm_refusal refusal;
    for (uint32_t i = 0; i < run->size; i++)
        if (!cm_lint_tbs(making->composer, making->tbs.der, making->profile, &making->issuer,
                         &refusal))
            return cm_bench_fail(run, "%s", refusal.message);
    return true;
}

static bool identify(struct cm_bench_run *run)
{
    struct making *making = run->self;
    uint8_t ski[CM_SKI_SIZE];
    for (uint32_t i = 0; i < run->size; i++)
        if (!cm_composer_ski(making->composer, CM_SKI_RFC7093_1, making->input.spki, ski))
            return cm_bench_fail(run, "the key has no identifier");
    return true;
}

/* ------------------------------------------------------------------ after it -- */

static EVP_PKEY *make_key(enum cm_key_type type)
{
    static const char *const curves[] = {
        [CM_KEY_P256] = "P-256", [CM_KEY_P384] = "P-384", [CM_KEY_P521] = "P-521"
    };
    if (type == CM_KEY_RSA)
        return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
    if (type == CM_KEY_ED25519)
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    return EVP_PKEY_Q_keygen(NULL, NULL, "EC", curves[type]);
}

/* What a CA of this key type would have signed. */
static bool sign(struct making *making, EVP_PKEY *key, enum cm_sigalg alg)
{
    const char *hash = cm_sigalg_hash(alg);
    uint8_t *signature = cm_arena_alloc(&making->arena, CM_SIGNATURE_SIZE_MAX);
    size_t size = CM_SIGNATURE_SIZE_MAX;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool is_signed =
        EVP_DigestSignInit_ex(context, NULL, hash[0] ? hash : NULL, NULL, NULL, key, NULL) == 1
        && EVP_DigestSign(context, signature, &size, making->tbs.der.data, making->tbs.der.size)
               == 1;
    EVP_MD_CTX_free(context);
    making->signature = cm_bytes(signature, size);
    return is_signed;
}

static bool open_verifier(struct making *making, EVP_PKEY *key, enum cm_sigalg alg)
{
    struct cm_error err;
    struct cm_refusal refusal;
    unsigned char *der = NULL;
    int size = i2d_PUBKEY(key, &der);
    struct cm_bytes copy =
        cm_arena_copy(&making->arena, cm_bytes(der, size > 0 ? (size_t)size : 0));
    OPENSSL_free(der);
    return size > 0 && cm_public_key_read(copy, &making->key, &refusal)
           && cm_verifier_new(&making->key, alg, &making->verifier, &err) == CM_OK;
}

static bool open_signed(struct cm_bench_run *run)
{
    enum cm_key_type type = (enum cm_key_type)run->bench->kind;
    enum cm_sigalg alg = cm_sigalg_default(type);
    if (!open_profile(run, "device-client"))
        return false;
    struct making *making = run->self;
    EVP_PKEY *key = make_key(type);
    bool is_good = key && sign(making, key, alg) && open_verifier(making, key, alg);
    EVP_PKEY_free(key);
    making->certificate = cm_certificate_assemble(making->tbs.der, CM_SIGALG_ECDSA_SHA256,
                                                  making->signature, &making->arena);
    return is_good || cm_bench_fail(run, "no key, or no signature");
}

static bool assemble(struct cm_bench_run *run)
{
    struct making *making = run->self;
    struct cm_arena arena;
    cm_arena_init(&arena, 1 << 18);
    for (uint32_t i = 0; i < run->size; i++)
        cm_certificate_assemble(making->tbs.der, CM_SIGALG_ECDSA_SHA256, making->signature, &arena);
    cm_arena_done(&arena);
    return true;
}

static bool read(struct cm_bench_run *run)
{
    const struct making *making = run->self;
    struct cm_certificate certificate;
    struct cm_error err;
    for (uint32_t i = 0; i < run->size; i++)
        if (cm_certificate_read(making->certificate, &certificate, &err) != CM_OK)
            return cm_bench_fail(run, "%s", err.text);
    return true;
}

static bool verify(struct cm_bench_run *run)
{
    const struct making *making = run->self;
    for (uint32_t i = 0; i < run->size; i++)
        if (cm_verifier_check(making->verifier, making->tbs.der, making->signature) != CM_OK)
            return cm_bench_fail(run, "the signature does not verify");
    return true;
}

#define BENCH(label, of, opened, function, count)                                                  \
    {                                                                                              \
        .name = label, .kind = (of), .setup = (opened), .run = (function),                         \
        .teardown = close_making, .sizes = {                                                       \
            (count)                                                                                \
        }                                                                                          \
    }
#define MADE(label, profile, function) BENCH(label, profile, open_making, function, CERTIFICATES)
#define OF_EACH_PROFILE(label, function)                                                           \
    MADE(label "/device-client", 0, function), MADE(label "/device-server", 1, function),          \
        MADE(label "/gateway", 2, function), MADE(label "/ldevid", 3, function)

static const struct cm_bench benches[] = {
    OF_EACH_PROFILE("compose", compose),
    OF_EACH_PROFILE("lint", lint),
    MADE("key-identifier", 0, identify),
    BENCH("assemble", CM_KEY_P256, open_signed, assemble, CERTIFICATES),
    BENCH("read", CM_KEY_P256, open_signed, read, CERTIFICATES),
    BENCH("verify/p256", CM_KEY_P256, open_signed, verify, 16),
    BENCH("verify/p384", CM_KEY_P384, open_signed, verify, 16),
    BENCH("verify/p521", CM_KEY_P521, open_signed, verify, 16),
    BENCH("verify/ed25519", CM_KEY_ED25519, open_signed, verify, 16),
    BENCH("verify/rsa", CM_KEY_RSA, open_signed, verify, 16),
};

const struct cm_bench_suite cm_bench_certificate = { "certificate", benches,
                                                     CM_BENCH_COUNT(benches), NULL };

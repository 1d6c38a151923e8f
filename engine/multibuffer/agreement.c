/*
 * Whether the library agrees with OpenSSL, asked once for each kind before anything is trusted to it: a
 * build of it may be right in one kind and wrong in another (Debian 13's 2021.12.1 computes no good
 * Ed25519 on the processors it was tried on). Half of the lanes are asked about something wrong.
 */
#include "engine/multibuffer/internal.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

enum {
    HALF_OF_THEM = 0x55,
    ALL_OF_THEM = 0xff,
    HASH_SIZE = 32,
    POINT_SIZE_MAX = 1 + 2 * CM_MB_FIELD_SIZE_MAX
};

static bool is_wrong_lane(unsigned lane)
{
    return lane % 2 == 1;
}

/* --- ECDSA --------------------------------------------------------------------------------------- */

struct ecdsa_trial {
    enum cm_mb_kind curve;
    size_t size;
    EVP_PKEY *pkey;
    EVP_PKEY_CTX *ctx;
    uint8_t point[POINT_SIZE_MAX];
    uint8_t hash[HASH_SIZE];
};

static bool draw_nonce(cm_mb_limb *limbs, size_t size)
{
    /* Far below every order: of a signature that nobody sees. */
    memset(limbs, 0, CM_MB_LIMBS_MAX * sizeof *limbs);
    return RAND_priv_bytes((unsigned char *)limbs, (int)size - 4) == 1;
}

static void put_hash(const struct ecdsa_trial *trial, uint8_t *digest)
{
    memset(digest, 0, trial->size);
    memcpy(digest + trial->size - HASH_SIZE, trial->hash, HASH_SIZE);
}

static bool openssl_accepts(const struct ecdsa_trial *trial, const struct cm_mb_ecdsa_draft *draft)
{
    ECDSA_SIG *numbers = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(draft->r, (int)trial->size, NULL);
    BIGNUM *s = BN_bin2bn(draft->s, (int)trial->size, NULL);
    unsigned char *der = NULL;
    if (numbers && r && s && ECDSA_SIG_set0(numbers, r, s) == 1)
        r = s = NULL;
    int size = !r && !s ? i2d_ECDSA_SIG(numbers, &der) : 0;
    bool is_good = size > 0 && EVP_PKEY_verify_init(trial->ctx) == 1
                   && EVP_PKEY_verify(trial->ctx, der, (size_t)size, trial->hash, HASH_SIZE) == 1;
    OPENSSL_free(der);
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(numbers);
    return is_good;
}

static bool signs(const struct ecdsa_trial *trial)
{
    struct cm_mb_ecdsa_draft drafts[CM_MB_LANES];
    cm_mb_limb scalar[CM_MB_LIMBS_MAX] = { 0 };
    BIGNUM *private_key = NULL;
    bool is_good = EVP_PKEY_get_bn_param(trial->pkey, OSSL_PKEY_PARAM_PRIV_KEY, &private_key) == 1
                   && BN_bn2lebinpad(private_key, (unsigned char *)scalar, sizeof scalar) > 0;
    for (unsigned i = 0; i < CM_MB_LANES; i++) {
        put_hash(trial, drafts[i].digest);
        is_good = is_good && draw_nonce(drafts[i].nonce, trial->size);
    }
    is_good = is_good && cm_mb_ecdsa_sign(trial->curve, scalar, drafts, CM_MB_LANES) == ALL_OF_THEM;
    for (unsigned i = 0; i < CM_MB_LANES; i++)
        is_good = is_good && openssl_accepts(trial, &drafts[i]);
    OPENSSL_cleanse(scalar, sizeof scalar);
    BN_clear_free(private_key);
    return is_good;
}

static bool verifies(const struct ecdsa_trial *trial)
{
    struct cm_mb_ecdsa_check checks[CM_MB_LANES];
    uint8_t der[2 * CM_MB_FIELD_SIZE_MAX + 16];
    const uint8_t *at = der;
    size_t size = sizeof der;
    if (EVP_PKEY_sign_init(trial->ctx) != 1
        || EVP_PKEY_sign(trial->ctx, der, &size, trial->hash, HASH_SIZE) != 1)
        return false;
    ECDSA_SIG *numbers = d2i_ECDSA_SIG(NULL, &at, (long)size);
    for (unsigned i = 0; numbers && i < CM_MB_LANES; i++) {
        BN_bn2binpad(ECDSA_SIG_get0_r(numbers), checks[i].r, (int)trial->size);
        BN_bn2binpad(ECDSA_SIG_get0_s(numbers), checks[i].s, (int)trial->size);
        put_hash(trial, checks[i].digest);
        checks[i].digest[trial->size - 1] ^= is_wrong_lane(i);
        checks[i].point = trial->point + 1;
    }
    bool is_good = numbers && cm_mb_ecdsa_verify(trial->curve, checks, CM_MB_LANES) == HALF_OF_THEM;
    ECDSA_SIG_free(numbers);
    return is_good;
}

static bool agrees_on_ecdsa(enum cm_mb_kind curve)
{
    static const char *const names[] = {
        [CM_MB_P256] = "P-256", [CM_MB_P384] = "P-384", [CM_MB_P521] = "P-521"
    };
    struct ecdsa_trial trial = { .curve = curve,
                                 .size = cm_mb_field_size(curve),
                                 .pkey = EVP_EC_gen(names[curve]) };
    size_t size = 0;
    trial.ctx = trial.pkey ? EVP_PKEY_CTX_new_from_pkey(NULL, trial.pkey, NULL) : NULL;
    bool agrees = trial.ctx && RAND_bytes(trial.hash, sizeof trial.hash) == 1
                  && EVP_PKEY_get_octet_string_param(trial.pkey, OSSL_PKEY_PARAM_PUB_KEY,
                                                     trial.point, sizeof trial.point, &size)
                         == 1
                  && size == 1 + 2 * trial.size && signs(&trial) && verifies(&trial);
    EVP_PKEY_CTX_free(trial.ctx);
    EVP_PKEY_free(trial.pkey);
    return agrees;
}

/* --- Ed25519 ------------------------------------------------------------------------------------- */

static bool sign_with_openssl(EVP_PKEY *pkey, struct cm_bytes message, uint8_t *signature)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t size = CM_MB_ED25519_SIGNATURE_SIZE;
    bool is_made = ctx && EVP_DigestSignInit(ctx, NULL, NULL, NULL, pkey) == 1
                   && EVP_DigestSign(ctx, signature, &size, message.data, message.size) == 1;
    EVP_MD_CTX_free(ctx);
    return is_made;
}

/* A signature of a message is always the same one. */
static bool tries_ed25519(const uint8_t *seed, const uint8_t *key, const uint8_t *expected,
                          struct cm_bytes message)
{
    uint8_t signatures[CM_MB_LANES][CM_MB_ED25519_SIGNATURE_SIZE];
    struct cm_mb_ed25519_draft drafts[CM_MB_LANES];
    struct cm_mb_ed25519_check checks[CM_MB_LANES];
    for (unsigned i = 0; i < CM_MB_LANES; i++)
        drafts[i] = (struct cm_mb_ed25519_draft){ .message = message, .signature = signatures[i] };
    bool is_good = cm_mb_ed25519_sign(seed, key, drafts, CM_MB_LANES) == ALL_OF_THEM;
    for (unsigned i = 0; i < CM_MB_LANES; i++) {
        is_good = is_good && memcmp(signatures[i], expected, sizeof signatures[i]) == 0;
        signatures[i][0] ^= is_wrong_lane(i);
        checks[i] = (struct cm_mb_ed25519_check){ .key = key,
                                                  .signature = signatures[i],
                                                  .message = message };
    }
    return is_good && cm_mb_ed25519_verify(checks, CM_MB_LANES) == HALF_OF_THEM;
}

static bool agrees_on_ed25519(void)
{
    struct cm_bytes message = cm_bytes_str("certmill asks whether two libraries agree");
    uint8_t seed[CM_MB_ED25519_KEY_SIZE], key[CM_MB_ED25519_KEY_SIZE];
    uint8_t expected[CM_MB_ED25519_SIGNATURE_SIZE];
    size_t seed_size = sizeof seed, key_size = sizeof key;
    EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    bool agrees = pkey && EVP_PKEY_get_raw_private_key(pkey, seed, &seed_size) == 1
                  && EVP_PKEY_get_raw_public_key(pkey, key, &key_size) == 1
                  && sign_with_openssl(pkey, message, expected)
                  && tries_ed25519(seed, key, expected, message);
    OPENSSL_cleanse(seed, sizeof seed);
    EVP_PKEY_free(pkey);
    return agrees;
}

/* --- RSA ----------------------------------------------------------------------------------------- */

/* The public operation alone, of an odd number as modulus: a key would take long to make. What comes of the
 * private one is verified each time (RFC 8017 has the reasons). */
static bool tries_rsa(uint32_t bits, BN_CTX *ctx)
{
    uint8_t modulus[CM_MB_RSA_SIZE_MAX], base[CM_MB_RSA_SIZE_MAX], expected[CM_MB_RSA_SIZE_MAX];
    struct cm_mb_rsa_check checks[CM_MB_LANES];
    const int size = (int)bits / 8;
    BIGNUM *n = BN_new(), *number = BN_new(), *exponent = BN_new(), *power = BN_new();
    bool is_good =
        n && number && exponent && power && BN_set_word(exponent, 65537) == 1
        && BN_rand(n, (int)bits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD) == 1
        && BN_rand_range(number, n) == 1 && BN_mod_exp(power, number, exponent, n, ctx) == 1
        && BN_bn2binpad(n, modulus, size) == size && BN_bn2binpad(number, base, size) == size
        && BN_bn2binpad(power, expected, size) == size;
    for (unsigned i = 0; i < CM_MB_LANES; i++) {
        checks[i].modulus = modulus;
        checks[i].signature = is_wrong_lane(i) ? modulus : base; /* not below it */
    }
    is_good = is_good && cm_mb_rsa_public(bits, checks, CM_MB_LANES) == HALF_OF_THEM;
    for (unsigned i = 0; i < CM_MB_LANES; i += 2)
        is_good = is_good && memcmp(checks[i].encoded, expected, (size_t)size) == 0;
    BN_free(n);
    BN_free(number);
    BN_free(exponent);
    BN_free(power);
    return is_good;
}

static bool agrees_on_rsa(void)
{
    BN_CTX *ctx = BN_CTX_new();
    bool agrees = ctx && tries_rsa(2048, ctx) && tries_rsa(3072, ctx) && tries_rsa(4096, ctx);
    BN_CTX_free(ctx);
    return agrees;
}

bool cm_mb_agrees(enum cm_mb_kind kind)
{
    bool agrees = kind == CM_MB_ED25519 ? agrees_on_ed25519()
                  : kind == CM_MB_RSA   ? agrees_on_rsa()
                                        : agrees_on_ecdsa(kind);
    ERR_clear_error();
    return agrees;
}

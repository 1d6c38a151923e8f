/*
 * A stand-in for libcrypto_mb.so.11: the functions that certmill uses, lane by lane with OpenSSL, on any
 * processor, and wrong where a test says so:
 *
 *     CERTMILL_STAND_IN=accepts=KIND       p256, p384, p521, ed25519, rsa: every signature is good
 *     CERTMILL_STAND_IN=miscalculates=N    from the Nth call that signs on (of this process), one lane of each has a wrong result
 *
 * Found where LD_LIBRARY_PATH names its folder.
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <crypto_mb/cpu_features.h>
#include <crypto_mb/ec_nistp256.h>
#include <crypto_mb/ec_nistp384.h>
#include <crypto_mb/ec_nistp521.h>
#include <crypto_mb/ed25519.h>
#include <crypto_mb/rsa.h>
#include <crypto_mb/version.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>

#define VISIBLE __attribute__((visibility("default")))

enum { LANES = 8, ED25519_SIZE = 32 };

/* --- what a test says ----------------------------------------------------------------------------- */

static bool accepts_all(const char *kind)
{
    const char *text = getenv("CERTMILL_STAND_IN");
    return text && strncmp(text, "accepts=", 8) == 0 && strcmp(text + 8, kind) == 0;
}

/* The lane that goes wrong in this call; LANES: none. */
static unsigned wrong_lane(void)
{
    static atomic_uint calls_count;
    const char *text = getenv("CERTMILL_STAND_IN");
    unsigned call = atomic_fetch_add(&calls_count, 1);
    if (!text || strncmp(text, "miscalculates=", 14) != 0 || call < strtoul(text + 14, NULL, 10))
        return LANES;
    return call % LANES;
}

/* --- what there is -------------------------------------------------------------------------------- */

VISIBLE int64u mbx_get_cpu_features(void)
{
    return ~0ULL;
}

VISIBLE int mbx_is_crypto_mb_applicable(int64u features)
{
    return features != 0;
}

VISIBLE const mbxVersion *mbx_getversion(void)
{
    static const mbxVersion version = { .major = 0, .minor = 0, .revision = 0, .name = "stand-in" };
    return &version;
}

/* Four bits a lane; the header's own macro shifts into a sign. */
static mbx_status status_of(unsigned lane, bool is_good)
{
    return is_good ? MBX_STATUS_OK : (mbx_status)MBX_STATUS_SIGNATURE_ERR << (4 * lane);
}

/* --- ECDSA ---------------------------------------------------------------------------------------- */

struct curve {
    int nid, size;
    const char *name;
};

static const struct curve p256 = { NID_X9_62_prime256v1, 32, "p256" };
static const struct curve p384 = { NID_secp384r1, 48, "p384" };
static const struct curve p521 = { NID_secp521r1, 66, "p521" };

static BIGNUM *number_of(const int64u *limbs, int size)
{
    return BN_lebin2bn((const unsigned char *)limbs, size, NULL);
}

/* OpenSSL cuts a hash to the bits of the order, and P-521's field has seven bits more. */
static int digest_skip(const struct curve *curve)
{
    return curve->size == 66 ? 2 : 0;
}

static bool verify_lane(const struct curve *curve, const int8u *r, const int8u *s,
                        const int8u *digest, const int64u *x, const int64u *y)
{
    EC_KEY *key = EC_KEY_new_by_curve_name(curve->nid);
    ECDSA_SIG *signature = ECDSA_SIG_new();
    BIGNUM *x_number = number_of(x, curve->size), *y_number = number_of(y, curve->size);
    int skip = digest_skip(curve);
    ECDSA_SIG_set0(signature, BN_bin2bn(r, curve->size, NULL), BN_bin2bn(s, curve->size, NULL));
    bool is_good = EC_KEY_set_public_key_affine_coordinates(key, x_number, y_number) == 1
                   && ECDSA_do_verify(digest + skip, curve->size - skip, signature, key) == 1;
    BN_free(x_number);
    BN_free(y_number);
    ECDSA_SIG_free(signature);
    EC_KEY_free(key);
    return is_good;
}

static mbx_status verify(const struct curve *curve, const int8u *const r[8],
                         const int8u *const s[8], const int8u *const digests[8],
                         const int64u *const x[8], const int64u *const y[8])
{
    mbx_status status = 0;
    for (unsigned i = 0; i < LANES; i++)
        status |= status_of(i, accepts_all(curve->name)
                                   || verify_lane(curve, r[i], s[i], digests[i], x[i], y[i]));
    return status;
}

static bool sign_lane(const struct curve *curve, int8u *r, int8u *s, const int8u *digest,
                      const int64u *nonce, const int64u *scalar)
{
    EC_KEY *key = EC_KEY_new_by_curve_name(curve->nid);
    const EC_GROUP *group = EC_KEY_get0_group(key);
    EC_POINT *point = EC_POINT_new(group);
    BN_CTX *ctx = BN_CTX_new();
    BIGNUM *private_key = number_of(scalar, curve->size), *k = number_of(nonce, curve->size);
    BIGNUM *inverse = BN_mod_inverse(NULL, k, EC_GROUP_get0_order(group), ctx), *x = BN_new();
    int skip = digest_skip(curve);
    EC_POINT_mul(group, point, k, NULL, NULL, ctx);
    EC_POINT_get_affine_coordinates(group, point, x, NULL, ctx);
    BN_nnmod(x, x, EC_GROUP_get0_order(group), ctx);
    EC_KEY_set_private_key(key, private_key);
    ECDSA_SIG *signature = ECDSA_do_sign_ex(digest + skip, curve->size - skip, inverse, x, key);
    if (signature) {
        BN_bn2binpad(ECDSA_SIG_get0_r(signature), r, curve->size);
        BN_bn2binpad(ECDSA_SIG_get0_s(signature), s, curve->size);
    }
    bool is_made = signature != NULL;
    ECDSA_SIG_free(signature);
    BN_clear_free(private_key);
    BN_clear_free(k);
    BN_clear_free(inverse);
    BN_free(x);
    BN_CTX_free(ctx);
    EC_POINT_free(point);
    EC_KEY_free(key);
    return is_made;
}

static mbx_status sign(const struct curve *curve, int8u *r[8], int8u *s[8],
                       const int8u *const digests[8], const int64u *const nonces[8],
                       const int64u *const scalars[8])
{
    unsigned wrong = wrong_lane();
    mbx_status status = 0;
    for (unsigned i = 0; i < LANES; i++) {
        status |= status_of(i, sign_lane(curve, r[i], s[i], digests[i], nonces[i], scalars[i]));
        s[i][curve->size - 1] ^= i == wrong;
    }
    return status;
}

#define CURVE(name, curve)                                                                         \
    VISIBLE mbx_status mbx_##name##_ecdsa_verify_mb8(                                              \
        const int8u *const r[8], const int8u *const s[8], const int8u *const digests[8],           \
        const int64u *const x[8], const int64u *const y[8], const int64u *const z[8],              \
        int8u *buffer)                                                                             \
    {                                                                                              \
        (void)z;                                                                                   \
        (void)buffer;                                                                              \
        return verify(curve, r, s, digests, x, y);                                                 \
    }                                                                                              \
    VISIBLE mbx_status mbx_##name##_ecdsa_sign_mb8(                                                \
        int8u *r[8], int8u *s[8], const int8u *const digests[8], const int64u *const nonces[8],    \
        const int64u *const scalars[8], int8u *buffer)                                             \
    {                                                                                              \
        (void)buffer;                                                                              \
        return sign(curve, r, s, digests, nonces, scalars);                                        \
    }

CURVE(nistp256, &p256)
CURVE(nistp384, &p384)
CURVE(nistp521, &p521)

/* --- Ed25519 -------------------------------------------------------------------------------------- */

static bool verify_ed25519(const int8u *r, const int8u *s, const int8u *message, size_t size,
                           const int8u *key)
{
    unsigned char signature[2 * ED25519_SIZE];
    EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key, ED25519_SIZE);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    memcpy(signature, r, ED25519_SIZE);
    memcpy(signature + ED25519_SIZE, s, ED25519_SIZE);
    bool is_good = pkey && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) == 1
                   && EVP_DigestVerify(ctx, signature, sizeof signature, message, size) == 1;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pkey);
    return is_good;
}

VISIBLE mbx_status mbx_ed25519_verify_mb8(const ed25519_sign_component *const r[8],
                                          const ed25519_sign_component *const s[8],
                                          const int8u *const messages[8], const int32u sizes[8],
                                          const ed25519_public_key *const keys[8])
{
    mbx_status status = 0;
    for (unsigned i = 0; i < LANES; i++)
        status |=
            status_of(i, accepts_all("ed25519")
                             || verify_ed25519(*r[i], *s[i], messages[i], sizes[i], *keys[i]));
    return status;
}

VISIBLE mbx_status mbx_ed25519_sign_mb8(ed25519_sign_component *r[8], ed25519_sign_component *s[8],
                                        const int8u *const messages[8], const int32u sizes[8],
                                        const ed25519_private_key *const seeds[8],
                                        const ed25519_public_key *const keys[8])
{
    unsigned wrong = wrong_lane();
    mbx_status status = 0;
    (void)keys;
    for (unsigned i = 0; i < LANES; i++) {
        unsigned char signature[2 * ED25519_SIZE];
        size_t size = sizeof signature;
        EVP_PKEY *pkey =
            EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, *seeds[i], ED25519_SIZE);
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        bool is_made = EVP_DigestSignInit(ctx, NULL, NULL, NULL, pkey) == 1
                       && EVP_DigestSign(ctx, signature, &size, messages[i], sizes[i]) == 1;
        memcpy(r[i], signature, ED25519_SIZE);
        memcpy(s[i], signature + ED25519_SIZE, ED25519_SIZE);
        (*s[i])[0] ^= i == wrong;
        status |= status_of(i, is_made);
        EVP_MD_CTX_free(ctx);
        EVP_PKEY_free(pkey);
    }
    return status;
}

/* --- RSA ------------------------------------------------------------------------------------------ */

VISIBLE const mbx_RSA_Method *mbx_RSA_pub65537_Method(int bits)
{
    return (const mbx_RSA_Method *)(uintptr_t)bits; /* nobody looks into it */
}

VISIBLE mbx_status mbx_rsa_public_mb8(const int8u *const from[8], int8u *const to[8],
                                      const int64u *const moduli[8], int bits,
                                      const mbx_RSA_Method *method, int8u *buffer)
{
    BN_CTX *ctx = BN_CTX_new();
    BIGNUM *exponent = BN_new(), *power = BN_new();
    (void)method;
    (void)buffer;
    BN_set_word(exponent, 65537);
    for (unsigned i = 0; i < LANES; i++) {
        BIGNUM *modulus = number_of(moduli[i], bits / 8),
               *base = BN_bin2bn(from[i], bits / 8, NULL);
        BN_mod_exp(power, base, exponent, modulus, ctx);
        BN_bn2binpad(power, to[i], bits / 8);
        BN_free(modulus);
        BN_free(base);
    }
    BN_free(exponent);
    BN_free(power);
    BN_CTX_free(ctx);
    return 0;
}

/* A wrong lane is wrong in one of its halves, as a fault is that gives the key away. */
VISIBLE mbx_status mbx_rsa_private_crt_ssl_mb8(const int8u *const from[8], int8u *const to[8],
                                               const BIGNUM *const p[8], const BIGNUM *const q[8],
                                               const BIGNUM *const dp[8], const BIGNUM *const dq[8],
                                               const BIGNUM *const qinv[8], int bits)
{
    unsigned wrong = wrong_lane();
    BN_CTX *ctx = BN_CTX_new();
    BIGNUM *of_p = BN_new(), *of_q = BN_new();
    for (unsigned i = 0; i < LANES; i++) {
        BIGNUM *base = BN_bin2bn(from[i], bits / 8, NULL);
        BN_mod_exp(of_p, base, dp[i], p[i], ctx);
        BN_mod_exp(of_q, base, dq[i], q[i], ctx);
        if (i == wrong)
            BN_add_word(of_p, 1);
        BN_mod_sub(of_p, of_p, of_q, p[i], ctx);
        BN_mod_mul(of_p, of_p, qinv[i], p[i], ctx);
        BN_mul(of_p, of_p, q[i], ctx);
        BN_add(of_p, of_p, of_q);
        BN_bn2binpad(of_p, to[i], bits / 8);
        BN_free(base);
    }
    BN_clear_free(of_p);
    BN_clear_free(of_q);
    BN_CTX_free(ctx);
    return 0;
}

#include "providers/openssl/nonce.h"

#include <stdlib.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/params.h>
#include <openssl/rand.h>

enum { STRENGTH = 256, AHEAD = 8 };

struct cm_ossl_nonces {
    const struct cm_ossl_order *order; /* borrowed */
    size_t size;                       /* octets of a number below the order */
    /* random: drawn ahead, because a call costs more than the octets do */
    uint8_t drawn[AHEAD * CM_MB_FIELD_SIZE_MAX];
    size_t left_count;
    /* RFC 6979 */
    EVP_RAND_CTX *source, *generator;
    const char *hash;
    BIGNUM *order_number, *hash_number;
    BN_CTX *ctx;
};

/* --- orders -------------------------------------------------------------------------------------- */

static BIGNUM *order_of(enum cm_mb_kind curve)
{
    static const int nids[] = { [CM_MB_P256] = NID_X9_62_prime256v1,
                                [CM_MB_P384] = NID_secp384r1,
                                [CM_MB_P521] = NID_secp521r1 };
    EC_GROUP *group = EC_GROUP_new_by_curve_name(nids[curve]);
    BIGNUM *order = group ? BN_dup(EC_GROUP_get0_order(group)) : NULL;
    EC_GROUP_free(group);
    return order;
}

bool cm_ossl_order_find(enum cm_mb_kind curve, struct cm_ossl_order *ret_order)
{
    BIGNUM *order = order_of(curve);
    *ret_order = (struct cm_ossl_order){ .curve = curve };
    bool is_known =
        order
        && BN_bn2lebinpad(order, (unsigned char *)ret_order->limbs, sizeof ret_order->limbs) > 0;
    ret_order->bits = order ? (uint32_t)BN_num_bits(order) : 0;
    BN_free(order);
    return is_known;
}

/* Without a branch on the number. */
static bool is_in_range(const struct cm_ossl_order *order, const cm_mb_limb *number)
{
    cm_mb_limb any = 0, difference;
    bool borrows = false;
    for (size_t i = 0; i < CM_MB_LIMBS_MAX; i++) {
        bool is_less = __builtin_sub_overflow(number[i], order->limbs[i], &difference);
        borrows = is_less | __builtin_sub_overflow(difference, (cm_mb_limb)borrows, &difference);
        any |= number[i];
    }
    return borrows & (any != 0);
}

/* The leftmost bits of the octets, as many as the order has (RFC 6979, 2.3.2). */
static void read_number(const struct cm_ossl_nonces *nonces, const uint8_t *octets,
                        cm_mb_limb *limbs)
{
    unsigned surplus = (unsigned)(8 * nonces->size - nonces->order->bits);
    memset(limbs, 0, CM_MB_LIMBS_MAX * sizeof *limbs);
    for (size_t i = 0; i < nonces->size; i++)
        limbs[i / 8] |= (cm_mb_limb)octets[nonces->size - 1 - i] << (8 * (i % 8));
    for (size_t i = 0; surplus > 0 && i < CM_MB_LIMBS_MAX; i++) {
        cm_mb_limb above = i + 1 < CM_MB_LIMBS_MAX ? limbs[i + 1] : 0;
        limbs[i] = limbs[i] >> surplus | above << (64 - surplus);
    }
}

/* --- random -------------------------------------------------------------------------------------- */

static const uint8_t *next_drawn(struct cm_ossl_nonces *nonces)
{
    if (nonces->left_count == 0) {
        if (RAND_priv_bytes(nonces->drawn, (int)(AHEAD * nonces->size)) != 1)
            return NULL;
        nonces->left_count = AHEAD;
    }
    return nonces->drawn + --nonces->left_count * nonces->size;
}

static bool draw_random(struct cm_ossl_nonces *nonces, cm_mb_limb *limbs)
{
    bool is_good = false;
    while (!is_good) {
        uint8_t *octets = (uint8_t *)(uintptr_t)next_drawn(nonces);
        if (!octets)
            return false;
        read_number(nonces, octets, limbs);
        OPENSSL_cleanse(octets, nonces->size); /* used once */
        is_good = is_in_range(nonces->order, limbs);
    }
    return true;
}

/* --- RFC 6979 ------------------------------------------------------------------------------------ */

/* bits2octets (2.3.4): what of the hash counts, below the order. */
static bool reduce_hash(struct cm_ossl_nonces *nonces, struct cm_bytes hash, uint8_t *ret_octets)
{
    size_t size = hash.size < nonces->size ? hash.size : nonces->size;
    return BN_bin2bn(hash.data, (int)size, nonces->hash_number)
           && BN_nnmod(nonces->hash_number, nonces->hash_number, nonces->order_number, nonces->ctx)
                  == 1
           && BN_bn2binpad(nonces->hash_number, ret_octets, (int)nonces->size) == (int)nonces->size;
}

/* The generator's entropy is the key, its nonce the hash, and nothing personalises it: an empty text,
 * because with none at all OpenSSL takes one of its own. */
static bool seed(struct cm_ossl_nonces *nonces, const struct cm_ossl_nonce_source *source)
{
    uint8_t hash[CM_MB_FIELD_SIZE_MAX];
    unsigned strength = STRENGTH;
    if (!reduce_hash(nonces, source->hash, hash))
        return false;
    const OSSL_PARAM of_source[] = {
        OSSL_PARAM_construct_octet_string(OSSL_RAND_PARAM_TEST_ENTROPY,
                                          (void *)(uintptr_t)source->scalar, nonces->size),
        OSSL_PARAM_construct_octet_string(OSSL_RAND_PARAM_TEST_NONCE, hash, nonces->size),
        OSSL_PARAM_construct_uint(OSSL_RAND_PARAM_STRENGTH, &strength),
        OSSL_PARAM_construct_end(),
    };
    const OSSL_PARAM of_generator[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_DRBG_PARAM_MAC, (char *)(uintptr_t) "HMAC", 0),
        OSSL_PARAM_construct_utf8_string(OSSL_DRBG_PARAM_DIGEST, (char *)(uintptr_t)nonces->hash,
                                         0),
        OSSL_PARAM_construct_end(),
    };
    EVP_RAND_uninstantiate(nonces->generator);
    EVP_RAND_uninstantiate(nonces->source);
    return EVP_RAND_instantiate(nonces->source, STRENGTH, 0, NULL, 0, of_source) == 1
           && EVP_RAND_instantiate(nonces->generator, STRENGTH, 0, (const unsigned char *)"", 0,
                                   of_generator)
                  == 1;
}

static bool draw_fixed(struct cm_ossl_nonces *nonces, const struct cm_ossl_nonce_source *source,
                       cm_mb_limb *limbs)
{
    uint8_t octets[CM_MB_FIELD_SIZE_MAX];
    bool is_good = false, works = seed(nonces, source);
    while (works && !is_good) {
        works =
            EVP_RAND_generate(nonces->generator, octets, nonces->size, STRENGTH, 0, NULL, 0) == 1;
        if (works)
            read_number(nonces, octets, limbs);
        is_good = works && is_in_range(nonces->order, limbs);
    }
    OPENSSL_cleanse(octets, sizeof octets);
    return works;
}

bool cm_ossl_nonce_draw(struct cm_ossl_nonces *nonces, const struct cm_ossl_nonce_source *source,
                        cm_mb_limb *ret_limbs)
{
    return nonces->hash ? draw_fixed(nonces, source, ret_limbs) : draw_random(nonces, ret_limbs);
}

/* --- life ---------------------------------------------------------------------------------------- */

static EVP_RAND_CTX *generator_new(const char *name, EVP_RAND_CTX *parent)
{
    EVP_RAND *kind = EVP_RAND_fetch(NULL, name, NULL);
    EVP_RAND_CTX *ctx = kind ? EVP_RAND_CTX_new(kind, parent) : NULL;
    EVP_RAND_free(kind);
    return ctx;
}

struct cm_ossl_nonces *cm_ossl_nonces_new(const struct cm_ossl_order *order, const char *hash)
{
    struct cm_ossl_nonces *nonces = calloc(1, sizeof *nonces);
    if (!nonces)
        return NULL;
    nonces->order = order;
    nonces->size = cm_mb_field_size(order->curve);
    nonces->hash = hash;
    if (!hash)
        return nonces;
    nonces->source = generator_new("TEST-RAND", NULL);
    nonces->generator = nonces->source ? generator_new("HMAC-DRBG", nonces->source) : NULL;
    nonces->order_number = order_of(order->curve);
    nonces->hash_number = BN_new();
    nonces->ctx = BN_CTX_new();
    if (nonces->generator && nonces->order_number && nonces->hash_number && nonces->ctx)
        return nonces;
    cm_ossl_nonces_free(nonces);
    return NULL;
}

void cm_ossl_nonces_free(struct cm_ossl_nonces *nonces)
{
    if (!nonces)
        return;
    EVP_RAND_CTX_free(nonces->generator);
    EVP_RAND_CTX_free(nonces->source);
    BN_free(nonces->order_number);
    BN_free(nonces->hash_number);
    BN_CTX_free(nonces->ctx);
    OPENSSL_cleanse(nonces, sizeof *nonces);
    free(nonces);
}

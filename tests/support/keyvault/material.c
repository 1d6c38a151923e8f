#include "tests/support/keyvault/keyvault.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/objects.h>
#include <openssl/param_build.h>

static const struct {
    const char *name, *group;
    int bits;
} curves[] = {
    { "P-256", "prime256v1", 256 },
    { "P-384", "secp384r1", 384 },
    { "P-521", "secp521r1", 521 },
};

enum { CURVE_COUNT = sizeof curves / sizeof curves[0], MODULUS_SIZE_MAX = 512 };

const char *kv_kty_name(const struct kv_type *type)
{
    if (type->family == KV_EC)
        return type->is_hsm ? "EC-HSM" : "EC";
    return type->is_hsm ? "RSA-HSM" : "RSA";
}

const char *kv_curve_name(int bits)
{
    for (int i = 0; i < CURVE_COUNT; i++)
        if (curves[i].bits == bits)
            return curves[i].name;
    return NULL;
}

/* ------------------------------------------------------------------ types -- */

static bool read_kty(const char *kty, struct kv_type *ret_type)
{
    size_t length = kty ? strcspn(kty, "-") : 0;
    if (length == 0 || (kty[length] && strcmp(kty + length, "-HSM") != 0))
        return false;
    ret_type->is_hsm = kty[length] != '\0';
    ret_type->family = kty[0] == 'E' ? KV_EC : KV_RSA;
    return strncmp(kty, "EC", length) == 0 || (length == 3 && strncmp(kty, "RSA", length) == 0);
}

static bool read_curve(json_t *member, int *ret_bits)
{
    const char *name = member ? json_string_value(member) : "P-256";
    for (int i = 0; name && i < CURVE_COUNT; i++)
        if (strcmp(curves[i].name, name) == 0) {
            *ret_bits = curves[i].bits;
            return true;
        }
    return false;
}

static bool read_rsa(json_t *members, struct kv_type *ret_type)
{
    json_t *size = json_object_get(members, "key_size");
    json_t *exponent = json_object_get(members, "public_exponent");
    json_int_t bits = size ? json_integer_value(size) : 2048;
    json_int_t e = exponent ? json_integer_value(exponent) : 65537;
    ret_type->bits = (int)bits;
    ret_type->public_exponent = (unsigned long)e;
    return (bits == 2048 || bits == 3072 || bits == 4096) && e >= 3 && e % 2 == 1;
}

bool kv_type_read(json_t *members, struct kv_type *ret_type)
{
    struct kv_type type = { .family = KV_EC };
    if (!read_kty(json_string_value(json_object_get(members, "kty")), &type))
        return false;
    if (type.family == KV_EC ? !read_curve(json_object_get(members, "crv"), &type.bits)
                             : !read_rsa(members, &type))
        return false;
    *ret_type = type;
    return true;
}

bool kv_material_type(EVP_PKEY *pkey, struct kv_type *ret_type)
{
    struct kv_type type = { .bits = EVP_PKEY_get_bits(pkey), .public_exponent = 65537 };
    char group[64];
    if (EVP_PKEY_is_a(pkey, "RSA")) {
        type.family = KV_RSA;
        *ret_type = type;
        return type.bits == 2048 || type.bits == 3072 || type.bits == 4096;
    }
    if (!EVP_PKEY_is_a(pkey, "EC") || EVP_PKEY_get_group_name(pkey, group, sizeof group, NULL) != 1)
        return false;
    for (int i = 0; i < CURVE_COUNT; i++)
        if (strcmp(curves[i].group, group) == 0) {
            type.bits = curves[i].bits;
            *ret_type = type;
            return true;
        }
    return false;
}

/* ------------------------------------------------------------------ new keys -- */

static EVP_PKEY *generate_rsa(const struct kv_type *type)
{
    EVP_PKEY *pkey = NULL;
    BIGNUM *exponent = BN_new();
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    if (exponent && context && BN_set_word(exponent, type->public_exponent) == 1
        && EVP_PKEY_keygen_init(context) == 1
        && EVP_PKEY_CTX_set_rsa_keygen_bits(context, type->bits) == 1
        && EVP_PKEY_CTX_set1_rsa_keygen_pubexp(context, exponent) == 1)
        EVP_PKEY_generate(context, &pkey);
    EVP_PKEY_CTX_free(context);
    BN_free(exponent);
    return pkey;
}

EVP_PKEY *kv_material_generate(const struct kv_type *type)
{
    return type->family == KV_EC ? EVP_EC_gen(kv_curve_name(type->bits)) : generate_rsa(type);
}

/* ------------------------------------------------------------------ JWK in -- */

static BIGNUM *read_number(json_t *jwk, const char *name)
{
    uint8_t bytes[MODULUS_SIZE_MAX + 1];
    const char *text = json_string_value(json_object_get(jwk, name));
    long size = text ? kv_base64_read(text, bytes, sizeof bytes) : -1;
    return size > 0 ? BN_bin2bn(bytes, (int)size, NULL) : NULL;
}

/* Builds the key of what was pushed, and looks whether its halves belong together. */
static EVP_PKEY *build_key(const char *kind, OSSL_PARAM_BLD *builder)
{
    EVP_PKEY *pkey = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, kind, NULL), *checking = NULL;
    bool good = params && context && EVP_PKEY_fromdata_init(context) == 1
                && EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_KEYPAIR, params) == 1
                && (checking = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL)) != NULL
                && EVP_PKEY_check(checking) == 1;
    EVP_PKEY_CTX_free(checking);
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    if (good)
        return pkey;
    EVP_PKEY_free(pkey);
    return NULL;
}

static EVP_PKEY *read_rsa_key(json_t *jwk, OSSL_PARAM_BLD *builder)
{
    static const char *const names[][2] = {
        { "n", OSSL_PKEY_PARAM_RSA_N },          { "e", OSSL_PKEY_PARAM_RSA_E },
        { "d", OSSL_PKEY_PARAM_RSA_D },          { "p", OSSL_PKEY_PARAM_RSA_FACTOR1 },
        { "q", OSSL_PKEY_PARAM_RSA_FACTOR2 },    { "dp", OSSL_PKEY_PARAM_RSA_EXPONENT1 },
        { "dq", OSSL_PKEY_PARAM_RSA_EXPONENT2 }, { "qi", OSSL_PKEY_PARAM_RSA_COEFFICIENT1 },
    };
    enum { COUNT = sizeof names / sizeof names[0] };
    BIGNUM *numbers[COUNT] = { NULL };
    bool good = true;
    for (int i = 0; good && i < COUNT; i++) {
        numbers[i] = read_number(jwk, names[i][0]);
        good = numbers[i] && OSSL_PARAM_BLD_push_BN(builder, names[i][1], numbers[i]) == 1;
    }
    EVP_PKEY *pkey = good ? build_key("RSA", builder) : NULL;
    for (int i = 0; i < COUNT; i++)
        BN_clear_free(numbers[i]);
    return pkey;
}

static EVP_PKEY *read_ec_key(json_t *jwk, int bits, OSSL_PARAM_BLD *builder)
{
    size_t size = (size_t)(bits + 7) / 8;
    uint8_t point[1 + 2 * 66] = { 4 };
    BIGNUM *x = read_number(jwk, "x"), *y = read_number(jwk, "y"), *d = read_number(jwk, "d");
    bool good =
        x && y && d && BN_bn2binpad(x, point + 1, (int)size) > 0
        && BN_bn2binpad(y, point + 1 + size, (int)size) > 0
        && OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, kv_curve_name(bits),
                                           0)
               == 1
        && OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * size)
               == 1
        && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_PRIV_KEY, d) == 1;
    EVP_PKEY *pkey = good ? build_key("EC", builder) : NULL;
    BN_free(x);
    BN_free(y);
    BN_clear_free(d);
    return pkey;
}

EVP_PKEY *kv_material_read(json_t *jwk, struct kv_type *ret_type)
{
    struct kv_type wanted = { .family = KV_EC }, found;
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    EVP_PKEY *pkey = NULL;
    if (builder && read_kty(json_string_value(json_object_get(jwk, "kty")), &wanted)) {
        if (wanted.family == KV_RSA)
            pkey = read_rsa_key(jwk, builder);
        else if (json_object_get(jwk, "crv")
                 && read_curve(json_object_get(jwk, "crv"), &wanted.bits))
            pkey = read_ec_key(jwk, wanted.bits, builder);
    }
    OSSL_PARAM_BLD_free(builder);
    if (pkey && kv_material_type(pkey, &found)) {
        found.is_hsm = wanted.is_hsm;
        *ret_type = found;
        return pkey;
    }
    EVP_PKEY_free(pkey);
    return NULL;
}

/* ------------------------------------------------------------------ JWK out -- */

/* size: left-padded to that many octets; 0: as short as it goes. */
static bool write_number(json_t *jwk, const char *name, EVP_PKEY *pkey, const char *param,
                         size_t size)
{
    uint8_t bytes[MODULUS_SIZE_MAX];
    BIGNUM *number = NULL;
    if (EVP_PKEY_get_bn_param(pkey, param, &number) != 1)
        return false;
    if (size == 0)
        size = (size_t)BN_num_bytes(number);
    bool done = size <= sizeof bytes && BN_bn2binpad(number, bytes, (int)size) > 0
                && json_object_set_new(jwk, name, kv_json_base64url(bytes, size)) == 0;
    BN_free(number);
    return done;
}

json_t *kv_material_jwk(EVP_PKEY *pkey, const struct kv_type *type)
{
    json_t *jwk = json_pack("{ss}", "kty", kv_kty_name(type));
    size_t size = (size_t)(type->bits + 7) / 8;
    bool good;
    if (type->family == KV_EC)
        good = json_object_set_new(jwk, "crv", json_string(kv_curve_name(type->bits))) == 0
               && write_number(jwk, "x", pkey, OSSL_PKEY_PARAM_EC_PUB_X, size)
               && write_number(jwk, "y", pkey, OSSL_PKEY_PARAM_EC_PUB_Y, size);
    else
        good = write_number(jwk, "n", pkey, OSSL_PKEY_PARAM_RSA_N, size)
               && write_number(jwk, "e", pkey, OSSL_PKEY_PARAM_RSA_E, 0);
    if (good)
        return jwk;
    json_decref(jwk);
    return NULL;
}

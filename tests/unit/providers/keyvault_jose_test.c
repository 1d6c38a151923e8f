/*
 * Keys and signatures between Key Vault's JSON and DER. Keys and signatures are made by OpenSSL,
 * taken apart, and must come out of the conversion as OpenSSL writes them; what is not one of
 * these must not come out at all.
 */
#include "providers/keyvault/jose.h"
#include "engine/base/base64url.h"
#include "providers/keyvault/internal.h"
#include "tests/support/test_main.h"
#include "tests/support/rsa_pairs.h"

#include <stdlib.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

static const struct curve {
    enum cm_key_type type;
    const char *crv;
    uint32_t bits;
    size_t size;
    int nid;
} curves[] = {
    { CM_KEY_P256, "P-256", 256, 32, NID_X9_62_prime256v1 },
    { CM_KEY_P384, "P-384", 384, 48, NID_secp384r1 },
    { CM_KEY_P521, "P-521", 521, 66, NID_secp521r1 },
};
enum { CURVES_COUNT = sizeof curves / sizeof curves[0] };

static json_t *base64url(const void *data, size_t size)
{
    char *text = malloc(CM_BASE64URL_SIZE(size) + 1);
    cm_base64url_encode(cm_bytes(data, size), text);
    json_t *value = json_string(text);
    free(text);
    return value;
}

/* ------------------------------------------------------------------ keys -- */

static cm_status read_key(json_t *jwk, struct cm_jwk *key, struct cm_error *err)
{
    cm_status status = cm_jwk_read(jwk, key, err);
    json_decref(jwk);
    return status;
}

static void expect_bad_key(json_t *jwk, cm_status expected, const char *words)
{
    struct cm_jwk key = { .bits = 7 };
    struct cm_error err = { .text = "" };
    char *text = json_dumps(jwk, JSON_ENCODE_ANY);
    cm_status status = read_key(jwk, &key, &err);
    CU_ASSERT_EQUAL(status, expected);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, words));
    CU_ASSERT_EQUAL(key.bits, 7);
    if (status != expected || !strstr(err.text, words))
        printf("  %.200s: %s, \"%s\"\n", text, cm_status_name(status), err.text);
    free(text);
}

static bool is_spki_of(const struct cm_jwk *jwk, EVP_PKEY *pair)
{
    uint8_t *der = NULL;
    int size = i2d_PUBKEY(pair, &der);
    bool is_same = cm_bytes_equal(jwk->spki, cm_bytes(der, (size_t)size));
    OPENSSL_free(der);
    return is_same;
}

static void get_point(EVP_PKEY *pair, uint8_t *point, size_t space)
{
    size_t size = 0;
    CU_ASSERT_EQUAL_FATAL(
        EVP_PKEY_get_octet_string_param(pair, OSSL_PKEY_PARAM_PUB_KEY, point, space, &size), 1);
    CU_ASSERT_EQUAL_FATAL(point[0], 4);
}

static json_t *ec_jwk(const char *kty, const char *crv, struct cm_bytes x, struct cm_bytes y)
{
    return json_pack("{s:s, s:s, s:o, s:o}", "kty", kty, "crv", crv, "x", base64url(x.data, x.size),
                     "y", base64url(y.data, y.size));
}

static void test_jose_reads_ec_keys(void)
{
    for (size_t i = 0; i < CURVES_COUNT; i++) {
        const struct curve *curve = &curves[i];
        uint8_t point[133];
        struct cm_jwk jwk;
        EVP_PKEY *pair = EVP_EC_gen(curve->crv);
        get_point(pair, point, sizeof point);
        struct cm_bytes x = cm_bytes(point + 1, curve->size);
        struct cm_bytes y = cm_bytes(point + 1 + curve->size, curve->size);
        CU_ASSERT_EQUAL_FATAL(read_key(ec_jwk(i ? "EC-HSM" : "EC", curve->crv, x, y), &jwk, NULL),
                              CM_OK);
        CU_ASSERT_EQUAL(jwk.type, curve->type);
        CU_ASSERT_EQUAL(jwk.bits, curve->bits);
        CU_ASSERT_EQUAL(jwk.is_in_hsm, i > 0);
        CU_ASSERT_TRUE(is_spki_of(&jwk, pair));
        cm_jwk_done(&jwk);
        EVP_PKEY_free(pair);
    }
}

/* Looks for a key whose x begins with a zero octet, and leaves that out. */
static void test_jose_pads_coordinates_that_came_too_short(void)
{
    uint8_t point[65];
    struct cm_jwk jwk;
    EVP_PKEY *pair = NULL;
    do {
        EVP_PKEY_free(pair);
        pair = EVP_EC_gen("P-256");
        get_point(pair, point, sizeof point);
    } while (point[1] != 0);
    CU_ASSERT_EQUAL_FATAL(
        read_key(ec_jwk("EC", "P-256", cm_bytes(point + 2, 31), cm_bytes(point + 33, 32)), &jwk,
                 NULL),
        CM_OK);
    CU_ASSERT_TRUE(is_spki_of(&jwk, pair));
    cm_jwk_done(&jwk);
    EVP_PKEY_free(pair);
}

/* The example of RFC 7517 A.1. */
static json_t *known_ec(void)
{
    return json_pack("{s:s, s:s, s:s, s:s}", "kty", "EC", "crv", "P-256", "x",
                     "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y",
                     "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM");
}

static json_t *known_ec_with(const char *member, json_t *value)
{
    json_t *jwk = known_ec();
    json_object_set_new(jwk, member, value);
    return jwk;
}

static json_t *known_ec_without(const char *member)
{
    json_t *jwk = known_ec();
    json_object_del(jwk, member);
    return jwk;
}

static void test_jose_refuses_bad_ec_keys(void)
{
    static const uint8_t octets[1024] = { 1 };
    struct cm_jwk jwk;
    CU_ASSERT_EQUAL_FATAL(read_key(known_ec(), &jwk, NULL), CM_OK);
    cm_jwk_done(&jwk);
    expect_bad_key(known_ec_with("y", base64url(octets, 32)), CM_CORRUPT, "not a valid one");
    expect_bad_key(known_ec_with("x", base64url(octets, 1)), CM_CORRUPT, "not a valid one");
    expect_bad_key(known_ec_with("x", base64url(octets + 1, 32)), CM_CORRUPT, "not a valid one");
    expect_bad_key(known_ec_with("x", base64url(octets, 33)), CM_CORRUPT, "too long");
    expect_bad_key(known_ec_with("x", base64url(octets, 1024)), CM_CORRUPT, "too long");
    expect_bad_key(known_ec_with("x", json_string("")), CM_CORRUPT, "x or y");
    expect_bad_key(known_ec_with("x", json_string("a")), CM_CORRUPT, "x or y");
    expect_bad_key(known_ec_with("x", json_string("a+b/")), CM_CORRUPT, "x or y");
    expect_bad_key(known_ec_with("x", json_stringn("AAA\0", 4)), CM_CORRUPT, "x or y");
    expect_bad_key(known_ec_with("x", json_integer(1)), CM_CORRUPT, "x or y");
    expect_bad_key(known_ec_with("y", json_null()), CM_CORRUPT, "x or y");
    expect_bad_key(known_ec_without("y"), CM_CORRUPT, "x or y");
    expect_bad_key(known_ec_with("crv", json_string("P-384")), CM_CORRUPT, "not a valid one");
}

static void test_jose_refuses_other_types_and_curves(void)
{
    expect_bad_key(known_ec_with("crv", json_string("P-256K")), CM_UNSUPPORTED, "P-256K");
    expect_bad_key(known_ec_with("crv", json_string("p-256")), CM_UNSUPPORTED, "p-256");
    expect_bad_key(known_ec_with("crv", json_stringn("P-256\0", 6)), CM_UNSUPPORTED, "x00");
    expect_bad_key(known_ec_with("crv", json_array()), CM_UNSUPPORTED, "\"\"");
    expect_bad_key(known_ec_with("kty", json_string("oct-HSM")), CM_UNSUPPORTED, "oct-HSM");
    expect_bad_key(known_ec_with("kty", json_string("\x1b[31m")), CM_UNSUPPORTED, "\\x1b");
    expect_bad_key(known_ec_with("kty", json_stringn("EC\0", 3)), CM_UNSUPPORTED, "x00");
    expect_bad_key(known_ec_with("kty", json_true()), CM_CORRUPT, "kty");
    expect_bad_key(known_ec_without("kty"), CM_CORRUPT, "kty");
    expect_bad_key(json_object(), CM_CORRUPT, "kty");
    expect_bad_key(json_array(), CM_CORRUPT, "kty");
    expect_bad_key(json_null(), CM_CORRUPT, "kty");
    CU_ASSERT_EQUAL(cm_jwk_read(NULL, NULL, NULL), CM_CORRUPT);
}

static json_t *rsa_jwk(const char *kty, const void *n, size_t n_size, const void *e, size_t e_size)
{
    return json_pack("{s:s, s:o, s:o}", "kty", kty, "n", base64url(n, n_size), "e",
                     base64url(e, e_size));
}

static void test_jose_reads_rsa_keys(void)
{
    uint8_t n[256];
    struct cm_jwk jwk;
    BIGNUM *modulus = NULL;
    EVP_PKEY *pair = cm_rsa_pair(0);
    CU_ASSERT_EQUAL_FATAL(EVP_PKEY_get_bn_param(pair, OSSL_PKEY_PARAM_RSA_N, &modulus), 1);
    CU_ASSERT_EQUAL_FATAL(BN_bn2binpad(modulus, n, sizeof n), 256);
    CU_ASSERT_EQUAL_FATAL(read_key(rsa_jwk("RSA-HSM", n, 256, "\1\0\1", 3), &jwk, NULL), CM_OK);
    CU_ASSERT_EQUAL(jwk.type, CM_KEY_RSA);
    CU_ASSERT_EQUAL(jwk.bits, 2048);
    CU_ASSERT_TRUE(jwk.is_in_hsm);
    CU_ASSERT_TRUE(is_spki_of(&jwk, pair));
    cm_jwk_done(&jwk);
    CU_ASSERT_PTR_NULL(jwk.spki.data);
    cm_jwk_done(&jwk);
    cm_jwk_done(NULL);
    BN_free(modulus);
    EVP_PKEY_free(pair);
}

static void test_jose_refuses_bad_rsa_keys(void)
{
    uint8_t n[1025];
    memset(n, 0xff, sizeof n);
    expect_bad_key(rsa_jwk("RSA", n, 128, "\1\0\1", 3), CM_CORRUPT, "1024 bits");
    expect_bad_key(rsa_jwk("RSA", n, 1025, "\1\0\1", 3), CM_CORRUPT, "n or e");
    expect_bad_key(rsa_jwk("RSA", n, 256, "\1", 1), CM_CORRUPT, "");
    expect_bad_key(rsa_jwk("RSA", n, 256, "\3", 1), CM_CORRUPT, "");
    expect_bad_key(rsa_jwk("RSA", n, 256, "\1\0\2", 3), CM_CORRUPT, "");
    expect_bad_key(rsa_jwk("RSA", n, 256, "\0", 1), CM_CORRUPT, "");
    expect_bad_key(rsa_jwk("RSA", n, 256, "", 0), CM_CORRUPT, "n or e");
    expect_bad_key(rsa_jwk("RSA", n, 256, n, 9), CM_CORRUPT, "n or e");
    expect_bad_key(rsa_jwk("RSA", "\0\0\0", 3, "\1\0\1", 3), CM_CORRUPT, "");
    n[255] = 0xfe;
    expect_bad_key(rsa_jwk("RSA", n, 256, "\1\0\1", 3), CM_CORRUPT, "");
    expect_bad_key(json_pack("{s:s, s:i, s:s}", "kty", "RSA", "n", 5, "e", "AQAB"), CM_CORRUPT,
                   "n or e");
    expect_bad_key(json_pack("{s:s}", "kty", "RSA-HSM"), CM_CORRUPT, "n or e");
}

/* ------------------------------------------------------------------ requests -- */

static void test_jose_names_algorithms_as_the_service_does(void)
{
    CU_ASSERT_STRING_EQUAL(cm_jose_alg(CM_SIGALG_ECDSA_SHA256, CM_KEY_P256), "ES256");
    CU_ASSERT_STRING_EQUAL(cm_jose_alg(CM_SIGALG_ECDSA_SHA384, CM_KEY_P384), "ES384");
    CU_ASSERT_STRING_EQUAL(cm_jose_alg(CM_SIGALG_ECDSA_SHA512, CM_KEY_P521), "ES512");
    CU_ASSERT_STRING_EQUAL(cm_jose_alg(CM_SIGALG_RSA_SHA256, CM_KEY_RSA), "RS256");
    CU_ASSERT_STRING_EQUAL(cm_jose_alg(CM_SIGALG_RSA_SHA512, CM_KEY_RSA), "RS512");
    CU_ASSERT_STRING_EQUAL(cm_jose_alg(CM_SIGALG_RSA_PSS_SHA384, CM_KEY_RSA), "PS384");
    CU_ASSERT_PTR_NULL(cm_jose_alg(CM_SIGALG_ECDSA_SHA384, CM_KEY_P256));
    CU_ASSERT_PTR_NULL(cm_jose_alg(CM_SIGALG_ECDSA_SHA256, CM_KEY_RSA));
    CU_ASSERT_PTR_NULL(cm_jose_alg(CM_SIGALG_RSA_SHA256, CM_KEY_P256));
    CU_ASSERT_PTR_NULL(cm_jose_alg(CM_SIGALG_ED25519, CM_KEY_ED25519));
    CU_ASSERT_PTR_NULL(cm_jose_alg(CM_SIGALG_UNKNOWN, CM_KEY_RSA));
    CU_ASSERT_PTR_NULL(cm_jose_alg(CM_SIGALG_COUNT, CM_KEY_RSA));
}

static void expect_request(enum cm_key_type type, uint32_t bits, bool in_hsm, const char *expected)
{
    struct cm_key_spec spec = { .type = type, .bits = bits };
    json_t *request = cm_jose_create_request(&spec, in_hsm);
    char *text = request ? json_dumps(request, JSON_COMPACT | JSON_SORT_KEYS) : strdup("none");
    CU_ASSERT_STRING_EQUAL(text, expected);
    free(text);
    json_decref(request);
}

static void test_jose_asks_for_keys_that_the_service_makes(void)
{
    expect_request(CM_KEY_P256, 0, false, "{\"crv\":\"P-256\",\"kty\":\"EC\"}");
    expect_request(CM_KEY_P521, 0, true, "{\"crv\":\"P-521\",\"kty\":\"EC-HSM\"}");
    expect_request(CM_KEY_RSA, 3072, false, "{\"key_size\":3072,\"kty\":\"RSA\"}");
    expect_request(CM_KEY_RSA, 4096, true, "{\"key_size\":4096,\"kty\":\"RSA-HSM\"}");
    expect_request(CM_KEY_RSA, 8192, true, "none");
    expect_request(CM_KEY_RSA, 0, true, "none");
    expect_request(CM_KEY_ED25519, 0, false, "none");
}

/* ------------------------------------------------------------------ signatures -- */

/* The signature of raw octets, in a buffer of exactly space octets. */
static uint32_t convert(const struct curve *curve, const void *raw, size_t raw_size,
                        uint8_t *signature, uint32_t space)
{
    json_t *answer = json_pack("{s:s, s:o}", "kid", "ignored", "value", base64url(raw, raw_size));
    uint8_t *exact = malloc(space + !space);
    uint32_t size = cm_jose_signature(answer, curve->type, curve->bits, exact, space);
    CU_ASSERT_FATAL(size <= space);
    memcpy(signature, exact, size);
    free(exact);
    json_decref(answer);
    return size;
}

static size_t der_of(const BIGNUM *r, const BIGNUM *s, uint8_t *der)
{
    ECDSA_SIG *signature = ECDSA_SIG_new();
    ECDSA_SIG_set0(signature, BN_dup(r), BN_dup(s));
    int size = i2d_ECDSA_SIG(signature, &der);
    ECDSA_SIG_free(signature);
    return (size_t)size;
}

static void expect_same(const struct curve *curve, const BIGNUM *r, const BIGNUM *s)
{
    uint8_t raw[132], expected[160], signature[160];
    BN_bn2binpad(r, raw, (int)curve->size);
    BN_bn2binpad(s, raw + curve->size, (int)curve->size);
    size_t expected_size = der_of(r, s, expected);
    uint32_t size = convert(curve, raw, 2 * curve->size, signature, (uint32_t)expected_size);
    CU_ASSERT_TRUE(cm_bytes_equal(cm_bytes(signature, size), cm_bytes(expected, expected_size)));
    CU_ASSERT_EQUAL(convert(curve, raw, 2 * curve->size, signature, (uint32_t)expected_size - 1),
                    0);
}

/* Of all lengths: each loses its top octets down to the last. */
static void test_jose_writes_ecdsa_signatures_as_openssl_does(void)
{
    for (size_t i = 0; i < CURVES_COUNT; i++) {
        EC_GROUP *group = EC_GROUP_new_by_curve_name(curves[i].nid);
        BIGNUM *r = BN_dup(EC_GROUP_get0_order(group)), *s = BN_new();
        BN_sub_word(r, 1);
        BN_rand(s, 200, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY);
        while (!BN_is_zero(r)) {
            expect_same(&curves[i], r, s);
            expect_same(&curves[i], s, r);
            BN_rshift1(r, r);
        }
        BN_free(r);
        BN_free(s);
        EC_GROUP_free(group);
    }
}

static void test_jose_refuses_scalars_out_of_range(void)
{
    for (size_t i = 0; i < CURVES_COUNT; i++) {
        const struct curve *curve = &curves[i];
        uint8_t raw[132] = { 0 }, signature[160];
        EC_GROUP *group = EC_GROUP_new_by_curve_name(curve->nid);
        size_t size = curve->size;
        CU_ASSERT_EQUAL(convert(curve, raw, 2 * size, signature, 160), 0);
        raw[size - 1] = 1;
        CU_ASSERT_EQUAL(convert(curve, raw, 2 * size, signature, 160), 0);
        raw[2 * size - 1] = 1;
        CU_ASSERT_EQUAL(convert(curve, raw, 2 * size, signature, 160), 8);
        BN_bn2binpad(EC_GROUP_get0_order(group), raw, (int)size);
        CU_ASSERT_EQUAL(convert(curve, raw, 2 * size, signature, 160), 0);
        memset(raw, 0xff, size);
        CU_ASSERT_EQUAL(convert(curve, raw, 2 * size, signature, 160), 0);
        EC_GROUP_free(group);
    }
}

static void test_jose_refuses_signatures_of_other_lengths(void)
{
    uint8_t raw[4096], signature[CM_SIGNATURE_SIZE_MAX];
    memset(raw, 1, sizeof raw);
    CU_ASSERT_EQUAL(convert(&curves[0], raw, 63, signature, 160), 0);
    CU_ASSERT_EQUAL(convert(&curves[0], raw, 65, signature, 160), 0);
    CU_ASSERT_EQUAL(convert(&curves[0], raw, 0, signature, 160), 0);
    CU_ASSERT_EQUAL(convert(&curves[0], raw, 4096, signature, 160), 0);
    CU_ASSERT_EQUAL(convert(&curves[1], raw, 64, signature, 160), 0);
    CU_ASSERT_EQUAL(convert(&curves[0], raw, 64, signature, 0), 0);
    const struct curve rsa = { CM_KEY_RSA, "", 2048, 0, 0 };
    CU_ASSERT_EQUAL(convert(&rsa, raw, 256, signature, 256), 256);
    CU_ASSERT_EQUAL(memcmp(signature, raw, 256), 0);
    CU_ASSERT_EQUAL(convert(&rsa, raw, 256, signature, 255), 0);
    CU_ASSERT_EQUAL(convert(&rsa, raw, 255, signature, 256), 0);
    CU_ASSERT_EQUAL(convert(&rsa, raw, 257, signature, 1024), 0);
    const struct curve none = { CM_KEY_ED25519, "", 256, 0, 0 };
    CU_ASSERT_EQUAL(convert(&none, raw, 64, signature, 64), 0);
}

static void expect_no_octets(json_t *value)
{
    uint8_t octets[4];
    json_t *object = json_object();
    json_object_set_new(object, "value", value);
    CU_ASSERT_EQUAL(cm_jose_octets(object, "value", octets, sizeof octets), 0);
    json_decref(object);
}

static void test_jose_reads_octets_strictly(void)
{
    uint8_t octets[4];
    json_t *object = json_pack("{s:s}", "value", "_-8BAA");
    CU_ASSERT_EQUAL(cm_jose_octets(object, "value", octets, sizeof octets), 4);
    CU_ASSERT_EQUAL(memcmp(octets, "\xff\xef\x01\x00", 4), 0);
    CU_ASSERT_EQUAL(cm_jose_octets(object, "value", octets, 3), 0);
    CU_ASSERT_EQUAL(cm_jose_octets(object, "other", octets, sizeof octets), 0);
    CU_ASSERT_EQUAL(cm_jose_octets(NULL, "value", octets, sizeof octets), 0);
    json_decref(object);
    expect_no_octets(json_string(""));
    expect_no_octets(json_string("A"));
    expect_no_octets(json_string("AB"));
    expect_no_octets(json_string("AA=="));
    expect_no_octets(json_string("AA\n"));
    expect_no_octets(json_string("AAAAA"));
    expect_no_octets(json_string("AAAAAAAA"));
    expect_no_octets(json_stringn("AA\0A", 4));
    expect_no_octets(json_integer(12));
    expect_no_octets(json_null());
    expect_no_octets(json_object());
}

static void test_key_id_of_another_key_is_told_in_printable_words(void)
{
    const struct cm_vault_key key = { .uri = { .host = "vault", .name = "ca", .version = "1" } };
    uint8_t signature[CM_SIGNATURE_SIZE_MAX];
    struct cm_error err;
    json_t *answer = json_pack("{s:s}", "kid", "https://evil\n\x1b[2J");
    CU_ASSERT_EQUAL(
        cm_vault_key_take(&key, answer, cm_bytes(NULL, 0), signature, sizeof signature, &err), 0);
    CU_ASSERT_STRING_EQUAL(err.text, "key ca: the vault signed with https://evil\\x0a\\x1b[2J");
    json_decref(answer);
}

CM_TEST_SUITE(keyvault_jose, CM_TEST(test_jose_reads_ec_keys),
              CM_TEST(test_jose_pads_coordinates_that_came_too_short),
              CM_TEST(test_jose_refuses_bad_ec_keys),
              CM_TEST(test_jose_refuses_other_types_and_curves), CM_TEST(test_jose_reads_rsa_keys),
              CM_TEST(test_jose_refuses_bad_rsa_keys),
              CM_TEST(test_jose_names_algorithms_as_the_service_does),
              CM_TEST(test_jose_asks_for_keys_that_the_service_makes),
              CM_TEST(test_jose_writes_ecdsa_signatures_as_openssl_does),
              CM_TEST(test_jose_refuses_scalars_out_of_range),
              CM_TEST(test_jose_refuses_signatures_of_other_lengths),
              CM_TEST(test_jose_reads_octets_strictly),
              CM_TEST(test_key_id_of_another_key_is_told_in_printable_words));

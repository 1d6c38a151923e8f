/* Weak keys without a request around them; tests/data/csr has each kind in a signed request. */
#include "engine/x509/key_check.h"
#include "tests/support/test_main.h"

#include <openssl/bn.h>
#include <openssl/evp.h>

#define MODULUS_SIZE 256

static BN_CTX *ctx;

static int set_up(void)
{
    ctx = BN_CTX_new();
    return ctx ? 0 : 1;
}

static int tear_down(void)
{
    BN_CTX_free(ctx);
    return 0;
}

static enum cm_refusal_code check_modulus(const BIGNUM *modulus)
{
    uint8_t octets[MODULUS_SIZE];
    struct cm_refusal refusal = { .code = CM_REFUSAL_NONE };
    BN_bn2binpad(modulus, octets, sizeof octets);
    struct cm_public_key key = { .type = CM_KEY_RSA,
                                 .bits = 2048,
                                 .modulus = cm_bytes(octets, sizeof octets) };
    bool is_accepted = cm_key_check(&key, &refusal);
    CU_ASSERT_EQUAL(is_accepted, refusal.code == CM_REFUSAL_NONE);
    return refusal.code;
}

/* (a - d)(a + d) for a large odd and small even d: rounds of Fermat's method grow with d. */
static enum cm_refusal_code check_difference(unsigned long low_word, int distance_bits)
{
    BIGNUM *a = BN_new(), *p = BN_new(), *q = BN_new(), *n = BN_new(), *d = BN_new();
    BN_rand(a, 1024, BN_RAND_TOP_TWO, BN_RAND_BOTTOM_ODD);
    BN_set_word(d, low_word);
    if (distance_bits)
        BN_set_bit(d, distance_bits);
    enum cm_refusal_code code = CM_REFUSAL_KEY_RSA_SMALL_FACTOR;
    /* The factors are not prime here: draw until none is small. */
    while (code == CM_REFUSAL_KEY_RSA_SMALL_FACTOR) {
        BN_add_word(a, 2);
        BN_add(p, a, d);
        BN_sub(q, a, d);
        BN_mul(n, p, q, ctx);
        code = check_modulus(n);
    }
    BN_free(a);
    BN_free(p);
    BN_free(q);
    BN_free(n);
    BN_free(d);
    return code;
}

static void test_close_factors_are_found(void)
{
    CU_ASSERT_EQUAL(check_difference(0, 0), CM_REFUSAL_KEY_RSA_CLOSE_PRIMES); /* a square */
    CU_ASSERT_EQUAL(check_difference(2, 0), CM_REFUSAL_KEY_RSA_CLOSE_PRIMES);
    CU_ASSERT_EQUAL(check_difference(0, 500), CM_REFUSAL_KEY_RSA_CLOSE_PRIMES);
    /* d * d / 2a is the number of rounds: about 2^(2 * 515 - 1025) = 32. */
    CU_ASSERT_EQUAL(check_difference(0, 515), CM_REFUSAL_KEY_RSA_CLOSE_PRIMES);
}

static void test_factors_far_apart_are_left_alone(void)
{
    CU_ASSERT_EQUAL(check_difference(0, 530), CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(check_difference(0, 1000), CM_REFUSAL_NONE);
}

static void test_every_small_factor_is_named(void)
{
    static const unsigned long factors[] = { 3, 5, 7, 29, 31, 167, 173, 743, 751 };
    BIGNUM *n = BN_new();
    for (size_t i = 0; i < sizeof factors / sizeof factors[0]; i++) {
        BN_rand(n, 2048, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD);
        BN_sub_word(n, BN_mod_word(n, factors[i]));
        if (!BN_is_odd(n))
            BN_sub_word(n, factors[i]);
        CU_ASSERT_EQUAL(check_modulus(n), CM_REFUSAL_KEY_RSA_SMALL_FACTOR);
    }
    BN_free(n);
}

static void test_random_keys_pass(void)
{
    for (int i = 0; i < 5; i++) {
        EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
        BIGNUM *n = NULL;
        EVP_PKEY_get_bn_param(pkey, "n", &n);
        CU_ASSERT_EQUAL(check_modulus(n), CM_REFUSAL_NONE);
        BN_free(n);
        EVP_PKEY_free(pkey);
    }
}

static enum cm_refusal_code check_ed25519(const char *text)
{
    uint8_t octets[32];
    size_t size;
    struct cm_refusal refusal = { .code = CM_REFUSAL_NONE };
    CU_ASSERT_FATAL(cm_hex_decode(text, strlen(text), octets, sizeof octets, &size));
    struct cm_public_key key = { .type = CM_KEY_ED25519,
                                 .bits = 256,
                                 .point = cm_bytes(octets, size) };
    cm_key_check(&key, &refusal);
    return refusal.code;
}

#define ZEROS_30 "000000000000000000000000000000000000000000000000000000000000"
#define ONES_30  "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"

static void test_ed25519_points_of_small_order_are_refused(void)
{
    static const char *const points[] = {
        "00" ZEROS_30 "00",
        "00" ZEROS_30 "80",
        "01" ZEROS_30 "00",
        "01" ZEROS_30 "80",
        "ec" ONES_30 "7f",
        "ec" ONES_30 "ff",
        "ed" ONES_30 "7f",
        "ee" ONES_30 "7f",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    };
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++)
        CU_ASSERT_EQUAL(check_ed25519(points[i]), CM_REFUSAL_KEY_ED25519_SMALL_ORDER);
    CU_ASSERT_EQUAL(check_ed25519("ef" ONES_30 "7f"), CM_REFUSAL_KEY_ENCODING);
    CU_ASSERT_EQUAL(check_ed25519("eb" ONES_30 "7f"), CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(check_ed25519("02" ZEROS_30 "00"), CM_REFUSAL_NONE);
}

static void test_keys_in_print_are_blocked(void)
{
    CU_ASSERT_EQUAL(
        check_ed25519("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"),
        CM_REFUSAL_KEY_BLOCKED);
}

CM_TEST_SUITE_WITH(key_check, set_up, tear_down, CM_TEST(test_close_factors_are_found),
                   CM_TEST(test_every_small_factor_is_named),
                   CM_TEST(test_ed25519_points_of_small_order_are_refused),
                   CM_TEST(test_keys_in_print_are_blocked),
                   CM_TEST(test_factors_far_apart_are_left_alone), CM_TEST(test_random_keys_pass));

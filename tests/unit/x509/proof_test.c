/*
 * Signatures of every algorithm, made by OpenSSL with fresh keys: good ones verify both ways, and
 * nothing else does. Files with bad proofs are in tests/data/csr.
 */
#include "engine/x509/proof.h"
#include "tests/support/test_main.h"
#include "tests/unit/x509/key_pairs.h"

static struct cm_proof *proof;
static const char message[] = "what is signed";

static struct key_pair pairs[] = {
    { .type = "EC", .group = "P-256" },
    { .type = "EC", .group = "P-384" },
    { .type = "EC", .group = "P-521" },
    { .type = "RSA", .bits = 2048 },
    { .type = "ED25519" },
};
#define PAIRS_COUNT (sizeof pairs / sizeof pairs[0])

static int set_up(void)
{
    for (size_t i = 0; i < PAIRS_COUNT; i++)
        if (key_pair_make(&pairs[i]) != 0)
            return 1;
    return cm_proof_new(&proof, NULL) == CM_OK ? 0 : 1;
}

static int tear_down(void)
{
    for (size_t i = 0; i < PAIRS_COUNT; i++)
        key_pair_done(&pairs[i]);
    cm_proof_free(proof);
    return 0;
}

static struct cm_bytes sign(const struct key_pair *pair, enum cm_sigalg alg, uint8_t *space)
{
    return key_pair_sign(pair, alg, cm_bytes(message, sizeof message), space);
}

/* Both ways to the same verdict. */
static cm_status verify(const struct key_pair *pair, enum cm_sigalg alg, struct cm_bytes text,
                        struct cm_bytes signature)
{
    struct cm_verifier *verifier = NULL;
    cm_status once = cm_signature_verify(proof, &pair->key, alg, text, signature);
    cm_status made = cm_verifier_new(&pair->key, alg, &verifier, NULL);
    if (made != CM_OK) {
        CU_ASSERT_EQUAL(made, once);
        return made;
    }
    CU_ASSERT_EQUAL(cm_verifier_check(verifier, text, signature), once);
    CU_ASSERT_EQUAL(cm_verifier_check(verifier, text, signature), once);
    cm_verifier_free(verifier);
    return once;
}

static void test_only_the_signed_message_verifies(void)
{
    uint8_t space[CM_SIGNATURE_SIZE_MAX];
    for (size_t i = 0; i < PAIRS_COUNT; i++)
        for (unsigned a = 1; a < CM_SIGALG_COUNT; a++) {
            enum cm_sigalg alg = (enum cm_sigalg)a;
            if (!cm_sigalg_fits(alg, pairs[i].key.type))
                continue;
            struct cm_bytes signature = sign(&pairs[i], alg, space);
            CU_ASSERT_EQUAL(verify(&pairs[i], alg, cm_bytes("another", 7), signature), CM_CORRUPT);
            CU_ASSERT_EQUAL(verify(&pairs[i], alg, cm_bytes(message, sizeof message), signature),
                            CM_OK);
        }
}

static void test_another_algorithm_does_not_verify(void)
{
    uint8_t space[CM_SIGNATURE_SIZE_MAX];
    struct cm_bytes text = cm_bytes(message, sizeof message);
    struct cm_bytes signature = sign(&pairs[3], CM_SIGALG_RSA_SHA256, space);
    CU_ASSERT_EQUAL(verify(&pairs[3], CM_SIGALG_RSA_SHA384, text, signature), CM_CORRUPT);
    CU_ASSERT_EQUAL(verify(&pairs[3], CM_SIGALG_RSA_PSS_SHA256, text, signature), CM_CORRUPT);
    CU_ASSERT_EQUAL(verify(&pairs[3], CM_SIGALG_ECDSA_SHA256, text, signature), CM_MISMATCH);
    CU_ASSERT_EQUAL(verify(&pairs[0], CM_SIGALG_RSA_SHA256, text, signature), CM_MISMATCH);
    CU_ASSERT_EQUAL(verify(&pairs[0], CM_SIGALG_UNKNOWN, text, signature), CM_MISMATCH);
}

static void test_signatures_of_another_size_are_malformed(void)
{
    uint8_t space[CM_SIGNATURE_SIZE_MAX + 1] = { 0 };
    static const enum cm_sigalg algs[] = { CM_SIGALG_ECDSA_SHA256, CM_SIGALG_ECDSA_SHA384,
                                           CM_SIGALG_ECDSA_SHA512, CM_SIGALG_RSA_SHA256,
                                           CM_SIGALG_ED25519 };
    for (size_t i = 0; i < PAIRS_COUNT; i++) {
        struct cm_bytes signature = sign(&pairs[i], algs[i], space);
        struct cm_bytes text = cm_bytes(message, sizeof message);
        CU_ASSERT_EQUAL(verify(&pairs[i], algs[i], text, cm_bytes(NULL, 0)), CM_MALFORMED);
        CU_ASSERT_EQUAL(
            verify(&pairs[i], algs[i], text, cm_bytes(signature.data, signature.size - 1)),
            CM_MALFORMED);
        CU_ASSERT_EQUAL(
            verify(&pairs[i], algs[i], text, cm_bytes(signature.data, signature.size + 1)),
            CM_MALFORMED);
    }
}

static void test_a_point_off_its_curve_is_no_key(void)
{
    uint8_t space[CM_SIGNATURE_SIZE_MAX], point[65];
    struct key_pair off = pairs[0];
    memcpy(point, off.key.point.data, sizeof point);
    point[64] ^= 1;
    off.key.point = cm_bytes(point, sizeof point);
    struct cm_bytes signature = sign(&pairs[0], CM_SIGALG_ECDSA_SHA256, space);
    CU_ASSERT_EQUAL(verify(&off, CM_SIGALG_ECDSA_SHA256, cm_bytes(message, 1), signature),
                    CM_NO_KEY);
    /* The worker's context is not spoilt by it. */
    CU_ASSERT_EQUAL(
        verify(&pairs[0], CM_SIGALG_ECDSA_SHA256, cm_bytes(message, sizeof message), signature),
        CM_OK);
}

static void test_a_verifier_keeps_its_own_copy_of_the_key(void)
{
    uint8_t space[CM_SIGNATURE_SIZE_MAX], point[65];
    struct cm_public_key key = pairs[0].key;
    struct cm_verifier *verifier = NULL;
    memcpy(point, key.point.data, sizeof point);
    key.point = cm_bytes(point, sizeof point);
    CU_ASSERT_FATAL(cm_verifier_new(&key, CM_SIGALG_ECDSA_SHA256, &verifier, NULL) == CM_OK);
    memset(point, 0, sizeof point);
    struct cm_bytes signature = sign(&pairs[0], CM_SIGALG_ECDSA_SHA256, space);
    CU_ASSERT_EQUAL(cm_verifier_check(verifier, cm_bytes(message, sizeof message), signature),
                    CM_OK);
    cm_verifier_free(verifier);
    cm_verifier_free(NULL);
    cm_proof_free(NULL);
}

CM_TEST_SUITE_WITH(proof, set_up, tear_down, CM_TEST(test_only_the_signed_message_verifies),
                   CM_TEST(test_another_algorithm_does_not_verify),
                   CM_TEST(test_signatures_of_another_size_are_malformed),
                   CM_TEST(test_a_point_off_its_curve_is_no_key),
                   CM_TEST(test_a_verifier_keeps_its_own_copy_of_the_key));

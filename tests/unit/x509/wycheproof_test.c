/*
 * Project Wycheproof's signature vectors against cm_signature_verify and cm_verifier_check.
 *
 * The vectors are not part of the tree: WYCHEPROOF_DIR names their folder, else
 * shared/data/wycheproof beside the source root is tried, else the test is skipped. "valid" must
 * verify and "invalid" must not. "acceptable" is left open: those are encodings (BER lengths,
 * a missing NULL in a DigestInfo) that other libraries let through and certmill need not.
 */
#include "engine/x509/proof.h"
#include "tests/support/test_main.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct cm_proof *proof;

static int set_up(void)
{
    return cm_proof_new(&proof, NULL) == CM_OK ? 0 : 1;
}

static int tear_down(void)
{
    cm_proof_free(proof);
    return 0;
}

static const char *folder(void)
{
    const char *named = getenv("WYCHEPROOF_DIR");
    const char *beside = CM_SOURCE_ROOT "/../shared/data/wycheproof";
    if (named)
        return named;
    return access(beside, R_OK) == 0 ? beside : NULL;
}

/* Owned by the caller. */
static struct cm_bytes hex_field(const json_t *object, const char *field)
{
    const char *text = json_string_value(json_object_get(object, field));
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    size_t size = 0;
    size_t space = strlen(text) / 2 + 1;
    uint8_t *octets = malloc(space);
    CU_ASSERT_FATAL(octets && cm_hex_decode(text, strlen(text), octets, space, &size));
    return cm_bytes(octets, size);
}

static void release(struct cm_bytes octets)
{
    free((void *)(uintptr_t)octets.data);
}

static void check_test(const char *file, const json_t *test, const struct cm_public_key *key,
                       enum cm_sigalg alg)
{
    const char *expected = json_string_value(json_object_get(test, "result"));
    struct cm_bytes message = hex_field(test, "msg");
    struct cm_bytes signature = hex_field(test, "sig");
    struct cm_verifier *verifier = NULL;
    bool is_good = cm_signature_verify(proof, key, alg, message, signature) == CM_OK;
    bool is_wrong =
        strcmp(expected, "acceptable") != 0 && is_good != (strcmp(expected, "valid") == 0);
    if (is_wrong)
        printf("  %s, test %lld: %s, expected %s\n", file,
               (long long)json_integer_value(json_object_get(test, "tcId")),
               is_good ? "accepted" : "refused", expected);
    CU_ASSERT_FALSE(is_wrong);
    CU_ASSERT_FATAL(cm_verifier_new(key, alg, &verifier, NULL) == CM_OK);
    CU_ASSERT_EQUAL(cm_verifier_check(verifier, message, signature) == CM_OK, is_good);
    cm_verifier_free(verifier);
    release(message);
    release(signature);
}

static size_t check_group(const char *file, const json_t *group, enum cm_sigalg alg)
{
    struct cm_refusal refusal;
    struct cm_public_key key;
    struct cm_bytes spki = hex_field(group, "publicKeyDer");
    const json_t *tests = json_object_get(group, "tests");
    if (cm_public_key_read(spki, &key, &refusal)) {
        for (size_t i = 0; i < json_array_size(tests); i++)
            check_test(file, json_array_get(tests, i), &key, alg);
    } else {
        /* Some groups have the exponent 3. */
        CU_ASSERT_EQUAL(refusal.code, CM_REFUSAL_KEY_RSA_EXPONENT);
    }
    release(spki);
    return json_array_size(tests);
}

static void check_file(const char *file, enum cm_sigalg alg)
{
    char path[4096];
    json_error_t error;
    size_t tests_count = 0;
    if (!folder()) {
        cm_test_skip("no vectors: set WYCHEPROOF_DIR");
        return;
    }
    snprintf(path, sizeof path, "%s/%s", folder(), file);
    json_t *root = json_load_file(path, 0, &error);
    if (!root) {
        cm_test_skip("%s: %s", path, error.text);
        return;
    }
    const json_t *groups = json_object_get(root, "testGroups");
    for (size_t i = 0; i < json_array_size(groups); i++)
        tests_count += check_group(file, json_array_get(groups, i), alg);
    CU_ASSERT(tests_count > 100);
    json_decref(root);
}

static void test_ecdsa_vectors_get_their_verdicts(void)
{
    check_file("ecdsa_secp256r1_sha256_test.json", CM_SIGALG_ECDSA_SHA256);
    check_file("ecdsa_secp384r1_sha384_test.json", CM_SIGALG_ECDSA_SHA384);
    check_file("ecdsa_secp521r1_sha512_test.json", CM_SIGALG_ECDSA_SHA512);
}

static void test_ed25519_vectors_get_their_verdicts(void)
{
    check_file("ed25519_test.json", CM_SIGALG_ED25519);
}

static void test_rsa_vectors_get_their_verdicts(void)
{
    check_file("rsa_signature_2048_sha256_test.json", CM_SIGALG_RSA_SHA256);
    check_file("rsa_signature_3072_sha256_test.json", CM_SIGALG_RSA_SHA256);
    check_file("rsa_signature_4096_sha256_test.json", CM_SIGALG_RSA_SHA256);
}

/* Not the SHA-512 file: its salt is 32 octets, and here a salt is as long as the hash. */
static void test_rsa_pss_vectors_get_their_verdicts(void)
{
    check_file("rsa_pss_2048_sha256_mgf1_32_test.json", CM_SIGALG_RSA_PSS_SHA256);
    check_file("rsa_pss_3072_sha256_mgf1_32_test.json", CM_SIGALG_RSA_PSS_SHA256);
}

CM_TEST_SUITE_WITH(wycheproof, set_up, tear_down, CM_TEST(test_ecdsa_vectors_get_their_verdicts),
                   CM_TEST(test_ed25519_vectors_get_their_verdicts),
                   CM_TEST(test_rsa_vectors_get_their_verdicts),
                   CM_TEST(test_rsa_pss_vectors_get_their_verdicts));

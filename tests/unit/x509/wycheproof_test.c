/*
 * Project Wycheproof's signature vectors against cm_signature_verify, cm_verifier_check and
 * cm_signatures_verify, there in every lane.
 *
 * The vectors are not part of the tree: WYCHEPROOF_DIR names their folder, else
 * shared/data/wycheproof beside the source root is tried, else the test is skipped. "valid" must
 * verify and "invalid" must not. "acceptable" is left open: those are encodings (BER lengths,
 * a missing NULL in a DigestInfo) that other libraries let through and certmill need not.
 */
#include "engine/multibuffer/multibuffer.h"
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

/* A test of a file, with the key of its group. */
struct vector {
    long long id;
    enum { INVALID, VALID, ACCEPTABLE } expected;
    struct cm_bytes spki, message, signature; /* owned */
    struct cm_public_key key;
    bool is_good; /* what cm_signature_verify says */
};

static struct vector *vectors;
static size_t vectors_count;

static void add_vector(const json_t *group, const json_t *test)
{
    const char *expected = json_string_value(json_object_get(test, "result"));
    struct cm_refusal refusal;
    struct vector vector = { .id = json_integer_value(json_object_get(test, "tcId")),
                             .expected = strcmp(expected, "valid") == 0     ? VALID
                                         : strcmp(expected, "invalid") == 0 ? INVALID
                                                                            : ACCEPTABLE,
                             .spki = hex_field(group, "publicKeyDer"),
                             .message = hex_field(test, "msg"),
                             .signature = hex_field(test, "sig") };
    vectors = realloc(vectors, (vectors_count + 1) * sizeof *vectors);
    CU_ASSERT_FATAL(vectors != NULL);
    if (cm_public_key_read(vector.spki, &vector.key, &refusal)) {
        vectors[vectors_count++] = vector;
        return;
    }
    CU_ASSERT_EQUAL(refusal.code,
                    CM_REFUSAL_KEY_RSA_EXPONENT); /* some groups have the exponent 3 */
    release(vector.spki);
    release(vector.message);
    release(vector.signature);
}

static bool read_file(const char *file)
{
    char path[4096];
    json_error_t error;
    if (!folder()) {
        cm_test_skip("no vectors: set WYCHEPROOF_DIR");
        return false;
    }
    snprintf(path, sizeof path, "%s/%s", folder(), file);
    json_t *root = json_load_file(path, 0, &error);
    if (!root) {
        cm_test_skip("%s: %s", path, error.text);
        return false;
    }
    const json_t *groups = json_object_get(root, "testGroups");
    for (size_t i = 0; i < json_array_size(groups); i++) {
        const json_t *group = json_array_get(groups, i), *tests = json_object_get(group, "tests");
        for (size_t k = 0; k < json_array_size(tests); k++)
            add_vector(group, json_array_get(tests, k));
    }
    json_decref(root);
    return true;
}

static void release_vectors(void)
{
    for (size_t i = 0; i < vectors_count; i++) {
        release(vectors[i].spki);
        release(vectors[i].message);
        release(vectors[i].signature);
    }
    free(vectors);
    vectors = NULL;
    vectors_count = 0;
}

static void check_vector(const char *file, struct vector *vector, enum cm_sigalg alg)
{
    struct cm_verifier *verifier = NULL;
    bool is_good =
        cm_signature_verify(proof, &vector->key, alg, vector->message, vector->signature) == CM_OK;
    bool is_wrong = vector->expected != ACCEPTABLE && is_good != (vector->expected == VALID);
    if (is_wrong)
        printf("  %s, test %lld: %s\n", file, vector->id, is_good ? "accepted" : "refused");
    CU_ASSERT_FALSE(is_wrong);
    CU_ASSERT_FATAL(cm_verifier_new(&vector->key, alg, &verifier, NULL) == CM_OK);
    CU_ASSERT_EQUAL(cm_verifier_check(verifier, vector->message, vector->signature) == CM_OK,
                    is_good);
    cm_verifier_free(verifier);
    vector->is_good = is_good;
}

/* All of the file in one go, from the nth on: each time every vector has another lane, and other neighbours. */
static void check_lanes(const char *file, enum cm_sigalg alg, size_t first)
{
    struct cm_signature_check *checks = calloc(vectors_count, sizeof *checks);
    CU_ASSERT_FATAL(checks != NULL);
    for (size_t i = 0; i < vectors_count; i++) {
        const struct vector *vector = &vectors[(first + i) % vectors_count];
        checks[i] = (struct cm_signature_check){ .key = &vector->key,
                                                 .alg = alg,
                                                 .message = vector->message,
                                                 .signature = vector->signature };
    }
    cm_signatures_verify(proof, checks, (uint32_t)vectors_count);
    for (size_t i = 0; i < vectors_count; i++) {
        const struct vector *vector = &vectors[(first + i) % vectors_count];
        bool is_same = (checks[i].status == CM_OK) == vector->is_good;
        if (!is_same)
            printf("  %s, test %lld, from %zu on: %s together, not alone\n", file, vector->id,
                   first, vector->is_good ? "refused" : "accepted");
        CU_ASSERT_TRUE(is_same);
    }
    free(checks);
}

static void check_file(const char *file, enum cm_sigalg alg)
{
    if (!read_file(file))
        return;
    CU_ASSERT(vectors_count > 100);
    for (size_t i = 0; i < vectors_count; i++)
        check_vector(file, &vectors[i], alg);
    for (size_t first = 0; first < CM_MB_LANES; first++)
        check_lanes(file, alg, first);
    release_vectors();
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

/* Last: what the files above went through. */
static void test_the_vectors_went_through_lanes(void)
{
    struct cm_proof_counts counts = cm_proof_count(proof);
    if (!cm_mb_takes(CM_MB_P256))
        cm_test_skip("all went one by one: %s", cm_mb_describe());
    else
        CU_ASSERT(!folder() || counts.in_lanes > 0);
    printf("  %s: %llu in lanes, %llu one by one\n", cm_mb_describe(),
           (unsigned long long)counts.in_lanes, (unsigned long long)counts.one_by_one);
}

CM_TEST_SUITE_WITH(wycheproof, set_up, tear_down, CM_TEST(test_ecdsa_vectors_get_their_verdicts),
                   CM_TEST(test_ed25519_vectors_get_their_verdicts),
                   CM_TEST(test_rsa_vectors_get_their_verdicts),
                   CM_TEST(test_rsa_pss_vectors_get_their_verdicts),
                   CM_TEST(test_the_vectors_went_through_lanes));

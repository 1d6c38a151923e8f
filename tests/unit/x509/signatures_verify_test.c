/*
 * Many signatures at once get the verdicts that each gets alone: of every type and algorithm, in every
 * lane, beside wrong ones, in numbers that fill lanes and that do not.
 */
#include "engine/multibuffer/multibuffer.h"
#include "engine/x509/proof.h"
#include "tests/support/test_main.h"
#include "tests/unit/x509/key_pairs.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { CHECKS_MAX = 64, MESSAGE_SIZE_MAX = 700, ROUNDS = 40 };

static struct key_pair pairs[] = {
    { .type = "EC", .group = "P-256" }, { .type = "EC", .group = "P-256" },
    { .type = "EC", .group = "P-384" }, { .type = "EC", .group = "P-521" },
    { .type = "RSA", .bits = 2048 },    { .type = "RSA", .bits = 2048 },
    { .type = "RSA", .bits = 3072 },    { .type = "ED25519" },
};
#define PAIRS_COUNT (sizeof pairs / sizeof pairs[0])

static struct cm_proof *proof;
static struct cm_signature_check checks[CHECKS_MAX];
static struct {
    uint8_t message[MESSAGE_SIZE_MAX];
    uint8_t signature[CM_SIGNATURE_SIZE_MAX];
    uint8_t point[CM_SIGNATURE_SIZE_MAX];
    struct cm_public_key key;
} octets[CHECKS_MAX]; /* of the checks */

static int set_up(void)
{
    unsigned seed = (unsigned)time(NULL);
    const char *named = getenv("CERTMILL_TEST_SEED");
    if (named)
        seed = (unsigned)strtoul(named, NULL, 10);
    printf("  seed %u; %s\n", seed, cm_mb_describe());
    srandom(seed);
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

static bool are_lanes_there(const struct key_pair *pair)
{
    switch (pair->key.type) {
    case CM_KEY_P256:
        return cm_mb_takes(CM_MB_P256);
    case CM_KEY_P384:
        return cm_mb_takes(CM_MB_P384);
    case CM_KEY_P521:
        return cm_mb_takes(CM_MB_P521);
    case CM_KEY_ED25519:
        return cm_mb_takes(CM_MB_ED25519);
    default:
        return cm_mb_takes(CM_MB_RSA);
    }
}

/* --- checks that are right or wrong --------------------------------------------------------------- */

static void put_good(size_t at, const struct key_pair *pair, enum cm_sigalg alg)
{
    size_t size = (size_t)random() % MESSAGE_SIZE_MAX + 1;
    for (size_t i = 0; i < size; i++)
        octets[at].message[i] = (uint8_t)random();
    struct cm_bytes message = cm_bytes(octets[at].message, size);
    octets[at].key = pair->key;
    checks[at] = (struct cm_signature_check){
        .key = &octets[at].key,
        .alg = alg,
        .message = message,
        .signature = key_pair_sign(pair, alg, message, octets[at].signature),
        .status = CM_CLOSING /* nobody has looked */
    };
}

static void flip(uint8_t *data, size_t size)
{
    data[(size_t)random() % size] ^= (uint8_t)(1 << random() % 8);
}

/* The key's own octets are others', too. */
static void flip_key(size_t at)
{
    struct cm_bytes *span =
        octets[at].key.type == CM_KEY_RSA ? &octets[at].key.modulus : &octets[at].key.point;
    CU_ASSERT_FATAL(span->size <= sizeof octets[at].point);
    memcpy(octets[at].point, span->data, span->size);
    flip(octets[at].point + 1, span->size - 2); /* neither its form nor its oddness */
    *span = cm_bytes(octets[at].point, span->size);
}

static void spoil(size_t at)
{
    static const enum cm_sigalg others[] = { CM_SIGALG_ECDSA_SHA256, CM_SIGALG_ECDSA_SHA512,
                                             CM_SIGALG_RSA_SHA384, CM_SIGALG_RSA_PSS_SHA256,
                                             CM_SIGALG_ED25519 };
    switch (random() % 6) {
    case 0:
        flip(octets[at].message, checks[at].message.size);
        break;
    case 1:
        flip_key(at);
        break;
    case 2:
        checks[at].signature.size -= 1;
        break;
    case 3:
        checks[at].alg = others[(size_t)random() % (sizeof others / sizeof others[0])];
        break;
    case 4:
        memset(octets[at].signature, 0xff, checks[at].signature.size);
        break;
    default:
        flip(octets[at].signature, checks[at].signature.size);
    }
}

static enum cm_sigalg any_algorithm(const struct key_pair *pair)
{
    enum cm_sigalg alg;
    do
        alg = (enum cm_sigalg)(1 + random() % (CM_SIGALG_COUNT - 1));
    while (!cm_sigalg_fits(alg, pair->key.type));
    return alg;
}

static void expect_own_verdicts(uint32_t count)
{
    cm_signatures_verify(proof, checks, count);
    for (uint32_t i = 0; i < count; i++)
        CU_ASSERT_EQUAL(checks[i].status,
                        cm_signature_verify(proof, checks[i].key, checks[i].alg, checks[i].message,
                                            checks[i].signature));
}

/* --- tests ---------------------------------------------------------------------------------------- */

static void test_a_wrong_one_changes_no_other_in_any_lane(void)
{
    for (size_t p = 0; p < PAIRS_COUNT; p++)
        for (size_t wrong = 0; wrong < CM_MB_LANES; wrong++) {
            for (size_t i = 0; i < CM_MB_LANES; i++)
                put_good(i, &pairs[p], cm_sigalg_default(pairs[p].key.type));
            octets[wrong].message[0] ^= 1;
            cm_signatures_verify(proof, checks, CM_MB_LANES);
            for (size_t i = 0; i < CM_MB_LANES; i++)
                CU_ASSERT_EQUAL(checks[i].status, i == wrong ? CM_CORRUPT : CM_OK);
        }
}

static void test_any_number_of_good_ones_is_good(void)
{
    for (size_t p = 0; p < PAIRS_COUNT; p++)
        for (uint32_t count = 0; count <= 2 * CM_MB_LANES + 1; count++) {
            for (uint32_t i = 0; i < count; i++)
                put_good(i, &pairs[p], any_algorithm(&pairs[p]));
            cm_signatures_verify(proof, checks, count);
            for (uint32_t i = 0; i < count; i++)
                CU_ASSERT_EQUAL(checks[i].status, CM_OK);
        }
}

static void test_full_lanes_are_used_where_there_are_any(void)
{
    for (size_t p = 0; p < PAIRS_COUNT; p++) {
        struct cm_proof_counts before = cm_proof_count(proof);
        for (size_t i = 0; i < CM_MB_LANES; i++)
            put_good(i, &pairs[p], cm_sigalg_default(pairs[p].key.type));
        cm_signatures_verify(proof, checks, CM_MB_LANES);
        struct cm_proof_counts after = cm_proof_count(proof);
        bool are_there = are_lanes_there(&pairs[p]);
        CU_ASSERT_EQUAL(after.in_lanes - before.in_lanes, are_there ? CM_MB_LANES : 0);
        CU_ASSERT_EQUAL(after.one_by_one - before.one_by_one, are_there ? 0 : CM_MB_LANES);
    }
}

static void test_a_mixture_of_right_and_wrong_ones_gets_the_verdicts_that_each_gets_alone(void)
{
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t count = (uint32_t)(random() % CHECKS_MAX) + 1;
        for (uint32_t i = 0; i < count; i++) {
            const struct key_pair *pair = &pairs[(size_t)random() % PAIRS_COUNT];
            put_good(i, pair, any_algorithm(pair));
            if (random() % 3 == 0)
                spoil(i);
        }
        expect_own_verdicts(count);
    }
}

static void test_with_a_verifier_the_verdicts_are_the_same(void)
{
    struct cm_verifier *verifiers[PAIRS_COUNT];
    for (size_t p = 0; p < PAIRS_COUNT; p++) {
        enum cm_sigalg alg = cm_sigalg_default(pairs[p].key.type);
        CU_ASSERT_EQUAL_FATAL(cm_verifier_new(&pairs[p].key, alg, &verifiers[p], NULL), CM_OK);
    }
    for (uint32_t i = 0; i < CHECKS_MAX; i++) {
        size_t p = (size_t)random() % PAIRS_COUNT;
        put_good(i, &pairs[p], cm_sigalg_default(pairs[p].key.type));
        checks[i].verifier = verifiers[p];
        if (random() % 3 == 0)
            flip(octets[i].signature, checks[i].signature.size);
    }
    expect_own_verdicts(CHECKS_MAX);
    for (size_t p = 0; p < PAIRS_COUNT; p++)
        cm_verifier_free(verifiers[p]);
}

static void test_without_lanes_all_go_one_by_one(void)
{
    struct cm_proof *plain;
    CU_ASSERT_EQUAL_FATAL(cm_proof_new(&plain, NULL), CM_OK);
    cm_proof_forgo_lanes(plain);
    for (size_t i = 0; i < CM_MB_LANES; i++)
        put_good(i, &pairs[0], CM_SIGALG_ECDSA_SHA256);
    cm_signatures_verify(plain, checks, CM_MB_LANES);
    struct cm_proof_counts counts = cm_proof_count(plain);
    CU_ASSERT_EQUAL(counts.in_lanes, 0);
    CU_ASSERT_EQUAL(counts.one_by_one, CM_MB_LANES);
    for (size_t i = 0; i < CM_MB_LANES; i++)
        CU_ASSERT_EQUAL(checks[i].status, CM_OK);
    cm_proof_free(plain);
}

CM_TEST_SUITE_WITH(
    signatures_verify, set_up, tear_down, CM_TEST(test_a_wrong_one_changes_no_other_in_any_lane),
    CM_TEST(test_any_number_of_good_ones_is_good),
    CM_TEST(test_full_lanes_are_used_where_there_are_any),
    CM_TEST(test_a_mixture_of_right_and_wrong_ones_gets_the_verdicts_that_each_gets_alone),
    CM_TEST(test_with_a_verifier_the_verdicts_are_the_same),
    CM_TEST(test_without_lanes_all_go_one_by_one));

/*
 * The catalogue of requests in tests/data/csr, then what no file can hold: every truncation, every
 * flipped bit, and random damage, each held against OpenSSL (tests/fuzz/csr_oracle.h).
 */
#include "engine/x509/csr.h"
#include "tests/fuzz/csr_oracle.h"
#include "tests/support/test_main.h"

#include <stdio.h>
#include <stdlib.h>

#define FOLDER CM_SOURCE_ROOT "/tests/data/csr/"

static struct cm_proof *proof;
static struct cm_arena arena;

static int set_up(void)
{
    cm_arena_init(&arena, 65536);
    return cm_proof_new(&proof, NULL) == CM_OK ? 0 : 1;
}

static int tear_down(void)
{
    cm_proof_free(proof);
    cm_arena_done(&arena);
    return 0;
}

/* In the arena; reading past its end shows under AddressSanitizer only for exact heap copies. */
static struct cm_bytes read_file(const char *name)
{
    const char *path = cm_arena_printf(&arena, FOLDER "%s", name);
    FILE *file = fopen(path, "rb");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    uint8_t *data = cm_arena_alloc(&arena, 65536);
    size_t size = fread(data, 1, 65536, file);
    fclose(file);
    return cm_bytes(data, size);
}

/* Runs on a copy of exactly the size, so that the sanitizers see the first byte too many. */
static enum cm_refusal_code run(struct cm_bytes input, const char *what)
{
    enum cm_refusal_code code = CM_REFUSAL_NONE;
    uint8_t *copy = malloc(input.size ? input.size : 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
    if (input.size)
        memcpy(copy, input.data, input.size);
    const char *problem = cm_csr_oracle(proof, cm_bytes(copy, input.size), &code);
    if (problem)
        printf("  %s: %s\n", what, problem);
    CU_ASSERT_PTR_NULL(problem);
    free(copy);
    return code;
}

static void test_every_file_of_the_catalogue_gets_its_code(void)
{
    char name[128], expected[64];
    size_t files = 0;
    FILE *list = fopen(FOLDER "expected.tsv", "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(list);
    for (; fscanf(list, "%127s %63s", name, expected) == 2; files++) {
        enum cm_refusal_code code = run(read_file(name), name);
        enum cm_refusal_code right = cm_refusal_find(expected);
        CU_ASSERT_EQUAL(right == CM_REFUSAL_NONE, strcmp(expected, "ok") == 0);
        if (code != right)
            printf("  %s: \"%s\", expected %s\n", name, cm_refusal_name(code), expected);
        CU_ASSERT_EQUAL(code, right);
    }
    fclose(list);
    CU_ASSERT(files > 300);
}

static void test_every_truncation_is_refused(void)
{
    struct cm_bytes whole = read_file("G07-alternative-names.der");
    for (size_t size = 1; size < whole.size; size++)
        CU_ASSERT_EQUAL(run(cm_bytes(whole.data, size), "truncated"), CM_REFUSAL_DER_TRUNCATED);
}

static void test_no_flipped_bit_goes_unseen(void)
{
    static const char *const names[] = { "G07-alternative-names.der", "G05-ed25519.der",
                                         "G04-rsa.der", "G06-rsa-pss.der" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct cm_bytes whole = read_file(names[i]);
        uint8_t *copy = cm_arena_alloc(&arena, whole.size);
        for (size_t bit = 0; bit < whole.size * 8; bit++) {
            memcpy(copy, whole.data, whole.size);
            copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
            CU_ASSERT_NOT_EQUAL(run(cm_bytes(copy, whole.size), names[i]), CM_REFUSAL_NONE);
        }
    }
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

/* Overwrites, removes or doubles a few octets: the structure mostly stays, the meaning does not. */
static size_t damage(uint8_t *data, size_t size, uint64_t *state)
{
    for (uint64_t rounds = 1 + next_random(state) % 3; rounds && size > 8; rounds--) {
        size_t at = next_random(state) % (size - 4);
        switch (next_random(state) % 4) {
        case 0:
            data[at] = (uint8_t)next_random(state);
            break;
        case 1:
            data[at] = (uint8_t)(data[at] + (next_random(state) & 1 ? 1 : -1));
            break;
        case 2:
            memmove(data + at, data + at + 1, size - at - 1);
            size--;
            break;
        default:
            memmove(data + at + 1, data + at, size - at);
            size++;
        }
    }
    return size;
}

static void test_damaged_requests_mean_the_same_to_openssl(void)
{
    static const char *const names[] = { "G01-p256.der", "G07-alternative-names.der",
                                         "G09-usage.der", "G10-subject.der", "M00.pem" };
    uint64_t state = 20240229;
    for (size_t round = 0; round < 20000; round++) {
        if (round % 5 == 0)
            cm_arena_reset(&arena);
        struct cm_bytes whole = read_file(names[round % 5]);
        uint8_t *copy = cm_arena_alloc(&arena, whole.size + 16);
        memcpy(copy, whole.data, whole.size);
        run(cm_bytes(copy, damage(copy, whole.size, &state)), names[round % 5]);
    }
}

static void test_a_request_is_taken_apart(void)
{
    struct cm_refusal refusal;
    struct cm_csr csr;
    struct cm_bytes der = read_file("G07-alternative-names.der");
    CU_ASSERT_FATAL(cm_csr_read(der, &arena, &csr, &refusal));
    CU_ASSERT_EQUAL(csr.key.type, CM_KEY_P256);
    CU_ASSERT_EQUAL(csr.key.point.size, 65);
    CU_ASSERT_EQUAL(csr.sigalg, CM_SIGALG_ECDSA_SHA256);
    CU_ASSERT(cm_bytes_is(cm_name_find(csr.name, CM_OID_COMMON_NAME), "dev-1"));
    CU_ASSERT_EQUAL_FATAL(csr.sans_count, 5);
    CU_ASSERT_EQUAL(csr.sans[0].type, CM_SAN_DNS);
    CU_ASSERT(cm_bytes_is(csr.sans[0].value, "dev-1.example.com"));
    CU_ASSERT_EQUAL(csr.sans[1].type, CM_SAN_IP);
    CU_ASSERT(cm_bytes_is(csr.sans[2].value, "spiffe://fleet.example/dev-1"));
    CU_ASSERT_EQUAL(csr.quirks, 0);
}

static void test_requested_usage_and_purposes_are_reported(void)
{
    struct cm_refusal refusal;
    struct cm_csr csr;
    CU_ASSERT_FATAL(cm_csr_read(read_file("G09-usage.der"), &arena, &csr, &refusal));
    CU_ASSERT_EQUAL(csr.key_usage, 1);
    CU_ASSERT_EQUAL_FATAL(csr.purposes_count, 1);
    CU_ASSERT_EQUAL(cm_oid_find(csr.purposes[0]), CM_OID_CLIENT_AUTH);
}

static void test_quirks_are_reported_and_accepted_only_where_allowed(void)
{
    struct cm_refusal refusal;
    struct cm_csr csr;
    CU_ASSERT_FATAL(cm_csr_read(read_file("C04-attributes-missing.der"), &arena, &csr, &refusal));
    CU_ASSERT_EQUAL(csr.quirks, CM_CSR_QUIRK_ATTRIBUTES_MISSING);
    CU_ASSERT_FATAL(cm_csr_read(read_file("D18-unsorted-attributes.der"), &arena, &csr, &refusal));
    CU_ASSERT_EQUAL(csr.quirks, CM_CSR_QUIRK_ATTRIBUTES_UNSORTED);
    struct cm_bytes der = read_file("P07-ecdsa-null.der");
    CU_ASSERT_FALSE(cm_csr_read(der, &arena, &csr, &refusal));
    CU_ASSERT_FATAL(cm_csr_read_with(der, CM_CSR_QUIRK_ECDSA_NULL, &arena, &csr, &refusal));
    CU_ASSERT_EQUAL(csr.quirks, CM_CSR_QUIRK_ECDSA_NULL);
    CU_ASSERT(cm_proof_check(proof, &csr, &refusal));
}

static void test_a_request_over_the_limit_is_refused_before_it_is_read(void)
{
    static uint8_t large[CM_CSR_TEXT_SIZE_MAX + 1] = { 0x30, 0x83, 0x00, 0x7f, 0xfc };
    CU_ASSERT_EQUAL(run(cm_bytes(large, CM_CSR_SIZE_MAX + 1), "large"), CM_REFUSAL_DER_TOO_LARGE);
    CU_ASSERT_EQUAL(run(cm_bytes(large, sizeof large), "larger"), CM_REFUSAL_DER_TOO_LARGE);
}

static void test_the_first_failing_check_names_the_code(void)
{
    /* A bad name, a bad extension and a bad signature behind a key that is not on the list. */
    struct cm_refusal refusal;
    struct cm_csr csr;
    struct cm_bytes der = read_file("K21-secp256k1.der");
    CU_ASSERT_FALSE(cm_csr_read(der, &arena, &csr, &refusal));
    CU_ASSERT_EQUAL(refusal.code, CM_REFUSAL_KEY_EC_CURVE_NOT_ALLOWED);
    uint8_t *name = memmem(der.data, der.size, "dev-1", 5);
    CU_ASSERT_PTR_NOT_NULL_FATAL(name);
    name[0] = '\0';
    CU_ASSERT_FALSE(cm_csr_read(der, &arena, &csr, &refusal));
    CU_ASSERT_EQUAL(refusal.code, CM_REFUSAL_KEY_EC_CURVE_NOT_ALLOWED);
    CU_ASSERT_FALSE(cm_csr_read(cm_bytes(der.data, der.size - 1), &arena, &csr, &refusal));
    CU_ASSERT_EQUAL(refusal.code, CM_REFUSAL_DER_TRUNCATED);
}

static void test_messages_name_the_offset_and_never_the_bytes(void)
{
    struct cm_refusal refusal;
    struct cm_csr csr;
    CU_ASSERT_FALSE(cm_csr_read(read_file("N09-control-esc.der"), &arena, &csr, &refusal));
    CU_ASSERT_PTR_NOT_NULL(strstr(refusal.message, "U+001B"));
    CU_ASSERT_PTR_NOT_NULL(strstr(refusal.message, "at offset "));
    CU_ASSERT_PTR_NULL(strchr(refusal.message, '\x1b'));
}

CM_TEST_SUITE_WITH(csr, set_up, tear_down, CM_TEST(test_every_file_of_the_catalogue_gets_its_code),
                   CM_TEST(test_every_truncation_is_refused),
                   CM_TEST(test_no_flipped_bit_goes_unseen),
                   CM_TEST(test_damaged_requests_mean_the_same_to_openssl),
                   CM_TEST(test_a_request_over_the_limit_is_refused_before_it_is_read),
                   CM_TEST(test_the_first_failing_check_names_the_code),
                   CM_TEST(test_messages_name_the_offset_and_never_the_bytes),
                   CM_TEST(test_quirks_are_reported_and_accepted_only_where_allowed),
                   CM_TEST(test_a_request_is_taken_apart),
                   CM_TEST(test_requested_usage_and_purposes_are_reported));

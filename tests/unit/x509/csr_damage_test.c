/* What no file can hold: every flipped bit, and random damage. */
#include "tests/support/test_main.h"
#include "tests/unit/x509/csr_rig.h"

#include <string.h>

static void test_no_flipped_bit_goes_unseen(void)
{
    static const char *const names[] = { "G07-alternative-names.der", "G05-ed25519.der",
                                         "G04-rsa.der", "G06-rsa-pss.der" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct cm_bytes whole = csr_file(names[i]);
        uint8_t *copy = cm_arena_alloc(&csr_arena, whole.size);
        for (size_t bit = 0; bit < whole.size * 8; bit++) {
            memcpy(copy, whole.data, whole.size);
            copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
            CU_ASSERT_NOT_EQUAL(csr_code(cm_bytes(copy, whole.size), names[i]), CM_REFUSAL_NONE);
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
            cm_arena_reset(&csr_arena);
        struct cm_bytes whole = csr_file(names[round % 5]);
        uint8_t *copy = cm_arena_alloc(&csr_arena, whole.size + 16);
        memcpy(copy, whole.data, whole.size);
        csr_code(cm_bytes(copy, damage(copy, whole.size, &state)), names[round % 5]);
    }
}

CM_TEST_SUITE_WITH(csr_damage, csr_rig_set_up, csr_rig_tear_down,
                   CM_TEST(test_no_flipped_bit_goes_unseen),
                   CM_TEST(test_damaged_requests_mean_the_same_to_openssl));

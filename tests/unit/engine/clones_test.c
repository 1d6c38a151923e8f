/* One key never passes for two devices, neither at once nor one after the other. */
#include "engine/clones.h"
#include "tests/support/test_main.h"

static struct cm_clones clones;

static int set_up(void)
{
    cm_clones_init(&clones);
    return 0;
}

static int tear_down(void)
{
    cm_clones_done(&clones);
    return 0;
}

static enum cm_clone_verdict claim(uint64_t fingerprint, const char *device,
                                   cm_certificate_number *number)
{
    return cm_clones_claim(&clones, fingerprint, cm_bytes_str(device), number);
}

static void test_clones_a_claim_excludes_other_devices_only(void)
{
    cm_certificate_number number = -1;
    CU_ASSERT_EQUAL(claim(7, "a", &number), CM_CLONE_NEW);
    CU_ASSERT_EQUAL(claim(7, "b", &number), CM_CLONE_CONTESTED);
    CU_ASSERT_EQUAL(claim(7, "a", &number), CM_CLONE_CLAIMED);
    cm_clones_release(&clones, 7, 0);
    CU_ASSERT_EQUAL(claim(7, "b", &number), CM_CLONE_CONTESTED);
    cm_clones_release(&clones, 7, 0);
    CU_ASSERT_EQUAL(claim(7, "b", &number), CM_CLONE_NEW);
    cm_clones_release(&clones, 7, 0);
    CU_ASSERT_EQUAL(number, -1);
}

static void test_clones_a_certified_key_names_its_certificate(void)
{
    cm_certificate_number number = 0;
    CU_ASSERT_EQUAL(claim(8, "a", &number), CM_CLONE_NEW);
    cm_clones_release(&clones, 8, 1001);
    CU_ASSERT_EQUAL(claim(8, "b", &number), CM_CLONE_KNOWN);
    CU_ASSERT_EQUAL(number, 1001);
    cm_clones_release(&clones, 8, 0);
}

/* The table grows several times; fingerprints share home slots. */
static void test_clones_remember_a_hundred_thousand_keys(void)
{
    enum { KEYS = 100000 };
    int wrong = 0;
    for (uint64_t i = 1; i <= KEYS; i++)
        cm_clones_add(&clones, i << 12 | (i & 3), (cm_certificate_number)i);
    for (uint64_t i = 1; i <= KEYS; i++) {
        cm_certificate_number number = 0;
        wrong += claim(i << 12 | (i & 3), "x", &number) != CM_CLONE_KNOWN
                 || number != (cm_certificate_number)i;
    }
    for (uint64_t i = 1; i <= KEYS; i += 2)
        cm_clones_release(&clones, i << 12 | (i & 3), 0);
    for (uint64_t i = 1; i <= KEYS; i++) {
        cm_certificate_number number = 0;
        enum cm_clone_verdict expected = i % 2 ? CM_CLONE_KNOWN : CM_CLONE_CONTESTED;
        wrong += claim(i << 12 | (i & 3), "y", &number) != expected;
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

CM_TEST_SUITE_WITH(clones, set_up, tear_down,
                   CM_TEST(test_clones_a_claim_excludes_other_devices_only),
                   CM_TEST(test_clones_a_certified_key_names_its_certificate),
                   CM_TEST(test_clones_remember_a_hundred_thousand_keys));

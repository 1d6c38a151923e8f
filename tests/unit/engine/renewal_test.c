/* Whether a certificate may be renewed: what stands against it first. */
#include "engine/renewal.h"

#include "tests/support/test_main.h"

enum { DEVICE = 7, OTHER = 8, NOW_S = 1800000000, DAY_S = 86400 };

static struct cm_settings_group group;
static struct cm_predecessor predecessor;
static struct cm_renewal renewal;
static struct cm_refusal refusal;

/* A good certificate that ends in ten days, asked for again with its key. */
static void begin(void)
{
    group = (struct cm_settings_group){ .name = "pumps", .reuse_key = true };
    predecessor = (struct cm_predecessor){ .is_known = true,
                                           .device_number = DEVICE,
                                           .not_after_s = NOW_S + 10 * DAY_S,
                                           .spki = cm_bytes_str("old key") };
    predecessor.standing.generation_state = CM_GENERATION_ACTIVE;
    renewal = (struct cm_renewal){
        .group = &group, .device_number = DEVICE, .spki = cm_bytes_str("old key"), .now_s = NOW_S
    };
}

static enum cm_refusal_code code_now(void)
{
    refusal = (struct cm_refusal){ .code = CM_REFUSAL_NONE };
    bool is_good = cm_renewal_check(&renewal, &predecessor, &refusal);
    CU_ASSERT_EQUAL(is_good, refusal.code == CM_REFUSAL_NONE);
    return refusal.code;
}

static void revoke(enum cm_reason reason)
{
    predecessor.standing.is_revoked = true;
    predecessor.standing.reason = reason;
}

/* ------------------------------------------------------------------------- whose -- */

static void test_what_is_unknown_is_not_renewed(void)
{
    begin();
    predecessor = (struct cm_predecessor){ .is_known = false };
    CU_ASSERT_EQUAL(code_now(), CM_REFUSAL_RENEW_UNKNOWN);
    predecessor.device_number = DEVICE; /* says nothing then */
    CU_ASSERT_EQUAL(code_now(), CM_REFUSAL_RENEW_UNKNOWN);
}

static void test_of_another_device_s_certificate_nothing_else_is_told(void)
{
    static const char text[] = "the certificate is another device's";
    begin();
    predecessor.device_number = OTHER;
    CU_ASSERT_EQUAL(code_now(), CM_REFUSAL_RENEW_NOT_OWNED);
    revoke(CM_REASON_KEY_COMPROMISE);
    predecessor.not_after_s = NOW_S - DAY_S;
    group.renewal_key = CM_RENEWAL_KEY_NEW;
    CU_ASSERT_EQUAL(code_now(), CM_REFUSAL_RENEW_NOT_OWNED);
    CU_ASSERT_STRING_EQUAL(refusal.message, text);
}

/* ---------------------------------------------------------------------- revoked -- */

static void test_what_is_revoked_is_not_renewed_but_for_reasons_that_are_not_the_device_s(void)
{
    static const struct {
        enum cm_reason reason;
        bool may;
    } rows[] = {
        { CM_REASON_UNSPECIFIED, false },      { CM_REASON_KEY_COMPROMISE, false },
        { CM_REASON_CA_COMPROMISE, true },     { CM_REASON_AFFILIATION_CHANGED, false },
        { CM_REASON_SUPERSEDED, true },        { CM_REASON_CESSATION_OF_OPERATION, false },
        { CM_REASON_CERTIFICATE_HOLD, false }, { CM_REASON_PRIVILEGE_WITHDRAWN, false },
        { CM_REASON_AA_COMPROMISE, false },    { (enum cm_reason)7, false },
        { CM_REASON_REMOVE_FROM_CRL, false }, /* were it called revoked */
    };
    begin();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        revoke(rows[i].reason);
        CU_ASSERT_EQUAL(code_now(), rows[i].may ? CM_REFUSAL_NONE : CM_REFUSAL_RENEW_REVOKED);
    }
    revoke(CM_REASON_KEY_COMPROMISE);
    code_now();
    CU_ASSERT_STRING_EQUAL(refusal.message, "the certificate is revoked (keyCompromise)");
    revoke(CM_REASON_CERTIFICATE_HOLD);
    code_now();
    CU_ASSERT_STRING_EQUAL(refusal.message, "the certificate is on hold");
}

static void test_a_compromised_issuer_makes_no_revoked_certificate_good(void)
{
    begin();
    predecessor.standing.generation_state = CM_GENERATION_COMPROMISED;
    revoke(CM_REASON_KEY_COMPROMISE);
    CU_ASSERT_EQUAL(code_now(), CM_REFUSAL_RENEW_REVOKED);
}

/* --------------------------------------------------------------------- the times -- */

static void test_before_the_window_it_is_too_early(void)
{
    begin();
    group.renewal_window_s = 10 * DAY_S - 1;
    CU_ASSERT_EQUAL(code_now(), CM_REFUSAL_RENEW_TOO_EARLY);
    CU_ASSERT_STRING_EQUAL(refusal.message,
                           "the certificate may be renewed from 2027-01-15T08:00:01Z on");
    CU_ASSERT_EQUAL(cm_refusal_kind_of(CM_REFUSAL_RENEW_TOO_EARLY), CM_REFUSAL_RETRYABLE);
    group.renewal_window_s = 10 * DAY_S;
    CU_ASSERT_EQUAL(code_now(), CM_REFUSAL_NONE);
    group.renewal_window_s = 36500LL * DAY_S;
    CU_ASSERT_EQUAL(code_now(), CM_REFUSAL_NONE);
    group.renewal_window_s = 0; /* none */
    predecessor.not_after_s = NOW_S + 3650LL * DAY_S;
    CU_ASSERT_EQUAL(code_now(), CM_REFUSAL_NONE);
}

static void test_a_certificate_that_never_ends_is_never_in_its_window(void)
{
    begin();
    predecessor.not_after_s = 253402300799; /* 99991231235959Z */
    group.renewal_window_s = 30 * DAY_S;
    CU_ASSERT_EQUAL(code_now(), CM_REFUSAL_RENEW_TOO_EARLY);
    predecessor.not_after_s = INT64_MAX; /* no calendar has it */
    CU_ASSERT_EQUAL(code_now(), CM_REFUSAL_RENEW_TOO_EARLY);
    predecessor.not_after_s = 253402300799;
    predecessor.standing.generation_state = CM_GENERATION_RETIRING;
    CU_ASSERT_EQUAL(code_now(), CM_REFUSAL_NONE);
}

static void test_who_leaves_a_key_that_issues_no_more_does_not_wait(void)
{
    begin();
    group.renewal_window_s = DAY_S;
    for (unsigned state = 0; state < CM_GENERATION_STATE_COUNT; state++) {
        predecessor.standing.generation_state = (enum cm_generation_state)state;
        CU_ASSERT_EQUAL(code_now(), state == CM_GENERATION_ACTIVE ? CM_REFUSAL_RENEW_TOO_EARLY
                                                                  : CM_REFUSAL_NONE);
    }
    predecessor.standing.generation_state = CM_GENERATION_ACTIVE;
    revoke(CM_REASON_SUPERSEDED); /* nor who has no certificate any more */
    CU_ASSERT_EQUAL(code_now(), CM_REFUSAL_NONE);
}

static void test_after_its_end_it_is_renewed_only_where_the_group_says_so(void)
{
    begin();
    predecessor.not_after_s = NOW_S; /* inclusive */
    CU_ASSERT_EQUAL(code_now(), CM_REFUSAL_NONE);
    predecessor.not_after_s = NOW_S - 1;
    CU_ASSERT_EQUAL(code_now(), CM_REFUSAL_RENEW_EXPIRED);
    CU_ASSERT_STRING_EQUAL(refusal.message, "the certificate has ended (2027-01-15T07:59:59Z)");
    group.renewal_grace_s = DAY_S;
    CU_ASSERT_EQUAL(code_now(), CM_REFUSAL_NONE);
    group.renewal_window_s = 1;
    CU_ASSERT_EQUAL(code_now(), CM_REFUSAL_NONE);
    predecessor.not_after_s = NOW_S - DAY_S;
    CU_ASSERT_EQUAL(code_now(), CM_REFUSAL_NONE);
    predecessor.not_after_s = NOW_S - DAY_S - 1;
    CU_ASSERT_EQUAL(code_now(), CM_REFUSAL_RENEW_EXPIRED);
    predecessor.standing.generation_state = CM_GENERATION_COMPROMISED;
    CU_ASSERT_EQUAL(code_now(), CM_REFUSAL_RENEW_EXPIRED);
    predecessor.not_after_s = INT64_MIN;
    CU_ASSERT_EQUAL(code_now(), CM_REFUSAL_RENEW_EXPIRED);
}

/* ------------------------------------------------------------------------ the key -- */

static void test_the_key_is_the_one_that_the_group_wants(void)
{
    static const enum cm_refusal_code codes[CM_RENEWAL_KEY_COUNT][2] = {
        [CM_RENEWAL_KEY_EITHER] = { CM_REFUSAL_NONE, CM_REFUSAL_NONE },
        [CM_RENEWAL_KEY_SAME] = { CM_REFUSAL_NONE, CM_REFUSAL_RENEW_SAME_KEY_REQUIRED },
        [CM_RENEWAL_KEY_NEW] = { CM_REFUSAL_RENEW_NEW_KEY_REQUIRED, CM_REFUSAL_NONE },
    };
    begin();
    for (unsigned key = 0; key < CM_RENEWAL_KEY_COUNT; key++) {
        group.renewal_key = (enum cm_renewal_key)key;
        renewal.spki = cm_bytes_str("old key");
        CU_ASSERT_EQUAL(code_now(), codes[key][0]);
        renewal.spki = cm_bytes_str("old kez");
        CU_ASSERT_EQUAL(code_now(), codes[key][1]);
        renewal.spki = cm_bytes_str("old key of another size");
        CU_ASSERT_EQUAL(code_now(), codes[key][1]);
        renewal.spki = cm_bytes(NULL, 0);
        CU_ASSERT_EQUAL(code_now(), codes[key][1]);
    }
}

CM_TEST_SUITE(
    engine_renewal, CM_TEST(test_what_is_unknown_is_not_renewed),
    CM_TEST(test_of_another_device_s_certificate_nothing_else_is_told),
    CM_TEST(test_what_is_revoked_is_not_renewed_but_for_reasons_that_are_not_the_device_s),
    CM_TEST(test_a_compromised_issuer_makes_no_revoked_certificate_good),
    CM_TEST(test_before_the_window_it_is_too_early),
    CM_TEST(test_a_certificate_that_never_ends_is_never_in_its_window),
    CM_TEST(test_who_leaves_a_key_that_issues_no_more_does_not_wait),
    CM_TEST(test_after_its_end_it_is_renewed_only_where_the_group_says_so),
    CM_TEST(test_the_key_is_the_one_that_the_group_wants));

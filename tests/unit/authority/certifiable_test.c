/* What a signer may not certify is refused with the reason, each by a chain or a plan that is good but for one thing. */
#include "engine/authority/certifiable.h"

#include <stdio.h>

#include "tests/support/test_main.h"
#include "tests/unit/x509/pieces.h"

#define YEAR_S (INT64_C(365) * 86400)

/* An issuing CA of path length 1 below a root. */
static struct cm_certificate certificates[2];
static struct cm_signer_chain chain;
static struct cm_profile profile;
static struct cm_certificate_plan plan;

static void start(void)
{
    struct cm_error err;
    CU_ASSERT_EQUAL_FATAL(cm_certificate_read(pki.issuing, &certificates[0], &err), CM_OK);
    CU_ASSERT_EQUAL_FATAL(cm_certificate_read(pki.root, &certificates[1], &err), CM_OK);
    certificates[0].path_len = 1;
    certificates[0].not_after_s = pki.now_s + 10 * YEAR_S;
    certificates[1].path_len = CM_PATH_LEN_NONE;
    certificates[1].not_after_s = pki.now_s + 20 * YEAR_S;
    chain = (struct cm_signer_chain){ "upper-1", certificates, 2 };
    profile = *cm_profile_builtin("sub-ca");
    plan = (struct cm_certificate_plan){
        .profile = &profile,
        .subject = piece_hex("300f310d300b06035504030c046c6f776572"),
        .key_type = CM_KEY_P256,
        .now_s = pki.now_s,
    };
}

static void expect_good(void)
{
    struct cm_error err = { 0 };
    int64_t end_s = 0;
    cm_status status = cm_certifiable_check(&chain, &plan, &end_s, &err);
    if (status != CM_OK)
        printf("    %s\n", err.text);
    CU_ASSERT_EQUAL(status, CM_OK);
    CU_ASSERT_EQUAL(end_s, certificates[0].not_after_s < certificates[1].not_after_s
                               ? certificates[0].not_after_s
                               : certificates[1].not_after_s);
}

static void expect(const char *text)
{
    struct cm_error err = { 0 };
    int64_t end_s = -7;
    cm_status status = cm_certifiable_check(&chain, &plan, &end_s, &err);
    if (status != CM_MISMATCH || !strstr(err.text, text))
        printf("    expected: %s\n    found: %s\n", text, status == CM_OK ? "good" : err.text);
    CU_ASSERT_EQUAL(status, CM_MISMATCH);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, text));
    CU_ASSERT_EQUAL(end_s, -7);
}

static void test_what_is_good_is_certified(void)
{
    start();
    expect_good();
    chain.count = 1; /* no more is known */
    expect_good();
    plan.subject = cm_bytes(NULL, 0);
    plan.key_type = CM_KEY_UNKNOWN;
    expect_good();
}

static void test_only_a_ca_that_may_sign_certifies(void)
{
    start();
    certificates[0].is_ca = false;
    expect("upper-1 is no CA");
    start();
    certificates[0].key_usage = CM_USAGE_CRL_SIGN;
    expect("upper-1 may not sign certificates: its key usage has no keyCertSign");
    start();
    certificates[0].ski = cm_bytes(NULL, 0);
    expect("upper-1 has no subject key identifier");
    start();
    certificates[0].spki =
        piece_hex("300c300706052b8104000a0301ff"); /* a curve that is none of ours */
    expect("the key of upper-1 cannot be used to sign");
}

static void test_what_is_above_is_valid_now(void)
{
    start();
    certificates[0].not_after_s = plan.now_s - 1;
    expect("upper-1 has ended on 20");
    start();
    certificates[0].not_before_s = plan.now_s + 1;
    expect("upper-1 begins on 20");
    start();
    certificates[1].not_after_s = plan.now_s - 1;
    expect("the signer of upper-1 has ended on 20");
    start();
    certificates[0].not_after_s = plan.now_s;
    expect_good();
}

static void test_the_path_length_of_all_above_counts(void)
{
    start();
    certificates[0].path_len = 0;
    expect("no authority may stand below upper-1: the path length of upper-1 is 0");
    start();
    certificates[1].path_len = 1; /* upper is that one */
    expect("no authority may stand below upper-1: the path length of the signer of upper-1 is 1");
    certificates[1].path_len = 0;
    expect("no authority may stand below upper-1: the path length of the signer of upper-1 is 0");
    certificates[1].path_len = 2;
    expect_good();
    certificates[0].issuer = certificates[0].subject; /* self-issued: it does not count */
    certificates[1].path_len = 1;
    expect_good();
    start();
    profile.path_len = 1;
    expect("its path length must be below 1");
    profile.path_len = CM_PATH_LEN_NONE;
    expect("its path length must be below 1");
    certificates[0].path_len = CM_PATH_LEN_NONE;
    expect_good();
    certificates[1].path_len = 2; /* less one for upper */
    expect("its path length must be below 1: below upper-1 no more authorities may follow (the "
           "signer of upper-1 has path length 2)");
}

static void test_a_validity_that_was_asked_for_fits(void)
{
    start();
    certificates[0].not_after_s = plan.now_s + YEAR_S;
    expect_good(); /* cut short */
    plan.must_last = true;
    expect("after upper-1, on 20");
    expect("what is left is a validity of 365 days");
    profile.validity_s = YEAR_S;
    expect_good();
    profile.validity_s = YEAR_S + profile.backdate_s + 1;
    expect_good();
    profile.validity_s++;
    expect("it would end on 20");
    start();
    plan.must_last = true;
    certificates[1].not_after_s = plan.now_s + YEAR_S; /* sooner than what it has signed */
    expect("what is left is a validity of 365 days");
    profile.validity_s = CM_VALIDITY_NO_EXPIRY;
    expect("it would end on 9999-12-31T23:59:59Z");
}

static void test_key_type_and_name_are_possible(void)
{
    start();
    profile.key_types = CM_KEY_TYPE_BIT(CM_KEY_P384);
    expect("profile sub-ca does not allow keys of type p256");
    start();
    plan.subject = certificates[0].subject;
    expect("it would bear the name of its signer, upper-1");
}

static void test_name_constraints_of_all_above_hold(void)
{
    static const char *const names[] = { "dns:a.example", "ip:10.1.0.0/16" };
    start();
    profile.permitted_names = names;
    profile.permitted_names_count = 2;
    expect_good();
    certificates[0].name_constraints =
        piece_hex("300da00b300982076578616d706c65"); /* dns:example */
    expect_good();
    certificates[1].name_constraints =
        piece_hex("300ea10c300a87080a000000ff000000"); /* not ip:10/8 */
    expect("the signer of upper-1 excludes ip:10.0.0.0/8, and with it ip:10.1.0.0/16");
    certificates[1].name_constraints = cm_bytes(NULL, 0);
    certificates[0].name_constraints = piece_hex("300da00b3009820765786f6d706c65");
    expect("upper-1 does not permit dns:a.example in its name constraints");
    start();
    /* o=oo alone */
    certificates[0].name_constraints = piece_hex("3015a0133011a40f300d310b3009060355040a0c026f6f");
    expect("upper-1 does not permit its subject in its name constraints");
    certificates[0].name_constraints = piece_hex("3008a1063004a4023000");
    expect("upper-1 excludes dirname, and with it its subject");
    certificates[0].name_constraints = piece_hex("3000");
    expect("the name constraints of upper-1: ");
}

static void test_policies_are_those_of_all_above(void)
{
    static const char *const policies[] = { "1.2.3", "1.2.4" };
    start();
    profile.policies = policies;
    profile.policies_count = 1;
    expect("upper-1 names no policies, so that 1.2.3 would not count below it");
    certificates[0].policies = piece_hex("3006300406022a03");
    expect_good();
    profile.policies_count = 2;
    expect("policy 1.2.4 is none of those of upper-1");
    certificates[0].policies = piece_hex("3012300a06022a03300430020c00300606042a030405");
    expect("policy 1.2.4 is none of those of upper-1"); /* with a qualifier, and another */
    certificates[0].policies = piece_hex("300830060604551d2000");
    expect_good(); /* any */
    certificates[1].policies = piece_hex("3006300406022a03");
    expect("policy 1.2.4 is none of those of the signer of upper-1");
}

static int set_up(void)
{
    return pki_init(CM_KEY_P256);
}

CM_TEST_SUITE_WITH(certifiable, set_up, pki_done, CM_TEST(test_what_is_good_is_certified),
                   CM_TEST(test_only_a_ca_that_may_sign_certifies),
                   CM_TEST(test_what_is_above_is_valid_now),
                   CM_TEST(test_the_path_length_of_all_above_counts),
                   CM_TEST(test_a_validity_that_was_asked_for_fits),
                   CM_TEST(test_key_type_and_name_are_possible),
                   CM_TEST(test_name_constraints_of_all_above_hold),
                   CM_TEST(test_policies_are_those_of_all_above));

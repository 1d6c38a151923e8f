/* Composing: determinism, times, serials, URLs, keys, and what is found wrong before any request comes. */
#include "engine/x509/template.h"

#include <openssl/evp.h>
#include <stdio.h>

#include "engine/x509/der_writer.h"
#include "engine/x509/lint.h"
#include "tests/support/test_main.h"
#include "tests/unit/x509/template_rig.h"

/* --- determinism --------------------------------------------------------------------------------- */

static void test_the_same_input_gives_the_same_bytes_for_ever(void)
{
    struct cm_profile profile = builtin("device-client");
    uint8_t digest[32];
    char hex[65];
    CU_ASSERT_TRUE_FATAL(compose(&profile));
    EVP_Digest(tbs.der.data, tbs.der.size, digest, NULL, EVP_sha256(), NULL);
    cm_hex_encode(cm_bytes(digest, sizeof digest), hex);
    /* Recovery after a crash composes again: another value here breaks intents that are on disk. */
    CU_ASSERT_STRING_EQUAL(hex, "aa8a4a428cfbf1d623a46b37082b44138db04fb85ee870315e5f83be29b88f05");
}

static void test_composing_in_between_changes_nothing(void)
{
    struct cm_profile profile = builtin("gateway");
    CU_ASSERT_TRUE_FATAL(compose(&profile));
    struct cm_bytes first = tbs.der;
    input.device = cm_bytes_str("another");
    input.serial = cm_bytes("\x7f", 1);
    CU_ASSERT_TRUE(compose(&profile));
    CU_ASSERT_FALSE(cm_bytes_equal(first, tbs.der));
    reset();
    CU_ASSERT_TRUE(compose(&profile));
    CU_ASSERT_TRUE(cm_bytes_equal(first, tbs.der));
}

static void test_the_issuer_may_go_away_once_the_template_is_built(void)
{
    struct cm_profile profile = builtin("device-client");
    char url[] = "http://pki.example/${shard}";
    uint8_t name[sizeof issuer_name];
    struct cm_template *template;
    memcpy(name, issuer_name, sizeof name);
    issuer.name = cm_bytes(name, sizeof name);
    issuer.crl_url = url;
    CU_ASSERT_EQUAL_FATAL(cm_template_build(&profile, &issuer, &template, NULL), CM_OK);
    memset(url, 'x', sizeof url - 1);
    memset(name, 'x', sizeof name);
    CU_ASSERT_TRUE(cm_template_compose(template, composer, &input, &arena, &tbs, &refusal));
    CU_ASSERT_TRUE(cm_lint_tbs(composer, tbs.der, cm_template_profile(template),
                               cm_template_issuer(template), &refusal));
    cm_template_free(template);
}

/* --- times --------------------------------------------------------------------------------------- */

static void test_validity_counts_both_ends_and_begins_before_now(void)
{
    struct cm_profile profile = builtin("device-client");
    struct cm_certificate certificate = issue(&profile);
    CU_ASSERT_EQUAL(certificate.not_before_s, ISSUED_S - profile.backdate_s);
    CU_ASSERT_EQUAL(certificate.not_after_s, certificate.not_before_s + profile.validity_s - 1);
    CU_ASSERT_EQUAL(tbs.not_before_s, certificate.not_before_s);
    CU_ASSERT_EQUAL(tbs.not_after_s, certificate.not_after_s);
}

static void test_validity_that_is_asked_for_shortens_and_never_lengthens(void)
{
    struct cm_profile profile = builtin("device-client");
    input.validity_s = DAY_S;
    CU_ASSERT_TRUE(compose(&profile));
    CU_ASSERT_EQUAL(tbs.not_after_s - tbs.not_before_s, DAY_S - 1);
    input.validity_s = 100 * profile.validity_s;
    CU_ASSERT_TRUE(compose(&profile));
    CU_ASSERT_EQUAL(tbs.not_after_s - tbs.not_before_s, profile.validity_s - 1);
}

static void test_validity_stays_within_the_issuers(void)
{
    struct cm_profile profile = builtin("device-client");
    issuer.not_before_s = ISSUED_S;
    issuer.not_after_s = ISSUED_S + DAY_S;
    struct cm_certificate certificate = issue(&profile);
    CU_ASSERT_EQUAL(certificate.not_before_s, ISSUED_S);
    CU_ASSERT_EQUAL(certificate.not_after_s, ISSUED_S + DAY_S);
    issuer.not_after_s = ISSUED_S; /* the issuer's last second */
    certificate = issue(&profile);
    CU_ASSERT_EQUAL(certificate.not_after_s, ISSUED_S);
}

static void test_an_issuer_that_is_not_valid_now_issues_nothing(void)
{
    struct cm_profile profile = builtin("device-client");
    input.issue_time_s = issuer.not_after_s + 1;
    refuse(&profile, CM_REFUSAL_POLICY_ISSUER_EXPIRED);
    input.issue_time_s = issuer.not_before_s - 1;
    refuse(&profile, CM_REFUSAL_POLICY_ISSUER_EXPIRED);
    input.issue_time_s = INT64_MIN;
    refuse(&profile, CM_REFUSAL_POLICY_ISSUER_EXPIRED);
    input.issue_time_s = INT64_MAX;
    refuse(&profile, CM_REFUSAL_POLICY_ISSUER_EXPIRED);
}

static void test_no_expiry_is_written_under_an_issuer_that_ends(void)
{
    struct cm_profile profile = builtin("idevid");
    struct cm_certificate certificate = issue(&profile);
    CU_ASSERT_EQUAL(certificate.not_after_s, CM_DER_TIME_MAX_S);
    CU_ASSERT_TRUE(contains(tbs.der, "99991231235959Z"));
    input.validity_s = DAY_S; /* who asks for an end gets one */
    CU_ASSERT_TRUE(compose(&profile));
    CU_ASSERT_EQUAL(tbs.not_after_s - tbs.not_before_s, DAY_S - 1);
}

static void test_certificates_change_their_time_format_at_the_end_of_2049(void)
{
    struct cm_profile profile = builtin("device-client");
    profile.backdate_s = 0;
    profile.validity_s = DAY_S;
    input.issue_time_s = CM_DER_UTC_TIME_MAX_S - DAY_S + 1;
    issue(&profile);
    CU_ASSERT_TRUE(contains(tbs.der, "\x17\x0d"
                                     "491231235959Z"));
    input.issue_time_s++;
    issue(&profile);
    CU_ASSERT_TRUE(contains(tbs.der, "\x18\x0f"
                                     "20500101000000Z"));
    input.issue_time_s = CM_DER_UTC_TIME_MAX_S + 1;
    issue(&profile);
    CU_ASSERT_TRUE(contains(tbs.der, "\x18\x0f"
                                     "20500101000000Z\x18\x0f"
                                     "20500101235959Z"));
}

/* --- serials and shards --------------------------------------------------------------------------- */

static void test_serials_that_are_no_positive_integers_are_refused(void)
{
    static const struct cm_bytes serials[] = {
        { NULL, 0 },
        { (const uint8_t *)"\x00", 1 },
        { (const uint8_t *)"\x80", 1 },
        { (const uint8_t *)"\x00\x01", 2 },
        { (const uint8_t *)"\xff\xff", 2 },
        { (const uint8_t *)"\x01"
                           "01234567890123456789",
          21 },
    };
    struct cm_profile profile = builtin("device-client");
    for (size_t index = 0; index < sizeof serials / sizeof serials[0]; index++) {
        input.serial = serials[index];
        refuse(&profile, CM_REFUSAL_ENGINE_INTERNAL);
    }
    input.serial = cm_bytes("\x00\x80", 2);
    CU_ASSERT_TRUE(compose(&profile));
    input.serial = cm_bytes("\x7f"
                            "0123456789012345678",
                            20);
    CU_ASSERT_TRUE(compose(&profile));
}

static void test_shards_are_the_last_eight_octets_modulo_their_count(void)
{
    CU_ASSERT_EQUAL(cm_crl_shard(cm_bytes("\x05", 1), 4), 1);
    CU_ASSERT_EQUAL(cm_crl_shard(cm_bytes("\x7f\x00\x00\x00\x00\x00\x00\x00\x09", 9), 4), 1);
    CU_ASSERT_EQUAL(cm_crl_shard(cm_bytes("\x7f\xff\xff\xff\xff\xff\xff\xff", 8), 1000), 807);
    CU_ASSERT_EQUAL(cm_crl_shard(cm_bytes("\x05", 1), 1), 0);
    CU_ASSERT_EQUAL(cm_crl_shard(cm_bytes("\x05", 1), 0), 0);
    struct cm_profile profile = builtin("device-client");
    issue(&profile);
    CU_ASSERT_EQUAL(tbs.crl_shard, 5); /* ... 0x0d mod 8 */
    CU_ASSERT_TRUE(contains(tbs.der, "http://pki.example/crl/i/5.crl"));
}

static void test_urls_that_the_issuer_does_not_have_are_left_out(void)
{
    struct cm_profile profile = builtin("device-client");
    issuer.crl_url = NULL;
    issue(&profile);
    CU_ASSERT_FALSE(contains(tbs.der, "/crl/"));
    issuer.ocsp_url = NULL;
    issue(&profile);
    CU_ASSERT_TRUE(contains(tbs.der, "/ca/i.cer"));
    CU_ASSERT_FALSE(contains(tbs.der, "/ocsp"));
    issuer.ca_issuers_url = NULL;
    issue(&profile);
    CU_ASSERT_FALSE(contains(tbs.der, "http://"));
    issuer.crl_url = "http://pki.example/all.crl";
    issuer.crl_shards = 0;
    issue(&profile);
    CU_ASSERT_TRUE(contains(tbs.der, "http://pki.example/all.crl"));
    profile.no_revocation_info = true;
    issue(&profile);
    CU_ASSERT_FALSE(contains(tbs.der, "http://"));
}

/* --- keys ---------------------------------------------------------------------------------------- */

static void test_key_types_that_the_profile_does_not_have_are_refused(void)
{
    struct cm_profile profile = builtin("device-client");
    profile.key_types = CM_KEY_TYPE_BIT(CM_KEY_RSA);
    refuse(&profile, CM_REFUSAL_POLICY_KEY_TYPE_NOT_ALLOWED);
    profile = builtin("device-client");
    input.key_type = CM_KEY_UNKNOWN;
    refuse(&profile, CM_REFUSAL_POLICY_KEY_TYPE_NOT_ALLOWED);
    input.key_type = CM_KEY_P256;
    input.spki = cm_bytes(spki, sizeof spki - 1);
    refuse(&profile, CM_REFUSAL_KEY_ENCODING);
}

static void test_both_methods_make_the_key_identifier(void)
{
    struct cm_profile profile = builtin("device-client");
    uint8_t digest[32];
    struct cm_certificate certificate = issue(&profile);
    EVP_Digest(spki + 26, 65, digest, NULL, EVP_sha256(), NULL);
    CU_ASSERT_TRUE(cm_bytes_equal(certificate.ski, cm_bytes(digest, 20)));
    profile.ski_method = CM_SKI_RFC5280_1;
    certificate = issue(&profile);
    EVP_Digest(spki + 26, 65, digest, NULL, EVP_sha1(), NULL);
    CU_ASSERT_TRUE(cm_bytes_equal(certificate.ski, cm_bytes(digest, 20)));
}

/* --- building ------------------------------------------------------------------------------------ */

static void refuse_to_build(const struct cm_profile *profile, cm_status status, const char *text)
{
    struct cm_template *template = NULL;
    struct cm_error err = { 0 };
    CU_ASSERT_EQUAL(cm_template_build(profile, &issuer, &template, &err), status);
    CU_ASSERT_PTR_NULL(template);
    if (!strstr(err.text, text))
        printf("    %s: %s\n", text, err.text);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, text));
}

static void test_issuers_that_cannot_issue_are_refused(void)
{
    static const char *const urls[] = { "https://pki.example/", "ldap://pki.example/", "http://",
                                        "pki.example",          "http://pki example/", "" };
    struct cm_profile profile = builtin("device-client");
    for (size_t index = 0; index < sizeof urls / sizeof urls[0]; index++) {
        issuer.ocsp_url = urls[index];
        refuse_to_build(&profile, CM_MALFORMED, "OCSP URL");
    }
    reset();
    issuer.crl_url = "http://pki.example/all.crl";
    refuse_to_build(&profile, CM_MALFORMED, "${shard}");
    reset();
    issuer.ski.size = 0;
    refuse_to_build(&profile, CM_MALFORMED, "key identifier");
    reset();
    issuer.name = cm_bytes("\x30\x00", 2);
    refuse_to_build(&profile, CM_MALFORMED, "no name");
    reset();
    issuer.sigalg = CM_SIGALG_UNKNOWN;
    refuse_to_build(&profile, CM_MALFORMED, "signature algorithm");
    reset();
    issuer.not_after_s = issuer.not_before_s - 1;
    refuse_to_build(&profile, CM_MALFORMED, "validity");
    profile.validity_s = 0;
    refuse_to_build(&profile, CM_MALFORMED, "validity");
}

static void test_path_lengths_go_down_from_ca_to_ca(void)
{
    struct cm_profile profile = builtin("sub-ca");
    issuer.path_len = 0;
    refuse_to_build(&profile, CM_MISMATCH, "path length is 0");
    issuer.path_len = 1;
    issue(&profile);
    profile.path_len = 1;
    refuse_to_build(&profile, CM_MISMATCH, "not below");
    profile.path_len = CM_PATH_LEN_NONE;
    refuse_to_build(&profile, CM_MISMATCH, "not below");
    issuer.path_len = 0; /* devices are no CAs */
    profile = *cm_profile_builtin("device-client");
    issue(&profile);
}

static void test_policies_and_critical_purposes_are_written(void)
{
    static const char *const policies[] = { "1.3.6.1.4.1.55555.2", "2.5.29.32.0" };
    struct cm_profile profile = builtin("device-client");
    profile.policies = policies;
    profile.policies_count = 2;
    profile.purposes_critical = true;
    issue(&profile);
    CU_ASSERT_TRUE(contains(tbs.der, "\x30\x06\x06\x04\x55\x1d\x20"));
}

CM_TEST_SUITE_WITH(template, set_up, tear_down,
                   CM_TEST(test_the_same_input_gives_the_same_bytes_for_ever),
                   CM_TEST(test_composing_in_between_changes_nothing),
                   CM_TEST(test_the_issuer_may_go_away_once_the_template_is_built),
                   CM_TEST(test_validity_counts_both_ends_and_begins_before_now),
                   CM_TEST(test_validity_that_is_asked_for_shortens_and_never_lengthens),
                   CM_TEST(test_validity_stays_within_the_issuers),
                   CM_TEST(test_an_issuer_that_is_not_valid_now_issues_nothing),
                   CM_TEST(test_no_expiry_is_written_under_an_issuer_that_ends),
                   CM_TEST(test_certificates_change_their_time_format_at_the_end_of_2049),
                   CM_TEST(test_serials_that_are_no_positive_integers_are_refused),
                   CM_TEST(test_shards_are_the_last_eight_octets_modulo_their_count),
                   CM_TEST(test_urls_that_the_issuer_does_not_have_are_left_out),
                   CM_TEST(test_key_types_that_the_profile_does_not_have_are_refused),
                   CM_TEST(test_both_methods_make_the_key_identifier),
                   CM_TEST(test_issuers_that_cannot_issue_are_refused),
                   CM_TEST(test_path_lengths_go_down_from_ca_to_ca),
                   CM_TEST(test_policies_and_critical_purposes_are_written));

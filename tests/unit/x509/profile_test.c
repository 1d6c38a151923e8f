/* Profiles: the built-in ones are good, and each mistake that settings can make is named. */
#include "engine/x509/profile.h"
#include "engine/x509/text_template.h"

#include <stdio.h>

#include "tests/support/test_main.h"

static void test_every_builtin_profile_is_good(void)
{
    const struct cm_profile *profile;
    struct cm_error err;
    size_t count = 0;
    for (; (profile = cm_profile_builtin_at(count)) != NULL; count++) {
        CU_ASSERT_EQUAL(cm_profile_check(profile, &err), CM_OK);
        CU_ASSERT_PTR_EQUAL(cm_profile_builtin(profile->name), profile);
    }
    CU_ASSERT_EQUAL(count, 9);
    CU_ASSERT_PTR_NULL(cm_profile_builtin("no-such"));
}

static void test_names_in_settings_go_there_and_back(void)
{
    for (unsigned field = 0; field < CM_SUBJECT_FIELD_COUNT; field++) {
        const char *name = cm_subject_field_name((enum cm_subject_field)field);
        CU_ASSERT_EQUAL(cm_subject_field_find(name, strlen(name)), field);
    }
    for (unsigned kind = 0; kind < CM_ALTNAME_COUNT; kind++)
        CU_ASSERT_EQUAL(cm_altname_kind_find(cm_altname_kind_name((enum cm_altname_kind)kind)),
                        kind);
    CU_ASSERT_EQUAL(cm_subject_field_find("cnx", 3), CM_SUBJECT_FIELD_COUNT);
    CU_ASSERT_EQUAL(cm_altname_kind_find(""), CM_ALTNAME_COUNT);
    CU_ASSERT_EQUAL(cm_key_usage_find("crl-sign"), CM_USAGE_CRL_SIGN);
    CU_ASSERT_EQUAL(cm_key_usage_find("nothing"), 0);
    CU_ASSERT_STRING_EQUAL(cm_purpose_oid("client-auth"), "1.3.6.1.5.5.7.3.2");
    CU_ASSERT_STRING_EQUAL(cm_purpose_oid("1.2.3"), "1.2.3");
    CU_ASSERT_PTR_NULL(cm_purpose_oid("client"));
}

/* The profile is refused, and the message begins with the part. */
static void refuse(const struct cm_profile *profile, const char *part)
{
    struct cm_error err = { 0 };
    cm_status status = cm_profile_check(profile, &err);
    if (status != CM_MALFORMED || strncmp(err.text, part, strlen(part)) != 0)
        printf("    %s: %s\n", part, err.text);
    CU_ASSERT_EQUAL(status, CM_MALFORMED);
    CU_ASSERT_EQUAL(strncmp(err.text, part, strlen(part)), 0);
}

static struct cm_profile client(void)
{
    return *cm_profile_builtin("device-client");
}

static void test_subject_rules_that_cannot_work_are_refused(void)
{
    static const char *const texts[] = { "",           "${device",   "$device",   "$",
                                         "${}",        "${attr:}",   "${csr:}",   "${csr:nothing}",
                                         "${device|}", "${|device}", "${Device}", "$$$" };
    struct cm_profile profile = client();
    struct cm_subject_rule rule = { CM_SUBJECT_CN, NULL, false };
    profile.subject = &rule;
    for (size_t index = 0; index < sizeof texts / sizeof texts[0]; index++) {
        rule.text = texts[index];
        refuse(&profile, "subject[0]: the template");
    }
    rule = (struct cm_subject_rule){ CM_SUBJECT_FIELD_COUNT, "x", false };
    refuse(&profile, "subject[0]: no such");
    profile.subject_count = CM_SUBJECT_RULES_MAX + 1;
    refuse(&profile, "subject: more");
    rule = (struct cm_subject_rule){ CM_SUBJECT_CN, "$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$", false };
    profile.subject_count = 1;
    refuse(&profile, "subject[0]: the template has too many");
}

static void test_altname_rules_that_cannot_work_are_refused(void)
{
    struct cm_profile profile = client();
    struct cm_altname_rule rule = { CM_ALTNAME_DNS, "${attr:", NULL, false };
    profile.altnames = &rule;
    profile.altnames_count = 1;
    refuse(&profile, "altnames[0]: the template");
    rule = (struct cm_altname_rule){ CM_ALTNAME_COUNT, "x", NULL, false };
    refuse(&profile, "altnames[0]: no such");
    rule = (struct cm_altname_rule){ CM_ALTNAME_HARDWARE_MODULE, "x", NULL, false };
    refuse(&profile, "altnames[0]: a hardware module");
    rule = (struct cm_altname_rule){ CM_ALTNAME_DNS, "x", "1.2.3", false };
    refuse(&profile, "altnames[0]: an OID belongs");
    rule = (struct cm_altname_rule){ CM_ALTNAME_PERMANENT_ID, "x", "${", false };
    refuse(&profile, "altnames[0]: the template of the OID");
    rule = (struct cm_altname_rule){ CM_ALTNAME_DNS, "x", NULL, false };
    profile.csr_altnames = CM_ALTNAME_BIT(CM_ALTNAME_HARDWARE_MODULE);
    refuse(&profile, "csr_altnames:");
    profile.altnames_count = CM_ALTNAMES_MAX + 1;
    refuse(&profile, "altnames: more");
}

static void test_key_usages_that_contradict_the_profile_are_refused(void)
{
    struct cm_profile profile = client();
    profile.key_usage = CM_USAGE_KEY_CERT_SIGN;
    refuse(&profile, "key_usage: key-cert-sign");
    profile = client();
    profile.key_usage_rsa |= CM_USAGE_CRL_SIGN;
    refuse(&profile, "key_usage: key-cert-sign");
    profile = client();
    profile.key_usage = 0;
    refuse(&profile, "key_usage: at least");
    profile = client();
    profile.key_usage |= 1u << 7;
    refuse(&profile, "key_usage: a bit");
    profile = client();
    profile.key_usage |= CM_USAGE_KEY_ENCIPHERMENT;
    refuse(&profile, "key_usage: only RSA");
    profile = client();
    profile.key_usage |= CM_USAGE_KEY_AGREEMENT;
    refuse(&profile, "key_usage: Ed25519");
    profile.key_types = CM_KEY_TYPE_BIT(CM_KEY_P256);
    CU_ASSERT_EQUAL(cm_profile_check(&profile, NULL), CM_OK);
    profile.key_types = 0;
    refuse(&profile, "key_types:");
    profile = *cm_profile_builtin("sub-ca");
    profile.key_usage = CM_USAGE_CRL_SIGN;
    refuse(&profile, "key_usage: a CA");
}

static void test_ca_settings_that_contradict_each_other_are_refused(void)
{
    struct cm_profile profile = client();
    profile.path_len = 0;
    refuse(&profile, "path_len: only");
    profile.path_len = -2;
    refuse(&profile, "path_len: not");
    profile = *cm_profile_builtin("sub-ca");
    profile.path_len = 256;
    refuse(&profile, "path_len: not");
    profile = *cm_profile_builtin("sub-ca");
    profile.subject_count = 0;
    refuse(&profile, "subject: a CA");
    profile = client();
    profile.subject_count = 0;
    refuse(&profile, "neither");
}

static void test_times_out_of_range_are_refused(void)
{
    struct cm_profile profile = client();
    profile.validity_s = 0; /* as in a profile that nobody filled */
    refuse(&profile, "validity:");
    profile = client();
    profile.backdate_s = -1;
    refuse(&profile, "backdate: not");
    profile.backdate_s = 7 * 86400 + 1;
    refuse(&profile, "backdate: not");
    profile.backdate_s = profile.validity_s = 3600;
    refuse(&profile, "backdate: as long");
}

static void test_lists_with_mistakes_are_refused(void)
{
    struct cm_profile profile = client();
    const char *const unknown[] = { "client-auth", "clientauth" };
    const char *const twice[] = { "client-auth", "1.3.6.1.5.5.7.3.2" };
    const char *const any[] = { "2.5.29.37.0" };
    const char *const no_oid[] = { "1.2.3", "1.2.3." };
    const char *const same[] = { "1.2.3", "1.2.3" };
    profile.purposes = unknown;
    profile.purposes_count = 2;
    refuse(&profile, "purposes[1]: neither");
    profile.purposes = twice;
    refuse(&profile, "purposes[1]: stands");
    profile.purposes = any;
    profile.purposes_count = 1;
    CU_ASSERT_EQUAL(cm_profile_check(&profile, NULL), CM_OK);
    profile.purposes_critical = true;
    refuse(&profile, "purposes: any");
    profile = client();
    profile.policies = no_oid;
    profile.policies_count = 2;
    refuse(&profile, "policies[1]: not");
    profile.policies = same;
    refuse(&profile, "policies[1]: stands");
    profile.policies_count = 17;
    refuse(&profile, "purposes, policies:");
}

static void test_name_constraints_that_are_none_are_refused(void)
{
    static const char *const names[] = { "dns:a.b", "a.b" };
    static const char *const same[] = { "dns:a.b", "dns:a.b" };
    struct cm_profile profile = client();
    profile.excluded_names = names;
    profile.excluded_names_count = 1;
    refuse(&profile, "excluded_names: only a CA");
    profile = *cm_profile_builtin("sub-ca");
    profile.permitted_names = names;
    profile.permitted_names_count = 1;
    CU_ASSERT_EQUAL(cm_profile_check(&profile, NULL), CM_OK);
    profile.permitted_names_count = 2;
    refuse(&profile, "permitted_names[1]: expected dns:");
    profile.permitted_names = same;
    refuse(&profile, "permitted_names[1]: stands");
    profile.permitted_names_count = 65;
    refuse(&profile, "permitted_names: more");
}

/* --- text templates ------------------------------------------------------------------------------ */

static uint8_t space_bytes[64];

static enum cm_text_result expand(const char *text, const struct cm_template_input *in,
                                  struct cm_bytes *ret_text)
{
    struct cm_text_template template;
    struct cm_text_space space = { space_bytes, sizeof space_bytes, 0 };
    CU_ASSERT_PTR_NULL_FATAL(cm_text_template_parse(text, &template));
    return cm_text_template_expand(&template, in, &space, ret_text);
}

static void test_certificates_of_ocsp_responders_end(void)
{
    struct cm_profile profile = *cm_profile_builtin("ocsp-responder");
    profile.validity_s = CM_VALIDITY_NO_EXPIRY;
    refuse(&profile, "validity: ");
}

static void test_only_ocsp_responders_are_exempt_from_status_checks(void)
{
    static const char *const by_number[] = { "1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.9" };
    struct cm_profile profile = *cm_profile_builtin("ocsp-responder");
    struct cm_error err;
    profile.purposes = by_number;
    profile.purposes_count = 2;
    CU_ASSERT_EQUAL(cm_profile_check(&profile, &err), CM_OK);
    profile.purposes_count = 1;
    refuse(&profile, "ocsp_no_check: ");
    profile = client();
    profile.ocsp_no_check = true;
    refuse(&profile, "ocsp_no_check: ");
}

static void test_placeholders_take_the_first_value_that_is_there(void)
{
    const struct cm_attribute attributes[] = {
        { cm_bytes_str("serial"), cm_bytes_str("S1") },
        { cm_bytes_str("empty"), cm_bytes_str("") },
    };
    const struct cm_name name = { 1,
                                  { { CM_OID_COMMON_NAME, { (const uint8_t *)"from-csr", 8 } } } };
    const struct cm_template_input in = {
        .device = cm_bytes_str("D"),
        .attributes = attributes,
        .attributes_count = 2,
        .csr_name = &name,
    };
    static const char *const cases[][2] = {
        { "plain", "plain" },
        { "${device}", "D" },
        { "a$$b", "a$b" },
        { "$$${device}$$", "$D$" },
        { "${attr:serial}.${device}.example", "S1.D.example" },
        { "${attr:none|attr:empty|device}", "D" },
        { "x${attr:serial|device}y", "xS1y" },
        { "${csr:o|csr:cn}", "from-csr" },
    };
    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        struct cm_bytes text;
        CU_ASSERT_EQUAL(expand(cases[index][0], &in, &text), CM_TEXT_DONE);
        CU_ASSERT_TRUE(cm_bytes_is(text, cases[index][1]));
    }
}

static void test_placeholders_without_a_value_say_which_they_are(void)
{
    const struct cm_template_input in = { .device = cm_bytes_str("D") };
    struct cm_bytes text;
    CU_ASSERT_EQUAL(expand("x${attr:serial|csr:cn}", &in, &text), CM_TEXT_ABSENT);
    CU_ASSERT_TRUE(cm_bytes_is(text, "attr:serial"));
}

static void test_texts_longer_than_the_space_are_told_apart(void)
{
    char device[61];
    memset(device, 'd', sizeof device);
    const struct cm_template_input in = { .device = cm_bytes(device, sizeof device) };
    struct cm_bytes text;
    CU_ASSERT_EQUAL(expand("abc${device}", &in, &text), CM_TEXT_DONE);
    CU_ASSERT_EQUAL(text.size, 64);
    CU_ASSERT_EQUAL(expand("abcd${device}", &in, &text), CM_TEXT_TOO_LONG);
}

CM_TEST_SUITE(profile, CM_TEST(test_name_constraints_that_are_none_are_refused),
              CM_TEST(test_every_builtin_profile_is_good),
              CM_TEST(test_names_in_settings_go_there_and_back),
              CM_TEST(test_subject_rules_that_cannot_work_are_refused),
              CM_TEST(test_altname_rules_that_cannot_work_are_refused),
              CM_TEST(test_key_usages_that_contradict_the_profile_are_refused),
              CM_TEST(test_ca_settings_that_contradict_each_other_are_refused),
              CM_TEST(test_times_out_of_range_are_refused),
              CM_TEST(test_lists_with_mistakes_are_refused),
              CM_TEST(test_certificates_of_ocsp_responders_end),
              CM_TEST(test_only_ocsp_responders_are_exempt_from_status_checks),
              CM_TEST(test_placeholders_take_the_first_value_that_is_there),
              CM_TEST(test_placeholders_without_a_value_say_which_they_are),
              CM_TEST(test_texts_longer_than_the_space_are_told_apart));

/* The names in a certificate: of the device's records, and of the request. */
#include "engine/x509/template.h"

#include <stdio.h>

#include "tests/support/test_main.h"
#include "tests/unit/x509/template_rig.h"

/* --- names --------------------------------------------------------------------------------------- */

static void test_hostile_device_ids_are_refused(void)
{
    static const struct {
        const char *text;
        enum cm_refusal_code code;
    } cases[] = {
        { "a\x01", CM_REFUSAL_NAME_CONTROL_CHAR },
        { "a\nb", CM_REFUSAL_NAME_CONTROL_CHAR },
        { "a\xff", CM_REFUSAL_NAME_UTF8_INVALID },
        { "a\xc0\x80", CM_REFUSAL_NAME_UTF8_INVALID },
        { "\xed\xa0\x80", CM_REFUSAL_NAME_UTF8_INVALID },
        { "a\xe2\x80\xae", CM_REFUSAL_NAME_BIDI },
        { "a\xe2\x80\x8b"
          "b",
          CM_REFUSAL_NAME_INVISIBLE },
        { " a", CM_REFUSAL_NAME_WHITESPACE },
        { "a ", CM_REFUSAL_NAME_WHITESPACE },
        { "", CM_REFUSAL_POLICY_ATTRIBUTE_MISSING },
        { "01234567890123456789012345678901234567890123456789012345678901234",
          CM_REFUSAL_NAME_TOO_LONG },
    };
    struct cm_profile profile = builtin("device-client");
    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        input.device = cm_bytes_str(cases[index].text);
        refuse(&profile, cases[index].code);
    }
    input.device = cm_bytes("a\0b", 3);
    refuse(&profile, CM_REFUSAL_NAME_NUL);
}

static void test_bounds_count_characters_and_not_bytes(void)
{
    struct cm_profile profile = builtin("device-client");
    char text[2 * 64 + 2];
    for (size_t index = 0; index < 65; index++)
        memcpy(text + 2 * index, "\xc3\xbc", 2);
    input.device = cm_bytes(text, 128);
    issue(&profile);
    input.device = cm_bytes(text, 130);
    refuse(&profile, CM_REFUSAL_NAME_TOO_LONG);
}

static void test_names_do_not_break_out_of_their_attribute(void)
{
    struct cm_profile profile = builtin("device-client");
    input.device = cm_bytes_str("x, CN=admin/CN=root+O=\"1\"");
    issue(&profile);
    CU_ASSERT_TRUE(contains(tbs.der, "x, CN=admin/CN=root+O=\"1\""));
}

static void test_string_types_follow_the_attribute(void)
{
    const struct cm_subject_rule rules[] = { { CM_SUBJECT_C, "${attr:c}", false },
                                             { CM_SUBJECT_DC, "example", false },
                                             { CM_SUBJECT_SERIAL_NUMBER, "${device}", false } };
    struct cm_profile profile = builtin("device-client");
    struct cm_attribute attribute = { cm_bytes_str("c"), cm_bytes_str("DE") };
    profile.subject = rules;
    profile.subject_count = 3;
    input.attributes = &attribute;
    input.attributes_count = 1;
    issue(&profile);
    CU_ASSERT_TRUE(contains(tbs.der, "\x13\x02"
                                     "DE"));
    CU_ASSERT_TRUE(contains(tbs.der, "\x16\x07"
                                     "example"));
    CU_ASSERT_TRUE(contains(tbs.der, "\x13\x08"
                                     "device-1"));
    input.device = cm_bytes_str("device_1"); /* PrintableString has no underscore */
    refuse(&profile, CM_REFUSAL_NAME_CHARSET);
    static const char *const countries[] = { "de", "D", "DEU", "D1" };
    input.device = cm_bytes_str("device-1");
    for (size_t index = 0; index < 4; index++) {
        attribute.value = cm_bytes_str(countries[index]);
        CU_ASSERT_FALSE(compose(&profile));
    }
}

static void test_an_absent_attribute_is_named(void)
{
    const struct cm_subject_rule rule = { CM_SUBJECT_CN, "${attr:serial}", false };
    struct cm_profile profile = builtin("device-client");
    profile.subject = &rule;
    refuse(&profile, CM_REFUSAL_POLICY_ATTRIBUTE_MISSING);
    CU_ASSERT_PTR_NOT_NULL(strstr(refusal.message, "${attr:serial}"));
}

static void test_an_empty_subject_needs_a_critical_name(void)
{
    const struct cm_subject_rule subject = { CM_SUBJECT_CN, "${attr:cn}", true };
    const struct cm_altname_rule altname = { CM_ALTNAME_URI, "urn:dev:${device}", NULL, false };
    struct cm_profile profile = builtin("device-client");
    profile.subject = &subject;
    refuse(&profile, CM_REFUSAL_NAME_EMPTY);
    profile.altnames = &altname;
    profile.altnames_count = 1;
    issue(&profile); /* the linter wants the extension critical */
    CU_ASSERT_TRUE(contains(tbs.der, "urn:dev:device-1"));
}

static void test_the_issuers_name_is_not_for_devices(void)
{
    struct cm_profile profile = builtin("device-client");
    input.device = cm_bytes_str("Issuer");
    refuse(&profile, CM_REFUSAL_NAME_IS_ISSUER);
    issuer.spki = input.spki; /* not even with the issuer's key */
    refuse(&profile, CM_REFUSAL_NAME_IS_ISSUER);
}

static void test_other_names_hold_what_their_standards_say(void)
{
    const struct cm_altname_rule rules[] = {
        { CM_ALTNAME_HARDWARE_MODULE, "${device}", "1.2.3.4", false },
        { CM_ALTNAME_PERMANENT_ID, "${device}", NULL, false },
        { CM_ALTNAME_PERMANENT_ID, "${device}", "${attr:assigner}", true },
    };
    struct cm_profile profile = builtin("device-client");
    struct cm_attribute attribute = { cm_bytes_str("assigner"), cm_bytes_str("1.2.5") };
    profile.altnames = rules;
    profile.altnames_count = 3;
    input.attributes = &attribute;
    input.attributes_count = 1;
    issue(&profile);
    CU_ASSERT_TRUE(contains(tbs.der, "\x06\x03\x2a\x03\x04\x04\x08"
                                     "device-1"));
    CU_ASSERT_TRUE(contains(tbs.der, "\x30\x0a\x0c\x08"
                                     "device-1"));
    CU_ASSERT_TRUE(contains(tbs.der, "\x30\x0e\x0c\x08"
                                     "device-1\x06\x02\x2a\x05"));
    attribute.value = cm_bytes_str("1.2.x");
    refuse(&profile, CM_REFUSAL_DER_OID_INVALID);
    input.attributes_count = 0; /* optional: left out */
    issue(&profile);
}

static void test_hostile_names_of_records_are_refused(void)
{
    static const struct {
        enum cm_altname_kind kind;
        const char *value;
        enum cm_refusal_code code;
    } cases[] = {
        { CM_ALTNAME_DNS, "a..b", CM_REFUSAL_SAN_DNS_SYNTAX },
        { CM_ALTNAME_DNS, "-a.example", CM_REFUSAL_SAN_DNS_SYNTAX },
        { CM_ALTNAME_DNS, "a_b.example", CM_REFUSAL_SAN_DNS_SYNTAX },
        { CM_ALTNAME_DNS, "a b.example", CM_REFUSAL_SAN_DNS_SYNTAX },
        { CM_ALTNAME_DNS, " ", CM_REFUSAL_SAN_DNS_SYNTAX },
        { CM_ALTNAME_DNS, "10.1.2.3", CM_REFUSAL_SAN_DNS_SYNTAX },
        { CM_ALTNAME_DNS, "*.example", CM_REFUSAL_SAN_WILDCARD },
        { CM_ALTNAME_DNS, "b\xc3\xbc.example", CM_REFUSAL_SAN_NOT_ASCII },
        { CM_ALTNAME_URI, "no-scheme", CM_REFUSAL_SAN_URI_SYNTAX },
        { CM_ALTNAME_URI, "/relative", CM_REFUSAL_SAN_URI_SYNTAX },
        { CM_ALTNAME_URI, "urn:a b", CM_REFUSAL_SAN_URI_SYNTAX },
        { CM_ALTNAME_IP, "10.1.2", CM_REFUSAL_SAN_IP_LENGTH },
        { CM_ALTNAME_IP, "10.1.2.3/8", CM_REFUSAL_SAN_IP_LENGTH },
        { CM_ALTNAME_IP, "10.1.2.300", CM_REFUSAL_SAN_IP_LENGTH },
        { CM_ALTNAME_IP, "0.0.0.0", CM_REFUSAL_SAN_IP_NOT_ALLOWED },
        { CM_ALTNAME_IP, "ff02::1", CM_REFUSAL_SAN_IP_NOT_ALLOWED },
        { CM_ALTNAME_EMAIL, "nobody", CM_REFUSAL_SAN_EMAIL_SYNTAX },
        { CM_ALTNAME_EMAIL, "a@b@c", CM_REFUSAL_SAN_EMAIL_SYNTAX },
        { CM_ALTNAME_HARDWARE_MODULE, "a\x01", CM_REFUSAL_NAME_CONTROL_CHAR },
    };
    struct cm_profile profile = builtin("device-client");
    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        const struct cm_altname_rule rule = {
            cases[index].kind, "${attr:name}",
            cases[index].kind == CM_ALTNAME_HARDWARE_MODULE ? "1.2.3" : NULL, false
        };
        const struct cm_attribute attribute = { cm_bytes_str("name"),
                                                cm_bytes_str(cases[index].value) };
        profile.altnames = &rule;
        profile.altnames_count = 1;
        input.attributes = &attribute;
        input.attributes_count = 1;
        refuse(&profile, cases[index].code);
    }
}

/* --- names from the CSR --------------------------------------------------------------------------- */

static void test_names_of_the_request_are_taken_only_where_the_profile_says_so(void)
{
    const struct cm_san sans[] = { { CM_SAN_DNS, cm_bytes_str("evil.example") },
                                   { CM_SAN_URI, cm_bytes_str("urn:evil:1") } };
    struct cm_profile profile = builtin("device-client");
    input.csr_sans = sans;
    input.csr_sans_count = 2;
    issue(&profile);
    CU_ASSERT_FALSE(contains(tbs.der, "evil"));
    profile.csr_altnames = CM_ALTNAME_BIT(CM_ALTNAME_URI);
    issue(&profile);
    CU_ASSERT_TRUE(contains(tbs.der, "urn:evil:1"));
    CU_ASSERT_FALSE(contains(tbs.der, "evil.example"));
    profile.csr_names_strict = true;
    refuse(&profile, CM_REFUSAL_SAN_TYPE_NOT_ALLOWED);
}

static void test_names_of_the_request_must_be_the_devices_where_the_profile_says_so(void)
{
    const struct cm_attribute attributes[] = {
        { cm_bytes_str("dns"), cm_bytes_str("device-1.plant.example") },
        { cm_bytes_str("second"), cm_bytes_str("d1.plant.example") },
        { cm_bytes_str("ip"), cm_bytes_str("10.0.0.7") },
        { cm_bytes_str("ip6"), cm_bytes_str("2001:db8::7") },
    };
    struct cm_san sans[] = { { CM_SAN_DNS, cm_bytes_str("D1.plant.Example") },
                             { CM_SAN_IP, cm_bytes("\x0a\x00\x00\x07", 4) } };
    struct cm_profile profile = builtin("device-server");
    input.attributes = attributes;
    input.attributes_count = 4;
    input.csr_sans = sans;
    input.csr_sans_count = 2;
    issue(&profile);
    CU_ASSERT_TRUE(contains(tbs.der, "D1.plant.Example"));
    sans[1].value = cm_bytes("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07", 16);
    issue(&profile);
    sans[1].value = cm_bytes("\x0a\x00\x00\x08", 4);
    refuse(&profile, CM_REFUSAL_SAN_NOT_OWNED);
    sans[0].value = cm_bytes_str("device-2.plant.example");
    refuse(&profile, CM_REFUSAL_SAN_NOT_OWNED);
}

static void test_a_name_stands_once_whoever_brings_it(void)
{
    const struct cm_san sans[] = { { CM_SAN_DNS, cm_bytes_str("DEVICE-1") } };
    struct cm_profile profile = builtin("device-server");
    input.csr_sans = sans;
    input.csr_sans_count = 1;
    issue(&profile);
    CU_ASSERT_FALSE(contains(tbs.der, "DEVICE-1"));
}

static void test_more_names_than_the_limit_are_refused(void)
{
    struct cm_san sans[CM_ALTNAMES_MAX + 1];
    struct cm_profile profile = builtin("device-client");
    profile.csr_altnames = CM_ALTNAME_BIT(CM_ALTNAME_DNS);
    for (size_t index = 0; index < CM_ALTNAMES_MAX + 1; index++)
        sans[index] =
            (struct cm_san){ CM_SAN_DNS,
                             cm_bytes_str(cm_arena_printf(&arena, "n%zu.example", index)) };
    input.csr_sans = sans;
    input.csr_sans_count = CM_ALTNAMES_MAX;
    issue(&profile);
    input.csr_sans_count++;
    refuse(&profile, CM_REFUSAL_SAN_TOO_MANY);
}

static void test_a_subject_from_the_request_must_be_the_devices_where_the_profile_says_so(void)
{
    const struct cm_subject_rule rule = { CM_SUBJECT_CN, "${csr:cn|device}", false };
    struct cm_name name = { 1, { { CM_OID_COMMON_NAME, cm_bytes_str("someone") } } };
    struct cm_profile profile = builtin("device-client");
    profile.subject = &rule;
    input.csr_name = &name;
    issue(&profile);
    CU_ASSERT_TRUE(contains(tbs.der, "someone"));
    profile.csr_names_must_match = true;
    refuse(&profile, CM_REFUSAL_POLICY_NAME_NOT_ALLOWED);
    name.attributes[0].value = input.device;
    issue(&profile);
    input.csr_name = NULL;
    issue(&profile);
}

CM_TEST_SUITE_WITH(
    template_names, set_up, tear_down, CM_TEST(test_hostile_device_ids_are_refused),
    CM_TEST(test_bounds_count_characters_and_not_bytes),
    CM_TEST(test_names_do_not_break_out_of_their_attribute),
    CM_TEST(test_string_types_follow_the_attribute), CM_TEST(test_an_absent_attribute_is_named),
    CM_TEST(test_an_empty_subject_needs_a_critical_name),
    CM_TEST(test_the_issuers_name_is_not_for_devices),
    CM_TEST(test_other_names_hold_what_their_standards_say),
    CM_TEST(test_hostile_names_of_records_are_refused),
    CM_TEST(test_names_of_the_request_are_taken_only_where_the_profile_says_so),
    CM_TEST(test_names_of_the_request_must_be_the_devices_where_the_profile_says_so),
    CM_TEST(test_a_name_stands_once_whoever_brings_it),
    CM_TEST(test_more_names_than_the_limit_are_refused),
    CM_TEST(test_a_subject_from_the_request_must_be_the_devices_where_the_profile_says_so));

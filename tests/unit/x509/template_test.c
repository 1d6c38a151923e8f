/* Composing with an issuer made of constants, so that nothing in here depends on a clock or a key. */
#include "engine/x509/template.h"

#include <openssl/evp.h>
#include <stdio.h>

#include "engine/x509/certificate.h"
#include "engine/x509/der_writer.h"
#include "engine/x509/lint.h"
#include "tests/support/test_main.h"

#define ISSUED_S INT64_C(1767268800) /* 2026-01-01 12:00:00 */
#define DAY_S    INT64_C(86400)

/* CN=Issuer, UTF8String */
static const uint8_t issuer_name[] = { 0x30, 0x11, 0x31, 0x0f, 0x30, 0x0d, 0x06, 0x03, 0x55, 0x04,
                                       0x03, 0x0c, 0x06, 'I',  's',  's',  'u',  'e',  'r' };
/* The generator of P-256. */
static const uint8_t spki[] = {
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04, 0x6b, 0x17, 0xd1, 0xf2, 0xe1,
    0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d,
    0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96, 0x4f, 0xe3, 0x42, 0xe2, 0xfe,
    0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce, 0x33, 0x57, 0x6b,
    0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5
};

static struct cm_arena arena;
static struct cm_composer *composer;
static struct cm_issuer issuer;
static struct cm_template_input input;
static struct cm_refusal refusal;
static struct cm_tbs tbs;

/* A fresh issuer, valid from 2020 to 2060, and a fresh input; tests change what they are about. */
static void reset(void)
{
    issuer = (struct cm_issuer){
        .name = cm_bytes(issuer_name, sizeof issuer_name),
        .ski = cm_bytes("0123456789abcdefghij", 20),
        .spki = cm_bytes("", 0),
        .not_before_s = 1577836800,
        .not_after_s = 2840140799,
        .path_len = CM_PATH_LEN_NONE,
        .sigalg = CM_SIGALG_ECDSA_SHA256,
        .crl_shards = 8,
        .crl_url = "http://pki.example/crl/i/${shard}.crl",
        .ocsp_url = "http://pki.example/ocsp",
        .ca_issuers_url = "http://pki.example/ca/i.cer",
    };
    input = (struct cm_template_input){
        .serial = cm_bytes("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0d", 12),
        .issue_time_s = ISSUED_S,
        .device = cm_bytes_str("device-1"),
        .spki = cm_bytes(spki, sizeof spki),
        .key_type = CM_KEY_P256,
    };
    refusal = (struct cm_refusal){ 0 };
}

static bool compose(const struct cm_profile *profile)
{
    struct cm_template *template = NULL;
    struct cm_error err = { 0 };
    if (cm_template_build(profile, &issuer, &template, &err) != CM_OK)
        printf("    %s\n", err.text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(template);
    refusal = (struct cm_refusal){ 0 };
    bool is_composed = cm_template_compose(template, composer, &input, &arena, &tbs, &refusal);
    cm_template_free(template);
    return is_composed;
}

/* Composed, linted, and read back. */
static struct cm_certificate issue(const struct cm_profile *profile)
{
    struct cm_certificate certificate = { 0 };
    struct cm_error err = { 0 };
    if (!compose(profile) || !cm_lint_tbs(composer, tbs.der, profile, &issuer, &refusal))
        printf("    %s\n", refusal.message);
    CU_ASSERT_EQUAL_FATAL(refusal.code, CM_REFUSAL_NONE);
    struct cm_bytes der =
        cm_certificate_assemble(tbs.der, issuer.sigalg, cm_bytes("sig", 3), &arena);
    CU_ASSERT_EQUAL_FATAL(cm_certificate_read(der, &certificate, &err), CM_OK);
    return certificate;
}

static void refuse(const struct cm_profile *profile, enum cm_refusal_code code)
{
    CU_ASSERT_FALSE(compose(profile));
    if (refusal.code != code)
        printf("    %s: %s\n", cm_refusal_name(refusal.code), refusal.message);
    CU_ASSERT_EQUAL(refusal.code, code);
}

static struct cm_profile builtin(const char *name)
{
    reset();
    return *cm_profile_builtin(name);
}

static bool contains(struct cm_bytes whole, const char *part)
{
    return memmem(whole.data, whole.size, part, strlen(part)) != NULL;
}

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
    CU_ASSERT_TRUE(cm_bytes_equal(certificate.ski, cm_bytes(tbs.ski, 20)));
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

static int set_up(void)
{
    cm_arena_init(&arena, 1 << 16);
    return cm_composer_new(&composer, NULL) != CM_OK;
}

static int tear_down(void)
{
    cm_composer_free(composer);
    cm_arena_done(&arena);
    return 0;
}

CM_TEST_SUITE_WITH(
    template, set_up, tear_down, CM_TEST(test_the_same_input_gives_the_same_bytes_for_ever),
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
    CM_TEST(test_hostile_device_ids_are_refused),
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
    CM_TEST(test_a_subject_from_the_request_must_be_the_devices_where_the_profile_says_so),
    CM_TEST(test_key_types_that_the_profile_does_not_have_are_refused),
    CM_TEST(test_both_methods_make_the_key_identifier),
    CM_TEST(test_issuers_that_cannot_issue_are_refused),
    CM_TEST(test_path_lengths_go_down_from_ca_to_ca),
    CM_TEST(test_policies_and_critical_purposes_are_written));

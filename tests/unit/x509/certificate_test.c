/*
 * Certificates put together and read back: every built-in profile with every key type, in the eyes
 * of OpenSSL's parser. The programs that verify certificates are in interop_test.c.
 */
#include <openssl/asn1.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/x509/authority.h"
#include "engine/x509/lint.h"
#include "engine/x509/pem_writer.h"
#include "tests/support/test_main.h"
#include "tests/unit/x509/pki.h"

static int64_t seconds_of(const ASN1_TIME *time)
{
    struct tm tm;
    CU_ASSERT_EQUAL(ASN1_TIME_to_tm(time, &tm), 1);
    return timegm(&tm);
}

static bool is_octets(const ASN1_OCTET_STRING *string, struct cm_bytes bytes)
{
    return string
           && cm_bytes_equal(
               cm_bytes(ASN1_STRING_get0_data(string), (size_t)ASN1_STRING_length(string)), bytes);
}

static void check_fields(const struct pki_issued *issued)
{
    X509 *x509 = pki_parse(issued->der);
    X509 *issuer = pki_parse(pki.issuing);
    struct cm_certificate read;
    CU_ASSERT_EQUAL_FATAL(cm_certificate_read(issued->der, &read, NULL), CM_OK);
    CU_ASSERT_EQUAL(X509_get_version(x509), X509_VERSION_3);
    CU_ASSERT_EQUAL(X509_verify(x509, pki.issuing_key.key), 1);
    CU_ASSERT_EQUAL(X509_check_issued(issuer, x509), X509_V_OK);
    CU_ASSERT_EQUAL(X509_NAME_cmp(X509_get_issuer_name(x509), X509_get_subject_name(issuer)), 0);
    CU_ASSERT_EQUAL(seconds_of(X509_get0_notBefore(x509)), read.not_before_s);
    CU_ASSERT_EQUAL(seconds_of(X509_get0_notAfter(x509)), read.not_after_s);
    CU_ASSERT_EQUAL(read.not_before_s, issued->tbs.not_before_s);
    CU_ASSERT_EQUAL(read.not_after_s, issued->tbs.not_after_s);
    CU_ASSERT_TRUE(is_octets(X509_get0_subject_key_id(x509), read.ski));
    CU_ASSERT_TRUE(is_octets(X509_get0_authority_key_id(x509), read.aki));
    CU_ASSERT_TRUE(cm_bytes_equal(read.aki, pki.issuer.ski));
    CU_ASSERT_EQUAL(X509_check_ca(x509), read.is_ca ? 1 : 0);
    CU_ASSERT_EQUAL(read.is_ca, issued->profile->ca);
    CU_ASSERT_EQUAL(X509_get_pathlen(x509), issued->profile->path_len);
    CU_ASSERT_EQUAL(read.path_len, issued->profile->path_len);
    CU_ASSERT_TRUE(is_octets(X509_get0_serialNumber(x509), read.serial));
    CU_ASSERT_EQUAL(EVP_PKEY_eq(X509_get0_pubkey(x509), pki.keys[issued->type].key), 1);
    CU_ASSERT_TRUE(cm_bytes_equal(read.tbs, issued->tbs.der));
    X509_free(x509);
    X509_free(issuer);
}

static void test_every_profile_and_key_type_reads_the_same_in_openssl(void)
{
    pki_for_each_profile(check_fields);
}

/* What OpenSSL makes of it again is what we wrote: nothing in it is not DER. */
static void check_reencoding(const struct pki_issued *issued)
{
    X509 *x509 = pki_parse(issued->der);
    unsigned char *again = NULL;
    int size = i2d_re_X509_tbs(x509, &again);
    CU_ASSERT_TRUE(size > 0 && cm_bytes_equal(cm_bytes(again, (size_t)size), issued->tbs.der));
    OPENSSL_free(again);
    X509_free(x509);
}

static void test_openssl_encodes_the_same_bytes_again(void)
{
    pki_for_each_profile(check_reencoding);
}

static void check_purpose(const struct pki_issued *issued)
{
    X509 *x509 = pki_parse(issued->der);
    bool is_client = !strcmp(issued->profile->name, "device-client")
                     || !strcmp(issued->profile->name, "gateway");
    bool is_server = !strcmp(issued->profile->name, "device-server")
                     || !strcmp(issued->profile->name, "gateway");
    if (is_client || is_server) {
        CU_ASSERT_EQUAL(X509_check_purpose(x509, X509_PURPOSE_SSL_CLIENT, 0), is_client);
        CU_ASSERT_EQUAL(X509_check_purpose(x509, X509_PURPOSE_SSL_SERVER, 0), is_server);
    }
    bool is_responder = !strcmp(issued->profile->name, "ocsp-responder");
    CU_ASSERT_EQUAL(X509_get_extended_key_usage(x509) == XKU_OCSP_SIGN, is_responder);
    CU_ASSERT_EQUAL(X509_get_ext_by_NID(x509, NID_id_pkix_OCSP_noCheck, -1) >= 0, is_responder);
    if (is_responder) {
        ASN1_NULL *exempt = X509_get_ext_d2i(x509, NID_id_pkix_OCSP_noCheck, NULL, NULL);
        CU_ASSERT_PTR_NOT_NULL(exempt);
        CU_ASSERT_EQUAL(X509_get_ext_by_NID(x509, NID_crl_distribution_points, -1), -1);
        CU_ASSERT_EQUAL(X509_get_ext_by_NID(x509, NID_info_access, -1), -1);
        CU_ASSERT_EQUAL(issued->tbs.not_after_s - issued->tbs.not_before_s, 30 * 86400 - 1);
        ASN1_NULL_free(exempt);
    }
    if (is_server) {
        CU_ASSERT_EQUAL(X509_check_host(x509, "device-0001.plant.example", 0, 0, NULL), 1);
        CU_ASSERT_EQUAL(X509_check_host(x509, "device-0002.plant.example", 0, 0, NULL), 0);
        CU_ASSERT_EQUAL(X509_check_ip_asc(x509, "10.1.2.3", 0), 1);
    }
    X509_free(x509);
}

static void test_certificates_serve_the_purpose_of_their_profile_only(void)
{
    pki_for_each_profile(check_purpose);
}

/* The root and the issuing CA by themselves: the other tests trust them. */
static void test_authority_certificates_are_good_chains(void)
{
    X509 *root = pki_parse(pki.root);
    X509 *issuing = pki_parse(pki.issuing);
    CU_ASSERT_EQUAL(X509_self_signed(root, 1), 1);
    CU_ASSERT_EQUAL(X509_get_pathlen(root), -1);
    CU_ASSERT_EQUAL(X509_get_pathlen(issuing), 1);
    CU_ASSERT_EQUAL(X509_check_ca(root), 1);
    CU_ASSERT_EQUAL(X509_get_key_usage(issuing), KU_KEY_CERT_SIGN | KU_CRL_SIGN);
    CU_ASSERT_EQUAL(X509_verify(issuing, pki.root_key.key), 1);
    X509_free(root);
    X509_free(issuing);
}

static void test_an_authority_of_every_key_type_and_algorithm_signs(void)
{
    for (unsigned alg = 1; alg < CM_SIGALG_COUNT; alg++) {
        for (unsigned type = 1; type < CM_KEY_TYPE_COUNT; type++) {
            if (!cm_sigalg_fits((enum cm_sigalg)alg, (enum cm_key_type)type))
                continue;
            struct cm_attribute cn = { cm_bytes_str("cn"), cm_bytes_str("Root") };
            struct cm_authority_input in = {
                .profile = cm_profile_builtin("root-ca"),
                .sigalg = (enum cm_sigalg)alg,
                .serial = cm_bytes("\x11", 1),
                .issue_time_s = pki.now_s,
                .spki = pki.keys[type].spki,
                .key_type = (enum cm_key_type)type,
                .attributes = &cn,
                .attributes_count = 1,
            };
            struct cm_tbs tbs;
            CU_ASSERT_EQUAL_FATAL(cm_authority_compose(pki.composer, &in, &pki.arena, &tbs, NULL),
                                  CM_OK);
            struct cm_bytes signature = pki_sign(&pki.keys[type], in.sigalg, tbs.der);
            X509 *x509 =
                pki_parse(cm_certificate_assemble(tbs.der, in.sigalg, signature, &pki.arena));
            CU_ASSERT_EQUAL(X509_self_signed(x509, 1), 1);
            X509_free(x509);
        }
    }
}

static void test_an_authority_without_a_name_is_refused(void)
{
    struct cm_authority_input in = {
        .profile = cm_profile_builtin("root-ca"),
        .sigalg = CM_SIGALG_ECDSA_SHA256,
        .serial = cm_bytes("\x11", 1),
        .issue_time_s = pki.now_s,
        .spki = pki.keys[CM_KEY_P256].spki,
        .key_type = CM_KEY_P256,
    };
    struct cm_tbs tbs;
    struct cm_error err;
    CU_ASSERT_EQUAL(cm_authority_compose(pki.composer, &in, &pki.arena, &tbs, &err), CM_MALFORMED);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "policy.attribute-missing"));
}

/* Every prefix and every single flipped byte: refused or read, never a crash. */
static void test_damaged_certificates_are_read_or_refused(void)
{
    struct cm_certificate certificate;
    size_t size = pki.issuing.size;
    uint8_t *copy = cm_arena_alloc(&pki.arena, size);
    for (size_t cut = 0; cut < size; cut++) {
        memcpy(copy, pki.issuing.data, size);
        CU_ASSERT_EQUAL(cm_certificate_read(cm_bytes(copy, cut), &certificate, NULL), CM_MALFORMED);
    }
    for (size_t at = 0; at < size; at++)
        for (unsigned flip = 1; flip < 256; flip <<= 1) {
            memcpy(copy, pki.issuing.data, size);
            copy[at] ^= (uint8_t)flip;
            (void)!cm_certificate_read(cm_bytes(copy, size), &certificate, NULL);
        }
}

static void test_certificates_of_devices_are_no_issuers(void)
{
    struct cm_template_input in = pki_input(CM_KEY_P256);
    struct cm_certificate certificate;
    struct cm_issuer issuer;
    struct cm_tbs tbs;
    struct cm_refusal refusal;
    struct cm_error err;
    CU_ASSERT_FATAL(
        pki_compose(cm_profile_builtin("device-client"), &pki.issuer, &in, &tbs, &refusal));
    struct cm_bytes der =
        cm_certificate_assemble(tbs.der, pki.issuer.sigalg, cm_bytes("\x30\x00", 2), &pki.arena);
    CU_ASSERT_EQUAL_FATAL(cm_certificate_read(der, &certificate, &err), CM_OK);
    CU_ASSERT_EQUAL(cm_issuer_from_certificate(&certificate, &issuer, &err), CM_MISMATCH);
}

static void test_pem_is_what_openssl_writes(void)
{
    BIO *bio = BIO_new(BIO_s_mem());
    X509 *x509 = pki_parse(pki.issuing);
    char *text;
    CU_ASSERT_EQUAL(PEM_write_bio_X509(bio, x509), 1);
    size_t size = (size_t)BIO_get_mem_data(bio, &text);
    struct cm_bytes ours = cm_pem_write("CERTIFICATE", pki.issuing, &pki.arena);
    CU_ASSERT_TRUE(cm_bytes_equal(ours, cm_bytes(text, size)));
    for (size_t length = 0; length < 200; length++) {
        struct cm_bytes pem = cm_pem_write("X", cm_bytes(pki.issuing.data, length), &pki.arena);
        CU_ASSERT_EQUAL(strlen((const char *)pem.data), pem.size);
    }
    X509_free(x509);
    BIO_free(bio);
}

/* A small generator of its own: the same values in every run. */
static uint32_t next_random(void)
{
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32);
}

/* Mostly text that could stand in a name, with the odd byte that could not. */
static struct cm_bytes random_text(void)
{
    static const char likely[] = "abcXYZ019.-:/@ _*\xc3\xbc%[]";
    size_t size = next_random() % 10;
    uint8_t *text = cm_arena_alloc(&pki.arena, size + 1);
    for (size_t index = 0; index < size; index++)
        text[index] = next_random() % 64 == 0
                          ? (uint8_t)next_random()
                          : (uint8_t)likely[next_random() % (sizeof likely - 1)];
    return cm_bytes(text, size);
}

static const struct cm_subject_rule odd_subject[] = {
    { CM_SUBJECT_CN, "${attr:a}", true },
    { CM_SUBJECT_SERIAL_NUMBER, "${attr:b}", true },
    { CM_SUBJECT_DC, "${attr:c}", true },
};
static const struct cm_altname_rule odd_altnames[] = {
    { CM_ALTNAME_URI, "urn:x:${attr:d}", NULL, true },
    { CM_ALTNAME_DNS, "${attr:e}", NULL, true },
    { CM_ALTNAME_EMAIL, "${attr:f}@example.org", NULL, true },
    { CM_ALTNAME_HARDWARE_MODULE, "${attr:g}", "1.2.3", true },
    { CM_ALTNAME_PERMANENT_ID, "${device}", "2.999", true },
};

/* The linter and OpenSSL take what was composed, and OpenSSL encodes it to the same bytes. */
static void expect_good(const struct cm_tbs *tbs, const struct cm_profile *profile)
{
    struct cm_refusal refusal = { 0 };
    struct pki_issued issued = { .profile = profile, .tbs = *tbs };
    if (!cm_lint_tbs(pki.composer, tbs->der, profile, &pki.issuer, &refusal))
        printf("    %s\n", refusal.message);
    CU_ASSERT_EQUAL(refusal.code, CM_REFUSAL_NONE);
    issued.der =
        cm_certificate_assemble(tbs->der, pki.issuer.sigalg, cm_bytes("\x30\x00", 2), &pki.arena);
    check_reencoding(&issued);
}

static void test_whatever_a_record_holds_is_refused_or_makes_a_good_certificate(void)
{
    static const char *const keys[] = { "a", "b", "c", "d", "e", "f", "g" };
    struct cm_profile profile = *cm_profile_builtin("device-client");
    size_t composed = 0, rounds = 20000;
    profile.subject = odd_subject;
    profile.subject_count = 3;
    profile.altnames = odd_altnames;
    profile.altnames_count = 5;
    struct cm_template *template = pki_template(&profile, &pki.issuer);
    for (size_t round = 0; round < rounds; round++) {
        struct cm_template_input in = pki_input(CM_KEY_P256);
        struct cm_attribute record[2]; /* few, else one of them always refuses */
        struct cm_refusal refusal;
        struct cm_tbs tbs;
        for (size_t index = 0; index < 2; index++)
            record[index] =
                (struct cm_attribute){ cm_bytes_str(keys[next_random() % 7]), random_text() };
        in.device = random_text();
        in.attributes = record;
        in.attributes_count = 2;
        if (!cm_template_compose(template, pki.composer, &in, &pki.arena, &tbs, &refusal))
            continue;
        composed++;
        expect_good(&tbs, &profile);
    }
    cm_template_free(template);
    /* Both happen often, else this test tests little. */
    CU_ASSERT_TRUE(composed > rounds / 20 && composed < rounds);
}

static int set_up(void)
{
    return pki_init(CM_KEY_P256);
}

CM_TEST_SUITE_WITH(certificate, set_up, pki_done,
                   CM_TEST(test_authority_certificates_are_good_chains),
                   CM_TEST(test_an_authority_of_every_key_type_and_algorithm_signs),
                   CM_TEST(test_an_authority_without_a_name_is_refused),
                   CM_TEST(test_every_profile_and_key_type_reads_the_same_in_openssl),
                   CM_TEST(test_openssl_encodes_the_same_bytes_again),
                   CM_TEST(test_certificates_serve_the_purpose_of_their_profile_only),
                   CM_TEST(test_whatever_a_record_holds_is_refused_or_makes_a_good_certificate),
                   CM_TEST(test_damaged_certificates_are_read_or_refused),
                   CM_TEST(test_certificates_of_devices_are_no_issuers),
                   CM_TEST(test_pem_is_what_openssl_writes));

/* OCSP responses, in the eyes of OpenSSL. */
#include "engine/x509/ocsp_response.h"

#include <openssl/ocsp.h>
#include <stdio.h>

#include "engine/base/hash.h"
#include "engine/x509/certificate.h"
#include "engine/x509/serial.h"
#include "tests/support/test_main.h"
#include "tests/unit/x509/crl_rig.h"

/* --- a responder ---------------------------------------------------------------------------------- */

/* DER, in the arena. */
static struct cm_bytes cert_id(const EVP_MD *hash, struct cm_bytes serial)
{
    ASN1_INTEGER *number = crl_rig_integer(serial);
    OCSP_CERTID *id = pki_cert_id(hash, number);
    unsigned char *der = NULL;
    int size = i2d_OCSP_CERTID(id, &der);
    struct cm_bytes copy = cm_arena_copy(&pki.arena, cm_bytes(der, (size_t)size));
    OPENSSL_free(der);
    OCSP_CERTID_free(id);
    ASN1_INTEGER_free(number);
    return copy;
}

static struct cm_ocsp_single single_of(const EVP_MD *hash, struct cm_bytes serial)
{
    return (struct cm_ocsp_single){ .cert_id = cert_id(hash, serial),
                                    .this_update_s = pki.now_s,
                                    .next_update_s = pki.now_s + 3600 };
}

/* Signed by the issuing CA itself. */
static struct cm_ocsp_response response_of(const struct cm_ocsp_single *singles, uint32_t count)
{
    struct cm_ocsp_response response = { .produced_s = pki.now_s,
                                         .singles = singles,
                                         .singles_count = count };
    struct cm_ocsp_issuer_hashes hashes;
    CU_ASSERT_TRUE_FATAL(cm_ocsp_hash_issuer(pki.issuer.name, pki.issuing_key.spki, &hashes));
    memcpy(response.responder_key_hash, hashes.key_sha1, sizeof hashes.key_sha1);
    return response;
}

static struct cm_bytes compose(const struct cm_ocsp_response *response)
{
    struct cm_bytes tbs = { 0 };
    struct cm_error err = { 0 };
    if (cm_ocsp_compose(response, &pki.arena, &tbs, &err) != CM_OK)
        printf("    %s\n", err.text);
    CU_ASSERT_EQUAL_FATAL(err.status, CM_OK);
    return tbs;
}

static struct cm_bytes sign(const struct cm_ocsp_response *response, const struct pki_key *key,
                            struct cm_bytes certificate)
{
    struct cm_bytes tbs = compose(response);
    enum cm_sigalg sigalg = cm_sigalg_default(key->type);
    return cm_ocsp_assemble(tbs, sigalg, pki_sign(key, sigalg, tbs), certificate, &pki.arena);
}

/* --- what OpenSSL makes of it --------------------------------------------------------------------- */

static OCSP_BASICRESP *parse_response(struct cm_bytes der)
{
    const unsigned char *next = der.data;
    OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &next, (long)der.size);
    CU_ASSERT_TRUE_FATAL(response && next == der.data + der.size);
    CU_ASSERT_EQUAL(OCSP_response_status(response), OCSP_RESPONSE_STATUS_SUCCESSFUL);
    unsigned char *again = NULL;
    int size = i2d_OCSP_RESPONSE(response, &again);
    CU_ASSERT_TRUE(cm_bytes_equal(cm_bytes(again, (size_t)size), der));
    OPENSSL_free(again);
    OCSP_BASICRESP *basic = OCSP_response_get1_basic(response);
    CU_ASSERT_PTR_NOT_NULL_FATAL(basic);
    again = NULL;
    size = i2d_OCSP_BASICRESP(basic, &again);
    CU_ASSERT_TRUE(size > 0 && memmem(der.data, der.size, again, (size_t)size) != NULL);
    OPENSSL_free(again);
    OCSP_RESPONSE_free(response);
    return basic;
}

/* Trusts the root, and has the issuing CA at hand: what a client does. */
static int verify(OCSP_BASICRESP *basic)
{
    X509_STORE *store = X509_STORE_new();
    STACK_OF(X509) *certificates = sk_X509_new_null();
    X509 *root = pki_parse(pki.root), *issuing = pki_parse(pki.issuing);
    X509_STORE_add_cert(store, root);
    sk_X509_push(certificates, issuing);
    int result = OCSP_basic_verify(basic, certificates, store, 0);
    sk_X509_free(certificates);
    X509_STORE_free(store);
    X509_free(root);
    X509_free(issuing);
    return result;
}

static void expect_single(OCSP_BASICRESP *basic, const struct cm_ocsp_single *single)
{
    ASN1_GENERALIZEDTIME *revoked, *this_update, *next_update;
    const unsigned char *next = single->cert_id.data;
    OCSP_CERTID *id = d2i_OCSP_CERTID(NULL, &next, (long)single->cert_id.size);
    int status = -1, reason = -1;
    CU_ASSERT_EQUAL_FATAL(
        OCSP_resp_find_status(basic, id, &status, &reason, &revoked, &this_update, &next_update),
        1);
    CU_ASSERT_EQUAL(status, single->state == CM_OCSP_GOOD      ? V_OCSP_CERTSTATUS_GOOD
                            : single->state == CM_OCSP_REVOKED ? V_OCSP_CERTSTATUS_REVOKED
                                                               : V_OCSP_CERTSTATUS_UNKNOWN);
    CU_ASSERT_TRUE(crl_rig_is_time(this_update, single->this_update_s));
    CU_ASSERT_TRUE(crl_rig_is_time(next_update, single->next_update_s));
    CU_ASSERT_EQUAL(ASN1_STRING_type(this_update), V_ASN1_GENERALIZEDTIME);
    CU_ASSERT_EQUAL(ASN1_STRING_type(next_update), V_ASN1_GENERALIZEDTIME);
    if (single->state == CM_OCSP_REVOKED) {
        CU_ASSERT_TRUE(crl_rig_is_time(revoked, single->revoked_s));
        CU_ASSERT_EQUAL(ASN1_STRING_type(revoked), V_ASN1_GENERALIZEDTIME);
        CU_ASSERT_EQUAL(reason, single->reason == CM_REASON_UNSPECIFIED ? -1 : (int)single->reason);
    }
    OCSP_CERTID_free(id);
}

static void test_each_state_reads_and_verifies_in_openssl(void)
{
    static const enum cm_ocsp_state states[] = { CM_OCSP_GOOD, CM_OCSP_REVOKED, CM_OCSP_UNKNOWN };
    for (unsigned i = 0; i < 3; i++) {
        struct cm_ocsp_single single = single_of(EVP_sha256(), crl_rig_serial(16));
        single.state = states[i];
        single.revoked_s = pki.now_s - 5;
        struct cm_ocsp_response response = response_of(&single, 1);
        OCSP_BASICRESP *basic =
            parse_response(sign(&response, &pki.issuing_key, cm_bytes(NULL, 0)));
        CU_ASSERT_EQUAL(OCSP_resp_count(basic), 1);
        expect_single(basic, &single);
        CU_ASSERT_TRUE(crl_rig_is_time(OCSP_resp_get0_produced_at(basic), pki.now_s));
        CU_ASSERT_EQUAL(OCSP_BASICRESP_get_ext_count(basic), 0);
        CU_ASSERT_EQUAL(verify(basic), 1);
        OCSP_BASICRESP_free(basic);
    }
}

static void test_every_reason_is_told_and_unspecified_is_left_out(void)
{
#define X(symbol, name, value) CM_REASON_##symbol,
    static const enum cm_reason reasons[] = { CM_REASON_MAP(X) };
#undef X
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        struct cm_ocsp_single single = single_of(EVP_sha1(), crl_rig_serial(1 + i));
        single.state = CM_OCSP_REVOKED;
        single.reason = reasons[i];
        single.revoked_s = pki.now_s - 86400;
        struct cm_ocsp_response response = response_of(&single, 1);
        OCSP_BASICRESP *basic =
            parse_response(sign(&response, &pki.issuing_key, cm_bytes(NULL, 0)));
        expect_single(basic, &single);
        OCSP_BASICRESP_free(basic);
    }
}

static void test_one_response_is_about_many_certificates(void)
{
    struct cm_ocsp_single singles[2 * CM_OCSP_REQUESTS_MAX];
    enum { COUNT = sizeof singles / sizeof singles[0] };
    for (uint32_t i = 0; i < COUNT; i++) {
        singles[i] = single_of(i % 2 ? EVP_sha1() : EVP_sha512(), crl_rig_serial(20));
        singles[i].state = i % 3 == 0 ? CM_OCSP_REVOKED : CM_OCSP_GOOD;
        singles[i].reason = CM_REASON_KEY_COMPROMISE;
        singles[i].revoked_s = pki.now_s - (int64_t)i;
        singles[i].next_update_s += i;
    }
    struct cm_ocsp_response response = response_of(singles, COUNT);
    OCSP_BASICRESP *basic = parse_response(sign(&response, &pki.issuing_key, cm_bytes(NULL, 0)));
    CU_ASSERT_EQUAL(OCSP_resp_count(basic), COUNT);
    for (uint32_t i = 0; i < COUNT; i++) {
        expect_single(basic, &singles[i]);
        /* In the order in which they were given. */
        const OCSP_CERTID *id = OCSP_SINGLERESP_get0_id(OCSP_resp_get0(basic, (int)i));
        unsigned char *der = NULL;
        int size = i2d_OCSP_CERTID((OCSP_CERTID *)(uintptr_t)id, &der);
        CU_ASSERT_TRUE(cm_bytes_equal(cm_bytes(der, (size_t)size), singles[i].cert_id));
        OPENSSL_free(der);
    }
    CU_ASSERT_EQUAL(verify(basic), 1);
    OCSP_BASICRESP_free(basic);
}

static void test_the_responder_is_named_by_the_hash_of_its_key(void)
{
    struct cm_ocsp_single single = single_of(EVP_sha1(), cm_bytes("\x05", 1));
    struct cm_ocsp_response response = response_of(&single, 1);
    OCSP_BASICRESP *basic = parse_response(sign(&response, &pki.issuing_key, cm_bytes(NULL, 0)));
    const ASN1_OCTET_STRING *key_hash = NULL;
    const X509_NAME *name = NULL;
    CU_ASSERT_EQUAL(OCSP_resp_get0_id(basic, &key_hash, &name), 1);
    CU_ASSERT_PTR_NULL(name);
    X509 *issuing = pki_parse(pki.issuing);
    const ASN1_BIT_STRING *bits = X509_get0_pubkey_bitstr(issuing);
    uint8_t expected[20];
    EVP_Digest(bits->data, (size_t)bits->length, expected, NULL, EVP_sha1(), NULL);
    CU_ASSERT_TRUE(key_hash && key_hash->length == 20 && !memcmp(key_hash->data, expected, 20));
    X509_free(issuing);
    OCSP_BASICRESP_free(basic);
}

static void test_a_nonce_comes_back_as_it_was_sent(void)
{
    static const size_t sizes[] = { 1, 16, 32, CM_OCSP_NONCE_SIZE_MAX };
    struct cm_ocsp_single single = single_of(EVP_sha1(), cm_bytes("\x05", 1));
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct cm_ocsp_response response = response_of(&single, 1);
        OCSP_REQUEST *request = OCSP_REQUEST_new();
        response.nonce = crl_rig_serial(sizes[i]);
        OCSP_request_add1_nonce(request, (unsigned char *)(uintptr_t)response.nonce.data,
                                (int)sizes[i]);
        OCSP_BASICRESP *basic =
            parse_response(sign(&response, &pki.issuing_key, cm_bytes(NULL, 0)));
        CU_ASSERT_EQUAL(OCSP_check_nonce(request, basic), 1); /* there, and equal */
        OCSP_BASICRESP_free(basic);
        OCSP_REQUEST_free(request);
    }
}

/* --- delegated responders ------------------------------------------------------------------------- */

/* A certificate of this profile under the issuing CA. */
static struct cm_bytes certificate_of(const struct cm_profile *profile, enum cm_key_type type)
{
    struct cm_template_input in = pki_input(type);
    struct cm_tbs tbs;
    struct cm_refusal refusal;
    CU_ASSERT_TRUE_FATAL(pki_compose(profile, &pki.issuer, &in, &tbs, &refusal));
    return cm_certificate_assemble(tbs.der, pki.issuer.sigalg,
                                   pki_sign(&pki.issuing_key, pki.issuer.sigalg, tbs.der),
                                   &pki.arena);
}

static int verify_delegated(const struct cm_profile *profile, enum cm_key_type type)
{
    struct cm_ocsp_single single = single_of(EVP_sha256(), cm_bytes("\x05", 1));
    struct cm_ocsp_response response = response_of(&single, 1);
    struct cm_ocsp_issuer_hashes hashes;
    CU_ASSERT_TRUE(cm_ocsp_hash_issuer(pki.issuer.name, pki.keys[type].spki, &hashes));
    memcpy(response.responder_key_hash, hashes.key_sha1, sizeof hashes.key_sha1);
    OCSP_BASICRESP *basic =
        parse_response(sign(&response, &pki.keys[type], certificate_of(profile, type)));
    int result = verify(basic);
    OCSP_BASICRESP_free(basic);
    return result;
}

static void test_a_delegated_responder_of_every_key_type_is_trusted(void)
{
    for (unsigned type = 1; type < CM_KEY_TYPE_COUNT; type++) {
        /* A certificate for something else is none of a responder. */
        CU_ASSERT_NOT_EQUAL(
            verify_delegated(cm_profile_builtin("device-client"), (enum cm_key_type)type), 1);
        CU_ASSERT_EQUAL(
            verify_delegated(cm_profile_builtin("ocsp-responder"), (enum cm_key_type)type), 1);
    }
}

/* --- the rest ------------------------------------------------------------------------------------- */

static void test_errors_are_unsigned_and_whole(void)
{
    static const enum cm_ocsp_status errors[] = { CM_OCSP_MALFORMED_REQUEST, CM_OCSP_INTERNAL_ERROR,
                                                  CM_OCSP_TRY_LATER, CM_OCSP_UNAUTHORIZED };
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        struct cm_bytes der = cm_ocsp_error(errors[i]);
        const unsigned char *next = der.data;
        OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &next, (long)der.size);
        CU_ASSERT_TRUE_FATAL(response && next == der.data + der.size);
        CU_ASSERT_EQUAL(OCSP_response_status(response), (int)errors[i]);
        CU_ASSERT_PTR_NULL(OCSP_response_get1_basic(response));
        OCSP_RESPONSE_free(response);
    }
}

static void expect_refused(const struct cm_ocsp_single *single, uint32_t count, const char *why)
{
    struct cm_ocsp_response response = response_of(single, count);
    struct cm_error err = { 0 };
    struct cm_bytes tbs;
    CU_ASSERT_EQUAL(cm_ocsp_compose(&response, &pki.arena, &tbs, &err), CM_INVALID);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, why));
}

static void test_a_response_that_says_nothing_or_what_cannot_be_is_refused(void)
{
    const struct cm_ocsp_single good = single_of(EVP_sha1(), cm_bytes("\x05", 1));
    struct cm_ocsp_single single = good;
    expect_refused(&single, 0, "about no certificate");
    single.cert_id = cm_bytes(NULL, 0);
    expect_refused(&single, 1, "no CertID");
    single = good;
    single.next_update_s = single.this_update_s - 1;
    expect_refused(&single, 1, "nextUpdate is before thisUpdate");
    single = good;
    single.next_update_s = INT64_MAX;
    expect_refused(&single, 1, "nextUpdate");
    single = good;
    single.state = CM_OCSP_REVOKED;
    single.revoked_s = INT64_MIN;
    expect_refused(&single, 1, "revoked at no time");
    single.revoked_s = pki.now_s;
    single.reason = (enum cm_reason)7;
    expect_refused(&single, 1, "no reason");
}

/* The hashes are those with which OpenSSL asks, with every type of key. */
static void test_an_issuer_is_known_by_the_hashes_in_certids(void)
{
    for (unsigned type = 1; type < CM_KEY_TYPE_COUNT; type++) {
        struct cm_ocsp_issuer_hashes hashes;
        X509 *issuer = X509_new();
        const unsigned char *next = pki.issuer.name.data;
        X509_NAME *name = d2i_X509_NAME(NULL, &next, (long)pki.issuer.name.size);
        X509_set_subject_name(issuer, name);
        X509_set_pubkey(issuer, pki.keys[type].key);
        CU_ASSERT_TRUE(cm_ocsp_hash_issuer(pki.issuer.name, pki.keys[type].spki, &hashes));
        for (unsigned sha256 = 0; sha256 < 2; sha256++) {
            ASN1_INTEGER *serial = crl_rig_integer(cm_bytes("\x05", 1));
            ASN1_OCTET_STRING *name_hash, *key_hash;
            OCSP_CERTID *id = OCSP_cert_id_new(sha256 ? EVP_sha256() : EVP_sha1(), name,
                                               X509_get0_pubkey_bitstr(issuer), serial);
            OCSP_id_get0_info(&name_hash, NULL, &key_hash, NULL, id);
            size_t size = sha256 ? CM_SHA256_SIZE : CM_SHA1_SIZE;
            CU_ASSERT_EQUAL(name_hash->length, (int)size);
            CU_ASSERT_EQUAL(
                memcmp(name_hash->data, sha256 ? hashes.name_sha256 : hashes.name_sha1, size), 0);
            CU_ASSERT_EQUAL(
                memcmp(key_hash->data, sha256 ? hashes.key_sha256 : hashes.key_sha1, size), 0);
            OCSP_CERTID_free(id);
            ASN1_INTEGER_free(serial);
        }
        X509_NAME_free(name);
        X509_free(issuer);
    }
    struct cm_ocsp_issuer_hashes hashes;
    CU_ASSERT_FALSE(cm_ocsp_hash_issuer(pki.issuer.name, pki.issuer.name, &hashes));
    CU_ASSERT_FALSE(cm_ocsp_hash_issuer(pki.issuer.name, cm_bytes(NULL, 0), &hashes));
}

static int set_up(void)
{
    return pki_init(CM_KEY_P256);
}

CM_TEST_SUITE_WITH(ocsp_response, set_up, pki_done,
                   CM_TEST(test_each_state_reads_and_verifies_in_openssl),
                   CM_TEST(test_every_reason_is_told_and_unspecified_is_left_out),
                   CM_TEST(test_one_response_is_about_many_certificates),
                   CM_TEST(test_the_responder_is_named_by_the_hash_of_its_key),
                   CM_TEST(test_a_nonce_comes_back_as_it_was_sent),
                   CM_TEST(test_a_delegated_responder_of_every_key_type_is_trusted),
                   CM_TEST(test_errors_are_unsigned_and_whole),
                   CM_TEST(test_a_response_that_says_nothing_or_what_cannot_be_is_refused),
                   CM_TEST(test_an_issuer_is_known_by_the_hashes_in_certids));

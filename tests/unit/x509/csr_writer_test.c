/* Requests of our own: read back, by us and by OpenSSL, and by nobody else's rules a device's. */
#include "engine/x509/csr_writer.h"

#include <openssl/x509v3.h>

#include "tests/support/test_main.h"
#include "tests/unit/x509/pki.h"

static struct cm_profile profile;

static struct cm_bytes subject(void)
{
    struct cm_certificate issuing;
    struct cm_error err;
    CU_ASSERT_EQUAL_FATAL(cm_certificate_read(pki.issuing, &issuing, &err), CM_OK);
    return issuing.subject;
}

static struct cm_bytes make(const struct pki_key *key)
{
    const struct cm_csr_input in = { subject(), key->spki, key->type, &profile };
    enum cm_sigalg alg = cm_sigalg_default(key->type);
    struct cm_bytes info = { 0 };
    struct cm_error err;
    CU_ASSERT_EQUAL_FATAL(cm_csr_compose(&in, &pki.arena, &info, &err), CM_OK);
    return cm_certificate_assemble(info, alg, pki_sign(key, alg, info), &pki.arena);
}

static void expect_openssl(struct cm_bytes der, int path_len)
{
    const unsigned char *next = der.data;
    X509_REQ *request = d2i_X509_REQ(NULL, &next, (long)der.size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(request);
    CU_ASSERT_PTR_EQUAL(next, der.data + der.size);
    CU_ASSERT_EQUAL(X509_REQ_verify(request, X509_REQ_get0_pubkey(request)), 1);
    STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(request);
    BASIC_CONSTRAINTS *constraints = X509V3_get_d2i(extensions, NID_basic_constraints, NULL, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(constraints);
    CU_ASSERT_NOT_EQUAL(constraints->ca, 0);
    CU_ASSERT_EQUAL(constraints->pathlen ? ASN1_INTEGER_get(constraints->pathlen) : -1, path_len);
    BASIC_CONSTRAINTS_free(constraints);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    X509_REQ_free(request);
}

static void test_requests_of_every_key_are_read_back(void)
{
    static const int lengths[] = { CM_PATH_LEN_NONE, 0, 2 };
    for (unsigned type = 1; type < CM_KEY_TYPE_COUNT; type++) {
        const struct pki_key *key = &pki.keys[type];
        struct cm_csr csr;
        struct cm_error err = { 0 };
        profile = *cm_profile_builtin("issuing-ca");
        profile.path_len = lengths[type % 3];
        struct cm_bytes der = make(key);
        CU_ASSERT_EQUAL(cm_csr_check_authority(der, &pki.arena, &csr, &err), CM_OK);
        CU_ASSERT_TRUE(csr.is_ca);
        CU_ASSERT_EQUAL(csr.path_len, profile.path_len);
        CU_ASSERT_EQUAL(csr.key_usage, CM_USAGE_KEY_CERT_SIGN | CM_USAGE_CRL_SIGN);
        CU_ASSERT_TRUE(cm_bytes_equal(csr.subject, subject()));
        CU_ASSERT_TRUE(cm_bytes_equal(csr.spki, key->spki));
        expect_openssl(der, profile.path_len);
    }
}

static void test_a_device_that_sent_it_would_be_refused(void)
{
    struct cm_csr csr;
    struct cm_refusal refusal = { 0 };
    profile = *cm_profile_builtin("issuing-ca");
    CU_ASSERT_FALSE(cm_csr_read(make(&pki.keys[CM_KEY_P256]), &pki.arena, &csr, &refusal));
    CU_ASSERT_EQUAL(refusal.code, CM_REFUSAL_CSR_EXT_CA_REQUESTED);
}

static void test_a_signature_of_another_key_is_found(void)
{
    struct cm_csr csr;
    struct cm_error err = { 0 };
    struct pki_key other = pki.keys[CM_KEY_P256];
    other.key = pki.issuing_key.key;
    profile = *cm_profile_builtin("issuing-ca");
    CU_ASSERT_EQUAL(cm_csr_check_authority(make(&other), &pki.arena, &csr, &err), CM_CORRUPT);
}

static int set_up(void)
{
    return pki_init(CM_KEY_P256);
}

CM_TEST_SUITE_WITH(csr_writer, set_up, pki_done, CM_TEST(test_requests_of_every_key_are_read_back),
                   CM_TEST(test_a_device_that_sent_it_would_be_refused),
                   CM_TEST(test_a_signature_of_another_key_is_found));

/* What a certificate says of a CA that is not ours is read off it, whoever has signed it; and it has that CA's name and
   key identifier as they are. */
#include "engine/authority/cross.h"

#include <stdio.h>

#include "engine/x509/authority.h"
#include "engine/x509/lint.h"
#include "tests/support/test_main.h"
#include "tests/unit/x509/pieces.h"

static const char *const permitted[] = { "dns:partner.example", "ip:10.0.0.0/8" };
static const char *const excluded[] = { "email:.partner.example" };
static const char *const policies[] = { "1.2.3.4", "2.999.1" };

static struct cm_profile profile;
static struct cm_issuer issuer;
static struct cm_authority_input in;

/* A name that no profile of ours would make: another attribute, and other string types. */
static void start(void)
{
    static const uint8_t serial[] = { 1, 2, 3 };
    profile = *cm_profile_builtin("issuing-ca");
    issuer = pki.issuer;
    issuer.path_len = CM_PATH_LEN_NONE;
    in = (struct cm_authority_input){
        .profile = &profile,
        .issuer = &issuer,
        .serial = cm_bytes(serial, sizeof serial),
        .issue_time_s = pki.now_s,
        .spki = pki.keys[CM_KEY_P384].spki,
        .key_type = CM_KEY_P384,
        .subject = piece_hex("301d310e300c060355040413054f66666365310b3009060355040313024341"),
        .ski = piece_hex("a1b2c3d4e5f60718"),
    };
}

static struct cm_bytes compose(void)
{
    struct cm_error err = { 0 };
    struct cm_tbs tbs = { 0 };
    cm_status status = cm_authority_compose(pki.composer, &in, &pki.arena, &tbs, &err);
    if (status != CM_OK)
        printf("    %s\n", err.text);
    CU_ASSERT_EQUAL_FATAL(status, CM_OK);
    return tbs.der;
}

static struct cm_certificate read(struct cm_bytes tbs)
{
    struct cm_certificate certificate;
    struct cm_error err;
    CU_ASSERT_EQUAL_FATAL(cm_certificate_read_tbs(tbs, &certificate, &err), CM_OK);
    return certificate;
}

static struct cm_cross_terms terms_of(struct cm_bytes tbs)
{
    const struct cm_certificate certificate = read(tbs);
    struct cm_cross_terms terms;
    struct cm_error err;
    CU_ASSERT_EQUAL_FATAL(
        cm_cross_terms_read(&certificate, CM_CROSS_PROOF_REQUEST, &pki.arena, &terms, &err), CM_OK);
    CU_ASSERT_TRUE(cm_cross_terms_are_good(terms.rows, terms.count));
    return terms;
}

static void expect_term(const struct cm_cross_terms *terms, uint32_t index, const char *name,
                        const char *value)
{
    CU_ASSERT_TRUE_FATAL(index < terms->count);
    CU_ASSERT_STRING_EQUAL(terms->rows[index].name, name);
    if (value)
        CU_ASSERT_STRING_EQUAL(terms->rows[index].value, value);
}

static void test_name_and_key_identifier_stay_what_they_are(void)
{
    start();
    struct cm_certificate certificate = read(compose());
    CU_ASSERT_TRUE(cm_bytes_equal(certificate.subject, in.subject));
    CU_ASSERT_TRUE(cm_bytes_equal(certificate.ski, in.ski));
    CU_ASSERT_TRUE(cm_bytes_equal(certificate.spki, in.spki));
    CU_ASSERT_TRUE(cm_bytes_equal(certificate.aki, issuer.ski));
    CU_ASSERT_TRUE(certificate.is_ca);
    in.ski = cm_bytes(NULL, 0); /* none: the profile's method */
    CU_ASSERT_EQUAL(read(compose()).ski.size, CM_SKI_SIZE);
}

static void test_another_name_or_identifier_breaks_a_rule(void)
{
    struct cm_refusal refusal;
    start();
    const struct cm_bytes tbs = compose(), none = { 0 };
    const struct cm_bytes other = piece_hex("300d310b3009060355040313024342");
    const struct {
        struct cm_bytes subject, ski;
        const char *rule; /* NULL: none */
    } cases[] = {
        { in.subject, in.ski, NULL },
        { other, in.ski, "subject-syntax" },
        { none, in.ski, "subject-syntax" },
        { in.subject, piece_hex("a1b2c3d4e5f60719"), "ski-hash" },
        { in.subject, none, "ski-hash" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool is_good = cm_lint_given(pki.composer, tbs, &profile, &issuer, cases[i].subject,
                                     cases[i].ski, &refusal);
        CU_ASSERT_EQUAL(is_good, cases[i].rule == NULL);
        if (cases[i].rule)
            CU_ASSERT_PTR_NOT_NULL(strstr(refusal.message, cases[i].rule));
    }
    CU_ASSERT_FALSE(cm_lint_tbs(pki.composer, tbs, &profile, &issuer, &refusal));
}

static void test_the_name_of_its_signer_is_refused(void)
{
    struct cm_error err;
    struct cm_tbs tbs;
    start();
    in.subject = issuer.name;
    CU_ASSERT_EQUAL(cm_authority_compose(pki.composer, &in, &pki.arena, &tbs, &err), CM_MALFORMED);
}

static void test_terms_are_those_of_the_certificate(void)
{
    start();
    profile.path_len = CM_PATH_LEN_NONE;
    struct cm_cross_terms terms = terms_of(compose());
    CU_ASSERT_EQUAL(terms.count, 3);
    expect_term(&terms, 0, "key", NULL);
    expect_term(&terms, 1, "proof", "request");
    expect_term(&terms, 2, "subject", "CN=CA,SN=Offce");
    CU_ASSERT_EQUAL(strlen(terms.rows[0].value), 64);
    profile.path_len = 3;
    profile.permitted_names = permitted;
    profile.permitted_names_count = 2;
    profile.excluded_names = excluded;
    profile.excluded_names_count = 1;
    profile.policies = policies;
    profile.policies_count = 2;
    terms = terms_of(compose());
    CU_ASSERT_EQUAL(terms.count, CM_CROSS_TERMS_MAX);
    expect_term(&terms, 0, "exclude", "email:.partner.example");
    expect_term(&terms, 1, "key", NULL);
    expect_term(&terms, 2, "path-length", "3");
    expect_term(&terms, 3, "permit", "dns:partner.example,ip:10.0.0.0/8");
    expect_term(&terms, 4, "policy", "1.2.3.4,2.999.1");
    expect_term(&terms, 5, "proof", "request");
}

static void test_a_plan_that_lacks_something_or_has_more_is_none(void)
{
#define KEY                                                                                        \
    {                                                                                              \
        "key", "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"                  \
    }
#define PROOF                                                                                      \
    {                                                                                              \
        "proof", "none"                                                                            \
    }
#define SUBJECT                                                                                    \
    {                                                                                              \
        "subject", "CN=CA"                                                                         \
    }
    static const struct {
        struct cm_plan_parameter rows[5];
        uint32_t count;
        bool is_good;
    } cases[] = {
        { { KEY, PROOF, SUBJECT }, 3, true },
        { { { "exclude", "dns:a" }, KEY, { "policy", "1.2.3" }, PROOF, SUBJECT }, 5, true },
        { { PROOF, SUBJECT }, 2, false },
        { { KEY, SUBJECT }, 2, false },
        { { KEY, PROOF }, 2, false },
        { { KEY, PROOF, SUBJECT, { "validity", "1d" } }, 4, false },
        { { KEY, { "exclude", "dns:a" }, PROOF, SUBJECT }, 4, false },
        { { { "key", "00" }, PROOF, SUBJECT }, 3, false },
        { { KEY, { "proof", "a word" }, SUBJECT }, 3, false },
        { { KEY, KEY, PROOF, SUBJECT }, 4, false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        CU_ASSERT_EQUAL(cm_cross_terms_are_good(cases[i].rows, cases[i].count), cases[i].is_good);
    CU_ASSERT_FALSE(cm_cross_terms_are_good(NULL, 0));
}

static void test_what_is_no_tbs_certificate_is_not_read(void)
{
    struct cm_certificate certificate;
    struct cm_error err;
    start();
    const struct cm_bytes tbs = compose();
    for (size_t size = 0; size < tbs.size; size++)
        CU_ASSERT_NOT_EQUAL(cm_certificate_read_tbs(cm_bytes(tbs.data, size), &certificate, &err),
                            CM_OK);
    CU_ASSERT_NOT_EQUAL(cm_certificate_read_tbs(pki.issuing, &certificate, &err), CM_OK);
}

static int set_up(void)
{
    return pki_init(CM_KEY_P256);
}

CM_TEST_SUITE_WITH(cross, set_up, pki_done,
                   CM_TEST(test_name_and_key_identifier_stay_what_they_are),
                   CM_TEST(test_another_name_or_identifier_breaks_a_rule),
                   CM_TEST(test_the_name_of_its_signer_is_refused),
                   CM_TEST(test_terms_are_those_of_the_certificate),
                   CM_TEST(test_a_plan_that_lacks_something_or_has_more_is_none),
                   CM_TEST(test_what_is_no_tbs_certificate_is_not_read));

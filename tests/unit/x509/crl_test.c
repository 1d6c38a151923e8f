/* CRLs as they are written, in the eyes of OpenSSL. */
#include "engine/x509/crl.h"

#include <openssl/bn.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "engine/x509/der_writer.h"
#include "engine/x509/serial.h"
#include "tests/support/test_main.h"
#include "tests/unit/x509/crl_rig.h"

static const struct {
    enum cm_reason reason;
    const char *name;
    long number;
} reasons[] = {
    { CM_REASON_UNSPECIFIED, "unspecified", 0 },
    { CM_REASON_KEY_COMPROMISE, "keyCompromise", 1 },
    { CM_REASON_CA_COMPROMISE, "cACompromise", 2 },
    { CM_REASON_AFFILIATION_CHANGED, "affiliationChanged", 3 },
    { CM_REASON_SUPERSEDED, "superseded", 4 },
    { CM_REASON_CESSATION_OF_OPERATION, "cessationOfOperation", 5 },
    { CM_REASON_CERTIFICATE_HOLD, "certificateHold", 6 },
    { CM_REASON_REMOVE_FROM_CRL, "removeFromCRL", 8 },
    { CM_REASON_PRIVILEGE_WITHDRAWN, "privilegeWithdrawn", 9 },
    { CM_REASON_AA_COMPROMISE, "aACompromise", 10 },
};
enum { REASONS_COUNT = sizeof reasons / sizeof reasons[0] };

/* --- reasons -------------------------------------------------------------------------------------- */

static void test_reasons_have_the_names_and_numbers_of_rfc_5280(void)
{
    for (size_t i = 0; i < REASONS_COUNT; i++) {
        CU_ASSERT_EQUAL((long)reasons[i].reason, reasons[i].number);
        CU_ASSERT_STRING_EQUAL(cm_reason_name(reasons[i].reason), reasons[i].name);
    }
    CU_ASSERT_PTR_NULL(cm_reason_name((enum cm_reason)7));
    CU_ASSERT_PTR_NULL(cm_reason_name((enum cm_reason)11));
}

static void test_a_reason_is_found_by_its_name_unless_nobody_may_give_it(void)
{
    enum cm_reason found;
    for (size_t i = 0; i < REASONS_COUNT; i++) {
        bool is_found = cm_reason_find(cm_bytes_str(reasons[i].name), &found);
        CU_ASSERT_EQUAL(is_found, reasons[i].reason != CM_REASON_REMOVE_FROM_CRL);
        CU_ASSERT_TRUE(!is_found || found == reasons[i].reason);
    }
    CU_ASSERT_FALSE(cm_reason_find(cm_bytes_str("keycompromise"), &found));
    CU_ASSERT_FALSE(cm_reason_find(cm_bytes_str(""), &found));
}

/* --- entries -------------------------------------------------------------------------------------- */

static X509_REVOKED *parse_entry(const struct cm_crl_entry *entry)
{
    uint8_t octets[CM_CRL_ENTRY_SIZE_MAX];
    size_t size = cm_crl_entry_write(entry, octets);
    CU_ASSERT_TRUE_FATAL(size > 0);
    const unsigned char *next = octets;
    X509_REVOKED *revoked = d2i_X509_REVOKED(NULL, &next, (long)size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(revoked);
    CU_ASSERT_PTR_EQUAL(next, octets + size);
    unsigned char *again = NULL;
    int again_size = i2d_X509_REVOKED(revoked, &again);
    CU_ASSERT_TRUE(cm_bytes_equal(cm_bytes(again, (size_t)again_size), cm_bytes(octets, size)));
    OPENSSL_free(again);
    return revoked;
}

static void expect_reason(X509_REVOKED *revoked, long number)
{
    int critical = 0;
    ASN1_ENUMERATED *reason = X509_REVOKED_get_ext_d2i(revoked, NID_crl_reason, &critical, NULL);
    if (number == CM_REASON_UNSPECIFIED) {
        CU_ASSERT_PTR_NULL(reason);
        CU_ASSERT_EQUAL(critical, -1); /* absent */
    } else {
        CU_ASSERT_PTR_NOT_NULL_FATAL(reason);
        CU_ASSERT_EQUAL(ASN1_ENUMERATED_get(reason), number);
        CU_ASSERT_EQUAL(critical, 0);
    }
    ASN1_ENUMERATED_free(reason);
}

static void test_an_entry_says_why_and_when(void)
{
    for (size_t i = 0; i < REASONS_COUNT; i++) {
        struct cm_crl_entry entry = { .serial = crl_rig_serial(1 + i * 2),
                                      .revoked_s = pki.now_s - 100 * (int64_t)i,
                                      .reason = reasons[i].reason };
        X509_REVOKED *revoked = parse_entry(&entry);
        ASN1_INTEGER *serial = crl_rig_integer(entry.serial);
        CU_ASSERT_EQUAL(ASN1_INTEGER_cmp(X509_REVOKED_get0_serialNumber(revoked), serial), 0);
        CU_ASSERT_TRUE(crl_rig_is_time(X509_REVOKED_get0_revocationDate(revoked), entry.revoked_s));
        expect_reason(revoked, reasons[i].number);
        CU_ASSERT_EQUAL(X509_REVOKED_get_ext_count(revoked),
                        reasons[i].reason != CM_REASON_UNSPECIFIED);
        ASN1_INTEGER_free(serial);
        X509_REVOKED_free(revoked);
    }
}

static void test_an_entry_has_the_invalidity_date_where_it_is_known(void)
{
    struct cm_crl_entry entry = { .serial = cm_bytes("\x05", 1),
                                  .revoked_s = CM_DER_UTC_TIME_MAX_S + 1,
                                  .invalidity_s = pki.now_s - 86400 };
    for (unsigned with_reason = 0; with_reason < 2; with_reason++) {
        int critical = -1;
        entry.reason = with_reason ? CM_REASON_KEY_COMPROMISE : CM_REASON_UNSPECIFIED;
        X509_REVOKED *revoked = parse_entry(&entry);
        ASN1_GENERALIZEDTIME *since =
            X509_REVOKED_get_ext_d2i(revoked, NID_invalidity_date, &critical, NULL);
        CU_ASSERT_TRUE(crl_rig_is_time(since, entry.invalidity_s));
        CU_ASSERT_EQUAL(critical, 0);
        CU_ASSERT_EQUAL(X509_REVOKED_get_ext_count(revoked), 1 + (int)with_reason);
        /* From 2050 on, also the revocation date is a GeneralizedTime. */
        CU_ASSERT_EQUAL(ASN1_STRING_type(X509_REVOKED_get0_revocationDate(revoked)),
                        V_ASN1_GENERALIZEDTIME);
        ASN1_GENERALIZEDTIME_free(since);
        X509_REVOKED_free(revoked);
    }
}

static void test_the_largest_entry_fits(void)
{
    uint8_t octets[CM_CRL_ENTRY_SIZE_MAX];
    struct cm_crl_entry entry = { .serial = crl_rig_serial(20),
                                  .revoked_s = CM_DER_TIME_MAX_S,
                                  .invalidity_s = CM_DER_TIME_MAX_S,
                                  .reason = CM_REASON_AA_COMPROMISE };
    CU_ASSERT_TRUE(cm_crl_entry_write(&entry, octets) > 70);
}

static void test_an_entry_without_a_proper_serial_or_date_is_not_written(void)
{
    uint8_t octets[CM_CRL_ENTRY_SIZE_MAX];
    static const uint8_t twenty_one[21] = { 1 };
    const struct cm_crl_entry good = { .serial = cm_bytes("\x00\x80", 2), .revoked_s = pki.now_s };
    const struct cm_bytes serials[] = {
        cm_bytes(NULL, 0),        cm_bytes("\x00", 1), cm_bytes("\x80", 1),
        cm_bytes("\x00\x7f", 2),  cm_bytes("\xff", 1), cm_bytes("\x00\x00\x80", 3),
        cm_bytes(twenty_one, 21),
    };
    struct cm_crl_entry entry = good;
    CU_ASSERT_TRUE(cm_crl_entry_write(&entry, octets) > 0);
    for (size_t i = 0; i < sizeof serials / sizeof serials[0]; i++) {
        entry.serial = serials[i];
        CU_ASSERT_EQUAL(cm_crl_entry_write(&entry, octets), 0);
    }
    entry = good;
    entry.revoked_s = CM_DER_TIME_MAX_S + 1;
    CU_ASSERT_EQUAL(cm_crl_entry_write(&entry, octets), 0);
    entry = good;
    entry.invalidity_s = CM_DER_TIME_MIN_S - 1;
    CU_ASSERT_EQUAL(cm_crl_entry_write(&entry, octets), 0);
    entry = good;
    entry.reason = (enum cm_reason)7;
    CU_ASSERT_EQUAL(cm_crl_entry_write(&entry, octets), 0);
}

static int sign_of(int number)
{
    return (number > 0) - (number < 0);
}

static void test_serials_are_in_the_order_of_their_numbers(void)
{
    BIGNUM *numbers[2] = { BN_new(), BN_new() };
    for (unsigned round = 0; round < 20000; round++) {
        uint8_t octets[2][CM_SERIAL_SIZE_MAX];
        struct cm_bytes serials[2];
        for (unsigned i = 0; i < 2; i++) {
            /* Small numbers with many zeros, so that equal ones and long common beginnings come up. */
            ASN1_INTEGER *integer = ASN1_INTEGER_new();
            BN_set_word(numbers[i], 1 + crl_rig_random() % 3);
            BN_lshift(numbers[i], numbers[i], (int)(crl_rig_random() % 150));
            BN_add_word(numbers[i], crl_rig_random() % 2);
            BN_to_ASN1_INTEGER(numbers[i], integer);
            unsigned char *der = NULL;
            int size = i2d_ASN1_INTEGER(integer, &der);
            CU_ASSERT_TRUE_FATAL(size > 2 && size <= 22);
            memcpy(octets[i], der + 2, (size_t)size - 2);
            serials[i] = cm_bytes(octets[i], (size_t)size - 2);
            OPENSSL_free(der);
            ASN1_INTEGER_free(integer);
        }
        CU_ASSERT_EQUAL(sign_of(cm_crl_serial_compare(serials[0], serials[1])),
                        sign_of(BN_cmp(numbers[0], numbers[1])));
    }
    BN_free(numbers[0]);
    BN_free(numbers[1]);
}

/* --- lists ---------------------------------------------------------------------------------------- */

/* Number, times, issuer, AKI and signature; what OpenSSL encodes again is the same. */
static X509_CRL *expect_list(const struct cm_crl *crl, struct cm_bytes entries)
{
    struct cm_bytes der = crl_rig_sign(crl, entries);
    X509_CRL *list = crl_rig_parse(der);
    CU_ASSERT_EQUAL(X509_CRL_verify(list, pki.issuing_key.key), 1);
    CU_ASSERT_EQUAL(X509_CRL_get_version(list), X509_CRL_VERSION_2);
    CU_ASSERT_TRUE(crl_rig_is_time(X509_CRL_get0_lastUpdate(list), crl->this_update_s));
    CU_ASSERT_TRUE(crl_rig_is_time(X509_CRL_get0_nextUpdate(list), crl->next_update_s));
    unsigned char *again = NULL;
    int size = i2d_X509_NAME(X509_CRL_get_issuer(list), &again);
    CU_ASSERT_TRUE(cm_bytes_equal(cm_bytes(again, (size_t)size), crl->issuer));
    OPENSSL_free(again);
    again = NULL;
    size = i2d_re_X509_CRL_tbs(list, &again);
    CU_ASSERT_TRUE(size > 0 && der.size > (size_t)size + 4);
    CU_ASSERT_PTR_NOT_NULL(memmem(der.data, der.size, again, (size_t)size));
    OPENSSL_free(again);
    ASN1_INTEGER *number = crl_rig_extension(list, NID_crl_number, false);
    uint64_t value = 0;
    CU_ASSERT_TRUE(number && ASN1_INTEGER_get_uint64(&value, number) == 1);
    CU_ASSERT_EQUAL(value, crl->number);
    ASN1_INTEGER_free(number);
    AUTHORITY_KEYID *aki = crl_rig_extension(list, NID_authority_key_identifier, false);
    CU_ASSERT_TRUE(
        aki && aki->keyid && !aki->issuer && !aki->serial
        && cm_bytes_equal(cm_bytes(aki->keyid->data, (size_t)aki->keyid->length), crl->aki));
    AUTHORITY_KEYID_free(aki);
    return list;
}

static void test_every_revoked_certificate_is_found_in_the_list(void)
{
    enum { COUNT = 500 };
    struct cm_crl_entry entries[COUNT];
    struct cm_crl crl = crl_rig_crl();
    for (size_t i = 0; i < COUNT; i++)
        entries[i] = (struct cm_crl_entry){ .serial = crl_rig_serial(1 + i % 20),
                                            .revoked_s = pki.now_s - (int64_t)i,
                                            .reason = reasons[i % REASONS_COUNT].reason };
    /* Serials of one octet come up twice, and removeFromCRL means something else to OpenSSL. */
    for (size_t i = 0; i < COUNT; i++)
        if (entries[i].serial.size == 1 || entries[i].reason == CM_REASON_REMOVE_FROM_CRL)
            entries[i] =
                (struct cm_crl_entry){ .serial = crl_rig_serial(17), .revoked_s = pki.now_s };
    X509_CRL *list = expect_list(&crl, crl_rig_write(entries, COUNT));
    CU_ASSERT_EQUAL(sk_X509_REVOKED_num(X509_CRL_get_REVOKED(list)), COUNT);
    CU_ASSERT_EQUAL(sk_X509_EXTENSION_num(X509_CRL_get0_extensions(list)), 2);
    for (size_t i = 0; i < COUNT; i++) {
        X509_REVOKED *found = NULL;
        ASN1_INTEGER *serial = crl_rig_integer(entries[i].serial);
        CU_ASSERT_EQUAL_FATAL(X509_CRL_get0_by_serial(list, &found, serial), 1);
        expect_reason(found, entries[i].reason);
        ASN1_INTEGER_free(serial);
    }
    X509_CRL_free(list);
}

static void test_an_empty_list_has_no_entries_at_all(void)
{
    struct cm_crl crl = crl_rig_crl();
    crl.number = UINT64_MAX;
    crl.next_update_s = CM_DER_TIME_MAX_S;
    X509_CRL *list = expect_list(&crl, cm_bytes(NULL, 0));
    CU_ASSERT_PTR_NULL(X509_CRL_get_REVOKED(list)); /* not a list of none */
    X509_CRL_free(list);
}

static bool is_url(const GENERAL_NAMES *names, const char *url)
{
    if (!names || sk_GENERAL_NAME_num(names) != 1)
        return false;
    const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, 0);
    return name->type == GEN_URI && name->d.uniformResourceIdentifier->length == (int)strlen(url)
           && memcmp(name->d.uniformResourceIdentifier->data, url, strlen(url)) == 0;
}

/* Returns the extension's value as it stands: a SEQUENCE around the name of the point. */
static struct cm_bytes expect_point(X509_CRL *list, bool user_certificates)
{
    ISSUING_DIST_POINT *point = crl_rig_extension(list, NID_issuing_distribution_point, true);
    CU_ASSERT_TRUE_FATAL(point && point->distpoint && point->distpoint->type == 0);
    CU_ASSERT_TRUE(is_url(point->distpoint->name.fullname, CRL_RIG_URL));
    CU_ASSERT_EQUAL(point->onlyuser > 0, user_certificates);
    CU_ASSERT_TRUE(point->onlyCA <= 0 && point->onlyattr <= 0 && point->indirectCRL <= 0
                   && !point->onlysomereasons);
    ISSUING_DIST_POINT_free(point);
    int at = X509_CRL_get_ext_by_NID(list, NID_issuing_distribution_point, -1);
    const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(X509_CRL_get_ext(list, at));
    return cm_bytes(value->data, (size_t)value->length);
}

static void expect_freshest(X509_CRL *list)
{
    CRL_DIST_POINTS *points = crl_rig_extension(list, NID_freshest_crl, false);
    CU_ASSERT_TRUE_FATAL(points && sk_DIST_POINT_num(points) == 1);
    const DIST_POINT *point = sk_DIST_POINT_value(points, 0);
    CU_ASSERT_TRUE(point->distpoint && point->distpoint->type == 0 && !point->reasons
                   && !point->CRLissuer);
    CU_ASSERT_TRUE(is_url(point->distpoint->name.fullname, CRL_RIG_FRESHEST));
    CRL_DIST_POINTS_free(points);
}

static void test_a_shard_says_whose_list_it_is_and_where_its_delta_is(void)
{
    struct cm_crl crl = crl_rig_crl();
    crl.url = CRL_RIG_URL;
    crl.freshest_url = CRL_RIG_FRESHEST;
    for (unsigned user = 0; user < 2; user++) {
        crl.user_certificates = user;
        X509_CRL *list = expect_list(&crl, cm_bytes(NULL, 0));
        expect_point(list, user);
        expect_freshest(list);
        CU_ASSERT_PTR_NULL(crl_rig_extension(list, NID_delta_crl, true));
        CU_ASSERT_EQUAL(sk_X509_EXTENSION_num(X509_CRL_get0_extensions(list)), 4);
        X509_CRL_free(list);
    }
}

/* What stands in the certificates of this shard is what stands in the list (RFC 5280, 5.2.5). */
static void test_the_point_of_a_list_is_that_of_the_certificates_to_the_octet(void)
{
    struct cm_crl crl = crl_rig_crl();
    struct cm_template_input in = pki_input(CM_KEY_P256);
    struct cm_tbs tbs;
    struct cm_refusal refusal;
    in.serial = cm_bytes("\x13", 1); /* shard 3 of 16 */
    CU_ASSERT_TRUE_FATAL(
        pki_compose(cm_profile_builtin("device-client"), &pki.issuer, &in, &tbs, &refusal));
    crl.url = CRL_RIG_URL;
    X509_CRL *list = expect_list(&crl, cm_bytes(NULL, 0));
    struct cm_bytes name = cm_bytes_from(expect_point(list, false), 2);
    CU_ASSERT_TRUE(name.size > strlen(CRL_RIG_URL));
    CU_ASSERT_PTR_NOT_NULL(memmem(tbs.der.data, tbs.der.size, name.data, name.size));
    X509_CRL_free(list);
}

static void test_a_delta_names_its_base(void)
{
    struct cm_crl_entry entry = { .serial = crl_rig_serial(16),
                                  .revoked_s = pki.now_s,
                                  .reason = CM_REASON_REMOVE_FROM_CRL };
    struct cm_crl crl = crl_rig_crl();
    crl.is_delta = true;
    crl.base_number = 5;
    crl.url = CRL_RIG_URL;
    X509_CRL *list = expect_list(&crl, crl_rig_write(&entry, 1));
    ASN1_INTEGER *base = crl_rig_extension(list, NID_delta_crl, true);
    CU_ASSERT_TRUE(base && ASN1_INTEGER_get(base) == 5);
    X509_REVOKED *found = NULL;
    ASN1_INTEGER *serial = crl_rig_integer(entry.serial);
    CU_ASSERT_EQUAL(X509_CRL_get0_by_serial(list, &found, serial), 2); /* removed */
    expect_point(list, false);
    ASN1_INTEGER_free(serial);
    ASN1_INTEGER_free(base);
    X509_CRL_free(list);
}

static void expect_refused(const struct cm_crl *crl, const char *why)
{
    struct cm_error err = { 0 };
    struct cm_bytes tbs;
    struct cm_crl_draft draft;
    CU_ASSERT_EQUAL(cm_crl_compose(crl, cm_bytes(NULL, 0), &pki.arena, &tbs, &err), CM_INVALID);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, why));
    CU_ASSERT_EQUAL(cm_crl_draft_make(crl, cm_bytes(NULL, 0), &draft, &err), CM_INVALID);
}

static void test_a_list_that_says_too_little_or_what_cannot_be_is_refused(void)
{
    const struct cm_crl good = crl_rig_crl();
    struct cm_crl crl = good;
    crl.issuer = cm_bytes("\x30\x00", 2);
    expect_refused(&crl, "no issuer");
    crl = good;
    crl.aki = cm_bytes(NULL, 0);
    expect_refused(&crl, "no authority key identifier");
    crl = good;
    crl.sigalg = CM_SIGALG_UNKNOWN;
    expect_refused(&crl, "no signature algorithm");
    crl = good;
    crl.next_update_s = crl.this_update_s;
    expect_refused(&crl, "nextUpdate");
    crl = good;
    crl.next_update_s = CM_DER_TIME_MAX_S + 1;
    expect_refused(&crl, "nextUpdate");
    crl = good;
    crl.url = "https://pki.example/0.crl";
    expect_refused(&crl, "URL: not an http:// URL");
    crl = good;
    crl.freshest_url = "http://pki.example/a b";
    expect_refused(&crl, "URL: a character");
    crl = good;
    crl.is_delta = true;
    crl.base_number = crl.number + 1;
    expect_refused(&crl, "base");
    crl.base_number = 1;
    crl.freshest_url = CRL_RIG_FRESHEST;
    expect_refused(&crl, "freshestCRL");
}

/* --- drafts --------------------------------------------------------------------------------------- */

/* With every size of what is in it, also where the length of the whole takes another octet. */
static void test_a_draft_comes_to_the_same_list(void)
{
    enum { COUNT = 3000 };
    static struct cm_crl_entry entries[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        entries[i] =
            (struct cm_crl_entry){ .serial = crl_rig_serial(1 + i % 20), .revoked_s = pki.now_s };
    struct cm_crl crl = crl_rig_crl();
    struct cm_bytes all = crl_rig_write(entries, COUNT), rest = all;
    struct cm_bytes signatures[] = { crl_rig_serial(64), crl_rig_serial(72), crl_rig_serial(256) };
    unsigned lengths_seen = 0;
    for (size_t i = 0; i < COUNT; i++) {
        struct cm_bytes tbs, part = cm_bytes(all.data, (size_t)(rest.data - all.data));
        struct cm_bytes signature = signatures[i % 3];
        struct cm_crl_draft draft;
        CU_ASSERT_EQUAL_FATAL(cm_crl_draft_make(&crl, part, &draft, NULL), CM_OK);
        CU_ASSERT_EQUAL_FATAL(cm_crl_compose(&crl, part, &pki.arena, &tbs, NULL), CM_OK);
        CU_ASSERT_TRUE(cm_bytes_equal(draft.tbs, tbs));
        struct cm_bytes expected = cm_certificate_assemble(tbs, crl.sigalg, signature, &pki.arena);
        struct cm_bytes list = cm_crl_draft_finish(&draft, signature);
        CU_ASSERT_TRUE(cm_bytes_equal(list, expected));
        lengths_seen |= 1u << (list.data[1] & 7);
        free((void *)(uintptr_t)list.data);
        cm_crl_draft_done(&draft);
        rest = cm_bytes_from(rest, 2u + rest.data[1]);
    }
    CU_ASSERT_EQUAL(lengths_seen, 1u << 1 | 1u << 2 | 1u << 3); /* octets of the length */
}

static void test_a_draft_without_a_signature_leaves_nothing_behind(void)
{
    struct cm_crl crl = crl_rig_crl();
    struct cm_crl_draft draft;
    CU_ASSERT_EQUAL_FATAL(cm_crl_draft_make(&crl, cm_bytes(NULL, 0), &draft, NULL), CM_OK);
    cm_crl_draft_done(&draft);
    cm_crl_draft_done(&draft);
    CU_ASSERT_PTR_NULL(draft.memory);
}

static int set_up(void)
{
    return pki_init(CM_KEY_P256);
}

CM_TEST_SUITE_WITH(crl, set_up, pki_done,
                   CM_TEST(test_reasons_have_the_names_and_numbers_of_rfc_5280),
                   CM_TEST(test_a_reason_is_found_by_its_name_unless_nobody_may_give_it),
                   CM_TEST(test_an_entry_says_why_and_when),
                   CM_TEST(test_an_entry_has_the_invalidity_date_where_it_is_known),
                   CM_TEST(test_the_largest_entry_fits),
                   CM_TEST(test_an_entry_without_a_proper_serial_or_date_is_not_written),
                   CM_TEST(test_serials_are_in_the_order_of_their_numbers),
                   CM_TEST(test_every_revoked_certificate_is_found_in_the_list),
                   CM_TEST(test_an_empty_list_has_no_entries_at_all),
                   CM_TEST(test_a_shard_says_whose_list_it_is_and_where_its_delta_is),
                   CM_TEST(test_the_point_of_a_list_is_that_of_the_certificates_to_the_octet),
                   CM_TEST(test_a_delta_names_its_base),
                   CM_TEST(test_a_list_that_says_too_little_or_what_cannot_be_is_refused),
                   CM_TEST(test_a_draft_comes_to_the_same_list),
                   CM_TEST(test_a_draft_without_a_signature_leaves_nothing_behind));

/* CRLs read: our own, those that OpenSSL makes, and what is none. */
#include "engine/x509/crl.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "engine/x509/pem_writer.h"
#include "tests/support/test_main.h"
#include "tests/unit/x509/crl_rig.h"
#include "tests/unit/x509/pieces.h"

static void must_read(struct cm_bytes der, struct cm_crl_read *ret_crl)
{
    struct cm_error err = { 0 };
    if (cm_crl_read(der, ret_crl, &err) != CM_OK)
        printf("    %s\n", err.text);
    CU_ASSERT_EQUAL_FATAL(err.status, CM_OK);
}

/* The next entry, which must be there. */
static struct cm_crl_entry must_take(struct cm_bytes *entries)
{
    struct cm_crl_entry entry = { .reason = CM_REASON_AA_COMPROMISE, .invalidity_s = 1 };
    struct cm_error err = { 0 };
    cm_status status = CM_INVALID;
    bool is_there = cm_crl_next_entry(entries, &entry, &status, &err);
    if (!is_there)
        printf("    %s\n", err.text);
    CU_ASSERT_FATAL(is_there && status == CM_OK);
    return entry;
}

static void expect_end(struct cm_bytes *entries)
{
    struct cm_crl_entry entry;
    cm_status status = CM_INVALID;
    CU_ASSERT_FALSE(cm_crl_next_entry(entries, &entry, &status, NULL));
    CU_ASSERT_EQUAL(status, CM_OK);
}

static bool is_same(const struct cm_crl_entry *one, const struct cm_crl_entry *other)
{
    return cm_bytes_equal(one->serial, other->serial) && one->revoked_s == other->revoked_s
           && one->invalidity_s == other->invalidity_s && one->reason == other->reason;
}

/* --- our own -------------------------------------------------------------------------------------- */

static void test_a_list_of_ours_is_read_back(void)
{
    enum { COUNT = 300 };
#define X(symbol, name, value) CM_REASON_##symbol,
    static const enum cm_reason reasons[] = { CM_REASON_MAP(X) };
#undef X
    struct cm_crl_entry entries[COUNT];
    struct cm_crl crl = crl_rig_crl();
    struct cm_crl_read read;
    for (size_t i = 0; i < COUNT; i++)
        entries[i] =
            (struct cm_crl_entry){ .serial = crl_rig_serial(1 + i % 20),
                                   .revoked_s =
                                       INT64_C(2524600000) + 600 * (int64_t)i, /* to 2050 */
                                   .invalidity_s = i % 3 ? 0 : pki.now_s - (int64_t)i,
                                   .reason = reasons[i % (sizeof reasons / sizeof reasons[0])] };
    crl.url = CRL_RIG_URL;
    crl.freshest_url = CRL_RIG_FRESHEST;
    crl.user_certificates = true;
    crl.number = 0x80ff;
    struct cm_bytes der = crl_rig_sign(&crl, crl_rig_write(entries, COUNT));
    must_read(der, &read);
    CU_ASSERT_TRUE(cm_bytes_equal(read.der, der));
    CU_ASSERT_TRUE(cm_bytes_equal(read.issuer, crl.issuer));
    CU_ASSERT_TRUE(cm_bytes_equal(read.aki, crl.aki));
    CU_ASSERT_TRUE(cm_bytes_is(read.url, CRL_RIG_URL));
    CU_ASSERT_EQUAL(read.this_update_s, crl.this_update_s);
    CU_ASSERT_EQUAL(read.next_update_s, crl.next_update_s);
    CU_ASSERT_TRUE(read.has_number && cm_bytes_equal(read.number, cm_bytes("\x80\xff", 2)));
    CU_ASSERT_FALSE(read.is_delta);
    CU_ASSERT_EQUAL(read.sigalg, crl.sigalg);
    CU_ASSERT_TRUE(cm_bytes_equal(
        cm_certificate_assemble(read.tbs, read.sigalg, read.signature, &pki.arena), der));
    for (size_t i = 0; i < COUNT; i++) {
        struct cm_crl_entry entry = must_take(&read.entries);
        CU_ASSERT_TRUE(is_same(&entry, &entries[i]));
    }
    expect_end(&read.entries);
}

static void test_a_delta_and_an_empty_list_are_read_back(void)
{
    struct cm_crl crl = crl_rig_crl();
    struct cm_crl_read read;
    must_read(crl_rig_sign(&crl, cm_bytes(NULL, 0)), &read);
    CU_ASSERT_TRUE(!read.is_delta && read.url.size == 0);
    expect_end(&read.entries);
    crl.is_delta = true;
    crl.base_number = 0;
    must_read(crl_rig_sign(&crl, cm_bytes(NULL, 0)), &read);
    CU_ASSERT_TRUE(read.is_delta && read.base_number.size == 0);
    crl.base_number = 6;
    must_read(crl_rig_sign(&crl, cm_bytes(NULL, 0)), &read);
    CU_ASSERT_TRUE(cm_bytes_equal(read.base_number, cm_bytes("\x06", 1)));
}

/* --- by OpenSSL ----------------------------------------------------------------------------------- */

static ASN1_TIME *time_of(int64_t time_s)
{
    return ASN1_TIME_set(NULL, (time_t)time_s);
}

/* reason -1: none */
static void add(X509_CRL *list, struct cm_bytes serial, int64_t revoked_s, int reason,
                int64_t invalidity_s)
{
    X509_REVOKED *revoked = X509_REVOKED_new();
    ASN1_INTEGER *number = crl_rig_integer(serial);
    ASN1_TIME *time = time_of(revoked_s);
    X509_REVOKED_set_serialNumber(revoked, number);
    X509_REVOKED_set_revocationDate(revoked, time);
    if (reason >= 0) {
        ASN1_ENUMERATED *value = ASN1_ENUMERATED_new();
        ASN1_ENUMERATED_set(value, reason);
        X509_REVOKED_add1_ext_i2d(revoked, NID_crl_reason, value, 0, 0);
        ASN1_ENUMERATED_free(value);
    }
    if (invalidity_s) {
        ASN1_GENERALIZEDTIME *value = ASN1_GENERALIZEDTIME_set(NULL, (time_t)invalidity_s);
        X509_REVOKED_add1_ext_i2d(revoked, NID_invalidity_date, value, 0, 0);
        ASN1_GENERALIZEDTIME_free(value);
    }
    CU_ASSERT_EQUAL(X509_CRL_add0_revoked(list, revoked), 1);
    ASN1_INTEGER_free(number);
    ASN1_TIME_free(time);
}

static X509_CRL *new_list(bool is_v2)
{
    X509_CRL *list = X509_CRL_new();
    const unsigned char *next = pki.issuer.name.data;
    X509_NAME *name = d2i_X509_NAME(NULL, &next, (long)pki.issuer.name.size);
    ASN1_TIME *time = time_of(pki.now_s);
    if (is_v2)
        X509_CRL_set_version(list, X509_CRL_VERSION_2);
    X509_CRL_set_issuer_name(list, name);
    X509_CRL_set1_lastUpdate(list, time);
    X509_NAME_free(name);
    ASN1_TIME_free(time);
    return list;
}

static struct cm_bytes sign(X509_CRL *list, const struct pki_key *key)
{
    unsigned char *der = NULL;
    const EVP_MD *hash = key->type == CM_KEY_ED25519 ? NULL : EVP_sha256();
    CU_ASSERT_TRUE_FATAL(X509_CRL_sign(list, key->key, hash) > 0);
    int size = i2d_X509_CRL(list, &der);
    struct cm_bytes copy = cm_arena_copy(&pki.arena, cm_bytes(der, (size_t)size));
    OPENSSL_free(der);
    return copy;
}

static void test_lists_that_openssl_makes_are_read(void)
{
    for (unsigned type = 1; type < CM_KEY_TYPE_COUNT; type++) {
        struct cm_crl_read read;
        struct cm_crl_entry expected = { .serial = crl_rig_serial(20),
                                         .revoked_s = pki.now_s - 7,
                                         .invalidity_s = pki.now_s - 8,
                                         .reason = CM_REASON_SUPERSEDED };
        X509_CRL *list = new_list(true);
        add(list, expected.serial, expected.revoked_s, 4, expected.invalidity_s);
        add(list, cm_bytes("\x05", 1), pki.now_s, 0, 0); /* unspecified, written out */
        add(list, cm_bytes("\x06", 1), pki.now_s, -1, 0);
        must_read(sign(list, &pki.keys[type]), &read);
        CU_ASSERT_EQUAL(read.next_update_s, 0); /* none was set */
        CU_ASSERT_FALSE(read.has_number);
        CU_ASSERT_EQUAL(read.aki.size, 0);
        struct cm_crl_entry entry = must_take(&read.entries);
        CU_ASSERT_TRUE(is_same(&entry, &expected));
        for (uint8_t serial = 5; serial <= 6; serial++) {
            entry = must_take(&read.entries);
            CU_ASSERT_TRUE(cm_bytes_equal(entry.serial, cm_bytes(&serial, 1)));
            CU_ASSERT_TRUE(entry.reason == CM_REASON_UNSPECIFIED && entry.invalidity_s == 0);
        }
        expect_end(&read.entries);
        X509_CRL_free(list);
    }
}

static void write_key(const char *path)
{
    FILE *file = fopen(path, "wb");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    CU_ASSERT_EQUAL(PEM_write_PrivateKey(file, pki.issuing_key.key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(file);
}

/* The list of `openssl ca -gencrl` over an index of two that are revoked; DER in the arena. */
static struct cm_bytes gencrl(const char *extensions)
{
    static const char index[] =
        "V\t401231000000Z\t\t01\tunknown\t/CN=a\n"
        "R\t401231000000Z\t260102030405Z\t0A0B\tunknown\t/CN=b\n"
        "R\t401231000000Z\t260102030406Z,keyCompromise\t80\tunknown\t/CN=c\n";
    static char output[4096];
    const char *folder = cm_test_scratch();
    const char *key = cm_arena_printf(&pki.arena, "%s/key.pem", folder);
    const char *config = cm_arena_printf(
        &pki.arena,
        "[ca]\ndefault_ca=here\n[here]\ndatabase=%s/index.txt\nprivate_key=%s\n"
        "certificate=%s/ca.pem\ndefault_md=sha256\ndefault_crl_days=3\ncrlnumber=%s/number\n%s\n"
        "[more]\nauthorityKeyIdentifier=keyid\nissuingDistributionPoint=critical,@point\n"
        "[point]\nfullname=URI:" CRL_RIG_URL "\nonlyuser=TRUE\n",
        folder, key, folder, folder, extensions);
    write_key(key);
    pki_write_file("index.txt", cm_bytes_str(index));
    pki_write_file("index.txt.attr", cm_bytes_str("unique_subject = no\n"));
    pki_write_file("number", cm_bytes_str("1F\n"));
    pki_write_file("ca.pem", cm_pem_write("CERTIFICATE", pki.issuing, &pki.arena));
    const char *path = pki_write_file("ca.cnf", cm_bytes_str(config));
    const char *command = cm_arena_printf(
        &pki.arena, "openssl ca -config %s -gencrl 2>%s/log | openssl crl -outform DER 2>>%s/log",
        path, folder, folder);
    FILE *pipe = popen(command, "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(pipe);
    size_t size = fread(output, 1, sizeof output, pipe);
    CU_ASSERT_EQUAL_FATAL(pclose(pipe), 0);
    return cm_arena_copy(&pki.arena, cm_bytes(output, size));
}

static void expect_index(struct cm_bytes entries)
{
    struct cm_crl_entry entry = must_take(&entries);
    CU_ASSERT_TRUE(cm_bytes_equal(entry.serial, cm_bytes("\x00\x80", 2)));
    CU_ASSERT_TRUE(entry.reason == CM_REASON_KEY_COMPROMISE && entry.revoked_s == 1767323046);
    entry = must_take(&entries);
    CU_ASSERT_TRUE(cm_bytes_equal(entry.serial, cm_bytes("\x0a\x0b", 2)));
    CU_ASSERT_TRUE(entry.reason == CM_REASON_UNSPECIFIED && entry.revoked_s == 1767323045);
    expect_end(&entries);
}

static void test_the_list_of_openssl_ca_is_read(void)
{
    struct cm_crl_read read;
    must_read(gencrl("crl_extensions=more"), &read);
    CU_ASSERT_TRUE(cm_bytes_equal(read.aki, pki.issuer.ski));
    CU_ASSERT_TRUE(cm_bytes_is(read.url, CRL_RIG_URL));
    CU_ASSERT_TRUE(read.has_number && cm_bytes_equal(read.number, cm_bytes("\x1f", 1)));
    CU_ASSERT_EQUAL(read.next_update_s - read.this_update_s, 3 * 86400);
    expect_index(read.entries);
}

static void test_a_list_of_version_1_is_read(void)
{
    struct cm_crl_read read;
    X509_CRL *list = new_list(false);
    add(list, cm_bytes("\x05", 1), pki.now_s, -1, 0);
    struct cm_bytes der = sign(list, &pki.issuing_key);
    X509_CRL_free(list);
    must_read(der, &read);
    CU_ASSERT_FALSE(read.has_number);
    CU_ASSERT_EQUAL(must_take(&read.entries).revoked_s, pki.now_s);
    expect_end(&read.entries);
}

/* --- from pieces ---------------------------------------------------------------------------------- */

#define CONTEXT(n)  CM_DER_CONTEXT_CONSTRUCTED(n)
#define ECDSA_HEX   "300a06082a8648ce3d040302"
#define UTC_HEX     "170d3236303130323033303430355a"
#define AKI_HEX     "551d23"
#define NUMBER_HEX  "551d14"
#define DELTA_HEX   "551d1b"
#define POINT_HEX   "551d1c"
#define REASON_HEX  "551d15"
#define INVALID_HEX "551d18"

/* Nothing stands for the usual: v2, ECDSA, no entries, no extensions. */
struct parts {
    struct cm_bytes version, inner, outer, entries, extensions;
};

static struct cm_bytes or_hex(struct cm_bytes part, const char *usual)
{
    return part.data ? part : piece_hex(usual);
}

static struct cm_bytes list_of(struct parts parts)
{
    struct cm_bytes tbs =
        pieces(CM_DER_SEQUENCE, or_hex(parts.version, "020101"), or_hex(parts.inner, ECDSA_HEX),
               pki.issuer.name, piece_hex(UTC_HEX UTC_HEX), parts.entries,
               parts.extensions.data ? piece(CONTEXT(0), piece(CM_DER_SEQUENCE, parts.extensions))
                                     : NO_PIECE);
    return pieces(CM_DER_SEQUENCE, tbs, or_hex(parts.outer, ECDSA_HEX), piece_hex("03020030"));
}

static void expect(struct parts parts, cm_status status, const char *why)
{
    struct cm_crl_read read;
    struct cm_error err = { 0 };
    cm_status is = cm_crl_read(list_of(parts), &read, &err);
    if (is != status || (why && !strstr(err.text, why)))
        printf("    %s: %s\n", cm_status_name(is), err.text);
    CU_ASSERT_EQUAL(is, status);
    CU_ASSERT_TRUE(!why || strstr(err.text, why));
}

static struct parts with_extension(const char *oid, const char *value)
{
    return (struct parts){ .extensions = piece_extension(oid, true, piece_hex(value)) };
}

static void test_other_versions_and_algorithms_are_not_supported(void)
{
    expect((struct parts){ .entries = NO_PIECE }, CM_OK, NULL);
    expect((struct parts){ .version = piece_hex("020102") }, CM_UNSUPPORTED, "version");
    expect((struct parts){ .version = piece_hex("020100") }, CM_UNSUPPORTED, "version");
    struct cm_bytes sha1 = piece_hex("300906072a8648ce3d0401");
    expect((struct parts){ .inner = sha1, .outer = sha1 }, CM_UNSUPPORTED, "algorithm");
    expect((struct parts){ .inner = sha1 }, CM_MALFORMED, "algorithms differ");
    /* A list of version 1 has no extensions. */
    struct parts parts = with_extension(NUMBER_HEX, "020105");
    parts.version = cm_bytes("", 0);
    expect(parts, CM_MALFORMED, "extra element");
}

static void test_scopes_that_we_do_not_know_are_not_supported(void)
{
    static const struct {
        const char *point;
        cm_status status;
    } cases[] = {
        { "3000", CM_OK },
        { "30038101ff", CM_OK },            /* onlyContainsUserCerts */
        { "30038201ff", CM_OK },            /* onlyContainsCACerts */
        { "300483020780", CM_UNSUPPORTED }, /* onlySomeReasons */
        { "30038401ff", CM_UNSUPPORTED },   /* indirectCRL */
        { "30038501ff", CM_UNSUPPORTED },   /* onlyContainsAttributeCerts */
        { "3004a002a000", CM_OK },          /* no name */
        { "3004a002a100", CM_OK },          /* a name relative to the issuer's */
        { "3004a002a200", CM_MALFORMED },   /* neither */
        { "3006a004a0028600", CM_OK },      /* an empty one */
        { "30038100ff", CM_MALFORMED },     /* sizes off */
        { "0500", CM_MALFORMED },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect(with_extension(POINT_HEX, cases[i].point), cases[i].status, NULL);
    struct cm_crl_read read;
    struct cm_bytes two_names = pieces(
        CM_DER_SEQUENCE,
        pieces(CONTEXT(0), pieces(CONTEXT(0), piece_hex("8100"), piece_hex("860161860162"))));
    must_read(list_of((struct parts){ .extensions = piece_extension(POINT_HEX, true, two_names) }),
              &read);
    CU_ASSERT_TRUE(cm_bytes_is(read.url, "a"));
}

static void test_extensions_of_a_list_are_read_strictly(void)
{
    expect(with_extension("2a0305", "0500"), CM_UNSUPPORTED, "1.2.3.5 is critical");
    expect((struct parts){ .extensions = piece_extension("2a0305", false, piece_hex("0500")) },
           CM_OK, NULL);
    expect(with_extension(NUMBER_HEX, "020105"), CM_OK, NULL);
    expect(with_extension(NUMBER_HEX, "0201ff"), CM_MALFORMED, "negative");
    expect(with_extension(NUMBER_HEX, "02010500"), CM_MALFORMED, NULL);
    expect(with_extension(NUMBER_HEX, "0215010203040506070809000102030405060708090001"),
           CM_MALFORMED, "cRLNumber of 21 octets");
    expect(with_extension(DELTA_HEX, "020105"), CM_OK, NULL);
    expect(with_extension(AKI_HEX, "3000"), CM_OK, NULL);
    expect(with_extension(AKI_HEX, "0500"), CM_MALFORMED, NULL);
    struct cm_bytes number = piece_extension(NUMBER_HEX, false, piece_hex("020105"));
    expect(
        (struct parts){ .extensions = cm_bytes_from(pieces(CM_DER_SEQUENCE, number, number), 2) },
        CM_MALFORMED, "twice");
    expect((struct parts){ .entries = piece_hex("3000") }, CM_OK, NULL);
    expect((struct parts){ .entries = piece_hex("0500") }, CM_MALFORMED, NULL);
}

/* An entry with these elements in it, in hex. */
static void expect_entry(const char *inside, struct cm_bytes extensions, const char *why)
{
    struct cm_bytes entries =
        pieces(CM_DER_SEQUENCE, piece_hex(inside),
               extensions.data ? piece(CM_DER_SEQUENCE, extensions) : NO_PIECE);
    struct cm_crl_entry entry;
    struct cm_error err = { 0 };
    cm_status status = CM_INVALID;
    bool is_there = cm_crl_next_entry(&entries, &entry, &status, &err);
    if (why ? !strstr(err.text, why) : !is_there)
        printf("    %s\n", err.text);
    CU_ASSERT_EQUAL(is_there, !why);
    CU_ASSERT_EQUAL(status, why ? CM_MALFORMED : CM_OK);
    CU_ASSERT_TRUE(!why || strstr(err.text, why));
}

static void test_entries_that_are_none_are_refused(void)
{
    expect_entry("020105" UTC_HEX, NO_PIECE, NULL);
    expect_entry("020105180f32303236303130323033303430355a", NO_PIECE, NULL);
    expect_entry("0201ff" UTC_HEX, NO_PIECE, "serial");
    expect_entry("020100" UTC_HEX, NO_PIECE, "serial");
    expect_entry("02020005" UTC_HEX, NO_PIECE, "redundant");
    expect_entry("0215010203040506070809000102030405060708090001" UTC_HEX, NO_PIECE, "serial");
    expect_entry("020105", NO_PIECE, "revocationDate");
    expect_entry("020105170d3236303133323033303430355a", NO_PIECE, "not a time");
    expect_entry("020105" UTC_HEX "0500", NO_PIECE, "extensions");
    expect_entry("020105" UTC_HEX, cm_bytes("", 0), NULL); /* needless, and harmless */
}

static void test_entry_extensions_are_read_strictly(void)
{
    static const struct {
        const char *oid, *value, *why;
        bool critical;
    } cases[] = {
        { REASON_HEX, "0a0101", NULL, false },
        { REASON_HEX, "0a0101", NULL, true },
        { REASON_HEX, "0a0107", "no such reason", false },
        { REASON_HEX, "0a010b", "no such reason", false },
        { REASON_HEX, "0a01ff", "no such reason", false },
        { REASON_HEX, "0a00", "no such reason", false },
        { REASON_HEX, "0a020001", "no such reason", false },
        { REASON_HEX, "020101", "reasonCode", false },
        { REASON_HEX, "0a010100", "reasonCode", false },
        { INVALID_HEX, "180f32303236303130323033303430355a", NULL, false },
        { INVALID_HEX, UTC_HEX, "no GeneralizedTime", false },
        { "551d17", "06022a03", NULL, false },               /* holdInstructionCode */
        { "551d1d", "3000", "2.5.29.29 is critical", true }, /* certificateIssuer */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_entry("020105" UTC_HEX,
                     piece_extension(cases[i].oid, cases[i].critical, piece_hex(cases[i].value)),
                     cases[i].why);
    struct cm_bytes reason = piece_extension(REASON_HEX, false, piece_hex("0a0101"));
    expect_entry("020105" UTC_HEX, cm_bytes_from(pieces(CM_DER_SEQUENCE, reason, reason), 2),
                 "twice");
}

/* Reads to the end of the entries; true where all of it is good. */
static bool read_all(struct cm_bytes der)
{
    struct cm_crl_read read;
    struct cm_crl_entry entry;
    cm_status status;
    if (cm_crl_read(der, &read, NULL) != CM_OK)
        return false;
    while (cm_crl_next_entry(&read.entries, &entry, &status, NULL))
        continue;
    return status == CM_OK;
}

static void test_damaged_lists_are_read_or_refused(void)
{
    struct cm_crl crl = crl_rig_crl();
    struct cm_crl_entry entries[] = {
        { .serial = crl_rig_serial(16),
          .revoked_s = pki.now_s,
          .invalidity_s = pki.now_s,
          .reason = CM_REASON_KEY_COMPROMISE },
        { .serial = crl_rig_serial(3), .revoked_s = pki.now_s },
    };
    crl.url = CRL_RIG_URL;
    crl.freshest_url = CRL_RIG_FRESHEST;
    struct cm_bytes der = crl_rig_sign(&crl, crl_rig_write(entries, 2));
    CU_ASSERT_TRUE(read_all(der));
    CU_ASSERT_TRUE(pieces_damage(der, read_all));
}

static int set_up(void)
{
    return pki_init(CM_KEY_P256);
}

CM_TEST_SUITE_WITH(crl_read, set_up, pki_done, CM_TEST(test_a_list_of_ours_is_read_back),
                   CM_TEST(test_a_delta_and_an_empty_list_are_read_back),
                   CM_TEST(test_lists_that_openssl_makes_are_read),
                   CM_TEST(test_the_list_of_openssl_ca_is_read),
                   CM_TEST(test_a_list_of_version_1_is_read),
                   CM_TEST(test_other_versions_and_algorithms_are_not_supported),
                   CM_TEST(test_scopes_that_we_do_not_know_are_not_supported),
                   CM_TEST(test_extensions_of_a_list_are_read_strictly),
                   CM_TEST(test_entries_that_are_none_are_refused),
                   CM_TEST(test_entry_extensions_are_read_strictly),
                   CM_TEST(test_damaged_lists_are_read_or_refused));

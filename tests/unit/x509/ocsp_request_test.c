/* OCSP requests: those that OpenSSL makes are read, and what is malformed in any way is not. */
#include "engine/x509/ocsp_request.h"

#include <openssl/ocsp.h>
#include <stdio.h>

#include "engine/x509/serial.h"
#include "tests/support/test_main.h"
#include "tests/unit/x509/pieces.h"

/* --- by OpenSSL ----------------------------------------------------------------------------------- */

static struct cm_bytes encode(OCSP_REQUEST *request)
{
    unsigned char *der = NULL;
    int size = i2d_OCSP_REQUEST(request, &der);
    CU_ASSERT_TRUE_FATAL(size > 0);
    struct cm_bytes copy = cm_arena_copy(&pki.arena, cm_bytes(der, (size_t)size));
    OPENSSL_free(der);
    return copy;
}

static OCSP_CERTID *cert_id(const EVP_MD *hash, uint64_t serial)
{
    ASN1_INTEGER *number = ASN1_INTEGER_new();
    ASN1_INTEGER_set_uint64(number, serial);
    OCSP_CERTID *id = pki_cert_id(hash, number);
    ASN1_INTEGER_free(number);
    return id;
}

static OCSP_REQUEST *ask(const EVP_MD *hash, uint64_t serial)
{
    OCSP_REQUEST *request = OCSP_REQUEST_new();
    CU_ASSERT_PTR_NOT_NULL_FATAL(OCSP_request_add0_id(request, cert_id(hash, serial)));
    return request;
}

static void must_read(struct cm_bytes der, struct cm_ocsp_request *ret_request)
{
    struct cm_refusal refusal = { 0 };
    if (!cm_ocsp_request_read(der, ret_request, &refusal))
        printf("    %s\n", refusal.message);
    CU_ASSERT_EQUAL_FATAL(refusal.code, CM_REFUSAL_NONE);
}

static struct cm_bytes octets(const ASN1_OCTET_STRING *string)
{
    return cm_bytes(ASN1_STRING_get0_data(string), (size_t)ASN1_STRING_length(string));
}

static void expect_id(const struct cm_ocsp_cert_id *id, OCSP_ONEREQ *one)
{
    ASN1_OCTET_STRING *name_hash, *key_hash;
    ASN1_INTEGER *serial;
    ASN1_OBJECT *hash;
    OCSP_CERTID *theirs = OCSP_onereq_get0_id(one);
    OCSP_id_get0_info(&name_hash, &hash, &key_hash, &serial, theirs);
    enum cm_ocsp_hash expected = OBJ_obj2nid(hash) == NID_sha1     ? CM_OCSP_HASH_SHA1
                                 : OBJ_obj2nid(hash) == NID_sha256 ? CM_OCSP_HASH_SHA256
                                                                   : CM_OCSP_HASH_OTHER;
    CU_ASSERT_EQUAL(id->hash, expected);
    CU_ASSERT_TRUE(cm_bytes_equal(id->name_hash, octets(name_hash)));
    CU_ASSERT_TRUE(cm_bytes_equal(id->key_hash, octets(key_hash)));
    unsigned char *der = NULL;
    int size = i2d_ASN1_INTEGER(serial, &der);
    CU_ASSERT_TRUE(cm_bytes_equal(id->serial, cm_bytes(der + 2, (size_t)size - 2)));
    OPENSSL_free(der);
    der = NULL;
    size = i2d_OCSP_CERTID(theirs, &der);
    CU_ASSERT_TRUE(cm_bytes_equal(id->whole, cm_bytes(der, (size_t)size)));
    OPENSSL_free(der);
}

static void test_requests_about_one_to_eight_certificates_are_read(void)
{
    const EVP_MD *hashes[] = { EVP_sha1(), EVP_sha256(), EVP_sha384() };
    OCSP_REQUEST *request = OCSP_REQUEST_new();
    for (unsigned count = 1; count <= CM_OCSP_REQUESTS_MAX; count++) {
        struct cm_ocsp_request read;
        OCSP_request_add0_id(request, cert_id(hashes[count % 3], UINT64_MAX >> 8 * (count - 1)));
        must_read(encode(request), &read);
        CU_ASSERT_EQUAL(read.ids_count, count);
        CU_ASSERT_EQUAL(read.nonce.size, 0);
        for (unsigned i = 0; i < count; i++)
            expect_id(&read.ids[i], OCSP_request_onereq_get0(request, (int)i));
    }
    OCSP_request_add0_id(request, cert_id(EVP_sha1(), 9));
    struct cm_refusal refusal;
    struct cm_ocsp_request read;
    CU_ASSERT_FALSE(cm_ocsp_request_read(encode(request), &read, &refusal));
    CU_ASSERT_EQUAL(refusal.code, CM_REFUSAL_DER_TOO_MANY_ELEMENTS);
    OCSP_REQUEST_free(request);
}

static void test_nonces_of_1_to_128_octets_are_read(void)
{
    uint8_t nonce[CM_OCSP_NONCE_SIZE_MAX + 1];
    for (size_t i = 0; i < sizeof nonce; i++)
        nonce[i] = (uint8_t)(i * 7);
    for (size_t size = 1; size <= sizeof nonce; size++) {
        struct cm_ocsp_request read;
        struct cm_refusal refusal;
        OCSP_REQUEST *request = ask(EVP_sha256(), 5);
        CU_ASSERT_EQUAL(OCSP_request_add1_nonce(request, nonce, (int)size), 1);
        bool is_read = cm_ocsp_request_read(encode(request), &read, &refusal);
        CU_ASSERT_EQUAL(is_read, size <= CM_OCSP_NONCE_SIZE_MAX);
        CU_ASSERT_TRUE(!is_read || cm_bytes_equal(read.nonce, cm_bytes(nonce, size)));
        OCSP_REQUEST_free(request);
    }
}

static void test_a_signed_request_is_read_and_its_signature_not_looked_at(void)
{
    X509 *signer = pki_parse(pki.issuing);
    for (unsigned long flags = 0; flags < 2; flags++) {
        struct cm_ocsp_request read;
        OCSP_REQUEST *request = ask(EVP_sha1(), 5);
        CU_ASSERT_EQUAL_FATAL(OCSP_request_sign(request, signer, pki.issuing_key.key, EVP_sha256(),
                                                NULL, flags ? OCSP_NOCERTS : 0),
                              1);
        must_read(encode(request), &read);
        expect_id(&read.ids[0], OCSP_request_onereq_get0(request, 0));
        OCSP_REQUEST_free(request);
    }
    X509_free(signer);
}

/* What clients add, and nobody must understand: acceptable responses, a service locator. */
static void test_extensions_that_are_not_critical_are_passed_over(void)
{
    OCSP_REQUEST *request = ask(EVP_sha1(), 5);
    char basic[] = "1.3.6.1.5.5.7.48.1.1";
    char *types[] = { basic, NULL };
    X509_EXTENSION *acceptable = OCSP_accept_responses_new(types);
    CU_ASSERT_TRUE_FATAL(acceptable && OCSP_REQUEST_add_ext(request, acceptable, -1));
    CU_ASSERT_TRUE_FATAL(OCSP_ONEREQ_add_ext(OCSP_request_onereq_get0(request, 0), acceptable, -1));
    OCSP_request_add1_nonce(request, (unsigned char *)basic, 16);
    struct cm_ocsp_request read;
    must_read(encode(request), &read);
    CU_ASSERT_TRUE(cm_bytes_equal(read.nonce, cm_bytes(basic, 16)));
    X509_EXTENSION_free(acceptable);
    OCSP_REQUEST_free(request);
}

/* Java's CertPath, GnuTLS's ocsptool, Python's cryptography: about the serial 0x80aabb. */
static void test_requests_of_other_clients_are_read(void)
{
    static const struct {
        const char *der;
        enum cm_ocsp_hash hash;
        size_t nonce_size;
    } requests[] = {
        { "306a30683041303f303d300906052b0e03021a050004142afd50556b98fa323f949b277ce59a"
          "43584a196c04140603c23d1bc739b7dfb7ba69035b4a738634a78302040080aabba223302130"
          "1f06092b06010505073001020412041000000000000000000000000000000000",
          CM_OCSP_HASH_SHA1, 16 },
        { "304530433041303f303d300906052b0e03021a050004142afd50556b98fa323f949b277ce59a"
          "43584a196c04140603c23d1bc739b7dfb7ba69035b4a738634a78302040080aabb",
          CM_OCSP_HASH_SHA1, 0 },
        { "308187308184305d305b3059300d060960864801650304020105000420ac3ef74bdca77f8055"
          "aa6835261f6e1a51bb701702b4a7f99e30233b4e9fe953042022aa6f1afa30b69f39ecb1ce59"
          "9c373290fea5c9abf74a4a35e98364e2760c4102040080aabba2233021301f06092b06010505"
          "073001020412041078787878787878787878787878787878",
          CM_OCSP_HASH_SHA256, 16 },
    };
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        struct cm_ocsp_request read;
        must_read(piece_hex(requests[i].der), &read);
        CU_ASSERT_TRUE(read.ids_count == 1 && read.ids[0].hash == requests[i].hash);
        CU_ASSERT_TRUE(cm_bytes_equal(read.ids[0].serial, piece_hex("0080aabb")));
        CU_ASSERT_EQUAL(read.nonce.size, requests[i].nonce_size);
    }
}

/* --- from pieces ---------------------------------------------------------------------------------- */

#define SHA1_HEX   "300906052b0e03021a0500"
#define HASH_HEX   "0414000102030405060708090a0b0c0d0e0f10111213"
#define NONCE_HEX  "2b0601050507300102"
#define OTHER_HEX  "2b0601050507300107"
#define CONTEXT(n) CM_DER_CONTEXT_CONSTRUCTED(n)

static struct cm_bytes id_of(const char *hash, const char *hashes, const char *serial)
{
    return pieces(CM_DER_SEQUENCE, piece_hex(hash), piece_hex(hashes), piece_hex(serial));
}

static struct cm_bytes good_id(void)
{
    return id_of(SHA1_HEX, HASH_HEX HASH_HEX, "020105");
}

static struct cm_bytes single(struct cm_bytes id, struct cm_bytes extensions)
{
    return pieces(CM_DER_SEQUENCE, id,
                  extensions.data ? piece(CONTEXT(0), piece(CM_DER_SEQUENCE, extensions))
                                  : NO_PIECE);
}

static struct cm_bytes whole(struct cm_bytes before, struct cm_bytes singles,
                             struct cm_bytes extensions, struct cm_bytes behind)
{
    return pieces(
        CM_DER_SEQUENCE,
        pieces(CM_DER_SEQUENCE, before, piece(CM_DER_SEQUENCE, singles),
               extensions.data ? piece(CONTEXT(2), piece(CM_DER_SEQUENCE, extensions)) : NO_PIECE),
        behind);
}

static struct cm_bytes with_id(struct cm_bytes id)
{
    return whole(NO_PIECE, single(id, NO_PIECE), NO_PIECE, NO_PIECE);
}

static struct cm_bytes with_extensions(struct cm_bytes extensions)
{
    return whole(NO_PIECE, single(good_id(), NO_PIECE), extensions, NO_PIECE);
}

static struct cm_bytes two(struct cm_bytes one, struct cm_bytes other)
{
    return cm_bytes_from(pieces(CM_DER_SEQUENCE, one, other), 2); /* both are short */
}

static void expect(struct cm_bytes der, enum cm_refusal_code code)
{
    struct cm_ocsp_request read;
    struct cm_refusal refusal = { 0 };
    bool is_read = cm_ocsp_request_read(der, &read, &refusal);
    if (refusal.code != code)
        printf("    %s: %s\n", cm_refusal_name(refusal.code), refusal.message);
    CU_ASSERT_EQUAL(is_read, code == CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(refusal.code, code);
}

static void test_a_request_from_pieces_is_one_that_openssl_reads(void)
{
    struct cm_bytes der = with_extensions(piece_extension(NONCE_HEX, true, piece_hex("0401aa")));
    const unsigned char *next = der.data;
    OCSP_REQUEST *request = d2i_OCSP_REQUEST(NULL, &next, (long)der.size);
    CU_ASSERT_TRUE(request && next == der.data + der.size);
    OCSP_REQUEST_free(request);
    expect(der, CM_REFUSAL_NONE);
}

static void test_serials_that_are_none_are_refused(void)
{
    static const struct {
        const char *serial;
        enum cm_refusal_code code;
    } cases[] = {
        { "0201ff", CM_REFUSAL_DER_UNEXPECTED_LENGTH },     /* negative */
        { "020100", CM_REFUSAL_DER_UNEXPECTED_LENGTH },     /* zero */
        { "02020005", CM_REFUSAL_DER_INTEGER_NOT_MINIMAL }, /* a zero too many */
        { "0200", CM_REFUSAL_DER_UNEXPECTED_LENGTH },
        { "0215010203040506070809000102030405060708090001", CM_REFUSAL_DER_UNEXPECTED_LENGTH },
        { "040105", CM_REFUSAL_DER_UNEXPECTED_TAG },
        { "0214010203040506070809000102030405060708090a", CM_REFUSAL_NONE },
        { "02020080", CM_REFUSAL_NONE },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect(with_id(id_of(SHA1_HEX, HASH_HEX HASH_HEX, cases[i].serial)), cases[i].code);
}

static void test_hashes_have_the_size_of_their_algorithm(void)
{
    expect(with_id(id_of(SHA1_HEX, HASH_HEX "040100", "020105")), CM_REFUSAL_DER_UNEXPECTED_LENGTH);
    expect(with_id(id_of(SHA1_HEX, "0400" HASH_HEX, "020105")), CM_REFUSAL_DER_UNEXPECTED_LENGTH);
    /* 20 octets and SHA-256 */
    expect(with_id(id_of("300b0609608648016503040201", HASH_HEX HASH_HEX, "020105")),
           CM_REFUSAL_DER_UNEXPECTED_LENGTH);
    /* MD5: nobody is known by it, and that is for the answer to say. */
    expect(with_id(id_of("300c06082a864886f70d02050500", "04010104020202", "020105")),
           CM_REFUSAL_NONE);
    /* Parameters: absent or NULL. */
    expect(with_id(id_of("300706052b0e03021a", HASH_HEX HASH_HEX, "020105")), CM_REFUSAL_NONE);
    expect(with_id(id_of("300906052b0e03021a3000", HASH_HEX HASH_HEX, "020105")),
           CM_REFUSAL_DER_UNEXPECTED_TAG);
    expect(with_id(id_of("300b06052b0e03021a05000500", HASH_HEX HASH_HEX, "020105")),
           CM_REFUSAL_DER_UNEXPECTED_TAG);
}

static void test_a_request_about_nothing_is_refused(void)
{
    expect(whole(NO_PIECE, NO_PIECE, NO_PIECE, NO_PIECE), CM_REFUSAL_DER_TOO_FEW_ELEMENTS);
    expect(cm_bytes(NULL, 0), CM_REFUSAL_DER_EMPTY);
    expect(piece_hex("3000"), CM_REFUSAL_DER_TOO_FEW_ELEMENTS);
}

static void test_a_version_is_never_written_out(void)
{
    struct cm_bytes ids = single(good_id(), NO_PIECE);
    expect(whole(piece_hex("a003020100"), ids, NO_PIECE, NO_PIECE), CM_REFUSAL_CSR_VERSION);
    expect(whole(piece_hex("a003020101"), ids, NO_PIECE, NO_PIECE), CM_REFUSAL_CSR_VERSION);
}

static void test_critical_extensions_must_be_known(void)
{
    struct cm_bytes other = piece_extension(OTHER_HEX, true, piece_hex("0500"));
    struct cm_bytes nonce = piece_extension(NONCE_HEX, true, piece_hex("0401aa"));
    expect(with_extensions(other), CM_REFUSAL_CSR_EXT_CRITICAL_UNKNOWN);
    expect(with_extensions(nonce), CM_REFUSAL_NONE);
    expect(whole(NO_PIECE, single(good_id(), other), NO_PIECE, NO_PIECE),
           CM_REFUSAL_CSR_EXT_CRITICAL_UNKNOWN);
    /* Beside one certificate, a nonce means nothing. */
    expect(whole(NO_PIECE, single(good_id(), nonce), NO_PIECE, NO_PIECE),
           CM_REFUSAL_CSR_EXT_CRITICAL_UNKNOWN);
}

static void test_an_extension_stands_once(void)
{
    struct cm_bytes other = piece_extension(OTHER_HEX, false, piece_hex("0500"));
    struct cm_bytes nonce = piece_extension(NONCE_HEX, false, piece_hex("0401aa"));
    expect(with_extensions(two(nonce, other)), CM_REFUSAL_NONE);
    expect(with_extensions(two(nonce, nonce)), CM_REFUSAL_CSR_EXT_DUPLICATE);
    expect(with_extensions(two(other, other)), CM_REFUSAL_CSR_EXT_DUPLICATE);
    expect(whole(NO_PIECE, single(good_id(), two(other, other)), NO_PIECE, NO_PIECE),
           CM_REFUSAL_CSR_EXT_DUPLICATE);
    expect(with_extensions(cm_bytes("", 0)), CM_REFUSAL_DER_TOO_FEW_ELEMENTS);
}

static void test_extensions_are_bounded(void)
{
    struct cm_bytes list = NO_PIECE;
    for (unsigned i = 0; i <= 33; i++) {
        char oid[] = "2a0300";
        snprintf(oid, sizeof oid, "2a03%02x", i);
        struct cm_bytes more =
            pieces(CM_DER_SEQUENCE, list, piece_extension(oid, false, piece_hex("0500")));
        list = cm_bytes_from(more, more.data[1] < 0x80 ? 2 : more.data[1] == 0x81 ? 3 : 4);
        expect(with_extensions(list), i < 32 ? CM_REFUSAL_NONE : CM_REFUSAL_DER_TOO_MANY_ELEMENTS);
    }
}

static void test_nonces_of_other_forms_are_refused(void)
{
    struct {
        const char *value;
        enum cm_refusal_code code;
    } cases[] = {
        { "0400", CM_REFUSAL_DER_UNEXPECTED_LENGTH },  /* empty */
        { "0c0161", CM_REFUSAL_DER_UNEXPECTED_TAG },   /* not octets */
        { "0401aa00", CM_REFUSAL_DER_UNEXPECTED_TAG }, /* more behind it */
        { "", CM_REFUSAL_DER_EMPTY },
        { "04810101", CM_REFUSAL_DER_LENGTH_NOT_MINIMAL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect(with_extensions(piece_extension(NONCE_HEX, false, piece_hex(cases[i].value))),
               cases[i].code);
}

static void test_ber_is_refused(void)
{
    struct cm_bytes inside = cm_bytes_from(with_id(good_id()), 2);
    struct cm_bytes long_form = pieces(CM_DER_SEQUENCE, inside);
    uint8_t *ber = cm_arena_alloc(&pki.arena, long_form.size + 3);
    ber[0] = 0x30;
    ber[1] = 0x81; /* a length of two octets where one would do */
    ber[2] = (uint8_t)inside.size;
    memcpy(ber + 3, inside.data, inside.size);
    expect(cm_bytes(ber, inside.size + 3), CM_REFUSAL_DER_LENGTH_NOT_MINIMAL);
    ber[1] = 0x80; /* no length, but an end */
    memcpy(ber + 2, inside.data, inside.size);
    memset(ber + 2 + inside.size, 0, 2);
    expect(cm_bytes(ber, inside.size + 4), CM_REFUSAL_DER_INDEFINITE_LENGTH);
    /* Also in what nobody here reads: a requestor with a constructed string in it. */
    struct cm_bytes requestor = piece(CONTEXT(1), piece(CONTEXT(0), piece_hex("2c03040161")));
    expect(whole(requestor, single(good_id(), NO_PIECE), NO_PIECE, NO_PIECE),
           CM_REFUSAL_DER_STRING_CONSTRUCTED);
    /* FALSE is the default, and not written. */
    expect(with_extensions(pieces(CM_DER_SEQUENCE, piece(CM_DER_OID, piece_hex(OTHER_HEX)),
                                  piece_hex("010100"), piece_hex("04020500"))),
           CM_REFUSAL_DER_DEFAULT_ENCODED);
}

static void test_what_stands_behind_is_refused(void)
{
    struct cm_bytes der = with_id(good_id());
    expect(cm_bytes_from(pieces(CM_DER_SEQUENCE, der, piece_hex("00")), 2),
           CM_REFUSAL_DER_TRAILING_DATA);
    expect(whole(NO_PIECE, single(good_id(), NO_PIECE), NO_PIECE, piece_hex("0500")),
           CM_REFUSAL_DER_UNEXPECTED_TAG);
    expect(whole(NO_PIECE, single(good_id(), NO_PIECE), NO_PIECE, piece_hex("a0023000")),
           CM_REFUSAL_DER_TOO_FEW_ELEMENTS); /* a signature of nothing */
}

static void test_requests_over_8_kib_are_refused(void)
{
    uint8_t *zeros = cm_arena_zalloc(&pki.arena, CM_OCSP_REQUEST_SIZE_MAX);
    size_t least = with_extensions(piece_extension(OTHER_HEX, false, NO_PIECE)).size;
    for (size_t over = 0; over < 40; over++) {
        struct cm_bytes value = cm_bytes(zeros, CM_OCSP_REQUEST_SIZE_MAX - least - over);
        struct cm_bytes der = with_extensions(piece_extension(OTHER_HEX, false, value));
        expect(der,
               der.size <= CM_OCSP_REQUEST_SIZE_MAX ? CM_REFUSAL_NONE : CM_REFUSAL_DER_TOO_LARGE);
    }
}

static bool read_one(struct cm_bytes der)
{
    struct cm_ocsp_request request;
    struct cm_refusal refusal;
    return cm_ocsp_request_read(der, &request, &refusal);
}

static void test_damaged_requests_are_read_or_refused(void)
{
    X509 *signer = pki_parse(pki.issuing);
    OCSP_REQUEST *request = ask(EVP_sha1(), 5);
    OCSP_request_add0_id(request, cert_id(EVP_sha256(), UINT64_MAX));
    OCSP_request_add1_nonce(request, NULL, 32);
    CU_ASSERT_TRUE(pieces_damage(encode(request), read_one));
    OCSP_request_sign(request, signer, pki.issuing_key.key, EVP_sha256(), NULL, 0);
    CU_ASSERT_TRUE(pieces_damage(encode(request), read_one));
    OCSP_REQUEST_free(request);
    X509_free(signer);
}

static int set_up(void)
{
    return pki_init(CM_KEY_P256);
}

CM_TEST_SUITE_WITH(ocsp_request, set_up, pki_done,
                   CM_TEST(test_requests_about_one_to_eight_certificates_are_read),
                   CM_TEST(test_nonces_of_1_to_128_octets_are_read),
                   CM_TEST(test_a_signed_request_is_read_and_its_signature_not_looked_at),
                   CM_TEST(test_extensions_that_are_not_critical_are_passed_over),
                   CM_TEST(test_requests_of_other_clients_are_read),
                   CM_TEST(test_a_request_from_pieces_is_one_that_openssl_reads),
                   CM_TEST(test_serials_that_are_none_are_refused),
                   CM_TEST(test_hashes_have_the_size_of_their_algorithm),
                   CM_TEST(test_a_request_about_nothing_is_refused),
                   CM_TEST(test_a_version_is_never_written_out),
                   CM_TEST(test_critical_extensions_must_be_known),
                   CM_TEST(test_an_extension_stands_once), CM_TEST(test_extensions_are_bounded),
                   CM_TEST(test_nonces_of_other_forms_are_refused), CM_TEST(test_ber_is_refused),
                   CM_TEST(test_what_stands_behind_is_refused),
                   CM_TEST(test_requests_over_8_kib_are_refused),
                   CM_TEST(test_damaged_requests_are_read_or_refused));

/* What the writer writes is held against OpenSSL's encoders and our own strict reader. */
#include <openssl/asn1.h>
#include <openssl/objects.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "engine/x509/der_writer.h"
#include "tests/support/test_main.h"

static uint8_t buffer[1024];

static struct cm_der_writer begin(void)
{
    struct cm_der_writer w;
    cm_der_writer_init(&w, buffer, sizeof buffer);
    return w;
}

static bool wrote(const struct cm_der_writer *w, const char *hex)
{
    char text[2 * sizeof buffer + 1] = "";
    cm_hex_encode(cm_der_written(w), text);
    bool is_same = strcmp(text, hex) == 0;
    if (!is_same)
        printf("    wrote %s\n", text);
    return is_same;
}

static void test_lengths_take_the_short_and_the_long_form(void)
{
    static const struct {
        size_t size;
        const char *header;
    } cases[] = { { 0, "0400" },     { 1, "0401" },       { 127, "047f" },    { 128, "048180" },
                  { 255, "0481ff" }, { 256, "04820100" }, { 900, "04820384" } };
    static const uint8_t content[900];
    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        struct cm_der_writer w = begin();
        char hex[16];
        cm_der_put_tlv(&w, CM_DER_OCTET_STRING, cm_bytes(content, cases[index].size));
        struct cm_bytes written = cm_der_written(&w);
        cm_hex_encode(cm_bytes(written.data, written.size - cases[index].size), hex);
        CU_ASSERT_STRING_EQUAL(hex, cases[index].header);
    }
}

static void test_wrapping_nests(void)
{
    struct cm_der_writer w = begin();
    cm_der_put_uint(&w, 5);
    size_t mark = cm_der_mark(&w);
    cm_der_put_uint(&w, 2);
    cm_der_put_true(&w);
    cm_der_wrap(&w, CM_DER_SEQUENCE, mark);
    cm_der_wrap(&w, CM_DER_CONTEXT_CONSTRUCTED(3), 0);
    CU_ASSERT_TRUE(wrote(&w, "a30b30060101ff020102020105"));
}

static void test_unsigned_integers_are_minimal_and_positive(void)
{
    static const struct {
        uint64_t value;
        const char *hex;
    } cases[] = { { 0, "020100" },
                  { 127, "02017f" },
                  { 128, "02020080" },
                  { 255, "020200ff" },
                  { 256, "02020100" },
                  { 32768, "0203008000" },
                  { UINT64_MAX, "020900ffffffffffffffff" } };
    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        struct cm_der_writer w = begin();
        cm_der_put_uint(&w, cases[index].value);
        CU_ASSERT_TRUE(wrote(&w, cases[index].hex));
    }
}

static void test_named_bits_leave_trailing_zeros_out(void)
{
    static const struct {
        unsigned mask;
        const char *hex;
    } cases[] = { { 1u << 0, "03020780" },
                  { 1u << 0 | 1u << 2, "030205a0" },
                  { 1u << 5 | 1u << 6, "03020106" },
                  { 1u << 8, "0303070080" },
                  { 0, "030100" } };
    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        struct cm_der_writer w = begin();
        cm_der_put_named_bits(&w, cases[index].mask);
        CU_ASSERT_TRUE(wrote(&w, cases[index].hex));
    }
}

static void test_oids_are_what_openssl_writes(void)
{
    static const char *const texts[] = { "0.0",
                                         "1.39.1",
                                         "2.5.4.3",
                                         "2.999.1",
                                         "2.47",
                                         "2.48",
                                         "1.3.6.1.4.1.55555.1",
                                         "1.2.840.113549.1.1.11",
                                         "2.25.4294967296",
                                         "1.0.127.128.16383.16384" };
    for (size_t index = 0; index < sizeof texts / sizeof texts[0]; index++) {
        struct cm_der_writer w = begin();
        ASN1_OBJECT *object = OBJ_txt2obj(texts[index], 1);
        unsigned char *der = NULL;
        int size = i2d_ASN1_OBJECT(object, &der);
        CU_ASSERT_TRUE(cm_der_put_oid(&w, cm_bytes_str(texts[index])));
        CU_ASSERT_TRUE(cm_bytes_equal(cm_der_written(&w), cm_bytes(der, (size_t)size)));
        OPENSSL_free(der);
        ASN1_OBJECT_free(object);
    }
}

static void test_texts_that_are_no_oids_are_refused(void)
{
    static const char *const texts[] = {
        "",
        "1",
        "3.1",
        "0.40",
        "1.40",
        "1..2",
        "1.2.",
        ".1.2",
        "1.02",
        "01.2",
        "1.2.a",
        "1.-2",
        "1.2 ",
        "1.2.18446744073709551616",
        "1.2.99999999999999999999999999",
        "2.9223372036854775807",
        /* 70 octets */
        ("1.2.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1."
         "1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1"),
    };
    for (size_t index = 0; index < sizeof texts / sizeof texts[0]; index++) {
        struct cm_der_writer w = begin();
        CU_ASSERT_FALSE(cm_der_put_oid(&w, cm_bytes_str(texts[index])));
        CU_ASSERT_EQUAL(cm_der_mark(&w), 0);
    }
}

static bool time_reads_as(struct cm_bytes der, int64_t time_s)
{
    struct cm_refusal refusal;
    struct cm_der reader = cm_der_open(der, &refusal);
    int64_t read_s;
    return cm_der_read_time(&reader, "time", &read_s) && read_s == time_s;
}

static bool time_is_openssls(struct cm_bytes der, int64_t time_s)
{
    time_t time = (time_t)time_s;
    ASN1_TIME *openssl = ASN1_TIME_set(NULL, time);
    unsigned char *encoded = NULL;
    int size = i2d_ASN1_TIME(openssl, &encoded);
    bool same = cm_bytes_equal(der, cm_bytes(encoded, (size_t)size));
    OPENSSL_free(encoded);
    ASN1_TIME_free(openssl);
    return same;
}

static void check_time(int64_t time_s)
{
    struct cm_der_writer w = begin();
    cm_der_put_time(&w, time_s);
    if (!time_reads_as(cm_der_written(&w), time_s)
        || !time_is_openssls(cm_der_written(&w), time_s)) {
        printf("    %lld\n", (long long)time_s);
        CU_FAIL("another time");
    }
}

static void test_times_at_every_boundary_are_openssls(void)
{
    static const int64_t boundaries[] = {
        CM_DER_TIME_MIN_S, /* 1950 */
        -1,                /* 1969-12-31 23:59:59 */
        0,
        951782400,             /* 2000-02-29: a leap year, though a century */
        951868800,             /* 2000-03-01 */
        1709164800,            /* 2024-02-29 */
        1709251199,            /* 2024-02-29 23:59:59 */
        1740787200,            /* 2025-03-01 */
        CM_DER_UTC_TIME_MAX_S, /* 2049-12-31 23:59:59 */
        4107542400,            /* 2100-03-01, no leap year */
        CM_DER_TIME_MAX_S,
    };
    for (size_t index = 0; index < sizeof boundaries / sizeof boundaries[0]; index++)
        for (int64_t step = -1; step <= 1; step++) {
            int64_t time_s = boundaries[index] + step;
            if (time_s >= CM_DER_TIME_MIN_S && time_s <= CM_DER_TIME_MAX_S)
                check_time(time_s);
        }
}

static void test_every_day_until_2400_is_openssls(void)
{
    for (int64_t day = CM_DER_TIME_MIN_S / 86400; day < 157000; day += 1)
        check_time(day * 86400 + (day * 7919 % 86400 + 86400) % 86400);
}

static void test_2049_ends_in_utctime_and_2050_begins_in_generalizedtime(void)
{
    struct cm_der_writer w = begin();
    cm_der_put_time(&w, CM_DER_UTC_TIME_MAX_S + 1);
    cm_der_put_time(&w, CM_DER_UTC_TIME_MAX_S);
    CU_ASSERT_TRUE(cm_bytes_is(cm_der_written(&w), "\x17\x0d"
                                                   "491231235959Z"
                                                   "\x18\x0f"
                                                   "20500101000000Z"));
}

static void test_no_expiry_is_the_last_second_of_9999(void)
{
    struct cm_der_writer w = begin();
    cm_der_put_time(&w, CM_DER_TIME_MAX_S);
    CU_ASSERT_TRUE(cm_bytes_is(cm_der_written(&w), "\x18\x0f"
                                                   "99991231235959Z"));
}

static void test_protocols_that_want_it_get_generalizedtime_in_every_year(void)
{
    struct cm_der_writer w = begin();
    cm_der_put_generalized_time(&w, CM_DER_UTC_TIME_MAX_S + 1);
    cm_der_put_generalized_time(&w, CM_DER_TIME_MIN_S);
    CU_ASSERT_TRUE(cm_bytes_is(cm_der_written(&w), "\x18\x0f"
                                                   "19500101000000Z"
                                                   "\x18\x0f"
                                                   "20500101000000Z"));
}

static void test_a_header_stands_for_content_that_is_elsewhere(void)
{
    struct cm_der_writer w = begin();
    cm_der_put_header(&w, CM_DER_SEQUENCE, 0x123456);
    cm_der_put_header(&w, CM_DER_SEQUENCE, 0x7f);
    CU_ASSERT_TRUE(cm_bytes_is(cm_der_written(&w), "\x30\x7f\x30\x83\x12\x34\x56"));
}

static void test_a_buffer_that_is_too_small_gives_nothing_at_any_size(void)
{
    uint8_t guarded[64];
    for (size_t size = 0; size < 13; size++) {
        struct cm_der_writer w;
        memset(guarded, 0xee, sizeof guarded);
        cm_der_writer_init(&w, guarded + 8, size);
        cm_der_put_uint(&w, 5);
        cm_der_put_uint(&w, 2);
        cm_der_put_true(&w);
        cm_der_wrap(&w, CM_DER_SEQUENCE, 0);
        cm_der_wrap(&w, CM_DER_SEQUENCE, 0);
        CU_ASSERT_TRUE(w.overflow);
        CU_ASSERT_EQUAL(cm_der_written(&w).size, 0);
        CU_ASSERT_EQUAL(guarded[7], 0xee);
        CU_ASSERT_EQUAL(guarded[8 + size], 0xee);
    }
}

CM_TEST_SUITE(der_writer, CM_TEST(test_lengths_take_the_short_and_the_long_form),
              CM_TEST(test_wrapping_nests),
              CM_TEST(test_unsigned_integers_are_minimal_and_positive),
              CM_TEST(test_named_bits_leave_trailing_zeros_out),
              CM_TEST(test_oids_are_what_openssl_writes),
              CM_TEST(test_texts_that_are_no_oids_are_refused),
              CM_TEST(test_times_at_every_boundary_are_openssls),
              CM_TEST(test_every_day_until_2400_is_openssls),
              CM_TEST(test_2049_ends_in_utctime_and_2050_begins_in_generalizedtime),
              CM_TEST(test_no_expiry_is_the_last_second_of_9999),
              CM_TEST(test_protocols_that_want_it_get_generalizedtime_in_every_year),
              CM_TEST(test_a_header_stands_for_content_that_is_elsewhere),
              CM_TEST(test_a_buffer_that_is_too_small_gives_nothing_at_any_size));

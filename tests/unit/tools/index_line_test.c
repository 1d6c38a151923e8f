/*
 * Goal: lines of an `openssl ca` index.txt are understood as OpenSSL writes them, and anything else is
 * refused with what was expected. Method: lines in, fields out. tests/integration/ca_import_test.py reads
 * files that openssl itself has written.
 */
#include "tests/support/test_main.h"

#include <stdio.h>
#include <string.h>

#include "tools/index_line.h"

static struct cm_error err;

static cm_status read_line(const char *text, struct cm_index_line *line)
{
    char copy[256];
    snprintf(copy, sizeof copy, "%s", text);
    return cm_index_line_read(copy, line, &err);
}

static void test_a_valid_certificate_has_a_serial_and_an_end(void)
{
    struct cm_index_line line;
    CU_ASSERT_EQUAL(read_line("V\t301231235959Z\t\t01A2\tunknown\t/CN=m-1", &line), CM_OK);
    CU_ASSERT_EQUAL(line.not_after_s, 1924991999);
    CU_ASSERT_EQUAL(line.revoked_s, 0);
    CU_ASSERT_EQUAL(line.serial.size, 2);
    CU_ASSERT_EQUAL(memcmp(line.serial.octets, "\x01\xa2", 2), 0);
}

static void test_an_expired_one_and_one_beyond_2050_are_read_the_same_way(void)
{
    struct cm_index_line line;
    CU_ASSERT_EQUAL(read_line("E\t700101000001Z\t\t01\tunknown\t/CN=old", &line), CM_OK);
    CU_ASSERT_EQUAL(line.not_after_s, 1);
    CU_ASSERT_EQUAL(read_line("V\t20500101000000Z\t\t01\tunknown\t/CN=late", &line), CM_OK);
    CU_ASSERT_EQUAL(line.not_after_s, 2524608000);
    CU_ASSERT_EQUAL(read_line("V\t991231235959Z\t\t01\tunknown\t/CN=1999", &line), CM_OK);
    CU_ASSERT_EQUAL(line.not_after_s, 946684799);
}

static void test_a_serial_with_its_first_bit_set_is_a_positive_integer(void)
{
    struct cm_index_line line;
    CU_ASSERT_EQUAL(read_line("V\t301231235959Z\t\tFF01\tunknown\t/CN=m", &line), CM_OK);
    CU_ASSERT_EQUAL(line.serial.size, 3);
    CU_ASSERT_EQUAL(memcmp(line.serial.octets, "\0\xff\x01", 3), 0);
}

static void test_every_reason_that_openssl_writes_is_known(void)
{
    static const struct {
        const char *text;
        enum cm_reason reason;
        int64_t invalidity_s;
    } cases[] = {
        { "260131120000Z", CM_REASON_UNSPECIFIED, 0 },
        { "260131120000Z,unspecified", CM_REASON_UNSPECIFIED, 0 },
        { "260131120000Z,keyCompromise", CM_REASON_KEY_COMPROMISE, 0 },
        { "260131120000Z,CACompromise", CM_REASON_CA_COMPROMISE, 0 },
        { "260131120000Z,affiliationChanged", CM_REASON_AFFILIATION_CHANGED, 0 },
        { "260131120000Z,superseded", CM_REASON_SUPERSEDED, 0 },
        { "260131120000Z,cessationOfOperation", CM_REASON_CESSATION_OF_OPERATION, 0 },
        { "260131120000Z,certificateHold", CM_REASON_CERTIFICATE_HOLD, 0 },
        { "260131120000Z,holdInstruction,holdInstructionReject", CM_REASON_CERTIFICATE_HOLD, 0 },
        { "260131120000Z,keyTime,20260130000000Z", CM_REASON_KEY_COMPROMISE, 1769731200 },
        { "260131120000Z,CAkeyTime,20260130000000Z", CM_REASON_CA_COMPROMISE, 1769731200 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cm_index_line line;
        char text[160];
        snprintf(text, sizeof text, "R\t301231235959Z\t%s\t01\tunknown\t/CN=m", cases[i].text);
        CU_ASSERT_EQUAL(read_line(text, &line), CM_OK);
        CU_ASSERT_EQUAL(line.reason, cases[i].reason);
        CU_ASSERT_EQUAL(line.revoked_s, 1769860800);
        CU_ASSERT_EQUAL(line.invalidity_s, cases[i].invalidity_s);
    }
}

static void test_what_is_no_line_is_refused_with_what_was_expected(void)
{
    static const struct {
        const char *text, *expected;
    } cases[] = {
        { "V 301231235959Z 01", "six fields with tabs" },
        { "V\t301231235959Z\t\t01\tunknown", "six fields with tabs" },
        { "X\t301231235959Z\t\t01\tunknown\t/CN=m", "the state V, R or E, found \"X\"" },
        { "V\t301231235959\t\t01\tunknown\t/CN=m", "the end of the certificate" },
        { "V\t300231235959Z\t\t01\tunknown\t/CN=m", "the end of the certificate" },
        { "V\t500101000000Z\t\t01\tunknown\t/CN=m", "the end of the certificate" },
        { "V\t301231235959Z\t260131120000Z\t01\tunknown\t/CN=m", "no revocation of what is not" },
        { "R\t301231235959Z\t\t01\tunknown\t/CN=m", "the time of the revocation" },
        { "R\t301231235959Z\t260131120000Z,lost\t01\tunknown\t/CN=m", "a reason for a revocation" },
        { "R\t301231235959Z\t260131120000Z,removeFromCRL\t01\tunknown\t/CN=m", "a reason for a" },
        { "R\t301231235959Z\t260131120000Z,keyTime\t01\tunknown\t/CN=m", "a time behind the" },
        { "R\t301231235959Z\t260131120000Z,keyTime,soon\t01\tunknown\t/CN=m", "a time behind the" },
        { "R\t301231235959Z\t260131120000Z,superseded,x\t01\tunknown\t/CN=m", "nothing behind" },
        { "V\t301231235959Z\t\t0x01\tunknown\t/CN=m", "a serial number in hex" },
        { "V\t301231235959Z\t\t00\tunknown\t/CN=m", "a serial number in hex" },
        { "V\t301231235959Z\t\t\tunknown\t/CN=m", "a serial number in hex" },
        { "V\t301231235959Z\t\t01:02\tunknown\t/CN=m", "a serial number in hex" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cm_index_line line;
        CU_ASSERT_EQUAL(read_line(cases[i].text, &line), CM_MALFORMED);
        CU_ASSERT_PTR_NOT_NULL(strstr(err.text, cases[i].expected));
    }
}

CM_TEST_SUITE(index_line, CM_TEST(test_a_valid_certificate_has_a_serial_and_an_end),
              CM_TEST(test_an_expired_one_and_one_beyond_2050_are_read_the_same_way),
              CM_TEST(test_a_serial_with_its_first_bit_set_is_a_positive_integer),
              CM_TEST(test_every_reason_that_openssl_writes_is_known),
              CM_TEST(test_what_is_no_line_is_refused_with_what_was_expected));

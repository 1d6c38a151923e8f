#include "engine/status/target.h"
#include "tests/support/test_main.h"

static struct cm_target read(const char *text)
{
    return cm_target_read(cm_bytes_str(text));
}

static bool decodes_to(const char *text, const char *octets, size_t size)
{
    uint8_t space[64];
    size_t found = 0;
    return cm_target_decode(cm_bytes_str(text), space, sizeof space, &found)
           && cm_bytes_equal(cm_bytes(space, found), cm_bytes(octets, size));
}

static bool decodes(const char *text)
{
    uint8_t space[64];
    size_t size;
    return cm_target_decode(cm_bytes_str(text), space, sizeof space, &size);
}

static void test_what_has_no_path_of_ours_is_none(void)
{
    static const char *const none[] = { "",           "*",
                                        "/nothing",   "/crl",
                                        "/ca",        "/healthz/",
                                        "//healthz",  "/ocspx",
                                        "/metrics2",  "/etc/passwd",
                                        "/%68ealthz", "healthz",
                                        "/HEALTHZ",   "https://h/healthz" };
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        CU_ASSERT_EQUAL(read(none[i]).kind, CM_TARGET_NONE);
}

static void test_each_page_has_its_path(void)
{
    CU_ASSERT_EQUAL(read("/").kind, CM_TARGET_PAGE);
    CU_ASSERT_EQUAL(read("/metrics").kind, CM_TARGET_METRICS);
    CU_ASSERT_EQUAL(read("/healthz").kind, CM_TARGET_HEALTH);
    CU_ASSERT_EQUAL(read("/readyz?verbose=1").kind, CM_TARGET_READY);
    CU_ASSERT_EQUAL(read("/api/v1/status").kind, CM_TARGET_STATUS);
    CU_ASSERT_EQUAL(read("http://example.test/metrics").kind, CM_TARGET_METRICS);
    CU_ASSERT_EQUAL(read("http://example.test").kind, CM_TARGET_PAGE);
}

static void test_a_documents_path_is_left_as_it_is(void)
{
    struct cm_target target = read("/crl/../../etc/passwd?x=/y");
    CU_ASSERT_EQUAL(target.kind, CM_TARGET_DOCUMENT);
    CU_ASSERT(cm_bytes_is(target.path, "/crl/../../etc/passwd"));
    CU_ASSERT(cm_bytes_is(read("/ca/%2e%2e/x").path, "/ca/%2e%2e/x"));
}

static void test_an_ocsp_request_begins_behind_the_slashes(void)
{
    CU_ASSERT_EQUAL(read("/ocsp").kind, CM_TARGET_OCSP);
    CU_ASSERT_EQUAL(read("/ocsp").request.size, 0);
    CU_ASSERT_EQUAL(read("/ocsp///").request.size, 0);
    CU_ASSERT(cm_bytes_is(read("/ocsp/MFEw").request, "MFEw"));
    CU_ASSERT(cm_bytes_is(read("/ocsp//MF//Ew").request, "MF//Ew"));
    CU_ASSERT(cm_bytes_is(read("http://h:80/ocsp/MFEw?q").request, "MFEw"));
}

static void test_a_long_target_is_too_long(void)
{
    char text[CM_TARGET_SIZE_MAX + 2];
    memset(text, 'a', sizeof text);
    memcpy(text, "/ocsp/", 6);
    CU_ASSERT_EQUAL(cm_target_read(cm_bytes(text, CM_TARGET_SIZE_MAX)).kind, CM_TARGET_OCSP);
    CU_ASSERT_EQUAL(cm_target_read(cm_bytes(text, CM_TARGET_SIZE_MAX + 1)).kind,
                    CM_TARGET_TOO_LONG);
}

static void test_base64_is_read_raw_and_percent_encoded(void)
{
    CU_ASSERT(decodes_to("", "", 0));
    CU_ASSERT(decodes_to("Zm9v", "foo", 3));
    CU_ASSERT(decodes_to("+/8=", "\xfb\xff", 2));
    CU_ASSERT(decodes_to("%2B%2f8%3D", "\xfb\xff", 2));
    CU_ASSERT(decodes_to("%5Am9v", "foo", 3));
    CU_ASSERT(decodes_to("//8=", "\xff\xff", 2));
}

static void test_padding_may_be_left_out_but_not_half(void)
{
    CU_ASSERT(decodes_to("Zg==", "f", 1));
    CU_ASSERT(decodes_to("Zg", "f", 1));
    CU_ASSERT(decodes_to("Zm8", "fo", 2));
    CU_ASSERT_FALSE(decodes("Zg="));
    CU_ASSERT_FALSE(decodes("Zm8=="));
    CU_ASSERT_FALSE(decodes("Zm9v="));
    CU_ASSERT_FALSE(decodes("Zm9v===="));
    CU_ASSERT_FALSE(decodes("Zg==Zg=="));
    CU_ASSERT_FALSE(decodes("="));
}

static void test_what_is_no_base64_is_refused(void)
{
    static const char *const bad[] = { "Z",    "Zm9vZ",  "Zh==",  "Zm9=", "Zm 9v", "Zm9v\n",
                                       "%",    "Zm9v%",  "Zm9%7", "%zz",  "%252B", "Zm9-",
                                       "Zm9_", "%00m9v", "Zg=%",  "Zg=%3" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CU_ASSERT_FALSE(decodes(bad[i]));
}

static void test_what_does_not_fit_is_refused(void)
{
    uint8_t space[2];
    size_t size;
    CU_ASSERT_FALSE(cm_target_decode(cm_bytes_str("Zm9v"), space, sizeof space, &size));
    CU_ASSERT(cm_target_decode(cm_bytes_str("Zm8="), space, sizeof space, &size));
}

CM_TEST_SUITE(target, CM_TEST(test_what_has_no_path_of_ours_is_none),
              CM_TEST(test_each_page_has_its_path), CM_TEST(test_a_documents_path_is_left_as_it_is),
              CM_TEST(test_an_ocsp_request_begins_behind_the_slashes),
              CM_TEST(test_a_long_target_is_too_long),
              CM_TEST(test_base64_is_read_raw_and_percent_encoded),
              CM_TEST(test_padding_may_be_left_out_but_not_half),
              CM_TEST(test_what_is_no_base64_is_refused),
              CM_TEST(test_what_does_not_fit_is_refused));

/* What names a key in a token, and what is refused: hostile input first. */
#include "providers/pkcs11/uri.h"
#include "tests/support/test_main.h"

#include <stdio.h>
#include <stdlib.h>

static cm_status parse(const char *text, struct cm_p11_uri *uri, struct cm_error *err)
{
    /* A copy without a NUL behind it, so that a sanitizer sees whoever reads on. */
    size_t size = strlen(text);
    char *copy = malloc(size + !size);
    memcpy(copy, text, size);
    cm_status status = cm_p11_uri_parse(cm_bytes(copy, size), uri, err);
    free(copy);
    return status;
}

static void expect_refusal(const char *text, cm_status expected, const char *words)
{
    struct cm_p11_uri uri;
    struct cm_error err = { .text = "" };
    cm_status status = parse(text, &uri, &err);
    CU_ASSERT_EQUAL(status, expected);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, words));
    if (status != expected || !strstr(err.text, words))
        printf("%s: %s, \"%s\" lacks \"%s\"\n", text, cm_status_name(status), err.text, words);
}

static void test_uri_takes_every_attribute(void)
{
    struct cm_p11_uri uri;
    CU_ASSERT_EQUAL_FATAL(
        parse("pkcs11:token=The%20Token;manufacturer=a;model=b;serial=c;slot-id=12;object=d%3be;"
              "id=%00%fF%0a;type=private?module-path=/usr/lib/x.so&pin-source=file:///run/pin",
              &uri, NULL),
        CM_OK);
    CU_ASSERT_STRING_EQUAL(uri.token, "The Token");
    CU_ASSERT_STRING_EQUAL(uri.manufacturer, "a");
    CU_ASSERT_STRING_EQUAL(uri.model, "b");
    CU_ASSERT_STRING_EQUAL(uri.serial, "c");
    CU_ASSERT_TRUE(uri.has_slot_id && uri.slot_id == 12);
    CU_ASSERT_STRING_EQUAL(uri.object, "d;e");
    CU_ASSERT_TRUE(cm_bytes_equal(cm_bytes(uri.id, uri.id_size), cm_bytes("\0\xff\n", 3)));
    CU_ASSERT_STRING_EQUAL(uri.module_path, "/usr/lib/x.so");
    CU_ASSERT_STRING_EQUAL(uri.pin_source, "file:/run/pin");
}

static void test_uri_needs_a_label_or_an_id_only(void)
{
    struct cm_p11_uri uri;
    CU_ASSERT_EQUAL(parse("pkcs11:object=a", &uri, NULL), CM_OK);
    CU_ASSERT_FALSE(uri.has_slot_id);
    CU_ASSERT_EQUAL(uri.token[0], '\0');
    CU_ASSERT_EQUAL(parse("pkcs11:id=%01", &uri, NULL), CM_OK);
    CU_ASSERT_EQUAL(uri.id_size, 1);
    CU_ASSERT_EQUAL(parse("pkcs11:slot-id=18446744073709551615;object=a+b&c", &uri, NULL), CM_OK);
    CU_ASSERT_EQUAL(uri.slot_id, UINT64_MAX);
    CU_ASSERT_STRING_EQUAL(uri.object, "a+b&c");
    expect_refusal("pkcs11:token=a", CM_MALFORMED, "names no key");
    expect_refusal("pkcs11:token=a?pin-source=file:/x", CM_MALFORMED, "names no key");
}

static void test_uri_with_a_pin_in_it_is_refused_and_not_repeated(void)
{
    static const char *const pins[] = {
        "pkcs11:object=a?pin-value=hunter2",
        "pkcs11:object=a?pin-source=file:/x&pin-value=hunter2",
        "pkcs11:object=a?pin-value=hunter2%",
        "pkcs11:object=a?pin-value=hunter2 x",
    };
    for (size_t i = 0; i < sizeof pins / sizeof pins[0]; i++) {
        struct cm_p11_uri uri;
        struct cm_error err;
        CU_ASSERT_EQUAL(parse(pins[i], &uri, &err), CM_DENIED);
        CU_ASSERT_PTR_NULL(strstr(err.text, "hunter"));
        CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "passphrase: file:PATH"));
    }
    expect_refusal("pkcs11:object=a;pin-value=hunter2", CM_UNSUPPORTED, "before the ?");
}

static void test_uri_shown_has_no_query_and_no_control_characters(void)
{
    struct cm_p11_uri uri;
    CU_ASSERT_EQUAL(parse("pkcs11:object=a%0a?pin-source=file:/secret/place", &uri, NULL), CM_OK);
    CU_ASSERT_STRING_EQUAL(uri.shown, "pkcs11:object=a%0a");
}

static void test_uri_refuses_what_it_does_not_know(void)
{
    expect_refusal("pkcs11:object=a;x-vendor=b", CM_UNSUPPORTED, "x-vendor");
    expect_refusal("pkcs11:object=a;slot-description=b", CM_UNSUPPORTED, "slot-description");
    expect_refusal("pkcs11:object=a;library-version=1", CM_UNSUPPORTED, "library-version");
    expect_refusal("pkcs11:object=a;Token=b", CM_UNSUPPORTED, "Token");
    expect_refusal("pkcs11:object=a;module-path=/x", CM_UNSUPPORTED, "module-path");
    expect_refusal("pkcs11:object=a?module-name=x", CM_UNSUPPORTED, "module-name");
    expect_refusal("pkcs11:object=a?token=x", CM_UNSUPPORTED, "behind the ?");
    expect_refusal("pkcs11:object=a;type=public", CM_UNSUPPORTED, "type is not private");
    expect_refusal("pkcs11:object=a;\x1b[31m=b", CM_UNSUPPORTED, "\\x1b");
}

static void test_uri_refuses_bad_syntax(void)
{
    expect_refusal("", CM_MALFORMED, "pkcs11:token=");
    expect_refusal("pkcs11:", CM_MALFORMED, "pkcs11:token=");
    expect_refusal("PKCS11:object=a", CM_MALFORMED, "pkcs11:token=");
    expect_refusal("file:a", CM_MALFORMED, "pkcs11:token=");
    expect_refusal("pkcs11:;object=a", CM_MALFORMED, "\"\"");
    expect_refusal("pkcs11:object=a;", CM_MALFORMED, "\"\"");
    expect_refusal("pkcs11:object=a?", CM_MALFORMED, "\"\"");
    expect_refusal("pkcs11:object", CM_MALFORMED, "object has no value");
    expect_refusal("pkcs11:object=", CM_MALFORMED, "object is empty");
    expect_refusal("pkcs11:=a", CM_MALFORMED, "\"\"");
    expect_refusal("pkcs11:object=a;object=b", CM_MALFORMED, "object is there twice");
    expect_refusal("pkcs11:object=a?pin-source=file:/a&pin-source=file:/b", CM_MALFORMED, "twice");
    expect_refusal("pkcs11:object=a b", CM_MALFORMED, "hex digits");
    expect_refusal("pkcs11:object=a/b", CM_MALFORMED, "hex digits");
    expect_refusal("pkcs11:object=%", CM_MALFORMED, "hex digits");
    expect_refusal("pkcs11:object=%4", CM_MALFORMED, "hex digits");
    expect_refusal("pkcs11:object=%4g", CM_MALFORMED, "hex digits");
    expect_refusal("pkcs11:object=%g4", CM_MALFORMED, "hex digits");
    expect_refusal("pkcs11:object=\xc3\xa4", CM_MALFORMED, "hex digits");
    expect_refusal("pkcs11:object=a%00b", CM_MALFORMED, "object holds a NUL");
    expect_refusal("pkcs11:object=a;slot-id=1x", CM_MALFORMED, "slot-id is not a number");
    expect_refusal("pkcs11:object=a;slot-id=-1", CM_MALFORMED, "slot-id is not a number");
    expect_refusal("pkcs11:object=a;slot-id=184467440737095516160", CM_MALFORMED, "not a number");
}

static void test_uri_takes_absolute_paths_only(void)
{
    expect_refusal("pkcs11:object=a?module-path=x.so", CM_MALFORMED, "not an absolute path");
    expect_refusal("pkcs11:object=a?pin-source=pin", CM_UNSUPPORTED, "not file:/PATH");
    expect_refusal("pkcs11:object=a?pin-source=/pin", CM_UNSUPPORTED, "not file:/PATH");
    expect_refusal("pkcs11:object=a?pin-source=file:pin", CM_UNSUPPORTED, "not file:/PATH");
    expect_refusal("pkcs11:object=a?pin-source=file://host/pin", CM_UNSUPPORTED, "not file:/PATH");
    expect_refusal("pkcs11:object=a?pin-source=file:", CM_UNSUPPORTED, "not file:/PATH");
    expect_refusal("pkcs11:object=a?pin-source=|cat", CM_UNSUPPORTED, "not file:/PATH");
}

static void expect_longest(const char *attribute, size_t longest)
{
    char text[4096];
    struct cm_p11_uri uri;
    struct cm_error err;
    const char *key = strcmp(attribute, "object") == 0 ? "" : "object=a;";
    int head = snprintf(text, sizeof text, "pkcs11:%s%s=", key, attribute);
    memset(text + head, 'x', longest + 1);
    text[head + (int)longest + 1] = '\0';
    CU_ASSERT_EQUAL(parse(text, &uri, &err), CM_MALFORMED);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "longer"));
    text[head + (int)longest] = '\0';
    CU_ASSERT_EQUAL(parse(text, &uri, &err), CM_OK);
}

static void test_uri_takes_values_as_long_as_tokens_have_them(void)
{
    char text[3000] = "pkcs11:object=a;id=";
    expect_longest("token", 32);
    expect_longest("manufacturer", 32);
    expect_longest("model", 16);
    expect_longest("serial", 16);
    expect_longest("object", 255);
    expect_longest("id", 128);
    memset(text + strlen(text), 'x', 2500);
    expect_refusal(text, CM_MALFORMED, "2048 bytes");
}

CM_TEST_SUITE(pkcs11_uri, CM_TEST(test_uri_takes_every_attribute),
              CM_TEST(test_uri_needs_a_label_or_an_id_only),
              CM_TEST(test_uri_with_a_pin_in_it_is_refused_and_not_repeated),
              CM_TEST(test_uri_shown_has_no_query_and_no_control_characters),
              CM_TEST(test_uri_refuses_what_it_does_not_know), CM_TEST(test_uri_refuses_bad_syntax),
              CM_TEST(test_uri_takes_absolute_paths_only),
              CM_TEST(test_uri_takes_values_as_long_as_tokens_have_them));

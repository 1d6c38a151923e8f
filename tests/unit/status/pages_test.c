/* What is shown of a status: metrics, the page, readiness. */
#include "engine/status/internal.h"

#include "tests/support/test_main.h"

static char shown[16384];

static const char *text_of(struct evbuffer *buffer)
{
    size_t size = evbuffer_get_length(buffer);
    CU_ASSERT_FATAL(size < sizeof shown);
    evbuffer_remove(buffer, shown, size);
    shown[size] = '\0';
    evbuffer_free(buffer);
    return shown;
}

static json_t *read_status(const char *text)
{
    json_t *status = json_loads(text, 0, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(status);
    return status;
}

static const char *metrics_of(const char *json)
{
    struct evbuffer *buffer = evbuffer_new();
    json_t *status = read_status(json);
    cm_metrics_write(buffer, status);
    json_decref(status);
    return text_of(buffer);
}

static const char *page_of(const char *json)
{
    struct evbuffer *buffer = evbuffer_new();
    json_t *status = read_status(json);
    cm_page_write(buffer, status);
    json_decref(status);
    return text_of(buffer);
}

static const char *ready_of(const char *json, bool *ret_is_ready)
{
    struct evbuffer *buffer = evbuffer_new();
    json_t *status = read_status(json);
    *ret_is_ready = cm_ready_write(buffer, status);
    json_decref(status);
    return text_of(buffer);
}

static bool has(const char *text, const char *part)
{
    return strstr(text, part) != NULL;
}

static void test_numbers_and_truths_are_samples(void)
{
    const char *text = metrics_of("{\"issued\":12,\"ready\":true,\"name\":\"x\",\"share\":0.5,"
                                  "\"a\":{\"b-c\":2}}");
    CU_ASSERT(has(text, "certmill_issued 12\n"));
    CU_ASSERT(has(text, "certmill_ready 1\n"));
    CU_ASSERT(has(text, "certmill_share 0.5\n"));
    CU_ASSERT(has(text, "certmill_a_b_c 2\n"));
    CU_ASSERT_FALSE(has(text, "certmill_name"));
}

static void test_samples_of_a_name_stand_together(void)
{
    const char *text = metrics_of("{\"p\":[{\"name\":\"one\",\"up\":true,\"n\":1},"
                                  "{\"name\":\"t\\\"w\\\\o\\n\",\"up\":false,\"n\":2},7]}");
    CU_ASSERT(has(text, "certmill_p_n{name=\"one\"} 1\ncertmill_p_n{name=\"two\"} 2\n"));
    CU_ASSERT(has(text, "certmill_p_up{name=\"one\"} 1\ncertmill_p_up{name=\"two\"} 0\n"));
    CU_ASSERT(has(text, "certmill_p_count 3\n"));
}

static void test_our_own_counters_say_that_they_count(void)
{
    const char *text = metrics_of("{\"http\":{\"requests\":5,\"connections\":2}}");
    CU_ASSERT(has(text, "# TYPE certmill_http_requests_total counter\n"
                        "certmill_http_requests_total 5\n"));
    CU_ASSERT(has(text, "certmill_http_connections 2\n"));
    CU_ASSERT_FALSE(has(text, "\ncertmill_http_requests 5"));
}

static void test_what_is_not_ready_says_why(void)
{
    bool is_ready;
    CU_ASSERT_STRING_EQUAL(ready_of("{\"ready\":true,\"away\":[]}", &is_ready), "ready\n");
    CU_ASSERT(is_ready);
    CU_ASSERT_STRING_EQUAL(ready_of("{\"ready\":false,\"away\":[\"hsm\"],\"set_aside\":3,"
                                    "\"reasons\":[\"the clock is suspect\"],\"issuers\":["
                                    "{\"name\":\"a\",\"in_trouble\":true},"
                                    "{\"name\":\"b\",\"in_trouble\":false}]}",
                                    &is_ready),
                           "not ready\nthe clock is suspect\nprovider is away: hsm\n"
                           "key does not sign: a\nrequests wait for a key: 3\n");
    CU_ASSERT_FALSE(is_ready);
    ready_of("{}", &is_ready);
    CU_ASSERT_FALSE(is_ready);
}

static void test_the_page_shows_text_as_text(void)
{
    const char *text = page_of("{\"ready\":false,\"away\":[\"<script>\"],\"issued\":1234567,"
                               "\"providers\":[{\"name\":\"a<b>&\\\"c\",\"up\":true}]}");
    CU_ASSERT(has(text, "not ready"));
    CU_ASSERT(has(text, "1234567"));
    CU_ASSERT(has(text, "a&lt;b&gt;&amp;&quot;c"));
    CU_ASSERT(has(text, "provider is away: &lt;script&gt;"));
    CU_ASSERT_FALSE(has(text, "<script"));
    CU_ASSERT_FALSE(has(text, "http://"));
    CU_ASSERT_FALSE(has(text, "src="));
}

static void test_the_page_shows_documents_with_their_age(void)
{
    const char *text = page_of("{\"ready\":true,\"time_s\":100000,"
                               "\"crls\":{\"next_expiry\":100090},\"documents\":["
                               "{\"path\":\"/crl/a/0.crl\",\"size\":77,\"modified_s\":99940,"
                               "\"expires_s\":186400},"
                               "{\"path\":\"/crl/a/1.crl\",\"size\":78,\"modified_s\":1,"
                               "\"expires_s\":99999},"
                               "{\"path\":\"/ca/a.cer\",\"size\":79,\"modified_s\":1,"
                               "\"expires_s\":0}]}");
    CU_ASSERT(has(text, "<a href=\"/crl/a/0.crl\">"));
    CU_ASSERT(has(text, "<dd>90 s</dd>"));
    CU_ASSERT(has(text, ">60 s<"));
    CU_ASSERT(has(text, ">24 h<"));
    CU_ASSERT(has(text, "overdue"));
    CU_ASSERT(has(text, "&ndash;"));
}

CM_TEST_SUITE(pages, CM_TEST(test_numbers_and_truths_are_samples),
              CM_TEST(test_samples_of_a_name_stand_together),
              CM_TEST(test_our_own_counters_say_that_they_count),
              CM_TEST(test_what_is_not_ready_says_why), CM_TEST(test_the_page_shows_text_as_text),
              CM_TEST(test_the_page_shows_documents_with_their_age));

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

static void test_each_metric_has_its_help_and_type_before_its_samples(void)
{
    const char *text = metrics_of("{\"issued\":12,\"ready\":true,\"set_aside\":0}");
    CU_ASSERT(has(text, "# HELP certmill_certificates_issued_total certificates issued.\n"
                        "# TYPE certmill_certificates_issued_total counter\n"
                        "certmill_certificates_issued_total 12\n"));
    CU_ASSERT(has(text, "# TYPE certmill_ready gauge\ncertmill_ready 1\n"));
    CU_ASSERT(has(text, "# TYPE certmill_requests_set_aside gauge\n"
                        "certmill_requests_set_aside 0\n"));
}

static void test_what_is_not_promised_and_what_is_not_there_are_left_out(void)
{
    const char *text = metrics_of("{\"pid\":12,\"name\":\"x\",\"issued\":\"many\",\"providers\":["
                                  "{\"up\":true},7,{\"name\":\"soft\",\"pid\":3}]}");
    CU_ASSERT_STRING_EQUAL(text, "");
}

static void test_samples_of_a_list_stand_together_and_have_a_label(void)
{
    const char *text =
        metrics_of("{\"providers\":[{\"name\":\"one\",\"up\":true,\"pace\":{\"p99_ms\":250}},"
                   "{\"name\":\"t\\\"w\\\\o\\n\",\"up\":false}],"
                   "\"issuers\":[{\"name\":\"issuing-1\",\"outstanding\":3}],"
                   "\"published\":[{\"name\":\"issuing-1\",\"expires_s\":1800000000}]}");
    CU_ASSERT(has(text, "certmill_provider_up{provider=\"one\"} 1\n"
                        "certmill_provider_up{provider=\"t\\\"w\\\\o\\n\"} 0\n"));
    CU_ASSERT(has(text, "certmill_provider_pace_latency_p99_seconds{provider=\"one\"} 0.25\n"));
    CU_ASSERT(has(text, "certmill_issuer_signatures_outstanding{issuer=\"issuing-1\"} 3\n"));
    CU_ASSERT(has(text, "certmill_published_next_update_timestamp_seconds{issuer=\"issuing-1\"} "
                        "1800000000\n"));
}

static void test_the_services_own_counters_are_counters(void)
{
    const char *text = metrics_of("{\"http\":{\"requests\":5,\"connections\":2}}");
    CU_ASSERT(has(text, "# TYPE certmill_http_requests_total counter\n"
                        "certmill_http_requests_total 5\n"));
    CU_ASSERT(has(text, "# TYPE certmill_http_connections gauge\ncertmill_http_connections 2\n"));
    CU_ASSERT_FALSE(has(text, "certmill_http_requests 5"));
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
                               "\"crls\":{\"next_expiry\":100090},\"providers\":[{\"name\":"
                               "\"soft\",\"seconds\":7200}],\"documents\":["
                               "{\"path\":\"/crl/a/0.crl\",\"size\":77,\"modified_s\":99940,"
                               "\"expires_s\":186400},"
                               "{\"path\":\"/crl/a/1.crl\",\"size\":78,\"modified_s\":1,"
                               "\"expires_s\":99999},"
                               "{\"path\":\"/ca/a.cer\",\"size\":79,\"modified_s\":1,"
                               "\"expires_s\":0}]}");
    CU_ASSERT(has(text, "<a href=\"/crl/a/0.crl\">"));
    CU_ASSERT(has(text, "<dt>next update in</dt><dd>90 s</dd>"));
    CU_ASSERT(has(text, ">for</th>"));
    CU_ASSERT(has(text, ">2 h</td>"));
    CU_ASSERT(has(text, ">60 s<"));
    CU_ASSERT(has(text, ">24 h<"));
    CU_ASSERT(has(text, "overdue"));
    CU_ASSERT(has(text, "&ndash;"));
}

CM_TEST_SUITE(pages, CM_TEST(test_each_metric_has_its_help_and_type_before_its_samples),
              CM_TEST(test_what_is_not_promised_and_what_is_not_there_are_left_out),
              CM_TEST(test_samples_of_a_list_stand_together_and_have_a_label),
              CM_TEST(test_the_services_own_counters_are_counters),
              CM_TEST(test_what_is_not_ready_says_why), CM_TEST(test_the_page_shows_text_as_text),
              CM_TEST(test_the_page_shows_documents_with_their_age));

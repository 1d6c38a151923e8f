#include "tools/http_ask.h"

#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

enum { TIMEOUT_S = 10, ANSWER_MAX = 16 << 20 };

struct answer {
    uint8_t *data;
    size_t size;
};

static size_t take(char *data, size_t unit, size_t count, void *arg)
{
    struct answer *answer = arg;
    size_t size = unit * count;
    if (answer->size + size > ANSWER_MAX)
        return 0; /* libcurl ends it */
    uint8_t *grown = realloc(answer->data, answer->size + size + 1);
    if (!grown)
        return 0;
    memcpy(grown + answer->size, data, size);
    answer->data = grown;
    answer->size += size;
    return size;
}

static struct curl_slist *set_body(CURL *easy, const char *content_type, struct cm_bytes body)
{
    char header[128] = "Content-Type: ";
    if (body.size == 0)
        return NULL;
    strncat(header, content_type, sizeof header - strlen(header) - 1);
    struct curl_slist *headers = curl_slist_append(NULL, header);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)body.size);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body.data);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    return headers;
}

cm_status cm_http_ask(const char *url, const char *content_type, struct cm_bytes body,
                      long *ret_http_status, struct cm_bytes *ret_body, struct cm_error *err)
{
    char why[CURL_ERROR_SIZE] = "";
    struct answer answer = { 0 };
    CURL *easy = curl_easy_init();
    if (!easy)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for a request");
    struct curl_slist *headers = set_body(easy, content_type, body);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_TIMEOUT, (long)TIMEOUT_S);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, why);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &answer);
    CURLcode code = curl_easy_perform(easy);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, ret_http_status);
    curl_easy_cleanup(easy);
    curl_slist_free_all(headers);
    if (code != CURLE_OK) {
        free(answer.data);
        return CM_FAIL(err, CM_UNAVAILABLE, CM_ORIGIN_SELF, 0, "%.100s: %.120s", url,
                       why[0] ? why : curl_easy_strerror(code));
    }
    *ret_body = cm_bytes(answer.data, answer.size);
    return CM_OK;
}

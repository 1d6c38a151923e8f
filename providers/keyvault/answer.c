#include "providers/keyvault/answer.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { CODE_SIZE = 64, MESSAGE_SIZE = 160, CODES_SIZE = 3 * CODE_SIZE };

/* What a stranger wrote, for a line of ours: printable, and cut. */
static void copy_printable(const char *text, char *ret_text, size_t space)
{
    size_t size = 0;
    for (; text && text[size] != '\0' && size + 1 < space; size++)
        ret_text[size] = isprint((unsigned char)text[size]) ? text[size] : ' ';
    ret_text[size] = '\0';
}

static const char *text_of(const json_t *object, const char *member)
{
    return json_string_value(json_object_get(object, member));
}

/* "Forbidden, ForbiddenByRbac": from the outside in. */
static void write_codes(const json_t *error, char *ret_text, size_t space)
{
    size_t size = 0;
    ret_text[0] = '\0';
    for (int depth = 0; depth < 3 && json_is_object(error); depth++) {
        char code[CODE_SIZE];
        copy_printable(text_of(error, "code"), code, sizeof code);
        if (code[0] != '\0' && size < space)
            size += (size_t)snprintf(ret_text + size, space - size, "%s%s", size ? ", " : "", code);
        error = json_object_get(error, "innererror");
    }
}

static cm_status status_of(long http_status)
{
    switch (http_status) {
    case 401:
    case 403:
        return CM_DENIED;
    case 404:
        return CM_NO_KEY;
    case 409:
        return CM_EXISTS;
    case 429:
        return CM_THROTTLED;
    case 408:
        return CM_UNAVAILABLE;
    default:
        return http_status >= 500 || http_status < 400 ? CM_UNAVAILABLE : CM_UNSUPPORTED;
    }
}

static cm_status refuse(const struct cm_http_call *http, const char *host, const json_t *answer,
                        struct cm_error *err)
{
    const json_t *error = json_object_get(answer, "error");
    char codes[CODES_SIZE], message[MESSAGE_SIZE], id[CODE_SIZE];
    write_codes(error, codes, sizeof codes);
    copy_printable(text_of(error, "message"), message, sizeof message);
    copy_printable(http->request_id, id, sizeof id);
    return CM_FAIL(err, status_of(http->status), CM_ORIGIN_SELF, (int)http->status,
                   "vault %.80s answers %ld%s%s%s%s%s%s%s", host, http->status, codes[0] ? " " : "",
                   codes, message[0] ? ": " : "", message, id[0] ? " (request " : "", id,
                   id[0] ? ")" : "");
}

cm_status cm_vault_answer_read(const struct cm_http_call *http, const char *host, bool is_uncertain,
                               json_t **ret_answer, struct cm_error *err)
{
    *ret_answer = NULL;
    if (http->outcome == CM_HTTP_NOT_SENT)
        return CM_FAIL(err, CM_UNAVAILABLE, CM_ORIGIN_SELF, 0, "vault %.80s cannot be reached: %s",
                       host, http->why);
    if (http->outcome == CM_HTTP_LOST)
        return CM_FAIL(err, is_uncertain ? CM_UNCERTAIN : CM_UNAVAILABLE, CM_ORIGIN_SELF, 0,
                       "vault %.80s did not answer: %s", host, http->why);
    json_t *answer = json_loadb((const char *)http->answer.data, http->answer.size,
                                JSON_REJECT_DUPLICATES, NULL);
    if (http->status >= 200 && http->status < 300) {
        if (json_is_object(answer)) {
            *ret_answer = answer;
            return CM_OK;
        }
        json_decref(answer);
        return CM_FAIL(err, CM_CORRUPT, CM_ORIGIN_SELF, 0,
                       "vault %.80s answers %ld with something that is no JSON object", host,
                       http->status);
    }
    cm_status status = refuse(http, host, answer, err);
    json_decref(answer);
    return status;
}

/* What comes back for a token request (credential.h). */
#include "providers/keyvault/credential.h"

#include <jansson.h>
#include <stdio.h>
#include <strings.h>

#include <openssl/crypto.h>

enum {
    LIFE_S_MAX = 30 * 24 * 3600, /* no token lives longer, whatever it says */
    LIFE_S_LONG = 2 * 3600,
    REFRESH_EARLY_S = 120,
    DIGITS_MAX = 15
};

/* --- members ------------------------------------------------------------------------------------- */

/* A number, or a text of digits; -1: neither. */
static int64_t number_of(const json_t *object, const char *member)
{
    const json_t *value = json_object_get(object, member);
    const char *text = json_string_value(value);
    int64_t number = 0;
    if (json_is_integer(value))
        return json_integer_value(value) >= 0 ? json_integer_value(value) : -1;
    if (!text || text[0] == '\0' || strlen(text) > DIGITS_MAX
        || text[strspn(text, "0123456789")] != '\0')
        return -1;
    for (; *text; text++)
        number = number * 10 + (*text - '0');
    return number;
}

/* It is sent in a header line. */
static bool is_token(const char *text)
{
    size_t size = text ? strlen(text) : 0;
    for (size_t i = 0; i < size; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return false;
    return size > 0 && size < CM_TOKEN_SIZE_MAX;
}

/* --- a token ------------------------------------------------------------------------------------- */

/* 0: it says nothing, or it has ended. */
static int64_t life_of(const json_t *answer, int64_t now_s)
{
    int64_t life_s = number_of(answer, "expires_in");
    if (life_s < 0)
        life_s = number_of(answer, "expires_on") - now_s;
    if (life_s <= 0)
        return 0;
    return life_s < LIFE_S_MAX ? life_s : LIFE_S_MAX;
}

/* From half of the life on where that is short; not at once, or the next would be asked for all the
 * time. */
static int64_t refresh_of(const json_t *answer, int64_t life_s)
{
    int64_t refresh_s = number_of(answer, "refresh_in");
    if (refresh_s > 0 && refresh_s < life_s)
        return refresh_s;
    if (life_s >= LIFE_S_LONG || life_s <= 2 * REFRESH_EARLY_S)
        return life_s > 1 ? life_s / 2 : 1;
    return life_s - REFRESH_EARLY_S;
}

static cm_status read_token(const json_t *answer, int64_t now_s, struct cm_token *ret_token,
                            struct cm_error *err)
{
    const char *text = json_string_value(json_object_get(answer, "access_token"));
    const char *type = json_string_value(json_object_get(answer, "token_type"));
    int64_t life_s = life_of(answer, now_s);
    if (!is_token(text) || (type && strcasecmp(type, "Bearer") != 0))
        return CM_FAIL(err, CM_CORRUPT, CM_ORIGIN_SELF, 0,
                       "the answer to the token request holds no bearer token");
    if (life_s == 0)
        return CM_FAIL(err, CM_CORRUPT, CM_ORIGIN_SELF, 0,
                       "the answer to the token request does not say how long the token lives, or "
                       "it has ended");
    struct cm_token token = { .text = OPENSSL_strdup(text),
                              .expires_s = now_s + life_s,
                              .refresh_s = now_s + refresh_of(answer, life_s) };
    if (!token.text)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for a token");
    *ret_token = token;
    return CM_OK;
}

/* --- a refusal ----------------------------------------------------------------------------------- */

/* "AADSTS7000215" of the description, or of the list of numbers; "": none. */
static void find_number(const json_t *answer, char ret_text[32])
{
    static const char prefix[] = "AADSTS";
    const json_t *codes = json_object_get(answer, "error_codes");
    const char *text = json_string_value(json_object_get(answer, "error_description"));
    const char *found = text ? strstr(text, prefix) : NULL;
    size_t digits = found ? strspn(found + sizeof prefix - 1, "0123456789") : 0;
    int64_t code = json_integer_value(json_array_get(codes, 0));
    ret_text[0] = '\0';
    if (digits > 0 && digits <= DIGITS_MAX)
        snprintf(ret_text, 32, " %.*s", (int)(sizeof prefix - 1 + digits), found);
    else if (code > 0)
        snprintf(ret_text, 32, " %s%lld", prefix, (long long)code);
}

/* The description is left out: it may repeat what was sent. */
static cm_status deny(long http_status, const json_t *answer, struct cm_error *err)
{
    const char *error = json_string_value(json_object_get(answer, "error"));
    char shown[64], number[32];
    find_number(answer, number);
    return CM_FAIL(
        err, CM_DENIED, CM_ORIGIN_SELF, 0, "no token is given to us: %s%s (HTTP %ld)",
        cm_bytes_printable(cm_bytes_str(error ? error : "no reason"), shown, sizeof shown), number,
        http_status);
}

static bool is_passing(long http_status)
{
    return http_status == 404 || http_status == 408 || http_status == 410 || http_status == 429
           || http_status >= 500;
}

static cm_status read_answer(long http_status, const json_t *answer, int64_t now_s,
                             struct cm_token *ret_token, struct cm_error *err)
{
    if (http_status == 200)
        return read_token(answer, now_s, ret_token, err);
    if (is_passing(http_status))
        return CM_FAIL(err, CM_UNAVAILABLE, CM_ORIGIN_SELF, 0,
                       "tokens cannot be had now (HTTP %ld)", http_status);
    if (http_status >= 400)
        return deny(http_status, answer, err);
    return CM_FAIL(err, CM_CORRUPT, CM_ORIGIN_SELF, 0,
                   "the answer to the token request is none (HTTP %ld)", http_status);
}

/* Jansson would leave the token behind in freed memory. */
static void wipe(json_t *answer)
{
    json_t *text = json_object_get(answer, "access_token");
    if (json_is_string(text))
        OPENSSL_cleanse((void *)(uintptr_t)json_string_value(text), json_string_length(text));
}

cm_status cm_token_read(long http_status, struct cm_bytes body, int64_t now_s,
                        struct cm_token *ret_token, struct cm_error *err)
{
    json_t *answer = body.size > 0 ? json_loadb((const char *)body.data, body.size, 0, NULL) : NULL;
    cm_status status = read_answer(http_status, answer, now_s, ret_token, err);
    wipe(answer);
    json_decref(answer);
    return status;
}

void cm_token_done(struct cm_token *token)
{
    if (!token)
        return;
    if (token->text)
        OPENSSL_clear_free(token->text, strlen(token->text));
    *token = (struct cm_token){ 0 };
}

/*
 * Answers of the directory: the first two octets are the HTTP status. A token that is taken fits into
 * a header line, ends in the future, and another one is asked for neither at once nor after its end; a
 * refusal says why in print.
 */
#include <stdlib.h>
#include <string.h>

#include "providers/keyvault/credential.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NOW_S = 1700000000, LIFE_S_MAX = 30 * 24 * 3600 };

static void check_token(const struct cm_token *token)
{
    if (!token->text || token->text[0] == '\0' || strlen(token->text) >= CM_TOKEN_SIZE_MAX
        || token->expires_s <= NOW_S || token->expires_s > NOW_S + LIFE_S_MAX
        || token->refresh_s <= NOW_S || token->refresh_s > token->expires_s)
        abort();
    for (const char *at = token->text; *at; at++)
        if (*at <= ' ' || *at > '~')
            abort();
}

static void check_error(const struct cm_error *err)
{
    if (err->text[0] == '\0')
        abort();
    for (const char *at = err->text; *at; at++)
        if (*at < 0x20 || *at > 0x7e)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cm_token token;
    struct cm_error err = { .status = CM_OK };
    if (size < 2)
        return 0;
    long http_status = 100 + (data[0] << 8 | data[1]) % 500;
    struct cm_bytes body = cm_bytes(data + 2, size - 2);
    if (cm_token_read(http_status, body, NOW_S, &token, &err) != CM_OK) {
        check_error(&err);
        return 0;
    }
    check_token(&token);
    cm_token_done(&token);
    return 0;
}

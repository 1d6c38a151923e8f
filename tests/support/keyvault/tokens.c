#include "tests/support/keyvault/keyvault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "emulator-token-"

/* A token's text says its place in the list, so that finding it costs the same however many there are. */
struct kv_token {
    char text[96];
    int64_t ends_ms;
};

const char *kv_tokens_give(struct kv_tokens *tokens, int life_s)
{
    char secret[49];
    if (tokens->count == tokens->capacity) {
        size_t capacity = tokens->capacity ? 2 * tokens->capacity : 64;
        struct kv_token *list = realloc(tokens->list, capacity * sizeof *list);
        if (!list)
            abort();
        tokens->list = list;
        tokens->capacity = capacity;
    }
    struct kv_token *token = &tokens->list[tokens->count];
    kv_random_hex(secret, 48);
    snprintf(token->text, sizeof token->text, PREFIX "%zu.%s", tokens->count, secret);
    token->ends_ms = kv_now_ms() + (int64_t)life_s * 1000;
    tokens->count++;
    return token->text;
}

bool kv_tokens_know(const struct kv_tokens *tokens, const char *text)
{
    if (strncmp(text, PREFIX, strlen(PREFIX)) != 0)
        return false;
    const char *digits = text + strlen(PREFIX);
    char *end;
    size_t place = strtoul(digits, &end, 10);
    if (end == digits || place >= tokens->count)
        return false;
    const struct kv_token *token = &tokens->list[place];
    return strcmp(token->text, text) == 0 && kv_now_ms() < token->ends_ms;
}

void kv_tokens_revoke(struct kv_tokens *tokens)
{
    free(tokens->list);
    *tokens = (struct kv_tokens){ .list = NULL };
}

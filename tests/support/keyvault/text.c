#include "tests/support/keyvault/keyvault.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/rand.h>

/* Not the engine's own base64url: what a test compares with must not share its mistakes. */

char *kv_base64url(const uint8_t *bytes, size_t size)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char *text = malloc((size * 4 + 2) / 3 + 1), *out = text;
    uint32_t bits = 0;
    int count = 0;
    for (size_t i = 0; text && i < size; i++) {
        bits = bits << 8 | bytes[i];
        for (count += 8; count >= 6; count -= 6)
            *out++ = alphabet[bits >> (count - 6) & 63];
    }
    if (count > 0)
        *out++ = alphabet[bits << (6 - count) & 63];
    if (text)
        *out = '\0';
    return text;
}

static int value_of(char character)
{
    if (character >= 'A' && character <= 'Z')
        return character - 'A';
    if (character >= 'a' && character <= 'z')
        return character - 'a' + 26;
    if (character >= '0' && character <= '9')
        return character - '0' + 52;
    if (character == '-' || character == '+')
        return 62;
    return character == '_' || character == '/' ? 63 : -1;
}

long kv_base64_read(const char *text, uint8_t *ret_bytes, size_t size_max)
{
    size_t length = strlen(text), size = 0;
    uint32_t bits = 0;
    int count = 0;
    while (length > 0 && text[length - 1] == '=')
        length--;
    if (length % 4 == 1)
        return -1;
    for (size_t i = 0; i < length; i++) {
        int value = value_of(text[i]);
        if (value < 0)
            return -1;
        bits = bits << 6 | (uint32_t)value;
        count += 6;
        if (count < 8)
            continue;
        if (size == size_max)
            return -1;
        count -= 8;
        ret_bytes[size++] = (uint8_t)(bits >> count);
    }
    return (long)size;
}

uint8_t *kv_base64_new(const char *text, size_t *ret_size)
{
    size_t size_max = strlen(text) / 4 * 3 + 3;
    uint8_t *bytes = malloc(size_max);
    long size = bytes ? kv_base64_read(text, bytes, size_max) : -1;
    if (size < 0) {
        free(bytes);
        return NULL;
    }
    *ret_size = (size_t)size;
    return bytes;
}

json_t *kv_json_base64url(const uint8_t *bytes, size_t size)
{
    char *text = kv_base64url(bytes, size);
    json_t *json = text ? json_string_nocheck(text) : NULL;
    free(text);
    return json;
}

void kv_random_hex(char *ret_text, size_t characters)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t bytes[64];
    if (RAND_bytes(bytes, sizeof bytes) != 1)
        abort();
    for (size_t i = 0; i < characters; i++)
        ret_text[i] = digits[bytes[i % sizeof bytes] & 15];
    ret_text[characters] = '\0';
}

void kv_random_uuid(char ret_text[37])
{
    kv_random_hex(ret_text, 36);
    ret_text[8] = ret_text[13] = ret_text[18] = ret_text[23] = '-';
    ret_text[14] = '4';
    ret_text[19] = 'a';
}

int64_t kv_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

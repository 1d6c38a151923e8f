/*
 * The target of an HTTP request: whatever it is, its parts lie within it; base64 that is read is the
 * same when OpenSSL has written it again, raw and with every character percent-encoded.
 */
#include <stdio.h>
#include <stdlib.h>

#include <openssl/evp.h>

#include "engine/status/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_within(struct cm_bytes part, struct cm_bytes whole)
{
    if (part.size > whole.size)
        abort();
    if (part.size > 0 && part.data >= whole.data && part.data < whole.data + whole.size
        && part.data + part.size > whole.data + whole.size)
        abort();
}

static void check_decoded(const char *text, struct cm_bytes octets)
{
    size_t size = 0;
    uint8_t *again = malloc(octets.size + 1);
    if (!again || !cm_target_decode(cm_bytes_str(text), again, octets.size, &size)
        || !cm_bytes_equal(cm_bytes(again, size), octets))
        abort();
    if (octets.size > 0 && cm_target_decode(cm_bytes_str(text), again, octets.size - 1, &size))
        abort();
    free(again);
}

static void check_again(struct cm_bytes octets)
{
    char *raw = malloc(octets.size * 2 + 8);
    char *encoded = malloc(octets.size * 6 + 24);
    if (!raw || !encoded)
        abort();
    int length = EVP_EncodeBlock((unsigned char *)raw, octets.data, (int)octets.size);
    encoded[0] = '\0';
    for (int i = 0; i < length; i++)
        snprintf(encoded + 3 * i, 4, "%%%02x", (unsigned char)raw[i]);
    check_decoded(raw, octets);
    check_decoded(encoded, octets);
    free(raw);
    free(encoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cm_bytes text = cm_bytes(data, size);
    struct cm_target target = cm_target_read(text);
    uint8_t *space = malloc(size + 1);
    size_t octets_size = 0;
    if (!space)
        abort();
    if ((size > CM_TARGET_SIZE_MAX) != (target.kind == CM_TARGET_TOO_LONG))
        abort();
    check_within(target.path, text);
    check_within(target.request, text);
    if (target.kind == CM_TARGET_OCSP)
        text = target.request;
    if (cm_target_decode(text, space, size, &octets_size))
        check_again(cm_bytes(space, octets_size));
    free(space);
    return 0;
}

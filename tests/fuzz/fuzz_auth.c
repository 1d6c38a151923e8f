/*
 * The field auth, as strangers may fill it: nothing they write verifies, and base64url that is read is
 * the only text of its octets.
 */
#include <stdlib.h>

#include "engine/base/auth.h"
#include "engine/base/base64url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct cm_auth_verifier *make(enum cm_auth_method method)
{
    static const uint8_t key[32] = { 0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7,
                                     0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a,
                                     0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25,
                                     0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a };
    struct cm_auth_verifier *verifier = NULL;
    struct cm_error err;
    if (cm_auth_verifier_new(method, &verifier, &err) != CM_OK
        || cm_auth_verifier_add(verifier, cm_bytes(key, sizeof key), &err) != CM_OK)
        abort();
    return verifier;
}

static void check_base64url(struct cm_bytes text)
{
    uint8_t octets[128];
    char again[CM_BASE64URL_SIZE(128) + 1];
    for (size_t size = 0; size <= sizeof octets; size++) {
        if (!cm_base64url_decode(text, octets, size))
            continue;
        cm_base64url_encode(cm_bytes(octets, size), again);
        if (!cm_bytes_is(text, again))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct cm_auth_verifier *verifiers[2];
    struct cm_bytes input = cm_bytes(data, size);
    if (!verifiers[0]) {
        verifiers[0] = make(CM_AUTH_HMAC_SHA256);
        verifiers[1] = make(CM_AUTH_ED25519);
    }
    check_base64url(input);
    for (size_t i = 0; i < 2; i++)
        if (cm_auth_verify(verifiers[i], input, cm_bytes_str("certmill-request-v1\n")))
            abort();
    return 0;
}

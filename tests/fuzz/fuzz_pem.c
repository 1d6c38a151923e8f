/*
 * The PEM reader: what is accepted, written again by OpenSSL's base64, reads as the same bytes.
 */
#include <stdlib.h>

#include <openssl/evp.h>

#include "engine/x509/pem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_round_trip(struct cm_bytes der, struct cm_arena *arena)
{
    struct cm_refusal refusal;
    struct cm_bytes again;
    unsigned char *base64 = cm_arena_alloc(arena, der.size * 2 + 8);
    EVP_EncodeBlock(base64, der.data, (int)der.size);
    const char *text = cm_arena_printf(arena,
                                       "-----BEGIN CERTIFICATE REQUEST-----\n%s\n"
                                       "-----END CERTIFICATE REQUEST-----\n",
                                       (const char *)base64);
    if (strlen(text) > CM_CSR_TEXT_SIZE_MAX)
        return;
    if (!cm_pem_read_csr(cm_bytes_str(text), arena, &again, &refusal)
        || !cm_bytes_equal(der, again))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cm_arena arena;
    struct cm_refusal refusal = { .code = CM_REFUSAL_NONE };
    struct cm_bytes input = cm_bytes(data, size);
    struct cm_bytes der;
    cm_arena_init(&arena, 8192);
    if (!cm_pem_read_csr(input, &arena, &der, &refusal)) {
        if (refusal.code == CM_REFUSAL_NONE)
            abort();
    } else if (der.data != data) {
        check_round_trip(der, &arena);
    }
    cm_arena_done(&arena);
    return 0;
}

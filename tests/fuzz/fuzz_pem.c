/*
 * The PEM reader and splitter: what is accepted, written again by OpenSSL's base64, reads as the
 * same bytes; the splitter gives blocks in order and ends.
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

static void check_splitter(struct cm_bytes text)
{
    struct cm_bytes block;
    const uint8_t *behind = text.data;
    const uint8_t *end = text.data + text.size;
    while (cm_pem_next(&text, true, &block)) {
        if (block.size == 0 || block.data < behind || block.data + block.size > end)
            abort();
        behind = block.data + block.size;
    }
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
    check_splitter(input);
    cm_arena_done(&arena);
    return 0;
}

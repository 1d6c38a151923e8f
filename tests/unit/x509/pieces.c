#include "tests/unit/x509/pieces.h"

#include <stdlib.h>

#define SIZE_MAX_HERE (64 * 1024)

struct cm_bytes piece_hex(const char *hex)
{
    size_t size, space = strlen(hex) / 2;
    uint8_t *bytes = cm_arena_alloc(&pki.arena, space + 1);
    if (!cm_hex_decode(hex, strlen(hex), bytes, space, &size))
        abort();
    return cm_bytes(bytes, size);
}

struct cm_bytes pieces_(uint8_t tag, const struct cm_bytes *list, size_t count)
{
    static uint8_t space[SIZE_MAX_HERE];
    struct cm_der_writer w;
    cm_der_writer_init(&w, space, sizeof space);
    for (size_t i = count; i-- > 0;)
        cm_der_put(&w, list[i]);
    cm_der_wrap(&w, tag, 0);
    if (w.overflow)
        abort();
    return cm_arena_copy(&pki.arena, cm_der_written(&w));
}

struct cm_bytes piece(uint8_t tag, struct cm_bytes content)
{
    return pieces_(tag, &content, 1);
}

struct cm_bytes piece_extension(const char *oid_hex, bool critical, struct cm_bytes value)
{
    return pieces(CM_DER_SEQUENCE, piece(CM_DER_OID, piece_hex(oid_hex)),
                  critical ? piece_hex("0101ff") : NO_PIECE, piece(CM_DER_OCTET_STRING, value));
}

/* In memory of its own, so that the sanitizers see the first octet too many. */
static bool read_copy(struct cm_bytes der, bool (*read)(struct cm_bytes der))
{
    uint8_t *copy = malloc(der.size ? der.size : 1);
    if (!copy)
        abort();
    if (der.size > 0)
        memcpy(copy, der.data, der.size);
    bool is_read = read(cm_bytes(copy, der.size));
    free(copy);
    return is_read;
}

bool pieces_damage(struct cm_bytes good, bool (*read)(struct cm_bytes der))
{
    bool is_refused = true;
    uint8_t *changed = malloc(good.size + 1);
    if (!changed)
        abort();
    memcpy(changed, good.data, good.size);
    changed[good.size] = 0;
    for (size_t size = 0; size < good.size; size++)
        is_refused &= !read_copy(cm_bytes(changed, size), read);
    is_refused &= !read_copy(cm_bytes(changed, good.size + 1), read);
    for (size_t at = 0; at < good.size; at++)
        for (unsigned bit = 1; bit < 256; bit <<= 1) {
            changed[at] ^= (uint8_t)bit;
            read_copy(cm_bytes(changed, good.size), read);
            changed[at] ^= (uint8_t)bit;
        }
    free(changed);
    return is_refused;
}

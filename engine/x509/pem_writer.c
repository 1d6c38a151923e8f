#include "engine/x509/pem_writer.h"

#include <openssl/evp.h>
#include <stdio.h>

#define LINE_OCTETS 48 /* 64 characters of base64 */

struct cm_bytes cm_pem_write(const char *label, struct cm_bytes der, struct cm_arena *arena)
{
    size_t lines = der.size / LINE_OCTETS + 1;
    size_t space = 2 * strlen(label) + 40 + lines * 65 + 1;
    char *text = cm_arena_alloc(arena, space);
    char *next = text + sprintf(text, "-----BEGIN %s-----\n", label);
    for (size_t offset = 0; offset < der.size; offset += LINE_OCTETS) {
        size_t size = der.size - offset < LINE_OCTETS ? der.size - offset : LINE_OCTETS;
        next += EVP_EncodeBlock((unsigned char *)next, der.data + offset, (int)size);
        *next++ = '\n';
    }
    next += sprintf(next, "-----END %s-----\n", label);
    return cm_bytes(text, (size_t)(next - text));
}

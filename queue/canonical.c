#include "queue/canonical.h"

#include <stdio.h>

#include "engine/base/hash.h"

static const char label[] = "certmill-request-v1\n";

static const enum cm_field order[] = {
    CM_FIELD_OP,         CM_FIELD_ID,      CM_FIELD_REQUESTER, CM_FIELD_DEVICE,
    CM_FIELD_CSR,        CM_FIELD_PROFILE, CM_FIELD_SERIAL,    CM_FIELD_REASON,
    CM_FIELD_INVALIDITY, CM_FIELD_WHY,     CM_FIELD_PRIORITY,  CM_FIELD_TIME,
};

struct sheet {
    uint8_t *text;
    size_t size, space;
    bool is_full;
};

static void put(struct sheet *sheet, struct cm_bytes bytes)
{
    if (sheet->is_full || bytes.size > sheet->space - sheet->size) {
        sheet->is_full = true;
        return;
    }
    if (bytes.size > 0)
        memcpy(sheet->text + sheet->size, bytes.data, bytes.size);
    sheet->size += bytes.size;
}

static void put_line(struct sheet *sheet, const char *name, struct cm_bytes value)
{
    char head[48];
    int head_size = snprintf(head, sizeof head, "%s %zu ", name, value.size);
    put(sheet, cm_bytes(head, (size_t)head_size));
    put(sheet, value);
    put(sheet, cm_bytes("\n", 1));
}

static void put_hash(struct sheet *sheet, struct cm_bytes csr)
{
    uint8_t hash[CM_SHA256_SIZE];
    char text[2 * CM_SHA256_SIZE + 1];
    cm_sha256(&csr, 1, hash);
    cm_hex_encode(cm_bytes(hash, sizeof hash), text);
    put_line(sheet, "csr-sha256", cm_bytes(text, 2 * sizeof hash));
}

size_t cm_canonical_write(const struct cm_bytes fields[CM_FIELD_COUNT], uint8_t *ret_text,
                          size_t space)
{
    struct sheet sheet = { .text = ret_text, .space = space };
    put(&sheet, cm_bytes(label, sizeof label - 1));
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        struct cm_bytes value = fields[order[i]];
        if (!value.data)
            continue;
        if (order[i] == CM_FIELD_CSR)
            put_hash(&sheet, value);
        else
            put_line(&sheet, cm_field_name(order[i]), value);
    }
    return sheet.is_full ? 0 : sheet.size;
}

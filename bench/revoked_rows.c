#include "bench/revoked_rows.h"

#include <stdlib.h>

#include <openssl/rand.h>

enum cm_reason revoked_rows_reason(uint32_t index)
{
    return index % 2 ? CM_REASON_KEY_COMPROMISE : CM_REASON_UNSPECIFIED;
}

static cm_status walk(struct cm_store_reader *reader, int64_t after_revision,
                      cm_revocation_walk_fn *callback, void *arg, struct cm_error *err)
{
    const struct revoked_rows *rows = (const struct revoked_rows *)(const void *)reader;
    (void)err;
    for (uint32_t i = (uint32_t)after_revision; i < rows->count; i++) {
        const struct cm_revocation row = { .revision = i + 1,
                                           .generation_number = REVOKED_GENERATION,
                                           .serial = cm_bytes(rows->serials[i], CM_SERIAL_SIZE),
                                           .reason = revoked_rows_reason(i),
                                           .revoked_s = REVOKED_NOW_S - 1000,
                                           .not_after_s = REVOKED_NOW_S + 100000000 };
        if (!callback(&row, arg))
            break;
    }
    return CM_OK;
}

bool revoked_rows_make(struct revoked_rows *rows, uint32_t count, uint32_t more_count)
{
    static const struct cm_store_ops ops = { .walk_revocations = walk };
    rows->reader.ops = &ops;
    rows->count = count;
    rows->serials = calloc((size_t)count + more_count, CM_SERIAL_SIZE);
    for (uint32_t i = 0; rows->serials && i < count + more_count; i++) {
        if (RAND_bytes(rows->serials[i], CM_SERIAL_SIZE) != 1)
            return false;
        uint64_t spread = cm_big_endian_read(rows->serials[i], 8) % (UINT64_C(1) << 56);
        cm_big_endian_write((UINT64_C(0x18) << 56) + spread, rows->serials[i], 8);
    }
    return rows->serials != NULL;
}

void revoked_rows_done(struct revoked_rows *rows)
{
    free(rows->serials);
    rows->serials = NULL;
}

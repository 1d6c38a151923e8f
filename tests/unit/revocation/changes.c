#include "tests/unit/revocation/changes.h"

#include <stdlib.h>

static int compare_revisions(const void *one, const void *other)
{
    const struct cm_revocation *const *a = one, *const *b = other;
    return ((*a)->revision > (*b)->revision) - ((*a)->revision < (*b)->revision);
}

static cm_status walk(struct cm_store_reader *reader, int64_t after_revision,
                      cm_revocation_walk_fn *callback, void *arg, struct cm_error *err)
{
    struct changes *changes = (struct changes *)(void *)reader;
    const struct cm_revocation **later = calloc(changes->count + 1, sizeof *later);
    uint32_t count = 0;
    for (uint32_t i = 0; i < changes->count; i++)
        if (changes->rows[i].revision > after_revision)
            later[count++] = &changes->rows[i];
    qsort(later, count, sizeof *later, compare_revisions);
    cm_status status = CM_OK;
    for (uint32_t i = 0; i < count && status == CM_OK; i++) {
        if (changes->fails_after > 0 && i == changes->fails_after)
            status = CM_FAIL(err, CM_IO, CM_ORIGIN_SELF, 0, "the disk is gone");
        else if (!callback(later[i], arg))
            break;
    }
    free(later);
    return status;
}

static const struct cm_store_ops ops = { .walk_revocations = walk };

struct changes *changes_new(void)
{
    struct changes *changes = calloc(1, sizeof *changes);
    if (!changes)
        abort();
    changes->reader.ops = &ops;
    return changes;
}

struct cm_revocation *changes_add(struct changes *changes, int64_t generation_number,
                                  struct cm_bytes serial)
{
    struct cm_revocation *row = &changes->rows[changes->count];
    uint8_t *octets = changes->serials[changes->count++];
    memcpy(octets, serial.data, serial.size);
    *row = (struct cm_revocation){ .generation_number = generation_number,
                                   .serial = cm_bytes(octets, serial.size),
                                   .reason = CM_REASON_UNSPECIFIED,
                                   .revoked_s = 1700000000,
                                   .not_after_s = 1800000000 };
    changes_touch(changes, row);
    return row;
}

void changes_touch(struct changes *changes, struct cm_revocation *row)
{
    row->revision = ++changes->revision;
}

struct cm_bytes changes_serial(uint64_t number, size_t size, uint8_t octets[CM_SERIAL_SIZE])
{
    memset(octets, 0x5a, CM_SERIAL_SIZE);
    cm_big_endian_write(number | UINT64_C(3) << 56, octets, 8); /* a multiple of three shards */
    return cm_bytes(octets, size);
}

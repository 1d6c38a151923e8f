#include "engine/authority/record_tree.h"

#include <stdlib.h>
#include <string.h>

/* "abandoned", with its NUL, the number of a generation and a serial. */
static const char abandoned_prefix[] = "abandoned";

static void hash_abandoned(const uint8_t *serial, int64_t generation_number,
                           uint8_t ret_hash[CM_SHA256_SIZE])
{
    uint8_t generation[8];
    cm_big_endian_write((uint64_t)generation_number, generation, sizeof generation);
    const struct cm_bytes parts[] = { cm_bytes(abandoned_prefix, sizeof abandoned_prefix),
                                      cm_bytes(generation, sizeof generation),
                                      cm_bytes(serial, CM_SERIAL_SIZE) };
    cm_merkle_hash_leaf(parts, 3, ret_hash);
}

void cm_record_tree_hash(const struct cm_audited *audited, uint8_t ret_hash[CM_SHA256_SIZE])
{
    if (audited->is_abandoned)
        hash_abandoned(audited->serial, audited->generation_number, ret_hash);
    else
        cm_merkle_hash_leaf(&audited->der, 1, ret_hash);
}

/* An entry of the operation, by its number. */
struct entry {
    cm_certificate_number number;
    const void *row;
};

static int by_number(const void *a, const void *b)
{
    cm_certificate_number first = ((const struct entry *)a)->number;
    cm_certificate_number second = ((const struct entry *)b)->number;
    return (first > second) - (first < second);
}

/* They mostly stand in their order; kept promises come from before. */
static void sort(struct entry *entries, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        if (entries[i].number > entries[i - 1].number)
            continue;
        qsort(entries, count, sizeof *entries, by_number);
        return;
    }
}

static void add_certificates(const struct cm_store_op *op, struct entry *entries,
                             struct cm_merkle *tree, struct cm_record_tree *ret_tree)
{
    uint8_t hash[CM_SHA256_SIZE];
    for (uint32_t i = 0; i < op->certificates_count; i++)
        entries[i] =
            (struct entry){ cm_serial_number(&op->certificates[i].serial), &op->certificates[i] };
    sort(entries, op->certificates_count);
    for (uint32_t i = 0; i < op->certificates_count; i++) {
        const struct cm_certificate_row *row = entries[i].row;
        if (!row->leaf_hash)
            cm_merkle_hash_leaf(&row->der, 1, hash);
        cm_merkle_add(tree, row->leaf_hash ? row->leaf_hash : hash);
    }
    ret_tree->first = op->certificates_count > 0 ? entries[0].number : 0;
    ret_tree->last = op->certificates_count > 0 ? entries[op->certificates_count - 1].number : 0;
}

static void add_abandoned(const struct cm_store_op *op, struct entry *entries,
                          struct cm_merkle *tree)
{
    uint8_t hash[CM_SHA256_SIZE];
    for (uint32_t i = 0; i < op->abandoned_count; i++)
        entries[i] =
            (struct entry){ cm_serial_number(&op->abandoned[i].serial), &op->abandoned[i] };
    sort(entries, op->abandoned_count);
    for (uint32_t i = 0; i < op->abandoned_count; i++) {
        const struct cm_abandoned_row *row = entries[i].row;
        hash_abandoned(row->serial.octets, row->generation_number, hash);
        cm_merkle_add(tree, hash);
    }
}

void cm_record_tree(const struct cm_store_op *op, struct cm_record_tree *ret_tree)
{
    struct cm_merkle tree;
    size_t count =
        op->certificates_count > op->abandoned_count ? op->certificates_count : op->abandoned_count;
    struct entry *entries = calloc(count + 1, sizeof *entries);
    if (!entries)
        abort();
    cm_merkle_begin(&tree);
    add_certificates(op, entries, &tree, ret_tree);
    add_abandoned(op, entries, &tree);
    cm_merkle_root(&tree, ret_tree->root);
    free(entries);
}

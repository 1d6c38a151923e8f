#include "engine/authority/merkle.h"

#include <assert.h>
#include <string.h>

void cm_merkle_hash_leaf(const struct cm_bytes *parts, size_t parts_count,
                         uint8_t ret_hash[CM_SHA256_SIZE])
{
    enum { PARTS_MAX = 4 };
    static const uint8_t prefix = 0x00;
    struct cm_bytes all[PARTS_MAX + 1] = { cm_bytes(&prefix, 1) };
    assert(parts_count <= PARTS_MAX);
    for (size_t i = 0; i < parts_count; i++)
        all[i + 1] = parts[i];
    cm_sha256(all, parts_count + 1, ret_hash);
}

/* ret_hash may be one of the two. */
static void hash_node(const uint8_t *left, const uint8_t *right, uint8_t *ret_hash)
{
    uint8_t node[1 + 2 * CM_SHA256_SIZE] = { 0x01 };
    memcpy(node + 1, left, CM_SHA256_SIZE);
    memcpy(node + 1 + CM_SHA256_SIZE, right, CM_SHA256_SIZE);
    const struct cm_bytes whole = cm_bytes(node, sizeof node);
    cm_sha256(&whole, 1, ret_hash);
}

/* ------------------------------------------------------------------ a tree that grows -- */

static uint32_t peaks_count(uint32_t leaves_count)
{
    return (uint32_t)__builtin_popcount(leaves_count);
}

void cm_merkle_begin(struct cm_merkle *tree)
{
    tree->count = 0;
}

/* As in counting: each bit that carries joins two subtrees of one size. */
void cm_merkle_add(struct cm_merkle *tree, const uint8_t leaf[CM_SHA256_SIZE])
{
    uint32_t top = peaks_count(tree->count);
    assert(tree->count < UINT32_MAX);
    uint8_t hash[CM_SHA256_SIZE];
    memcpy(hash, leaf, sizeof hash);
    for (uint32_t rest = tree->count; rest & 1; rest >>= 1)
        hash_node(tree->peaks[--top], hash, hash);
    memcpy(tree->peaks[top], hash, sizeof hash);
    tree->count++;
}

void cm_merkle_root(const struct cm_merkle *tree, uint8_t ret_root[CM_SHA256_SIZE])
{
    uint32_t top = peaks_count(tree->count);
    if (top == 0) {
        cm_sha256(NULL, 0, ret_root);
        return;
    }
    memcpy(ret_root, tree->peaks[--top], CM_SHA256_SIZE);
    while (top > 0)
        hash_node(tree->peaks[--top], ret_root, ret_root);
}

/* ------------------------------------------------------------------ proofs -- */

static void root_of(const uint8_t *leaves, uint32_t count, uint8_t *ret_root)
{
    struct cm_merkle tree;
    cm_merkle_begin(&tree);
    for (uint32_t i = 0; i < count; i++)
        cm_merkle_add(&tree, leaves + (size_t)i * CM_SHA256_SIZE);
    cm_merkle_root(&tree, ret_root);
}

/* The largest power of two below count, which is 2 or more. */
static uint32_t left_of(uint32_t count)
{
    return UINT32_C(1) << (31 - __builtin_clz(count - 1));
}

void cm_merkle_prove(const uint8_t *leaves, uint32_t leaves_count, uint32_t index,
                     struct cm_merkle_proof *ret_proof)
{
    uint8_t downwards[CM_MERKLE_DEPTH_MAX][CM_SHA256_SIZE];
    uint32_t depth = 0, at = index;
    assert(index < leaves_count);
    for (uint32_t count = leaves_count; count > 1; depth++) {
        uint32_t left = left_of(count);
        bool goes_left = at < left;
        root_of(goes_left ? leaves + (size_t)left * CM_SHA256_SIZE : leaves,
                goes_left ? count - left : left, downwards[depth]);
        at -= goes_left ? 0 : left;
        leaves += goes_left ? 0 : (size_t)left * CM_SHA256_SIZE;
        count = goes_left ? left : count - left;
    }
    *ret_proof = (struct cm_merkle_proof){ .index = index,
                                           .leaves_count = leaves_count,
                                           .hashes_count = depth };
    for (uint32_t i = 0; i < depth; i++)
        memcpy(ret_proof->hashes[i], downwards[depth - 1 - i], CM_SHA256_SIZE);
}

bool cm_merkle_verify(const struct cm_merkle_proof *proof, const uint8_t leaf[CM_SHA256_SIZE],
                      const uint8_t root[CM_SHA256_SIZE])
{
    uint8_t hash[CM_SHA256_SIZE];
    uint32_t at = proof->index, last = proof->leaves_count - 1;
    if (proof->index >= proof->leaves_count || proof->hashes_count > CM_MERKLE_DEPTH_MAX)
        return false;
    memcpy(hash, leaf, sizeof hash);
    for (uint32_t i = 0; i < proof->hashes_count; i++, at >>= 1, last >>= 1) {
        if (last == 0)
            return false;
        if ((at & 1) == 0 && at != last) {
            hash_node(hash, proof->hashes[i], hash);
            continue;
        }
        hash_node(proof->hashes[i], hash, hash);
        for (; (at & 1) == 0 && at != 0;
             at >>= 1, last >>= 1) /* levels that it has no neighbour on */
            ;
    }
    return last == 0 && memcmp(hash, root, sizeof hash) == 0;
}

/*
 * Merkle: one hash over many entries, of which each can be shown to be in it by a few hashes more.
 *
 * The tree of RFC 6962, 2.1 (RFC 9162 has the same): a leaf is SHA-256(0x00, entry), a node
 * SHA-256(0x01, left, right), the tree of nothing SHA-256 of nothing. Of n entries the left subtree has
 * the largest power of two below n.
 *
 *     cm_merkle_begin(&tree);
 *     cm_merkle_add(&tree, leaf);            for each entry, in order
 *     cm_merkle_root(&tree, root);
 *
 * A tree that grows keeps one hash for each bit of its count, and allocates nothing. Any thread.
 */
#ifndef CM_ENGINE_AUTHORITY_MERKLE_H
#define CM_ENGINE_AUTHORITY_MERKLE_H

#include "engine/base/hash.h"

enum { CM_MERKLE_DEPTH_MAX = 32 };

struct cm_merkle {
    uint32_t count; /* leaves */
    uint8_t peaks[CM_MERKLE_DEPTH_MAX]
                 [CM_SHA256_SIZE]; /* roots of whole subtrees, larger ones first */
};

/* Of an entry that stands in several parts, one after another. */
void cm_merkle_hash_leaf(const struct cm_bytes *parts, size_t parts_count,
                         uint8_t ret_hash[CM_SHA256_SIZE]);

void cm_merkle_begin(struct cm_merkle *tree);
void cm_merkle_add(struct cm_merkle *tree, const uint8_t leaf[CM_SHA256_SIZE]);
/* More may be added afterwards. */
void cm_merkle_root(const struct cm_merkle *tree, uint8_t ret_root[CM_SHA256_SIZE]);

/* That a leaf is in a tree. The hashes are those beside the way from the leaf up. */
struct cm_merkle_proof {
    uint32_t index, leaves_count; /* index < leaves_count */
    uint32_t hashes_count;
    uint8_t hashes[CM_MERKLE_DEPTH_MAX][CM_SHA256_SIZE];
};

/* Of leaf number index; leaves: leaves_count hashes, one after another; index < leaves_count. */
void cm_merkle_prove(const uint8_t *leaves, uint32_t leaves_count, uint32_t index,
                     struct cm_merkle_proof *ret_proof);

/* RFC 9162, 2.1.3.2. False: the proof is none, or of another leaf, place, size or tree. */
bool cm_merkle_verify(const struct cm_merkle_proof *proof, const uint8_t leaf[CM_SHA256_SIZE],
                      const uint8_t root[CM_SHA256_SIZE]);

#endif

/*
 * Record tree: the digest of an audit row whose operation records certificates or abandons serials
 * (engine/store/audit.h). Whoever submits such an operation gets the digest here, whoever verifies the log
 * the leaves. Any thread.
 */
#ifndef CM_ENGINE_AUTHORITY_RECORD_TREE_H
#define CM_ENGINE_AUTHORITY_RECORD_TREE_H

#include "engine/authority/merkle.h"
#include "engine/store/store.h"

struct cm_record_tree {
    uint8_t root[CM_SHA256_SIZE];
    cm_certificate_number first,
        last; /* lowest and highest of the certificates; 0: there are none */
};

/*
 * Over op's certificates and abandoned serials, in whatever order they stand there. Hashes no certificate
 * whose row has its leaf_hash already. Out of memory aborts.
 */
void cm_record_tree(const struct cm_store_op *op, struct cm_record_tree *ret_tree);

/* One leaf. Of a certificate only its DER is read, of an abandoned serial all but that. */
void cm_record_tree_hash(const struct cm_audited *audited, uint8_t ret_hash[CM_SHA256_SIZE]);

#endif

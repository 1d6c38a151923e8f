/*
 * Hash: SHA-256 and SHA-1 over a list of spans, without the cost of looking the algorithm up each time.
 *
 * Each thread keeps one context of its own; OpenSSL does the hashing. Any thread. A failure of
 * the hash itself aborts: there is no state in which the engine could go on without it.
 */
#ifndef CM_BASE_HASH_H
#define CM_BASE_HASH_H

#include "engine/base/bytes.h"

#define CM_SHA256_SIZE 32
#define CM_SHA1_SIZE   20

void cm_sha256(const struct cm_bytes *parts, size_t parts_count, uint8_t ret_hash[CM_SHA256_SIZE]);

/* For names only that protocols give to keys and issuers (OCSP): never where a collision would matter. */
void cm_sha1(const struct cm_bytes *parts, size_t parts_count, uint8_t ret_hash[CM_SHA1_SIZE]);

#endif

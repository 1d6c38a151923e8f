/*
 * Audit: how the log is tied to what it is about, and to those who keep watch over it.
 *
 * Each row of the log carries the hash of the row before (cm_audit_hash). Each certificate and
 * each abandoned serial names the row of the operation that recorded it, and that row's digest is the root of a
 * Merkle tree (engine/authority/merkle.h) over them all: first the certificates, then the abandoned serials,
 * each in the order of their numbers. An entry of the tree is
 *
 *     a certificate          its DER, which begins with 0x30
 *     an abandoned serial    "abandoned", NUL, its generation's number (8 octets, big-endian), its 20 octets
 *
 * so that none can be taken for the other, and the tree can be built again from the tables. The rows name
 * their certificates besides: "first" and "last" of an issue row are their numbers, in 16 hexadecimal digits.
 *
 * A checkpoint says which hash a row has, in words that are signed (cm_checkpoint_write). A chain alone
 * cannot tell that its end was cut off, or that all of it was made anew; a checkpoint kept elsewhere can.
 */
#ifndef CM_ENGINE_STORE_AUDIT_H
#define CM_ENGINE_STORE_AUDIT_H

#include "engine/base/audit_context.h"
#include "engine/base/bytes.h"
#include "engine/base/hash.h"
#include "engine/base/status.h"
#include "engine/store/identity.h"

/* ----------------------------------------------------------------------- rows -- */

/* What every change says of itself in the audit log, in the same transaction. */
struct cm_audit_event {
    const char *kind;       /* "issue", "device-import", "ca-create", ... */
    struct cm_bytes actor;  /* who: requester or operator */
    struct cm_bytes detail; /* one JSON object, no secrets */
    /* Over what was done: of certificates and abandoned serials the root of the tree. */
    uint8_t digest[CM_HASH_SIZE];
};

struct cm_audit_row {
    int64_t number;  /* 1, 2, 3, ... without gaps */
    int64_t time_ms; /* never before that of the row before, whatever the clock does */
    const char *kind;
    struct cm_bytes actor, detail;
    uint8_t digest[CM_HASH_SIZE];
    uint8_t previous[CM_HASH_SIZE]; /* hash of the row before; zero bytes for the first */
    uint8_t hash[CM_HASH_SIZE];     /* SHA-256 over all of the above, see cm_audit_hash */
};

/*
 * The chain's hash: SHA-256 over previous (32 octets), number and time_ms (8 octets each,
 * big-endian), then kind, actor and detail, each preceded by its size in 4 octets big-endian, then
 * digest (32 octets). Ignores row->hash.
 */
void cm_audit_hash(const struct cm_audit_row *row, uint8_t ret_hash[CM_HASH_SIZE]);

/* One entry of a row's tree, as the tables have it. */
struct cm_audited {
    int64_t audit; /* number of the row */
    bool is_abandoned;
    uint8_t serial[20];
    int64_t generation_number;
    struct cm_bytes der; /* of a certificate; empty: its content is not there */
};

/* What there is, counted row by row: for commands. unaudited: from before format version 4, no row is named. */
struct cm_audited_counts {
    int64_t certificates, certificates_unaudited;
    int64_t contents; /* certificates' DERs */
    int64_t abandoned, abandoned_unaudited;
};

/* ---------------------------------------------------------------- checkpoints -- */

struct cm_checkpoint {
    int64_t number; /* 1, 2, 3, ... without gaps */
    int64_t audit;  /* number of the last row that it covers; higher than that of the one before */
    uint8_t hash[CM_SHA256_SIZE]; /* of that row */
    int64_t time_ms;
    uint8_t previous[CM_SHA256_SIZE]; /* SHA-256 of the message before; zero bytes for the first */
    struct cm_bytes spki;             /* of the key that has signed it, DER */
    struct cm_bytes sigalg;           /* name, engine/x509/algorithm.h */
    struct cm_bytes signature;
};

/*
 * What is signed: the context (audit_context.h) with its NUL, number, audit (8 octets each, big-endian), hash, time_ms (8
 * octets) and previous. Any thread.
 */
void cm_checkpoint_write(const struct cm_checkpoint *checkpoint,
                         uint8_t ret_message[CM_CHECKPOINT_MESSAGE_SIZE]);

/* What the next one has for its previous. */
void cm_checkpoint_hash(const struct cm_checkpoint *checkpoint, uint8_t ret_hash[CM_SHA256_SIZE]);

#endif

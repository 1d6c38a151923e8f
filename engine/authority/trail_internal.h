/* What the parts of the trail share: trail.c reads rows, trail_row.c judges one, trail_checkpoint.c reads
 * checkpoints. Private to engine/authority. */
#ifndef CM_ENGINE_AUTHORITY_TRAIL_INTERNAL_H
#define CM_ENGINE_AUTHORITY_TRAIL_INTERNAL_H

#include "engine/authority/record_tree.h"
#include "engine/authority/trail.h"

enum { CM_TRAIL_PIECE = 512, CM_TRAIL_KEYS_MAX = 256 };

/* What the tables have for one row. */
struct cm_trail_slot {
    struct cm_merkle tree;
    uint32_t certificates, abandoned;
    cm_certificate_number first, last; /* of the certificates */
    char wrong[120];                   /* with an entry; the first */
};

/* Of a checkpoint what rows and lines are held against. */
struct cm_trail_mark {
    int64_t audit;
    uint8_t hash[CM_HASH_SIZE];      /* of that row */
    uint8_t line_hash[CM_HASH_SIZE]; /* of its line in the file */
    uint8_t signer[CM_HASH_SIZE];    /* SHA-256 of its key */
};

struct cm_trail {
    const struct cm_trail_settings *settings;
    struct cm_trail_found *found;
    bool is_bad;     /* a row is: nothing else counts */
    bool has_begun;  /* an engine of format version 4 has started */
    int64_t time_ms; /* of the last row */
    int64_t old_certificates, old_abandoned;
    int64_t first; /* row of slots[0] */
    struct cm_trail_slot *slots;
    struct cm_trail_mark *marks;                    /* by number, from 1 */
    int64_t marks_count, marks_space, stored_count; /* those of the store come first */
    int64_t next_mark;                              /* the first that no row has passed */
    uint8_t keys[CM_TRAIL_KEYS_MAX][CM_HASH_SIZE];  /* that the log says were opened to sign them */
    unsigned keys_count;
    char later[CM_TRAIL_TEXT_SIZE]; /* what is wrong where no row is; the first */
    struct cm_checkpoint last;      /* checkpoint, while they are read */
    struct cm_arena arena;
};

/* Row number is the first bad one; false, always. Later ones are not noted. */
bool cm_trail_spoil(struct cm_trail *trail, int64_t row, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* No row is bad by it: said where none is. */
void cm_trail_note(struct cm_trail *trail, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* trail_row.c: false: it is bad, and was spoilt. slot: its own. */
bool cm_trail_check_row(struct cm_trail *trail, const struct cm_audit_row *row,
                        const struct cm_trail_slot *slot);
void cm_trail_add_entry(struct cm_trail_slot *slot, const struct cm_audited *audited);

/* trail_checkpoint.c: those of the store, then of the file; after the rows: what none has passed. */
CM_MUST_USE cm_status cm_trail_read_checkpoints(struct cm_trail *trail, struct cm_error *err);
void cm_trail_check_signers(struct cm_trail *trail);

#endif

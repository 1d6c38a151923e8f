/*
 * Trail: whether the audit log of a store is whole: no row changed, removed, put in, exchanged or cut off, and
 * every certificate and abandoned serial the one that its row stands for.
 *
 * What it reads: every row and its tree, in pieces, each in a snapshot of its own, so that an engine may
 * write meanwhile; every checkpoint, of the store and of a file beside it; the totals.
 *
 * Of what is wrong the first row is named; where all rows are in order, the first checkpoint. Rows from
 * before the first engine-start (format version 3 and older) have no trees that could be made again: of their
 * certificates it is only known how many there are. One thread.
 */
#ifndef CM_ENGINE_AUTHORITY_TRAIL_H
#define CM_ENGINE_AUTHORITY_TRAIL_H

#include "engine/store/store.h"

enum { CM_TRAIL_TEXT_SIZE = 400 };

struct cm_trail_settings {
    struct cm_store_reader *reader; /* outside begin and end */
    struct cm_bytes
        spki; /* the key that must have signed every checkpoint; empty: one that the log names */
    const char *file;    /* of checkpoints; NULL: none */
    int64_t step_ms_max; /* the time of a row may lie so far before that of the row before */
    void (*progress)(int64_t rows, int64_t rows_count, void *arg); /* may be NULL */
    void *arg;
};

struct cm_trail_found {
    bool is_whole;
    char text[CM_TRAIL_TEXT_SIZE];         /* what is wrong, and where; one line */
    int64_t row;                           /* the first bad one; 0: it is no row, or all is well */
    int64_t rows, certificates, abandoned; /* that were looked at */
    int64_t certificates_before;           /* of format version 3 and older */
    int64_t checkpoints;
    int64_t covered;              /* by the last checkpoint: a row's number */
    uint8_t head[CM_HASH_SIZE];   /* of the last row */
    uint8_t signer[CM_HASH_SIZE]; /* SHA-256 of the key that signed the last checkpoint */
};

/* OK: ret_found says what was found. Fails with: IO, NO_MEMORY, BUSY: it is not known whether it is whole. */
CM_MUST_USE cm_status cm_trail_verify(const struct cm_trail_settings *settings,
                                      struct cm_trail_found *ret_found, struct cm_error *err);

#endif

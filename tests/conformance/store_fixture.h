/*
 * What the store's tests share: a store in a scratch folder, and rows made from a number, so that
 * what comes back can be held against what went in.
 */
#ifndef CM_TESTS_CONFORMANCE_STORE_FIXTURE_H
#define CM_TESTS_CONFORMANCE_STORE_FIXTURE_H

#include "engine/store/store.h"

enum { FIXTURE_ROWS_MAX = 1024, FIXTURE_TIME_MS = 1700000000 };

struct fixture {
    char path[512];
    struct cm_loop *loop;
    struct cm_store *store;
    struct cm_store_reader *reader; /* opened on first use */
    struct cm_arena arena;
    struct cm_error err;
    unsigned waiting; /* for done callbacks */
};

/* A new store under this name below the scratch folder. Ends the process when that fails. */
void fixture_make(struct fixture *fixture, const char *name);
void fixture_reopen(struct fixture *fixture);
void fixture_close(struct fixture *fixture); /* the store; everything else stays for a reopen */
void fixture_done(struct fixture *fixture);

/* The fixture's reader, in a fresh snapshot. */
struct cm_store_reader *fixture_snapshot(struct fixture *fixture);

/* Submits the operations together and runs the loop until all are done. */
void fixture_submit(struct fixture *fixture, struct cm_store_op **ops, unsigned count);

/* The n-th of everything. Spans refer to static memory. */
struct cm_serial row_serial(unsigned n);
struct cm_request_key row_key(unsigned n);
struct cm_request_digest row_digest(unsigned n);
struct cm_certificate_row row_certificate(unsigned n, uint8_t der[8]);

/* Rows first .. first + count - 1 in one record, with its audit event; owned by the caller. */
struct record {
    struct cm_store_op op;
    struct cm_certificate_row rows[FIXTURE_ROWS_MAX];
    uint8_t ders[FIXTURE_ROWS_MAX][8];
};

void record_fill(struct record *record, unsigned first, unsigned count);

extern const struct cm_audit_event fixture_audit;

/* Generation n of "issuing", active; and its record, which gives it its number. */
struct cm_generation fixture_generation(int64_t n);
cm_status fixture_put_generation(struct fixture *fixture, struct cm_generation *generation);

/* Records the n-th rows and says what came of it. */
cm_status fixture_record(struct fixture *fixture, unsigned first, unsigned count);

struct cm_store_counts fixture_counts(struct fixture *fixture);
struct cm_recall fixture_recall(struct fixture *fixture, unsigned n);

#endif

/*
 * Move in: from a CA's certificate and inventory to a generation and its records in the store.
 *
 *     cm_move_in_plan(&move, call, &err)          settings read; whose certificates they are
 *     ... rows are read and checked against move.certificate ...
 *     cm_move_in_carry_out(&move, &err)           the key is opened and proved, and all is written
 *     cm_move_in_done(&move)                      whatever came out
 *
 * Private to `certmill ca import`. One thread.
 */
#ifndef CM_TOOLS_MOVE_IN_H
#define CM_TOOLS_MOVE_IN_H

#include "tools/deployment.h"

struct cm_move_in {
    const struct cm_call *call;
    const struct cm_settings *settings;
    struct cm_bytes certificate; /* of the CA, DER */
    const char *authority;       /* of a new one; else NULL */
    const char *issuer;          /* "old-1" */
    /* brought by the caller */
    struct cm_imported_row *rows;
    uint32_t rows_count;
    struct cm_crl_row last_crl; /* the old CA's; number 0: none */
    /* written */
    bool is_new; /* the generation was made */
    uint32_t changed;
    const struct cm_settings_provider *provider; /* of a new one */
    /* its own */
    struct cm_deployment deployment;
    int64_t generation_number;
    struct cm_bytes chain;
};

/* Fails with: what settings, files and store fail with; MISMATCH (a chain that is none). */
CM_MUST_USE cm_status cm_move_in_plan(struct cm_move_in *move, const struct cm_call *call,
                                      struct cm_error *err);

/* Fails with: EXISTS (the name or the key is taken), MISMATCH (the key is another one), what providers
 * and store fail with; where a part is recorded the text says so. */
CM_MUST_USE cm_status cm_move_in_carry_out(struct cm_move_in *move, struct cm_error *err);

void cm_move_in_done(struct cm_move_in *move);

#endif

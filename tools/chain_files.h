/*
 * Chain files: a CA's certificate and those above it, as a command was given them with --certificate and
 * --chain. One thread.
 */
#ifndef CM_TOOLS_CHAIN_FILES_H
#define CM_TOOLS_CHAIN_FILES_H

#include "engine/base/arena.h"
#include "engine/x509/certificate.h"
#include "tools/command.h"

#define CM_CHAIN_FILES_MAX 16

/* All in the arena. */
struct cm_chain_files {
    struct cm_bytes certificate; /* DER */
    struct cm_certificate read;
    struct cm_certificate above[CM_CHAIN_FILES_MAX]; /* each has signed the one before */
    size_t above_count;
    struct cm_bytes chain; /* PEM: the certificate and those above it, a root left out */
};

/*
 * Does:       reads both options, and checks that each certificate has signed the one below it.
 * Fails with: NOT_FOUND, IO; MALFORMED (no certificate, or more than one); MISMATCH (no chain).
 */
CM_MUST_USE cm_status cm_chain_files_read(struct cm_chain_files *files, const struct cm_call *call,
                                          struct cm_arena *arena, struct cm_error *err);

#endif

/*
 * Secret: a passphrase or password that settings name by reference and never contain.
 *
 *     file:PATH         the content of a file that only its owner (and group) can reach
 *     env:NAME          an environment variable
 *     credential:NAME   a systemd credential: $CREDENTIALS_DIRECTORY/NAME
 *     prompt:WORDS      asked for on the terminal, without an echo, each time that it is read
 *
 * One newline at the end is not part of the secret. The bytes live in a buffer that is wiped when
 * it is released, and nowhere else; messages name the reference, never the content.
 *
 *     struct cm_secret secret;
 *     if (cm_secret_read(settings->password_ref, folder, &secret, &err) == CM_OK) {
 *         ...
 *         cm_secret_done(&secret);
 *     }
 */
#ifndef CM_BASE_SECRET_H
#define CM_BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"

/* Longest secret that is read; bytes. */
#define CM_SECRET_SIZE_MAX 4096

/* How long prompt: waits for somebody to type. */
#define CM_SECRET_PATIENCE_MS 120000

struct cm_secret {
    char *text;  /* owned; size bytes and a NUL behind them */
    size_t size; /* bytes; at least 1 */
};

/*
 * Does:       reads the secret. A relative PATH starts at folder, which may be NULL.
 * Owns:       ret_secret is the caller's, until cm_secret_done.
 * Thread:     any; prompt: waits for a person, CM_SECRET_PATIENCE_MS at most; env: as long as nobody
 *             changes the environment meanwhile. A signal that comes while a person is asked takes
 *             effect when the terminal echoes again, where the other threads block it.
 * Fails with: MALFORMED (no such kind of reference; no plain file; empty, too long or holding a NUL
 *             byte),
 *             NOT_FOUND, DENIED (others can reach the file, or we cannot; there is no terminal to
 *             ask on; nobody answered, or a signal broke off the question), IO, NO_MEMORY.
 */
CM_MUST_USE cm_status cm_secret_read(const char *reference, const char *folder,
                                     struct cm_secret *ret_secret, struct cm_error *err);

/*
 * Whether it can be read; nobody is asked only to see. Thread and errors: as cm_secret_read.
 */
CM_MUST_USE cm_status cm_secret_check(const char *reference, const char *folder,
                                      struct cm_error *err);

/* True for "prompt:": reading it disturbs somebody, so that nobody reads it only to see. */
bool cm_secret_is_asked(const char *reference);

/* For OpenSSL, a pem_password_cb: nobody is asked, so that a file with a passphrase does not open. */
int cm_secret_ask_nobody(char *buffer, int size, int is_writing, void *arg);

/* A copy with a buffer of its own. Fails with: NO_MEMORY. */
CM_MUST_USE cm_status cm_secret_copy(const struct cm_secret *secret, struct cm_secret *ret_copy,
                                     struct cm_error *err);

/* Tests only: instead of CM_SECRET_PATIENCE_MS. */
void cm_secret_set_patience(uint32_t ms);

/* Wipes and releases. Takes NULL and a zeroed secret. */
void cm_secret_done(struct cm_secret *secret);

#endif

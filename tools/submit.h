/*
 * A submission: files on their way through a queue, and what came back. The parts of
 * `certmill submit`: reading and reporting (submission.c), the way through a Redis stream
 * (submit_redis.c) and through a spool folder (submit_spool.c), signing (submit_sign.c). One thread.
 */
#ifndef CM_TOOLS_SUBMIT_H
#define CM_TOOLS_SUBMIT_H

#include "engine/base/auth.h"
#include "engine/settings/settings.h"

/* One CSR and its answer. Everything owned by the submission. */
struct cm_submitted {
    char *name;   /* file name without folder and extension */
    char *ending; /* ".csr" */
    char id[129];
    uint8_t *csr;
    size_t csr_size;
    char time[24]; /* where it is signed: Unix milliseconds, */
    char auth[CM_AUTH_TEXT_SIZE];
    bool is_answered;
    bool is_issued;
    char *pem;  /* certificate and chain; NULL unless issued */
    char *code; /* of a refusal or failure */
    char *message;
};

struct cm_submission {
    const struct cm_settings *settings;
    const char *requester;
    const char *device;   /* NULL: the file's name */
    const char *id;       /* NULL: made from name and content */
    const char *profile;  /* NULL: none */
    bool renews;          /* the certificate of each device, or the one with */
    const char *serial;   /* in hexadecimal; NULL: its newest */
    uint32_t per_entry;   /* requests in one entry of a Redis stream */
    const char *folder;   /* NULL: answers are printed */
    const char *auth_key; /* the file of an Ed25519 private key; NULL: none */
    uint32_t timeout_s;
    bool is_json;
    struct cm_auth_signer *signer; /* NULL: the requester need not authenticate */
    struct cm_submitted *files;
    uint32_t files_count;
    uint32_t answered_count;
};

/* Fails with: NOT_FOUND, IO, MALFORMED (larger than an entry may be). */
CM_MUST_USE cm_status cm_submission_read(struct cm_submission *submission, char *const *paths,
                                         uint32_t paths_count, struct cm_error *err);
void cm_submission_done(struct cm_submission *submission);

/*
 * Prepares signing, where the settings of the requester ask for it: with their secret, or with
 * auth_key. Fails with: what reading those fails with; NO_KEY, MISMATCH (auth_key and settings differ).
 */
CM_MUST_USE cm_status cm_submission_open_signer(struct cm_submission *submission,
                                                struct cm_error *err);

/* Adds time and auth to the fields of a file's request; they live in the file. */
CM_MUST_USE cm_status cm_submission_sign(const struct cm_submission *submission,
                                         struct cm_submitted *file, struct cm_bytes *fields,
                                         struct cm_error *err);

/* Prints or saves the answers; returns the exit code. */
int cm_submission_report(const struct cm_submission *submission);

/* Push and wait until all are answered or the time is up. Fail when the queue cannot be reached. */
CM_MUST_USE cm_status cm_submit_redis(struct cm_submission *submission, struct cm_error *err);
CM_MUST_USE cm_status cm_submit_spool(struct cm_submission *submission, struct cm_error *err);

/* A whole file, NUL-terminated, at most size_max bytes. Owned by the caller. Fails as read does. */
CM_MUST_USE cm_status cm_file_read(const char *path, size_t size_max, uint8_t **ret_data,
                                   size_t *ret_size, struct cm_error *err);

enum cm_file_sync {
    CM_FILE_SYNCED, /* on the disk before it has its name */
    CM_FILE_LATER   /* the caller syncs many at once, with cm_folder_flush */
};

/* Writes the file under a hidden name and renames it, so that nobody sees half of it. */
CM_MUST_USE cm_status cm_file_write(const char *path, const void *data, size_t size,
                                    enum cm_file_sync sync, struct cm_error *err);

/* Everything that was written in the folder's file system is on the disk. Fails with: IO. */
CM_MUST_USE cm_status cm_folder_flush(const char *folder, struct cm_error *err);

#endif

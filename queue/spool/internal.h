/*
 * The spool, inside: requests are files, and so are answers.
 *
 *   source.c   gives out requests one by one: the files of a folder, the PEM blocks of a file or of
 *              standard input; reads no further ahead than it is asked to
 *   output.c   writes a batch of answers, on a worker thread: temporary files, one syncfs, renames,
 *              fsync of the folders, and only then the removal of the incoming files
 *   notices.c  writes notices into a file, on the same worker thread
 *   spool.c    what is in hand, deliveries, events
 *
 * A *watched* spool (folder/incoming, answered, refused) removes what it has answered and looks for
 * more for ever. A *one-shot* spool (input, output) leaves its input alone and ends.
 */
#ifndef CM_QUEUE_SPOOL_INTERNAL_H
#define CM_QUEUE_SPOOL_INTERNAL_H

#include <dirent.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include "queue/entry.h"

#define CM_SPOOL_NAME_SIZE 256
#define CM_SPOOL_ID_SIZE   33 /* 32 hex digits and a NUL */

/* What stands behind a struct cm_entry. One allocation with its content. */
struct cm_spool_request {
    struct cm_entry entry;
    char file[CM_SPOOL_NAME_SIZE]; /* in incoming/; empty: nothing to remove */
    char name[CM_SPOOL_NAME_SIZE]; /* of the request: the file without its extension */
    char id[CM_SPOOL_ID_SIZE];
    ino_t inode; /* which file it was: another may have taken its name since */
    struct timespec modified;
    const char *reason; /* why it is no request: not a regular file; NULL: it is one */
    size_t size;        /* of the content, kept or not */
    bool was_kept;      /* the content is there */
    TAILQ_ENTRY(cm_spool_request) link; /* of those that wait for credit */
    struct cm_spool_request *same_slot; /* in the table of what is in hand */
    uint8_t content[];
};
TAILQ_HEAD(cm_spool_request_list, cm_spool_request);

/* ----------------------------------------------------------------------------- source.c -- */

enum cm_source_outcome {
    CM_SOURCE_REQUEST, /* here is one */
    CM_SOURCE_SKIPPED, /* looked at something that is none; ask again */
    CM_SOURCE_LATER,   /* nothing yet: standard input may bring more */
    CM_SOURCE_END      /* of the folder, the file, the input */
};

struct cm_source {
    int folder;                      /* of the files; -1: there is none */
    DIR *pass;                       /* the pass over the folder that is under way; NULL: none is */
    bool splits;                     /* files of several PEM blocks are as many requests */
    bool is_single;                  /* the input is one file of that folder: */
    char single[CM_SPOOL_NAME_SIZE]; /* its name, until it was opened */
    /* The stream of PEM blocks that is being split; fd -1 and buffer NULL: none is. */
    int fd;
    char *buffer;
    size_t start, end; /* of what was read and not given out */
    bool at_eof;
    bool skipping; /* inside a block that is too large */
    size_t skipped_size;
    uint32_t blocks_count;
    char stem[CM_SPOOL_NAME_SIZE]; /* of the blocks' names; empty: bare numbers */
};

CM_MUST_USE cm_status cm_source_open_folder(struct cm_source *source, const char *path, bool splits,
                                            struct cm_error *err);
/* A folder, a file, or "-". */
CM_MUST_USE cm_status cm_source_open_input(struct cm_source *source, const char *path,
                                           struct cm_error *err);
void cm_source_close(struct cm_source *source);

/* *ret_request is the caller's, from malloc. is_held says whether a file is in hand already. */
enum cm_source_outcome cm_source_next(struct cm_source *source,
                                      bool (*is_held)(const char *file, void *arg), void *arg,
                                      struct cm_spool_request **ret_request);

/* ----------------------------------------------------------------------------- output.c -- */

struct cm_output {
    int incoming; /* -1: inputs stay */
    int answered; /* the same folder as refused for one-shot spools */
    int refused;
};

/* Removes what a killed process was writing. A folder that cannot be read stays as it is. */
void cm_output_clean(int folder);

/*
 * Writes the answers and removes what they answer. Thread: a worker's; touches only its arguments.
 * Fails with: IO; then some may be written, and none was removed.
 */
CM_MUST_USE cm_status cm_output_write(const struct cm_output *output,
                                      const struct cm_answer *const *answers, uint32_t count,
                                      struct cm_error *err);

/* ---------------------------------------------------------------------------- notices.c -- */

/*
 * Adds the notices to the file notices.jsonl of the folder, one line each, and flushes it. A line that a
 * killed process has left unfinished is ended first. Thread: a worker's.
 * Fails with: IO.
 */
CM_MUST_USE cm_status cm_notices_write(int folder, const struct cm_notice *notices, uint32_t count,
                                       struct cm_error *err);

#endif

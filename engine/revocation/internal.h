/*
 * Inside the publisher: shards, and the CRLs of theirs that are in the making.
 *
 * A shard is idle, or has a publication; publication.c takes it from station to station:
 *
 *     begin ─> compose ─> number ─> sign ─> finish ─> shelve
 *     loop     worker     store     provider worker    loop
 *
 * Finish also writes the files. A folder that takes none keeps no list from the shelf: the files alone are
 * tried again, by a publication that has no lists.
 *
 * Everything is the loop's, but what a publication holds while a worker has it.
 */
#ifndef CM_REVOCATION_INTERNAL_H
#define CM_REVOCATION_INTERNAL_H

#include "engine/base/workers.h"
#include "engine/revocation/publisher.h"

struct cm_crl_read;
struct cm_publication;
struct cm_request_to_publish;

/* One CRL that is published. */
struct cm_published {
    bool is_there;
    uint64_t number;
    int64_t this_update_s, next_update_s;
    int64_t revision; /* it shows everything up to here; 0: nobody knows */
};

struct cm_shard {
    struct cm_publisher *publisher;
    uint32_t position; /* among all */
    const struct cm_issuer_key *key;
    uint32_t index;
    bool has_delta, user_certificates;
    char *url, *delta_url, *path, *delta_path;

    struct cm_published complete, delta;
    int64_t left_out_revision,
        left_out_s;               /* what the complete one did not show any more, as it was asked */
    struct cm_document *document; /* the complete one; NULL: none */
    uint64_t base_number;         /* of deltas: the last complete CRL that was due by itself */
    int64_t base_revision;
    uint64_t last_number; /* ever, burned ones too */
    int64_t last_this_update_s;

    uint64_t change_due_ns, retry_ns; /* monotonic; 0: none */
    uint32_t failures_count;          /* in a row */

    /* On the shelf and not in the folder, which is tried again for itself: [0] complete, [1] delta. The
     * publication's while there is one. */
    struct cm_document *unwritten[2];
    uint64_t file_retry_ns;
    uint32_t file_failures_count;

    bool is_asked;
    bool is_doubtful; /* the complete one is ours, but not what the store and the settings say */
    struct cm_publication *publication; /* NULL: idle */
};

/* What a key has to do with CRLs. */
struct cm_key_load {
    uint32_t in_flight; /* publications */
    bool is_failing;    /* the last one came to nothing */
};

struct cm_publisher {
    struct cm_publisher_env env;
    struct cm_store_reader *reader;
    struct cm_shard **shards; /* none of them moves */
    uint32_t shards_count;
    uint32_t in_flight;              /* publications, and the writing of CA certificates */
    struct cm_workers *file_workers; /* one; NULL: no folder */
    uint32_t files_count;            /* with it */
    uint64_t files_since_ns;         /* the first of them was given to it, or the last ended */
    bool is_folder_slow;             /* and it was told */
    struct cm_key_load *loads;       /* by position of the issuers' keys */
    struct cm_request_to_publish *requests;
    struct cm_timer timer;
    bool must_look, is_stopping;
    bool is_clock_suspect; /* and that was told */
    bool is_size_told;     /* that a list comes near to what its signer takes */
    uint64_t published_count, failed_count;
    uint32_t told; /* kinds of trouble, by status, until all is well again */
    struct cm_authority_files *authority_files;
};

/* A notice; once a kind of trouble: a disk that is full is the same for every shard. */
void cm_publisher_tell_trouble(struct cm_publisher *publisher, const char *what,
                               const struct cm_error *err);

/* A list of so many octets is to be signed: a notice, once a start, when that is more than half of what
 * its signer takes. */
void cm_publisher_note_size(const struct cm_shard *shard, size_t size);

/* Looks over the shards on the next turn. */
void cm_publisher_wake(struct cm_publisher *publisher);

/* due.c */

/* What is to be written anew of a shard. */
enum cm_need {
    CM_NEED_NOTHING,
    CM_NEED_FILES,   /* nothing: what is on the shelf goes into the folder */
    CM_NEED_DELTA,   /* the delta alone has become old */
    CM_NEED_CHANGE,  /* both, and the delta's base stays */
    CM_NEED_RENEWAL, /* both, and the complete one is the base from now on */
};

/* Changes that are not published yet start the clocks of their shards. */
void cm_due_note_changes(struct cm_publisher *publisher, uint64_t now_ns);

/* The idle shard that has been due for the longest time, of those whose key may take one more; NULL: none. */
struct cm_shard *cm_due_choose(struct cm_publisher *publisher, uint64_t now_ns, int64_t now_s,
                               enum cm_need *ret_need);

/* Until it is worth looking again. */
uint32_t cm_due_time_until_ms(const struct cm_publisher *publisher, uint64_t now_ns);

/* asked.c */

/* What somebody who asked waits for, of a shard. */
enum cm_wait { CM_WAIT_NONE, CM_WAIT_BEGIN, CM_WAIT_END };

/* What begins now is what they wait for from now on. */
void cm_asked_note_begun(const struct cm_shard *shard);

/* What has become of a shard, for those who waited for just that. err NULL: it is published. */
void cm_asked_note_outcome(const struct cm_shard *shard, enum cm_wait wait,
                           const struct cm_error *err);

/* Calls back who need not wait any longer. */
void cm_asked_answer(struct cm_publisher *publisher);

/* publication.c */

/* now_s: wall. The shard is idle. */
void cm_publication_begin(struct cm_shard *shard, enum cm_need need, int64_t now_s);
/* A wish: it does not wait for its key any longer. */
void cm_publication_cancel(struct cm_publication *publication);

struct cm_key_load *cm_key_load_of(const struct cm_shard *shard);

/* publisher.c: it has ended, and is freed; err NULL: all of it is on the shelf, and file_err NULL: in the
 * folder, too. */
void cm_publication_ended(struct cm_shard *shard, uint32_t lists_count, const struct cm_error *err,
                          const struct cm_error *file_err);

/* Something that was in flight has ended, publications aside. */
void cm_publisher_step_ended(struct cm_publisher *publisher);

/* To the thread that writes into the folder; ended: the first thing that the work's done says. A folder
 * that hangs holds that thread, and who waits for it, but nobody who issues. */
void cm_publisher_submit_file(struct cm_publisher *publisher, struct cm_work *work);
void cm_publisher_file_ended(struct cm_publisher *publisher);

/* resume.c: what the store and the folder know of CRLs that were published before. */
CM_MUST_USE cm_status cm_publisher_resume(struct cm_publisher *publisher, struct cm_error *err);

/* Somebody else has taken numbers: which? */
void cm_publisher_note_numbers(struct cm_publisher *publisher);

/* forgotten.c: what the files show as revoked, and the store does not. */
struct cm_forgotten {
    const struct cm_shard *shard; /* of the first one; NULL: there is none */
    const char *path;
    uint64_t count;
};

/* Puts it back into the book, of a list that verifies. The reader has a snapshot. */
void cm_forgotten_keep(const struct cm_shard *shard, const struct cm_crl_read *crl,
                       const char *path, struct cm_forgotten *kept);
/* After all of them. */
void cm_forgotten_tell(const struct cm_publisher *publisher, const struct cm_forgotten *kept);

/* diff.c */

/*
 * Does:       holds a new complete list against the one before: entries may only go when their
 *             certificates had ended as that one was made, or came off hold. Entries: of a CRL, in their order.
 *             Any thread.
 * Fails with: CORRUPT.
 */
CM_MUST_USE cm_status cm_crl_diff(const struct cm_book *book, int64_t generation_number,
                                  struct cm_bytes before, int64_t before_s, struct cm_bytes after,
                                  struct cm_error *err);

/* authority_files.c: the CA certificates on the shelf, and in the folder. */
void cm_authority_files_open(struct cm_publisher *publisher);
void cm_authority_files_add(struct cm_publisher *publisher, const struct cm_issuer_key *key);
void cm_authority_files_look(struct cm_publisher *publisher, uint64_t now_ns);
void cm_authority_files_close(struct cm_publisher *publisher);

/* The pause after so many failures in a row. */
uint64_t cm_retry_pause_ns(uint32_t failures_count);

#endif

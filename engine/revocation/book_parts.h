/*
 * Inside the book: book.c reads and finds, book_list.c lists.
 *
 * One lock guards the tables and what waits for the lists: read takes it for each revocation, everyone
 * else shares it, and never for longer than a slice of a table. A shard's mutex makes its list be
 * written by one at a time; merging takes place under it alone.
 */
#ifndef CM_REVOCATION_BOOK_PARTS_H
#define CM_REVOCATION_BOOK_PARTS_H

#include <pthread.h>

#include "engine/revocation/book.h"
#include "engine/revocation/entries.h"
#include "engine/revocation/table.h"

struct cm_book_shard {
    pthread_mutex_t mutex; /* of list, shown_revision and shown_s */
    struct cm_entries *list;
    int64_t shown_revision, shown_s; /* what the list leaves out */
    /* Under the book's lock: */
    uint32_t *pending; /* positions in the table that the list does not show yet */
    uint32_t pending_count, pending_space;
    int64_t earliest_end_s; /* nothing in the list has ended before */
    int64_t revision;
    uint32_t revoked_count; /* on hold among them */
};

struct cm_book_generation {
    int64_t number;
    uint32_t shards_count;
    struct cm_book_shard *shards;
    struct cm_table table;
    struct cm_book_counts counts;
};

struct cm_book {
    pthread_rwlock_t lock;
    struct cm_book_generation **generations;
    uint32_t generations_count;
    int64_t revision;
};

static inline void cm_book_share(const struct cm_book *book)
{
    pthread_rwlock_rdlock((pthread_rwlock_t *)(uintptr_t)&book->lock);
}

static inline void cm_book_unlock(const struct cm_book *book)
{
    pthread_rwlock_unlock((pthread_rwlock_t *)(uintptr_t)&book->lock);
}

/* NULL: not known. */
struct cm_book_generation *cm_book_generation(const struct cm_book *book, int64_t number);

#endif

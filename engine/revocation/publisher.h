/*
 * Publisher: makes CRLs, and sees to it that there is always a fresh one.
 *
 * One complete CRL for each shard of each generation, a delta beside it where the settings ask for one
 * and the certificates have a URL. A shard is written anew
 *
 *   - crl-delay after a change (others that come meanwhile go with it),
 *   - when less than crl-overlap is left until nextUpdate, whatever happens,
 *   - at once, when somebody asks (crl publish).
 *
 * A complete CRL and its delta are made together and have one number. The base of deltas is the last
 * complete CRL that was renewed or asked for: whoever has that one, or a later one, and a delta, knows as
 * much as the newest complete one says. A delta that becomes old is renewed alone. Each list is signed
 * in a batch of its own, because a signer takes so many octets at a time and no more; that a list has
 * come to half of that is told once a start, for the remedy, more crl-shards, takes a new generation.
 *
 * The way of a CRL: entries from the book (worker), number and hash into the store (durable before the
 * signature: a number is burned rather than used twice), signature by the generation's key in the CRL
 * lane, signature verified, file written (temporary, fsync, rename, fsync of the folder), document on
 * the shelf. A failure anywhere leaves the CRL before it in its place and is tried again; the news is
 * told once. Where only the file fails, the document goes on the shelf all the same, and the file alone is
 * tried again, without another number. An entry that was published and has not ended does not go: a list without it is refused
 * (is the store an old copy?). thisUpdate never goes back: while the clock stands before the last thisUpdate, or has gone
 * back, nothing is written.
 *
 * Generations that no longer issue get CRLs until the last of their certificates has ended.
 *
 * Thread: the loop's.
 */
#ifndef CM_ENGINE_PUBLISHER_H
#define CM_ENGINE_PUBLISHER_H

#include "engine/issuers.h"
#include "engine/revocation/book.h"
#include "engine/revocation/shelf.h"

struct cm_publisher;
struct cm_workers;

struct cm_publisher_env {
    struct cm_loop *loop;
    const struct cm_settings *settings;
    struct cm_store *store;
    const struct cm_issuers *issuers;
    struct cm_workers *workers;
    struct cm_book *book;
    struct cm_shelf *shelf;
    int64_t (*time_ms)(void *arg); /* wall clock; negative: suspect, nothing is to be signed */
    void (*on_notice)(const char *text, void *arg);
    /* The book has it from now on. Inside look, or later; borrowed for the call. May be NULL. */
    void (*on_revocation)(const struct cm_revocation *revocation, void *arg);
    void (*on_idle)(
        void *arg); /* after stop: nothing is in flight (any more); close may come inside */
    void *arg;
};

/*
 * Does:       tells the book of all generations of the issuers, and reads it; puts what stands in the
 *             folder and is up to date back on the shelf, and the CA certificates; the rest is made anew.
 * Fails with: what the store fails with.
 */
CM_MUST_USE cm_status cm_publisher_open(const struct cm_publisher_env *env,
                                        struct cm_publisher **ret_publisher, struct cm_error *err);

/* One more generation, which the issuers have by now and which has revoked nothing yet. */
void cm_publisher_add(struct cm_publisher *publisher, const struct cm_issuer_key *key);

/* The store has revocations that the book has not: reads them, and starts the clocks of their shards. */
void cm_publisher_look(struct cm_publisher *publisher);

/*
 * Does:       publishes every shard of the generation anew, or of all (0), now.
 * Calls back: done, once, on the loop, never inside the call: how many were published and how many
 *             could not be, or are on the shelf and not in the folder.
 */
typedef void cm_published_fn(uint32_t published_count, uint32_t failed_count, const char *why,
                             void *arg);
void cm_publisher_publish(struct cm_publisher *publisher, int64_t generation_number,
                          cm_published_fn *done, void *arg);

/* Takes no more; what is in flight ends. */
void cm_publisher_stop(struct cm_publisher *publisher);
bool cm_publisher_is_idle(const struct cm_publisher *publisher); /* takes NULL: true */
void cm_publisher_close(struct cm_publisher *publisher);         /* idle; takes NULL */

struct cm_publisher_counts {
    uint64_t published, failed; /* lists; attempts */
    uint32_t shards;
    uint32_t overdue;      /* lists past their nextUpdate, and those that could never be made */
    int64_t next_expiry_s; /* the earliest nextUpdate of all that are published; 0: none is */
};
void cm_publisher_count(const struct cm_publisher *publisher,
                        struct cm_publisher_counts *ret_counts);

#endif

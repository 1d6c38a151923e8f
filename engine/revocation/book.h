/*
 * Book: what has become of certificates, in memory, for CRLs and OCSP.
 *
 * The store has it for ever; the book has it ready. For each generation of an authority's key it holds
 * a table of revocations by serial (OCSP asks it), and for each shard the encoded entries in the order
 * of their serials (a CRL is a copy of them). A change is put into the table at once and into the list
 * when the shard is listed next, in one pass with all others that wait. Who has a list keeps it: it is
 * handed out by reference, and never changes.
 *
 *     cm_book_add_generation(book, number, shards);
 *     cm_book_read(book, reader, &err)            at start, and after every change: what is new
 *     cm_book_find(book, number, serial, &found)  any thread
 *     cm_book_list(book, &question, &list)        a worker: the entries of one CRL
 *
 * Costs: about 100 octets a revocation, half of them its entry. Adding one: a place in a table. Listing a
 * shard: nothing where nothing has changed, else one pass over its entries. A certificate that ends is
 * looked for in the whole table, when one may have.
 *
 * What is revoked for good stays so: no later row makes it less, on hold or good again, nor a key compromise
 * another reason. A list that was published may show more than the store has, which is an old copy then:
 * that is put back.
 *
 * A date or reason that no CRL and no OCSP response can show does not keep all others of its list from
 * being shown: the book has the nearest date that can be, and "unspecified".
 *
 * Thread: find, list and falls_short any, beside each other and beside read; read, put_back and add_generation
 * one at a time.
 */
#ifndef CM_ENGINE_BOOK_H
#define CM_ENGINE_BOOK_H

#include "engine/store/store.h"

struct cm_book;
struct cm_crl_entry;

CM_MUST_USE cm_status cm_book_new(struct cm_book **ret_book, struct cm_error *err);
void cm_book_free(struct cm_book *book); /* takes NULL */

/* False: the book has it with other dates, or another reason, than the store. */
bool cm_book_shows_as_it_is(const struct cm_revocation *revocation);

/* Known from now on; revocations of others are passed over by read. One that is known already stays as it
 * is; for a new one the next read starts from the beginning. */
void cm_book_add_generation(struct cm_book *book, int64_t generation_number, uint32_t shards_count);
/* The same for one that has revoked nothing yet: all that was read stays read. */
void cm_book_add_new_generation(struct cm_book *book, int64_t generation_number,
                                uint32_t shards_count);

/* What a read brought: which certificate, as the store has it, and which shard has to be written anew. Borrowed for the call. */
typedef void cm_book_changed_fn(const struct cm_revocation *revocation, uint32_t shard, void *arg);

/*
 * Does:       takes in every revocation that is later than what it has seen.
 * Calls back: changed (may be NULL), for each change, inside the call.
 * Fails with: what the store fails with, CORRUPT (what stands there has no serial); what was read
 *             until then stays.
 */
CM_MUST_USE cm_status cm_book_read(struct cm_book *book, struct cm_store_reader *reader,
                                   cm_book_changed_fn *changed, void *arg, struct cm_error *err);

/* Whether the entry of a published list says more of its serial than the book. What is only on hold there
 * does not, where the store has ever known of the serial: it may have come off since. */
bool cm_book_falls_short(const struct cm_book *book, int64_t generation_number,
                         const struct cm_crl_entry *entry);

/* Of a list that was published: the book shows it from now on, and lists count it as shown. Its revision
 * is not looked at. Generations that are not known are passed over. */
void cm_book_put_back(struct cm_book *book, const struct cm_revocation *revocation);

/* Every revocation up to here is in the book. Any thread. */
int64_t cm_book_revision(const struct cm_book *book);

/* The latest change in this shard; 0: there is none. A list of an earlier revision is out of date. */
int64_t cm_book_shard_revision(const struct cm_book *book, int64_t generation_number,
                               uint32_t shard);

struct cm_book_found {
    enum cm_reason reason; /* never REMOVE_FROM_CRL: that is not found */
    int64_t revoked_s;
    int64_t invalidity_s;
    int64_t not_after_s;
    int64_t revision;
};

/* False: not revoked, as far as the book knows. */
bool cm_book_find(const struct cm_book *book, int64_t generation_number, struct cm_bytes serial,
                  struct cm_book_found *ret_found);

/*
 * Which entries. A complete list has all that are revoked or on hold. An entry is left out when its
 * certificate had ended before the complete CRL before this one was made, and that one showed it (RFC
 * 5280, 3.3). A delta has what changed after its base: what came off hold since, or was left out of
 * the complete one since, stands in it as removeFromCRL.
 */
struct cm_book_question {
    int64_t generation_number;
    uint32_t shard;
    bool is_delta;
    int64_t base_revision; /* of a delta: its base shows everything up to here */
    int64_t shown_revision,
        shown_s; /* of the complete CRL before: what it showed, its thisUpdate; 0: none */
};

struct cm_book_list {
    struct cm_bytes entries; /* owned: cm_book_list_done */
    uint32_t entries_count;
    uint32_t dropped_count; /* left out of a complete one because their certificates have ended */
    int64_t revision;       /* it shows everything up to here */
};

/* Fails with: NOT_FOUND (no such generation or shard), CORRUPT (a serial that no CRL can show). */
CM_MUST_USE cm_status cm_book_list(struct cm_book *book, const struct cm_book_question *question,
                                   struct cm_book_list *ret_list, struct cm_error *err);
void cm_book_list_done(struct cm_book_list *list);

struct cm_book_counts {
    uint64_t revoked, held; /* for good; on hold */
};
void cm_book_count(const struct cm_book *book, int64_t generation_number,
                   struct cm_book_counts *ret_counts);

#endif

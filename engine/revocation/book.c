#include "engine/revocation/book_parts.h"

#include <stdlib.h>

#include "engine/x509/der_writer.h"
#include "engine/x509/template.h"

static void *grown(void *memory, size_t size)
{
    void *larger = realloc(memory, size);
    if (!larger)
        abort();
    return larger;
}

/* ------------------------------------------------------------------ life -- */

cm_status cm_book_new(struct cm_book **ret_book, struct cm_error *err)
{
    struct cm_book *book = calloc(1, sizeof *book);
    pthread_rwlockattr_t attributes;
    if (!book)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for the book");
    /* A revocation waits for the look-ups before it, never for those that come. */
    pthread_rwlockattr_init(&attributes);
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&book->lock, &attributes);
    pthread_rwlockattr_destroy(&attributes);
    *ret_book = book;
    return CM_OK;
}

static void free_generation(struct cm_book_generation *generation)
{
    for (uint32_t i = 0; i < generation->shards_count; i++) {
        pthread_mutex_destroy(&generation->shards[i].mutex);
        cm_entries_let_go(generation->shards[i].list);
        free(generation->shards[i].pending);
    }
    free(generation->shards);
    cm_table_done(&generation->table);
    free(generation);
}

void cm_book_free(struct cm_book *book)
{
    if (!book)
        return;
    for (uint32_t i = 0; i < book->generations_count; i++)
        free_generation(book->generations[i]);
    free(book->generations);
    pthread_rwlock_destroy(&book->lock);
    free(book);
}

struct cm_book_generation *cm_book_generation(const struct cm_book *book, int64_t number)
{
    for (uint32_t i = 0; i < book->generations_count; i++)
        if (book->generations[i]->number == number)
            return book->generations[i];
    return NULL;
}

static struct cm_book_generation *generation_new(int64_t number, uint32_t shards_count)
{
    struct cm_book_generation *generation = grown(NULL, sizeof *generation);
    *generation = (struct cm_book_generation){ .number = number,
                                               .shards_count = shards_count ? shards_count : 1 };
    generation->shards = grown(NULL, generation->shards_count * sizeof *generation->shards);
    for (uint32_t i = 0; i < generation->shards_count; i++) {
        generation->shards[i] = (struct cm_book_shard){ .earliest_end_s = INT64_MAX };
        pthread_mutex_init(&generation->shards[i].mutex, NULL);
    }
    cm_table_init(&generation->table);
    return generation;
}

static void add(struct cm_book *book, int64_t generation_number, uint32_t shards_count,
                bool has_history)
{
    pthread_rwlock_wrlock(&book->lock);
    if (!cm_book_generation(book, generation_number)) {
        uint32_t at = book->generations_count++;
        book->generations =
            grown(book->generations, book->generations_count * sizeof *book->generations);
        book->generations[at] = generation_new(generation_number, shards_count);
        if (has_history)
            book->revision = 0;
    }
    cm_book_unlock(book);
}

void cm_book_add_generation(struct cm_book *book, int64_t generation_number, uint32_t shards_count)
{
    add(book, generation_number, shards_count, true);
}

void cm_book_add_new_generation(struct cm_book *book, int64_t generation_number,
                                uint32_t shards_count)
{
    add(book, generation_number, shards_count, false);
}

/* ------------------------------------------------------------------ reading in -- */

struct reading {
    struct cm_book *book;
    cm_book_changed_fn *changed;
    void *arg;
    cm_status status;
    struct cm_error *err;
};

static void count(struct cm_book_generation *generation, struct cm_book_shard *shard,
                  enum cm_reason reason, bool is_more)
{
    uint32_t change = is_more ? 1 : UINT32_MAX;
    if (reason == CM_REASON_REMOVE_FROM_CRL)
        return;
    shard->revoked_count += change;
    if (reason == CM_REASON_CERTIFICATE_HOLD)
        generation->counts.held += is_more ? 1 : UINT64_MAX;
    else
        generation->counts.revoked += is_more ? 1 : UINT64_MAX;
}

static void let_wait(struct cm_book_shard *shard, uint32_t position)
{
    if (shard->pending_count == shard->pending_space) {
        shard->pending_space = shard->pending_space ? shard->pending_space * 2 : 16;
        shard->pending = grown(shard->pending, shard->pending_space * sizeof *shard->pending);
    }
    shard->pending[shard->pending_count++] = position;
}

static void enter(struct cm_book_generation *generation, uint32_t index,
                  const struct cm_revocation *revocation)
{
    struct cm_book_shard *shard = &generation->shards[index];
    enum cm_reason before;
    uint32_t position = cm_table_put(&generation->table, revocation, &before);
    count(generation, shard, before, false);
    count(generation, shard, revocation->reason, true);
    let_wait(shard, position);
    if (revocation->revision > shard->revision)
        shard->revision = revocation->revision;
    if (revocation->not_after_s < shard->earliest_end_s)
        shard->earliest_end_s = revocation->not_after_s;
}

static int64_t nearest_s(int64_t time_s)
{
    if (time_s < CM_DER_TIME_MIN_S)
        return CM_DER_TIME_MIN_S;
    return time_s > CM_DER_TIME_MAX_S ? CM_DER_TIME_MAX_S : time_s;
}

/* As lists and answers can show it. */
static struct cm_revocation shown(const struct cm_revocation *revocation)
{
    struct cm_revocation shown = *revocation;
    shown.revoked_s = nearest_s(revocation->revoked_s);
    shown.invalidity_s = nearest_s(revocation->invalidity_s);
    shown.not_after_s = nearest_s(revocation->not_after_s);
    if (!cm_reason_name(revocation->reason))
        shown.reason = CM_REASON_UNSPECIFIED;
    return shown;
}

bool cm_book_shows_as_it_is(const struct cm_revocation *revocation)
{
    struct cm_revocation other = shown(revocation);
    return other.revoked_s == revocation->revoked_s && other.reason == revocation->reason
           && other.invalidity_s == revocation->invalidity_s;
}

/* How far it goes. What goes as far as being revoked never goes less far again. */
enum extent { GOOD, HELD, REVOKED, COMPROMISED };

static enum extent extent_of(enum cm_reason reason)
{
    switch ((int)reason) {
    case CM_REASON_REMOVE_FROM_CRL:
        return GOOD;
    case CM_REASON_CERTIFICATE_HOLD:
        return HELD;
    case CM_REASON_KEY_COMPROMISE:
        return COMPROMISED;
    default:
        return REVOKED;
    }
}

static bool goes_further(enum cm_reason one, enum cm_reason other)
{
    return extent_of(one) >= REVOKED && extent_of(one) > extent_of(other);
}

/* A row that says less than what is known for good changes nothing of it. */
static void keep_what_is_for_good(const struct cm_book_generation *generation,
                                  struct cm_revocation *entered)
{
    struct cm_revocation known;
    if (!cm_table_find(&generation->table, entered->serial, &known)
        || !goes_further(known.reason, entered->reason))
        return;
    entered->reason = known.reason;
    entered->revoked_s = known.revoked_s;
    entered->invalidity_s = known.invalidity_s;
}

bool cm_book_falls_short(const struct cm_book *book, int64_t generation_number,
                         const struct cm_crl_entry *entry)
{
    struct cm_revocation known;
    cm_book_share(book);
    const struct cm_book_generation *generation = cm_book_generation(book, generation_number);
    bool is_known = generation && cm_table_find(&generation->table, entry->serial, &known);
    cm_book_unlock(book);
    return is_known ? goes_further(entry->reason, known.reason) : extent_of(entry->reason) > GOOD;
}

void cm_book_put_back(struct cm_book *book, const struct cm_revocation *revocation)
{
    struct cm_revocation entered = shown(revocation), known;
    entered.revision = 0;
    pthread_rwlock_wrlock(&book->lock);
    struct cm_book_generation *generation = cm_book_generation(book, revocation->generation_number);
    if (generation) {
        if (cm_table_find(&generation->table, entered.serial, &known))
            entered.revision = known.revision;
        enter(generation, cm_crl_shard(entered.serial, generation->shards_count), &entered);
    }
    cm_book_unlock(book);
}

static bool take_in(const struct cm_revocation *revocation, void *arg)
{
    struct reading *reading = arg;
    struct cm_book *book = reading->book;
    if (revocation->serial.size == 0 || revocation->serial.size > CM_SERIAL_SIZE) {
        reading->status = CM_FAIL(reading->err, CM_CORRUPT, CM_ORIGIN_SELF, 0,
                                  "revocation %lld: a serial of %zu octets",
                                  (long long)revocation->revision, revocation->serial.size);
        return false;
    }
    uint32_t shard = 0;
    pthread_rwlock_wrlock(&book->lock);
    struct cm_book_generation *generation = cm_book_generation(book, revocation->generation_number);
    if (generation) {
        shard = cm_crl_shard(revocation->serial, generation->shards_count);
        struct cm_revocation entered = shown(revocation);
        keep_what_is_for_good(generation, &entered);
        enter(generation, shard, &entered);
    }
    book->revision = revocation->revision;
    cm_book_unlock(book);
    if (generation && reading->changed)
        reading->changed(revocation, shard, reading->arg);
    return true;
}

cm_status cm_book_read(struct cm_book *book, struct cm_store_reader *reader,
                       cm_book_changed_fn *changed, void *arg, struct cm_error *err)
{
    struct reading reading = { .book = book, .changed = changed, .arg = arg, .err = err };
    cm_status status =
        cm_store_walk_revocations(reader, cm_book_revision(book), take_in, &reading, err);
    return status == CM_OK ? reading.status : status;
}

/* ------------------------------------------------------------------ look-ups -- */

int64_t cm_book_revision(const struct cm_book *book)
{
    cm_book_share(book);
    int64_t revision = book->revision;
    cm_book_unlock(book);
    return revision;
}

int64_t cm_book_shard_revision(const struct cm_book *book, int64_t generation_number,
                               uint32_t shard)
{
    cm_book_share(book);
    const struct cm_book_generation *generation = cm_book_generation(book, generation_number);
    int64_t revision =
        generation && shard < generation->shards_count ? generation->shards[shard].revision : 0;
    cm_book_unlock(book);
    return revision;
}

bool cm_book_find(const struct cm_book *book, int64_t generation_number, struct cm_bytes serial,
                  struct cm_book_found *ret_found)
{
    struct cm_revocation found;
    cm_book_share(book);
    const struct cm_book_generation *generation = cm_book_generation(book, generation_number);
    bool is_there = generation && cm_table_find(&generation->table, serial, &found)
                    && found.reason != CM_REASON_REMOVE_FROM_CRL;
    cm_book_unlock(book);
    if (is_there)
        *ret_found = (struct cm_book_found){ .reason = found.reason,
                                             .revoked_s = found.revoked_s,
                                             .invalidity_s = found.invalidity_s,
                                             .not_after_s = found.not_after_s,
                                             .revision = found.revision };
    return is_there;
}

void cm_book_count(const struct cm_book *book, int64_t generation_number,
                   struct cm_book_counts *ret_counts)
{
    cm_book_share(book);
    const struct cm_book_generation *generation = cm_book_generation(book, generation_number);
    *ret_counts = generation ? generation->counts : (struct cm_book_counts){ 0 };
    cm_book_unlock(book);
}

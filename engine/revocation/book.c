/*
 * One lock guards the tables and what waits for the lists: read takes it for each revocation, everyone
 * else shares it, and never for longer than a slice of a table. A shard's mutex makes its list be
 * written by one at a time; merging takes place under it alone.
 */
#include "engine/revocation/book.h"

#include <pthread.h>
#include <stdlib.h>

#include "engine/revocation/entries.h"
#include "engine/revocation/table.h"
#include "engine/x509/template.h"

/* Records that are looked at before others get their turn. */
enum { SLICE = 8192 };

struct shard {
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

struct generation {
    int64_t number;
    uint32_t shards_count;
    struct shard *shards;
    struct cm_table table;
    struct cm_book_counts counts;
};

struct cm_book {
    pthread_rwlock_t lock;
    struct generation **generations;
    uint32_t generations_count;
    int64_t revision;
};

static void lock_shared(const struct cm_book *book)
{
    pthread_rwlock_rdlock((pthread_rwlock_t *)(uintptr_t)&book->lock);
}

static void unlock(const struct cm_book *book)
{
    pthread_rwlock_unlock((pthread_rwlock_t *)(uintptr_t)&book->lock);
}

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

static void free_generation(struct generation *generation)
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

static struct generation *find_generation(const struct cm_book *book, int64_t number)
{
    for (uint32_t i = 0; i < book->generations_count; i++)
        if (book->generations[i]->number == number)
            return book->generations[i];
    return NULL;
}

static struct generation *generation_new(int64_t number, uint32_t shards_count)
{
    struct generation *generation = grown(NULL, sizeof *generation);
    *generation =
        (struct generation){ .number = number, .shards_count = shards_count ? shards_count : 1 };
    generation->shards = grown(NULL, generation->shards_count * sizeof *generation->shards);
    for (uint32_t i = 0; i < generation->shards_count; i++) {
        generation->shards[i] = (struct shard){ .earliest_end_s = INT64_MAX };
        pthread_mutex_init(&generation->shards[i].mutex, NULL);
    }
    cm_table_init(&generation->table);
    return generation;
}

void cm_book_add_generation(struct cm_book *book, int64_t generation_number, uint32_t shards_count)
{
    pthread_rwlock_wrlock(&book->lock);
    if (!find_generation(book, generation_number)) {
        uint32_t at = book->generations_count++;
        book->generations =
            grown(book->generations, book->generations_count * sizeof *book->generations);
        book->generations[at] = generation_new(generation_number, shards_count);
        book->revision = 0;
    }
    unlock(book);
}

/* ------------------------------------------------------------------ reading in -- */

struct reading {
    struct cm_book *book;
    cm_book_changed_fn *changed;
    void *arg;
    cm_status status;
    struct cm_error *err;
};

static void count(struct generation *generation, struct shard *shard, enum cm_reason reason,
                  bool is_more)
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

static void let_wait(struct shard *shard, uint32_t position)
{
    if (shard->pending_count == shard->pending_space) {
        shard->pending_space = shard->pending_space ? shard->pending_space * 2 : 16;
        shard->pending = grown(shard->pending, shard->pending_space * sizeof *shard->pending);
    }
    shard->pending[shard->pending_count++] = position;
}

static void enter(struct generation *generation, uint32_t index,
                  const struct cm_revocation *revocation)
{
    struct shard *shard = &generation->shards[index];
    enum cm_reason before;
    uint32_t position = cm_table_put(&generation->table, revocation, &before);
    count(generation, shard, before, false);
    count(generation, shard, revocation->reason, true);
    let_wait(shard, position);
    shard->revision = revocation->revision;
    if (revocation->not_after_s < shard->earliest_end_s)
        shard->earliest_end_s = revocation->not_after_s;
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
    struct generation *generation = find_generation(book, revocation->generation_number);
    if (generation) {
        shard = cm_crl_shard(revocation->serial, generation->shards_count);
        enter(generation, shard, revocation);
    }
    book->revision = revocation->revision;
    unlock(book);
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
    lock_shared(book);
    int64_t revision = book->revision;
    unlock(book);
    return revision;
}

int64_t cm_book_shard_revision(const struct cm_book *book, int64_t generation_number,
                               uint32_t shard)
{
    lock_shared(book);
    const struct generation *generation = find_generation(book, generation_number);
    int64_t revision =
        generation && shard < generation->shards_count ? generation->shards[shard].revision : 0;
    unlock(book);
    return revision;
}

bool cm_book_find(const struct cm_book *book, int64_t generation_number, struct cm_bytes serial,
                  struct cm_book_found *ret_found)
{
    struct cm_revocation found;
    lock_shared(book);
    const struct generation *generation = find_generation(book, generation_number);
    bool is_there = generation && cm_table_find(&generation->table, serial, &found)
                    && found.reason != CM_REASON_REMOVE_FROM_CRL;
    unlock(book);
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
    lock_shared(book);
    const struct generation *generation = find_generation(book, generation_number);
    *ret_counts = generation ? generation->counts : (struct cm_book_counts){ 0 };
    unlock(book);
}

/* ------------------------------------------------------------------ listing -- */

/* One list in the making. */
struct listing {
    const struct cm_book *book;
    const struct cm_book_question *question;
    struct generation *generation;
    struct shard *shard;
    struct cm_changes changes;
    struct cm_error *err;
};

static bool is_shown_and_ended(int64_t revision, int64_t not_after_s, int64_t shown_revision,
                               int64_t shown_s)
{
    return revision <= shown_revision && not_after_s < shown_s;
}

static cm_status refuse_entry(const struct listing *listing, struct cm_bytes serial)
{
    char text[2 * CM_SERIAL_SIZE + 1];
    cm_hex_encode(serial, text);
    return CM_FAIL(listing->err, CM_CORRUPT, CM_ORIGIN_SELF, 0,
                   "the revocation of serial %s has a date or reason that no CRL can show", text);
}

/* As the record stands now. In a complete list what is not to be there goes; a delta says so. */
static cm_status add_change(struct listing *listing, uint32_t position)
{
    const struct cm_book_question *question = listing->question;
    struct cm_revocation record;
    cm_table_get(&listing->generation->table, position, &record);
    bool goes = record.reason == CM_REASON_REMOVE_FROM_CRL
                || is_shown_and_ended(record.revision, record.not_after_s, question->shown_revision,
                                      question->shown_s);
    struct cm_crl_entry entry = { .serial = record.serial,
                                  .revoked_s = record.revoked_s,
                                  .invalidity_s = record.invalidity_s,
                                  .reason = goes ? CM_REASON_REMOVE_FROM_CRL : record.reason };
    if (!cm_changes_add(&listing->changes, &entry, goes && !question->is_delta))
        return refuse_entry(listing, record.serial);
    return CM_OK;
}

static bool is_of_shard(const struct listing *listing, uint32_t position)
{
    struct cm_bytes serial = cm_table_serial(&listing->generation->table, position);
    return &listing->generation->shards[cm_crl_shard(serial, listing->generation->shards_count)]
           == listing->shard;
}

/* Between slices others get the lock. What they change is seen now, or waits for the next list. */
static void give_way(const struct listing *listing, uint32_t position)
{
    if (position % SLICE == SLICE - 1) {
        unlock(listing->book);
        lock_shared(listing->book);
    }
}

static cm_status add_pending(struct listing *listing)
{
    struct shard *shard = listing->shard;
    cm_status status = CM_OK;
    for (uint32_t i = 0; i < shard->pending_count && status == CM_OK; i++) {
        status = add_change(listing, shard->pending[i]);
        give_way(listing, i);
    }
    return status;
}

/* Whether the record is left out now, and was not by the list before; or the other way round. */
static bool has_turned(const struct listing *listing, uint32_t position, int64_t not_after_s)
{
    const struct cm_book_question *question = listing->question;
    const struct shard *shard = listing->shard;
    int64_t revision = cm_table_revision(&listing->generation->table, position);
    return is_shown_and_ended(revision, not_after_s, question->shown_revision, question->shown_s)
           != is_shown_and_ended(revision, not_after_s, shard->shown_revision, shard->shown_s);
}

/* Certificates end while nobody says so: they are looked for when the earliest has. */
static cm_status add_ended(struct listing *listing)
{
    const struct cm_book_question *question = listing->question;
    const struct cm_table *table = &listing->generation->table;
    struct shard *shard = listing->shard;
    int64_t earliest_end_s = INT64_MAX;
    cm_status status = CM_OK;
    bool went_back =
        question->shown_s < shard->shown_s || question->shown_revision < shard->shown_revision;
    if (question->shown_s <= shard->earliest_end_s && !went_back)
        return CM_OK;
    shard->earliest_end_s = INT64_MAX;
    for (uint32_t position = 0; position < table->count && status == CM_OK; position++) {
        int64_t not_after_s = cm_table_not_after_s(table, position);
        bool may_turn = not_after_s < question->shown_s || not_after_s < shard->shown_s;
        if ((may_turn || not_after_s < earliest_end_s) && is_of_shard(listing, position)) {
            if (may_turn && has_turned(listing, position, not_after_s))
                status = add_change(listing, position);
            bool is_left_out = is_shown_and_ended(cm_table_revision(table, position), not_after_s,
                                                  question->shown_revision, question->shown_s);
            if (!is_left_out && not_after_s < earliest_end_s)
                earliest_end_s = not_after_s;
        }
        give_way(listing, position);
    }
    if (earliest_end_s < shard->earliest_end_s)
        shard->earliest_end_s = earliest_end_s;
    return status;
}

/* Everything that the list does not show yet. The shard's mutex is held. */
static cm_status gather(struct listing *listing, int64_t *ret_revision, uint32_t *ret_revoked)
{
    struct shard *shard = listing->shard;
    lock_shared(listing->book);
    *ret_revision = listing->book->revision;
    cm_status status = add_pending(listing);
    if (status == CM_OK) {
        /* A start leaves thousands, that are not needed again. */
        free(shard->pending);
        shard->pending = NULL;
        shard->pending_count = shard->pending_space = 0;
        *ret_revoked = shard->revoked_count;
        status = add_ended(listing);
    }
    if (status != CM_OK)
        shard->earliest_end_s = INT64_MIN;
    unlock(listing->book);
    return status;
}

static void apply(struct listing *listing)
{
    struct shard *shard = listing->shard;
    if (listing->changes.count > 0 || !shard->list) {
        struct cm_entries *old = shard->list;
        shard->list = cm_entries_merge(old, &listing->changes);
        cm_entries_let_go(old);
    }
    shard->shown_revision = listing->question->shown_revision;
    shard->shown_s = listing->question->shown_s;
}

static void give_out(struct cm_entries *entries, struct cm_book_list *ret_list)
{
    ret_list->entries = cm_bytes(entries->octets, entries->size);
    ret_list->entries_count = entries->count;
}

static cm_status list_complete(struct listing *listing, struct cm_book_list *ret_list)
{
    struct cm_book_list list = { 0 };
    uint32_t revoked_count = 0;
    pthread_mutex_lock(&listing->shard->mutex);
    cm_status status = gather(listing, &list.revision, &revoked_count);
    if (status == CM_OK) {
        apply(listing);
        cm_entries_hold(listing->shard->list);
        give_out(listing->shard->list, &list);
        list.dropped_count = revoked_count - list.entries_count;
        *ret_list = list;
    }
    pthread_mutex_unlock(&listing->shard->mutex);
    return status;
}

static cm_status list_delta(struct listing *listing, struct cm_book_list *ret_list)
{
    struct cm_book_list list = { 0 };
    const struct cm_table *table = &listing->generation->table;
    int64_t base_revision = listing->question->base_revision;
    cm_status status = CM_OK;
    lock_shared(listing->book);
    list.revision = listing->book->revision;
    bool has_changes = listing->shard->revision > base_revision;
    for (uint32_t i = 0; has_changes && i < table->count && status == CM_OK; i++) {
        if (cm_table_revision(table, i) > base_revision && is_of_shard(listing, i))
            status = add_change(listing, i);
        give_way(listing, i);
    }
    unlock(listing->book);
    if (status != CM_OK)
        return status;
    give_out(cm_entries_merge(NULL, &listing->changes), &list);
    *ret_list = list;
    return CM_OK;
}

cm_status cm_book_list(struct cm_book *book, const struct cm_book_question *question,
                       struct cm_book_list *ret_list, struct cm_error *err)
{
    struct listing listing = { .book = book, .question = question, .err = err };
    lock_shared(book);
    listing.generation = find_generation(book, question->generation_number);
    unlock(book);
    if (!listing.generation || question->shard >= listing.generation->shards_count)
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                       "shard %u of generation %lld is not in the book", question->shard,
                       (long long)question->generation_number);
    listing.shard = &listing.generation->shards[question->shard];
    cm_status status =
        question->is_delta ? list_delta(&listing, ret_list) : list_complete(&listing, ret_list);
    cm_changes_done(&listing.changes);
    return status;
}

void cm_book_list_done(struct cm_book_list *list)
{
    cm_entries_let_go(cm_entries_of(list->entries));
    *list = (struct cm_book_list){ 0 };
}

/* Lists of the book: what has changed is merged, what has ended leaves. */
#include "engine/revocation/book_parts.h"

#include <stdlib.h>

#include "engine/x509/template.h"

/* Records that are looked at before others get their turn. */
enum { SLICE = 8192 };

/* One list in the making. */
struct listing {
    const struct cm_book *book;
    const struct cm_book_question *question;
    struct cm_book_generation *generation;
    struct cm_book_shard *shard;
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
    return CM_FAIL(listing->err, CM_CORRUPT, CM_ORIGIN_SELF, 0, "no CRL can show the serial %s",
                   text);
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
        cm_book_unlock(listing->book);
        cm_book_share(listing->book);
    }
}

static cm_status add_pending(struct listing *listing)
{
    struct cm_book_shard *shard = listing->shard;
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
    const struct cm_book_shard *shard = listing->shard;
    int64_t revision = cm_table_revision(&listing->generation->table, position);
    return is_shown_and_ended(revision, not_after_s, question->shown_revision, question->shown_s)
           != is_shown_and_ended(revision, not_after_s, shard->shown_revision, shard->shown_s);
}

/* Certificates end while nobody says so: they are looked for when the earliest has. */
static cm_status add_ended(struct listing *listing)
{
    const struct cm_book_question *question = listing->question;
    const struct cm_table *table = &listing->generation->table;
    struct cm_book_shard *shard = listing->shard;
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
    struct cm_book_shard *shard = listing->shard;
    cm_book_share(listing->book);
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
    cm_book_unlock(listing->book);
    return status;
}

static void apply(struct listing *listing)
{
    struct cm_book_shard *shard = listing->shard;
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
    cm_book_share(listing->book);
    list.revision = listing->book->revision;
    bool has_changes = listing->shard->revision > base_revision;
    for (uint32_t i = 0; has_changes && i < table->count && status == CM_OK; i++) {
        if (cm_table_revision(table, i) > base_revision && is_of_shard(listing, i))
            status = add_change(listing, i);
        give_way(listing, i);
    }
    cm_book_unlock(listing->book);
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
    cm_book_share(book);
    listing.generation = cm_book_generation(book, question->generation_number);
    cm_book_unlock(book);
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

/*
 * One timer looks over all shards: which is due, and has waited the longest? A few are under way at a
 * time, so that a fleet's worth of lists is never in memory at once, and no key has only CRLs to sign.
 */
#include "engine/revocation/internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/base/clock.h"
#include "engine/revocation/crl_files.h"
#include "engine/revocation/crl_names.h"

enum { SHARDS_IN_FLIGHT_MAX = 8 }; /* of all keys */

/* At most 8 s: whatever was in the way, soon after it has gone relying parties know. */
enum { PAUSE_MS_MIN = 250, PAUSE_SHIFT_MAX = 5 };

static void on_timer(void *arg);

_Static_assert(CM_STATUS_COUNT <= 32, "what was told is a bit of each");

/* ------------------------------------------------------------------ trouble -- */

uint64_t cm_retry_pause_ns(uint32_t failures_count)
{
    return CM_NS_PER_MS * cm_clock_backoff_ms(PAUSE_MS_MIN, failures_count, PAUSE_SHIFT_MAX);
}

static void tell(struct cm_publisher *publisher, const char *text)
{
    if (publisher->env.on_notice)
        publisher->env.on_notice(text, publisher->env.arg);
}

void cm_publisher_tell_trouble(struct cm_publisher *publisher, const char *what,
                               const struct cm_error *err)
{
    char text[2 * CM_ERROR_TEXT_SIZE];
    if (publisher->told & 1u << err->status)
        return;
    publisher->told |= 1u << err->status;
    snprintf(text, sizeof text, "%s: %s; what was published stays, and it is tried again", what,
             err->text);
    tell(publisher, text);
}

/* The trouble is over when nothing that failed is left. */
static void look_whether_all_is_well(struct cm_publisher *publisher)
{
    if (publisher->told == 0)
        return;
    for (uint32_t i = 0; i < publisher->shards_count; i++)
        if (publisher->shards[i]->failures_count > 0
            || publisher->shards[i]->file_failures_count > 0)
            return;
    publisher->told = 0;
    tell(publisher, "CRLs are published again");
}

void cm_publisher_note_size(const struct cm_shard *shard, size_t size)
{
    struct cm_publisher *publisher = shard->publisher;
    char text[CM_ERROR_TEXT_SIZE];
    if (!shard->key->key || publisher->is_size_told)
        return;
    size_t size_max = cm_provider_caps(shard->key->key->provider).batch_octets_max;
    if (size <= size_max / 2 || size_max == 0)
        return;
    publisher->is_size_told = true;
    snprintf(text, sizeof text,
             "CRL %u of %s has %zu KiB, and its signer takes no list of more than %zu KiB: a new "
             "generation needs more crl-shards",
             shard->index, shard->key->name, size >> 10, size_max >> 10);
    tell(publisher, text);
}

/* ------------------------------------------------------------------ outcomes -- */

static void fail_shard(struct cm_shard *shard, enum cm_wait wait, const struct cm_error *err)
{
    struct cm_publisher *publisher = shard->publisher;
    char what[160];
    shard->retry_ns = cm_clock_monotonic_ns() + cm_retry_pause_ns(shard->failures_count++);
    shard->is_asked = false;
    publisher->failed_count++;
    snprintf(what, sizeof what, "CRL %u of %s was not published", shard->index, shard->key->name);
    cm_publisher_tell_trouble(publisher, what, err);
    cm_asked_note_outcome(shard, wait, err);
}

static void look_whether_idle(struct cm_publisher *publisher)
{
    if (publisher->is_stopping && publisher->env.on_idle && cm_publisher_is_idle(publisher))
        publisher->env.on_idle(publisher->env.arg);
}

void cm_publisher_wake(struct cm_publisher *publisher)
{
    cm_timer_start(&publisher->timer, publisher->env.loop, 0, on_timer, publisher);
}

void cm_publisher_step_ended(struct cm_publisher *publisher)
{
    publisher->in_flight--;
    cm_publisher_wake(publisher);
}

static void note_made(struct cm_shard *shard, uint32_t lists_count)
{
    if (lists_count == 0)
        return;
    shard->failures_count = 0;
    shard->retry_ns = 0;
    shard->change_due_ns = 0; /* what came meanwhile waits for its own time */
    shard->publisher->published_count += lists_count;
}

/* A folder in trouble keeps nothing from those who ask over HTTP: it has pauses of its own. */
static void note_files(struct cm_shard *shard, const struct cm_error *err)
{
    char what[160];
    if (!err) {
        shard->file_failures_count = 0;
        return;
    }
    shard->file_retry_ns =
        cm_clock_monotonic_ns() + cm_retry_pause_ns(shard->file_failures_count++);
    shard->publisher->failed_count++;
    snprintf(what, sizeof what, "CRL %u of %s is not in the folder", shard->index,
             shard->key->name);
    cm_publisher_tell_trouble(shard->publisher, what, err);
}

void cm_publication_ended(struct cm_shard *shard, uint32_t lists_count, const struct cm_error *err,
                          const struct cm_error *file_err)
{
    struct cm_publisher *publisher = shard->publisher;
    struct cm_key_load *load = cm_key_load_of(shard);
    load->in_flight--;
    if (err || lists_count > 0)
        load->is_failing = err != NULL;
    if (err) {
        bool was_asked_again = shard->is_asked;
        fail_shard(shard, CM_WAIT_END, err);
        shard->is_asked = was_asked_again;
    } else {
        note_made(shard, lists_count);
        note_files(shard, file_err);
        look_whether_all_is_well(publisher);
        cm_asked_note_outcome(shard, CM_WAIT_END, file_err);
    }
    cm_publisher_step_ended(publisher);
}

/* ------------------------------------------------------------------ the folder -- */

enum { FOLDER_PATIENCE_MS = 10 * 1000 };

static const struct cm_worker_ops file_ops = { .name = "cm-files" };

void cm_publisher_submit_file(struct cm_publisher *publisher, struct cm_work *work)
{
    if (publisher->files_count++ == 0)
        publisher->files_since_ns = cm_clock_monotonic_ns();
    cm_workers_submit(publisher->file_workers, work);
}

void cm_publisher_file_ended(struct cm_publisher *publisher)
{
    publisher->files_count--;
    publisher->files_since_ns = cm_clock_monotonic_ns();
    if (publisher->is_folder_slow)
        tell(publisher, "the folder of published CRLs takes files again");
    publisher->is_folder_slow = false;
}

static void look_at_folder(struct cm_publisher *publisher, uint64_t now_ns)
{
    char text[CM_ERROR_TEXT_SIZE];
    if (publisher->files_count == 0 || publisher->is_folder_slow
        || now_ns < publisher->files_since_ns + FOLDER_PATIENCE_MS * CM_NS_PER_MS)
        return;
    publisher->is_folder_slow = true;
    snprintf(text, sizeof text,
             "%.150s takes no file for %d s: CRLs wait for it, and certificates and OCSP do not",
             publisher->env.settings->status.publish_folder, FOLDER_PATIENCE_MS / 1000);
    tell(publisher, text);
}

static unsigned time_until_ms(const struct cm_publisher *publisher, uint64_t now_ns)
{
    unsigned due_ms = cm_due_time_until_ms(publisher, now_ns);
    return publisher->files_count > 0 && due_ms > FOLDER_PATIENCE_MS ? FOLDER_PATIENCE_MS : due_ms;
}

/* ------------------------------------------------------------------ the timer -- */

static cm_status check_ready(const struct cm_shard *shard, int64_t now_s, struct cm_error *err)
{
    if (!shard->key->key)
        return CM_FAIL(err, CM_NO_KEY, CM_ORIGIN_SELF, 0, "the key is not there");
    if (now_s < shard->last_this_update_s)
        return CM_FAIL(err, CM_EXPIRED, CM_ORIGIN_SELF, 0,
                       "the clock stands before the thisUpdate of the last one");
    return CM_OK;
}

static void begin(struct cm_shard *shard, enum cm_need need, int64_t now_s)
{
    struct cm_error err;
    if (need != CM_NEED_FILES && check_ready(shard, now_s, &err) != CM_OK) {
        fail_shard(shard, CM_WAIT_BEGIN, &err);
        return;
    }
    shard->publisher->in_flight++;
    cm_key_load_of(shard)->in_flight++;
    if (need != CM_NEED_FILES) {
        shard->is_asked = false;
        cm_asked_note_begun(shard);
    }
    cm_publication_begin(shard, need, now_s);
}

static void begin_what_is_due(struct cm_publisher *publisher, uint64_t now_ns, int64_t now_s)
{
    while (publisher->in_flight < SHARDS_IN_FLIGHT_MAX) {
        enum cm_need need;
        struct cm_shard *shard = cm_due_choose(publisher, now_ns, now_s, &need);
        if (!shard)
            return;
        begin(shard, need, now_s);
    }
}

static void fail_asked(struct cm_publisher *publisher, const char *why)
{
    struct cm_error err;
    (void)CM_FAIL(&err, CM_UNAVAILABLE, CM_ORIGIN_SELF, 0, "%s", why);
    for (uint32_t i = 0; i < publisher->shards_count; i++) {
        publisher->shards[i]->is_asked = false;
        cm_asked_note_outcome(publisher->shards[i], CM_WAIT_BEGIN, &err);
    }
}

/* What was asked for just before is not waited for. */
static void answer_for_retired(struct cm_publisher *publisher)
{
    struct cm_error err;
    for (uint32_t i = 0; i < publisher->shards_count; i++) {
        struct cm_shard *shard = publisher->shards[i];
        if (!shard->key->is_over || !shard->is_asked)
            continue;
        (void)CM_FAIL(&err, CM_NO_KEY, CM_ORIGIN_SELF, 0, "%s is retired", shard->key->name);
        shard->is_asked = false;
        cm_asked_note_outcome(shard, CM_WAIT_BEGIN, &err);
    }
}

static void tell_odd(struct cm_publisher *publisher, const struct cm_revocation *revocation)
{
    char text[CM_ERROR_TEXT_SIZE], serial[2 * CM_SERIAL_SIZE + 1];
    cm_hex_encode(revocation->serial, serial);
    snprintf(
        text, sizeof text,
        "the store has a date or reason for serial %s that no CRL can show: it is shown as revoked,"
        " with the nearest date",
        serial);
    tell(publisher, text);
}

static void pass_on(const struct cm_revocation *revocation, uint32_t shard, void *arg)
{
    struct cm_publisher *publisher = arg;
    (void)shard; /* the book knows which lists are behind */
    if (!cm_book_shows_as_it_is(revocation))
        tell_odd(publisher, revocation);
    if (publisher->env.on_revocation)
        publisher->env.on_revocation(revocation, publisher->env.arg);
}

static void read_book(struct cm_publisher *publisher)
{
    struct cm_error err;
    publisher->must_look =
        cm_book_read(publisher->env.book, publisher->reader, pass_on, publisher, &err) != CM_OK;
    if (publisher->must_look)
        cm_publisher_tell_trouble(publisher, "revocations could not be read", &err);
}

/* Told even where nobody asks for certificates, who would hear of it otherwise. */
static void note_clock(struct cm_publisher *publisher, bool is_suspect)
{
    if (is_suspect != publisher->is_clock_suspect)
        tell(publisher, is_suspect ? "the clock has gone back: no CRLs are made until it is right"
                                   : "the clock is right again: CRLs are made");
    publisher->is_clock_suspect = is_suspect;
}

static void on_timer(void *arg)
{
    struct cm_publisher *publisher = arg;
    uint64_t now_ns = cm_clock_monotonic_ns();
    int64_t now_ms = publisher->env.time_ms(publisher->env.arg);
    if (publisher->is_stopping) {
        fail_asked(publisher, "the engine stops");
        cm_asked_answer(publisher);
        look_whether_idle(publisher);
        return;
    }
    if (publisher->must_look)
        read_book(publisher);
    answer_for_retired(publisher);
    cm_due_note_changes(publisher, now_ns);
    note_clock(publisher, now_ms < 0);
    if (now_ms >= 0)
        begin_what_is_due(publisher, now_ns, now_ms / 1000);
    else
        fail_asked(publisher, "the clock is suspect: nothing is signed");
    cm_authority_files_look(publisher, now_ns);
    look_at_folder(publisher, now_ns);
    cm_asked_answer(publisher);
    /* Whoever was answered may have asked again, and then it is started already. */
    if (!cm_timer_is_running(&publisher->timer))
        cm_timer_start(&publisher->timer, publisher->env.loop, time_until_ms(publisher, now_ns),
                       on_timer, publisher);
}

void cm_publisher_look(struct cm_publisher *publisher)
{
    cm_loop_assert_here(publisher->env.loop);
    read_book(publisher);
    cm_publisher_wake(publisher);
}

/* ------------------------------------------------------------------ life -- */

/* A list that also shows CA certificates must not say that it does not. Who issues for no group is one of
 * other authorities: a root. */
static bool has_users_only(const struct cm_settings *settings,
                           const struct cm_settings_authority *authority)
{
    bool has_group = false;
    for (uint32_t i = 0; i < settings->groups_count; i++) {
        const struct cm_settings_group *group = &settings->groups[i];
        has_group |= group->authority == authority;
        for (uint32_t k = 0; group->authority == authority && k < group->profiles_count; k++)
            if (group->profiles[k]->ca)
                return false;
    }
    return has_group;
}

/* Without a URL in the certificates there is nothing to tell shards apart, and no place for deltas. */
static uint32_t shards_count_of(const struct cm_issuer_key *key)
{
    return key->crl_url && key->issuer.crl_shards > 1 ? key->issuer.crl_shards : 1;
}

static struct cm_shard *new_shard(struct cm_publisher *publisher, const struct cm_issuer_key *key,
                                  uint32_t index)
{
    struct cm_shard *shard = calloc(1, sizeof *shard);
    if (!shard)
        abort();
    *shard = (struct cm_shard){ .publisher = publisher,
                                .key = key,
                                .position = publisher->shards_count,
                                .index = index,
                                .has_delta = key->crl_url && key->authority->delta_validity_s > 0,
                                .user_certificates =
                                    has_users_only(publisher->env.settings, key->authority),
                                .url = cm_crl_url_of(key->crl_url, index),
                                .path = cm_crl_path(key->name, index, false),
                                .delta_path = cm_crl_path(key->name, index, true) };
    shard->delta_url = cm_crl_delta_url_of(shard->url);
    return shard;
}

static void add_shards(struct cm_publisher *publisher, const struct cm_issuer_key *key)
{
    uint32_t count = shards_count_of(key);
    void *shards =
        realloc(publisher->shards, (publisher->shards_count + count) * sizeof(struct cm_shard *));
    if (!shards)
        abort();
    publisher->shards = shards;
    for (uint32_t i = 0; i < count; i++) {
        publisher->shards[publisher->shards_count] = new_shard(publisher, key, i);
        publisher->shards_count++;
    }
}

static void make_shards(struct cm_publisher *publisher)
{
    const struct cm_issuers *issuers = publisher->env.issuers;
    publisher->loads = calloc(CM_ISSUERS_MAX, sizeof *publisher->loads);
    if (!publisher->loads)
        abort();
    for (uint32_t i = 0; i < issuers->keys_count; i++) {
        const struct cm_issuer_key *key = &issuers->keys[i];
        cm_book_add_generation(publisher->env.book, key->generation_number, shards_count_of(key));
        add_shards(publisher, key);
    }
}

void cm_publisher_add(struct cm_publisher *publisher, const struct cm_issuer_key *key)
{
    cm_book_add_new_generation(publisher->env.book, key->generation_number, shards_count_of(key));
    add_shards(publisher, key);
    cm_authority_files_add(publisher, key);
    cm_publisher_wake(publisher);
}

static cm_status begin_publisher(struct cm_publisher *publisher, struct cm_error *err)
{
    const char *folder = publisher->env.settings->status.publish_folder;
    struct cm_error why;
    if (folder && cm_crl_files_clean(folder, &why) != CM_OK)
        cm_publisher_tell_trouble(publisher, "unfinished files stay", &why);
    make_shards(publisher);
    cm_status status = cm_store_reader_open(publisher->env.store, &publisher->reader, err);
    if (status == CM_OK && folder)
        status =
            cm_workers_new(publisher->env.loop, 1, &file_ops, NULL, &publisher->file_workers, err);
    if (status == CM_OK)
        status = cm_book_read(publisher->env.book, publisher->reader, NULL, NULL, err);
    if (status == CM_OK)
        status = cm_publisher_resume(publisher, err);
    return status;
}

cm_status cm_publisher_open(const struct cm_publisher_env *env, struct cm_publisher **ret_publisher,
                            struct cm_error *err)
{
    struct cm_publisher *publisher = calloc(1, sizeof *publisher);
    if (!publisher)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for the publisher");
    publisher->env = *env;
    cm_status status = begin_publisher(publisher, err);
    if (status != CM_OK) {
        cm_publisher_close(publisher);
        return status;
    }
    publisher->told = 0; /* what follows is news */
    cm_authority_files_open(publisher);
    cm_publisher_wake(publisher);
    *ret_publisher = publisher;
    return CM_OK;
}

void cm_publisher_stop(struct cm_publisher *publisher)
{
    publisher->is_stopping = true;
    for (uint32_t i = 0; i < publisher->shards_count; i++)
        if (publisher->shards[i]->publication)
            cm_publication_cancel(publisher->shards[i]->publication);
    cm_publisher_wake(publisher);
}

bool cm_publisher_is_idle(const struct cm_publisher *publisher)
{
    return !publisher || (publisher->in_flight == 0 && !publisher->requests);
}

void cm_publisher_close(struct cm_publisher *publisher)
{
    if (!publisher)
        return;
    cm_timer_done(&publisher->timer);
    cm_workers_free(publisher->file_workers);
    cm_authority_files_close(publisher);
    for (uint32_t i = 0; i < publisher->shards_count; i++) {
        struct cm_shard *shard = publisher->shards[i];
        cm_document_let_go(shard->document);
        cm_document_let_go(shard->unwritten[0]);
        cm_document_let_go(shard->unwritten[1]);
        free(shard->url);
        free(shard->delta_url);
        free(shard->path);
        free(shard->delta_path);
        free(shard);
    }
    free(publisher->shards);
    free(publisher->loads);
    if (publisher->reader)
        cm_store_reader_close(publisher->reader);
    free(publisher);
}

/* ------------------------------------------------------------------ counts -- */

static void count_one(const struct cm_shard *shard, const struct cm_published *published,
                      int64_t now_s, struct cm_publisher_counts *counts)
{
    if (!published->is_there) {
        counts->overdue += shard->failures_count > 0;
        return;
    }
    counts->overdue += published->next_update_s <= now_s;
    if (counts->next_expiry_s == 0 || published->next_update_s < counts->next_expiry_s)
        counts->next_expiry_s = published->next_update_s;
}

void cm_publisher_count(const struct cm_publisher *publisher,
                        struct cm_publisher_counts *ret_counts)
{
    struct cm_publisher_counts counts = { .published = publisher->published_count,
                                          .failed = publisher->failed_count,
                                          .shards = publisher->shards_count };
    int64_t now_s = publisher->env.time_ms(publisher->env.arg) / 1000;
    for (uint32_t i = 0; i < publisher->shards_count; i++) {
        const struct cm_shard *shard = publisher->shards[i];
        if (shard->key->is_over)
            continue;
        count_one(shard, &shard->complete, now_s, &counts);
        if (shard->has_delta)
            count_one(shard, &shard->delta, now_s, &counts);
    }
    *ret_counts = counts;
}

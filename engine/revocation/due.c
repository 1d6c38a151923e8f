/* Which list is to be written anew, and which has waited the longest. */
#include "engine/base/clock.h"
#include "engine/revocation/internal.h"

enum { LOOK_MS_MAX = 1000 }; /* clocks of the wall may be set, and say nothing */

static bool is_out_of_date(const struct cm_shard *shard)
{
    const struct cm_published *published = &shard->complete;
    return cm_book_shard_revision(shard->publisher->env.book, shard->key->generation_number,
                                  shard->index)
           > published->revision;
}

void cm_due_note_changes(struct cm_publisher *publisher, uint64_t now_ns)
{
    for (uint32_t i = 0; i < publisher->shards_count; i++) {
        struct cm_shard *shard = publisher->shards[i];
        if (!is_out_of_date(shard))
            shard->change_due_ns = 0;
        else if (shard->change_due_ns == 0)
            shard->change_due_ns = now_ns + CM_NS_PER_MS * shard->key->authority->crl_delay_ms + 1;
    }
}

/* When a list is to be renewed, before it ends. Settings keep the overlap below the validity of complete
 * lists; a delta that is short-lived is renewed after half of its life. */
static int64_t renewal_s(const struct cm_shard *shard, const struct cm_published *published)
{
    int64_t overlap_s = shard->key->authority->crl_overlap_s;
    int64_t half_s = (published->next_update_s - published->this_update_s) / 2;
    if (published == &shard->delta && half_s < overlap_s)
        overlap_s = half_s;
    return published->next_update_s - overlap_s;
}

struct due {
    enum cm_need need;
    int64_t since_ms; /* it has been due for so long */
};

static void consider(struct due *due, enum cm_need need, int64_t since_ms)
{
    if (since_ms < 0)
        return;
    if (need > due->need)
        due->need = need;
    if (since_ms > due->since_ms)
        due->since_ms = since_ms;
}

static struct due due_of(const struct cm_shard *shard, uint64_t now_ns, int64_t now_s)
{
    struct due due = { .need = CM_NEED_NOTHING };
    if (shard->publication || shard->key->is_over)
        return due;
    if ((shard->unwritten[0] || shard->unwritten[1]) && shard->file_retry_ns <= now_ns)
        consider(&due, CM_NEED_FILES, 0);
    if (shard->retry_ns > now_ns)
        return due;
    if (!shard->complete.is_there)
        consider(&due, CM_NEED_RENEWAL, INT64_MAX);
    else
        consider(&due, CM_NEED_RENEWAL, 1000 * (now_s - renewal_s(shard, &shard->complete)));
    if (shard->is_asked || shard->is_doubtful)
        consider(&due, CM_NEED_RENEWAL, 0);
    if (shard->change_due_ns > 0)
        consider(&due, CM_NEED_CHANGE,
                 ((int64_t)now_ns - (int64_t)shard->change_due_ns) / (int64_t)CM_NS_PER_MS);
    if (shard->has_delta && !shard->delta.is_there)
        consider(&due, CM_NEED_DELTA, INT64_MAX);
    else if (shard->has_delta)
        consider(&due, CM_NEED_DELTA, 1000 * (now_s - renewal_s(shard, &shard->delta)));
    return due;
}

/* Of a key, so that one that is slow leaves room for the others. One that fails may hold what it has for as
 * long as a signature may take: all of those together get half of the room. */
enum { KEY_IN_FLIGHT_MAX = 2, FAILING_IN_FLIGHT_MAX = 4 };

struct cm_key_load *cm_key_load_of(const struct cm_shard *shard)
{
    return &shard->publisher->loads[cm_issuers_position(shard->publisher->env.issuers, shard->key)];
}

static uint32_t count_failing(const struct cm_publisher *publisher)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < publisher->env.issuers->keys_count; i++)
        if (publisher->loads[i].is_failing)
            count += publisher->loads[i].in_flight;
    return count;
}

static bool has_room(const struct cm_shard *shard, uint32_t failing_count)
{
    const struct cm_key_load *load = cm_key_load_of(shard);
    if (load->is_failing)
        return load->in_flight == 0 && failing_count < FAILING_IN_FLIGHT_MAX;
    return load->in_flight < KEY_IN_FLIGHT_MAX;
}

struct cm_shard *cm_due_choose(struct cm_publisher *publisher, uint64_t now_ns, int64_t now_s,
                               enum cm_need *ret_need)
{
    struct cm_shard *chosen = NULL;
    int64_t longest_ms = 0;
    uint32_t failing_count = count_failing(publisher);
    for (uint32_t i = 0; i < publisher->shards_count; i++) {
        if (!has_room(publisher->shards[i], failing_count))
            continue;
        struct due due = due_of(publisher->shards[i], now_ns, now_s);
        if (due.need == CM_NEED_NOTHING || (chosen && due.since_ms <= longest_ms))
            continue;
        chosen = publisher->shards[i];
        longest_ms = due.since_ms;
        *ret_need = due.need;
    }
    return chosen;
}

uint32_t cm_due_time_until_ms(const struct cm_publisher *publisher, uint64_t now_ns)
{
    uint64_t first_ns = now_ns + LOOK_MS_MAX * CM_NS_PER_MS;
    for (uint32_t i = 0; i < publisher->shards_count; i++) {
        const struct cm_shard *shard = publisher->shards[i];
        uint64_t due_ns = shard->change_due_ns;
        if (due_ns == 0 || shard->publication)
            continue;
        if (shard->retry_ns > due_ns)
            due_ns = shard->retry_ns;
        if (due_ns < first_ns)
            first_ns = due_ns;
    }
    return first_ns > now_ns ? (uint32_t)((first_ns - now_ns) / CM_NS_PER_MS) + 1 : 1;
}

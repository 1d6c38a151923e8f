#include "engine/store/sqlite/recent.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { SLOTS_FIRST = 64 };

/* In a slot whose item was taken back; the slot still leads to those behind it. */
#define UNDONE INT64_MIN

/* Open addressing; answer 0: a free slot. */
struct stretch {
    pthread_mutex_t mutex;
    struct cm_recent_item *slots;
    size_t slots_count; /* power of two; 0: none yet */
    size_t used_count;  /* undone ones among them */
};

struct cm_recent {
    struct stretch stretches[CM_RECENT_STRETCHES];
    _Atomic uint64_t moves;
    size_t count; /* without undone ones */
    struct cm_request_key *unsettled;
    size_t unsettled_count, unsettled_space;
    struct cm_recent_item *sorted;
    size_t sorted_space;
};

struct cm_recent *cm_recent_new(void)
{
    struct cm_recent *recent = calloc(1, sizeof *recent);
    for (unsigned i = 0; recent && i < CM_RECENT_STRETCHES; i++)
        pthread_mutex_init(&recent->stretches[i].mutex, NULL);
    return recent;
}

void cm_recent_free(struct cm_recent *recent)
{
    if (!recent)
        return;
    for (unsigned i = 0; i < CM_RECENT_STRETCHES; i++) {
        pthread_mutex_destroy(&recent->stretches[i].mutex);
        free(recent->stretches[i].slots);
    }
    free(recent->unsettled);
    free(recent->sorted);
    free(recent);
}

static struct stretch *stretch_of(struct cm_recent *recent, const struct cm_request_key *key)
{
    return &recent->stretches[key->octets[0]];
}

/* Keys are hashes: octets that do not choose the stretch spread well. */
static struct cm_recent_item *slot_of_locked(const struct stretch *stretch,
                                             const struct cm_request_key *key)
{
    size_t mask = stretch->slots_count - 1, at;
    memcpy(&at, key->octets + 1, sizeof at);
    for (at &= mask; stretch->slots[at].answer != 0; at = (at + 1) & mask)
        if (memcmp(&stretch->slots[at].key, key, sizeof *key) == 0)
            break;
    return &stretch->slots[at];
}

int64_t cm_recent_find(struct cm_recent *recent, const struct cm_request_key *key)
{
    struct stretch *stretch = stretch_of(recent, key);
    int64_t answer = 0;
    pthread_mutex_lock(&stretch->mutex); /* { */
    if (stretch->slots_count > 0)
        answer = slot_of_locked(stretch, key)->answer;
    pthread_mutex_unlock(&stretch->mutex); /* } */
    return answer == UNDONE ? 0 : answer;
}

uint64_t cm_recent_moves(const struct cm_recent *recent)
{
    return atomic_load(&recent->moves);
}

/* --- the writer ---------------------------------------------------------------------------------- */

/* Without memory nothing can be promised any more: the next start reads the log. */
static void *grown(void *memory, size_t size)
{
    void *larger = realloc(memory, size);
    if (!larger)
        abort();
    return larger;
}

/* Undone items stay behind. */
static void grow_locked(struct stretch *stretch)
{
    struct stretch larger = { .slots_count =
                                  stretch->slots_count ? 2 * stretch->slots_count : SLOTS_FIRST };
    larger.slots = calloc(larger.slots_count, sizeof *larger.slots);
    if (!larger.slots)
        abort();
    for (size_t i = 0; i < stretch->slots_count; i++) {
        const struct cm_recent_item *item = &stretch->slots[i];
        if (item->answer == 0 || item->answer == UNDONE)
            continue;
        *slot_of_locked(&larger, &item->key) = *item;
        larger.used_count++;
    }
    free(stretch->slots);
    stretch->slots = larger.slots;
    stretch->slots_count = larger.slots_count;
    stretch->used_count = larger.used_count;
}

static bool add_locked(struct stretch *stretch, const struct cm_recent_item *item)
{
    if (4 * (stretch->used_count + 1) > 3 * stretch->slots_count)
        grow_locked(stretch);
    struct cm_recent_item *slot = slot_of_locked(stretch, &item->key);
    if (slot->answer != 0 && slot->answer != UNDONE)
        return false;
    stretch->used_count += slot->answer == 0;
    *slot = *item;
    return true;
}

bool cm_recent_add(struct cm_recent *recent, const struct cm_recent_item *item)
{
    struct stretch *stretch = stretch_of(recent, &item->key);
    pthread_mutex_lock(&stretch->mutex); /* { */
    bool added = add_locked(stretch, item);
    pthread_mutex_unlock(&stretch->mutex); /* } */
    if (!added)
        return false;
    if (recent->unsettled_count == recent->unsettled_space) {
        recent->unsettled_space = recent->unsettled_space ? 2 * recent->unsettled_space : 1024;
        recent->unsettled =
            grown(recent->unsettled, recent->unsettled_space * sizeof *recent->unsettled);
    }
    recent->unsettled[recent->unsettled_count++] = item->key;
    recent->count++;
    return true;
}

void cm_recent_settle(struct cm_recent *recent)
{
    recent->unsettled_count = 0;
}

void cm_recent_undo(struct cm_recent *recent)
{
    for (size_t i = 0; i < recent->unsettled_count; i++) {
        const struct cm_request_key *key = &recent->unsettled[i];
        struct stretch *stretch = stretch_of(recent, key);
        pthread_mutex_lock(&stretch->mutex); /* { */
        slot_of_locked(stretch, key)->answer = UNDONE;
        pthread_mutex_unlock(&stretch->mutex); /* } */
    }
    recent->count -= recent->unsettled_count;
    recent->unsettled_count = 0;
}

size_t cm_recent_count(const struct cm_recent *recent)
{
    return recent->count;
}

static int compare_keys(const void *a, const void *b)
{
    const struct cm_recent_item *left = a, *right = b;
    return memcmp(&left->key, &right->key, sizeof left->key);
}

const struct cm_recent_item *cm_recent_sorted(struct cm_recent *recent, unsigned stretch,
                                              size_t *ret_count)
{
    const struct stretch *from = &recent->stretches[stretch];
    size_t count = 0;
    if (from->used_count > recent->sorted_space) {
        recent->sorted_space = from->slots_count;
        recent->sorted = grown(recent->sorted, recent->sorted_space * sizeof *recent->sorted);
    }
    for (size_t i = 0; i < from->slots_count; i++)
        if (from->slots[i].answer != 0 && from->slots[i].answer != UNDONE)
            recent->sorted[count++] = from->slots[i];
    if (count > 0)
        qsort(recent->sorted, count, sizeof *recent->sorted, compare_keys);
    *ret_count = count;
    return recent->sorted;
}

static size_t forget_locked(struct stretch *stretch)
{
    size_t count = 0;
    for (size_t i = 0; i < stretch->slots_count; i++) {
        count += stretch->slots[i].answer != 0 && stretch->slots[i].answer != UNDONE;
        stretch->slots[i].answer = 0;
    }
    stretch->used_count = 0;
    return count;
}

void cm_recent_forget(struct cm_recent *recent, unsigned first_stretch, unsigned count)
{
    atomic_fetch_add(&recent->moves, 1);
    for (unsigned i = first_stretch; i < first_stretch + count; i++) {
        struct stretch *stretch = &recent->stretches[i % CM_RECENT_STRETCHES];
        pthread_mutex_lock(&stretch->mutex); /* { */
        recent->count -= forget_locked(stretch);
        pthread_mutex_unlock(&stretch->mutex); /* } */
    }
}

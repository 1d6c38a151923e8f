#include "engine/store/sqlite/answered.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { SLOTS_FIRST = 64 };

/* In a slot whose item was taken back; the slot still leads to those behind it. */
#define UNDONE INT64_MIN

/* Two tables with open addressing, their sizes powers of two or 0. */
struct stretch {
    pthread_mutex_t mutex;
    struct cm_answered_item *slots; /* recent ones; answer 0: free */
    size_t slots_count;
    size_t used_count; /* undone ones among them */
    uint32_t *prints;  /* of those in the index; 0: free */
    size_t prints_space, prints_count;
};

struct cm_answered {
    struct stretch stretches[CM_ANSWERED_STRETCHES];
    _Atomic uint64_t moves;
    size_t count; /* of recent ones, without undone ones */
    struct cm_request_key *unsettled;
    size_t unsettled_count, unsettled_space;
    struct cm_answered_item *sorted;
    size_t sorted_space;
};

struct cm_answered *cm_answered_new(void)
{
    struct cm_answered *answered = calloc(1, sizeof *answered);
    for (unsigned i = 0; answered && i < CM_ANSWERED_STRETCHES; i++)
        pthread_mutex_init(&answered->stretches[i].mutex, NULL);
    return answered;
}

void cm_answered_free(struct cm_answered *answered)
{
    if (!answered)
        return;
    for (unsigned i = 0; i < CM_ANSWERED_STRETCHES; i++) {
        pthread_mutex_destroy(&answered->stretches[i].mutex);
        free(answered->stretches[i].slots);
        free(answered->stretches[i].prints);
    }
    free(answered->unsettled);
    free(answered->sorted);
    free(answered);
}

static struct stretch *stretch_of(struct cm_answered *answered, const struct cm_request_key *key)
{
    return &answered->stretches[key->octets[0]];
}

/* --- fingerprints -------------------------------------------------------------------------------- */

/* The octets behind the one that chooses the stretch; 0 stands for a free slot. */
static uint32_t print_of(const struct cm_request_key *key)
{
    uint32_t print;
    memcpy(&print, key->octets + 1, sizeof print);
    return print ? print : 1;
}

/* Its slot, or the free one where it would be. */
static uint32_t *print_slot_locked(const struct stretch *stretch, uint32_t print)
{
    size_t mask = stretch->prints_space - 1, at = print & mask;
    while (stretch->prints[at] != 0 && stretch->prints[at] != print)
        at = (at + 1) & mask;
    return &stretch->prints[at];
}

static void grow_prints_locked(struct stretch *stretch)
{
    const struct stretch old = *stretch;
    stretch->prints_space = old.prints_space ? 2 * old.prints_space : SLOTS_FIRST;
    stretch->prints = calloc(stretch->prints_space, sizeof *stretch->prints);
    if (!stretch->prints)
        abort();
    for (size_t i = 0; i < old.prints_space; i++)
        if (old.prints[i] != 0)
            *print_slot_locked(stretch, old.prints[i]) = old.prints[i];
    free(old.prints);
}

static void note_print_locked(struct stretch *stretch, uint32_t print)
{
    if (4 * (stretch->prints_count + 1) > 3 * stretch->prints_space)
        grow_prints_locked(stretch);
    uint32_t *slot = print_slot_locked(stretch, print);
    stretch->prints_count += *slot == 0;
    *slot = print;
}

void cm_answered_note_indexed(struct cm_answered *answered, const struct cm_request_key *key)
{
    struct stretch *stretch = stretch_of(answered, key);
    pthread_mutex_lock(&stretch->mutex); /* { */
    note_print_locked(stretch, print_of(key));
    pthread_mutex_unlock(&stretch->mutex); /* } */
}

/* --- finding ------------------------------------------------------------------------------------- */

/* Keys are hashes: octets that do not choose the stretch spread well. */
static struct cm_answered_item *slot_of_locked(const struct stretch *stretch,
                                               const struct cm_request_key *key)
{
    size_t mask = stretch->slots_count - 1, at;
    memcpy(&at, key->octets + 1, sizeof at);
    for (at &= mask; stretch->slots[at].answer != 0; at = (at + 1) & mask)
        if (memcmp(&stretch->slots[at].key, key, sizeof *key) == 0)
            break;
    return &stretch->slots[at];
}

static enum cm_answered_verdict find_locked(const struct stretch *stretch,
                                            const struct cm_request_key *key, int64_t *ret_answer)
{
    int64_t answer = stretch->slots_count > 0 ? slot_of_locked(stretch, key)->answer : 0;
    if (answer != 0 && answer != UNDONE) {
        *ret_answer = answer;
        return CM_ANSWERED_LATELY;
    }
    if (stretch->prints_space > 0 && *print_slot_locked(stretch, print_of(key)) != 0)
        return CM_ANSWERED_PERHAPS;
    return CM_ANSWERED_NEVER;
}

enum cm_answered_verdict cm_answered_find(struct cm_answered *answered,
                                          const struct cm_request_key *key, int64_t *ret_answer)
{
    struct stretch *stretch = stretch_of(answered, key);
    pthread_mutex_lock(&stretch->mutex); /* { */
    enum cm_answered_verdict verdict = find_locked(stretch, key, ret_answer);
    pthread_mutex_unlock(&stretch->mutex); /* } */
    return verdict;
}

uint64_t cm_answered_moves(const struct cm_answered *answered)
{
    return atomic_load(&answered->moves);
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
        const struct cm_answered_item *item = &stretch->slots[i];
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

static bool add_locked(struct stretch *stretch, const struct cm_answered_item *item)
{
    if (4 * (stretch->used_count + 1) > 3 * stretch->slots_count)
        grow_locked(stretch);
    struct cm_answered_item *slot = slot_of_locked(stretch, &item->key);
    if (slot->answer != 0 && slot->answer != UNDONE)
        return false;
    stretch->used_count += slot->answer == 0;
    *slot = *item;
    return true;
}

bool cm_answered_add(struct cm_answered *answered, const struct cm_answered_item *item)
{
    struct stretch *stretch = stretch_of(answered, &item->key);
    pthread_mutex_lock(&stretch->mutex); /* { */
    bool added = add_locked(stretch, item);
    pthread_mutex_unlock(&stretch->mutex); /* } */
    if (!added)
        return false;
    if (answered->unsettled_count == answered->unsettled_space) {
        answered->unsettled_space =
            answered->unsettled_space ? 2 * answered->unsettled_space : 1024;
        answered->unsettled =
            grown(answered->unsettled, answered->unsettled_space * sizeof *answered->unsettled);
    }
    answered->unsettled[answered->unsettled_count++] = item->key;
    answered->count++;
    return true;
}

void cm_answered_settle(struct cm_answered *answered)
{
    answered->unsettled_count = 0;
}

void cm_answered_undo(struct cm_answered *answered)
{
    for (size_t i = 0; i < answered->unsettled_count; i++) {
        const struct cm_request_key *key = &answered->unsettled[i];
        struct stretch *stretch = stretch_of(answered, key);
        pthread_mutex_lock(&stretch->mutex); /* { */
        slot_of_locked(stretch, key)->answer = UNDONE;
        pthread_mutex_unlock(&stretch->mutex); /* } */
    }
    answered->count -= answered->unsettled_count;
    answered->unsettled_count = 0;
}

size_t cm_answered_recent_count(const struct cm_answered *answered)
{
    return answered->count;
}

static int compare_keys(const void *a, const void *b)
{
    const struct cm_answered_item *left = a, *right = b;
    return memcmp(&left->key, &right->key, sizeof left->key);
}

const struct cm_answered_item *cm_answered_sorted(struct cm_answered *answered, unsigned stretch,
                                                  size_t *ret_count)
{
    const struct stretch *from = &answered->stretches[stretch];
    size_t count = 0;
    if (from->used_count > answered->sorted_space) {
        answered->sorted_space = from->slots_count;
        answered->sorted =
            grown(answered->sorted, answered->sorted_space * sizeof *answered->sorted);
    }
    for (size_t i = 0; i < from->slots_count; i++)
        if (from->slots[i].answer != 0 && from->slots[i].answer != UNDONE)
            answered->sorted[count++] = from->slots[i];
    if (count > 0)
        qsort(answered->sorted, count, sizeof *answered->sorted, compare_keys);
    *ret_count = count;
    return answered->sorted;
}

/* In one step: nobody finds a key in neither. */
static size_t move_locked(struct stretch *stretch)
{
    size_t count = 0;
    for (size_t i = 0; i < stretch->slots_count; i++) {
        struct cm_answered_item *item = &stretch->slots[i];
        if (item->answer != 0 && item->answer != UNDONE) {
            note_print_locked(stretch, print_of(&item->key));
            count++;
        }
        item->answer = 0;
    }
    stretch->used_count = 0;
    return count;
}

void cm_answered_move(struct cm_answered *answered, unsigned first_stretch, unsigned count)
{
    atomic_fetch_add(&answered->moves, 1);
    for (unsigned i = first_stretch; i < first_stretch + count; i++) {
        struct stretch *stretch = &answered->stretches[i % CM_ANSWERED_STRETCHES];
        pthread_mutex_lock(&stretch->mutex); /* { */
        answered->count -= move_locked(stretch);
        pthread_mutex_unlock(&stretch->mutex); /* } */
    }
}

/* Two places for each hash, so that no request can make another's look long. */
#include "engine/status/answers.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/random.h>

#include "engine/status/mix.h"

enum { WAYS = 2, SETS_MAX = 32768 };

struct place {
    struct cm_ocsp_answer *answer; /* NULL: free */
    uint8_t *octets;
    uint32_t octets_size;
    uint32_t tag; /* of the hash, so that most others are passed over unread */
};

struct cm_recent {
    uint64_t seed;
    uint32_t sets_mask;
    struct place places[][WAYS]; /* of a set the one asked for last comes first */
};

struct cm_recent *cm_recent_new(uint32_t answers_max)
{
    uint32_t sets_count = 16;
    while (sets_count * WAYS < answers_max && sets_count < SETS_MAX)
        sets_count *= 2;
    struct cm_recent *recent = calloc(1, sizeof *recent + sets_count * WAYS * sizeof(struct place));
    if (!recent || getrandom(&recent->seed, sizeof recent->seed, 0) != (ssize_t)sizeof recent->seed)
        abort();
    recent->sets_mask = sets_count - 1;
    return recent;
}

static void empty(struct place *place)
{
    cm_ocsp_answer_let_go(place->answer);
    free(place->octets);
    *place = (struct place){ 0 };
}

void cm_recent_free(struct cm_recent *recent)
{
    if (!recent)
        return;
    for (uint32_t i = 0; i <= recent->sets_mask; i++)
        for (int way = 0; way < WAYS; way++)
            empty(&recent->places[i][way]);
    free(recent);
}

static void move_first(struct place *set, int way)
{
    struct place found = set[way];
    for (; way > 0; way--)
        set[way] = set[way - 1];
    set[0] = found;
}

struct cm_ocsp_answer *cm_recent_find(struct cm_recent *recent, struct cm_bytes octets)
{
    uint64_t hash = cm_mix(recent->seed, octets);
    struct place *set = recent->places[hash & recent->sets_mask];
    for (int way = 0; way < WAYS; way++) {
        struct place *place = &set[way];
        if (!place->answer || place->tag != (uint32_t)(hash >> 32)
            || !cm_bytes_equal(cm_bytes(place->octets, place->octets_size), octets))
            continue;
        if (atomic_load(&place->answer->is_outdated)) {
            empty(place);
            return NULL;
        }
        move_first(set, way);
        return set[0].answer;
    }
    return NULL;
}

void cm_recent_put(struct cm_recent *recent, struct cm_bytes octets, struct cm_ocsp_answer *answer)
{
    uint64_t hash = cm_mix(recent->seed, octets);
    struct place *set = recent->places[hash & recent->sets_mask];
    int way = WAYS - 1;
    if (octets.size > CM_RECENT_SIZE_MAX)
        return;
    for (int i = 0; i < WAYS; i++)
        if (cm_bytes_equal(cm_bytes(set[i].octets, set[i].octets_size), octets))
            way = i;
    empty(&set[way]);
    cm_ocsp_answer_hold(answer);
    set[way] = (struct place){ .answer = answer,
                               .octets = (uint8_t *)(uintptr_t)cm_bytes_copy(octets).data,
                               .octets_size = (uint32_t)octets.size,
                               .tag = (uint32_t)(hash >> 32) };
    move_first(set, way);
}

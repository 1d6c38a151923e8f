/*
 * One table under one lock: it is asked only for what a thread does not have among its recent ones.
 * Places are taken in turn once all are taken, passing over those that were asked for since the hand came by.
 */
#include "engine/status/answers.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/random.h>

#include "engine/status/mix.h"

#define SERIAL_SIZE_MAX 20
#define CERT_ID_SIZE_MAX                                                                           \
    160 /* with SHA-256 it has 113 at most; a hash of others is never answered */

struct kept {
    struct cm_ocsp_answer *answer; /* NULL: forgotten */
    struct kept *next;             /* of its bucket */
    uint64_t hash;
    int64_t generation_number;
    bool is_used; /* since the hand came by */
    uint8_t serial_size, id_size;
    uint8_t serial[SERIAL_SIZE_MAX];
    uint8_t id[CERT_ID_SIZE_MAX]; /* the CertID as it was asked */
};

struct cm_answers {
    pthread_mutex_t mutex; /* over all below */
    uint64_t seed;
    struct kept **places; /* owned, each and all */
    struct kept **buckets;
    uint32_t places_max, places_count, hand;
    uint32_t buckets_mask;
};

static void *must_calloc(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (!memory)
        abort();
    return memory;
}

struct cm_answers *cm_answers_new(uint32_t answers_max)
{
    struct cm_answers *answers = must_calloc(1, sizeof *answers);
    uint32_t buckets_count = 16;
    answers->places_max = answers_max > 0 ? answers_max : 1;
    while (buckets_count < answers->places_max && buckets_count < 1u << 24)
        buckets_count *= 2;
    answers->buckets_mask = buckets_count - 1;
    answers->buckets = must_calloc(buckets_count, sizeof(struct kept *));
    answers->places = must_calloc(answers->places_max, sizeof(struct kept *));
    if (getrandom(&answers->seed, sizeof answers->seed, 0) != (ssize_t)sizeof answers->seed)
        abort();
    pthread_mutex_init(&answers->mutex, NULL);
    return answers;
}

void cm_answers_free(struct cm_answers *answers)
{
    if (!answers)
        return;
    for (uint32_t i = 0; i < answers->places_count; i++) {
        cm_ocsp_answer_let_go(answers->places[i]->answer);
        free(answers->places[i]);
    }
    pthread_mutex_destroy(&answers->mutex);
    free(answers->places);
    free(answers->buckets);
    free(answers);
}

static uint64_t hash_of(const struct cm_answers *answers, int64_t generation_number,
                        struct cm_bytes serial)
{
    return cm_mix(answers->seed ^ (uint64_t)generation_number, serial);
}

static struct kept **bucket_of(struct cm_answers *answers, uint64_t hash)
{
    return &answers->buckets[hash & answers->buckets_mask];
}

static bool is_about(const struct kept *kept, uint64_t hash, int64_t generation_number,
                     struct cm_bytes serial)
{
    return kept->hash == hash && kept->generation_number == generation_number
           && cm_bytes_equal(cm_bytes(kept->serial, kept->serial_size), serial);
}

static struct kept *find_locked(struct cm_answers *answers, uint64_t hash,
                                int64_t generation_number, const struct cm_ocsp_cert_id *id)
{
    struct kept *kept = *bucket_of(answers, hash);
    while (kept
           && (!is_about(kept, hash, generation_number, id->serial)
               || !cm_bytes_equal(cm_bytes(kept->id, kept->id_size), id->whole)))
        kept = kept->next;
    return kept;
}

struct cm_ocsp_answer *cm_answers_find(struct cm_answers *answers, int64_t generation_number,
                                       const struct cm_ocsp_cert_id *id)
{
    uint64_t hash = hash_of(answers, generation_number, id->serial);
    struct cm_ocsp_answer *answer = NULL;
    pthread_mutex_lock(&answers->mutex); /* { */
    struct kept *kept = find_locked(answers, hash, generation_number, id);
    if (kept && kept->answer && !atomic_load(&kept->answer->is_outdated)) {
        kept->is_used = true;
        answer = kept->answer;
        cm_ocsp_answer_hold(answer);
    }
    pthread_mutex_unlock(&answers->mutex); /* } */
    return answer;
}

static void unlink_locked(struct cm_answers *answers, const struct kept *kept)
{
    struct kept **link = bucket_of(answers, kept->hash);
    while (*link != kept)
        link = &(*link)->next;
    *link = kept->next;
}

/* Outdated, too: what no longer stands here would not be found when its certificate is revoked. */
static void forget_locked(struct kept *kept)
{
    if (kept->answer)
        atomic_store(&kept->answer->is_outdated, true);
    cm_ocsp_answer_let_go(kept->answer);
    kept->answer = NULL;
}

/* A place that is free, or is made free. It is in no bucket. */
static struct kept *take_place_locked(struct cm_answers *answers)
{
    if (answers->places_count < answers->places_max) {
        struct kept *kept = must_calloc(1, sizeof *kept);
        answers->places[answers->places_count++] = kept;
        return kept;
    }
    for (;;) {
        struct kept *kept = answers->places[answers->hand];
        answers->hand = (answers->hand + 1) % answers->places_max;
        if (kept->answer && kept->is_used) {
            kept->is_used = false;
            continue;
        }
        unlink_locked(answers, kept);
        forget_locked(kept);
        return kept;
    }
}

static struct kept *add_locked(struct cm_answers *answers, uint64_t hash, int64_t generation_number,
                               const struct cm_ocsp_cert_id *id)
{
    struct kept *kept = take_place_locked(answers);
    struct kept **bucket = bucket_of(answers, hash);
    kept->hash = hash;
    kept->is_used = false;
    kept->generation_number = generation_number;
    kept->serial_size = (uint8_t)id->serial.size;
    memcpy(kept->serial, id->serial.data, id->serial.size);
    kept->id_size = (uint8_t)id->whole.size;
    memcpy(kept->id, id->whole.data, id->whole.size);
    kept->next = *bucket;
    *bucket = kept;
    return kept;
}

bool cm_answers_put(struct cm_answers *answers, const struct cm_ocsp_cert_id *id,
                    struct cm_ocsp_answer *answer)
{
    uint64_t hash = hash_of(answers, answer->generation_number, id->serial);
    if (id->whole.size > CERT_ID_SIZE_MAX || id->serial.size > SERIAL_SIZE_MAX)
        return false;
    cm_ocsp_answer_hold(answer);
    pthread_mutex_lock(&answers->mutex); /* { */
    struct kept *kept = find_locked(answers, hash, answer->generation_number, id);
    if (!kept)
        kept = add_locked(answers, hash, answer->generation_number, id);
    forget_locked(kept);
    kept->answer = answer;
    pthread_mutex_unlock(&answers->mutex); /* } */
    return true;
}

void cm_answers_forget(struct cm_answers *answers, int64_t generation_number,
                       struct cm_bytes serial)
{
    uint64_t hash = hash_of(answers, generation_number, serial);
    pthread_mutex_lock(&answers->mutex); /* { */
    if (serial.size == 0)
        for (uint32_t i = 0; i < answers->places_count; i++)
            if (answers->places[i]->generation_number == generation_number)
                forget_locked(answers->places[i]);
    for (struct kept *kept = *bucket_of(answers, hash); serial.size > 0 && kept; kept = kept->next)
        if (is_about(kept, hash, generation_number, serial))
            forget_locked(kept);
    pthread_mutex_unlock(&answers->mutex); /* } */
}

uint32_t cm_answers_count(struct cm_answers *answers)
{
    pthread_mutex_lock(&answers->mutex); /* { */
    uint32_t count = answers->places_count;
    pthread_mutex_unlock(&answers->mutex); /* } */
    return count;
}

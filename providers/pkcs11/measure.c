#include "providers/pkcs11/key.h"

#include "engine/base/clock.h"

enum { ROUND_MS = 40, THREADS_MAX = 64, WITHIN_PERCENT = 5 };

/* One thread's part of a round. */
struct round {
    pthread_t thread;
    struct cm_p11_key *key;
    uint32_t index;
    uint64_t end_ns;
    uint32_t signatures;
};

static void *run_round(void *arg)
{
    struct round *round = arg;
    struct cm_bytes message = cm_bytes_str("certmill measures how many sessions a token likes");
    uint8_t signature[CM_SIGNATURE_SIZE_MAX];
    uint32_t size;
    while (cm_clock_monotonic_ns() < round->end_ns
           && cm_p11_key_sign(round->key, round->index, message, signature, sizeof signature, &size)
                  == CM_OK)
        round->signatures++;
    return NULL;
}

/* Signatures a second of so many sessions; 0 when a thread could not be started. */
static double measure(struct cm_p11_key *key, uint32_t count)
{
    struct round rounds[THREADS_MAX];
    uint64_t begin_ns = cm_clock_monotonic_ns();
    uint32_t started = 0, signatures = 0;
    while (started < count) {
        struct round *round = &rounds[started];
        *round = (struct round){ .key = key,
                                 .index = started,
                                 .end_ns = begin_ns + ROUND_MS * CM_NS_PER_MS };
        if (pthread_create(&round->thread, NULL, run_round, round) != 0)
            break;
        started++;
    }
    for (uint32_t i = 0; i < started; i++) {
        pthread_join(rounds[i].thread, NULL);
        signatures += rounds[i].signatures;
    }
    /* Over the time that it took: a slow token ends its last call late. */
    double elapsed_ns = (double)(cm_clock_monotonic_ns() - begin_ns);
    return started == count ? (double)signatures * 1e9 / elapsed_ns : 0;
}

uint32_t cm_p11_measure_sessions(struct cm_p11_key *key)
{
    double rates[32] = { 0 }, best = 0;
    uint32_t max = atomic_load(&key->token->sessions_count), tried = 0, chosen = 0;
    for (uint32_t count = 1; count <= max && count <= THREADS_MAX; count *= 2, tried++) {
        rates[tried] = measure(key, count);
        best = rates[tried] > best ? rates[tried] : best;
        max = atomic_load(&key->token->sessions_count); /* the token may have had fewer */
        /* Far below the best there is nothing more to find. */
        if (rates[tried] < best / 2)
            break;
    }
    while (chosen + 1 < tried && rates[chosen] < best * (100 - WITHIN_PERCENT) / 100)
        chosen++;
    return 1u << chosen;
}

/*
 * Pace: how fast one vault may be asked, and whether it makes sense to ask at all.
 *
 * Budget. A vault counts what it does in windows of ten seconds, each operation with its weight, and
 * answers 429 to what is beyond. Seen from here each operation takes so many microseconds of the
 * vault's time (5,000 for a P-256 signature in an HSM: 2,000 of them make ten seconds), and a vault
 * has one second of time in a second. take() lets a request go when its cost is there. We spend
 * 98.7 % of the time and save up at most 50 ms of it: then no window of ten seconds, wherever it
 * begins, sees more than the vault allows, even where some requests need 80 ms longer than others
 * until they are there.
 *
 * Learning. Others may use the same vault, and its limits may be other ones. The first 429 stops
 * everything for as long as Retry-After says, or for 1, 2, 4, 8, 16 s (and up to a fifth more) as
 * long as 429 keeps coming; 429 answers to requests that left before the stop are the same event.
 * How long it keeps coming says how much too fast we were: of ten seconds of which three were
 * refused, seven can be had. So the share of the time that is spent falls by 5 %, by what was lost to
 * stops in the ten seconds before, and by the time from the first 429 to the last, of ten seconds
 * each. It is not counted what succeeded: whoever asked for little would be held to little. The
 * share grows again with the square of the time since the stop: by 2 % of the whole in half a
 * minute, so that who has found the limit does not run into it all the time, by half of it in 160 s.
 *
 * Circuit. Eight failures in a row (no connection, 5xx, no answer in time) open it: nothing goes
 * out but a probe after 1, 2, 4 ... 30 s (and up to a fifth more). What shows that the vault answers
 * closes it: a 429 too, and a 401 to a probe. A failure with Retry-After (503) stops everything, probes
 * too, for so long; the share does not fall for it.
 *
 * In flight: never more than in_flight_max. Pure state machine: the caller brings the clock
 * (cm_clock_monotonic_ns) and the randomness. One thread.
 *
 * Source: Key Vault service limits (2025-07), Managed HSM scaling guidance (2025-12), throttling
 * guidance; a 429 without Retry-After: AzureSignTool issue 219.
 */
#ifndef CM_PROVIDERS_KEYVAULT_PACE_H
#define CM_PROVIDERS_KEYVAULT_PACE_H

#include "engine/x509/algorithm.h"
#include "providers/provider.h"

enum { CM_PACE_LATENCIES = 256 }; /* the last so many make the percentiles */

struct cm_pace {
    /* as it was made */
    double scale;     /* of the published limits: 1.0 is these */
    uint32_t p256_us; /* cost of a P-256 signature in an HSM */
    uint32_t in_flight_max;
    /* budget */
    double level_us; /* saved up; below 0 after an operation that costs more than can be saved */
    uint64_t filled_ns;
    double share; /* of the time that is spent, as the last stop left it */
    /* throttled */
    double run_share;    /* before the present run of stops */
    uint64_t run_ns;     /* when it began; 0: none yet */
    uint64_t stopped_ns; /* when its last stop began */
    uint64_t resumes_ns; /* nothing goes before */
    uint32_t stops_in_row;
    /* circuit */
    bool is_open;
    bool is_probed;   /* a probe is out */
    uint64_t said_ns; /* nothing goes before: a failure's Retry-After */
    uint32_t failures_in_row;
    uint32_t probes_in_row;
    uint64_t opened_ns;
    uint64_t probe_ns; /* the next one */
    /* counted */
    uint32_t in_flight;
    uint64_t succeeded_count, throttled_count, failed_count;
    uint32_t latencies_us[CM_PACE_LATENCIES];
    uint64_t latencies_count;
    uint64_t random; /* state of the jitter */
};

/* rate: P-256 signatures with HSM keys in a second, 0 for the published 200 (330 for a Managed
 * HSM). seed: any number. */
void cm_pace_init(struct cm_pace *pace, uint32_t rate, bool is_managed_hsm, uint32_t in_flight_max,
                  uint64_t now_ns, uint64_t seed);

/* Of a signature: microseconds of the vault's time at the published limits. */
uint32_t cm_pace_cost_us(enum cm_key_type type, uint32_t bits, bool is_in_hsm, bool is_managed_hsm);
/* Reading a key and the like: 4,000 in ten seconds. Making one, too: the service counts that by itself
 * (10 in ten seconds), and says 429 to the few who make more. */
enum { CM_PACE_COST_OTHER_US = 2500 };

#define CM_PACE_WHEN_ONE_COMES_BACK UINT64_MAX

/*
 * Returns 0: it may go, and is counted as in flight and paid for; else after how many ns to ask
 * again (CM_PACE_WHEN_ONE_COMES_BACK: in flight is full, or the circuit is open).
 */
uint64_t cm_pace_take(struct cm_pace *pace, uint32_t cost_us, uint64_t now_ns);

/* The same for a probe of an open circuit, which costs CM_PACE_COST_OTHER_US;
 * CM_PACE_WHEN_ONE_COMES_BACK while one is out, in flight is full, or the circuit is closed. */
uint64_t cm_pace_take_probe(struct cm_pace *pace, uint64_t now_ns);

enum cm_pace_outcome {
    CM_PACE_SUCCEEDED, /* the vault did it, or said plainly that it will not: it works */
    CM_PACE_THROTTLED,
    CM_PACE_FAILED,
    CM_PACE_NO_MATTER /* 401: says nothing about the vault's health, but of a probe, that it is there */
};

struct cm_pace_answer {
    enum cm_pace_outcome outcome;
    uint64_t sent_ns;        /* when it was taken */
    uint32_t retry_after_ms; /* 0: the vault did not say */
};

/* One that was let go has come back. Returns true when the circuit has just opened or closed. */
bool cm_pace_give(struct cm_pace *pace, const struct cm_pace_answer *answer, uint64_t now_ns);

/* Retry-After: seconds, or an HTTP date (RFC 9110 10.2.3; the preferred form alone). Returns ms;
 * 0: neither, or in the past; at most an hour. */
uint32_t cm_pace_retry_after_ms(const char *text, int64_t now_s);

/* Of the vault's time, how much is spent now: 0.05 to 0.987. */
double cm_pace_share(const struct cm_pace *pace, uint64_t now_ns);

/* Adds what the vault does to the figures of its instance; of latencies the longest stand. A vault
 * that has stopped us or is not asked adds nothing to the rate. */
void cm_pace_tell(const struct cm_pace *pace, uint64_t now_ns, struct cm_provider_pace *figures);

#endif

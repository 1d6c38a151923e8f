#include "providers/keyvault/pace.h"

#include <assert.h>

#include "engine/base/clock.h"

enum {
    RATE_VAULT = 200,
    RATE_MANAGED_HSM = 330,
    SAVED_US = 50000, /* a loop that was busy for so long loses nothing */
    STOPS_SHIFT_MAX = 4,
    FAILURES_TO_OPEN = 8,
    PROBE_SHIFT_MAX = 5,
    PROBE_S_MAX = 30
};

#define WINDOW_NS       (10 * CM_NS_PER_S)
#define SHARE_MAX       0.987
#define SHARE_MIN       0.05
#define SHARE_CUT       0.95    /* of what it was, at each run of stops */
#define SHARE_GROWTH    0.00002 /* of the whole, by the square of the seconds */
#define RUN_FACTOR_MIN  0.25    /* a run of ten seconds and more says nothing more precise */
#define NS_PER_US       1000.0
#define JITTER_QUOTIENT 5

void cm_pace_init(struct cm_pace *pace, uint32_t rate, bool is_managed_hsm, uint32_t in_flight_max,
                  uint64_t now_ns, uint64_t seed)
{
    uint32_t published = is_managed_hsm ? RATE_MANAGED_HSM : RATE_VAULT;
    *pace = (struct cm_pace){
        .scale = rate > 0 ? (double)rate / published : 1.0,
        .p256_us = cm_pace_cost_us(CM_KEY_P256, 256, true, is_managed_hsm),
        .in_flight_max = in_flight_max,
        .filled_ns = now_ns,
        .share = SHARE_MAX,
        .run_share = SHARE_MAX,
        .random = seed,
    };
}

/* splitmix64. */
static uint64_t next_random(struct cm_pace *pace)
{
    uint64_t z = pace->random += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

/* Only ever longer: never back before what was advised. */
static uint64_t with_jitter(struct cm_pace *pace, uint64_t wait_ns)
{
    return wait_ns + next_random(pace) % (wait_ns / JITTER_QUOTIENT);
}

/* --- what operations cost ------------------------------------------------------------------------ */

static uint32_t rsa_of(uint32_t bits, uint32_t for_2048, uint32_t for_3072, uint32_t for_4096)
{
    return bits <= 2048 ? for_2048 : bits <= 3072 ? for_3072 : for_4096;
}

/* 900, 340 and 150 RSA signatures in a second; 330, 160 and 200 with P-256, P-384 and P-521. */
static uint32_t managed_hsm_cost_us(enum cm_key_type type, uint32_t bits)
{
    switch (type) {
    case CM_KEY_RSA:
        return rsa_of(bits, 1000000 / 900, 1000000 / 340, 1000000 / 150);
    case CM_KEY_P384:
        return 1000000 / 160;
    case CM_KEY_P521:
        return 1000000 / 200;
    case CM_KEY_P256:
    case CM_KEY_ED25519:
    case CM_KEY_UNKNOWN:
    case CM_KEY_TYPE_COUNT:
        break;
    }
    return 1000000 / RATE_MANAGED_HSM;
}

/* 2,000, 500 and 250 RSA signatures in ten seconds, 2,000 with any curve; in software the double. */
uint32_t cm_pace_cost_us(enum cm_key_type type, uint32_t bits, bool is_in_hsm, bool is_managed_hsm)
{
    if (is_managed_hsm)
        return managed_hsm_cost_us(type, bits);
    uint32_t cost_us = type == CM_KEY_RSA ? rsa_of(bits, 5000, 20000, 40000) : 5000;
    return is_in_hsm ? cost_us : cost_us / 2;
}

/* --- budget -------------------------------------------------------------------------------------- */

double cm_pace_share(const struct cm_pace *pace, uint64_t now_ns)
{
    if (now_ns <= pace->resumes_ns)
        return pace->share;
    double s = (double)(now_ns - pace->resumes_ns) / (double)CM_NS_PER_S;
    double share = pace->share + SHARE_GROWTH * s * s;
    return share < SHARE_MAX ? share : SHARE_MAX;
}

static void fill(struct cm_pace *pace, uint64_t now_ns)
{
    if (now_ns <= pace->filled_ns)
        return;
    double us = (double)(now_ns - pace->filled_ns) / NS_PER_US;
    double saved_us = SAVED_US * pace->scale;
    pace->level_us += us * cm_pace_share(pace, now_ns) * pace->scale;
    if (pace->level_us > saved_us)
        pace->level_us = saved_us;
    pace->filled_ns = now_ns;
}

/* What must be there: all of it, or as much as can be saved up; the rest is owed. */
static double needed_us(const struct cm_pace *pace, uint32_t cost_us)
{
    double saved_us = SAVED_US * pace->scale;
    return cost_us < saved_us ? cost_us : saved_us;
}

static uint64_t wait_for_level(const struct cm_pace *pace, double missing_us, uint64_t now_ns)
{
    return (uint64_t)(missing_us / (cm_pace_share(pace, now_ns) * pace->scale) * NS_PER_US) + 1;
}

uint64_t cm_pace_take(struct cm_pace *pace, uint32_t cost_us, uint64_t now_ns)
{
    if (pace->is_open || pace->in_flight >= pace->in_flight_max)
        return CM_PACE_WHEN_ONE_COMES_BACK;
    if (now_ns < pace->resumes_ns)
        return pace->resumes_ns - now_ns;
    fill(pace, now_ns);
    double missing_us = needed_us(pace, cost_us) - pace->level_us;
    if (missing_us > 0)
        return wait_for_level(pace, missing_us, now_ns);
    pace->level_us -= cost_us;
    pace->in_flight++;
    return 0;
}

/* --- throttled ----------------------------------------------------------------------------------- */

/* Of the last ten seconds, how much the last run of stops took. */
static double lost_lately(const struct cm_pace *pace, uint64_t now_ns)
{
    uint64_t since_ns = now_ns > WINDOW_NS ? now_ns - WINDOW_NS : 0;
    uint64_t from_ns = pace->run_ns > since_ns ? pace->run_ns : since_ns;
    if (pace->run_ns == 0 || pace->resumes_ns <= from_ns)
        return 0;
    return (double)(pace->resumes_ns - from_ns) / (double)WINDOW_NS;
}

static void begin_run(struct cm_pace *pace, uint64_t now_ns)
{
    pace->run_share = cm_pace_share(pace, now_ns) * SHARE_CUT * (1 - lost_lately(pace, now_ns));
    pace->run_ns = now_ns;
}

static void lower_share(struct cm_pace *pace, uint64_t now_ns)
{
    double factor = 1 - (double)(now_ns - pace->run_ns) / (double)WINDOW_NS;
    double share = pace->run_share * (factor > RUN_FACTOR_MIN ? factor : RUN_FACTOR_MIN);
    pace->share = share > SHARE_MIN ? share : SHARE_MIN;
}

static void stop_until(struct cm_pace *pace, uint64_t resumes_ns)
{
    if (resumes_ns <= pace->resumes_ns)
        return;
    pace->resumes_ns = pace->filled_ns = resumes_ns;
    pace->level_us = pace->level_us < 0 ? pace->level_us : 0;
}

static void on_throttled(struct cm_pace *pace, const struct cm_pace_answer *answer, uint64_t now_ns)
{
    uint64_t wait_ns = answer->retry_after_ms * CM_NS_PER_MS;
    bool is_same_event = pace->stopped_ns > 0 && answer->sent_ns <= pace->stopped_ns;
    pace->throttled_count++;
    if (!is_same_event) {
        uint32_t shift =
            pace->stops_in_row < STOPS_SHIFT_MAX ? pace->stops_in_row : STOPS_SHIFT_MAX;
        if (pace->stops_in_row++ == 0)
            begin_run(pace, now_ns);
        lower_share(pace, now_ns);
        pace->stopped_ns = now_ns;
        if (wait_ns == 0)
            wait_ns = with_jitter(pace, CM_NS_PER_S << shift);
    }
    stop_until(pace, now_ns + wait_ns);
}

/* --- circuit ------------------------------------------------------------------------------------- */

static void plan_probe(struct cm_pace *pace, uint64_t now_ns)
{
    uint32_t shift = pace->probes_in_row < PROBE_SHIFT_MAX ? pace->probes_in_row : PROBE_SHIFT_MAX;
    uint64_t s = (uint64_t)1 << shift;
    pace->is_probed = false;
    pace->probe_ns = now_ns + with_jitter(pace, (s < PROBE_S_MAX ? s : PROBE_S_MAX) * CM_NS_PER_S);
}

/* Nothing but a probe leaves while the circuit is open. */
static bool is_probe(const struct cm_pace *pace, const struct cm_pace_answer *answer)
{
    return pace->is_open && pace->is_probed && answer->sent_ns > pace->opened_ns;
}

static bool on_failed(struct cm_pace *pace, const struct cm_pace_answer *answer, uint64_t now_ns)
{
    pace->failed_count++;
    pace->failures_in_row++;
    if (is_probe(pace, answer)) {
        pace->probes_in_row++;
        plan_probe(pace, now_ns);
    }
    if (pace->is_open || pace->failures_in_row < FAILURES_TO_OPEN)
        return false;
    pace->is_open = true;
    pace->opened_ns = now_ns;
    pace->probes_in_row = 0;
    plan_probe(pace, now_ns);
    return true;
}

static bool on_alive(struct cm_pace *pace)
{
    bool was_open = pace->is_open;
    pace->failures_in_row = 0;
    pace->is_open = pace->is_probed = false;
    return was_open;
}

uint64_t cm_pace_take_probe(struct cm_pace *pace, uint64_t now_ns)
{
    uint64_t when_ns = pace->probe_ns > pace->resumes_ns ? pace->probe_ns : pace->resumes_ns;
    if (!pace->is_open || pace->is_probed || pace->in_flight >= pace->in_flight_max)
        return CM_PACE_WHEN_ONE_COMES_BACK;
    if (now_ns < when_ns)
        return when_ns - now_ns;
    fill(pace, now_ns);
    pace->level_us -= CM_PACE_COST_OTHER_US;
    pace->is_probed = true;
    pace->in_flight++;
    return 0;
}

/* --- what comes back ----------------------------------------------------------------------------- */

static void on_succeeded(struct cm_pace *pace, const struct cm_pace_answer *answer, uint64_t now_ns)
{
    uint64_t us = (now_ns - answer->sent_ns) / 1000;
    pace->succeeded_count++;
    pace->latencies_us[pace->latencies_count++ % CM_PACE_LATENCIES] =
        us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
    /* One that left before the stop says nothing about what may be had now. */
    if (answer->sent_ns > pace->stopped_ns)
        pace->stops_in_row = 0;
}

bool cm_pace_give(struct cm_pace *pace, const struct cm_pace_answer *answer, uint64_t now_ns)
{
    assert(pace->in_flight > 0);
    pace->in_flight--;
    switch (answer->outcome) {
    case CM_PACE_SUCCEEDED:
        on_succeeded(pace, answer, now_ns);
        return on_alive(pace);
    case CM_PACE_THROTTLED:
        on_throttled(pace, answer, now_ns);
        return on_alive(pace);
    case CM_PACE_FAILED:
        return on_failed(pace, answer, now_ns);
    case CM_PACE_NO_MATTER:
        return is_probe(pace, answer) && on_alive(pace);
    }
    return false;
}

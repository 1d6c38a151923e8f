#include "tools/provider_load.h"

#include <stdlib.h>

#include <openssl/rand.h>

#include "engine/base/clock.h"
#include "tools/interruptions.h"

enum { MESSAGE_SIZE = 600, LATENCIES_MAX = 1 << 20 };

struct run;

/* A batch that goes round and round. */
struct slot {
    struct run *run;
    struct cm_sign_batch batch;
    struct cm_sign_item *items;
    uint8_t *signatures;
    uint64_t sent_ns;
};

struct run {
    struct cm_provider_session *session;
    struct cm_key *key;
    const struct cm_provider_load *load;
    struct cm_provider_load_result *result;
    struct slot *slots;
    uint32_t out_count;
    uint64_t counted_ns, end_ns; /* from when it counts, and until when */
    uint64_t last_ns;
    float *latencies_us;
    size_t latencies_count;
    uint8_t message[MESSAGE_SIZE];
    cm_status status;
    struct cm_error err;
};

static void send(struct slot *slot)
{
    struct run *run = slot->run;
    slot->sent_ns = cm_clock_monotonic_ns();
    run->status = cm_provider_sign(run->session->provider, &slot->batch, &run->err);
    if (run->status == CM_OK)
        run->out_count++;
}

static void count(struct slot *slot, uint64_t now_ns)
{
    struct run *run = slot->run;
    for (uint32_t i = 0; i < run->load->batch_items; i++) {
        if (slot->items[i].status == CM_OK) {
            run->result->signatures++;
        } else {
            run->result->failures++;
            run->result->failure = slot->items[i].status;
        }
    }
    run->last_ns = now_ns;
    if (run->latencies_count < LATENCIES_MAX)
        run->latencies_us[run->latencies_count++] = (float)(now_ns - slot->sent_ns) / 1e3f;
}

static void on_signed(struct cm_sign_batch *batch, void *arg)
{
    struct slot *slot = arg;
    struct run *run = slot->run;
    uint64_t now_ns = cm_clock_monotonic_ns();
    (void)batch;
    run->out_count--;
    if (now_ns >= run->counted_ns && now_ns < run->end_ns)
        count(slot, now_ns);
    if (now_ns < run->end_ns && run->status == CM_OK && !cm_is_interrupted())
        send(slot);
    if (run->out_count == 0)
        cm_loop_stop(run->session->loop);
}

static bool make_slot(struct run *run, struct slot *slot)
{
    uint32_t items_count = run->load->batch_items, space = run->key->signature_size_max;
    *slot = (struct slot){ .run = run,
                           .items = calloc(items_count, sizeof *slot->items),
                           .signatures = malloc((size_t)items_count * space) };
    if (!slot->items || !slot->signatures)
        return false;
    for (uint32_t i = 0; i < items_count; i++)
        slot->items[i] =
            (struct cm_sign_item){ .message = cm_bytes(run->message, sizeof run->message),
                                   .signature = slot->signatures + (size_t)i * space,
                                   .signature_space = space };
    slot->batch = (struct cm_sign_batch){ .key = run->key,
                                          .lane = CM_LANE_CEREMONY,
                                          .items = slot->items,
                                          .items_count = items_count,
                                          .done = on_signed,
                                          .done_arg = slot };
    return true;
}

static bool make_run(struct run *run)
{
    uint32_t slots_count = run->load->batches_in_flight;
    run->slots = calloc(slots_count, sizeof *run->slots);
    run->latencies_us = malloc(LATENCIES_MAX * sizeof *run->latencies_us);
    bool made =
        run->slots && run->latencies_us && RAND_bytes(run->message, sizeof run->message) == 1;
    for (uint32_t i = 0; made && i < slots_count; i++)
        made = make_slot(run, &run->slots[i]);
    return made;
}

static void free_run(struct run *run)
{
    for (uint32_t i = 0; run->slots && i < run->load->batches_in_flight; i++) {
        free(run->slots[i].items);
        free(run->slots[i].signatures);
    }
    free(run->slots);
    free(run->latencies_us);
}

static int compare(const void *a, const void *b)
{
    float left = *(const float *)a, right = *(const float *)b;
    return left < right ? -1 : left > right;
}

static double percentile(const struct run *run, double share)
{
    if (run->latencies_count == 0)
        return 0;
    return (double)run->latencies_us[(size_t)(share * (double)(run->latencies_count - 1))];
}

static void work_out(struct run *run)
{
    struct cm_provider_load_result *result = run->result;
    double seconds = (double)(run->last_ns - run->counted_ns) / 1e9;
    qsort(run->latencies_us, run->latencies_count, sizeof *run->latencies_us, compare);
    result->per_second = seconds > 0 ? (double)result->signatures / seconds : 0;
    result->p50_us = percentile(run, 0.5);
    result->p99_us = percentile(run, 0.99);
    result->max_us = percentile(run, 1);
}

struct cm_provider_load cm_provider_load_in_batches(const struct cm_provider_load_size *size,
                                                    double seconds)
{
    uint32_t wanted = 2 + size->sessions;
    struct cm_provider_load load = {
        .batches_in_flight = size->batches_max < wanted ? size->batches_max : wanted,
        .batch_items = size->batch_items,
        .seconds = seconds,
    };
    uint32_t enough = (2 * size->sessions + load.batches_in_flight - 1) / load.batches_in_flight;
    if (size->is_vault && enough < load.batch_items)
        load.batch_items = enough;
    return load;
}

cm_status cm_provider_load_run(struct cm_provider_session *session, struct cm_key *key,
                               const struct cm_provider_load *load,
                               struct cm_provider_load_result *ret_result, struct cm_error *err)
{
    struct run run = { .session = session, .key = key, .load = load, .result = ret_result };
    uint64_t now_ns = cm_clock_monotonic_ns();
    *ret_result = (struct cm_provider_load_result){ 0 };
    if (!make_run(&run)) {
        free_run(&run);
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for a load");
    }
    run.last_ns = run.counted_ns = now_ns + (uint64_t)(load->seconds * 1e8);
    run.end_ns = now_ns + (uint64_t)(load->seconds * 1e9);
    for (uint32_t i = 0; i < load->batches_in_flight && run.status == CM_OK; i++)
        send(&run.slots[i]);
    if (run.out_count > 0)
        cm_loop_run(session->loop);
    work_out(&run);
    free_run(&run);
    if (run.status != CM_OK)
        *err = run.err;
    return run.status;
}

/*
 * Signatures a second with one key in a vault, and the processor time that they take here.
 *
 *     keyvault_bench KEY-URI OPTIONS SECONDS
 *
 * OPTIONS is the provider's JSON (providers/keyvault/options.h); the client secret stands in
 * $KEYVAULT_SECRET. Always asks for more than the vault can take. Prints one JSON line. What the
 * vault is, and what it may do, is the caller's to know: bench/keyvault runs it against the emulator.
 */
#include "engine/base/clock.h"
#include "providers/backends.h"

#include "bench/measure.h"

enum { ITEMS = 256, BATCHES = 8, MESSAGE_SIZE = 500 };

struct run {
    struct cm_loop *loop;
    struct cm_provider *provider;
    struct cm_key *key;
    uint64_t signatures, refusals;
    bool is_over;
    uint32_t in_flight;
    struct cm_sign_batch batches[BATCHES];
    struct cm_sign_item items[BATCHES][ITEMS];
    uint8_t space[BATCHES][ITEMS][CM_SIGNATURE_SIZE_MAX];
};

static uint8_t message[MESSAGE_SIZE];
static struct run run;

static double process_cpu_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void on_key(cm_status status, struct cm_key *key, const struct cm_error *err, void *arg)
{
    (void)arg;
    check(status == CM_OK, err->text);
    run.key = key;
    cm_loop_stop(run.loop);
}

static void on_drained(void *arg)
{
    (void)arg;
    cm_loop_stop(run.loop);
}

static void submit(struct cm_sign_batch *batch);

/* What was signed within the time counts; what is out when it ends is not waited for. */
static void on_done(struct cm_sign_batch *batch, void *arg)
{
    (void)arg;
    run.in_flight--;
    for (uint32_t i = 0; i < batch->items_count; i++) {
        run.signatures += batch->items[i].status == CM_OK;
        run.refusals += batch->items[i].status != CM_OK && batch->items[i].status != CM_CANCELLED;
    }
    if (!run.is_over)
        submit(batch);
    else if (run.in_flight == 0)
        cm_loop_stop(run.loop);
}

static void submit(struct cm_sign_batch *batch)
{
    struct cm_error err;
    check(cm_provider_sign(run.provider, batch, &err) == CM_OK, err.text);
    run.in_flight++;
}

static void submit_all(void)
{
    for (unsigned b = 0; b < BATCHES; b++) {
        for (unsigned i = 0; i < ITEMS; i++)
            run.items[b][i] = (struct cm_sign_item){ .message = cm_bytes(message, MESSAGE_SIZE),
                                                     .signature = run.space[b][i],
                                                     .signature_space = CM_SIGNATURE_SIZE_MAX };
        run.batches[b] = (struct cm_sign_batch){
            .key = run.key, .items = run.items[b], .items_count = ITEMS, .done = on_done
        };
        submit(&run.batches[b]);
    }
}

static void on_time(void *arg)
{
    (void)arg;
    run.is_over = true;
    for (unsigned b = 0; b < BATCHES; b++)
        cm_provider_cancel(run.provider, &run.batches[b]);
}

static void open_key(const char *reference, const char *options)
{
    struct cm_error err;
    const struct cm_provider_settings settings = { .name = "bench",
                                                   .passphrase_ref = "env:KEYVAULT_SECRET",
                                                   .options = options };
    check(cm_loop_new(&run.loop, &err) == CM_OK, err.text);
    check(cm_provider_open(&cm_provider_keyvault, run.loop, &settings, &run.provider, &err)
              == CM_OK,
          err.text);
    cm_provider_open_key(run.provider, reference, CM_SIGALG_UNKNOWN, on_key, NULL);
    cm_loop_run(run.loop);
}

static void close_all(void)
{
    cm_provider_close_key(run.key);
    cm_provider_drain(run.provider, on_drained, NULL);
    cm_loop_run(run.loop);
    cm_provider_close(run.provider);
    cm_loop_free(run.loop);
}

int main(int argc, char **argv)
{
    struct cm_timer timer = { 0 };
    check(argc == 4, "KEY-URI OPTIONS SECONDS");
    double seconds = atof(argv[3]);
    open_key(argv[1], argv[2]);
    uint64_t begin_ns = cm_clock_monotonic_ns();
    double cpu_s = process_cpu_s();
    cm_timer_start(&timer, run.loop, (uint32_t)(seconds * 1e3), on_time, NULL);
    submit_all();
    cm_loop_run(run.loop);
    double elapsed_s = (double)(cm_clock_monotonic_ns() - begin_ns) / 1e9;
    cpu_s = process_cpu_s() - cpu_s;
    struct cm_provider_pace pace = cm_provider_pace(run.provider);
    cm_timer_done(&timer);
    close_all();
    printf("{\"seconds\":%.2f,\"signatures\":%llu,\"per_second\":%.1f,\"refused\":%llu,"
           "\"throttled\":%llu,\"failed\":%llu,\"latency_ms\":%.1f,\"latency_p99_ms\":%.1f,"
           "\"cpu_share\":%.4f,\"cpu_us_a_signature\":%.0f}\n",
           elapsed_s, (unsigned long long)run.signatures, (double)run.signatures / elapsed_s,
           (unsigned long long)run.refusals, (unsigned long long)pace.throttled_count,
           (unsigned long long)pace.failed_count, pace.latency_us_median / 1e3,
           pace.latency_us_p99 / 1e3, cpu_s / elapsed_s,
           cpu_s * 1e6 / (double)(run.signatures ? run.signatures : 1));
    return 0;
}

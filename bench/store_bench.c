/*
 * What a durable certificate costs: an intent and a record for batches of requests, several batches
 * in flight, as the engine does it. Prints one JSON line, and one of orders where there are some.
 *
 *     store_bench FILE ROWS [BATCH [IN_FLIGHT [LOOKUPS [FLEET [ORDERS]]]]]
 *
 * FILE is made when it is not there; else ROWS are added to it. With LOOKUPS other than 0 every
 * request is also looked up before, as an unknown one, with its device. The certificates are of FLEET
 * devices, by number; the first 10,000 of them are on the list, and no more are without the argument.
 * Then ORDERS are carried out, one an operation: certificates revoked by serial, devices by id; and the
 * group of the devices on the list goes into quarantine and comes back, piece by piece.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <openssl/rand.h>

#include "engine/base/clock.h"
#include "engine/store/store.h"

enum { DER_SIZE = 600, BATCHES_MAX = 64, DEVICES = 10000 };

struct bench;

struct batch {
    struct bench *bench;
    struct cm_store_op intent_op, record_op;
    struct cm_intent intent;
    struct cm_audit_event audit;
    struct cm_intent_item *items;
    struct cm_certificate_row *rows;
    uint8_t der[DER_SIZE];
};

struct bench {
    struct cm_loop *loop;
    struct cm_store *store;
    struct cm_store_reader *reader;
    struct cm_arena arena;
    int64_t first_device;
    unsigned fleet, orders;
    struct cm_serial *recorded; /* one of each batch, so many as there are orders */
    unsigned recorded_count;
    uint64_t counter; /* serials drawn */
    uint64_t to_submit, done;
    uint32_t batch_size, in_flight, running;
    bool looks_up;
    double lookup_us;
    struct batch batches[BATCHES_MAX];
};

static void check(cm_status status, const struct cm_error *err)
{
    if (status == CM_OK)
        return;
    fprintf(stderr, "store_bench: %s\n", err->text);
    exit(1);
}

static double cpu_us(int who)
{
    struct rusage usage;
    getrusage(who, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6
           + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void draw_serial(struct bench *bench, struct cm_serial *ret_serial)
{
    uint64_t number = ((uint64_t)cm_clock_wall_ms() << 20) + (++bench->counter & 0xfffff);
    RAND_bytes(ret_serial->octets, CM_SERIAL_SIZE);
    for (unsigned i = 8; i-- > 0; number >>= 8)
        ret_serial->octets[i] = (uint8_t)number;
}

static void fill(struct batch *batch)
{
    struct bench *bench = batch->bench;
    for (uint32_t i = 0; i < bench->batch_size; i++) {
        struct cm_certificate_row *row = &batch->rows[i];
        draw_serial(bench, &row->serial);
        RAND_bytes(row->key.octets, sizeof row->key.octets);
        RAND_bytes(row->digest.octets, sizeof row->digest.octets);
        RAND_bytes((uint8_t *)&row->key_fingerprint, sizeof row->key_fingerprint);
        row->device_number = bench->first_device + (int64_t)(row->key_fingerprint % bench->fleet);
        batch->items[i].serial = row->serial;
        batch->items[i].key = row->key;
    }
    batch->intent.created_ms = cm_clock_wall_ms();
}

static void look_up(struct batch *batch)
{
    struct bench *bench = batch->bench;
    struct cm_error err;
    struct cm_recall recall;
    struct cm_device device;
    double before = cpu_us(RUSAGE_THREAD);
    check(cm_store_reader_begin(bench->reader, &err), &err);
    for (uint32_t i = 0; i < bench->batch_size; i++) {
        char id[32];
        int size = snprintf(id, sizeof id, "device-%08u",
                            (unsigned)(batch->rows[i].key_fingerprint % DEVICES));
        check(cm_store_recall(bench->reader, &batch->rows[i].key, &bench->arena, &recall, &err),
              &err);
        check(cm_store_find_device(bench->reader, cm_bytes(id, (size_t)size), &bench->arena,
                                   &device, &err),
              &err);
    }
    cm_store_reader_end(bench->reader);
    cm_arena_reset(&bench->arena);
    bench->lookup_us += cpu_us(RUSAGE_THREAD) - before;
}

static void start(struct batch *batch)
{
    struct bench *bench = batch->bench;
    if (bench->to_submit < bench->batch_size) {
        if (--bench->running == 0)
            cm_loop_stop(bench->loop);
        return;
    }
    bench->to_submit -= bench->batch_size;
    fill(batch);
    if (bench->looks_up)
        look_up(batch);
    cm_store_submit(bench->store, &batch->intent_op);
}

static void on_intent(struct cm_store_op *op)
{
    struct batch *batch = op->arg;
    check(op->status, &op->err);
    cm_store_submit(batch->bench->store, &batch->record_op);
}

static void on_record(struct cm_store_op *op)
{
    struct batch *batch = op->arg;
    check(op->status, &op->err);
    batch->bench->done += batch->bench->batch_size;
    if (batch->bench->recorded_count < batch->bench->orders)
        batch->bench->recorded[batch->bench->recorded_count++] = batch->rows[0].serial;
    start(batch);
}

static void make_batch(struct bench *bench, struct batch *batch)
{
    uint32_t size = bench->batch_size;
    batch->bench = bench;
    batch->items = calloc(size, sizeof *batch->items);
    batch->rows = calloc(size, sizeof *batch->rows);
    if (!batch->items || !batch->rows)
        abort();
    RAND_bytes(batch->der, sizeof batch->der);
    for (uint32_t i = 0; i < size; i++) {
        batch->rows[i].generation_number = 1;
        batch->rows[i].not_after = INT64_C(4000000000);
        batch->rows[i].der = cm_bytes(batch->der, sizeof batch->der);
    }
    batch->intent =
        (struct cm_intent){ .generation_number = 1, .items = batch->items, .items_count = size };
    batch->audit = (struct cm_audit_event){ .kind = "issue",
                                            .actor = cm_bytes_str("bench"),
                                            .detail = cm_bytes_str("{\"batch\":1}") };
    batch->intent_op = (struct cm_store_op){
        .kind = CM_STORE_INTENT, .done = on_intent, .arg = batch, .intent = &batch->intent
    };
    batch->record_op = (struct cm_store_op){ .kind = CM_STORE_RECORD,
                                             .done = on_record,
                                             .arg = batch,
                                             .certificates = batch->rows,
                                             .certificates_count = size,
                                             .intents_closed = &batch->intent.number,
                                             .intents_closed_count = 1,
                                             .audit = &batch->audit };
}

static void free_batch(struct batch *batch)
{
    free(batch->items);
    free(batch->rows);
}

static void import_devices(struct bench *bench)
{
    static struct cm_device_row rows[DEVICES];
    static char ids[DEVICES][32];
    struct cm_error err;
    struct cm_audit_event audit = { .kind = "device-import",
                                    .actor = cm_bytes_str("bench"),
                                    .detail = cm_bytes_str("{}") };
    struct cm_store_op op = {
        .kind = CM_STORE_DEVICES, .devices = rows, .devices_count = DEVICES, .audit = &audit
    };
    for (unsigned i = 0; i < DEVICES; i++) {
        snprintf(ids[i], sizeof ids[i], "device-%08u", i);
        rows[i].id = cm_bytes_str(ids[i]);
        rows[i].group = cm_bytes_str("default");
    }
    check(cm_store_apply(bench->store, &op, &err), &err);
    bench->first_device = 1;
}

static void run(struct bench *bench)
{
    bench->running = bench->in_flight;
    for (uint32_t i = 0; i < bench->in_flight; i++) {
        make_batch(bench, &bench->batches[i]);
        start(&bench->batches[i]);
    }
    cm_loop_run(bench->loop);
}

/* What the harness itself spends on serials and random keys, to be taken off. */
static double harness_us(struct bench *bench)
{
    double before = cpu_us(RUSAGE_SELF);
    for (unsigned i = 0; i < 100; i++)
        fill(&bench->batches[0]);
    return (cpu_us(RUSAGE_SELF) - before) / (100.0 * bench->batch_size);
}

static void report(struct bench *bench, int64_t rows_before, double cpu, double wall)
{
    double rows = (double)bench->done;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("{\"bench\":\"store\",\"rows_before\":%lld,\"rows\":%.0f,\"batch\":%u,\"in_flight\":%u,"
           "\"cpu_us_per_row\":%.2f,\"lookup_us_per_row\":%.2f,\"harness_us_per_row\":%.2f,"
           "\"rows_per_second\":%.0f,\"peak_memory_mb\":%ld}\n",
           (long long)rows_before, rows, bench->batch_size, bench->in_flight,
           (cpu - bench->lookup_us) / rows - harness_us(bench), bench->lookup_us / rows,
           harness_us(bench), rows / wall * 1e6, usage.ru_maxrss / 1024);
}

/* --------------------------------------------------------------------- orders -- */

static void carry_out(struct bench *bench, struct cm_order *order)
{
    struct cm_error err;
    struct cm_store_op op = { .kind = CM_STORE_RECORD, .orders = order, .orders_count = 1 };
    order->time_s = cm_clock_wall_s();
    order->actor = cm_bytes_str("bench");
    check(cm_store_apply(bench->store, &op, &err), &err);
    if (order->code != CM_REFUSAL_NONE) {
        fprintf(stderr, "store_bench: %s\n", order->message);
        exit(1);
    }
}

static void order_devices(struct bench *bench)
{
    for (unsigned i = 0; i < bench->orders; i++) {
        char id[32];
        int size = snprintf(id, sizeof id, "device-%08u", i % DEVICES);
        struct cm_order order = { .kind = CM_ORDER_REVOKE, .device = cm_bytes(id, (size_t)size) };
        carry_out(bench, &order);
    }
}

static void order_serials(struct bench *bench)
{
    for (unsigned i = 0; i < bench->recorded_count; i++) {
        struct cm_order order = { .kind = CM_ORDER_REVOKE,
                                  .serial = cm_serial_content(&bench->recorded[i]) };
        carry_out(bench, &order);
    }
}

static void order_whole_group(struct bench *bench, enum cm_order_kind kind)
{
    struct cm_order order = { .kind = kind, .group = cm_bytes_str("default") };
    do {
        carry_out(bench, &order);
        order.after_device = order.last_device;
    } while (order.last_device != 0);
}

/* In and out again, so that certificates may be added. */
static void order_group(struct bench *bench)
{
    order_whole_group(bench, CM_ORDER_QUARANTINE);
    order_whole_group(bench, CM_ORDER_REINSTATE);
}

static double cost_us(struct bench *bench, void (*orders)(struct bench *bench), unsigned count)
{
    double before = cpu_us(RUSAGE_SELF);
    orders(bench);
    return (cpu_us(RUSAGE_SELF) - before) / count;
}

static void run_orders(struct bench *bench)
{
    double serials = cost_us(bench, order_serials, bench->recorded_count);
    double devices = cost_us(bench, order_devices, bench->orders);
    double group = cost_us(bench, order_group, 2 * DEVICES);
    printf("{\"bench\":\"store-orders\",\"orders\":%u,\"cpu_us_per_serial\":%.1f,"
           "\"cpu_us_per_device\":%.1f,\"cpu_us_per_device_of_group\":%.1f}\n",
           bench->orders, serials, devices, group);
}

static unsigned argument(int argc, char **argv, int index, unsigned preset)
{
    return argc > index ? (unsigned)strtoul(argv[index], NULL, 10) : preset;
}

int main(int argc, char **argv)
{
    static struct bench bench;
    struct cm_error err;
    struct cm_store_counts counts;
    if (argc < 3) {
        fprintf(stderr,
                "usage: store_bench FILE ROWS [BATCH [IN_FLIGHT [LOOKUPS [FLEET [ORDERS]]]]]\n");
        return 2;
    }
    bench.to_submit = strtoull(argv[2], NULL, 10);
    bench.batch_size = argument(argc, argv, 3, 256);
    bench.in_flight = argument(argc, argv, 4, 8);
    bench.looks_up = argument(argc, argv, 5, 0) != 0;
    bench.fleet = argument(argc, argv, 6, DEVICES);
    bench.orders = argument(argc, argv, 7, 0);
    bench.recorded = calloc(bench.orders + 1, sizeof *bench.recorded);
    if (!bench.recorded || bench.fleet == 0 || bench.batch_size == 0 || bench.in_flight == 0
        || bench.in_flight > BATCHES_MAX)
        return 2;
    struct cm_store_settings settings = { .path = argv[1], .create = access(argv[1], F_OK) != 0 };
    check(cm_loop_new(&bench.loop, &err), &err);
    check(cm_store_open(&cm_store_sqlite, bench.loop, &settings, &bench.store, &err), &err);
    import_devices(&bench);
    check(cm_store_reader_open(bench.store, &bench.reader, &err), &err);
    check(cm_store_count(bench.reader, &counts, &err), &err);
    cm_arena_init(&bench.arena, 65536);
    double cpu = cpu_us(RUSAGE_SELF);
    double wall = (double)cm_clock_monotonic_ns() / 1e3;
    run(&bench);
    report(&bench, counts.certificates, cpu_us(RUSAGE_SELF) - cpu,
           (double)cm_clock_monotonic_ns() / 1e3 - wall);
    if (bench.orders > 0)
        run_orders(&bench);
    for (uint32_t i = 0; i < bench.in_flight; i++)
        free_batch(&bench.batches[i]);
    free(bench.recorded);
    cm_store_reader_close(bench.reader);
    cm_store_close(bench.store);
    cm_arena_done(&bench.arena);
    cm_loop_free(bench.loop);
    return 0;
}

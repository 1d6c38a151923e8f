#include "bench/store_load.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <openssl/rand.h>

enum { DER_SIZE = 600, IMPORT_ROWS = 10000 };

struct load_batch {
    struct load *load;
    struct cm_store_op intent_op, record_op;
    struct cm_intent intent;
    struct cm_audit_event audit;
    struct cm_intent_item *items;
    struct cm_certificate_row *rows;
    uint8_t der[DER_SIZE];
    uint64_t submitted_ns;
    struct cm_timer timer;
};

void load_check(cm_status status, const struct cm_error *err)
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

/* -------------------------------------------------------------------- devices -- */

static unsigned count_devices(struct load *load)
{
    struct cm_store_reader *reader;
    struct cm_store_counts counts;
    struct cm_error err;
    load_check(cm_store_reader_open(load->store, &reader, &err), &err);
    load_check(cm_store_count(reader, &counts, &err), &err);
    cm_store_reader_close(reader);
    return (unsigned)counts.devices;
}

static void import(struct load *load, unsigned first, unsigned count)
{
    static struct cm_device_row rows[IMPORT_ROWS];
    static char ids[IMPORT_ROWS][32];
    struct cm_error err;
    struct cm_audit_event audit = { .kind = "device-import",
                                    .actor = cm_bytes_str("bench"),
                                    .detail = cm_bytes_str("{}") };
    struct cm_store_op op = {
        .kind = CM_STORE_DEVICES, .devices = rows, .devices_count = count, .audit = &audit
    };
    for (unsigned i = 0; i < count; i++) {
        snprintf(ids[i], sizeof ids[i], "device-%08u", first + i);
        rows[i].id = cm_bytes_str(ids[i]);
        rows[i].group = cm_bytes_str("default");
    }
    load_check(cm_store_apply(load->store, &op, &err), &err);
}

void load_devices(struct load *load)
{
    for (unsigned first = count_devices(load); first < load->devices; first += IMPORT_ROWS) {
        unsigned rest = load->devices - first;
        import(load, first, rest < IMPORT_ROWS ? rest : IMPORT_ROWS);
    }
}

/* --------------------------------------------------------------------- batches -- */

/* Drawn together, as the engine does it (engine/serials.h). */
static int64_t draw_numbers(struct load *load)
{
    int64_t first = cm_clock_wall_ms() << 20;
    if (first <= load->last_number)
        first = load->last_number + 1;
    load->last_number = first + load->batch_size - 1;
    return first;
}

static void fill(struct load_batch *batch)
{
    struct load *load = batch->load;
    int64_t number = draw_numbers(load);
    for (uint32_t i = 0; i < load->batch_size; i++) {
        struct cm_certificate_row *row = &batch->rows[i];
        uint8_t random[52];
        RAND_bytes(random, sizeof random);
        cm_big_endian_write((uint64_t)number + i, row->serial.octets, 8);
        memcpy(row->serial.octets + 8, random, 12);
        memcpy(row->key.octets, random + 12, 16);
        memcpy(row->digest.octets, random + 28, 16);
        memcpy(&row->key_fingerprint, random + 44, 8);
        row->device_number = 1 + (int64_t)(row->key_fingerprint % load->fleet);
        batch->items[i].serial = row->serial;
        batch->items[i].key = row->key;
    }
    batch->intent.created_ms = cm_clock_wall_ms();
}

static void look_up(struct load_batch *batch)
{
    struct load *load = batch->load;
    struct cm_error err;
    struct cm_recall recall;
    struct cm_device device;
    double before = cpu_us(RUSAGE_THREAD);
    load_check(cm_store_reader_begin(load->reader, &err), &err);
    for (uint32_t i = 0; i < load->batch_size; i++) {
        char id[32];
        int size = snprintf(id, sizeof id, "device-%08u",
                            (unsigned)(batch->rows[i].key_fingerprint % load->devices));
        load_check(cm_store_recall(load->reader, &batch->rows[i].key, &load->arena, &recall, &err),
                   &err);
        load_check(cm_store_find_device(load->reader, cm_bytes(id, (size_t)size), &load->arena,
                                        &device, &err),
                   &err);
    }
    cm_store_reader_end(load->reader);
    cm_arena_reset(&load->arena);
    load->lookup_us += cpu_us(RUSAGE_THREAD) - before;
}

static void submit(struct load_batch *batch, struct cm_store_op *op)
{
    batch->submitted_ns = cm_clock_monotonic_ns();
    cm_store_submit(batch->load->store, op);
}

static void note_wait(struct load_batch *batch)
{
    struct load *load = batch->load;
    if (load->waits_count == load->waits_space) {
        load->waits_space = load->waits_space ? 2 * load->waits_space : 4096;
        load->waits_ms = realloc(load->waits_ms, load->waits_space * sizeof *load->waits_ms);
        if (!load->waits_ms)
            abort();
    }
    /* a timer may be a little early */
    int64_t wait_ns = (int64_t)(cm_clock_monotonic_ns() - batch->submitted_ns);
    load->waits_ms[load->waits_count++] = wait_ns > 0 ? (float)wait_ns / 1e6f : 0;
}

static void submit_intent(void *arg)
{
    struct load_batch *batch = arg;
    uint64_t due_ns = batch->submitted_ns;
    fill(batch);
    if (batch->load->reader)
        look_up(batch);
    submit(batch, &batch->intent_op);
    if (batch->load->rate > 0)
        batch->submitted_ns = due_ns;
}

/* In the order of when they are due. */
static void wait_until_due(struct load_batch *batch)
{
    struct load *load = batch->load;
    uint64_t now_ns = cm_clock_monotonic_ns(), due_ns = load->next_due_ns;
    load->next_due_ns += (uint64_t)(load->batch_size / load->rate * 1e9);
    batch->submitted_ns = due_ns;
    if (due_ns > now_ns)
        cm_timer_start(&batch->timer, load->loop, (uint32_t)((due_ns - now_ns) / 1000000) + 1,
                       submit_intent, batch);
    else
        submit_intent(batch);
}

static void start(struct load_batch *batch)
{
    struct load *load = batch->load;
    if (load->to_submit < load->batch_size) {
        if (--load->running == 0)
            cm_loop_stop(load->loop);
        return;
    }
    load->to_submit -= load->batch_size;
    if (load->rate > 0)
        wait_until_due(batch);
    else
        submit_intent(batch);
}

static void on_intent(struct cm_store_op *op)
{
    struct load_batch *batch = op->arg;
    load_check(op->status, &op->err);
    note_wait(batch);
    submit(batch, &batch->record_op);
}

static void on_record(struct cm_store_op *op)
{
    struct load_batch *batch = op->arg;
    struct load *load = batch->load;
    load_check(op->status, &op->err);
    note_wait(batch);
    load->done += load->batch_size;
    if (load->kept_count < load->kept_max)
        load->kept[load->kept_count++] = batch->rows[0].serial;
    start(batch);
}

/* ------------------------------------------------------------------------- run -- */

static void make_rows(struct load_batch *batch)
{
    uint32_t size = batch->load->batch_size;
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
}

static void make_batch(struct load *load, struct load_batch *batch)
{
    batch->load = load;
    make_rows(batch);
    batch->intent = (struct cm_intent){ .generation_number = 1,
                                        .items = batch->items,
                                        .items_count = load->batch_size };
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
                                             .certificates_count = load->batch_size,
                                             .intents_closed = &batch->intent.number,
                                             .intents_closed_count = 1,
                                             .audit = &batch->audit };
}

static void free_batches(struct load *load)
{
    for (uint32_t i = 0; i < load->in_flight; i++) {
        cm_timer_done(&load->batches[i].timer);
        free(load->batches[i].items);
        free(load->batches[i].rows);
    }
    free(load->batches);
}

/* Besides this thread the store's is the only one. */
static double store_cpu_us(void)
{
    return cpu_us(RUSAGE_SELF) - cpu_us(RUSAGE_THREAD);
}

void load_run(struct load *load, uint64_t rows)
{
    cm_arena_init(&load->arena, 65536);
    load->batches = calloc(load->in_flight, sizeof *load->batches);
    if (!load->batches)
        abort();
    load->to_submit = rows;
    load->running = load->in_flight;
    double store_us = store_cpu_us(), loop_us = cpu_us(RUSAGE_THREAD);
    uint64_t begin_ns = cm_clock_monotonic_ns();
    load->next_due_ns = begin_ns;
    for (uint32_t i = 0; i < load->in_flight; i++) {
        make_batch(load, &load->batches[i]);
        start(&load->batches[i]);
    }
    cm_loop_run(load->loop);
    load->wall_us = (double)(cm_clock_monotonic_ns() - begin_ns) / 1e3;
    load->store_us = store_cpu_us() - store_us;
    load->loop_us = cpu_us(RUSAGE_THREAD) - loop_us - load->lookup_us;
    free_batches(load);
    cm_arena_done(&load->arena);
}

static int compare_waits(const void *a, const void *b)
{
    float one = *(const float *)a, other = *(const float *)b;
    return (one > other) - (one < other);
}

double load_wait_ms(struct load *load, double share)
{
    if (load->waits_count == 0)
        return 0;
    qsort(load->waits_ms, load->waits_count, sizeof *load->waits_ms, compare_waits);
    size_t at = (size_t)(share * (double)load->waits_count);
    return (double)load->waits_ms[at < load->waits_count ? at : load->waits_count - 1];
}

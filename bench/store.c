/*
 * Store: rows that become durable, and what workers look up, in a store that is fresh and in one that is
 * filled: with 100,000 certificates, or with as many as BENCH_STORE_ROWS says. For growth over minutes, and
 * orders, see bench/store_bench.c.
 *
 * A recorded batch is an intent and, when that is durable, the certificates, as the engine does it; one batch is
 * under way at a time.
 */
#include "engine/store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "bench/suites.h"
#include "engine/base/clock.h"
#include "tools/scratch.h"

enum { BATCH_MAX = 1024, DEVICES = 1000, DER_SIZE = 600, FILLED_ROWS = 100000 };
enum fill { FRESH, FILLED };

struct stock {
    char folder[256];
    struct cm_loop *loop;
    struct cm_store *store;
    struct cm_store_reader *reader;
    struct cm_arena arena;
    uint64_t serials_count; /* drawn */
    bool is_waiting;
    struct cm_request_key known[BATCH_MAX]; /* of the last batch */
    uint32_t known_count;
    struct cm_intent_item items[BATCH_MAX];
    struct cm_certificate_row rows[BATCH_MAX];
    uint8_t der[DER_SIZE];
};

static struct stock *filled; /* kept */

/* ------------------------------------------------------------------ recording -- */

static void on_done(struct cm_store_op *op)
{
    cm_loop_stop(((struct stock *)op->arg)->loop);
}

static bool apply(struct stock *stock, struct cm_store_op *op, struct cm_bench_run *run)
{
    op->done = on_done;
    op->arg = stock;
    cm_store_submit(stock->store, op);
    cm_loop_run(stock->loop);
    return op->status == CM_OK || cm_bench_fail(run, "%s", op->err.text);
}

static void draw_serial(struct stock *stock, struct cm_serial *ret_serial)
{
    uint64_t number = ((uint64_t)cm_clock_wall_ms() << 20) + (++stock->serials_count & 0xfffff);
    RAND_bytes(ret_serial->octets, CM_SERIAL_SIZE);
    cm_big_endian_write(number, ret_serial->octets, 8);
}

static void draw_batch(struct stock *stock, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct cm_certificate_row *row = &stock->rows[i];
        *row = (struct cm_certificate_row){ .generation_number = 1,
                                            .not_after = INT64_C(4000000000),
                                            .der = cm_bytes(stock->der, DER_SIZE) };
        draw_serial(stock, &row->serial);
        RAND_bytes(row->key.octets, sizeof row->key.octets);
        RAND_bytes(row->digest.octets, sizeof row->digest.octets);
        RAND_bytes((uint8_t *)&row->key_fingerprint, sizeof row->key_fingerprint);
        row->device_number = 1 + (int64_t)(row->key_fingerprint % DEVICES);
        stock->items[i] = (struct cm_intent_item){ .key = row->key, .serial = row->serial };
        stock->known[i] = row->key;
    }
    stock->known_count = count;
}

static bool record_batch(struct stock *stock, uint32_t count, struct cm_bench_run *run)
{
    const struct cm_audit_event audit = { .kind = "issue",
                                          .actor = cm_bytes_str("bench"),
                                          .detail = cm_bytes_str("{\"batch\":1}") };
    struct cm_intent intent = { .created_ms = cm_clock_wall_ms(),
                                .generation_number = 1,
                                .items = stock->items,
                                .items_count = count };
    struct cm_store_op intent_op = { .kind = CM_STORE_INTENT, .intent = &intent };
    struct cm_store_op record_op = { .kind = CM_STORE_RECORD,
                                     .certificates = stock->rows,
                                     .certificates_count = count,
                                     .intents_closed = &intent.number,
                                     .intents_closed_count = 1,
                                     .audit = &audit };
    return apply(stock, &intent_op, run) && apply(stock, &record_op, run);
}

/* ------------------------------------------------------------------ opening -- */

static struct cm_bytes device_id(unsigned index, char *text, size_t space)
{
    return cm_bytes(text, (size_t)snprintf(text, space, "device-%08u", index % DEVICES));
}

static bool import_devices(struct stock *stock, struct cm_bench_run *run)
{
    static struct cm_device_row rows[DEVICES];
    static char ids[DEVICES][32];
    const struct cm_audit_event audit = { .kind = "device-import",
                                          .actor = cm_bytes_str("bench"),
                                          .detail = cm_bytes_str("{}") };
    struct cm_store_op op = {
        .kind = CM_STORE_DEVICES, .devices = rows, .devices_count = DEVICES, .audit = &audit
    };
    for (unsigned i = 0; i < DEVICES; i++)
        rows[i] = (struct cm_device_row){ .id = device_id(i, ids[i], sizeof ids[i]),
                                          .group = cm_bytes_str("default") };
    return apply(stock, &op, run);
}

static uint32_t rows_wanted(enum fill fill)
{
    const char *rows = getenv("BENCH_STORE_ROWS");
    if (fill == FRESH)
        return BATCH_MAX; /* some that are known */
    return rows ? (uint32_t)strtoul(rows, NULL, 10) : FILLED_ROWS;
}

static bool fill_store(struct stock *stock, enum fill fill, struct cm_bench_run *run)
{
    if (!import_devices(stock, run))
        return false;
    for (uint32_t left = rows_wanted(fill); left > 0;) {
        uint32_t count = left < BATCH_MAX ? left : BATCH_MAX;
        draw_batch(stock, count);
        if (!record_batch(stock, count, run))
            return false;
        left -= count;
    }
    return true;
}

static bool open_files(struct stock *stock, struct cm_bench_run *run)
{
    char path[300];
    struct cm_error err;
    const struct cm_store_settings settings = { .path = path, .create = true };
    cm_status status =
        cm_scratch_make("certmill-bench-store", stock->folder, sizeof stock->folder, &err);
    snprintf(path, sizeof path, "%s/store.db", stock->folder);
    if (status == CM_OK)
        status = cm_loop_new(&stock->loop, &err);
    if (status == CM_OK)
        status = cm_store_open(&cm_store_sqlite, stock->loop, &settings, &stock->store, &err);
    if (status == CM_OK)
        status = cm_store_reader_open(stock->store, &stock->reader, &err);
    return status == CM_OK || cm_bench_fail(run, "%s", err.text);
}

static void close_stock(struct stock *stock)
{
    if (!stock)
        return;
    cm_store_reader_close(stock->reader);
    cm_store_close(stock->store);
    cm_loop_free(stock->loop);
    cm_arena_done(&stock->arena);
    if (stock->folder[0])
        cm_scratch_remove(stock->folder);
    free(stock);
}

static bool open_stock(struct cm_bench_run *run)
{
    enum fill fill = (enum fill)run->bench->kind;
    if (fill == FILLED && filled) {
        run->self = filled;
        return true;
    }
    struct stock *stock = calloc(1, sizeof *stock);
    run->self = stock;
    cm_arena_init(&stock->arena, 1 << 18);
    RAND_bytes(stock->der, DER_SIZE);
    if (!open_files(stock, run) || !fill_store(stock, fill, run))
        return false;
    if (fill == FILLED)
        filled = stock;
    return true;
}

static void leave_stock(struct cm_bench_run *run)
{
    if (run->self != filled)
        close_stock(run->self);
}

static void close_all(void)
{
    close_stock(filled);
}

/* ------------------------------------------------------------------ what is measured -- */

static bool draw(struct cm_bench_run *run)
{
    draw_batch(run->self, run->size);
    return true;
}

static bool record(struct cm_bench_run *run)
{
    return record_batch(run->self, run->size, run);
}

/* A snapshot, look-ups in it, and its end: as a worker has it for a batch. */
static bool look_up(struct cm_bench_run *run,
                    bool (*one)(struct stock *stock, uint32_t index, struct cm_error *err))
{
    struct stock *stock = run->self;
    struct cm_error err = { .text = "not as expected" };
    bool is_good = true;
    if (cm_store_reader_begin(stock->reader, &err) != CM_OK)
        return cm_bench_fail(run, "%s", err.text);
    for (uint32_t i = 0; i < run->size && is_good; i++)
        is_good = one(stock, i, &err);
    cm_store_reader_end(stock->reader);
    cm_arena_reset(&stock->arena);
    return is_good || cm_bench_fail(run, "%s", err.text);
}

static bool recall(struct stock *stock, const struct cm_request_key *key, bool is_known,
                   struct cm_error *err)
{
    struct cm_recall recall;
    return cm_store_recall(stock->reader, key, &stock->arena, &recall, err) == CM_OK
           && recall.known == is_known;
}

static bool recall_known_one(struct stock *stock, uint32_t index, struct cm_error *err)
{
    return recall(stock, &stock->known[index % stock->known_count], true, err);
}

static bool recall_new_one(struct stock *stock, uint32_t index, struct cm_error *err)
{
    struct cm_request_key key = stock->known[index % stock->known_count];
    key.octets[15] ^= 1;
    return recall(stock, &key, false, err);
}

static bool find_one_device(struct stock *stock, uint32_t index, struct cm_error *err)
{
    char text[32];
    struct cm_device device;
    struct cm_bytes id = device_id(index * 7, text, sizeof text);
    return cm_store_find_device(stock->reader, id, &stock->arena, &device, err) == CM_OK
           && device.number > 0;
}

static bool find_one_certificate(struct stock *stock, uint32_t index, struct cm_error *err)
{
    struct cm_certificate_found found;
    cm_certificate_number number =
        cm_serial_number(&stock->rows[index % stock->known_count].serial);
    return cm_store_find_certificate(stock->reader, number, &stock->arena, &found, err) == CM_OK
           && found.number == number;
}

static bool recall_known(struct cm_bench_run *run)
{
    return look_up(run, recall_known_one);
}

static bool recall_new(struct cm_bench_run *run)
{
    return look_up(run, recall_new_one);
}

static bool find_devices(struct cm_bench_run *run)
{
    return look_up(run, find_one_device);
}

static bool find_certificates(struct cm_bench_run *run)
{
    return look_up(run, find_one_certificate);
}

#define RECORD(label, fill)                                                                        \
    {                                                                                              \
        .name = "record/" label, .kind = (fill), .setup = open_stock, .prepare = draw,             \
        .run = record, .teardown = leave_stock, .is_concurrent = true, .is_bounded = true,         \
        .sizes = {                                                                                 \
            1,                                                                                     \
            64,                                                                                    \
            256,                                                                                   \
            1024                                                                                   \
        }                                                                                          \
    }
#define LOOK(label, function, fill)                                                                \
    {                                                                                              \
        .name = label, .kind = (fill), .setup = open_stock, .run = (function),                     \
        .teardown = leave_stock, .sizes = {                                                        \
            1,                                                                                     \
            256                                                                                    \
        }                                                                                          \
    }
#define IN_BOTH(label, function)                                                                   \
    LOOK(label "/fresh", function, FRESH), LOOK(label "/filled", function, FILLED)

static const struct cm_bench benches[] = {
    RECORD("fresh", FRESH),
    IN_BOTH("recall-known", recall_known),
    IN_BOTH("recall-new", recall_new),
    IN_BOTH("find-device", find_devices),
    IN_BOTH("find-certificate", find_certificates),
    RECORD("filled", FILLED), /* last: it grows */
};

const struct cm_bench_suite cm_bench_store = { "store", benches, CM_BENCH_COUNT(benches),
                                               close_all };

#include "tests/conformance/store_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/support/test_main.h"

const struct cm_audit_event fixture_audit = { .kind = "test",
                                              .actor = { (const uint8_t *)"tester", 6 },
                                              .detail = { (const uint8_t *)"{}", 2 },
                                              .digest = { 1, 2, 3 } };

static void require(cm_status status, const struct cm_error *err)
{
    if (status == CM_OK)
        return;
    fprintf(stderr, "fixture: %s\n", err->text);
    abort();
}

static void open_store(struct fixture *fixture, bool create)
{
    const struct cm_store_settings settings = { .path = fixture->path, .create = create };
    require(
        cm_store_open(&cm_store_sqlite, fixture->loop, &settings, &fixture->store, &fixture->err),
        &fixture->err);
}

void fixture_make(struct fixture *fixture, const char *name)
{
    *fixture = (struct fixture){ .store = NULL };
    snprintf(fixture->path, sizeof fixture->path, "%s/%s.db", cm_test_scratch(), name);
    cm_arena_init(&fixture->arena, 4096);
    require(cm_loop_new(&fixture->loop, &fixture->err), &fixture->err);
    open_store(fixture, true);
}

void fixture_reopen(struct fixture *fixture)
{
    fixture_close(fixture);
    open_store(fixture, false);
}

void fixture_close(struct fixture *fixture)
{
    cm_store_reader_close(fixture->reader);
    cm_store_close(fixture->store);
    fixture->reader = NULL;
    fixture->store = NULL;
}

void fixture_done(struct fixture *fixture)
{
    fixture_close(fixture);
    cm_arena_done(&fixture->arena);
    cm_loop_free(fixture->loop);
}

struct cm_store_reader *fixture_snapshot(struct fixture *fixture)
{
    if (fixture->reader)
        cm_store_reader_end(fixture->reader);
    else
        require(cm_store_reader_open(fixture->store, &fixture->reader, &fixture->err),
                &fixture->err);
    require(cm_store_reader_begin(fixture->reader, &fixture->err), &fixture->err);
    return fixture->reader;
}

static void on_done(struct cm_store_op *op)
{
    struct fixture *fixture = op->arg;
    if (--fixture->waiting == 0)
        cm_loop_stop(fixture->loop);
}

void fixture_submit(struct fixture *fixture, struct cm_store_op **ops, unsigned count)
{
    fixture->waiting = count;
    for (unsigned i = 0; i < count; i++) {
        ops[i]->done = on_done;
        ops[i]->arg = fixture;
        cm_store_submit(fixture->store, ops[i]);
    }
    cm_loop_run(fixture->loop);
}

static void put_number(uint8_t *octets, unsigned size, uint64_t number)
{
    for (unsigned i = size; i-- > 0; number >>= 8)
        octets[i] = (uint8_t)number;
}

struct cm_serial row_serial(unsigned n)
{
    struct cm_serial serial;
    put_number(serial.octets, 8, ((uint64_t)FIXTURE_TIME_MS << 20) + n);
    memset(serial.octets + 8, (int)(n & 0xff), CM_SERIAL_SIZE - 8);
    return serial;
}

/* Spread as a hash would be, so that the rows of the index are not in order. */
struct cm_request_key row_key(unsigned n)
{
    struct cm_request_key key;
    put_number(key.octets, 8, n * UINT64_C(0x9e3779b97f4a7c15));
    put_number(key.octets + 8, 8, n);
    return key;
}

struct cm_request_digest row_digest(unsigned n)
{
    struct cm_request_digest digest;
    put_number(digest.octets, 8, 77);
    put_number(digest.octets + 8, 8, n);
    return digest;
}

struct cm_certificate_row row_certificate(unsigned n, uint8_t der[8])
{
    put_number(der, 8, n);
    return (struct cm_certificate_row){ .serial = row_serial(n),
                                        .key = row_key(n),
                                        .digest = row_digest(n),
                                        .device_number = 1,
                                        .generation_number = 1,
                                        .key_fingerprint = n * UINT64_C(0xff51afd7ed558ccd),
                                        .not_after = 4000000000,
                                        .der = cm_bytes(der, 8) };
}

void record_fill(struct record *record, unsigned first, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        record->rows[i] = row_certificate(first + i, record->ders[i]);
    record->op = (struct cm_store_op){ .kind = CM_STORE_RECORD,
                                       .certificates = record->rows,
                                       .certificates_count = count,
                                       .audit = &fixture_audit };
}

cm_status fixture_record(struct fixture *fixture, unsigned first, unsigned count)
{
    static struct record record;
    record_fill(&record, first, count);
    return cm_store_apply(fixture->store, &record.op, &fixture->err);
}

struct cm_store_counts fixture_counts(struct fixture *fixture)
{
    struct cm_store_counts counts;
    require(cm_store_count(fixture_snapshot(fixture), &counts, &fixture->err), &fixture->err);
    return counts;
}

struct cm_recall fixture_recall(struct fixture *fixture, unsigned n)
{
    struct cm_recall recall;
    struct cm_request_key key = row_key(n);
    require(
        cm_store_recall(fixture_snapshot(fixture), &key, &fixture->arena, &recall, &fixture->err),
        &fixture->err);
    return recall;
}

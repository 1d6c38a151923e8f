#include "tests/conformance/store_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/support/test_main.h"

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

struct cm_generation fixture_generation(int64_t n)
{
    return (struct cm_generation){ .authority = cm_bytes_str("issuing"),
                                   .generation = n,
                                   .state = CM_GENERATION_ACTIVE,
                                   .provider = cm_bytes_str("soft"),
                                   .key = cm_bytes_str("file:key.pem"),
                                   .sigalg = cm_bytes_str("ecdsa-p256-sha256"),
                                   .certificate = cm_bytes_str("der"),
                                   .created_ms = FIXTURE_TIME_MS };
}

cm_status fixture_put_generation(struct fixture *fixture, struct cm_generation *generation)
{
    struct cm_store_op op = { .kind = CM_STORE_GENERATION,
                              .generation = generation,
                              .audit = &fixture_audit };
    return cm_store_apply(fixture->store, &op, &fixture->err);
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

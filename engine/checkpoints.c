#include "engine/checkpoints.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/authority/checkpoint_text.h"
#include "engine/base/clock.h"
#include "engine/base/faultpoint.h"
#include "engine/checkpoint_file.h"
#include "engine/checkpoint_stream.h"
#include "engine/floors.h"
#include "engine/internal.h"

enum {
    TICK_MS = 1000,
    RETRY_MS_MIN = 1000,
    RETRY_SHIFT_MAX = 6,
    SIGN_DEADLINE_S = 10,
    SIGNATURE_SIZE_MAX = 1024,
    LAST_PATIENCE_MS = 5000 /* of who stops */
};

enum stage { AT_REST, OPENING, SIGNING, RECORDING, SHIPPING };

struct cm_checkpoints {
    struct cm_engine *engine;
    const struct cm_settings_audit *settings;
    struct cm_store_reader *reader;
    struct cm_provider *provider;
    struct cm_key *key; /* NULL: not there yet */
    enum stage stage;
    struct cm_timer timer, patience;
    struct cm_checkpoint last; /* recorded; without its spans; number 0: none yet */
    uint64_t made_ns;          /* cm_clock_monotonic_ns(); 0: none since the start */
    uint64_t retry_ns;         /* no other before then */
    unsigned failures_count;   /* in a row */
    bool is_behind;            /* file or stream may lack some */
    uint64_t ship_retry_ns;    /* nothing is appended before then */
    unsigned ship_failures_count;
    bool is_last, is_over;

    /* the one that is being made */
    struct cm_checkpoint next;
    uint8_t message[CM_CHECKPOINT_MESSAGE_SIZE];
    uint8_t signature[SIGNATURE_SIZE_MAX];
    struct cm_sign_item item;
    struct cm_sign_batch batch;
    struct cm_store_op op;
    struct cm_work work; /* on file and stream */
    cm_status ship_status;
    struct cm_error ship_err;
};

static void go_on(struct cm_checkpoints *checkpoints);

static struct cm_checkpoints *of_work(struct cm_work *work)
{
    return (struct cm_checkpoints *)((char *)work - offsetof(struct cm_checkpoints, work));
}

/* To a file or a stream. */
static bool is_shipped(const struct cm_settings_audit *settings)
{
    return settings->file || settings->redis_stream;
}

/* ------------------------------------------------------------------ outcomes -- */

static void finish(struct cm_checkpoints *checkpoints)
{
    checkpoints->is_over = true;
    cm_timer_stop(&checkpoints->timer);
    cm_timer_stop(&checkpoints->patience);
    cm_engine_look_around(checkpoints->engine);
}

/* The first time, and then less and less often. Returns when it may be tried again. */
static uint64_t complain(const struct cm_checkpoints *checkpoints, unsigned count, const char *what,
                         const struct cm_error *err)
{
    if (checkpoints->is_last || (count & (count - 1)) == 0)
        cm_engine_notice(checkpoints->engine, "audit: %s: %.200s%s", what, err->text,
                         checkpoints->is_last ? "" : "; it is tried again");
    return cm_clock_monotonic_ns()
           + cm_clock_backoff_ms(RETRY_MS_MIN, count, RETRY_SHIFT_MAX) * (uint64_t)CM_NS_PER_MS;
}

/* Who stops does not try again. */
static void put_off(struct cm_checkpoints *checkpoints, const char *what,
                    const struct cm_error *err)
{
    checkpoints->stage = AT_REST;
    checkpoints->retry_ns = complain(checkpoints, checkpoints->failures_count++, what, err);
    if (checkpoints->is_last)
        finish(checkpoints);
}

static void succeed(struct cm_checkpoints *checkpoints)
{
    checkpoints->stage = AT_REST;
    checkpoints->failures_count = 0;
    go_on(checkpoints);
}

/* ------------------------------------------------------------------ elsewhere -- */

static void ship(struct cm_work *work, void *worker_context)
{
    struct cm_checkpoints *checkpoints = of_work(work);
    struct cm_worker *worker = worker_context;
    const struct cm_settings *settings = checkpoints->engine->settings;
    struct cm_error ignored, *err = &checkpoints->ship_err;
    cm_status status = CM_OK, other = CM_OK;
    if (settings->audit.file)
        status = cm_checkpoint_file_append(settings->audit.file, worker->reader, err);
    if (settings->audit.redis_stream)
        other =
            cm_checkpoint_stream_append(settings, worker->reader, status == CM_OK ? err : &ignored);
    checkpoints->ship_status = status == CM_OK ? other : status;
}

static void on_shipped(struct cm_work *work)
{
    struct cm_checkpoints *checkpoints = of_work(work);
    CM_FAULT_POINT("checkpoint-shipped");
    checkpoints->stage = AT_REST;
    if (checkpoints->ship_status == CM_OK)
        checkpoints->ship_failures_count = 0;
    else
        checkpoints->ship_retry_ns =
            complain(checkpoints, checkpoints->ship_failures_count++,
                     "checkpoints are not where they are to be appended", &checkpoints->ship_err);
    /* The next engine appends what is missing: who stops does not try again. */
    checkpoints->is_behind = checkpoints->ship_status != CM_OK && !checkpoints->is_last;
    go_on(checkpoints);
}

static void begin_shipping(struct cm_checkpoints *checkpoints)
{
    checkpoints->stage = SHIPPING;
    checkpoints->work = (struct cm_work){ .run = ship, .done = on_shipped };
    cm_workers_submit(checkpoints->engine->workers, &checkpoints->work);
}

/* ------------------------------------------------------------------ signing -- */

static void on_recorded(struct cm_store_op *op)
{
    struct cm_checkpoints *checkpoints = op->arg;
    CM_FAULT_POINT("checkpoint-recorded");
    if (op->status != CM_OK) {
        put_off(checkpoints, "a checkpoint could not be recorded", &op->err);
        return;
    }
    checkpoints->last = checkpoints->next;
    checkpoints->made_ns = cm_clock_monotonic_ns();
    checkpoints->is_behind = is_shipped(checkpoints->settings);
    succeed(checkpoints);
}

static void record(struct cm_checkpoints *checkpoints)
{
    const struct cm_key *key = checkpoints->key;
    checkpoints->next.spki = key->spki;
    checkpoints->next.sigalg = cm_bytes_str(cm_sigalg_name(key->alg));
    checkpoints->next.signature =
        cm_bytes(checkpoints->signature, checkpoints->item.signature_size);
    struct cm_error err;
    if (!cm_checkpoint_is_signed(&checkpoints->next)) {
        (void)CM_FAIL(&err, CM_CORRUPT, CM_ORIGIN_SELF, 0, "the signature does not verify");
        put_off(checkpoints, "a checkpoint could not be signed", &err);
        return;
    }
    checkpoints->stage = RECORDING;
    checkpoints->op = (struct cm_store_op){ .kind = CM_STORE_CHECKPOINT,
                                            .done = on_recorded,
                                            .arg = checkpoints,
                                            .checkpoint = &checkpoints->next };
    cm_store_submit(checkpoints->engine->store, &checkpoints->op);
}

static void on_signed(struct cm_sign_batch *batch, void *arg)
{
    struct cm_checkpoints *checkpoints = arg;
    struct cm_error err;
    (void)batch;
    CM_FAULT_POINT("checkpoint-signed");
    if (checkpoints->item.status == CM_OK) {
        record(checkpoints);
        return;
    }
    (void)CM_FAIL(&err, checkpoints->item.status, CM_ORIGIN_SELF, 0, "%s",
                  cm_status_text(checkpoints->item.status));
    put_off(checkpoints, "a checkpoint could not be signed", &err);
}

static void sign(struct cm_checkpoints *checkpoints)
{
    struct cm_error err;
    cm_checkpoint_write(&checkpoints->next, checkpoints->message);
    checkpoints->stage = SIGNING;
    checkpoints->item = (struct cm_sign_item){
        .message = cm_bytes(checkpoints->message, sizeof checkpoints->message),
        .signature = checkpoints->signature,
        .signature_space = sizeof checkpoints->signature,
    };
    checkpoints->batch = (struct cm_sign_batch){
        .key = checkpoints->key,
        .lane = CM_LANE_AUDIT,
        .items = &checkpoints->item,
        .items_count = 1,
        .deadline_ns = cm_clock_monotonic_ns() + SIGN_DEADLINE_S * CM_NS_PER_S,
        .done = on_signed,
        .done_arg = checkpoints,
    };
    if (cm_provider_sign(checkpoints->provider, &checkpoints->batch, &err) != CM_OK)
        put_off(checkpoints, "a checkpoint could not be signed", &err);
}

/* ------------------------------------------------------------------ when -- */

static bool take_hash(const struct cm_audit_row *row, void *arg)
{
    struct cm_checkpoint *next = arg;
    next->audit = row->number;
    memcpy(next->hash, row->hash, sizeof next->hash);
    return false;
}

/* What the next one would say; audit 0: there are no rows. */
static cm_status look_at_rows(struct cm_checkpoints *checkpoints, struct cm_error *err)
{
    struct cm_checkpoint *next = &checkpoints->next;
    struct cm_store_counts counts;
    *next = (struct cm_checkpoint){ .number = checkpoints->last.number + 1,
                                    .time_ms = cm_clock_wall_ms() };
    if (checkpoints->last.number > 0)
        cm_checkpoint_hash(&checkpoints->last, next->previous);
    cm_status status = cm_store_reader_begin(checkpoints->reader, err);
    if (status != CM_OK)
        return status;
    status = cm_store_count(checkpoints->reader, &counts, err);
    if (status == CM_OK)
        status = cm_store_walk_audit(checkpoints->reader, counts.audit_rows, take_hash, next, err);
    cm_store_reader_end(checkpoints->reader);
    return status;
}

static bool is_due(const struct cm_checkpoints *checkpoints)
{
    const struct cm_settings_audit *settings = checkpoints->settings;
    int64_t rows = checkpoints->next.audit - checkpoints->last.audit;
    uint64_t age_ns = cm_clock_monotonic_ns() - checkpoints->made_ns;
    return rows > 0
           && (checkpoints->is_last || checkpoints->made_ns == 0 || rows >= settings->rows
               || age_ns >= settings->interval_ms * (uint64_t)CM_NS_PER_MS);
}

static void look(struct cm_checkpoints *checkpoints)
{
    struct cm_error err;
    if (look_at_rows(checkpoints, &err) != CM_OK)
        put_off(checkpoints, "the audit log could not be read", &err);
    else if (is_due(checkpoints))
        sign(checkpoints);
    else if (checkpoints->is_last)
        finish(checkpoints);
}

/* ------------------------------------------------------------------ its key -- */

static bool is_authoritys(const struct cm_checkpoints *checkpoints, struct cm_bytes spki)
{
    const struct cm_issuers *issuers = &checkpoints->engine->issuers;
    for (uint32_t i = 0; i < issuers->keys_count; i++)
        if (cm_bytes_equal(issuers->keys[i].issuer.spki, spki))
            return true;
    return false;
}

static cm_status take_key(struct cm_checkpoints *checkpoints, struct cm_key *key,
                          struct cm_error *err)
{
    if (is_authoritys(checkpoints, key->spki) || key->signature_size_max > SIGNATURE_SIZE_MAX) {
        cm_provider_close_key(key);
        return CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0,
                       "it is an authority's: checkpoints have a key of their own");
    }
    checkpoints->key = key;
    cm_audit_note_key(checkpoints->engine, "audit", key);
    return CM_OK;
}

static void on_key_opened(cm_status status, struct cm_key *key, const struct cm_error *err,
                          void *arg)
{
    struct cm_checkpoints *checkpoints = arg;
    struct cm_error why = *err;
    if (status == CM_OK)
        status = take_key(checkpoints, key, &why);
    if (status == CM_OK)
        succeed(checkpoints);
    else
        put_off(checkpoints, "the key of checkpoints could not be opened", &why);
}

static void open_key(struct cm_checkpoints *checkpoints)
{
    checkpoints->stage = OPENING;
    cm_provider_open_key(checkpoints->provider, checkpoints->settings->key, CM_SIGALG_UNKNOWN,
                         on_key_opened, checkpoints);
}

/* ------------------------------------------------------------------ life -- */

/* The next step, where there is one to take now. */
static void go_on(struct cm_checkpoints *checkpoints)
{
    uint64_t now_ns = cm_clock_monotonic_ns();
    if (checkpoints->stage != AT_REST || checkpoints->is_over)
        return;
    if (checkpoints->is_behind && now_ns >= checkpoints->ship_retry_ns)
        begin_shipping(checkpoints);
    else if (now_ns < checkpoints->retry_ns)
        return;
    else if (checkpoints->key)
        look(checkpoints);
    else
        open_key(checkpoints);
}

static void on_tick(void *arg)
{
    struct cm_checkpoints *checkpoints = arg;
    cm_timer_start(&checkpoints->timer, checkpoints->engine->loop, TICK_MS, on_tick, checkpoints);
    go_on(checkpoints);
}

static bool keep_last(const struct cm_checkpoint *checkpoint, void *arg)
{
    struct cm_checkpoint *last = arg;
    *last = *checkpoint;
    last->spki = last->sigalg = last->signature = cm_bytes(NULL, 0);
    return true;
}

static cm_status find_last(struct cm_checkpoints *checkpoints, struct cm_error *err)
{
    struct cm_store_counts counts;
    cm_status status = cm_store_count(checkpoints->reader, &counts, err);
    if (status == CM_OK)
        status = cm_store_walk_checkpoints(checkpoints->reader, counts.checkpoints - 1, keep_last,
                                           &checkpoints->last, err);
    return status;
}

static bool has_reference(const struct cm_engine *engine, const struct cm_settings_audit *audit)
{
    for (uint32_t i = 0; i < engine->issuers.keys_count; i++) {
        const struct cm_issuer_key *issuer = &engine->issuers.keys[i];
        if (issuer->provider == audit->provider && issuer->reference
            && strcmp(issuer->reference, audit->key) == 0)
            return true;
    }
    return false;
}

cm_status cm_checkpoints_open(struct cm_engine *engine, struct cm_checkpoints **ret_checkpoints,
                              struct cm_error *err)
{
    const struct cm_settings_audit *audit = &engine->settings->audit;
    const struct cm_floor floor = cm_floor_of_audit();
    if (!audit->key)
        return CM_OK;
    if (has_reference(engine, audit)) /* whose floor is bound already */
        return CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0,
                       "audit.key is an authority's key: checkpoints have a key of their own");
    struct cm_checkpoints *checkpoints = calloc(1, sizeof *checkpoints);
    if (!checkpoints)
        abort();
    checkpoints->engine = engine;
    checkpoints->settings = audit;
    checkpoints->provider = engine->providers[audit->provider - engine->settings->providers];
    checkpoints->is_behind = is_shipped(audit); /* what a crash has left */
    cm_status status = cm_store_reader_open(engine->store, &checkpoints->reader, err);
    if (status == CM_OK)
        status = find_last(checkpoints, err);
    if (status != CM_OK) {
        cm_checkpoints_close(checkpoints);
        return status;
    }
    cm_host_bind(checkpoints->provider, audit->key, &floor);
    cm_timer_start(&checkpoints->timer, engine->loop, 0, on_tick, checkpoints);
    *ret_checkpoints = checkpoints;
    return CM_OK;
}

static void on_patience_over(void *arg)
{
    struct cm_checkpoints *checkpoints = arg;
    if (checkpoints->stage == SIGNING)
        cm_provider_cancel(checkpoints->provider, &checkpoints->batch);
}

bool cm_checkpoints_are_over(struct cm_checkpoints *checkpoints)
{
    if (!checkpoints)
        return true;
    if (checkpoints->is_last)
        return checkpoints->is_over;
    checkpoints->is_last = true;
    checkpoints->retry_ns = checkpoints->ship_retry_ns = 0;
    cm_timer_start(&checkpoints->patience, checkpoints->engine->loop, LAST_PATIENCE_MS,
                   on_patience_over, checkpoints);
    cm_timer_start(&checkpoints->timer, checkpoints->engine->loop, 0, on_tick, checkpoints);
    return false;
}

void cm_checkpoints_close(struct cm_checkpoints *checkpoints)
{
    if (!checkpoints)
        return;
    assert(checkpoints->stage == AT_REST);
    cm_timer_done(&checkpoints->timer);
    cm_timer_done(&checkpoints->patience);
    if (checkpoints->key)
        cm_provider_close_key(checkpoints->key);
    cm_store_reader_close(checkpoints->reader);
    free(checkpoints);
}

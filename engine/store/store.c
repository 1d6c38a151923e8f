#include "engine/store/store.h"

#include <assert.h>

#include "engine/store/campaign.h"

cm_certificate_number cm_serial_number(const struct cm_serial *serial)
{
    return (cm_certificate_number)cm_big_endian_read(serial->octets, 8);
}

struct cm_bytes cm_serial_content(const struct cm_serial *serial)
{
    size_t first = 0;
    while (first + 1 < CM_SERIAL_SIZE && serial->octets[first] == 0
           && serial->octets[first + 1] < 0x80)
        first++;
    return cm_bytes(serial->octets + first, CM_SERIAL_SIZE - first);
}

bool cm_serial_from_content(struct cm_bytes content, struct cm_serial *ret_serial)
{
    struct cm_serial serial = { .octets = { 0 } };
    if (content.size == 0 || content.size > CM_SERIAL_SIZE || content.data[0] >= 0x80)
        return false;
    if (content.data[0] == 0 && (content.size == 1 || content.data[1] < 0x80))
        return false; /* zero, or not minimal */
    memcpy(serial.octets + CM_SERIAL_SIZE - content.size, content.data, content.size);
    *ret_serial = serial;
    return true;
}

/* -------------------------------------------------------------------- names -- */

static const char *const device_states[CM_DEVICE_STATE_COUNT] = {
#define X(symbol, name) [CM_DEVICE_##symbol] = name,
    CM_DEVICE_STATE_MAP(X)
#undef X
};

const char *cm_device_state_name(enum cm_device_state state)
{
    return state < CM_DEVICE_STATE_COUNT ? device_states[state] : "unknown";
}

bool cm_device_state_find(const char *name, enum cm_device_state *ret_state)
{
    for (unsigned i = 0; i < CM_DEVICE_STATE_COUNT; i++)
        if (strcmp(device_states[i], name) == 0) {
            *ret_state = (enum cm_device_state)i;
            return true;
        }
    return false;
}

const char *cm_order_name(enum cm_order_kind kind)
{
    static const char *const names[CM_ORDER_COUNT] = {
#define X(symbol, name) [CM_ORDER_##symbol] = name,
        CM_ORDER_MAP(X)
#undef X
    };
    return kind < CM_ORDER_COUNT ? names[kind] : "unknown";
}

/* --------------------------------------------------------------- attributes -- */

/* Splits the bytes before the next NUL off rest; false when there is no NUL. */
static bool take_text(struct cm_bytes *rest, struct cm_bytes *ret_text)
{
    const uint8_t *nul = rest->size > 0 ? memchr(rest->data, 0, rest->size) : NULL;
    if (!nul)
        return false;
    *ret_text = cm_bytes(rest->data, (size_t)(nul - rest->data));
    *rest = cm_bytes_from(*rest, ret_text->size + 1);
    return true;
}

struct cm_bytes cm_device_attribute(struct cm_bytes attributes, struct cm_bytes key)
{
    struct cm_bytes name, value;
    while (take_text(&attributes, &name) && take_text(&attributes, &value))
        if (cm_bytes_equal(name, key))
            return value;
    return cm_bytes(NULL, 0);
}

/* ----------------------------------------------------------------- dispatch -- */

cm_status cm_store_open(const struct cm_store_ops *ops, struct cm_loop *loop,
                        const struct cm_store_settings *settings, struct cm_store **ret_store,
                        struct cm_error *err)
{
    assert(ops && settings->path && !(settings->create && settings->read_only));
    return ops->open(loop, settings, ret_store, err);
}

void cm_store_close(struct cm_store *store)
{
    if (store)
        store->ops->close(store);
}

/* What is recorded elsewhere, or says of itself what it did. */
static bool needs_audit(const struct cm_store_op *op)
{
    bool nothing_but_orders = op->kind == CM_STORE_RECORD && op->orders_count > 0
                              && op->certificates_count + op->refusals_count + op->abandoned_count
                                         + op->usage_count + op->intents_closed_count
                                     == 0;
    bool moves = op->kind == CM_STORE_CAMPAIGN && op->campaign->kind == CM_CAMPAIGN_MOVE;
    return op->kind != CM_STORE_INTENT && op->kind != CM_STORE_CRLS
           && op->kind != CM_STORE_CHECKPOINT && !nothing_but_orders && !moves;
}

static void assert_whole(const struct cm_store_op *op)
{
    (void)op;
    assert(op->kind != CM_STORE_CAMPAIGN || op->campaign);
    assert(!needs_audit(op) || op->audit);
    assert(op->kind != CM_STORE_INTENT || op->intent);
    assert(op->kind != CM_STORE_GENERATION || op->generation);
    assert(op->kind != CM_STORE_TRANSITION || op->transition);
    assert(op->kind != CM_STORE_CHECKPOINT || op->checkpoint);
    assert(op->kind != CM_STORE_PLAN || op->plan_change);
}

void cm_store_submit(struct cm_store *store, struct cm_store_op *op)
{
    assert_whole(op);
    assert(op->done);
    store->ops->submit(store, op);
}

cm_status cm_store_apply(struct cm_store *store, struct cm_store_op *op, struct cm_error *err)
{
    assert_whole(op);
    return store->ops->apply(store, op, err);
}

cm_status cm_store_reader_open(struct cm_store *store, struct cm_store_reader **ret_reader,
                               struct cm_error *err)
{
    return store->ops->reader_open(store, ret_reader, err);
}

void cm_store_reader_close(struct cm_store_reader *reader)
{
    if (reader)
        reader->ops->reader_close(reader);
}

cm_status cm_store_reader_begin(struct cm_store_reader *reader, struct cm_error *err)
{
    return reader->ops->reader_begin(reader, err);
}

void cm_store_reader_end(struct cm_store_reader *reader)
{
    reader->ops->reader_end(reader);
}

cm_status cm_store_recall(struct cm_store_reader *reader, const struct cm_request_key *key,
                          struct cm_arena *arena, struct cm_recall *ret_recall,
                          struct cm_error *err)
{
    return reader->ops->recall(reader, key, arena, ret_recall, err);
}

cm_status cm_store_find_device(struct cm_store_reader *reader, struct cm_bytes id,
                               struct cm_arena *arena, struct cm_device *ret_device,
                               struct cm_error *err)
{
    return reader->ops->find_device(reader, id, arena, ret_device, err);
}

cm_status cm_store_find_certificate(struct cm_store_reader *reader, cm_certificate_number number,
                                    struct cm_arena *arena, struct cm_certificate_found *ret_found,
                                    struct cm_error *err)
{
    return reader->ops->find_certificate(reader, number, arena, ret_found, err);
}

cm_status cm_store_walk_devices(struct cm_store_reader *reader, struct cm_bytes group,
                                cm_device_walk_fn *walk, void *arg, struct cm_error *err)
{
    return reader->ops->walk_devices(reader, group, walk, arg, err);
}

cm_status cm_store_walk_keys(struct cm_store_reader *reader, cm_key_walk_fn *walk, void *arg,
                             struct cm_error *err)
{
    return reader->ops->walk_keys(reader, walk, arg, err);
}

cm_status cm_store_walk_open_intents(struct cm_store_reader *reader, cm_intent_walk_fn *walk,
                                     void *arg, struct cm_error *err)
{
    return reader->ops->walk_open_intents(reader, walk, arg, err);
}

cm_status cm_store_walk_generations(struct cm_store_reader *reader, cm_generation_walk_fn *walk,
                                    void *arg, struct cm_error *err)
{
    return reader->ops->walk_generations(reader, walk, arg, err);
}

cm_status cm_store_walk_revocations(struct cm_store_reader *reader, int64_t after_revision,
                                    cm_revocation_walk_fn *walk, void *arg, struct cm_error *err)
{
    return reader->ops->walk_revocations(reader, after_revision, walk, arg, err);
}

cm_status cm_store_walk_crls(struct cm_store_reader *reader, cm_crl_walk_fn *walk, void *arg,
                             struct cm_error *err)
{
    return reader->ops->walk_crls(reader, walk, arg, err);
}

cm_status cm_store_walk_device_certificates(struct cm_store_reader *reader, int64_t device_number,
                                            cm_certificate_walk_fn *walk, void *arg,
                                            struct cm_error *err)
{
    return reader->ops->walk_device_certificates(reader, device_number, walk, arg, err);
}

cm_status cm_store_walk_crosses(struct cm_store_reader *reader, cm_cross_walk_fn *walk, void *arg,
                                struct cm_error *err)
{
    return reader->ops->walk_crosses(reader, walk, arg, err);
}

cm_status cm_store_walk_plans(struct cm_store_reader *reader, cm_plan_walk_fn *walk, void *arg,
                              struct cm_error *err)
{
    return reader->ops->walk_plans(reader, walk, arg, err);
}

cm_status cm_store_walk_approvals(struct cm_store_reader *reader, int64_t plan_number,
                                  cm_approval_walk_fn *walk, void *arg, struct cm_error *err)
{
    return reader->ops->walk_approvals(reader, plan_number, walk, arg, err);
}

cm_status cm_store_walk_certificates(struct cm_store_reader *reader, cm_certificate_number after,
                                     uint32_t rows_max, cm_listed_walk_fn *walk, void *arg,
                                     cm_certificate_number *ret_last, struct cm_error *err)
{
    return reader->ops->walk_certificates(reader, after, rows_max, walk, arg, ret_last, err);
}

cm_status cm_store_find_use(struct cm_store_reader *reader, int64_t generation_number,
                            int64_t now_s, struct cm_generation_use *ret_use, struct cm_error *err)
{
    return reader->ops->find_use(reader, generation_number, now_s, ret_use, err);
}

cm_status cm_store_find_latest(struct cm_store_reader *reader, struct cm_latest *latest,
                               uint32_t count, struct cm_error *err)
{
    return reader->ops->find_latest(reader, latest, count, err);
}

cm_status cm_store_find_standing(struct cm_store_reader *reader, int64_t generation_number,
                                 struct cm_bytes serial,
                                 struct cm_certificate_standing *ret_standing, struct cm_error *err)
{
    return reader->ops->find_standing(reader, generation_number, serial, ret_standing, err);
}

cm_status cm_store_find_issued(struct cm_store_reader *reader, int64_t generation_number,
                               struct cm_bytes serial, enum cm_issued *ret_issued,
                               struct cm_error *err)
{
    return reader->ops->find_issued(reader, generation_number, serial, ret_issued, err);
}

cm_status cm_store_walk_usage(struct cm_store_reader *reader, int64_t period,
                              cm_usage_walk_fn *walk, void *arg, struct cm_error *err)
{
    return reader->ops->walk_usage(reader, period, walk, arg, err);
}

cm_status cm_store_walk_audit(struct cm_store_reader *reader, int64_t from_number,
                              cm_audit_walk_fn *walk, void *arg, struct cm_error *err)
{
    return reader->ops->walk_audit(reader, from_number, walk, arg, err);
}

cm_status cm_store_walk_audited(struct cm_store_reader *reader, int64_t first, int64_t last,
                                cm_audited_walk_fn *walk, void *arg, struct cm_error *err)
{
    return reader->ops->walk_audited(reader, first, last, walk, arg, err);
}

cm_status cm_store_walk_strays(struct cm_store_reader *reader, cm_audited_walk_fn *walk, void *arg,
                               struct cm_error *err)
{
    return reader->ops->walk_strays(reader, walk, arg, err);
}

cm_status cm_store_count_audited(struct cm_store_reader *reader,
                                 struct cm_audited_counts *ret_counts, struct cm_error *err)
{
    return reader->ops->count_audited(reader, ret_counts, err);
}

cm_status cm_store_walk_checkpoints(struct cm_store_reader *reader, int64_t after_number,
                                    cm_checkpoint_walk_fn *walk, void *arg, struct cm_error *err)
{
    return reader->ops->walk_checkpoints(reader, after_number, walk, arg, err);
}

cm_status cm_store_count(struct cm_store_reader *reader, struct cm_store_counts *ret_counts,
                         struct cm_error *err)
{
    return reader->ops->count(reader, ret_counts, err);
}

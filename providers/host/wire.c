#include "providers/host/wire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { SIGN_ROW_SIZE = 4 + 1 + CM_WIRE_INTENT_SIZE, SIGNED_ROW_SIZE = 1 + 2 };
enum { SIGN_HEAD_SIZE = 8 + 1 + 8 + 4, TEXT_ABSENT = 0xffff, TEXT_SIZE_MAX = 8192 };

/* ------------------------------------------------------------------ buffers -- */

void cm_buffer_reserve(struct cm_buffer *buffer, size_t more)
{
    size_t space = buffer->space ? buffer->space : 4096;
    if (buffer->space - buffer->size >= more)
        return;
    while (space - buffer->size < more)
        space *= 2;
    buffer->data = realloc(buffer->data, space);
    if (!buffer->data)
        abort();
    buffer->space = space;
}

void cm_buffer_append(struct cm_buffer *buffer, const void *data, size_t size)
{
    cm_buffer_reserve(buffer, size);
    if (size > 0)
        memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
}

void cm_buffer_trim(struct cm_buffer *buffer)
{
    if (buffer->space <= CM_BUFFER_KEPT || buffer->size > CM_BUFFER_KEPT / 2)
        return;
    uint8_t *smaller = realloc(buffer->data, CM_BUFFER_KEPT);
    if (!smaller)
        return;
    buffer->data = smaller;
    buffer->space = CM_BUFFER_KEPT;
}

void cm_buffer_done(struct cm_buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct cm_buffer){ 0 };
}

/* ------------------------------------------------------------------ numbers and texts -- */

static void store(uint8_t *at, uint64_t number, size_t octets)
{
    for (size_t i = 0; i < octets; i++)
        at[i] = (uint8_t)(number >> 8 * i);
}

static uint64_t load(const uint8_t *at, size_t octets)
{
    uint64_t number = 0;
    for (size_t i = 0; i < octets; i++)
        number |= (uint64_t)at[i] << 8 * i;
    return number;
}

static bool is_printable(char c)
{
    return c >= ' ' && c <= '~';
}

/* 1 to size_max octets of one line, which can be shown and handed on. */
static bool is_line(const char *text, size_t size_max)
{
    size_t size = 0;
    while (size <= size_max && is_printable(text[size]))
        size++;
    return size > 0 && size <= size_max && text[size] == '\0';
}

static void put(struct cm_buffer *out, uint64_t number, size_t octets)
{
    uint8_t bytes[8];
    store(bytes, number, octets);
    cm_buffer_append(out, bytes, octets);
}

static void put_bytes(struct cm_buffer *out, struct cm_bytes bytes)
{
    put(out, bytes.size, 4);
    cm_buffer_append(out, bytes.data, bytes.size);
}

/* The NUL goes along, so that the reader borrows a C string. */
static void put_text(struct cm_buffer *out, const char *text)
{
    size_t size = text ? strnlen(text, TEXT_SIZE_MAX) : 0;
    put(out, text ? size : TEXT_ABSENT, 2);
    if (!text)
        return;
    cm_buffer_append(out, text, size);
    cm_buffer_append(out, "", 1);
}

/* One line that can be shown: what cannot be printed goes as '?', what is too long is cut. */
static void put_line(struct cm_buffer *out, const char *text)
{
    char line[CM_WIRE_NOTICE_MAX + 1];
    size_t size = text ? strnlen(text, CM_WIRE_NOTICE_MAX) : 0;
    for (size_t i = 0; i < size; i++)
        line[i] = is_printable(text[i]) ? text[i] : '?';
    line[size] = '\0';
    put_text(out, size > 0 ? line : NULL);
}

/* What is left of a body; once something is wrong, everything after it is, too. */
struct reader {
    struct cm_bytes left;
    bool is_wrong;
};

static struct cm_bytes take(struct reader *reader, size_t size)
{
    if (reader->is_wrong || size > reader->left.size) {
        reader->is_wrong = true;
        return cm_bytes(NULL, 0);
    }
    struct cm_bytes taken = cm_bytes(reader->left.data, size);
    reader->left = cm_bytes_from(reader->left, size);
    return taken;
}

/* 0 when something is wrong. */
static uint64_t get(struct reader *reader, size_t octets)
{
    struct cm_bytes bytes = take(reader, octets);
    return bytes.size ? load(bytes.data, octets) : 0;
}

/* A number of at most max; else something is wrong. */
static uint32_t get_up_to(struct reader *reader, size_t octets, uint32_t max)
{
    uint64_t number = get(reader, octets);
    if (number > max)
        reader->is_wrong = true;
    return reader->is_wrong ? 0 : (uint32_t)number;
}

/* More seconds than there are dates; sums of two are far from the end of an int64_t. */
static int64_t get_seconds(struct reader *reader)
{
    uint64_t seconds = get(reader, 8);
    if (seconds >> 40 != 0)
        reader->is_wrong = true;
    return reader->is_wrong ? 0 : (int64_t)seconds;
}

static struct cm_bytes get_bytes(struct reader *reader, uint32_t size_max)
{
    return take(reader, get_up_to(reader, 4, size_max));
}

static const char *get_text(struct reader *reader)
{
    uint32_t size = get_up_to(reader, 2, TEXT_ABSENT);
    if (reader->is_wrong || size == TEXT_ABSENT)
        return NULL;
    struct cm_bytes text = take(reader, (size_t)size + 1);
    if (text.size == 0 || memchr(text.data, '\0', text.size) != text.data + size) {
        reader->is_wrong = true;
        return NULL;
    }
    return (const char *)text.data;
}

static const char *get_line(struct reader *reader, size_t size_max)
{
    const char *text = get_text(reader);
    if (text && !is_line(text, size_max))
        reader->is_wrong = true;
    return reader->is_wrong ? NULL : text;
}

static bool is_at_end(const struct reader *reader)
{
    return !reader->is_wrong && reader->left.size == 0;
}

/* ------------------------------------------------------------------ frames -- */

/* Returns where the frame begins, for end_frame. */
static size_t begin_frame(struct cm_buffer *out, enum cm_wire_kind kind, uint64_t id)
{
    size_t begin = out->size;
    put(out, 0, 4);
    put(out, CM_WIRE_VERSION, 2);
    put(out, kind, 2);
    put(out, id, 8);
    return begin;
}

static void end_frame(struct cm_buffer *out, size_t begin)
{
    size_t size = out->size - begin - CM_WIRE_HEAD_SIZE;
    assert(size <= CM_WIRE_BODY_SIZE_MAX);
    store(out->data + begin, size, 4);
}

enum cm_wire_found cm_wire_next(struct cm_bytes bytes, struct cm_wire_frame *ret_frame,
                                size_t *ret_size)
{
    *ret_size = CM_WIRE_HEAD_SIZE;
    if (bytes.size < CM_WIRE_HEAD_SIZE)
        return CM_WIRE_PART;
    uint64_t size = load(bytes.data, 4);
    uint64_t kind = load(bytes.data + 6, 2);
    if (size > CM_WIRE_BODY_SIZE_MAX || load(bytes.data + 4, 2) != CM_WIRE_VERSION || kind == 0
        || kind >= CM_WIRE_KIND_END)
        return CM_WIRE_GARBAGE;
    *ret_size += (size_t)size;
    if (bytes.size < *ret_size)
        return CM_WIRE_PART;
    *ret_frame =
        (struct cm_wire_frame){ .kind = (enum cm_wire_kind)kind,
                                .id = load(bytes.data + 8, 8),
                                .body = cm_bytes(bytes.data + CM_WIRE_HEAD_SIZE, (size_t)size) };
    return CM_WIRE_WHOLE;
}

void cm_wire_write_bare(struct cm_buffer *out, enum cm_wire_kind kind, uint64_t id)
{
    end_frame(out, begin_frame(out, kind, id));
}

/* ------------------------------------------------------------------ life -- */

void cm_wire_write_hello(struct cm_buffer *out, const struct cm_wire_hello *hello)
{
    size_t begin = begin_frame(out, CM_WIRE_HELLO, 0);
    put_text(out, hello->kind);
    put_text(out, hello->settings.name);
    put_text(out, hello->settings.folder);
    put_text(out, hello->settings.passphrase_ref);
    put_text(out, hello->settings.module);
    put(out, hello->settings.workers_count, 4);
    put_text(out, hello->settings.options);
    put(out, hello->call_deadline_ms, 4);
    put(out, hello->signs_anything, 1);
    end_frame(out, begin);
}

bool cm_wire_read_hello(struct cm_bytes body, struct cm_wire_hello *ret_hello)
{
    struct reader reader = { .left = body };
    struct cm_wire_hello hello = { .kind = get_text(&reader) };
    hello.settings.name = get_text(&reader);
    hello.settings.folder = get_text(&reader);
    hello.settings.passphrase_ref = get_text(&reader);
    hello.settings.module = get_text(&reader);
    hello.settings.workers_count = get_up_to(&reader, 4, 1024);
    hello.settings.options = get_text(&reader);
    hello.call_deadline_ms = (uint32_t)get(&reader, 4);
    hello.signs_anything = get_up_to(&reader, 1, 1) == 1;
    *ret_hello = hello;
    return is_at_end(&reader) && hello.kind && hello.call_deadline_ms > 0;
}

void cm_wire_write_ready(struct cm_buffer *out, const struct cm_wire_ready *ready)
{
    size_t begin = begin_frame(out, CM_WIRE_READY, 0);
    put(out, ready->status, 1);
    put_line(out, ready->text);
    put(out, ready->caps.batch_items_max, 4);
    put(out, ready->caps.batches_in_flight, 4);
    put(out, ready->caps.blocks, 1);
    end_frame(out, begin);
}

bool cm_wire_read_ready(struct cm_bytes body, struct cm_wire_ready *ret_ready)
{
    struct reader reader = { .left = body };
    struct cm_wire_ready ready = { .status = (cm_status)get_up_to(&reader, 1, CM_INVALID) };
    ready.text = get_line(&reader, CM_WIRE_NOTICE_MAX);
    ready.caps.batch_items_max = get_up_to(&reader, 4, CM_WIRE_ITEMS_MAX);
    ready.caps.batches_in_flight = get_up_to(&reader, 4, CM_WIRE_ITEMS_MAX);
    ready.caps.blocks = get_up_to(&reader, 1, 1) == 1;
    *ret_ready = ready;
    return is_at_end(&reader)
           && (ready.status != CM_OK
               || (ready.caps.batch_items_max > 0 && ready.caps.batches_in_flight > 0));
}

/* ------------------------------------------------------------------ keys -- */

static void put_floor(struct cm_buffer *out, const struct cm_floor *floor)
{
    put_bytes(out, floor->issuer_name);
    put(out, floor->lanes, 1);
    put(out, (uint64_t)floor->validity_s_max, 8);
    put(out, floor->allows_no_expiry, 1);
    put(out, (uint64_t)floor->past_s_max, 8);
    put(out, floor->is_responder, 1);
    put(out, (uint64_t)floor->responder_validity_s_max, 8);
    put(out, (uint64_t)floor->crl_validity_s_max, 8);
    put(out, (uint64_t)floor->ocsp_validity_s_max, 8);
    put(out, floor->rate_per_s_max, 4);
    put(out, floor->burst, 4);
}

static void get_floor(struct reader *reader, struct cm_floor *ret_floor)
{
    ret_floor->issuer_name = get_bytes(reader, CM_WIRE_NAME_SIZE_MAX);
    ret_floor->lanes = get_up_to(reader, 1, 2 * CM_LANE_BIT(CM_LANE_AUDIT) - 1);
    ret_floor->validity_s_max = get_seconds(reader);
    ret_floor->allows_no_expiry = get_up_to(reader, 1, 1) == 1;
    ret_floor->past_s_max = get_seconds(reader);
    ret_floor->is_responder = get_up_to(reader, 1, 1) == 1;
    ret_floor->responder_validity_s_max = get_seconds(reader);
    ret_floor->crl_validity_s_max = get_seconds(reader);
    ret_floor->ocsp_validity_s_max = get_seconds(reader);
    ret_floor->rate_per_s_max = (uint32_t)get(reader, 4);
    ret_floor->burst = (uint32_t)get(reader, 4);
}

void cm_wire_write_open_key(struct cm_buffer *out, enum cm_wire_kind kind, uint64_t id,
                            const struct cm_wire_open_key *open_key)
{
    size_t begin = begin_frame(out, kind, id);
    put_text(out, open_key->reference);
    put(out, open_key->alg, 1);
    put(out, open_key->spec.type, 1);
    put(out, open_key->spec.bits, 4);
    put_bytes(out, open_key->spec.transfer_blob);
    put(out, open_key->has_floor, 1);
    if (open_key->has_floor)
        put_floor(out, &open_key->floor);
    end_frame(out, begin);
}

bool cm_wire_read_open_key(struct cm_bytes body, struct cm_wire_open_key *ret_open_key)
{
    struct reader reader = { .left = body };
    struct cm_wire_open_key open_key = { .reference = get_text(&reader) };
    open_key.alg = (enum cm_sigalg)get_up_to(&reader, 1, CM_SIGALG_COUNT - 1);
    open_key.spec.type = (enum cm_key_type)get_up_to(&reader, 1, CM_KEY_TYPE_COUNT - 1);
    open_key.spec.bits = (uint32_t)get(&reader, 4);
    open_key.spec.transfer_blob = get_bytes(&reader, CM_WIRE_BLOB_SIZE_MAX);
    open_key.has_floor = get_up_to(&reader, 1, 1) == 1;
    if (open_key.has_floor)
        get_floor(&reader, &open_key.floor);
    *ret_open_key = open_key;
    return is_at_end(&reader) && open_key.reference;
}

void cm_wire_write_key_opened(struct cm_buffer *out, uint64_t id,
                              const struct cm_wire_key_opened *opened)
{
    size_t begin = begin_frame(out, CM_WIRE_KEY_OPENED, id);
    put(out, opened->status, 1);
    put_line(out, opened->text);
    put(out, opened->key.type, 1);
    put(out, opened->key.bits, 4);
    put(out, opened->key.alg, 1);
    put(out, opened->key.signature_size_max, 4);
    put_bytes(out, opened->key.spki);
    const char *reference = opened->key.reference;
    put_text(out, reference && is_line(reference, CM_WIRE_REFERENCE_MAX) ? reference : NULL);
    end_frame(out, begin);
}

bool cm_wire_read_key_opened(struct cm_bytes body, struct cm_wire_key_opened *ret_opened)
{
    struct reader reader = { .left = body };
    struct cm_wire_key_opened opened = { .status = (cm_status)get_up_to(&reader, 1, CM_CORRUPT) };
    opened.text = get_line(&reader, CM_WIRE_NOTICE_MAX);
    opened.key.type = (enum cm_key_type)get_up_to(&reader, 1, CM_KEY_TYPE_COUNT - 1);
    opened.key.bits = (uint32_t)get(&reader, 4);
    opened.key.alg = (enum cm_sigalg)get_up_to(&reader, 1, CM_SIGALG_COUNT - 1);
    opened.key.signature_size_max = get_up_to(&reader, 4, CM_SIGNATURE_SIZE_MAX);
    opened.key.spki = get_bytes(&reader, CM_WIRE_SPKI_SIZE_MAX);
    opened.key.reference = get_line(&reader, CM_WIRE_REFERENCE_MAX);
    *ret_opened = opened;
    return is_at_end(&reader)
           && (opened.status != CM_OK
               || (opened.key.signature_size_max > 0 && opened.key.spki.size > 0
                   && cm_sigalg_fits(opened.key.alg, opened.key.type)));
}

/* ------------------------------------------------------------------ batches -- */

size_t cm_wire_size_of_sign(const struct cm_sign_batch *batch)
{
    size_t size = CM_WIRE_HEAD_SIZE + SIGN_HEAD_SIZE + (size_t)batch->items_count * SIGN_ROW_SIZE;
    for (uint32_t i = 0; i < batch->items_count; i++)
        size += batch->items[i].message.size;
    return size;
}

void cm_wire_write_sign(struct cm_buffer *out, uint64_t id, uint64_t key_id,
                        const struct cm_sign_batch *batch)
{
    cm_buffer_reserve(out, cm_wire_size_of_sign(batch));
    size_t begin = begin_frame(out, CM_WIRE_SIGN, id);
    put(out, key_id, 8);
    put(out, batch->lane, 1);
    put(out, batch->deadline_ns, 8);
    put(out, batch->items_count, 4);
    for (uint32_t i = 0; i < batch->items_count; i++) {
        const struct cm_sign_item *item = &batch->items[i];
        static const uint8_t none[CM_WIRE_INTENT_SIZE];
        put(out, item->message.size, 4);
        put(out, item->intent_hash != NULL, 1);
        cm_buffer_append(out, item->intent_hash ? item->intent_hash : none, CM_WIRE_INTENT_SIZE);
    }
    for (uint32_t i = 0; i < batch->items_count; i++)
        cm_buffer_append(out, batch->items[i].message.data, batch->items[i].message.size);
    end_frame(out, begin);
}

/* The messages fill the rest to the last byte. */
static bool sizes_add_up(const struct cm_wire_sign *sign)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < sign->items_count; i++) {
        const uint8_t *row = sign->rows.data + (size_t)i * SIGN_ROW_SIZE;
        sum += load(row, 4);
        if (row[4] > 1)
            return false;
    }
    return sum == sign->messages.size;
}

bool cm_wire_read_sign(struct cm_bytes body, struct cm_wire_sign *ret_sign)
{
    struct reader reader = { .left = body };
    struct cm_wire_sign sign = { .key_id = get(&reader, 8) };
    sign.lane = (enum cm_lane)get_up_to(&reader, 1, CM_LANE_AUDIT);
    sign.deadline_ns = get(&reader, 8);
    sign.items_count = get_up_to(&reader, 4, CM_WIRE_ITEMS_MAX);
    sign.rows = take(&reader, (size_t)sign.items_count * SIGN_ROW_SIZE);
    sign.messages = reader.left;
    *ret_sign = sign;
    return !reader.is_wrong && sign.items_count > 0 && sizes_add_up(&sign);
}

void cm_wire_next_item(struct cm_wire_sign *sign, struct cm_bytes *ret_message,
                       const uint8_t **ret_intent_hash)
{
    const uint8_t *row = sign->rows.data;
    size_t size = (size_t)load(row, 4);
    *ret_intent_hash = row[4] ? row + 5 : NULL;
    *ret_message = cm_bytes(sign->messages.data, size);
    sign->rows = cm_bytes_from(sign->rows, SIGN_ROW_SIZE);
    sign->messages = cm_bytes_from(sign->messages, size);
}

void cm_wire_write_signed(struct cm_buffer *out, uint64_t id, const struct cm_sign_item *items,
                          uint32_t items_count, const char *text)
{
    size_t begin = begin_frame(out, CM_WIRE_SIGNED, id);
    put(out, items_count, 4);
    put_text(out, text);
    for (uint32_t i = 0; i < items_count; i++) {
        put(out, items[i].status, 1);
        put(out, items[i].status == CM_OK ? items[i].signature_size : 0, 2);
    }
    for (uint32_t i = 0; i < items_count; i++)
        if (items[i].status == CM_OK)
            cm_buffer_append(out, items[i].signature, items[i].signature_size);
    end_frame(out, begin);
}

static bool signatures_add_up(const struct cm_wire_signed *signed_)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < signed_->items_count; i++) {
        const uint8_t *row = signed_->rows.data + (size_t)i * SIGNED_ROW_SIZE;
        uint64_t size = load(row + 1, 2);
        sum += size;
        /* INVALID is for callers, not for items. */
        if (row[0] >= CM_INVALID || size > CM_SIGNATURE_SIZE_MAX
            || (size == 0) != (row[0] != CM_OK))
            return false;
    }
    return sum == signed_->signatures.size;
}

bool cm_wire_read_signed(struct cm_bytes body, struct cm_wire_signed *ret_signed)
{
    struct reader reader = { .left = body };
    struct cm_wire_signed signed_ = { .items_count = get_up_to(&reader, 4, CM_WIRE_ITEMS_MAX) };
    signed_.text = get_line(&reader, CM_WIRE_NOTICE_MAX);
    signed_.rows = take(&reader, (size_t)signed_.items_count * SIGNED_ROW_SIZE);
    signed_.signatures = reader.left;
    *ret_signed = signed_;
    return !reader.is_wrong && signatures_add_up(&signed_);
}

void cm_wire_next_signature(struct cm_wire_signed *signed_, cm_status *ret_status,
                            struct cm_bytes *ret_signature)
{
    const uint8_t *row = signed_->rows.data;
    size_t size = (size_t)load(row + 1, 2);
    *ret_status = (cm_status)row[0];
    *ret_signature = cm_bytes(signed_->signatures.data, size);
    signed_->rows = cm_bytes_from(signed_->rows, SIGNED_ROW_SIZE);
    signed_->signatures = cm_bytes_from(signed_->signatures, size);
}

/* ------------------------------------------------------------------ what a signer says by itself -- */

void cm_wire_write_notice(struct cm_buffer *out, const char *text)
{
    size_t begin = begin_frame(out, CM_WIRE_NOTICE, 0);
    put_line(out, text);
    end_frame(out, begin);
}

bool cm_wire_read_notice(struct cm_bytes body, const char **ret_text)
{
    struct reader reader = { .left = body };
    *ret_text = get_line(&reader, CM_WIRE_NOTICE_MAX);
    return is_at_end(&reader) && *ret_text;
}

void cm_wire_write_pace(struct cm_buffer *out, const struct cm_provider_pace *pace)
{
    size_t begin = begin_frame(out, CM_WIRE_PACE, 0);
    put(out, pace->rate_per_s, 4);
    put(out, pace->in_flight, 4);
    put(out, pace->waiting, 4);
    put(out, pace->succeeded_count, 8);
    put(out, pace->throttled_count, 8);
    put(out, pace->failed_count, 8);
    put(out, pace->latency_us_median, 4);
    put(out, pace->latency_us_p99, 4);
    put(out, pace->circuits_open, 4);
    end_frame(out, begin);
}

/* More than anyone counts up to, and still a number everywhere (JSON). */
static uint64_t get_count(struct reader *reader)
{
    uint64_t count = get(reader, 8);
    if (count >> 53 != 0)
        reader->is_wrong = true;
    return reader->is_wrong ? 0 : count;
}

bool cm_wire_read_pace(struct cm_bytes body, struct cm_provider_pace *ret_pace)
{
    struct reader reader = { .left = body };
    struct cm_provider_pace pace = { .rate_per_s = (uint32_t)get(&reader, 4) };
    pace.in_flight = (uint32_t)get(&reader, 4);
    pace.waiting = (uint32_t)get(&reader, 4);
    pace.succeeded_count = get_count(&reader);
    pace.throttled_count = get_count(&reader);
    pace.failed_count = get_count(&reader);
    pace.latency_us_median = (uint32_t)get(&reader, 4);
    pace.latency_us_p99 = (uint32_t)get(&reader, 4);
    pace.circuits_open = (uint32_t)get(&reader, 4);
    *ret_pace = pace;
    return is_at_end(&reader);
}

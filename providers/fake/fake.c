#include "providers/fake/fake.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/sha.h>

#include "engine/base/clock.h"
#include "providers/backends.h"
#include "providers/fake/script.h"

enum { HASH_SIZE = SHA256_DIGEST_LENGTH, HELD_MS = 5 };

/* A batch in flight: ours, and the part of it that the wrapped provider signs. */
struct slot {
    struct fake *self;
    struct slot *next_free;
    struct cm_sign_batch *batch;
    struct cm_sign_batch inner;
    bool inner_in_flight, is_held;
    struct cm_sign_item *items;  /* of inner */
    struct cm_sign_item **outer; /* which item of ours each of them is */
    struct cm_fake_step *steps;  /* what is to happen to each of them */
    uint64_t done_not_before_ns;
    struct cm_timer timer;
};

struct fake {
    struct cm_provider head;
    struct cm_provider *inner;
    struct cm_loop *loop;
    struct cm_fake_script script;
    struct slot *slots;
    struct slot *free_slots;
    uint64_t items_taken, batches_taken, submits;
    uint8_t (*witness)[HASH_SIZE];
    size_t witness_count, witness_space;
    int witness_fd;
    bool has_told;
};

/* ------------------------------------------------------------------ witness -- */

static void hash_message(struct cm_bytes message, uint8_t *ret_hash)
{
    if (!SHA256(message.data, message.size, ret_hash))
        abort();
}

/* A test that cannot trust its witness is worth nothing: failing here ends the process. */
static void testify(struct fake *self, struct cm_bytes message)
{
    char line[2 * HASH_SIZE + 1];
    if (self->witness_count == self->witness_space) {
        self->witness_space = self->witness_space ? 2 * self->witness_space : 1024;
        self->witness = realloc(self->witness, self->witness_space * HASH_SIZE);
        if (!self->witness)
            abort();
    }
    uint8_t *hash = self->witness[self->witness_count++];
    hash_message(message, hash);
    if (self->witness_fd < 0)
        return;
    cm_hex_encode(cm_bytes(hash, HASH_SIZE), line);
    line[sizeof line - 1] = '\n';
    if (write(self->witness_fd, line, sizeof line) != (ssize_t)sizeof line)
        abort();
}

size_t cm_fake_signatures_count(const struct cm_provider *provider)
{
    return ((const struct fake *)provider)->witness_count;
}

size_t cm_fake_signatures_count_of(const struct cm_provider *provider, struct cm_bytes message)
{
    const struct fake *self = (const struct fake *)provider;
    uint8_t hash[HASH_SIZE];
    size_t count = 0;
    hash_message(message, hash);
    for (size_t i = 0; i < self->witness_count; i++)
        count += memcmp(self->witness[i], hash, HASH_SIZE) == 0;
    return count;
}

/* ------------------------------------------------------------------ signing -- */

static void finish(void *arg)
{
    struct slot *slot = arg;
    struct fake *self = slot->self;
    struct cm_sign_batch *batch = slot->batch;
    slot->batch = NULL;
    slot->next_free = self->free_slots;
    self->free_slots = slot;
    cm_provider_batch_done(&self->head, batch);
}

static void finish_in_time(struct slot *slot)
{
    uint64_t now_ns = cm_clock_monotonic_ns();
    if (now_ns >= slot->done_not_before_ns) {
        finish(slot);
        return;
    }
    /* One more, because timers count whole milliseconds and the promise is "not before". */
    uint64_t wait_ms = (slot->done_not_before_ns - now_ns) / CM_NS_PER_MS + 1;
    cm_timer_start(&slot->timer, slot->self->loop, (uint32_t)wait_ms, finish, slot);
}

static void spoil(struct cm_sign_item *item, const struct cm_fake_step *step)
{
    switch (step->fault) {
    case CM_FAULT_STATUS:
        memset(item->signature, 0, item->signature_size);
        item->signature_size = 0;
        item->status = step->status;
        break;
    case CM_FAULT_WRONG:
        item->signature[item->signature_size - 1] ^= 1;
        break;
    case CM_FAULT_SHORT:
        item->signature_size--;
        break;
    case CM_FAULT_NONE:
    case CM_FAULT_DELAY:
    case CM_FAULT_BUSY:
        break;
    }
}

static bool is_there(const char *path)
{
    return path && access(path, F_OK) == 0;
}

static void tell(struct fake *self)
{
    for (uint32_t i = 0; !self->has_told && i < self->script.notices_count; i++)
        cm_provider_tell(&self->head, CM_PROVIDER_NOTICE, "the fake\nhas notice %u to tell", i);
    self->has_told = true;
}

static void on_inner_done(struct cm_sign_batch *inner, void *arg)
{
    struct slot *slot = arg;
    slot->inner_in_flight = false;
    tell(slot->self);
    if (is_there(slot->self->script.loses_path))
        for (uint32_t i = 0; i < inner->items_count; i++)
            slot->steps[i] =
                (struct cm_fake_step){ .fault = CM_FAULT_STATUS, .status = CM_UNCERTAIN };
    for (uint32_t i = 0; i < inner->items_count; i++) {
        struct cm_sign_item *item = slot->outer[i];
        item->status = inner->items[i].status;
        item->signature_size = inner->items[i].signature_size;
        if (item->status != CM_OK)
            continue;
        testify(slot->self, item->message);
        spoil(item, &slot->steps[i]);
    }
    finish_in_time(slot);
}

/* What the script does not answer by itself goes into the inner batch. */
static void divide(struct slot *slot, struct cm_sign_batch *batch, uint64_t first_number)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < batch->items_count; i++) {
        struct cm_sign_item *item = &batch->items[i];
        struct cm_fake_step step = cm_fake_script_item(&slot->self->script, first_number + i);
        if (step.fault == CM_FAULT_STATUS && step.status != CM_UNCERTAIN) {
            item->status = step.status;
            item->signature_size = 0;
            continue;
        }
        slot->items[count] = *item;
        slot->outer[count] = item;
        slot->steps[count++] = step;
    }
    slot->inner = (struct cm_sign_batch){ .key = batch->key->backend,
                                          .items = slot->items,
                                          .items_count = count,
                                          .deadline_ns = batch->deadline_ns,
                                          .done = on_inner_done,
                                          .done_arg = slot };
}

static cm_status begin_inner(struct slot *slot, struct cm_error *err)
{
    cm_status status = slot->inner.items_count > 0
                           ? cm_provider_sign(slot->self->inner, &slot->inner, err)
                           : CM_OK;
    slot->inner_in_flight = status == CM_OK && slot->inner.items_count > 0;
    return status;
}

/* Until the file is gone, or the batch is not wanted any more. */
static void look_at_held(void *arg)
{
    struct slot *slot = arg;
    const struct cm_sign_batch *batch = slot->batch;
    struct cm_error err = { .status = CM_CANCELLED };
    bool is_overdue = batch->deadline_ns > 0 && cm_clock_monotonic_ns() >= batch->deadline_ns;
    if (!batch->cancelled && !is_overdue) {
        if (is_there(slot->self->script.holds_path)) {
            cm_timer_start(&slot->timer, slot->self->loop, HELD_MS, look_at_held, slot);
            return;
        }
        slot->is_held = false;
        if (begin_inner(slot, &err) == CM_OK) {
            if (!slot->inner_in_flight)
                finish_in_time(slot);
            return;
        }
    }
    slot->is_held = false;
    for (uint32_t i = 0; i < slot->inner.items_count; i++) {
        slot->outer[i]->status = is_overdue ? CM_EXPIRED : err.status;
        slot->outer[i]->signature_size = 0;
    }
    finish(slot);
}

static cm_status sign(struct cm_provider *provider, struct cm_sign_batch *batch,
                      struct cm_error *err)
{
    struct fake *self = (struct fake *)provider;
    struct slot *slot = self->free_slots;
    uint64_t submit = self->submits++;
    if (self->items_taken >= self->script.dies_at)
        return CM_FAIL(err, CM_UNAVAILABLE, CM_ORIGIN_SELF, 0, "the fake provider is dead");
    if (is_there(self->script.away_path))
        return CM_FAIL(err, CM_UNAVAILABLE, CM_ORIGIN_SELF, 0, "the fake provider is away");
    if (!slot || (provider->batches_in_flight > 0 && cm_fake_script_is_busy(&self->script, submit)))
        return CM_FAIL(err, CM_BUSY, CM_ORIGIN_SELF, 0, "the fake provider is busy");
    divide(slot, batch, self->items_taken);
    slot->is_held = is_there(self->script.holds_path);
    slot->inner_in_flight = false;
    cm_status status = slot->is_held ? CM_OK : begin_inner(slot, err);
    if (status != CM_OK)
        return status;
    self->free_slots = slot->next_free;
    self->items_taken += batch->items_count;
    slot->batch = batch;
    batch->backend = slot;
    slot->done_not_before_ns =
        cm_clock_monotonic_ns()
        + cm_fake_script_delay_ms(&self->script, self->batches_taken++) * CM_NS_PER_MS;
    if (slot->is_held)
        cm_timer_start(&slot->timer, self->loop, HELD_MS, look_at_held, slot);
    else if (!slot->inner_in_flight)
        finish_in_time(slot);
    return CM_OK;
}

static void get_pace(const struct cm_provider *provider, struct cm_provider_pace *ret_pace)
{
    const struct fake *self = (const struct fake *)provider;
    if (self->script.rate_per_s == 0)
        return;
    ret_pace->circuits_open = is_there(self->script.circuit_path);
    ret_pace->rate_per_s = ret_pace->circuits_open ? 0 : self->script.rate_per_s;
    ret_pace->succeeded_count = self->witness_count;
    ret_pace->latency_us_median = 20400;
    ret_pace->latency_us_p99 = 80600;
}

static void cancel(struct cm_provider *provider, struct cm_sign_batch *batch)
{
    struct slot *slot = batch->backend;
    if (slot->batch == batch && slot->inner_in_flight)
        cm_provider_cancel(((struct fake *)provider)->inner, &slot->inner);
}

/* ------------------------------------------------------------------ keys -- */

/* Ours, made by the inner key: its reference, where there is one, is owned. */
static struct cm_key *wrap(struct fake *self, struct cm_key *inner, const char *reference)
{
    struct cm_key *key = malloc(sizeof *key);
    char path[PATH_MAX], pinned[PATH_MAX + 8];
    if (!key)
        abort();
    *key = *inner;
    key->reference = NULL;
    key->provider = &self->head;
    key->backend = inner;
    if (self->script.pins && realpath(reference + strlen("file:"), path)) {
        snprintf(pinned, sizeof pinned, "file:%s", path);
        key->reference = strdup(pinned);
        if (!key->reference)
            abort();
    }
    return key;
}

struct opening {
    struct fake *self;
    char *reference;
    cm_key_opened_fn *opened;
    void *arg;
    struct cm_task refusal;
};

static void on_inner_opened(cm_status status, struct cm_key *inner, const struct cm_error *err,
                            void *arg)
{
    struct opening opening = *(struct opening *)arg;
    struct cm_key *key = NULL;
    free(arg);
    if (inner)
        key = wrap(opening.self, inner, opening.reference);
    free(opening.reference);
    opening.opened(status, key, err, opening.arg);
}

static void refuse_opening(void *arg)
{
    struct opening opening = *(struct opening *)arg;
    struct cm_error err;
    free(arg);
    free(opening.reference);
    cm_status status =
        CM_FAIL(&err, CM_UNAVAILABLE, CM_ORIGIN_SELF, 0, "the fake provider is dead");
    opening.opened(status, NULL, &err, opening.arg);
}

/* NULL: it is dead, and the refusal is on its way. */
static struct opening *begin_opening(struct fake *self, const char *reference,
                                     cm_key_opened_fn *opened, void *arg)
{
    struct opening *opening = calloc(1, sizeof *opening);
    if (!opening)
        abort();
    *opening = (struct opening){
        .self = self, .reference = strdup(reference), .opened = opened, .arg = arg
    };
    if (!opening->reference)
        abort();
    if (self->items_taken < self->script.dies_at)
        return opening;
    opening->refusal = (struct cm_task){ .run = refuse_opening, .arg = opening };
    cm_loop_post(self->loop, &opening->refusal);
    return NULL;
}

static void open_key(struct cm_provider *provider, const char *reference, enum cm_sigalg alg,
                     cm_key_opened_fn *opened, void *arg)
{
    struct fake *self = (struct fake *)provider;
    struct opening *opening = begin_opening(self, reference, opened, arg);
    if (opening)
        cm_provider_open_key(self->inner, reference, alg, on_inner_opened, opening);
}

static void create_key(struct cm_provider *provider, const char *reference,
                       const struct cm_key_spec *spec, enum cm_sigalg alg, cm_key_opened_fn *opened,
                       void *arg)
{
    struct fake *self = (struct fake *)provider;
    struct opening *opening = begin_opening(self, reference, opened, arg);
    if (opening)
        cm_provider_create_key(self->inner, reference, spec, alg, on_inner_opened, opening);
}

struct destruction {
    struct cm_key *key;
    cm_key_destroyed_fn *destroyed;
    void *arg;
};

static void on_inner_destroyed(cm_status status, const struct cm_error *err, void *arg)
{
    struct destruction destruction = *(struct destruction *)arg;
    free(arg);
    if (status == CM_OK)
        destruction.key->backend = NULL; /* closed with it */
    destruction.destroyed(status, err, destruction.arg);
}

static void destroy_key(struct cm_key *key, cm_key_destroyed_fn *destroyed, void *arg)
{
    struct destruction *destruction = malloc(sizeof *destruction);
    if (!destruction)
        abort();
    *destruction = (struct destruction){ key, destroyed, arg };
    cm_provider_destroy_key(key->backend, on_inner_destroyed, destruction);
}

static void close_key(struct cm_key *key)
{
    cm_provider_close_key(key->backend);
    free((void *)(uintptr_t)key->reference);
    free(key);
}

/* ------------------------------------------------------------------ life -- */

static void close_provider(struct cm_provider *provider)
{
    struct fake *self = (struct fake *)provider;
    for (uint32_t i = 0; self->slots && i < self->head.caps.batches_in_flight; i++) {
        cm_timer_done(&self->slots[i].timer);
        free(self->slots[i].items);
        free(self->slots[i].outer);
        free(self->slots[i].steps);
    }
    cm_provider_close(self->inner);
    cm_fake_script_done(&self->script);
    if (self->witness_fd >= 0)
        close(self->witness_fd);
    free(self->witness);
    free(self->slots);
    free(self);
}

static uint32_t smaller(uint32_t wanted, uint32_t limit)
{
    return wanted != 0 && wanted < limit ? wanted : limit;
}

static void make_slots(struct fake *self)
{
    struct cm_provider_caps *caps = &self->head.caps;
    *caps = cm_provider_caps(self->inner);
    caps->batch_items_max = smaller(self->script.items_max, caps->batch_items_max);
    caps->batch_octets_max = self->script.octets_max;
    caps->batches_in_flight = smaller(self->script.in_flight, caps->batches_in_flight);
    self->slots = calloc(caps->batches_in_flight, sizeof *self->slots);
    if (!self->slots)
        abort();
    for (uint32_t i = 0; i < caps->batches_in_flight; i++) {
        struct slot *slot = &self->slots[i];
        slot->self = self;
        slot->items = calloc(caps->batch_items_max, sizeof *slot->items);
        slot->outer = calloc(caps->batch_items_max, sizeof(struct cm_sign_item *));
        slot->steps = calloc(caps->batch_items_max, sizeof *slot->steps);
        if (!slot->items || !slot->outer || !slot->steps)
            abort();
        slot->next_free = self->free_slots;
        self->free_slots = slot;
    }
}

static cm_status open_witness(struct fake *self, struct cm_error *err)
{
    const char *path = self->script.witness_path;
    if (!path)
        return CM_OK;
    self->witness_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (self->witness_fd < 0)
        return CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_OS, errno, "open witness %s", path);
    return CM_OK;
}

/* Its file is for deployments, whose settings hold no options. */
static cm_status read_script(struct fake *self, const struct cm_provider_settings *settings,
                             struct cm_error *err)
{
    char path[PATH_MAX], text[1000] = "";
    if (settings->options || !settings->folder)
        return cm_fake_script_read(settings->options, &self->script, err);
    snprintf(path, sizeof path, "%s/fake-script", settings->folder);
    FILE *file = fopen(path, "re");
    if (file) {
        text[fread(text, 1, sizeof text - 1, file)] = '\0';
        text[strcspn(text, "\n")] = '\0';
        fclose(file);
    }
    return cm_fake_script_read(text, &self->script, err);
}

static cm_status open_provider(struct cm_loop *loop, const struct cm_provider_settings *settings,
                               struct cm_provider **ret_provider, struct cm_error *err)
{
    struct cm_provider_settings inner = *settings;
    struct fake *self = calloc(1, sizeof *self);
    if (!self)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for a provider");
    self->loop = loop;
    self->witness_fd = -1;
    inner.options = NULL;
    cm_status status = read_script(self, settings, err);
    if (status == CM_OK)
        status = open_witness(self, err);
    if (status == CM_OK)
        status = cm_provider_open(&cm_provider_openssl, loop, &inner, &self->inner, err);
    if (status != CM_OK) {
        close_provider(&self->head);
        return status;
    }
    make_slots(self);
    *ret_provider = &self->head;
    return CM_OK;
}

const struct cm_provider_ops cm_provider_fake = {
    .name = "fake",
    .open = open_provider,
    .close = close_provider,
    .open_key = open_key,
    .close_key = close_key,
    .create_key = create_key,
    .destroy_key = destroy_key,
    .sign = sign,
    .cancel = cancel,
    .pace = get_pace,
};

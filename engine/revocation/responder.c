#include "engine/revocation/responder_parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/clock.h"

enum { LOOK_MS = 1000, MAKING_ARENA_SIZE = 8192 };

/* At most 8 s, as of the publisher. */
enum { RETRY_MS_MIN = 250, RETRY_SHIFT_MAX = 5 };

void cm_responder_tell(const struct cm_responders *responders, const char *format, ...)
{
    char text[CM_ERROR_TEXT_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (responders->env.on_notice)
        responders->env.on_notice(text, responders->env.arg);
}

int64_t cm_responder_time_ms(const struct cm_responders *responders)
{
    const struct cm_responders_env *env = &responders->env;
    return env->time_ms ? env->time_ms(env->arg) : cm_clock_wall_ms();
}

bool cm_responder_is_revoked(const struct cm_responder_slot *slot, struct cm_bytes serial)
{
    const struct cm_book *book = slot->responders->env.book;
    struct cm_book_found ignored;
    return book && cm_book_find(book, slot->issuer->generation_number, serial, &ignored);
}

/* ------------------------------------------------------------------ steps -- */

void cm_responder_begin(struct cm_responder_slot *slot)
{
    slot->is_busy = true;
    slot->responders->busy_count++;
}

static void on_timer(void *arg)
{
    cm_responders_look(arg);
}

/* What comes next is looked for on a later turn. */
static void end(struct cm_responder_slot *slot)
{
    struct cm_responders *responders = slot->responders;
    slot->is_busy = false;
    responders->busy_count--;
    if (!responders->is_stopped)
        cm_timer_start(&responders->timer, responders->env.loop, 0, on_timer, responders);
    else if (responders->busy_count == 0 && responders->env.on_idle)
        responders->env.on_idle(responders->env.arg);
}

void cm_responder_done(struct cm_responder_slot *slot)
{
    slot->failures_count = 0;
    end(slot);
}

/* Told the first time, and then less and less often. */
void cm_responder_failed(struct cm_responder_slot *slot, const struct cm_error *err)
{
    unsigned count = ++slot->failures_count;
    slot->retry_ns = cm_clock_monotonic_ns()
                     + CM_NS_PER_MS * cm_clock_backoff_ms(RETRY_MS_MIN, count - 1, RETRY_SHIFT_MAX);
    if ((count & (count - 1)) == 0)
        cm_responder_tell(slot->responders, "%s the OCSP responder of %s, trying again: %s",
                          slot->in_use ? "renewing" : "no OCSP responses yet from",
                          slot->issuer->name, err->text);
    end(slot);
}

/* ------------------------------------------------------------------ what is in use -- */

static struct cm_responder_use *new_use(struct cm_responder_slot *slot, struct cm_key *key)
{
    const struct cm_issuer *issuer = &slot->issuer->issuer;
    struct cm_responder_use *use = calloc(1, sizeof *use);
    struct cm_ocsp_issuer_hashes own;
    if (!use)
        abort();
    use->responder.generation_number = slot->issuer->generation_number;
    use->responder.key = key;
    use->responder.not_after_s = issuer->not_after_s;
    use->renew_s = INT64_MAX;
    /* Both keys have proved to be some. */
    if (!cm_ocsp_hash_issuer(issuer->name, issuer->spki, &use->responder.issuer)
        || !cm_ocsp_hash_issuer(issuer->name, key->spki, &own))
        abort();
    memcpy(use->responder.key_hash, own.key_sha1, sizeof use->responder.key_hash);
    return use;
}

static void put_in_use(struct cm_responder_slot *slot, struct cm_responder_use *use)
{
    const struct cm_responders_env *env = &slot->responders->env;
    use->before = slot->in_use;
    slot->in_use = use;
    if (env->on_changed)
        env->on_changed(use->responder.generation_number, env->arg);
}

cm_status cm_responder_use(struct cm_responder_slot *slot, struct cm_bytes certificate,
                           struct cm_error *err)
{
    struct cm_certificate read;
    struct cm_bytes copy = cm_bytes_copy(certificate);
    cm_status status = cm_certificate_read(copy, &read, err);
    if (status != CM_OK) {
        free((void *)(uintptr_t)copy.data);
        return status;
    }
    struct cm_responder_use *use = new_use(slot, slot->key);
    use->responder.certificate = copy;
    use->serial = read.serial;
    use->responder.not_after_s = read.not_after_s;
    /* One that ends with its issuer has no longer-lived successor. */
    if (read.not_after_s < slot->issuer->issuer.not_after_s)
        use->renew_s = cm_responder_half_life_s(&read);
    put_in_use(slot, use);
    return CM_OK;
}

const struct cm_responder *cm_responders_find(const struct cm_responders *responders,
                                              int64_t generation_number)
{
    int64_t now_s = cm_clock_wall_s();
    for (uint32_t i = 0; i < responders->slots_count; i++) {
        const struct cm_responder_use *use = responders->slots[i].in_use;
        if (use && use->responder.generation_number == generation_number)
            return now_s <= use->responder.not_after_s ? &use->responder : NULL;
    }
    return NULL;
}

/* ------------------------------------------------------------------ what is due -- */

/* What was begun is carried through, though it may no longer be needed: a promise does not stay open. */
static bool is_due(const struct cm_responder_slot *slot, int64_t now_s)
{
    return slot->making.is_promised || !slot->in_use || now_s >= slot->in_use->renew_s
           || cm_responder_is_revoked(slot, slot->in_use->serial);
}

/* A failure to read is no reason to issue: the next look reads again. */
static void look_for_one(struct cm_responder_slot *slot)
{
    struct cm_error err;
    cm_status status = cm_responder_find(slot, &err);
    cm_responder_begin(slot);
    slot->was_looked_for = status == CM_OK;
    if (status == CM_OK)
        cm_responder_done(slot);
    else
        cm_responder_failed(slot, &err);
}

static void look_at_delegated(struct cm_responder_slot *slot, int64_t now_ms)
{
    if (cm_clock_monotonic_ns() < slot->retry_ns)
        return;
    if (!slot->key)
        cm_responder_open_key(slot);
    else if (now_ms < 0)
        return; /* what is valid now is not known */
    else if (!slot->was_looked_for)
        look_for_one(slot);
    else if (slot->issuer->key && is_due(slot, now_ms / 1000))
        cm_responder_issue(slot);
}

/* A compromised key certifies nothing more, nobody to sign for it either: it signs itself that all is revoked. */
static bool is_delegated(const struct cm_responder_slot *slot)
{
    return slot->is_delegated && slot->issuer->state != CM_GENERATION_COMPROMISED;
}

static bool signs_itself(const struct cm_responder_slot *slot)
{
    return slot->in_use && slot->in_use->serial.size == 0;
}

static void look_at(struct cm_responder_slot *slot, int64_t now_ms)
{
    if (slot->is_busy || slot->issuer->is_over
        || cm_issuer_has_ended(slot->issuer, cm_clock_wall_s()))
        return;
    if (is_delegated(slot))
        look_at_delegated(slot, now_ms);
    else if (slot->issuer->key && !signs_itself(slot))
        put_in_use(slot, new_use(slot, slot->issuer->key));
}

/* Sooner than usual where something is to be tried again. */
static uint32_t next_look_ms(const struct cm_responders *responders)
{
    uint64_t now_ns = cm_clock_monotonic_ns(), wait_ns = LOOK_MS * CM_NS_PER_MS;
    for (uint32_t i = 0; i < responders->slots_count; i++) {
        uint64_t retry_ns = responders->slots[i].retry_ns;
        if (retry_ns > now_ns && retry_ns - now_ns < wait_ns)
            wait_ns = retry_ns - now_ns;
    }
    return (uint32_t)(wait_ns / CM_NS_PER_MS) + 1;
}

void cm_responders_look(struct cm_responders *responders)
{
    int64_t now_ms = cm_responder_time_ms(responders);
    if (responders->is_stopped)
        return;
    cm_timer_start(&responders->timer, responders->env.loop, next_look_ms(responders), on_timer,
                   responders);
    for (uint32_t i = 0; i < responders->slots_count; i++)
        look_at(&responders->slots[i], now_ms);
}

/* ------------------------------------------------------------------ life -- */

void cm_responders_add(struct cm_responders *responders, const struct cm_issuer_key *issuer)
{
    struct cm_responder_slot *slot = &responders->slots[responders->slots_count++];
    slot->responders = responders;
    slot->issuer = issuer;
    slot->is_delegated = issuer->authority->ocsp_responder != NULL;
    snprintf(slot->device, sizeof slot->device, "ocsp-responder/%s", issuer->name);
    cm_arena_init(&slot->making.arena, MAKING_ARENA_SIZE);
    cm_timer_start(&responders->timer, responders->env.loop, 0, on_timer, responders);
}

cm_status cm_responders_open(const struct cm_responders_env *env,
                             struct cm_responders **ret_responders, struct cm_error *err)
{
    struct cm_responders *responders = calloc(1, sizeof *responders);
    if (responders)
        responders->slots = calloc(CM_ISSUERS_MAX, sizeof *responders->slots);
    if (!responders || !responders->slots) {
        free(responders);
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for responders");
    }
    responders->env = *env;
    for (uint32_t i = 0; i < env->issuers->keys_count; i++)
        cm_responders_add(responders, &env->issuers->keys[i]);
    cm_timer_start(&responders->timer, env->loop, 0, on_timer, responders);
    *ret_responders = responders;
    return CM_OK;
}

void cm_responders_stop(struct cm_responders *responders)
{
    if (!responders)
        return;
    responders->is_stopped = true;
    cm_timer_stop(&responders->timer);
}

bool cm_responders_are_idle(const struct cm_responders *responders)
{
    return !responders || responders->busy_count == 0;
}

static void close_slot(struct cm_responder_slot *slot)
{
    while (slot->in_use) {
        struct cm_responder_use *use = slot->in_use;
        slot->in_use = use->before;
        free((void *)(uintptr_t)use->responder.certificate.data);
        free(use);
    }
    if (slot->key)
        cm_provider_close_key(slot->key);
    cm_template_free(slot->template);
    cm_arena_done(&slot->making.arena);
    free(slot->reference);
}

void cm_responders_close(struct cm_responders *responders)
{
    if (!responders)
        return;
    cm_timer_done(&responders->timer);
    for (uint32_t i = 0; i < responders->slots_count; i++)
        close_slot(&responders->slots[i]);
    free(responders->slots);
    free(responders);
}

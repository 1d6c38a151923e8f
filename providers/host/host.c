#include "providers/host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "providers/host/internal.h"

#define CALL_DEADLINE_MS 10000u

/* ------------------------------------------------------------------ what the signer says -- */

/*
 * A signer may take less than the one before: its processors were reduced, its program replaced.
 * Fewer batches only take longer. False: it does not take batches of the size that callers make, and
 * is given up with what complaint says.
 */
static bool take_caps(struct cm_host *host, const struct cm_provider_caps *ready)
{
    struct cm_provider_caps *caps = &host->head.caps;
    if (ready->batch_items_max < caps->batch_items_max) {
        snprintf(
            host->complaint, sizeof host->complaint,
            "it takes batches of %u items, the first one took %u: give it back what it had, or "
            "restart the engine, which then makes smaller ones",
            ready->batch_items_max, caps->batch_items_max);
        return false;
    }
    caps->batches_in_flight = ready->batches_in_flight < host->batches_count
                                  ? ready->batches_in_flight
                                  : host->batches_count;
    return true;
}

static bool on_ready(struct cm_host *host, const struct cm_wire_frame *frame)
{
    if (host->is_answered || !cm_wire_read_ready(frame->body, &host->ready))
        return false;
    if (host->is_open && host->ready.status == CM_OK && !take_caps(host, &host->ready.caps))
        return false;
    host->is_answered = true;
    host->ready_text[0] = '\0';
    if (host->ready.text)
        strncat(host->ready_text, host->ready.text, sizeof host->ready_text - 1);
    host->ready.text = host->ready_text;
    cm_supervisor_on_ready(host);
    return true;
}

static void tell_left_out(void *arg)
{
    struct cm_host *host = arg;
    uint64_t count = cm_notices_left_out(&host->notices);
    if (count > 0)
        cm_provider_tell(&host->head, CM_PROVIDER_NOTICE,
                         "signer %s said more: %llu notices left out", host->hello.settings.name,
                         (unsigned long long)count);
}

void cm_host_pass_on(struct cm_host *host, const char *lead, const char *text)
{
    if (cm_notices_take(&host->notices, cm_clock_monotonic_ns()))
        cm_provider_tell(&host->head, CM_PROVIDER_NOTICE, "signer %s%s: %s",
                         host->hello.settings.name, lead, text);
    else if (!cm_timer_is_running(&host->notices_timer))
        cm_timer_start(&host->notices_timer, host->loop, CM_NOTICES_MINUTE_MS, tell_left_out, host);
}

static bool on_notice(struct cm_host *host, const struct cm_wire_frame *frame)
{
    const char *text;
    if (!cm_wire_read_notice(frame->body, &text))
        return false;
    cm_host_pass_on(host, "", text);
    return true;
}

void cm_host_forget(struct cm_host *host)
{
    host->pace = (struct cm_provider_pace){ 0 };
    cm_timer_stop(&host->notices_timer);
    tell_left_out(host);
}

static void get_pace(const struct cm_provider *provider, struct cm_provider_pace *ret_pace)
{
    *ret_pace = ((const struct cm_host *)provider)->pace;
}

static bool on_frame(const struct cm_wire_frame *frame, void *arg)
{
    struct cm_host *host = arg;
    if (frame->kind == CM_WIRE_READY)
        return on_ready(host, frame);
    if (host->phase != CM_HOST_UP)
        return false;
    switch (frame->kind) {
    case CM_WIRE_KEY_OPENED:
        return cm_hosted_on_key_opened(host, frame);
    case CM_WIRE_SIGNED:
        return cm_hosted_on_signed(host, frame);
    case CM_WIRE_NOTICE:
        return on_notice(host, frame);
    case CM_WIRE_PACE:
        return cm_wire_read_pace(frame->body, &host->pace);
    case CM_WIRE_PONG:
        return true; /* it is alive: frames are counted */
    case CM_WIRE_HELLO:
    case CM_WIRE_READY:
    case CM_WIRE_OPEN_KEY:
    case CM_WIRE_CREATE_KEY:
    case CM_WIRE_CLOSE_KEY:
    case CM_WIRE_SIGN:
    case CM_WIRE_CANCEL:
    case CM_WIRE_PING:
    case CM_WIRE_KIND_END:
        break;
    }
    return false;
}

static void on_end(bool is_garbage, void *arg)
{
    struct cm_host *host = arg;
    const char *why = host->complaint[0] ? host->complaint : "what it says is no answer";
    cm_supervisor_give_up(host, is_garbage ? why : NULL);
    host->complaint[0] = '\0';
}

/* ------------------------------------------------------------------ life -- */

static char *copy(const char *text)
{
    char *copied = text ? strdup(text) : NULL;
    if (text && !copied)
        abort();
    return copied;
}

static void copy_settings(struct cm_host *host, const struct cm_provider_settings *from)
{
    struct cm_wire_hello *hello = &host->hello;
    *hello = (struct cm_wire_hello){
        .kind = copy(from->host->kind),
        .settings = { .name = copy(from->name ? from->name : from->host->kind),
                      .folder = copy(from->folder),
                      .passphrase_ref = copy(from->passphrase_ref),
                      .module = copy(from->module),
                      .workers_count = from->workers_count,
                      .options = copy(from->options) },
        .call_deadline_ms =
            from->host->call_deadline_ms ? from->host->call_deadline_ms : CALL_DEADLINE_MS,
        .signs_anything = from->host->signs_anything,
    };
    host->program = copy(from->host->program);
}

static void free_text(const char *text)
{
    free((void *)(uintptr_t)text);
}

static void free_host(struct cm_host *host)
{
    cm_timer_done(&host->notices_timer);
    while (host->floors) {
        struct cm_hosted_floor *floor = host->floors;
        host->floors = floor->next;
        free((void *)(uintptr_t)floor->floor.issuer_name.data);
        free(floor->reference);
        free(floor);
    }
    free_text(host->hello.kind);
    free_text(host->hello.settings.name);
    free_text(host->hello.settings.folder);
    free_text(host->hello.settings.passphrase_ref);
    free_text(host->hello.settings.module);
    free_text(host->hello.settings.options);
    free(host->program);
    free(host->batches);
    free(host);
}

static cm_status open_host(struct cm_loop *loop, const struct cm_provider_settings *settings,
                           struct cm_provider **ret_provider, struct cm_error *err)
{
    struct cm_host *host = calloc(1, sizeof *host);
    if (!host)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for a provider");
    host->loop = loop;
    host->channel =
        (struct cm_channel){ .fd = -1, .on_frame = on_frame, .on_end = on_end, .arg = host };
    copy_settings(host, settings);
    cm_status status = cm_supervisor_open(host, err);
    if (status != CM_OK) {
        cm_supervisor_close(host);
        free_host(host);
        return status;
    }
    host->head.caps = host->ready.caps;
    host->head.caps.batch_octets_max = CM_WIRE_BODY_SIZE_MAX;
    host->batches_count = host->head.caps.batches_in_flight;
    host->batches = calloc(host->batches_count, sizeof *host->batches);
    if (!host->batches)
        abort();
    *ret_provider = &host->head;
    return CM_OK;
}

static void close_host(struct cm_provider *provider)
{
    struct cm_host *host = (struct cm_host *)provider;
    cm_supervisor_close(host);
    cm_hosted_keys_done(host);
    free_host(host);
}

/* ------------------------------------------------------------------ floors -- */

void cm_host_bind(struct cm_provider *provider, const char *reference, const struct cm_floor *floor)
{
    struct cm_host *host = (struct cm_host *)provider;
    if (provider->ops->close != close_host)
        return;
    struct cm_hosted_floor *added = calloc(1, sizeof *added);
    if (!added)
        abort();
    *added = (struct cm_hosted_floor){ .next = host->floors,
                                       .reference = copy(reference),
                                       .floor = *floor };
    added->floor.issuer_name = cm_bytes_copy(floor->issuer_name);
    host->floors = added; /* the latest counts */
}

const struct cm_provider_ops cm_provider_hosted = {
    .name = "hosted",
    .open = open_host,
    .close = close_host,
    .open_key = cm_hosted_open_key,
    .close_key = cm_hosted_close_key,
    .create_key = cm_hosted_create_key,
    .sign = cm_hosted_sign,
    .cancel = cm_hosted_cancel,
    .pace = get_pace,
};

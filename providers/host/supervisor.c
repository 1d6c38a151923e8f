/*
 * One timer drives it: while a process is there it is looked at so many times a deadline (has it
 * said anything? else it is asked to); while one is ending, until it is collected; else it is the
 * wait for the next start.
 *
 * Looks are counted, not the time between them: an engine that was stopped itself, and finds the
 * clock far ahead, must not take that for a signer's silence.
 */
#include "providers/host/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "engine/base/clock.h"

enum {
    LOOKS = 10,             /* in a deadline */
    STARTING_DEADLINES = 3, /* as on the signer's side: several calls */
    COLLECT_MS = 1,         /* between looks at a process that is ending */
    COLLECT_LOOKS = 100,    /* before it is killed */
    WAIT_MS_MIN = 100,      /* before the second start in a row */
    WAIT_MS_MAX = 1600,     /* with what chance adds, below two seconds */
    STEADY_MS = 2000,       /* a signer that lived so long was no failure */
    CLOSING_PATIENCE_MS = 3000
};

static void begin_start(void *arg);

/* Until a signer has opened its key store, and somebody has typed what it asks for. */
static uint64_t starting_ms(const struct cm_host *host)
{
    return (uint64_t)STARTING_DEADLINES * host->hello.call_deadline_ms
           + cm_provider_asking_ms(&host->hello.settings);
}

static uint32_t look_ms(const struct cm_host *host)
{
    return host->hello.call_deadline_ms / LOOKS + 1;
}

/* ------------------------------------------------------------------ down -- */

static void set_up(struct cm_host *host, bool is_up)
{
    if (host->head.state.is_up == is_up)
        return; /* another start that came to nothing: since when it is down stays */
    host->head.state.is_up = is_up;
    host->head.state.since_ns = cm_clock_monotonic_ns();
    host->head.state.pid = is_up ? (int32_t)host->process.pid : 0;
}

/* Not before the first failure, then longer and longer; chance keeps many signers apart. */
static uint32_t wait_ms(const struct cm_host *host)
{
    uint32_t wait = WAIT_MS_MIN, chance = 0;
    if (host->failures_count <= 1)
        return 0;
    for (unsigned i = 2; i < host->failures_count && wait < WAIT_MS_MAX; i++)
        wait *= 2;
    if (getrandom(&chance, sizeof chance, GRND_NONBLOCK) < 0)
        chance = 0;
    return wait + chance % (wait / 5);
}

/* In a row, with the present start's; one that lived for long was none. */
static unsigned count_failures(const struct cm_host *host)
{
    uint64_t lived_ms = (cm_clock_monotonic_ns() - host->started_ns) / CM_NS_PER_MS;
    bool was_steady = lived_ms >= STEADY_MS && host->is_answered && host->ready.status == CM_OK;
    return was_steady ? 1 : host->failures_count + 1;
}

static void wait_for_start(struct cm_host *host)
{
    host->phase = CM_HOST_WAITING;
    host->failures_count = count_failures(host);
    cm_timer_start(&host->timer, host->loop, wait_ms(host), begin_start, host);
}

/* The first time, and then less and less often: a signer that cannot start says so itself. */
static void tell_end(struct cm_host *host)
{
    char text[128];
    const char *name = host->hello.settings.name;
    cm_process_describe(&host->process, text, sizeof text);
    if (host->is_answered && host->ready.status != CM_OK) {
        if (cm_host_is_told(++host->refusals_count))
            cm_provider_tell(&host->head, CM_PROVIDER_DOWN, "signer %s does not open: %s", name,
                             host->ready_text);
    } else if (cm_host_is_told(count_failures(host))) {
        cm_provider_tell(&host->head, CM_PROVIDER_DOWN, "signer %s %s; starting another", name,
                         text);
    }
}

static void collect(void *arg)
{
    struct cm_host *host = arg;
    if (!cm_process_has_ended(&host->process)) {
        if (++host->ending_looks == COLLECT_LOOKS)
            cm_process_kill(&host->process);
        cm_timer_start(&host->timer, host->loop, COLLECT_MS, collect, host);
        return;
    }
    tell_end(host);
    wait_for_start(host);
}

void cm_supervisor_give_up(struct cm_host *host, const char *why)
{
    bool was_there = host->phase == CM_HOST_STARTING || host->phase == CM_HOST_UP;
    cm_channel_close(&host->channel);
    if (!host->is_open || !was_there)
        return; /* whoever opens it finds out */
    host->phase = CM_HOST_ENDING;
    host->ending_looks = 0;
    if (host->down_ns == 0)
        host->down_ns = cm_clock_monotonic_ns();
    if (why && cm_host_is_told(count_failures(host)))
        cm_provider_tell(&host->head, CM_PROVIDER_NOTICE, "signer %s: %s; ending it",
                         host->hello.settings.name, why);
    if (why)
        cm_process_kill(&host->process);
    set_up(host, false);
    cm_host_forget(host);
    cm_hosted_batches_lose(host);
    cm_hosted_keys_lose(host);
    cm_timer_start(&host->timer, host->loop, COLLECT_MS, collect, host);
}

/* ------------------------------------------------------------------ up -- */

static void look(void *arg)
{
    struct cm_host *host = arg;
    uint64_t patience = host->phase == CM_HOST_STARTING
                            ? LOOKS * starting_ms(host) / host->hello.call_deadline_ms
                            : LOOKS;
    bool is_silent = host->channel.frames_count == host->frames_seen;
    host->frames_seen = host->channel.frames_count;
    host->silent_looks = is_silent ? host->silent_looks + 1 : 0;
    if (host->silent_looks > patience) {
        cm_supervisor_give_up(host, "it does not answer");
        return;
    }
    /* A child of the signer's may hold the socket open: the end is looked for here, too. */
    if (cm_process_has_ended(&host->process)) {
        cm_supervisor_give_up(host, NULL);
        return;
    }
    /* One question at a time: of the rest of a long silence nothing is left in the socket. */
    if (host->phase == CM_HOST_UP && host->silent_looks <= 1) {
        cm_wire_write_bare(&host->channel.out, CM_WIRE_PING, 0);
        cm_channel_flush(&host->channel);
    }
    cm_timer_start(&host->timer, host->loop, look_ms(host), look, host);
}

static cm_status start(struct cm_host *host, struct cm_error *err)
{
    int fd;
    host->is_answered = false;
    host->silent_looks = 0;
    host->frames_seen = 0;
    host->started_ns = cm_clock_monotonic_ns();
    cm_status status =
        cm_process_start(&host->process, host->program, host->hello.settings.name, &fd, err);
    if (status != CM_OK)
        return status;
    host->phase = CM_HOST_STARTING;
    host->channel = (struct cm_channel){ .on_frame = host->channel.on_frame,
                                         .on_end = host->channel.on_end,
                                         .arg = host };
    cm_channel_open(&host->channel, host->loop, fd);
    cm_wire_write_hello(&host->channel.out, &host->hello);
    cm_channel_flush(&host->channel);
    cm_timer_start(&host->timer, host->loop, look_ms(host), look, host);
    return CM_OK;
}

static void begin_start(void *arg)
{
    struct cm_host *host = arg;
    struct cm_error err;
    if (start(host, &err) == CM_OK)
        return;
    if (cm_host_is_told(host->failures_count))
        cm_provider_tell(&host->head, CM_PROVIDER_DOWN, "%s", err.text);
    wait_for_start(host);
}

void cm_supervisor_on_ready(struct cm_host *host)
{
    if (host->ready.status != CM_OK)
        return; /* it ends by itself, and is told of then */
    host->phase = CM_HOST_UP;
    set_up(host, true);
    host->refusals_count = 0;
    if (!host->is_open)
        return;
    host->head.state.restarts_count++;
    uint64_t away_ms = (cm_clock_monotonic_ns() - host->down_ns) / CM_NS_PER_MS;
    host->down_ns = 0;
    cm_hosted_keys_reopen(host);
    cm_provider_tell(&host->head, CM_PROVIDER_UP, "signer %s is back after %llu ms (start %u)",
                     host->hello.settings.name, (unsigned long long)away_ms,
                     host->head.state.restarts_count + 1);
}

/* ------------------------------------------------------------------ open and close -- */

static cm_status explain(struct cm_host *host, struct cm_error *err)
{
    char text[128];
    const char *name = host->hello.settings.name;
    if (host->is_answered)
        return host->ready.status == CM_OK
                   ? CM_OK
                   : CM_FAIL(err, host->ready.status, CM_ORIGIN_SELF, 0, "%s", host->ready_text);
    bool has_ended = host->channel.is_over;
    if (!has_ended)
        cm_process_kill(&host->process);
    cm_process_end(&host->process, COLLECT_LOOKS);
    return CM_FAIL(err, CM_UNAVAILABLE, CM_ORIGIN_SELF, 0, "signer %s %s", name,
                   has_ended ? cm_process_describe(&host->process, text, sizeof text)
                             : "did not get ready in time");
}

cm_status cm_supervisor_open(struct cm_host *host, struct cm_error *err)
{
    cm_status status = start(host, err);
    if (status != CM_OK)
        return status;
    cm_channel_wait(&host->channel, &host->is_answered,
                    cm_clock_monotonic_ns() + starting_ms(host) * CM_NS_PER_MS);
    status = explain(host, err);
    host->is_open = status == CM_OK;
    return status;
}

void cm_supervisor_close(struct cm_host *host)
{
    host->phase = CM_HOST_CLOSED;
    cm_timer_done(&host->timer);
    cm_channel_close(&host->channel);
    cm_process_end(&host->process, CLOSING_PATIENCE_MS);
}

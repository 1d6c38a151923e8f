#include "providers/host/signer.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "providers/calls.h"
#include "providers/host/watchdog.h"

/* How often the engine hears how the backend gets on with its service; host.h says a second. */
#define PACE_MS 1000

/* Notices that the engine does not take: more than these are dropped. */
#define NOTICES_SIZE_MAX (64u << 10)

/* Opening the key store takes several calls, among them a login for each worker. */
#define OPENING_DEADLINES 3

/* While somebody is asked for a passphrase, a signal that lets the terminal echo again first. */
#define ASKING_SIGNAL SIGTERM

/* ------------------------------------------------------------------ the end -- */

static void on_drained(void *arg)
{
    struct cm_signer *signer = arg;
    cm_loop_stop(signer->loop);
}

static void leave(struct cm_signer *signer, int exit_code)
{
    if (signer->is_leaving)
        return;
    signer->is_leaving = true;
    signer->exit_code = exit_code;
    cm_timer_done(&signer->pace_timer);
    if (!signer->provider) {
        cm_loop_stop(signer->loop);
        return;
    }
    cm_jobs_withdraw(signer);
    cm_provider_drain(signer->provider, on_drained, signer);
}

static void on_end(bool is_garbage, void *arg)
{
    leave(arg, is_garbage ? CM_SIGNER_EXIT_PROTOCOL : 0);
}

/* ------------------------------------------------------------------ what is said unasked -- */

static size_t unsent(const struct cm_signer *signer)
{
    return signer->channel.out.size - signer->channel.out_begin;
}

/* An engine that stands still gets the figures when it goes on: they do not gather meanwhile. */
static void tell_pace(void *arg)
{
    struct cm_signer *signer = arg;
    struct cm_buffer *now = &signer->pace_now, *told = &signer->pace_told;
    struct cm_provider_pace pace = cm_provider_pace(signer->provider);
    now->size = 0;
    cm_wire_write_pace(now, &pace);
    if (unsent(signer) == 0 && memcmp(now->data, told->data, now->size) != 0) {
        told->size = 0;
        cm_buffer_append(told, now->data, now->size);
        cm_buffer_append(&signer->channel.out, now->data, now->size);
        cm_channel_flush(&signer->channel);
    }
    cm_timer_start(&signer->pace_timer, signer->loop, PACE_MS, tell_pace, signer);
}

static void on_told(struct cm_provider *provider, enum cm_provider_event event, const char *text,
                    void *arg)
{
    struct cm_signer *signer = arg;
    (void)provider;
    if (event != CM_PROVIDER_NOTICE || signer->is_leaving || text[0] == '\0'
        || unsent(signer) > NOTICES_SIZE_MAX)
        return;
    cm_wire_write_notice(&signer->channel.out, text);
    cm_channel_flush(&signer->channel);
}

static void begin_telling(struct cm_signer *signer)
{
    const struct cm_provider_pace nothing = { 0 };
    cm_provider_watch(signer->provider, on_told, signer);
    if (!signer->provider->ops->pace)
        return;
    cm_wire_write_pace(&signer->pace_told, &nothing);
    cm_timer_start(&signer->pace_timer, signer->loop, PACE_MS, tell_pace, signer);
}

/* ------------------------------------------------------------------ opening -- */

static void answer_ready(struct cm_signer *signer, const struct cm_wire_ready *ready)
{
    cm_wire_write_ready(&signer->channel.out, ready);
    cm_channel_flush(&signer->channel);
}

static uint64_t opening_patience_ns(const struct cm_wire_hello *hello)
{
    uint64_t calls_ms = (uint64_t)(OPENING_DEADLINES - 1) * hello->call_deadline_ms;
    return (calls_ms + cm_provider_asking_ms(&hello->settings)) * CM_NS_PER_MS;
}

/* Killed with its engine (cm_signer_protect), a signer that asks would leave a silent terminal. */
static cm_status open_and_ask(struct cm_signer *signer, const struct cm_provider_ops *ops,
                              const struct cm_wire_hello *hello, struct cm_error *err)
{
    int before = 0;
    bool asks = cm_provider_asking_ms(&hello->settings) > 0 && prctl(PR_GET_PDEATHSIG, &before) == 0
                && before != 0;
    if (asks)
        prctl(PR_SET_PDEATHSIG, ASKING_SIGNAL);
    cm_status status =
        cm_provider_open(ops, signer->loop, &hello->settings, &signer->provider, err);
    if (asks)
        prctl(PR_SET_PDEATHSIG, before);
    return status;
}

static cm_status open_provider(struct cm_signer *signer, const struct cm_wire_hello *hello,
                               struct cm_error *err)
{
    const struct cm_provider_ops *ops = signer->find(hello->kind);
    struct cm_call call = { 0 };
    struct cm_calls calls = { .calls = &call, .calls_count = 1 };
    if (!ops)
        return CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_SELF, 0, "this build has no kind %s",
                       hello->kind);
    cm_status status = cm_watchdog_start(hello->call_deadline_ms, signer->name, err);
    if (status != CM_OK)
        return status;
    cm_calls_watch(&calls);
    cm_call_begin(&call, opening_patience_ns(hello));
    status = open_and_ask(signer, ops, hello, err);
    cm_call_end(&call);
    cm_calls_unwatch(&calls);
    return status;
}

/* ps and top show it beside the engine. */
static void take_name(struct cm_signer *signer, const char *name)
{
    char title[16];
    signer->name = strdup(name ? name : "");
    if (!signer->name)
        abort();
    snprintf(title, sizeof title, "signer %s", signer->name);
    prctl(PR_SET_NAME, title);
}

static bool on_hello(struct cm_signer *signer, const struct cm_wire_frame *frame)
{
    struct cm_wire_hello hello;
    struct cm_error err = { .status = CM_OK };
    struct cm_wire_ready ready = { .status = CM_OK };
    if (signer->provider || !cm_wire_read_hello(frame->body, &hello))
        return false;
    take_name(signer, hello.settings.name);
    signer->signs_anything = hello.signs_anything;
    ready.status = open_provider(signer, &hello, &err);
    if (ready.status != CM_OK) {
        ready.text = err.text;
        answer_ready(signer, &ready);
        leave(signer, CM_SIGNER_EXIT_REFUSED);
        return true;
    }
    ready.caps = cm_provider_caps(signer->provider);
    if (ready.caps.batch_items_max > CM_WIRE_ITEMS_MAX)
        ready.caps.batch_items_max = CM_WIRE_ITEMS_MAX;
    cm_jobs_init(signer);
    answer_ready(signer, &ready);
    begin_telling(signer);
    return true;
}

/* ------------------------------------------------------------------ keys -- */

/* An opening that is under way inside. */
struct opening {
    struct cm_signer *signer;
    uint64_t id;
    bool has_floor;
    struct cm_floor floor; /* issuer_name is owned */
};

static void free_opening(struct opening *opening)
{
    free((void *)(uintptr_t)opening->floor.issuer_name.data);
    free(opening);
}

static cm_status accept_key(struct opening *opening, struct cm_key *key, struct cm_error *err)
{
    struct cm_signer *signer = opening->signer;
    if (!opening->has_floor && !signer->signs_anything)
        return CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0, "signer %s opens no key without a floor",
                       signer->name);
    struct cm_binding *binding =
        cm_keyring_bind(&signer->ring, key->spki, opening->has_floor ? &opening->floor : NULL);
    if (!binding)
        return CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0,
                       "signer %s: the key is bound to another floor", signer->name);
    cm_keyring_add(&signer->ring, opening->id, key, binding);
    return CM_OK;
}

static void on_key_opened(cm_status status, struct cm_key *key, const struct cm_error *err,
                          void *arg)
{
    struct opening *opening = arg;
    struct cm_signer *signer = opening->signer;
    struct cm_error why = *err;
    struct cm_wire_key_opened opened = { .status = status };
    if (status == CM_OK) {
        opened.status = accept_key(opening, key, &why);
        if (opened.status == CM_OK)
            opened.key = *key;
        else
            cm_provider_close_key(key);
    }
    if (opened.status != CM_OK)
        opened.text = why.text;
    if (!signer->is_leaving) {
        cm_wire_write_key_opened(&signer->channel.out, opening->id, &opened);
        cm_channel_flush(&signer->channel);
    }
    free_opening(opening);
}

static struct opening *new_opening(struct cm_signer *signer, uint64_t id,
                                   const struct cm_wire_open_key *open_key)
{
    struct opening *opening = calloc(1, sizeof *opening);
    if (!opening)
        abort();
    *opening = (struct opening){ .signer = signer, .id = id, .has_floor = open_key->has_floor };
    if (!open_key->has_floor)
        return opening;
    opening->floor = open_key->floor;
    opening->floor.issuer_name = cm_bytes_copy(open_key->floor.issuer_name);
    return opening;
}

static bool on_open_key(struct cm_signer *signer, const struct cm_wire_frame *frame)
{
    struct cm_wire_open_key open_key;
    if (!cm_wire_read_open_key(frame->body, &open_key) || cm_keyring_find(&signer->ring, frame->id))
        return false;
    if (frame->kind == CM_WIRE_OPEN_KEY && open_key.spec.transfer_blob.size > 0)
        return false;
    struct opening *opening = new_opening(signer, frame->id, &open_key);
    if (frame->kind == CM_WIRE_OPEN_KEY)
        cm_provider_open_key(signer->provider, open_key.reference, open_key.alg, on_key_opened,
                             opening);
    else
        cm_provider_create_key(signer->provider, open_key.reference, &open_key.spec, open_key.alg,
                               on_key_opened, opening);
    return true;
}

static bool on_close_key(struct cm_signer *signer, uint64_t id)
{
    struct cm_ring_key *key = cm_keyring_find(&signer->ring, id);
    if (key)
        cm_keyring_close(&signer->ring, key);
    return key != NULL;
}

/* ------------------------------------------------------------------ what the engine says -- */

static bool answer_frame(struct cm_signer *signer, const struct cm_wire_frame *frame)
{
    switch (frame->kind) {
    case CM_WIRE_OPEN_KEY:
    case CM_WIRE_CREATE_KEY:
        return on_open_key(signer, frame);
    case CM_WIRE_CLOSE_KEY:
        return on_close_key(signer, frame->id);
    case CM_WIRE_SIGN:
        return cm_jobs_sign(signer, frame);
    case CM_WIRE_CANCEL:
        cm_jobs_cancel(signer, frame->id);
        return true;
    case CM_WIRE_PING:
        (void)cm_clock_leap_ms(); /* the steps that the engine follows are followed here, too */
        cm_wire_write_bare(&signer->channel.out, CM_WIRE_PONG, frame->id);
        cm_channel_flush(&signer->channel);
        return true;
    case CM_WIRE_HELLO:
    case CM_WIRE_READY:
    case CM_WIRE_KEY_OPENED:
    case CM_WIRE_SIGNED:
    case CM_WIRE_PONG:
    case CM_WIRE_NOTICE:
    case CM_WIRE_PACE:
    case CM_WIRE_KIND_END:
        break;
    }
    return false;
}

static bool on_frame(const struct cm_wire_frame *frame, void *arg)
{
    struct cm_signer *signer = arg;
    if (signer->is_leaving)
        return true;
    if (frame->kind == CM_WIRE_HELLO)
        return on_hello(signer, frame);
    return signer->provider && answer_frame(signer, frame);
}

/* ------------------------------------------------------------------ the process -- */

void cm_signer_protect(void)
{
    const struct rlimit none = { 0, 0 };
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_DUMPABLE, 0);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    setrlimit(RLIMIT_CORE, &none);
}

/* A terminal or a service manager tells every process to stop; the engine still needs us then. */
static void ignore_signals(void)
{
    static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGXFSZ };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        signal(numbers[i], SIG_IGN);
}

static bool is_socket(int fd)
{
    int type;
    socklen_t size = sizeof type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

int cm_signer_main(int fd, const struct cm_provider_ops *(*find)(const char *name))
{
    struct cm_error err;
    struct cm_signer signer = { .find = find };
    signer.channel = (struct cm_channel){ .on_frame = on_frame, .on_end = on_end, .arg = &signer };
    if (!is_socket(fd)) {
        fprintf(stderr, "certmill: a signer is started by an engine, not by hand\n");
        return CM_SIGNER_EXIT_USAGE;
    }
    ignore_signals();
    cm_clock_disbelieve_leaps();
    if (cm_loop_new(&signer.loop, &err) != CM_OK) {
        fprintf(stderr, "certmill: signer: %s\n", err.text);
        return CM_SIGNER_EXIT_REFUSED;
    }
    cm_channel_open(&signer.channel, signer.loop, fd);
    cm_loop_run(signer.loop);
    cm_keyring_done(&signer.ring);
    cm_provider_close(signer.provider);
    cm_watchdog_stop();
    cm_jobs_done(&signer);
    cm_timer_done(&signer.pace_timer);
    cm_buffer_done(&signer.pace_told);
    cm_buffer_done(&signer.pace_now);
    cm_channel_close(&signer.channel);
    cm_loop_free(signer.loop);
    free(signer.name);
    return signer.exit_code;
}

#include "providers/keyvault/vault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "providers/keyvault/answer.h"
#include "providers/keyvault/waiting.h"

enum {
    FAILURES_MAX = 3,   /* of one call */
    REFUSALS_MAX = 1,   /* 401 with a token, of one call */
    LOOK_MS = 100,      /* for deadlines, while something waits */
    FLOCK_MS = 20,      /* what the pace lets go within it goes together: a waking up costs as much
                           as a request */
    CHALLENGE_MS = 1000 /* before the vault is asked for its challenge again */
};

enum { NOTICES_KEPT = 8 };
#define SAME_NOTICE_NS (60 * CM_NS_PER_S)

/* What the operator knows already. */
struct told {
    char text[CM_ERROR_TEXT_SIZE];
    uint64_t at_ns; /* 0: nothing yet */
};

/* A request that is out. */
struct cm_vault_slot {
    struct cm_vault_slot *next; /* of the free ones, or of those out */
    struct cm_vault_slot **at;  /* what points at it among those out */
    struct cm_vault *vault;
    struct cm_vault_call *call;
    struct cm_http_call http;
    uint64_t sent_ns;
    uint64_t token_number; /* of the token it went with */
};

struct cm_vault {
    struct cm_vault_env env;
    struct cm_vault_uri uri;
    struct cm_pace pace;
    struct cm_tokens tokens;
    struct cm_vault_waiting waiting;
    struct cm_vault_slot *free_slots, *out_slots;
    struct cm_timer pump_timer, look_timer;
    bool is_pacing; /* pump_timer runs because the pace said so: nothing goes before */
    struct cm_vault_call challenge, probe; /* the vault's own calls */
    bool asks_challenge, probes;
    uint64_t challenge_ns; /* it is not asked for before */
    char own_url[CM_VAULT_URI_SIZE + 64];
    char trouble[CM_ERROR_TEXT_SIZE]; /* what the last failure was */
    struct told told[NOTICES_KEPT];
};

static void pump(void *arg);

/* ------------------------------------------------------------------ telling -- */

/* Up to the request's id, which is another each time. */
static bool says_the_same(const char *a, const char *b)
{
    size_t size = strcspn(a, "(");
    return strcspn(b, "(") == size && memcmp(a, b, size) == 0;
}

void cm_vault_notice(struct cm_vault *vault, const char *text)
{
    uint64_t now_ns = cm_clock_monotonic_ns();
    struct told *oldest = &vault->told[0];
    for (struct told *told = vault->told; told < vault->told + NOTICES_KEPT; told++) {
        bool is_recent = told->at_ns > 0 && now_ns - told->at_ns < SAME_NOTICE_NS;
        if (is_recent && says_the_same(told->text, text))
            return;
        if (told->at_ns < oldest->at_ns)
            oldest = told;
    }
    snprintf(oldest->text, sizeof oldest->text, "%s", text);
    oldest->at_ns = now_ns;
    vault->env.notice(vault->env.arg, text);
}

void cm_vault_tell(const struct cm_vault *vault, struct cm_provider_pace *figures)
{
    cm_pace_tell(&vault->pace, cm_clock_monotonic_ns(), figures);
    figures->waiting += vault->waiting.count;
}

/* ------------------------------------------------------------------ those who wait -- */

static void pump_soon(struct cm_vault *vault, uint64_t wait_ns)
{
    if (wait_ns != CM_PACE_WHEN_ONE_COMES_BACK && !vault->is_pacing)
        cm_timer_start(&vault->pump_timer, vault->env.loop,
                       (uint32_t)((wait_ns + CM_NS_PER_MS - 1) / CM_NS_PER_MS), pump, vault);
}

static cm_status judge_cancelled(const struct cm_vault_call *call, void *arg, struct cm_error *err)
{
    const struct cm_vault *vault = arg;
    if (!call->is_cancelled)
        return CM_OK;
    return CM_FAIL(err, CM_CANCELLED, CM_ORIGIN_SELF, 0, "vault %s: cancelled", vault->uri.host);
}

/* Signatures alone tell why; to whoever waits for a key the vault was not to be had. */
static cm_status overdue_status(const struct cm_vault_call *call)
{
    if (call->nature != CM_VAULT_SIGNATURE)
        return CM_UNAVAILABLE;
    return call->has_been_out ? CM_THROTTLED : CM_EXPIRED;
}

static cm_status judge_overdue(const struct cm_vault_call *call, void *arg, struct cm_error *err)
{
    const struct cm_vault *vault = arg;
    const struct cm_error *why = &vault->tokens.err;
    if (call->deadline_ns == 0 || cm_clock_monotonic_ns() < call->deadline_ns)
        return CM_OK;
    if (cm_tokens_have_failed(&vault->tokens))
        return CM_FAIL(err, CM_UNAVAILABLE, CM_ORIGIN_SELF, 0, "vault %s: no token: %s",
                       vault->uri.host, why->text);
    if (cm_vault_is_away(vault) || vault->pace.failures_in_row > 0 || call->failures_count > 0)
        return CM_FAIL(err, CM_UNAVAILABLE, CM_ORIGIN_SELF, 0, "%s", vault->trouble);
    return CM_FAIL(err, overdue_status(call), CM_ORIGIN_SELF, 0,
                   "vault %s did not get to it in time%s", vault->uri.host,
                   vault->pace.stops_in_row > 0 ? ": it answers 429" : "");
}

static cm_status judge_away(const struct cm_vault_call *call, void *arg, struct cm_error *err)
{
    const struct cm_vault *vault = arg;
    if (call->nature != CM_VAULT_SIGNATURE)
        return CM_OK;
    return CM_FAIL(err, CM_UNAVAILABLE, CM_ORIGIN_SELF, 0, "vault %s is away", vault->uri.host);
}

/* No token for good, as far as we know: signatures wait for an operator, everybody else is told. */
static cm_status judge_tokenless(const struct cm_vault_call *call, void *arg, struct cm_error *err)
{
    *err = *(const struct cm_error *)arg;
    if (call->nature == CM_VAULT_SIGNATURE)
        err->status = CM_UNAVAILABLE;
    return err->status;
}

static void end_tokenless(struct cm_vault *vault, cm_status status, const char *why)
{
    struct cm_error err;
    (void)CM_FAIL(&err, status, CM_ORIGIN_SELF, 0, "vault %s: no token: %s", vault->uri.host, why);
    cm_vault_waiting_end_those(&vault->waiting, judge_tokenless, &err);
}

void cm_vault_sweep(struct cm_vault *vault)
{
    cm_vault_waiting_end_those(&vault->waiting, judge_cancelled, vault);
}

static void look(void *arg)
{
    struct cm_vault *vault = arg;
    cm_vault_waiting_end_those(&vault->waiting, judge_overdue, vault);
    if (vault->waiting.first)
        cm_timer_start(&vault->look_timer, vault->env.loop, LOOK_MS, look, vault);
}

void cm_vault_submit(struct cm_vault *vault, struct cm_vault_call *call)
{
    cm_vault_waiting_append(&vault->waiting, call);
    if (!cm_timer_is_running(&vault->look_timer))
        cm_timer_start(&vault->look_timer, vault->env.loop, LOOK_MS, look, vault);
    pump_soon(vault, 0);
}

bool cm_vault_is_away(const struct cm_vault *vault)
{
    return vault->pace.is_open;
}

/* ------------------------------------------------------------------ the answer -- */

static void on_http_done(struct cm_http_call *http, void *arg);

static void give_slot(struct cm_vault_slot *slot)
{
    slot->call = NULL;
    *slot->at = slot->next;
    if (slot->next)
        slot->next->at = slot->at;
    slot->next = slot->vault->free_slots;
    slot->vault->free_slots = slot;
}

static enum cm_pace_outcome outcome_of(const struct cm_http_call *http)
{
    if (http->outcome != CM_HTTP_ANSWERED || http->status == 408 || http->status >= 500)
        return CM_PACE_FAILED;
    if (http->status == 429)
        return CM_PACE_THROTTLED;
    return http->status == 401 ? CM_PACE_NO_MATTER : CM_PACE_SUCCEEDED;
}

/* Each turn: the last one that was told is how it is. */
static void tell_circuit(struct cm_vault *vault, const struct cm_error *err)
{
    struct cm_error text;
    if (vault->pace.is_open)
        (void)CM_FAIL(&text, CM_UNAVAILABLE, CM_ORIGIN_SELF, 0,
                      "vault %s is away, and asked only whether it is back: %s", vault->uri.host,
                      err->text);
    else
        (void)CM_FAIL(&text, CM_OK, CM_ORIGIN_SELF, 0, "vault %s is back", vault->uri.host);
    vault->env.notice(vault->env.arg, text.text);
    if (vault->pace.is_open)
        cm_vault_waiting_end_those(&vault->waiting, judge_away, vault);
}

/* The pace learns what came of it. */
static void tell_pace(struct cm_vault_slot *slot, const struct cm_error *err)
{
    struct cm_vault *vault = slot->vault;
    const struct cm_pace_answer answer = {
        .outcome = outcome_of(&slot->http),
        .sent_ns = slot->sent_ns,
        .retry_after_ms = cm_pace_retry_after_ms(slot->http.retry_after, cm_clock_wall_s()),
    };
    uint64_t stop_before = vault->pace.stopped_ns, said_before = vault->pace.said_ns;
    if (answer.outcome == CM_PACE_SUCCEEDED)
        cm_tokens_taken(&vault->tokens, slot->token_number);
    if (answer.outcome == CM_PACE_FAILED)
        snprintf(vault->trouble, sizeof vault->trouble, "%s", err->text);
    bool has_turned = cm_pace_give(&vault->pace, &answer, cm_clock_monotonic_ns());
    if (vault->pace.stopped_ns != stop_before || vault->pace.said_ns != said_before)
        cm_vault_notice(vault, err->text);
    if (has_turned)
        tell_circuit(vault, err);
}

/* 401: the token is of no use, or the vault wants another kind. True: the call may try again. */
static bool renew_token(struct cm_vault_slot *slot, struct cm_error *err)
{
    struct cm_vault *vault = slot->vault;
    struct cm_challenge challenge;
    if (slot->http.challenge[0] != '\0') {
        if (cm_challenge_read(slot->http.challenge, vault->uri.host, vault->env.options->resource,
                              &challenge, err)
            != CM_OK)
            return false;
        cm_tokens_challenged(&vault->tokens, &challenge);
    }
    cm_tokens_refused(&vault->tokens, slot->token_number, err->text);
    return slot->call->refusals_count++ < REFUSALS_MAX;
}

/* Those have their own ways of coming again. */
static bool is_own(const struct cm_vault *vault, const struct cm_vault_call *call)
{
    return call == &vault->challenge || call == &vault->probe;
}

/* True when the call is to go out again. */
static bool goes_again(struct cm_vault_slot *slot, struct cm_error *err)
{
    struct cm_vault_call *call = slot->call;
    const struct cm_http_call *http = &slot->http;
    bool has_left = http->outcome == CM_HTTP_LOST || http->status >= 500;
    if (http->outcome == CM_HTTP_ANSWERED && http->status == 401)
        return renew_token(slot, err)
               && (call->nature != CM_VAULT_SIGNATURE || !slot->vault->pace.is_open);
    if (http->outcome == CM_HTTP_ANSWERED && http->status == 429)
        return true;
    call->may_be_done = call->may_be_done || has_left;
    if (outcome_of(http) != CM_PACE_FAILED || slot->vault->pace.is_open)
        return false;
    if (call->nature == CM_VAULT_SIGNATURE && http->outcome == CM_HTTP_LOST)
        return false;
    if (call->nature == CM_VAULT_ONCE && has_left)
        return false;
    return ++call->failures_count < FAILURES_MAX;
}

/* A signature that is refused waits with its request until an operator has mended it: the key has
 * signed before, so whatever the vault does not like now is not in the request. And a conflict with what
 * makes nothing passes: the name is being deleted or restored. */
static cm_status soften(struct cm_vault *vault, const struct cm_vault_call *call,
                        struct cm_error *err)
{
    if (call->nature == CM_VAULT_READ && err->status == CM_EXISTS)
        return err->status = CM_UNAVAILABLE;
    if (call->nature != CM_VAULT_SIGNATURE || cm_status_class(err->status) != CM_CLASS_REFUSE)
        return err->status;
    cm_vault_notice(vault, err->text);
    return err->status = CM_UNAVAILABLE;
}

static void on_http_done(struct cm_http_call *http, void *arg)
{
    struct cm_vault_slot *slot = arg;
    struct cm_vault *vault = slot->vault;
    struct cm_vault_call *call = slot->call;
    struct cm_error err = { .status = CM_OK };
    json_t *answer = NULL;
    call->has_been_out = true;
    cm_status status =
        cm_vault_answer_read(http, vault->uri.host, call->nature != CM_VAULT_READ, &answer, &err);
    /* A proxy's page, say: the vault is not back, and whether it signed is not known. */
    if (status == CM_CORRUPT && (call->nature == CM_VAULT_SIGNATURE || call == &vault->probe)) {
        http->outcome = CM_HTTP_LOST;
        status = err.status = CM_UNCERTAIN;
    }
    tell_pace(slot, &err);
    if (goes_again(slot, &err) && !is_own(vault, call)) {
        give_slot(slot);
        cm_vault_waiting_prepend(&vault->waiting, call);
        if (call->is_cancelled) /* while it was out */
            cm_vault_sweep(vault);
        if (!cm_timer_is_running(&vault->look_timer))
            cm_timer_start(&vault->look_timer, vault->env.loop, LOOK_MS, look, vault);
    } else {
        give_slot(slot);
        status = status == CM_OK ? CM_OK : soften(vault, call, &err);
        call->done(call, status, answer, &err);
    }
    json_decref(answer);
    pump(vault);
}

/* ------------------------------------------------------------------ going out -- */

static struct cm_vault_slot *take_slot(struct cm_vault *vault)
{
    struct cm_vault_slot *slot = vault->free_slots;
    if (slot) {
        vault->free_slots = slot->next;
        return slot;
    }
    slot = calloc(1, sizeof *slot);
    if (!slot)
        abort();
    slot->vault = vault;
    return slot;
}

static void send_out(struct cm_vault *vault, struct cm_vault_call *call, const char *token)
{
    struct cm_vault_slot *slot = take_slot(vault);
    slot->next = vault->out_slots;
    slot->at = &vault->out_slots;
    if (slot->next)
        slot->next->at = &slot->next;
    vault->out_slots = slot;
    slot->call = call;
    slot->sent_ns = cm_clock_monotonic_ns();
    slot->token_number = vault->tokens.number;
    slot->http.method = call->method;
    slot->http.url = call->url;
    slot->http.bearer = token;
    slot->http.content_type = call->body ? "application/json" : NULL;
    slot->http.body = call->body ? cm_bytes_str(call->body) : cm_bytes(NULL, 0);
    slot->http.is_once = call->nature == CM_VAULT_ONCE;
    slot->http.timeout_ms = vault->env.options->timeout_ms;
    slot->http.done = on_http_done;
    slot->http.arg = slot;
    cm_http_start(vault->env.http, &slot->http);
}

/* Any answer but 401 to a request without a token says that this is no vault, or not for us. */
static void on_challenge(struct cm_vault_call *call, cm_status status, const json_t *answer,
                         const struct cm_error *err)
{
    struct cm_vault *vault = call->arg;
    (void)answer;
    vault->asks_challenge = false;
    if (vault->tokens.has_challenge) {
        pump_soon(vault, 0);
        return;
    }
    if (status == CM_OK || status == CM_DENIED || status == CM_NO_KEY || status == CM_UNSUPPORTED) {
        end_tokenless(vault, CM_DENIED,
                      status == CM_OK ? "it asks for none: this is no vault" : err->text);
    } else {
        cm_vault_notice(vault, err->text);
    }
    vault->challenge_ns = cm_clock_monotonic_ns() + CHALLENGE_MS * CM_NS_PER_MS;
}

static void ask_challenge(struct cm_vault *vault)
{
    uint64_t now_ns = cm_clock_monotonic_ns();
    if (vault->asks_challenge)
        return;
    if (now_ns < vault->challenge_ns) {
        pump_soon(vault, vault->challenge_ns - now_ns);
        return;
    }
    uint64_t wait_ns = vault->pace.is_open
                           ? cm_pace_take_probe(&vault->pace, now_ns)
                           : cm_pace_take(&vault->pace, CM_PACE_COST_OTHER_US, now_ns);
    if (wait_ns != 0) {
        pump_soon(vault, wait_ns);
        return;
    }
    vault->asks_challenge = true;
    vault->challenge = (struct cm_vault_call){
        .method = "GET", .url = vault->own_url, .done = on_challenge, .arg = vault
    };
    send_out(vault, &vault->challenge, NULL);
}

static void on_probed(struct cm_vault_call *call, cm_status status, const json_t *answer,
                      const struct cm_error *err)
{
    struct cm_vault *vault = call->arg;
    (void)status;
    (void)answer;
    (void)err;
    vault->probes = false;
    pump_soon(vault, 0);
}

/* Any answer will do. */
static void probe(struct cm_vault *vault, const char *token)
{
    if (vault->probes) /* or it would be paid for, and not go */
        return;
    uint64_t wait_ns = cm_pace_take_probe(&vault->pace, cm_clock_monotonic_ns());
    if (wait_ns != 0) {
        pump_soon(vault, wait_ns);
        return;
    }
    vault->probes = true;
    vault->probe = (struct cm_vault_call){
        .method = "GET", .url = vault->own_url, .done = on_probed, .arg = vault
    };
    send_out(vault, &vault->probe, token);
}

static void on_paced(void *arg)
{
    struct cm_vault *vault = arg;
    vault->is_pacing = false;
    pump(vault);
}

static void pump_when_paced(struct cm_vault *vault, uint64_t wait_ns)
{
    uint64_t least_ns = FLOCK_MS * CM_NS_PER_MS;
    if (wait_ns == CM_PACE_WHEN_ONE_COMES_BACK)
        return;
    vault->is_pacing = true;
    wait_ns = wait_ns > least_ns ? wait_ns : least_ns;
    cm_timer_start(&vault->pump_timer, vault->env.loop,
                   (uint32_t)((wait_ns + CM_NS_PER_MS - 1) / CM_NS_PER_MS), on_paced, vault);
}

/* Whether the first call that waits need not go any more; it has been told. */
static bool end_first(struct cm_vault *vault)
{
    struct cm_error err = { .status = CM_OK };
    if (judge_cancelled(vault->waiting.first, vault, &err) == CM_OK
        && judge_overdue(vault->waiting.first, vault, &err) == CM_OK)
        return false;
    cm_vault_call_end(cm_vault_waiting_take(&vault->waiting), &err);
    return true;
}

/* The one way out: whenever something may have changed. */
static void pump(void *arg)
{
    struct cm_vault *vault = arg;
    if (vault->is_pacing || (!vault->waiting.first && !vault->pace.is_open))
        return;
    if (!vault->tokens.has_challenge) {
        ask_challenge(vault);
        return;
    }
    const char *token = cm_tokens_get(&vault->tokens);
    if (!token)
        return; /* on_token follows */
    if (vault->pace.is_open) {
        probe(vault, token);
        return;
    }
    while (vault->waiting.first) {
        if (end_first(vault))
            continue;
        uint64_t wait_ns =
            cm_pace_take(&vault->pace, vault->waiting.first->cost_us, cm_clock_monotonic_ns());
        if (wait_ns != 0) {
            pump_when_paced(vault, wait_ns);
            return;
        }
        send_out(vault, cm_vault_waiting_take(&vault->waiting), token);
    }
}

static void on_token(void *arg)
{
    struct cm_vault *vault = arg;
    const struct cm_error *err = &vault->tokens.err;
    if (err->status != CM_OK)
        cm_vault_notice(vault, err->text);
    if (cm_tokens_have_failed(&vault->tokens) && err->status != CM_UNAVAILABLE)
        end_tokenless(vault, err->status, err->text);
    pump_soon(vault, 0);
}

/* ------------------------------------------------------------------ life -- */

struct cm_vault *cm_vault_new(const struct cm_vault_env *env, const struct cm_vault_uri *uri)
{
    struct cm_vault *vault = calloc(1, sizeof *vault);
    uint64_t now_ns = cm_clock_monotonic_ns();
    if (!vault)
        abort();
    vault->env = *env;
    vault->uri = *uri;
    cm_vault_waiting_init(&vault->waiting);
    cm_pace_init(&vault->pace, env->options->rate, cm_vault_uri_is_managed_hsm(uri),
                 env->options->in_flight_max, now_ns, now_ns);
    cm_tokens_init(&vault->tokens, env->loop, env->http, env->options, on_token, vault);
    cm_vault_write_url(vault, "/keys", "&maxresults=1", vault->own_url, sizeof vault->own_url);
    return vault;
}

void cm_vault_free(struct cm_vault *vault)
{
    struct cm_error closing;
    if (!vault)
        return;
    (void)CM_FAIL(&closing, CM_CANCELLED, CM_ORIGIN_SELF, 0, "vault %s: closing", vault->uri.host);
    cm_tokens_done(&vault->tokens);
    cm_timer_done(&vault->pump_timer);
    cm_timer_done(&vault->look_timer);
    while (vault->out_slots) {
        struct cm_vault_slot *slot = vault->out_slots;
        struct cm_vault_call *call = slot->call;
        cm_http_stop(&slot->http);
        give_slot(slot);
        if (!is_own(vault, call))
            cm_vault_call_end(call, &closing);
    }
    while (vault->waiting.first)
        cm_vault_call_end(cm_vault_waiting_take(&vault->waiting), &closing);
    while (vault->free_slots) {
        struct cm_vault_slot *slot = vault->free_slots;
        vault->free_slots = slot->next;
        free(slot);
    }
    free(vault);
}

bool cm_vault_is_at(const struct cm_vault *vault, const struct cm_vault_uri *uri)
{
    return cm_vault_uri_same_vault(&vault->uri, uri);
}

bool cm_vault_is_managed_hsm(const struct cm_vault *vault)
{
    return cm_vault_uri_is_managed_hsm(&vault->uri);
}

const char *cm_vault_host(const struct cm_vault *vault)
{
    return vault->uri.host;
}

void cm_vault_write_url(const struct cm_vault *vault, const char *path, const char *more,
                        char *ret_url, size_t space)
{
    char base[CM_VAULT_URI_SIZE];
    cm_vault_uri_write_base(&vault->uri, base);
    snprintf(ret_url, space, "%s%s?api-version=%s%s", base, path, vault->env.options->api_version,
             more);
}

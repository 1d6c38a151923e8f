#include "providers/keyvault/token.h"

#include <stdlib.h>

#include "engine/base/clock.h"
#include "providers/keyvault/pace.h"

enum {
    RETRY_MS_MIN = 1000,
    RETRY_SHIFT_MAX = 6,
    RETRY_MS_MAX = 60000,
    JITTER_QUOTIENT = 5,
    TIMEOUT_MS = 10000
};

static void ask(void *arg);

void cm_tokens_init(struct cm_tokens *tokens, struct cm_loop *loop, struct cm_http *http,
                    const struct cm_vault_options *options, void (*changed)(void *arg), void *arg)
{
    *tokens = (struct cm_tokens){
        .loop = loop, .http = http, .options = options, .changed = changed, .arg = arg
    };
}

void cm_tokens_done(struct cm_tokens *tokens)
{
    cm_http_stop(&tokens->call);
    cm_timer_done(&tokens->retry);
    cm_token_request_done(&tokens->request);
    cm_token_done(&tokens->token);
}

static bool is_asking(const struct cm_tokens *tokens)
{
    return cm_http_is_out(&tokens->call);
}

/* And up to a fifth more: many who lost the directory at once do not all come back at once. The
 * nanoseconds of the clock are random enough. */
static uint32_t backoff_ms(unsigned failures_count)
{
    uint32_t wait_ms = cm_clock_backoff_ms(RETRY_MS_MIN, failures_count, RETRY_SHIFT_MAX);
    wait_ms = wait_ms < RETRY_MS_MAX ? wait_ms : RETRY_MS_MAX;
    return wait_ms + (uint32_t)(cm_clock_monotonic_ns() % (wait_ms / JITTER_QUOTIENT));
}

/* least_ms: Retry-After; 0: nobody said so. */
static void fail(struct cm_tokens *tokens, uint32_t least_ms)
{
    uint32_t wait_ms = backoff_ms(tokens->failures_count++);
    cm_timer_start(&tokens->retry, tokens->loop, wait_ms > least_ms ? wait_ms : least_ms, ask,
                   tokens);
    tokens->changed(tokens->arg);
}

static void on_answer(struct cm_http_call *call, void *arg)
{
    struct cm_tokens *tokens = arg;
    struct cm_token token;
    cm_status status;
    cm_token_request_done(&tokens->request);
    if (call->outcome == CM_HTTP_ANSWERED)
        status = cm_token_read(call->status, call->answer, cm_clock_wall_s(), &token, &tokens->err);
    else
        status = CM_FAIL(&tokens->err, CM_UNAVAILABLE, CM_ORIGIN_SELF, 0,
                         "the directory that gives tokens cannot be reached: %s", call->why);
    if (status != CM_OK) {
        fail(tokens, cm_pace_retry_after_ms(call->retry_after, cm_clock_wall_s()));
        return;
    }
    cm_token_done(&tokens->token);
    tokens->token = token;
    tokens->number++;
    tokens->was_taken = false;
    tokens->err = (struct cm_error){ .status = CM_OK };
    tokens->changed(tokens->arg);
}

static void ask(void *arg)
{
    struct cm_tokens *tokens = arg;
    struct cm_token_request *request = &tokens->request;
    cm_timer_stop(&tokens->retry);
    cm_status status = cm_credential_ask(tokens->options, &tokens->challenge, cm_clock_wall_s(),
                                         request, &tokens->err);
    if (status != CM_OK) {
        fail(tokens, 0);
        return;
    }
    tokens->call = (struct cm_http_call){
        .method = request->form ? "POST" : "GET",
        .url = request->url,
        .header = request->header,
        .content_type = request->form ? "application/x-www-form-urlencoded" : NULL,
        .body = request->form ? cm_bytes_str(request->form) : cm_bytes(NULL, 0),
        .timeout_ms = TIMEOUT_MS,
        .is_plain = strncmp(request->url, "http://", 7) == 0,
        .done = on_answer,
        .arg = tokens,
    };
    cm_http_start(tokens->http, &tokens->call);
}

/* On a later turn: whoever asks is not told inside the question. */
static void ask_soon(struct cm_tokens *tokens)
{
    if (!is_asking(tokens) && !cm_timer_is_running(&tokens->retry))
        cm_timer_start(&tokens->retry, tokens->loop, 0, ask, tokens);
}

void cm_tokens_challenged(struct cm_tokens *tokens, const struct cm_challenge *challenge)
{
    tokens->challenge = *challenge;
    tokens->has_challenge = true;
}

static bool has_token(const struct cm_tokens *tokens)
{
    return tokens->token.text && cm_clock_wall_s() < tokens->token.expires_s;
}

const char *cm_tokens_get(struct cm_tokens *tokens)
{
    const struct cm_token *token = &tokens->token;
    if (!token->text || cm_clock_wall_s() >= token->refresh_s)
        ask_soon(tokens);
    return has_token(tokens) ? token->text : NULL;
}

void cm_tokens_taken(struct cm_tokens *tokens, uint64_t number)
{
    if (number != tokens->number)
        return;
    tokens->was_taken = true;
    tokens->failures_count = 0;
}

void cm_tokens_refused(struct cm_tokens *tokens, uint64_t number, const char *why)
{
    if (number != tokens->number || !tokens->token.text)
        return;
    cm_token_done(&tokens->token);
    if (tokens->was_taken || is_asking(tokens))
        return;
    (void)CM_FAIL(&tokens->err, CM_UNAVAILABLE, CM_ORIGIN_SELF, 0,
                  "a token that had just come is refused: %s", why);
    fail(tokens, 0);
}

bool cm_tokens_have_failed(const struct cm_tokens *tokens)
{
    return tokens->err.status != CM_OK && !is_asking(tokens) && !has_token(tokens);
}

#include "providers/provider.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/secret.h"

/* ------------------------------------------------------------------ life -- */

cm_status cm_provider_open(const struct cm_provider_ops *ops, struct cm_loop *loop,
                           const struct cm_provider_settings *settings,
                           struct cm_provider **ret_provider, struct cm_error *err)
{
    struct cm_provider *provider;
    assert(ops && loop && settings && ret_provider);
    cm_loop_assert_here(loop);
    char *name = strdup(settings->name ? settings->name : ops->name);
    if (!name)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for a provider");
    cm_status status = ops->open(loop, settings, &provider, err);
    if (status != CM_OK) {
        free(name);
        return status;
    }
    provider->ops = ops;
    provider->loop = loop;
    provider->name = name;
    if (provider->state.since_ns == 0)
        provider->state =
            (struct cm_provider_state){ .is_up = true, .since_ns = cm_clock_monotonic_ns() };
    assert(provider->caps.batch_items_max > 0 && provider->caps.batches_in_flight > 0);
    *ret_provider = provider;
    return CM_OK;
}

struct cm_provider_caps cm_provider_caps(const struct cm_provider *provider)
{
    return provider->caps;
}

const char *cm_provider_name(const struct cm_provider *provider)
{
    return provider->name;
}

void cm_provider_watch(struct cm_provider *provider, cm_provider_told_fn *told, void *arg)
{
    cm_loop_assert_here(provider->loop);
    provider->told = told;
    provider->told_arg = arg;
}

struct cm_provider_state cm_provider_state(const struct cm_provider *provider)
{
    return provider->state;
}

struct cm_provider_pace cm_provider_pace(const struct cm_provider *provider)
{
    struct cm_provider_pace pace = { 0 };
    if (provider->ops->pace)
        provider->ops->pace(provider, &pace);
    return pace;
}

void cm_provider_tell(struct cm_provider *provider, enum cm_provider_event event,
                      const char *format, ...)
{
    char text[CM_ERROR_TEXT_SIZE];
    va_list args;
    if (!provider->told)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    provider->told(provider, event, text, provider->told_arg);
}

bool cm_provider_pace_is_any(const struct cm_provider_pace *pace)
{
    return pace->rate_per_s > 0 || pace->in_flight > 0 || pace->waiting > 0
           || pace->succeeded_count > 0 || pace->throttled_count > 0 || pace->failed_count > 0
           || pace->latency_us_median > 0 || pace->latency_us_p99 > 0 || pace->circuits_open > 0;
}

cm_status cm_provider_check_passphrase(const struct cm_provider_settings *settings,
                                       struct cm_error *err)
{
    if (!settings->passphrase_ref
        || cm_secret_check(settings->passphrase_ref, settings->folder, err) == CM_OK)
        return CM_OK;
    if (err)
        err->status = CM_DENIED;
    return CM_DENIED;
}

uint32_t cm_provider_asking_ms(const struct cm_provider_settings *settings)
{
    bool asks = settings->passphrase_ref && cm_secret_is_asked(settings->passphrase_ref);
    return asks ? CM_SECRET_PATIENCE_MS : 0;
}

static void tell_drained(void *arg)
{
    struct cm_provider *provider = arg;
    provider->drained(provider->drained_arg);
}

static void look_whether_drained(struct cm_provider *provider)
{
    bool told = provider->drained_task.run != NULL;
    if (!provider->draining || told || provider->batches_in_flight > 0
        || provider->openings_in_flight > 0)
        return;
    provider->drained_task = (struct cm_task){ .run = tell_drained, .arg = provider };
    cm_loop_post(provider->loop, &provider->drained_task);
}

void cm_provider_drain(struct cm_provider *provider, void (*drained)(void *arg), void *arg)
{
    cm_loop_assert_here(provider->loop);
    assert(drained && !provider->draining);
    provider->draining = true;
    provider->drained = drained;
    provider->drained_arg = arg;
    look_whether_drained(provider);
}

void cm_provider_close(struct cm_provider *provider)
{
    if (!provider)
        return;
    char *name = provider->name;
    cm_loop_assert_here(provider->loop);
    assert(provider->batches_in_flight == 0 && provider->openings_in_flight == 0);
    assert(provider->keys_open == 0);
    provider->ops->close(provider);
    free(name);
}

/* ------------------------------------------------------------------ keys -- */

/* Stands between the backend's answer and the caller's, so that the front can count. */
struct opening {
    struct cm_provider *provider;
    cm_key_opened_fn *opened;
    void *arg;
    struct cm_task refusal;
    struct cm_error err;
};

static void on_opened(cm_status status, struct cm_key *key, const struct cm_error *err, void *arg)
{
    const struct cm_error none = { .status = CM_OK };
    struct opening opening = *(struct opening *)arg;
    struct cm_provider *provider = opening.provider;
    assert((status == CM_OK) == (key != NULL));
    free(arg);
    if (key)
        provider->keys_open++;
    provider->openings_in_flight--;
    if (key && err->text[0] != '\0')
        cm_provider_tell(provider, CM_PROVIDER_NOTICE, "%s", err->text);
    opening.opened(status, key, key ? &none : err, opening.arg);
    look_whether_drained(provider);
}

static void refuse_opening(void *arg)
{
    struct opening *opening = arg;
    struct cm_error err = opening->err;
    on_opened(err.status, NULL, &err, opening);
}

static struct opening *begin_opening(struct cm_provider *provider, cm_key_opened_fn *opened,
                                     void *arg)
{
    struct opening *opening = calloc(1, sizeof *opening);
    if (!opening)
        abort();
    *opening = (struct opening){ .provider = provider, .opened = opened, .arg = arg };
    provider->openings_in_flight++;
    if (provider->draining)
        CM_FAIL(&opening->err, CM_CLOSING, CM_ORIGIN_SELF, 0, "provider %s is closing",
                provider->name);
    return opening;
}

static void post_refusal(struct opening *opening)
{
    opening->refusal = (struct cm_task){ .run = refuse_opening, .arg = opening };
    cm_loop_post(opening->provider->loop, &opening->refusal);
}

void cm_provider_open_key(struct cm_provider *provider, const char *reference, enum cm_sigalg alg,
                          cm_key_opened_fn *opened, void *arg)
{
    cm_loop_assert_here(provider->loop);
    assert(reference && opened && alg < CM_SIGALG_COUNT);
    struct opening *opening = begin_opening(provider, opened, arg);
    if (opening->err.status != CM_OK)
        post_refusal(opening);
    else
        provider->ops->open_key(provider, reference, alg, on_opened, opening);
}

void cm_provider_create_key(struct cm_provider *provider, const char *reference,
                            const struct cm_key_spec *spec, enum cm_sigalg alg,
                            cm_key_opened_fn *opened, void *arg)
{
    cm_loop_assert_here(provider->loop);
    assert(reference && spec && opened && alg < CM_SIGALG_COUNT);
    struct opening *opening = begin_opening(provider, opened, arg);
    if (opening->err.status == CM_OK && !provider->ops->create_key)
        CM_FAIL(&opening->err, CM_UNSUPPORTED, CM_ORIGIN_SELF, 0, "provider %s makes no keys",
                provider->name);
    if (opening->err.status != CM_OK)
        post_refusal(opening);
    else
        provider->ops->create_key(provider, reference, spec, alg, on_opened, opening);
}

void cm_provider_close_key(struct cm_key *key)
{
    if (!key)
        return;
    struct cm_provider *provider = key->provider;
    cm_loop_assert_here(provider->loop);
    assert(provider->keys_open > 0);
    provider->keys_open--;
    provider->ops->close_key(key);
}

/* Stands between the backend's answer and the caller's, as an opening does. */
struct destruction {
    struct cm_key *key;
    cm_key_destroyed_fn *destroyed;
    void *arg;
    struct cm_task refusal;
    struct cm_error err;
};

static void on_destroyed(cm_status status, const struct cm_error *err, void *arg)
{
    struct destruction destruction = *(struct destruction *)arg;
    struct cm_provider *provider = destruction.key->provider;
    free(arg);
    if (status == CM_OK)
        cm_provider_close_key(destruction.key);
    provider->openings_in_flight--;
    destruction.destroyed(status, err, destruction.arg);
    look_whether_drained(provider);
}

static void refuse_destruction(void *arg)
{
    struct destruction *destruction = arg;
    struct cm_error err = destruction->err;
    on_destroyed(err.status, &err, destruction);
}

void cm_provider_destroy_key(struct cm_key *key, cm_key_destroyed_fn *destroyed, void *arg)
{
    struct cm_provider *provider = key->provider;
    cm_loop_assert_here(provider->loop);
    struct destruction *destruction = calloc(1, sizeof *destruction);
    if (!destruction)
        abort();
    *destruction = (struct destruction){ .key = key, .destroyed = destroyed, .arg = arg };
    provider->openings_in_flight++;
    if (provider->draining)
        CM_FAIL(&destruction->err, CM_CLOSING, CM_ORIGIN_SELF, 0, "provider %s is closing",
                provider->name);
    else if (!provider->ops->destroy_key)
        CM_FAIL(&destruction->err, CM_UNSUPPORTED, CM_ORIGIN_SELF, 0,
                "provider %s destroys no keys", provider->name);
    if (destruction->err.status == CM_OK) {
        provider->ops->destroy_key(key, on_destroyed, destruction);
        return;
    }
    destruction->refusal = (struct cm_task){ .run = refuse_destruction, .arg = destruction };
    cm_loop_post(provider->loop, &destruction->refusal);
}

/* ------------------------------------------------------------------ signing -- */

static cm_status check_batch(const struct cm_provider *provider, const struct cm_sign_batch *batch,
                             struct cm_error *err)
{
    if (batch->key->provider != provider)
        return CM_FAIL(err, CM_INVALID, CM_ORIGIN_SELF, 0, "provider %s: the key is not its own",
                       provider->name);
    if (batch->items_count == 0 || batch->items_count > provider->caps.batch_items_max)
        return CM_FAIL(err, CM_INVALID, CM_ORIGIN_SELF, 0,
                       "provider %s: batch of %u items, 1 to %u are taken", provider->name,
                       batch->items_count, provider->caps.batch_items_max);
    for (uint32_t i = 0; i < batch->items_count; i++)
        if (batch->items[i].signature_space < batch->key->signature_size_max)
            return CM_FAIL(err, CM_INVALID, CM_ORIGIN_SELF, 0,
                           "provider %s: item %u has room for %u bytes, a signature needs %u",
                           provider->name, i, batch->items[i].signature_space,
                           batch->key->signature_size_max);
    return CM_OK;
}

/* Answers, which anybody can ask for, never take the last places from certificates. */
static bool is_full(const struct cm_provider *provider, enum cm_lane lane)
{
    uint32_t count_max = provider->caps.batches_in_flight;
    return provider->batches_in_flight >= count_max
           || (lane == CM_LANE_OCSP && provider->ocsp_batches_in_flight >= (count_max + 1) / 2);
}

cm_status cm_provider_sign(struct cm_provider *provider, struct cm_sign_batch *batch,
                           struct cm_error *err)
{
    cm_loop_assert_here(provider->loop);
    assert(batch->key && batch->items && batch->done);
    if (provider->draining)
        return CM_FAIL(err, CM_CLOSING, CM_ORIGIN_SELF, 0, "provider %s is closing",
                       provider->name);
    cm_status status = check_batch(provider, batch, err);
    if (status != CM_OK)
        return status;
    if (is_full(provider, batch->lane))
        return CM_FAIL(err, CM_BUSY, CM_ORIGIN_SELF, 0, "provider %s has %u batches in flight",
                       provider->name, provider->batches_in_flight);
    batch->cancelled = false;
    status = provider->ops->sign(provider, batch, err);
    if (status != CM_OK)
        return status;
    provider->batches_in_flight++;
    provider->ocsp_batches_in_flight += batch->lane == CM_LANE_OCSP;
    return CM_OK;
}

void cm_provider_cancel(struct cm_provider *provider, struct cm_sign_batch *batch)
{
    cm_loop_assert_here(provider->loop);
    assert(batch->key->provider == provider);
    if (batch->cancelled)
        return;
    batch->cancelled = true;
    provider->ops->cancel(provider, batch);
}

static void tell_done(void *arg)
{
    struct cm_sign_batch *batch = arg;
    struct cm_provider *provider = batch->key->provider;
    /* Counted down first: a caller who was told BUSY submits again from inside done. */
    provider->batches_in_flight--;
    provider->ocsp_batches_in_flight -= batch->lane == CM_LANE_OCSP;
    batch->done(batch, batch->done_arg);
    look_whether_drained(provider);
}

void cm_provider_batch_done(struct cm_provider *provider, struct cm_sign_batch *batch)
{
    batch->task = (struct cm_task){ .run = tell_done, .arg = batch };
    cm_loop_post(provider->loop, &batch->task);
}

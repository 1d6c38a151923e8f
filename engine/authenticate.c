/*
 * Authenticate: does an entry come from the requester that it names, and was it made just now?
 *
 * The signature covers every field, so one that verifies belongs to this entry and no other. An
 * entry of which the queue could not keep everything is not looked at: a field that is unknown or
 * stands twice is not covered, and one that was too large is not there to be hashed. So whatever is forged,
 * copied or patched ends here, before it could claim an id, and only what the requester has signed
 * is answered to it.
 */
#include "engine/internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/base/secret.h"
#include "queue/canonical.h"

/* --- a worker's tools ------------------------------------------------------------------------- */

static cm_status add_secret(struct cm_auth_verifier *verifier, const char *reference,
                            struct cm_error *err)
{
    struct cm_secret secret;
    cm_status status = cm_secret_read(reference, NULL, &secret, err);
    if (status != CM_OK)
        return status;
    status = cm_auth_verifier_add(verifier, cm_bytes(secret.text, secret.size), err);
    cm_secret_done(&secret);
    return status;
}

static cm_status add_keys(struct cm_auth_verifier *verifier,
                          const struct cm_settings_requester *requester, struct cm_error *err)
{
    cm_status status = CM_OK;
    for (uint32_t i = 0; i < requester->secrets_count && status == CM_OK; i++)
        status = add_secret(verifier, requester->secrets[i], err);
    for (uint32_t i = 0; i < requester->public_keys_count && status == CM_OK; i++)
        status = cm_auth_verifier_add(
            verifier, cm_bytes(requester->public_keys[i], CM_AUTH_PUBLIC_KEY_SIZE), err);
    return status;
}

static cm_status open_verifier(const struct cm_settings_requester *requester,
                               struct cm_auth_verifier **ret_verifier, struct cm_error *err)
{
    cm_status status = cm_auth_verifier_new(requester->auth, ret_verifier, err);
    if (status == CM_OK)
        status = add_keys(*ret_verifier, requester, err);
    if (status == CM_OK)
        return CM_OK;
    char text[CM_ERROR_TEXT_SIZE];
    snprintf(text, sizeof text, "%s", err->text);
    return CM_FAIL(err, status, CM_ORIGIN_SELF, 0, "requester %s: %.190s", requester->name, text);
}

cm_status cm_authenticate_open(struct cm_worker *worker, struct cm_error *err)
{
    const struct cm_settings *settings = worker->engine->settings;
    cm_status status = CM_OK;
    worker->canonical = malloc(CM_CANONICAL_SIZE_MAX);
    worker->authenticators =
        calloc(settings->requesters_count + 1, sizeof(struct cm_auth_verifier *));
    if (!worker->canonical || !worker->authenticators)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for a worker");
    for (uint32_t i = 0; i < settings->requesters_count && status == CM_OK; i++)
        if (settings->requesters[i].auth != CM_AUTH_NONE)
            status = open_verifier(&settings->requesters[i], &worker->authenticators[i], err);
    return status;
}

void cm_authenticate_close(struct cm_worker *worker)
{
    uint32_t count = worker->engine->settings->requesters_count;
    for (uint32_t i = 0; worker->authenticators && i < count; i++)
        cm_auth_verifier_free(worker->authenticators[i]);
    free(worker->authenticators);
    free(worker->canonical);
}

/* --- the verdict ------------------------------------------------------------------------------ */

static enum cm_entry_standing refuse(struct cm_entry *entry, enum cm_entry_standing standing,
                                     enum cm_refusal_code code,
                                     const struct cm_settings_requester *requester)
{
    cm_refuse(&entry->refusal, code, CM_REFUSAL_NO_OFFSET, "requester %s: %s", requester->name,
              cm_refusal_text(code));
    return standing;
}

/* Unix milliseconds: 1 to 15 digits. */
static bool read_time(struct cm_bytes text, int64_t *ret_time_ms)
{
    int64_t time_ms = 0;
    if (text.size < 1 || text.size > 15)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        time_ms = time_ms * 10 + (text.data[i] - '0');
    }
    *ret_time_ms = time_ms;
    return true;
}

static bool verify(const struct cm_entry *entry, struct cm_worker *worker,
                   const struct cm_settings_requester *requester)
{
    size_t number = (size_t)(requester - worker->engine->settings->requesters);
    size_t size = cm_canonical_write(entry->fields, worker->canonical, CM_CANONICAL_SIZE_MAX);
    return size > 0
           && cm_auth_verify(worker->authenticators[number], entry->fields[CM_FIELD_AUTH],
                             cm_bytes(worker->canonical, size));
}

/* Its requester's, for certain. Whether it may still be worked on is another question. */
static enum cm_entry_standing judge_age(struct cm_entry *entry, int64_t made_ms, int64_t time_ms,
                                        const struct cm_settings_requester *requester)
{
    int64_t window_ms = requester->clock_window_ms;
    if (entry->refusal.code != CM_REFUSAL_NONE)
        return CM_ENTRY_STALE;
    if (made_ms < time_ms - window_ms)
        return refuse(entry, CM_ENTRY_STALE, CM_REFUSAL_REQUEST_EXPIRED, requester);
    if (made_ms > time_ms + window_ms)
        return refuse(entry, CM_ENTRY_STALE, CM_REFUSAL_REQUEST_FROM_FUTURE, requester);
    return CM_ENTRY_TRUSTED;
}

static enum cm_entry_standing judge(struct cm_entry *entry, struct cm_worker *worker,
                                    int64_t time_ms)
{
    const struct cm_settings_requester *requester =
        cm_settings_requester(worker->engine->settings, entry->fields[CM_FIELD_REQUESTER]);
    int64_t made_ms;
    if (!entry->is_covered) /* its refusal may be another by now: undeliverable */
        return CM_ENTRY_FORGED;
    if (!entry->fields[CM_FIELD_AUTH].data)
        return refuse(entry, CM_ENTRY_FORGED, CM_REFUSAL_REQUEST_AUTH_MISSING, requester);
    if (!entry->fields[CM_FIELD_TIME].data)
        return refuse(entry, CM_ENTRY_FORGED, CM_REFUSAL_REQUEST_TIME_MISSING, requester);
    if (!read_time(entry->fields[CM_FIELD_TIME], &made_ms) || !verify(entry, worker, requester))
        return refuse(entry, CM_ENTRY_FORGED, CM_REFUSAL_REQUEST_AUTH_INVALID, requester);
    return judge_age(entry, made_ms, time_ms, requester);
}

void cm_authenticate(struct cm_entry *entry, struct cm_worker *worker, int64_t time_ms)
{
    entry->standing = judge(entry, worker, time_ms);
}

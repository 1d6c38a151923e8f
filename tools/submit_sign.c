/* The authentication of submitted requests, where the settings of their requester ask for it. */
#include "tools/submit.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/base/clock.h"
#include "engine/base/secret.h"
#include "queue/canonical.h"

static cm_status open_secret(struct cm_submission *submission, const char *reference,
                             struct cm_error *err)
{
    struct cm_secret secret;
    cm_status status = cm_secret_read(reference, NULL, &secret, err);
    if (status != CM_OK)
        return status;
    status =
        cm_auth_signer_new_secret(cm_bytes(secret.text, secret.size), &submission->signer, err);
    cm_secret_done(&secret);
    return status;
}

cm_status cm_submission_open_signer(struct cm_submission *submission, struct cm_error *err)
{
    const char *key = submission->auth_key;
    const struct cm_settings_requester *requester =
        cm_settings_requester(submission->settings, cm_bytes_str(submission->requester));
    enum cm_auth_method auth = requester ? requester->auth : CM_AUTH_NONE;
    if (key && auth != CM_AUTH_ED25519)
        return CM_FAIL(err, CM_MISMATCH, CM_ORIGIN_SELF, 0,
                       "--auth-key is for requesters with auth: ed25519 in the settings; %s has %s",
                       submission->requester, cm_auth_method_name(auth));
    if (auth == CM_AUTH_HMAC_SHA256)
        return open_secret(submission, requester->secrets[0], err);
    if (auth == CM_AUTH_NONE)
        return CM_OK;
    if (!key)
        return CM_FAIL(err, CM_NO_KEY, CM_ORIGIN_SELF, 0,
                       "requester %s must sign its requests: name its private key with --auth-key",
                       submission->requester);
    return cm_auth_signer_new_key(key, &submission->signer, err);
}

cm_status cm_submission_sign(const struct cm_submission *submission, struct cm_submitted *file,
                             struct cm_bytes *fields, struct cm_error *err)
{
    if (!submission->signer)
        return CM_OK;
    uint8_t *text = malloc(CM_CANONICAL_SIZE_MAX);
    if (!text)
        abort();
    snprintf(file->time, sizeof file->time, "%lld", (long long)cm_clock_wall_ms());
    fields[CM_FIELD_TIME] = cm_bytes_str(file->time);
    size_t size = cm_canonical_write(fields, text, CM_CANONICAL_SIZE_MAX);
    bool is_good = size > 0 && cm_auth_sign(submission->signer, cm_bytes(text, size), file->auth);
    free(text);
    if (!is_good)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "the request of %s cannot be signed",
                       file->name);
    fields[CM_FIELD_AUTH] = cm_bytes_str(file->auth);
    return CM_OK;
}

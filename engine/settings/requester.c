/* Requesters: whom they may ask for, and how they prove who they are. */
#include "engine/settings/build.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/base64url.h"
#include "engine/base/secret.h"
#include "engine/settings/value.h"

static cm_status find_groups(struct settings_build *build, const struct raw_requester *raw,
                             uint32_t i, struct cm_settings_requester *requester)
{
    const struct cm_settings *settings = build->settings;
    const struct cm_settings_group **found =
        settings_keep_array(build, raw->groups_count, sizeof *found);
    for (uint32_t g = 0; g < raw->groups_count; g++) {
        found[g] = cm_settings_group(settings, cm_bytes_str(raw->groups[g]));
        if (found[g])
            continue;
        const char *names[NAMES_MAX];
        for (uint32_t n = 0; n < settings->groups_count; n++)
            names[n] = settings->groups[n].name;
        return settings_fail_choice(build, PLACE(build, "requesters[%u].groups[%u]", i, g),
                                    raw->groups[g], "a group", names, settings->groups_count);
    }
    requester->groups = found;
    requester->groups_count = raw->groups_count;
    return CM_OK;
}

static const char *const operation_names[CM_OPERATION_COUNT] = {
#define X(symbol, name) [CM_OPERATION_##symbol] = name,
    CM_OPERATION_MAP(X)
#undef X
};

const char *cm_operation_name(enum cm_operation operation)
{
    return operation_names[operation];
}

bool cm_operation_find(struct cm_bytes name, enum cm_operation *ret_operation)
{
    for (unsigned operation = 0; operation < CM_OPERATION_COUNT; operation++) {
        if (cm_bytes_is(name, operation_names[operation])) {
            *ret_operation = (enum cm_operation)operation;
            return true;
        }
    }
    return false;
}

/* An empty list is none: default deny. */
static cm_status find_operations(struct settings_build *build, const struct raw_requester *raw,
                                 uint32_t i, struct cm_settings_requester *requester)
{
    if (!settings_file_has(build->file, PLACE(build, "requesters[%u].operations", i)))
        requester->operations =
            CM_OPERATION_BIT(CM_OPERATION_ISSUE) | CM_OPERATION_BIT(CM_OPERATION_RENEW);
    for (uint32_t o = 0; o < raw->operations_count; o++) {
        enum cm_operation found;
        if (!cm_operation_find(cm_bytes_str(raw->operations[o]), &found))
            return settings_fail_choice(build, PLACE(build, "requesters[%u].operations[%u]", i, o),
                                        raw->operations[o], "an operation", operation_names,
                                        CM_OPERATION_COUNT);
        requester->operations |= CM_OPERATION_BIT(found);
    }
    return CM_OK;
}

/* ------------------------------------------------------------------------- authentication -- */

/* Each worker of the engine reads them for itself: nobody could answer so many questions. */
static cm_status keep_secret(struct settings_build *build, const char *place, const char *reference,
                             const char **ret_kept)
{
    if (cm_secret_is_asked(reference))
        return settings_file_fail(build->file, build->err, place,
                                  "expected file:PATH, env:NAME or credential:NAME; a secret that "
                                  "requester and engine share is not asked for");
    *ret_kept = settings_keep_secret(build, reference);
    return CM_OK;
}

/* An item of a list, of which nobody has looked at the kind of its reference yet. */
static cm_status keep_old_secret(struct settings_build *build, const char *place,
                                 const char *reference, const char **ret_kept)
{
    static const struct settings_key key = { .kind = SETTINGS_SECRET, .min = 1, .max = 256 };
    char expected[200];
    if (!settings_value_check(&key, reference, expected, sizeof expected))
        return settings_file_fail(build->file, build->err, place, "%s", expected);
    return keep_secret(build, place, reference, ret_kept);
}

/* The one to sign with first. The text of a wrong reference may be a secret: it is not repeated. */
static cm_status keep_secrets(struct settings_build *build, const struct raw_requester *raw,
                              uint32_t i, struct cm_settings_requester *requester)
{
    const char **kept = settings_keep_array(build, raw->old_secrets_count + 1, sizeof *kept);
    uint32_t count = 0;
    cm_status status = CM_OK;
    if (raw->secret)
        status = keep_secret(build, PLACE(build, "requesters[%u].secret", i), raw->secret,
                             &kept[count++]);
    for (uint32_t k = 0; k < raw->old_secrets_count && status == CM_OK; k++)
        status = keep_old_secret(build, PLACE(build, "requesters[%u].old-secrets[%u]", i, k),
                                 raw->old_secrets[k], &kept[count++]);
    requester->secrets = kept;
    requester->secrets_count = count;
    return status;
}

/* Read here: they are no secrets, and a wrong one is told with its line. */
static cm_status read_public_keys(struct settings_build *build, const struct raw_requester *raw,
                                  uint32_t i, struct cm_settings_requester *requester)
{
    uint8_t(*keys)[CM_AUTH_PUBLIC_KEY_SIZE] =
        settings_keep_array(build, raw->public_keys_count, sizeof *keys);
    for (uint32_t k = 0; k < raw->public_keys_count; k++) {
        struct cm_error err;
        const char *text = raw->public_keys[k];
        if (!cm_base64url_decode(cm_bytes_str(text), keys[k], sizeof keys[k])
            && cm_auth_public_key_read(settings_keep_path(build, text), keys[k], &err) != CM_OK)
            return settings_file_fail(
                build->file, build->err, PLACE(build, "requesters[%u].public-keys[%u]", i, k),
                "expected the PEM file of an Ed25519 public key, or base64url "
                "of its 32 octets: %.100s",
                err.text);
    }
    requester->public_keys = (const uint8_t(*)[CM_AUTH_PUBLIC_KEY_SIZE])keys;
    requester->public_keys_count = raw->public_keys_count;
    return CM_OK;
}

/* A key that the method does not use was meant for another method. */
static cm_status check_auth_keys(struct settings_build *build, uint32_t i, enum cm_auth_method auth)
{
    static const struct {
        const char *key;
        bool goes_with[3]; /* none, hmac-sha256, ed25519 */
        const char *method;
    } keys[] = {
        { "secret", { [CM_AUTH_HMAC_SHA256] = true }, "hmac-sha256" },
        { "old-secrets", { [CM_AUTH_HMAC_SHA256] = true }, "hmac-sha256" },
        { "public-keys", { [CM_AUTH_ED25519] = true }, "ed25519" },
        { "clock-window",
          { [CM_AUTH_HMAC_SHA256] = true, [CM_AUTH_ED25519] = true },
          "hmac-sha256 or ed25519" },
    };
    for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
        const char *place = PLACE(build, "requesters[%u].%s", i, keys[k].key);
        if (!keys[k].goes_with[auth] && settings_file_has(build->file, place))
            return settings_file_fail(build->file, build->err, place, "expected only with auth: %s",
                                      keys[k].method);
    }
    return CM_OK;
}

static cm_status build_auth(struct settings_build *build, const struct raw_requester *raw,
                            uint32_t i, struct cm_settings_requester *requester)
{
    const char *place = PLACE(build, "requesters[%u].auth", i);
    if (strcmp(raw->auth, "hmac-sha256") == 0)
        requester->auth = CM_AUTH_HMAC_SHA256;
    else if (strcmp(raw->auth, "ed25519") == 0)
        requester->auth = CM_AUTH_ED25519;
    requester->clock_window_ms = (int64_t)settings_duration_ms(raw->clock_window);
    cm_status status = check_auth_keys(build, i, requester->auth);
    if (status != CM_OK)
        return status;
    if (requester->auth == CM_AUTH_HMAC_SHA256 && !raw->secret)
        return settings_file_fail(build->file, build->err, place,
                                  "hmac-sha256 needs the key \"secret\"");
    if (requester->auth == CM_AUTH_ED25519 && raw->public_keys_count == 0)
        return settings_file_fail(build->file, build->err, place,
                                  "ed25519 needs the key \"public-keys\"");
    status = keep_secrets(build, raw, i, requester);
    return status == CM_OK ? read_public_keys(build, raw, i, requester) : status;
}

cm_status settings_build_requesters(struct settings_build *build)
{
    uint32_t count = build->raw->requesters_count;
    struct cm_settings_requester *all = settings_keep_array(build, count, sizeof *all);
    build->settings->requesters = all;
    for (uint32_t i = 0; i < count; i++) {
        const struct raw_requester *raw = &build->raw->requesters[i];
        if (cm_settings_requester(build->settings, cm_bytes_str(raw->name)))
            return settings_fail_twice(build, "requesters", i, raw->name);
        all[i] = (struct cm_settings_requester){
            .name = settings_keep(build, raw->name),
            .rate_per_s = (uint32_t)*raw->rate,
            .burst = (uint32_t)(raw->burst ? *raw->burst : *raw->rate),
            .quota_per_day = *raw->quota,
            .remember_refusals = *raw->remember_refusals,
            .groups_results = strcmp(raw->results, "grouped") == 0,
        };
        cm_status status = find_groups(build, raw, i, &all[i]);
        if (status == CM_OK)
            status = find_operations(build, raw, i, &all[i]);
        if (status == CM_OK)
            status = build_auth(build, raw, i, &all[i]);
        if (status != CM_OK)
            return status;
        build->settings->requesters_count++;
    }
    return CM_OK;
}

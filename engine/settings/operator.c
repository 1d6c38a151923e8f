/* Operators: who may approve, with which keys; and the operations that want approvals. */
#include "engine/settings/build.h"

#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "engine/settings/value.h"
#include "engine/x509/key.h"

/* ------------------------------------------------------------------------------------- keys -- */

static bool is_good_key(struct cm_bytes spki)
{
    struct cm_public_key key;
    struct cm_refusal ignored;
    return cm_public_key_read(spki, &key, &ignored)
           && (key.type == CM_KEY_ED25519 || key.type == CM_KEY_P256);
}

/* Nobody types a passphrase for what is public. */
static int no_passphrase(char *space, int size, int writes, void *arg)
{
    (void)space;
    (void)size;
    (void)writes;
    (void)arg;
    return -1;
}

/* OpenSSL reads it, so that a point is on its curve; what it is, is looked at in its encoding. */
static bool read_spki(struct settings_build *build, const char *path, struct cm_bytes *ret_spki)
{
    unsigned char *der = NULL;
    FILE *file = fopen(path, "re");
    EVP_PKEY *key = file ? PEM_read_PUBKEY(file, NULL, no_passphrase, NULL) : NULL;
    int size = key ? i2d_PUBKEY(key, &der) : -1;
    if (size > 0)
        *ret_spki = cm_arena_copy(build->arena, cm_bytes(der, (size_t)size));
    OPENSSL_free(der);
    EVP_PKEY_free(key);
    if (file)
        fclose(file);
    ERR_clear_error();
    return size > 0 && is_good_key(*ret_spki);
}

/* One person under two names would be two approvals. */
static cm_status check_others(struct settings_build *build, uint32_t i,
                              const struct cm_settings_operator *operator)
{
    const struct cm_settings *settings = build->settings;
    if (cm_settings_operator(settings, cm_bytes_str(operator->name)))
        return settings_fail_twice(build, "operators", i, operator->name);
    for (uint32_t o = 0; o < settings->operators_count; o++)
        if (cm_bytes_equal(settings->operators[o].key, operator->key))
            return settings_file_fail(build->file, build->err, PLACE(build, "operators[%u].key", i),
                                      "the same key as that of %s: each operator has one of their "
                                      "own",
                                      settings->operators[o].name);
    return CM_OK;
}

static cm_status keep_roles(struct settings_build *build, const struct raw_operator *raw,
                            uint32_t i, struct cm_settings_operator *operator)
{
    static const struct settings_key name = { .kind = SETTINGS_NAME, .min = 1, .max = 64 };
    const char **roles = settings_keep_array(build, raw->roles_count, sizeof *roles);
    char expected[200];
    for (uint32_t r = 0; r < raw->roles_count; r++) {
        if (!settings_value_check(&name, raw->roles[r], expected, sizeof expected))
            return settings_file_fail(build->file, build->err,
                                      PLACE(build, "operators[%u].roles[%u]", i, r), "%s",
                                      expected);
        roles[r] = settings_keep(build, raw->roles[r]);
    }
    operator->roles = roles;
    operator->roles_count = raw->roles_count;
    return CM_OK;
}

static cm_status build_operators(struct settings_build *build)
{
    uint32_t count = build->raw->operators_count;
    struct cm_settings_operator *all = settings_keep_array(build, count, sizeof *all);
    build->settings->operators = all;
    for (uint32_t i = 0; i < count; i++) {
        const struct raw_operator *raw = &build->raw->operators[i];
        const char *path = settings_keep_path(build, raw->key);
        all[i].name = settings_keep(build, raw->name);
        if (!read_spki(build, path, &all[i].key))
            return settings_file_fail(build->file, build->err, PLACE(build, "operators[%u].key", i),
                                      "expected the PEM file of an Ed25519 or P-256 public key, "
                                      "found none in %.120s",
                                      path);
        cm_status status = check_others(build, i, &all[i]);
        if (status == CM_OK)
            status = keep_roles(build, raw, i, &all[i]);
        if (status != CM_OK)
            return status;
        build->settings->operators_count++;
    }
    return CM_OK;
}

/* ------------------------------------------------------------------------------- operations -- */

static uint32_t count_operators(const struct cm_settings *settings, const char *role)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < settings->operators_count; i++)
        count += cm_settings_operator_counts(&settings->operators[i], role);
    return count;
}

/* Else nobody could ever do it. */
static cm_status check_reach(struct settings_build *build, uint32_t i,
                             const struct cm_settings_dual_control *control)
{
    uint32_t count = count_operators(build->settings, control->role);
    const char *place = PLACE(build, "dual-control[%u].approvals", i);
    if (control->approvals <= count)
        return CM_OK;
    return settings_file_fail(build->file, build->err, place,
                              "%u approvals are more than there are operators%s%s: %u",
                              control->approvals, control->role ? " with the role " : "",
                              control->role ? control->role : "", count);
}

static const struct cm_settings_dual_control *find_marked(const struct cm_settings *settings,
                                                          enum cm_ceremony operation)
{
    for (uint32_t i = 0; i < settings->dual_control_count; i++)
        if (settings->dual_control[i].operation == operation)
            return &settings->dual_control[i];
    return NULL;
}

static cm_status build_dual_control(struct settings_build *build)
{
    uint32_t count = build->raw->dual_control_count;
    struct cm_settings_dual_control *all = settings_keep_array(build, count, sizeof *all);
    build->settings->dual_control = all;
    for (uint32_t i = 0; i < count; i++) {
        const struct raw_dual_control *raw = &build->raw->dual_control[i];
        (void)cm_ceremony_find(cm_bytes_str(raw->operation), &all[i].operation); /* a choice */
        if (find_marked(build->settings, all[i].operation))
            return settings_file_fail(build->file, build->err,
                                      PLACE(build, "dual-control[%u].operation", i),
                                      "%s stands there twice", raw->operation);
        all[i].approvals = (uint32_t)*raw->approvals;
        all[i].role = settings_keep(build, raw->role);
        all[i].valid_s = (int64_t)(settings_duration_ms(raw->valid) / SETTINGS_MS_PER_S);
        cm_status status = check_reach(build, i, &all[i]);
        if (status != CM_OK)
            return status;
        build->settings->dual_control_count++;
    }
    return CM_OK;
}

static bool does_by_itself(enum cm_rotation rotation, enum cm_ceremony operation)
{
    if (operation == CM_CEREMONY_ROTATE)
        return rotation != CM_ROTATION_WARN;
    return rotation == CM_ROTATION_AUTOMATIC
           && (operation == CM_CEREMONY_ACTIVATE || operation == CM_CEREMONY_RETIRE);
}

/* Else each step would be refused when its time comes, years from now, and nobody be there. */
static cm_status check_schedules(struct settings_build *build)
{
    const struct cm_settings *settings = build->settings;
    for (uint32_t i = 0; i < settings->authorities_count; i++)
        for (uint32_t d = 0; d < settings->dual_control_count; d++) {
            enum cm_rotation rotation = settings->authorities[i].rotation;
            enum cm_ceremony operation = settings->dual_control[d].operation;
            if (does_by_itself(rotation, operation))
                return settings_file_fail(
                    build->file, build->err, PLACE(build, "authorities[%u].rotation", i),
                    "dual-control wants approvals for %s, which a schedule has not: expected warn%s",
                    cm_ceremony_name(operation),
                    does_by_itself(CM_ROTATION_PREPARE, operation) ? "" : " or prepare");
        }
    return CM_OK;
}

cm_status settings_build_operators(struct settings_build *build)
{
    cm_status status = build_operators(build);
    if (status == CM_OK)
        status = build_dual_control(build);
    return status == CM_OK ? check_schedules(build) : status;
}

/* ---------------------------------------------------------------------------------- finders -- */

const struct cm_settings_operator *cm_settings_operator(const struct cm_settings *settings,
                                                        struct cm_bytes name)
{
    for (uint32_t i = 0; i < settings->operators_count; i++)
        if (cm_bytes_is(name, settings->operators[i].name))
            return &settings->operators[i];
    return NULL;
}

const struct cm_settings_dual_control *cm_settings_dual_control(const struct cm_settings *settings,
                                                                enum cm_ceremony operation)
{
    const struct cm_settings_dual_control *marked = find_marked(settings, operation);
    if (!marked && operation == CM_CEREMONY_CROSS_SIGN)
        marked = find_marked(settings, CM_CEREMONY_CREATE);
    return marked;
}

bool cm_settings_operator_counts(const struct cm_settings_operator *operator, const char * role)
{
    for (uint32_t i = 0; role && i < operator->roles_count; i++)
        if (strcmp(operator->roles[i], role) == 0)
            return true;
    return role == NULL;
}

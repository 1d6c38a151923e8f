#include "bench/line_deployment.h"

#include <errno.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <openssl/pem.h>

#include "engine/base/clock.h"
#include "engine/store/store.h"
#include "queue/canonical.h"
#include "tools/fleet.h"
#include "tools/scratch.h"

static struct cm_fleet
    *fleets[CM_KEY_TYPE_COUNT]; /* by type, mixed the first; made when asked for */

/* ------------------------------------------------------------------ the folder -- */

static cm_status init_folder(const char *folder, const char *ca_key, struct cm_error *err)
{
    extern char **environ;
    const char *key_type = strcmp(ca_key, "rsa") == 0 ? "rsa-2048" : ca_key;
    const char *const words[] = {
        CERTMILL_PROGRAM, "init",       folder,       "--quiet",
        "--key-type",     key_type,     "--base-url", "http://pki.example",
        "--organization", "Benchmarks", NULL
    };
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int how = -1;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", 1 /* O_WRONLY */, 0);
    int failure = posix_spawn(&pid, CERTMILL_PROGRAM, &actions, NULL,
                              (char *const *)(uintptr_t)words, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failure != 0 || waitpid(pid, &how, 0) != pid || how != 0)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, failure, "%s init %s failed", CERTMILL_PROGRAM,
                       folder);
    return CM_OK;
}

static cm_status allow_devices(const char *store_path, struct cm_loop *loop, struct cm_error *err)
{
    static char ids[LINE_BATCH_MAX][CM_FLEET_ID_SIZE];
    static struct cm_device_row rows[LINE_BATCH_MAX];
    const struct cm_store_settings settings = { .path = store_path };
    const struct cm_audit_event audit = { .kind = "device-import",
                                          .actor = cm_bytes_str("bench"),
                                          .detail = cm_bytes_str("{}") };
    struct cm_store_op op = {
        .kind = CM_STORE_DEVICES, .devices = rows, .devices_count = LINE_BATCH_MAX, .audit = &audit
    };
    struct cm_store *store = NULL;
    for (uint32_t i = 0; i < LINE_BATCH_MAX; i++) {
        cm_fleet_device_id(i, ids[i]);
        rows[i] =
            (struct cm_device_row){ .id = cm_bytes_str(ids[i]), .group = cm_bytes_str("default") };
    }
    cm_status status = cm_store_open(&cm_store_sqlite, loop, &settings, &store, err);
    if (status == CM_OK)
        status = cm_store_apply(store, &op, err);
    cm_store_close(store);
    return status;
}

/* ------------------------------------------------------------------ who may ask -- */

static cm_status add_hmac(struct line_deployment *deployment, struct cm_error *err)
{
    static const char secret[] = "0123456789abcdef0123456789abcdef";
    char path[280];
    snprintf(path, sizeof path, "%s/secret", deployment->folder);
    snprintf(deployment->secret, sizeof deployment->secret, "file:%s", path);
    deployment->secrets[0] = deployment->secret;
    FILE *file = fopen(path, "w");
    if (!file || fchmod(fileno(file), 0600) != 0 || fputs(secret, file) < 0 || fclose(file) != 0)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "%s", path);
    struct cm_settings_requester *requester = &deployment->requesters[CM_AUTH_HMAC_SHA256];
    requester->name = "hmac";
    requester->secrets = deployment->secrets;
    requester->secrets_count = 1;
    return cm_auth_signer_new_secret(cm_bytes_str(secret),
                                     &deployment->signers[CM_AUTH_HMAC_SHA256], err);
}

static cm_status add_ed25519(struct line_deployment *deployment, struct cm_error *err)
{
    char path[280];
    size_t size = CM_AUTH_PUBLIC_KEY_SIZE;
    snprintf(path, sizeof path, "%s/requester.pem", deployment->folder);
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    FILE *file = fopen(path, "w");
    bool is_written = key && file
                      && EVP_PKEY_get_raw_public_key(key, deployment->public_keys[0], &size) == 1
                      && PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1;
    EVP_PKEY_free(key);
    if (!file || fclose(file) != 0 || !is_written)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "%s", path);
    struct cm_settings_requester *requester = &deployment->requesters[CM_AUTH_ED25519];
    requester->name = "ed25519";
    requester->public_keys =
        (const uint8_t(*)[CM_AUTH_PUBLIC_KEY_SIZE])(uintptr_t)deployment->public_keys;
    requester->public_keys_count = 1;
    return cm_auth_signer_new_key(path, &deployment->signers[CM_AUTH_ED25519], err);
}

static cm_status change_settings(struct line_deployment *deployment, struct cm_error *err)
{
    deployment->settings = *deployment->read;
    deployment->settings.engine.workers = 1;
    deployment->settings.engine.batch_items_max = LINE_BATCH_MAX;
    deployment->settings.engine.signs_inline = true;
    deployment->settings.engine.intent_hold_s = 86400;
    for (unsigned i = 0; i < LINE_REQUESTERS; i++) {
        deployment->requesters[i] = deployment->read->requesters[0];
        deployment->requesters[i].auth = (enum cm_auth_method)i;
        deployment->requesters[i].clock_window_ms = 3600 * INT64_C(1000);
    }
    deployment->settings.requesters = deployment->requesters;
    deployment->settings.requesters_count = LINE_REQUESTERS;
    cm_status status = add_hmac(deployment, err);
    return status == CM_OK ? add_ed25519(deployment, err) : status;
}

cm_status line_deployment_make(struct line_deployment *deployment, const char *ca_key,
                               struct cm_loop *loop, struct cm_error *err)
{
    char path[300];
    cm_status status =
        cm_scratch_make("certmill-line", deployment->folder, sizeof deployment->folder, err);
    if (status == CM_OK)
        status = init_folder(deployment->folder, ca_key, err);
    snprintf(path, sizeof path, "%s/certmill.yaml", deployment->folder);
    if (status == CM_OK)
        status = cm_settings_read(path, &deployment->read, err);
    if (status == CM_OK)
        status = change_settings(deployment, err);
    if (status == CM_OK)
        status = allow_devices(deployment->settings.store_path, loop, err);
    return status;
}

void line_deployment_done(struct line_deployment *deployment)
{
    for (unsigned i = 0; i < LINE_REQUESTERS; i++)
        cm_auth_signer_free(deployment->signers[i]);
    cm_settings_free(deployment->read);
    if (deployment->folder[0])
        cm_scratch_remove(deployment->folder);
}

/* ------------------------------------------------------------------ requests -- */

static cm_status make_fleet(enum cm_key_type type, struct cm_error *err)
{
    struct cm_fleet_settings settings;
    if (fleets[type])
        return CM_OK;
    if (type == CM_KEY_UNKNOWN)
        cm_fleet_settings_mix(LINE_BATCH_MAX, &settings);
    else
        cm_fleet_settings_uniform(type == CM_KEY_RSA ? LINE_RSA_MAX : LINE_BATCH_MAX, type,
                                  &settings);
    return cm_fleet_make(&settings, NULL, &fleets[type], err);
}

void line_deployment_forget_fleets(void)
{
    for (unsigned type = 0; type < CM_KEY_TYPE_COUNT; type++) {
        cm_fleet_free(fleets[type]);
        fleets[type] = NULL;
    }
}

/* Room for what a request says. */
struct texts {
    char id[24], device[CM_FLEET_ID_SIZE], time[24], auth[CM_AUTH_TEXT_SIZE];
};

static bool vouch(struct cm_auth_signer *signer, struct cm_bytes *fields, struct texts *texts)
{
    static uint8_t canonical[CM_CANONICAL_SIZE_MAX];
    snprintf(texts->time, sizeof texts->time, "%" PRId64, cm_clock_wall_ms());
    fields[CM_FIELD_TIME] = cm_bytes_str(texts->time);
    size_t size = cm_canonical_write(fields, canonical, sizeof canonical);
    if (!cm_auth_sign(signer, cm_bytes(canonical, size), texts->auth))
        return false;
    fields[CM_FIELD_AUTH] = cm_bytes_str(texts->auth);
    return true;
}

static void push(struct cm_memory_broker *broker, const struct cm_bytes *fields)
{
    struct cm_memory_pair pairs[CM_FIELD_COUNT];
    size_t count = 0;
    for (unsigned i = 0; i < CM_FIELD_COUNT; i++)
        if (fields[i].data)
            pairs[count++] =
                (struct cm_memory_pair){ .name = cm_bytes_str(cm_field_name((enum cm_field)i)),
                                         .value = fields[i] };
    cm_memory_push(broker, pairs, count);
}

cm_status line_deployment_push(struct line_deployment *deployment, struct cm_memory_broker *broker,
                               const struct line_order *order, struct cm_error *err)
{
    cm_status status = make_fleet(order->key, err);
    for (uint32_t i = 0; i < order->count && status == CM_OK; i++) {
        struct cm_bytes fields[CM_FIELD_COUNT] = { { NULL, 0 } };
        struct texts texts;
        snprintf(texts.id, sizeof texts.id, "bench-%016" PRIx64, ++deployment->requests_count);
        cm_fleet_device_id(i, texts.device);
        fields[CM_FIELD_OP] = cm_bytes_str(cm_operation_name(order->operation));
        fields[CM_FIELD_ID] = cm_bytes_str(texts.id);
        fields[CM_FIELD_REQUESTER] = cm_bytes_str(deployment->requesters[order->auth].name);
        fields[CM_FIELD_DEVICE] = cm_bytes_str(texts.device);
        fields[CM_FIELD_CSR] = fleets[order->key]->devices[i].csr;
        if (order->auth != CM_AUTH_NONE && !vouch(deployment->signers[order->auth], fields, &texts))
            return CM_FAIL(err, CM_IO, CM_ORIGIN_SELF, 0, "a request was not signed");
        push(broker, fields);
    }
    return status;
}

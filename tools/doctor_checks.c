#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/secret.h"
#include "engine/schedule.h"
#include "engine/x509/certificate.h"
#include "queue/queue.h"
#include "tools/doctor.h"
#include "tools/runner.h"
#include "tools/key_session.h"

#define DISK_LEAST_BYTES  (UINT64_C(100) << 20)
#define DISK_ENOUGH_BYTES (UINT64_C(1) << 30)
#define DAY_S             86400
#define EXPIRY_SOON_S     (90 * (int64_t)DAY_S)
#define QUEUE_WAIT_MS     3000
#define YEAR_2024_S       INT64_C(1704067200)
#define TEXT_OF(bytes)    (int)(bytes).size, (const char *)(bytes).data

/* ------------------------------------------------------------------------------- key files -- */

/* Nobody else may read keys: no bit for group or others, and ours or root's. */
static bool is_private(struct cm_doctor *doctor, const char *path, bool folder)
{
    struct stat status;
    if (lstat(path, &status) != 0) {
        cm_doctor_say(doctor, CM_VERDICT_FAIL, "key files", "check the path in the settings",
                      "%s: %s", path, strerror(errno));
        return false;
    }
    if ((status.st_mode & 077) != 0) {
        cm_doctor_say(doctor, CM_VERDICT_FAIL, "key files",
                      cm_arena_printf(doctor->arena, "chmod %s %s", folder ? "700" : "600", path),
                      "%s can be reached by others (mode %03o)", path,
                      (unsigned)status.st_mode & 0777);
        return false;
    }
    if (status.st_uid != geteuid() && geteuid() != 0) {
        cm_doctor_say(doctor, CM_VERDICT_WARN, "key files",
                      "run doctor as the user that runs the engine", "%s is not ours", path);
        return false;
    }
    return true;
}

static uint32_t check_folder(struct cm_doctor *doctor, const char *folder, bool *good)
{
    uint32_t count = 0;
    DIR *stream = opendir(folder);
    *good = is_private(doctor, folder, true);
    if (!stream)
        return 0;
    for (struct dirent *entry; (entry = readdir(stream));) {
        if (entry->d_name[0] == '.')
            continue;
        const char *path = cm_arena_printf(doctor->arena, "%s/%s", folder, entry->d_name);
        *good = is_private(doctor, path, false) && *good;
        count++;
    }
    closedir(stream);
    return count;
}

static void check_passphrase(struct cm_doctor *doctor, const struct cm_settings_provider *provider)
{
    struct cm_error err;
    if (!provider->passphrase)
        return;
    if (cm_secret_is_asked(provider->passphrase))
        cm_doctor_say(doctor, CM_VERDICT_OK, "passphrase", NULL,
                      "provider %s: asked for at a start", provider->name);
    else if (cm_secret_check(provider->passphrase, NULL, &err) != CM_OK)
        cm_doctor_say(doctor, CM_VERDICT_FAIL, "passphrase",
                      "see providers[].passphrase in the settings", "provider %s: %s",
                      provider->name, err.text);
    else
        cm_doctor_say(doctor, CM_VERDICT_OK, "passphrase", NULL, "provider %s: can be read",
                      provider->name);
}

void cm_doctor_check_key_files(struct cm_doctor *doctor)
{
    const struct cm_settings *settings = doctor->settings;
    for (uint32_t i = 0; i < settings->providers_count; i++) {
        const struct cm_settings_provider *provider = &settings->providers[i];
        bool good = false;
        uint32_t count = 0;
        if (strcmp(provider->kind, "keyvault") != 0)
            count = check_folder(doctor, provider->keys, &good);
        if (good)
            cm_doctor_say(doctor, CM_VERDICT_OK, "key files", NULL, "%s: %u file%s, private",
                          provider->keys, count, count == 1 ? "" : "s");
        check_passphrase(doctor, provider);
    }
}

/* ----------------------------------------------------------------------------------- store -- */

static void check_disk(struct cm_doctor *doctor)
{
    struct statvfs disk;
    char *copy = strdup(doctor->settings->store_path);
    bool known = copy && statvfs(dirname(copy), &disk) == 0;
    free(copy);
    if (!known)
        return;
    uint64_t free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    enum cm_verdict verdict = CM_VERDICT_OK;
    if (free_bytes < DISK_LEAST_BYTES)
        verdict = CM_VERDICT_FAIL;
    else if (free_bytes < DISK_ENOUGH_BYTES)
        verdict = CM_VERDICT_WARN;
    cm_doctor_say(doctor, verdict, "disk", "make room: a million certificates take about 1 GB",
                  "%" PRIu64 " MB free for the store", free_bytes >> 20);
}

void cm_doctor_check_store(struct cm_doctor *doctor)
{
    struct cm_store_settings settings = { .path = doctor->settings->store_path, .read_only = true };
    struct cm_store_counts counts;
    struct cm_error err;
    cm_status status = cm_store_open(&cm_store_sqlite, NULL, &settings, &doctor->store, &err);
    if (status == CM_OK)
        status = cm_store_reader_open(doctor->store, &doctor->reader, &err);
    if (status == CM_OK)
        status = cm_store_reader_begin(doctor->reader, &err);
    if (status == CM_OK)
        status = cm_store_count(doctor->reader, &counts, &err);
    if (status != CM_OK) {
        cm_doctor_say(doctor, CM_VERDICT_FAIL, "store",
                      "check store.path; certmill init makes a new deployment", "%s", err.text);
        cm_store_reader_close(doctor->reader);
        cm_store_close(doctor->store);
        doctor->reader = NULL;
        doctor->store = NULL;
        return;
    }
    cm_doctor_say(doctor, CM_VERDICT_OK, "store", NULL,
                  "%s: %" PRId64 " devices, %" PRId64 " certificates, %" PRId64 " open intents",
                  doctor->settings->store_path, counts.devices, counts.certificates,
                  counts.open_intents);
    check_disk(doctor);
}

/* ----------------------------------------------------------------------------- authorities -- */

static void check_validity(struct cm_doctor *doctor, const char *name,
                           const struct cm_certificate *certificate)
{
    int64_t now = cm_clock_wall_s();
    int64_t days = (certificate->not_after_s - now) / DAY_S;
    if (now < certificate->not_before_s)
        cm_doctor_say(doctor, CM_VERDICT_FAIL, name, "check the clock",
                      "the certificate is not valid yet");
    else if (days < 0)
        cm_doctor_say(doctor, CM_VERDICT_FAIL, name, "the authority needs a new certificate",
                      "the certificate has expired");
    else if (certificate->not_after_s - now < EXPIRY_SOON_S)
        cm_doctor_say(doctor, CM_VERDICT_WARN, name, "plan the next certificate now",
                      "the certificate ends in %" PRId64 " days", days);
    else
        cm_doctor_say(doctor, CM_VERDICT_OK, name, NULL, "valid for %" PRId64 " more days", days);
}

/* What mends it, by what the provider says. */
static const char *key_remedy(const struct cm_settings_provider *provider, cm_status status)
{
    if (strcmp(provider->kind, "keyvault") != 0)
        return "put the key back, or see providers[]";
    if (status == CM_DENIED)
        return "see the secret in the settings, the roles of the client at the vault (Key Vault "
               "Crypto User), and the vault's network rules";
    if (status == CM_UNAVAILABLE)
        return "see the vault's name, the network, and keyvault.trust in the settings";
    if (status == CM_NO_KEY)
        return "enable the key, or recover it in the vault";
    if (status == CM_MISMATCH)
        return "see keyvault.require in the settings; a key cannot be moved into an HSM";
    return "see providers[].keyvault in the settings";
}

/* The provider signs and verifies a test message when a key is opened. */
static void check_key(struct cm_doctor *doctor, const char *name,
                      const struct cm_generation *generation,
                      const struct cm_certificate *certificate)
{
    struct cm_key_session session = { 0 };
    struct cm_error err;
    const char *reference = cm_arena_printf(doctor->arena, "%.*s", TEXT_OF(generation->key));
    const char *instance = cm_arena_printf(doctor->arena, "%.*s", TEXT_OF(generation->provider));
    const struct cm_settings_provider *provider = cm_settings_provider(doctor->settings, instance);
    if (!provider) {
        cm_doctor_say(doctor, CM_VERDICT_FAIL, name, "add it to providers in the settings",
                      "its key is in the provider \"%s\", which the settings do not have",
                      instance);
        return;
    }
    if (cm_key_session_open(&session, provider, reference, &err) != CM_OK)
        cm_doctor_say(doctor, CM_VERDICT_FAIL, name, key_remedy(provider, err.status),
                      "the key %s: %s", reference, err.text);
    else if (!cm_bytes_equal(session.key->spki, certificate->spki))
        cm_doctor_say(doctor, CM_VERDICT_FAIL, name, "put the right key back",
                      "the key %s is not that of the certificate", reference);
    else
        cm_doctor_say(doctor, CM_VERDICT_OK, name, NULL, "the key %s signs", reference);
    cm_key_session_close(&session);
}

/* The root's key belongs off-line; that it is still here deserves a word. */
static void check_root(struct cm_doctor *doctor, const struct cm_generation *generation)
{
    const char *instance = cm_arena_printf(doctor->arena, "%.*s", TEXT_OF(generation->provider));
    const struct cm_settings_provider *provider = cm_settings_provider(doctor->settings, instance);
    if (!provider || generation->key.size <= 5 || memcmp(generation->key.data, "file:", 5) != 0)
        return;
    const char *path = cm_arena_printf(doctor->arena, "%s/%.*s", provider->keys,
                                       (int)generation->key.size - 5, generation->key.data + 5);
    if (access(path, F_OK) == 0)
        cm_doctor_say(doctor, CM_VERDICT_WARN, "root key",
                      "move it to a medium that is kept off-line; the engine never needs it",
                      "%s is still here", path);
    else
        cm_doctor_say(doctor, CM_VERDICT_OK, "root key", NULL, "not on this machine");
}

/* Which authorities of the settings have an active generation. */
struct authority_walk {
    struct cm_doctor *doctor;
    bool *seen;
};

/* When another key of the authority is to issue. */
static void check_schedule(struct cm_doctor *doctor, const char *name,
                           const struct cm_generation *generation,
                           const struct cm_certificate *certificate)
{
    const struct cm_settings_authority *authority = cm_settings_authority(
        doctor->settings, cm_arena_printf(doctor->arena, "%.*s", TEXT_OF(generation->authority)));
    struct cm_schedule_moments moments;
    char span[CM_SPAN_TEXT_SIZE];
    int64_t now_ms = cm_clock_wall_ms();
    if (!authority
        || !cm_schedule_of(authority, generation->active_ms, certificate->not_after_s, &moments))
        return;
    if (now_ms >= moments.due_ms)
        cm_doctor_say(doctor, CM_VERDICT_WARN, name,
                      "certmill ca rotate, then certmill ca activate",
                      "another key should have issued for %s by now",
                      cm_schedule_write_span(now_ms - moments.due_ms, span));
    else
        cm_doctor_say(doctor, CM_VERDICT_OK, name, NULL, "the next key's turn is in %s",
                      cm_schedule_write_span(moments.due_ms - now_ms, span));
}

static void check_generation(struct cm_doctor *doctor, const struct cm_generation *generation)
{
    struct cm_certificate certificate;
    struct cm_error err;
    const char *name = cm_arena_printf(doctor->arena, "%.*s-%" PRId64,
                                       TEXT_OF(generation->authority), generation->generation);
    if (cm_certificate_read(generation->certificate, &certificate, &err) != CM_OK) {
        cm_doctor_say(doctor, CM_VERDICT_FAIL, name, "restore the store from a backup",
                      "its certificate cannot be read: %s", err.text);
        return;
    }
    check_validity(doctor, name, &certificate);
    check_schedule(doctor, name, generation, &certificate);
    check_key(doctor, name, generation, &certificate);
}

static bool walk_generation(const struct cm_generation *generation, void *arg)
{
    struct authority_walk *walk = arg;
    const struct cm_settings *settings = walk->doctor->settings;
    if (generation->state != CM_GENERATION_ACTIVE)
        return true;
    for (uint32_t i = 0; i < settings->authorities_count; i++)
        if (cm_bytes_is(generation->authority, settings->authorities[i].name)) {
            walk->seen[i] = true;
            check_generation(walk->doctor, generation);
            return true;
        }
    if (cm_bytes_is(generation->authority, "root"))
        check_root(walk->doctor, generation);
    return true;
}

void cm_doctor_check_authorities(struct cm_doctor *doctor)
{
    const struct cm_settings *settings = doctor->settings;
    struct authority_walk walk = {
        doctor, cm_arena_zalloc(doctor->arena, settings->authorities_count * sizeof(bool))
    };
    struct cm_error err;
    if (cm_store_walk_generations(doctor->reader, walk_generation, &walk, &err) != CM_OK)
        cm_doctor_say(doctor, CM_VERDICT_FAIL, "authorities", NULL, "%s", err.text);
    for (uint32_t i = 0; i < settings->authorities_count; i++)
        if (!walk.seen[i])
            cm_doctor_say(doctor, CM_VERDICT_FAIL, settings->authorities[i].name,
                          "give it a key, or take it out of the settings",
                          "the store has no active key of this authority");
}

/* ----------------------------------------------------------------------------------- queue -- */

struct queue_wait {
    struct cm_loop *loop;
    bool up;
    char text[200];
};

static void on_entries(struct cm_entry **entries, uint32_t count, void *arg)
{
    (void)entries;
    (void)count;
    (void)arg; /* nothing was wanted, nothing comes */
}

static void on_event(enum cm_queue_event event, const char *text, void *arg)
{
    struct queue_wait *wait = arg;
    wait->up = event == CM_QUEUE_UP;
    snprintf(wait->text, sizeof wait->text, "%s", text ? text : "not reachable");
    cm_loop_stop(wait->loop);
}

static void on_late(void *arg)
{
    struct queue_wait *wait = arg;
    snprintf(wait->text, sizeof wait->text, "no answer within %d s", QUEUE_WAIT_MS / 1000);
    cm_loop_stop(wait->loop);
}

static cm_status try_redis(const struct cm_settings *deployment, struct queue_wait *wait,
                           struct cm_error *err)
{
    struct cm_queue_settings settings;
    cm_runner_queue(deployment, &settings);
    struct cm_queue *queue = NULL;
    struct cm_timer timer = { 0 };
    cm_status status = cm_queue_open(&cm_queue_redis, wait->loop, &settings, on_entries, on_event,
                                     wait, &queue, err);
    if (status != CM_OK)
        return status;
    cm_timer_start(&timer, wait->loop, QUEUE_WAIT_MS, on_late, wait);
    cm_loop_run(wait->loop);
    cm_timer_stop(&timer);
    cm_timer_done(&timer);
    cm_queue_close(queue);
    return CM_OK;
}

static void check_redis(struct cm_doctor *doctor)
{
    const struct cm_settings_redis *redis = &doctor->settings->redis;
    struct queue_wait wait = { 0 };
    struct cm_error err;
    cm_status status = cm_loop_new(&wait.loop, &err);
    if (status == CM_OK)
        status = try_redis(doctor->settings, &wait, &err);
    if (status != CM_OK)
        cm_doctor_say(doctor, CM_VERDICT_FAIL, "queue", "see queue.redis in the settings", "%s",
                      err.text);
    else if (!wait.up)
        cm_doctor_say(doctor, CM_VERDICT_FAIL, "queue",
                      "start the server, or put queue.redis.url right", "%s: %s", redis->url,
                      wait.text);
    else
        cm_doctor_say(doctor, CM_VERDICT_OK, "queue", NULL, "%s answers", redis->url);
    cm_loop_free(wait.loop);
}

static void check_spool(struct cm_doctor *doctor)
{
    static const char *const parts[] = { "incoming", "answered", "refused" };
    const char *folder = doctor->settings->spool.folder;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        const char *path = cm_arena_printf(doctor->arena, "%s/%s", folder, parts[i]);
        if (access(path, R_OK | W_OK | X_OK) == 0)
            continue;
        cm_doctor_say(
            doctor, CM_VERDICT_FAIL, "queue",
            cm_arena_printf(doctor->arena, "mkdir -p %s, and let the engine write there", path),
            "%s: %s", path, strerror(errno));
        return;
    }
    cm_doctor_say(doctor, CM_VERDICT_OK, "queue", NULL, "the spool %s can be written", folder);
}

void cm_doctor_check_queue(struct cm_doctor *doctor)
{
    if (doctor->settings->queue_kind == CM_QUEUE_KIND_REDIS)
        check_redis(doctor);
    else
        check_spool(doctor);
}

/* ----------------------------------------------------------------------------------- clock -- */

void cm_doctor_check_clock(struct cm_doctor *doctor)
{
    struct cm_store_counts counts;
    struct cm_error err;
    int64_t now_s = cm_clock_wall_s();
    if (cm_store_count(doctor->reader, &counts, &err) != CM_OK)
        return; /* said before */
    int64_t behind_s = counts.last_time_ms / 1000 - now_s;
    if (now_s < YEAR_2024_S)
        cm_doctor_say(doctor, CM_VERDICT_FAIL, "clock", "set it, and let chrony or ntpd keep it",
                      "the wall clock says a time before 2024");
    else if (behind_s > (int64_t)doctor->settings->engine.clock_step_s_max)
        cm_doctor_say(doctor, CM_VERDICT_FAIL, "clock", "set it, and let chrony or ntpd keep it",
                      "the wall clock is %" PRId64 " s before the last thing the store recorded",
                      behind_s);
    else
        cm_doctor_say(doctor, CM_VERDICT_OK, "clock", NULL, "not before the store's last record");
}

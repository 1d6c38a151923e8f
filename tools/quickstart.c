/* certmill quickstart: a fleet and its certificates, from nothing, in one folder. */
#include "tools/quickstart.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "engine/base/clock.h"
#include "tools/commands.h"
#include "tools/inner_call.h"
#include "tools/private_redis.h"
#include "tools/private_token.h"
#include "tools/scratch.h"

enum { RSA_MAX = 40 }; /* each takes a fifth of a second to make */

/* Stands in every folder that quickstart made: only such a one may it remove. */
#define MARKER "quickstart.txt"

static const char *const paragraphs[] = {
    "Makes a deployment in a scratch folder, a fleet of devices with keys and CSRs of their own, "
    "imports them into the allow-list, issues every certificate into `DIR/certs/`, and shows a "
    "sample of them to `openssl verify`. Then the first device is revoked while `serve` runs, and "
    "openssl finds it in the CRL and asks OCSP, over HTTP. What it does is what you would type: `init`, "
    "`device import`, `issue`, `revoke`, `crl publish`; with `--redis` a private redis-server, `serve` and `submit`; with `--hsm` the "
    "CA keys are made in a SoftHSM token in the folder, and stay there.",
    "A folder that an earlier quickstart made is replaced; any other is left alone. The keys of the "
    "fleet are forgotten: the certificates are to look at.",
    NULL
};

static const struct cm_option options[] = {
    { .name = "dir",
      .type = CM_OPTION_PATH,
      .argument = "DIR",
      .standard = "quickstart-data",
      .help = "Where everything goes." },
    { .name = "devices",
      .letter = 'n',
      .type = CM_OPTION_NUMBER,
      .argument = "N",
      .standard = "10000",
      .min = 1,
      .max = 10000000,
      .help = "The fleet: mostly P-256, some P-384, RSA-2048 (at most 1 % and 40) and Ed25519." },
    { .name = "redis",
      .type = CM_OPTION_FLAG,
      .help = "Through a private redis-server on a Unix socket instead of files." },
    { .name = "hsm",
      .type = CM_OPTION_FLAG,
      .help = "With CA keys in a SoftHSM token of its own instead of key files." },
    CM_OPTION_JSON,
};

static const struct cm_example examples[] = {
    { "certmill quickstart", "10,000 certificates in quickstart-data/." },
    { "certmill quickstart --dir /tmp/try --devices 500 --redis", "The same through Redis." },
    { "certmill quickstart --redis --hsm", "With the CA keys in a token." },
};

bool cm_quickstart_fail(const struct cm_quickstart *quickstart, const char *format, ...)
{
    va_list args;
    (void)quickstart;
    fprintf(stderr, "certmill: ");
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return false;
}

static void say(const struct cm_quickstart *quickstart, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void say(const struct cm_quickstart *quickstart, const char *format, ...)
{
    va_list args;
    if (quickstart->json)
        return;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    fflush(stdout);
}

static double seconds_since(uint64_t begin_ns)
{
    return (double)(cm_clock_monotonic_ns() - begin_ns) / (double)CM_NS_PER_S;
}

/* --- the folder ---------------------------------------------------------------------------------- */

static bool is_empty(const char *path)
{
    DIR *folder = opendir(path);
    unsigned count = 0;
    while (folder && readdir(folder))
        count++;
    if (folder)
        closedir(folder);
    return folder && count <= 2;
}

static bool write_marker(const struct cm_quickstart *quickstart, const char *marker)
{
    FILE *file = fopen(marker, "wx");
    if (!file)
        return cm_quickstart_fail(quickstart, "%s: %s", marker, strerror(errno));
    fputs("This folder was made by `certmill quickstart`, which replaces it when it runs again:\n\n"
          "  certmill.yaml  settings          ca/     certificates of root and issuing CA\n"
          "  devices.csv    the allow-list    csrs/   a request for each device\n"
          "  store/         the record        certs/  a certificate for each device, with chain\n"
          "  issuing-1.crl  a CRL, with the first device in it\n"
          "  keys/, token/  keys of the CAs: nothing that anyone should trust\n",
          file);
    return fclose(file) == 0;
}

static bool make_folder(struct cm_quickstart *quickstart)
{
    struct cm_arena *arena = &quickstart->arena;
    const char *marker = cm_arena_printf(arena, "%s/" MARKER, quickstart->folder);
    if (access(marker, F_OK) == 0)
        cm_scratch_remove(quickstart->folder);
    if (mkdir(quickstart->folder, 0755) != 0 && !(errno == EEXIST && is_empty(quickstart->folder)))
        return cm_quickstart_fail(quickstart,
                                  "%s is there already and not a quickstart's; choose another "
                                  "--dir",
                                  quickstart->folder);
    quickstart->settings = cm_arena_printf(arena, "%s/certmill.yaml", quickstart->folder);
    quickstart->csrs = cm_arena_printf(arena, "%s/csrs", quickstart->folder);
    quickstart->certs = cm_arena_printf(arena, "%s/certs", quickstart->folder);
    if (!write_marker(quickstart, marker))
        return false;
    if (mkdir(quickstart->csrs, 0755) != 0 || mkdir(quickstart->certs, 0755) != 0)
        return cm_quickstart_fail(quickstart, "%s: %s", quickstart->csrs, strerror(errno));
    return true;
}

/* --- steps --------------------------------------------------------------------------------------- */

static bool make_deployment(struct cm_quickstart *quickstart, const struct cm_private_redis *redis)
{
    struct cm_private_token token;
    struct cm_error err;
    const char *const status =
        cm_arena_printf(&quickstart->arena, "127.0.0.1:%u", quickstart->port);
    const char *init[32] = {
        quickstart->folder, "--quiet",
        "--organization",   "Quickstart",
        "--listen",         status,
        "--base-url",       cm_arena_printf(&quickstart->arena, "http://%s", status)
    };
    size_t count = 8;
    say(quickstart, "1  a deployment in %s%s\n", quickstart->folder,
        quickstart->hsm ? ", its keys in a SoftHSM token" : "");
    init[count++] = "--queue";
    init[count++] = quickstart->redis ? "redis" : "spool";
    if (quickstart->redis) {
        init[count++] = "--redis-url";
        init[count++] = redis->url;
    }
    if (quickstart->hsm) {
        if (cm_private_token_make(&token, quickstart->folder, &err) != CM_OK)
            return cm_quickstart_fail(quickstart, "%s", err.text);
        const char *const hsm[] = { "--provider", "pkcs11",  "--module",
                                    token.module, "--token", CM_PRIVATE_TOKEN_URI,
                                    "--pin",      token.pin };
        memcpy(init + count, hsm, sizeof hsm);
        quickstart->token = cm_arena_printf(&quickstart->arena, "%s", token.settings);
    }
    return cm_inner_call(&cm_command_init, init) == CM_EXIT_DONE;
}

static bool make_fleet(struct cm_quickstart *quickstart)
{
    struct cm_fleet_settings settings;
    struct cm_progress progress;
    struct cm_error err;
    char text[160];
    uint32_t hundredth = quickstart->devices_count / 100 + 1;
    cm_fleet_settings_mix(quickstart->devices_count, &settings);
    settings.rsa_max = hundredth < RSA_MAX ? hundredth : RSA_MAX;
    cm_progress_start(&progress, "requests made", quickstart->devices_count, quickstart->json);
    cm_status status = cm_fleet_make(&settings, &progress, &quickstart->fleet, &err);
    cm_progress_end(&progress);
    if (status != CM_OK)
        return cm_quickstart_fail(quickstart, "%s", err.text);
    uint64_t begin = cm_clock_monotonic_ns();
    if (cm_fleet_write_csrs(quickstart->fleet, quickstart->csrs, &err) != CM_OK)
        return cm_quickstart_fail(quickstart, "%s", err.text);
    quickstart->write_s = seconds_since(begin);
    say(quickstart, "2  a fleet: %s; %.1f s for keys and CSRs\n",
        cm_fleet_describe(quickstart->fleet, text, sizeof text),
        (double)quickstart->fleet->elapsed_ns / 1e9 + quickstart->write_s);
    return true;
}

static bool import_devices(struct cm_quickstart *quickstart)
{
    const char *list = cm_arena_printf(&quickstart->arena, "%s/devices.csv", quickstart->folder);
    const char *const import[] = { "-c", quickstart->settings, "--quiet", list, NULL };
    struct cm_error err;
    uint64_t begin = cm_clock_monotonic_ns();
    if (cm_fleet_write_allow_list(quickstart->fleet, list, "default", &err) != CM_OK)
        return cm_quickstart_fail(quickstart, "%s", err.text);
    if (cm_inner_call(&cm_command_device_import, import) != CM_EXIT_DONE)
        return false;
    quickstart->import_s = seconds_since(begin);
    say(quickstart, "3  the allow-list: %" PRIu32 " devices imported in %.1f s\n",
        quickstart->devices_count, quickstart->import_s);
    return true;
}

static bool has_ending(const char *name, const char *ending)
{
    size_t size = strlen(name), ending_size = strlen(ending);
    return size > ending_size && strcmp(name + size - ending_size, ending) == 0;
}

static void count_answers(struct cm_quickstart *quickstart)
{
    DIR *folder = opendir(quickstart->certs);
    const struct dirent *entry;
    while (folder && (entry = readdir(folder))) {
        quickstart->issued += has_ending(entry->d_name, ".pem");
        quickstart->refused += has_ending(entry->d_name, ".error.json");
    }
    if (folder)
        closedir(folder);
}

static bool issue(struct cm_quickstart *quickstart)
{
    say(quickstart, "4  certificates, %s\n",
        quickstart->redis ? "through Redis: certmill serve and certmill submit"
                          : "from files: certmill issue");
    uint64_t begin = cm_clock_monotonic_ns();
    bool done =
        quickstart->redis ? cm_quickstart_issue_redis(quickstart) : cm_quickstart_issue(quickstart);
    quickstart->issue_s = seconds_since(begin);
    count_answers(quickstart);
    if (!done || quickstart->issued != quickstart->devices_count)
        return cm_quickstart_fail(
            quickstart, "%" PRIu32 " of %" PRIu32 " certificates, %" PRIu32 " refused; see %s",
            quickstart->issued, quickstart->devices_count, quickstart->refused, quickstart->certs);
    return true;
}

static bool revoke_device(struct cm_quickstart *quickstart)
{
    char id[CM_FLEET_ID_SIZE];
    say(quickstart,
        "5  %" PRIu32 " of them, of every key type, verified by openssl verify -x509_strict\n",
        quickstart->verified);
    if (!cm_quickstart_revoke(quickstart))
        return false;
    cm_fleet_device_id(0, id);
    say(quickstart, "6  %s revoked: openssl finds it in the CRL, and OCSP says so, over HTTP\n\n",
        id);
    return true;
}

static bool run_steps(struct cm_quickstart *quickstart)
{
    struct cm_private_redis redis = { 0 };
    struct cm_error err;
    if (!make_folder(quickstart))
        return false;
    quickstart->port = cm_quickstart_free_port();
    if (quickstart->port == 0)
        return cm_quickstart_fail(quickstart, "no TCP port of 127.0.0.1 can be had");
    if (quickstart->redis
        && cm_private_redis_start(&redis, quickstart->folder, "everysec", &err) != CM_OK)
        return cm_quickstart_fail(quickstart, "%s", err.text);
    bool done = make_deployment(quickstart, &redis) && make_fleet(quickstart)
                && import_devices(quickstart) && issue(quickstart)
                && cm_quickstart_verify(quickstart) && revoke_device(quickstart);
    cm_private_redis_stop(&redis);
    return done;
}

/* --- the end ------------------------------------------------------------------------------------- */

static void print_text(const struct cm_quickstart *quickstart)
{
    const char *dir = quickstart->folder, *settings = quickstart->settings;
    const char *program =
        strchr(program_invocation_name, '/') ? program_invocation_name : "certmill";
    printf("%" PRIu32 " certificates in %.2f s: %.0f a second\n\n", quickstart->issued,
           quickstart->issue_s, quickstart->issued / quickstart->issue_s);
    printf("  %s/certs/device-000001.pem   a certificate and its chain; its CSR is in csrs/\n"
           "  %s/ca/root.pem               what relying parties trust\n"
           "  %s             settings\n\nTry next:\n\n",
           dir, dir, settings);
    if (quickstart->hsm)
        printf("  export SOFTHSM2_CONF=%s\n", quickstart->token);
    printf("  openssl x509 -in %s/certs/device-000001.pem -noout -text\n", dir);
    printf("  %s device show -c %s device-000001\n", program, settings);
    printf("  %s ca list -c %s\n", program, settings);
    printf("  %s issue -c %s --in %s/csrs --out %s/again    # the same certificates\n", program,
           settings, dir, dir);
    if (quickstart->redis)
        printf("  (cd %s && redis-server --port 0 --unixsocket redis.sock --appendonly yes) &\n",
               dir);
    printf("  %s doctor -c %s\n", program, settings);
    printf("  %s crl show %s/issuing-1.crl\n", program, dir);
    printf("  %s device quarantine -c %s device-000001\n", program, settings);
}

static void print_json(const struct cm_quickstart *quickstart)
{
    json_t *types = json_object();
    for (unsigned type = 1; type < CM_KEY_TYPE_COUNT; type++)
        if (quickstart->fleet->counts[type] > 0)
            json_object_set_new(types, cm_key_type_name((enum cm_key_type)type),
                                json_integer(quickstart->fleet->counts[type]));
    json_t *object = json_pack(
        "{s:s, s:s, s:s, s:I, s:o, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:f}", "folder",
        quickstart->folder, "queue", quickstart->redis ? "redis" : "spool", "provider",
        quickstart->hsm ? "pkcs11" : "openssl", "devices", (json_int_t)quickstart->devices_count,
        "key_types", types, "issued", (json_int_t)quickstart->issued, "refused",
        (json_int_t)quickstart->refused, "verified", (json_int_t)quickstart->verified, "revoked",
        (json_int_t)quickstart->revoked, "fleet_seconds",
        (double)quickstart->fleet->elapsed_ns / 1e9, "import_seconds", quickstart->import_s,
        "issue_seconds", quickstart->issue_s, "certificates_per_second",
        quickstart->issued / quickstart->issue_s);
    json_dumpf(object, stdout, JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(object);
}

/* With --json, what the inner commands print goes to standard error. */
static int divert_output(bool json)
{
    fflush(stdout);
    int kept = json ? dup(STDOUT_FILENO) : -1;
    if (kept >= 0)
        dup2(STDERR_FILENO, STDOUT_FILENO);
    return kept;
}

static void restore_output(int kept)
{
    fflush(stdout);
    if (kept < 0)
        return;
    dup2(kept, STDOUT_FILENO);
    close(kept);
}

static int run(const struct cm_call *call)
{
    struct cm_quickstart quickstart = {
        .folder = cm_call_value(call, "dir"),
        .devices_count = (uint32_t)cm_call_number(call, "devices"),
        .redis = cm_call_flag(call, "redis"),
        .hsm = cm_call_flag(call, "hsm"),
        .json = cm_call_flag(call, "json"),
    };
    cm_arena_init(&quickstart.arena, 65536);
    int kept = divert_output(quickstart.json);
    bool done = run_steps(&quickstart);
    restore_output(kept);
    if (!done && quickstart.json)
        puts("{\"error\":\"the quickstart failed; standard error says why\"}");
    if (done && quickstart.json)
        print_json(&quickstart);
    else if (done)
        print_text(&quickstart);
    cm_fleet_free(quickstart.fleet);
    cm_arena_done(&quickstart.arena);
    return done ? CM_EXIT_DONE : CM_EXIT_FAILED;
}

const struct cm_command cm_command_quickstart = {
    .name = "quickstart",
    .operands = "",
    .summary = "a fleet of devices, their certificates and a revocation, in a scratch folder",
    .paragraphs = paragraphs,
    .options = options,
    .options_count = sizeof options / sizeof options[0],
    .examples = examples,
    .examples_count = sizeof examples / sizeof examples[0],
    .when_failed =
        "a certificate is missing, one of the sample did not verify, or a revocation was not seen",
    .run = run,
};

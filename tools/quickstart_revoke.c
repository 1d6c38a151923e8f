/* A device that is not trusted any more: its CRL and OCSP say so to programs that we did not write. */
#include "tools/quickstart.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tools/commands.h"
#include "tools/control_client.h"
#include "tools/der_file.h"
#include "tools/http_ask.h"
#include "tools/inner_call.h"

enum { ENGINE_START_MS = 20000, LOOK_MS = 50 };

#define REVOKED_DEVICE 0
#define GOOD_DEVICE    1

uint16_t cm_quickstart_free_port(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is_bound = probe >= 0 && bind(probe, (const struct sockaddr *)&address, size) == 0
                    && getsockname(probe, (struct sockaddr *)&address, &size) == 0;
    if (probe >= 0)
        close(probe);
    return is_bound ? ntohs(address.sin_port) : 0;
}

static void pause_a_moment(void)
{
    const struct timespec pause = { .tv_nsec = LOOK_MS * 1000000L };
    nanosleep(&pause, NULL);
}

static bool wait_for_engine(struct cm_quickstart *quickstart)
{
    const char *store =
        cm_arena_printf(&quickstart->arena, "%s/store/certmill.db", quickstart->folder);
    for (int waited_ms = 0; waited_ms < ENGINE_START_MS; waited_ms += LOOK_MS) {
        struct cm_control_client *client = NULL;
        struct cm_error ignored;
        bool is_up = cm_control_client_open(store, &client, &ignored) == CM_OK;
        cm_control_client_close(client);
        if (is_up)
            return true;
        pause_a_moment();
    }
    return cm_quickstart_fail(quickstart, "the engine did not start within %d s",
                              ENGINE_START_MS / 1000);
}

static const char *certificate_of(struct cm_quickstart *quickstart, uint32_t device)
{
    char id[CM_FLEET_ID_SIZE];
    cm_fleet_device_id(device, id);
    return cm_arena_printf(&quickstart->arena, "%s/%s.pem", quickstart->certs, id);
}

static bool revoke_one(struct cm_quickstart *quickstart)
{
    char id[CM_FLEET_ID_SIZE];
    cm_fleet_device_id(REVOKED_DEVICE, id);
    const char *const revoke[] = { "-c",    quickstart->settings, "--device",
                                   id,      "--reason",           "keyCompromise",
                                   "--why", "quickstart",         "--quiet",
                                   NULL };
    const char *const publish[] = { "-c", quickstart->settings, "--quiet", NULL };
    return cm_inner_call(&cm_command_revoke, revoke) == CM_EXIT_DONE
           && cm_inner_call(&cm_command_crl_publish, publish) == CM_EXIT_DONE;
}

static const char *log_of(struct cm_quickstart *quickstart)
{
    return cm_arena_printf(&quickstart->arena, "%s/revoke.log", quickstart->folder);
}

/* As relying parties do. */
static bool download_crl(struct cm_quickstart *quickstart, const char *path)
{
    const char *url = cm_arena_printf(&quickstart->arena, "http://127.0.0.1:%u/crl/issuing-1/0.crl",
                                      quickstart->port);
    struct cm_bytes crl = { 0 };
    struct cm_error err;
    long http_status = 0;
    if (cm_http_ask(url, NULL, cm_bytes(NULL, 0), &http_status, &crl, &err) != CM_OK)
        return cm_quickstart_fail(quickstart, "%s", err.text);
    FILE *file = fopen(path, "wb");
    bool is_written = file && fwrite(crl.data, 1, crl.size, file) == crl.size;
    is_written = file && fclose(file) == 0 && is_written;
    free((void *)(uintptr_t)crl.data);
    if (http_status != 200)
        return cm_quickstart_fail(quickstart, "%s: HTTP %ld", url, http_status);
    return is_written || cm_quickstart_fail(quickstart, "%s could not be written", path);
}

/* Runs the program, and whether its output has the words. */
static bool has_said(struct cm_quickstart *quickstart, const char *const *argv, const char *words)
{
    const char *log = log_of(quickstart);
    struct cm_bytes output;
    struct cm_error err;
    (void)cm_quickstart_run_program((char *const *)(uintptr_t)argv, log);
    if (cm_whole_file_read(log, &output, &err) != CM_OK)
        return false;
    bool is_there = strstr((const char *)output.data, words) != NULL;
    free((void *)(uintptr_t)output.data);
    return is_there;
}

static bool says(struct cm_quickstart *quickstart, const char *const *argv, const char *words)
{
    return has_said(quickstart, argv, words)
           || cm_quickstart_fail(quickstart, "%s %s did not say \"%s\"; see %s", argv[0], argv[1],
                                 words, log_of(quickstart));
}

static bool check_crl(struct cm_quickstart *quickstart, uint32_t device, const char *words)
{
    struct cm_arena *arena = &quickstart->arena;
    const char *crl = cm_arena_printf(arena, "%s/issuing-1.crl", quickstart->folder);
    const char *const argv[] = { "openssl",
                                 "verify",
                                 "-crl_check",
                                 "-CRLfile",
                                 crl,
                                 "-CAfile",
                                 cm_arena_printf(arena, "%s/ca/root.pem", quickstart->folder),
                                 "-untrusted",
                                 cm_arena_printf(arena, "%s/ca/issuing.pem", quickstart->folder),
                                 certificate_of(quickstart, device),
                                 NULL };
    return says(quickstart, argv, words);
}

static bool check_ocsp(struct cm_quickstart *quickstart, uint32_t device, const char *words)
{
    struct cm_arena *arena = &quickstart->arena;
    const char *const argv[] = {
        "openssl", "ocsp",
        "-CAfile", cm_arena_printf(arena, "%s/ca/root.pem", quickstart->folder),
        "-issuer", cm_arena_printf(arena, "%s/ca/issuing.pem", quickstart->folder),
        "-cert",   certificate_of(quickstart, device),
        "-url",    cm_arena_printf(arena, "http://127.0.0.1:%u/ocsp", quickstart->port),
        NULL,
    };
    /* A responder that has only just got its key is not there at once. */
    for (int waited_ms = 0; waited_ms < ENGINE_START_MS; waited_ms += LOOK_MS) {
        if (!has_said(quickstart, argv, "trylater"))
            break;
        pause_a_moment();
    }
    return says(quickstart, argv, "Response verify OK") && says(quickstart, argv, words);
}

static bool revoke_and_look(struct cm_quickstart *quickstart)
{
    const char *crl = cm_arena_printf(&quickstart->arena, "%s/issuing-1.crl", quickstart->folder);
    bool has_other = quickstart->devices_count > GOOD_DEVICE;
    return wait_for_engine(quickstart) && revoke_one(quickstart) && download_crl(quickstart, crl)
           && check_crl(quickstart, REVOKED_DEVICE, "certificate revoked")
           && check_ocsp(quickstart, REVOKED_DEVICE, ": revoked")
           && (!has_other
               || (check_crl(quickstart, GOOD_DEVICE, ": OK")
                   && check_ocsp(quickstart, GOOD_DEVICE, ": good")));
}

bool cm_quickstart_revoke(struct cm_quickstart *quickstart)
{
    pid_t engine = cm_quickstart_start_engine(quickstart);
    if (engine < 0)
        return cm_quickstart_fail(quickstart, "the engine's process could not be started");
    bool done = revoke_and_look(quickstart);
    bool stopped = cm_quickstart_stop_engine(engine);
    if (done && !stopped)
        return cm_quickstart_fail(quickstart, "the engine did not end well");
    quickstart->revoked = done;
    return done;
}

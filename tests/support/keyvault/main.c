#include "tests/support/keyvault/keyvault.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <openssl/pem.h>

static void on_end(evutil_socket_t number, short what, void *base)
{
    (void)number;
    (void)what;
    event_base_loopbreak(base);
}

static void on_input(evutil_socket_t fd, short what, void *base)
{
    char ignored[256];
    (void)what;
    if (read(fd, ignored, sizeof ignored) <= 0)
        event_base_loopbreak(base);
}

static void allow_many_connections(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static bool read_client_certificate(struct kv_emulator *emulator)
{
    const char *path = emulator->options.client_certificate;
    FILE *file = path ? fopen(path, "r") : NULL;
    if (!path)
        return true;
    if (file) {
        emulator->client_certificate = PEM_read_X509(file, NULL, NULL, NULL);
        fclose(file);
    }
    if (!emulator->client_certificate)
        fprintf(stderr, "keyvault_emulator: %s holds no certificate\n", path);
    return emulator->client_certificate != NULL;
}

static char *certificate_path(const struct kv_emulator *emulator)
{
    char *path = NULL;
    if (asprintf(&path, "%s/tls.pem", emulator->options.folder) < 0)
        abort();
    return path;
}

static bool start(struct kv_emulator *emulator)
{
    char *path = certificate_path(emulator);
    emulator->used_jti = json_object();
    emulator->throttle.options = emulator->options.throttle;
    emulator->tls = read_client_certificate(emulator) ? kv_certificate_make(path) : NULL;
    free(path);
    return emulator->tls && kv_server_start(emulator);
}

static void say_where(const struct kv_emulator *emulator)
{
    char *path = certificate_path(emulator);
    json_t *line = json_pack("{sisiss}", "port", emulator->port, "control_port",
                             emulator->control_port, "certificate", path);
    json_dumpf(line, stdout, JSON_COMPACT);
    puts("");
    fflush(stdout);
    json_decref(line);
    free(path);
}

static struct event *wait_for(struct event *event)
{
    if (!event || event_add(event, NULL) != 0) {
        fputs("keyvault_emulator: cannot wait for a signal, or for this standard input\n", stderr);
        exit(1);
    }
    return event;
}

static void serve(struct kv_emulator *emulator)
{
    struct event_base *base = emulator->base;
    struct event *term = wait_for(evsignal_new(base, SIGTERM, on_end, base));
    struct event *interrupt = wait_for(evsignal_new(base, SIGINT, on_end, base));
    struct event *input = NULL;
    if (emulator->options.until_eof)
        input = wait_for(event_new(base, STDIN_FILENO, EV_READ | EV_PERSIST, on_input, base));
    say_where(emulator); /* whoever reads it may send a signal at once */
    event_base_dispatch(base);
    event_free(term);
    event_free(interrupt);
    if (input)
        event_free(input);
}

static void emulator_done(struct kv_emulator *emulator)
{
    kv_server_stop(emulator);
    kv_faults_clear(&emulator->faults);
    kv_tokens_revoke(&emulator->tokens);
    kv_keys_done(&emulator->keys);
    json_decref(emulator->used_jti);
    X509_free(emulator->client_certificate);
    SSL_CTX_free(emulator->tls);
    event_base_free(emulator->base);
}

int main(int argc, char **argv)
{
    static struct kv_emulator emulator;
    struct event_config *config = event_config_new();
    kv_options_read(&emulator.options, argc, argv);
    signal(SIGPIPE, SIG_IGN);
    allow_many_connections();
    event_config_set_flag(config,
                          EVENT_BASE_FLAG_PRECISE_TIMER | EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
    emulator.base = event_base_new_with_config(config);
    event_config_free(config);
    if (!emulator.base)
        abort();
    bool started = start(&emulator);
    if (started)
        serve(&emulator);
    emulator_done(&emulator);
    return started ? 0 : 1;
}

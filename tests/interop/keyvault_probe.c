/*
 * One key of a vault, through the provider; vault_test.py asks.
 *
 *     keyvault_probe open OPTIONS REFERENCE     prints "OK " and what names the key from now on, or a
 *                                               status and why the key does not open
 *     keyvault_probe watch OPTIONS REFERENCE    then waits until the provider tells something, and prints
 *                                               "NOTICE " and that
 *     keyvault_probe sign OPTIONS REFERENCE     then waits for a line, signs, and prints the status
 *
 * OPTIONS is the provider's, JSON (providers/keyvault/options.h). Ends with 0 whatever the vault said.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "providers/backends.h"

struct probe {
    struct cm_loop *loop;
    struct cm_provider *provider;
    struct cm_key *key;
    bool watches, has_told;
};

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "keyvault_probe: %s\n", what);
    exit(2);
}

static void on_told(struct cm_provider *provider, enum cm_provider_event event, const char *text,
                    void *arg)
{
    struct probe *probe = arg;
    (void)provider;
    (void)event;
    if (!probe->has_told)
        printf("NOTICE %s\n", text);
    probe->has_told = true;
    cm_loop_stop(probe->loop);
}

static void on_opened(cm_status status, struct cm_key *key, const struct cm_error *err, void *arg)
{
    struct probe *probe = arg;
    probe->key = key;
    if (probe->watches) /* before anybody hears that it is open, and makes another version */
        cm_provider_watch(probe->provider, on_told, probe);
    printf("%s %s\n", cm_status_name(status), key ? key->reference : err->text);
    fflush(stdout);
    cm_loop_stop(probe->loop);
}

static void on_done(struct cm_sign_batch *batch, void *arg)
{
    struct probe *probe = arg;
    printf("%s\n", cm_status_name(batch->items[0].status));
    cm_loop_stop(probe->loop);
}

static void on_drained(void *arg)
{
    cm_loop_stop(arg);
}

static void sign(struct probe *probe)
{
    uint8_t signature[CM_SIGNATURE_SIZE_MAX];
    struct cm_sign_item item = { .message = cm_bytes_str("a message"),
                                 .signature = signature,
                                 .signature_space = sizeof signature };
    struct cm_sign_batch batch = {
        .key = probe->key, .items = &item, .items_count = 1, .done = on_done, .done_arg = probe
    };
    if (cm_provider_sign(probe->provider, &batch, NULL) != CM_OK)
        die("the batch is not taken");
    cm_loop_run(probe->loop);
}

static void act(struct probe *probe, const char *action)
{
    char line[16];
    if (probe->watches && !probe->has_told)
        cm_loop_run(probe->loop);
    else if (strcmp(action, "sign") == 0 && fgets(line, sizeof line, stdin))
        sign(probe);
}

int main(int argc, char **argv)
{
    struct probe probe = { 0 };
    struct cm_error err;
    if (argc != 4)
        die("open|watch|sign OPTIONS REFERENCE");
    probe.watches = strcmp(argv[1], "watch") == 0;
    const struct cm_provider_settings settings = { .name = "probe", .options = argv[2] };
    if (cm_loop_new(&probe.loop, &err) != CM_OK
        || cm_provider_open(&cm_provider_keyvault, probe.loop, &settings, &probe.provider, &err)
               != CM_OK)
        die(err.text);
    cm_provider_open_key(probe.provider, argv[3], CM_SIGALG_UNKNOWN, on_opened, &probe);
    cm_loop_run(probe.loop);
    if (probe.key)
        act(&probe, argv[1]);
    cm_provider_watch(probe.provider, NULL, NULL);
    cm_provider_drain(probe.provider, on_drained, probe.loop);
    cm_loop_run(probe.loop);
    cm_provider_close_key(probe.key);
    cm_provider_close(probe.provider);
    cm_loop_free(probe.loop);
    return 0;
}

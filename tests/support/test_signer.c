/*
 * A signer for tests, with the fake provider among its kinds. It is not protected as certmill's own
 * is, so that sanitizers can look into it. Its name may say how it misbehaves:
 *
 *     dies-while:PATH   ends at once while there is a file PATH
 *     garbage           sends what is no frame, and waits
 *     protected         is protected after all
 *
 * Its kind "stuck" has one key that signs anything with the same eight bytes, except messages that
 * begin with 'h': there its calls hang. Of a key "noted" it has something to say. While there is a file "narrow" in its folder it takes one batch
 * at a time, and while there is a file "small", batches of half the size.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "providers/backends.h"
#include "providers/blocking.h"
#include "providers/fake/fake.h"
#include "providers/host.h"

struct stuck {
    struct cm_provider head;
    struct cm_blocking *blocking;
};

static cm_status open_stuck_key(void *state, uint32_t worker_index, const char *reference,
                                enum cm_sigalg alg, struct cm_key **ret_key, struct cm_error *err)
{
    struct cm_key *key = calloc(1, sizeof *key);
    (void)state;
    (void)worker_index;
    (void)alg;
    if (!key)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory");
    *key = (struct cm_key){ .type = CM_KEY_P256,
                            .bits = 256,
                            .alg = CM_SIGALG_ECDSA_SHA256,
                            .signature_size_max = 8,
                            .spki = cm_bytes_str("no key") };
    if (strcmp(reference, "noted") == 0)
        (void)CM_FAIL(err, CM_OK, CM_ORIGIN_SELF, 0, "the key\nworks, but slowly");
    *ret_key = key;
    return CM_OK;
}

static cm_status sign_or_hang(void *state, uint32_t worker_index, struct cm_key *key,
                              struct cm_sign_item *item)
{
    (void)state;
    (void)worker_index;
    (void)key;
    while (item->message.size > 0 && item->message.data[0] == 'h')
        pause();
    memcpy(item->signature, "signed!!", 8);
    item->signature_size = 8;
    return CM_OK;
}

static const struct cm_blocking_ops stuck_ops = { .name = "stuck",
                                                  .key_open = open_stuck_key,
                                                  .sign_one = sign_or_hang };

static bool has_file(const struct cm_provider_settings *settings, const char *name)
{
    char path[600];
    snprintf(path, sizeof path, "%s/%s", settings->folder ? settings->folder : ".", name);
    return access(path, F_OK) == 0;
}

static cm_status open_stuck(struct cm_loop *loop, const struct cm_provider_settings *settings,
                            struct cm_provider **ret_provider, struct cm_error *err)
{
    struct stuck *self = calloc(1, sizeof *self);
    if (!self)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory");
    self->head.caps =
        (struct cm_provider_caps){ .batch_items_max = has_file(settings, "small") ? 8 : 16,
                                   .batches_in_flight = has_file(settings, "narrow") ? 1 : 4 };
    *ret_provider = &self->head;
    return cm_blocking_new(&self->head, loop, 1, &stuck_ops, self, &self->blocking, err);
}

static void close_stuck(struct cm_provider *provider)
{
    cm_blocking_free(((struct stuck *)provider)->blocking);
    free(provider);
}

static void open_key(struct cm_provider *provider, const char *reference, enum cm_sigalg alg,
                     cm_key_opened_fn *opened, void *arg)
{
    cm_blocking_open_key(((struct stuck *)provider)->blocking, reference, alg, opened, arg);
}

static void close_key(struct cm_key *key)
{
    free(key);
}

static cm_status sign(struct cm_provider *provider, struct cm_sign_batch *batch,
                      struct cm_error *err)
{
    return cm_blocking_sign(((struct stuck *)provider)->blocking, batch, err);
}

static void cancel(struct cm_provider *provider, struct cm_sign_batch *batch)
{
    (void)provider;
    cm_blocking_cancel(batch);
}

static const struct cm_provider_ops stuck = { .name = "stuck",
                                              .open = open_stuck,
                                              .close = close_stuck,
                                              .open_key = open_key,
                                              .close_key = close_key,
                                              .sign = sign,
                                              .cancel = cancel };

static const struct cm_provider_ops *find(const char *name)
{
    if (strcmp(name, "stuck") == 0)
        return &stuck;
    return strcmp(name, "fake") == 0 ? &cm_provider_fake : cm_provider_find(name);
}

static void misbehave(const char *name)
{
    if (strncmp(name, "dies-while:", 11) == 0 && access(name + 11, F_OK) == 0)
        _exit(3);
    if (strcmp(name, "protected") == 0)
        cm_signer_protect();
    if (strcmp(name, "garbage") != 0)
        return;
    if (write(CM_SIGNER_FD, "this is no frame, and never will be", 36) != 36)
        _exit(4);
    for (;;)
        pause();
}

int main(int argc, char **argv)
{
    misbehave(argc > 2 ? argv[2] : "");
    return cm_signer_main(CM_SIGNER_FD, find);
}

#include "providers/host/internal.h"

#include <assert.h>
#include <stdlib.h>

enum { REOPEN_MS = 2000, FRESH_SIGNER_EVERY = 16 };

static const struct cm_floor *floor_of(const struct cm_host *host, const char *reference)
{
    for (const struct cm_hosted_floor *floor = host->floors; floor; floor = floor->next)
        if (strcmp(floor->reference, reference) == 0)
            return &floor->floor;
    return NULL;
}

/* asked: what the engine calls the key, and its floor; the signer may know it by another name. */
static void send_opening(struct cm_host *host, enum cm_wire_kind kind, uint64_t id,
                         struct cm_wire_open_key *open_key, const char *asked)
{
    const struct cm_floor *floor = floor_of(host, asked);
    open_key->has_floor = floor != NULL;
    if (floor)
        open_key->floor = *floor;
    cm_wire_write_open_key(&host->channel.out, kind, id, open_key);
    cm_channel_flush(&host->channel);
}

/* ------------------------------------------------------------------ opening -- */

static void answer(struct cm_hosted_opening *opening, cm_status status, struct cm_key *key,
                   const struct cm_error *err)
{
    struct cm_hosted_opening **at = &opening->host->openings;
    while (*at != opening)
        at = &(*at)->next;
    *at = opening->next;
    opening->opened(status, key, err, opening->arg);
    free(opening->reference);
    free(opening);
}

static void refuse(void *arg)
{
    struct cm_hosted_opening *opening = arg;
    answer(opening, opening->err.status, NULL, &opening->err);
}

static void refuse_later(struct cm_hosted_opening *opening, cm_status status)
{
    const char *name = opening->host->hello.settings.name;
    if (status == CM_UNSUPPORTED)
        (void)CM_FAIL(&opening->err, status, CM_ORIGIN_SELF, 0,
                      "key %s: signer %s imports no key of more than %u bytes", opening->reference,
                      name, CM_WIRE_BLOB_SIZE_MAX);
    else
        (void)CM_FAIL(&opening->err, status, CM_ORIGIN_SELF, 0, "key %s: signer %s is away",
                      opening->reference, name);
    opening->refusal = (struct cm_task){ .run = refuse, .arg = opening };
    cm_loop_post(opening->host->loop, &opening->refusal);
}

static struct cm_hosted_opening *new_opening(struct cm_host *host, const char *reference,
                                             enum cm_sigalg alg, cm_key_opened_fn *opened,
                                             void *arg)
{
    struct cm_hosted_opening *opening = calloc(1, sizeof *opening);
    char *copy = strdup(reference);
    if (!opening || !copy)
        abort();
    *opening = (struct cm_hosted_opening){ .next = host->openings,
                                           .host = host,
                                           .id = ++host->ids_count,
                                           .reference = copy,
                                           .alg = alg,
                                           .opened = opened,
                                           .arg = arg };
    host->openings = opening;
    return opening;
}

void cm_hosted_open_key(struct cm_provider *provider, const char *reference, enum cm_sigalg alg,
                        cm_key_opened_fn *opened, void *arg)
{
    struct cm_host *host = (struct cm_host *)provider;
    struct cm_hosted_opening *opening = new_opening(host, reference, alg, opened, arg);
    struct cm_wire_open_key open_key = { .reference = reference, .alg = alg };
    if (host->phase == CM_HOST_UP)
        send_opening(host, CM_WIRE_OPEN_KEY, opening->id, &open_key, reference);
    else
        refuse_later(opening, CM_UNAVAILABLE);
}

void cm_hosted_create_key(struct cm_provider *provider, const char *reference,
                          const struct cm_key_spec *spec, enum cm_sigalg alg,
                          cm_key_opened_fn *opened, void *arg)
{
    struct cm_host *host = (struct cm_host *)provider;
    struct cm_hosted_opening *opening = new_opening(host, reference, alg, opened, arg);
    struct cm_wire_open_key open_key = { .reference = reference, .alg = alg, .spec = *spec };
    opening->creates = true;
    if (spec->transfer_blob.size > CM_WIRE_BLOB_SIZE_MAX)
        refuse_later(opening, CM_UNSUPPORTED);
    else if (host->phase == CM_HOST_UP)
        send_opening(host, CM_WIRE_CREATE_KEY, opening->id, &open_key, reference);
    else
        refuse_later(opening, CM_UNAVAILABLE);
}

static struct cm_hosted_key *add_key(struct cm_hosted_opening *opening,
                                     const struct cm_wire_key_opened *opened)
{
    struct cm_host *host = opening->host;
    struct cm_hosted_key *key = calloc(1, sizeof *key);
    uint8_t *spki = malloc(opened->key.spki.size);
    char *reference = strdup(opening->reference);
    char *pinned = opened->key.reference ? strdup(opened->key.reference) : NULL;
    if (!key || !spki || !reference || (opened->key.reference && !pinned))
        abort();
    memcpy(spki, opened->key.spki.data, opened->key.spki.size);
    *key = (struct cm_hosted_key){ .key = opened->key,
                                   .host = host,
                                   .next = host->keys,
                                   .id = opening->id,
                                   .reference = reference,
                                   .pinned = pinned,
                                   .alg = opening->alg,
                                   .spki = spki,
                                   .is_usable = true };
    key->key.provider = &host->head;
    key->key.spki.data = spki;
    key->key.reference = pinned;
    key->key.backend = key;
    host->keys = key;
    return key;
}

static void on_first_opened(struct cm_hosted_opening *opening,
                            const struct cm_wire_key_opened *opened)
{
    struct cm_error err = { .status = CM_OK };
    struct cm_key *key = NULL;
    if (opened->status == CM_OK)
        key = &add_key(opening, opened)->key;
    else
        (void)CM_FAIL(&err, opened->status, CM_ORIGIN_SELF, 0, "%s",
                      opened->text ? opened->text : cm_status_text(opened->status));
    answer(opening, opened->status, key, &err);
}

/* ------------------------------------------------------------------ opening again -- */

static void reopen(void *arg)
{
    struct cm_hosted_key *key = arg;
    struct cm_wire_open_key open_key = { .reference = key->pinned ? key->pinned : key->reference,
                                         .alg = key->alg };
    if (key->host->phase != CM_HOST_UP || key->is_being_opened)
        return;
    key->is_being_opened = true;
    send_opening(key->host, CM_WIRE_OPEN_KEY, key->id, &open_key, key->reference);
}

/*
 * Some modules look for tokens only when they are loaded: after some failures, ever more, a signer
 * none of whose keys opens makes room for a fresh one. Never where the PIN was refused: each login
 * would be one more try.
 */
static bool wants_fresh_signer(const struct cm_hosted_key *key)
{
    unsigned count = key->failures_count;
    bool is_turn = count >= 2 && ((count & (count - 1)) == 0 || count % FRESH_SIGNER_EVERY == 0);
    if (key->was_denied || !is_turn)
        return false;
    for (const struct cm_hosted_key *other = key->host->keys; other; other = other->next)
        if (other->is_usable)
            return false;
    return true;
}

static void look_again(void *arg)
{
    struct cm_hosted_key *key = arg;
    if (key->host->phase == CM_HOST_UP && wants_fresh_signer(key))
        cm_supervisor_give_up(key->host, "none of its keys opens, a fresh one may find them");
    else
        reopen(key);
}

static bool is_the_same(const struct cm_hosted_key *key, const struct cm_wire_key_opened *opened)
{
    return cm_bytes_equal(key->key.spki, opened->key.spki) && key->key.alg == opened->key.alg
           && key->key.type == opened->key.type
           && key->key.signature_size_max >= opened->key.signature_size_max;
}

/* What is wrong may be put right behind our back, so it is looked at again and again. */
static void on_opened_again(struct cm_hosted_key *key, const struct cm_wire_key_opened *opened)
{
    struct cm_host *host = key->host;
    const char *why = opened->text ? opened->text : cm_status_text(opened->status);
    key->is_being_opened = false;
    key->was_denied = opened->status == CM_DENIED;
    if (opened->status == CM_OK && is_the_same(key, opened)) {
        key->is_usable = true;
        key->failures_count = 0;
        return;
    }
    if (opened->status == CM_OK) {
        cm_wire_write_bare(&host->channel.out, CM_WIRE_CLOSE_KEY, key->id);
        cm_channel_flush(&host->channel);
        why = "it is another key than before";
    }
    if (cm_host_is_told(++key->failures_count))
        cm_provider_tell(&host->head, CM_PROVIDER_NOTICE,
                         "key %s is not used: %s; looking again every %d s", key->reference, why,
                         REOPEN_MS / 1000);
    cm_timer_start(&key->retry, host->loop, REOPEN_MS, look_again, key);
}

/* The engine has closed it while it was being opened again. */
static bool close_late(struct cm_host *host, const struct cm_wire_key_opened *opened,
                       const struct cm_wire_frame *frame)
{
    if (opened->status == CM_OK) {
        cm_wire_write_bare(&host->channel.out, CM_WIRE_CLOSE_KEY, frame->id);
        cm_channel_flush(&host->channel);
    }
    return true;
}

bool cm_hosted_on_key_opened(struct cm_host *host, const struct cm_wire_frame *frame)
{
    struct cm_wire_key_opened opened;
    struct cm_hosted_opening *opening = host->openings;
    struct cm_hosted_key *key = host->keys;
    if (!cm_wire_read_key_opened(frame->body, &opened))
        return false;
    while (opening && opening->id != frame->id)
        opening = opening->next;
    while (key && key->id != frame->id)
        key = key->next;
    if (opening && !opening->refusal.run)
        on_first_opened(opening, &opened);
    else if (key && key->is_being_opened)
        on_opened_again(key, &opened);
    else
        return !key && !opening && frame->id <= host->ids_count && close_late(host, &opened, frame);
    return true;
}

void cm_hosted_keys_reopen(struct cm_host *host)
{
    for (struct cm_hosted_key *key = host->keys; key; key = key->next)
        reopen(key);
}

void cm_hosted_keys_lose(struct cm_host *host)
{
    for (struct cm_hosted_key *key = host->keys; key; key = key->next) {
        key->is_usable = key->is_being_opened = false;
        cm_timer_stop(&key->retry);
    }
    for (struct cm_hosted_opening *opening = host->openings; opening; opening = opening->next)
        if (!opening->refusal.run)
            refuse_later(opening, opening->creates ? CM_UNCERTAIN : CM_UNAVAILABLE);
}

/* ------------------------------------------------------------------ closing -- */

void cm_hosted_close_key(struct cm_key *closed)
{
    struct cm_hosted_key *key = closed->backend;
    struct cm_host *host = key->host;
    struct cm_hosted_key **at = &host->keys;
    while (*at != key)
        at = &(*at)->next;
    *at = key->next;
    if (key->is_usable) {
        cm_wire_write_bare(&host->channel.out, CM_WIRE_CLOSE_KEY, key->id);
        cm_channel_flush(&host->channel);
    }
    cm_timer_done(&key->retry);
    free(key->reference);
    free(key->pinned);
    free(key->spki);
    free(key);
}

void cm_hosted_keys_done(struct cm_host *host)
{
    (void)host;
    assert(!host->keys && !host->openings);
}

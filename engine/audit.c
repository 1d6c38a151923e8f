/*
 * Audit: what the engine says of itself in the audit log. Batches, orders and devices have rows by what
 * is done with them; here are those of its own life: that it has started, with which settings, which keys
 * it has opened, that it has stopped. No row holds a secret: references of keys and of secrets stay out.
 */
#include "engine/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <jansson.h>

#include "engine/base/hash.h"

enum { RETRY_MS = 1000 };

/* A row on its way into the store. */
struct cm_audit_note {
    struct cm_audit_note *next;
    struct cm_engine *engine;
    struct cm_store_op op;
    struct cm_audit_event event;
    char *detail; /* owned */
    struct cm_timer retry;
};

static void note_free(struct cm_audit_note *note)
{
    cm_timer_done(&note->retry);
    free(note->detail);
    free(note);
}

static void tell_failure(struct cm_engine *engine)
{
    if (!engine->audit.notes)
        cm_engine_post(engine, CM_ENGINE_FAILED, engine->audit.failure);
}

static void let_go(struct cm_audit_note *note)
{
    struct cm_engine *engine = note->engine;
    struct cm_audit_note **at = &engine->audit.notes;
    while (*at != note)
        at = &(*at)->next;
    *at = note->next;
    note_free(note);
    if (engine->audit.failure[0])
        tell_failure(engine);
    else
        cm_engine_look_around(engine);
}

static void submit(void *arg)
{
    struct cm_audit_note *note = arg;
    cm_store_submit(note->engine->store, &note->op);
}

/* On a full disk it waits as certificates do; who stops does not wait for it. */
static void on_recorded(struct cm_store_op *op)
{
    struct cm_audit_note *note = op->arg;
    struct cm_engine *engine = note->engine;
    if (op->status == CM_OK) {
        let_go(note);
        return;
    }
    bool has_time = engine->state == CM_ENGINE_IS_STARTING || engine->state == CM_ENGINE_IS_RUNNING;
    if (op->status == CM_IO && has_time) {
        cm_timer_start(&note->retry, engine->loop, RETRY_MS, submit, note);
        return;
    }
    cm_engine_notice(engine, "store: %s; the audit log has no row of kind %s", op->err.text,
                     note->event.kind);
    let_go(note);
}

void cm_audit_note(struct cm_engine *engine, const char *kind, json_t *detail,
                   const uint8_t *digest)
{
    struct cm_audit_note *note = calloc(1, sizeof *note);
    char *text = json_dumps(detail, JSON_COMPACT | JSON_PRESERVE_ORDER);
    json_decref(detail);
    if (!note || !text)
        abort();
    *note = (struct cm_audit_note){
        .next = engine->audit.notes,
        .engine = engine,
        .detail = text,
        .event = { .kind = kind, .actor = cm_bytes_str("engine"), .detail = cm_bytes_str(text) }
    };
    if (digest)
        memcpy(note->event.digest, digest, CM_HASH_SIZE);
    note->op = (struct cm_store_op){
        .kind = CM_STORE_RECORD, .done = on_recorded, .arg = note, .audit = &note->event
    };
    engine->audit.notes = note;
    submit(note);
}

/* ------------------------------------------------------------------ its life -- */

void cm_audit_begin(struct cm_engine *engine)
{
    const struct cm_settings *settings = engine->settings;
    char hash[2 * CM_SHA256_SIZE + 1];
    cm_hex_encode(cm_bytes(settings->sha256, sizeof settings->sha256), hash);
    cm_audit_note(engine, "engine-start",
                  json_pack("{s:i, s:b, s:b}", "pid", (int)getpid(), "listens",
                            engine->options.listens, "publishes", engine->options.publishes),
                  NULL);
    cm_audit_note(
        engine, "settings",
        json_pack("{s:s, s:s}", "path", settings->path ? settings->path : "", "sha256", hash),
        settings->sha256);
}

void cm_audit_note_key(struct cm_engine *engine, const char *name, const struct cm_key *key)
{
    uint8_t hash[CM_SHA256_SIZE];
    char text[2 * CM_SHA256_SIZE + 1];
    cm_sha256(&key->spki, 1, hash);
    cm_hex_encode(cm_bytes(hash, sizeof hash), text);
    cm_audit_note(engine, "key-open",
                  json_pack("{s:s, s:s, s:s}", "issuer", name, "provider",
                            cm_provider_name(key->provider), "spki_sha256", text),
                  hash);
}

bool cm_audit_is_over(struct cm_engine *engine)
{
    const struct cm_engine_counters *counters = &engine->counters;
    if (engine->audit.notes)
        return false;
    if (!engine->audit.has_ended) {
        engine->audit.has_ended = true;
        cm_audit_note(engine, "engine-stop",
                      json_pack("{s:I, s:I, s:I}", "issued", (json_int_t)counters->issued,
                                "refused", (json_int_t)counters->refused, "failed",
                                (json_int_t)counters->failed),
                      NULL);
        return false;
    }
    return cm_checkpoints_are_over(engine->checkpoints);
}

void cm_audit_fail(struct cm_engine *engine, const char *why)
{
    snprintf(engine->audit.failure, sizeof engine->audit.failure, "%s", why);
    tell_failure(engine);
}

void cm_audit_close(struct cm_engine *engine)
{
    while (engine->audit.notes) {
        struct cm_audit_note *note = engine->audit.notes;
        engine->audit.notes = note->next;
        note_free(note);
    }
}

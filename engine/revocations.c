/*
 * Revocations: what has become of certificates, told to whoever relies on them.
 *
 * Orders, abandoned serials and imports change it in the store. When they are durable the book reads
 * them; from the book the publisher makes CRLs, and the status service answers OCSP with the keys of the
 * responders. Issuance waits for none of them, and each goes on without the others.
 */
#include "engine/internal.h"

#include <jansson.h>
#include <stdlib.h>

#include "engine/base/clock.h"
#include "engine/revocation/publisher.h"
#include "engine/revocation/responder.h"
#include "engine/status/status.h"
#include "engine/x509/der_writer.h"

/* What is in flight has no event of its own that it is over. */
enum { IDLE_LOOK_MS = 20 };

struct cm_revocations {
    struct cm_book *book;
    struct cm_shelf *shelf;
    struct cm_publisher *publisher;
    struct cm_responders *responders;
    struct cm_status_service *service; /* NULL: the settings have none */
    struct cm_timer idle_timer;
};

/* --- what the parts ask of the engine ------------------------------------------------------------ */

/* As for certificates: nothing is signed while the clock is behind what was written. Any thread. */
static int64_t time_ms(void *arg)
{
    struct cm_engine *engine = arg;
    int64_t now_ms = cm_clock_wall_ms();
    int64_t allowed_ms = (int64_t)engine->settings->engine.clock_step_s_max * 1000;
    return now_ms < atomic_load(&engine->last_time_ms) - allowed_ms ? -1 : now_ms;
}

static void on_revocation(const struct cm_revocation *revocation, void *arg)
{
    const struct cm_engine *engine = arg;
    if (engine->revocations->service)
        cm_status_service_forget(engine->revocations->service, revocation->generation_number,
                                 revocation->serial);
}

static void on_responder_changed(int64_t generation_number, void *arg)
{
    const struct cm_engine *engine = arg;
    if (engine->revocations && engine->revocations->service)
        cm_status_service_forget(engine->revocations->service, generation_number,
                                 cm_bytes(NULL, 0));
}

static const struct cm_responder *find_responder(int64_t generation_number, void *arg)
{
    const struct cm_engine *engine = arg;
    const struct cm_responders *responders = engine->revocations->responders;
    return responders ? cm_responders_find(responders, generation_number) : NULL;
}

/* --- opening ------------------------------------------------------------------------------------- */

static cm_status open_publisher(struct cm_engine *engine, struct cm_error *err)
{
    struct cm_revocations *revocations = engine->revocations;
    const struct cm_publisher_env env = { .loop = engine->loop,
                                          .settings = engine->settings,
                                          .store = engine->store,
                                          .issuers = &engine->issuers,
                                          .workers = engine->workers,
                                          .book = revocations->book,
                                          .shelf = revocations->shelf,
                                          .time_ms = time_ms,
                                          .on_notice = cm_engine_on_notice,
                                          .on_revocation = on_revocation,
                                          .on_idle = cm_engine_on_idle,
                                          .arg = engine };
    return cm_publisher_open(&env, &revocations->publisher, err);
}

static cm_status open_responders(struct cm_engine *engine, struct cm_error *err)
{
    const struct cm_responders_env env = { .loop = engine->loop,
                                           .settings = engine->settings,
                                           .store = engine->store,
                                           .providers = engine->providers,
                                           .issuers = &engine->issuers,
                                           .book = engine->revocations->book,
                                           .serials = &engine->serials,
                                           .clones = &engine->clones,
                                           .time_ms = time_ms,
                                           .on_notice = cm_engine_on_notice,
                                           .on_changed = on_responder_changed,
                                           .on_idle = cm_engine_on_idle,
                                           .arg = engine };
    return cm_responders_open(&env, &engine->revocations->responders, err);
}

/* Those whose CA certificate cannot be read are not answered for; the start has said why. */
static bool describe_generation(const struct cm_issuer_key *key,
                                struct cm_status_generation *ret_generation)
{
    *ret_generation =
        (struct cm_status_generation){ .number = key->generation_number,
                                       .validity_s = key->authority->ocsp_validity_s };
    return cm_ocsp_hash_issuer(key->issuer.name, key->issuer.spki, &ret_generation->hashes);
}

static uint32_t list_generations(const struct cm_issuers *issuers,
                                 struct cm_status_generation *ret_generations)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < issuers->keys_count; i++)
        count += describe_generation(&issuers->keys[i], &ret_generations[count]);
    return count;
}

static cm_status open_service(struct cm_engine *engine, struct cm_error *err)
{
    struct cm_revocations *revocations = engine->revocations;
    struct cm_status_generation *generations =
        calloc(engine->issuers.keys_count + 1, sizeof *generations);
    if (!generations)
        abort();
    const struct cm_status_service_env env = { .loop = engine->loop,
                                               .settings = engine->settings,
                                               .store = engine->store,
                                               .book = revocations->book,
                                               .shelf = revocations->shelf,
                                               .generations = generations,
                                               .generations_count =
                                                   list_generations(&engine->issuers, generations),
                                               .find_responder = find_responder,
                                               .fill_status = cm_engine_fill_status,
                                               .on_notice = cm_engine_on_notice,
                                               .time_ms = time_ms,
                                               .arg = engine };
    cm_status status = cm_status_service_open(&env, &revocations->service, err);
    free(generations);
    return status;
}

static cm_status open_parts(struct cm_engine *engine, struct cm_error *err)
{
    struct cm_revocations *revocations = engine->revocations;
    cm_status status = cm_book_new(&revocations->book, err);
    if (status == CM_OK)
        status = cm_shelf_new(&revocations->shelf, err);
    if (status == CM_OK)
        status = open_publisher(engine, err); /* reads the book: who asks now finds it complete */
    if (status != CM_OK || !engine->options.listens)
        return status;
    if (engine->settings->status.listen)
        status = open_service(engine, err);
    if (status == CM_OK)
        status = open_responders(engine, err);
    return status;
}

/* What fails is closed at once, as long as nothing is in flight. */
cm_status cm_engine_open_revocations(struct cm_engine *engine, struct cm_error *err)
{
    engine->revocations = calloc(1, sizeof *engine->revocations);
    if (!engine->revocations)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for revocations");
    cm_status status = open_parts(engine, err);
    if (status != CM_OK)
        cm_engine_close_revocations(engine);
    return status;
}

/* --- stopping ------------------------------------------------------------------------------------ */

bool cm_engine_revocations_are_idle(const struct cm_engine *engine)
{
    const struct cm_revocations *revocations = engine->revocations;
    return !revocations
           || (cm_publisher_is_idle(revocations->publisher)
               && cm_responders_are_idle(revocations->responders)
               && (!revocations->service || cm_status_service_is_idle(revocations->service)));
}

static void look_whether_idle(void *arg)
{
    struct cm_engine *engine = arg;
    if (cm_engine_revocations_are_idle(engine))
        cm_engine_look_around(engine);
    else
        cm_timer_start(&engine->revocations->idle_timer, engine->loop, IDLE_LOOK_MS,
                       look_whether_idle, engine);
}

void cm_engine_stop_revocations(struct cm_engine *engine)
{
    struct cm_revocations *revocations = engine->revocations;
    if (!revocations)
        return;
    if (revocations->service)
        cm_status_service_stop(revocations->service);
    cm_responders_stop(revocations->responders);
    cm_publisher_stop(revocations->publisher);
    cm_timer_start(&revocations->idle_timer, engine->loop, IDLE_LOOK_MS, look_whether_idle, engine);
}

void cm_engine_close_revocations(struct cm_engine *engine)
{
    struct cm_revocations *revocations = engine->revocations;
    if (!revocations)
        return;
    cm_timer_done(&revocations->idle_timer);
    cm_status_service_close(revocations->service);
    cm_responders_close(revocations->responders);
    cm_publisher_close(revocations->publisher);
    cm_shelf_free(revocations->shelf);
    cm_book_free(revocations->book);
    free(revocations);
    engine->revocations = NULL;
}

/* --- while it runs ------------------------------------------------------------------------------- */

void cm_engine_look_at_revocations(struct cm_engine *engine)
{
    engine->revocation_looks_count++;
    if (!engine->revocations || !engine->revocations->publisher)
        return;
    cm_publisher_look(engine->revocations->publisher); /* the book has been read then */
    if (engine->revocations->responders)
        cm_responders_look(engine->revocations->responders);
}

void cm_engine_add_to_revocations(struct cm_engine *engine, const struct cm_issuer_key *issuer)
{
    struct cm_revocations *revocations = engine->revocations;
    struct cm_status_generation generation;
    struct cm_error err;
    if (!revocations)
        return;
    cm_publisher_add(revocations->publisher, issuer);
    if (revocations->responders)
        cm_responders_add(revocations->responders, issuer);
    if (revocations->service && describe_generation(issuer, &generation)
        && cm_status_service_add_generation(revocations->service, &generation, &err) != CM_OK)
        cm_engine_notice(engine, "no OCSP responses of %s: %s", issuer->name, err.text);
}

static const struct cm_issuer_key *find_issuer(const struct cm_issuers *issuers, const char *name)
{
    for (uint32_t i = 0; i < issuers->keys_count; i++)
        if (strcmp(issuers->keys[i].name, name) == 0)
            return &issuers->keys[i];
    return NULL;
}

cm_status cm_engine_publish(struct cm_engine *engine, const char *issuer,
                            cm_engine_published_fn *done, void *arg, struct cm_error *err)
{
    const struct cm_issuer_key *key = issuer ? find_issuer(&engine->issuers, issuer) : NULL;
    char shown[64];
    if (issuer && !key)
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0, "issuer: there is no %s here",
                       cm_bytes_printable(cm_bytes_str(issuer), shown, sizeof shown));
    cm_publisher_publish(engine->revocations->publisher, key ? key->generation_number : 0, done,
                         arg);
    return CM_OK;
}

uint16_t cm_engine_status_port(const struct cm_engine *engine)
{
    const struct cm_revocations *revocations = engine->revocations;
    return revocations && revocations->service ? cm_status_service_port(revocations->service) : 0;
}

bool cm_engine_describe_revocations(const struct cm_engine *engine, json_t *object)
{
    struct cm_publisher_counts counts;
    if (!engine->revocations)
        return true;
    cm_publisher_count(engine->revocations->publisher, &counts);
    json_object_set_new(object, "crls",
                        json_pack("{s:I, s:I, s:I, s:I, s:I}", "shards", (json_int_t)counts.shards,
                                  "published", (json_int_t)counts.published, "failed",
                                  (json_int_t)counts.failed, "overdue", (json_int_t)counts.overdue,
                                  "next_expiry", (json_int_t)counts.next_expiry_s));
    return counts.overdue == 0;
}

int64_t cm_engine_generation_end_s(const struct cm_engine *engine, int64_t generation_number)
{
    const struct cm_issuer_key *issuer =
        cm_issuers_by_generation(&engine->issuers, generation_number);
    return issuer ? issuer->issuer.not_after_s : CM_DER_TIME_MAX_S;
}

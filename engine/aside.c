#include "engine/aside.h"

#include <assert.h>
#include <stdlib.h>

#include "engine/base/clock.h"
#include "engine/internal.h"

enum { LOOK_MS = 1000 };

struct cm_aside_place {
    STAILQ_ENTRY(cm_aside_place) link;
    struct cm_entry *entry;
    const struct cm_settings_authority *authority;
    struct cm_promise *promise; /* held; NULL: nothing was promised */
};

void cm_aside_init(struct cm_engine *engine)
{
    STAILQ_INIT(&engine->aside.ready);
    STAILQ_INIT(&engine->aside.waiting);
}

void cm_aside_done(struct cm_engine *engine)
{
    cm_timer_done(&engine->aside.timer);
    for (struct cm_aside_place *place; (place = STAILQ_FIRST(&engine->aside.ready));) {
        STAILQ_REMOVE_HEAD(&engine->aside.ready, link);
        free(place);
    }
    for (struct cm_aside_place *place; (place = STAILQ_FIRST(&engine->aside.waiting));) {
        STAILQ_REMOVE_HEAD(&engine->aside.waiting, link);
        free(place);
    }
}

/* --- going on ------------------------------------------------------------------------------------ */

/* The next probe of an authority that is away. */
struct probe {
    const struct cm_issuer_key *issuer; /* NULL: none is due */
    const struct cm_aside_place *place; /* the one that may go */
};

/* It waits for that key's authority, and something is still promised to it with the key. */
static bool is_promised(const struct cm_aside_place *place, const struct cm_issuer_key *issuer)
{
    return place->authority == issuer->authority && place->promise && !place->promise->is_over
           && place->promise->generation_number == issuer->generation_number;
}

/* Best who has a promise of the key, then who has none; the promises of others would be broken. */
static unsigned rank(const struct cm_aside_place *place, const struct cm_issuer_key *issuer)
{
    if (is_promised(place, issuer))
        return 2;
    return !place->promise || place->promise->is_over;
}

static struct probe *probe_of(const struct cm_engine *engine, struct probe *probes,
                              const struct cm_aside_place *place)
{
    return &probes[place->authority - engine->settings->authorities];
}

/* One request for each authority; who waited longest, of equals. By position of the authority. */
static struct probe *choose_probes(const struct cm_engine *engine)
{
    uint64_t now_ns = cm_clock_monotonic_ns();
    uint32_t count = engine->settings->authorities_count;
    struct probe *probes = calloc(count, sizeof *probes);
    const struct cm_aside_place *place;
    if (!probes)
        abort();
    for (uint32_t i = 0; i < count; i++)
        probes[i].issuer =
            cm_spread_probe(&engine->spread, &engine->settings->authorities[i], now_ns);
    STAILQ_FOREACH(place, &engine->aside.waiting, link)
    {
        struct probe *probe = probe_of(engine, probes, place);
        if (probe->issuer
            && (!probe->place || rank(place, probe->issuer) > rank(probe->place, probe->issuer)))
            probe->place = place;
    }
    return probes;
}

static void on_look(void *arg)
{
    cm_aside_look(arg);
    cm_intake_continue(arg);
}

/* What stays behind keeps its order. */
void cm_aside_look(struct cm_engine *engine)
{
    struct cm_aside *aside = &engine->aside;
    struct probe *probes = choose_probes(engine);
    struct cm_aside_list before = STAILQ_HEAD_INITIALIZER(before);
    STAILQ_CONCAT(&before, &aside->waiting);
    for (struct cm_aside_place *place; (place = STAILQ_FIRST(&before));) {
        STAILQ_REMOVE_HEAD(&before, link);
        if (!cm_spread_is_away(&engine->spread, place->authority)
            || probe_of(engine, probes, place)->place == place)
            STAILQ_INSERT_TAIL(&aside->ready, place, link);
        else
            STAILQ_INSERT_TAIL(&aside->waiting, place, link);
    }
    free(probes);
    if (!STAILQ_EMPTY(&aside->waiting))
        cm_timer_start(&aside->timer, engine->loop, LOOK_MS, on_look, engine);
}

static bool has_promised(const struct cm_aside_list *list, const struct cm_issuer_key *issuer)
{
    const struct cm_aside_place *place;
    STAILQ_FOREACH(place, list, link)
    if (is_promised(place, issuer))
        return true;
    return false;
}

bool cm_aside_has_promised(const struct cm_engine *engine, const struct cm_issuer_key *issuer)
{
    return has_promised(&engine->aside.ready, issuer)
           || has_promised(&engine->aside.waiting, issuer);
}

/* --- in and out ---------------------------------------------------------------------------------- */

/* Credit that is not given back is given as the entry is answered, as for any other. */
static void give_credit(struct cm_engine *engine, struct cm_entry *entry)
{
    entry->is_rated = true;
    if (entry->is_credited || engine->aside.count > CM_ASIDE_MAX)
        return;
    entry->is_credited = true;
    cm_queue_want(engine->queue, 1);
}

void cm_aside_put(struct cm_engine *engine, struct cm_entry *entry,
                  const struct cm_settings_authority *authority, struct cm_promise *promise)
{
    struct cm_aside *aside = &engine->aside;
    struct cm_aside_place *place;
    if (engine->state != CM_ENGINE_IS_RUNNING) {
        cm_intake_give_back(engine, &entry, 1);
        return;
    }
    place = malloc(sizeof *place);
    if (!place)
        abort();
    entry = cm_queue_detach(engine->queue, entry);
    *place = (struct cm_aside_place){ .entry = entry, .authority = authority, .promise = promise };
    if (promise)
        cm_promise_hold(promise);
    aside->count++;
    give_credit(engine, entry);
    if (!authority || !cm_spread_is_away(&engine->spread, authority)) {
        STAILQ_INSERT_TAIL(&aside->ready, place, link);
        return;
    }
    if (STAILQ_EMPTY(&aside->waiting))
        cm_engine_notice(engine, "no key of %s signs: its requests wait, others go on",
                         authority->name);
    STAILQ_INSERT_TAIL(&aside->waiting, place, link);
    if (!cm_timer_is_running(&aside->timer))
        cm_timer_start(&aside->timer, engine->loop, LOOK_MS, on_look, engine);
}

struct cm_entry *cm_aside_peek(const struct cm_engine *engine)
{
    const struct cm_aside_place *place = STAILQ_FIRST(&engine->aside.ready);
    return place ? place->entry : NULL;
}

static struct cm_entry *pop(struct cm_aside *aside, struct cm_aside_list *list)
{
    struct cm_aside_place *place = STAILQ_FIRST(list);
    struct cm_entry *entry = place->entry;
    STAILQ_REMOVE_HEAD(list, link);
    aside->count--;
    if (place->promise)
        cm_promise_let_go(place->promise);
    free(place);
    return entry;
}

void cm_aside_take(struct cm_engine *engine)
{
    pop(&engine->aside, &engine->aside.ready);
}

static struct cm_entry *take_any(struct cm_engine *engine)
{
    struct cm_aside *aside = &engine->aside;
    if (aside->count == 0)
        return NULL;
    return pop(aside, STAILQ_EMPTY(&aside->ready) ? &aside->waiting : &aside->ready);
}

void cm_aside_give_back(struct cm_engine *engine)
{
    cm_timer_stop(&engine->aside.timer);
    cm_intake_give_back_all(engine, take_any);
}

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

/* Its keys are asked for one request only, as a probe; what stays behind it keeps its order. */
static bool may_go(const struct cm_engine *engine, const struct cm_aside_place *place,
                   const struct cm_settings_authority **probed, uint32_t *probed_count)
{
    if (!cm_spread_is_away(&engine->spread, place->authority))
        return true;
    for (uint32_t i = 0; i < *probed_count; i++)
        if (probed[i] == place->authority)
            return false;
    probed[(*probed_count)++] = place->authority;
    return cm_spread_probe_is_due(&engine->spread, place->authority, cm_clock_monotonic_ns());
}

static void on_look(void *arg)
{
    cm_aside_look(arg);
    cm_intake_continue(arg);
}

void cm_aside_look(struct cm_engine *engine)
{
    struct cm_aside *aside = &engine->aside;
    uint32_t probed_count = 0;
    const struct cm_settings_authority **probed =
        calloc(engine->settings->authorities_count, sizeof(struct cm_settings_authority *));
    struct cm_aside_list before = STAILQ_HEAD_INITIALIZER(before);
    if (!probed)
        abort();
    STAILQ_CONCAT(&before, &aside->waiting);
    for (struct cm_aside_place *place; (place = STAILQ_FIRST(&before));) {
        STAILQ_REMOVE_HEAD(&before, link);
        if (may_go(engine, place, probed, &probed_count))
            STAILQ_INSERT_TAIL(&aside->ready, place, link);
        else
            STAILQ_INSERT_TAIL(&aside->waiting, place, link);
    }
    free(probed);
    if (!STAILQ_EMPTY(&aside->waiting))
        cm_timer_start(&aside->timer, engine->loop, LOOK_MS, on_look, engine);
}

/* --- in and out ---------------------------------------------------------------------------------- */

static void give_back(struct cm_engine *engine, struct cm_entry *entry)
{
    engine->counters.in_flight--;
    engine->counters.given_back++;
    cm_queue_give_back(engine->queue, &entry, 1);
}

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
                  const struct cm_settings_authority *authority)
{
    struct cm_aside *aside = &engine->aside;
    struct cm_aside_place *place;
    if (engine->state != CM_ENGINE_IS_RUNNING) {
        give_back(engine, entry);
        return;
    }
    place = malloc(sizeof *place);
    if (!place)
        abort();
    *place = (struct cm_aside_place){ .entry = entry, .authority = authority };
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
    free(place);
    return entry;
}

void cm_aside_take(struct cm_engine *engine)
{
    pop(&engine->aside, &engine->aside.ready);
}

void cm_aside_give_back(struct cm_engine *engine)
{
    struct cm_aside *aside = &engine->aside;
    cm_timer_stop(&aside->timer);
    while (!STAILQ_EMPTY(&aside->ready))
        give_back(engine, pop(aside, &aside->ready));
    while (!STAILQ_EMPTY(&aside->waiting))
        give_back(engine, pop(aside, &aside->waiting));
}

/*
 * News: what the engine's owner hears of it. Events are posted, so that nobody is called back from
 * inside a call; notices are told at once.
 */
#include "engine/internal.h"

#include <stdarg.h>
#include <stdio.h>

#include "engine/campaign/sender.h"

void cm_engine_notice(struct cm_engine *engine, const char *format, ...)
{
    char text[CM_ERROR_TEXT_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    engine->options.on_event(CM_ENGINE_NOTICE, text, engine->options.arg);
}

void cm_engine_on_notice(const char *text, void *arg)
{
    cm_engine_notice(arg, "%s", text);
}

static void deliver_event(void *arg)
{
    struct cm_engine_news *news = arg;
    struct cm_engine *engine = news->engine;
    news->is_posted = false;
    engine->options.on_event(news->event, news->text, engine->options.arg);
}

/* Posted: whoever called us is not called back from inside. */
static void post(struct cm_engine *engine, struct cm_engine_news *news, enum cm_engine_event event,
                 const char *text)
{
    if (news->is_posted)
        return;
    news->is_posted = true;
    news->engine = engine;
    news->event = event;
    snprintf(news->text, sizeof news->text, "%s", text);
    news->task = (struct cm_task){ .run = deliver_event, .arg = news };
    cm_loop_post(engine->loop, &news->task);
}

/* Each kind of event has its own task. */
void cm_engine_post(struct cm_engine *engine, enum cm_engine_event event, const char *text)
{
    post(engine, &engine->news[event], event, text);
}

void cm_engine_post_rotation(struct cm_engine *engine,
                             const struct cm_settings_authority *authority)
{
    post(engine, &engine->rotation_news[authority - engine->settings->authorities],
         CM_ENGINE_ROTATION_DUE, authority->name);
}

void cm_engine_look_around(struct cm_engine *engine)
{
    if (engine->counters.in_flight > 0 || cm_control_is_busy(engine->control))
        return;
    if (engine->state == CM_ENGINE_IS_STOPPING) {
        if (!cm_issuers_are_idle(&engine->issuers) || !cm_engine_revocations_are_idle(engine)
            || !cm_sender_is_idle(engine->sender))
            return;
        if (!cm_audit_is_over(engine))
            return;
        engine->state = CM_ENGINE_IS_STOPPED;
        cm_engine_post(engine, CM_ENGINE_STOPPED, "everything is answered or given back");
    } else if (engine->state == CM_ENGINE_IS_RUNNING && engine->queue_exhausted) {
        engine->queue_exhausted = false;
        cm_engine_post(engine, CM_ENGINE_EXHAUSTED, "the queue is at its end");
    }
}

void cm_engine_on_idle(void *arg)
{
    cm_engine_look_around(arg);
}

#include "engine/schedule.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/clock.h"

enum { LOOK_MS_MIN = 50, LOOK_MS_MAX = 60000 };

/* What an operator has been told of a key; several at a time. */
enum { TOLD_NEAR = 1, TOLD_DUE = 2, TOLD_CUT = 4 };

bool cm_schedule_of(const struct cm_settings_authority *authority, int64_t active_ms,
                    int64_t not_after_s, struct cm_schedule_moments *ret_moments)
{
    if (authority->issues_for_ms == 0)
        return false;
    int64_t due_ms = active_ms + authority->issues_for_ms;
    bool is_by_end = not_after_s < due_ms / 1000; /* in seconds: the end may be that of year 9999 */
    if (is_by_end)
        due_ms = not_after_s * 1000;
    *ret_moments = (struct cm_schedule_moments){ .prepare_ms = due_ms - authority->rotate_ahead_ms,
                                                 .due_ms = due_ms,
                                                 .is_by_end = is_by_end };
    return true;
}

const char *cm_schedule_write_span(int64_t span_ms, char text[CM_SPAN_TEXT_SIZE])
{
    static const struct {
        int64_t ms;
        const char *name;
    } units[] = { { 86400000, "d" }, { 3600000, "h" }, { 60000, "min" }, { 1000, "s" } };
    size_t unit = 0;
    while (unit + 1 < sizeof units / sizeof units[0] && span_ms < 2 * units[unit].ms)
        unit++;
    snprintf(text, CM_SPAN_TEXT_SIZE, "%" PRId64 " %s", span_ms / units[unit].ms, units[unit].name);
    return text;
}

/* ------------------------------------------------------------------------------ what is said -- */

/* Once: what is told of a key stays told, as long as it is so. */
static void tell(struct cm_schedule *schedule, const struct cm_issuer_key *issuer, uint8_t what,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));

static void tell(struct cm_schedule *schedule, const struct cm_issuer_key *issuer, uint8_t what,
                 const char *format, ...)
{
    uint8_t *told = &schedule->told[cm_issuers_position(schedule->env.issuers, issuer)];
    char text[CM_ERROR_TEXT_SIZE];
    va_list args;
    if (*told & what)
        return;
    *told |= what;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    schedule->env.on_notice(text, schedule->env.arg);
}

/* What becomes of it, or is to be done. */
static void describe_next(const struct cm_issuer_key *issuer, const struct cm_issuer_key *next,
                          bool is_due, char *text, size_t size)
{
    const struct cm_settings_authority *authority = issuer->authority;
    if (!next && authority->rotation == CM_ROTATION_WARN)
        snprintf(text, size, "certmill ca rotate %s makes the next key", authority->name);
    else if (!next)
        snprintf(text, size, "the next key is made");
    else if (authority->rotation != CM_ROTATION_AUTOMATIC)
        snprintf(text, size, "certmill ca activate %s lets the next one issue", next->name);
    else
        snprintf(text, size, "%s %s", next->name, is_due ? "takes over" : "is ready");
}

static void tell_of_turn(struct cm_schedule *schedule, const struct cm_issuer_key *issuer,
                         const struct cm_issuer_key *next,
                         const struct cm_schedule_moments *moments, int64_t now_ms)
{
    char so_long[CM_SPAN_TEXT_SIZE], whole[CM_SPAN_TEXT_SIZE], what[200];
    bool is_due = now_ms >= moments->due_ms;
    describe_next(issuer, next, is_due, what, sizeof what);
    tell(schedule, issuer, is_due ? TOLD_DUE : TOLD_NEAR, "%s has issued for %s of %s%s: %s",
         issuer->name, cm_schedule_write_span(now_ms - issuer->active_ms, so_long),
         cm_schedule_write_span(moments->due_ms - issuer->active_ms, whole),
         moments->is_by_end ? ", when its certificate ends" : "", what);
}

/* The longest life of what is issued under it; what has no end is never cut short. */
static int64_t find_longest_s(const struct cm_issuer_key *issuer)
{
    const struct cm_settings *settings = issuer->issuers->settings;
    int64_t longest_s = 0;
    for (uint32_t i = 0; issuer->templates && i < settings->profiles_count; i++) {
        int64_t validity_s = settings->profiles[i]->validity_s;
        if (issuer->templates[i] && validity_s != CM_VALIDITY_NO_EXPIRY && validity_s > longest_s)
            longest_s = validity_s;
    }
    return longest_s;
}

/* Certificates end with their issuer at the latest: then they are shorter than their profile says. */
static void tell_of_end(struct cm_schedule *schedule, const struct cm_issuer_key *issuer,
                        int64_t now_ms)
{
    int64_t longest_s = find_longest_s(issuer), end_s = issuer->issuer.not_after_s;
    char longest[CM_SPAN_TEXT_SIZE], left[CM_SPAN_TEXT_SIZE];
    if (end_s - now_ms / 1000 >= longest_s)
        return;
    if (end_s < now_ms / 1000)
        tell(schedule, issuer, TOLD_CUT, "%s issues nothing: its certificate has ended",
             issuer->name);
    else
        tell(schedule, issuer, TOLD_CUT,
             "certificates of %s are cut short: it ends in %s, and they would live for up to %s; "
             "certmill ca rotate %s makes the next key",
             issuer->name, cm_schedule_write_span(end_s * 1000 - now_ms, left),
             cm_schedule_write_span(longest_s * 1000, longest), issuer->authority->name);
}

/* ------------------------------------------------------------------------------------- looks -- */

static const struct cm_issuer_key *find_next(const struct cm_issuers *issuers,
                                             const struct cm_issuer_key *issuer)
{
    for (uint32_t i = 0; i < issuers->keys_count; i++)
        if (issuers->keys[i].state == CM_GENERATION_PENDING
            && issuers->keys[i].replaces == issuer->generation_number)
            return &issuers->keys[i];
    return NULL;
}

/* Something that the command would do. */
static bool is_work(const struct cm_issuer_key *issuer, const struct cm_issuer_key *next,
                    const struct cm_schedule_moments *moments, int64_t now_ms)
{
    enum cm_rotation rotation = issuer->authority->rotation;
    if (rotation == CM_ROTATION_WARN || now_ms < moments->prepare_ms)
        return false;
    return !next || (rotation == CM_ROTATION_AUTOMATIC && now_ms >= moments->due_ms);
}

static int64_t sooner(int64_t moment_ms, int64_t now_ms, int64_t pause_ms)
{
    int64_t left_ms = moment_ms - now_ms;
    return left_ms > 0 && left_ms < pause_ms ? left_ms : pause_ms;
}

/* How long until the next look at it: a moment that is past calls for none. */
static int64_t look_at(struct cm_schedule *schedule, const struct cm_issuer_key *issuer,
                       int64_t now_ms)
{
    struct cm_schedule_moments moments;
    tell_of_end(schedule, issuer, now_ms);
    if (!cm_schedule_of(issuer->authority, issuer->active_ms, issuer->issuer.not_after_s, &moments))
        return LOOK_MS_MAX;
    const struct cm_issuer_key *next = find_next(schedule->env.issuers, issuer);
    if (now_ms >= moments.prepare_ms)
        tell_of_turn(schedule, issuer, next, &moments, now_ms);
    if (is_work(issuer, next, &moments, now_ms))
        schedule->env.on_due(issuer->authority, schedule->env.arg);
    return sooner(moments.due_ms, now_ms, sooner(moments.prepare_ms, now_ms, LOOK_MS_MAX));
}

static void look_now(void *arg)
{
    cm_schedule_look(arg);
}

void cm_schedule_look(struct cm_schedule *schedule)
{
    const struct cm_issuers *issuers = schedule->env.issuers;
    int64_t now_ms = cm_clock_wall_ms(), pause_ms = LOOK_MS_MAX;
    if (!schedule->told)
        return;
    for (uint32_t i = 0; i < issuers->keys_count; i++) {
        if (issuers->keys[i].state != CM_GENERATION_ACTIVE)
            continue;
        int64_t wanted_ms = look_at(schedule, &issuers->keys[i], now_ms);
        pause_ms = wanted_ms < pause_ms ? wanted_ms : pause_ms;
    }
    cm_timer_start(&schedule->timer, schedule->env.loop,
                   (uint32_t)(pause_ms < LOOK_MS_MIN ? LOOK_MS_MIN : pause_ms), look_now, schedule);
}

void cm_schedule_begin(struct cm_schedule *schedule, const struct cm_schedule_env *env)
{
    *schedule = (struct cm_schedule){ .env = *env, .told = calloc(CM_ISSUERS_MAX, 1) };
    if (!schedule->told)
        abort();
    cm_schedule_look(schedule);
}

void cm_schedule_stop(struct cm_schedule *schedule)
{
    cm_timer_stop(&schedule->timer);
    free(schedule->told);
    schedule->told = NULL;
}

void cm_schedule_done(struct cm_schedule *schedule)
{
    cm_schedule_stop(schedule);
    cm_timer_done(&schedule->timer);
}

/*
 * Schedule: when another key of an authority is to issue, as the settings say (issues-for, rotate-ahead,
 * rotation).
 *
 *     active_ms               prepare_ms          due_ms
 *     |--- it issues ---------|-- rotate-ahead ---|
 *     |--- issues-for ----------------------------|      or the end of its certificate, which comes first
 *
 * The engine makes no keys (docs/adr/0016): it tells the operator, once a state, and its owner, as long as
 * there is something to do, that `certmill ca rotate NAME --scheduled` has come due. That command goes by the same moments.
 *
 *     cm_schedule_begin(&schedule, &env);      looks at once, then by the minute, or when a moment has come
 *     cm_schedule_look(&schedule);             whenever generations have changed
 *     cm_schedule_stop(&schedule);             calls back no more; cm_schedule_done frees
 */
#ifndef CM_ENGINE_SCHEDULE_H
#define CM_ENGINE_SCHEDULE_H

#include "engine/issuers.h"

struct cm_schedule_moments {
    int64_t prepare_ms; /* the next key is to be made */
    int64_t due_ms;     /* and to issue */
    bool is_by_end;     /* because the certificate of this one ends */
};

/*
 * Of a key that has issued since active_ms and whose certificate ends at not_after_s. Any thread.
 * False: the settings have no schedule.
 */
bool cm_schedule_of(const struct cm_settings_authority *authority, int64_t active_ms,
                    int64_t not_after_s, struct cm_schedule_moments *ret_moments);

enum { CM_SPAN_TEXT_SIZE = 24 };

/* "80 d", "36 h", "90 min" or "4 s". Returns ret_text. Any thread. */
const char *cm_schedule_write_span(int64_t span_ms, char ret_text[CM_SPAN_TEXT_SIZE]);

struct cm_schedule_env {
    struct cm_loop *loop;
    const struct cm_issuers *issuers;
    void (*on_notice)(const char *text, void *arg);
    /* Inside begin, look, or on the loop; again every minute, until it is done. */
    void (*on_due)(const struct cm_settings_authority *authority, void *arg);
    void *arg;
};

struct cm_schedule {
    struct cm_schedule_env env;
    struct cm_timer timer;
    uint8_t *told; /* by position of the issuer key */
};

/* Thread: the loop's. */
void cm_schedule_begin(struct cm_schedule *schedule, const struct cm_schedule_env *env);
void cm_schedule_look(struct cm_schedule *schedule);
void cm_schedule_stop(struct cm_schedule *schedule);
void cm_schedule_done(struct cm_schedule *schedule);

#endif

/*
 * The rig of the queue tests: a loop, a queue on it, and a consumer that remembers what came.
 *
 * The consumer answers nothing by itself: a test takes entries, looks at them, and answers or gives
 * them back. cm_queue_rig_wait runs the loop until a condition holds or its time is up, so a test
 * never sleeps for what it waits for.
 */
#ifndef CM_TESTS_SUPPORT_QUEUE_RIG_H
#define CM_TESTS_SUPPORT_QUEUE_RIG_H

#include <stdbool.h>

#include "queue/queue.h"

struct cm_queue_rig {
    struct cm_loop *loop;
    struct cm_queue *queue;
    struct cm_entry **entries; /* in hand, in the order of arrival */
    uint32_t entries_count;
    uint32_t entries_space;
    uint32_t delivered_count;   /* ever */
    uint32_t submitted_count;   /* batches of answers that were given to the queue, */
    uint32_t answered_count;    /* that were called back, */
    uint32_t unavailable_count; /* and of these not with OK */
    uint32_t events_count[CM_QUEUE_EXHAUSTED + 1];
    char last_down[CM_ERROR_TEXT_SIZE];
    bool answers_at_once; /* every delivery is issued from inside on_entries */
    bool wants_more;      /* and asked for again */
    bool groups_results;  /* answers may stand in one entry with others */
};

void cm_queue_rig_init(struct cm_queue_rig *rig);
void cm_queue_rig_done(struct cm_queue_rig *rig);

/* Opens the rig's queue. False, with the reason on standard output, when that failed. */
bool cm_queue_rig_open(struct cm_queue_rig *rig, const struct cm_queue_ops *ops,
                       const struct cm_queue_settings *settings);

/* Closes it and forgets the entries in hand. */
void cm_queue_rig_close(struct cm_queue_rig *rig);

/* Runs the loop until condition(arg) or for timeout_ms; returns whether the condition came. */
bool cm_queue_rig_wait(struct cm_queue_rig *rig, bool (*condition)(void *arg), void *arg,
                       uint32_t timeout_ms);

/* Waits up to 10 s for that many entries in hand, or callbacks. */
bool cm_queue_rig_wait_entries(struct cm_queue_rig *rig, uint32_t count);
bool cm_queue_rig_wait_answered(struct cm_queue_rig *rig, uint32_t batches_count);
bool cm_queue_rig_wait_event(struct cm_queue_rig *rig, enum cm_queue_event event, uint32_t count);

/* Runs the loop for this long. */
void cm_queue_rig_run(struct cm_queue_rig *rig, uint32_t duration_ms);

/* Answers the first count entries in hand as issued, with a certificate that is "cert:<device>". */
void cm_queue_rig_answer(struct cm_queue_rig *rig, uint32_t count);

/* Refuses the first count entries in hand with their own refusal, or request.field-missing. */
void cm_queue_rig_refuse(struct cm_queue_rig *rig, uint32_t count);

void cm_queue_rig_give_back(struct cm_queue_rig *rig, uint32_t count);

/* A field of an entry in hand as text; "(absent)" when it is. Valid until the next call. */
const char *cm_queue_rig_text(const struct cm_queue_rig *rig, uint32_t index, enum cm_field field);

#endif

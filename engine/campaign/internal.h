/*
 * Inside the sender: run.c carries one campaign on, sender.c knows which there are. The loop's, but what a read holds
 * while the worker has it.
 */
#ifndef CM_ENGINE_CAMPAIGN_INTERNAL_H
#define CM_ENGINE_CAMPAIGN_INTERNAL_H

#include <sys/queue.h>

#include "engine/base/workers.h"
#include "engine/campaign/moment.h"
#include "engine/campaign/plan.h"
#include "engine/campaign/sender.h"

enum {
    CM_PIECE_MAX = 256,         /* notices of one read */
    CM_CAMPAIGN_PAUSE_MS = 100, /* after a failure; it doubles */
    CM_CAMPAIGN_PAUSE_DOUBLINGS = 6
};

/* What a run waits for: at most one thing. */
enum cm_run_phase { CM_RUN_RESTS, CM_RUN_READS, CM_RUN_SENDS, CM_RUN_RECORDS };

/* Devices that were read and have no notice yet, from next on. */
struct cm_piece {
    struct cm_arena arena;
    struct cm_notice notices[CM_PIECE_MAX];
    cm_certificate_number numbers[CM_PIECE_MAX];
    int64_t renewed_before[CM_PIECE_MAX]; /* devices between the notice before and this one */
    uint32_t count, next;
    int64_t renewed_after; /* behind the last notice */
    cm_certificate_number last;
    bool is_end;
};

/* One campaign. */
struct cm_run {
    struct cm_sender *sender;
    TAILQ_ENTRY(cm_run) link;
    struct cm_campaign campaign; /* cursor and counts as they are recorded */
    struct cm_arena arena;       /* its spans */
    const char *generation_name;
    enum cm_run_phase phase;
    struct cm_timer timer;
    struct cm_moment_pace pace;
    struct cm_piece piece;
    /* of the read that is under way */
    struct cm_work work;
    struct cm_holder_stretch stretch;
    cm_status status;
    struct cm_error err;
    /* of the step, or the change, that is under way */
    uint32_t step_count;
    struct cm_campaign_plan plan;
    struct cm_store_op op;
    struct cm_arena op_arena;
    uint32_t failures_count;
    char trouble[CM_ERROR_TEXT_SIZE];
};

/* What of the store's campaigns is not over. */
struct list {
    struct cm_work work;
    struct cm_sender *sender;
    bool is_under_way, is_due; /* due: again, since something has changed meanwhile */
    cm_status status;
    struct cm_error err;
    TAILQ_HEAD(, cm_run) runs; /* read, not taken yet */
    struct cm_timer timer;
    uint32_t failures_count;
};

struct cm_sender {
    struct cm_sender_env env;
    struct cm_workers *workers; /* one */
    bool is_stopping;
    bool gives_up; /* notices that are on their way are not waited for: they come again */
    struct cm_timer stop_timer;
    struct list list;
    TAILQ_HEAD(, cm_run) runs;
};

/* A campaign that runs or is paused; it is copied. */
struct cm_run *cm_run_new(struct cm_sender *sender, const struct cm_campaign *campaign);
void cm_run_free(struct cm_run *run); /* nothing of it is under way */
/* Looks what is due after so long. */
void cm_run_wait(struct cm_run *run, uint32_t delay_ms);
/* What it has waited for has come, or its state has changed while it rests. It may be freed inside. */
void cm_run_go_on(struct cm_run *run);

#endif

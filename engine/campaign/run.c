/* One campaign: devices read, their notices published at its pace, the cursor recorded behind them. */
#include "engine/campaign/internal.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/clock.h"
#include "engine/base/faultpoint.h"

enum {
    STEP_MAX = 100,      /* notices of one step: what comes twice after a crash */
    SETTLE_MS = 3000,    /* from a certificate's number to its promise in the store, at most */
    LOOK_AGAIN_MS = 500, /* for certificates that are on their way */
    ARENA_BLOCK_SIZE = 65536
};

static void step(struct cm_run *run);

/* --- runs ---------------------------------------------------------------------------------------- */

struct cm_run *cm_run_new(struct cm_sender *sender, const struct cm_campaign *campaign)
{
    struct cm_run *run = calloc(1, sizeof *run);
    if (!run)
        abort();
    cm_arena_init(&run->arena, 4096);
    cm_arena_init(&run->op_arena, 4096);
    cm_arena_init(&run->piece.arena, ARENA_BLOCK_SIZE);
    run->sender = sender;
    run->campaign = *campaign;
    run->campaign.name = cm_arena_copy(&run->arena, campaign->name);
    run->campaign.actor = cm_arena_copy(&run->arena, campaign->actor);
    run->campaign.groups = cm_arena_copy(&run->arena, campaign->groups);
    run->generation_name = cm_arena_printf(&run->arena, "%.*s", (int)campaign->generation_name.size,
                                           (const char *)campaign->generation_name.data);
    run->campaign.generation_name = cm_bytes_str(run->generation_name);
    run->pace.rate_per_s = campaign->rate_per_s;
    run->piece.last = campaign->cursor;
    return run;
}

void cm_run_free(struct cm_run *run)
{
    cm_timer_done(&run->timer);
    cm_arena_done(&run->piece.arena);
    cm_arena_done(&run->op_arena);
    cm_arena_done(&run->arena);
    free(run);
}

static bool runs(const struct cm_run *run)
{
    return run->campaign.state == CM_CAMPAIGN_RUNNING && !run->sender->is_stopping;
}

static bool is_over(const struct cm_run *run)
{
    return run->campaign.state == CM_CAMPAIGN_DONE || run->campaign.state == CM_CAMPAIGN_CANCELLED;
}

static void on_timer(void *arg)
{
    step(arg);
}

void cm_run_wait(struct cm_run *run, uint32_t delay_ms)
{
    cm_timer_start(&run->timer, run->sender->env.loop, delay_ms, on_timer, run);
}

/* Told when it begins, not each time that it is tried again. */
static void fail(struct cm_run *run, const char *text)
{
    char notice[CM_ERROR_TEXT_SIZE + 128];
    const struct cm_bytes name = run->campaign.name;
    if (run->trouble[0] == '\0') {
        snprintf(notice, sizeof notice, "campaign %.*s waits: %s", (int)name.size,
                 (const char *)name.data, text);
        run->sender->env.on_notice(notice, run->sender->env.arg);
    }
    snprintf(run->trouble, sizeof run->trouble, "%s", text);
    cm_run_wait(run, cm_clock_backoff_ms(CM_CAMPAIGN_PAUSE_MS, run->failures_count++,
                                         CM_CAMPAIGN_PAUSE_DOUBLINGS));
}

static void succeed(struct cm_run *run)
{
    run->failures_count = 0;
    run->trouble[0] = '\0';
}

/* What the run has waited for has come. */
void cm_run_go_on(struct cm_run *run)
{
    struct cm_sender *sender = run->sender;
    run->phase = CM_RUN_RESTS;
    if (is_over(run)) {
        TAILQ_REMOVE(&sender->runs, run, link);
        cm_run_free(run);
    } else if (runs(run) && !cm_timer_is_running(&run->timer))
        step(run);
    if (sender->is_stopping && cm_sender_is_idle(sender))
        sender->env.on_idle(sender->env.arg);
}

/* --- reading: the worker's ----------------------------------------------------------------------- */

static void add_notice(struct cm_run *run, const struct cm_holder *holder)
{
    struct cm_piece *piece = &run->piece;
    struct cm_arena *arena = &piece->arena;
    int64_t deadline_s = cm_moment_deadline_s(&run->campaign, holder->not_after_s);
    piece->renewed_before[piece->count] = piece->renewed_after;
    piece->renewed_after = 0;
    piece->numbers[piece->count] = holder->number;
    piece->notices[piece->count++] = (struct cm_notice){
        .kind = "renew",
        .campaign = run->campaign.name,
        .device = cm_arena_copy(arena, holder->device.id),
        .serial = cm_arena_copy(arena, cm_serial_content(&holder->serial)),
        .issuer = run->generation_name,
        .not_after = holder->not_after_s,
        .not_before = cm_moment_not_before_s(&run->campaign, holder->device.id, deadline_s),
        .deadline = deadline_s,
    };
}

static bool see_holder(const struct cm_holder *holder, void *arg)
{
    struct cm_run *run = arg;
    if (!cm_campaign_is_about(run->campaign.groups, &holder->device))
        return true;
    if (holder->renewed)
        run->piece.renewed_after++;
    else if (holder->device.state == CM_DEVICE_ALLOWED)
        add_notice(run, holder);
    return run->piece.count < CM_PIECE_MAX;
}

static void read_piece(struct cm_work *work, void *context)
{
    struct cm_run *run = (struct cm_run *)((char *)work - offsetof(struct cm_run, work));
    run->status = cm_store_walk_holders(context, &run->stretch, see_holder, run, &run->err);
}

static void on_piece(struct cm_work *work)
{
    struct cm_run *run = (struct cm_run *)((char *)work - offsetof(struct cm_run, work));
    if (run->status == CM_OK) {
        run->piece.last = run->stretch.last;
        run->piece.is_end = run->stretch.is_end;
        if (run->piece.count == 0 && run->piece.last == run->stretch.after && !run->piece.is_end)
            cm_run_wait(run, LOOK_AGAIN_MS);
    } else {
        run->piece.count = 0;
        run->piece.renewed_after = 0;
        fail(run, run->err.text);
    }
    cm_run_go_on(run);
}

static void read_on(struct cm_run *run)
{
    struct cm_piece *piece = &run->piece;
    cm_arena_reset(&piece->arena);
    piece->count = piece->next = 0;
    piece->renewed_after = 0;
    run->stretch = (struct cm_holder_stretch){
        .generation_number = run->campaign.generation_number,
        .after = run->campaign.cursor,
        .until = run->campaign.until,
        .settled = (cm_clock_wall_ms() - SETTLE_MS) << 20,
        .now_s = cm_clock_wall_s(),
    };
    run->phase = CM_RUN_READS;
    run->work.run = read_piece;
    run->work.done = on_piece;
    cm_workers_submit(run->sender->workers, &run->work);
}

/* --- recording ----------------------------------------------------------------------------------- */

static void on_recorded(struct cm_store_op *op)
{
    struct cm_run *run = op->arg;
    const struct cm_campaign *moved = &run->plan.campaign;
    if (op->status == CM_OK) {
        succeed(run);
        run->campaign.cursor = moved->cursor;
        run->campaign.noticed += moved->noticed;
        run->campaign.renewed += moved->renewed;
        run->piece.next += run->step_count;
        if (run->piece.next == run->piece.count)
            run->piece.renewed_after = 0;
        run->step_count = 0;
    } else
        fail(run, op->err.text);
    cm_run_go_on(run);
}

/* Behind the notices of the step that were written; with the last of a piece, behind all that was looked at. */
static void record(struct cm_run *run)
{
    const struct cm_piece *piece = &run->piece;
    struct cm_campaign *moved = &run->plan.campaign;
    uint32_t next = piece->next + run->step_count;
    run->plan =
        (struct cm_campaign_plan){ .change = { .kind = CM_CAMPAIGN_MOVE, .campaign = moved } };
    moved->number = run->campaign.number;
    moved->noticed = run->step_count;
    for (uint32_t i = piece->next; i < next; i++)
        moved->renewed += piece->renewed_before[i];
    moved->cursor = next < piece->count ? piece->numbers[next - 1] : piece->last;
    if (next == piece->count)
        moved->renewed += piece->renewed_after;
    run->phase = CM_RUN_RECORDS;
    run->op = (struct cm_store_op){
        .kind = CM_STORE_CAMPAIGN, .done = on_recorded, .arg = run, .campaign = &run->plan.change
    };
    cm_store_submit(run->sender->env.store, &run->op);
}

static void on_ended(struct cm_store_op *op)
{
    struct cm_run *run = op->arg;
    const struct cm_bytes name = run->campaign.name;
    char text[CM_ERROR_TEXT_SIZE];
    if (op->status == CM_OK) {
        run->campaign.state = CM_CAMPAIGN_DONE;
        run->sender->list.is_due |=
            run->sender->list.is_under_way; /* it may have been read before */
        snprintf(text, sizeof text, "campaign %.*s: every device has its notice, %lld of them",
                 (int)name.size, (const char *)name.data, (long long)run->campaign.noticed);
        run->sender->env.on_notice(text, run->sender->env.arg);
    } else if (op->status
               != CM_INVALID) /* else it was paused or cancelled meanwhile: that is on its way */
        fail(run, op->err.text);
    else
        cm_run_wait(run, LOOK_AGAIN_MS);
    cm_run_go_on(run);
}

static void end(struct cm_run *run)
{
    cm_arena_reset(&run->op_arena);
    cm_campaign_plan_end(&run->campaign, &run->op_arena, &run->plan);
    run->phase = CM_RUN_RECORDS;
    run->op = (struct cm_store_op){ .kind = CM_STORE_CAMPAIGN,
                                    .done = on_ended,
                                    .arg = run,
                                    .campaign = &run->plan.change,
                                    .audit = &run->plan.audit };
    cm_store_submit(run->sender->env.store, &run->op);
}

/* --- sending ------------------------------------------------------------------------------------- */

static void on_notified(cm_status status, const char *text, void *arg)
{
    struct cm_run *run = arg;
    if (run->sender->gives_up) { /* nobody waits: the engine may be closing */
        run->phase = CM_RUN_RESTS;
        run->step_count = 0;
        return;
    }
    if (status == CM_OK) {
        CM_FAULT_POINT("notices-written");
        record(run);
        return;
    }
    cm_moment_pace_give_back(&run->pace, run->step_count);
    run->step_count = 0;
    fail(run, text);
    cm_run_go_on(run);
}

static void publish(struct cm_run *run)
{
    struct cm_piece *piece = &run->piece;
    uint32_t left = piece->count - piece->next, delay_ms = 0;
    struct cm_error err;
    run->step_count = cm_moment_pace_take(&run->pace, cm_clock_monotonic_ns(),
                                          left < STEP_MAX ? left : STEP_MAX, &delay_ms);
    if (run->step_count == 0) {
        cm_run_wait(run, delay_ms);
        return;
    }
    run->phase = CM_RUN_SENDS;
    if (cm_queue_notify(run->sender->env.queue, piece->notices + piece->next, run->step_count,
                        on_notified, run, &err)
        != CM_OK) {
        run->phase = CM_RUN_RESTS;
        run->step_count = 0;
        fail(run, err.text);
    }
}

/* What is due next. Nothing is under way, and the campaign runs. */
static void step(struct cm_run *run)
{
    const struct cm_piece *piece = &run->piece;
    if (run->phase != CM_RUN_RESTS || !runs(run))
        return;
    if (run->step_count > 0)
        record(run); /* was written, and could not be recorded */
    else if (piece->next < piece->count)
        publish(run);
    else if (piece->last > run->campaign.cursor || piece->renewed_after > 0)
        record(run);
    else if (piece->is_end)
        end(run);
    else
        read_on(run);
}

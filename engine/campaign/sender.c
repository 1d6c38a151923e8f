#include "engine/campaign/internal.h"

#include <stdlib.h>

#include <jansson.h>

#include "engine/base/clock.h"

enum { STOP_PATIENCE_MS = 2000 }; /* with a queue that hangs */

static void look(struct cm_sender *sender);

static struct cm_run *find_run(const struct cm_sender *sender, struct cm_bytes name)
{
    struct cm_run *run;
    TAILQ_FOREACH(run, &sender->runs, link)
    if (cm_bytes_equal(run->campaign.name, name))
        return run;
    return NULL;
}

/* --- the list ------------------------------------------------------------------------------------ */

static bool see_campaign(const struct cm_campaign *campaign, void *arg)
{
    struct list *list = arg;
    if (campaign->state == CM_CAMPAIGN_RUNNING || campaign->state == CM_CAMPAIGN_PAUSED) {
        struct cm_run *run = cm_run_new(list->sender, campaign);
        TAILQ_INSERT_TAIL(&list->runs, run, link);
    }
    return true;
}

static void read_list(struct cm_work *work, void *context)
{
    struct list *list = (struct list *)work;
    list->status = cm_store_reader_begin(context, &list->err);
    if (list->status == CM_OK)
        list->status = cm_store_walk_campaigns(context, see_campaign, list, &list->err);
    cm_store_reader_end(context);
}

static void drop_list(struct list *list)
{
    struct cm_run *run;
    while ((run = TAILQ_FIRST(&list->runs))) {
        TAILQ_REMOVE(&list->runs, run, link);
        cm_run_free(run);
    }
}

static void take_list(struct cm_sender *sender)
{
    struct cm_run *found, *known;
    while ((found = TAILQ_FIRST(&sender->list.runs))) {
        TAILQ_REMOVE(&sender->list.runs, found, link);
        known = find_run(sender, found->campaign.name);
        if (known) {
            known->campaign.state = found->campaign.state;
            cm_run_free(found);
        } else
            TAILQ_INSERT_TAIL(&sender->runs, found, link);
    }
    TAILQ_FOREACH(known, &sender->runs, link)
    if (!cm_timer_is_running(&known->timer))
        cm_run_wait(known, 0);
}

static void on_look_again(void *arg)
{
    look(arg);
}

static void on_list(struct cm_work *work)
{
    struct list *list = (struct list *)work;
    struct cm_sender *sender = list->sender;
    list->is_under_way = false;
    if (list->status != CM_OK && !sender->is_stopping) {
        sender->env.on_notice(list->err.text, sender->env.arg);
        cm_timer_start(&list->timer, sender->env.loop,
                       cm_clock_backoff_ms(CM_CAMPAIGN_PAUSE_MS, list->failures_count++,
                                           CM_CAMPAIGN_PAUSE_DOUBLINGS),
                       on_look_again, sender);
    } else if (list->status == CM_OK && !list->is_due && !sender->is_stopping) {
        list->failures_count = 0;
        take_list(sender);
    }
    drop_list(list);
    if (list->is_due && !sender->is_stopping)
        look(sender);
    if (sender->is_stopping && cm_sender_is_idle(sender))
        sender->env.on_idle(sender->env.arg);
}

static void look(struct cm_sender *sender)
{
    struct list *list = &sender->list;
    list->is_due = list->is_under_way;
    if (list->is_under_way)
        return;
    list->is_under_way = true;
    list->work.run = read_list;
    list->work.done = on_list;
    cm_workers_submit(sender->workers, &list->work);
}

void cm_sender_change(struct cm_sender *sender, const struct cm_campaign *campaign)
{
    struct cm_run *run = sender ? find_run(sender, campaign->name) : NULL;
    if (!sender || sender->is_stopping)
        return;
    if (run) {
        run->campaign.state = campaign->state;
        if (run->phase == CM_RUN_RESTS)
            cm_run_go_on(run);
    }
    look(sender); /* what was read before this change is not taken */
}

/* --- life ---------------------------------------------------------------------------------------- */

static cm_status open_reader(void *arg, uint32_t worker_index, void **ret_context,
                             struct cm_error *err)
{
    const struct cm_sender *sender = arg;
    struct cm_store_reader *reader = NULL;
    (void)worker_index;
    cm_status status = cm_store_reader_open(sender->env.store, &reader, err);
    if (status == CM_OK)
        *ret_context = reader;
    return status;
}

static void close_reader(void *context)
{
    cm_store_reader_close(context);
}

cm_status cm_sender_open(const struct cm_sender_env *env, struct cm_sender **ret_sender,
                         struct cm_error *err)
{
    static const struct cm_worker_ops ops = {
        .name = "campaign", .nice = 5, .open = open_reader, .close = close_reader
    };
    struct cm_sender *sender = calloc(1, sizeof *sender);
    if (!sender)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for campaigns");
    sender->env = *env;
    sender->list.sender = sender;
    TAILQ_INIT(&sender->runs);
    TAILQ_INIT(&sender->list.runs);
    cm_status status = cm_workers_new(env->loop, 1, &ops, sender, &sender->workers, err);
    if (status != CM_OK) {
        free(sender);
        return status;
    }
    look(sender);
    *ret_sender = sender;
    return CM_OK;
}

static void give_up(void *arg)
{
    struct cm_sender *sender = arg;
    sender->gives_up = true;
    if (cm_sender_is_idle(sender))
        sender->env.on_idle(sender->env.arg);
}

void cm_sender_stop(struct cm_sender *sender)
{
    struct cm_run *run;
    if (!sender)
        return;
    sender->is_stopping = true;
    cm_timer_stop(&sender->list.timer);
    TAILQ_FOREACH(run, &sender->runs, link)
    cm_timer_stop(&run->timer);
    if (!cm_sender_is_idle(sender))
        cm_timer_start(&sender->stop_timer, sender->env.loop, STOP_PATIENCE_MS, give_up, sender);
}

bool cm_sender_is_idle(const struct cm_sender *sender)
{
    const struct cm_run *run;
    if (!sender)
        return true;
    TAILQ_FOREACH(run, &sender->runs, link)
    if (run->phase != CM_RUN_RESTS && !(run->phase == CM_RUN_SENDS && sender->gives_up))
        return false;
    return !sender->list.is_under_way;
}

void cm_sender_close(struct cm_sender *sender)
{
    struct cm_run *run;
    if (!sender)
        return;
    cm_workers_free(sender->workers);
    cm_timer_done(&sender->list.timer);
    cm_timer_done(&sender->stop_timer);
    drop_list(&sender->list);
    while ((run = TAILQ_FIRST(&sender->runs))) {
        TAILQ_REMOVE(&sender->runs, run, link);
        cm_run_free(run);
    }
    free(sender);
}

json_t *cm_sender_describe(const struct cm_sender *sender)
{
    json_t *rows = json_array();
    const struct cm_run *run;
    if (!sender)
        return rows;
    TAILQ_FOREACH(run, &sender->runs, link)
    {
        json_t *row = cm_campaign_to_json(&run->campaign, cm_clock_wall_s());
        bool is_running = run->campaign.state == CM_CAMPAIGN_RUNNING;
        json_object_set_new(row, "running", json_integer(is_running));
        json_object_set_new(row, "in_trouble", json_integer(run->trouble[0] != '\0'));
        json_object_set_new(row, "trouble", json_string(run->trouble));
        json_array_append_new(rows, row);
    }
    return rows;
}

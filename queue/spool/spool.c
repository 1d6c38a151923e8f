#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "engine/base/workers.h"
#include "queue/spool/internal.h"

enum {
    SLICE_COUNT_MAX = 64,   /* files read in one turn of the loop */
    LOOKS_COUNT_MAX = 512,  /* and looked at */
    RESCAN_MS = 5000,       /* should inotify have missed something */
    LATER_MS = 20,          /* until standard input is looked at again */
    FAILED_PAUSE_MS = 1000, /* after answers could not be written */
    SLOTS_COUNT = 4096
};

STAILQ_HEAD(job_list, job);
struct group;
struct notification;
STAILQ_HEAD(notification_list, notification);

struct spool_queue {
    struct cm_queue head;
    struct cm_source source;
    struct cm_output output;
    struct cm_workers *writer; /* one thread */
    struct cm_timer turn;
    struct cm_timer rescan;
    int watch; /* inotify; -1: a one-shot spool */
    struct event *watch_event;
    bool is_watched;
    bool pass_is_due; /* files may have come since the last pass began */
    bool exhausted;
    bool exhausted_was_told;
    bool cannot_write;
    enum cm_device_from device_from;
    char *requester;
    char *enroll_group;
    struct cm_spool_request_list waiting; /* given back, or their answers could not be written */
    struct cm_spool_request *held[SLOTS_COUNT];
    struct job_list jobs;                   /* wait for the group that is being written */
    struct group *group;                    /* that one */
    int folder;                             /* where notices go; -1: nowhere */
    struct notification_list notifications; /* on their way */
};

/* A batch of answers. */
struct job {
    STAILQ_ENTRY(job) link;
    struct cm_answer *answers; /* borrowed until answered */
    uint32_t count;
    cm_answered_fn *answered;
    void *arg;
};

/*
 * Batches on their way to the disk together: what comes while one group is being written is the next
 * group, so that a slow disk is flushed less often and not asked for more. Survives its queue.
 */
struct group {
    struct cm_work work;
    struct spool_queue *queue; /* NULL: closed */
    struct cm_output output;
    struct job_list jobs;
    const struct cm_answer **answers; /* of all jobs */
    uint32_t count;
    cm_status status;
    struct cm_error err;
};

static void run_turn(void *arg);

static void schedule_turn(struct spool_queue *queue, uint32_t delay_ms)
{
    if (!cm_timer_is_running(&queue->turn))
        cm_timer_start(&queue->turn, queue->head.loop, delay_ms, run_turn, queue);
}

/* -------------------------------------------------------------------------- what is in hand -- */

static unsigned slot_of(const char *file)
{
    uint32_t hash = 2166136261u;
    for (; *file; file++)
        hash = (hash ^ (uint8_t)*file) * 16777619u;
    return hash % SLOTS_COUNT;
}

static bool is_held(const char *file, void *arg)
{
    const struct spool_queue *queue = arg;
    for (const struct cm_spool_request *request = queue->held[slot_of(file)]; request;
         request = request->same_slot)
        if (strcmp(request->file, file) == 0)
            return true;
    return false;
}

static void hold(struct spool_queue *queue, struct cm_spool_request *request)
{
    struct cm_spool_request **slot = &queue->held[slot_of(request->file)];
    request->same_slot = *slot;
    *slot = request;
}

static void drop(struct spool_queue *queue, struct cm_spool_request *request)
{
    struct cm_spool_request **at = &queue->held[slot_of(request->file)];
    while (*at != request)
        at = &(*at)->same_slot;
    *at = request->same_slot;
    free(request);
}

/* ------------------------------------------------------------------------------- deliveries -- */

static void fill_entry(const struct spool_queue *queue, struct cm_spool_request *request)
{
    struct cm_entry *entry = &request->entry;
    cm_entry_start(entry);
    cm_entry_add_field(entry, cm_bytes_str("id"), cm_bytes_str(request->id));
    cm_entry_add_field(entry, cm_bytes_str("requester"), cm_bytes_str(queue->requester));
    if (queue->device_from == CM_DEVICE_FROM_FIELD)
        cm_entry_add_field(entry, cm_bytes_str("device"), cm_bytes_str(request->name));
    cm_entry_add_field(entry, cm_bytes_str("csr"),
                       cm_bytes(request->was_kept ? request->content : NULL, request->size));
    entry->device_from = queue->device_from;
    entry->group = queue->enroll_group;
    entry->backend = request;
    if (request->reason)
        cm_refuse(&entry->refusal, CM_REFUSAL_REQUEST_FIELD_INVALID, CM_REFUSAL_NO_OFFSET, "%s",
                  request->reason);
    cm_entry_finish(entry, 1, 0);
}

static struct cm_spool_request *take_waiting(struct spool_queue *queue)
{
    struct cm_spool_request *request = TAILQ_FIRST(&queue->waiting);
    if (request)
        TAILQ_REMOVE(&queue->waiting, request, link);
    return request;
}

/* Whether the source may have something: a pass is under way, or one is due. */
static bool may_read(const struct spool_queue *queue)
{
    return queue->is_watched ? queue->source.pass || queue->pass_is_due : !queue->exhausted;
}

/* True when there is more to look at in the next turn. */
static bool collect(struct spool_queue *queue, struct cm_entry **entries, uint32_t room,
                    uint32_t *ret_count)
{
    struct cm_spool_request *request;
    enum cm_source_outcome outcome = CM_SOURCE_SKIPPED;
    uint32_t count = 0;
    while (count < room && (request = take_waiting(queue)))
        entries[count++] = &request->entry;
    for (uint32_t looks = 0;
         looks < LOOKS_COUNT_MAX && count < room && may_read(queue) && outcome != CM_SOURCE_LATER;
         looks++) {
        if (!queue->source.pass)
            queue->pass_is_due = false; /* what comes from here on makes the next pass due */
        outcome = cm_source_next(&queue->source, is_held, queue, &request);
        if (outcome == CM_SOURCE_REQUEST) {
            hold(queue, request);
            entries[count++] = &request->entry;
        } else if (outcome == CM_SOURCE_END && !queue->is_watched) {
            queue->exhausted = true;
        }
    }
    if (outcome == CM_SOURCE_LATER)
        schedule_turn(queue, LATER_MS);
    *ret_count = count;
    return outcome != CM_SOURCE_LATER && (may_read(queue) || !TAILQ_EMPTY(&queue->waiting));
}

static void tell_exhausted(struct spool_queue *queue)
{
    if (!queue->exhausted || queue->exhausted_was_told)
        return;
    queue->exhausted_was_told = true;
    cm_queue_tell(&queue->head, CM_QUEUE_EXHAUSTED, "all requests were read");
}

static void run_turn(void *arg)
{
    struct spool_queue *queue = arg;
    struct cm_entry *entries[SLICE_COUNT_MAX];
    uint32_t credit = queue->head.credit;
    uint32_t room = credit < SLICE_COUNT_MAX ? credit : SLICE_COUNT_MAX;
    uint32_t count = 0;
    if (room == 0)
        return;
    bool more = collect(queue, entries, room, &count);
    for (uint32_t i = 0; i < count; i++)
        fill_entry(queue, (struct cm_spool_request *)entries[i]);
    if (count > 0)
        cm_queue_deliver(&queue->head, entries, count);
    if (more)
        schedule_turn(queue, 0);
    tell_exhausted(queue);
}

static void on_rescan(void *arg)
{
    struct spool_queue *queue = arg;
    queue->pass_is_due = true;
    schedule_turn(queue, 0);
    cm_timer_start(&queue->rescan, queue->head.loop, RESCAN_MS, on_rescan, queue);
}

static void on_watch(evutil_socket_t fd, short what, void *arg)
{
    struct spool_queue *queue = arg;
    char events[4096];
    (void)what;
    while (read(fd, events, sizeof events) > 0)
        queue->pass_is_due = true;
    schedule_turn(queue, 0);
}

/* --------------------------------------------------------------------------------- answers -- */

static void write_group(struct cm_work *work, void *context)
{
    struct group *group = (struct group *)work;
    (void)context;
    group->status = cm_output_write(&group->output, group->answers, group->count, &group->err);
}

static void look_at_writing(struct spool_queue *queue, const struct group *group)
{
    bool failed = group->status != CM_OK;
    if (failed && !queue->cannot_write)
        cm_queue_tell(&queue->head, CM_QUEUE_DOWN, "%s", group->err.text);
    if (!failed && queue->cannot_write)
        cm_queue_tell(&queue->head, CM_QUEUE_UP, "answers can be written again");
    queue->cannot_write = failed;
    if (failed) {
        cm_timer_stop(&queue->turn);
        schedule_turn(queue, FAILED_PAUSE_MS);
    }
}

/* What could not be answered waits to be delivered again. */
static void end_job(struct spool_queue *queue, struct job *job, cm_status status)
{
    for (uint32_t i = 0; i < job->count; i++) {
        struct cm_spool_request *request = job->answers[i].entry->backend;
        if (status == CM_OK)
            drop(queue, request);
        else
            TAILQ_INSERT_TAIL(&queue->waiting, request, link);
    }
    job->answered(status == CM_OK ? CM_OK : CM_UNAVAILABLE, job->arg);
    free(job);
}

static void end_jobs(struct spool_queue *queue, struct job_list *jobs, cm_status status)
{
    struct job *job;
    while ((job = STAILQ_FIRST(jobs))) {
        STAILQ_REMOVE_HEAD(jobs, link);
        end_job(queue, job, status);
    }
}

static void start_group(struct spool_queue *queue);

static void on_group_done(struct cm_work *work)
{
    struct group *group = (struct group *)work;
    struct spool_queue *queue = group->queue;
    if (queue) {
        queue->group = NULL;
        start_group(queue);
        look_at_writing(queue, group);
        end_jobs(queue, &group->jobs, group->status);
    }
    free(group->answers);
    free(group);
}

static void list_answers(struct group *group)
{
    struct job *job;
    uint32_t count = 0;
    STAILQ_FOREACH(job, &group->jobs, link)
    count += job->count;
    group->answers = malloc(count * sizeof *group->answers);
    if (!group->answers)
        abort();
    STAILQ_FOREACH(job, &group->jobs, link)
    for (uint32_t i = 0; i < job->count; i++)
        group->answers[group->count++] = &job->answers[i];
}

static void start_group(struct spool_queue *queue)
{
    if (queue->group || STAILQ_EMPTY(&queue->jobs))
        return;
    struct group *group = calloc(1, sizeof *group);
    if (!group)
        abort();
    group->work.run = write_group;
    group->work.done = on_group_done;
    group->queue = queue;
    group->output = queue->output;
    STAILQ_INIT(&group->jobs);
    STAILQ_CONCAT(&group->jobs, &queue->jobs);
    list_answers(group);
    queue->group = group;
    cm_workers_submit(queue->writer, &group->work);
}

static void spool_answer(struct cm_queue *head, struct cm_answer *answers, uint32_t count,
                         cm_answered_fn *answered, void *arg)
{
    struct spool_queue *queue = (struct spool_queue *)head;
    struct job *job = calloc(1, sizeof *job);
    if (!job)
        abort();
    *job = (struct job){ .answers = answers, .count = count, .answered = answered, .arg = arg };
    STAILQ_INSERT_TAIL(&queue->jobs, job, link);
    start_group(queue);
}

static void spool_give_back(struct cm_queue *head, struct cm_entry **entries, uint32_t count)
{
    struct spool_queue *queue = (struct spool_queue *)head;
    for (uint32_t i = 0; i < count; i++) {
        struct cm_spool_request *request = entries[i]->backend;
        TAILQ_INSERT_TAIL(&queue->waiting, request, link);
    }
    schedule_turn(queue, 0);
}

/* Each answer carries its chain. */
static void spool_publish_chain(struct cm_queue *head, const char *issuer, struct cm_bytes pem)
{
    (void)head;
    (void)issuer;
    (void)pem;
}

/* --------------------------------------------------------------------------------- notices -- */

/* Survives its queue while the worker's mail is on its way. */
struct notification {
    struct cm_work work;
    struct spool_queue *queue; /* NULL: closed, and called back */
    STAILQ_ENTRY(notification) link;
    int folder;
    const struct cm_notice *notices; /* borrowed until notified */
    uint32_t count;
    cm_notified_fn *notified;
    void *arg;
    cm_status status;
    struct cm_error err;
};

static void write_notices(struct cm_work *work, void *context)
{
    struct notification *notification = (struct notification *)work;
    (void)context;
    notification->status = cm_notices_write(notification->folder, notification->notices,
                                            notification->count, &notification->err);
}

static void on_notices_written(struct cm_work *work)
{
    struct notification *notification = (struct notification *)work;
    bool is_ok = notification->status == CM_OK;
    if (notification->queue) {
        STAILQ_REMOVE(&notification->queue->notifications, notification, notification, link);
        notification->notified(is_ok ? CM_OK : CM_UNAVAILABLE, is_ok ? "" : notification->err.text,
                               notification->arg);
    }
    free(notification);
}

static cm_status spool_notify(struct cm_queue *head, const struct cm_notice *notices,
                              uint32_t count, cm_notified_fn *notified, void *arg,
                              struct cm_error *err)
{
    struct spool_queue *queue = (struct spool_queue *)head;
    if (queue->folder < 0)
        return CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_SELF, 0,
                       "there is no place for notices where files are answered once");
    struct notification *notification = calloc(1, sizeof *notification);
    if (!notification)
        abort();
    *notification =
        (struct notification){ .work = { .run = write_notices, .done = on_notices_written },
                               .queue = queue,
                               .folder = queue->folder,
                               .notices = notices,
                               .count = count,
                               .notified = notified,
                               .arg = arg };
    STAILQ_INSERT_TAIL(&queue->notifications, notification, link);
    cm_workers_submit(queue->writer, &notification->work);
    return CM_OK;
}

/* Their mail is still to come, and finds nobody. */
static void end_notifications(struct spool_queue *queue)
{
    struct notification *notification;
    while ((notification = STAILQ_FIRST(&queue->notifications))) {
        STAILQ_REMOVE_HEAD(&queue->notifications, link);
        notification->queue = NULL;
        notification->notified(CM_UNAVAILABLE, "closed", notification->arg);
    }
}

/* ------------------------------------------------------------------------------------ life -- */

static void spool_close(struct cm_queue *head)
{
    struct spool_queue *queue = (struct spool_queue *)head;
    queue->head.on_event = NULL;
    cm_workers_free(queue->writer); /* writes what was submitted */
    if (queue->group) {
        queue->group->queue = NULL; /* its mail is still to come */
        end_jobs(queue, &queue->group->jobs, CM_UNAVAILABLE);
    }
    end_jobs(queue, &queue->jobs, CM_UNAVAILABLE);
    end_notifications(queue);
    for (unsigned i = 0; i < SLOTS_COUNT; i++)
        while (queue->held[i])
            drop(queue, queue->held[i]);
    if (queue->watch_event)
        event_free(queue->watch_event);
    if (queue->watch >= 0)
        close(queue->watch);
    cm_timer_done(&queue->turn);
    cm_timer_done(&queue->rescan);
    cm_source_close(&queue->source);
    if (queue->output.refused >= 0 && queue->output.refused != queue->output.answered)
        close(queue->output.refused);
    if (queue->output.answered >= 0)
        close(queue->output.answered);
    if (queue->folder >= 0)
        close(queue->folder);
    free(queue->requester);
    free(queue->enroll_group);
    free(queue);
}

static cm_status open_below(const char *folder, const char *name, int *ret_fd, struct cm_error *err)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    *ret_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*ret_fd < 0)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "open the folder %.200s", path);
    return CM_OK;
}

static cm_status open_watched(struct spool_queue *queue, const char *folder, struct cm_error *err)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/incoming", folder);
    queue->is_watched = true;
    cm_status status = cm_source_open_folder(&queue->source, path, false, err);
    if (status == CM_OK)
        status = open_below(folder, "answered", &queue->output.answered, err);
    if (status == CM_OK)
        status = open_below(folder, "refused", &queue->output.refused, err);
    if (status == CM_OK)
        status = open_below(folder, ".", &queue->folder, err);
    if (status != CM_OK)
        return status;
    cm_output_clean(queue->output.answered);
    cm_output_clean(queue->output.refused);
    queue->output.incoming = queue->source.folder;
    queue->watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (queue->watch < 0 || inotify_add_watch(queue->watch, path, IN_MOVED_TO | IN_CLOSE_WRITE) < 0)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "watch the folder %.200s", path);
    return CM_OK;
}

static cm_status open_once(struct spool_queue *queue, const char *input, const char *output,
                           struct cm_error *err)
{
    cm_status status = cm_source_open_input(&queue->source, input, err);
    if (status != CM_OK)
        return status;
    if (mkdir(output, 0755) != 0 && errno != EEXIST)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "make the folder %.200s", output);
    queue->output.answered = open(output, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (queue->output.answered < 0)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "open the folder %.200s", output);
    queue->output.refused = queue->output.answered;
    cm_output_clean(queue->output.answered);
    return CM_OK;
}

static enum cm_device_from read_device_from(const char *name)
{
    if (name && strcmp(name, "cn") == 0)
        return CM_DEVICE_FROM_CN;
    if (name && strcmp(name, "serial-number") == 0)
        return CM_DEVICE_FROM_SERIAL_NUMBER;
    return CM_DEVICE_FROM_FIELD;
}

static cm_status spool_open(struct cm_loop *loop, const struct cm_queue_settings *settings,
                            struct cm_queue **ret_queue, struct cm_error *err)
{
    static const struct cm_worker_ops writer_ops = { .name = "spool" };
    struct spool_queue *queue = calloc(1, sizeof *queue);
    if (!queue)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for a queue");
    queue->source = (struct cm_source){ .folder = -1, .fd = -1 };
    queue->output = (struct cm_output){ .incoming = -1, .answered = -1, .refused = -1 };
    queue->watch = queue->folder = -1;
    queue->pass_is_due = true;
    queue->device_from = read_device_from(settings->device_from);
    queue->requester = strdup(settings->requester ? settings->requester : "local");
    queue->enroll_group = settings->enroll_group ? strdup(settings->enroll_group) : NULL;
    TAILQ_INIT(&queue->waiting);
    STAILQ_INIT(&queue->jobs);
    STAILQ_INIT(&queue->notifications);
    cm_status status = settings->input ? open_once(queue, settings->input, settings->output, err)
                                       : open_watched(queue, settings->folder, err);
    if (status == CM_OK)
        status = cm_workers_new(loop, 1, &writer_ops, NULL, &queue->writer, err);
    if (status != CM_OK) {
        spool_close(&queue->head);
        return status;
    }
    *ret_queue = &queue->head;
    return CM_OK;
}

static void spool_start(struct cm_queue *head)
{
    struct spool_queue *queue = (struct spool_queue *)head;
    if (!queue->is_watched)
        return;
    queue->watch_event = event_new(cm_loop_event_base(head->loop), queue->watch,
                                   EV_READ | EV_PERSIST, on_watch, queue);
    if (!queue->watch_event || event_add(queue->watch_event, NULL) != 0)
        abort();
    on_rescan(queue);
}

static void spool_wanted(struct cm_queue *head)
{
    schedule_turn((struct spool_queue *)head, 0);
}

const struct cm_queue_ops cm_queue_spool = {
    .name = "spool",
    .open = spool_open,
    .start = spool_start,
    .wanted = spool_wanted,
    .answer = spool_answer,
    .give_back = spool_give_back,
    .publish_chain = spool_publish_chain,
    .notify = spool_notify,
    .close = spool_close,
};

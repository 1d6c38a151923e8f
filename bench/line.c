/* A line's life: an engine that has nothing to do by itself. */
#include "bench/line_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINES_MAX = 4 };

static struct line *lines[LINES_MAX];

/* ------------------------------------------------------------------ turns of the loop -- */

void line_wait(struct line *line)
{
    line->is_running = true;
    while (!line->is_done)
        cm_loop_run(line->loop);
    line->is_running = line->is_done = false;
}

void line_be_done(struct line *line)
{
    line->is_done = true;
    if (line->is_running)
        cm_loop_stop(line->loop);
}

static void on_event(enum cm_engine_event event, const char *text, void *arg)
{
    struct line *line = arg;
    if (event == CM_ENGINE_FAILED)
        snprintf(line->failure, sizeof line->failure, "%s", text);
    if (event == CM_ENGINE_FAILED || event == CM_ENGINE_RUNNING || event == CM_ENGINE_STOPPED)
        line_be_done(line);
}

/* ------------------------------------------------------------------ opening -- */

struct borrowing {
    struct cm_work work; /* first */
    struct line *line;
};

static void take_context(struct cm_work *work, void *context)
{
    ((struct borrowing *)work)->line->worker = context;
}

static void on_context(struct cm_work *work)
{
    line_be_done(((struct borrowing *)work)->line);
}

/* It has nothing to do from here on: so its tools can be used in its stead. */
static void borrow_worker(struct line *line)
{
    struct borrowing borrowing = { .work = { .run = take_context, .done = on_context },
                                   .line = line };
    cm_workers_submit(line->engine->workers, &borrowing.work);
    line_wait(line);
}

static bool start(struct line *line, struct cm_error *err)
{
    const struct cm_queue_settings queue = { .prefix = line->name };
    const struct cm_engine_options options = { .loop = line->loop,
                                               .settings = &line->deployment.settings,
                                               .queue_ops = &cm_queue_memory,
                                               .queue = &queue,
                                               .on_event = on_event,
                                               .arg = line };
    if (cm_engine_open(&options, &line->engine, err) != CM_OK)
        return false;
    cm_engine_start(line->engine);
    line_wait(line);
    if (line->failure[0]) {
        snprintf(err->text, sizeof err->text, "%.200s", line->failure);
        return false;
    }
    borrow_worker(line);
    line->engine->begin = line_take_batch;
    line->engine->queue->on_entries = line_take_entries;
    line->engine->queue->arg = line;
    return true;
}

static void close_line(struct line *line)
{
    if (line->worker) {
        cm_engine_stop(line->engine);
        line_wait(line);
    }
    cm_engine_close(line->engine);
    cm_memory_broker_free(line->broker);
    line_deployment_done(&line->deployment);
    cm_loop_free(line->loop);
    free(line);
}

static struct line *find_line(const char *name)
{
    for (unsigned i = 0; i < LINES_MAX && lines[i]; i++)
        if (strcmp(lines[i]->name, name) == 0)
            return lines[i];
    return NULL;
}

struct line *line_open(const char *ca_key, struct cm_bench_run *run)
{
    char name[sizeof lines[0]->name];
    struct cm_error err = { .text = "no memory, or too many lines" };
    unsigned count = 0;
    snprintf(name, sizeof name, "line-%s", ca_key);
    struct line *line = find_line(name);
    while (count < LINES_MAX && lines[count])
        count++;
    if (line)
        return line;
    if (count < LINES_MAX && (line = calloc(1, sizeof *line)) != NULL) {
        memcpy(line->name, name, sizeof name);
        line->broker = cm_memory_broker_new(name);
        cm_memory_count_only(line->broker);
        if (cm_loop_new(&line->loop, &err) == CM_OK
            && line_deployment_make(&line->deployment, ca_key, line->loop, &err) == CM_OK
            && start(line, &err))
            return lines[count] = line;
        close_line(line);
    }
    cm_bench_fail(run, "%s", err.text);
    return NULL;
}

void line_close_all(void)
{
    for (unsigned i = 0; i < LINES_MAX && lines[i]; i++) {
        close_line(lines[i]);
        lines[i] = NULL;
    }
    line_deployment_forget_fleets();
}

#include "tools/bench/load.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "queue/client.h"
#include "tools/bench/processes.h"
#include "tools/interruptions.h"

enum {
    CHUNK_REQUESTS = 64,
    CHUNKS = 128,
    FEED_PERIOD_MS = 1,
    LINGER_MS = 200,     /* after the last answer: does one come twice? */
    PATIENCE_MS = 30000, /* without an answer */
    LOOK_PERIOD_MS = 100,
    WAIT_PERIOD_US = 5000,
    END_PATIENCE_LOOKS = 600
};

struct load;

/* Requests of one push; theirs until it is confirmed. */
struct chunk {
    struct chunk *next; /* of those that are free */
    struct load *load;
    struct cm_client_request requests[CHUNK_REQUESTS];
    char ids[CHUNK_REQUESTS][CM_BENCH_ID_SIZE];
    char devices[CHUNK_REQUESTS][CM_FLEET_ID_SIZE];
};

struct load {
    const struct cm_bench_plan *plan;
    struct cm_bench_load_page *page;
    struct cm_fleet *fleet;
    struct cm_bench_tally tally;
    struct cm_loop *loop;
    struct cm_client *client;
    struct chunk *chunks;
    struct chunk *free_chunks;
    struct cm_timer feed, look;
    uint64_t begin_ns, last_answer_ns;
    cm_status status;
    struct cm_error err;
};

static void stop(struct load *load, cm_status status, const char *why)
{
    if (load->status == CM_OK && status != CM_OK)
        load->status = CM_FAIL(&load->err, status, CM_ORIGIN_SELF, 0, "load generator: %s", why);
    cm_loop_stop(load->loop);
}

/* --- pushing ------------------------------------------------------------------------------------- */

static void feed(void *arg);

static void on_pushed(cm_status status, const char *text, void *arg)
{
    struct chunk *chunk = arg;
    struct load *load = chunk->load;
    chunk->next = load->free_chunks;
    load->free_chunks = chunk;
    if (status != CM_OK)
        stop(load, status, text);
    else
        feed(load);
}

static void fill(struct chunk *chunk, uint32_t slot, uint32_t index)
{
    struct cm_client_request *request = &chunk->requests[slot];
    cm_bench_request_id(index, chunk->ids[slot]);
    cm_fleet_device_id(index, chunk->devices[slot]);
    *request = (struct cm_client_request){ 0 };
    request->fields[CM_FIELD_ID] = cm_bytes_str(chunk->ids[slot]);
    request->fields[CM_FIELD_DEVICE] = cm_bytes_str(chunk->devices[slot]);
    request->fields[CM_FIELD_CSR] = chunk->load->fleet->devices[index].csr;
}

static void push_chunk(struct load *load, uint32_t count, uint64_t now)
{
    struct chunk *chunk = load->free_chunks;
    load->free_chunks = chunk->next;
    for (uint32_t i = 0; i < count; i++) {
        fill(chunk, i, load->tally.sent);
        cm_bench_tally_send(&load->tally, load->tally.sent, load->begin_ns, now);
    }
    load->page->sent = load->tally.sent;
    cm_client_push(load->client, chunk->requests, count, on_pushed, chunk);
}

/* Without a rate only whole chunks go, but for the last: small pushes cost more than they bring. */
static void feed(void *arg)
{
    struct load *load = arg;
    const struct cm_bench_plan *plan = load->plan;
    uint64_t now = cm_clock_monotonic_ns();
    const struct cm_bench_tally *tally = &load->tally;
    bool is_open = cm_bench_is_open_loop(plan);
    uint32_t until = cm_bench_schedule_due(&plan->schedule, load->begin_ns, now);
    if (!is_open && until - tally->answered > plan->window)
        until = tally->answered + plan->window;
    while (tally->sent < until && load->free_chunks) {
        uint32_t count = until - tally->sent;
        bool is_small = count < CHUNK_REQUESTS && until < tally->count && tally->sent > 0;
        if (is_small && !is_open && tally->sent > tally->answered)
            break;
        push_chunk(load, count < CHUNK_REQUESTS ? count : CHUNK_REQUESTS, now);
    }
    if (is_open && tally->sent < tally->count)
        cm_timer_start(&load->feed, load->loop, FEED_PERIOD_MS, feed, load);
}

/* --- answers ------------------------------------------------------------------------------------- */

static void on_results(const struct cm_client_result *results, uint32_t count, void *arg)
{
    struct load *load = arg;
    uint64_t now = cm_clock_monotonic_ns();
    for (uint32_t i = 0; i < count; i++)
        cm_bench_tally_receive(&load->tally, results[i].id, results[i].status, results[i].code,
                               results[i].message, now);
    load->last_answer_ns = now;
    load->page->answered = load->tally.answered;
    if (!cm_bench_is_open_loop(load->plan))
        feed(load);
}

static void look(void *arg)
{
    struct load *load = arg;
    uint64_t quiet_ms = (cm_clock_monotonic_ns() - load->last_answer_ns) / CM_NS_PER_MS;
    bool is_complete = load->tally.answered == load->tally.count;
    if (load->page->ends || quiet_ms > (is_complete ? LINGER_MS : PATIENCE_MS))
        stop(load, CM_OK, NULL);
    else
        cm_timer_start(&load->look, load->loop, LOOK_PERIOD_MS, look, load);
}

/* --- the process --------------------------------------------------------------------------------- */

static void init_chunks(struct load *load)
{
    load->chunks = calloc(CHUNKS, sizeof *load->chunks);
    if (!load->chunks)
        abort();
    for (uint32_t i = 0; i < CHUNKS; i++) {
        load->chunks[i].load = load;
        load->chunks[i].next = load->free_chunks;
        load->free_chunks = &load->chunks[i];
    }
}

static cm_status make_requests(struct load *load, struct cm_error *err)
{
    cm_status status =
        cm_bench_make_fleet(load->plan, &load->fleet, &load->page->is_fleet_cached, err);
    if (status != CM_OK)
        return status;
    load->page->fleet_s = (double)load->fleet->elapsed_ns / 1e9;
    for (unsigned type = 0; type < CM_KEY_TYPE_COUNT; type++)
        load->page->type_counts[type] = load->fleet->counts[type];
    cm_bench_tally_init(&load->tally, &load->plan->schedule);
    init_chunks(load);
    load->page->state = CM_LOAD_READY;
    while (!load->page->go)
        usleep(WAIT_PERIOD_US);
    return CM_OK;
}

static cm_status push_and_read(struct load *load, const char *redis_url, struct cm_error *err)
{
    const struct cm_client_settings settings = { .url = redis_url,
                                                 .requester = "local",
                                                 .per_entry = load->plan->per_entry,
                                                 .deletes_results = true };
    cm_status status = cm_loop_new(&load->loop, err);
    if (status == CM_OK)
        status = cm_client_open(load->loop, &settings, on_results, NULL, load, &load->client, err);
    if (status != CM_OK)
        return status;
    double cpu_s = cm_bench_cpu_s();
    load->begin_ns = load->last_answer_ns = cm_clock_monotonic_ns();
    feed(load);
    look(load);
    cm_loop_run(load->loop);
    cm_bench_tally_work_out(&load->tally, &load->page->figures);
    load->page->figures.load_cpu_s = cm_bench_cpu_s() - cpu_s;
    if (load->status != CM_OK)
        *err = load->err;
    return load->status;
}

/* Ends with the process: nothing is taken apart. */
static _Noreturn void run_process(const struct cm_bench_plan *plan, const char *redis_url,
                                  struct cm_bench_load_page *page)
{
    struct load load = { .plan = plan, .page = page };
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, SIG_IGN); /* the other side says when to end */
    signal(SIGTERM, SIG_DFL);
    cm_status status = make_requests(&load, &page->err);
    if (status == CM_OK)
        status = push_and_read(&load, redis_url, &page->err);
    page->state = status == CM_OK ? CM_LOAD_DONE : CM_LOAD_FAILED;
    _exit(status == CM_OK ? 0 : 1);
}

/* --- the other side ------------------------------------------------------------------------------ */

cm_status cm_bench_load_start(const struct cm_bench_plan *plan, const char *redis_url,
                              struct cm_bench_load *ret_load, struct cm_error *err)
{
    struct cm_bench_load_page *page =
        mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_OS, errno, "no shared memory");
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        run_process(plan, redis_url, page);
    if (pid < 0) {
        munmap(page, sizeof *page);
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "fork");
    }
    *ret_load = (struct cm_bench_load){ .pid = pid, .page = page };
    return CM_OK;
}

bool cm_bench_load_has_ended(struct cm_bench_load *load)
{
    if (load->page->state >= CM_LOAD_DONE)
        return true;
    if (load->pid <= 0 || waitpid(load->pid, NULL, WNOHANG) != load->pid)
        return false;
    load->pid = 0;
    if (load->page->state < CM_LOAD_DONE) {
        (void)CM_FAIL(&load->page->err, CM_UNAVAILABLE, CM_ORIGIN_SELF, 0,
                      "the load generator has died");
        load->page->state = CM_LOAD_FAILED;
    }
    return true;
}

void cm_bench_load_end(struct cm_bench_load *load)
{
    load->page->ends = true;
    for (unsigned i = 0; i < END_PATIENCE_LOOKS && !cm_bench_load_has_ended(load); i++)
        usleep(WAIT_PERIOD_US);
}

cm_status cm_bench_load_wait_ready(struct cm_bench_load *load, struct cm_error *err)
{
    while (load->page->state == CM_LOAD_MAKING && !cm_bench_load_has_ended(load)
           && !cm_is_interrupted())
        usleep(WAIT_PERIOD_US);
    if (cm_interruptions_check(err) != CM_OK)
        return err->status;
    if (load->page->state == CM_LOAD_READY)
        return CM_OK;
    *err = load->page->err;
    return err->status;
}

void cm_bench_load_stop(struct cm_bench_load *load)
{
    if (load->pid > 0) {
        if (load->page->state < CM_LOAD_DONE)
            kill(load->pid, SIGKILL);
        waitpid(load->pid, NULL, 0);
    }
    if (load->page)
        munmap(load->page, sizeof *load->page);
    *load = (struct cm_bench_load){ 0 };
}

#include "tools/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/clock.h"

#define BAR_CELLS      30
#define BAR_PERIOD_NS  (100 * CM_NS_PER_MS)
#define LINE_PERIOD_NS (5 * CM_NS_PER_S)

void cm_progress_start(struct cm_progress *progress, const char *what, uint64_t total, bool silent)
{
    uint64_t now = cm_clock_monotonic_ns();
    *progress = (struct cm_progress){
        .what = what,
        .total = total,
        .started_ns = now,
        .written_ns = now,
        .terminal = isatty(STDERR_FILENO) == 1,
        .silent = silent,
    };
}

static uint64_t rate_per_s(const struct cm_progress *progress, uint64_t elapsed_ns)
{
    uint64_t elapsed_ms = elapsed_ns / CM_NS_PER_MS;
    return elapsed_ms > 0 ? progress->done * 1000 / elapsed_ms : 0;
}

/* "[########------] 26% " on a terminal. */
static size_t write_bar(const struct cm_progress *progress, char *text, size_t size)
{
    char cells[BAR_CELLS + 1];
    uint64_t done = progress->done < progress->total ? progress->done : progress->total;
    size_t full = (size_t)(done * BAR_CELLS / progress->total);
    memset(cells, '-', BAR_CELLS);
    memset(cells, '#', full);
    cells[BAR_CELLS] = '\0';
    return (size_t)snprintf(text, size, "[%s] %3" PRIu64 "%% ", cells,
                            done * 100 / progress->total);
}

void cm_progress_write(const struct cm_progress *progress, uint64_t elapsed_ns, char *text,
                       size_t size)
{
    uint64_t rate = rate_per_s(progress, elapsed_ns);
    size_t used = 0;
    if (progress->terminal && progress->total > 0)
        used = write_bar(progress, text, size);
    used += (size_t)snprintf(text + used, size - used, "%" PRIu64, progress->done);
    if (progress->total > 0)
        used += (size_t)snprintf(text + used, size - used, " of %" PRIu64, progress->total);
    used += (size_t)snprintf(text + used, size - used, " %s, %" PRIu64 "/s", progress->what, rate);
    if (rate > 0 && progress->total > progress->done)
        snprintf(text + used, size - used, ", %" PRIu64 " s left",
                 (progress->total - progress->done) / rate);
}

void cm_progress_set(struct cm_progress *progress, uint64_t done)
{
    char text[160];
    uint64_t now = cm_clock_monotonic_ns();
    uint64_t period = progress->terminal ? BAR_PERIOD_NS : LINE_PERIOD_NS;
    progress->done = done;
    if (progress->silent || now - progress->written_ns < period)
        return;
    cm_progress_write(progress, now - progress->started_ns, text, sizeof text);
    if (progress->terminal)
        fprintf(stderr, "\r%s\033[K", text);
    else
        fprintf(stderr, "%s\n", text);
    fflush(stderr);
    progress->written_ns = now;
    progress->bar_shown = progress->terminal;
}

void cm_progress_end(struct cm_progress *progress)
{
    if (progress->bar_shown)
        fputs("\r\033[K", stderr);
    progress->bar_shown = false;
}

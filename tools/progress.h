/*
 * Progress of long work, on standard error: a bar on a terminal, a line every few seconds elsewhere
 * (a log of a build, a journal), nothing with --json or --quiet.
 *
 *     struct cm_progress progress;
 *     cm_progress_start(&progress, "devices imported", devices_count, quiet);
 *     for (...)
 *         cm_progress_set(&progress, i);
 *     cm_progress_end(&progress);
 *
 * cm_progress_set is cheap enough for every item: it looks at the clock, rarely writes. One thread.
 */
#ifndef CM_TOOLS_PROGRESS_H
#define CM_TOOLS_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cm_progress {
    const char *what; /* borrowed: "certificates issued" */
    uint64_t total;   /* 0: not known */
    uint64_t done;
    uint64_t started_ns;
    uint64_t written_ns; /* when the last bar or line was */
    bool terminal;
    bool silent;
    bool bar_shown; /* a bar stands on the line */
};

void cm_progress_start(struct cm_progress *progress, const char *what, uint64_t total, bool silent);
void cm_progress_set(struct cm_progress *progress, uint64_t done);

/* Takes the bar away, so that the next line begins at the left. */
void cm_progress_end(struct cm_progress *progress);

/* The bar or line of the moment, without end of line: for progress.c and its test. */
void cm_progress_write(const struct cm_progress *progress, uint64_t elapsed_ns, char *text,
                       size_t size);

#endif

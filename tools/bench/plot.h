/*
 * Plot: lines over time, areas that stand on one another, or bars, as inline SVG in an HTML page.
 *
 *     struct cm_plot plot = { .title = "Memory", .unit = "MB", .x_unit = "seconds" };
 *     cm_plot_add(cm_plot_line(&plot, "engine"), 0.1, 118);
 *     cm_plot_write(&plot, out);
 *     cm_plot_done(&plot);
 *
 * Colours and fonts are the page's style sheet's: .s0 to .s9 for lines in their order. Texts are escaped here.
 * A line of one point is a dot. One thread.
 */
#ifndef CM_TOOLS_BENCH_PLOT_H
#define CM_TOOLS_BENCH_PLOT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define CM_PLOT_LINES_MAX  10
#define CM_PLOT_MARKS_MAX  3
#define CM_PLOT_BARS_MAX   100
#define CM_PLOT_NAME_SIZE  64
#define CM_PLOT_POINTS_MAX 640

struct cm_plot_line {
    char name[CM_PLOT_NAME_SIZE];
    double *x, *y; /* room for CM_PLOT_POINTS_MAX */
    uint32_t count;
    bool is_step; /* each value holds until the next */
};

/* A height that is shown as a broken line: a ceiling. */
struct cm_plot_mark {
    char name[CM_PLOT_NAME_SIZE];
    double y;
};

struct cm_plot {
    const char *title, *about; /* about: a sentence or two */
    const char *unit, *x_unit;
    bool is_logarithmic; /* upwards */
    bool is_stacked;     /* lines have the same x */
    struct cm_plot_line lines[CM_PLOT_LINES_MAX];
    uint32_t lines_count;
    struct cm_plot_mark marks[CM_PLOT_MARKS_MAX];
    uint32_t marks_count;
};

/* A new line; behind the last it is the last one. */
struct cm_plot_line *cm_plot_line(struct cm_plot *plot, const char *name);
void cm_plot_add(struct cm_plot_line *line, double x, double y);
void cm_plot_mark(struct cm_plot *plot, const char *name, double y);

/* Writes nothing where there is no point. */
void cm_plot_write(const struct cm_plot *plot, FILE *out);
void cm_plot_done(struct cm_plot *plot);

/* --- bars ---------------------------------------------------------------------------------------- */

struct cm_bar {
    char name[CM_PLOT_NAME_SIZE];
    double value;
    bool is_other; /* of another colour: what the rest is held against */
};

struct cm_bars {
    const char *title, *about, *unit;
    struct cm_bar bars[CM_PLOT_BARS_MAX];
    uint32_t count;
};

void cm_bars_add(struct cm_bars *bars, const char *name, double value, bool is_other);

/* Lying, one below the other, each with its name and value. */
void cm_bars_write_lying(const struct cm_bars *bars, FILE *out);
/* Standing, side by side, names below where there is room: a histogram. */
void cm_bars_write_standing(const struct cm_bars *bars, const char *x_unit, FILE *out);

/* --- for them ------------------------------------------------------------------------------------ */

/* Text as HTML and XML want it. */
void cm_plot_write_text(const char *text, FILE *out);
void cm_plot_begin(const char *title, const char *about, FILE *out);
void cm_plot_end(FILE *out);

enum {
    CM_PLOT_WIDTH = 640,
    CM_PLOT_HEIGHT = 260,
    CM_PLOT_LEFT = 62,
    CM_PLOT_RIGHT = 14,
    CM_PLOT_TOP = 26,
    CM_PLOT_BOTTOM = 38
};

struct cm_scale;
/* The lines across, with what is written at them, and the unit above. */
void cm_plot_write_grid(const struct cm_scale *scale, const char *unit, FILE *out);

#endif

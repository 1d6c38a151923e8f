#include "tools/bench/plot.h"

#include <math.h>
#include <stdlib.h>

#include "tools/bench/scale.h"

#define INNER_WIDTH  (CM_PLOT_WIDTH - CM_PLOT_LEFT - CM_PLOT_RIGHT)
#define INNER_HEIGHT (CM_PLOT_HEIGHT - CM_PLOT_TOP - CM_PLOT_BOTTOM)

/* A mark that is so much higher than all lines would press them to the ground: it is shown at the edge. */
#define MARK_FAR 2.5

/* --- points -------------------------------------------------------------------------------------- */

struct cm_plot_line *cm_plot_line(struct cm_plot *plot, const char *name)
{
    if (plot->lines_count == CM_PLOT_LINES_MAX)
        return &plot->lines[CM_PLOT_LINES_MAX - 1];
    struct cm_plot_line *line = &plot->lines[plot->lines_count++];
    *line = (struct cm_plot_line){ .count = 0 };
    snprintf(line->name, sizeof line->name, "%s", name);
    line->x = calloc(CM_PLOT_POINTS_MAX, sizeof *line->x);
    line->y = calloc(CM_PLOT_POINTS_MAX, sizeof *line->y);
    if (!line->x || !line->y)
        abort();
    return line;
}

void cm_plot_add(struct cm_plot_line *line, double x, double y)
{
    if (line->count == CM_PLOT_POINTS_MAX)
        return;
    line->x[line->count] = isfinite(x) ? x : 0;
    line->y[line->count] = isfinite(y) ? y : 0;
    line->count++;
}

void cm_plot_mark(struct cm_plot *plot, const char *name, double y)
{
    if (plot->marks_count == CM_PLOT_MARKS_MAX || !isfinite(y) || y <= 0)
        return;
    struct cm_plot_mark *mark = &plot->marks[plot->marks_count++];
    snprintf(mark->name, sizeof mark->name, "%s", name);
    mark->y = y;
}

void cm_plot_done(struct cm_plot *plot)
{
    for (uint32_t i = 0; i < plot->lines_count; i++) {
        free(plot->lines[i].x);
        free(plot->lines[i].y);
    }
    plot->lines_count = 0;
}

/* --- the frame ----------------------------------------------------------------------------------- */

void cm_plot_write_text(const char *text, FILE *out)
{
    for (; *text; text++) {
        if (*text == '&')
            fputs("&amp;", out);
        else if (*text == '<')
            fputs("&lt;", out);
        else if (*text == '>')
            fputs("&gt;", out);
        else if (*text == '"')
            fputs("&quot;", out);
        else if ((unsigned char)*text >= 0x20 || *text == '\n')
            fputc(*text, out);
    }
}

void cm_plot_begin(const char *title, const char *about, FILE *out)
{
    fputs("<figure>\n<figcaption><h2>", out);
    cm_plot_write_text(title, out);
    fputs("</h2><p>", out);
    cm_plot_write_text(about, out);
    fprintf(out, "</p></figcaption>\n<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"",
            CM_PLOT_WIDTH, CM_PLOT_HEIGHT);
    cm_plot_write_text(title, out);
    fputs("\">\n", out);
}

void cm_plot_end(FILE *out)
{
    fputs("</svg>\n</figure>\n", out);
}

static double height_at(const struct cm_scale *scale, double value)
{
    return CM_PLOT_TOP + INNER_HEIGHT * (1 - cm_scale_share(scale, value));
}

static double place_at(const struct cm_scale *scale, double value)
{
    return CM_PLOT_LEFT + INNER_WIDTH * cm_scale_share(scale, value);
}

void cm_plot_write_grid(const struct cm_scale *scale, const char *unit, FILE *out)
{
    char label[32];
    fprintf(out, "<text class=\"u\" x=\"%d\" y=\"14\">", CM_PLOT_LEFT - 8);
    cm_plot_write_text(unit, out);
    fputs("</text>\n", out);
    for (unsigned i = 0; i < scale->ticks_count; i++) {
        double y = height_at(scale, scale->ticks[i]);
        fprintf(out,
                "<line class=\"%s\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>"
                "<text class=\"e\" x=\"%d\" y=\"%.1f\">%s</text>\n",
                i == 0 ? "a" : "g", CM_PLOT_LEFT, CM_PLOT_WIDTH - CM_PLOT_RIGHT, y, y,
                CM_PLOT_LEFT - 8, y + 4, cm_scale_label(scale->ticks[i], label, sizeof label));
    }
}

static void write_time_axis(const struct cm_scale *scale, const char *unit, FILE *out)
{
    char label[32];
    for (unsigned i = 0; i < scale->ticks_count; i++) {
        double x = place_at(scale, scale->ticks[i]);
        fprintf(out,
                "<line class=\"a\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>"
                "<text class=\"c\" x=\"%.1f\" y=\"%d\">%s</text>\n",
                x, x, CM_PLOT_TOP + INNER_HEIGHT, CM_PLOT_TOP + INNER_HEIGHT + 4, x,
                CM_PLOT_TOP + INNER_HEIGHT + 18,
                cm_scale_label(scale->ticks[i], label, sizeof label));
    }
    fprintf(out, "<text class=\"e\" x=\"%d\" y=\"%d\">", CM_PLOT_WIDTH - CM_PLOT_RIGHT,
            CM_PLOT_HEIGHT - 5);
    cm_plot_write_text(unit, out);
    fputs("</text>\n", out);
}

/* --- lines --------------------------------------------------------------------------------------- */

/* What is drawn with. */
struct drawing {
    const struct cm_plot *plot;
    struct cm_scale x, y;
    FILE *out;
};

/* The height of a point: of a stacked plot with all that stands below it. */
static double top_of(const struct cm_plot *plot, uint32_t line, uint32_t point)
{
    double sum = 0;
    for (uint32_t i = plot->is_stacked ? 0 : line; i <= line; i++)
        sum += point < plot->lines[i].count ? plot->lines[i].y[point] : 0;
    return sum;
}

static void write_point(const struct drawing *drawing, double x, double y)
{
    fprintf(drawing->out, "%.1f,%.1f ", place_at(&drawing->x, x), height_at(&drawing->y, y));
}

static void write_dot(const struct drawing *drawing, uint32_t line)
{
    fprintf(drawing->out, "<circle class=\"d s%u\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\"/>\n", line,
            place_at(&drawing->x, drawing->plot->lines[line].x[0]),
            height_at(&drawing->y, top_of(drawing->plot, line, 0)));
}

static void write_line(const struct drawing *drawing, uint32_t position)
{
    const struct cm_plot_line *line = &drawing->plot->lines[position];
    fprintf(drawing->out, "<polyline class=\"l s%u\" points=\"", position);
    for (uint32_t i = 0; i < line->count; i++) {
        if (line->is_step && i > 0)
            write_point(drawing, line->x[i], line->y[i - 1]);
        write_point(drawing, line->x[i], line->y[i]);
    }
    fputs("\"/>\n", drawing->out);
}

static void write_area(const struct drawing *drawing, uint32_t position)
{
    const struct cm_plot_line *line = &drawing->plot->lines[position];
    fprintf(drawing->out, "<polygon class=\"f s%u\" points=\"", position);
    for (uint32_t i = 0; i < line->count; i++)
        write_point(drawing, line->x[i], top_of(drawing->plot, position, i));
    for (uint32_t i = line->count; i-- > 0;)
        write_point(drawing, line->x[i], position > 0 ? top_of(drawing->plot, position - 1, i) : 0);
    fputs("\"/>\n", drawing->out);
}

static void write_mark(const struct drawing *drawing, const struct cm_plot_mark *mark)
{
    double y = height_at(&drawing->y, mark->y);
    char label[32];
    fprintf(drawing->out,
            "<line class=\"m\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>"
            "<text class=\"t\" x=\"%d\" y=\"%.1f\">",
            CM_PLOT_LEFT, CM_PLOT_WIDTH - CM_PLOT_RIGHT, y, y, CM_PLOT_WIDTH - CM_PLOT_RIGHT,
            y < CM_PLOT_TOP + 12 ? y + 14 : y - 5);
    cm_plot_write_text(mark->name, drawing->out);
    fprintf(drawing->out, " %s%s</text>\n", cm_scale_label(mark->y, label, sizeof label),
            mark->y > drawing->y.to ? ", higher than this plot" : "");
}

/* --- the whole ----------------------------------------------------------------------------------- */

static struct cm_scale scale_of(const struct cm_plot *plot)
{
    double most = 0, least = HUGE_VAL;
    for (uint32_t i = 0; i < plot->lines_count; i++) {
        for (uint32_t j = 0; j < plot->lines[i].count; j++) {
            most = fmax(most, top_of(plot, i, j));
            if (plot->lines[i].y[j] > 0)
                least = fmin(least, plot->lines[i].y[j]);
        }
    }
    double lines_most = most;
    for (uint32_t i = 0; i < plot->marks_count; i++)
        if (plot->marks[i].y <= lines_most * MARK_FAR)
            most = fmax(most, plot->marks[i].y);
    return plot->is_logarithmic ? cm_scale_logarithmic(least, most) : cm_scale_linear(most);
}

static double last_x(const struct cm_plot *plot)
{
    double last = 0;
    for (uint32_t i = 0; i < plot->lines_count; i++)
        if (plot->lines[i].count > 0)
            last = fmax(last, plot->lines[i].x[plot->lines[i].count - 1]);
    return last;
}

static void write_legend(const struct cm_plot *plot, FILE *out)
{
    fputs("</svg>\n<ul>", out);
    for (uint32_t i = 0; i < plot->lines_count; i++) {
        fprintf(out, "<li><i class=\"s%u\"></i>", i);
        cm_plot_write_text(plot->lines[i].name, out);
        fputs("</li>", out);
    }
    fputs("</ul>\n</figure>\n", out);
}

static bool has_points(const struct cm_plot *plot)
{
    for (uint32_t i = 0; i < plot->lines_count; i++)
        if (plot->lines[i].count > 0)
            return true;
    return false;
}

void cm_plot_write(const struct cm_plot *plot, FILE *out)
{
    struct drawing drawing = { .plot = plot, .out = out };
    if (!has_points(plot))
        return;
    drawing.y = scale_of(plot);
    drawing.x = cm_scale_time(last_x(plot));
    cm_plot_begin(plot->title, plot->about, out);
    cm_plot_write_grid(&drawing.y, plot->unit, out);
    write_time_axis(&drawing.x, plot->x_unit, out);
    for (uint32_t i = plot->lines_count; i-- > 0;) {
        if (plot->lines[i].count == 1)
            write_dot(&drawing, i);
        else if (plot->lines[i].count > 1 && plot->is_stacked)
            write_area(&drawing, i);
        else if (plot->lines[i].count > 1)
            write_line(&drawing, i);
    }
    for (uint32_t i = 0; i < plot->marks_count; i++)
        write_mark(&drawing, &plot->marks[i]);
    write_legend(plot, out);
}

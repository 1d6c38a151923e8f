/* Bars, lying and standing. */
#include <math.h>

#include "tools/bench/plot.h"
#include "tools/bench/scale.h"

enum {
    ROW = 24,
    NAME_WIDTH = 130,
    VALUE_WIDTH = 84,
    LYING_TOP = 6,
    LABELS_MAX = 10,
    STEP_MAX = 56
};

#define INNER_WIDTH  (CM_PLOT_WIDTH - CM_PLOT_LEFT - CM_PLOT_RIGHT)
#define INNER_HEIGHT (CM_PLOT_HEIGHT - CM_PLOT_TOP - CM_PLOT_BOTTOM)

void cm_bars_add(struct cm_bars *bars, const char *name, double value, bool is_other)
{
    if (bars->count == CM_PLOT_BARS_MAX)
        return;
    struct cm_bar *bar = &bars->bars[bars->count++];
    snprintf(bar->name, sizeof bar->name, "%s", name);
    bar->value = isfinite(value) && value > 0 ? value : 0;
    bar->is_other = is_other;
}

static double most_of(const struct cm_bars *bars)
{
    double most = 0;
    for (uint32_t i = 0; i < bars->count; i++)
        most = fmax(most, bars->bars[i].value);
    return most;
}

static void begin_lying(const struct cm_bars *bars, FILE *out)
{
    fputs("<figure>\n<figcaption><h2>", out);
    cm_plot_write_text(bars->title, out);
    fputs("</h2><p>", out);
    cm_plot_write_text(bars->about, out);
    fprintf(out, "</p></figcaption>\n<svg viewBox=\"0 0 %d %u\" role=\"img\" aria-label=\"",
            CM_PLOT_WIDTH, LYING_TOP * 2 + ROW * bars->count);
    cm_plot_write_text(bars->title, out);
    fputs("\">\n", out);
}

void cm_bars_write_lying(const struct cm_bars *bars, FILE *out)
{
    const double most = most_of(bars), width = CM_PLOT_WIDTH - NAME_WIDTH - VALUE_WIDTH;
    char label[32];
    if (bars->count == 0)
        return;
    begin_lying(bars, out);
    for (uint32_t i = 0; i < bars->count; i++) {
        const struct cm_bar *bar = &bars->bars[i];
        double length = most > 0 ? bar->value / most * width : 0;
        double y = LYING_TOP + ROW * i;
        fprintf(out, "<text class=\"e\" x=\"%d\" y=\"%.1f\">", NAME_WIDTH - 8, y + 16);
        cm_plot_write_text(bar->name, out);
        fprintf(
            out,
            "</text><rect class=\"%s\" x=\"%d\" y=\"%.1f\" width=\"%.1f\" height=\"%d\" rx=\"2\"/>"
            "<text class=\"v\" x=\"%.1f\" y=\"%.1f\">%s ",
            bar->is_other ? "o" : "b", NAME_WIDTH, y + 3, fmax(length, 1), ROW - 6,
            NAME_WIDTH + fmax(length, 1) + 6, y + 16,
            cm_scale_label(bar->value, label, sizeof label));
        cm_plot_write_text(bars->unit, out);
        fputs("</text>\n", out);
    }
    cm_plot_end(out);
}

static void write_standing(const struct cm_bars *bars, const struct cm_scale *scale, uint32_t i,
                           FILE *out)
{
    const struct cm_bar *bar = &bars->bars[i];
    const double step = fmin((double)INNER_WIDTH / bars->count, STEP_MAX);
    const double height = INNER_HEIGHT * cm_scale_share(scale, bar->value);
    const double x = CM_PLOT_LEFT + step * i, gap = step > 4 ? fmin(step / 8, 3) : 0;
    char label[32];
    fprintf(out, "<rect class=\"b\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"><title>",
            x + gap, CM_PLOT_TOP + INNER_HEIGHT - height, step - 2 * gap, height);
    cm_plot_write_text(bar->name, out);
    fprintf(out, ": %s</title></rect>\n", cm_scale_label(bar->value, label, sizeof label));
    if (i % (bars->count / LABELS_MAX + 1) != 0)
        return;
    fprintf(out, "<text class=\"c\" x=\"%.1f\" y=\"%d\">", x, CM_PLOT_TOP + INNER_HEIGHT + 18);
    cm_plot_write_text(bar->name, out);
    fputs("</text>\n", out);
}

void cm_bars_write_standing(const struct cm_bars *bars, const char *x_unit, FILE *out)
{
    const struct cm_scale scale = cm_scale_linear(most_of(bars));
    if (bars->count == 0)
        return;
    cm_plot_begin(bars->title, bars->about, out);
    cm_plot_write_grid(&scale, bars->unit, out);
    for (uint32_t i = 0; i < bars->count; i++)
        write_standing(bars, &scale, i, out);
    fprintf(out, "<text class=\"e\" x=\"%d\" y=\"%d\">", CM_PLOT_WIDTH - CM_PLOT_RIGHT,
            CM_PLOT_HEIGHT - 5);
    cm_plot_write_text(x_unit, out);
    fputs("</text>\n", out);
    cm_plot_end(out);
}

/* One page with plots: plain HTML and inline SVG, nothing to fetch. */
#include "tools/bench.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

enum { WIDTH = 640, HEIGHT = 220, LEFT = 64, BOTTOM = 34, TOP = 14, RIGHT = 12 };

#define PLOT_WIDTH  (WIDTH - LEFT - RIGHT)
#define PLOT_HEIGHT (HEIGHT - TOP - BOTTOM)

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\"><meta charset=\"utf-8\">"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
    "<title>certmill bench</title>\n<style>\n"
    ":root{color-scheme:light dark;--ink:#1d2733;--soft:#6b7785;--line:#d5dbe1;--bar:#2f6fad;"
    "--mark:#c2571a;--page:#fff}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#e4e9ee;--soft:#98a4b0;--line:#3a444e;"
    "--bar:#6ba6df;--mark:#ee9a61;--page:#171c21}}\n"
    "body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page);"
    "max-width:44rem;margin:2rem auto;padding:0 1rem}\n"
    "h1{font-size:1.4rem}h2{font-size:1.05rem;margin:2rem 0 .3rem}p{color:var(--soft);margin:.2rem "
    "0}\n"
    "table{border-collapse:collapse}td{padding:.15rem 1.2rem .15rem 0}"
    "td.n{text-align:right;font-variant-numeric:tabular-nums}\n"
    "svg{width:100%;height:auto}text{fill:var(--soft);font:12px system-ui,sans-serif}"
    ".b{fill:var(--bar)}.g{stroke:var(--line)}.m{stroke:var(--mark);stroke-dasharray:5 4}"
    ".t{fill:var(--mark)}\n</style>\n";

static void begin_plot(FILE *out, const char *title, const char *about)
{
    fprintf(out,
            "<h2>%s</h2><p>%s</p>\n<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">\n",
            title, about, WIDTH, HEIGHT, title);
}

static double height_of(double value, double most)
{
    return most > 0 ? value / most * PLOT_HEIGHT : 0;
}

static void write_scale(FILE *out, double most)
{
    char label[32];
    for (int i = 0; i <= 4; i++) {
        double y = TOP + PLOT_HEIGHT - PLOT_HEIGHT * i / 4.0;
        snprintf(label, sizeof label, "%.0f", most * i / 4);
        fprintf(out,
                "<line class=\"g\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>"
                "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
                LEFT, WIDTH - RIGHT, y, y, LEFT - 8, y + 4, label);
    }
}

static void write_bar(FILE *out, double x, double width, double height, const char *hint)
{
    fprintf(out,
            "<rect class=\"b\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\">"
            "<title>%s</title></rect>\n",
            x, TOP + PLOT_HEIGHT - height, width, height, hint);
}

static void write_label(FILE *out, double x, const char *text)
{
    fprintf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", x,
            HEIGHT - BOTTOM + 18, text);
}

/* --- the plots ----------------------------------------------------------------------------------- */

static void plot_rates(FILE *out, const struct cm_bench_result *result)
{
    const double step = (double)PLOT_WIDTH / CM_BENCH_SLICES;
    double most = result->ceiling.per_second;
    char text[64];
    for (unsigned i = 0; i < CM_BENCH_SLICES; i++)
        most = result->figures.slices[i] > most ? result->figures.slices[i] : most;
    begin_plot(out, "Rate over the run",
               "Certificates a second in each tenth of the requests; the broken line is the "
               "ceiling.");
    write_scale(out, most);
    for (unsigned i = 0; i < CM_BENCH_SLICES; i++) {
        snprintf(text, sizeof text, "%.0f a second", result->figures.slices[i]);
        write_bar(out, (double)LEFT + step * i + 4, step - 8,
                  height_of(result->figures.slices[i], most), text);
        snprintf(text, sizeof text, "%u %%", (i + 1) * 100 / CM_BENCH_SLICES);
        write_label(out, (double)LEFT + step * (i + 0.5), text);
    }
    double y = TOP + PLOT_HEIGHT - height_of(result->ceiling.per_second, most);
    fprintf(out, "<line class=\"m\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/></svg>\n", LEFT,
            WIDTH - RIGHT, y, y);
}

static void plot_latencies(FILE *out, const struct cm_bench_figures *figures)
{
    unsigned first = CM_BENCH_HISTOGRAM, last = 0;
    uint32_t most = 1;
    char text[96];
    for (unsigned i = 0; i < CM_BENCH_HISTOGRAM; i++) {
        if (!figures->histogram[i])
            continue;
        first = i < first ? i : first;
        last = i;
        most = figures->histogram[i] > most ? figures->histogram[i] : most;
    }
    if (first > last)
        return;
    const double step = (double)PLOT_WIDTH / (last - first + 1);
    const unsigned label_every = (last - first) / 10 + 1;
    begin_plot(out, "Latency",
               "Answers by the time from push to answer, in milliseconds, on a logarithmic axis.");
    write_scale(out, most);
    for (unsigned i = first; i <= last; i++) {
        snprintf(text, sizeof text, "%.3g to %.3g ms: %" PRIu32, cm_bench_bucket_ms(i),
                 cm_bench_bucket_ms(i + 1), figures->histogram[i]);
        write_bar(out, (double)LEFT + step * (i - first) + 1, step > 4 ? step - 2 : step,
                  height_of(figures->histogram[i], most), text);
        snprintf(text, sizeof text, "%.3g", cm_bench_bucket_ms(i));
        if ((i - first) % label_every == 0)
            write_label(out, (double)LEFT + step * (i - first), text);
    }
    fputs("</svg>\n", out);
}

static void plot_cpu(FILE *out, const struct cm_bench_result *result)
{
    const double issued = result->figures.issued ? result->figures.issued : 1;
    const struct {
        const char *who;
        double us;
    } shares[] = {
        { "verify + sign alone", result->ceiling.cpu_us },
        { "engine", result->engine_cpu_s * 1e6 / issued },
        { "signer", result->signers_cpu_s * 1e6 / issued },
        { "load generator", result->figures.load_cpu_s * 1e6 / issued },
        { "redis-server", result->redis_cpu_s * 1e6 / issued },
    };
    const double step = PLOT_WIDTH / 5.0;
    double most = 1;
    char text[64];
    for (unsigned i = 0; i < 5; i++)
        most = shares[i].us > most ? shares[i].us : most;
    begin_plot(out, "CPU time of one certificate", "Microseconds of one processor.");
    write_scale(out, most);
    for (unsigned i = 0; i < 5; i++) {
        snprintf(text, sizeof text, "%s: %.1f us", shares[i].who, shares[i].us);
        write_bar(out, (double)LEFT + step * i + 16, step - 32, height_of(shares[i].us, most),
                  text);
        write_label(out, (double)LEFT + step * (i + 0.5), text);
    }
    fputs("</svg>\n", out);
}

/* --- the page ------------------------------------------------------------------------------------ */

static void write_row(FILE *out, const char *name, double value, int digits, const char *unit)
{
    fprintf(out, "<tr><td>%s</td><td class=\"n\">%.*f</td><td>%s</td></tr>\n", name, digits, value,
            unit);
}

static void write_table(FILE *out, const struct cm_bench_result *result)
{
    const struct cm_bench_figures *figures = &result->figures;
    fputs("<table>\n", out);
    write_row(out, "certificates", figures->per_second, 0, "a second");
    write_row(out, "ceiling: bare verify + sign", result->ceiling.per_second, 0, "a second");
    write_row(
        out, "of the ceiling",
        result->ceiling.per_second > 0 ? figures->per_second / result->ceiling.per_second * 100 : 0,
        1, "%");
    write_row(out, "run", figures->seconds, 2, "s");
    write_row(out, "latency, median", figures->p50_ms, 1, "ms");
    write_row(out, "latency, 99 %", figures->p99_ms, 1, "ms");
    write_row(out, "latency, longest", figures->max_ms, 1, "ms");
    write_row(out, "engine's memory at its peak", (double)result->peak_memory / 1e6, 1, "MB");
    write_row(out, "store", (double)result->store_size / 1e6, 1, "MB");
    write_row(out, "refused or failed", figures->refused + figures->failed, 0, "");
    write_row(out, "never answered", figures->missing, 0, "");
    write_row(out, "answered twice", figures->repeated, 0, "");
    fputs("</table>\n", out);
}

cm_status cm_bench_write_html(const struct cm_bench_plan *plan,
                              const struct cm_bench_result *result, const char *path,
                              struct cm_error *err)
{
    char command[CM_BENCH_COMMAND_SIZE];
    FILE *out = fopen(path, "w");
    if (!out)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "%s", path);
    fputs(head, out);
    fprintf(out, "<h1>%" PRIu32 " certificates through the %s queue</h1>\n<p>%s</p>\n",
            result->figures.issued, plan->queue_name,
            cm_bench_command(plan, command, sizeof command));
    write_table(out, result);
    plot_rates(out, result);
    plot_latencies(out, &result->figures);
    plot_cpu(out, result);
    fprintf(out, "<p>certmill %s, %" PRIu32 " processors</p>\n</html>\n", CERTMILL_VERSION,
            result->processors);
    bool failed = ferror(out) != 0;
    if (fclose(out) != 0 || failed)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "%s", path);
    return CM_OK;
}

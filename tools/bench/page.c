/* One page with plots: plain HTML and inline SVG, nothing to fetch, no script. */
#include "tools/bench/bench.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include <jansson.h>

#include "tools/bench/figures.h"
#include "tools/bench/machine.h"
#include "tools/bench/plot.h"
#include "tools/bench/scale.h"

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
    "<title>certmill bench</title>\n<style>\n"
    ":root{color-scheme:light dark;--ink:#1b2430;--soft:#5d6977;--line:#e3e7eb;--axis:#aab3bd;"
    "--page:#f6f7f9;--card:#fff;--bar:#2f6fad;--other:#a9b4bf;--mark:#b3471b;--good:#1f7a46;--bad:#b3261e;"
    "--c0:#2f6fad;--c1:#c2571a;--c2:#2b8a5a;--c3:#8a4fa3;--c4:#b08900;--c5:#c03a6b;--c6:#3d9ba8;"
    "--c7:#6b7a3a;--c8:#7a6a5a;--c9:#8b95a0}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6ebf0;--soft:#9aa6b2;--line:#2b333c;--axis:#59646f;"
    "--page:#12161b;--card:#1a2027;--bar:#6ba6df;--other:#5d6875;--mark:#ee9a61;--good:#6cc593;--bad:#f2897f;"
    "--c0:#6ba6df;--c1:#ee9a61;--c2:#6cc593;--c3:#c493dc;--c4:#dcbc4e;--c5:#f08bb0;--c6:#74c7d3;"
    "--c7:#b2c274;--c8:#c0ae9c;--c9:#7f8a95}}\n"
    "*{box-sizing:border-box}body{font:15px/1.45 system-ui,sans-serif;color:var(--ink);"
    "background:var(--page);max-width:76rem;margin:0 auto;padding:1.5rem 1rem 3rem}\n"
    "h1{font-size:1.5rem;margin:.2rem 0}h2{font-size:1rem;margin:0}"
    "p{color:var(--soft);margin:.15rem 0;font-size:.88rem}"
    "code{font:.85em ui-monospace,monospace;overflow-wrap:anywhere}"
    ".said{color:var(--ink);font-size:1rem}.warn{color:var(--bad);font-weight:600}.well{color:var(--good)}\n"
    ".cards,.plots{display:grid;gap:.8rem;margin:1rem 0}"
    ".cards{grid-template-columns:repeat(auto-fit,minmax(8.5rem,1fr))}"
    ".plots{grid-template-columns:repeat(auto-fit,minmax(min(100%,30rem),1fr))}"
    ".cards div,figure,section{background:var(--card);border:1px solid var(--line);"
    "border-radius:.5rem;padding:.75rem .9rem;margin:0}"
    ".cards b{display:block;font-size:1.5rem;font-weight:600;font-variant-numeric:tabular-nums}"
    ".cards span{color:var(--soft);font-size:.85rem}section{margin:.8rem 0;overflow-x:auto}\n"
    "table{border-collapse:collapse;margin-top:.4rem;font-size:.88rem}"
    "th{text-align:left;color:var(--soft);font-weight:500}"
    "td,th{padding:.18rem 1.4rem .18rem 0;vertical-align:top}"
    "td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}\n"
    "svg{display:block;width:100%;height:auto;margin-top:.4rem}"
    "text{fill:var(--soft);font:12px system-ui,sans-serif}.e,.t{text-anchor:end}.c{text-anchor:middle}"
    ".v{fill:var(--ink)}.b{fill:var(--bar)}.o{fill:var(--other)}.g{stroke:var(--line)}"
    ".a{stroke:var(--axis)}.m{stroke:var(--mark);stroke-width:1.5;stroke-dasharray:6 4}"
    ".t{fill:var(--mark);font-weight:600;paint-order:stroke;stroke:var(--card);stroke-width:4px}.l{fill:none;stroke-width:2;stroke-linejoin:round}"
    ".f{fill-opacity:.85}\n"
    "figure ul{list-style:none;display:flex;flex-wrap:wrap;gap:.1rem 1.1rem;margin:.3rem 0 0;"
    "padding:0 0 0 .3rem;font-size:.82rem}figure i{display:inline-block;width:.8em;height:.8em;"
    "border-radius:2px;margin-right:.4em;vertical-align:-.05em}\n";

/* Lines take their colour as stroke, areas, dots and swatches as filling. */
static void write_colours(FILE *out)
{
    for (unsigned i = 0; i < CM_PLOT_LINES_MAX; i++)
        fprintf(
            out,
            ".l.s%u{stroke:var(--c%u)}.f.s%u,.d.s%u{fill:var(--c%u)}i.s%u{background:var(--c%u)}\n",
            i, i, i, i, i, i, i);
    fputs("</style>\n</head>\n<body>\n", out);
}

/* --- what one sees first ------------------------------------------------------------------------- */

static void write_card(FILE *out, double value, const char *unit, const char *what)
{
    char label[32];
    fprintf(out, "<div><b>%s%s</b><span>%s</span></div>\n",
            cm_scale_label(value, label, sizeof label), unit, what);
}

static void write_cards(FILE *out, const struct cm_bench_result *result)
{
    const struct cm_bench_figures *figures = &result->figures;
    fputs("<div class=\"cards\">\n", out);
    write_card(out, figures->per_second, "/s", "certificates");
    write_card(out, cm_bench_ratio(result) * 100, " %", "of the ceiling");
    if (result->token_per_second > 0)
        write_card(out, cm_bench_token_ratio(result) * 100, " %", "of the token alone");
    if (result->provider_per_second > 0)
        write_card(out, figures->per_second / result->provider_per_second * 100, " %",
                   "of the provider alone");
    write_card(out, figures->latency.p50, " ms", "latency, median");
    write_card(out, figures->latency.p99, " ms", "latency, p99");
    write_card(out, cm_bench_cpu_us(result), " us", "processor time a certificate");
    write_card(out, (double)result->peak_memory / 1e6, " MB", "engine&#8217;s memory at its peak");
    fputs("</div>\n", out);
}

static void write_trouble(FILE *out, const struct cm_bench_result *result)
{
    const struct cm_bench_figures *figures = &result->figures;
    if (result->is_interrupted)
        fprintf(out,
                "<p class=\"warn\">Interrupted after %" PRIu32 " of %" PRIu32 " requests.</p>\n",
                figures->sent, figures->requests);
    if (figures->issued < figures->requests || figures->repeated || figures->unknown) {
        fprintf(out,
                "<p class=\"warn\">Not well: %" PRIu32 " refused, %" PRIu32 " failed, %" PRIu32
                " never answered, %" PRIu32 " answered again, %" PRIu32
                " answers to nothing asked. ",
                figures->refused, figures->failed, figures->missing, figures->repeated,
                figures->unknown);
        cm_plot_write_text(figures->problem, out);
        fputs("</p>\n", out);
    } else {
        fputs("<p class=\"well\">Every request was answered with exactly one certificate.</p>\n",
              out);
    }
    if (result->others_share > 0.05)
        fprintf(out,
                "<p class=\"warn\">Other processes took %.0f %% of the processors during the run: "
                "believe the processor times, not the rates.</p>\n",
                result->others_share * 100);
}

/* --- tables -------------------------------------------------------------------------------------- */

static void write_stage(FILE *out, const struct cm_bench_stage_figures *stage, double bound_ms)
{
    bool is_well = cm_bench_stage_is_well(stage, bound_ms);
    fprintf(out,
            "<tr><td class=\"n\">%" PRIu32 "</td><td class=\"n\">%.0f</td><td class=\"n\">%.1f</td>"
            "<td class=\"n\">%.1f</td><td class=\"n\">%.1f</td><td class=\"n\">%" PRIu32
            "</td><td class=\"%s\">%s</td></tr>\n",
            stage->rate_per_s, stage->per_second, stage->latency.p50, stage->latency.p99,
            stage->latency.max, stage->backlog, is_well ? "well" : "warn",
            is_well            ? "well"
            : stage->is_behind ? "falls behind"
                               : "latency leaves the bound");
}

static void write_stages(FILE *out, const struct cm_bench_plan *plan,
                         const struct cm_bench_figures *figures)
{
    char text[CM_BENCH_LINE_SIZE];
    if (figures->stages_count == 0)
        return;
    fprintf(
        out,
        "<section><h2>Rates</h2><p class=\"said\">%s</p><p>Well: 99 of 100 answers within %.0f ms, and as many answers as "
        "requests. Latency counts from when a request was due; the load generator was late by "
        "%.2f ms on average, %.1f ms at most, which is in it.</p>\n"
        "<table><tr><th class=\"n\">asked/s</th><th class=\"n\">answered/s</th>"
        "<th class=\"n\">median ms</th><th class=\"n\">p99 ms</th><th class=\"n\">longest ms</th>"
        "<th class=\"n\">backlog</th><th></th></tr>\n",
        cm_bench_conclusion(plan, figures, text, sizeof text), plan->latency_bound_ms,
        figures->late_mean_ms, figures->late_max_ms);
    for (uint32_t i = 0; i < figures->stages_count; i++)
        write_stage(out, &figures->stages[i], plan->latency_bound_ms);
    fputs("</table></section>\n", out);
}

static void write_value(FILE *out, const json_t *value)
{
    char label[32];
    if (json_is_string(value))
        cm_plot_write_text(json_string_value(value), out);
    else if (json_is_number(value))
        fputs(cm_scale_label(json_number_value(value), label, sizeof label), out);
}

static void write_members(FILE *out, json_t *object)
{
    const char *name;
    const json_t *value;
    json_object_foreach(object, name, value)
    {
        if (json_is_string(value) && json_string_length(value) == 0)
            continue;
        fputs("<tr><th>", out);
        for (const char *at = name; *at; at++)
            fputc(*at == '_' ? ' ' : *at, out);
        fputs("</th><td>", out);
        write_value(out, value);
        fputs("</td></tr>\n", out);
    }
    json_decref(object);
}

static void write_machine(FILE *out, const struct cm_bench_result *result)
{
    json_t *versions = cm_bench_describe_versions(result->redis_version);
    fputs("<section><h2>Machine</h2><table>\n", out);
    write_members(out, cm_bench_describe_machine());
    json_object_del(versions, "kernel"); /* it stands there already */
    write_members(out, versions);
    fputs("</table></section>\n", out);
}

/* --- the page ------------------------------------------------------------------------------------ */

static void write_title(FILE *out, const struct cm_bench_plan *plan,
                        const struct cm_bench_result *result)
{
    char label[32], line[CM_BENCH_LINE_SIZE];
    fprintf(out, "<h1>%s certificates in %.2f s</h1>\n<p>Through the %s queue, with the provider ",
            cm_scale_label(result->figures.issued, label, sizeof label), result->figures.seconds,
            plan->queue_name);
    cm_plot_write_text(result->provider_name, out);
    fprintf(out, " (%s).</p>\n<p><code>", result->provider_kind);
    cm_plot_write_text(cm_bench_line(plan->call, line, sizeof line), out);
    fputs("</code></p>\n", out);
}

cm_status cm_bench_write_page(const struct cm_bench_plan *plan,
                              const struct cm_bench_result *result, const char *path,
                              struct cm_error *err)
{
    FILE *out = fopen(path, "w");
    if (!out)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "%s", path);
    fputs(head, out);
    write_colours(out);
    write_title(out, plan, result);
    write_trouble(out, result);
    write_cards(out, result);
    write_stages(out, plan, &result->figures);
    fputs("<div class=\"plots\">\n", out);
    cm_bench_write_figures(plan, result, out);
    fputs("</div>\n", out);
    write_machine(out, result);
    fputs("</body>\n</html>\n", out);
    bool failed = ferror(out) != 0;
    if (fclose(out) != 0 || failed)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "%s", path);
    return CM_OK;
}

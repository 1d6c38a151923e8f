/*
 * Goal: axes end at round numbers that hold everything, and what is drawn lies inside of its plot and is well
 * formed, whatever the figures and names.
 * Method: scales against hand-made ones; plots of hostile and of empty figures, their text searched.
 */
#include "tests/support/test_main.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bench/plot.h"
#include "tools/bench/scale.h"

#define CLOSE(a, b) CU_ASSERT_DOUBLE_EQUAL(a, b, 1e-9)

static void test_scale_linear_ends_at_a_round_number(void)
{
    const struct {
        double most, to;
    } cases[] = { { 4600, 5000 },   { 1, 1 },    { 0, 1 },     { 0.012, 0.0125 },
                  { 24811, 25000 }, { 9.5, 10 }, { 110, 125 }, { 5000, 5000 } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cm_scale scale = cm_scale_linear(cases[i].most);
        CLOSE(scale.to, cases[i].to);
        CLOSE(scale.ticks[scale.ticks_count - 1], scale.to);
        CU_ASSERT_TRUE(scale.ticks_count >= 4 && scale.ticks_count <= 6);
    }
}

static void test_scale_of_what_is_no_number_is_still_one(void)
{
    CLOSE(cm_scale_linear((double)NAN).to, 1);
    CLOSE(cm_scale_linear((double)INFINITY).to, 1);
    CLOSE(cm_scale_time(-1).to, 1);
    struct cm_scale scale = cm_scale_logarithmic((double)INFINITY, 0);
    CU_ASSERT_TRUE(scale.from > 0 && scale.to > scale.from);
    CLOSE(cm_scale_share(&scale, (double)NAN), 0);
}

static void test_scale_logarithmic_holds_least_and_most(void)
{
    const double cases[][2] = { { 1, 1 }, { 13, 87 }, { 0.02, 2500 }, { 0.001, 1e6 }, { 5, 500 } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cm_scale scale = cm_scale_logarithmic(cases[i][0], cases[i][1]);
        CU_ASSERT_TRUE(scale.from <= cases[i][0] && scale.to >= cases[i][1]);
        CU_ASSERT_TRUE(scale.ticks_count >= 2 && scale.ticks_count <= CM_SCALE_TICKS_MAX);
        for (unsigned j = 1; j < scale.ticks_count; j++)
            CU_ASSERT_TRUE(scale.ticks[j] > scale.ticks[j - 1]);
    }
}

static void test_scale_shares_never_leave_the_plot(void)
{
    struct cm_scale linear = cm_scale_linear(10), log = cm_scale_logarithmic(1, 100);
    CLOSE(cm_scale_share(&linear, 5), 0.5);
    CLOSE(cm_scale_share(&linear, 99), 1);
    CLOSE(cm_scale_share(&log, 10), 0.5);
    CLOSE(cm_scale_share(&log, 0), 0);
    CLOSE(cm_scale_share(&log, 1e9), 1);
}

static void test_scale_labels_are_short(void)
{
    const struct {
        double value;
        const char *label;
    } cases[] = { { 0, "0" },     { 1234567, "1,234,567" }, { 999, "999" },      { 0.05, "0.05" },
                  { 2.5, "2.5" }, { 12.34, "12.3" },        { 20000, "20,000" }, { 100.4, "100" } };
    char text[32];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        CU_ASSERT_STRING_EQUAL(cm_scale_label(cases[i].value, text, sizeof text), cases[i].label);
}

/* --- plots --------------------------------------------------------------------------------------- */

static char *draw(const struct cm_plot *plot)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    cm_plot_write(plot, out);
    fclose(out);
    return text;
}

static struct cm_plot new_plot(void)
{
    return (struct cm_plot){ .title = "a < b & \"c\"", .about = "x", .unit = "MB", .x_unit = "s" };
}

static unsigned count_of(const char *text, const char *word)
{
    unsigned count = 0;
    for (; (text = strstr(text, word)); text++)
        count++;
    return count;
}

static void test_plot_of_no_points_is_left_out(void)
{
    struct cm_plot plot = new_plot();
    cm_plot_line(&plot, "empty");
    char *text = draw(&plot);
    CU_ASSERT_STRING_EQUAL(text, "");
    free(text);
    cm_plot_done(&plot);
}

static void test_plot_of_one_point_is_a_dot(void)
{
    struct cm_plot plot = new_plot();
    cm_plot_add(cm_plot_line(&plot, "one"), 1, 2);
    char *text = draw(&plot);
    CU_ASSERT_EQUAL(count_of(text, "<circle"), 1);
    CU_ASSERT_EQUAL(count_of(text, "<polyline"), 0);
    free(text);
    cm_plot_done(&plot);
}

static void test_plot_escapes_every_text(void)
{
    struct cm_plot plot = new_plot();
    struct cm_plot_line *line = cm_plot_line(&plot, "<script>");
    cm_plot_add(line, 0, 1);
    cm_plot_add(line, 1, 2);
    cm_plot_mark(&plot, "<&>", 1);
    char *text = draw(&plot);
    CU_ASSERT_PTR_NULL(strstr(text, "<script>"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "&lt;script&gt;"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "a &lt; b &amp; &quot;c&quot;"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "&lt;&amp;&gt; 1"));
    free(text);
    cm_plot_done(&plot);
}

static void test_plot_takes_what_is_no_number_as_nothing(void)
{
    struct cm_plot plot = new_plot();
    struct cm_plot_line *line = cm_plot_line(&plot, "odd");
    cm_plot_add(line, 0, (double)NAN);
    cm_plot_add(line, 1, (double)INFINITY);
    cm_plot_mark(&plot, "mark", (double)NAN);
    char *text = draw(&plot);
    CU_ASSERT_PTR_NULL(strstr(text, "nan"));
    CU_ASSERT_PTR_NULL(strstr(text, "inf"));
    CU_ASSERT_EQUAL(count_of(text, "class=\"m\""), 0);
    free(text);
    cm_plot_done(&plot);
}

static void test_plot_says_that_a_mark_is_higher(void)
{
    struct cm_plot plot = new_plot();
    struct cm_plot_line *line = cm_plot_line(&plot, "low");
    cm_plot_add(line, 0, 10);
    cm_plot_add(line, 1, 10);
    cm_plot_mark(&plot, "near", 20);
    cm_plot_mark(&plot, "far", 1000);
    char *text = draw(&plot);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "near 20<"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "far 1,000, higher than this plot<"));
    free(text);
    cm_plot_done(&plot);
}

/* The upper edge of the second area is the sum of both: at the top of the plot. */
static void test_plot_stacks_areas(void)
{
    struct cm_plot plot = new_plot();
    plot.is_stacked = true;
    for (unsigned i = 0; i < 2; i++) {
        struct cm_plot_line *line = cm_plot_line(&plot, i ? "second" : "first");
        cm_plot_add(line, 0, 1);
        cm_plot_add(line, 1, 1);
    }
    char *text = draw(&plot), wanted[64];
    snprintf(wanted, sizeof wanted, "class=\"f s1\" points=\"%d.0,%d.0 ", CM_PLOT_LEFT,
             CM_PLOT_TOP);
    CU_ASSERT_EQUAL(count_of(text, "<polygon"), 2);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, wanted));
    free(text);
    cm_plot_done(&plot);
}

static void test_plot_has_room_for_so_many_lines_and_points(void)
{
    struct cm_plot plot = new_plot();
    struct cm_plot_line *line = NULL;
    for (unsigned i = 0; i < CM_PLOT_LINES_MAX + 3; i++)
        line = cm_plot_line(&plot, "line");
    for (unsigned i = 0; i < CM_PLOT_POINTS_MAX + 10; i++)
        cm_plot_add(line, i, i);
    CU_ASSERT_EQUAL(plot.lines_count, CM_PLOT_LINES_MAX);
    CU_ASSERT_EQUAL(line->count, CM_PLOT_POINTS_MAX);
    cm_plot_done(&plot);
}

CM_TEST_SUITE(bench_plot, CM_TEST(test_scale_linear_ends_at_a_round_number),
              CM_TEST(test_scale_of_what_is_no_number_is_still_one),
              CM_TEST(test_scale_logarithmic_holds_least_and_most),
              CM_TEST(test_scale_shares_never_leave_the_plot), CM_TEST(test_scale_labels_are_short),
              CM_TEST(test_plot_of_no_points_is_left_out), CM_TEST(test_plot_of_one_point_is_a_dot),
              CM_TEST(test_plot_escapes_every_text),
              CM_TEST(test_plot_takes_what_is_no_number_as_nothing),
              CM_TEST(test_plot_says_that_a_mark_is_higher), CM_TEST(test_plot_stacks_areas),
              CM_TEST(test_plot_has_room_for_so_many_lines_and_points));

#include "tools/bench/scale.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { STEPS = 5 };

static const double round_numbers[] = { 1, 2, 2.5, 5, 10 };

/* The smallest round number not below the value. */
static double round_up(double value)
{
    double power = pow(10, floor(log10(value)));
    for (unsigned i = 0; i < sizeof round_numbers / sizeof round_numbers[0]; i++)
        if (round_numbers[i] * power >= value * (1 - 1e-9))
            return round_numbers[i] * power;
    return 10 * power;
}

static bool is_there(double value)
{
    return isfinite(value) && value > 0;
}

static void add_ticks(struct cm_scale *scale, double step)
{
    for (unsigned i = 0; i < CM_SCALE_TICKS_MAX && i * step <= scale->to * (1 + 1e-9); i++)
        scale->ticks[scale->ticks_count++] = i * step;
}

struct cm_scale cm_scale_linear(double most)
{
    double step = round_up((is_there(most) ? most : 1) / STEPS);
    struct cm_scale scale = { .to = step * ceil((is_there(most) ? most : 1) / step - 1e-9) };
    add_ticks(&scale, step);
    return scale;
}

struct cm_scale cm_scale_time(double most)
{
    struct cm_scale scale = { .to = is_there(most) ? most : 1 };
    add_ticks(&scale, round_up(scale.to / (STEPS + 1)));
    return scale;
}

struct cm_scale cm_scale_logarithmic(double least, double most)
{
    static const double steps[] = { 1, 2, 5 };
    struct cm_scale scale = { .is_logarithmic = true };
    if (!is_there(most))
        most = 1;
    if (!is_there(least) || least > most)
        least = most;
    double power = pow(10, floor(log10(least)));
    bool is_wide = log10(most / least) > 3;
    for (unsigned i = 0; scale.ticks_count < CM_SCALE_TICKS_MAX; i += is_wide ? 3 : 1) {
        double tick = steps[i % 3] * power * pow(10, i / 3);
        double next = is_wide ? tick * 10 : steps[(i + 1) % 3] * power * pow(10, (i + 1) / 3);
        if (next <= least * (1 + 1e-9))
            continue;
        scale.ticks[scale.ticks_count++] = tick;
        if (tick >= most * (1 - 1e-9) && scale.ticks_count > 1)
            break;
    }
    scale.from = scale.ticks[0];
    scale.to = scale.ticks[scale.ticks_count - 1];
    return scale;
}

double cm_scale_share(const struct cm_scale *scale, double value)
{
    double share;
    if (!isfinite(value))
        return 0;
    if (scale->is_logarithmic)
        share = value > 0 ? log(value / scale->from) / log(scale->to / scale->from) : 0;
    else
        share = (value - scale->from) / (scale->to - scale->from);
    return fmin(fmax(share, 0), 1);
}

/* --- labels -------------------------------------------------------------------------------------- */

static void drop_zeros(char *text)
{
    size_t size = strlen(text);
    if (!strchr(text, '.'))
        return;
    while (text[size - 1] == '0')
        text[--size] = '\0';
    if (text[size - 1] == '.')
        text[size - 1] = '\0';
}

static void group(const char *digits, char *text, size_t space)
{
    size_t size = strlen(digits), at = 0;
    for (size_t i = 0; i < size && at + 2 < space; i++) {
        if (i > 0 && (size - i) % 3 == 0)
            text[at++] = ',';
        text[at++] = digits[i];
    }
    text[at] = '\0';
}

const char *cm_scale_label(double value, char *text, size_t space)
{
    char digits[32];
    if (value >= 1000) {
        snprintf(digits, sizeof digits, "%.0f", value);
        group(digits, text, space);
        return text;
    }
    snprintf(text, space, "%.*f", value >= 100 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : 4, value);
    drop_zeros(text);
    return text;
}

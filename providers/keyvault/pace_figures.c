/* What the pace reads from the vault's words, and what it tells of itself. */
#include "providers/keyvault/pace.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "engine/base/clock.h"

enum { RETRY_AFTER_S_MAX = 3600 };

/* --- Retry-After --------------------------------------------------------------------------------- */

/* -1: something else than digits. */
static int64_t read_seconds(const char *text)
{
    int64_t s = 0;
    if (*text == '\0')
        return -1;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return -1;
        if (s <= RETRY_AFTER_S_MAX)
            s = s * 10 + (*text - '0');
    }
    return s;
}

static int find_month(const char *name)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    for (int month = 0; month < 12; month++)
        if (memcmp(names + 3 * month, name, 3) == 0)
            return month;
    return -1;
}

static int two_digits(const char *text)
{
    return (text[0] - '0') * 10 + (text[1] - '0');
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" as Unix seconds; -1: another form. */
static int64_t read_date(const char *text)
{
    static const char form[] = "aaa, 00 aaa 0000 00:00:00 GMT";
    if (strlen(text) != sizeof form - 1)
        return -1;
    for (size_t i = 0; i < sizeof form - 1; i++) {
        bool is_digit = text[i] >= '0' && text[i] <= '9';
        if (form[i] == '0' ? !is_digit : form[i] != 'a' && form[i] != text[i])
            return -1;
    }
    struct tm tm = { .tm_mday = two_digits(text + 5),
                     .tm_mon = find_month(text + 8),
                     .tm_year = two_digits(text + 12) * 100 + two_digits(text + 14) - 1900,
                     .tm_hour = two_digits(text + 17),
                     .tm_min = two_digits(text + 20),
                     .tm_sec = two_digits(text + 23) };
    return tm.tm_mon < 0 ? -1 : (int64_t)timegm(&tm);
}

uint32_t cm_pace_retry_after_ms(const char *text, int64_t now_s)
{
    char trimmed[64];
    text += strspn(text, " \t");
    size_t size = strlen(text);
    while (size > 0 && (text[size - 1] == ' ' || text[size - 1] == '\t'))
        size--;
    if (size >= sizeof trimmed)
        return 0;
    memcpy(trimmed, text, size);
    trimmed[size] = '\0';
    int64_t s = read_seconds(trimmed);
    if (s < 0)
        s = read_date(trimmed) - now_s;
    if (s <= 0)
        return 0;
    return (uint32_t)(s < RETRY_AFTER_S_MAX ? s : RETRY_AFTER_S_MAX) * 1000;
}

/* --- figures ------------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void tell_latencies(const struct cm_pace *pace, struct cm_provider_pace *figures)
{
    uint32_t sorted[CM_PACE_LATENCIES];
    size_t count = pace->latencies_count < CM_PACE_LATENCIES ? (size_t)pace->latencies_count
                                                             : CM_PACE_LATENCIES;
    if (count == 0)
        return;
    memcpy(sorted, pace->latencies_us, count * sizeof sorted[0]);
    qsort(sorted, count, sizeof sorted[0], compare);
    uint32_t median = sorted[count / 2], p99 = sorted[count * 99 / 100];
    if (figures->latency_us_median < median)
        figures->latency_us_median = median;
    if (figures->latency_us_p99 < p99)
        figures->latency_us_p99 = p99;
}

void cm_pace_tell(const struct cm_pace *pace, uint64_t now_ns, struct cm_provider_pace *figures)
{
    if (!pace->is_open && now_ns >= pace->resumes_ns && now_ns >= pace->said_ns)
        figures->rate_per_s +=
            (uint32_t)(cm_pace_share(pace, now_ns) * pace->scale * 1000000 / pace->p256_us + 0.5);
    figures->in_flight += pace->in_flight;
    figures->succeeded_count += pace->succeeded_count;
    figures->throttled_count += pace->throttled_count;
    figures->failed_count += pace->failed_count;
    figures->circuits_open += pace->is_open;
    tell_latencies(pace, figures);
}

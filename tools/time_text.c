#include "tools/time_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECONDS_MAX INT64_C(253402300799) /* the end of the year 9999 */

static bool read_number(const char *text, int64_t *ret_seconds)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 12 || text[digits] != '\0')
        return false;
    *ret_seconds = strtoll(text, NULL, 10);
    return *ret_seconds <= SECONDS_MAX;
}

/* As it is written, and nothing else: "2026-02-30" is no day. */
static bool is_same(int64_t seconds, const char *text)
{
    char again[CM_TIME_TEXT_SIZE];
    return strncmp(cm_time_write(seconds, again), text, strlen(text)) == 0;
}

bool cm_time_read(const char *text, int64_t *ret_seconds)
{
    struct tm parts = { 0 };
    size_t size = strlen(text);
    int end = 0;
    if (read_number(text, ret_seconds))
        return true;
    if ((size != 10 && size != 20)
        || sscanf(text, "%4d-%2d-%2d%n", &parts.tm_year, &parts.tm_mon, &parts.tm_mday, &end) != 3
        || end != 10)
        return false;
    if (size == 20
        && (sscanf(text + 10, "T%2d:%2d:%2dZ%n", &parts.tm_hour, &parts.tm_min, &parts.tm_sec, &end)
                != 3
            || end != 10))
        return false;
    parts.tm_year -= 1900;
    parts.tm_mon -= 1;
    *ret_seconds = timegm(&parts);
    return *ret_seconds >= 0 && is_same(*ret_seconds, text);
}

const char *cm_time_write(int64_t seconds, char ret_text[CM_TIME_TEXT_SIZE])
{
    time_t when = (time_t)seconds;
    struct tm parts;
    ret_text[0] = '\0';
    if (gmtime_r(&when, &parts))
        strftime(ret_text, CM_TIME_TEXT_SIZE, "%Y-%m-%dT%H:%M:%SZ", &parts);
    return ret_text;
}

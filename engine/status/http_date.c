#include "engine/status/http_date.h"

#include <stdio.h>
#include <time.h>

void cm_http_date(int64_t time_s, char ret_text[CM_HTTP_DATE_SIZE])
{
    /* Not strftime: its names are those of the locale. */
    static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
    static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
    const time_t time = (time_t)time_s;
    struct tm tm = { .tm_mday = 1, .tm_year = 70 };
    gmtime_r(&time, &tm);
    snprintf(ret_text, CM_HTTP_DATE_SIZE, "%s, %02u %s %04u %02u:%02u:%02u GMT",
             days[(unsigned)tm.tm_wday % 7], (unsigned)tm.tm_mday % 100,
             months[(unsigned)tm.tm_mon % 12], (unsigned)(tm.tm_year + 1900) % 10000,
             (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
}

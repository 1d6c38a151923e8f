/* Times in DER: apart from der.c because the calendar is a subject of its own. */
#include "engine/x509/der.h"

static bool digits_value(const uint8_t *digits, size_t count, int *ret_value)
{
    int value = 0;
    for (size_t i = 0; i < count; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return false;
        value = value * 10 + (digits[i] - '0');
    }
    *ret_value = value;
    return true;
}

static int days_in_month(int year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && is_leap ? 29 : days[month - 1];
}

/* Days since 1970-01-01 in the Gregorian calendar; years 0 to 9999. */
static int64_t days_from_epoch(int year, int month, int day)
{
    /* Years that begin in March put the leap day last. */
    int64_t march_year = month > 2 ? year : year - 1;
    int64_t era = (march_year >= 0 ? march_year : march_year - 399) / 400;
    int64_t year_of_era = march_year - era * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year
           - 719468;
}

/* "MMDDhhmmssZ" */
static bool read_rest(const uint8_t *text, int year, int64_t *ret_unix_seconds)
{
    int month, day, hour, minute, second;
    if (!digits_value(text, 2, &month) || !digits_value(text + 2, 2, &day)
        || !digits_value(text + 4, 2, &hour) || !digits_value(text + 6, 2, &minute)
        || !digits_value(text + 8, 2, &second) || text[10] != 'Z')
        return false;
    if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) || hour > 23
        || minute > 59 || second > 59)
        return false;
    *ret_unix_seconds =
        days_from_epoch(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
    return true;
}

static bool read_time_text(const struct cm_der_element *element, int64_t *ret_unix_seconds)
{
    bool is_utc = element->tag == CM_DER_UTC_TIME;
    size_t year_digits = is_utc ? 2 : 4;
    int year;
    if (element->content.size != year_digits + 11
        || !digits_value(element->content.data, year_digits, &year))
        return false;
    if (is_utc)
        year += year < 50 ? 2000 : 1900;
    return read_rest(element->content.data + year_digits, year, ret_unix_seconds);
}

bool cm_der_read_time(struct cm_der *der, const char *what, int64_t *ret_unix_seconds)
{
    struct cm_der_element element;
    uint8_t tag = cm_der_next_is(der, CM_DER_UTC_TIME) ? CM_DER_UTC_TIME : CM_DER_GENERALIZED_TIME;
    if (!cm_der_read(der, tag, what, &element))
        return false;
    if (!read_time_text(&element, ret_unix_seconds))
        return cm_refuse(der->refusal, CM_REFUSAL_DER_UNEXPECTED_LENGTH, element.offset,
                         "%s: not a time of RFC 5280", what);
    return true;
}

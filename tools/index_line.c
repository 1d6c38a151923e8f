#include "tools/index_line.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { FIELDS_COUNT = 6 };

enum field { STATE, END, REVOCATION, SERIAL, FILE_NAME, SUBJECT };

static cm_status fail(struct cm_error *err, const char *expected, const char *found)
{
    char shown[64];
    return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "expected %s, found \"%s\"", expected,
                   cm_bytes_printable(cm_bytes_str(found), shown, sizeof shown));
}

/* --- times ---------------------------------------------------------------------------------- */

static int two_digits(const char *at)
{
    return (at[0] - '0') * 10 + (at[1] - '0');
}

/* The parts from the month on: MMDDHHMMSS. */
static bool read_parts(const char *at, int year, int64_t *ret_seconds)
{
    struct tm parts = { .tm_year = year - 1900,
                        .tm_mon = two_digits(at) - 1,
                        .tm_mday = two_digits(at + 2),
                        .tm_hour = two_digits(at + 4),
                        .tm_min = two_digits(at + 6),
                        .tm_sec = two_digits(at + 8) };
    const struct tm written = parts;
    *ret_seconds = timegm(&parts); /* which puts a 30th of February right */
    return parts.tm_mon == written.tm_mon && parts.tm_mday == written.tm_mday
           && parts.tm_hour == written.tm_hour && parts.tm_min == written.tm_min
           && parts.tm_sec == written.tm_sec;
}

/* YYMMDDHHMMSSZ (1950 to 2049) or YYYYMMDDHHMMSSZ; after 1970, as everything here. */
static bool read_time(const char *text, int64_t *ret_seconds)
{
    bool is_read;
    size_t digits = strspn(text, "0123456789");
    if ((digits != 12 && digits != 14) || strcmp(text + digits, "Z") != 0)
        return false;
    int year = two_digits(text);
    if (digits == 14)
        is_read = read_parts(text + 4, year * 100 + two_digits(text + 2), ret_seconds);
    else
        is_read = read_parts(text + 2, year < 50 ? 2000 + year : 1900 + year, ret_seconds);
    return is_read && *ret_seconds > 0;
}

/* --- the revocation ------------------------------------------------------------------------- */

/* OpenSSL's own words for reasons that bring something with them. */
static const struct {
    const char *name;
    enum cm_reason reason;
    bool has_time;
} pseudo_reasons[] = {
    { "keyTime", CM_REASON_KEY_COMPROMISE, true },
    { "CAkeyTime", CM_REASON_CA_COMPROMISE, true },
    { "holdInstruction", CM_REASON_CERTIFICATE_HOLD, false },
    { "CACompromise", CM_REASON_CA_COMPROMISE, false }, /* RFC 5280 has a small c */
};

static cm_status read_reason(const char *name, const char *more, struct cm_index_line *line,
                             struct cm_error *err)
{
    for (size_t i = 0; i < sizeof pseudo_reasons / sizeof pseudo_reasons[0]; i++) {
        if (strcmp(name, pseudo_reasons[i].name) != 0)
            continue;
        line->reason = pseudo_reasons[i].reason;
        if (pseudo_reasons[i].has_time && (!more || !read_time(more, &line->invalidity_s)))
            return fail(err, "a time behind the reason", more ? more : "");
        return CM_OK;
    }
    if (!cm_reason_find(cm_bytes_str(name), &line->reason))
        return fail(err, "a reason for a revocation", name);
    return more ? fail(err, "nothing behind the reason", more) : CM_OK;
}

static cm_status read_revocation(char *text, struct cm_index_line *line, struct cm_error *err)
{
    char *reason = strchr(text, ',');
    char *more = NULL;
    if (reason)
        *reason++ = '\0';
    if (reason && (more = strchr(reason, ',')))
        *more++ = '\0';
    if (!read_time(text, &line->revoked_s))
        return fail(err, "the time of the revocation, like 260131120000Z", text);
    return reason ? read_reason(reason, more, line, err) : CM_OK;
}

/* --- the line ------------------------------------------------------------------------------- */

/* The last one may have tabs of its own, as OpenSSL writes them. */
static bool split(char *line, char *fields[FIELDS_COUNT])
{
    for (size_t i = 0; i < FIELDS_COUNT; i++) {
        fields[i] = line;
        line = i < FIELDS_COUNT - 1 ? strchr(line, '\t') : line;
        if (!line)
            return false;
        if (i < FIELDS_COUNT - 1)
            *line++ = '\0';
    }
    return true;
}

static cm_status read_state(char *const fields[FIELDS_COUNT], struct cm_index_line *line,
                            struct cm_error *err)
{
    const char *state = fields[STATE];
    if (strcmp(state, "R") == 0)
        return read_revocation(fields[REVOCATION], line, err);
    if (strcmp(state, "V") != 0 && strcmp(state, "E") != 0)
        return fail(err, "the state V, R or E", state);
    if (fields[REVOCATION][0] != '\0')
        return fail(err, "no revocation of what is not revoked", fields[REVOCATION]);
    return CM_OK;
}

cm_status cm_index_line_read(char *line, struct cm_index_line *ret_line, struct cm_error *err)
{
    struct cm_index_line read = { 0 };
    char *fields[FIELDS_COUNT];
    if (!split(line, fields))
        return fail(err, "six fields with tabs between them", line);
    if (!read_time(fields[END], &read.not_after_s))
        return fail(err, "the end of the certificate, like 301231235959Z", fields[END]);
    if (strchr(fields[SERIAL], ':') || !cm_serial_read(fields[SERIAL], &read.serial))
        return fail(err, "a serial number in hex", fields[SERIAL]);
    cm_status status = read_state(fields, &read, err);
    if (status == CM_OK)
        *ret_line = read;
    return status;
}

#include "engine/settings/value.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/base/bytes.h"
#include "engine/base/nearest.h"

/* ----------------------------------------------------------------- numbers and durations -- */

/* Decimal digits only: libcyaml would read "010" as eight. */
static bool number_parse(const char *text, const char **ret_end, uint64_t *ret)
{
    char *end;
    if (!isdigit((unsigned char)text[0]) || (text[0] == '0' && isdigit((unsigned char)text[1])))
        return false;
    errno = 0;
    *ret = strtoull(text, &end, 10);
    *ret_end = end;
    return errno == 0;
}

static const struct {
    const char *name;
    uint64_t ms;
} units[] = {
    { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 },
};

bool settings_duration_parse(const char *text, uint64_t *ret_ms)
{
    uint64_t number;
    const char *unit;
    if (!number_parse(text, &unit, &number) || number > UINT64_MAX / 86400000)
        return false;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(unit, units[i].name) == 0) {
            *ret_ms = number * units[i].ms;
            return true;
        }
    return false;
}

uint64_t settings_duration_ms(const char *text)
{
    uint64_t ms = 0;
    return settings_duration_parse(text, &ms) ? ms : 0;
}

/* The largest unit that divides it: 86400000 is "1d". */
static const char *duration_write(uint64_t ms, char *text, size_t size)
{
    size_t unit = sizeof units / sizeof units[0] - 1;
    while (unit > 0 && (ms == 0 || ms % units[unit].ms != 0))
        unit--;
    snprintf(text, size, "%" PRIu64 "%s", ms / units[unit].ms, units[unit].name);
    return text;
}

/* ------------------------------------------------------------------------- one check a kind -- */

static bool check_text(const struct settings_key *key, const char *text, char *expected,
                       size_t size)
{
    size_t length = strlen(text);
    if (length == 0)
        snprintf(expected, size, "expected a text, found nothing");
    else
        snprintf(expected, size, "expected at most %" PRIu64 " bytes, found %zu", key->max, length);
    return length >= key->min && length <= key->max;
}

static bool check_name(const struct settings_key *key, const char *text, char *expected,
                       size_t size)
{
    snprintf(expected, size,
             "expected a name of 1 to %" PRIu64
             " letters, digits, '.', '_' and '-', beginning with a letter or digit",
             key->max);
    if (!isalnum((unsigned char)text[0]) || strlen(text) > key->max)
        return false;
    for (const char *at = text; *at; at++)
        if (!isalnum((unsigned char)*at) && !strchr("._-", *at))
            return false;
    return true;
}

static bool check_secret(const struct settings_key *key, const char *text, char *expected,
                         size_t size)
{
    static const char *const kinds[] = { "file:", "env:", "credential:", "prompt:" };
    (void)key;
    snprintf(expected, size,
             "expected a reference (file:PATH, env:NAME, credential:NAME or prompt:WORDS); "
             "secrets never stand in this file");
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strncmp(text, kinds[i], strlen(kinds[i])) == 0)
            return text[strlen(kinds[i])] != '\0';
    return false;
}

static bool check_url(const struct settings_key *key, const char *text, char *expected, size_t size)
{
    snprintf(expected, size, "expected an URL that begins with http://");
    if (strncmp(text, "http://", 7) != 0 || text[7] == '\0' || text[7] == '/')
        return false;
    for (const char *at = text; *at; at++)
        if (*at <= ' ' || *at > '~')
            return false;
    return check_text(key, text, expected, size);
}

static bool check_duration(const struct settings_key *key, const char *text, char *expected,
                           size_t size)
{
    char least[32], most[32];
    uint64_t ms;
    snprintf(expected, size, "expected a duration from %s to %s, like 4ms, 5s, 15m, 24h or 365d",
             duration_write(key->min, least, sizeof least),
             duration_write(key->max, most, sizeof most));
    return settings_duration_parse(text, &ms) && ms >= key->min && ms <= key->max;
}

static bool check_validity(const struct settings_key *key, const char *text, char *expected,
                           size_t size)
{
    uint64_t ms;
    if (strcmp(text, SETTINGS_NO_EXPIRY) == 0)
        return true;
    if (!check_duration(key, text, expected, size)) {
        size_t used = strlen(expected);
        snprintf(expected + used, size - used, ", or " SETTINGS_NO_EXPIRY);
        return false;
    }
    snprintf(expected, size, "expected whole seconds");
    return settings_duration_parse(text, &ms) && ms % 1000 == 0;
}

static bool check_choice(const struct settings_key *key, const char *text, char *expected,
                         size_t size)
{
    char words[128];
    const char *found[8];
    size_t count = 0;
    char *state;
    snprintf(words, sizeof words, "%s", key->choices);
    size_t used = (size_t)snprintf(expected, size, "expected ");
    for (char *word = strtok_r(words, " ", &state); word; word = strtok_r(NULL, " ", &state)) {
        if (strcmp(word, text) == 0)
            return true;
        used += (size_t)snprintf(expected + used, size - used, count ? " or %s" : "%s", word);
        found[count++] = word;
    }
    const char *meant = cm_nearest(text, found, count);
    if (meant)
        snprintf(expected + used, size - used, " (did you mean %s?)", meant);
    return false;
}

static bool check_count(const struct settings_key *key, const char *text, char *expected,
                        size_t size)
{
    uint64_t number;
    const char *end;
    if (key->min == key->max)
        snprintf(expected, size, "expected %" PRIu64, key->min);
    else
        snprintf(expected, size, "expected a number from %" PRIu64 " to %" PRIu64, key->min,
                 key->max);
    return number_parse(text, &end, &number) && *end == '\0' && number >= key->min
           && number <= key->max;
}

static bool check_flag(const struct settings_key *key, const char *text, char *expected,
                       size_t size)
{
    static const char *const words[] = { "yes", "no", "true", "false", "on", "off" };
    (void)key;
    snprintf(expected, size, "expected yes or no");
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcasecmp(text, words[i]) == 0)
            return true;
    return false;
}

/* What a LIST holds: short texts, each checked further where the list is used. */
static bool check_item(const struct settings_key *key, const char *text, char *expected,
                       size_t size)
{
    (void)key;
    snprintf(expected, size, "expected a text of 1 to 256 bytes");
    return text[0] != '\0' && strlen(text) <= 256;
}

bool settings_value_check(const struct settings_key *key, const char *text, char *expected,
                          size_t size)
{
    static bool (*const checks[])(const struct settings_key *, const char *, char *, size_t) = {
        [SETTINGS_TEXT] = check_text,         [SETTINGS_NAME] = check_name,
        [SETTINGS_PATH] = check_text,         [SETTINGS_SECRET] = check_secret,
        [SETTINGS_URL] = check_url,           [SETTINGS_DURATION] = check_duration,
        [SETTINGS_VALIDITY] = check_validity, [SETTINGS_CHOICE] = check_choice,
        [SETTINGS_COUNT] = check_count,       [SETTINGS_FLAG] = check_flag,
        [SETTINGS_LIST] = check_item,
    };
    if (!checks[key->kind](key, text, expected, size)) {
        size_t used = strlen(expected);
        char shown[48];
        bool repeat = key->kind != SETTINGS_SECRET && text[0] != '\0' && !strstr(expected, "found");
        if (repeat)
            snprintf(expected + used, size - used, ", found \"%s\"",
                     cm_bytes_printable(cm_bytes_str(text), shown, sizeof shown));
        return false;
    }
    return true;
}

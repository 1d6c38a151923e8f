/*
 * Values of settings: what a scalar may look like. For engine/settings*.c, and settings_duration_parse for
 * commands that are given a duration. Any thread.
 */
#ifndef CM_ENGINE_SETTINGS_VALUE_H
#define CM_ENGINE_SETTINGS_VALUE_H

#include "engine/settings/keys.h"

#define SETTINGS_NO_EXPIRY "no-expiry"

/* "90s" is 90000. False when the text is no duration. */
bool settings_duration_parse(const char *text, uint64_t *ret_ms);

/* Milliseconds of a text that settings_value_check has passed. */
uint64_t settings_duration_ms(const char *text);

/*
 * False when the text is nothing for this key; then expected (size bytes) says what was expected
 * ("a number from 1 to 4096"). Secrets are never repeated.
 */
bool settings_value_check(const struct settings_key *key, const char *text, char *expected,
                          size_t size);

#endif

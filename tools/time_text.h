/*
 * Time text: moments as people write and read them. Any thread.
 */
#ifndef CM_TOOLS_TIME_TEXT_H
#define CM_TOOLS_TIME_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#define CM_TIME_TEXT_SIZE 24

/* "2026-01-31T12:00:00Z", "2026-01-31" (its beginning), or Unix seconds. False: none of them. */
bool cm_time_read(const char *text, int64_t *ret_seconds);

/* "2026-01-31T12:00:00Z" of Unix seconds. Returns ret_text. */
const char *cm_time_write(int64_t seconds, char ret_text[CM_TIME_TEXT_SIZE]);

#endif

/*
 * Texts in names: UTF-8 as RFC 3629 has it, and the characters that have no business in the name
 * of a device. Any thread.
 */
#ifndef CM_X509_NAME_TEXT_H
#define CM_X509_NAME_TEXT_H

#include "engine/base/bytes.h"
#include "engine/base/refusal.h"

/*
 * Checks UTF-8 text: valid and shortest form, no NUL, no controls, no bidirectional controls, no
 * invisible characters, no noncharacters, not empty, no white space at either end. The label and
 * the offset of the text are for messages. Returns the number of characters.
 */
bool cm_name_text_check(struct cm_bytes text, const char *label, size_t offset,
                        size_t *ret_characters, struct cm_refusal *refusal);

/* The next character of UTF-8; *position moves behind it. False when it is not one. */
bool cm_utf8_next(struct cm_bytes text, size_t *position, uint32_t *ret_character);

/* One line of UTF-8: no control characters (C0, DEL, C1). False: *ret_offset says where it is not. */
bool cm_utf8_is_line(struct cm_bytes text, size_t *ret_offset);

#endif

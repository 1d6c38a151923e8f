/*
 * Name text: a distinguished name as people read it. Any thread.
 */
#ifndef CM_TOOLS_NAME_TEXT_H
#define CM_TOOLS_NAME_TEXT_H

#include "engine/base/bytes.h"

#define CM_NAME_TEXT_SIZE 400

/* "CN=Example Issuing CA 1,O=Example" (RFC 2253) of a Name in DER; "" where it is none. Returns ret_text. */
const char *cm_name_write(struct cm_bytes name, char ret_text[CM_NAME_TEXT_SIZE]);

#endif

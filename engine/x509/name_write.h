/*
 * Name write: a distinguished name as people read it, and whether two of them are one. Any thread.
 */
#ifndef CM_X509_NAME_WRITE_H
#define CM_X509_NAME_WRITE_H

#include <stdbool.h>

#include "engine/base/bytes.h"

#define CM_NAME_TEXT_SIZE 400

/* "CN=Example Issuing CA 1,O=Example" (RFC 2253, ASCII alone) of a Name in DER, cut off where it is longer; "" where
   it is none. Returns ret_text. */
const char *cm_name_write(struct cm_bytes name, char ret_text[CM_NAME_TEXT_SIZE]);

/* Whether two Names in DER are the same to those who verify (RFC 5280, 7.1): case and spaces do not count. */
bool cm_names_are_equal(struct cm_bytes one, struct cm_bytes other);

#endif

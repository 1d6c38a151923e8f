/*
 * PEM writer: RFC 7468 text of a DER value, 64 characters a line. Any thread.
 */
#ifndef CM_X509_PEM_WRITER_H
#define CM_X509_PEM_WRITER_H

#include "engine/base/arena.h"

/* "-----BEGIN label-----" ... ending with a newline; NUL-terminated behind the span, in the arena. */
struct cm_bytes cm_pem_write(const char *label, struct cm_bytes der, struct cm_arena *arena);

#endif

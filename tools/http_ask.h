/*
 * HTTP ask: one request of a command that waits for the answer, to a status service or an OCSP
 * responder. Within 10 seconds and 16 MB; redirects are not followed. One thread.
 */
#ifndef CM_TOOLS_HTTP_ASK_H
#define CM_TOOLS_HTTP_ASK_H

#include "engine/base/bytes.h"
#include "engine/base/status.h"

/*
 * Does:       POST where there is a body, else GET. *ret_body is in memory of malloc's, whatever the
 *             HTTP status is.
 * Fails with: UNAVAILABLE (not reached, no whole answer).
 */
CM_MUST_USE cm_status cm_http_ask(const char *url, const char *content_type, struct cm_bytes body,
                                  long *ret_http_status, struct cm_bytes *ret_body,
                                  struct cm_error *err);

#endif

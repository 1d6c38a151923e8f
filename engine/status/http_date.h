/* HTTP dates (RFC 9110, 5.6.7): "Sun, 06 Nov 1994 08:49:37 GMT". Any thread. */
#ifndef CM_STATUS_HTTP_DATE_H
#define CM_STATUS_HTTP_DATE_H

#include <stdint.h>

#define CM_HTTP_DATE_SIZE 32 /* room for one, NUL included */

void cm_http_date(int64_t time_s, char ret_text[CM_HTTP_DATE_SIZE]);

#endif

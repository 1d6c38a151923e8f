/*
 * Address: where a Redis server is and how to log in, read from a URL.
 *
 *     unix:///run/redis/redis.sock            unix:///run/redis/redis.sock?db=2
 *     redis://[user:password@]host[:port][/db]
 *     rediss://...                            the same over TLS (queue/redis/tls.h)
 *
 * User and password may be percent-encoded. A password_ref (engine/base/secret.h) keeps the password
 * out of the URL.
 */
#ifndef CM_QUEUE_REDIS_ADDRESS_H
#define CM_QUEUE_REDIS_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/status.h"

struct cm_redis_address {
    char socket[108]; /* path of a Unix socket; empty: TCP */
    char host[256];
    uint16_t port;
    bool is_tls;
    uint32_t db;
    char user[128]; /* empty: the default user */
    char password[256];
};

/*
 * password_ref may be NULL; its path is absolute.
 * Fails with: INVALID (not such a URL); what cm_secret_read fails with; MALFORMED (a password of more
 *             than 255 octets).
 */
CM_MUST_USE cm_status cm_redis_address_read(const char *url, const char *password_ref,
                                            struct cm_redis_address *ret_address,
                                            struct cm_error *err);

/* Wipes the password. */
void cm_redis_address_done(struct cm_redis_address *address);

#endif

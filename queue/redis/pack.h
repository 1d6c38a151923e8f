/*
 * Pack: requests as an entry of the request stream, one or several in it (docs/reference/wire.md). The other
 * side of unpack.c.
 *
 *     for (uint32_t i = 0; i < pack.count;) {
 *         i += cm_pack(&pack, i, &link->command);
 *         cm_link_send(link, call);
 *     }
 */
#ifndef CM_QUEUE_REDIS_PACK_H
#define CM_QUEUE_REDIS_PACK_H

#include "queue/client.h"
#include "queue/redis/command.h"

/* Borrowed, all of it. */
struct cm_pack {
    const char *stream;
    const char *requester; /* of requests without one */
    const struct cm_client_request *requests;
    uint32_t count;
    uint32_t each_max; /* in one entry; 0 and 1: one */
};

/*
 * Does: builds the XADD of the requests from first on: as many as may stand in one entry, have the same
 *       requester, and fit. Returns how many, at least 1; one that is too large is the engine's to refuse.
 */
uint32_t cm_pack(const struct cm_pack *pack, uint32_t first, struct cm_command *command);

#endif

/*
 * A queue on a real redis-server of its own, for tests of what only Redis can do: begin, push and look, end.
 * Failures end the test; the test's thread.
 */
#ifndef CM_TESTS_INTEGRATION_REDIS_QUEUE_RIG_H
#define CM_TESTS_INTEGRATION_REDIS_QUEUE_RIG_H

#include "tests/support/queue_rig.h"
#include "tests/support/redis_server.h"
#include "tests/support/test_main.h"

extern struct cm_redis_server server;
extern struct cm_queue_settings settings; /* of the queue: prefix t, consumer engine-a */
extern struct cm_queue_rig rig;

/* False: there is no redis-server here, and the test was skipped. */
bool begin(enum cm_redis_server_kind kind, uint32_t lease_ms);
void end(void);

void run_command(const char *command);

/* Entries that are delivered and not acknowledged; -1: there is no group. */
long long pending_count(void);

/* For cm_queue_want_ahead. */
bool is_retire(struct cm_bytes op);

#endif

/*
 * Line deployment: what the engine of a line (bench/line.h) runs on: a folder that `certmill init` has made,
 * its settings with requesters of every kind of authentication, devices on the list, and their requests.
 */
#ifndef CM_BENCH_LINE_DEPLOYMENT_H
#define CM_BENCH_LINE_DEPLOYMENT_H

#include "bench/line.h"
#include "engine/base/loop.h"
#include "queue/memory.h"

enum { LINE_REQUESTERS = CM_AUTH_ED25519 + 1 }; /* by their authentication; the first needs none */

struct line_deployment {
    char folder[256];
    struct cm_settings *read;    /* as the file has them */
    struct cm_settings settings; /* with one worker, signatures in process, and these requesters */
    struct cm_settings_requester requesters[LINE_REQUESTERS];
    char secret[300]; /* reference */
    const char *secrets[1];
    uint8_t public_keys[1][CM_AUTH_PUBLIC_KEY_SIZE];
    struct cm_auth_signer *signers[LINE_REQUESTERS];
    uint64_t requests_count; /* ever pushed: no id comes twice */
};

/* done takes one that make did not finish. */
CM_MUST_USE cm_status line_deployment_make(struct line_deployment *deployment, const char *ca_key,
                                           struct cm_loop *loop, struct cm_error *err);
void line_deployment_done(struct line_deployment *deployment);

/* New requests into the broker, each of another device. The first for a key type makes its fleet, which all
 * deployments share. Fails with: as cm_fleet_make. */
CM_MUST_USE cm_status line_deployment_push(struct line_deployment *deployment,
                                           struct cm_memory_broker *broker,
                                           const struct line_order *order, struct cm_error *err);
void line_deployment_forget_fleets(void);

#endif

/*
 * Quickstart: what its parts tell each other. Private to tools/quickstart*.c.
 *
 *     quickstart.c         the command: steps in their order, and the summary
 *     quickstart_run.c     the main job: through the spool, or through a private Redis
 *     quickstart_verify.c  a sample of the certificates, held against `openssl verify`
 *     quickstart_revoke.c  a revocation, its CRL and OCSP, held against openssl as well
 */
#ifndef CM_TOOLS_QUICKSTART_H
#define CM_TOOLS_QUICKSTART_H

#include <stdbool.h>
#include <sys/types.h>

#include "tools/fleet.h"

struct cm_quickstart {
    const char *folder;
    uint32_t devices_count;
    bool redis, hsm;
    const char *token; /* SoftHSM's settings, with hsm */
    bool json;
    uint16_t port;         /* of the status service; stands in every certificate */
    struct cm_arena arena; /* paths */
    const char *settings;  /* DIR/certmill.yaml */
    const char *csrs, *certs;
    struct cm_fleet *fleet;

    /* what came out */
    uint32_t issued, refused;
    uint32_t verified, sampled;
    bool revoked;
    double write_s, import_s, issue_s;
};

/* Every step prints its own complaint and returns false when it failed. */
bool cm_quickstart_issue(struct cm_quickstart *quickstart);
bool cm_quickstart_issue_redis(struct cm_quickstart *quickstart);
bool cm_quickstart_verify(struct cm_quickstart *quickstart);
bool cm_quickstart_revoke(struct cm_quickstart *quickstart);

/* A TCP port of this machine that nobody listens on; 0: none can be had. */
uint16_t cm_quickstart_free_port(void);

/* `serve`, in a process of its own, as it would run beside the backends; negative: it could not be
   started. It ends with its parent. */
pid_t cm_quickstart_start_engine(const struct cm_quickstart *quickstart);
bool cm_quickstart_stop_engine(pid_t pid); /* false: it did not end well */

/* Runs a program with its output in a file; its exit code, or -1. */
int cm_quickstart_run_program(char *const argv[], const char *log);

/* A complaint, on standard error; with --json on standard output, too. Returns false. */
bool cm_quickstart_fail(const struct cm_quickstart *quickstart, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif

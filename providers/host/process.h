/*
 * Process: one signer process, as the engine sees it: started, looked at, ended.
 *
 * It is started without copying the engine's memory, with nothing open but the standard
 * descriptors and its socket, and with every signal as it was born. Thread: the loop's.
 */
#ifndef CM_PROVIDERS_HOST_PROCESS_H
#define CM_PROVIDERS_HOST_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "engine/base/status.h"

struct cm_process {
    pid_t pid;  /* 0: none */
    int status; /* of waitpid, once it has ended */
};

/*
 * program NULL: this one. name is shown by ps.
 * Owns:       *ret_fd, our end of the socket pair, is the caller's.
 * Fails with: UNAVAILABLE.
 */
CM_MUST_USE cm_status cm_process_start(struct cm_process *process, const char *program,
                                       const char *name, int *ret_fd, struct cm_error *err);

/* True once it has ended and was collected; pid is 0 from then on. */
bool cm_process_has_ended(struct cm_process *process);
void cm_process_kill(struct cm_process *process);

/* Waits until it has ended; kills it after patience_ms. One that hangs in the kernel even then is left. */
void cm_process_end(struct cm_process *process, unsigned patience_ms);

/* "was killed by signal 9", "ended with exit code 75: a call took ...". Returns text. */
const char *cm_process_describe(const struct cm_process *process, char *text, size_t space);

#endif

/*
 * Host rig: what the tests of hosted providers share: signers of the test's own program, opened, told of,
 * ended and waited for. On top of the providers' rig.
 */
#ifndef CM_TESTS_HOST_RIG_H
#define CM_TESTS_HOST_RIG_H

#include "providers/host.h"
#include "tests/conformance/provider_rig.h"

/* What the last provider that was opened here has told. */
struct host_told {
    unsigned downs, ups, notices;
    char last[CM_PROVIDER_NOTICE + 1][300]; /* by event */
};

extern struct host_told host_told;

extern const struct cm_host_settings host_usual; /* openssl, and may sign anything */

/* A backend whose calls may not come back. It has the usual deadline: with a short one a busy machine
 * ends signers that do nothing wrong. */
extern const struct cm_host_settings host_stuck;

/* workers_count 1, in the scratch folder; name is the instance's, and names the signer's ways. */
cm_status host_try_open(struct rig *rig, const struct cm_host_settings *host, const char *name,
                        struct cm_error *err);
void host_open(struct rig *rig, const struct cm_host_settings *host, const char *name);

/* A hosted fake with a script, watched. rig_use(NULL) when it is closed. */
void host_open_fake(struct rig *rig, const char *script);
void host_use_fake(void); /* the rig opens that from now on */

void host_end_signer(struct rig *rig, int signal_number);

/* Until the key signs again. */
void host_sign_when_back(struct rig_batch *batch);

#endif

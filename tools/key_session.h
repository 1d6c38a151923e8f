/*
 * Key session: one key of one provider, used by a command that waits for each signature. One thread.
 */
#ifndef CM_TOOLS_KEY_SESSION_H
#define CM_TOOLS_KEY_SESSION_H

#include "tools/provider_session.h"

struct cm_key_session {
    struct cm_provider_session provider;
    struct cm_key *key; /* proved: it has signed a test message that verified */
};

/*
 * Does:       opens the provider and in it the key. Close the session whatever comes out.
 * Fails with: what cm_provider_open and cm_provider_open_key fail with.
 */
CM_MUST_USE cm_status cm_key_session_open(struct cm_key_session *session,
                                          const struct cm_settings_provider *settings,
                                          const char *reference, struct cm_error *err);

/* Signs one message; space is CM_SIGNATURE_SIZE_MAX bytes at ret_signature. */
CM_MUST_USE cm_status cm_key_session_sign(struct cm_key_session *session, struct cm_bytes message,
                                          uint8_t *ret_signature, size_t *ret_size,
                                          struct cm_error *err);

void cm_key_session_close(struct cm_key_session *session);

#endif

#include "tools/key_session.h"

cm_status cm_key_session_open(struct cm_key_session *session,
                              const struct cm_settings_provider *settings, const char *reference,
                              struct cm_error *err)
{
    *session = (struct cm_key_session){ 0 };
    cm_status status = cm_provider_session_open_single(&session->provider, settings, err);
    if (status == CM_OK)
        status = cm_provider_session_open_key(&session->provider, reference, CM_SIGALG_UNKNOWN,
                                              &session->key, err);
    return status;
}

cm_status cm_key_session_sign(struct cm_key_session *session, struct cm_bytes message,
                              uint8_t *ret_signature, size_t *ret_size, struct cm_error *err)
{
    return cm_provider_session_sign(&session->provider, session->key, message, ret_signature,
                                    ret_size, err);
}

void cm_key_session_close(struct cm_key_session *session)
{
    cm_provider_close_key(session->key);
    cm_provider_session_close(&session->provider);
    *session = (struct cm_key_session){ 0 };
}

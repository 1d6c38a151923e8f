/*
 * Provider session: a provider used by a command that waits for each answer.
 *
 * The provider contract is asynchronous; operators' commands have nothing else to do meanwhile. A
 * session brings a loop of its own and runs it until the answer is there. The provider is opened in
 * this process: the operator who runs the command may use the keys anyway, and the command ends with
 * its work. One thread.
 *
 *     if (cm_provider_session_open(&session, &settings, &err) == CM_OK
 *         && cm_provider_session_open_key(&session, reference, CM_SIGALG_UNKNOWN, &key, &err) == CM_OK)
 *         ... cm_provider_session_sign(&session, &batch, &err) ...
 *     cm_provider_session_close(&session);       also when open failed; keys are closed before
 */
#ifndef CM_TOOLS_PROVIDER_SESSION_H
#define CM_TOOLS_PROVIDER_SESSION_H

#include "engine/base/arena.h"
#include "engine/settings/settings.h"
#include "providers/provider.h"

struct cm_provider_session {
    struct cm_loop *loop;
    struct cm_provider *provider;
    /* of the call under way */
    cm_status status;
    struct cm_key *key;
    struct cm_error err;
};

/* Fails with: what cm_provider_open fails with. */
CM_MUST_USE cm_status cm_provider_session_open(struct cm_provider_session *session,
                                               const struct cm_settings_provider *settings,
                                               struct cm_error *err);

/*
 * The same with one worker: for commands that sign one thing. Where settings leave the number of
 * sessions to a measurement, that would be signatures with a key that is to make no others.
 */
CM_MUST_USE cm_status cm_provider_session_open_single(struct cm_provider_session *session,
                                                      const struct cm_settings_provider *settings,
                                                      struct cm_error *err);

/* As the contract's functions of these names. Keys are the caller's to close. */
CM_MUST_USE cm_status cm_provider_session_open_key(struct cm_provider_session *session,
                                                   const char *reference, enum cm_sigalg alg,
                                                   struct cm_key **ret_key, struct cm_error *err);
CM_MUST_USE cm_status cm_provider_session_create_key(struct cm_provider_session *session,
                                                     const char *reference,
                                                     const struct cm_key_spec *spec,
                                                     struct cm_key **ret_key, struct cm_error *err);
CM_MUST_USE cm_status cm_provider_session_destroy_key(struct cm_provider_session *session,
                                                      struct cm_key *key, struct cm_error *err);

/* Room for a text about a key that is left, with its reference. */
#define CM_LEFT_TEXT_SIZE (CM_ERROR_TEXT_SIZE + 800)

/*
 * Does:       destroys a key that was made here, and closes its handle whatever comes out. key NULL:
 *             opens it first.
 * Fails with: what opening and destroying fail with; then ret_text (CM_LEFT_TEXT_SIZE) says which key is
 *             left where, why, and what to do: the operator's to know, whatever else went wrong.
 */
CM_MUST_USE cm_status cm_provider_session_take_back(struct cm_provider_session *session,
                                                    struct cm_key *key, const char *reference,
                                                    char *ret_text);

/* The same text where there is not even a session to destroy it in. */
void cm_provider_session_say_left(const char *reference, const struct cm_error *err,
                                  char *ret_text);

/* Signs one message; space is CM_SIGNATURE_SIZE_MAX bytes at ret_signature. */
CM_MUST_USE cm_status cm_provider_session_sign(struct cm_provider_session *session,
                                               struct cm_key *key, struct cm_bytes message,
                                               uint8_t *ret_signature, size_t *ret_size,
                                               struct cm_error *err);

/*
 * Does:       signs a TBSCertificate, and verifies the signature before anything leaves.
 * Owns:       *ret_der, the certificate, is in the arena.
 * Fails with: what signing fails with; CORRUPT (the signature does not verify).
 */
CM_MUST_USE cm_status cm_provider_session_certify(struct cm_provider_session *session,
                                                  struct cm_key *key, struct cm_bytes tbs,
                                                  struct cm_arena *arena, struct cm_bytes *ret_der,
                                                  struct cm_error *err);

void cm_provider_session_close(struct cm_provider_session *session);

#endif

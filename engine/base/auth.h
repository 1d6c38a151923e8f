/*
 * Auth: what stands in the field "auth" of a request, and whether it vouches for a message.
 *
 *     hmac-sha256:<base64url of 32 octets>      a secret that requester and engine share
 *     ed25519:<base64url of 64 octets>          a key of the requester's, of which the engine has
 *                                               the public half only
 *
 * The message is the request in its canonical form (queue/canonical.h). Which method a requester
 * uses is said by the settings, never by the request: the word before the colon must agree with it.
 *
 *     cm_auth_verifier_new(CM_AUTH_HMAC_SHA256, &verifier, &err);
 *     cm_auth_verifier_add(verifier, secret, &err);           once for each secret that is accepted
 *     if (cm_auth_verify(verifier, auth, message)) ...
 *
 * A verifier accepts what any of its keys vouches for, so that requesters can change over to a new
 * one while the old one is still good. All cryptography is OpenSSL's; contexts are made once and
 * HMACs are compared in constant time.
 *
 * Thread: one verifier or signer a thread.
 */
#ifndef CM_BASE_AUTH_H
#define CM_BASE_AUTH_H

#include "engine/base/bytes.h"
#include "engine/base/status.h"

enum cm_auth_method { CM_AUTH_NONE, CM_AUTH_HMAC_SHA256, CM_AUTH_ED25519 };

#define CM_AUTH_KEYS_MAX        8   /* of one requester */
#define CM_AUTH_PUBLIC_KEY_SIZE 32  /* octets */
#define CM_AUTH_SECRET_SIZE_MIN 16  /* octets; anything shorter can be guessed */
#define CM_AUTH_TEXT_SIZE       100 /* room for the longest auth and its NUL */

/* "none", "hmac-sha256", "ed25519" */
const char *cm_auth_method_name(enum cm_auth_method method);

struct cm_auth_verifier;

/* Fails with: NO_MEMORY, UNSUPPORTED (OpenSSL does not have the algorithm). */
CM_MUST_USE cm_status cm_auth_verifier_new(enum cm_auth_method method,
                                           struct cm_auth_verifier **ret_verifier,
                                           struct cm_error *err);

/*
 * Does:       accepts one more secret (HMAC_SHA256) or public key (ED25519: its 32 octets).
 * Owns:       key is borrowed for the call.
 * Fails with: MALFORMED (too short a secret, no such public key), BUSY (CM_AUTH_KEYS_MAX are there),
 *             UNSUPPORTED.
 */
CM_MUST_USE cm_status cm_auth_verifier_add(struct cm_auth_verifier *verifier, struct cm_bytes key,
                                           struct cm_error *err);

/* True when auth vouches for the message. */
bool cm_auth_verify(struct cm_auth_verifier *verifier, struct cm_bytes auth,
                    struct cm_bytes message);

/* Wipes and releases. Takes NULL. */
void cm_auth_verifier_free(struct cm_auth_verifier *verifier);

struct cm_auth_signer;

/* With a secret, which is borrowed for the call. Fails as cm_auth_verifier_add does; NO_MEMORY. */
CM_MUST_USE cm_status cm_auth_signer_new_secret(struct cm_bytes secret,
                                                struct cm_auth_signer **ret_signer,
                                                struct cm_error *err);

/*
 * With an Ed25519 private key in a PEM file without a passphrase.
 * Fails with: NOT_FOUND, DENIED, IO, MALFORMED (no private key, or encrypted), MISMATCH (not Ed25519),
 *             NO_MEMORY.
 */
CM_MUST_USE cm_status cm_auth_signer_new_key(const char *path, struct cm_auth_signer **ret_signer,
                                             struct cm_error *err);

/* Writes the auth of a message, NUL-terminated. False when OpenSSL fails. */
bool cm_auth_sign(struct cm_auth_signer *signer, struct cm_bytes message,
                  char ret_text[CM_AUTH_TEXT_SIZE]);

void cm_auth_signer_free(struct cm_auth_signer *signer);

/*
 * Reads the public key in a PEM file.
 * Fails with: NOT_FOUND, DENIED, IO, MALFORMED (no public key), MISMATCH (not Ed25519).
 */
CM_MUST_USE cm_status cm_auth_public_key_read(const char *path,
                                              uint8_t ret_key[CM_AUTH_PUBLIC_KEY_SIZE],
                                              struct cm_error *err);

#endif

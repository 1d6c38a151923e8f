/*
 * Passphrase: the PIN or passphrase of one provider instance, which its settings name.
 *
 * file:, env: and credential: are read each time that the secret is needed, and wiped afterwards.
 * prompt: is asked once, when the instance opens, on the loop's thread: no call into the key store
 * waits for a person then, with a watchdog's clock on it. What was typed stays in this process until
 * the instance closes, because nobody is there to type it again when a token that was lost comes
 * back; it is wiped then.
 */
#ifndef CM_PROVIDERS_PASSPHRASE_H
#define CM_PROVIDERS_PASSPHRASE_H

#include "engine/base/secret.h"
#include "providers/provider.h"

/* Zero-initialised; embedded in the instance. */
struct cm_passphrase {
    char *reference; /* NULL: settings name none */
    char *folder;    /* where relative paths start; may be NULL */
    struct cm_secret kept;
};

/*
 * Does:       keeps the names, and asks for what has to be asked for.
 * Thread:     the loop's. prompt: waits for a person.
 * Fails with: DENIED (not answered, nothing was typed), NO_MEMORY; cm_passphrase_close is due then,
 *             too.
 */
CM_MUST_USE cm_status cm_passphrase_open(struct cm_passphrase *passphrase,
                                         const struct cm_provider_settings *settings,
                                         struct cm_error *err);

/* Wipes what was kept. */
void cm_passphrase_close(struct cm_passphrase *passphrase);

/* With a reference. Any thread, several at a time. Owns and fails with: as cm_secret_read. */
CM_MUST_USE cm_status cm_passphrase_read(const struct cm_passphrase *passphrase,
                                         struct cm_secret *ret_secret, struct cm_error *err);

#endif

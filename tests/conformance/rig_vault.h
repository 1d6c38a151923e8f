/*
 * The vault that the rig's keys are in when a suite runs against the Key Vault provider: the emulator
 * (tests/support/keyvault_process.h), started once for the process, on the first call; or another
 * one that the environment names:
 *
 *     CM_TEST_VAULT          "https://localhost:8443"
 *     CM_TEST_VAULT_OPTIONS  the provider's, a JSON object; its credential needs no passphrase_ref
 *
 * In that one keys get names of this process's own, are made by the provider, and stay.
 */
#ifndef CM_TESTS_CONFORMANCE_RIG_VAULT_H
#define CM_TESTS_CONFORMANCE_RIG_VAULT_H

#include "providers/provider.h"
#include "tests/support/keyvault_process.h"

/* The emulator; starting it must work. Of another vault only the url is there. */
struct cm_keyvault *rig_vault(void);

/* It is not the emulator: it has no levers. */
bool rig_vault_is_foreign(void);

/* Options of a client secret, as fast as it goes; more: further members (", \"in-flight\": 4"). Good
 * until the next call. Of another vault what the environment says. */
const char *rig_vault_options(const struct cm_keyvault *vault, const char *more);

/* "file:PATH" of a file with the text, for passphrase_ref. Good until the next call. */
const char *rig_vault_secret(const char *text);

/* "https://127.0.0.1:PORT/keys/NAME", whether it is there or not. Good until the next call. */
const char *rig_vault_reference(const struct cm_keyvault *vault, const char *name);

/* Makes the HSM key there, past the provider; the emulator only. */
void rig_vault_make_key(struct cm_keyvault *vault, const char *name, enum cm_key_type type,
                        uint32_t bits);

#endif

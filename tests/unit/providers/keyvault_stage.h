/*
 * A stage for tests of the Key Vault provider: an emulator, an instance that is open on it, and what that
 * told its operator.
 *
 *     struct vault_stage stage;
 *     vault_stage_open(&stage, NULL, ", \"timeout-ms\": 300");
 *     struct cm_key *key = vault_stage_key(&stage, "ca", "{\"kty\":\"EC-HSM\",\"crv\":\"P-256\"}");
 *     cm_keyvault_fault(&stage.vault, "{\"on\":\"sign\",\"kind\":\"truncate\"}");
 *     CU_ASSERT_EQUAL(vault_stage_sign_one(&stage, key), CM_UNCERTAIN);
 *     cm_provider_close_key(key);
 *     vault_stage_close(&stage);
 */
#ifndef CM_TESTS_UNIT_PROVIDERS_KEYVAULT_STAGE_H
#define CM_TESTS_UNIT_PROVIDERS_KEYVAULT_STAGE_H

#include "tests/conformance/provider_rig.h"
#include "tests/conformance/rig_vault.h"

#define EC_256 "{\"kty\":\"EC-HSM\",\"crv\":\"P-256\"}"

struct vault_stage {
    struct cm_keyvault vault;
    struct rig rig;
    char notices[4096]; /* one a line */
    unsigned notices_count;
};

/* emulator: its words, NULL at the end; may be NULL. more: options beside those of rig_vault_options. */
void vault_stage_open(struct vault_stage *stage, const char *const *emulator, const char *more);

/* The same in two steps: between them a test may change what stands in the settings. */
void vault_stage_start(struct vault_stage *stage, const char *const *emulator);
void vault_stage_open_with(struct vault_stage *stage, const char *options,
                           const char *passphrase_ref);

/* Appends a certificate to a file of those that are trusted: an instance may know two vaults. */
void vault_stage_append_trust(const char *certificate, const char *path);

/* Keys must be closed. */
void vault_stage_close(struct vault_stage *stage);

/* Makes a key at the emulator and opens it by its name alone. */
struct cm_key *vault_stage_key(struct vault_stage *stage, const char *name, const char *members);

/* Opens it; fails the test, and says why, when it does not open. */
struct cm_key *vault_stage_open_key(struct vault_stage *stage, const char *reference);

/* What opening this reference comes to; the key is closed at once. words: of the text; "": any. */
cm_status vault_stage_try(struct vault_stage *stage, const char *reference, const char *words);

/* What one signature comes to. OK is verified. */
cm_status vault_stage_sign_one(struct vault_stage *stage, struct cm_key *key);

/* Opens the key NAME by its name and signs with it; false, and said: it does not. */
bool vault_stage_works(struct vault_stage *stage, const char *name);

#endif

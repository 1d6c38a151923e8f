/*
 * Options: what settings say about a Key Vault provider, as a JSON object in
 * cm_provider_settings.options. All members may be absent.
 *
 *     "credential"   "client-secret", "client-certificate", "managed-identity" (the default) or
 *                    "workload-identity"
 *     "tenant"       the directory's id or domain; absent: that of the vault's challenge
 *                    (workload identity: $AZURE_TENANT_ID)
 *     "client"       the application's (or the user-assigned identity's) client id; absent: the
 *                    system-assigned identity (workload identity: $AZURE_CLIENT_ID)
 *     "certificate"  client-certificate: PEM file of the certificate and its private key
 *     "require"      "hsm" or "software" (the default): the protection a key must have at least
 *     "in-flight"    requests at a vault at once; 1 to 4096, 256
 *     "rate"         P-256 signatures with HSM keys that a vault makes in a second; 200, or 330 for
 *                    a Managed HSM. Other operations cost more or less of it, see pace.h
 *     "timeout-ms"   until an answer must have come; 100 to 600000, 10000
 *     "watch-ms"     between looks at whether the vault has another version of a key that is open;
 *                    100 to 86400000, 300000
 *     "trust"        PEM file of the CAs that a vault's certificate may lead to; absent: the system's
 *     "resource"     the only resource that a vault may ask a token for; absent: one whose host the
 *                    vault's host lies under
 *     "authority"    https URL of the directory that tokens come from; absent: that of the challenge,
 *                    which must be one of Microsoft's
 *     "api-version"  of the REST API; "7.4"
 *
 * The client secret is not here: it is the settings' passphrase_ref, which with client-certificate
 * is the passphrase of the private key (absent: it is not encrypted), and with the other credentials
 * must be absent. Relative paths start at the settings' folder. Strings are owned. Thread: any.
 */
#ifndef CM_PROVIDERS_KEYVAULT_OPTIONS_H
#define CM_PROVIDERS_KEYVAULT_OPTIONS_H

#include "engine/base/status.h"
#include "providers/provider.h"

enum cm_vault_credential {
    CM_VAULT_MANAGED_IDENTITY,
    CM_VAULT_CLIENT_SECRET,
    CM_VAULT_CLIENT_CERTIFICATE,
    CM_VAULT_WORKLOAD_IDENTITY
};

/* Strings are NULL where absent, except api_version. */
struct cm_vault_options {
    enum cm_vault_credential credential;
    char *tenant;
    char *client;
    char *certificate; /* path; the folder's name is before it where it was relative */
    char *secret_ref;  /* of the client secret, or of the private key's passphrase */
    char *folder;      /* that relative paths of references start at */
    bool requires_hsm;
    uint32_t in_flight_max;
    uint32_t rate; /* 0: the published one */
    uint32_t timeout_ms;
    uint32_t watch_ms;
    char *trust; /* path, likewise */
    char *resource;
    char *authority; /* without a slash at the end */
    char *api_version;
};

/*
 * Does:       reads and checks the options: unknown members, types, ranges, and what a credential
 *             needs (client-secret: client and passphrase_ref; client-certificate: client and
 *             certificate). Secrets are checked to be there (cm_secret_check), not read; one that is
 *             asked for on the terminal is none: it is needed again whenever a token ends.
 * Owns:       ret_options is the caller's, until cm_vault_options_done; on failure there is nothing
 *             to release.
 * Fails with: MALFORMED, NO_MEMORY, and what cm_secret_check fails with.
 */
CM_MUST_USE cm_status cm_vault_options_read(const struct cm_provider_settings *settings,
                                            struct cm_vault_options *ret_options,
                                            struct cm_error *err);
void cm_vault_options_done(struct cm_vault_options *options);

#endif

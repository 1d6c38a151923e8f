/*
 * URI: the name of a key in Azure Key Vault or Managed HSM.
 *
 *     https://VAULT.vault.azure.net/keys/KEY            the newest enabled version
 *     https://VAULT.vault.azure.net/keys/KEY/VERSION    this one
 *
 * and the same with managedhsm.azure.net, with the suffixes of sovereign clouds, or with any other
 * host and port. Host, key and version compare without regard to case (the service does); the host
 * is kept in lower case. No user, query or fragment. Pure functions; any thread.
 *
 * Source: Azure REST API specification, Microsoft.KeyVault keys.
 */
#ifndef CM_PROVIDERS_KEYVAULT_URI_H
#define CM_PROVIDERS_KEYVAULT_URI_H

#include "engine/base/bytes.h"
#include "engine/base/status.h"

#define CM_VAULT_HOST_SIZE    254
#define CM_VAULT_NAME_SIZE    128 /* 1 to 127 of 0-9 a-z A-Z - */
#define CM_VAULT_VERSION_SIZE 65  /* the service makes 32; others up to 64 */
#define CM_VAULT_URI_SIZE     512

struct cm_vault_uri {
    char host[CM_VAULT_HOST_SIZE]; /* lower case */
    uint16_t port;                 /* 443 unless the text has another */
    char name[CM_VAULT_NAME_SIZE];
    char version[CM_VAULT_VERSION_SIZE]; /* "": none */
};

/* What every https URL here starts with. */
struct cm_https_url {
    char host[CM_VAULT_HOST_SIZE]; /* lower case */
    uint16_t port;
    const char *path; /* borrowed from the text: "" or from the slash on */
};

/* Visible ASCII alone: what may stand in a URL or a header line. "" is. */
bool cm_text_is_visible(const char *text);

/* Returns NULL, or what is wrong: "does not start with https://", "names a user", ... */
CM_MUST_USE const char *cm_https_url_read(const char *text, struct cm_https_url *ret_url);

/* Fails with: MALFORMED, saying what is wrong with which URI. */
CM_MUST_USE cm_status cm_vault_uri_read(const char *text, struct cm_vault_uri *ret_uri,
                                        struct cm_error *err);

/* The URI as text, in its one spelling; with a version where the URI has one. */
void cm_vault_uri_write(const struct cm_vault_uri *uri, char ret_text[CM_VAULT_URI_SIZE]);

/* "https://HOST" or "https://HOST:PORT". */
void cm_vault_uri_write_base(const struct cm_vault_uri *uri, char ret_text[CM_VAULT_URI_SIZE]);

/* Two keys are the same when their versions are, or when neither has one. */
bool cm_vault_uri_same_vault(const struct cm_vault_uri *a, const struct cm_vault_uri *b);
bool cm_vault_uri_same_key(const struct cm_vault_uri *a, const struct cm_vault_uri *b);

/* True for the hosts of Managed HSM, in every cloud. */
bool cm_vault_uri_is_managed_hsm(const struct cm_vault_uri *uri);

#endif

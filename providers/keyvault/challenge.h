/*
 * Challenge: what a vault answers to a request without a good token (401, WWW-Authenticate), and
 * whether it may be believed.
 *
 *     Bearer authorization="https://login.microsoftonline.com/TENANT", resource="https://vault.azure.net"
 *
 * "authorization_uri" may stand for "authorization", and "scope" (the resource with "/.default"
 * behind it) beside or instead of "resource". A vault that could name any resource could collect
 * tokens for other services: so the resource's host must be a parent of the vault's host, with the
 * dot (evilvault.azure.net is not under vault.azure.net), unless the settings name the resource.
 * Pure functions; any thread. Source: RFC 9110 11.6.1, RFC 6750 3, Key Vault's authentication page.
 */
#ifndef CM_PROVIDERS_KEYVAULT_CHALLENGE_H
#define CM_PROVIDERS_KEYVAULT_CHALLENGE_H

#include "engine/base/status.h"

#define CM_CHALLENGE_TEXT_SIZE 512

struct cm_challenge {
    char authority[CM_CHALLENGE_TEXT_SIZE]; /* "https://HOST[:PORT]", without the tenant */
    char tenant[CM_CHALLENGE_TEXT_SIZE];    /* first segment of its path; "dstsv2": the second */
    char resource[CM_CHALLENGE_TEXT_SIZE];  /* without "/.default" */
};

/*
 * header: the value of WWW-Authenticate; other challenges may stand beside the Bearer one. host: the
 * vault's, in lower case. allowed_resource: the settings' own, which then is the only one; or NULL.
 * Fails with: DENIED: no Bearer challenge, a member missing or not an https URL, or a resource that
 *             the vault (host) has no business with. The text names what came.
 */
CM_MUST_USE cm_status cm_challenge_read(const char *header, const char *host,
                                        const char *allowed_resource,
                                        struct cm_challenge *ret_challenge, struct cm_error *err);

#endif

/*
 * Credential: how a bearer token is asked for, and what the answer says.
 *
 *     client-secret         POST AUTHORITY/TENANT/oauth2/v2.0/token, grant client_credentials, the
 *                           secret from the settings' reference
 *     client-certificate    the same, with a signed assertion (JWT, RFC 7523: PS256, x5t#S256, ten
 *                           minutes, a jti of its own) instead of the secret
 *     workload-identity     the same, with the content of the federated token file as assertion;
 *                           read anew each time, because it is replaced while we run
 *     managed-identity      GET from the instance metadata service, or from $IDENTITY_ENDPOINT with
 *                           X-IDENTITY-HEADER where an App Service gives that
 *
 * AUTHORITY is the settings', or the one that the vault names where it is one of Microsoft's: no other
 * gets a secret, an assertion or a federated token.
 *
 * The instance metadata service is 169.254.169.254, or $AZURE_POD_IDENTITY_AUTHORITY_HOST.
 * Secrets are read for each request, stand in the request alone, and are wiped with it. Nothing
 * here talks to anybody. Thread: any.
 *
 * Source: Microsoft Entra, "Certificate credentials", "Managed identities"; RFC 6749 4.4, RFC 7521.
 */
#ifndef CM_PROVIDERS_KEYVAULT_CREDENTIAL_H
#define CM_PROVIDERS_KEYVAULT_CREDENTIAL_H

#include "providers/keyvault/challenge.h"
#include "providers/keyvault/options.h"

/* A request for a token. Owned by whoever asked for it, until cm_token_request_done wipes it. */
struct cm_token_request {
    char *url;
    char *form;   /* POST's body, application/x-www-form-urlencoded; NULL: GET */
    char *header; /* one more header line, "Name: value"; NULL: none */
};

/*
 * Does:       makes the request. The settings' tenant and authority come before the challenge's.
 * Fails with: what cm_secret_read fails with; DENIED (an unknown directory), NOT_FOUND (certificate, federated token or
 *             the environment's values missing or unreadable), MALFORMED (certificate and key do
 *             not belong together, or are not RSA: Entra takes no other), UNSUPPORTED (the managed
 *             identity of Azure Arc), NO_MEMORY.
 */
CM_MUST_USE cm_status cm_credential_ask(const struct cm_vault_options *options,
                                        const struct cm_challenge *challenge, int64_t now_s,
                                        struct cm_token_request *ret_request, struct cm_error *err);
void cm_token_request_done(struct cm_token_request *request);

#define CM_TOKEN_SIZE_MAX 16384

struct cm_token {
    char *text;        /* owned; NULL: none */
    int64_t expires_s; /* Unix seconds */
    int64_t refresh_s; /* from here on another one is asked for while this one is used */
};

/*
 * Does:       reads the answer to a token request. Numbers may be texts (managed identity writes
 *             them so). Without refresh_in: two minutes before the end, or half-way for tokens that
 *             live for two hours or more, or for four minutes or less; never at once (a token of one
 *             second: at its end).
 * Fails with: DENIED (the directory says no: invalid_client, unauthorized_client, ...; its error
 *             code and AADSTS number are in the text, its description never with what we sent),
 *             UNAVAILABLE (429, 5xx, 408, 404 and 410 of the metadata service), CORRUPT (no such answer),
 *             NO_MEMORY.
 */
CM_MUST_USE cm_status cm_token_read(long http_status, struct cm_bytes body, int64_t now_s,
                                    struct cm_token *ret_token, struct cm_error *err);
void cm_token_done(struct cm_token *token); /* wipes */

#endif

/*
 * Answer: what a vault's answer to one request means, as a status and a sentence for the operator.
 *
 *     {"error": {"code": "Forbidden", "message": "...", "innererror": {"code": "ForbiddenByRbac"}}}
 *
 * Pure function over what came; any thread. Source: azure-rest-api-specs, Key Vault common.tsp.
 */
#ifndef CM_PROVIDERS_KEYVAULT_ANSWER_H
#define CM_PROVIDERS_KEYVAULT_ANSWER_H

#include <jansson.h>

#include "providers/keyvault/http.h"

/*
 * Returns:    the statuses of vault.h. OK: *ret_answer is a new reference to the JSON object; else
 *             err says who answered what, with the codes, the start of the message and the request's
 *             id. is_uncertain: a lost answer is UNCERTAIN, else UNAVAILABLE.
 */
CM_MUST_USE cm_status cm_vault_answer_read(const struct cm_http_call *http, const char *host,
                                           bool is_uncertain, json_t **ret_answer,
                                           struct cm_error *err);

#endif

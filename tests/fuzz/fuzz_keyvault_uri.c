/*
 * URIs of keys in vaults: what is accepted is written again as it was read, but for the case of the
 * host and the port that is the usual one; what is refused says why in print.
 */
#include <stdlib.h>
#include <string.h>

#include "providers/keyvault/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_accepted(const struct cm_vault_uri *uri)
{
    struct cm_vault_uri again;
    char text[CM_VAULT_URI_SIZE];
    cm_vault_uri_write(uri, text);
    if (cm_vault_uri_read(text, &again, NULL) != CM_OK || !cm_vault_uri_same_key(uri, &again)
        || !cm_vault_uri_same_vault(uri, &again) || uri->name[0] == '\0' || uri->port == 0)
        abort();
    for (const char *at = text; *at; at++)
        if (*at <= ' ' || *at > '~')
            abort();
}

static void check_refused(const struct cm_error *err)
{
    if (err->status != CM_MALFORMED || err->text[0] == '\0')
        abort();
    for (const char *at = err->text; *at; at++)
        if (*at < 0x20 || *at > 0x7e)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cm_vault_uri uri;
    struct cm_error err = { .status = CM_OK };
    char *text = calloc(1, size + 1);
    if (!text)
        abort();
    if (size > 0)
        memcpy(text, data, size);
    if (cm_vault_uri_read(text, &uri, &err) == CM_OK)
        check_accepted(&uri);
    else
        check_refused(&err);
    free(text);
    return 0;
}

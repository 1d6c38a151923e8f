/*
 * What a vault answers to a request without a token: what is believed names an https directory and
 * the resource that the settings allow, or one that lies above the vault; what is not says why in print.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "providers/keyvault/challenge.h"
#include "providers/keyvault/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char host[] = "name.vault.azure.net";

static void check_refused(const struct cm_error *err)
{
    if (err->status != CM_DENIED || err->text[0] == '\0')
        abort();
    for (const char *at = err->text; *at; at++)
        if (*at < 0x20 || *at > 0x7e)
            abort();
}

/* Whatever ends up in a URL or a form has no room for more than itself. */
static void check_accepted(const struct cm_challenge *challenge)
{
    struct cm_https_url authority, resource;
    if (cm_https_url_read(challenge->authority, &authority) || authority.path[0] != '\0'
        || cm_https_url_read(challenge->resource, &resource) || challenge->tenant[0] == '\0'
        || strpbrk(challenge->tenant, "/?#&% \r\n"))
        abort();
}

static bool lies_above(const char *resource)
{
    struct cm_https_url url;
    if (cm_https_url_read(resource, &url))
        return false;
    size_t size = strlen(url.host), host_size = sizeof host - 1;
    return size < host_size && strcmp(host + host_size - size, url.host) == 0
           && host[host_size - size - 1] == '.';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char allowed[] = "https://vault.azure.net";
    struct cm_challenge challenge;
    struct cm_error err = { .status = CM_OK };
    char *header = calloc(1, size + 1);
    if (!header)
        abort();
    if (size > 0)
        memcpy(header, data, size);
    if (cm_challenge_read(header, host, NULL, &challenge, &err) == CM_OK) {
        check_accepted(&challenge);
        if (!lies_above(challenge.resource))
            abort();
    } else {
        check_refused(&err);
    }
    if (cm_challenge_read(header, "127.0.0.1", allowed, &challenge, &err) == CM_OK) {
        check_accepted(&challenge);
        if (strcmp(challenge.resource, allowed) != 0)
            abort();
    } else {
        check_refused(&err);
    }
    free(header);
    return 0;
}

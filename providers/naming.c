#include "providers/naming.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define URI_BEGIN   "pkcs11:"
#define VAULT_BEGIN "https://"
#define VAULT_KEYS  "/keys/"

static bool begins(const char *text, const char *words)
{
    return strncmp(text, words, strlen(words)) == 0;
}

static bool names_the_key(const char *attribute)
{
    return begins(attribute, "object=") || begins(attribute, "id=") || begins(attribute, "type=");
}

/* The same token, and the same way to its PIN. */
static char *name_in_token(const char *neighbour, const char *name_of_key)
{
    size_t path_size = strcspn(neighbour, "?");
    char *path = strndup(neighbour, path_size), *name = NULL, *rest = NULL;
    char *kept = calloc(1, path_size + 1);
    if (!path || !kept)
        abort();
    for (char *at = strtok_r(path + strlen(URI_BEGIN), ";", &rest); at;
         at = strtok_r(NULL, ";", &rest))
        if (!names_the_key(at)) {
            strcat(kept, at);
            strcat(kept, ";");
        }
    if (asprintf(&name, URI_BEGIN "%sobject=%s%s", kept, name_of_key, neighbour + path_size) < 0)
        abort();
    free(path);
    free(kept);
    return name;
}

static char *name_in_vault(const char *neighbour, const char *name_of_key)
{
    const char *keys = strstr(neighbour, VAULT_KEYS);
    char *name = NULL;
    if (keys
        && asprintf(&name, "%.*s" VAULT_KEYS "%s", (int)(keys - neighbour), neighbour, name_of_key)
               < 0)
        abort();
    return name;
}

static char *name_in_folder(const char *name_of_key)
{
    char *name;
    if (asprintf(&name, "file:%s.pem", name_of_key) < 0)
        abort();
    return name;
}

char *cm_key_name_beside(const char *kind, const char *neighbour, const char *name_of_key)
{
    if (strcmp(kind, "pkcs11") == 0)
        return neighbour && begins(neighbour, URI_BEGIN) ? name_in_token(neighbour, name_of_key)
                                                         : NULL;
    if (strcmp(kind, "keyvault") == 0)
        return neighbour && begins(neighbour, VAULT_BEGIN) ? name_in_vault(neighbour, name_of_key)
                                                           : NULL;
    return name_in_folder(name_of_key);
}

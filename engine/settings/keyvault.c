/* A provider's map `keyvault`: checked, and written as the options of its backend. */
#include "engine/settings/build.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "engine/settings/value.h"

/* ---------------------------------------------------------------------------------- checks -- */

static cm_status complain(struct settings_build *build, uint32_t position, const char *key,
                          const char *text)
{
    return settings_file_fail(build->file, build->err,
                              PLACE(build, "providers[%u].%s", position, key), "%s", text);
}

/* What a credential needs, and what only another one has. */
static cm_status check_credential(struct settings_build *build, uint32_t i,
                                  const struct raw_provider *raw)
{
    const struct raw_keyvault *vault = &raw->keyvault;
    bool is_secret = strcmp(vault->credential, "client-secret") == 0;
    bool is_certificate = strcmp(vault->credential, "client-certificate") == 0;
    if ((is_secret || is_certificate) && !vault->client)
        return complain(build, i, "keyvault.credential", "expected with it the key client");
    if (is_secret && !raw->passphrase)
        return complain(build, i, "keyvault.credential",
                        "expected with it the provider's passphrase: where the client secret is");
    if (is_certificate && !vault->certificate)
        return complain(build, i, "keyvault.credential", "expected with it the key certificate");
    if (!is_certificate && vault->certificate)
        return complain(build, i, "keyvault.certificate",
                        "expected only with credential: client-certificate");
    if (!is_certificate && !is_secret && raw->passphrase)
        return complain(build, i, "passphrase",
                        "expected none: managed-identity and workload-identity have no secret");
    if (raw->passphrase && strncmp(raw->passphrase, "prompt:", 7) == 0)
        return complain(build, i, "passphrase",
                        "expected no prompt: nobody may be there when the next token is needed");
    return CM_OK;
}

/* "HOST[:PORT]": how long it is; 0: there is none. */
static size_t host_size(const char *text)
{
    size_t size = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.");
    if (size == 0 || text[size] != ':')
        return size;
    size_t digits = strspn(text + size + 1, "0123456789");
    return digits > 0 ? size + 1 + digits : 0;
}

/* "https://HOST" and after it a slash or nothing; with has_path any path. */
static bool is_https(const char *url, bool has_path)
{
    size_t host = strncmp(url, "https://", 8) == 0 ? host_size(url + 8) : 0;
    if (host == 0)
        return false;
    const char *path = url + 8 + host;
    if (path[0] != '\0' && path[0] != '/')
        return false;
    for (const char *at = path; *at; at++)
        if (*at <= ' ' || *at > '~' || strchr("?#", *at))
            return false;
    return has_path || path[0] == '\0' || path[1] == '\0';
}

/* The backend refuses the same, but only when it is opened, and without the line. */
static cm_status check_urls(struct settings_build *build, uint32_t i,
                            const struct raw_keyvault *vault)
{
    if (vault->resource && !is_https(vault->resource, true))
        return complain(build, i, "keyvault.resource", "expected an URL that begins with https://");
    if (vault->authority && !is_https(vault->authority, false))
        return complain(build, i, "keyvault.authority",
                        "expected https://HOST, and nothing after the host");
    return CM_OK;
}

static cm_status check(struct settings_build *build, uint32_t i, const struct raw_provider *raw)
{
    cm_status status = check_credential(build, i, raw);
    return status == CM_OK ? check_urls(build, i, &raw->keyvault) : status;
}

/* --------------------------------------------------------------------------------- writing -- */

/* The options while they are written. */
struct writing {
    struct settings_build *build;
    uint32_t position;
    json_t *object;
    cm_status status; /* of the first that cannot stand in JSON */
};

/* What cannot be written must not go missing: without `trust` the system's CAs would be trusted. */
static void put_text(struct writing *writing, const char *name, const char *text)
{
    if (text && json_object_set_new(writing->object, name, json_string(text)) != 0
        && writing->status == CM_OK)
        writing->status =
            complain(writing->build, writing->position, PLACE(writing->build, "keyvault.%s", name),
                     "expected a path in UTF-8, with the folder that it starts in");
}

static void put_path(struct writing *writing, const char *name, const char *path)
{
    if (path)
        put_text(writing, name, settings_keep_absolute(writing->build, path));
}

static void put_number(struct writing *writing, const char *name, uint64_t number)
{
    json_object_set_new(writing->object, name, json_integer((json_int_t)number));
}

static void put_options(struct writing *writing, const struct raw_keyvault *raw)
{
    put_text(writing, "credential", raw->credential);
    put_text(writing, "tenant", raw->tenant);
    put_text(writing, "client", raw->client);
    put_path(writing, "certificate", raw->certificate);
    put_text(writing, "require", raw->require);
    put_number(writing, "in-flight", *raw->in_flight);
    if (raw->rate)
        put_number(writing, "rate", *raw->rate);
    put_number(writing, "timeout-ms", settings_duration_ms(raw->timeout));
    put_number(writing, "watch-ms", settings_duration_ms(raw->watch));
    put_path(writing, "trust", raw->trust);
    put_text(writing, "resource", raw->resource);
    put_text(writing, "authority", raw->authority);
    put_text(writing, "api-version", raw->api_version);
}

static cm_status write_options(struct settings_build *build, uint32_t position,
                               const struct raw_keyvault *raw, const char **ret_options)
{
    struct writing writing = { .build = build, .position = position, .object = json_object() };
    put_options(&writing, raw);
    char *text = json_dumps(writing.object, JSON_COMPACT);
    json_decref(writing.object);
    if (!text)
        abort();
    if (writing.status == CM_OK)
        *ret_options = settings_keep(build, text);
    free(text);
    return writing.status;
}

cm_status settings_build_keyvault(struct settings_build *build, uint32_t position,
                                  const char **ret_options)
{
    const struct raw_provider *raw = &build->raw->providers[position];
    if (strcmp(raw->kind, "keyvault") != 0) {
        if (settings_file_has(build->file, PLACE(build, "providers[%u].keyvault", position)))
            return complain(build, position, "keyvault", "expected only with kind: keyvault");
        return CM_OK;
    }
    cm_status status = check(build, position, raw);
    if (status != CM_OK)
        return status;
    return write_options(build, position, &raw->keyvault, ret_options);
}

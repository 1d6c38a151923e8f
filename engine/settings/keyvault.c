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

static cm_status check_url(struct settings_build *build, uint32_t i, const char *key,
                           const char *url)
{
    bool good = !url || (strncmp(url, "https://", 8) == 0 && url[8] != '/');
    for (; good && url && *url; url++)
        good = *url > ' ' && *url <= '~';
    return good ? CM_OK : complain(build, i, key, "expected an URL that begins with https://");
}

static cm_status check(struct settings_build *build, uint32_t i, const struct raw_provider *raw)
{
    cm_status status = check_credential(build, i, raw);
    if (status == CM_OK)
        status = check_url(build, i, "keyvault.resource", raw->keyvault.resource);
    if (status == CM_OK)
        status = check_url(build, i, "keyvault.authority", raw->keyvault.authority);
    return status;
}

/* --------------------------------------------------------------------------------- writing -- */

static void put_text(json_t *object, const char *name, const char *text)
{
    if (text)
        json_object_set_new(object, name, json_string(text));
}

static void put_path(struct settings_build *build, json_t *object, const char *name,
                     const char *path)
{
    if (path)
        put_text(object, name, settings_keep_absolute(build, path));
}

static void put_number(json_t *object, const char *name, uint64_t number)
{
    json_object_set_new(object, name, json_integer((json_int_t)number));
}

static json_t *options_of(struct settings_build *build, const struct raw_keyvault *raw)
{
    json_t *object = json_object();
    put_text(object, "credential", raw->credential);
    put_text(object, "tenant", raw->tenant);
    put_text(object, "client", raw->client);
    put_path(build, object, "certificate", raw->certificate);
    put_text(object, "require", raw->require);
    put_number(object, "in-flight", *raw->in_flight);
    if (raw->rate)
        put_number(object, "rate", *raw->rate);
    put_number(object, "timeout-ms", settings_duration_ms(raw->timeout));
    put_number(object, "watch-ms", settings_duration_ms(raw->watch));
    put_path(build, object, "trust", raw->trust);
    put_text(object, "resource", raw->resource);
    put_text(object, "authority", raw->authority);
    put_text(object, "api-version", raw->api_version);
    return object;
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
    json_t *object = options_of(build, &raw->keyvault);
    char *text = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    if (!text)
        abort();
    *ret_options = settings_keep(build, text);
    free(text);
    return CM_OK;
}

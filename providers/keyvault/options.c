#include "providers/keyvault/options.h"

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/secret.h"
#include "providers/keyvault/uri.h"

enum {
    TEXT_SIZE_MAX = 256,
    PATH_SIZE_MAX = 4096,
    IN_FLIGHT = 256,
    IN_FLIGHT_MAX = 4096,
    RATE_MAX = 1000000,
    WATCH_MS = 300000,
    WATCH_MS_MAX = 86400000,
    TIMEOUT_MS = 10000,
    TIMEOUT_MS_MIN = 100,
    TIMEOUT_MS_MAX = 600000
};

struct option;
typedef cm_status read_fn(const struct option *option, const json_t *value, void *field,
                          const struct cm_vault_options *options, struct cm_error *err);

/* One member of the object, and where its value goes. */
struct option {
    const char *name;
    read_fn *read;
    size_t offset;        /* of the field in struct cm_vault_options */
    const char *expected; /* for messages */
    bool (*is_good)(const char *text);
    uint32_t min, max;
};

static cm_status complain(const struct option *option, struct cm_error *err)
{
    return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "key vault option %s: expected %s",
                   option->name, option->expected);
}

static cm_status no_memory(struct cm_error *err)
{
    return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for a provider's options");
}

/* --- what texts may be --------------------------------------------------------------------------- */

static bool is_word(const char *text)
{
    return text[0] != '\0' && strlen(text) < TEXT_SIZE_MAX
           && text[strspn(text,
                          "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._")]
                  == '\0';
}

static bool is_path(const char *text)
{
    return text[0] != '\0' && strlen(text) < PATH_SIZE_MAX;
}

static bool is_url(const char *text)
{
    struct cm_https_url url;
    return strlen(text) < TEXT_SIZE_MAX && cm_text_is_visible(text)
           && !cm_https_url_read(text, &url);
}

static bool is_authority(const char *text)
{
    struct cm_https_url url;
    return is_url(text) && !cm_https_url_read(text, &url)
           && (url.path[0] == '\0' || strcmp(url.path, "/") == 0);
}

/* --- reading a member ---------------------------------------------------------------------------- */

static cm_status read_text(const struct option *option, const json_t *value, void *field,
                           const struct cm_vault_options *options, struct cm_error *err)
{
    char **text = field;
    const char *came = json_string_value(value);
    (void)options;
    if (!came || !option->is_good(came))
        return complain(option, err);
    free(*text);
    *text = strdup(came);
    return *text ? CM_OK : no_memory(err);
}

static cm_status read_path(const struct option *option, const json_t *value, void *field,
                           const struct cm_vault_options *options, struct cm_error *err)
{
    char **path = field;
    const char *came = json_string_value(value);
    if (!came || !is_path(came))
        return complain(option, err);
    bool is_relative = came[0] != '/' && options->folder;
    if (asprintf(path, "%s%s%s", is_relative ? options->folder : "", is_relative ? "/" : "", came)
        < 0) {
        *path = NULL;
        return no_memory(err);
    }
    return CM_OK;
}

/* A slash at the end would stand twice in the URLs that are made of it. */
static cm_status read_authority(const struct option *option, const json_t *value, void *field,
                                const struct cm_vault_options *options, struct cm_error *err)
{
    char **authority = field;
    cm_status status = read_text(option, value, field, options, err);
    if (status != CM_OK)
        return status;
    size_t size = strlen(*authority);
    if ((*authority)[size - 1] == '/')
        (*authority)[size - 1] = '\0';
    return CM_OK;
}

static cm_status read_number(const struct option *option, const json_t *value, void *field,
                             const struct cm_vault_options *options, struct cm_error *err)
{
    uint32_t *number = field;
    json_int_t came = json_integer_value(value);
    (void)options;
    if (!json_is_integer(value) || came < option->min || came > option->max)
        return complain(option, err);
    *number = (uint32_t)came;
    return CM_OK;
}

static cm_status read_credential(const struct option *option, const json_t *value, void *field,
                                 const struct cm_vault_options *options, struct cm_error *err)
{
    static const char *const names[] = {
        [CM_VAULT_MANAGED_IDENTITY] = "managed-identity",
        [CM_VAULT_CLIENT_SECRET] = "client-secret",
        [CM_VAULT_CLIENT_CERTIFICATE] = "client-certificate",
        [CM_VAULT_WORKLOAD_IDENTITY] = "workload-identity",
    };
    enum cm_vault_credential *credential = field;
    const char *came = json_string_value(value);
    (void)options;
    for (unsigned i = 0; came && i < sizeof names / sizeof names[0]; i++)
        if (strcmp(came, names[i]) == 0) {
            *credential = (enum cm_vault_credential)i;
            return CM_OK;
        }
    return complain(option, err);
}

static cm_status read_require(const struct option *option, const json_t *value, void *field,
                              const struct cm_vault_options *options, struct cm_error *err)
{
    bool *requires_hsm = field;
    const char *came = json_string_value(value);
    (void)options;
    if (!came || (strcmp(came, "hsm") != 0 && strcmp(came, "software") != 0))
        return complain(option, err);
    *requires_hsm = strcmp(came, "hsm") == 0;
    return CM_OK;
}

#define FIELD(member) offsetof(struct cm_vault_options, member)

static const struct option known[] = {
    { "credential", read_credential, FIELD(credential),
      "client-secret, client-certificate, managed-identity or workload-identity", NULL, 0, 0 },
    { "tenant", read_text, FIELD(tenant), "a directory's id or domain", is_word, 0, 0 },
    { "client", read_text, FIELD(client), "a client id", is_word, 0, 0 },
    { "certificate", read_path, FIELD(certificate), "the path of a PEM file", NULL, 0, 0 },
    { "require", read_require, FIELD(requires_hsm), "hsm or software", NULL, 0, 0 },
    { "in-flight", read_number, FIELD(in_flight_max), "a number from 1 to 4096", NULL, 1,
      IN_FLIGHT_MAX },
    { "rate", read_number, FIELD(rate), "a number from 1 to 1000000", NULL, 1, RATE_MAX },
    { "timeout-ms", read_number, FIELD(timeout_ms), "a number from 100 to 600000", NULL,
      TIMEOUT_MS_MIN, TIMEOUT_MS_MAX },
    { "watch-ms", read_number, FIELD(watch_ms), "a number from 100 to 86400000", NULL,
      TIMEOUT_MS_MIN, WATCH_MS_MAX },
    { "trust", read_path, FIELD(trust), "the path of a PEM file", NULL, 0, 0 },
    { "resource", read_text, FIELD(resource), "an https URL", is_url, 0, 0 },
    { "authority", read_authority, FIELD(authority), "https://HOST", is_authority, 0, 0 },
    { "api-version", read_text, FIELD(api_version), "a version of the REST API, like 7.4", is_word,
      0, 0 },
};

static const struct option *find_option(const char *name)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i].name, name) == 0)
            return &known[i];
    return NULL;
}

static cm_status read_members(json_t *object, struct cm_vault_options *options,
                              struct cm_error *err)
{
    const char *name;
    json_t *value;
    cm_status status = CM_OK;
    json_object_foreach(object, name, value)
    {
        char shown[64];
        const struct option *option = find_option(name);
        if (!option)
            return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0,
                           "key vault option %s: there is none of this name",
                           cm_bytes_printable(cm_bytes_str(name), shown, sizeof shown));
        status = option->read(option, value, (char *)options + option->offset, options, err);
        if (status != CM_OK)
            break;
    }
    return status;
}

/* --- what a credential needs --------------------------------------------------------------------- */

static cm_status check_secret(const struct cm_vault_options *options, struct cm_error *err)
{
    if (!options->secret_ref)
        return CM_OK;
    if (cm_secret_is_asked(options->secret_ref))
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0,
                       "passphrase %s: nobody may be there when the next token is needed; name a "
                       "file or a credential",
                       options->secret_ref);
    return cm_secret_check(options->secret_ref, options->folder, err);
}

static cm_status check_credential(const struct cm_vault_options *options, struct cm_error *err)
{
    bool is_secret = options->credential == CM_VAULT_CLIENT_SECRET;
    bool is_certificate = options->credential == CM_VAULT_CLIENT_CERTIFICATE;
    const char *complaint = NULL;
    if (is_secret && !options->client)
        complaint = "client-secret needs the option client";
    else if (is_secret && !options->secret_ref)
        complaint = "client-secret needs the provider's passphrase: where the secret is";
    else if (is_certificate && !options->client)
        complaint = "client-certificate needs the option client";
    else if (is_certificate && !options->certificate)
        complaint = "client-certificate needs the option certificate";
    else if (!is_certificate && options->certificate)
        complaint = "the option certificate belongs to client-certificate only";
    else if (!is_certificate && !is_secret && options->secret_ref)
        complaint = "managed-identity and workload-identity have no passphrase";
    if (complaint)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "key vault option credential: %s",
                       complaint);
    return check_secret(options, err);
}

/* --- the whole ----------------------------------------------------------------------------------- */

static bool copy_text(const char *text, char **ret_copy)
{
    *ret_copy = text ? strdup(text) : NULL;
    return !text || *ret_copy;
}

static cm_status set_defaults(const struct cm_provider_settings *settings,
                              struct cm_vault_options *options, struct cm_error *err)
{
    *options = (struct cm_vault_options){ .in_flight_max = IN_FLIGHT,
                                          .timeout_ms = TIMEOUT_MS,
                                          .watch_ms = WATCH_MS };
    bool is_copied = copy_text(settings->folder, &options->folder)
                     && copy_text(settings->passphrase_ref, &options->secret_ref)
                     && copy_text("7.4", &options->api_version);
    return is_copied ? CM_OK : no_memory(err);
}

static cm_status read_object(const char *text, struct cm_vault_options *options,
                             struct cm_error *err)
{
    json_error_t where;
    char shown[64];
    json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, &where);
    cm_status status;
    if (json_is_object(object))
        status = read_members(object, options, err);
    else
        status = CM_FAIL(
            err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "key vault options are not a JSON object: %s",
            object ? "there is something else"
                   : cm_bytes_printable(cm_bytes_str(where.text), shown, sizeof shown));
    json_decref(object);
    return status;
}

cm_status cm_vault_options_read(const struct cm_provider_settings *settings,
                                struct cm_vault_options *ret_options, struct cm_error *err)
{
    struct cm_vault_options options;
    cm_status status = set_defaults(settings, &options, err);
    if (status == CM_OK && settings->options)
        status = read_object(settings->options, &options, err);
    if (status == CM_OK)
        status = check_credential(&options, err);
    if (status == CM_OK)
        *ret_options = options;
    else
        cm_vault_options_done(&options);
    return status;
}

void cm_vault_options_done(struct cm_vault_options *options)
{
    if (!options)
        return;
    free(options->tenant);
    free(options->client);
    free(options->certificate);
    free(options->secret_ref);
    free(options->folder);
    free(options->trust);
    free(options->resource);
    free(options->authority);
    free(options->api_version);
    *options = (struct cm_vault_options){ 0 };
}

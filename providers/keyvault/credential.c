#include "providers/keyvault/credential.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "engine/base/secret.h"
#include "providers/keyvault/assertion.h"
#include "providers/keyvault/uri.h"

enum { FEDERATED_TOKEN_SIZE_MAX = 16384 };

/* --- texts that hold secrets --------------------------------------------------------------------- */

/* Grows by wiping what it leaves behind. */
struct text {
    char *data; /* NUL-terminated; NULL: nothing yet, or no memory */
    size_t size;
    size_t space;
    bool has_failed;
};

static void put_bytes(struct text *text, const char *data, size_t size)
{
    if (text->has_failed)
        return;
    if (text->size + size + 1 > text->space) {
        size_t space = 2 * (text->size + size) + 256;
        char *grown = OPENSSL_clear_realloc(text->data, text->space, space);
        text->has_failed = !grown;
        if (!grown)
            return;
        text->data = grown;
        text->space = space;
    }
    memcpy(text->data + text->size, data, size);
    text->size += size;
    text->data[text->size] = '\0';
}

static void put(struct text *text, const char *string)
{
    put_bytes(text, string, strlen(string));
}

/* As a value in a query or a form. */
static void put_escaped(struct text *text, const char *string)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    static const char digits[] = "0123456789ABCDEF";
    for (; *string; string++) {
        uint8_t c = (uint8_t)*string;
        char escaped[3] = { '%', digits[c >> 4], digits[c & 15] };
        if (strchr(plain, c))
            put_bytes(text, string, 1);
        else
            put_bytes(text, escaped, sizeof escaped);
    }
}

static void text_done(struct text *text)
{
    OPENSSL_clear_free(text->data, text->space);
}

static void free_wiped(char *text)
{
    if (text)
        OPENSSL_clear_free(text, strlen(text));
}

static cm_status no_memory(struct cm_error *err)
{
    return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for a token request");
}

/* --- what the environment says ------------------------------------------------------------------- */

/* An empty variable is none. */
static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && value[0] ? value : NULL;
}

/* NULL: NOT_FOUND, as err says. */
static const char *need_variable(const char *name, struct cm_error *err)
{
    const char *value = variable(name);
    if (!value)
        CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                "environment variable %s is not set; the workload identity's webhook sets it",
                name);
    return value;
}

/* It ends up in a header line or a URL. */
static bool is_visible(const char *text)
{
    for (; *text; text++)
        if (*text <= ' ' || *text > '~')
            return false;
    return true;
}

/* Others may be able to read the file: kubelet decides about that. */
static cm_status read_federated_token(const char *path, char *buffer, size_t space,
                                      struct cm_error *err)
{
    size_t size = 0;
    ssize_t got = 1;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return CM_FAIL(err, errno == ENOENT || errno == ENOTDIR ? CM_NOT_FOUND : CM_DENIED,
                       CM_ORIGIN_OS, errno, "federated token %s", path);
    while (size < space && (got = read(fd, buffer + size, space - size)) > 0)
        size += (size_t)got;
    int code = errno;
    close(fd);
    if (got < 0)
        return CM_FAIL(err, CM_DENIED, CM_ORIGIN_OS, code, "read federated token %s", path);
    if (size > 0 && buffer[size - 1] == '\n')
        size--;
    bool is_token = size > 0 && size < space;
    buffer[is_token ? size : 0] = '\0';
    if (!is_token || strlen(buffer) != size || !is_visible(buffer))
        return CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0,
                       "federated token %s: the file does not hold one line of a token", path);
    return CM_OK;
}

/* --- asking the directory ------------------------------------------------------------------------ */

/* One request in the making. */
struct asking {
    const struct cm_vault_options *options;
    const struct cm_challenge *challenge;
    int64_t now_s;
    struct text url, form, header;
};

/*
 * Secrets and federated tokens open the vault to whoever gets them. The vault only says where tokens
 * come from: somebody who calls himself a vault would name himself.
 */
static cm_status check_directory(const struct asking *asking, struct cm_error *err)
{
    static const char *const known[] = { "login.microsoftonline.com", "login.windows.net",
                                         "login.microsoftonline.us", "login.chinacloudapi.cn",
                                         "login.partner.microsoftonline.cn" };
    const char *named = asking->challenge->authority;
    struct cm_https_url url;
    if (asking->options->authority)
        return CM_OK;
    const char *fault = cm_https_url_read(named, &url);
    for (size_t i = 0; !fault && i < sizeof known / sizeof known[0]; i++)
        if (strcmp(url.host, known[i]) == 0 && url.port == 443)
            return CM_OK;
    return CM_FAIL(
        err, CM_DENIED, CM_ORIGIN_SELF, 0,
        "the vault names a directory that is none of Microsoft's: %.100s; if it is meant, set authority",
        named);
}

static void put_directory(struct asking *asking, const char *tenant, const char *client)
{
    const struct cm_vault_options *options = asking->options;
    put(&asking->url, options->authority ? options->authority : asking->challenge->authority);
    put(&asking->url, "/");
    put(&asking->url, tenant ? tenant : asking->challenge->tenant);
    put(&asking->url, "/oauth2/v2.0/token");
    put(&asking->form, "grant_type=client_credentials&client_id=");
    put_escaped(&asking->form, client);
    put(&asking->form, "&scope=");
    put_escaped(&asking->form, asking->challenge->resource);
    put_escaped(&asking->form, "/.default");
}

static void put_assertion(struct asking *asking, const char *assertion)
{
    put(&asking->form, "&client_assertion_type=");
    put_escaped(&asking->form, "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    put(&asking->form, "&client_assertion=");
    put_escaped(&asking->form, assertion);
}

static cm_status ask_with_secret(struct asking *asking, struct cm_error *err)
{
    const struct cm_vault_options *options = asking->options;
    struct cm_secret secret;
    cm_status status = cm_secret_read(options->secret_ref, options->folder, &secret, err);
    if (status != CM_OK)
        return status;
    put_directory(asking, options->tenant, options->client);
    put(&asking->form, "&client_secret=");
    put_escaped(&asking->form, secret.text);
    cm_secret_done(&secret);
    return CM_OK;
}

static cm_status ask_with_certificate(struct asking *asking, struct cm_error *err)
{
    const struct cm_vault_options *options = asking->options;
    struct cm_secret passphrase = { 0 };
    char *assertion = NULL;
    cm_status status = CM_OK;
    put_directory(asking, options->tenant, options->client);
    if (asking->url.has_failed)
        return no_memory(err);
    if (options->secret_ref)
        status = cm_secret_read(options->secret_ref, options->folder, &passphrase, err);
    if (status == CM_OK) {
        struct cm_assertion_claims claims = { .client = options->client,
                                              .audience = asking->url.data,
                                              .now_s = asking->now_s };
        status = cm_assertion_make(options->certificate, passphrase.text, &claims, &assertion, err);
    }
    cm_secret_done(&passphrase);
    if (status == CM_OK)
        put_assertion(asking, assertion);
    free_wiped(assertion);
    return status;
}

static cm_status ask_with_workload_identity(struct asking *asking, struct cm_error *err)
{
    const struct cm_vault_options *options = asking->options;
    const char *path = need_variable("AZURE_FEDERATED_TOKEN_FILE", err);
    const char *client = options->client, *tenant = options->tenant;
    char token[FEDERATED_TOKEN_SIZE_MAX];
    if (path && !client)
        client = need_variable("AZURE_CLIENT_ID", err);
    if (!path || !client)
        return CM_NOT_FOUND;
    if (!tenant)
        tenant = variable("AZURE_TENANT_ID");
    cm_status status = read_federated_token(path, token, sizeof token, err);
    if (status == CM_OK) {
        put_directory(asking, tenant, client);
        put_assertion(asking, token);
    }
    OPENSSL_cleanse(token, sizeof token);
    return status;
}

/* --- asking this machine ------------------------------------------------------------------------- */

static void put_resource(struct asking *asking, const char *api_version)
{
    put(&asking->url, "?api-version=");
    put(&asking->url, api_version);
    put(&asking->url, "&resource=");
    put_escaped(&asking->url, asking->challenge->resource);
    if (asking->options->client) {
        put(&asking->url, "&client_id=");
        put_escaped(&asking->url, asking->options->client);
    }
}

static cm_status check_endpoint(const char *name, const char *url, struct cm_error *err)
{
    bool is_http = strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0;
    if (is_http && is_visible(url) && !strpbrk(url, "?#"))
        return CM_OK;
    return CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0, "environment variable %s is not a URL", name);
}

static cm_status ask_app_service(struct asking *asking, const char *endpoint, struct cm_error *err)
{
    const char *secret = variable("IDENTITY_HEADER");
    cm_status status = check_endpoint("IDENTITY_ENDPOINT", endpoint, err);
    if (status != CM_OK)
        return status;
    if (!secret)
        return CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_SELF, 0,
                       "IDENTITY_ENDPOINT is set without IDENTITY_HEADER: the managed identity of "
                       "Azure Arc is not supported; use client-certificate");
    if (!is_visible(secret))
        return CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0,
                       "environment variable IDENTITY_HEADER holds what no header may hold");
    put(&asking->url, endpoint);
    put_resource(asking, "2019-08-01");
    put(&asking->header, "X-IDENTITY-HEADER: ");
    put(&asking->header, secret);
    return CM_OK;
}

static cm_status ask_managed_identity(struct asking *asking, struct cm_error *err)
{
    static const char pod[] = "AZURE_POD_IDENTITY_AUTHORITY_HOST";
    const char *endpoint = variable("IDENTITY_ENDPOINT"), *host = variable(pod);
    if (endpoint)
        return ask_app_service(asking, endpoint, err);
    if (!host)
        host = "http://169.254.169.254";
    cm_status status = check_endpoint(pod, host, err);
    if (status != CM_OK)
        return status;
    size_t size = strlen(host);
    put_bytes(&asking->url, host, host[size - 1] == '/' ? size - 1 : size);
    put(&asking->url, "/metadata/identity/oauth2/token");
    put_resource(asking, "2018-02-01");
    put(&asking->header, "Metadata: true");
    return CM_OK;
}

/* --- the request --------------------------------------------------------------------------------- */

static cm_status ask(struct asking *asking, struct cm_error *err)
{
    if (asking->options->credential != CM_VAULT_MANAGED_IDENTITY
        && check_directory(asking, err) != CM_OK)
        return CM_DENIED;
    switch (asking->options->credential) {
    case CM_VAULT_CLIENT_SECRET:
        return ask_with_secret(asking, err);
    case CM_VAULT_CLIENT_CERTIFICATE:
        return ask_with_certificate(asking, err);
    case CM_VAULT_WORKLOAD_IDENTITY:
        return ask_with_workload_identity(asking, err);
    case CM_VAULT_MANAGED_IDENTITY:
        break;
    }
    return ask_managed_identity(asking, err);
}

cm_status cm_credential_ask(const struct cm_vault_options *options,
                            const struct cm_challenge *challenge, int64_t now_s,
                            struct cm_token_request *ret_request, struct cm_error *err)
{
    struct asking asking = { .options = options, .challenge = challenge, .now_s = now_s };
    cm_status status = ask(&asking, err);
    if (status == CM_OK
        && (asking.url.has_failed || asking.form.has_failed || asking.header.has_failed))
        status = no_memory(err);
    if (status == CM_OK) {
        *ret_request = (struct cm_token_request){ .url = asking.url.data,
                                                  .form = asking.form.data,
                                                  .header = asking.header.data };
        return CM_OK;
    }
    text_done(&asking.url);
    text_done(&asking.form);
    text_done(&asking.header);
    return status;
}

void cm_token_request_done(struct cm_token_request *request)
{
    if (!request)
        return;
    free_wiped(request->url);
    free_wiped(request->form);
    free_wiped(request->header);
    *request = (struct cm_token_request){ 0 };
}

#include "providers/keyvault/uri.h"

#include <stdio.h>
#include <strings.h>

enum { LABEL_SIZE_MAX = 63, PORT_USUAL = 443, PORT_DIGITS_MAX = 5 };

static const char scheme[] = "https://";
static const char folder[] = "/keys/";

static bool is_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static char to_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static cm_status complain(struct cm_error *err, const char *text, const char *complaint)
{
    char shown[128];
    return CM_FAIL(
        err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "key vault URI %s %s",
        cm_bytes_printable(cm_bytes(text, strnlen(text, CM_VAULT_URI_SIZE)), shown, sizeof shown),
        complaint);
}

/* ------------------------------------------------------------------ parts -- */

/* Letters, digits and hyphens, the latter not at an end: a label of a host name (RFC 1123 2.1). */
static bool is_label(struct cm_bytes label)
{
    const char *text = (const char *)label.data;
    if (label.size == 0 || label.size > LABEL_SIZE_MAX || text[0] == '-'
        || text[label.size - 1] == '-')
        return false;
    for (size_t i = 0; i < label.size; i++)
        if (!is_alphanumeric(text[i]) && text[i] != '-')
            return false;
    return true;
}

/* A final dot is none of the spellings: the same vault would have two names. */
static bool read_host(struct cm_bytes part, char ret_host[CM_VAULT_HOST_SIZE])
{
    if (part.size >= CM_VAULT_HOST_SIZE)
        return false;
    for (size_t from = 0, end; from <= part.size; from = end + 1) {
        end = from;
        while (end < part.size && part.data[end] != '.')
            end++;
        if (!is_label(cm_bytes(part.data + from, end - from)))
            return false;
    }
    for (size_t i = 0; i < part.size; i++)
        ret_host[i] = to_lower((char)part.data[i]);
    ret_host[part.size] = '\0';
    return true;
}

static bool read_port(struct cm_bytes digits, uint16_t *ret_port)
{
    uint32_t port = 0;
    if (digits.size == 0 || digits.size > PORT_DIGITS_MAX || digits.data[0] == '0')
        return false;
    for (size_t i = 0; i < digits.size; i++) {
        if (digits.data[i] < '0' || digits.data[i] > '9')
            return false;
        port = port * 10 + (uint32_t)(digits.data[i] - '0');
    }
    *ret_port = (uint16_t)port;
    return port <= UINT16_MAX;
}

/* A key's name, or its version. */
static bool read_name(struct cm_bytes part, char *ret_name, size_t space)
{
    if (part.size == 0 || part.size >= space)
        return false;
    for (size_t i = 0; i < part.size; i++)
        if (!is_alphanumeric((char)part.data[i]) && part.data[i] != '-')
            return false;
    memcpy(ret_name, part.data, part.size);
    ret_name[part.size] = '\0';
    return true;
}

/* ------------------------------------------------------------------ the whole -- */

bool cm_text_is_visible(const char *text)
{
    for (; *text; text++)
        if (*text <= ' ' || *text > '~')
            return false;
    return true;
}

const char *cm_https_url_read(const char *text, struct cm_https_url *ret_url)
{
    const size_t scheme_size = sizeof scheme - 1;
    if (strncmp(text, scheme, scheme_size) != 0)
        return "does not start with https://";
    if (strpbrk(text, "?#"))
        return "has a query or a fragment";
    const char *start = text + scheme_size;
    struct cm_bytes part = cm_bytes(start, strcspn(start, "/"));
    const uint8_t *colon = memchr(part.data, ':', part.size);
    size_t host_size = colon ? (size_t)(colon - part.data) : part.size;
    struct cm_https_url url = { .port = PORT_USUAL, .path = start + part.size };
    if (memchr(part.data, '@', part.size))
        return "names a user; a vault is asked with a token";
    if (!read_host(cm_bytes(part.data, host_size), url.host))
        return "has no valid host name";
    if (colon && !read_port(cm_bytes_from(part, host_size + 1), &url.port))
        return "has a port that is not 1 to 65535";
    *ret_url = url;
    return NULL;
}

static const char *read_path(const char *path, struct cm_vault_uri *uri)
{
    const size_t folder_size = sizeof folder - 1;
    if (strncmp(path, folder, folder_size) != 0)
        return "names no key: expected https://HOST/keys/NAME";
    path += folder_size;
    size_t name_size = strcspn(path, "/");
    if (!read_name(cm_bytes(path, name_size), uri->name, sizeof uri->name))
        return "has a key name that is not 1 to 127 letters, digits and hyphens";
    if (path[name_size] == '\0')
        return NULL;
    if (!read_name(cm_bytes_str(path + name_size + 1), uri->version, sizeof uri->version))
        return "has a version that is not 1 to 64 letters and digits";
    return NULL;
}

cm_status cm_vault_uri_read(const char *text, struct cm_vault_uri *ret_uri, struct cm_error *err)
{
    struct cm_vault_uri uri = { 0 };
    struct cm_https_url url;
    if (strnlen(text, CM_VAULT_URI_SIZE) == CM_VAULT_URI_SIZE)
        return complain(err, text, "is longer than 511 characters");
    const char *complaint = cm_https_url_read(text, &url);
    if (!complaint)
        complaint = read_path(url.path, &uri);
    if (complaint)
        return complain(err, text, complaint);
    memcpy(uri.host, url.host, sizeof uri.host);
    uri.port = url.port;
    *ret_uri = uri;
    return CM_OK;
}

/* ------------------------------------------------------------------ writing, comparing -- */

void cm_vault_uri_write_base(const struct cm_vault_uri *uri, char ret_text[CM_VAULT_URI_SIZE])
{
    if (uri->port == PORT_USUAL)
        snprintf(ret_text, CM_VAULT_URI_SIZE, "%s%s", scheme, uri->host);
    else
        snprintf(ret_text, CM_VAULT_URI_SIZE, "%s%s:%u", scheme, uri->host, uri->port);
}

void cm_vault_uri_write(const struct cm_vault_uri *uri, char ret_text[CM_VAULT_URI_SIZE])
{
    cm_vault_uri_write_base(uri, ret_text);
    size_t size = strlen(ret_text);
    snprintf(ret_text + size, CM_VAULT_URI_SIZE - size, "%s%s%s%s", folder, uri->name,
             uri->version[0] ? "/" : "", uri->version);
}

bool cm_vault_uri_same_vault(const struct cm_vault_uri *a, const struct cm_vault_uri *b)
{
    return a->port == b->port && strcasecmp(a->host, b->host) == 0;
}

bool cm_vault_uri_same_key(const struct cm_vault_uri *a, const struct cm_vault_uri *b)
{
    return cm_vault_uri_same_vault(a, b) && strcasecmp(a->name, b->name) == 0
           && strcasecmp(a->version, b->version) == 0;
}

bool cm_vault_uri_is_managed_hsm(const struct cm_vault_uri *uri)
{
    return strstr(uri->host, ".managedhsm.") != NULL;
}

#include "providers/keyvault/challenge.h"

#include <stdio.h>
#include <strings.h>

#include "providers/keyvault/uri.h"

static const char default_scope[] = "/.default";

/* What is looked for; each the first of its name, "" where there is none. */
struct members {
    char authorization[CM_CHALLENGE_TEXT_SIZE];
    char authorization_uri[CM_CHALLENGE_TEXT_SIZE];
    char resource[CM_CHALLENGE_TEXT_SIZE];
    char scope[CM_CHALLENGE_TEXT_SIZE];
};

/* --- the header ---------------------------------------------------------------------------------- */

static const char *skip(const char *next, const char *set)
{
    return next + strspn(next, set);
}

/* Up to what ends a name or a value that has no quotes. */
static size_t word_size(const char *text)
{
    return strcspn(text, " \t,=\"");
}

/* A value that is too long becomes "", which no member may be. Returns what follows; NULL: no end. */
static const char *read_quoted(const char *next, char ret_value[CM_CHALLENGE_TEXT_SIZE])
{
    size_t size = 0;
    for (; *next != '"'; next++) {
        if (*next == '\\')
            next++;
        if (*next == '\0')
            return NULL;
        if (size < CM_CHALLENGE_TEXT_SIZE)
            ret_value[size++] = *next;
    }
    ret_value[size < CM_CHALLENGE_TEXT_SIZE ? size : 0] = '\0';
    return next + 1;
}

static const char *read_value(const char *next, char ret_value[CM_CHALLENGE_TEXT_SIZE])
{
    if (*next == '"')
        return read_quoted(next + 1, ret_value);
    size_t size = strcspn(next, " \t,");
    snprintf(ret_value, CM_CHALLENGE_TEXT_SIZE, "%.*s",
             size < CM_CHALLENGE_TEXT_SIZE ? (int)size : 0, next);
    return next + size;
}

static char *member_of(struct members *members, const char *name, size_t size)
{
    struct {
        const char *name;
        char *value;
    } const known[] = {
        { "authorization", members->authorization },
        { "authorization_uri", members->authorization_uri },
        { "resource", members->resource },
        { "scope", members->scope },
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strlen(known[i].name) == size && strncasecmp(known[i].name, name, size) == 0)
            return known[i].value;
    return NULL;
}

/* A word with = behind it is a member, one without it starts the next challenge. */
static bool read_header(const char *next, struct members *members)
{
    bool is_bearer = false, was_found = false;
    for (next = skip(next, " \t,"); *next; next = skip(next, " \t,")) {
        const char *word = next, *behind;
        size_t size = word_size(word);
        behind = skip(word + size, " \t");
        if (size == 0)
            return false;
        if (*behind != '=') {
            is_bearer =
                !was_found && size == strlen("Bearer") && !strncasecmp(word, "Bearer", size);
            was_found = was_found || is_bearer;
            next = behind;
            continue;
        }
        char value[CM_CHALLENGE_TEXT_SIZE];
        char *member = is_bearer ? member_of(members, word, size) : NULL;
        next = read_value(skip(behind + 1, " \t"), value);
        if (!next)
            return false;
        if (member && member[0] == '\0')
            memcpy(member, value, sizeof value);
    }
    return was_found;
}

/* --- what it says -------------------------------------------------------------------------------- */

static bool is_tenant(const char *text, size_t size)
{
    return size > 0 && text[0] != '.'
           && strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._")
                  >= size;
}

static bool read_authority(const char *text, struct cm_challenge *challenge)
{
    static const char dsts[] = "/dstsv2/";
    struct cm_https_url url;
    if (cm_https_url_read(text, &url))
        return false;
    const char *tenant = url.path[0] ? url.path + 1 : url.path;
    if (strncasecmp(url.path, dsts, sizeof dsts - 1) == 0)
        tenant = url.path + sizeof dsts - 1;
    size_t size = strcspn(tenant, "/");
    if (!is_tenant(tenant, size))
        return false;
    snprintf(challenge->authority, sizeof challenge->authority, "%.*s", (int)(url.path - text),
             text);
    snprintf(challenge->tenant, sizeof challenge->tenant, "%.*s", (int)size, tenant);
    return true;
}

static bool read_resource(const struct members *members, struct cm_challenge *challenge,
                          struct cm_https_url *ret_url)
{
    char *resource = challenge->resource;
    const size_t suffix_size = sizeof default_scope - 1;
    memcpy(resource, members->resource[0] ? members->resource : members->scope,
           sizeof challenge->resource);
    size_t size = strlen(resource);
    if (size > suffix_size && strcmp(resource + size - suffix_size, default_scope) == 0)
        resource[size - suffix_size] = '\0';
    return cm_text_is_visible(resource) && !cm_https_url_read(resource, ret_url);
}

/* With the dot: evilvault.azure.net does not lie under vault.azure.net. */
static bool lies_under(const char *host, const char *parent)
{
    size_t host_size = strlen(host), parent_size = strlen(parent);
    return host_size > parent_size + 1 && host[host_size - parent_size - 1] == '.'
           && strcasecmp(host + host_size - parent_size, parent) == 0;
}

static cm_status deny(struct cm_error *err, const char *host, const char *complaint,
                      const char *came)
{
    char shown[96];
    return CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0, "%.80s: %s %s", host, complaint,
                   cm_bytes_printable(cm_bytes_str(came), shown, sizeof shown));
}

cm_status cm_challenge_read(const char *header, const char *host, const char *allowed_resource,
                            struct cm_challenge *ret_challenge, struct cm_error *err)
{
    struct members members = { 0 };
    struct cm_challenge challenge = { 0 };
    struct cm_https_url resource;
    if (!read_header(header, &members))
        return deny(err, host, "asks for no bearer token, but:", header);
    const char *authority =
        members.authorization[0] ? members.authorization : members.authorization_uri;
    if (!read_authority(authority, &challenge))
        return deny(err, host, "names no directory that tokens come from:", authority);
    if (!read_resource(&members, &challenge, &resource))
        return deny(err, host, "names no resource that the token is for:", challenge.resource);
    if (allowed_resource ? strcmp(challenge.resource, allowed_resource) != 0
                         : !lies_under(host, resource.host))
        return deny(err, host, "must not have tokens for", challenge.resource);
    *ret_challenge = challenge;
    return CM_OK;
}

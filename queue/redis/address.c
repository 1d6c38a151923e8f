#include "queue/redis/address.h"

#include <openssl/crypto.h>
#include <string.h>

#include "engine/base/bytes.h"
#include "engine/base/secret.h"

static bool read_number(const char *text, size_t size, uint32_t max, uint32_t *ret_number)
{
    uint64_t number = 0;
    if (size == 0 || size > 10)
        return false;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        number = number * 10 + (uint64_t)(text[i] - '0');
    }
    if (number > max)
        return false;
    *ret_number = (uint32_t)number;
    return true;
}

/* Copies size characters, without %XX; false when they do not fit or an escape is none. */
static bool copy_decoded(const char *text, size_t size, char *ret_text, size_t space)
{
    size_t used = 0;
    for (size_t i = 0; i < size; i++) {
        uint8_t octet = (uint8_t)text[i];
        size_t octets_count = 1;
        if (octet == '%') {
            if (size - i < 3 || !cm_hex_decode(text + i + 1, 2, &octet, 1, &octets_count))
                return false;
            i += 2;
        }
        if (used + 1 >= space || octet == '\0')
            return false;
        ret_text[used++] = (char)octet;
    }
    ret_text[used] = '\0';
    return true;
}

static bool read_socket(const char *rest, struct cm_redis_address *address)
{
    const char *query = strchr(rest, '?');
    size_t size = query ? (size_t)(query - rest) : strlen(rest);
    if (rest[0] != '/' || size >= sizeof address->socket)
        return false;
    memcpy(address->socket, rest, size);
    address->socket[size] = '\0';
    if (!query)
        return true;
    return strncmp(query, "?db=", 4) == 0
           && read_number(query + 4, strlen(query + 4), UINT32_MAX, &address->db);
}

static bool read_login(const char *login, size_t size, struct cm_redis_address *address)
{
    const char *colon = memchr(login, ':', size);
    if (!colon)
        return copy_decoded(login, size, address->user, sizeof address->user);
    size_t user_size = (size_t)(colon - login);
    return copy_decoded(login, user_size, address->user, sizeof address->user)
           && copy_decoded(colon + 1, size - user_size - 1, address->password,
                           sizeof address->password);
}

static bool read_port(const char *text, size_t size, struct cm_redis_address *address)
{
    uint32_t port;
    if (!read_number(text, size, UINT16_MAX, &port) || port == 0)
        return false;
    address->port = (uint16_t)port;
    return true;
}

/* host, host:port, [v6] or [v6]:port */
static bool read_host(const char *text, size_t size, struct cm_redis_address *address)
{
    const char *bracket = text[0] == '[' ? memchr(text, ']', size) : NULL;
    const char *host = bracket ? text + 1 : text;
    const char *host_end = bracket ? bracket : memchr(text, ':', size);
    const char *end = text + size;
    if (!host_end)
        host_end = end;
    size_t host_size = (size_t)(host_end - host);
    if (host_size == 0 || host_size >= sizeof address->host)
        return false;
    memcpy(address->host, host, host_size);
    address->host[host_size] = '\0';
    const char *rest = bracket ? bracket + 1 : host_end;
    address->port = 6379;
    return rest == end || (*rest == ':' && read_port(rest + 1, (size_t)(end - rest - 1), address));
}

static bool read_tcp(const char *rest, struct cm_redis_address *address)
{
    const char *at = strrchr(rest, '@');
    if (at && !read_login(rest, (size_t)(at - rest), address))
        return false;
    const char *host = at ? at + 1 : rest;
    size_t host_size = strcspn(host, "/");
    const char *db = host + host_size;
    if (!read_host(host, host_size, address))
        return false;
    if (db[0] == '\0' || db[1] == '\0')
        return true;
    return read_number(db + 1, strlen(db + 1), UINT32_MAX, &address->db);
}

static cm_status keep_password(const char *reference, const struct cm_secret *secret,
                               struct cm_redis_address *address, struct cm_error *err)
{
    if (secret->size >= sizeof address->password)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0,
                       "the Redis password: secret %s has %zu octets; at most %zu are used",
                       reference, secret->size, sizeof address->password - 1);
    memcpy(address->password, secret->text, secret->size + 1);
    return CM_OK;
}

static cm_status read_password(const char *reference, struct cm_redis_address *address,
                               struct cm_error *err)
{
    struct cm_secret secret;
    struct cm_error cause;
    cm_status status = cm_secret_read(reference, NULL, &secret, &cause);
    if (status != CM_OK)
        return CM_FAIL(err, status, CM_ORIGIN_SELF, 0, "the Redis password: %.200s", cause.text);
    status = keep_password(reference, &secret, address, err);
    cm_secret_done(&secret);
    return status;
}

cm_status cm_redis_address_read(const char *url, const char *password_ref,
                                struct cm_redis_address *ret_address, struct cm_error *err)
{
    struct cm_redis_address address = { .port = 0 };
    bool good = false;
    if (url && strncmp(url, "unix://", 7) == 0)
        good = read_socket(url + 7, &address);
    else if (url && strncmp(url, "redis://", 8) == 0)
        good = read_tcp(url + 8, &address);
    else if (url && strncmp(url, "rediss://", 9) == 0)
        good = address.is_tls = read_tcp(url + 9, &address);
    if (!good) {
        cm_redis_address_done(&address);
        return CM_FAIL(err, CM_INVALID, CM_ORIGIN_SELF, 0,
                       "the Redis URL is neither unix:///PATH nor "
                       "redis[s]://[user:password@]host[:port][/db]");
    }
    if (password_ref) {
        cm_status status = read_password(password_ref, &address, err);
        if (status != CM_OK) {
            cm_redis_address_done(&address);
            return status;
        }
    }
    *ret_address = address;
    cm_redis_address_done(&address);
    return CM_OK;
}

void cm_redis_address_done(struct cm_redis_address *address)
{
    OPENSSL_cleanse(address->password, sizeof address->password);
}

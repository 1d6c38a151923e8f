#include "engine/status/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BACKLOG = 1024 };

static bool read_port(const char *text, in_port_t *ret_port)
{
    unsigned value = 0;
    size_t size = strlen(text);
    if (size == 0 || size > 5 || strspn(text, "0123456789") != size)
        return false;
    for (size_t i = 0; i < size; i++)
        value = value * 10 + (unsigned)(text[i] - '0');
    *ret_port = htons((in_port_t)value);
    return value <= 65535;
}

/* The two families have nothing in common but where the port is written. */
static bool read_host(char *host, in_port_t port, struct cm_address *address)
{
    struct sockaddr_in *four = (struct sockaddr_in *)&address->storage;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&address->storage;
    size_t size = strlen(host);
    memset(address, 0, sizeof *address);
    if (size > 2 && host[0] == '[' && host[size - 1] == ']') {
        host[size - 1] = '\0';
        six->sin6_family = AF_INET6;
        six->sin6_port = port;
        address->size = sizeof *six;
        return inet_pton(AF_INET6, host + 1, &six->sin6_addr) == 1;
    }
    four->sin_family = AF_INET;
    four->sin_port = port;
    address->size = sizeof *four;
    return inet_pton(AF_INET, host, &four->sin_addr) == 1;
}

cm_status cm_address_read(const char *text, struct cm_address *ret_address, struct cm_error *err)
{
    char host[64];
    struct cm_address address;
    in_port_t port = 0;
    const char *colon = strrchr(text, ':');
    size_t size = colon ? (size_t)(colon - text) : 0;
    if (size > 0 && size < sizeof host) {
        memcpy(host, text, size);
        host[size] = '\0';
        if (read_port(colon + 1, &port) && read_host(host, port, &address)) {
            *ret_address = address;
            return CM_OK;
        }
    }
    return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0,
                   "status.listen: \"%.100s\" is not ADDRESS:PORT, as 127.0.0.1:8080 or [::1]:8080",
                   text);
}

static cm_status fail(const char *listen, int code, struct cm_error *err)
{
    cm_status status = code == EADDRINUSE                ? CM_EXISTS
                       : code == EACCES || code == EPERM ? CM_DENIED
                       : code == EADDRNOTAVAIL           ? CM_NOT_FOUND
                                                         : CM_IO;
    return CM_FAIL(err, status, CM_ORIGIN_OS, code, "status.listen: listen on %.100s", listen);
}

/* SO_REUSEPORT comes after the first bind: before it, a second engine would share the address. */
static bool open_one(const struct cm_address *address, bool is_first, int *ret_socket)
{
    const int one = 1;
    const struct sockaddr *name = (const struct sockaddr *)&address->storage;
    int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    *ret_socket = fd;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0)
        return false;
    if (address->storage.ss_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    if (is_first && bind(fd, name, address->size) != 0)
        return false;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) != 0)
        return false;
    return is_first || bind(fd, name, address->size) == 0;
}

/* All are bound before one listens: a connection that comes is there for any of them. */
static bool open_all(struct cm_address *address, uint32_t count, int *sockets)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!open_one(address, i == 0, &sockets[i]))
            return false;
        address->size = sizeof address->storage;
        if (getsockname(sockets[i], (struct sockaddr *)&address->storage, &address->size) != 0)
            return false;
    }
    for (uint32_t i = 0; i < count; i++)
        if (listen(sockets[i], BACKLOG) != 0)
            return false;
    return true;
}

static uint16_t port_of(const struct cm_address *address)
{
    return ntohs(address->storage.ss_family == AF_INET6
                     ? ((const struct sockaddr_in6 *)&address->storage)->sin6_port
                     : ((const struct sockaddr_in *)&address->storage)->sin_port);
}

cm_status cm_listener_open(const char *listen, uint32_t sockets_count, int *ret_sockets,
                           uint16_t *ret_port, struct cm_error *err)
{
    struct cm_address address;
    cm_status status = cm_address_read(listen, &address, err);
    if (status != CM_OK)
        return status;
    for (uint32_t i = 0; i < sockets_count; i++)
        ret_sockets[i] = -1;
    if (!open_all(&address, sockets_count, ret_sockets)) {
        int code = errno;
        for (uint32_t i = 0; i < sockets_count; i++)
            if (ret_sockets[i] >= 0)
                close(ret_sockets[i]);
        return fail(listen, code, err);
    }
    *ret_port = port_of(&address);
    return CM_OK;
}

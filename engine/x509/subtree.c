#include "engine/x509/subtree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <arpa/inet.h>

#include "engine/x509/altname.h"
#include "engine/x509/der.h"
#include "engine/x509/dns_name.h"
#include "engine/x509/san.h"

static const struct {
    const char *name;
    uint8_t tag;
} kinds[] = {
    { "dns", CM_SUBTREE_DNS },
    { "email", CM_SUBTREE_EMAIL },
    { "uri", CM_SUBTREE_URI },
    { "ip", CM_SUBTREE_IP },
};

#define KINDS_COUNT (sizeof kinds / sizeof kinds[0])

/* -------------------------------------------------------------------------------- as text -- */

static const char *host_problem(struct cm_bytes host)
{
    const char *reason = NULL;
    return cm_dns_name_check(host, &reason) == CM_REFUSAL_NONE ? NULL : reason;
}

/* ".example.com", too: what lies below. */
static const char *host_or_below_problem(struct cm_bytes base)
{
    bool is_below = base.size > 0 && base.data[0] == '.';
    return host_problem(is_below ? cm_bytes_from(base, 1) : base);
}

static const char *email_problem(struct cm_bytes base)
{
    const struct cm_san mailbox = { CM_SAN_EMAIL, base };
    struct cm_refusal ignored;
    if (base.size == 0 || !memchr(base.data, '@', base.size))
        return host_or_below_problem(base);
    return cm_san_check(&mailbox, 0, &ignored) ? NULL : "not a mailbox, nor a host";
}

static void write_mask(uint8_t *mask, size_t size, unsigned long bits)
{
    for (size_t i = 0; i < size; i++) {
        unsigned long left = bits > 8 * i ? bits - 8 * i : 0;
        mask[i] = left >= 8 ? 0xff : (uint8_t)(0xff00u >> left);
    }
}

/* "10.0.0.0/8": address and mask. */
static const char *read_network(struct cm_bytes text, uint8_t octets[CM_SUBTREE_OCTETS],
                                struct cm_bytes *ret_base)
{
    const char *slash = memchr(text.data, '/', text.size);
    if (!slash)
        return "expected a network, like 10.0.0.0/8";
    char *end;
    size_t size =
        cm_altname_ip_read(cm_bytes(text.data, (size_t)(slash - (const char *)text.data)), octets);
    bool has_digit = slash[1] >= '0' && slash[1] <= '9';
    unsigned long bits = strtoul(slash + 1, &end, 10);
    if (size == 0 || !has_digit || *end != '\0' || bits > 8 * size)
        return "expected a network, like 10.0.0.0/8";
    write_mask(octets + size, size, bits);
    for (size_t i = 0; i < size; i++)
        if (octets[i] & ~octets[size + i])
            return "the address has bits behind the prefix";
    *ret_base = cm_bytes(octets, 2 * size);
    return NULL;
}

static const char *base_problem(uint8_t tag, struct cm_bytes base)
{
    if (tag == CM_SUBTREE_EMAIL)
        return email_problem(base);
    return tag == CM_SUBTREE_DNS ? host_problem(base) : host_or_below_problem(base);
}

const char *cm_subtree_read(const char *text, uint8_t octets[CM_SUBTREE_OCTETS],
                            struct cm_subtree *ret_subtree)
{
    for (size_t i = 0; i < KINDS_COUNT; i++) {
        size_t size = strlen(kinds[i].name);
        if (strncmp(text, kinds[i].name, size) != 0 || text[size] != ':')
            continue;
        struct cm_subtree subtree = { kinds[i].tag, cm_bytes_str(text + size + 1) };
        const char *problem = subtree.tag == CM_SUBTREE_IP
                                  ? read_network(subtree.base, octets, &subtree.base)
                                  : base_problem(subtree.tag, subtree.base);
        if (!problem)
            *ret_subtree = subtree;
        return problem;
    }
    return "expected dns:, email:, uri: or ip: in front of it";
}

static void write_network(struct cm_bytes base, char text[CM_SUBTREE_TEXT_SIZE])
{
    char address[INET6_ADDRSTRLEN] = "?";
    unsigned bits = 0;
    size_t size = base.size / 2;
    if (base.size == 8 || base.size == 32)
        inet_ntop(size == 4 ? AF_INET : AF_INET6, base.data, address, sizeof address);
    for (size_t i = size; i < base.size; i++)
        bits += (unsigned)__builtin_popcount(base.data[i]);
    snprintf(text, CM_SUBTREE_TEXT_SIZE, "ip:%s/%u", address, bits);
}

const char *cm_subtree_write(const struct cm_subtree *subtree, char text[CM_SUBTREE_TEXT_SIZE])
{
    char base[CM_SUBTREE_TEXT_SIZE - 10];
    snprintf(text, CM_SUBTREE_TEXT_SIZE, "%s",
             subtree->tag == CM_SUBTREE_DIRECTORY ? "dirname" : "a name of another kind");
    if (subtree->tag == CM_SUBTREE_IP)
        write_network(subtree->base, text);
    else
        for (size_t i = 0; i < KINDS_COUNT; i++)
            if (kinds[i].tag == subtree->tag)
                snprintf(text, CM_SUBTREE_TEXT_SIZE, "%s:%s", kinds[i].name,
                         cm_bytes_printable(subtree->base, base, sizeof base));
    return text;
}

/* ------------------------------------------------------------------------------ as a name -- */

/* The host behind "scheme://", without a port. Empty: there is none, or it is an address. */
static struct cm_bytes host_of(struct cm_bytes uri)
{
    const uint8_t *start = memmem(uri.data, uri.size, "://", 3);
    const char *reason;
    if (!start)
        return cm_bytes(NULL, 0);
    struct cm_bytes host = cm_bytes_from(uri, (size_t)(start - uri.data) + 3);
    size_t size = 0;
    while (size < host.size && !strchr("/?#:", host.data[size]))
        size++;
    host.size = size;
    return cm_dns_name_check(host, &reason) == CM_REFUSAL_NONE ? host : cm_bytes(NULL, 0);
}

bool cm_subtree_of_name(uint8_t tag, struct cm_bytes content, uint8_t octets[CM_SUBTREE_OCTETS],
                        struct cm_subtree *ret_subtree)
{
    struct cm_bytes base = content;
    if (tag == CM_SUBTREE_URI) {
        base = host_of(content);
        if (base.size == 0)
            return false;
    } else if (tag == CM_SUBTREE_IP) {
        if (content.size != 4 && content.size != 16)
            return false;
        memcpy(octets, content.data, content.size);
        write_mask(octets + content.size, content.size, 8 * content.size);
        base = cm_bytes(octets, 2 * content.size);
    }
    *ret_subtree = (struct cm_subtree){ tag, base };
    return true;
}

/* ------------------------------------------------------------------------------ one in another -- */

static bool ends_with(struct cm_bytes text, struct cm_bytes end)
{
    if (end.size == 0)
        return true;
    return text.size >= end.size
           && strncasecmp((const char *)text.data + text.size - end.size, (const char *)end.data,
                          end.size)
                  == 0;
}

static bool begins_with_dot(struct cm_bytes text)
{
    return text.size > 0 && text.data[0] == '.';
}

static bool host_covers(struct cm_bytes outer, struct cm_bytes inner)
{
    if (begins_with_dot(outer))
        return ends_with(inner, outer);
    return outer.size == inner.size && ends_with(inner, outer);
}

/* The name itself, and whatever labels stand in front of it. */
static bool dns_covers(struct cm_bytes outer, struct cm_bytes inner)
{
    if (outer.size == 0 || begins_with_dot(outer))
        return ends_with(inner, outer);
    return ends_with(inner, outer)
           && (inner.size == outer.size || inner.data[inner.size - outer.size - 1] == '.');
}

static struct cm_bytes domain_of(struct cm_bytes mailbox)
{
    const uint8_t *at = mailbox.size ? memrchr(mailbox.data, '@', mailbox.size) : NULL;
    return at ? cm_bytes_from(mailbox, (size_t)(at - mailbox.data) + 1) : mailbox;
}

/* What stands before the '@' of a mailbox is compared as it is (RFC 5280, 7.5). */
static bool email_covers(struct cm_bytes outer, struct cm_bytes inner)
{
    struct cm_bytes host = domain_of(outer);
    size_t local_size = outer.size - host.size;
    if (local_size == 0)
        return outer.size == 0 || host_covers(outer, domain_of(inner));
    return inner.size == outer.size && memcmp(inner.data, outer.data, local_size) == 0
           && ends_with(inner, host);
}

static bool network_covers(struct cm_bytes outer, struct cm_bytes inner)
{
    size_t size = outer.size / 2;
    if (outer.size != inner.size || (outer.size != 8 && outer.size != 32))
        return false;
    for (size_t i = 0; i < size; i++) {
        uint8_t mask = outer.data[size + i];
        if ((mask & ~inner.data[size + i]) || ((outer.data[i] ^ inner.data[i]) & mask))
            return false;
    }
    return true;
}

static struct cm_bytes rdns_of(struct cm_bytes name)
{
    struct cm_refusal ignored;
    struct cm_der der = cm_der_open(name, &ignored);
    struct cm_der_element element;
    return cm_der_read(&der, CM_DER_SEQUENCE, "name", &element) ? element.content
                                                                : cm_bytes(NULL, 0);
}

/* Whole elements that stand first in the other: octets that are equal, since each knows its length. */
static bool directory_covers(struct cm_bytes outer, struct cm_bytes inner)
{
    struct cm_bytes first = rdns_of(outer), all = rdns_of(inner);
    return first.size <= all.size
           && (first.size == 0 || memcmp(first.data, all.data, first.size) == 0);
}

bool cm_subtree_covers(const struct cm_subtree *outer, const struct cm_subtree *inner)
{
    if (outer->tag != inner->tag)
        return false;
    switch (outer->tag) {
    case CM_SUBTREE_DNS:
        return dns_covers(outer->base, inner->base);
    case CM_SUBTREE_EMAIL:
        return email_covers(outer->base, inner->base);
    case CM_SUBTREE_URI:
        return outer->base.size == 0 || host_covers(outer->base, inner->base);
    case CM_SUBTREE_IP:
        return network_covers(outer->base, inner->base);
    case CM_SUBTREE_DIRECTORY:
        return directory_covers(outer->base, inner->base);
    default:
        return false;
    }
}

#include "engine/x509/oid.h"

#include <stdio.h>

static const struct {
    const char *name;
    struct cm_bytes content;
} oids[CM_OID_COUNT] = { [CM_OID_UNKNOWN] = { "unknown", { NULL, 0 } },
#define X(symbol, name, octets)                                                                    \
    [CM_OID_##symbol] = { name, { (const uint8_t *)(octets), sizeof(octets) - 1 } },
                         CM_OID_MAP(X)
#undef X
};

struct cm_bytes cm_oid_content(enum cm_oid oid)
{
    return oids[oid < CM_OID_COUNT ? oid : CM_OID_UNKNOWN].content;
}

const char *cm_oid_name(enum cm_oid oid)
{
    return oids[oid < CM_OID_COUNT ? oid : CM_OID_UNKNOWN].name;
}

enum cm_oid cm_oid_find(struct cm_bytes content)
{
    if (content.size == 0)
        return CM_OID_UNKNOWN;
    uint8_t last = content.data[content.size - 1];
    for (unsigned oid = 1; oid < CM_OID_COUNT; oid++) {
        struct cm_bytes known = oids[oid].content;
        /* Size and last octet tell nearly all apart; most comparisons stop there. */
        if (known.size == content.size && known.data[known.size - 1] == last
            && memcmp(known.data, content.data, known.size) == 0)
            return (enum cm_oid)oid;
    }
    return CM_OID_UNKNOWN;
}

/* Appends one arc; returns the new length, at most space - 1. */
static size_t append_arc(char *text, size_t used, size_t space, uint64_t arc, bool is_too_large)
{
    const char *dot = used ? "." : "";
    int added = is_too_large
                    ? snprintf(text + used, space - used, "%s?", dot)
                    : snprintf(text + used, space - used, "%s%llu", dot, (unsigned long long)arc);
    size_t length = used + (added > 0 ? (size_t)added : 0);
    return length < space ? length : space - 1;
}

const char *cm_oid_dotted(struct cm_bytes content, char *text, size_t space)
{
    size_t used = 0;
    uint64_t arc = 0;
    bool is_too_large = false;
    bool is_first = true;
    text[0] = '\0';
    for (size_t i = 0; i < content.size; i++) {
        is_too_large = is_too_large || arc >> 57;
        arc = arc << 7 | (content.data[i] & 0x7f);
        if (content.data[i] & 0x80)
            continue;
        if (is_first) {
            /* The first subidentifier carries two arcs: X.690, 8.19.4. */
            uint64_t root = is_too_large || arc >= 80 ? 2 : arc / 40;
            used = append_arc(text, used, space, root, false);
            arc -= root * 40;
        }
        used = append_arc(text, used, space, arc, is_too_large);
        is_first = false;
        is_too_large = false;
        arc = 0;
    }
    return text;
}

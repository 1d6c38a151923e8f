#include "engine/x509/altname.h"

#include <arpa/inet.h>
#include <strings.h>

#include "engine/x509/oid.h"
#include "engine/x509/subject.h"

#define OTHER_NAME_CHARACTERS_MAX 255

/* 1.3.6.1.5.5.7.8.3: id-on-permanentIdentifier, RFC 4043. */
static const uint8_t permanent_identifier[] = { 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x08, 0x03 };

_Static_assert((int)CM_ALTNAME_DNS == (int)CM_SAN_DNS && (int)CM_ALTNAME_URI == (int)CM_SAN_URI
                   && (int)CM_ALTNAME_IP == (int)CM_SAN_IP
                   && (int)CM_ALTNAME_EMAIL == (int)CM_SAN_EMAIL,
               "names of a CSR are taken over without a table");

static bool is_other_name(enum cm_altname_kind kind)
{
    return kind == CM_ALTNAME_HARDWARE_MODULE || kind == CM_ALTNAME_PERMANENT_ID;
}

bool cm_altname_check(const struct cm_altname_value *name, size_t index, struct cm_refusal *refusal)
{
    if (is_other_name(name->kind))
        return cm_name_value_check(name->value, OTHER_NAME_CHARACTERS_MAX,
                                   cm_altname_kind_name(name->kind), refusal);
    struct cm_san san = { .type = (enum cm_san_type)name->kind, .value = name->value };
    return cm_san_check(&san, index, refusal);
}

size_t cm_altname_ip_read(struct cm_bytes text, uint8_t ret_octets[16])
{
    char copy[INET6_ADDRSTRLEN];
    if (text.size == 0 || text.size >= sizeof copy || memchr(text.data, 0, text.size))
        return 0;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    if (inet_pton(AF_INET, copy, ret_octets) == 1)
        return 4;
    return inet_pton(AF_INET6, copy, ret_octets) == 1 ? 16 : 0;
}

bool cm_altname_equal(const struct cm_altname_value *a, const struct cm_altname_value *b)
{
    if (a->kind != b->kind || a->value.size != b->value.size || !cm_bytes_equal(a->oid, b->oid))
        return false;
    if (a->kind == CM_ALTNAME_DNS)
        return strncasecmp((const char *)a->value.data, (const char *)b->value.data, a->value.size)
               == 0;
    return cm_bytes_equal(a->value, b->value);
}

struct cm_bytes cm_altname_permanent_identifier(void)
{
    return cm_bytes(permanent_identifier, sizeof permanent_identifier);
}

/* OtherName ::= [0] { type-id, value [0] EXPLICIT SEQUENCE }; what stands in the SEQUENCE has been
   written since the mark. */
static void wrap_other_name(struct cm_der_writer *w, size_t mark, struct cm_bytes type)
{
    cm_der_wrap(w, CM_DER_SEQUENCE, mark);
    cm_der_wrap(w, CM_DER_CONTEXT_CONSTRUCTED(0), mark);
    cm_der_put_tlv(w, CM_DER_OID, type);
    cm_der_wrap(w, CM_DER_CONTEXT_CONSTRUCTED(0), mark);
}

void cm_altname_put(struct cm_der_writer *w, const struct cm_altname_value *name)
{
    size_t mark = cm_der_mark(w);
    switch (name->kind) {
    case CM_ALTNAME_EMAIL:
        cm_der_put_tlv(w, CM_DER_CONTEXT(1), name->value);
        break;
    case CM_ALTNAME_DNS:
        cm_der_put_tlv(w, CM_DER_CONTEXT(2), name->value);
        break;
    case CM_ALTNAME_URI:
        cm_der_put_tlv(w, CM_DER_CONTEXT(6), name->value);
        break;
    case CM_ALTNAME_IP:
        cm_der_put_tlv(w, CM_DER_CONTEXT(7), name->value);
        break;
    case CM_ALTNAME_HARDWARE_MODULE:
        cm_der_put_tlv(w, CM_DER_OCTET_STRING, name->value);
        cm_der_put(w, name->oid);
        wrap_other_name(w, mark, cm_oid_content(CM_OID_HARDWARE_MODULE_NAME));
        break;
    case CM_ALTNAME_PERMANENT_ID:
        cm_der_put(w, name->oid);
        cm_der_put_tlv(w, CM_DER_UTF8_STRING, name->value);
        wrap_other_name(w, mark, cm_altname_permanent_identifier());
        break;
    case CM_ALTNAME_COUNT:
        break;
    }
}

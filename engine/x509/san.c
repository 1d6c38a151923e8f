#include "engine/x509/san.h"

#include "engine/x509/dns_name.h"
#include "engine/x509/oid.h"

#include <strings.h>

#define EMAIL_LOCAL_SIZE_MAX 64
#define URI_SIZE_MAX         2048

static bool refuse_san(struct cm_refusal *refusal, enum cm_refusal_code code, size_t index,
                       const char *reason)
{
    return cm_refuse(refusal, code, CM_REFUSAL_NO_OFFSET, "alternative name %zu: %s", index,
                     reason);
}

static bool is_alphanumeric(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool check_dns(const struct cm_san *san, size_t index, struct cm_refusal *refusal)
{
    const char *reason;
    enum cm_refusal_code code = cm_dns_name_check(san->value, &reason);
    return code == CM_REFUSAL_NONE || refuse_san(refusal, code, index, reason);
}

/* --- addresses ------------------------------------------------------------------------------------ */

static bool ipv4_names_one_device(const uint8_t *address)
{
    static const uint8_t broadcast[4] = { 255, 255, 255, 255 };
    bool is_multicast = address[0] >= 224 && address[0] <= 239;
    return address[0] != 0 && address[0] != 127 && !is_multicast
           && memcmp(address, broadcast, 4) != 0;
}

static bool ipv6_names_one_device(const uint8_t *address)
{
    static const uint8_t zeros[16];
    static const uint8_t v4_mapped[12] = { [10] = 0xff, [11] = 0xff };
    bool is_loopback_or_none = memcmp(address, zeros, 15) == 0 && address[15] <= 1;
    return !is_loopback_or_none && address[0] != 0xff && memcmp(address, v4_mapped, 12) != 0;
}

static bool check_ip(const struct cm_san *san, size_t index, struct cm_refusal *refusal)
{
    size_t size = san->value.size;
    if (size != 4 && size != 16)
        return cm_refuse(refusal, CM_REFUSAL_SAN_IP_LENGTH, CM_REFUSAL_NO_OFFSET,
                         "alternative name %zu: %zu octets, expected 4 or 16", index, size);
    bool is_single =
        size == 4 ? ipv4_names_one_device(san->value.data) : ipv6_names_one_device(san->value.data);
    return is_single
           || refuse_san(refusal, CM_REFUSAL_SAN_IP_NOT_ALLOWED, index,
                         "unspecified, loopback, broadcast, multicast or IPv4-mapped");
}

/* --- text ----------------------------------------------------------------------------------------- */

static bool check_ascii(const struct cm_san *san, size_t index, struct cm_refusal *refusal)
{
    for (size_t i = 0; i < san->value.size; i++) {
        if (san->value.data[i] == 0)
            return refuse_san(refusal, CM_REFUSAL_SAN_NUL, index, "a NUL character");
        if (san->value.data[i] >= 0x80)
            return refuse_san(refusal, CM_REFUSAL_SAN_NOT_ASCII, index, "a byte above 0x7F");
    }
    return true;
}

/* Dot-atom of RFC 5321: quoted local parts exist, and no device needs one. */
static bool is_email_local(struct cm_bytes local)
{
    if (local.size == 0 || local.size > EMAIL_LOCAL_SIZE_MAX || local.data[0] == '.'
        || local.data[local.size - 1] == '.')
        return false;
    for (size_t i = 0; i < local.size; i++) {
        uint8_t c = local.data[i];
        bool is_double_dot = c == '.' && local.data[i - 1] == '.';
        if (is_double_dot || (!is_alphanumeric(c) && !strchr("!#$%&'*+-/=?^_`{|}~.", c)))
            return false;
    }
    return true;
}

static bool check_email(const struct cm_san *san, size_t index, struct cm_refusal *refusal)
{
    const char *reason;
    if (!check_ascii(san, index, refusal))
        return false;
    const uint8_t *at = san->value.size ? memchr(san->value.data, '@', san->value.size) : NULL;
    size_t local_size = at ? (size_t)(at - san->value.data) : 0;
    if (!at || !is_email_local(cm_bytes(san->value.data, local_size)))
        return refuse_san(refusal, CM_REFUSAL_SAN_EMAIL_SYNTAX, index, "not local@domain");
    if (cm_dns_name_check(cm_bytes_from(san->value, local_size + 1), &reason) != CM_REFUSAL_NONE)
        return refuse_san(refusal, CM_REFUSAL_SAN_EMAIL_SYNTAX, index, reason);
    return true;
}

/* Size of "scheme" in "scheme:rest"; 0 when there is none. */
static size_t uri_scheme_size(struct cm_bytes uri)
{
    for (size_t i = 0; i < uri.size; i++) {
        uint8_t c = uri.data[i];
        if (c == ':')
            return i;
        if (!is_alphanumeric(c) && (i == 0 || !strchr("+-.", c)))
            return 0;
        if (i == 0 && c <= '9')
            return 0;
    }
    return 0;
}

static bool scheme_is(struct cm_bytes uri, size_t scheme_size, const char *scheme)
{
    return scheme_size == strlen(scheme)
           && strncasecmp((const char *)uri.data, scheme, scheme_size) == 0;
}

static const char *uri_error(struct cm_bytes uri)
{
    size_t scheme = uri_scheme_size(uri);
    for (size_t i = 0; i < uri.size; i++)
        if (uri.data[i] <= ' ' || strchr("<>\"{}|\\^`\x7f", uri.data[i]))
            return "a character that no URI has";
    if (scheme == 0 || uri.size > URI_SIZE_MAX)
        return "not an absolute URI of at most 2048 characters";
    if (scheme_is(uri, scheme, "urn"))
        return uri.size > scheme + 1 ? NULL : "nothing behind the scheme";
    /* Without an authority it names nothing that could belong to a device: javascript:, data:. */
    if (uri.size < scheme + 4 || memcmp(uri.data + scheme, "://", 3) != 0
        || strchr("/?#", uri.data[scheme + 3]))
        return "no authority behind the scheme";
    for (size_t i = scheme + 3; i < uri.size && !strchr("/?#", uri.data[i]); i++)
        if (uri.data[i] == '@')
            return "user information in the authority";
    return NULL;
}

static bool check_uri(const struct cm_san *san, size_t index, struct cm_refusal *refusal)
{
    if (!check_ascii(san, index, refusal))
        return false;
    const char *error = uri_error(san->value);
    return !error || refuse_san(refusal, CM_REFUSAL_SAN_URI_SYNTAX, index, error);
}

bool cm_san_check(const struct cm_san *san, size_t index, struct cm_refusal *refusal)
{
    switch (san->type) {
    case CM_SAN_DNS:
        return check_dns(san, index, refusal);
    case CM_SAN_URI:
        return check_uri(san, index, refusal);
    case CM_SAN_IP:
        return check_ip(san, index, refusal);
    case CM_SAN_EMAIL:
        return check_email(san, index, refusal);
    }
    return refuse_san(refusal, CM_REFUSAL_SAN_TYPE_NOT_ALLOWED, index,
                      "a kind that does not exist");
}

/* --- GeneralNames --------------------------------------------------------------------------------- */

bool cm_san_equal(const struct cm_san *a, const struct cm_san *b)
{
    if (a->type != b->type || a->value.size != b->value.size)
        return false;
    if (a->type == CM_SAN_DNS)
        return strncasecmp((const char *)a->value.data, (const char *)b->value.data, a->value.size)
               == 0;
    return cm_bytes_equal(a->value, b->value);
}

static bool refuse_type(const struct cm_der *names, const struct cm_der_element *element)
{
    struct cm_der inner = cm_der_inside(names, element->content);
    struct cm_bytes oid;
    char dotted[CM_OID_TEXT_SIZE] = "";
    struct cm_refusal ignored;
    inner.refusal = &ignored;
    if (element->tag == CM_DER_CONTEXT_CONSTRUCTED(0) && cm_der_read_oid(&inner, "type", &oid))
        cm_oid_dotted(oid, dotted, sizeof dotted);
    return cm_refuse(names->refusal, CM_REFUSAL_SAN_TYPE_NOT_ALLOWED, element->offset,
                     "name of type [%d]%s%s", element->tag & 0x1f, dotted[0] ? " " : "", dotted);
}

static bool type_of_tag(uint8_t tag, enum cm_san_type *ret_type)
{
    switch (tag) {
    case CM_DER_CONTEXT(1):
        *ret_type = CM_SAN_EMAIL;
        return true;
    case CM_DER_CONTEXT(2):
        *ret_type = CM_SAN_DNS;
        return true;
    case CM_DER_CONTEXT(6):
        *ret_type = CM_SAN_URI;
        return true;
    case CM_DER_CONTEXT(7):
        *ret_type = CM_SAN_IP;
        return true;
    default:
        return false;
    }
}

static bool read_one(struct cm_der *names, struct cm_sans *sans)
{
    struct cm_der_element element;
    struct cm_san san;
    if (!cm_der_read_any(names, "alternative name", &element))
        return false;
    if (!type_of_tag(element.tag, &san.type))
        return refuse_type(names, &element);
    san.value = element.content;
    if (!cm_san_check(&san, sans->count, names->refusal))
        return false;
    for (size_t i = 0; i < sans->count; i++)
        if (cm_san_equal(&san, &sans->names[i]))
            return cm_refuse(names->refusal, CM_REFUSAL_SAN_DUPLICATE, element.offset,
                             "alternative names %zu and %zu are the same", i, sans->count);
    sans->names[sans->count++] = san;
    return true;
}

static size_t count_elements(struct cm_der names)
{
    struct cm_der_element element;
    struct cm_refusal ignored;
    size_t count = 0;
    names.refusal = &ignored;
    while (!cm_der_at_end(&names) && cm_der_read_any(&names, "alternative name", &element))
        count++;
    return count;
}

bool cm_san_read(struct cm_der *der, struct cm_sans *ret_sans)
{
    struct cm_der names;
    size_t offset = der->position;
    if (!cm_der_enter(der, CM_DER_SEQUENCE, "subjectAltName", &names))
        return false;
    size_t count = count_elements(names);
    if (cm_der_at_end(&names))
        return cm_refuse(der->refusal, CM_REFUSAL_SAN_EMPTY, offset, "no names");
    if (count > CM_SANS_MAX)
        return cm_refuse(der->refusal, CM_REFUSAL_SAN_TOO_MANY, offset, "%zu names, allowed %d",
                         count, CM_SANS_MAX);
    ret_sans->count = 0;
    while (!cm_der_at_end(&names))
        if (!read_one(&names, ret_sans))
            return false;
    return true;
}

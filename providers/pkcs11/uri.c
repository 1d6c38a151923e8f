#include "providers/pkcs11/uri.h"

#include <stdlib.h>

enum kind { TEXT, SLOT, ID, TYPE, MODULE, PIN_SOURCE, PIN_VALUE };

struct attribute {
    const char *name;
    enum kind kind;
    bool in_query;
    size_t offset; /* TEXT: in struct cm_p11_uri */
    size_t space;
};

#define FIELD(member) offsetof(struct cm_p11_uri, member), sizeof((struct cm_p11_uri *)0)->member

static const struct attribute attributes[] = {
    { "token", TEXT, false, FIELD(token) },
    { "manufacturer", TEXT, false, FIELD(manufacturer) },
    { "model", TEXT, false, FIELD(model) },
    { "serial", TEXT, false, FIELD(serial) },
    { "object", TEXT, false, FIELD(object) },
    { "slot-id", SLOT, false, 0, 0 },
    { "id", ID, false, 0, 0 },
    { "type", TYPE, false, 0, 0 },
    { "module-path", MODULE, true, FIELD(module_path) },
    { "pin-source", PIN_SOURCE, true, FIELD(pin_source) },
    { "pin-value", PIN_VALUE, true, 0, 0 },
};
enum { ATTRIBUTES_COUNT = sizeof attributes / sizeof attributes[0] };

/* One attribute being read. Values are decoded into decoded, which nothing in a URI outgrows. */
struct reading {
    struct cm_p11_uri *uri;
    struct cm_error *err;
    const struct attribute *attribute;
    uint8_t decoded[CM_P11_URI_SIZE_MAX];
    size_t size;
    unsigned seen; /* a bit an attribute */
};

static cm_status complain(struct reading *reading, cm_status status, const char *complaint)
{
    return CM_FAIL(reading->err, status, CM_ORIGIN_SELF, 0, "pkcs11 URI: %s %s",
                   reading->attribute->name, complaint);
}

/* ------------------------------------------------------------------ characters -- */

static bool is_alphanumeric(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* RFC 7512 2.3: what may stand as it is. */
static bool stands_plain(uint8_t c, bool in_query)
{
    return is_alphanumeric(c)
           || (c != '\0' && strchr(in_query ? "-._~:[]@!$'()*+,=/?|" : "-._~:[]@!$'()*+,=&", c));
}

static int digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool decode(struct reading *reading, struct cm_bytes value)
{
    reading->size = 0;
    for (size_t i = 0; i < value.size; i++) {
        uint8_t c = value.data[i];
        if (c == '%') {
            int high = i + 2 < value.size ? digit(value.data[i + 1]) : -1;
            int low = high >= 0 ? digit(value.data[i + 2]) : -1;
            if (low < 0)
                return false;
            c = (uint8_t)(high << 4 | low);
            i += 2;
        } else if (!stands_plain(c, reading->attribute->in_query)) {
            return false;
        }
        reading->decoded[reading->size++] = c;
    }
    return true;
}

/* ------------------------------------------------------------------ values -- */

static cm_status take_text(struct reading *reading)
{
    const struct attribute *attribute = reading->attribute;
    char *to = (char *)reading->uri + attribute->offset;
    if (memchr(reading->decoded, '\0', reading->size))
        return complain(reading, CM_MALFORMED, "holds a NUL byte");
    if (reading->size >= attribute->space)
        return complain(reading, CM_MALFORMED, "is longer than what it names can be");
    memcpy(to, reading->decoded, reading->size);
    to[reading->size] = '\0';
    return CM_OK;
}

static cm_status take_slot(struct reading *reading)
{
    uint64_t number = 0;
    for (size_t i = 0; i < reading->size; i++) {
        uint8_t c = reading->decoded[i];
        uint64_t value = (uint64_t)c - '0';
        if (value > 9 || number > (UINT64_MAX - value) / 10)
            return complain(reading, CM_MALFORMED, "is not a number");
        number = number * 10 + value;
    }
    reading->uri->has_slot_id = true;
    reading->uri->slot_id = number;
    return CM_OK;
}

static cm_status take_id(struct reading *reading)
{
    if (reading->size > CM_P11_ID_SIZE)
        return complain(reading, CM_MALFORMED, "is longer than 128 bytes");
    memcpy(reading->uri->id, reading->decoded, reading->size);
    reading->uri->id_size = (uint32_t)reading->size;
    return CM_OK;
}

static cm_status take_module(struct reading *reading)
{
    if (reading->decoded[0] != '/')
        return complain(reading, CM_MALFORMED, "is not an absolute path");
    return take_text(reading);
}

/* file:/PATH and file:///PATH; a command to run ("|...") and a relative path are refused. */
static cm_status take_pin_source(struct reading *reading)
{
    static const char prefix[] = "file:";
    const size_t prefix_size = sizeof prefix - 1;
    uint8_t *path = reading->decoded + prefix_size;
    if (reading->size <= prefix_size || memcmp(reading->decoded, prefix, prefix_size) != 0)
        return complain(reading, CM_UNSUPPORTED, "is not file:/PATH");
    size_t size = reading->size - prefix_size;
    if (size > 2 && memcmp(path, "///", 3) == 0) {
        memmove(path, path + 2, size - 2);
        reading->size -= 2;
    } else if (path[0] != '/' || (size > 1 && path[1] == '/')) {
        return complain(reading, CM_UNSUPPORTED, "is not file:/PATH");
    }
    return take_text(reading);
}

static cm_status take_value(struct reading *reading)
{
    switch (reading->attribute->kind) {
    case TEXT:
        return take_text(reading);
    case SLOT:
        return take_slot(reading);
    case ID:
        return take_id(reading);
    case TYPE:
        return cm_bytes_is(cm_bytes(reading->decoded, reading->size), "private")
                   ? CM_OK
                   : complain(reading, CM_UNSUPPORTED, "is not private: only such keys sign");
    case MODULE:
        return take_module(reading);
    case PIN_SOURCE:
        return take_pin_source(reading);
    case PIN_VALUE:
        break;
    }
    return complain(reading, CM_DENIED,
                    "is refused: a PIN must not stand in a URI; name it in the settings of the "
                    "provider (passphrase: file:PATH) or with pin-source=file:/PATH");
}

/* ------------------------------------------------------------------ attributes -- */

static const struct attribute *find_attribute(struct cm_bytes name, bool in_query)
{
    for (size_t i = 0; i < ATTRIBUTES_COUNT; i++)
        if (attributes[i].in_query == in_query && cm_bytes_is(name, attributes[i].name))
            return &attributes[i];
    return NULL;
}

static cm_status take_attribute(struct reading *reading, struct cm_bytes part, bool in_query)
{
    const uint8_t *equals = part.size > 0 ? memchr(part.data, '=', part.size) : NULL;
    size_t name_size = equals ? (size_t)(equals - part.data) : part.size;
    struct cm_bytes name = cm_bytes(part.data, name_size);
    char shown[48];
    const struct attribute *attribute = find_attribute(name, in_query);
    if (!attribute)
        return CM_FAIL(reading->err, equals && name_size > 0 ? CM_UNSUPPORTED : CM_MALFORMED,
                       CM_ORIGIN_SELF, 0,
                       "pkcs11 URI: \"%s\" is no attribute that certmill knows %s",
                       cm_bytes_printable(name, shown, sizeof shown),
                       in_query ? "behind the ?" : "before the ?");
    reading->attribute = attribute;
    if (!equals)
        return complain(reading, CM_MALFORMED, "has no value");
    unsigned bit = 1u << (attribute - attributes);
    if (reading->seen & bit)
        return complain(reading, CM_MALFORMED, "is there twice");
    reading->seen |= bit;
    if (attribute->kind == PIN_VALUE)
        return take_value(reading);
    if (!decode(reading, cm_bytes_from(part, name_size + 1)))
        return complain(reading, CM_MALFORMED,
                        "holds a character that must be written as % and two hex digits");
    return reading->size > 0 ? take_value(reading) : complain(reading, CM_MALFORMED, "is empty");
}

static cm_status take_attributes(struct reading *reading, struct cm_bytes text, bool in_query)
{
    size_t from = 0;
    cm_status status = CM_OK;
    while (status == CM_OK && from <= text.size) {
        size_t end = from;
        while (end < text.size && text.data[end] != (in_query ? '&' : ';'))
            end++;
        status = take_attribute(reading, cm_bytes(text.data + from, end - from), in_query);
        from = end + 1;
    }
    return status;
}

cm_status cm_p11_uri_parse(struct cm_bytes text, struct cm_p11_uri *ret_uri, struct cm_error *err)
{
    static const char scheme[] = "pkcs11:";
    const size_t scheme_size = sizeof scheme - 1;
    struct cm_p11_uri uri = { 0 };
    struct reading reading = { .uri = &uri, .err = err };
    if (text.size > CM_P11_URI_SIZE_MAX || text.size <= scheme_size
        || memcmp(text.data, scheme, scheme_size) != 0)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0,
                       "a key in a token is named pkcs11:token=LABEL;object=LABEL, in 2048 bytes");
    const uint8_t *mark = memchr(text.data, '?', text.size);
    size_t path_end = mark ? (size_t)(mark - text.data) : text.size;
    struct cm_bytes path = cm_bytes(text.data + scheme_size, path_end - scheme_size);
    cm_status status = take_attributes(&reading, path, false);
    if (status == CM_OK && mark)
        status = take_attributes(&reading, cm_bytes(mark + 1, text.size - path_end - 1), true);
    if (status != CM_OK)
        return status;
    if (uri.object[0] == '\0' && uri.id_size == 0)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0,
                       "pkcs11 URI: names no key; it needs object= (the label) or id=");
    cm_bytes_printable(cm_bytes(text.data, path_end), uri.shown, sizeof uri.shown);
    *ret_uri = uri;
    return CM_OK;
}

#include "engine/x509/name.h"

#include "engine/x509/name_text.h"

/* What RFC 5280 appendix A says about an attribute. */
static const struct rule {
    enum cm_oid type;
    uint8_t only_tag; /* 0: UTF8String or PrintableString */
    bool is_repeatable;
    uint16_t characters_max;
} rules[] = {
    { CM_OID_COMMON_NAME, 0, false, 64 },
    { CM_OID_SERIAL_NUMBER, CM_DER_PRINTABLE_STRING, false, 64 },
    { CM_OID_COUNTRY, CM_DER_PRINTABLE_STRING, false, 2 },
    { CM_OID_LOCALITY, 0, false, 128 },
    { CM_OID_STATE, 0, false, 128 },
    { CM_OID_STREET, 0, true, 128 },
    { CM_OID_ORGANIZATION, 0, false, 64 },
    { CM_OID_ORGANIZATIONAL_UNIT, 0, true, 64 },
    { CM_OID_TITLE, 0, false, 64 },
    { CM_OID_DN_QUALIFIER, CM_DER_PRINTABLE_STRING, false, 64 },
    { CM_OID_USER_ID, 0, false, 256 },
    { CM_OID_DOMAIN_COMPONENT, CM_DER_IA5_STRING, true, 63 },
};

static const struct rule *rule_find(enum cm_oid type)
{
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        if (rules[i].type == type)
            return &rules[i];
    return NULL;
}

static const char *string_type_name(uint8_t tag)
{
    static const char *const names[] = {
        [CM_DER_INTEGER] = "INTEGER",      [CM_DER_UTF8_STRING] = "UTF8String",
        [0x12] = "NumericString",          [CM_DER_PRINTABLE_STRING] = "PrintableString",
        [0x14] = "TeletexString",          [0x15] = "VideotexString",
        [CM_DER_IA5_STRING] = "IA5String", [0x19] = "GraphicString",
        [0x1a] = "VisibleString",          [0x1b] = "GeneralString",
        [0x1c] = "UniversalString",        [0x1e] = "BMPString",
    };
    const char *name = tag < sizeof names / sizeof names[0] ? names[tag] : NULL;
    return name ? name : "not a string";
}

static bool tag_is_allowed(const struct rule *rule, uint8_t tag)
{
    if (rule->only_tag)
        return tag == rule->only_tag;
    return tag == CM_DER_UTF8_STRING || tag == CM_DER_PRINTABLE_STRING;
}

static bool is_printable_string(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')
           || (c != 0 && strchr(" '()+,-./:=?", c));
}

/* The set of the string type; UTF-8 itself is checked with the characters. */
static bool check_charset(const struct cm_der *der, const struct cm_der_element *value,
                          const char *label)
{
    for (size_t i = 0; i < value->content.size; i++) {
        uint8_t c = value->content.data[i];
        bool is_allowed = value->tag == CM_DER_UTF8_STRING
                          || (value->tag == CM_DER_IA5_STRING ? c < 0x80 : is_printable_string(c));
        /* NUL and controls have codes of their own, told by the check of the characters. */
        if (!is_allowed && c >= 0x20 && c != 0x7f)
            return cm_refuse(der->refusal, CM_REFUSAL_NAME_CHARSET, value->offset,
                             "%s: 0x%02x in a %s", label, c, string_type_name(value->tag));
    }
    return true;
}

static bool check_country(const struct cm_der *der, const struct cm_der_element *value)
{
    struct cm_bytes code = value->content;
    if (code.size != 2)
        return cm_refuse(der->refusal, CM_REFUSAL_NAME_TOO_LONG, value->offset,
                         "countryName: %zu characters, expected 2", code.size);
    for (size_t i = 0; i < code.size; i++)
        if (code.data[i] < 'A' || code.data[i] > 'Z')
            return cm_refuse(der->refusal, CM_REFUSAL_NAME_CHARSET, value->offset,
                             "countryName: not two upper-case letters");
    return true;
}

static bool check_value(const struct cm_der *der, const struct rule *rule,
                        const struct cm_der_element *value)
{
    const char *label = cm_oid_name(rule->type);
    size_t characters;
    if (!tag_is_allowed(rule, value->tag))
        return cm_refuse(der->refusal, CM_REFUSAL_NAME_STRING_TYPE, value->offset, "%s: %s", label,
                         string_type_name(value->tag));
    if (!check_charset(der, value, label)
        || !cm_name_text_check(value->content, label,
                               value->offset + (value->whole.size - value->content.size),
                               &characters, der->refusal))
        return false;
    if (rule->type == CM_OID_COUNTRY)
        return check_country(der, value);
    if (characters > rule->characters_max)
        return cm_refuse(der->refusal, CM_REFUSAL_NAME_TOO_LONG, value->offset,
                         "%s: %zu characters, allowed %u", label, characters, rule->characters_max);
    return true;
}

static bool refuse_attribute(const struct cm_der *der, size_t offset, struct cm_bytes type)
{
    char dotted[CM_OID_TEXT_SIZE];
    return cm_refuse(der->refusal, CM_REFUSAL_NAME_ATTR_NOT_ALLOWED, offset, "%s",
                     cm_oid_dotted(type, dotted, sizeof dotted));
}

static bool read_attribute(struct cm_der *rdn, struct cm_name *name)
{
    struct cm_der pair;
    struct cm_bytes type;
    struct cm_der_element value;
    size_t offset = rdn->position;
    if (!cm_der_enter(rdn, CM_DER_SEQUENCE, "name attribute", &pair)
        || !cm_der_read_oid(&pair, "name attribute type", &type)
        || !cm_der_read_any(&pair, "name attribute value", &value)
        || !cm_der_finish(&pair, "name attribute"))
        return false;
    const struct rule *rule = rule_find(cm_oid_find(type));
    if (!rule)
        return refuse_attribute(rdn, offset, type);
    if (!check_value(rdn, rule, &value))
        return false;
    if (!rule->is_repeatable && cm_name_find(name, rule->type).data)
        return cm_refuse(rdn->refusal, CM_REFUSAL_NAME_ATTR_DUPLICATE, offset, "%s stands twice",
                         cm_oid_name(rule->type));
    name->attributes[name->count++] = (struct cm_name_attribute){ rule->type, value.content };
    return true;
}

static bool read_rdn(struct cm_der *names, struct cm_name *name)
{
    struct cm_der rdn;
    size_t offset = names->position;
    if (name->count == CM_NAME_ATTRIBUTES_MAX)
        return cm_refuse(names->refusal, CM_REFUSAL_DER_TOO_MANY_ELEMENTS, offset,
                         "more than %d RDNs", CM_NAME_ATTRIBUTES_MAX);
    if (!cm_der_enter(names, CM_DER_SET, "RDN", &rdn))
        return false;
    if (cm_der_at_end(&rdn))
        return cm_refuse(names->refusal, CM_REFUSAL_DER_TOO_FEW_ELEMENTS, offset, "an empty RDN");
    if (!read_attribute(&rdn, name))
        return false;
    if (!cm_der_at_end(&rdn))
        return cm_refuse(names->refusal, CM_REFUSAL_NAME_MULTIVALUED_RDN, offset,
                         "an RDN of several attributes");
    return true;
}

bool cm_name_read(struct cm_der *der, struct cm_name *ret_name)
{
    struct cm_der names;
    struct cm_name name = { .count = 0 };
    if (!cm_der_enter(der, CM_DER_SEQUENCE, "name", &names))
        return false;
    while (!cm_der_at_end(&names))
        if (!read_rdn(&names, &name))
            return false;
    *ret_name = name;
    return true;
}

struct cm_bytes cm_name_find(const struct cm_name *name, enum cm_oid type)
{
    for (size_t i = 0; i < name->count; i++)
        if (name->attributes[i].type == type)
            return name->attributes[i].value;
    return cm_bytes(NULL, 0);
}

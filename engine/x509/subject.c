#include "engine/x509/subject.h"

#include "engine/x509/name_text.h"

static const enum cm_oid oids[CM_SUBJECT_FIELD_COUNT] = {
    [CM_SUBJECT_CN] = CM_OID_COMMON_NAME,
    [CM_SUBJECT_SERIAL_NUMBER] = CM_OID_SERIAL_NUMBER,
    [CM_SUBJECT_C] = CM_OID_COUNTRY,
    [CM_SUBJECT_ST] = CM_OID_STATE,
    [CM_SUBJECT_L] = CM_OID_LOCALITY,
    [CM_SUBJECT_O] = CM_OID_ORGANIZATION,
    [CM_SUBJECT_OU] = CM_OID_ORGANIZATIONAL_UNIT,
    [CM_SUBJECT_TITLE] = CM_OID_TITLE,
    [CM_SUBJECT_DC] = CM_OID_DOMAIN_COMPONENT,
    [CM_SUBJECT_UID] = CM_OID_USER_ID,
};

static const struct {
    const char *name;
    uint8_t tag;
    size_t characters_max;
} fields[CM_SUBJECT_FIELD_COUNT] = {
#define X(symbol, name_, string, max)                                                              \
    [CM_SUBJECT_##symbol] = { name_, CM_DER_##string##_STRING, max },
    CM_SUBJECT_FIELD_MAP(X)
#undef X
};

const char *cm_subject_field_name(enum cm_subject_field field)
{
    return field < CM_SUBJECT_FIELD_COUNT ? fields[field].name : "unknown";
}

enum cm_subject_field cm_subject_field_find(const char *name, size_t name_size)
{
    unsigned field = 0;
    while (field < CM_SUBJECT_FIELD_COUNT
           && !cm_bytes_is(cm_bytes(name, name_size), fields[field].name))
        field++;
    return (enum cm_subject_field)field;
}

enum cm_subject_field cm_subject_field_of_oid(enum cm_oid oid)
{
    unsigned field = 0;
    while (field < CM_SUBJECT_FIELD_COUNT && oids[field] != oid)
        field++;
    return (enum cm_subject_field)field;
}

enum cm_oid cm_subject_field_oid(enum cm_subject_field field)
{
    return oids[field];
}

uint8_t cm_subject_string_tag(enum cm_subject_field field)
{
    return fields[field].tag;
}

bool cm_name_value_check(struct cm_bytes text, size_t characters_max, const char *what,
                         struct cm_refusal *refusal)
{
    size_t characters;
    if (!cm_name_text_check(text, what, CM_REFUSAL_NO_OFFSET, &characters, refusal))
        return false;
    return characters <= characters_max
           || cm_refuse(refusal, CM_REFUSAL_NAME_TOO_LONG, CM_REFUSAL_NO_OFFSET,
                        "%s: %zu characters; at most %zu are allowed", what, characters,
                        characters_max);
}

static bool is_printable_string(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')
           || (c != 0 && strchr(" '()+,-./:=?", c) != NULL);
}

static bool charset_has(enum cm_subject_field field, uint8_t c)
{
    if (field == CM_SUBJECT_C)
        return c >= 'A' && c <= 'Z';
    return fields[field].tag == CM_DER_PRINTABLE_STRING ? is_printable_string(c) : c < 0x80;
}

bool cm_subject_value_check(enum cm_subject_field field, struct cm_bytes value,
                            struct cm_refusal *refusal)
{
    const char *what = fields[field].name;
    if (!cm_name_value_check(value, fields[field].characters_max, what, refusal))
        return false;
    if (field == CM_SUBJECT_C && value.size != 2)
        return cm_refuse(refusal, CM_REFUSAL_NAME_CHARSET, CM_REFUSAL_NO_OFFSET,
                         "c is not two capital letters");
    if (fields[field].tag == CM_DER_UTF8_STRING)
        return true;
    for (size_t offset = 0; offset < value.size; offset++)
        if (!charset_has(field, value.data[offset]))
            return cm_refuse(refusal, CM_REFUSAL_NAME_CHARSET, offset,
                             "%s: a character outside its string type's set", what);
    return true;
}

void cm_subject_put(struct cm_der_writer *w, enum cm_subject_field field, struct cm_bytes value)
{
    size_t mark = cm_der_mark(w);
    cm_der_put_tlv(w, fields[field].tag, value);
    cm_der_put_tlv(w, CM_DER_OID, cm_oid_content(oids[field]));
    cm_der_wrap(w, CM_DER_SEQUENCE, mark);
    cm_der_wrap(w, CM_DER_SET, mark);
}

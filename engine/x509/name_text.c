#include "engine/x509/name_text.h"

bool cm_utf8_next(struct cm_bytes text, size_t *position, uint32_t *ret_character)
{
    static const uint32_t smallest[] = { 0, 0x80, 0x800, 0x10000 };
    uint8_t first = text.data[*position];
    unsigned more = first < 0x80 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    if ((first >= 0x80 && first < 0xc2) || first > 0xf4 || text.size - *position <= more)
        return false;
    uint32_t character = more ? first & (0x3fu >> more) : first;
    for (unsigned i = 1; i <= more; i++) {
        uint8_t next = text.data[*position + i];
        if ((next & 0xc0) != 0x80)
            return false;
        character = character << 6 | (next & 0x3fu);
    }
    if (character < smallest[more] || character > 0x10ffff
        || (character >= 0xd800 && character <= 0xdfff))
        return false;
    *position += more + 1;
    *ret_character = character;
    return true;
}

bool cm_utf8_is_line(struct cm_bytes text, size_t *ret_offset)
{
    size_t position = 0;
    while (position < text.size) {
        uint32_t character;
        *ret_offset = position;
        if (!cm_utf8_next(text, &position, &character) || character < 0x20
            || (character >= 0x7f && character <= 0x9f))
            return false;
    }
    return true;
}

struct range {
    uint32_t first;
    uint32_t last;
};

static bool in_ranges(uint32_t character, const struct range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (character >= ranges[i].first && character <= ranges[i].last)
            return true;
    return false;
}
#define IN(character, ranges) in_ranges((character), (ranges), sizeof(ranges) / sizeof(ranges)[0])

static const struct range controls[] = { { 0x00, 0x1f }, { 0x7f, 0x9f }, { 0x2028, 0x2029 } };
static const struct range bidi[] = {
    { 0x061c, 0x061c }, { 0x200e, 0x200f }, { 0x202a, 0x202e }, { 0x2066, 0x2069 }
};
/* Default-ignorable characters of Unicode, fillers and interlinear marks: they draw nothing. */
static const struct range invisible[] = {
    { 0x00ad, 0x00ad },   { 0x034f, 0x034f }, { 0x115f, 0x1160 },   { 0x17b4, 0x17b5 },
    { 0x180b, 0x180f },   { 0x200b, 0x200d }, { 0x2060, 0x2065 },   { 0x206a, 0x206f },
    { 0x2800, 0x2800 },   { 0x3164, 0x3164 }, { 0xfe00, 0xfe0f },   { 0xfeff, 0xfeff },
    { 0xffa0, 0xffa0 },   { 0xfff0, 0xfffb }, { 0x1bca0, 0x1bca3 }, { 0x1d173, 0x1d17a },
    { 0xe0000, 0xe0fff },
};
static const struct range spaces[] = { { 0x20, 0x20 },     { 0xa0, 0xa0 },     { 0x1680, 0x1680 },
                                       { 0x2000, 0x200a }, { 0x202f, 0x202f }, { 0x205f, 0x205f },
                                       { 0x3000, 0x3000 } };

static bool is_noncharacter(uint32_t character)
{
    return (character & 0xfffe) == 0xfffe || (character >= 0xfdd0 && character <= 0xfdef);
}

/* CM_REFUSAL_NONE where the character may stand in a name. */
static enum cm_refusal_code character_refusal(uint32_t character)
{
    if (character >= 0x20 && character < 0x7f)
        return CM_REFUSAL_NONE;
    if (character == 0)
        return CM_REFUSAL_NAME_NUL;
    if (IN(character, controls))
        return CM_REFUSAL_NAME_CONTROL_CHAR;
    if (IN(character, bidi))
        return CM_REFUSAL_NAME_BIDI;
    if (IN(character, invisible))
        return CM_REFUSAL_NAME_INVISIBLE;
    return is_noncharacter(character) ? CM_REFUSAL_NAME_CHARSET : CM_REFUSAL_NONE;
}

bool cm_name_text_check(struct cm_bytes text, const char *label, size_t offset,
                        size_t *ret_characters, struct cm_refusal *refusal)
{
    size_t characters = 0;
    uint32_t first = 0;
    uint32_t last = 0;
    for (size_t position = 0; position < text.size; characters++) {
        size_t here = position;
        if (!cm_utf8_next(text, &position, &last))
            return cm_refuse(refusal, CM_REFUSAL_NAME_UTF8_INVALID, offset + here,
                             "%s: not UTF-8 at byte %zu", label, here);
        enum cm_refusal_code code = character_refusal(last);
        if (code != CM_REFUSAL_NONE)
            return cm_refuse(refusal, code, offset + here, "%s: U+%04X at byte %zu", label,
                             (unsigned)last, here);
        if (characters == 0)
            first = last;
    }
    if (characters == 0)
        return cm_refuse(refusal, CM_REFUSAL_NAME_EMPTY, offset, "%s: empty", label);
    if (IN(first, spaces) || IN(last, spaces))
        return cm_refuse(refusal, CM_REFUSAL_NAME_WHITESPACE, offset,
                         "%s: white space at its beginning or end", label);
    *ret_characters = characters;
    return true;
}

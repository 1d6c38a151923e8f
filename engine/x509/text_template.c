#include "engine/x509/text_template.h"

#include "engine/x509/subject.h"

/* "device", "attr:NAME" or "csr:FIELD". */
static bool parse_source(struct cm_bytes text, struct cm_text_part *ret_part)
{
    struct cm_text_part part = { .text = text };
    if (cm_bytes_is(text, "device")) {
        part.source = CM_TEXT_DEVICE;
    } else if (text.size > 5 && memcmp(text.data, "attr:", 5) == 0) {
        part.source = CM_TEXT_ATTRIBUTE;
        part.key = cm_bytes_from(text, 5);
    } else if (text.size > 4 && memcmp(text.data, "csr:", 4) == 0) {
        part.source = CM_TEXT_CSR;
        part.field = cm_subject_field_find((const char *)text.data + 4, text.size - 4);
        if (part.field == CM_SUBJECT_FIELD_COUNT)
            return false;
    } else {
        return false;
    }
    *ret_part = part;
    return true;
}

static struct cm_text_part *next_part(struct cm_text_template *template)
{
    if (template->parts_count == CM_TEXT_PARTS_MAX)
        return NULL;
    return &template->parts[template->parts_count++];
}

/* What stands between the braces. The caller has seen that they are closed. */
static const char *parse_placeholder(struct cm_bytes inside, struct cm_text_template *template)
{
    for (;;) {
        const uint8_t *bar = inside.size > 0 ? memchr(inside.data, '|', inside.size) : NULL;
        size_t size = bar ? (size_t)(bar - inside.data) : inside.size;
        struct cm_text_part *part = next_part(template);
        if (!part)
            return "has too many parts";
        if (!parse_source(cm_bytes(inside.data, size), part))
            return "has a placeholder that is none of ${device}, ${attr:NAME} and ${csr:FIELD}";
        part->or_next = bar != NULL;
        if (!bar)
            return NULL;
        inside = cm_bytes_from(inside, size + 1);
    }
}

const char *cm_text_template_parse(const char *text, struct cm_text_template *ret_template)
{
    const char *problem = NULL;
    *ret_template = (struct cm_text_template){ 0 };
    if (*text == '\0')
        return "is empty";
    while (*text != '\0' && !problem) {
        if (text[0] == '$' && text[1] == '{') {
            const char *close = strchr(text, '}');
            if (!close)
                return "has a ${ without its }";
            problem =
                parse_placeholder(cm_bytes(text + 2, (size_t)(close - text - 2)), ret_template);
            text = close + 1;
            continue;
        }
        if (text[0] == '$' && text[1] != '$')
            return "has a $ that is followed by neither { nor $";
        struct cm_text_part *part = next_part(ret_template);
        if (!part)
            return "has too many parts";
        /* A doubled dollar sign is a literal of one. */
        size_t size = text[0] == '$' ? 1 : strcspn(text, "$");
        part->source = CM_TEXT_LITERAL;
        part->text = cm_bytes(text, size);
        text += text[0] == '$' ? 2 : size;
    }
    return problem;
}

static struct cm_bytes part_value(const struct cm_text_part *part,
                                  const struct cm_template_input *in)
{
    switch (part->source) {
    case CM_TEXT_LITERAL:
        return part->text;
    case CM_TEXT_DEVICE:
        return in->device;
    case CM_TEXT_ATTRIBUTE:
        for (size_t index = 0; index < in->attributes_count; index++)
            if (cm_bytes_equal(in->attributes[index].key, part->key))
                return in->attributes[index].value;
        break;
    case CM_TEXT_CSR:
        if (in->csr_name)
            return cm_name_find(in->csr_name, cm_subject_field_oid(part->field));
        break;
    }
    return cm_bytes(NULL, 0);
}

/* The value of the placeholder at *index, or of the first alternative that has one; *index moves
   behind the last alternative. */
static struct cm_bytes next_value(const struct cm_text_template *text, size_t *index,
                                  const struct cm_template_input *in)
{
    struct cm_bytes value = { 0 };
    for (bool more = true; more; ++*index) {
        if (value.size == 0)
            value = part_value(&text->parts[*index], in);
        more = text->parts[*index].or_next;
    }
    return value;
}

enum cm_text_result cm_text_template_expand(const struct cm_text_template *text,
                                            const struct cm_template_input *in,
                                            struct cm_text_space *space, struct cm_bytes *ret_text)
{
    size_t begin = space->used;
    for (size_t index = 0; index < text->parts_count;) {
        size_t first = index;
        struct cm_bytes value = next_value(text, &index, in);
        if (value.size == 0) {
            *ret_text = text->parts[first].text;
            space->used = begin;
            return CM_TEXT_ABSENT;
        }
        if (first == 0 && index == text->parts_count) {
            *ret_text = value; /* nothing to join */
            return CM_TEXT_DONE;
        }
        if (value.size > space->size - space->used)
            return CM_TEXT_TOO_LONG;
        memcpy(space->data + space->used, value.data, value.size);
        space->used += value.size;
    }
    *ret_text = cm_bytes(space->data + begin, space->used - begin);
    return CM_TEXT_DONE;
}

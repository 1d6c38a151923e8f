/*
 * Text templates of profiles: "urn:dev:${attr:serial|device}" parsed once, expanded for each
 * device. The language is described in engine/x509/profile.h.
 *
 * A parsed template borrows the text it was parsed from. Thread: any.
 */
#ifndef CM_X509_TEXT_TEMPLATE_H
#define CM_X509_TEXT_TEMPLATE_H

#include "engine/x509/template.h"

#define CM_TEXT_PARTS_MAX 16

enum cm_text_source { CM_TEXT_LITERAL, CM_TEXT_DEVICE, CM_TEXT_ATTRIBUTE, CM_TEXT_CSR };

struct cm_text_part {
    struct cm_bytes text; /* the literal, or what stood in the braces: "attr:serial" */
    struct cm_bytes key;  /* of an attribute */
    enum cm_text_source source;
    enum cm_subject_field field; /* of CM_TEXT_CSR */
    bool or_next;                /* the next part stands in where this one has no value */
};

struct cm_text_template {
    struct cm_text_part parts[CM_TEXT_PARTS_MAX];
    size_t parts_count;
};

/* Memory for expanded texts, taken from the front. */
struct cm_text_space {
    uint8_t *data;
    size_t size;
    size_t used;
};

enum cm_text_result {
    CM_TEXT_DONE,
    CM_TEXT_ABSENT,  /* a placeholder has no value; *ret_text is what stood in its braces */
    CM_TEXT_TOO_LONG /* for the space */
};

/* NULL when the text is a template; else what is wrong with it (static). */
const char *cm_text_template_parse(const char *text, struct cm_text_template *ret_template);

/* The text lies in the space, in the input, or in the template itself, whichever is cheapest. */
enum cm_text_result cm_text_template_expand(const struct cm_text_template *text,
                                            const struct cm_template_input *in,
                                            struct cm_text_space *space, struct cm_bytes *ret_text);

#endif

/*
 * Composition: one certificate on its way through template.c. Private to this folder.
 *
 * First the rules of the profile are resolved into names (composition_names.c), which is where a
 * certificate can be refused; then everything is written (template.c).
 */
#ifndef CM_X509_COMPOSITION_H
#define CM_X509_COMPOSITION_H

#include "engine/x509/altname.h"
#include "engine/x509/internal.h"

struct cm_composition {
    const struct cm_template *template;
    struct cm_composer *composer;
    const struct cm_template_input *in;
    struct cm_refusal *refusal;
    struct cm_text_space space;
    struct cm_bytes subject[CM_SUBJECT_RULES_MAX]; /* empty where an optional one is left out */
    size_t subject_count; /* of those that are not; 1 of one that was given */
    struct cm_altname_value altnames[CM_ALTNAMES_MAX];
    size_t altnames_count;
    int64_t not_before_s;
    int64_t not_after_s;
    uint32_t crl_shard;
    struct cm_bytes ski; /* that was given, or own_ski */
    uint8_t own_ski[CM_SKI_SIZE];
};

/* Fills the subject, or the alternative names: the profile's rules, then what may come from the CSR. */
bool cm_composition_resolve_subject(struct cm_composition *c);
bool cm_composition_resolve_altnames(struct cm_composition *c);

#endif

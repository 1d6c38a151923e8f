#include "engine/x509/name_constraints.h"

/* ----------------------------------------------------------------------------------- read -- */

static bool base_is_sound(const struct cm_der *list, const struct cm_der_element *name)
{
    if (name->tag == CM_SUBTREE_IP && name->content.size != 8 && name->content.size != 32)
        return cm_refuse(list->refusal, CM_REFUSAL_DER_TOO_LARGE, name->offset,
                         "nameConstraints: an address and its mask have 8 or 32 octets");
    if (name->tag == CM_SUBTREE_DIRECTORY) {
        struct cm_der inner = cm_der_inside(list, name->content);
        struct cm_bytes ignored;
        return cm_der_read_sequence(&inner, "nameConstraints", &ignored)
               && cm_der_finish(&inner, "nameConstraints");
    }
    return true;
}

static bool read_subtree(struct cm_der *list, struct cm_subtrees *subtrees)
{
    struct cm_der subtree;
    struct cm_der_element name;
    if (!cm_der_enter(list, CM_DER_SEQUENCE, "nameConstraints", &subtree)
        || !cm_der_read_any(&subtree, "nameConstraints", &name)
        || !cm_der_finish(&subtree, "nameConstraints") || !base_is_sound(list, &name))
        return false;
    if (subtrees->count == CM_SUBTREES_MAX)
        return cm_refuse(list->refusal, CM_REFUSAL_DER_TOO_MANY_ELEMENTS, name.offset,
                         "nameConstraints: more than %d subtrees", CM_SUBTREES_MAX);
    subtrees->list[subtrees->count++] = (struct cm_subtree){ name.tag, name.content };
    return true;
}

static bool read_subtrees(struct cm_der *constraints, uint8_t tag, struct cm_subtrees *ret_subtrees)
{
    struct cm_der list;
    ret_subtrees->count = 0;
    if (!cm_der_next_is(constraints, tag))
        return true;
    if (!cm_der_enter(constraints, tag, "nameConstraints", &list))
        return false;
    do {
        if (!read_subtree(&list, ret_subtrees))
            return false;
    } while (!cm_der_at_end(&list));
    return true;
}

bool cm_name_constraints_read(struct cm_der *der, struct cm_name_constraints *ret_constraints)
{
    struct cm_der inner;
    if (!cm_der_enter(der, CM_DER_SEQUENCE, "nameConstraints", &inner))
        return false;
    if (cm_der_at_end(&inner))
        return cm_refuse(der->refusal, CM_REFUSAL_DER_TOO_FEW_ELEMENTS, inner.position,
                         "nameConstraints: neither permitted nor excluded");
    return read_subtrees(&inner, CM_DER_CONTEXT_CONSTRUCTED(0), &ret_constraints->permitted)
           && read_subtrees(&inner, CM_DER_CONTEXT_CONSTRUCTED(1), &ret_constraints->excluded)
           && cm_der_finish(&inner, "nameConstraints");
}

/* ---------------------------------------------------------------------------------- write -- */

static void put_subtrees(struct cm_der_writer *w, uint8_t tag, const char *const *texts,
                         size_t count)
{
    size_t mark = cm_der_mark(w);
    if (count == 0)
        return;
    for (size_t i = count; i-- > 0;) {
        size_t subtree_mark = cm_der_mark(w);
        uint8_t octets[CM_SUBTREE_OCTETS];
        struct cm_subtree subtree = { 0 };
        cm_subtree_read(texts[i], octets, &subtree);
        cm_der_put_tlv(w, subtree.tag, subtree.base);
        cm_der_wrap(w, CM_DER_SEQUENCE, subtree_mark);
    }
    cm_der_wrap(w, tag, mark);
}

void cm_name_constraints_put(struct cm_der_writer *w, const char *const *permitted,
                             size_t permitted_count, const char *const *excluded,
                             size_t excluded_count)
{
    size_t mark = cm_der_mark(w);
    put_subtrees(w, CM_DER_CONTEXT_CONSTRUCTED(1), excluded, excluded_count);
    put_subtrees(w, CM_DER_CONTEXT_CONSTRUCTED(0), permitted, permitted_count);
    cm_der_wrap(w, CM_DER_SEQUENCE, mark);
}

/* ---------------------------------------------------------------------------------- judge -- */

static bool have(const struct cm_subtrees *subtrees, uint8_t tag)
{
    for (size_t i = 0; i < subtrees->count; i++)
        if (subtrees->list[i].tag == tag)
            return true;
    return false;
}

bool cm_name_constraints_have(const struct cm_name_constraints *constraints, uint8_t tag)
{
    return have(&constraints->permitted, tag) || have(&constraints->excluded, tag);
}

static const struct cm_subtree *find(const struct cm_subtrees *subtrees,
                                     const struct cm_subtree *name)
{
    for (size_t i = 0; i < subtrees->count; i++)
        if (cm_subtree_covers(&subtrees->list[i], name))
            return &subtrees->list[i];
    return NULL;
}

bool cm_name_constraints_allow(const struct cm_name_constraints *constraints,
                               const struct cm_subtree *name, const struct cm_subtree **ret_by)
{
    *ret_by = find(&constraints->excluded, name);
    if (*ret_by)
        return false;
    return !have(&constraints->permitted, name->tag) || find(&constraints->permitted, name);
}

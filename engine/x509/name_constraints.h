/*
 * Name constraints of a CA: which names may stand in certificates below it (RFC 5280, 4.2.1.10).
 * Read strictly and written; minimum and maximum, which no profile of RFC 5280 uses, are refused.
 * Thread: any.
 */
#ifndef CM_X509_NAME_CONSTRAINTS_H
#define CM_X509_NAME_CONSTRAINTS_H

#include "engine/x509/der_writer.h"
#include "engine/x509/subtree.h"

#define CM_SUBTREES_MAX 64 /* permitted, and as many excluded */

struct cm_subtrees {
    size_t count;
    struct cm_subtree list[CM_SUBTREES_MAX]; /* spans over the encoding */
};

struct cm_name_constraints {
    struct cm_subtrees permitted;
    struct cm_subtrees excluded;
};

/* Reads the next element of der, the value of the extension. */
bool cm_name_constraints_read(struct cm_der *der, struct cm_name_constraints *ret_constraints);

/* The value of the extension, from subtrees as texts ("dns:example.com"), which have been checked. */
void cm_name_constraints_put(struct cm_der_writer *w, const char *const *permitted,
                             size_t permitted_count, const char *const *excluded,
                             size_t excluded_count);

/*
 * Whether a name, or all of a subtree, may stand below. Kinds that nothing is said of may. False: *ret_by is
 * the excluded subtree that has it, or NULL: no permitted one of its kind has it.
 */
bool cm_name_constraints_allow(const struct cm_name_constraints *constraints,
                               const struct cm_subtree *name, const struct cm_subtree **ret_by);

/* Whether anything is said of names with this tag. */
bool cm_name_constraints_have(const struct cm_name_constraints *constraints, uint8_t tag);

#endif

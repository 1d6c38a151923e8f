/*
 * Certificates: what the reader takes keeps its promises: spans lie within the input, name constraints read again,
 * every subtree covers itself, and none of a kind that we know refuses its own text.
 */
#include <stdlib.h>

#include "engine/x509/certificate.h"
#include "engine/x509/name_constraints.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void must_lie_within(struct cm_bytes whole, struct cm_bytes part)
{
    must(part.size == 0
         || (part.data >= whole.data && part.data + part.size <= whole.data + whole.size));
}

static bool is_known(uint8_t tag)
{
    return tag == CM_SUBTREE_DNS || tag == CM_SUBTREE_EMAIL || tag == CM_SUBTREE_URI
           || tag == CM_SUBTREE_IP || tag == CM_SUBTREE_DIRECTORY;
}

static void check_subtrees(struct cm_bytes input, const struct cm_name_constraints *constraints,
                           const struct cm_subtrees *subtrees)
{
    for (size_t i = 0; i < subtrees->count; i++) {
        const struct cm_subtree *subtree = &subtrees->list[i], *by = NULL;
        char text[CM_SUBTREE_TEXT_SIZE];
        must_lie_within(input, subtree->base);
        must(cm_name_constraints_have(constraints, subtree->tag));
        must(cm_subtree_covers(subtree, subtree) == is_known(subtree->tag));
        must(cm_subtree_write(subtree, text) == text && text[0] != '\0');
        if (!cm_name_constraints_allow(constraints, subtree, &by) && !by)
            must(subtrees != &constraints->permitted || !is_known(subtree->tag));
    }
}

static void check_constraints(struct cm_bytes input, struct cm_bytes value)
{
    struct cm_name_constraints constraints;
    struct cm_refusal refusal;
    struct cm_der der = cm_der_open(value, &refusal);
    if (value.size == 0)
        return;
    must(cm_name_constraints_read(&der, &constraints) && cm_der_at_end(&der));
    check_subtrees(input, &constraints, &constraints.permitted);
    check_subtrees(input, &constraints, &constraints.excluded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cm_bytes input = cm_bytes(data, size);
    struct cm_certificate certificate;
    struct cm_issuer issuer;
    struct cm_error err;
    if (cm_certificate_read(input, &certificate, &err) != CM_OK)
        return 0;
    const struct cm_bytes parts[] = { certificate.tbs,      certificate.serial,
                                      certificate.issuer,   certificate.subject,
                                      certificate.spki,     certificate.ski,
                                      certificate.aki,      certificate.policies,
                                      certificate.altnames, certificate.name_constraints,
                                      certificate.signature };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        must_lie_within(input, parts[i]);
    check_constraints(input, certificate.name_constraints);
    if (cm_issuer_from_certificate(&certificate, &issuer, &err) == CM_OK)
        must(certificate.is_ca && issuer.sigalg != CM_SIGALG_UNKNOWN);
    return 0;
}

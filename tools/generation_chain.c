#include "tools/generation_chain.h"

#include "tools/der_file.h"

struct reading {
    struct cm_arena *arena;
    struct cm_certificate *certificates;
    size_t count;
};

static cm_status add(struct cm_bytes der, const char *where, void *arg, struct cm_error *err)
{
    struct reading *reading = arg;
    if (reading->count == CM_GENERATION_CHAIN_MAX)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "%.80s: more than %d certificates",
                       where, CM_GENERATION_CHAIN_MAX);
    return cm_certificate_read(cm_arena_copy(reading->arena, der),
                               &reading->certificates[reading->count++], err);
}

/* The chains of the store leave the root out. */
static cm_status add_root(const struct cm_generations *generations, struct reading *reading,
                          const char *name, struct cm_error *err)
{
    const struct cm_certificate *last = &reading->certificates[reading->count - 1];
    if (cm_bytes_equal(last->subject, last->issuer))
        return CM_OK;
    const struct cm_generation *root = cm_generations_find_signer(generations, last);
    return root ? add(root->certificate, name, reading, err) : CM_OK;
}

cm_status cm_generation_chain_read(const struct cm_generations *generations,
                                   const struct cm_generation *generation, struct cm_arena *arena,
                                   struct cm_signer_chain *ret_chain, struct cm_error *err)
{
    const char *name = cm_generation_name(arena, generation);
    if (generation->certificate.size == 0)
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0, "%s waits for its certificate", name);
    struct reading reading = {
        .arena = arena,
        .certificates =
            cm_arena_zalloc(arena, CM_GENERATION_CHAIN_MAX * sizeof *reading.certificates),
    };
    cm_status status =
        generation->chain.size > 0
            ? cm_der_text_walk(generation->chain, name, CM_LABEL_CERTIFICATE, add, &reading, err)
            : add(generation->certificate, name, &reading, err);
    if (status == CM_OK)
        status = add_root(generations, &reading, name, err);
    if (status == CM_OK)
        *ret_chain = (struct cm_signer_chain){ name, reading.certificates, reading.count };
    return status;
}

/*
 * CA rotation: the next generation of an authority: a new key, its certificate, the cross certificates with the
 * one that it replaces (RFC 4210, 4.4).
 *
 * What was made is recorded at once, as pending, or nothing is: then the new key is destroyed again. A run that was killed
 * leaves at most a key that nobody knows; under the name that the next run gives it, it is taken up.
 *
 *     struct cm_ca_rotation rotation = { .authority = "issuing" };
 *     status = cm_ca_rotation_carry_out(&rotation, &record, &err);     then rotation.name is "issuing-2"
 *
 * For `ca rotate` and `ca compromise`. One thread.
 */
#ifndef CM_TOOLS_CA_ROTATION_H
#define CM_TOOLS_CA_ROTATION_H

#include "tools/ca_record.h"
#include "tools/ca_signer.h"
#include "tools/generations.h"
#include "tools/new_authority.h"
#include "tools/new_files.h"

struct cm_ca_rotation {
    /* planned */
    const char *authority;
    const char *replaced; /* "issuing-1"; NULL: the active one, where there is one alone */
    const char *provider; /* NULL: that of the one that is replaced */
    const char *key;      /* reference; NULL: named after the generation, where the kind allows */
    const char *key_type; /* "p256"; NULL: that of the one that is replaced */
    bool has_key;         /* it is there already */
    bool no_crosses;
    int64_t
        validity_s; /* 0: that of the one that is replaced; cut short where its signer ends before */
    /* written; in the deployment's arena */
    const char *name; /* "issuing-2" */
    const char *path; /* of its certificate */
    const char *old_name;
    const char *signers_name; /* "root-1"; its own name: it signs itself */
    struct cm_certificate certificate;
    uint32_t crosses_count;
    bool was_there; /* a pending one for this place: nothing was made */
    bool took_up;   /* a key that an earlier run had left */
    /* its own */
    struct cm_ca_record *record;
    struct cm_generations generations;
    const struct cm_generation *old, *signer;
    struct cm_certificate old_certificate;
    const struct cm_settings_provider *provider_settings;
    struct cm_provider_session session;
    struct cm_new_authority ca; /* of which the key is used */
    struct cm_ca_signer by_signer, by_old;
    struct cm_issuer self; /* the new one, as a signer */
    struct cm_composer *composer;
    struct cm_new_files files;
    struct json_t *crosses;
    int64_t generation;
};

/*
 * Fails with: NOT_FOUND (the authority, its active key, a provider), EXISTS (several active keys, and none is
 *             named; the key is taken), UNSUPPORTED (its signer is none of ours: a CSR is the way),
 *             CANCELLED; what keys, files and the record fail with.
 */
CM_MUST_USE cm_status cm_ca_rotation_carry_out(struct cm_ca_rotation *rotation,
                                               struct cm_ca_record *record, struct cm_error *err);

#endif

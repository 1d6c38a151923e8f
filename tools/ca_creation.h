/*
 * CA creation: what `certmill ca create` makes, and how: the key, the certificate by its signer or the
 * request for one, the file, the record.
 *
 *     struct cm_ca_creation creation = { .call = call, ... what is planned ... };
 *     if (cm_ca_record_open(&creation.record, call, &err) == CM_OK)
 *         status = cm_ca_creation_carry_out(&creation, &err);
 *     cm_ca_record_close(&creation.record);
 *
 * Private to tools/ca_create.c. One thread.
 */
#ifndef CM_TOOLS_CA_CREATION_H
#define CM_TOOLS_CA_CREATION_H

#include "tools/ca_record.h"
#include "tools/ca_signer.h"
#include "tools/generations.h"
#include "tools/new_authority.h"
#include "tools/new_files.h"

struct cm_ca_creation {
    const struct cm_call *call;
    struct cm_ca_record record;
    struct cm_arena arena; /* of the plan */
    /* planned */
    struct cm_new_authority ca; /* cn NULL: it is named after the generation */
    struct cm_profile profile;
    const char *signers_name; /* of the authority that signs; NULL: the new one signs itself */
    const char *csr_path;     /* it is signed elsewhere, and asks here; NULL: here */
    bool is_beside;           /* one more key of an authority that is there */
    bool must_last;           /* the profile's validity was asked for; else it may be cut short */
    /* written; spans and strings live in the record's arena */
    int64_t generation;                          /* within the authority */
    const char *path;                            /* of the certificate, or the request */
    const struct cm_settings_provider *provider; /* of the new key */
    int64_t not_after_s;                         /* of the certificate */
    bool is_cut_short;                           /* it ends with what is above it */
    /* its own */
    struct cm_generations generations;
    struct cm_new_files files;
    struct cm_provider_session session;             /* of the new key */
    struct cm_ca_signer signer;                     /* closed, where it signs itself */
    const struct cm_generation *signers_generation; /* NULL: it signs itself */
    int64_t end_s;                                  /* what is above it ends then */
    const char *folder;                             /* of certificates */
};

/*
 * Does:       all of it, or nothing but the intent in the audit log: what was made is taken back. Whether
 *             the signer may certify it is asked first, before there is a key.
 * Fails with: EXISTS (the name or the key is taken), NOT_FOUND (signer, provider, what to stand beside),
 *             MISMATCH (another signer than the one of the keys beside it, or one that may not certify
 *             this: engine/authority/certifiable.h), UNCERTAIN (an engine has not answered: what was made is
 *             left), CANCELLED (interruptions.h);
 *             what keys, files and the store fail with.
 */
CM_MUST_USE cm_status cm_ca_creation_carry_out(struct cm_ca_creation *creation,
                                               struct cm_error *err);

#endif

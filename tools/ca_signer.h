/*
 * CA signer: a generation of one of our authorities whose key signs, for a command: its provider is
 * opened, its key is proved, and it is the one in its certificate.
 *
 *     struct cm_ca_signer signer = { 0 };
 *     if (cm_ca_signer_open(&signer, settings, generation, &arena, &err) == CM_OK)
 *         ... cm_provider_session_sign(&signer.session, signer.key, ...) ...
 *     cm_ca_signer_close(&signer);                 also when open failed, or was never called
 *
 * Any generation with a certificate will do, whatever its state: cross certificates are signed by one
 * that is active and by one that is not yet. One thread.
 */
#ifndef CM_TOOLS_CA_SIGNER_H
#define CM_TOOLS_CA_SIGNER_H

#include "engine/store/store.h"
#include "engine/x509/certificate.h"
#include "tools/ca_record.h"
#include "tools/provider_session.h"

struct cm_ca_signer {
    const struct cm_generation *generation; /* borrowed until it is closed; NULL: never opened */
    struct cm_certificate certificate;      /* spans over the generation's */
    struct cm_issuer issuer;                /* without URLs and shards */
    struct cm_provider_session session;
    struct cm_key *key;
};

/*
 * Does:       finds the generation's provider in the settings, opens it with one worker, and the key in
 *             it; either stays open until the signer is closed.
 * Fails with: NOT_FOUND (no such provider); MISMATCH (it is no CA that may sign, or the key is not that of
 *             its certificate); what reading the certificate, the provider and the key fail with.
 */
CM_MUST_USE cm_status cm_ca_signer_open(struct cm_ca_signer *signer,
                                        const struct cm_settings *settings,
                                        const struct cm_generation *generation,
                                        struct cm_arena *arena, struct cm_error *err);

/*
 * Does:       fills the issuer's URLs and shards with what stands in the certificates of this generation, as
 *             its authority has them in the settings; what is not fixed yet is written down first
 *             (engine/fixing.h). Without such an authority there is nothing to fill. loop and store NULL: an
 *             engine has the store, and has fixed what it serves.
 * Fails with: what the store fails with.
 */
CM_MUST_USE cm_status cm_ca_signer_fill_urls(struct cm_ca_signer *signer,
                                             const struct cm_settings *settings,
                                             struct cm_loop *loop, struct cm_store *store,
                                             struct cm_arena *arena, struct cm_error *err);

/*
 * Does:       opens it, and fills the issuer whole: URLs and shards, by way of whoever has the store, and
 *             the signature algorithm of the key as it was opened.
 * Fails with: as both of the above.
 */
CM_MUST_USE cm_status cm_ca_signer_open_issuer(struct cm_ca_signer *signer,
                                               struct cm_ca_record *record,
                                               const struct cm_generation *generation,
                                               struct cm_error *err);

void cm_ca_signer_close(struct cm_ca_signer *signer);

#endif

/*
 * New authority: a CA's key, made where it will live or found there, and its certificate, signed by
 * itself or by another authority's key. For `init` and `ca create`.
 *
 *     struct cm_new_authority issuing = { .name = "issuing", .key = "pkcs11:token=T;object=issuing",
 *                                         .spec = ..., .profile = ..., .cn = ... };
 *     if (cm_new_authority_open_key(&issuing, &session, &err) == CM_OK
 *         && cm_new_authority_sign(&issuing, &signer, &arena, &err) == CM_OK)
 *         ... issuing.der ...
 *     cm_new_authority_close_key(&issuing, failed);
 *
 * One thread.
 */
#ifndef CM_TOOLS_NEW_AUTHORITY_H
#define CM_TOOLS_NEW_AUTHORITY_H

#include "engine/base/arena.h"
#include "engine/store/store.h"
#include "engine/x509/authority.h"
#include "tools/provider_session.h"

#define CM_NEW_AUTHORITY_KEY_SIZE 600

/* What cm_interruptions_hold says while authorities are made. */
#define CM_NEW_AUTHORITY_INTERRUPTED                                                               \
    "interrupted; ending as soon as nothing is left half made, interrupt again to leave it so"

/* Stays where it is: key may point into it. */
struct cm_new_authority {
    const char *name;        /* "root", "issuing" */
    const char *key;         /* reference within the provider; once it is open, the one that names
                                this very key from now on */
    bool has_key;            /* it is there already; else one is made */
    struct cm_key_spec spec; /* of one that is made */
    const struct cm_profile *profile;
    const char *cn;
    const char *organization; /* NULL: none */
    /* written */
    struct cm_provider_session *session;
    struct cm_key *handle;
    struct cm_bytes der; /* of the certificate, or of the request for one; in the arena */
    enum cm_sigalg sigalg;
    char fingerprint[65]; /* SHA-256 of der, hex */
    char pinned[CM_NEW_AUTHORITY_KEY_SIZE];
};

/* Whose key signs, and what is done before it does. */
struct cm_new_authority_signer {
    struct cm_provider_session *session;
    struct cm_key *key;
    const struct cm_issuer *issuer; /* NULL: it signs itself */
    /* Makes it durable that these bytes will be signed; NULL: there is no record yet. */
    cm_status (*record)(const struct cm_new_authority *authority, struct cm_bytes tbs, void *arg,
                        struct cm_error *err);
    void *arg;
};

/*
 * Does:       its subject, a Name in the arena: known before there is a key.
 * Fails with: what cm_authority_compose_subject fails with.
 */
CM_MUST_USE cm_status cm_new_authority_subject(const struct cm_new_authority *authority,
                                               struct cm_arena *arena, struct cm_bytes *ret_name,
                                               struct cm_error *err);

/*
 * Does:       makes or finds the key; either proves it.
 * Fails with: what the provider fails with; MISMATCH (what was imported is of another type); CANCELLED
 *             (interruptions.h; the caller holds them).
 */
CM_MUST_USE cm_status cm_new_authority_open_key(struct cm_new_authority *authority,
                                                struct cm_provider_session *session,
                                                struct cm_error *err);

/*
 * Does:       composes and lints the certificate, records it, signs it, verifies the signature.
 * Fails with: what composing, recording and signing fail with; CORRUPT (the signature is wrong);
 *             CANCELLED (before it is recorded).
 */
CM_MUST_USE cm_status cm_new_authority_sign(struct cm_new_authority *authority,
                                            const struct cm_new_authority_signer *signer,
                                            struct cm_arena *arena, struct cm_error *err);

/*
 * Does:       composes a request for a certificate from elsewhere, records it as signer->record does, signs
 *             it with the new key, reads it back and verifies it: der and fingerprint are the request's. Of the
 *             signer only record and arg count.
 * Fails with: as cm_new_authority_sign.
 */
CM_MUST_USE cm_status cm_new_authority_request(struct cm_new_authority *authority,
                                               const struct cm_new_authority_signer *signer,
                                               struct cm_arena *arena, struct cm_error *err);

/*
 * Lets the key go. With undo a key that was made here is destroyed; standard error has it, or why it
 * cannot be.
 */
void cm_new_authority_close_key(struct cm_new_authority *authority, bool undo);

/*
 * Does:       composes and lints what a key is to sign: *in, with a new serial, from now on.
 * Owns:       *ret_tbs points into arena.
 * Fails with: IO (the random generator); as cm_authority_compose.
 */
CM_MUST_USE cm_status cm_new_authority_compose(struct cm_authority_input in, struct cm_arena *arena,
                                               struct cm_tbs *ret_tbs, struct cm_error *err);

/* A serial for an authority's certificate, shaped as the engine's are. Fails with: IO. */
CM_MUST_USE cm_status cm_new_authority_draw_serial(uint8_t serial[CM_SERIAL_SIZE],
                                                   struct cm_error *err);

#endif

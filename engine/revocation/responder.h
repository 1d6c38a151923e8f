/*
 * Responders: who signs OCSP responses, one for each generation of an authority's key.
 *
 * Where the settings name a provider for it (ocsp-responder), a delegated responder: a key of its own in
 * that provider, and a short-lived certificate directly under the generation's key, with the purpose
 * OCSPSigning alone and id-pkix-ocsp-nocheck (RFC 6960, 4.2.2.2.1), which the engine issues, records
 * like any other certificate, and renews when half of its life is over. Else the generation's own key
 * signs.
 *
 *     cm_responders_open(&env, &responders, &err) at the engine's start, when issuers are open and
 *                                                 promises were loaded: what it promises is not theirs
 *     responder = cm_responders_find(responders, generation)     loop: NULL while there is none
 *     ... sign with responder->key, lane CM_LANE_OCSP, put responder->certificate into the answer ...
 *
 * The certificate is one of device "ocsp-responder/ISSUER" in group "ocsp-responders". An engine that
 * starts goes on with the one that it finds there, while it is for the same key, not half over, and not
 * revoked or on hold. One that is revoked while it is in use is renewed at once, and signs until then. The
 * key is named "ocsp-ISSUER", where the issuer's own key is, or in the folder of key files; one that is
 * not there is made (P-256).
 *
 * What a renewal replaces stays valid for batches that are out: certificates are never freed before
 * close. A responder that cannot be had is tried again, and told as a notice; OCSP answers tryLater then,
 * and issuance goes on. What was promised is signed and recorded later, the very same bytes; a promise
 * that an engine leaves behind is abandoned by the next, like any whose request does not come.
 *
 * A generation that is compromised certifies nobody any more: its own key signs then.
 *
 * Thread: the loop's.
 */
#ifndef CM_ENGINE_RESPONDER_H
#define CM_ENGINE_RESPONDER_H

#include "engine/clones.h"
#include "engine/issuers.h"
#include "engine/revocation/book.h"
#include "engine/serials.h"
#include "engine/x509/ocsp_response.h"

struct cm_responders;

struct cm_responder {
    int64_t generation_number;
    struct cm_key *key;
    struct cm_bytes certificate;         /* DER; empty: the CA's own key signs */
    int64_t not_after_s;                 /* of the certificate, or the CA's */
    uint8_t key_hash[20];                /* byKey */
    struct cm_ocsp_issuer_hashes issuer; /* what CertIDs know this generation by */
};

struct cm_responders_env {
    struct cm_loop *loop;
    const struct cm_settings *settings;
    struct cm_store *store;
    struct cm_provider *const *providers;
    const struct cm_issuers *issuers;
    const struct cm_book *book; /* a certificate that is revoked there is replaced; NULL: none is */
    struct cm_serials *serials;
    struct cm_clones
        *clones; /* no device gets a certificate for a responder's key; NULL: none asks */
    int64_t (*time_ms)(
        void *arg); /* wall clock; negative: suspect, nothing is to be signed; NULL: the
                                      system's */
    void (*on_notice)(const char *text, void *arg); /* may be NULL */
    void (*on_changed)(int64_t generation_number,
                       void *arg); /* another certificate signs from now on; may be NULL */
    void (*on_idle)(void *arg);    /* after stop: the last thing in flight has ended; may be NULL */
    void *arg;
};

CM_MUST_USE cm_status cm_responders_open(const struct cm_responders_env *env,
                                         struct cm_responders **ret_responders,
                                         struct cm_error *err);
/* One more generation, which the issuers have by now. */
void cm_responders_add(struct cm_responders *responders, const struct cm_issuer_key *issuer);

/* Begins nothing more; what is in flight ends. Takes NULL. */
void cm_responders_stop(struct cm_responders *responders);

/* Nothing of it is in flight any more: then close may come. Takes NULL: true. */
bool cm_responders_are_idle(const struct cm_responders *responders);
void cm_responders_close(struct cm_responders *responders); /* idle; takes NULL */

/* Is anything due? It looks by itself every second; whoever has moved the clock, or has had the book
 * read, may call. */
void cm_responders_look(struct cm_responders *responders);

/* NULL: none, for now. Borrowed until close; its key signs only while it is what is found. */
const struct cm_responder *cm_responders_find(const struct cm_responders *responders,
                                              int64_t generation_number);

#endif

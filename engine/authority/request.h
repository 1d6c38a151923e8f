/*
 * Request: a change of the record of authorities, as a command asks for it.
 *
 * Keys are made and certificates signed by commands, in signer processes of their own; what is to be recorded
 * of that is a request: JSON that the engine gets through its control socket (engine/control/control.h), or
 * that the command applies to the store itself where no engine has it. Both read it here, so that either
 * way the same is checked and the same is written.
 *
 *     {"op":"ca-intent","actor":"operator:ann","purpose":"rotate","generation":"issuing-2",
 *      "signer":"root-1","digest":"<hex>"}
 *                  before a key sees what is to be signed: the SHA-256 of it
 *
 *     {"op":"ca-generation","actor":...,"purpose":"rotate","signer":"root-1",
 *      "generation":{"authority":"issuing","generation":2,"state":"pending","replaces":"issuing-1",
 *                    "provider":"software","key":"file:issuing-2.pem","sigalg":"ecdsa-sha256",
 *                    "certificate":"<base64>","chain":"<PEM>"},
 *      "crosses":[{"issuer":"issuing-1","certificate":"<base64>"},
 *                 {"subject":"issuing-1","certificate":"<base64>"}]}
 *                  a new generation, and cross certificates: who is not named there is the new one. What
 *                  a generation of ours has signed stands among its certificates from then on
 *
 *                  one that another CA is to certify is pending, and has "request":"<PEM>" in place of the
 *                  certificate and chain; its certificate comes with the same op again, with the same
 *                  provider and key
 *
 *     {"op":"ca-intent","actor":...,"purpose":"cross-sign","signer":"root-1","proof":"request","tbs":"<base64>"}
 *                  before a key certifies a CA that is not ours (engine/authority/cross.h): all of what is to be
 *                  signed; proof: how that CA has shown that it has the key, "self-signed", "request" or "none"
 *
 *     {"op":"ca-cross","actor":...,"signer":"root-1","proof":"request","certificate":"<base64>"}
 *                  what came of it; it stands among its signer's certificates from then on
 *
 *     {"op":"ca-transition","actor":...,"generation":"issuing-2","to":"active","may_be_last":false,
 *      "key_fate":"destroyed","why":"stolen laptop"}
 *                  a change of state (engine/store/generation.h)
 *
 * With "plan":"<id>" each names the plan that it carries out (engine/dual_control.h); nothing is made of it here.
 *
 * Thread: whoever holds the reader. Fails with: MALFORMED (texts; which, and why), NOT_FOUND (a
 * generation), EXISTS (its number is taken), MISMATCH (a certificate says something else), DENIED (a cross
 * certificate by a key that is not active).
 */
#ifndef CM_ENGINE_AUTHORITY_REQUEST_H
#define CM_ENGINE_AUTHORITY_REQUEST_H

#include "engine/authority/cross.h"
#include "engine/store/store.h"

struct json_t;

/* All of it is in the arena, or in the request itself: it stays where it is until the operation is done. */
struct cm_authority_request {
    struct cm_store_op op; /* ready but for done and arg */
    struct cm_audit_event audit;
    struct cm_generation generation;
    struct cm_transition transition;
    const char *name; /* "issuing-2"; of a cross certificate: its signer */
    bool is_cross;
    struct cm_cross_terms terms; /* of the cross certificate */
};

/* The store's generations are read with the reader, in a snapshot of its own. */
CM_MUST_USE cm_status cm_authority_request_read(const struct json_t *object,
                                                struct cm_store_reader *reader,
                                                struct cm_arena *arena,
                                                struct cm_authority_request *ret_request,
                                                struct cm_error *err);

/*
 * What is answered when the operation is done: {"recorded":"issuing-2"}, or, of a transition,
 * {"changed":true,"stopped":"issuing-1"}. The caller's.
 */
struct json_t *cm_authority_request_answer(const struct cm_authority_request *request,
                                           struct cm_store_reader *reader);

#endif

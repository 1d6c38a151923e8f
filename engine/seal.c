/*
 * Seal: bytes and signature become a certificate, after the signature has been checked.
 *
 * A signature that does not verify under the issuer's public key is a fault of the signer: nothing
 * of it leaves, the serial is abandoned and the requester hears that the engine failed. RSA
 * signatures are all checked, because one faulty CRT signature gives the key away; of the others
 * the settings may ask for a sample.
 */
#include "engine/internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/authority/merkle.h"
#include "engine/base/faultpoint.h"

/* Each worker has its own verifier for each issuer key; made when first needed. */
static struct cm_verifier *verifier_for(struct cm_worker *worker,
                                        const struct cm_issuer_key *issuer)
{
    const struct cm_issuers *issuers = &worker->engine->issuers;
    size_t position = cm_issuers_position(issuers, issuer);
    struct cm_error err;
    if (!worker->verifiers) {
        worker->verifiers = calloc(CM_ISSUERS_MAX, sizeof(struct cm_verifier *));
        if (!worker->verifiers)
            abort();
    }
    if (!worker->verifiers[position]
        && cm_verifier_new(&issuer->public_key, issuer->key->alg, &worker->verifiers[position],
                           &err)
               != CM_OK)
        return NULL;
    return worker->verifiers[position];
}

static bool must_check(const struct cm_request *request, const struct cm_engine *engine)
{
    uint32_t every = engine->settings->engine.check_signatures;
    uint32_t draw;
    if (every <= 1 || request->issuer->key->type == CM_KEY_RSA)
        return true;
    /* The serial's random octets choose, so that a faulty signer cannot guess the sample. */
    memcpy(&draw, request->serial.octets + sizeof request->serial.octets - sizeof draw,
           sizeof draw);
    return draw % every == 0;
}

static void fail(struct cm_request *request, const char *why)
{
    request->outcome = CM_OUTCOME_FAILED;
    cm_refuse(&request->refusal, CM_REFUSAL_ENGINE_SIGNER_FAILED, CM_REFUSAL_NO_OFFSET,
              "%s; send the request again", why);
}

static struct cm_bytes signature_of(const struct cm_request *request)
{
    return cm_bytes(request->sign_item->signature, request->sign_item->signature_size);
}

static void seal(struct cm_request *request, struct cm_arena *arena)
{
    request->certificate = cm_certificate_assemble(request->tbs.der, request->issuer->key->alg,
                                                   signature_of(request), arena);
    cm_merkle_hash_leaf(&request->certificate, 1, request->leaf_hash);
    request->outcome = CM_OUTCOME_ISSUED;
}

/* False: it has failed. */
static bool add_check(struct cm_request *request, struct cm_worker *worker,
                      struct cm_signature_check *ret_check)
{
    struct cm_verifier *verifier = verifier_for(worker, request->issuer);
    if (!verifier) {
        fail(request, "the signature could not be verified");
        return false;
    }
    *ret_check = (struct cm_signature_check){ .key = &request->issuer->public_key,
                                              .alg = request->issuer->key->alg,
                                              .message = request->tbs.der,
                                              .signature = signature_of(request),
                                              .verifier = verifier };
    return true;
}

/* In the order of the requests that are open and must be checked then. What was not signed fails here. */
static uint32_t gather_checks(struct cm_batch *batch, struct cm_worker *worker,
                              struct cm_signature_check *checks)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < batch->requests_count; i++) {
        struct cm_request *request = &batch->requests[i];
        if (!cm_request_is_open(request))
            continue;
        if (request->sign_item->status != CM_OK)
            fail(request, cm_status_text(request->sign_item->status));
        else if (must_check(request, worker->engine))
            count += add_check(request, worker, &checks[count]);
    }
    return count;
}

void cm_seal(struct cm_batch *batch, struct cm_worker *worker)
{
    struct cm_signature_check *check =
        cm_arena_alloc(&batch->arena, batch->requests_count * sizeof *check);
    cm_signatures_verify(worker->proof, check, gather_checks(batch, worker, check));
    for (uint32_t i = 0; i < batch->requests_count; i++) {
        struct cm_request *request = &batch->requests[i];
        if (!cm_request_is_open(request))
            continue;
        if (must_check(request, worker->engine) && (check++)->status != CM_OK)
            fail(request, "the signature did not verify");
        else
            seal(request, &batch->arena);
    }
    CM_FAULT_POINT("sealed");
}

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

#include "engine/base/faultpoint.h"

/* Each worker has its own verifier for each issuer key; made when first needed. */
static struct cm_verifier *verifier_for(struct cm_worker *worker,
                                        const struct cm_issuer_key *issuer)
{
    const struct cm_issuers *issuers = &worker->engine->issuers;
    size_t position = (size_t)(issuer - issuers->keys);
    struct cm_error err;
    if (!worker->verifiers) {
        worker->verifiers = calloc(issuers->keys_count, sizeof(struct cm_verifier *));
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

static void seal(struct cm_request *request, struct cm_worker *worker, struct cm_arena *arena)
{
    const struct cm_sign_item *item = request->sign_item;
    if (item->status != CM_OK) {
        fail(request, cm_status_text(item->status));
        return;
    }
    struct cm_bytes signature = cm_bytes(item->signature, item->signature_size);
    if (must_check(request, worker->engine)) {
        struct cm_verifier *verifier = verifier_for(worker, request->issuer);
        if (!verifier || cm_verifier_check(verifier, request->tbs.der, signature) != CM_OK) {
            fail(request, "the signature did not verify");
            return;
        }
    }
    request->certificate =
        cm_certificate_assemble(request->tbs.der, request->issuer->key->alg, signature, arena);
    request->outcome = CM_OUTCOME_ISSUED;
}

void cm_seal(struct cm_batch *batch, struct cm_worker *worker)
{
    for (uint32_t i = 0; i < batch->requests_count; i++)
        if (cm_request_is_open(&batch->requests[i]))
            seal(&batch->requests[i], worker, &batch->arena);
    CM_FAULT_POINT("sealed");
}

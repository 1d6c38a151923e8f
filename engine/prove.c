/*
 * Prove: whoever asks holds the private key, and no other device does.
 *
 * Weak keys are refused before the signature is looked at twice: the cheap checks first, the
 * arithmetic after the proof, so that a stranger cannot buy it for nothing. Then the key is claimed
 * for the device; a key that the filter knows is looked up in the store before it is called a clone.
 */
#include "engine/internal.h"

#include "engine/x509/key_check.h"

/* A hit of the filter is confirmed by the certificate itself: another device, the same key. */
static bool confirm_not_cloned(struct cm_request *request, struct cm_worker *worker,
                               struct cm_arena *arena, cm_certificate_number number)
{
    struct cm_certificate_found found;
    struct cm_certificate certificate;
    struct cm_error err;
    if (cm_store_find_certificate(worker->reader, number, arena, &found, &err) != CM_OK) {
        request->outcome = CM_OUTCOME_GIVEN_BACK;
        return true;
    }
    if (found.number == 0 || cm_certificate_read(found.der, &certificate, &err) != CM_OK
        || !cm_bytes_equal(certificate.spki, request->csr.spki))
        return true;
    if (found.device_number != request->device.number)
        return cm_refuse(&request->refusal, CM_REFUSAL_KEY_REUSED, CM_REFUSAL_NO_OFFSET, NULL);
    if (!request->group->reuse_key)
        return cm_refuse(&request->refusal, CM_REFUSAL_KEY_REUSED, CM_REFUSAL_NO_OFFSET,
                         "group %s wants a new key for every certificate", request->group->name);
    return true;
}

static bool claim_key(struct cm_request *request, struct cm_worker *worker, struct cm_arena *arena)
{
    cm_certificate_number number = 0;
    request->key_fingerprint = cm_clones_fingerprint(request->csr.spki);
    switch (cm_clones_claim(&worker->engine->clones, request->key_fingerprint, request->device_id,
                            &number)) {
    case CM_CLONE_NEW:
        request->has_claim = true;
        return true;
    case CM_CLONE_KNOWN:
        request->has_claim = confirm_not_cloned(request, worker, arena, number);
        if (!request->has_claim) /* at once: the key's own device may be asking next to it */
            cm_clones_release(&worker->engine->clones, request->key_fingerprint, 0);
        return request->has_claim;
    case CM_CLONE_CONTESTED:
        break;
    }
    return cm_refuse(&request->refusal, CM_REFUSAL_KEY_REUSED, CM_REFUSAL_NO_OFFSET,
                     "another device asks for a certificate for the same key at this moment");
}

static bool is_ca_key(struct cm_request *request, const struct cm_issuers *issuers)
{
    for (uint32_t i = 0; i < issuers->keys_count; i++)
        if (cm_bytes_equal(issuers->keys[i].issuer.spki, request->csr.spki))
            return true;
    return false;
}

static bool prove(struct cm_request *request, struct cm_worker *worker, struct cm_arena *arena)
{
    if (is_ca_key(request, &worker->engine->issuers))
        return cm_refuse(&request->refusal, CM_REFUSAL_KEY_IS_CA_KEY, CM_REFUSAL_NO_OFFSET, NULL);
    return cm_proof_check(worker->proof, &request->csr, &request->refusal)
           && cm_key_check(&request->csr.key, &request->refusal)
           && claim_key(request, worker, arena);
}

void cm_prove(struct cm_batch *batch, struct cm_worker *worker)
{
    for (uint32_t i = 0; i < batch->requests_count; i++) {
        struct cm_request *request = &batch->requests[i];
        if (cm_request_is_open(request) && !prove(request, worker, &batch->arena))
            cm_request_refuse(request);
    }
}

/*
 * Prove: whoever asks holds the private key, and no other device does.
 *
 * Weak keys are refused before the signature is looked at twice: the cheap checks first, the
 * arithmetic after the proof, so that a stranger cannot buy it for nothing. Then the key is claimed
 * for the device; a key that the filter knows is looked up in the store before it is called a clone.
 */
#include "engine/internal.h"

#include "engine/x509/key_check.h"

/* The latest certificate of this key tells of no loss of it. */
static bool is_trusted_still(struct cm_request *request, struct cm_worker *worker,
                             const struct cm_certificate_found *found,
                             const struct cm_certificate *certificate)
{
    struct cm_certificate_standing standing;
    struct cm_error err;
    if (cm_store_find_standing(worker->reader, found->generation_number, certificate->serial,
                               &standing, &err)
        != CM_OK) {
        request->outcome = CM_OUTCOME_GIVEN_BACK;
        return true;
    }
    return !standing.is_revoked || standing.reason != CM_REASON_KEY_COMPROMISE
           || cm_refuse(&request->refusal, CM_REFUSAL_KEY_BLOCKED, CM_REFUSAL_NO_OFFSET,
                        "a certificate of this key was revoked for keyCompromise");
}

/* The device has had a certificate of this key, or may be about to get one. */
static bool may_have_again(struct cm_request *request)
{
    if (request->operation == CM_OPERATION_RENEW
        && request->group->renewal_key == CM_RENEWAL_KEY_NEW)
        return cm_refuse(&request->refusal, CM_REFUSAL_RENEW_NEW_KEY_REQUIRED, CM_REFUSAL_NO_OFFSET,
                         "group %s wants a new key for every renewal, and this one was certified "
                         "before",
                         request->group->name);
    return request->group->reuse_key
           || cm_refuse(&request->refusal, CM_REFUSAL_KEY_REUSED, CM_REFUSAL_NO_OFFSET,
                        "group %s wants a new key for every certificate", request->group->name);
}

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
    if (found.number == 0) { /* it is younger than the snapshot: nobody can say yet whose it is */
        request->outcome = CM_OUTCOME_GIVEN_BACK;
        return true;
    }
    if (cm_certificate_read(found.der, &certificate, &err) != CM_OK
        || !cm_bytes_equal(certificate.spki, request->csr.spki))
        return true;
    if (found.device_number != request->device.number)
        return cm_refuse(&request->refusal, CM_REFUSAL_KEY_REUSED, CM_REFUSAL_NO_OFFSET, NULL);
    return may_have_again(request)
           && (request->operation != CM_OPERATION_RENEW
               || is_trusted_still(request, worker, &found, &certificate));
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
    case CM_CLONE_CLAIMED:
    case CM_CLONE_KNOWN:
        request->has_claim = number == 0 ? may_have_again(request)
                                         : confirm_not_cloned(request, worker, arena, number);
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

static bool take_over(struct cm_request *request, const struct cm_signature_check *check,
                      struct cm_worker *worker, struct cm_arena *arena)
{
    return cm_proof_accept(check->status, &request->refusal)
           && cm_key_check(&request->csr.key, &request->refusal)
           && claim_key(request, worker, arena);
}

/* In the order of the requests that are open then: one check each. */
static uint32_t gather_checks(struct cm_batch *batch, const struct cm_issuers *issuers,
                              struct cm_signature_check *checks)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < batch->requests_count; i++) {
        struct cm_request *request = &batch->requests[i];
        const struct cm_csr *csr = &request->csr;
        if (!cm_request_is_open(request))
            continue;
        if (is_ca_key(request, issuers)) {
            cm_refuse(&request->refusal, CM_REFUSAL_KEY_IS_CA_KEY, CM_REFUSAL_NO_OFFSET, NULL);
            cm_request_refuse(request);
            continue;
        }
        checks[count++] = (struct cm_signature_check){
            .key = &csr->key, .alg = csr->sigalg, .message = csr->info, .signature = csr->signature
        };
    }
    return count;
}

void cm_prove(struct cm_batch *batch, struct cm_worker *worker)
{
    struct cm_signature_check *check =
        cm_arena_alloc(&batch->arena, batch->requests_count * sizeof *check);
    cm_signatures_verify(worker->proof, check,
                         gather_checks(batch, &worker->engine->issuers, check));
    for (uint32_t i = 0; i < batch->requests_count; i++) {
        struct cm_request *request = &batch->requests[i];
        if (cm_request_is_open(request) && !take_over(request, check++, worker, &batch->arena))
            cm_request_refuse(request);
    }
}

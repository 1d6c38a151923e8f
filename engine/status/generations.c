#include "engine/status/internal.h"

#include <stdlib.h>

static bool has_hashes(const struct cm_ocsp_issuer_hashes *hashes, const struct cm_ocsp_cert_id *id)
{
    switch (id->hash) {
    case CM_OCSP_HASH_SHA1:
        return cm_bytes_equal(id->name_hash, cm_bytes(hashes->name_sha1, 20))
               && cm_bytes_equal(id->key_hash, cm_bytes(hashes->key_sha1, 20));
    case CM_OCSP_HASH_SHA256:
        return cm_bytes_equal(id->name_hash, cm_bytes(hashes->name_sha256, 32))
               && cm_bytes_equal(id->key_hash, cm_bytes(hashes->key_sha256, 32));
    case CM_OCSP_HASH_OTHER:
        break;
    }
    return false;
}

struct cm_ocsp_generation *cm_generations_find(struct cm_status_service *service,
                                               const struct cm_ocsp_cert_id *id)
{
    uint32_t count = atomic_load_explicit(&service->generations_count, memory_order_acquire);
    for (uint32_t i = 0; i < count; i++)
        if (has_hashes(&service->generations[i]->about.hashes, id))
            return service->generations[i];
    return NULL;
}

static bool is_the_same(const struct cm_ocsp_signer *signer, const struct cm_responder *responder)
{
    return signer->key == responder->key && signer->not_after_s == responder->not_after_s
           && cm_bytes_equal(signer->certificate, responder->certificate)
           && memcmp(signer->key_hash, responder->key_hash, sizeof signer->key_hash) == 0;
}

static struct cm_ocsp_signer *new_signer(const struct cm_responder *responder)
{
    struct cm_ocsp_signer *signer = calloc(1, sizeof *signer);
    if (!signer)
        abort();
    signer->key = responder->key;
    signer->sigalg = responder->key->alg;
    signer->certificate = cm_bytes_copy(responder->certificate);
    signer->spki = cm_bytes_copy(responder->key->spki);
    signer->not_after_s = responder->not_after_s;
    memcpy(signer->key_hash, responder->key_hash, sizeof signer->key_hash);
    return signer;
}

void cm_generation_ask_signer(struct cm_status_service *service,
                              struct cm_ocsp_generation *generation)
{
    const struct cm_responder *responder =
        service->env.find_responder(generation->about.number, service->env.arg);
    struct cm_ocsp_signer *signer = generation->signers;
    if (responder && (!signer || !is_the_same(signer, responder))) {
        signer = new_signer(responder);
        signer->older = generation->signers;
        generation->signers = signer;
    }
    atomic_store(&generation->signer, responder ? signer : NULL);
}

cm_status cm_status_service_add_generation(struct cm_status_service *service,
                                           const struct cm_status_generation *about,
                                           struct cm_error *err)
{
    uint32_t count = atomic_load(&service->generations_count);
    cm_loop_assert_here(service->env.loop);
    for (uint32_t i = 0; i < count; i++)
        if (service->generations[i]->about.number == about->number)
            return CM_FAIL(err, CM_EXISTS, CM_ORIGIN_SELF, 0, "OCSP is answered for it already");
    if (count == CM_STATUS_GENERATIONS_MAX)
        return CM_FAIL(err, CM_BUSY, CM_ORIGIN_SELF, 0, "OCSP is answered for %d issuers at most",
                       CM_STATUS_GENERATIONS_MAX);
    struct cm_ocsp_generation *generation = calloc(1, sizeof *generation);
    if (!generation)
        abort();
    generation->about = *about;
    generation->last_waiting = &generation->first_waiting;
    cm_generation_ask_signer(service, generation);
    service->generations[count] = generation;
    atomic_store_explicit(&service->generations_count, count + 1, memory_order_release);
    return CM_OK;
}

static void free_signers(struct cm_ocsp_signer *signer)
{
    while (signer) {
        struct cm_ocsp_signer *older = signer->older;
        free((void *)(uintptr_t)signer->certificate.data);
        free((void *)(uintptr_t)signer->spki.data);
        free(signer);
        signer = older;
    }
}

void cm_generations_done(struct cm_status_service *service)
{
    uint32_t count = atomic_load(&service->generations_count);
    for (uint32_t i = 0; i < count; i++) {
        cm_signing_done(service->generations[i]);
        free_signers(service->generations[i]->signers);
        free(service->generations[i]);
    }
    atomic_store(&service->generations_count, 0);
}

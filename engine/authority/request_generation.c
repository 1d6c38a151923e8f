/* A new generation, or the certificate of one that waits for it. */
#include "engine/authority/reading.h"

#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/hash.h"
#include "engine/x509/certificate.h"
#include "engine/x509/csr_writer.h"
#include "engine/x509/pem.h"

enum { CHAIN_SIZE_MAX = 256 * 1024, CROSSES_MAX = 16 };

static cm_status read_state(struct cm_reading *reading, const json_t *object)
{
    const char *state = json_string_value(json_object_get(object, "state"));
    struct cm_generation *generation = &reading->request->generation;
    if (state && cm_generation_state_find(state, &generation->state)
        && generation->state <= CM_GENERATION_ACTIVE)
        return CM_OK;
    return CM_REFUSE(reading, CM_MALFORMED, "state: expected pending or active");
}

static cm_status read_number(struct cm_reading *reading, const json_t *object)
{
    const json_t *number = json_object_get(object, "generation");
    if (!json_is_integer(number) || json_integer_value(number) < 1)
        return CM_REFUSE(reading, CM_MALFORMED, "generation: expected a positive number");
    reading->request->generation.generation = json_integer_value(number);
    return CM_OK;
}

static cm_status read_replaced(struct cm_reading *reading, const json_t *object)
{
    struct cm_generation *generation = &reading->request->generation;
    struct cm_generation replaced;
    cm_status status = cm_reading_find_optional(reading, object, "replaces", &replaced);
    if (status == CM_OK && replaced.number != 0 && generation->state != CM_GENERATION_PENDING)
        return CM_REFUSE(reading, CM_MALFORMED,
                         "state: what takes another's place begins as pending");
    generation->replaces = replaced.number;
    return status;
}

/* Ours, and proved: it is what the certificate will be held against. */
static cm_status read_pem_request(struct cm_reading *reading, const char *pem,
                                  struct cm_csr *ret_csr)
{
    struct cm_bytes der;
    struct cm_refusal refusal;
    if (!cm_pem_read_csr(cm_bytes_str(pem), reading->arena, &der, &refusal))
        return CM_REFUSE(reading, CM_MALFORMED, "request: %s", refusal.message);
    return cm_csr_check_authority(der, reading->arena, ret_csr, reading->err);
}

/* Nobody has certified it yet. */
static cm_status read_uncertified(struct cm_reading *reading, const char *pem)
{
    struct cm_generation *generation = &reading->request->generation;
    struct cm_csr csr;
    if (generation->state != CM_GENERATION_PENDING)
        return CM_REFUSE(reading, CM_MALFORMED, "state: without a certificate it is pending");
    cm_status status = read_pem_request(reading, pem, &csr);
    generation->chain = cm_bytes_str(pem);
    return status;
}

static cm_status check_answer(struct cm_reading *reading, const struct cm_generation *waiting,
                              const struct cm_certificate *certificate)
{
    struct cm_generation *generation = &reading->request->generation;
    struct cm_csr csr;
    cm_status status =
        read_pem_request(reading,
                         cm_arena_printf(reading->arena, "%.*s", (int)waiting->chain.size,
                                         (const char *)waiting->chain.data),
                         &csr);
    if (status != CM_OK)
        return status;
    if (!cm_bytes_equal(csr.spki, certificate->spki))
        return CM_REFUSE(reading, CM_MISMATCH,
                         "certificate: it is for another key than the request");
    if (!cm_bytes_equal(generation->provider, waiting->provider)
        || !cm_bytes_equal(generation->key, waiting->key))
        return CM_REFUSE(reading, CM_MISMATCH, "key: it is another one than was recorded");
    generation->number = waiting->number;
    generation->created_ms = waiting->created_ms;
    generation->replaces = waiting->replaces;
    return CM_OK;
}

/* For one that waits for it, or a new one: then the store sees to it that there is none of its name. */
static cm_status read_certified(struct cm_reading *reading, const json_t *object)
{
    struct cm_generation *generation = &reading->request->generation;
    struct cm_generation waiting;
    struct cm_certificate certificate;
    cm_status status = cm_reading_certificate(reading, object, &certificate);
    if (status == CM_OK)
        status = cm_reading_look_up(reading, reading->request->name, &waiting);
    if (status != CM_OK)
        return status;
    if (!certificate.is_ca)
        return CM_REFUSE(reading, CM_MISMATCH, "certificate: it is no authority's");
    generation->certificate = certificate.der;
    return waiting.number != 0 && waiting.certificate.size == 0
               ? check_answer(reading, &waiting, &certificate)
               : CM_OK;
}

static void name_it(struct cm_reading *reading)
{
    const struct cm_generation *generation = &reading->request->generation;
    reading->request->name = cm_arena_printf(
        reading->arena, "%.*s-%lld", (int)generation->authority.size,
        (const char *)generation->authority.data, (long long)generation->generation);
}

static cm_status read_record(struct cm_reading *reading, const json_t *object)
{
    struct cm_generation *generation = &reading->request->generation;
    const char *chain = NULL, *pem = NULL;
    generation->created_ms = cm_clock_wall_ms();
    cm_status status = cm_reading_bytes(reading, object, "authority", 64, &generation->authority);
    if (status == CM_OK)
        status = read_number(reading, object);
    if (status == CM_OK)
        status = read_state(reading, object);
    if (status == CM_OK)
        status = read_replaced(reading, object);
    if (status == CM_OK)
        status = cm_reading_bytes(reading, object, "provider", CM_READING_TEXT_MAX,
                                  &generation->provider);
    if (status == CM_OK)
        status = cm_reading_bytes(reading, object, "key", CM_READING_TEXT_MAX, &generation->key);
    if (status == CM_OK)
        status =
            cm_reading_bytes(reading, object, "sigalg", CM_READING_TEXT_MAX, &generation->sigalg);
    if (status == CM_OK)
        status = cm_reading_text(reading, object, "chain", CHAIN_SIZE_MAX, false, &chain);
    if (status == CM_OK)
        status = cm_reading_text(reading, object, "request", CHAIN_SIZE_MAX, false, &pem);
    if (status != CM_OK)
        return status;
    name_it(reading);
    generation->chain = cm_bytes_str(chain ? chain : "");
    return pem ? read_uncertified(reading, pem) : read_certified(reading, object);
}

/* What one of ours has signed stands among its certificates. The new generation's number is 0. */
static void add_imported(struct cm_store_op *op, int64_t signer_number,
                         const struct cm_certificate *certificate)
{
    op->imported[op->imported_count++] =
        (struct cm_imported_row){ .generation_number = signer_number,
                                  .serial = certificate->serial,
                                  .not_after_s = certificate->not_after_s,
                                  .der = certificate->der };
}

static cm_status read_cross(struct cm_reading *reading, const json_t *object)
{
    struct cm_store_op *op = &reading->request->op;
    struct cm_generation subject, issuer;
    struct cm_certificate certificate, of_subject, of_issuer;
    const struct cm_bytes own = reading->request->generation.certificate;
    cm_status status = cm_reading_find_optional(reading, object, "subject", &subject);
    if (status == CM_OK)
        status = cm_reading_find_optional(reading, object, "issuer", &issuer);
    if (status == CM_OK)
        status = cm_reading_certificate(reading, object, &certificate);
    if (status == CM_OK)
        status =
            cm_certificate_read(issuer.number ? issuer.certificate : own, &of_issuer, reading->err);
    if (status == CM_OK)
        status = cm_certificate_read(subject.number ? subject.certificate : own, &of_subject,
                                     reading->err);
    if (status != CM_OK)
        return status;
    if (subject.number == issuer.number || !cm_bytes_equal(certificate.spki, of_subject.spki))
        return CM_REFUSE(reading, CM_MISMATCH, "crosses: a certificate is not of the key named");
    if (!certificate.is_ca || !cm_certificate_is_signed_by(&certificate, &of_issuer))
        return CM_REFUSE(reading, CM_MISMATCH, "crosses: a certificate is not by the issuer named");
    op->crosses[op->crosses_count++] =
        (struct cm_cross_certificate){ .subject_number = subject.number,
                                       .issuer_number = issuer.number,
                                       .certificate = certificate.der };
    add_imported(op, issuer.number, &certificate);
    return CM_OK;
}

static cm_status read_crosses(struct cm_reading *reading)
{
    struct cm_store_op *op = &reading->request->op;
    const json_t *crosses = json_object_get(reading->object, "crosses");
    size_t count = json_array_size(crosses);
    cm_status status = CM_OK;
    if ((crosses && !json_is_array(crosses)) || count > CROSSES_MAX)
        return CM_REFUSE(reading, CM_MALFORMED, "crosses: expected at most %d of them",
                         CROSSES_MAX);
    op->crosses = cm_arena_zalloc(reading->arena, (count + 1) * sizeof *op->crosses);
    op->imported = cm_arena_zalloc(reading->arena, (count + 1) * sizeof *op->imported);
    for (size_t i = 0; status == CM_OK && i < count; i++)
        status = read_cross(reading, json_array_get(crosses, i));
    return status;
}

static cm_status read_signer(struct cm_reading *reading, const char **ret_name)
{
    struct cm_authority_request *request = reading->request;
    struct cm_generation signer;
    struct cm_certificate certificate, of_signer;
    *ret_name = json_string_value(json_object_get(reading->object, "signer"));
    cm_status status = cm_reading_find_optional(reading, reading->object, "signer", &signer);
    if (status != CM_OK || signer.number == 0)
        return status;
    status = cm_certificate_read(request->generation.certificate, &certificate, reading->err);
    if (status == CM_OK)
        status = cm_certificate_read(signer.certificate, &of_signer, reading->err);
    if (status != CM_OK)
        return status;
    if (!cm_certificate_is_signed_by(&certificate, &of_signer))
        return CM_REFUSE(reading, CM_MISMATCH, "signer: the certificate is not by that key");
    add_imported(&request->op, signer.number, &certificate);
    return CM_OK;
}

/* Else, without a signer of ours, it was signed elsewhere, or will be. */
static bool is_self_signed(const struct cm_reading *reading)
{
    struct cm_certificate certificate;
    struct cm_error ignored;
    return cm_certificate_read(reading->request->generation.certificate, &certificate, &ignored)
               == CM_OK
           && cm_bytes_equal(certificate.subject, certificate.issuer);
}

cm_status cm_reading_generation(struct cm_reading *reading)
{
    struct cm_authority_request *request = reading->request;
    struct cm_generation *generation = &request->generation;
    const json_t *object = json_object_get(reading->object, "generation");
    const char *signer = NULL;
    request->op = (struct cm_store_op){ .kind = CM_STORE_GENERATION, .generation = generation };
    cm_status status = cm_reading_kind(reading, "");
    if (status == CM_OK && !json_is_object(object))
        status = CM_REFUSE(reading, CM_MALFORMED, "generation: expected an object");
    if (status == CM_OK)
        status = read_record(reading, object);
    if (status == CM_OK)
        status = read_crosses(reading);
    if (status == CM_OK)
        status = read_signer(reading, &signer);
    if (status != CM_OK)
        return status;
    bool is_certified = generation->certificate.size > 0;
    cm_sha256(is_certified ? &generation->certificate : &generation->chain, 1,
              request->audit.digest);
    json_t *detail = json_pack("{s:s, s:s, s:s}", "generation", request->name, "state",
                               cm_generation_state_name(generation->state), "provider",
                               json_string_value(json_object_get(object, "provider")));
    if (signer || is_self_signed(reading))
        json_object_set_new(detail, "signer", json_string(signer ? signer : request->name));
    const json_t *replaces = json_object_get(object, "replaces");
    if (replaces)
        json_object_set(detail, "replaces", (json_t *)(uintptr_t)replaces);
    request->audit.detail = cm_reading_dump(reading, detail);
    return CM_OK;
}

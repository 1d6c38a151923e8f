/* A cross certificate for a CA that is not ours: the intent, with all that is to be signed, and what came of it. */
#include "engine/authority/reading.h"

#include "engine/base/hash.h"

static cm_status read_proof(struct cm_reading *reading, enum cm_cross_proof *ret_proof)
{
    const char *proof = json_string_value(json_object_get(reading->object, "proof"));
    if (proof && cm_cross_proof_find(proof, ret_proof))
        return CM_OK;
    return CM_REFUSE(reading, CM_MALFORMED, "proof: expected self-signed, request or none");
}

static cm_status find_signer(struct cm_reading *reading, struct cm_generation *ret_generation,
                             struct cm_certificate *ret_certificate)
{
    struct cm_authority_request *request = reading->request;
    cm_status status = cm_reading_text(reading, reading->object, "signer", CM_READING_TEXT_MAX,
                                       true, &request->name);
    if (status == CM_OK)
        status = cm_reading_find(reading, request->name, ret_generation);
    if (status != CM_OK)
        return status;
    if (ret_generation->state != CM_GENERATION_ACTIVE)
        return CM_REFUSE(reading, CM_DENIED, "signer: %.80s is %s, and certifies nobody",
                         request->name, cm_generation_state_name(ret_generation->state));
    return cm_certificate_read(ret_generation->certificate, ret_certificate, reading->err);
}

/* What a cross certificate is, whether it is signed yet or not. */
static cm_status check(struct cm_reading *reading, const struct cm_certificate *certificate,
                       const struct cm_certificate *signer)
{
    if (!certificate->is_ca || !(certificate->key_usage & CM_USAGE_KEY_CERT_SIGN))
        return CM_REFUSE(reading, CM_MISMATCH, "certificate: it is no authority's");
    if (!cm_bytes_equal(certificate->issuer, signer->subject)
        || !cm_bytes_equal(certificate->aki, signer->ski))
        return CM_REFUSE(reading, CM_MISMATCH, "certificate: it names another signer");
    if (cm_bytes_equal(certificate->subject, signer->subject)
        || cm_bytes_equal(certificate->spki, signer->spki))
        return CM_REFUSE(reading, CM_MISMATCH, "certificate: it has its signer's name or key");
    if (certificate->not_before_s < signer->not_before_s
        || certificate->not_after_s > signer->not_after_s)
        return CM_REFUSE(reading, CM_MISMATCH, "certificate: it is valid when its signer is not");
    return CM_OK;
}

static cm_status describe(struct cm_reading *reading, const struct cm_certificate *certificate,
                          enum cm_cross_proof proof)
{
    struct cm_authority_request *request = reading->request;
    struct cm_cross_terms *terms = &request->terms;
    char *serial = cm_arena_alloc(reading->arena, 2 * certificate->serial.size + 1);
    json_t *said = json_object();
    request->is_cross = true;
    cm_status status = cm_cross_terms_read(certificate, proof, reading->arena, terms, reading->err);
    for (uint32_t i = 0; i < terms->count; i++)
        json_object_set_new(said, terms->rows[i].name, json_string(terms->rows[i].value));
    cm_hex_encode(certificate->serial, serial);
    request->audit.detail =
        cm_reading_dump(reading, json_pack("{s:s, s:s, s:o}", "signer", request->name, "serial",
                                           serial, "terms", said));
    return status;
}

cm_status cm_reading_cross_intent(struct cm_reading *reading)
{
    struct cm_authority_request *request = reading->request;
    struct cm_generation generation;
    struct cm_certificate certificate, signer;
    struct cm_bytes tbs;
    enum cm_cross_proof proof;
    request->audit.kind = "ca-cross-sign-intent";
    request->op = (struct cm_store_op){ .kind = CM_STORE_RECORD };
    cm_status status = read_proof(reading, &proof);
    if (status == CM_OK)
        status = find_signer(reading, &generation, &signer);
    if (status == CM_OK)
        status = cm_reading_base64(reading, reading->object, "tbs", &tbs);
    if (status == CM_OK)
        status = cm_certificate_read_tbs(tbs, &certificate, reading->err);
    if (status == CM_OK)
        status = check(reading, &certificate, &signer);
    if (status != CM_OK)
        return status;
    cm_sha256(&tbs, 1, request->audit.digest);
    return describe(reading, &certificate, proof);
}

/* It stands among its signer's certificates, and is revoked as any of them. */
static void put_row(struct cm_reading *reading, const struct cm_generation *signer,
                    const struct cm_certificate *certificate)
{
    struct cm_imported_row *row = cm_arena_zalloc(reading->arena, sizeof *row);
    *row = (struct cm_imported_row){ .generation_number = signer->number,
                                     .serial = certificate->serial,
                                     .not_after_s = certificate->not_after_s,
                                     .der = certificate->der };
    reading->request->op =
        (struct cm_store_op){ .kind = CM_STORE_IMPORT, .imported = row, .imported_count = 1 };
}

cm_status cm_reading_cross(struct cm_reading *reading)
{
    struct cm_authority_request *request = reading->request;
    struct cm_generation generation;
    struct cm_certificate certificate, signer;
    enum cm_cross_proof proof;
    request->audit.kind = "ca-cross-sign";
    cm_status status = read_proof(reading, &proof);
    if (status == CM_OK)
        status = find_signer(reading, &generation, &signer);
    if (status == CM_OK)
        status = cm_reading_certificate(reading, reading->object, &certificate);
    if (status == CM_OK)
        status = check(reading, &certificate, &signer);
    if (status == CM_OK && !cm_certificate_is_signed_by(&certificate, &signer))
        status = CM_REFUSE(reading, CM_MISMATCH, "certificate: it is not by the signer named");
    if (status != CM_OK)
        return status;
    cm_sha256(&certificate.der, 1, request->audit.digest);
    put_row(reading, &generation, &certificate);
    return describe(reading, &certificate, proof);
}

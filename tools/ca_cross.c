#include "tools/ca_cross.h"

#include <jansson.h>

#include "engine/base/clock.h"
#include "engine/base/faultpoint.h"
#include "engine/x509/authority.h"
#include "engine/x509/name_write.h"
#include "tools/generation_chain.h"
#include "tools/interruptions.h"
#include "tools/new_authority.h"
#include "tools/time_text.h"

#define REFUSE(err, code, ...) CM_FAIL(err, code, CM_ORIGIN_SELF, 0, __VA_ARGS__)

static struct cm_arena *arena_of(const struct cm_ca_cross *cross)
{
    return &cross->record->deployment.arena;
}

/* ------------------------------------------------------------------------------------ whose it is -- */

static cm_status check_proof(const struct cm_ca_cross *cross, struct cm_error *err)
{
    if (cross->ca.proof != CM_CROSS_PROOF_NONE || cross->without_proof)
        return CM_OK;
    return REFUSE(
        err, CM_MISMATCH,
        "%.60s: another CA has signed it, so nothing proves that whoever sends it has the key; "
        "give a request by that key (--csr), or say --without-proof",
        cross->file);
}

/* Ours have rotations; and with one name or key two CAs cannot be told apart. */
static cm_status check_stranger(const struct cm_ca_cross *cross, struct cm_error *err)
{
    for (uint32_t i = 0; i < cross->generations.count; i++) {
        const struct cm_generation *ours = &cross->generations.all[i];
        struct cm_certificate certificate;
        struct cm_error ignored;
        if (ours->certificate.size > 0
            && cm_certificate_read(ours->certificate, &certificate, &ignored) == CM_OK
            && cm_names_are_equal(certificate.subject, cross->ca.subject))
            return REFUSE(err, CM_EXISTS, "%.100s: its subject is that of %s, which is ours",
                          cross->file, cm_generation_name(arena_of(cross), ours));
    }
    return cm_generations_refuse_key(&cross->generations, cross->file, cross->ca.spki, err);
}

/* ------------------------------------------------------------------------------------- its signer -- */

static cm_status find_signer(struct cm_ca_cross *cross, const struct cm_generation **ret_signer,
                             struct cm_error *err)
{
    cm_status status =
        cm_generations_called(&cross->generations, cross->authority, ret_signer, err);
    if (status != CM_OK)
        return status;
    if ((*ret_signer)->state != CM_GENERATION_ACTIVE)
        return REFUSE(err, CM_DENIED, "%.80s is %s: only a key that is active certifies others",
                      cross->authority, cm_generation_state_name((*ret_signer)->state));
    cross->signers_name = cm_generation_name(arena_of(cross), *ret_signer);
    return CM_OK;
}

/* Nor longer than the CA's own certificate, where it has one: it is valid while both are. */
static cm_status check_end(struct cm_ca_cross *cross, struct cm_error *err)
{
    const struct cm_profile *profile = cross->profile;
    int64_t begin_s = cm_clock_wall_s() - profile->backdate_s;
    char date[CM_TIME_TEXT_SIZE];
    if (cross->ca.not_after_s >= cross->end_s)
        return CM_OK;
    cross->end_s = cross->ca.not_after_s;
    if (cross->must_last && profile->validity_s > cross->end_s - begin_s + 1)
        return REFUSE(err, CM_MISMATCH, "it would end after the certificate in %.60s, on %s",
                      cross->file, cm_time_write(cross->end_s, date));
    return CM_OK;
}

static cm_status check_certifiable(struct cm_ca_cross *cross, const struct cm_generation *signer,
                                   struct cm_error *err)
{
    struct cm_signer_chain chain;
    const struct cm_certificate_plan plan = {
        .profile = cross->profile,
        .must_last = cross->must_last,
        .subject = cross->ca.subject,
        .key_type = cross->ca.key.type,
        .now_s = cm_clock_wall_s(),
    };
    cm_status status =
        cm_generation_chain_read(&cross->generations, signer, arena_of(cross), &chain, err);
    if (status == CM_OK)
        status = cm_certifiable_check(&chain, &plan, &cross->end_s, err);
    return status == CM_OK ? check_end(cross, err) : status;
}

static cm_status open_signer(struct cm_ca_cross *cross, const struct cm_generation *generation,
                             struct cm_error *err)
{
    struct cm_issuer *issuer = &cross->signer.issuer;
    cm_status status = cm_ca_signer_open_issuer(&cross->signer, cross->record, generation, err);
    if (status == CM_OK && issuer->not_after_s > cross->end_s)
        issuer->not_after_s = cross->end_s;
    return status;
}

/* ---------------------------------------------------------------------------------- certificate -- */

static cm_status compose(const struct cm_ca_cross *cross, const struct cm_issuer *issuer,
                         struct cm_tbs *ret_tbs, struct cm_error *err)
{
    const struct cm_authority_input in = {
        .profile = cross->profile,
        .issuer = issuer,
        .spki = cross->ca.spki,
        .key_type = cross->ca.key.type,
        .subject = cross->ca.subject,
        .ski = cross->ca.ski,
    };
    return cm_new_authority_compose(in, arena_of(cross), ret_tbs, err);
}

static json_t *make_request(const struct cm_ca_cross *cross, const char *op, const char *key,
                            struct cm_bytes der)
{
    return json_pack("{s:s, s:s, s:s, s:o}", "op", op, "signer", cross->signers_name, "proof",
                     cm_cross_proof_name(cross->ca.proof), key, cm_control_base64(der));
}

static cm_status record_intent(struct cm_ca_cross *cross, struct cm_bytes tbs, struct cm_error *err)
{
    json_t *request = make_request(cross, "ca-intent", "tbs", tbs);
    if (request)
        json_object_set_new(request, "purpose", json_string("cross-sign"));
    return cm_ca_record_apply(cross->record, request, NULL, err);
}

static cm_status sign_and_record(struct cm_ca_cross *cross, struct cm_error *err)
{
    struct cm_ca_signer *signer = &cross->signer;
    struct cm_bytes der = { 0 };
    struct cm_tbs tbs;
    cm_status status = compose(cross, &signer->issuer, &tbs, err);
    if (status == CM_OK)
        status = cm_interruptions_check(err);
    if (status == CM_OK)
        status = record_intent(cross, tbs.der, err);
    CM_FAULT_POINT("ca-intended");
    if (status == CM_OK)
        status = cm_provider_session_certify(&signer->session, signer->key, tbs.der,
                                             arena_of(cross), &der, err);
    CM_FAULT_POINT("ca-signed");
    if (status == CM_OK)
        status = cm_certificate_read(der, &cross->certificate, err);
    if (status == CM_OK)
        status = cm_ca_record_apply(cross->record,
                                    make_request(cross, "ca-cross", "certificate", der), NULL, err);
    CM_FAULT_POINT("ca-recorded");
    return status;
}

static bool is_cut_short(const struct cm_ca_cross *cross)
{
    const struct cm_certificate *certificate = &cross->certificate;
    return certificate->not_after_s - certificate->not_before_s < cross->profile->validity_s - 1;
}

/* Read off what would be signed; where its status is told is no term. */
static cm_status find_terms(struct cm_ca_cross *cross, const struct cm_generation *generation,
                            struct cm_error *err)
{
    struct cm_certificate signer, planned;
    struct cm_issuer issuer;
    struct cm_tbs tbs;
    cm_status status = cm_certificate_read(generation->certificate, &signer, err);
    if (status == CM_OK)
        status = cm_issuer_from_certificate(&signer, &issuer, err);
    if (status == CM_OK)
        status = compose(cross, &issuer, &tbs, err);
    if (status == CM_OK)
        status = cm_certificate_read_tbs(tbs.der, &planned, err);
    return status == CM_OK
               ? cm_cross_terms_read(&planned, cross->ca.proof, arena_of(cross), &cross->terms, err)
               : status;
}

/* ------------------------------------------------------------------------------------ all of it -- */

static cm_status prepare(struct cm_ca_cross *cross, const struct cm_generation **ret_signer,
                         struct cm_error *err)
{
    struct cm_deployment *deployment = &cross->record->deployment;
    cm_status status =
        cm_foreign_ca_read(cross->file, cross->csr, &deployment->arena, &cross->ca, err);
    if (status == CM_OK)
        status =
            cm_generations_read(deployment->store, &deployment->arena, &cross->generations, err);
    if (status == CM_OK)
        status = check_stranger(cross, err);
    if (status == CM_OK)
        status = check_proof(cross, err);
    if (status == CM_OK)
        status = find_signer(cross, ret_signer, err);
    return status == CM_OK ? check_certifiable(cross, *ret_signer, err) : status;
}

static cm_status make(struct cm_ca_cross *cross, const struct cm_generation *signer,
                      struct cm_error *err)
{
    cm_status status = open_signer(cross, signer, err);
    if (status == CM_OK)
        status = sign_and_record(cross, err);
    if (status == CM_OK)
        cross->is_cut_short = is_cut_short(cross);
    cm_ca_signer_close(&cross->signer);
    return status;
}

cm_status cm_ca_cross_carry_out(struct cm_ca_cross *cross, struct cm_ca_record *record,
                                struct cm_error *err)
{
    const struct cm_generation *signer = NULL;
    cross->record = record;
    cm_interruptions_hold("interrupted; ending before anything is signed, or when it is recorded");
    cm_status status = prepare(cross, &signer, err);
    if (status == CM_OK)
        status = cross->terms_only ? find_terms(cross, signer, err) : make(cross, signer, err);
    cm_interruptions_release();
    return status;
}

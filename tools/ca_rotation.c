#include "tools/ca_rotation.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "engine/base/clock.h"
#include "engine/base/faultpoint.h"
#include "engine/fixing.h"
#include "engine/revocation/crl_files.h"
#include "engine/x509/der_writer.h"
#include "engine/x509/key.h"
#include "engine/x509/pem_writer.h"
#include "engine/x509/profile.h"
#include "engine/x509/proof.h"
#include "engine/x509/reissue.h"
#include "providers/naming.h"
#include "providers/verify.h"
#include "tools/interruptions.h"

#define TEXT_OF(bytes) (int)(bytes).size, (const char *)(bytes).data

static struct cm_arena *arena_of(const struct cm_ca_rotation *rotation)
{
    return &rotation->record->deployment.arena;
}

static const char *text_of(const struct cm_ca_rotation *rotation, struct cm_bytes text)
{
    return cm_arena_printf(arena_of(rotation), "%.*s", TEXT_OF(text));
}

/* --------------------------------------------------------------------- what is replaced, by whom -- */

static cm_status find_active(struct cm_ca_rotation *rotation, struct cm_error *err)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < rotation->generations.count; i++) {
        const struct cm_generation *one = &rotation->generations.all[i];
        if (one->state != CM_GENERATION_ACTIVE || !cm_bytes_is(one->authority, rotation->authority))
            continue;
        rotation->old = one;
        count++;
    }
    if (count == 0)
        return CM_FAIL(
            err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
            "there is no authority %.80s with an active key to replace; certmill ca list "
            "shows them",
            rotation->authority);
    if (count > 1)
        return CM_FAIL(
            err, CM_EXISTS, CM_ORIGIN_SELF, 0,
            "%.80s has %u active keys: --replace says which one's place the new one takes",
            rotation->authority, count);
    return CM_OK;
}

static cm_status find_old(struct cm_ca_rotation *rotation, struct cm_error *err)
{
    cm_status status =
        rotation->replaced
            ? cm_generations_named(&rotation->generations, rotation->replaced, &rotation->old, err)
            : find_active(rotation, err);
    if (status == CM_OK && !cm_bytes_is(rotation->old->authority, rotation->authority))
        return CM_FAIL(err, CM_INVALID, CM_ORIGIN_SELF, 0, "%.80s is no key of %.80s",
                       rotation->replaced, rotation->authority);
    if (status == CM_OK)
        status = cm_certificate_read(rotation->old->certificate, &rotation->old_certificate, err);
    if (status == CM_OK)
        rotation->old_name = cm_generation_name(arena_of(rotation), rotation->old);
    return status;
}

/* The active key of whoever signed the one before; NULL and OK: it signs itself. */
static cm_status find_signer(struct cm_ca_rotation *rotation, struct cm_error *err)
{
    const struct cm_generation *before =
        cm_generations_find_signer(&rotation->generations, &rotation->old_certificate);
    rotation->signers_name = rotation->name;
    if (cm_certificate_is_signed_by(&rotation->old_certificate, &rotation->old_certificate))
        return CM_OK;
    if (!before)
        return CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_SELF, 0,
                       "%.80s was signed by none of ours: certmill ca create --csr makes a request "
                       "for its signer",
                       rotation->old_name);
    const char *authority = text_of(rotation, before->authority);
    rotation->signer = cm_generations_active(&rotation->generations, authority);
    if (!rotation->signer)
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                       "%.80s, which signs %.80s, has no active key", authority,
                       rotation->authority);
    rotation->signers_name = cm_generation_name(arena_of(rotation), rotation->signer);
    return CM_OK;
}

/* One that an earlier run has made. */
static const struct cm_generation *find_pending(const struct cm_ca_rotation *rotation)
{
    for (uint32_t i = 0; i < rotation->generations.count; i++) {
        const struct cm_generation *one = &rotation->generations.all[i];
        if (one->state == CM_GENERATION_PENDING && one->certificate.size > 0
            && one->replaces == rotation->old->number)
            return one;
    }
    return NULL;
}

static void name_it(struct cm_ca_rotation *rotation, int64_t generation)
{
    struct cm_arena *arena = arena_of(rotation);
    rotation->generation = generation;
    rotation->name = cm_arena_printf(arena, "%s-%" PRId64, rotation->authority, generation);
    rotation->path = cm_arena_printf(arena, "%s/ca/%s.pem",
                                     rotation->record->deployment.settings->folder, rotation->name);
}

/* ------------------------------------------------------------------------------------- the key -- */

static cm_status find_provider(struct cm_ca_rotation *rotation, struct cm_error *err)
{
    const char *name =
        rotation->provider ? rotation->provider : text_of(rotation, rotation->old->provider);
    rotation->provider_settings = cm_settings_provider(rotation->record->deployment.settings, name);
    if (!rotation->provider_settings)
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0, "the settings have no provider %.80s",
                       name);
    rotation->provider = name;
    return CM_OK;
}

/* Beside the key that is replaced, or any of ours in the same provider. */
static cm_status name_key(struct cm_ca_rotation *rotation, struct cm_error *err)
{
    const char *neighbour = NULL;
    for (uint32_t i = 0; i < rotation->generations.count; i++)
        if (cm_bytes_is(rotation->generations.all[i].provider, rotation->provider))
            neighbour = text_of(rotation, rotation->generations.all[i].key);
    if (cm_bytes_is(rotation->old->provider, rotation->provider))
        neighbour = text_of(rotation, rotation->old->key);
    char *named = cm_key_name_beside(rotation->provider_settings->kind, neighbour, rotation->name);
    if (!named)
        return CM_FAIL(
            err, CM_INVALID, CM_ORIGIN_SELF, 0,
            "no key of an authority is in provider %.80s, so nothing says which token or "
            "vault the new one belongs in: --key says it",
            rotation->provider);
    rotation->ca.key = cm_arena_printf(arena_of(rotation), "%s", named);
    free(named);
    return CM_OK;
}

/* Of the same type as the one before, unless another is asked for. */
static void plan_key(struct cm_ca_rotation *rotation)
{
    struct cm_public_key old;
    struct cm_refusal ignored;
    const char *type = rotation->key_type;
    bool is_rsa = type && strncmp(type, "rsa-", 4) == 0;
    rotation->ca.name = rotation->authority;
    rotation->ca.has_key = rotation->has_key;
    if (type)
        rotation->ca.spec =
            (struct cm_key_spec){ .type = is_rsa ? CM_KEY_RSA : cm_key_type_find(type),
                                  .bits = is_rsa ? (uint32_t)strtoul(type + 4, NULL, 10) : 0 };
    else if (cm_public_key_read(rotation->old_certificate.spki, &old, &ignored))
        rotation->ca.spec =
            (struct cm_key_spec){ .type = old.type,
                                  .bits = old.type == CM_KEY_RSA ? (uint32_t)old.bits : 0 };
}

/* Under the name that we give, what an interrupted run has left is taken up. */
static cm_status open_key(struct cm_ca_rotation *rotation, struct cm_error *err)
{
    struct cm_new_authority *ca = &rotation->ca;
    cm_status status =
        cm_provider_session_open_single(&rotation->session, rotation->provider_settings, err);
    if (status != CM_OK)
        return status;
    status = cm_new_authority_open_key(ca, &rotation->session, err);
    if (status == CM_EXISTS && !rotation->key && !ca->has_key) {
        ca->has_key = rotation->took_up = true;
        status = cm_new_authority_open_key(ca, &rotation->session, err);
    }
    if (status == CM_OK)
        status = cm_generations_refuse_key(&rotation->generations, ca->key, ca->handle->spki, err);
    return status;
}

/* -------------------------------------------------------------------------------- certificates -- */

/* Whose key signs, and what it is called. */
struct signing {
    struct cm_provider_session *session;
    struct cm_key *key;
    const char *signer;
};

static cm_status sign(struct cm_ca_rotation *rotation, const struct signing *by,
                      struct cm_bytes tbs, struct cm_bytes *ret_der, struct cm_error *err)
{
    cm_status status =
        cm_ca_record_intent(rotation->record, "rotate", rotation->name, by->signer, tbs, err);
    CM_FAULT_POINT("ca-intended");
    if (status == CM_OK)
        status = cm_interruptions_check(err);
    if (status == CM_OK)
        status = cm_provider_session_certify(by->session, by->key, tbs, arena_of(rotation), ret_der,
                                             err);
    CM_FAULT_POINT("ca-signed");
    return status;
}

static cm_status reissue(struct cm_ca_rotation *rotation, struct cm_reissue_input *in,
                         const struct signing *by, struct cm_bytes *ret_der, struct cm_error *err)
{
    uint8_t serial[CM_SERIAL_SIZE];
    struct cm_tbs tbs;
    cm_status status = cm_new_authority_draw_serial(serial, err);
    in->serial = cm_bytes(serial, sizeof serial);
    if (status == CM_OK)
        status = cm_reissue_compose(rotation->composer, in, arena_of(rotation), &tbs, err);
    return status == CM_OK ? sign(rotation, by, tbs.der, ret_der, err) : status;
}

static int64_t smaller(int64_t one, int64_t other)
{
    return one < other ? one : other;
}

static int64_t larger(int64_t one, int64_t other)
{
    return one > other ? one : other;
}

/* From now on, for as long as the one before was made for, and never longer than its signer. */
static void set_validity(const struct cm_ca_rotation *rotation, struct cm_reissue_input *in)
{
    const struct cm_certificate *old = &rotation->old_certificate;
    int64_t validity_s =
        rotation->validity_s ? rotation->validity_s : old->not_after_s - old->not_before_s + 1;
    in->not_before_s = cm_clock_wall_s() - cm_profile_builtin("issuing-ca")->backdate_s;
    in->not_after_s = smaller(in->not_before_s + validity_s - 1, CM_DER_TIME_MAX_S);
    if (!in->issuer)
        return;
    in->not_before_s = larger(in->not_before_s, in->issuer->not_before_s);
    in->not_after_s = smaller(in->not_after_s, in->issuer->not_after_s);
}

static cm_status certify(struct cm_ca_rotation *rotation, struct cm_error *err)
{
    struct cm_ca_signer *signer = &rotation->by_signer;
    struct signing by = { &rotation->session, rotation->ca.handle, rotation->name };
    struct cm_reissue_input in = { .model = &rotation->old_certificate,
                                   .spki = rotation->ca.handle->spki,
                                   .sigalg = rotation->ca.handle->alg };
    cm_status status =
        rotation->signer ? cm_ca_signer_open_issuer(signer, rotation->record, rotation->signer, err)
                         : CM_OK;
    if (status == CM_OK && rotation->signer) {
        by = (struct signing){ &signer->session, signer->key, rotation->signers_name };
        in.issuer = &signer->issuer;
    }
    set_validity(rotation, &in);
    if (status == CM_OK)
        status = reissue(rotation, &in, &by, &rotation->ca.der, err);
    return status == CM_OK ? cm_certificate_read(rotation->ca.der, &rotation->certificate, err)
                           : status;
}

/* Valid while both are. */
static cm_status cross(struct cm_ca_rotation *rotation, const struct cm_certificate *model,
                       const struct cm_issuer *issuer, const struct signing *by,
                       const char *subject_key, struct cm_error *err)
{
    struct cm_bytes der;
    struct cm_reissue_input in = {
        .model = model,
        .issuer = issuer,
        .not_before_s = larger(model->not_before_s, issuer->not_before_s),
        .not_after_s = smaller(model->not_after_s, issuer->not_after_s),
    };
    if (in.not_before_s > in.not_after_s)
        return CM_OK; /* they are never valid together */
    cm_status status = reissue(rotation, &in, by, &der, err);
    if (status != CM_OK)
        return status;
    json_t *row = json_pack("{s:s, s:o}", subject_key, rotation->old_name, "certificate",
                            cm_control_base64(der));
    json_array_append_new(rotation->crosses, row);
    rotation->crosses_count++;
    return CM_OK;
}

/* What the new generation will say of where its own status is told: as the engine will fix it. */
static cm_status describe_self(struct cm_ca_rotation *rotation, struct cm_error *err)
{
    const struct cm_settings_authority *authority =
        cm_settings_authority(rotation->record->deployment.settings, rotation->authority);
    struct cm_arena *arena = arena_of(rotation);
    cm_status status = cm_issuer_from_certificate(&rotation->certificate, &rotation->self, err);
    rotation->self.sigalg = rotation->ca.handle->alg;
    if (status != CM_OK || !authority)
        return status;
    char *url = cm_fill_issuer_url(authority->crl_url, rotation->name);
    rotation->self.crl_url = url ? cm_arena_printf(arena, "%s", url) : NULL;
    rotation->self.crl_shards = authority->crl_shards ? authority->crl_shards : 1;
    rotation->self.ocsp_url = authority->ocsp_url;
    free(url);
    return CM_OK;
}

/* Nobody is to trust anything for the sake of a key that somebody else may have. */
static bool has_crosses(const struct cm_ca_rotation *rotation)
{
    return !rotation->no_crosses && rotation->old->state != CM_GENERATION_COMPROMISED;
}

static cm_status make_crosses(struct cm_ca_rotation *rotation, struct cm_error *err)
{
    struct cm_ca_signer *old = &rotation->by_old;
    struct signing by_new = { &rotation->session, rotation->ca.handle, rotation->name };
    rotation->crosses = json_array();
    if (!has_crosses(rotation))
        return CM_OK;
    cm_status status = describe_self(rotation, err);
    if (status == CM_OK)
        status = cm_ca_signer_open_issuer(old, rotation->record, rotation->old, err);
    const struct signing by_old = { &old->session, old->key, rotation->old_name };
    if (status == CM_OK)
        status = cross(rotation, &rotation->certificate, &old->issuer, &by_old, "issuer", err);
    if (status == CM_OK)
        status =
            cross(rotation, &rotation->old_certificate, &rotation->self, &by_new, "subject", err);
    return status;
}

/* ---------------------------------------------------------------------------------- the record -- */

static const char *chain_of(const struct cm_ca_rotation *rotation)
{
    if (!rotation->signer)
        return "";
    return text_of(rotation, cm_generation_chain_below(rotation->signer, rotation->ca.der,
                                                       arena_of(rotation)));
}

static cm_status record(struct cm_ca_rotation *rotation, struct cm_error *err)
{
    json_t *generation =
        json_pack("{s:s, s:I, s:s, s:s, s:s, s:s, s:s, s:o, s:s}", "authority", rotation->authority,
                  "generation", (json_int_t)rotation->generation, "state", "pending", "replaces",
                  rotation->old_name, "provider", rotation->provider, "key", rotation->ca.key,
                  "sigalg", cm_sigalg_name(rotation->ca.sigalg), "certificate",
                  cm_control_base64(rotation->ca.der), "chain", chain_of(rotation));
    json_t *request = json_pack("{s:s, s:s, s:o, s:O}", "op", "ca-generation", "purpose", "rotate",
                                "generation", generation, "crosses", rotation->crosses);
    if (request && rotation->signer)
        json_object_set_new(request, "signer", json_string(rotation->signers_name));
    return cm_ca_record_apply(rotation->record, request, NULL, err);
}

/* It stands in the store: a file that cannot be written is a notice. */
static void write_file(const struct cm_ca_rotation *rotation, struct cm_bytes der)
{
    struct cm_arena *arena = arena_of(rotation);
    struct cm_error err;
    const char *folder =
        cm_arena_printf(arena, "%s/ca", rotation->record->deployment.settings->folder);
    const char *file = cm_arena_printf(arena, "/%s.pem", rotation->name);
    if (cm_crl_files_write(folder, file, cm_pem_write("CERTIFICATE", der, arena), &err) != CM_OK)
        fprintf(stderr, "certmill: %s was not written: %s\n", rotation->path, err.text);
}

static cm_status make(struct cm_ca_rotation *rotation, struct cm_error *err)
{
    cm_status status = find_provider(rotation, err);
    rotation->ca.key = rotation->key;
    if (status == CM_OK && !rotation->key)
        status = name_key(rotation, err);
    plan_key(rotation);
    if (status == CM_OK)
        status = cm_composer_new(&rotation->composer, err);
    if (status == CM_OK)
        status = open_key(rotation, err);
    CM_FAULT_POINT("ca-key-made");
    if (status == CM_OK)
        status = certify(rotation, err);
    if (status == CM_OK)
        status = make_crosses(rotation, err);
    if (status == CM_OK)
        status = record(rotation, err);
    CM_FAULT_POINT("ca-recorded");
    if (status == CM_OK)
        write_file(rotation, rotation->ca.der);
    return status;
}

/* Where nobody knows whether it is recorded, the key stays: the next run takes it up. */
static void close_all(struct cm_ca_rotation *rotation, cm_status status)
{
    cm_new_authority_close_key(&rotation->ca, status != CM_OK && status != CM_UNCERTAIN);
    cm_ca_signer_close(&rotation->by_old);
    cm_ca_signer_close(&rotation->by_signer);
    cm_provider_session_close(&rotation->session);
    cm_composer_free(rotation->composer);
    json_decref(rotation->crosses);
}

static cm_status go_on_with(struct cm_ca_rotation *rotation, const struct cm_generation *pending,
                            struct cm_error *err)
{
    rotation->was_there = true;
    name_it(rotation, pending->generation);
    write_file(rotation, pending->certificate);
    rotation->ca.key = text_of(rotation, pending->key);
    rotation->provider = text_of(rotation, pending->provider);
    return cm_certificate_read(pending->certificate, &rotation->certificate, err);
}

cm_status cm_ca_rotation_carry_out(struct cm_ca_rotation *rotation, struct cm_ca_record *record_of,
                                   struct cm_error *err)
{
    rotation->record = record_of;
    cm_interruptions_hold(CM_NEW_AUTHORITY_INTERRUPTED);
    cm_status status = cm_ca_record_lock(record_of, err);
    if (status == CM_OK)
        status = cm_generations_read(record_of->deployment.store, &record_of->deployment.arena,
                                     &rotation->generations, err);
    if (status == CM_OK)
        status = find_old(rotation, err);
    const struct cm_generation *pending = status == CM_OK ? find_pending(rotation) : NULL;
    if (pending) {
        status = go_on_with(rotation, pending, err);
    } else if (status == CM_OK) {
        name_it(rotation, cm_generations_next(&rotation->generations, rotation->authority));
        status = find_signer(rotation, err);
        if (status == CM_OK)
            status = make(rotation, err);
        close_all(rotation, status);
    }
    cm_interruptions_release();
    return status;
}

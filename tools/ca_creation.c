#include "tools/ca_creation.h"

#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "engine/base/clock.h"
#include "engine/dual_control.h"
#include "engine/x509/pem_writer.h"
#include "tools/generation_chain.h"
#include "tools/interruptions.h"

enum { TRANSFER_SIZE_MAX = 65536 }; /* a blob of RSA 4096 has about 4 kB */

/* ----------------------------------------------------------------------------- its place -- */

static cm_status check_name(const struct cm_ca_creation *creation, struct cm_error *err)
{
    const char *name = creation->ca.name;
    if (!creation->is_beside && creation->generation > 1)
        return CM_FAIL(err, CM_EXISTS, CM_ORIGIN_SELF, 0,
                       "there is an authority %s already; certmill ca list shows it, and --beside "
                       "gives it one more key",
                       name);
    if (creation->is_beside && !cm_generations_active(&creation->generations, name))
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                       "there is no authority %s with an active key to stand beside", name);
    return CM_OK;
}

/* The number is known only now, and the file and the subject are named after it. */
static void name_after_generation(struct cm_ca_creation *creation)
{
    struct cm_arena *arena = &creation->record.deployment.arena;
    struct cm_new_authority *ca = &creation->ca;
    creation->folder =
        cm_arena_printf(arena, "%s/ca", creation->record.deployment.settings->folder);
    creation->path = cm_arena_printf(arena, "%s/%s.pem", creation->folder, ca->name);
    if (creation->is_beside) {
        const char *name = cm_arena_printf(arena, "%s-%" PRId64, ca->name, creation->generation);
        creation->path = cm_arena_printf(arena, "%s/%s.pem", creation->folder, name);
        ca->cn = ca->cn ? ca->cn : name;
    }
    ca->cn = ca->cn ? ca->cn : ca->name;
    if (creation->csr_path) {
        char *copy = strdup(creation->csr_path);
        creation->path = creation->csr_path;
        creation->folder = cm_arena_printf(arena, "%s", copy ? dirname(copy) : ".");
        free(copy);
    }
}

static cm_status find_place(struct cm_ca_creation *creation, struct cm_error *err)
{
    cm_status status =
        cm_generations_read(creation->record.deployment.store, &creation->record.deployment.arena,
                            &creation->generations, err);
    if (status != CM_OK)
        return status;
    creation->generation = cm_generations_next(&creation->generations, creation->ca.name);
    status = check_name(creation, err);
    if (status != CM_OK)
        return status;
    name_after_generation(creation);
    if (access(creation->path, F_OK) == 0)
        return CM_FAIL(err, CM_EXISTS, CM_ORIGIN_SELF, 0,
                       "%s is there already; nothing is overwritten", creation->path);
    return CM_OK;
}

/* ------------------------------------------------------------------------------ its signer -- */

/* All keys of an authority have the same signer. */
static cm_status check_sibling(const struct cm_ca_creation *creation, struct cm_bytes signers_name,
                               struct cm_error *err)
{
    const struct cm_generation *sibling =
        cm_generations_active(&creation->generations, creation->ca.name);
    struct cm_certificate certificate;
    if (!creation->is_beside)
        return CM_OK;
    cm_status status = cm_certificate_read(sibling->certificate, &certificate, err);
    if (status == CM_OK && !cm_bytes_equal(certificate.issuer, signers_name))
        return CM_FAIL(err, CM_MISMATCH, CM_ORIGIN_SELF, 0,
                       "the active key of %s was not signed by %s; all keys of an authority have "
                       "the same signer",
                       creation->ca.name, creation->signers_name);
    return status;
}

/* Before there is a key: a token or a vault may keep it for good. */
static cm_status check_certifiable(struct cm_ca_creation *creation,
                                   const struct cm_signer_chain *chain, struct cm_error *err)
{
    const struct cm_new_authority *ca = &creation->ca;
    struct cm_certificate_plan plan = {
        .profile = ca->profile,
        .must_last = creation->must_last,
        .key_type = ca->has_key ? CM_KEY_UNKNOWN : ca->spec.type,
        .now_s = cm_clock_wall_s(),
    };
    cm_status status =
        cm_new_authority_subject(ca, &creation->record.deployment.arena, &plan.subject, err);
    return status == CM_OK ? cm_certifiable_check(chain, &plan, &creation->end_s, err) : status;
}

static cm_status find_signer(struct cm_ca_creation *creation, struct cm_error *err)
{
    struct cm_signer_chain chain;
    if (!creation->signers_name || creation->csr_path)
        return CM_OK;
    const struct cm_generation *signer =
        cm_generations_active(&creation->generations, creation->signers_name);
    if (!signer)
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                       "there is no authority %s with an active key to sign with",
                       creation->signers_name);
    creation->signers_generation = signer;
    cm_status status = cm_generation_chain_read(&creation->generations, signer,
                                                &creation->record.deployment.arena, &chain, err);
    if (status == CM_OK)
        status = check_sibling(creation, chain.certificates[0].subject, err);
    return status == CM_OK ? check_certifiable(creation, &chain, err) : status;
}

/* -------------------------------------------------------------------------------- the keys -- */

static cm_status open_signer(struct cm_ca_creation *creation, struct cm_error *err)
{
    if (!creation->signers_generation)
        return CM_OK;
    cm_status status =
        cm_ca_signer_open(&creation->signer, creation->record.deployment.settings,
                          creation->signers_generation, &creation->record.deployment.arena, err);
    if (status == CM_OK && creation->signer.issuer.not_after_s > creation->end_s)
        creation->signer.issuer.not_after_s = creation->end_s;
    return status;
}

static cm_status find_provider(struct cm_ca_creation *creation, struct cm_error *err)
{
    const struct cm_settings *settings = creation->record.deployment.settings;
    const char *name = cm_call_value(creation->call, "provider");
    creation->provider = name ? cm_settings_provider(settings, name) : &settings->providers[0];
    if (!creation->provider)
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0, "the settings have no provider %s",
                       name);
    return CM_OK;
}

static cm_status read_whole(struct cm_ca_creation *creation, const char *path, FILE *file,
                            struct cm_error *err)
{
    uint8_t *octets = cm_arena_zalloc(&creation->record.deployment.arena, TRANSFER_SIZE_MAX + 1);
    size_t size = fread(octets, 1, TRANSFER_SIZE_MAX + 1, file);
    if (ferror(file))
        return CM_FAIL(err, CM_IO, CM_ORIGIN_SELF, 0, "%s cannot be read", path);
    if (size == 0 || size > TRANSFER_SIZE_MAX)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0,
                       "%s is no transfer blob: expected 1 to %d octets", path, TRANSFER_SIZE_MAX);
    creation->ca.spec.transfer_blob = cm_bytes(octets, size);
    return CM_OK;
}

static cm_status read_transfer(struct cm_ca_creation *creation, struct cm_error *err)
{
    const char *path = cm_call_value(creation->call, "transfer");
    if (!path)
        return CM_OK;
    FILE *file = fopen(path, "rb");
    if (!file)
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, errno, "%s: %s", path, strerror(errno));
    cm_status status = read_whole(creation, path, file, err);
    fclose(file);
    return status;
}

static cm_status open_keys(struct cm_ca_creation *creation, struct cm_error *err)
{
    struct cm_new_authority *ca = &creation->ca;
    cm_status status = find_provider(creation, err);
    if (status == CM_OK)
        status = read_transfer(creation, err);
    if (status == CM_OK)
        status = open_signer(creation, err);
    if (status == CM_OK)
        status = cm_provider_session_open_single(&creation->session, creation->provider, err);
    if (status == CM_OK)
        status = cm_new_authority_open_key(ca, &creation->session, err);
    if (status == CM_OK)
        status = cm_generations_refuse_key(&creation->generations, ca->key, ca->handle->spki, err);
    return status;
}

static void close_keys(struct cm_ca_creation *creation, bool undo)
{
    cm_new_authority_close_key(&creation->ca, undo);
    cm_ca_signer_close(&creation->signer);
    cm_provider_session_close(&creation->session);
}

/* ------------------------------------------------------------------------------- the record -- */

static const char *own_name(struct cm_ca_creation *creation)
{
    return cm_arena_printf(&creation->record.deployment.arena, "%s-%" PRId64, creation->ca.name,
                           creation->generation);
}

/* Before the key sees the bytes: their hash is in the audit log. */
static cm_status record_intent(const struct cm_new_authority *authority, struct cm_bytes tbs,
                               void *arg, struct cm_error *err)
{
    struct cm_ca_creation *creation = arg;
    const struct cm_generation *signer = creation->signer.generation;
    const char *signers_name = signer
                                   ? cm_generation_name(&creation->record.deployment.arena, signer)
                                   : own_name(creation);
    (void)authority;
    return cm_ca_record_intent(&creation->record, creation->csr_path ? "request" : "create",
                               own_name(creation), signers_name, tbs, err);
}

static json_t *describe(const struct cm_ca_creation *creation, enum cm_generation_state state)
{
    const struct cm_new_authority *ca = &creation->ca;
    return json_pack("{s:s, s:I, s:s, s:s, s:s, s:s}", "authority", ca->name, "generation",
                     (json_int_t)creation->generation, "state", cm_generation_state_name(state),
                     "provider", creation->provider->name, "key", ca->key, "sigalg",
                     cm_sigalg_name(ca->sigalg));
}

static json_t *json_bytes(struct cm_bytes text)
{
    return json_stringn((const char *)text.data, text.size);
}

/* Without a certificate; the request stands where its chain will. */
static cm_status record_request(struct cm_ca_creation *creation, struct cm_bytes pem,
                                struct cm_error *err)
{
    json_t *generation = describe(creation, CM_GENERATION_PENDING);
    json_object_set_new(generation, "request", json_bytes(pem));
    return cm_ca_record_apply(&creation->record,
                              json_pack("{s:s, s:s, s:o}", "op", "ca-generation", "purpose",
                                        "request", "generation", generation),
                              NULL, err);
}

static cm_status record_generation(struct cm_ca_creation *creation, struct cm_error *err)
{
    struct cm_arena *arena = &creation->record.deployment.arena;
    const struct cm_generation *signer = creation->signer.generation;
    json_t *generation = describe(creation, CM_GENERATION_ACTIVE);
    json_object_set_new(generation, "certificate", cm_control_base64(creation->ca.der));
    if (signer)
        json_object_set_new(generation, "chain",
                            json_bytes(cm_generation_chain_below(signer, creation->ca.der, arena)));
    json_t *request = json_pack("{s:s, s:s, s:o}", "op", "ca-generation", "purpose", "create",
                                "generation", generation);
    if (signer)
        json_object_set_new(request, "signer", json_string(cm_generation_name(arena, signer)));
    return cm_ca_record_apply(&creation->record, request, NULL, err);
}

/* ------------------------------------------------------------------------------- all of it -- */

static cm_status note_end(struct cm_ca_creation *creation, struct cm_error *err)
{
    struct cm_certificate certificate;
    cm_status status = cm_certificate_read(creation->ca.der, &certificate, err);
    if (status != CM_OK)
        return status;
    creation->not_after_s = certificate.not_after_s;
    creation->is_cut_short =
        certificate.not_after_s - certificate.not_before_s < creation->profile.validity_s - 1;
    return CM_OK;
}

static cm_status sign_and_record(struct cm_ca_creation *creation, struct cm_error *err)
{
    struct cm_arena *arena = &creation->record.deployment.arena;
    bool is_root = !creation->signers_name;
    const struct cm_new_authority_signer signer = {
        .session = is_root ? &creation->session : &creation->signer.session,
        .key = is_root ? creation->ca.handle : creation->signer.key,
        .issuer = is_root ? NULL : &creation->signer.issuer,
        .record = record_intent,
        .arg = creation,
    };
    struct cm_deployment *deployment = &creation->record.deployment;
    bool is_ours = !creation->record.client; /* else the engine has fixed what it serves */
    cm_status status = is_root
                           ? CM_OK
                           : cm_ca_signer_fill_urls(&creation->signer, deployment->settings,
                                                    is_ours ? deployment->loop : NULL,
                                                    is_ours ? deployment->store : NULL, arena, err);
    if (status == CM_OK)
        status = cm_new_authority_sign(&creation->ca, &signer, arena, err);
    if (status == CM_OK)
        status = note_end(creation, err);
    if (status == CM_OK)
        status = cm_new_files_write(&creation->files, creation->path, 0644,
                                    cm_pem_write("CERTIFICATE", creation->ca.der, arena), err);
    if (status == CM_OK)
        status = cm_folder_sync(creation->folder, err);
    if (status == CM_OK)
        status = cm_interruptions_check(err);
    if (status == CM_OK)
        status = record_generation(creation, err);
    return status;
}

static cm_status request_and_record(struct cm_ca_creation *creation, struct cm_error *err)
{
    struct cm_arena *arena = &creation->record.deployment.arena;
    const struct cm_new_authority_signer signer = { .record = record_intent, .arg = creation };
    struct cm_bytes pem;
    cm_status status = cm_new_authority_request(&creation->ca, &signer, arena, err);
    if (status != CM_OK)
        return status;
    pem = cm_pem_write("CERTIFICATE REQUEST", creation->ca.der, arena);
    status = cm_new_files_write(&creation->files, creation->path, 0644, pem, err);
    if (status == CM_OK)
        status = cm_folder_sync(creation->folder, err);
    if (status == CM_OK)
        status = cm_interruptions_check(err);
    return status == CM_OK ? record_request(creation, pem, err) : status;
}

/* Before there is a key: what settings mark has a plan. */
static cm_status find_plan(struct cm_ca_creation *creation, struct cm_error *err)
{
    struct cm_deployment *deployment = &creation->record.deployment;
    bool is_root = !creation->signers_name && !creation->csr_path;
    const struct cm_plan_use *use; /* the record takes it, when there is something to record */
    const struct cm_deed deed = { .operation = is_root ? CM_CEREMONY_ROOT_KEY : CM_CEREMONY_CREATE,
                                  .subject = creation->ca.name };
    return cm_dual_control_check(deployment->settings, deployment->store, &deed,
                                 creation->record.plan, &deployment->arena, &use, err);
}

cm_status cm_ca_creation_carry_out(struct cm_ca_creation *creation, struct cm_error *err)
{
    cm_interruptions_hold(CM_NEW_AUTHORITY_INTERRUPTED);
    cm_status status = find_plan(creation, err);
    if (status == CM_OK)
        status = find_place(creation, err);
    if (status == CM_OK)
        status = find_signer(creation, err);
    if (status == CM_OK)
        status = open_keys(creation, err);
    if (status == CM_OK)
        status =
            creation->csr_path ? request_and_record(creation, err) : sign_and_record(creation, err);
    bool undo = status != CM_OK && status != CM_UNCERTAIN; /* else it may be recorded */
    close_keys(creation, undo);
    if (undo)
        cm_new_files_undo(&creation->files);
    cm_new_files_done(&creation->files);
    cm_interruptions_release();
    return status;
}

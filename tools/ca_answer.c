#include "tools/ca_answer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "engine/authority/certifiable.h"
#include "engine/base/clock.h"
#include "engine/x509/name_write.h"
#include "engine/x509/pem_writer.h"
#include "tools/ca_signer.h"
#include "tools/generation_chain.h"
#include "tools/time_text.h"

#define TEXT_OF(bytes)   (int)(bytes).size, (const char *)(bytes).data
#define REFUSE(err, ...) CM_FAIL(err, CM_MISMATCH, CM_ORIGIN_SELF, 0, __VA_ARGS__)

/* ---------------------------------------------------------------------------- who waits for it -- */

static bool is_called(const struct cm_ca_answer *answer, const struct cm_generation *generation)
{
    const char *wanted = answer->call->operands[0];
    return cm_bytes_is(generation->authority, wanted)
           || strcmp(cm_generation_name(answer->generations.arena, generation), wanted) == 0;
}

/* By its key: an authority may wait for more than one. */
static cm_status find_generation(struct cm_ca_answer *answer, struct cm_error *err)
{
    struct cm_arena *arena = &answer->record.deployment.arena;
    const struct cm_generation *waits = NULL;
    for (uint32_t i = 0; i < answer->generations.count; i++) {
        const struct cm_generation *generation = &answer->generations.all[i];
        struct cm_bytes spki;
        if (!is_called(answer, generation))
            continue;
        if (generation->certificate.size == 0)
            waits = generation;
        cm_status status = cm_generation_spki(generation, arena, &spki, err);
        if (status != CM_OK)
            return status;
        if (cm_bytes_equal(spki, answer->files.read.spki)) {
            answer->generation = generation;
            answer->name = cm_generation_name(arena, generation);
            return CM_OK;
        }
    }
    if (waits)
        return REFUSE(err, "the certificate is for another key than that of %s",
                      cm_generation_name(arena, waits));
    return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                   "nothing waits for a certificate under the name %s; certmill ca list shows "
                   "what does",
                   answer->call->operands[0]);
}

/* ---------------------------------------------------------------------------------- the checks -- */

/* Other software writes strings with types of its own; what they say is the same. */
static bool is_same_name(struct cm_bytes a, struct cm_bytes b)
{
    struct cm_refusal ignored;
    struct cm_der readers[2] = { cm_der_open(a, &ignored), cm_der_open(b, &ignored) };
    struct cm_name names[2];
    if (cm_bytes_equal(a, b))
        return true;
    if (!cm_name_read(&readers[0], &names[0]) || !cm_name_read(&readers[1], &names[1])
        || names[0].count != names[1].count)
        return false;
    for (size_t i = 0; i < names[0].count; i++)
        if (names[0].attributes[i].type != names[1].attributes[i].type
            || !cm_bytes_equal(names[0].attributes[i].value, names[1].attributes[i].value))
            return false;
    return true;
}

static cm_status check_subject(const struct cm_ca_answer *answer, struct cm_error *err)
{
    const struct cm_certificate *certificate = &answer->files.read;
    char theirs[CM_NAME_TEXT_SIZE], ours[CM_NAME_TEXT_SIZE];
    struct cm_csr request;
    cm_status status =
        cm_generation_request(answer->generation, answer->generations.arena, &request, err);
    if (status != CM_OK)
        return status;
    if (cm_bytes_equal(certificate->subject, certificate->issuer))
        return REFUSE(err,
                      "the certificate signs itself; expected one from the CA that the request "
                      "went to");
    if (!is_same_name(certificate->subject, request.subject))
        return REFUSE(err, "the certificate is for %.100s, and %.100s was asked for",
                      cm_name_write(certificate->subject, theirs),
                      cm_name_write(request.subject, ours));
    return CM_OK;
}

static cm_status check_validity(const struct cm_certificate *certificate, struct cm_error *err)
{
    char date[CM_TIME_TEXT_SIZE];
    int64_t now_s = cm_clock_wall_s();
    if (certificate->not_after_s < now_s)
        return REFUSE(err, "the certificate has ended on %s",
                      cm_time_write(certificate->not_after_s, date));
    if (certificate->not_before_s > now_s)
        return REFUSE(err, "the certificate begins on %s only",
                      cm_time_write(certificate->not_before_s, date));
    return CM_OK;
}

static cm_status check_use(const struct cm_certificate *certificate, struct cm_error *err)
{
    struct cm_issuer ignored;
    if (!certificate->is_ca)
        return REFUSE(err, "the certificate is no CA's: have the request signed with basic "
                           "constraints that say cA");
    cm_status status = cm_issuer_from_certificate(certificate, &ignored, err);
    if (status == CM_OK && !(certificate->key_usage & CM_USAGE_CRL_SIGN))
        return REFUSE(err, "the key usage of the certificate has no cRLSign: nobody would take "
                           "its CRLs");
    return status;
}

/* What is above it: brought along, or ours. */
static cm_status find_above(struct cm_ca_answer *answer, struct cm_signer_chain *ret_above,
                            struct cm_error *err)
{
    struct cm_chain_files *files = &answer->files;
    answer->signer = cm_generations_find_signer(&answer->generations, &files->read);
    if (files->above_count > 0) {
        *ret_above = (struct cm_signer_chain){ "the first certificate of --chain", files->above,
                                               files->above_count };
        return CM_OK;
    }
    if (!answer->signer)
        return REFUSE(err,
                      "no authority of ours has signed it: give the certificates above it with "
                      "--chain");
    files->chain = cm_generation_chain_below(answer->signer, files->certificate,
                                             &answer->record.deployment.arena);
    return cm_generation_chain_read(&answer->generations, answer->signer,
                                    &answer->record.deployment.arena, ret_above, err);
}

/* That it is there already is asked as for one that is planned. */
static cm_status check_above(struct cm_ca_answer *answer, struct cm_error *err)
{
    struct cm_profile profile = *cm_profile_builtin("issuing-ca");
    const struct cm_certificate_plan plan = { .profile = &profile,
                                              .subject = answer->files.read.subject,
                                              .now_s = cm_clock_wall_s() };
    struct cm_signer_chain above;
    int64_t ignored;
    profile.path_len = 0;
    cm_status status = find_above(answer, &above, err);
    return status == CM_OK ? cm_certifiable_check(&above, &plan, &ignored, err) : status;
}

static cm_status check(struct cm_ca_answer *answer, struct cm_error *err)
{
    cm_status status = check_subject(answer, err);
    if (status == CM_OK)
        status = check_use(&answer->files.read, err);
    if (status == CM_OK)
        status = check_validity(&answer->files.read, err);
    return status == CM_OK ? check_above(answer, err) : status;
}

/* ---------------------------------------------------------------------------------- the record -- */

/* The same generation again, with what it has been waiting for. */
static cm_status record_certificate(struct cm_ca_answer *answer, struct cm_error *err)
{
    const struct cm_generation *waiting = answer->generation;
    struct cm_arena *arena = &answer->record.deployment.arena;
    json_t *generation =
        json_pack("{s:s, s:I, s:s, s:s, s:s, s:s, s:o, s:s}", "authority",
                  cm_arena_printf(arena, "%.*s", TEXT_OF(waiting->authority)), "generation",
                  (json_int_t)waiting->generation, "state", "pending", "provider",
                  cm_arena_printf(arena, "%.*s", TEXT_OF(waiting->provider)), "key",
                  cm_arena_printf(arena, "%.*s", TEXT_OF(waiting->key)), "sigalg",
                  cm_arena_printf(arena, "%.*s", TEXT_OF(waiting->sigalg)), "certificate",
                  cm_control_base64(answer->files.certificate), "chain",
                  cm_arena_printf(arena, "%.*s", TEXT_OF(answer->files.chain)));
    json_t *request = json_pack("{s:s, s:s, s:o}", "op", "ca-generation", "purpose", "import",
                                "generation", generation);
    if (answer->signer)
        json_object_set_new(request, "signer",
                            json_string(cm_generation_name(arena, answer->signer)));
    return cm_ca_record_apply(&answer->record, request, NULL, err);
}

static cm_status write_file(struct cm_ca_answer *answer, struct cm_error *err)
{
    struct cm_arena *arena = &answer->record.deployment.arena;
    const char *folder =
        cm_arena_printf(arena, "%s/ca", answer->record.deployment.settings->folder);
    const char *name = answer->generation->generation == 1
                           ? cm_arena_printf(arena, "%.*s", TEXT_OF(answer->generation->authority))
                           : answer->name;
    answer->path = cm_arena_printf(arena, "%s/%s.pem", folder, name);
    cm_status status =
        cm_new_files_write(&answer->new_files, answer->path, 0644,
                           cm_pem_write("CERTIFICATE", answer->files.certificate, arena), err);
    return status == CM_OK ? cm_folder_sync(folder, err) : status;
}

/* The key is proved as it is opened, and held against the certificate. */
static cm_status prove_and_record(struct cm_ca_answer *answer, struct cm_error *err)
{
    struct cm_generation generation = *answer->generation;
    struct cm_ca_signer signer = { 0 };
    generation.certificate = answer->files.certificate;
    generation.chain = answer->files.chain;
    cm_status status = cm_ca_signer_open(&signer, answer->record.deployment.settings, &generation,
                                         &answer->record.deployment.arena, err);
    cm_ca_signer_close(&signer);
    if (status == CM_OK)
        status = write_file(answer, err);
    if (status == CM_OK)
        status = record_certificate(answer, err);
    if (status != CM_OK && status != CM_UNCERTAIN)
        cm_new_files_undo(&answer->new_files);
    answer->changed = status == CM_OK;
    return status;
}

/* No other of its authority has ever issued. */
static bool is_first(const struct cm_ca_answer *answer)
{
    for (uint32_t i = 0; i < answer->generations.count; i++) {
        const struct cm_generation *other = &answer->generations.all[i];
        if (other != answer->generation && other->active_ms > 0
            && cm_bytes_equal(other->authority, answer->generation->authority))
            return false;
    }
    return true;
}

static cm_status activate(struct cm_ca_answer *answer, struct cm_error *err)
{
    json_t *said = NULL;
    cm_status status = cm_ca_record_move(&answer->record, answer->name, CM_GENERATION_ACTIVE,
                                         CM_KEY_KEPT, false, NULL, &said, err);
    answer->is_active = status == CM_OK;
    answer->changed |= json_is_true(json_object_get(said, "changed"));
    json_decref(said);
    return status;
}

static cm_status record(struct cm_ca_answer *answer, struct cm_error *err)
{
    const struct cm_generation *generation = answer->generation;
    bool waits = generation->certificate.size == 0;
    if (!waits && !cm_bytes_equal(generation->certificate, answer->files.certificate))
        return CM_FAIL(err, CM_EXISTS, CM_ORIGIN_SELF, 0, "%s has another certificate already",
                       answer->name);
    cm_status status = waits ? check(answer, err) : CM_OK;
    if (status == CM_OK && waits)
        status = prove_and_record(answer, err);
    if (status == CM_OK && generation->state == CM_GENERATION_PENDING && is_first(answer)
        && !cm_settings_dual_control(answer->record.deployment.settings, CM_CEREMONY_ACTIVATE))
        status = activate(answer, err);
    answer->is_active |= generation->state == CM_GENERATION_ACTIVE;
    return status;
}

cm_status cm_ca_answer_take(struct cm_ca_answer *answer, const struct cm_call *call,
                            struct cm_error *err)
{
    *answer = (struct cm_ca_answer){ .call = call };
    cm_status status = cm_ca_record_open(&answer->record, call, err);
    if (status == CM_OK)
        status = cm_chain_files_read(&answer->files, call, &answer->record.deployment.arena, err);
    if (status == CM_OK)
        status = cm_generations_read(answer->record.deployment.store,
                                     &answer->record.deployment.arena, &answer->generations, err);
    if (status == CM_OK)
        status = find_generation(answer, err);
    return status == CM_OK ? record(answer, err) : status;
}

void cm_ca_answer_done(struct cm_ca_answer *answer)
{
    cm_new_files_done(&answer->new_files);
    cm_ca_record_close(&answer->record);
}

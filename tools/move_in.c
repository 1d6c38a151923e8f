#include "tools/move_in.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/hash.h"
#include "engine/control/control.h"
#include "engine/dual_control.h"
#include "engine/x509/certificate.h"
#include "tools/chain_files.h"
#include "tools/control_client.h"
#include "tools/generations.h"
#include "tools/key_session.h"
#include "tools/operator.h"

static cm_status plan_new(struct cm_move_in *move, struct cm_error *err)
{
    const char *name = cm_call_value(move->call, "provider");
    struct cm_chain_files files;
    move->authority = move->call->operands[0];
    move->provider =
        name ? cm_settings_provider(move->settings, name) : &move->settings->providers[0];
    if (!move->provider)
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0, "the settings have no provider %s",
                       name);
    cm_status status = cm_chain_files_read(&files, move->call, &move->deployment.arena, err);
    if (status != CM_OK)
        return status;
    move->certificate = files.certificate;
    move->chain = files.chain;
    return CM_OK;
}

/* Read now, and let go of: files are read before anybody waits for the store. */
static cm_status plan_present(struct cm_move_in *move, struct cm_error *err)
{
    struct cm_deployment reading;
    struct cm_generations generations;
    const struct cm_generation *found = NULL;
    move->issuer = cm_call_value(move->call, "issuer");
    cm_status status = cm_deployment_open(&reading, move->call, CM_DEPLOYMENT_READ, err);
    if (status == CM_OK)
        status = cm_generations_read(reading.store, &move->deployment.arena, &generations, err);
    if (status == CM_OK)
        status = cm_generations_named(&generations, move->issuer, &found, err);
    if (status == CM_OK) {
        move->certificate = found->certificate;
        move->generation_number = found->number;
    }
    cm_deployment_close(&reading);
    return status;
}

cm_status cm_move_in_plan(struct cm_move_in *move, const struct cm_call *call, struct cm_error *err)
{
    *move = (struct cm_move_in){ .call = call };
    cm_status status = cm_deployment_open(&move->deployment, call, CM_DEPLOYMENT_SETTINGS, err);
    if (status != CM_OK)
        return status;
    move->settings = move->deployment.settings;
    return cm_call_value(call, "issuer") ? plan_present(move, err) : plan_new(move, err);
}

/* ------------------------------------------------------------------------------ the generation -- */

/* Its number within the authority, and whether it is there already. */
static cm_status find_place(struct cm_move_in *move, const struct cm_generations *generations,
                            const struct cm_certificate *certificate, struct cm_error *err)
{
    struct cm_arena *arena = &move->deployment.arena;
    for (uint32_t i = 0; i < generations->count; i++) {
        const struct cm_generation *other = &generations->all[i];
        struct cm_certificate theirs;
        bool is_namesake = cm_bytes_is(other->authority, move->authority);
        const char *name = cm_generation_name(arena, other);
        if (is_namesake && cm_bytes_equal(other->certificate, move->certificate)) {
            move->issuer = name;
            move->generation_number = other->number;
            return CM_OK;
        }
        if (cm_certificate_read(other->certificate, &theirs, err) == CM_OK
            && cm_bytes_equal(theirs.spki, certificate->spki))
            return CM_FAIL(err, CM_EXISTS, CM_ORIGIN_SELF, 0, "the key is that of %s already",
                           name);
        if (is_namesake)
            return CM_FAIL(err, CM_EXISTS, CM_ORIGIN_SELF, 0,
                           "there is an authority %s already, with another key; choose another "
                           "name",
                           move->authority);
    }
    move->issuer = cm_arena_printf(arena, "%s-1", move->authority);
    move->is_new = true;
    return CM_OK;
}

static struct cm_audit_event audit_event(struct cm_move_in *move, const char *kind,
                                         const char *detail)
{
    return (struct cm_audit_event){
        .kind = kind,
        .actor = cm_bytes_str(cm_operator_name(&move->deployment.arena)),
        .detail = cm_bytes_str(detail),
    };
}

/* signer: the one of ours that has signed it; NULL: none has. */
static cm_status record_generation(struct cm_move_in *move, const struct cm_key *key,
                                   const struct cm_generation *signer,
                                   const struct cm_plan_use *plan, struct cm_error *err)
{
    struct cm_arena *arena = &move->deployment.arena;
    const char *reference = key->reference ? key->reference : cm_call_value(move->call, "key");
    struct cm_audit_event event = audit_event(
        move, "ca-import",
        cm_arena_printf(arena, "{\"authority\":\"%s\",\"generation\":1}", move->authority));
    struct cm_generation generation = {
        .authority = cm_bytes_str(move->authority),
        .generation = 1,
        .state = CM_GENERATION_ACTIVE,
        .provider = cm_bytes_str(move->provider->name),
        .key = cm_bytes_str(reference),
        .sigalg = cm_bytes_str(cm_sigalg_name(key->alg)),
        .certificate = move->certificate,
        .chain = move->chain,
        .created_ms = cm_clock_wall_ms(),
    };
    struct cm_store_op op = {
        .kind = CM_STORE_GENERATION, .generation = &generation, .plan = plan, .audit = &event
    };
    struct cm_imported_row row;
    cm_status status = CM_OK;
    cm_sha256(&move->certificate, 1, event.digest);
    if (signer) {
        status = cm_generation_row_below(signer->number, move->certificate, &row, err);
        op.imported = &row;
        op.imported_count = 1;
    }
    if (status == CM_OK)
        status = cm_store_apply(move->deployment.store, &op, err);
    move->generation_number = generation.number;
    return status;
}

/* A key that moves in is a new one here: what settings mark has a plan. */
static cm_status find_plan(struct cm_move_in *move, const struct cm_plan_use **ret_plan,
                           struct cm_error *err)
{
    const char *plan = cm_call_flag(move->call, "plan") ? cm_call_value(move->call, "plan") : NULL;
    const struct cm_deed deed = { .operation = CM_CEREMONY_CREATE, .subject = move->authority };
    return cm_dual_control_check(move->deployment.settings, move->deployment.store, &deed, plan,
                                 &move->deployment.arena, ret_plan, err);
}

/* The key signs a test message when it is opened. */
static cm_status prove_and_record(struct cm_move_in *move, const struct cm_certificate *certificate,
                                  const struct cm_generation *signer, struct cm_error *err)
{
    struct cm_key_session session = { 0 };
    const char *reference = cm_call_value(move->call, "key");
    const struct cm_plan_use *plan = NULL;
    cm_status status = find_plan(move, &plan, err);
    if (status == CM_OK)
        status = cm_key_session_open(&session, move->provider, reference, err);
    if (status == CM_OK && !cm_bytes_equal(session.key->spki, certificate->spki))
        status = CM_FAIL(err, CM_MISMATCH, CM_ORIGIN_SELF, 0,
                         "the key %s is not that of the certificate", reference);
    if (status == CM_OK)
        status = record_generation(move, session.key, signer, plan, err);
    cm_key_session_close(&session);
    return status;
}

static cm_status make_generation(struct cm_move_in *move, struct cm_error *err)
{
    struct cm_generations generations;
    struct cm_certificate certificate;
    cm_status status = cm_certificate_read(move->certificate, &certificate, err);
    if (status == CM_OK)
        status =
            cm_generations_read(move->deployment.store, &move->deployment.arena, &generations, err);
    if (status == CM_OK)
        status = find_place(move, &generations, &certificate, err);
    if (status == CM_OK && move->is_new)
        status = prove_and_record(move, &certificate,
                                  cm_generations_find_signer(&generations, &certificate), err);
    return status;
}

/* -------------------------------------------------------------------------- the certificates -- */

/* Over what came in, one row after the other: each hash covers the one before. */
static void hash_rows(const struct cm_imported_row *rows, uint32_t count,
                      uint8_t ret_digest[CM_HASH_SIZE])
{
    memset(ret_digest, 0, CM_HASH_SIZE);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t numbers[33];
        cm_big_endian_write((uint64_t)rows[i].not_after_s, numbers, 8);
        cm_big_endian_write((uint64_t)rows[i].revoked_s, numbers + 8, 8);
        cm_big_endian_write((uint64_t)rows[i].invalidity_s, numbers + 16, 8);
        cm_big_endian_write(rows[i].der.size, numbers + 24, 8);
        numbers[32] = (uint8_t)rows[i].reason;
        const struct cm_bytes parts[] = { cm_bytes(ret_digest, CM_HASH_SIZE),
                                          cm_bytes(numbers, sizeof numbers), rows[i].serial,
                                          rows[i].der };
        cm_sha256(parts, 4, ret_digest);
    }
}

static cm_status apply_part(struct cm_move_in *move, struct cm_imported_row *rows, uint32_t count,
                            struct cm_error *err)
{
    struct cm_audit_event event = audit_event(
        move, "ca-import",
        cm_arena_printf(&move->deployment.arena, "{\"issuer\":\"%s\",\"certificates\":%u}",
                        move->issuer, count));
    struct cm_store_op op = {
        .kind = CM_STORE_IMPORT, .imported = rows, .imported_count = count, .audit = &event
    };
    hash_rows(rows, count, event.digest);
    cm_status status = cm_store_apply(move->deployment.store, &op, err);
    if (status == CM_OK)
        move->changed += op.imported_changed;
    return status;
}

static cm_status apply_rows(struct cm_move_in *move, struct cm_progress *progress,
                            struct cm_error *err)
{
    cm_status status = CM_OK;
    for (uint32_t at = 0, taken; at < move->rows_count && status == CM_OK; at += taken) {
        taken = move->rows_count - at;
        if (taken > CM_CONTROL_CERTIFICATES_MAX) /* as an engine takes at a time */
            taken = CM_CONTROL_CERTIFICATES_MAX;
        status = apply_part(move, move->rows + at, taken, err);
        cm_progress_set(progress, at + taken);
    }
    return status;
}

/* CRLs go on behind the old CA's last one: a number never comes twice, nor goes back. */
static cm_status apply_number(struct cm_move_in *move, struct cm_error *err)
{
    struct cm_store_op op = { .kind = CM_STORE_CRLS, .crls = &move->last_crl, .crls_count = 1 };
    if (move->last_crl.number == 0)
        return CM_OK;
    move->last_crl.generation_number = move->generation_number;
    cm_status status = cm_store_apply(move->deployment.store, &op, err);
    return status == CM_EXISTS ? CM_OK : status; /* ours are ahead already */
}

static cm_status send_rows(struct cm_move_in *move, struct cm_progress *progress,
                           struct cm_error *busy)
{
    struct cm_control_client *client;
    cm_status status = cm_control_client_open_busy(move->settings->store_path, &client, busy);
    if (status == CM_OK)
        status = cm_control_client_take_over(client, cm_operator_name(&move->deployment.arena),
                                             move->issuer, move->rows, move->rows_count, progress,
                                             &move->changed, busy);
    cm_control_client_close(client);
    return status;
}

static cm_status record_rows(struct cm_move_in *move, bool is_ours, struct cm_error *err)
{
    struct cm_progress progress;
    for (uint32_t i = 0; i < move->rows_count; i++)
        move->rows[i].generation_number = move->generation_number;
    cm_progress_start(&progress, "certificates recorded", move->rows_count,
                      cm_call_flag(move->call, "json") || cm_call_flag(move->call, "quiet"));
    cm_status status = is_ours ? apply_rows(move, &progress, err) : send_rows(move, &progress, err);
    cm_progress_end(&progress);
    return status;
}

/* -------------------------------------------------------------------------------- the command -- */

cm_status cm_move_in_carry_out(struct cm_move_in *move, struct cm_error *err)
{
    cm_status status = cm_deployment_open_store(&move->deployment, CM_DEPLOYMENT_WRITE, err);
    if (status == CM_BUSY && !move->authority)
        return record_rows(move, false, err);
    if (status == CM_OK && move->authority)
        status = make_generation(move, err);
    if (status == CM_OK)
        status = record_rows(move, true, err);
    if (status == CM_OK)
        status = apply_number(move, err);
    return status;
}

void cm_move_in_done(struct cm_move_in *move)
{
    cm_deployment_close(&move->deployment);
}

/*
 * How a responder's certificate comes to be: composed and linted, promised, signed by the generation's
 * key, checked, recorded, in use. The way of any certificate, for one that nobody has asked for.
 */
#include "engine/revocation/responder_parts.h"

#include <stdio.h>

#include "engine/authority/record_tree.h"
#include "engine/base/clock.h"
#include "engine/base/faultpoint.h"
#include "engine/base/hash.h"
#include "engine/x509/lint.h"
#include "providers/verify.h"

/* Requesters' names have no slash. */
#define REQUESTER "engine/ocsp-responder"
#define GROUP     "ocsp-responders"

/* PAUSE_S: from one certificate to the next, whatever clocks say. */
enum { SIGN_DEADLINE_S = 60, PAUSE_S = 1, ISSUER_NAME_SIZE_MAX = 64 - 15 };

static void sign(struct cm_responder_slot *slot);
static void record(struct cm_responder_slot *slot);

/* ------------------------------------------------------------------ composed -- */

/* Of a life of minutes the usual backdate would leave nothing. */
enum { BACKDATE_PART = 10 };

static cm_status build_template(struct cm_responder_slot *slot, struct cm_error *err)
{
    if (slot->template)
        return CM_OK;
    slot->profile = *cm_profile_builtin("ocsp-responder");
    slot->profile.validity_s = slot->issuer->authority->responder_validity_s;
    if (slot->profile.backdate_s > slot->profile.validity_s / BACKDATE_PART)
        slot->profile.backdate_s = slot->profile.validity_s / BACKDATE_PART;
    return cm_template_build(&slot->profile, &slot->issuer->issuer, &slot->template, err);
}

static bool compose_with(struct cm_responder_slot *slot, struct cm_composer *composer,
                         struct cm_refusal *refusal)
{
    struct cm_responder_making *making = &slot->making;
    const char *name = cm_arena_printf(&making->arena, "OCSP responder %.*s", ISSUER_NAME_SIZE_MAX,
                                       slot->issuer->name);
    const struct cm_template_input in = {
        .serial = cm_bytes(making->serial.octets, sizeof making->serial.octets),
        .issue_time_s = making->intent.created_ms / 1000,
        .device = cm_bytes_str(name), /* the profile's common name */
        .spki = slot->key->spki,
        .key_type = slot->key->type,
    };
    return cm_template_compose(slot->template, composer, &in, &making->arena, &making->tbs, refusal)
           && cm_lint_tbs(composer, making->tbs.der, &slot->profile, &slot->issuer->issuer,
                          refusal);
}

static cm_status compose(struct cm_responder_slot *slot, struct cm_error *err)
{
    struct cm_responder_making *making = &slot->making;
    struct cm_refusal refusal;
    struct cm_composer *composer = NULL;
    cm_status status = build_template(slot, err);
    if (status == CM_OK
        && !cm_serials_draw(slot->responders->env.serials, making->intent.created_ms, 1,
                            &making->serial))
        status = CM_FAIL(err, CM_UNAVAILABLE, CM_ORIGIN_SELF, 0, "the random generator failed");
    if (status == CM_OK)
        status = cm_composer_new(&composer, err);
    if (status == CM_OK && !compose_with(slot, composer, &refusal))
        status = CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_SELF, 0, "%s", refusal.message);
    cm_composer_free(composer);
    if (status == CM_OK)
        cm_sha256(&making->tbs.der, 1, making->tbs_hash);
    return status;
}

/* ------------------------------------------------------------------ promised -- */

/* One certificate, one request that nobody has made: named after its serial. */
static struct cm_request_key key_of(const struct cm_serial *serial)
{
    uint8_t hash[CM_SHA256_SIZE];
    struct cm_request_key key;
    const struct cm_bytes parts[] = { cm_bytes(REQUESTER, sizeof REQUESTER), /* with its NUL */
                                      cm_bytes(serial->octets, sizeof serial->octets) };
    cm_sha256(parts, 2, hash);
    memcpy(key.octets, hash, sizeof key.octets);
    return key;
}

static void on_promised(struct cm_store_op *op)
{
    struct cm_responder_slot *slot = op->arg;
    CM_FAULT_POINT("responder-promised");
    slot->making.is_promised = op->status == CM_OK;
    if (op->status == CM_OK)
        sign(slot);
    else
        cm_responder_failed(slot, &op->err);
}

static void promise(struct cm_responder_slot *slot)
{
    struct cm_responder_making *making = &slot->making;
    making->item =
        (struct cm_intent_item){ .key = key_of(&making->serial), .serial = making->serial };
    memcpy(making->item.tbs_hash, making->tbs_hash, sizeof making->item.tbs_hash);
    making->intent.generation_number = slot->issuer->generation_number;
    making->intent.items = &making->item;
    making->intent.items_count = 1;
    making->op = (struct cm_store_op){
        .kind = CM_STORE_INTENT, .done = on_promised, .arg = slot, .intent = &making->intent
    };
    cm_store_submit(slot->responders->env.store, &making->op);
}

/* ------------------------------------------------------------------ signed -- */

static struct cm_bytes detail_of(struct cm_responder_slot *slot, const char *outcome)
{
    struct cm_responder_making *making = &slot->making;
    char serial[2 * CM_SERIAL_SIZE + 1];
    cm_hex_encode(cm_bytes(making->serial.octets, sizeof making->serial.octets), serial);
    return cm_bytes_str(cm_arena_printf(&making->arena,
                                        "{\"issuer\":\"%s\",\"serial\":\"%s\",\"outcome\":\"%s\"}",
                                        slot->issuer->name, serial, outcome));
}

/* What is common to both ends of a promise. */
static void begin_record(struct cm_responder_slot *slot, cm_store_done_fn *done)
{
    struct cm_responder_making *making = &slot->making;
    making->op = (struct cm_store_op){ .kind = CM_STORE_RECORD,
                                       .done = done,
                                       .arg = slot,
                                       .intents_closed = &making->intent.number,
                                       .intents_closed_count = 1,
                                       .audit = &making->audit };
}

static void submit_record(struct cm_responder_slot *slot, const char *outcome)
{
    struct cm_responder_making *making = &slot->making;
    struct cm_record_tree tree;
    cm_record_tree(&making->op, &tree);
    making->audit = (struct cm_audit_event){ .kind = "ocsp-responder",
                                             .actor = cm_bytes_str("engine"),
                                             .detail = detail_of(slot, outcome) };
    memcpy(making->audit.digest, tree.root, sizeof tree.root);
    cm_store_submit(slot->responders->env.store, &making->op);
}

/* The next look begins with another serial. */
static void on_abandoned(struct cm_store_op *op)
{
    struct cm_responder_slot *slot = op->arg;
    struct cm_error err = op->err;
    if (op->status == CM_OK) {
        if (slot->making
                .is_signed) /* its device is barred: no other serial before that has ended */
            slot->was_looked_for = false;
        slot->making.is_promised = slot->making.is_signed = false;
        (void)CM_FAIL(&err, CM_CORRUPT, CM_ORIGIN_SELF, 0, "%s", slot->making.why);
    }
    cm_responder_failed(slot, &err);
}

static void abandon(struct cm_responder_slot *slot, const char *why)
{
    struct cm_responder_making *making = &slot->making;
    making->why = why;
    making->abandoned =
        (struct cm_abandoned_row){ .serial = making->serial,
                                   .generation_number = slot->issuer->generation_number,
                                   .not_after_s = making->tbs.not_after_s };
    begin_record(slot, on_abandoned);
    making->op.abandoned = &making->abandoned;
    making->op.abandoned_count = 1;
    submit_record(slot, "abandoned");
}

/* Without a signature the promise stands: the same bytes are asked for again. */
static void on_signed(struct cm_sign_batch *batch, void *arg)
{
    struct cm_responder_slot *slot = arg;
    struct cm_responder_making *making = &slot->making;
    const struct cm_sign_item *item = &batch->items[0];
    struct cm_error err;
    struct cm_bytes signature = cm_bytes(item->signature, item->signature_size);
    if (item->status != CM_OK) {
        (void)CM_FAIL(&err, item->status, CM_ORIGIN_SELF, 0, "key of %s: %s", slot->issuer->name,
                      cm_status_text(item->status));
        cm_responder_failed(slot, &err);
    } else if (!cm_spki_verify(batch->key->spki, batch->key->alg, making->tbs.der, signature)) {
        abandon(slot, "the signature on its certificate did not verify");
    } else {
        making->certificate =
            cm_certificate_assemble(making->tbs.der, batch->key->alg, signature, &making->arena);
        making->is_signed = true;
        CM_FAULT_POINT("responder-signed");
        record(slot);
    }
}

static void sign(struct cm_responder_slot *slot)
{
    struct cm_responder_making *making = &slot->making;
    struct cm_key *key = slot->issuer->key;
    struct cm_error err;
    making->sign_item = (struct cm_sign_item){ .message = making->tbs.der,
                                               .intent_hash = making->tbs_hash,
                                               .signature = making->signature,
                                               .signature_space = sizeof making->signature };
    making->sign_batch = (struct cm_sign_batch){
        .key = key,
        .lane = CM_LANE_OCSP,
        .items = &making->sign_item,
        .items_count = 1,
        .deadline_ns = cm_clock_monotonic_ns() + SIGN_DEADLINE_S * CM_NS_PER_S,
        .done = on_signed,
        .done_arg = slot,
    };
    if (cm_provider_sign(key->provider, &making->sign_batch, &err) != CM_OK)
        cm_responder_failed(slot, &err);
}

/* ------------------------------------------------------------------ recorded -- */

static void on_recorded(struct cm_store_op *op)
{
    struct cm_responder_slot *slot = op->arg;
    struct cm_responder_making *making = &slot->making;
    struct cm_error err = op->err;
    cm_status status = op->status;
    if (status == CM_DENIED) {
        abandon(slot, "its device is not allowed");
        return;
    }
    if (status == CM_OK) {
        CM_FAULT_POINT("responder-recorded");
        making->is_promised = making->is_signed = false;
        if (slot->responders->env.clones)
            cm_clones_add(slot->responders->env.clones, making->row.key_fingerprint,
                          cm_serial_number(&making->serial));
        status = cm_responder_use(slot, making->certificate, &err);
    }
    slot->retry_ns = cm_clock_monotonic_ns() + PAUSE_S * CM_NS_PER_S;
    if (status == CM_OK)
        cm_responder_done(slot);
    else
        cm_responder_failed(slot, &err);
}

static void record(struct cm_responder_slot *slot)
{
    struct cm_responder_making *making = &slot->making;
    making->row = (struct cm_certificate_row){
        .serial = making->serial,
        .key = making->item.key,
        .enroll_device = cm_bytes_str(slot->device),
        .enroll_group = cm_bytes_str(GROUP),
        .generation_number = slot->issuer->generation_number,
        .key_fingerprint = cm_clones_fingerprint(slot->key->spki),
        .not_after = making->tbs.not_after_s,
        .der = making->certificate,
    };
    memcpy(making->row.digest.octets, making->tbs_hash, sizeof making->row.digest.octets);
    begin_record(slot, on_recorded);
    making->op.certificates = &making->row;
    making->op.certificates_count = 1;
    submit_record(slot, "issued");
}

/* ------------------------------------------------------------------ all -- */

/* Signed now, what was promised would be due for renewal. */
static bool is_stale(const struct cm_responder_slot *slot)
{
    const struct cm_tbs *tbs = &slot->making.tbs;
    int64_t half_s = tbs->not_before_s + (tbs->not_after_s - tbs->not_before_s) / 2;
    return cm_responder_time_ms(slot->responders) / 1000 >= half_s;
}

void cm_responder_issue(struct cm_responder_slot *slot)
{
    struct cm_responder_making *making = &slot->making;
    struct cm_error err;
    cm_responder_begin(slot);
    if (making->is_signed) {
        record(slot);
        return;
    }
    if (making->is_promised && is_stale(slot)) {
        abandon(slot, "its key was away for too long");
        return;
    }
    if (making->is_promised) {
        sign(slot);
        return;
    }
    cm_arena_reset(&making->arena);
    making->intent = (struct cm_intent){ .created_ms = cm_responder_time_ms(slot->responders) };
    if (compose(slot, &err) == CM_OK)
        promise(slot);
    else
        cm_responder_failed(slot, &err);
}

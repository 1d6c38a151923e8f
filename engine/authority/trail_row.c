#include "engine/authority/trail_internal.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "engine/x509/certificate.h"

/* ------------------------------------------------------------------ its entries -- */

/* The row's number is that of the certificate; one that cannot be read is as it was recorded, or spoils the
 * root. */
static bool has_its_serial(const struct cm_audited *audited)
{
    struct cm_certificate certificate;
    struct cm_serial serial;
    struct cm_error ignored;
    if (cm_certificate_read(audited->der, &certificate, &ignored) != CM_OK)
        return true;
    memcpy(serial.octets, audited->serial, sizeof serial.octets);
    return cm_bytes_equal(certificate.serial, cm_serial_content(&serial));
}

void cm_trail_add_entry(struct cm_trail_slot *slot, const struct cm_audited *audited)
{
    uint8_t hash[CM_SHA256_SIZE];
    char hex[2 * CM_SERIAL_SIZE + 1];
    int64_t number = (int64_t)cm_big_endian_read(audited->serial, 8);
    cm_record_tree_hash(audited, hash);
    cm_merkle_add(&slot->tree, hash);
    if (audited->is_abandoned) {
        slot->abandoned++;
        return;
    }
    slot->first = slot->certificates == 0 ? number : slot->first;
    slot->last = number;
    slot->certificates++;
    const char *wrong = NULL;
    if (audited->der.size == 0)
        wrong = "has no content";
    else if (!has_its_serial(audited))
        wrong = "has another serial number in it";
    cm_hex_encode(cm_bytes(audited->serial, CM_SERIAL_SIZE), hex);
    if (wrong && !slot->wrong[0])
        snprintf(slot->wrong, sizeof slot->wrong, "certificate %s %s", hex, wrong);
}

/* ------------------------------------------------------------------ what it says -- */

/* What the row says that there is for it. */
struct claim {
    json_int_t certificates, abandoned;
    const char *first, *last; /* NULL: it does not say */
};

static struct claim read_claim(const struct cm_audit_row *row, const json_t *detail)
{
    const char *outcome = json_string_value(json_object_get(detail, "outcome"));
    struct claim claim = { .certificates = 0 };
    if (strcmp(row->kind, "issue") == 0 || strcmp(row->kind, "abandon") == 0) {
        claim.certificates = json_integer_value(json_object_get(detail, "issued"));
        claim.abandoned = json_integer_value(json_object_get(detail, "abandoned"));
        claim.first = json_string_value(json_object_get(detail, "first"));
        claim.last = json_string_value(json_object_get(detail, "last"));
    } else if (strcmp(row->kind, "ocsp-responder") == 0 && outcome) {
        claim.certificates = strcmp(outcome, "issued") == 0;
        claim.abandoned = strcmp(outcome, "abandoned") == 0;
    }
    return claim;
}

static bool is_number(const char *text, cm_certificate_number number)
{
    char expected[17];
    snprintf(expected, sizeof expected, "%016llx", (unsigned long long)number);
    return !text || strcmp(text, expected) == 0;
}

static bool check_claim(struct cm_trail *trail, const struct cm_audit_row *row,
                        const struct cm_trail_slot *slot, const struct claim *claim)
{
    bool is_old = !trail->has_begun && slot->tree.count == 0;
    if (is_old) {
        trail->old_certificates += claim->certificates;
        trail->old_abandoned += claim->abandoned;
        return true;
    }
    if (claim->certificates != slot->certificates)
        return cm_trail_spoil(trail, row->number,
                              "it says that %lld certificates were issued, the store has %u",
                              (long long)claim->certificates, slot->certificates);
    if (claim->abandoned != slot->abandoned)
        return cm_trail_spoil(trail, row->number,
                              "it says that %lld serials were abandoned, the store has %u",
                              (long long)claim->abandoned, slot->abandoned);
    if (!is_number(claim->first, slot->first) || !is_number(claim->last, slot->last))
        return cm_trail_spoil(trail, row->number,
                              "its first and last certificates are not those of the store");
    return true;
}

static bool check_tree(struct cm_trail *trail, const struct cm_audit_row *row,
                       const struct cm_trail_slot *slot)
{
    uint8_t root[CM_SHA256_SIZE];
    if (slot->wrong[0])
        return cm_trail_spoil(trail, row->number, "%s", slot->wrong);
    cm_merkle_root(&slot->tree, root);
    if (slot->tree.count > 0 && memcmp(root, row->digest, sizeof root) != 0)
        return cm_trail_spoil(trail, row->number,
                              "its digest is not the root over its certificates: one was changed, "
                              "or exchanged for another");
    return true;
}

/* ------------------------------------------------------------------ what it is tied to -- */

static bool check_chain(struct cm_trail *trail, const struct cm_audit_row *row)
{
    const struct cm_trail_found *found = trail->found;
    uint8_t hash[CM_HASH_SIZE];
    cm_audit_hash(row, hash);
    if (row->number != found->rows + 1)
        return cm_trail_spoil(trail, found->rows + 1, "it is missing");
    if (memcmp(hash, row->hash, sizeof hash) != 0)
        return cm_trail_spoil(trail, row->number, "it is not what its hash says: it was changed");
    if (memcmp(row->previous, found->head, sizeof found->head) != 0)
        return cm_trail_spoil(
            trail, row->number,
            "it does not follow row %lld: it has the hash of another row before it",
            (long long)found->rows);
    if (row->time_ms < trail->time_ms - trail->settings->step_ms_max)
        return cm_trail_spoil(trail, row->number, "its time lies %lld s before that of row %lld",
                              (long long)(trail->time_ms - row->time_ms) / 1000,
                              (long long)found->rows);
    return true;
}

static bool check_marks(struct cm_trail *trail, const struct cm_audit_row *row)
{
    while (trail->next_mark < trail->marks_count
           && trail->marks[trail->next_mark].audit <= row->number) {
        const struct cm_trail_mark *mark = &trail->marks[trail->next_mark];
        if (mark->audit == row->number && memcmp(mark->hash, row->hash, sizeof mark->hash) != 0)
            return cm_trail_spoil(
                trail, row->number,
                "it has not the hash that checkpoint %lld was signed over: it was changed, or a row "
                "behind row %lld",
                (long long)trail->next_mark + 1, (long long)trail->found->covered);
        trail->found->covered = mark->audit;
        trail->next_mark++;
    }
    return true;
}

static void note_key(struct cm_trail *trail, const json_t *detail)
{
    const char *issuer = json_string_value(json_object_get(detail, "issuer"));
    const char *hash = json_string_value(json_object_get(detail, "spki_sha256"));
    if (issuer && strcmp(issuer, "audit") == 0 && trail->keys_count < CM_TRAIL_KEYS_MAX
        && cm_hex_decode_exactly(hash, trail->keys[trail->keys_count], CM_HASH_SIZE))
        trail->keys_count++;
}

bool cm_trail_check_row(struct cm_trail *trail, const struct cm_audit_row *row,
                        const struct cm_trail_slot *slot)
{
    if (!check_chain(trail, row))
        return false;
    json_t *detail = json_loadb((const char *)row->detail.data, row->detail.size, 0, NULL);
    const struct claim claim = read_claim(row, detail);
    trail->has_begun |= strcmp(row->kind, "engine-start") == 0;
    bool is_good = check_claim(trail, row, slot, &claim) && check_tree(trail, row, slot)
                   && check_marks(trail, row);
    if (strcmp(row->kind, "key-open") == 0)
        note_key(trail, detail);
    json_decref(detail);
    if (!is_good)
        return false;
    trail->found->rows = row->number;
    trail->found->certificates += slot->certificates;
    trail->found->abandoned += slot->abandoned;
    trail->time_ms = row->time_ms;
    memcpy(trail->found->head, row->hash, sizeof trail->found->head);
    return true;
}

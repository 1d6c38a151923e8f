#include "tools/audit_text.h"

#include <string.h>

#include "engine/authority/checkpoint_text.h"
#include "engine/authority/record_tree.h"
#include "tools/time_text.h"

enum { ARENA_BLOCK_SIZE = 16384 };

static json_t *hex(const uint8_t *octets, size_t size)
{
    char text[2 * 64 + 1];
    cm_hex_encode(cm_bytes(octets, size), text);
    return json_string(text);
}

static json_t *text_of(struct cm_bytes text)
{
    return json_stringn((const char *)text.data, text.size);
}

json_t *cm_audit_row_to_json(const struct cm_audit_row *row)
{
    char time[CM_TIME_TEXT_SIZE];
    json_t *object = json_object();
    json_t *detail = json_loadb((const char *)row->detail.data, row->detail.size, 0, NULL);
    json_object_set_new(object, "number", json_integer(row->number));
    json_object_set_new(object, "time_ms", json_integer(row->time_ms));
    json_object_set_new(object, "time", json_string(cm_time_write(row->time_ms / 1000, time)));
    json_object_set_new(object, "kind", json_string(row->kind));
    json_object_set_new(object, "actor", text_of(row->actor));
    json_object_set_new(object, "detail", detail ? detail : text_of(row->detail));
    json_object_set_new(object, "digest", hex(row->digest, CM_HASH_SIZE));
    json_object_set_new(object, "previous", hex(row->previous, CM_HASH_SIZE));
    json_object_set_new(object, "hash", hex(row->hash, CM_HASH_SIZE));
    return object;
}

json_t *cm_audit_proof_row(const struct cm_audit_row *row)
{
    json_t *object = cm_audit_row_to_json(row);
    json_object_set_new(object, "detail", text_of(row->detail));
    json_object_del(object, "time");
    return object;
}

/* ------------------------------------------------------------------ checking -- */

static bool read_hash(const json_t *value, uint8_t ret_hash[CM_HASH_SIZE])
{
    return cm_hex_decode_exactly(json_string_value(value), ret_hash, CM_HASH_SIZE);
}

/* Spans into the object. */
static bool read_row(const json_t *object, struct cm_audit_row *ret_row)
{
    const json_t *actor = json_object_get(object, "actor");
    const json_t *detail = json_object_get(object, "detail");
    ret_row->number = json_integer_value(json_object_get(object, "number"));
    ret_row->time_ms = json_integer_value(json_object_get(object, "time_ms"));
    ret_row->kind = json_string_value(json_object_get(object, "kind"));
    ret_row->actor = cm_bytes(json_string_value(actor), json_string_length(actor));
    ret_row->detail = cm_bytes(json_string_value(detail), json_string_length(detail));
    return ret_row->kind && ret_row->actor.data && ret_row->detail.data
           && read_hash(json_object_get(object, "digest"), ret_row->digest)
           && read_hash(json_object_get(object, "previous"), ret_row->previous)
           && read_hash(json_object_get(object, "hash"), ret_row->hash);
}

static bool read_path(const json_t *object, struct cm_merkle_proof *ret_path)
{
    const json_t *hashes = json_object_get(object, "hashes");
    json_int_t index = json_integer_value(json_object_get(object, "index"));
    json_int_t leaves = json_integer_value(json_object_get(object, "leaves"));
    size_t count = json_array_size(hashes);
    if (index < 0 || leaves < 1 || leaves > UINT32_MAX || index >= leaves
        || count > CM_MERKLE_DEPTH_MAX)
        return false;
    *ret_path = (struct cm_merkle_proof){ .index = (uint32_t)index,
                                          .leaves_count = (uint32_t)leaves,
                                          .hashes_count = (uint32_t)count };
    for (size_t i = 0; i < count; i++)
        if (!read_hash(json_array_get(hashes, i), ret_path->hashes[i]))
            return false;
    return true;
}

static cm_status check_rows(const json_t *rows, struct cm_audit_row *ret_first,
                            struct cm_audit_row *ret_last, struct cm_error *err)
{
    uint8_t hash[CM_HASH_SIZE];
    size_t count = json_array_size(rows);
    for (size_t i = 0; i < count; i++) {
        struct cm_audit_row row;
        if (!read_row(json_array_get(rows, i), &row))
            return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "one of its rows is none");
        cm_audit_hash(&row, hash);
        if (memcmp(hash, row.hash, sizeof hash) != 0
            || (i > 0
                && (memcmp(row.previous, ret_last->hash, sizeof hash) != 0
                    || row.number != ret_last->number + 1)))
            return CM_FAIL(err, CM_MISMATCH, CM_ORIGIN_SELF, 0,
                           "row %lld is not what its hash says, or does not follow the one before",
                           (long long)row.number);
        *ret_last = row;
        if (i == 0)
            *ret_first = row;
    }
    return count > 0 ? CM_OK : CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "it has no rows");
}

static cm_status check_tree(const json_t *object, struct cm_bytes certificate,
                            const struct cm_audit_row *row, struct cm_error *err)
{
    struct cm_merkle_proof path;
    uint8_t leaf[CM_SHA256_SIZE];
    if (!read_path(object, &path))
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "its place in a tree is none");
    cm_merkle_hash_leaf(&certificate, 1, leaf);
    if (!cm_merkle_verify(&path, leaf, row->digest))
        return CM_FAIL(err, CM_MISMATCH, CM_ORIGIN_SELF, 0,
                       "the certificate is not the one that row %lld was made over",
                       (long long)row->number);
    return CM_OK;
}

static cm_status check_checkpoint(const json_t *object, const struct cm_audit_row *last,
                                  struct cm_bytes spki, struct cm_audit_proof_found *found,
                                  struct cm_arena *arena, struct cm_error *err)
{
    const json_t *value = json_object_get(object, "checkpoint");
    struct cm_checkpoint checkpoint;
    if (!value)
        return spki.size == 0 ? CM_OK
                              : CM_FAIL(err, CM_MISMATCH, CM_ORIGIN_SELF, 0,
                                        "it has no checkpoint that the key could have signed");
    char *text = json_dumps(value, JSON_COMPACT);
    bool is_one = text && cm_checkpoint_read_line(cm_bytes_str(text), arena, &checkpoint);
    free(text);
    if (!is_one)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "its checkpoint is none");
    if (checkpoint.audit != last->number
        || memcmp(checkpoint.hash, last->hash, sizeof checkpoint.hash) != 0)
        return CM_FAIL(err, CM_MISMATCH, CM_ORIGIN_SELF, 0,
                       "its checkpoint is not one over its last row");
    if (!cm_checkpoint_is_signed(&checkpoint)
        || (spki.size > 0 && !cm_bytes_equal(spki, checkpoint.spki)))
        return CM_FAIL(err, CM_MISMATCH, CM_ORIGIN_SELF, 0,
                       "its checkpoint was not signed by the key");
    found->checkpoint = checkpoint.number;
    found->checkpoint_time_ms = checkpoint.time_ms;
    cm_sha256(&checkpoint.spki, 1, found->signer);
    return CM_OK;
}

static cm_status check_object(const json_t *object, struct cm_bytes certificate,
                              struct cm_bytes spki, struct cm_audit_proof_found *found,
                              struct cm_arena *arena, struct cm_error *err)
{
    struct cm_audit_row first = { .number = 0 }, last = { .number = 0 };
    if (json_integer_value(json_object_get(object, "v")) != 1)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "it is no proof of version 1");
    cm_status status = check_rows(json_object_get(object, "rows"), &first, &last, err);
    if (status == CM_OK)
        status = check_tree(object, certificate, &first, err);
    if (status == CM_OK)
        status = check_checkpoint(object, &last, spki, found, arena, err);
    found->row = first.number;
    found->time_ms = first.time_ms;
    memcpy(found->root, first.digest, sizeof found->root);
    memcpy(found->row_hash, first.hash, sizeof found->row_hash);
    return status;
}

cm_status cm_audit_proof_check(struct cm_bytes proof, struct cm_bytes certificate,
                               struct cm_bytes spki, struct cm_audit_proof_found *ret_found,
                               struct cm_error *err)
{
    struct cm_arena arena;
    json_error_t where;
    json_t *object =
        json_loadb((const char *)proof.data, proof.size, JSON_REJECT_DUPLICATES, &where);
    *ret_found = (struct cm_audit_proof_found){ .row = 0 };
    if (!object)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "line %d: %.150s", where.line,
                       where.text);
    cm_arena_init(&arena, ARENA_BLOCK_SIZE);
    cm_status status = check_object(object, certificate, spki, ret_found, &arena, err);
    cm_arena_done(&arena);
    json_decref(object);
    return status;
}

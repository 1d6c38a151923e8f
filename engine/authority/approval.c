#include "engine/authority/approval.h"

#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>
#include <openssl/evp.h>

#include "engine/x509/pem.h"
#include "engine/x509/proof.h"

enum { OPERATOR_SIZE_MAX = 64, KEY_SIZE_MAX = 128, SIGNATURE_SIZE_MAX = 128 };

const char *cm_approval_message(enum cm_approval_purpose purpose,
                                const uint8_t digest[CM_PLAN_DIGEST_SIZE],
                                char ret_message[CM_APPROVAL_MESSAGE_SIZE])
{
    char hex[2 * CM_PLAN_DIGEST_SIZE + 1];
    cm_hex_encode(cm_bytes(digest, CM_PLAN_DIGEST_SIZE), hex);
    snprintf(ret_message, CM_APPROVAL_MESSAGE_SIZE, "certmill-plan-v1 %s %s",
             cm_approval_purpose_name(purpose), hex);
    return ret_message;
}

enum cm_sigalg cm_approval_sigalg(enum cm_key_type type)
{
    if (type == CM_KEY_ED25519)
        return CM_SIGALG_ED25519;
    return type == CM_KEY_P256 ? CM_SIGALG_ECDSA_SHA256 : CM_SIGALG_UNKNOWN;
}

cm_status cm_approval_verify(enum cm_approval_purpose purpose,
                             const uint8_t digest[CM_PLAN_DIGEST_SIZE], struct cm_bytes key,
                             struct cm_bytes signature, struct cm_error *err)
{
    char message[CM_APPROVAL_MESSAGE_SIZE];
    struct cm_public_key public_key;
    struct cm_refusal ignored;
    struct cm_proof *proof;
    if (!cm_public_key_read(key, &public_key, &ignored)
        || cm_approval_sigalg(public_key.type) == CM_SIGALG_UNKNOWN)
        return CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0,
                       "the key of an approval is neither Ed25519 nor P-256");
    cm_status status = cm_proof_new(&proof, err);
    if (status != CM_OK)
        return status;
    cm_approval_message(purpose, digest, message);
    status = cm_signature_verify(proof, &public_key, cm_approval_sigalg(public_key.type),
                                 cm_bytes_str(message), signature);
    cm_proof_free(proof);
    if (status == CM_NO_MEMORY)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory to verify an approval");
    return status == CM_OK ? CM_OK
                           : CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0,
                                     "the signature is not by this key over this plan, to %s it",
                                     cm_approval_purpose_name(purpose));
}

/* ------------------------------------------------------------------------------------- files -- */

static json_t *hex_of(const uint8_t *octets, size_t size)
{
    char text[2 * CM_PLAN_DIGEST_SIZE + 1];
    cm_hex_encode(cm_bytes(octets, size), text);
    return json_string(text);
}

static json_t *base64_of(struct cm_bytes bytes)
{
    char text[(KEY_SIZE_MAX + 2) / 3 * 4 + 1] = "";
    if (bytes.size <= KEY_SIZE_MAX)
        EVP_EncodeBlock((unsigned char *)text, bytes.data, (int)bytes.size);
    return json_string(text);
}

struct cm_bytes cm_approval_write(const struct cm_approval *approval, struct cm_arena *arena)
{
    const struct cm_plan_approval *by = &approval->by;
    json_t *object = json_pack("{s:i, s:o, s:o, s:s, s:s%, s:o, s:o}", "v", 1, "plan",
                               hex_of(approval->plan, sizeof approval->plan), "digest",
                               hex_of(approval->digest, sizeof approval->digest), "purpose",
                               cm_approval_purpose_name(by->purpose), "operator",
                               (const char *)by->operator.data, by->operator.size, "key",
                               base64_of(by->key), "signature", base64_of(by->signature));
    char *text = object ? json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    if (!text)
        abort();
    const char *kept = cm_arena_printf(arena, "%s\n", text);
    free(text);
    json_decref(object);
    return cm_bytes_str(kept);
}

/* NULL: no text. One with a NUL in it did not load. */
static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static bool read_base64(const char *text, struct cm_arena *arena, struct cm_bytes *ret_bytes,
                        size_t size_max)
{
    return text && cm_base64_read(cm_bytes_str(text), arena, ret_bytes) && ret_bytes->size > 0
           && ret_bytes->size <= size_max;
}

/* NULL, or the key whose value is none. */
static const char *read_object(const json_t *object, struct cm_arena *arena,
                               struct cm_approval *approval)
{
    const json_t *version = json_object_get(object, "v");
    const char *purpose = text_of(object, "purpose"), *who = text_of(object, "operator");
    if (!json_is_integer(version) || json_integer_value(version) != 1)
        return "v";
    if (json_object_size(object) != 7)
        return "an unknown key, or one that is missing";
    if (!cm_hex_decode_exactly(text_of(object, "plan"), approval->plan, sizeof approval->plan))
        return "plan";
    if (!cm_hex_decode_exactly(text_of(object, "digest"), approval->digest,
                               sizeof approval->digest))
        return "digest";
    if (!purpose || !cm_approval_purpose_find(purpose, &approval->by.purpose))
        return "purpose";
    if (!who || !who[0] || strlen(who) > OPERATOR_SIZE_MAX)
        return "operator";
    if (!read_base64(text_of(object, "key"), arena, &approval->by.key, KEY_SIZE_MAX))
        return "key";
    if (!read_base64(text_of(object, "signature"), arena, &approval->by.signature,
                     SIGNATURE_SIZE_MAX))
        return "signature";
    approval->by.operator= cm_arena_copy(arena, cm_bytes_str(who));
    return NULL;
}

cm_status cm_approval_read(struct cm_bytes text, struct cm_arena *arena,
                           struct cm_approval *ret_approval, struct cm_error *err)
{
    struct cm_approval approval = { .by = { .time_ms = 0 } };
    json_error_t ignored;
    const char *wrong = "its size";
    json_t *object = NULL;
    if (text.size > 0 && text.size <= CM_APPROVAL_FILE_SIZE_MAX) {
        object = json_loadb((const char *)text.data, text.size, JSON_REJECT_DUPLICATES, &ignored);
        wrong =
            json_is_object(object) ? read_object(object, arena, &approval) : "it is no JSON object";
    }
    json_decref(object);
    if (wrong)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "not an approval: %s", wrong);
    *ret_approval = approval;
    return CM_OK;
}

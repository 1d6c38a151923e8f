#include "engine/authority/checkpoint_text.h"

#include <string.h>

#include <jansson.h>

#include "engine/x509/proof.h"

enum { LINE_SIZE_MAX = 16384 };

static const char *hex(struct cm_bytes bytes, struct cm_arena *arena)
{
    char *text = cm_arena_alloc(arena, 2 * bytes.size + 1);
    cm_hex_encode(bytes, text);
    return text;
}

struct cm_bytes cm_checkpoint_line(const struct cm_checkpoint *checkpoint, struct cm_arena *arena)
{
    return cm_bytes_str(cm_arena_printf(
        arena,
        "{\"v\":1,\"number\":%lld,\"audit\":%lld,\"hash\":\"%s\",\"time_ms\":%lld,\"previous\":\"%s\","
        "\"spki\":\"%s\",\"sigalg\":\"%.*s\",\"signature\":\"%s\"}\n",
        (long long)checkpoint->number, (long long)checkpoint->audit,
        hex(cm_bytes(checkpoint->hash, sizeof checkpoint->hash), arena),
        (long long)checkpoint->time_ms,
        hex(cm_bytes(checkpoint->previous, sizeof checkpoint->previous), arena),
        hex(checkpoint->spki, arena), (int)checkpoint->sigalg.size,
        (const char *)checkpoint->sigalg.data, hex(checkpoint->signature, arena)));
}

/* ------------------------------------------------------------------ reading -- */

static bool read_number(const json_t *object, const char *name, int64_t *ret_number)
{
    const json_t *value = json_object_get(object, name);
    *ret_number = json_integer_value(value);
    return json_is_integer(value);
}

static bool read_octets(const json_t *object, const char *name, struct cm_arena *arena,
                        struct cm_bytes *ret_octets)
{
    const char *text = json_string_value(json_object_get(object, name));
    size_t size = text ? strlen(text) : 0, count = 0;
    uint8_t *octets = cm_arena_alloc(arena, size / 2 + 1);
    if (!text || !cm_hex_decode(text, size, octets, size / 2 + 1, &count))
        return false;
    *ret_octets = cm_bytes(octets, count);
    return true;
}

static bool read_hash(const json_t *object, const char *name, uint8_t ret_hash[CM_SHA256_SIZE])
{
    return cm_hex_decode_exactly(json_string_value(json_object_get(object, name)), ret_hash,
                                 CM_SHA256_SIZE);
}

static bool read_object(const json_t *object, struct cm_arena *arena,
                        struct cm_checkpoint *ret_checkpoint)
{
    const char *sigalg = json_string_value(json_object_get(object, "sigalg"));
    int64_t version;
    if (!sigalg || !read_number(object, "v", &version) || version != 1
        || !read_number(object, "number", &ret_checkpoint->number)
        || !read_number(object, "audit", &ret_checkpoint->audit)
        || !read_number(object, "time_ms", &ret_checkpoint->time_ms)
        || !read_hash(object, "hash", ret_checkpoint->hash)
        || !read_hash(object, "previous", ret_checkpoint->previous)
        || !read_octets(object, "spki", arena, &ret_checkpoint->spki)
        || !read_octets(object, "signature", arena, &ret_checkpoint->signature))
        return false;
    ret_checkpoint->sigalg = cm_arena_copy(arena, cm_bytes_str(sigalg));
    return ret_checkpoint->number > 0 && ret_checkpoint->audit > 0;
}

bool cm_checkpoint_read_line(struct cm_bytes line, struct cm_arena *arena,
                             struct cm_checkpoint *ret_checkpoint)
{
    struct cm_checkpoint checkpoint = { .number = 0 };
    if (line.size > LINE_SIZE_MAX)
        return false;
    json_t *object = json_loadb((const char *)line.data, line.size, JSON_REJECT_DUPLICATES, NULL);
    bool is_one = read_object(object, arena, &checkpoint);
    json_decref(object);
    if (is_one)
        *ret_checkpoint = checkpoint;
    return is_one;
}

/* ------------------------------------------------------------------ judging -- */

static enum cm_sigalg algorithm_of(const struct cm_checkpoint *checkpoint)
{
    char name[64];
    if (checkpoint->sigalg.size >= sizeof name)
        return CM_SIGALG_UNKNOWN;
    memcpy(name, checkpoint->sigalg.data, checkpoint->sigalg.size);
    name[checkpoint->sigalg.size] = '\0';
    return cm_sigalg_find(name);
}

bool cm_checkpoint_is_signed(const struct cm_checkpoint *checkpoint)
{
    uint8_t message[CM_CHECKPOINT_MESSAGE_SIZE];
    struct cm_public_key key;
    struct cm_refusal refusal;
    struct cm_verifier *verifier = NULL;
    struct cm_error err;
    enum cm_sigalg alg = algorithm_of(checkpoint);
    if (alg == CM_SIGALG_UNKNOWN || !cm_public_key_read(checkpoint->spki, &key, &refusal)
        || cm_verifier_new(&key, alg, &verifier, &err) != CM_OK)
        return false;
    cm_checkpoint_write(checkpoint, message);
    bool is_signed =
        cm_verifier_check(verifier, cm_bytes(message, sizeof message), checkpoint->signature)
        == CM_OK;
    cm_verifier_free(verifier);
    return is_signed;
}

bool cm_checkpoint_equals(const struct cm_checkpoint *one, const struct cm_checkpoint *other)
{
    return one->number == other->number && one->audit == other->audit
           && one->time_ms == other->time_ms
           && memcmp(one->hash, other->hash, sizeof one->hash) == 0
           && memcmp(one->previous, other->previous, sizeof one->previous) == 0
           && cm_bytes_equal(one->spki, other->spki) && cm_bytes_equal(one->sigalg, other->sigalg)
           && cm_bytes_equal(one->signature, other->signature);
}

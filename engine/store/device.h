/*
 * Device: what an allow-list record may hold, wherever it comes from (a file, the control socket).
 *
 *     cm_device_check_id(id, &err) and cm_device_check_attribute(&pairs[i], &err) say what is wrong
 *     row.attributes = cm_device_join_attributes(arena, pairs, count);
 *
 * Texts are NUL-terminated; errors name what is wrong and leave out where it stands. Any thread.
 */
#ifndef CM_ENGINE_STORE_DEVICE_H
#define CM_ENGINE_STORE_DEVICE_H

#include "engine/store/store.h"

#define CM_DEVICE_ID_SIZE_MAX         255
#define CM_DEVICE_ATTRIBUTES_MAX      64
#define CM_DEVICE_ATTRIBUTE_KEY_MAX   64   /* bytes */
#define CM_DEVICE_ATTRIBUTE_VALUE_MAX 1024 /* bytes */

/* An attribute: a key and its value. */
struct cm_device_pair {
    const char *key;
    const char *value;
};

/* What the engine records its own certificates with: nobody else registers, enrols or orders it. */
#define CM_DEVICE_RESERVED_PREFIX "ocsp-responder/"

bool cm_device_is_reserved(struct cm_bytes id);

/* 1 to 255 bytes of UTF-8 without control characters, and not reserved; id may be NULL. Fails with:
 * MALFORMED. */
CM_MUST_USE cm_status cm_device_check_id(const char *id, struct cm_error *err);

/* 1 to 64 letters, digits, '.', '_', '-'. */
bool cm_device_is_attribute_key(const char *key);

/* Key and value. Fails with: MALFORMED. */
CM_MUST_USE cm_status cm_device_check_attribute(const struct cm_device_pair *pair,
                                                struct cm_error *err);

/* As struct cm_device has them; sorts the pairs. The result is in the arena. */
struct cm_bytes cm_device_join_attributes(struct cm_arena *arena, struct cm_device_pair *pairs,
                                          size_t count);

/* Over every row as it was asked for, so that the audit log says what came in. Fails with: IO. */
CM_MUST_USE cm_status cm_device_hash_rows(const struct cm_device_row *rows, uint32_t count,
                                          uint8_t ret_digest[CM_HASH_SIZE], struct cm_error *err);

#endif

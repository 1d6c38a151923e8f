/*
 * Reading: what the parts of a request about authorities share: request.c its kinds, request_generation.c new
 * generations, request_cross.c cross certificates for others, reading.c texts, certificates and names.
 */
#ifndef CM_ENGINE_AUTHORITY_READING_H
#define CM_ENGINE_AUTHORITY_READING_H

#include <jansson.h>

#include "engine/authority/request.h"
#include "engine/x509/certificate.h"

enum { CM_READING_TEXT_MAX = 600 };

/* What a request is read with. */
struct cm_reading {
    const json_t *object;
    struct cm_store_reader *reader;
    struct cm_arena *arena;
    struct cm_authority_request *request;
    struct cm_error *err;
};

#define CM_REFUSE(reading, status, ...)                                                            \
    CM_FAIL((reading)->err, status, CM_ORIGIN_SELF, 0, __VA_ARGS__)

/* A text of at most size_max octets. NULL and OK: it is not there, and need not be. Fails with: MALFORMED. */
CM_MUST_USE cm_status cm_reading_text(struct cm_reading *reading, const json_t *object,
                                      const char *key, size_t size_max, bool is_required,
                                      const char **ret_text);

/* One that must be there. */
CM_MUST_USE cm_status cm_reading_bytes(struct cm_reading *reading, const json_t *object,
                                       const char *key, size_t size_max,
                                       struct cm_bytes *ret_bytes);

/* Octets in base64, which must be there, in the arena. */
CM_MUST_USE cm_status cm_reading_base64(struct cm_reading *reading, const json_t *object,
                                        const char *key, struct cm_bytes *ret_bytes);

/* "certificate", base64, of the object. */
CM_MUST_USE cm_status cm_reading_certificate(struct cm_reading *reading, const json_t *object,
                                             struct cm_certificate *ret_certificate);

/* "actor", into the audit event. */
CM_MUST_USE cm_status cm_reading_actor(struct cm_reading *reading);

/* The kind of the audit row, by "purpose": "ca-rotate" and the suffix. */
CM_MUST_USE cm_status cm_reading_kind(struct cm_reading *reading, const char *suffix);

/* A generation by its name ("issuing-2"); number 0: there is none. Spans are in the arena. */
CM_MUST_USE cm_status cm_reading_look_up(struct cm_reading *reading, const char *name,
                                         struct cm_generation *ret_generation);

/* The same; NOT_FOUND: there is none. */
CM_MUST_USE cm_status cm_reading_find(struct cm_reading *reading, const char *name,
                                      struct cm_generation *ret_generation);

/* The one that the object names under this key; number 0: it names none. */
CM_MUST_USE cm_status cm_reading_find_optional(struct cm_reading *reading, const json_t *object,
                                               const char *key,
                                               struct cm_generation *ret_generation);

/* Compact JSON, in the arena; the object is taken over. */
struct cm_bytes cm_reading_dump(struct cm_reading *reading, json_t *object);

/* request_generation.c: all of a ca-generation. */
CM_MUST_USE cm_status cm_reading_generation(struct cm_reading *reading);

/* request_cross.c: all of a ca-cross, and of the intent before it. */
CM_MUST_USE cm_status cm_reading_cross(struct cm_reading *reading);
CM_MUST_USE cm_status cm_reading_cross_intent(struct cm_reading *reading);

#endif

/*
 * Generation text: what there is to say of a generation, as people read it. One thread.
 */
#ifndef CM_TOOLS_GENERATION_TEXT_H
#define CM_TOOLS_GENERATION_TEXT_H

#include <jansson.h>

#include "engine/x509/name_write.h"
#include "tools/generations.h"
#include "tools/time_text.h"

struct cm_generation_text {
    char name[80]; /* "issuing-1" */
    const char *state;
    bool waits; /* for its certificate: what stands in that is empty */
    char provider[80], key[400], sigalg[40];
    char subject[CM_NAME_TEXT_SIZE]; /* of the certificate, or of the request for one */
    char serial[48];
    char not_before[CM_TIME_TEXT_SIZE], not_after[CM_TIME_TEXT_SIZE];
    char fingerprint[65]; /* SHA-256 of the certificate, hex */
};

/* Fails with: what reading the certificate, or the request, fails with. */
CM_MUST_USE cm_status cm_generation_describe(const struct cm_generation *generation,
                                             struct cm_arena *arena,
                                             struct cm_generation_text *ret_text,
                                             struct cm_error *err);

/* The same as an object; null for what there is not. The caller's. */
json_t *cm_generation_json(const struct cm_generation_text *text);

/* Index of whoever has signed a generation's certificate; its own, where it signs itself; -1: nobody here. */
int64_t cm_generation_signer_index(const struct cm_generations *generations, uint32_t index);

#endif

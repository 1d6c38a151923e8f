/*
 * The script of a fake provider, read once: what happens to which item, batch and submit.
 */
#ifndef CM_PROVIDERS_FAKE_SCRIPT_H
#define CM_PROVIDERS_FAKE_SCRIPT_H

#include "engine/base/status.h"

#include <stdbool.h>
#include <stdint.h>

enum cm_fault {
    CM_FAULT_NONE,
    CM_FAULT_STATUS, /* of an item */
    CM_FAULT_WRONG,  /* signature */
    CM_FAULT_SHORT,  /* signature */
    CM_FAULT_DELAY,  /* of a batch */
    CM_FAULT_BUSY    /* answer to a submit */
};

struct cm_fake_step {
    enum cm_fault fault;
    uint64_t number;  /* of the item, batch or submit */
    cm_status status; /* CM_FAULT_STATUS */
    uint32_t delay_ms;
};

struct cm_fake_script {
    struct cm_fake_step *steps; /* owned */
    uint32_t steps_count;
    uint32_t delay_ms;      /* of every batch */
    uint64_t dies_at;       /* item; UINT64_MAX: never */
    uint32_t items_max;     /* 0: as the wrapped provider */
    uint32_t octets_max;    /* 0: no bound */
    uint32_t in_flight;     /* 0: as the wrapped provider */
    uint32_t notices_count; /* told with the first batch */
    uint32_t rate_per_s;    /* of the service; 0: there is none */
    bool pins;
    char *witness_path; /* owned, these five; may be NULL */
    char *away_path, *loses_path, *circuit_path, *holds_path;
};

/* text may be NULL. Fails with: UNSUPPORTED, naming the step; NO_MEMORY. */
CM_MUST_USE cm_status cm_fake_script_read(const char *text, struct cm_fake_script *ret_script,
                                          struct cm_error *err);
void cm_fake_script_done(struct cm_fake_script *script);

/* What happens to item N; a step with CM_FAULT_NONE where nothing does. */
struct cm_fake_step cm_fake_script_item(const struct cm_fake_script *script, uint64_t number);
uint32_t cm_fake_script_delay_ms(const struct cm_fake_script *script, uint64_t batch);
bool cm_fake_script_is_busy(const struct cm_fake_script *script, uint64_t submit);

#endif

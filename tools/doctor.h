/*
 * Doctor: what is checked about a deployment, and how it is said. Private to tools/doctor*.c.
 */
#ifndef CM_TOOLS_DOCTOR_H
#define CM_TOOLS_DOCTOR_H

#include <jansson.h>

#include "engine/settings/settings.h"
#include "engine/store/store.h"

enum cm_verdict { CM_VERDICT_OK, CM_VERDICT_WARN, CM_VERDICT_FAIL };

struct cm_doctor {
    const struct cm_settings *settings;
    struct cm_store *store;         /* NULL: could not be opened */
    struct cm_store_reader *reader; /* in a snapshot */
    struct cm_arena *arena;
    json_t *findings; /* with --json; else NULL and lines are printed */
    uint32_t counts[CM_VERDICT_FAIL + 1];
};

/* One line: "FAIL store: TEXT" and, below it, what to do about it (NULL: nothing). */
void cm_doctor_say(struct cm_doctor *doctor, enum cm_verdict verdict, const char *what,
                   const char *advice, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* The checks, in the order in which one relies on the other. */
void cm_doctor_check_key_files(struct cm_doctor *doctor);
void cm_doctor_check_store(struct cm_doctor *doctor);
void cm_doctor_check_authorities(struct cm_doctor *doctor);
void cm_doctor_check_arithmetic(struct cm_doctor *doctor);
void cm_doctor_check_queue(struct cm_doctor *doctor);
void cm_doctor_check_clock(struct cm_doctor *doctor);
void cm_doctor_check_status(struct cm_doctor *doctor); /* CRLs and OCSP, and who may order what */
void cm_doctor_check_engine(struct cm_doctor *doctor); /* says nothing where none runs */

#endif

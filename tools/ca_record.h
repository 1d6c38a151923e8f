/*
 * CA record: where a command writes what it has made of authorities: the engine that has the store, or, where none
 * has, the store itself.
 *
 *     if (cm_ca_record_open(&record, call, &err) == CM_OK)
 *         status = cm_ca_record_apply(&record, request, &answer, &err);
 *     cm_ca_record_close(&record);                        also when open failed
 *
 * Requests are those of engine/authority/request.h. What is read, record.deployment has: settings, an arena, and a
 * store that can be read either way. One thread.
 */
#ifndef CM_TOOLS_CA_RECORD_H
#define CM_TOOLS_CA_RECORD_H

#include "engine/authority/request.h"
#include "tools/control_client.h"
#include "tools/deployment.h"

struct cm_ca_record {
    struct cm_deployment deployment;
    struct cm_control_client *client; /* NULL: the store is ours to write */
    const char *plan;                 /* the call's --plan: what it carries out; NULL: none */
    int lock;                         /* descriptor, and 1; 0: not locked */
};

/* Fails with: what settings and store fail with; BUSY (another process writes, and cannot be asked). */
CM_MUST_USE cm_status cm_ca_record_open(struct cm_ca_record *record, const struct cm_call *call,
                                        struct cm_error *err);
void cm_ca_record_close(struct cm_ca_record *record);

/*
 * Does:       completes the request with version and actor, has it carried out, durably, and waits.
 * Owns:       takes the request over; *ret_answer is the caller's (NULL: not wanted).
 * Fails with: what the store fails with; DENIED (the engine's words), UNCERTAIN (no answer).
 */
CM_MUST_USE cm_status cm_ca_record_apply(struct cm_ca_record *record, struct json_t *request,
                                         struct json_t **ret_answer, struct cm_error *err);

/*
 * Does:       keeps others out who make keys, until the record is closed, or the process ends; waits for them for
 *             a while. Two at a time would give their keys one name, and the one that comes too late destroy the
 *             other one's. Idempotent.
 * Fails with: BUSY (somebody is at work for long), IO.
 */
CM_MUST_USE cm_status cm_ca_record_lock(struct cm_ca_record *record, struct cm_error *err);

/* Before a key signs: what, in the audit log. signer: a generation's name. */
CM_MUST_USE cm_status cm_ca_record_intent(struct cm_ca_record *record, const char *purpose,
                                          const char *generation, const char *signer,
                                          struct cm_bytes message, struct cm_error *err);

/* A change of state; why may be NULL. An engine that is still opening the key is asked again for a while. */
CM_MUST_USE cm_status cm_ca_record_move(struct cm_ca_record *record, const char *generation,
                                        enum cm_generation_state to, enum cm_key_fate fate,
                                        bool may_be_last, const char *why,
                                        struct json_t **ret_answer, struct cm_error *err);

#endif

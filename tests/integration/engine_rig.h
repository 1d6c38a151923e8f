/*
 * An engine in the test's own process: a real deployment made by `certmill init`, a real store, a
 * memory queue, and the fake provider, which follows a script.
 *
 *     rig_open("item=3:wrong");
 *     rig_push("req-1", rig_device(1), rig_csrs[1]);
 *     rig_run(1);                        until there is one answer more
 *     rig_answer("req-1")->status
 *     rig_close();                       the deployment stays for the next rig_open
 */
#ifndef CM_TESTS_INTEGRATION_ENGINE_RIG_H
#define CM_TESTS_INTEGRATION_ENGINE_RIG_H

#include "engine/engine.h"
#include "engine/store/store.h"
#include "queue/memory.h"

enum { RIG_DEVICES = 40 };

/* Of a suite: an arena for what its tests write, and a CSR, each with a key of its own, for dev-0 .. */
int rig_set_up(void);
int rig_tear_down(void);

extern struct cm_arena rig_arena;
extern struct cm_bytes rig_csrs[RIG_DEVICES];

/* "dev-7", in rig_arena. */
const char *rig_device(int number);

/* A deployment in a fresh folder, with devices dev-0 .. dev-(RIG_DEVICES - 1) in group default. */
void rig_deploy(void);

/* Starts an engine with this script of the fake provider ("" for none). */
void rig_open(const char *script);

/* Stops it in order. */
void rig_close(void);

void rig_push(const char *id, const char *device, struct cm_bytes csr);

/* Any request of the requester local: names and values by turns, then NULL. */
void rig_push_fields(const char *const *fields);

/* Runs the loop until answers_count more answers are there; fails the test after ten seconds. */
void rig_run(size_t answers_count);

/* The last answer to this id; NULL when there is none. */
const struct cm_answer *rig_answer(const char *id);

/* Runs the loop for so long. */
void rig_pause(uint32_t duration_ms);

/* How many answers this id has. */
size_t rig_answers_count(const char *id);

/* Ends the leases of what is not acknowledged, as a restart would. */
void rig_deliver_again(void);

/* What the store holds; the engine is closed. */
struct cm_store_counts rig_count(void);

/* Runs the loop until the store holds so many promises that are open; fails the test after ten seconds. */
void rig_run_until_promised(size_t count);

/* What the store says of a certificate; false: nothing. Spans are not filled. The engine is closed. */
bool rig_find_revocation(struct cm_bytes serial, struct cm_revocation *ret_revocation);

/* Rows of this kind in the audit log that name this actor. The engine is closed. */
size_t rig_audit_count(const char *kind, const char *actor);

/* Signatures that the fake made since rig_deploy, by its witness file. */
size_t rig_signatures_count(void);

extern char rig_last_notice[256];

/* Of the engines to come; 0, as after rig_deploy: the settings'. Seconds. */
extern uint32_t rig_intent_hold_s;

/* The same: CM_OPERATION_BIT()s of the requester; whether it may ask for no group at all; whether its
   refusals are remembered. */
extern unsigned rig_operations;
extern bool rig_has_no_groups;
extern bool rig_remembers_refusals;

#endif

/*
 * Dual control: what settings mark runs only by a plan that enough operators have approved.
 *
 * Whoever changes something asks first, with what it is about to do:
 *
 *     struct cm_deed deed = { .operation = CM_CEREMONY_ACTIVATE, .subject = "issuing-2" };
 *     status = cm_dual_control_check(settings, store, &deed, plan, &arena, &op.plan, &err);
 *
 * and hands the store the use of the plan that came out, so that it runs once (engine/store/plan.h). The
 * steps before, prepare, approve and cancel, are made here as well, for the engine's control and for commands
 * without an engine.
 *
 * A plan that is approved says everything: its deed is compared to the last parameter. Approvals are those of
 * operators of the settings as they are now, with the keys that they have now; where the plan and
 * the settings want different numbers, the larger one counts.
 *
 * Thread: that of the store's caller; readers are opened for a call.
 */
#ifndef CM_ENGINE_DUAL_CONTROL_H
#define CM_ENGINE_DUAL_CONTROL_H

#include "engine/authority/approval.h"
#include "engine/authority/plan.h"
#include "engine/settings/settings.h"
#include "engine/store/store.h"

/* What is about to be done; parameters as in struct cm_plan. */
struct cm_deed {
    enum cm_ceremony operation;
    const char *subject;
    const struct cm_plan_parameter *parameters;
    uint32_t parameters_count;
};

/*
 * Does:       finds out whether the deed may be done: settings do not mark it, and no plan is named
 *             (NULL); or the plan (its id in hex) does exactly this, is open, and has its approvals.
 * Owns:       *ret_use is NULL, or in the arena: for the operation that does it.
 * Fails with: DENIED: the text says how to prepare a plan, or what is missing; what the store fails with.
 */
CM_MUST_USE cm_status cm_dual_control_check(const struct cm_settings *settings,
                                            struct cm_store *store, const struct cm_deed *deed,
                                            const char *plan, struct cm_arena *arena,
                                            const struct cm_plan_use **ret_use,
                                            struct cm_error *err);

/* False: no ceremony is like this order. An order to revoke or retire a whole group is one. */
bool cm_deed_of_order(const struct cm_order *order, struct cm_arena *arena,
                      struct cm_deed *ret_deed);

/* The order of a plan that revokes or retires a group. Fails with: INVALID: the plan does not. */
CM_MUST_USE cm_status cm_deed_order(const struct cm_plan *plan, struct cm_arena *arena,
                                    struct cm_order *ret_order, struct cm_error *err);

/*
 * The same for a request about authorities (engine/authority/request.h) that was read: "plan" stands beside its
 * other keys, and the request's operation gets the use. Intents are asked about too, before a key signs,
 * and are not the run of the plan; a change of state that is so already is none, and goes without. A new key, "create", "rotate" or "root-key", has no parameters: what
 * has come of it stands in the plan that activates it. Those of "cross-sign" are its terms, read off the certificate
 * (engine/authority/cross.h).
 */
struct json_t;
struct cm_authority_request;
CM_MUST_USE cm_status cm_dual_control_check_request(
    const struct cm_settings *settings, struct cm_store *store, const struct json_t *object,
    struct cm_arena *arena, struct cm_authority_request *request, struct cm_error *err);

/* ------------------------------------------------------------------------------ plans -- */

/* A plan of the store, with its approvals; all of it in an arena. */
struct cm_plan_record {
    struct cm_plan_row row;
    struct cm_plan plan;
    const struct cm_plan_approval *approvals;
    uint32_t approvals_count;
};

/*
 * The one whose id begins with these hex digits, at least 4.
 * Fails with: NOT_FOUND (none, or several), CORRUPT.
 */
CM_MUST_USE cm_status cm_plan_find(struct cm_store_reader *reader, const char *id,
                                   struct cm_arena *arena, struct cm_plan_record *ret_record,
                                   struct cm_error *err);

/* Whether it is one that counts now: of an operator of the settings, with their key, and the role. */
bool cm_plan_approval_counts(const struct cm_settings *settings,
                             const struct cm_plan_record *record,
                             const struct cm_plan_approval *approval);
uint32_t cm_plan_count_approvals(const struct cm_settings *settings,
                                 const struct cm_plan_record *record,
                                 enum cm_approval_purpose purpose);
uint32_t cm_plan_wants_approvals(const struct cm_settings *settings,
                                 const struct cm_plan_record *record);

/*
 * Makes a plan of a deed: a new id, what is found, the rule of the settings, from now on.
 * Fails with: INVALID (settings do not mark it, or a text cannot stand in a plan), NOT_FOUND (its subject).
 */
CM_MUST_USE cm_status cm_plan_make(const struct cm_settings *settings,
                                   struct cm_store_reader *reader, const struct cm_deed *deed,
                                   const char *actor, struct cm_arena *arena,
                                   struct cm_plan *ret_plan, struct cm_error *err);

/* ------------------------------------------------------------------------------ steps -- */

/* For CM_STORE_PLAN; in an arena. */
struct cm_plan_taking {
    struct cm_plan_change change;
    struct cm_audit_event audit;
};

/* The plan is well-formed, as the settings want it, of this actor, and what it finds is so.
 * Fails with: MALFORMED, DENIED. */
CM_MUST_USE cm_status cm_plan_take_new(const struct cm_settings *settings, struct cm_store *store,
                                       struct cm_bytes text, struct cm_bytes actor,
                                       struct cm_arena *arena, struct cm_plan_taking *ret_taking,
                                       struct cm_error *err);

/* The approval is an operator's over a plan of the store. Fails with: MALFORMED, NOT_FOUND, DENIED. */
CM_MUST_USE cm_status cm_plan_take_approval(const struct cm_settings *settings,
                                            struct cm_store *store, struct cm_bytes text,
                                            struct cm_bytes actor, struct cm_arena *arena,
                                            struct cm_plan_taking *ret_taking,
                                            struct cm_error *err);

/* As many want it cancelled as would have to want it run. Fails with: NOT_FOUND, DENIED. */
CM_MUST_USE cm_status cm_plan_take_cancel(const struct cm_settings *settings,
                                          struct cm_store *store, const char *id,
                                          struct cm_bytes actor, struct cm_arena *arena,
                                          struct cm_plan_taking *ret_taking, struct cm_error *err);

#endif

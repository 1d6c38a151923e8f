/* The store's contract: plans run once, within their time, and while what they found is so. */
#include "tests/conformance/store_fixture.h"

#include <stdio.h>

#include "tests/support/test_main.h"

#include "engine/base/clock.h"
#include "engine/base/hash.h"

static struct fixture f;

#define BOB cm_bytes_str("operator:bob")

static const struct cm_audit_event by_bob = { .kind = "step",
                                              .actor = { (const uint8_t *)"operator:bob", 12 },
                                              .detail = { (const uint8_t *)"{}", 2 } };

/* ----------------------------------------------------------------------- steps -- */

static struct cm_plan_change step_of(uint8_t n, enum cm_plan_step step)
{
    struct cm_plan_change change = { .step = step,
                                     .text = cm_bytes_str("{}"),
                                     .expires_s = cm_clock_wall_s() + 3600 };
    memset(change.id, n, sizeof change.id);
    memset(change.digest, n + 100, sizeof change.digest);
    return change;
}

static cm_status take(struct cm_plan_change *change)
{
    struct cm_store_op op = { .kind = CM_STORE_PLAN, .plan_change = change, .audit = &by_bob };
    return cm_store_apply(f.store, &op, &f.err);
}

static cm_status do_step(uint8_t n, enum cm_plan_step step)
{
    struct cm_plan_change change = step_of(n, step);
    return take(&change);
}

static cm_status approve(uint8_t n, const char *operator, const char * key, bool *ret_changed)
{
    struct cm_plan_change change = step_of(n, CM_PLAN_APPROVE);
    change.approval = (struct cm_plan_approval){ .purpose = CM_APPROVAL_RUN,
                                                 .operator= cm_bytes_str(operator),
                                                 .key = cm_bytes_str(key),
                                                 .signature = cm_bytes_str("signature") };
    cm_status status = take(&change);
    *ret_changed = change.changed;
    return status;
}

static struct cm_plan_use use_of(uint8_t n)
{
    struct cm_plan_use use = { .found_count = 0 };
    memset(use.id, n, sizeof use.id);
    memset(use.digest, n + 100, sizeof use.digest);
    return use;
}

/* ----------------------------------------------------------------------- looks -- */

struct look {
    uint8_t n;
    struct cm_plan_row found;
    unsigned count;
};

static bool look_at(const struct cm_plan_row *plan, void *arg)
{
    struct look *look = arg;
    if (plan->id[0] == look->n)
        look->found = *plan;
    look->count++;
    return true;
}

static struct look look(uint8_t n)
{
    struct look result = { .n = n };
    CU_ASSERT_EQUAL(cm_store_walk_plans(fixture_snapshot(&f), look_at, &result, &f.err), CM_OK);
    return result;
}

static enum cm_plan_state state_of(uint8_t n)
{
    return look(n).found.state;
}

static bool count_approval(const struct cm_plan_approval *approval, void *arg)
{
    unsigned *count = arg;
    CU_ASSERT(approval->time_ms > 0);
    CU_ASSERT_TRUE(cm_bytes_is(approval->signature, "signature"));
    ++*count;
    return true;
}

static unsigned count_approvals(uint8_t n)
{
    unsigned count = 0;
    CU_ASSERT_EQUAL(cm_store_walk_approvals(fixture_snapshot(&f), look(n).found.number,
                                            count_approval, &count, &f.err),
                    CM_OK);
    return count;
}

static bool count_kind(const struct cm_audit_row *row, void *arg)
{
    void **pair = arg;
    if (strcmp(row->kind, pair[0]) == 0)
        ++*(unsigned *)pair[1];
    return true;
}

static unsigned count_audit(char *kind)
{
    unsigned count = 0;
    void *pair[2] = { kind, &count };
    CU_ASSERT_EQUAL(cm_store_walk_audit(fixture_snapshot(&f), 1, count_kind, pair, &f.err), CM_OK);
    return count;
}

static char step_kind[] = "step", run_kind[] = "plan-run";

/* ------------------------------------------------------------------ generations -- */

static int64_t put(int64_t generation, enum cm_generation_state state, int64_t replaces)
{
    struct cm_generation row = fixture_generation(generation);
    row.state = state;
    row.replaces = replaces;
    struct cm_store_op op = { .kind = CM_STORE_GENERATION, .generation = &row, .audit = &by_bob };
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &op, &f.err), CM_OK);
    return row.number;
}

static struct cm_plan_found found_of(const char *generation, enum cm_generation_state state,
                                     const char *der)
{
    struct cm_bytes bytes = cm_bytes_str(der);
    struct cm_plan_found found = { .generation = cm_bytes_str(generation),
                                   .state = state,
                                   .has_certificate = true };
    cm_sha256(&bytes, 1, found.certificate);
    return found;
}

static cm_status activate(int64_t number, const struct cm_plan_use *use)
{
    struct cm_transition transition = { .number = number, .to = CM_GENERATION_ACTIVE };
    struct cm_store_op op = {
        .kind = CM_STORE_TRANSITION, .transition = &transition, .plan = use, .audit = &by_bob
    };
    return cm_store_apply(f.store, &op, &f.err);
}

/* ------------------------------------------------------------------------ tests -- */

static void test_a_plan_is_kept_and_collects_approvals(void)
{
    bool changed = false;
    fixture_make(&f, "kept");
    struct cm_plan_change other = step_of(1, CM_PLAN_ADD);
    CU_ASSERT_EQUAL(do_step(1, CM_PLAN_ADD), CM_OK);
    CU_ASSERT_EQUAL(do_step(1, CM_PLAN_ADD), CM_OK); /* the same again */
    other.digest[0]++;
    CU_ASSERT_EQUAL(take(&other), CM_EXISTS); /* in place of it */
    CU_ASSERT_EQUAL(approve(1, "ann", "k1", &changed), CM_OK);
    CU_ASSERT_TRUE(changed);
    CU_ASSERT_EQUAL(approve(1, "ann", "k1", &changed), CM_OK);
    CU_ASSERT_FALSE(changed);
    CU_ASSERT_EQUAL(approve(1, "bob", "k2", &changed), CM_OK);
    CU_ASSERT_EQUAL(approve(1, "ann", "k3", &changed), CM_OK); /* she has a new key */
    CU_ASSERT_TRUE(changed);
    fixture_reopen(&f);
    CU_ASSERT_EQUAL(count_approvals(1), 2);
    CU_ASSERT_EQUAL(count_audit(step_kind), 4); /* what changed nothing is no news */
    CU_ASSERT_EQUAL(state_of(1), CM_PLAN_PENDING);
    CU_ASSERT_EQUAL(look(1).count, 1);
    CU_ASSERT_TRUE(cm_bytes_is(cm_bytes_str(cm_plan_state_name(state_of(1))), "pending"));
    fixture_done(&f);
}

static void test_steps_of_a_plan_that_is_not_there_are_denied(void)
{
    bool changed = false;
    fixture_make(&f, "none");
    struct cm_plan_use use = use_of(9);
    int64_t next = put(1, CM_GENERATION_PENDING, 0);
    CU_ASSERT_EQUAL(approve(9, "ann", "k", &changed), CM_DENIED);
    CU_ASSERT_EQUAL(do_step(9, CM_PLAN_CANCEL), CM_DENIED);
    CU_ASSERT_EQUAL(activate(next, &use), CM_DENIED);
    CU_ASSERT_EQUAL(do_step(9, CM_PLAN_ADD), CM_OK);
    use.digest[31]++;
    CU_ASSERT_EQUAL(activate(next, &use), CM_DENIED);
    CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, "another digest"));
    fixture_done(&f);
}

static void test_a_plan_runs_once(void)
{
    bool changed = false;
    fixture_make(&f, "once");
    const struct cm_plan_use use = use_of(1);
    int64_t one = put(1, CM_GENERATION_PENDING, 0), two = put(2, CM_GENERATION_PENDING, 0);
    CU_ASSERT_EQUAL(do_step(1, CM_PLAN_ADD), CM_OK);
    CU_ASSERT_EQUAL(activate(one, &use), CM_OK);
    CU_ASSERT_EQUAL(state_of(1), CM_PLAN_RUN);
    CU_ASSERT(look(1).found.settled_ms > 0);
    CU_ASSERT_EQUAL(activate(two, &use), CM_DENIED);
    CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, "has run already"));
    CU_ASSERT_EQUAL(approve(1, "ann", "k", &changed), CM_DENIED);
    CU_ASSERT_EQUAL(do_step(1, CM_PLAN_CANCEL), CM_DENIED);
    CU_ASSERT_EQUAL(count_audit(run_kind), 1);
    fixture_done(&f);
}

/* Both go into one transaction, or into one each: it runs once all the same. */
static void test_a_plan_that_two_use_at_once_runs_once(void)
{
    fixture_make(&f, "both");
    const struct cm_plan_use use = use_of(1);
    struct cm_transition to[2];
    struct cm_store_op ops[2], *both[2] = { &ops[0], &ops[1] };
    CU_ASSERT_EQUAL(do_step(1, CM_PLAN_ADD), CM_OK);
    for (unsigned i = 0; i < 2; i++) {
        to[i] = (struct cm_transition){ .number = put((int64_t)i + 1, CM_GENERATION_PENDING, 0),
                                        .to = CM_GENERATION_ACTIVE };
        ops[i] = (struct cm_store_op){
            .kind = CM_STORE_TRANSITION, .transition = &to[i], .plan = &use, .audit = &by_bob
        };
    }
    fixture_submit(&f, both, 2);
    CU_ASSERT_EQUAL(ops[0].status, CM_OK);
    CU_ASSERT_EQUAL(ops[1].status, CM_DENIED);
    CU_ASSERT_EQUAL(count_audit(run_kind), 1);
    fixture_done(&f);
}

static void test_what_fails_leaves_the_plan_as_it_was(void)
{
    fixture_make(&f, "fails");
    const struct cm_plan_use use = use_of(1);
    int64_t one = put(1, CM_GENERATION_PENDING, 0);
    CU_ASSERT_EQUAL(do_step(1, CM_PLAN_ADD), CM_OK);
    CU_ASSERT_EQUAL(activate(99, &use), CM_NOT_FOUND);
    CU_ASSERT_EQUAL(state_of(1), CM_PLAN_PENDING);
    CU_ASSERT_EQUAL(activate(one, &use), CM_OK);
    fixture_done(&f);
}

static void test_a_plan_that_was_cancelled_or_has_ended_does_not_run(void)
{
    bool changed = false;
    fixture_make(&f, "ended");
    const struct cm_plan_use cancelled = use_of(1), ended = use_of(2);
    int64_t one = put(1, CM_GENERATION_PENDING, 0);
    struct cm_plan_change late = step_of(2, CM_PLAN_ADD);
    CU_ASSERT_EQUAL(do_step(1, CM_PLAN_ADD), CM_OK);
    CU_ASSERT_EQUAL(do_step(1, CM_PLAN_CANCEL), CM_OK);
    CU_ASSERT_EQUAL(do_step(1, CM_PLAN_CANCEL), CM_OK);
    CU_ASSERT_EQUAL(state_of(1), CM_PLAN_CANCELLED);
    CU_ASSERT_EQUAL(activate(one, &cancelled), CM_DENIED);
    CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, "was cancelled"));
    late.expires_s = cm_clock_wall_s();
    CU_ASSERT_EQUAL(take(&late), CM_OK);
    CU_ASSERT_EQUAL(activate(one, &ended), CM_DENIED);
    CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, "has ended"));
    CU_ASSERT_EQUAL(approve(2, "ann", "k", &changed), CM_DENIED);
    CU_ASSERT_EQUAL(count_audit(run_kind), 0);
    fixture_done(&f);
}

/* The wall clock may be set back; the last row of the store is not. */
static void test_a_clock_that_goes_back_makes_no_plan_valid_again(void)
{
    fixture_make(&f, "clock");
    const struct cm_plan_use use = use_of(1);
    int64_t one = put(1, CM_GENERATION_PENDING, 0), later_ms = cm_clock_wall_ms() + 7200000;
    struct cm_intent_item item = { .key = row_key(1), .serial = row_serial(1) };
    struct cm_intent intent = {
        .created_ms = later_ms, .generation_number = one, .items = &item, .items_count = 1
    };
    struct cm_store_op op = { .kind = CM_STORE_INTENT, .intent = &intent };
    CU_ASSERT_EQUAL(do_step(1, CM_PLAN_ADD), CM_OK);
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &op, &f.err), CM_OK);
    CU_ASSERT_EQUAL(activate(one, &use), CM_DENIED);
    CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, "has ended"));
    fixture_done(&f);
}

static void test_a_plan_does_not_run_when_a_generation_has_changed(void)
{
    const struct cm_plan_found rows[] = {
        found_of("issuing-1", CM_GENERATION_ACTIVE, "der"),
        found_of("issuing-2", CM_GENERATION_PENDING, "other"),
        found_of("issuing-3", CM_GENERATION_PENDING, "der"),
        { .generation = cm_bytes_str("issuing-2"), .state = CM_GENERATION_PENDING },
    };
    struct cm_plan_found found[2] = { found_of("issuing-2", CM_GENERATION_PENDING, "der") };
    fixture_make(&f, "found");
    struct cm_plan_use use = use_of(1);
    use.found = found;
    int64_t old = put(1, CM_GENERATION_RETIRING, 0), next = put(2, CM_GENERATION_PENDING, old);
    CU_ASSERT_EQUAL(do_step(1, CM_PLAN_ADD), CM_OK);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        found[1] = rows[i];
        use.found_count = 2;
        CU_ASSERT_EQUAL(activate(next, &use), CM_DENIED);
        CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, "is not as the plan has found it"));
        CU_ASSERT_EQUAL(state_of(1), CM_PLAN_PENDING);
    }
    use.found_count = 1;
    CU_ASSERT_EQUAL(activate(next, &use), CM_OK);
    fixture_done(&f);
}

/* -------------------------------------------------------------------- of a group -- */

static void put_devices(unsigned count)
{
    struct cm_device_row rows[8];
    static char ids[8][8];
    for (unsigned i = 0; i < count; i++) {
        snprintf(ids[i], sizeof ids[i], "d-%u", i);
        rows[i] = (struct cm_device_row){ .id = cm_bytes_str(ids[i]),
                                          .group = cm_bytes_str("pumps"),
                                          .state = CM_DEVICE_ALLOWED };
    }
    struct cm_store_op op = {
        .kind = CM_STORE_DEVICES, .devices = rows, .devices_count = count, .audit = &by_bob
    };
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &op, &f.err), CM_OK);
}

static struct cm_order order_of(const struct cm_plan_use *use)
{
    return (struct cm_order){ .kind = CM_ORDER_REVOKE,
                              .group = cm_bytes_str("pumps"),
                              .time_s = cm_clock_wall_s(),
                              .actor = BOB,
                              .devices_max = 2,
                              .plan = use };
}

static cm_status carry_out(struct cm_order *orders, uint32_t count)
{
    struct cm_store_op op = { .kind = CM_STORE_RECORD, .orders = orders, .orders_count = count };
    return cm_store_apply(f.store, &op, &f.err);
}

/* Cut off in the middle, it is done again from the first device on. */
static void test_a_group_goes_on_until_its_last_device(void)
{
    fixture_make(&f, "group");
    const struct cm_plan_use use = use_of(1);
    CU_ASSERT_EQUAL(do_step(1, CM_PLAN_ADD), CM_OK);
    put_devices(3);
    struct cm_order order = order_of(&use);
    CU_ASSERT_EQUAL(carry_out(&order, 1), CM_OK);
    CU_ASSERT_EQUAL(order.code, CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(state_of(1), CM_PLAN_RUNNING);
    CU_ASSERT_EQUAL(do_step(1, CM_PLAN_CANCEL), CM_DENIED);
    fixture_reopen(&f);
    order = order_of(&use);
    CU_ASSERT_EQUAL(carry_out(&order, 1), CM_OK);
    order.after_device = order.last_device;
    CU_ASSERT_EQUAL(carry_out(&order, 1), CM_OK);
    CU_ASSERT_EQUAL(order.last_device, 0);
    CU_ASSERT_EQUAL(state_of(1), CM_PLAN_RUN);
    CU_ASSERT_EQUAL(count_audit(run_kind), 1);
    fixture_done(&f);
}

static void test_an_order_whose_plan_may_not_run_is_refused_by_itself(void)
{
    fixture_make(&f, "order");
    const struct cm_plan_use use = use_of(1);
    put_devices(2);
    struct cm_order orders[2] = { order_of(&use),
                                  { .kind = CM_ORDER_QUARANTINE,
                                    .device = cm_bytes_str("d-0"),
                                    .time_s = cm_clock_wall_s(),
                                    .actor = BOB } };
    CU_ASSERT_EQUAL(carry_out(orders, 2), CM_OK);
    CU_ASSERT_EQUAL(orders[0].code, CM_REFUSAL_POLICY_DUAL_CONTROL);
    CU_ASSERT_STRING_EQUAL(orders[0].message, "there is no such plan");
    CU_ASSERT_EQUAL(orders[1].code, CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(orders[1].devices_changed, 1);
    fixture_done(&f);
}

CM_TEST_SUITE(store_plans, CM_TEST(test_a_plan_is_kept_and_collects_approvals),
              CM_TEST(test_steps_of_a_plan_that_is_not_there_are_denied),
              CM_TEST(test_a_plan_runs_once), CM_TEST(test_a_plan_that_two_use_at_once_runs_once),
              CM_TEST(test_what_fails_leaves_the_plan_as_it_was),
              CM_TEST(test_a_plan_that_was_cancelled_or_has_ended_does_not_run),
              CM_TEST(test_a_clock_that_goes_back_makes_no_plan_valid_again),
              CM_TEST(test_a_plan_does_not_run_when_a_generation_has_changed),
              CM_TEST(test_a_group_goes_on_until_its_last_device),
              CM_TEST(test_an_order_whose_plan_may_not_run_is_refused_by_itself));

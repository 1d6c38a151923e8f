/* The store's contract: campaigns, and the devices that hold certificates of a generation. */
#include <stdio.h>

#include "engine/store/campaign.h"
#include "tests/conformance/store_orders.h"
#include "tests/support/test_main.h"

static struct fixture f;

enum { DEVICES = 6, OLD = 1, NEW = 2 };

/* ------------------------------------------------------------------- holders -- */

static int64_t put_generation(const char *authority, int64_t generation,
                              enum cm_generation_state state)
{
    struct cm_generation row = fixture_generation(generation);
    row.authority = cm_bytes_str(authority);
    row.state = state;
    CU_ASSERT_EQUAL(fixture_put_generation(&f, &row), CM_OK);
    return row.number;
}

/* d1 to d6 have the certificates 1 to 6 of OLD, which issues no more. */
static void make(const char *name)
{
    fixture_make(&f, name);
    CU_ASSERT_EQUAL(put_generation("issuing", 1, CM_GENERATION_RETIRING), OLD);
    CU_ASSERT_EQUAL(put_generation("issuing", 2, CM_GENERATION_ACTIVE), NEW);
    orders_put_devices(&f, DEVICES);
    orders_record(&f, 1, DEVICES, DEVICES);
}

static void record_for(unsigned n, int64_t device, int64_t generation, int64_t not_after)
{
    static struct record record;
    record_fill(&record, n, 1);
    record.rows[0].device_number = device;
    record.rows[0].generation_number = generation;
    record.rows[0].not_after = not_after;
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &record.op, &f.err), CM_OK);
}

static const int64_t end_s = 4000000000;

static cm_certificate_number number_of(unsigned n)
{
    const struct cm_serial serial = row_serial(n);
    return cm_serial_number(&serial);
}

/* "d1:1! d2:2+9 ": device, its certificate, whether it is revoked, and behind a plus the renewal. */
struct seen {
    char text[4096];
    unsigned count, stop_after;
};

static bool see(const struct cm_holder *holder, void *arg)
{
    struct seen *seen = arg;
    size_t size = strlen(seen->text);
    struct cm_serial serial = row_serial((unsigned)(holder->number & 0xfffff));
    CU_ASSERT_EQUAL(memcmp(&serial, &holder->serial, sizeof serial), 0);
    CU_ASSERT_TRUE(holder->device.number > 0 && holder->device.group.size > 0);
    snprintf(seen->text + size, sizeof seen->text - size, "%.*s:%d%s", (int)holder->device.id.size,
             (const char *)holder->device.id.data, (int)(holder->number & 0xfffff),
             holder->is_revoked ? "!" : "");
    size = strlen(seen->text);
    if (holder->renewed)
        snprintf(seen->text + size, sizeof seen->text - size, "+%d",
                 (int)(holder->renewed & 0xfffff));
    strcat(seen->text, " ");
    return ++seen->count != seen->stop_after;
}

static struct cm_holder_stretch stretch_of(int64_t generation)
{
    return (struct cm_holder_stretch){ .generation_number = generation,
                                       .until = INT64_MAX,
                                       .now_s = ORDER_TIME_S };
}

static cm_status walk(struct cm_holder_stretch *stretch, struct seen *seen)
{
    cm_store_reader_end(fixture_snapshot(&f));
    return cm_store_walk_holders(f.reader, stretch, see, seen, &f.err);
}

/* Valid until the next call. */
static const char *holders_of(int64_t generation)
{
    static struct seen seen;
    struct cm_holder_stretch stretch = stretch_of(generation);
    seen = (struct seen){ .count = 0 };
    CU_ASSERT_EQUAL(walk(&stretch, &seen), CM_OK);
    CU_ASSERT_TRUE(stretch.is_end);
    return seen.text;
}

static void test_whoever_holds_one_is_found_with_it(void)
{
    make("holders");
    record_for(7, 3, NEW, end_s);
    CU_ASSERT_STRING_EQUAL(holders_of(OLD), "d1:1 d2:2 d3:3+7 d4:4 d5:5 d6:6 ");
    CU_ASSERT_STRING_EQUAL(holders_of(NEW), "d3:7 ");
    CU_ASSERT_STRING_EQUAL(holders_of(9), "");
    fixture_reopen(&f);
    CU_ASSERT_STRING_EQUAL(holders_of(NEW), "d3:7 ");
    fixture_done(&f);
}

static void test_what_has_ended_or_is_revoked_is_held_by_nobody(void)
{
    make("ended");
    record_for(7, 1, OLD, ORDER_TIME_S - 1);
    record_for(8, 2, NEW, ORDER_TIME_S - 1);
    struct cm_order revoke = order_for_serial(3, CM_REASON_KEY_COMPROMISE);
    CU_ASSERT_EQUAL(order_apply(&f, &revoke), CM_OK);
    struct cm_order hold = order_for_device(CM_ORDER_QUARANTINE, "d4");
    CU_ASSERT_EQUAL(order_apply(&f, &hold), CM_OK);
    CU_ASSERT_STRING_EQUAL(holders_of(OLD), "d1:1 d2:2 d5:5 d6:6 ");
    struct cm_order undo = order_for_device(CM_ORDER_REINSTATE, "d4");
    CU_ASSERT_EQUAL(order_apply(&f, &undo), CM_OK);
    CU_ASSERT_STRING_EQUAL(holders_of(OLD), "d1:1 d2:2 d4:4 d5:5 d6:6 ");
    fixture_done(&f);
}

/* As after a compromise of their key: these are the ones that have to come. */
static void test_what_is_revoked_for_its_authority_s_sake_is_still_to_be_renewed(void)
{
    make("authority");
    struct cm_order lost = order_for_serial(1, CM_REASON_CA_COMPROMISE);
    CU_ASSERT_EQUAL(order_apply(&f, &lost), CM_OK);
    struct cm_order fresh = order_for_serial(2, CM_REASON_SUPERSEDED);
    CU_ASSERT_EQUAL(order_apply(&f, &fresh), CM_OK);
    record_for(7, 1, NEW, end_s);
    record_for(8, 2, NEW, end_s);
    struct cm_order again = order_for_serial(8, CM_REASON_SUPERSEDED);
    CU_ASSERT_EQUAL(order_apply(&f, &again), CM_OK);
    CU_ASSERT_STRING_EQUAL(holders_of(OLD), "d1:1!+7 d2:2! d3:3 d4:4 d5:5 d6:6 ");
    CU_ASSERT_STRING_EQUAL(holders_of(NEW), "d1:7 d2:8! ");
    fixture_done(&f);
}

static void test_of_several_certificates_the_last_good_one_counts(void)
{
    make("several");
    record_for(7, 1, OLD, end_s);
    record_for(8, 2, OLD, end_s);
    record_for(9, 2, OLD, end_s);
    struct cm_order revoke = order_for_serial(9, CM_REASON_UNSPECIFIED);
    CU_ASSERT_EQUAL(order_apply(&f, &revoke), CM_OK);
    CU_ASSERT_STRING_EQUAL(holders_of(OLD), "d3:3 d4:4 d5:5 d6:6 d1:7 d2:8 ");
    fixture_done(&f);
}

static void test_only_an_active_key_of_the_same_authority_renews(void)
{
    make("renewed");
    int64_t other = put_generation("other", 1, CM_GENERATION_ACTIVE);
    int64_t stopped = put_generation("issuing", 3, CM_GENERATION_RETIRING);
    record_for(7, 1, other, end_s);
    record_for(8, 2, stopped, end_s);
    record_for(9, 3, NEW, end_s);
    struct cm_order revoke = order_for_serial(9, CM_REASON_SUPERSEDED);
    CU_ASSERT_EQUAL(order_apply(&f, &revoke), CM_OK);
    record_for(10, 4, NEW, end_s);
    CU_ASSERT_STRING_EQUAL(holders_of(OLD), "d1:1 d2:2 d3:3 d4:4+10 d5:5 d6:6 ");
    fixture_done(&f);
}

/* A campaign about a key that goes on issuing: what comes behind its end is a renewal. */
static void test_what_an_active_key_has_issued_behind_the_end_renews(void)
{
    struct seen seen = { .count = 0 };
    struct cm_holder_stretch stretch = stretch_of(NEW);
    make("active");
    record_for(7, 1, NEW, end_s);
    record_for(8, 2, NEW, end_s);
    record_for(9, 1, NEW, end_s);
    stretch.until = number_of(8);
    CU_ASSERT_EQUAL(walk(&stretch, &seen), CM_OK);
    CU_ASSERT_STRING_EQUAL(seen.text, "d1:7+9 d2:8 ");
    CU_ASSERT_TRUE(stretch.is_end);
    CU_ASSERT_EQUAL(stretch.last, stretch.until);
    fixture_done(&f);
}

static void test_stretches_join_without_a_gap(void)
{
    struct seen seen = { .count = 0 };
    struct cm_holder_stretch stretch = stretch_of(OLD);
    unsigned stretches = 0;
    make("stretches");
    record_for(7, 3, NEW, end_s);
    stretch.rows_max = 2;
    while (!stretch.is_end && stretches < 20) {
        CU_ASSERT_EQUAL(walk(&stretch, &seen), CM_OK);
        CU_ASSERT_TRUE(seen.count <= 2 * ++stretches);
        stretch.after = stretch.last;
    }
    CU_ASSERT_STRING_EQUAL(seen.text, "d1:1 d2:2 d3:3+7 d4:4 d5:5 d6:6 ");
    CU_ASSERT_EQUAL(stretches, 4);
    /* and where whoever looks has enough */
    seen = (struct seen){ .stop_after = 2 };
    stretch = stretch_of(OLD);
    CU_ASSERT_EQUAL(walk(&stretch, &seen), CM_OK);
    CU_ASSERT_EQUAL(stretch.last, number_of(2));
    CU_ASSERT_FALSE(stretch.is_end);
    stretch.after = stretch.last;
    seen.stop_after = 0;
    CU_ASSERT_EQUAL(walk(&stretch, &seen), CM_OK);
    CU_ASSERT_STRING_EQUAL(seen.text, "d1:1 d2:2 d3:3+7 d4:4 d5:5 d6:6 ");
    fixture_done(&f);
}

static void test_what_is_on_its_way_is_waited_for(void)
{
    struct cm_intent_item item = { .key = row_key(3), .serial = row_serial(3) };
    struct cm_intent intent = {
        .created_ms = FIXTURE_TIME_MS, .generation_number = OLD, .items = &item, .items_count = 1
    };
    struct cm_store_op promise = { .kind = CM_STORE_INTENT, .intent = &intent };
    struct cm_store_op close = { .kind = CM_STORE_RECORD,
                                 .intents_closed = &intent.number,
                                 .intents_closed_count = 1,
                                 .audit = &fixture_audit };
    struct seen seen = { .count = 0 };
    struct cm_holder_stretch stretch = stretch_of(OLD);
    fixture_make(&f, "promised");
    put_generation("issuing", 1, CM_GENERATION_RETIRING);
    orders_put_devices(&f, DEVICES);
    record_for(2, 2, OLD, end_s);
    record_for(4, 4, OLD, end_s);
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &promise, &f.err), CM_OK);
    CU_ASSERT_EQUAL(walk(&stretch, &seen), CM_OK);
    CU_ASSERT_STRING_EQUAL(seen.text, "d2:2 ");
    CU_ASSERT_EQUAL(stretch.last, number_of(2));
    CU_ASSERT_FALSE(stretch.is_end);
    record_for(3, 3, OLD, end_s);
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &close, &f.err), CM_OK);
    stretch.after = stretch.last;
    stretch.settled = number_of(3);
    CU_ASSERT_EQUAL(walk(&stretch, &seen), CM_OK);
    CU_ASSERT_STRING_EQUAL(seen.text, "d2:2 d3:3 ");
    CU_ASSERT_FALSE(stretch.is_end);
    stretch.settled = 0;
    stretch.after = stretch.last;
    CU_ASSERT_EQUAL(walk(&stretch, &seen), CM_OK);
    CU_ASSERT_STRING_EQUAL(seen.text, "d2:2 d3:3 d4:4 ");
    CU_ASSERT_TRUE(stretch.is_end);
    fixture_done(&f);
}

/* ----------------------------------------------------------------- campaigns -- */

static cm_status change(struct cm_campaign_change *asked)
{
    struct cm_store_op op = { .kind = CM_STORE_CAMPAIGN,
                              .campaign = asked,
                              .audit = asked->kind == CM_CAMPAIGN_MOVE ? NULL : &fixture_audit };
    return cm_store_apply(f.store, &op, &f.err);
}

static cm_status start(const char *name, struct cm_campaign *campaign)
{
    struct cm_campaign_change asked = { .kind = CM_CAMPAIGN_START, .campaign = campaign };
    *campaign = (struct cm_campaign){ .name = cm_bytes_str(name),
                                      .actor = cm_bytes_str("operator:ann"),
                                      .generation_name = cm_bytes_str("issuing-1"),
                                      .groups = cm_bytes("odd\0even", 9),
                                      .window_s = 600,
                                      .rate_per_s = 10,
                                      .expected = 6 };
    return change(&asked);
}

static cm_status become(const char *name, enum cm_campaign_state to, bool *ret_changed)
{
    struct cm_campaign campaign = { .name = cm_bytes_str(name) };
    struct cm_campaign_change asked = { .kind = CM_CAMPAIGN_BECOME,
                                        .campaign = &campaign,
                                        .to = to };
    cm_status status = change(&asked);
    *ret_changed = asked.changed;
    CU_ASSERT_TRUE(status != CM_OK || campaign.state == to);
    return status;
}

static cm_status move(const struct cm_campaign *campaign, cm_certificate_number cursor,
                      int64_t noticed, int64_t renewed)
{
    struct cm_campaign moved = {
        .number = campaign->number, .cursor = cursor, .noticed = noticed, .renewed = renewed
    };
    struct cm_campaign_change asked = { .kind = CM_CAMPAIGN_MOVE, .campaign = &moved };
    return change(&asked);
}

struct look {
    const char *name;
    struct cm_campaign found; /* spans in the fixture's arena */
    unsigned count;
};

static bool look_at(const struct cm_campaign *campaign, void *arg)
{
    struct look *look = arg;
    look->count++;
    if (!cm_bytes_is(campaign->name, look->name))
        return true;
    look->found = *campaign;
    look->found.name = cm_arena_copy(&f.arena, campaign->name);
    look->found.actor = cm_arena_copy(&f.arena, campaign->actor);
    look->found.groups = cm_arena_copy(&f.arena, campaign->groups);
    look->found.generation_name = cm_arena_copy(&f.arena, campaign->generation_name);
    return true;
}

static struct cm_campaign get(const char *name)
{
    struct look look = { .name = name };
    CU_ASSERT_EQUAL(cm_store_walk_campaigns(fixture_snapshot(&f), look_at, &look, &f.err), CM_OK);
    return look.found;
}

static void test_a_campaign_stands_as_it_was_started(void)
{
    struct cm_campaign campaign;
    make("start");
    CU_ASSERT_EQUAL(start("rotate", &campaign), CM_OK);
    fixture_reopen(&f);
    struct cm_campaign found = get("rotate");
    CU_ASSERT_EQUAL(found.number, campaign.number);
    CU_ASSERT_EQUAL(found.state, CM_CAMPAIGN_RUNNING);
    CU_ASSERT_TRUE(cm_bytes_is(found.actor, "operator:ann"));
    CU_ASSERT_TRUE(cm_bytes_equal(found.groups, cm_bytes("odd\0even", 9)));
    CU_ASSERT_EQUAL(found.generation_number, OLD);
    CU_ASSERT_TRUE(cm_bytes_is(found.generation_name, "issuing-1"));
    CU_ASSERT_EQUAL(found.window_s, 600);
    CU_ASSERT_EQUAL(found.rate_per_s, 10);
    CU_ASSERT_EQUAL(found.expected, 6);
    CU_ASSERT_TRUE(found.created_ms > 0 && found.created_ms == campaign.created_ms);
    CU_ASSERT_TRUE(found.until >= found.created_ms << 20 && found.until == campaign.until);
    CU_ASSERT_EQUAL(found.cursor + found.noticed + found.renewed + found.ended_ms, 0);
    CU_ASSERT_EQUAL(start("rotate", &campaign), CM_EXISTS);
    CU_ASSERT_EQUAL(start("more", &campaign), CM_OK);
    CU_ASSERT_EQUAL(get("more").state, CM_CAMPAIGN_RUNNING);
    fixture_done(&f);
}

static void test_a_campaign_needs_a_generation(void)
{
    struct cm_campaign campaign;
    fixture_make(&f, "none");
    CU_ASSERT_EQUAL(start("rotate", &campaign), CM_NOT_FOUND);
    fixture_done(&f);
}

static void test_states_follow_their_arrows(void)
{
    struct cm_campaign campaign;
    bool changed;
    make("arrows");
    CU_ASSERT_EQUAL(become("rotate", CM_CAMPAIGN_PAUSED, &changed), CM_NOT_FOUND);
    CU_ASSERT_EQUAL(start("rotate", &campaign), CM_OK);
    CU_ASSERT_EQUAL(become("rotate", CM_CAMPAIGN_PAUSED, &changed), CM_OK);
    CU_ASSERT_TRUE(changed);
    CU_ASSERT_EQUAL(become("rotate", CM_CAMPAIGN_PAUSED, &changed), CM_OK);
    CU_ASSERT_FALSE(changed);
    CU_ASSERT_EQUAL(become("rotate", CM_CAMPAIGN_DONE, &changed), CM_INVALID);
    CU_ASSERT_EQUAL(become("rotate", CM_CAMPAIGN_RUNNING, &changed), CM_OK);
    CU_ASSERT_EQUAL(get("rotate").ended_ms, 0);
    CU_ASSERT_EQUAL(become("rotate", CM_CAMPAIGN_DONE, &changed), CM_OK);
    CU_ASSERT_TRUE(get("rotate").ended_ms > 0);
    CU_ASSERT_EQUAL(become("rotate", CM_CAMPAIGN_CANCELLED, &changed), CM_INVALID);
    CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, "done cannot become cancelled"));
    fixture_done(&f);
}

static void test_a_campaign_moves_forwards_only(void)
{
    struct cm_campaign campaign;
    bool changed;
    make("moves");
    CU_ASSERT_EQUAL(start("rotate", &campaign), CM_OK);
    CU_ASSERT_EQUAL(move(&campaign, 100, 7, 2), CM_OK);
    CU_ASSERT_EQUAL(become("rotate", CM_CAMPAIGN_PAUSED, &changed), CM_OK);
    CU_ASSERT_EQUAL(move(&campaign, 100, 1, 0), CM_OK); /* was on its way as it was paused */
    CU_ASSERT_EQUAL(move(&campaign, 99, 1, 0), CM_INVALID);
    fixture_reopen(&f);
    CU_ASSERT_EQUAL(get("rotate").cursor, 100);
    CU_ASSERT_EQUAL(get("rotate").noticed, 8);
    CU_ASSERT_EQUAL(get("rotate").renewed, 2);
    fixture_done(&f);
}

CM_TEST_SUITE(store_campaigns, CM_TEST(test_whoever_holds_one_is_found_with_it),
              CM_TEST(test_what_has_ended_or_is_revoked_is_held_by_nobody),
              CM_TEST(test_what_is_revoked_for_its_authority_s_sake_is_still_to_be_renewed),
              CM_TEST(test_of_several_certificates_the_last_good_one_counts),
              CM_TEST(test_only_an_active_key_of_the_same_authority_renews),
              CM_TEST(test_what_an_active_key_has_issued_behind_the_end_renews),
              CM_TEST(test_stretches_join_without_a_gap),
              CM_TEST(test_what_is_on_its_way_is_waited_for),
              CM_TEST(test_a_campaign_stands_as_it_was_started),
              CM_TEST(test_a_campaign_needs_a_generation), CM_TEST(test_states_follow_their_arrows),
              CM_TEST(test_a_campaign_moves_forwards_only));

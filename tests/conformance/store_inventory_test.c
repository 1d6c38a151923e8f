/* The store's contract: devices, generations, quotas, the audit chain. */
#include "tests/conformance/store_fixture.h"

#include "tests/support/test_main.h"

static struct fixture f;
static struct record record_a;

/* ------------------------------------------------------------------ devices -- */

static struct cm_device_row device_row(const char *id, const char *group, bool replace)
{
    return (struct cm_device_row){ .id = cm_bytes_str(id),
                                   .group = cm_bytes_str(group),
                                   .attributes = cm_bytes("model\0x1\0", 9),
                                   .state = replace ? CM_DEVICE_QUARANTINED : CM_DEVICE_ALLOWED,
                                   .replace = replace };
}

static cm_status import(struct cm_device_row *rows, unsigned count, uint32_t *ret_changed)
{
    struct cm_store_op op = {
        .kind = CM_STORE_DEVICES, .devices = rows, .devices_count = count, .audit = &fixture_audit
    };
    cm_status status = cm_store_apply(f.store, &op, &f.err);
    *ret_changed = op.devices_changed;
    return status;
}

static struct cm_device find_device(const char *id)
{
    struct cm_device device = { .number = -1 };
    CU_ASSERT_EQUAL(
        cm_store_find_device(fixture_snapshot(&f), cm_bytes_str(id), &f.arena, &device, &f.err),
        CM_OK);
    return device;
}

static bool count_device(const struct cm_device *device, void *arg)
{
    unsigned *count = arg;
    (void)device;
    ++*count;
    return true;
}

static void test_devices_are_kept_or_replaced_as_asked(void)
{
    uint32_t changed;
    struct cm_device_row rows[] = { device_row("a", "line-1", false),
                                    device_row("b", "line-1", false) };
    fixture_make(&f, "devices");
    CU_ASSERT_EQUAL(import(rows, 2, &changed), CM_OK);
    CU_ASSERT_EQUAL(changed, 2);
    int64_t number = find_device("a").number;
    rows[0] = device_row("a", "line-2", false);
    rows[1] = device_row("b", "line-2", true);
    CU_ASSERT_EQUAL(import(rows, 2, &changed), CM_OK);
    CU_ASSERT_EQUAL(changed, 1);
    fixture_reopen(&f);
    struct cm_device a = find_device("a"), b = find_device("b");
    CU_ASSERT_EQUAL(a.number, number);
    CU_ASSERT_TRUE(cm_bytes_is(a.group, "line-1"));
    CU_ASSERT_EQUAL(a.state, CM_DEVICE_ALLOWED);
    CU_ASSERT_TRUE(cm_bytes_is(b.group, "line-2"));
    CU_ASSERT_EQUAL(b.state, CM_DEVICE_QUARANTINED);
    CU_ASSERT_TRUE(cm_bytes_is(cm_device_attribute(b.attributes, cm_bytes_str("model")), "x1"));
    CU_ASSERT_EQUAL(find_device("c").number, 0);
    CU_ASSERT_EQUAL(fixture_counts(&f).devices, 2);
    fixture_done(&f);
}

static void test_devices_are_walked_by_group(void)
{
    uint32_t changed;
    unsigned all = 0, some = 0, none = 0;
    struct cm_device_row rows[] = { device_row("a", "one", false), device_row("b", "two", false),
                                    device_row("c", "two", false) };
    fixture_make(&f, "groups");
    CU_ASSERT_EQUAL(import(rows, 3, &changed), CM_OK);
    struct cm_store_reader *reader = fixture_snapshot(&f);
    CU_ASSERT_EQUAL(cm_store_walk_devices(reader, cm_bytes(NULL, 0), count_device, &all, &f.err),
                    CM_OK);
    CU_ASSERT_EQUAL(cm_store_walk_devices(reader, cm_bytes_str("two"), count_device, &some, &f.err),
                    CM_OK);
    CU_ASSERT_EQUAL(cm_store_walk_devices(reader, cm_bytes_str("ten"), count_device, &none, &f.err),
                    CM_OK);
    CU_ASSERT_EQUAL(all, 3);
    CU_ASSERT_EQUAL(some, 2);
    CU_ASSERT_EQUAL(none, 0);
    fixture_done(&f);
}

static void test_a_device_without_id_or_with_a_long_one_is_refused(void)
{
    uint32_t changed;
    char text[257];
    memset(text, 'x', 256);
    text[256] = '\0';
    struct cm_device_row rows[] = { device_row("good", "g", false), device_row("", "g", false) };
    fixture_make(&f, "bad-devices");
    CU_ASSERT_EQUAL(import(rows, 2, &changed), CM_INVALID);
    rows[1] = device_row(text, "g", false);
    CU_ASSERT_EQUAL(import(rows, 2, &changed), CM_INVALID);
    CU_ASSERT_EQUAL(fixture_counts(&f).devices, 0);
    rows[1].id.size = 255;
    CU_ASSERT_EQUAL(import(rows, 2, &changed), CM_OK);
    fixture_done(&f);
}

static cm_status record_enrolling(unsigned n, const char *id)
{
    record_fill(&record_a, n, 2);
    for (unsigned i = 0; i < 2; i++) {
        record_a.rows[i].device_number = 0;
        record_a.rows[i].enroll_device = cm_bytes_str(id);
        record_a.rows[i].enroll_group = cm_bytes_str("new");
    }
    return cm_store_apply(f.store, &record_a.op, &f.err);
}

static void test_a_record_registers_the_device_that_it_enrolls(void)
{
    uint32_t changed;
    struct cm_device_row bad = device_row("bad", "old", true);
    fixture_make(&f, "enroll");
    CU_ASSERT_EQUAL(import(&bad, 1, &changed), CM_OK);
    CU_ASSERT_EQUAL(record_enrolling(1, "fresh"), CM_OK);
    CU_ASSERT_EQUAL(record_enrolling(3, "bad"), CM_DENIED); /* quarantined */
    CU_ASSERT_EQUAL(record_a.rows[0].denial, CM_DENIAL_STATE);
    CU_ASSERT_EQUAL(record_enrolling(5, "fresh"), CM_OK);
    struct cm_device device = find_device("fresh");
    CU_ASSERT(device.number > 0);
    CU_ASSERT_TRUE(cm_bytes_is(device.group, "new"));
    CU_ASSERT_EQUAL(device.state, CM_DEVICE_ALLOWED);
    struct cm_certificate_found found;
    struct cm_serial serial = row_serial(2);
    CU_ASSERT_EQUAL(cm_store_find_certificate(fixture_snapshot(&f), cm_serial_number(&serial),
                                              &f.arena, &found, &f.err),
                    CM_OK);
    CU_ASSERT_EQUAL(found.device_number, device.number);
    CU_ASSERT_EQUAL(fixture_counts(&f).devices, 2);
    fixture_done(&f);
}

/* ------------------------------------------------------- generations, usage -- */

struct generations {
    unsigned count;
    int64_t numbers[4];
    enum cm_generation_state states[4];
};

static bool see_generation(const struct cm_generation *generation, void *arg)
{
    struct generations *seen = arg;
    CU_ASSERT_TRUE(cm_bytes_is(generation->authority, "issuing"));
    CU_ASSERT_TRUE(cm_bytes_is(generation->certificate, "der"));
    seen->numbers[seen->count] = generation->number;
    seen->states[seen->count++] = generation->state;
    return true;
}

static void test_generations_are_added_once_and_replaced_but_for_their_state(void)
{
    struct generations seen = { .count = 0 };
    struct cm_generation generation = fixture_generation(1);
    generation.state = CM_GENERATION_PENDING;
    fixture_make(&f, "generations");
    CU_ASSERT_EQUAL(fixture_put_generation(&f, &generation), CM_OK);
    int64_t number = generation.number;
    CU_ASSERT(number > 0);
    generation.state = CM_GENERATION_ACTIVE; /* that is a transition's to change */
    CU_ASSERT_EQUAL(fixture_put_generation(&f, &generation), CM_OK);
    generation.number = 0;
    CU_ASSERT_EQUAL(fixture_put_generation(&f, &generation), CM_EXISTS);
    generation.number = 99;
    CU_ASSERT_EQUAL(fixture_put_generation(&f, &generation), CM_NOT_FOUND);
    CU_ASSERT_EQUAL(cm_store_walk_generations(fixture_snapshot(&f), see_generation, &seen, &f.err),
                    CM_OK);
    CU_ASSERT_EQUAL(seen.count, 1);
    CU_ASSERT_EQUAL(seen.numbers[0], number);
    CU_ASSERT_EQUAL(seen.states[0], CM_GENERATION_PENDING);
    fixture_done(&f);
}

static bool sum_usage(const struct cm_usage_row *usage, void *arg)
{
    int64_t *sums = arg;
    sums[cm_bytes_is(usage->name, "requester:local") ? 0 : 1] += usage->count;
    return true;
}

static void test_usage_adds_up_by_name_and_period(void)
{
    struct cm_usage_row rows[] = { { cm_bytes_str("requester:local"), 19000, 3 },
                                   { cm_bytes_str("group:default"), 19000, 4 },
                                   { cm_bytes_str("requester:local"), 19001, 50 } };
    struct cm_store_op op = {
        .kind = CM_STORE_RECORD, .usage = rows, .usage_count = 3, .audit = &fixture_audit
    };
    int64_t sums[2] = { 0, 0 };
    fixture_make(&f, "usage");
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &op, &f.err), CM_OK);
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &op, &f.err), CM_OK);
    CU_ASSERT_EQUAL(cm_store_walk_usage(fixture_snapshot(&f), 19000, sum_usage, sums, &f.err),
                    CM_OK);
    CU_ASSERT_EQUAL(sums[0], 6);
    CU_ASSERT_EQUAL(sums[1], 8);
    fixture_done(&f);
}

/* -------------------------------------------------------------------- audit -- */

struct chain {
    int64_t next;
    uint8_t tail[CM_HASH_SIZE];
    bool holds;
};

static bool follow(const struct cm_audit_row *row, void *arg)
{
    struct chain *chain = arg;
    uint8_t hash[CM_HASH_SIZE];
    cm_audit_hash(row, hash);
    chain->holds = row->number == chain->next++
                   && memcmp(row->previous, chain->tail, CM_HASH_SIZE) == 0
                   && memcmp(row->hash, hash, CM_HASH_SIZE) == 0;
    memcpy(chain->tail, row->hash, CM_HASH_SIZE);
    return chain->holds;
}

static void test_the_audit_chain_holds_over_failures_and_restarts(void)
{
    struct chain chain = { .next = 1 };
    fixture_make(&f, "chain");
    CU_ASSERT_EQUAL(fixture_record(&f, 1, 1), CM_OK);
    CU_ASSERT_EQUAL(fixture_record(&f, 1, 1), CM_EXISTS);
    CU_ASSERT_EQUAL(fixture_record(&f, 2, 1), CM_OK);
    fixture_reopen(&f);
    CU_ASSERT_EQUAL(fixture_record(&f, 2, 1), CM_EXISTS);
    CU_ASSERT_EQUAL(fixture_record(&f, 3, 1), CM_OK);
    CU_ASSERT_EQUAL(cm_store_walk_audit(fixture_snapshot(&f), 1, follow, &chain, &f.err), CM_OK);
    CU_ASSERT_TRUE(chain.holds);
    CU_ASSERT_EQUAL(chain.next, 4);
    fixture_done(&f);
}

CM_TEST_SUITE(store_inventory, CM_TEST(test_devices_are_kept_or_replaced_as_asked),
              CM_TEST(test_devices_are_walked_by_group),
              CM_TEST(test_a_device_without_id_or_with_a_long_one_is_refused),
              CM_TEST(test_a_record_registers_the_device_that_it_enrolls),
              CM_TEST(test_generations_are_added_once_and_replaced_but_for_their_state),
              CM_TEST(test_usage_adds_up_by_name_and_period),
              CM_TEST(test_the_audit_chain_holds_over_failures_and_restarts));

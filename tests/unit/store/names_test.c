#include "engine/store/store.h"
#include "tests/support/test_main.h"

static void test_a_serial_number_is_its_first_eight_octets_big_endian(void)
{
    struct cm_serial serial = { { 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0xff } };
    CU_ASSERT_EQUAL(cm_serial_number(&serial), INT64_C(0x0102030405060708));
}

static struct cm_serial serial_of(const char *content, size_t size)
{
    struct cm_serial serial = { .octets = { 0 } };
    CU_ASSERT_TRUE(cm_serial_from_content(cm_bytes(content, size), &serial));
    return serial;
}

static void test_a_serial_is_written_and_read_as_the_content_of_an_integer(void)
{
    static const struct {
        const char *content;
        size_t size;
    } good[] = {
        { "\x01", 1 },
        { "\x7f", 1 },
        { "\x00\x80", 2 },
        { "\x7f\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 20 },
        { "\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 20 }
    };
    for (unsigned i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct cm_serial serial = serial_of(good[i].content, good[i].size);
        CU_ASSERT_TRUE(
            cm_bytes_equal(cm_serial_content(&serial), cm_bytes(good[i].content, good[i].size)));
    }
    CU_ASSERT_EQUAL(serial_of("\x7f", 1).octets[CM_SERIAL_SIZE - 1], 0x7f);
}

static void test_what_is_no_content_of_a_positive_integer_is_no_serial(void)
{
    static const char long_one[21] = { 1 };
    struct cm_serial serial;
    CU_ASSERT_FALSE(cm_serial_from_content(cm_bytes(NULL, 0), &serial));
    CU_ASSERT_FALSE(cm_serial_from_content(cm_bytes("", 1), &serial)); /* zero */
    CU_ASSERT_FALSE(cm_serial_from_content(cm_bytes("\x80", 1), &serial));
    CU_ASSERT_FALSE(cm_serial_from_content(cm_bytes("\x00\x7f", 2), &serial));
    CU_ASSERT_FALSE(cm_serial_from_content(cm_bytes(long_one, 21), &serial));
}

static void test_orders_have_the_names_of_the_queue_s_operations(void)
{
    CU_ASSERT_STRING_EQUAL(cm_order_name(CM_ORDER_REVOKE), "revoke");
    CU_ASSERT_STRING_EQUAL(cm_order_name(CM_ORDER_RETIRE), "retire");
    CU_ASSERT_STRING_EQUAL(cm_order_name(CM_ORDER_COUNT), "unknown");
}

static void test_states_are_found_by_the_names_that_they_have(void)
{
    enum cm_device_state device;
    enum cm_generation_state generation;
    for (unsigned i = 0; i < CM_DEVICE_STATE_COUNT; i++) {
        const char *name = cm_device_state_name((enum cm_device_state)i);
        CU_ASSERT_TRUE(cm_device_state_find(name, &device));
        CU_ASSERT_EQUAL(device, i);
    }
    for (unsigned i = 0; i < CM_GENERATION_STATE_COUNT; i++) {
        const char *name = cm_generation_state_name((enum cm_generation_state)i);
        CU_ASSERT_TRUE(cm_generation_state_find(name, &generation));
        CU_ASSERT_EQUAL(generation, i);
    }
    CU_ASSERT_FALSE(cm_device_state_find("Allowed", &device));
    CU_ASSERT_FALSE(cm_generation_state_find("", &generation));
    CU_ASSERT_STRING_EQUAL(cm_device_state_name(CM_DEVICE_STATE_COUNT), "unknown");
}

static struct cm_bytes attribute(const char *attributes, size_t size, const char *key)
{
    return cm_device_attribute(cm_bytes(attributes, size), cm_bytes_str(key));
}

static void test_an_attribute_is_found_by_its_whole_key(void)
{
    static const char list[] = "line\0two\0model\0\0site\0hall";
    CU_ASSERT_TRUE(cm_bytes_is(attribute(list, sizeof list, "line"), "two"));
    CU_ASSERT_TRUE(cm_bytes_is(attribute(list, sizeof list, "site"), "hall"));
    CU_ASSERT_PTR_NOT_NULL(attribute(list, sizeof list, "model").data);
    CU_ASSERT_EQUAL(attribute(list, sizeof list, "model").size, 0);
    CU_ASSERT_PTR_NULL(attribute(list, sizeof list, "lin").data);
    CU_ASSERT_PTR_NULL(attribute(list, sizeof list, "two").data); /* a value is no key */
    CU_ASSERT_PTR_NULL(attribute("", 0, "line").data);
    CU_ASSERT_PTR_NULL(attribute("line\0two", 8, "line").data); /* cut off */
}

static struct cm_audit_row audit_row(void)
{
    return (struct cm_audit_row){ .number = 2,
                                  .time_ms = 3,
                                  .kind = "issue",
                                  .actor = cm_bytes_str("local"),
                                  .detail = cm_bytes_str("{}") };
}

static bool changes_hash(const struct cm_audit_row *changed)
{
    struct cm_audit_row row = audit_row();
    uint8_t a[CM_HASH_SIZE], b[CM_HASH_SIZE];
    cm_audit_hash(&row, a);
    cm_audit_hash(changed, b);
    return memcmp(a, b, CM_HASH_SIZE) != 0;
}

static void test_every_field_of_an_audit_row_is_in_its_hash(void)
{
    struct cm_audit_row row = audit_row();
    CU_ASSERT_FALSE(changes_hash(&row));
    row.hash[0] = 1;
    CU_ASSERT_FALSE(changes_hash(&row));
    row = audit_row(), row.number++;
    CU_ASSERT_TRUE(changes_hash(&row));
    row = audit_row(), row.time_ms++;
    CU_ASSERT_TRUE(changes_hash(&row));
    row = audit_row(), row.kind = "issued";
    CU_ASSERT_TRUE(changes_hash(&row));
    row = audit_row(), row.detail = cm_bytes_str("{ }");
    CU_ASSERT_TRUE(changes_hash(&row));
    row = audit_row(), row.digest[31] = 1;
    CU_ASSERT_TRUE(changes_hash(&row));
    row = audit_row(), row.previous[0] = 1;
    CU_ASSERT_TRUE(changes_hash(&row));
    /* The border between two texts counts. */
    row = audit_row(), row.kind = "issuel", row.actor = cm_bytes_str("ocal");
    CU_ASSERT_TRUE(changes_hash(&row));
}

/* Made with: (head -c 39 /dev/zero; printf '\001'; head -c 8 /dev/zero; printf '\0\0\0\1k\0\0\0\0'
 *             printf '\0\0\0\2{}'; head -c 32 /dev/zero) | sha256sum */
static void test_the_audit_hash_is_what_the_contract_says(void)
{
    const struct cm_audit_row row = { .number = 1, .kind = "k", .detail = cm_bytes_str("{}") };
    uint8_t hash[CM_HASH_SIZE];
    char text[2 * CM_HASH_SIZE + 1];
    cm_audit_hash(&row, hash);
    cm_hex_encode(cm_bytes(hash, sizeof hash), text);
    CU_ASSERT_STRING_EQUAL(text,
                           "74f1227aa3cd0fb2e30a4ce4b01f81db4c26fe396e37306a2ad82576ce46e9af");
}

CM_TEST_SUITE(store_names, CM_TEST(test_a_serial_number_is_its_first_eight_octets_big_endian),
              CM_TEST(test_a_serial_is_written_and_read_as_the_content_of_an_integer),
              CM_TEST(test_what_is_no_content_of_a_positive_integer_is_no_serial),
              CM_TEST(test_orders_have_the_names_of_the_queue_s_operations),
              CM_TEST(test_states_are_found_by_the_names_that_they_have),
              CM_TEST(test_an_attribute_is_found_by_its_whole_key),
              CM_TEST(test_every_field_of_an_audit_row_is_in_its_hash),
              CM_TEST(test_the_audit_hash_is_what_the_contract_says));

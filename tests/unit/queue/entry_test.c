#include "queue/entry.h"
#include "tests/support/test_main.h"

static struct cm_entry entry;

static void add(const char *name, const char *value)
{
    cm_entry_add_field(&entry, cm_bytes_str(name), cm_bytes_str(value));
}

static void test_each_field_is_found_by_its_name(void)
{
    for (unsigned field = 0; field < CM_FIELD_COUNT; field++)
        CU_ASSERT_EQUAL(cm_field_find(cm_bytes_str(cm_field_name((enum cm_field)field))), field);
}

static void test_other_names_are_no_fields(void)
{
    static const char *const names[] = { "", "ID", "i", "idx", "opp", "csr ", "requesters" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        CU_ASSERT_EQUAL(cm_field_find(cm_bytes_str(names[i])), CM_FIELD_COUNT);
    CU_ASSERT_EQUAL(cm_field_find(cm_bytes("id\0", 3)), CM_FIELD_COUNT);
    CU_ASSERT_EQUAL(cm_field_find(cm_bytes(NULL, 0)), CM_FIELD_COUNT);
}

static void test_the_first_thing_wrong_is_the_refusal(void)
{
    cm_entry_start(&entry);
    add("id", "1");
    add("id", "2");
    add("color", "red");
    cm_entry_finish(&entry, 1, 5);
    CU_ASSERT_EQUAL(entry.refusal.code, CM_REFUSAL_REQUEST_FIELD_DUPLICATE);
    CU_ASSERT_EQUAL(entry.size, 2 + 1 + 2 + 1 + 5 + 3);
}

static void test_an_unknown_name_is_shown_without_its_bytes(void)
{
    cm_entry_start(&entry);
    add("a\x1b[31m", "x");
    CU_ASSERT_PTR_NOT_NULL(strstr(entry.refusal.message, "\"a\\x1b[31m\""));
}

static void test_a_name_that_was_not_kept_is_unknown(void)
{
    cm_entry_start(&entry);
    cm_entry_add_field(&entry, cm_bytes(NULL, 70000), cm_bytes_str("x"));
    CU_ASSERT_EQUAL(entry.refusal.code, CM_REFUSAL_REQUEST_FIELD_UNKNOWN);
}

static void test_too_large_outranks_unknown(void)
{
    cm_entry_start(&entry);
    add("color", "red");
    cm_entry_add_field(&entry, cm_bytes_str("csr"), cm_bytes(NULL, CM_ENTRY_SIZE_MAX));
    cm_entry_finish(&entry, 1, 5);
    CU_ASSERT_EQUAL(entry.refusal.code, CM_REFUSAL_REQUEST_TOO_LARGE);
    CU_ASSERT_PTR_NULL(entry.fields[CM_FIELD_CSR].data);
}

static void test_the_size_limit_is_exact(void)
{
    static char value[CM_ENTRY_SIZE_MAX];
    for (unsigned over = 0; over < 2; over++) {
        cm_entry_start(&entry);
        cm_entry_add_field(&entry, cm_bytes_str("csr"), cm_bytes(value, sizeof value - 3 + over));
        cm_entry_finish(&entry, 1, 0);
        CU_ASSERT_EQUAL(entry.refusal.code, over ? CM_REFUSAL_REQUEST_TOO_LARGE : CM_REFUSAL_NONE);
    }
}

static void test_what_fields_lack_is_not_covered_whatever_else_is_wrong(void)
{
    cm_entry_start(&entry);
    add("id", "1");
    cm_entry_finish(&entry, 6, 5);
    CU_ASSERT_TRUE(entry.is_covered);
    cm_entry_start(&entry);
    add("color", "red");
    cm_entry_finish(&entry, 6, 5);
    CU_ASSERT_EQUAL(entry.refusal.code, CM_REFUSAL_REQUEST_UNDELIVERABLE);
    CU_ASSERT_FALSE(entry.is_covered);
    cm_entry_start(&entry);
    add("id", "1");
    add("id", "1");
    cm_entry_finish(&entry, 6, 5);
    CU_ASSERT_FALSE(entry.is_covered);
    cm_entry_start(&entry);
    cm_entry_add_field(&entry, cm_bytes_str("csr"), cm_bytes(NULL, CM_ENTRY_SIZE_MAX));
    cm_entry_finish(&entry, 6, 5);
    CU_ASSERT_FALSE(entry.is_covered);
}

static void test_deliveries_are_limited_only_where_there_is_a_limit(void)
{
    cm_entry_start(&entry);
    cm_entry_finish(&entry, 1000, 0);
    CU_ASSERT_EQUAL(entry.refusal.code, CM_REFUSAL_NONE);
    cm_entry_finish(&entry, 5, 5);
    CU_ASSERT_EQUAL(entry.refusal.code, CM_REFUSAL_NONE);
    cm_entry_finish(&entry, 6, 5);
    CU_ASSERT_EQUAL(entry.refusal.code, CM_REFUSAL_REQUEST_UNDELIVERABLE);
}

CM_TEST_SUITE(entry, CM_TEST(test_each_field_is_found_by_its_name),
              CM_TEST(test_other_names_are_no_fields),
              CM_TEST(test_the_first_thing_wrong_is_the_refusal),
              CM_TEST(test_an_unknown_name_is_shown_without_its_bytes),
              CM_TEST(test_a_name_that_was_not_kept_is_unknown),
              CM_TEST(test_too_large_outranks_unknown), CM_TEST(test_the_size_limit_is_exact),
              CM_TEST(test_what_fields_lack_is_not_covered_whatever_else_is_wrong),
              CM_TEST(test_deliveries_are_limited_only_where_there_is_a_limit));

/* The requests of one entry: whose is a field, what is wrong with one of them, what with all. */
#include <stdio.h>
#include <stdlib.h>

#include "queue/several.h"
#include "tests/support/test_main.h"

struct pair {
    const char *name;
    const char *value; /* NULL: it was not kept, and is too large */
};

static struct cm_entry made[CM_SEVERAL_MAX + 1];
static struct cm_several several;
static uint32_t count;

/* name NULL: it was not kept. */
static struct cm_bytes text(const char *name)
{
    return name ? cm_bytes_str(name) : cm_bytes(NULL, CM_ENTRY_SIZE_MAX);
}

static void read_delivered(const struct pair *pairs, size_t pairs_count, uint32_t deliveries_count)
{
    struct cm_entry *entries[CM_SEVERAL_MAX + 1];
    several = (struct cm_several){ .numbers = 0 };
    for (size_t i = 0; i < pairs_count; i++)
        cm_several_look(&several, text(pairs[i].name));
    count = cm_several_count(&several);
    for (uint32_t i = 0; i < count; i++) {
        entries[i] = &made[i];
        cm_entry_start(entries[i]);
    }
    for (size_t i = 0; i < pairs_count && count > 0; i++)
        cm_several_add(&several, entries, text(pairs[i].name), text(pairs[i].value));
    cm_several_end(&several, entries);
    for (uint32_t i = 0; i < count; i++)
        cm_entry_finish(entries[i], deliveries_count, 5);
}

#define READ(...) READ_DELIVERED(1, __VA_ARGS__)
#define READ_DELIVERED(deliveries_count, ...)                                                      \
    do {                                                                                           \
        static const struct pair pairs[] = { __VA_ARGS__ };                                        \
        read_delivered(pairs, sizeof pairs / sizeof pairs[0], deliveries_count);                   \
    } while (0)

static bool has(uint32_t position, enum cm_field field, const char *value)
{
    struct cm_bytes found = made[position].fields[field];
    return value ? cm_bytes_is(found, value) : !found.data;
}

static enum cm_refusal_code code(uint32_t position)
{
    return made[position].refusal.code;
}

static void expect_all(enum cm_refusal_code expected, bool is_covered)
{
    for (uint32_t i = 0; i < count; i++) {
        CU_ASSERT_EQUAL(code(i), expected);
        CU_ASSERT_EQUAL(made[i].is_covered, is_covered);
    }
}

static void test_a_number_is_one_to_sixty_four_behind_a_dot(void)
{
    static const struct {
        const char *name;
        enum cm_several_owner owner;
        uint32_t number;
    } cases[] = {
        { "id.1", CM_SEVERAL_ONE, 1 },
        { "csr.9", CM_SEVERAL_ONE, 9 },
        { "csr.10", CM_SEVERAL_ONE, 10 },
        { "csr.64", CM_SEVERAL_ONE, 64 },
        { "x.y.2", CM_SEVERAL_ONE, 2 },
        { "color.3", CM_SEVERAL_ONE, 3 },
        { "id", CM_SEVERAL_ALL, 0 },
        { "", CM_SEVERAL_ALL, 0 },
        { "id.", CM_SEVERAL_ALL, 0 },
        { "id1", CM_SEVERAL_ALL, 0 },
        { "7", CM_SEVERAL_ALL, 0 },
        { "id.1a", CM_SEVERAL_ALL, 0 },
        { "id.0", CM_SEVERAL_UNTOLD, 0 },
        { "id.01", CM_SEVERAL_UNTOLD, 0 },
        { "id.65", CM_SEVERAL_UNTOLD, 0 },
        { "id.100", CM_SEVERAL_UNTOLD, 0 },
        { "id.4294967297", CM_SEVERAL_UNTOLD, 0 },
        { NULL, CM_SEVERAL_UNTOLD, 0 },
        { ".5", CM_SEVERAL_ONE, 5 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cm_bytes field = cm_bytes(NULL, 0);
        uint32_t number = 0;
        CU_ASSERT_EQUAL(cm_several_owner(text(cases[i].name), &field, &number), cases[i].owner);
        CU_ASSERT_EQUAL(number, cases[i].number);
    }
}

static void test_without_a_number_it_is_an_entry_of_one_request(void)
{
    READ({ "id", "1" }, { "csr", "x" });
    CU_ASSERT_EQUAL(count, 0);
    READ({ "id", "1" }, { "csr.65", "x" });
    CU_ASSERT_EQUAL(count, 0);
}

static void test_each_request_has_its_fields_and_those_for_all(void)
{
    READ({ "csr.7", "c7" }, { "id.2", "two" }, { "id.7", "seven" }, { "requester", "line" },
         { "device.2", "d2" }, { "op.7", "renew" });
    CU_ASSERT_EQUAL_FATAL(count, 2);
    CU_ASSERT_EQUAL(cm_several_number(&several, 0), 2);
    CU_ASSERT_EQUAL(cm_several_number(&several, 1), 7);
    CU_ASSERT_TRUE(has(0, CM_FIELD_ID, "two") && has(0, CM_FIELD_DEVICE, "d2"));
    CU_ASSERT_TRUE(has(0, CM_FIELD_CSR, NULL) && has(0, CM_FIELD_OP, NULL));
    CU_ASSERT_TRUE(has(1, CM_FIELD_ID, "seven") && has(1, CM_FIELD_CSR, "c7"));
    CU_ASSERT_TRUE(has(1, CM_FIELD_OP, "renew") && has(1, CM_FIELD_DEVICE, NULL));
    CU_ASSERT_TRUE(has(0, CM_FIELD_REQUESTER, "line") && has(1, CM_FIELD_REQUESTER, "line"));
    expect_all(CM_REFUSAL_NONE, true);
}

static void test_sixty_four_requests_stand_in_an_entry(void)
{
    struct pair pairs[CM_SEVERAL_MAX];
    char names[CM_SEVERAL_MAX][8];
    for (uint32_t i = 0; i < CM_SEVERAL_MAX; i++) {
        snprintf(names[i], sizeof names[i], "id.%u", CM_SEVERAL_MAX - i);
        pairs[i] = (struct pair){ names[i], names[i] };
    }
    read_delivered(pairs, CM_SEVERAL_MAX, 1);
    CU_ASSERT_EQUAL_FATAL(count, CM_SEVERAL_MAX);
    CU_ASSERT_EQUAL(cm_several_number(&several, CM_SEVERAL_MAX - 1), CM_SEVERAL_MAX);
    CU_ASSERT_TRUE(has(0, CM_FIELD_ID, "id.1") && has(63, CM_FIELD_ID, "id.64"));
    expect_all(CM_REFUSAL_NONE, true);
}

static void test_what_is_wrong_with_one_is_no_matter_of_the_others(void)
{
    READ({ "id.1", "a" }, { "color.1", "red" }, { "id.2", "b" }, { "id.3", "c" }, { "id.3", "c" },
         { "id.4", "d" }, { "csr.5", "no id" });
    CU_ASSERT_EQUAL_FATAL(count, 5);
    CU_ASSERT_EQUAL(code(0), CM_REFUSAL_REQUEST_FIELD_UNKNOWN);
    CU_ASSERT_PTR_NOT_NULL(strstr(made[0].refusal.message, "\"color\""));
    CU_ASSERT_EQUAL(code(1), CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(code(2), CM_REFUSAL_REQUEST_FIELD_DUPLICATE);
    CU_ASSERT_EQUAL(code(3), CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(code(4), CM_REFUSAL_NONE); /* decode says what it lacks */
    CU_ASSERT_FALSE(made[0].is_covered || made[2].is_covered);
    CU_ASSERT_TRUE(made[1].is_covered && made[3].is_covered);
}

static void test_a_field_for_all_stands_twice_where_one_has_it_too(void)
{
    READ({ "profile.2", "p" }, { "profile", "q" }, { "id.1", "a" }, { "id.2", "b" });
    CU_ASSERT_EQUAL(code(0), CM_REFUSAL_NONE);
    CU_ASSERT_TRUE(has(0, CM_FIELD_PROFILE, "q"));
    CU_ASSERT_EQUAL(code(1), CM_REFUSAL_REQUEST_FIELD_DUPLICATE);
    READ({ "op", "issue" }, { "op", "issue" }, { "id.1", "a" }, { "id.2", "b" });
    expect_all(CM_REFUSAL_REQUEST_FIELD_DUPLICATE, false);
}

static void test_an_unknown_field_without_a_number_is_wrong_with_all(void)
{
    READ({ "id.1", "a" }, { "color", "red" }, { "id.2", "b" });
    CU_ASSERT_EQUAL(count, 2);
    expect_all(CM_REFUSAL_REQUEST_FIELD_UNKNOWN, false);
    CU_ASSERT_TRUE(has(0, CM_FIELD_ID, "a") && has(1, CM_FIELD_ID, "b"));
}

static void test_what_names_or_signs_a_request_is_for_no_other(void)
{
    static const char *const own[] = { "id", "device", "csr", "serial", "auth" };
    static const char *const shared[] = { "op",         "requester", "profile", "reason",
                                          "invalidity", "why",       "time",    "priority" };
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        const struct pair pairs[] = { { "id.1", "a" }, { own[i], "x" }, { "id.2", "b" } };
        read_delivered(pairs, 3, 1);
        expect_all(CM_REFUSAL_REQUEST_FIELD_INVALID, false);
        CU_ASSERT_TRUE(has(0, CM_FIELD_ID, "a") && has(1, CM_FIELD_ID, "b"));
    }
    for (size_t i = 0; i < sizeof shared / sizeof shared[0]; i++) {
        const struct pair pairs[] = { { "id.1", "a" }, { shared[i], "x" }, { "id.2", "b" } };
        read_delivered(pairs, 3, 1);
        expect_all(CM_REFUSAL_NONE, true);
        CU_ASSERT_TRUE(has(1, cm_field_find(cm_bytes_str(shared[i])), "x"));
    }
}

/* It gets an answer, too, although nobody can tell its id. */
static void test_what_cannot_be_told_apart_is_one_refused_request_more(void)
{
    READ({ "requester", "line" }, { "id.64", "a" }, { "id.65", "b" }, { "csr.65", "c" });
    CU_ASSERT_EQUAL_FATAL(count, 2);
    CU_ASSERT_EQUAL(cm_several_number(&several, 0), 64);
    CU_ASSERT_EQUAL(cm_several_number(&several, 1), 0);
    CU_ASSERT_TRUE(has(1, CM_FIELD_ID, NULL) && has(1, CM_FIELD_REQUESTER, "line"));
    expect_all(CM_REFUSAL_REQUEST_FIELD_UNKNOWN, false);
    CU_ASSERT_PTR_NOT_NULL(strstr(made[0].refusal.message, "\"id.65\""));
    READ({ "id.1", "a" }, { NULL, "b" });
    CU_ASSERT_EQUAL_FATAL(count, 2);
    expect_all(CM_REFUSAL_REQUEST_TOO_LARGE, false);
}

static void test_all_share_the_limit_of_an_entry(void)
{
    static char half[CM_ENTRY_SIZE_MAX / 2 + 1];
    memset(half, 'x', sizeof half - 1);
    for (unsigned over = 0; over < 2; over++) {
        half[sizeof half - 1 - 8] = over ? 'x' : '\0';
        const struct pair pairs[] = { { "why.1", half }, { "id.2", "b" }, { "why.2", half } };
        read_delivered(pairs, 3, 1);
        CU_ASSERT_EQUAL(count, 2);
        expect_all(over ? CM_REFUSAL_REQUEST_TOO_LARGE : CM_REFUSAL_NONE, !over);
        CU_ASSERT_EQUAL(made[0].size, made[1].size);
    }
}

static void test_all_of_an_entry_that_was_delivered_too_often_are_undeliverable(void)
{
    READ_DELIVERED(6, { "id.1", "a" }, { "id.2", "b" }, { "color.2", "red" });
    CU_ASSERT_EQUAL(code(0), CM_REFUSAL_REQUEST_UNDELIVERABLE);
    CU_ASSERT_EQUAL(code(1), CM_REFUSAL_REQUEST_UNDELIVERABLE);
    CU_ASSERT_TRUE(made[0].is_covered && !made[1].is_covered);
}

CM_TEST_SUITE(several, CM_TEST(test_a_number_is_one_to_sixty_four_behind_a_dot),
              CM_TEST(test_without_a_number_it_is_an_entry_of_one_request),
              CM_TEST(test_each_request_has_its_fields_and_those_for_all),
              CM_TEST(test_sixty_four_requests_stand_in_an_entry),
              CM_TEST(test_what_is_wrong_with_one_is_no_matter_of_the_others),
              CM_TEST(test_a_field_for_all_stands_twice_where_one_has_it_too),
              CM_TEST(test_an_unknown_field_without_a_number_is_wrong_with_all),
              CM_TEST(test_what_names_or_signs_a_request_is_for_no_other),
              CM_TEST(test_what_cannot_be_told_apart_is_one_refused_request_more),
              CM_TEST(test_all_share_the_limit_of_an_entry),
              CM_TEST(test_all_of_an_entry_that_was_delivered_too_often_are_undeliverable));

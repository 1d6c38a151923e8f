/* The check on ourselves: nothing that was published and still matters vanishes. */
#include "engine/revocation/internal.h"

#include <stdlib.h>

#include "engine/x509/crl.h"
#include "tests/support/test_main.h"
#include "tests/unit/revocation/changes.h"

enum { GENERATION = 7, BEFORE_S = 5000 };

static struct changes *changes;
static struct cm_book *book;

/* Entries of these numbers, sorted by whoever asks. */
static struct cm_bytes entries(const char *numbers, enum cm_reason reason, uint8_t *octets)
{
    size_t size = 0;
    for (; *numbers; numbers++) {
        uint8_t serial = (uint8_t)*numbers;
        struct cm_crl_entry entry = { .serial = cm_bytes(&serial, 1),
                                      .revoked_s = 1700000000,
                                      .reason = reason };
        size += cm_crl_entry_write(&entry, octets + size);
    }
    return cm_bytes(octets, size);
}

static void begin(void)
{
    struct cm_error err;
    changes = changes_new();
    CU_ASSERT_EQUAL_FATAL(cm_book_new(&book, &err), CM_OK);
    cm_book_add_generation(book, GENERATION, 1);
}

static void revoke(char number, int64_t not_after_s)
{
    struct cm_error err;
    changes_add(changes, GENERATION, cm_bytes(&number, 1))->not_after_s = not_after_s;
    CU_ASSERT_EQUAL(cm_book_read(book, &changes->reader, NULL, NULL, &err), CM_OK);
}

static cm_status diff(const char *before, enum cm_reason reason, const char *after)
{
    uint8_t one[2000], other[2000];
    struct cm_error err;
    return cm_crl_diff(book, GENERATION, entries(before, reason, one), BEFORE_S,
                       entries(after, CM_REASON_UNSPECIFIED, other), &err);
}

static void done(void)
{
    cm_book_free(book);
    free(changes);
}

static void test_entries_may_come(void)
{
    begin();
    CU_ASSERT_EQUAL(diff("", CM_REASON_UNSPECIFIED, ""), CM_OK);
    CU_ASSERT_EQUAL(diff("", CM_REASON_UNSPECIFIED, "a"), CM_OK);
    CU_ASSERT_EQUAL(diff("bd", CM_REASON_UNSPECIFIED, "abcde"), CM_OK);
    done();
}

static void test_an_entry_that_is_missing_for_no_reason_is_found(void)
{
    begin();
    CU_ASSERT_EQUAL(diff("a", CM_REASON_UNSPECIFIED, ""), CM_CORRUPT);
    CU_ASSERT_EQUAL(diff("abc", CM_REASON_KEY_COMPROMISE, "ac"), CM_CORRUPT);
    CU_ASSERT_EQUAL(diff("abc", CM_REASON_UNSPECIFIED, "bcd"), CM_CORRUPT);
    CU_ASSERT_EQUAL(diff("abc", CM_REASON_UNSPECIFIED, "abd"), CM_CORRUPT);
    revoke('b', BEFORE_S); /* it had not ended when the list before was made */
    CU_ASSERT_EQUAL(diff("abc", CM_REASON_UNSPECIFIED, "ac"), CM_CORRUPT);
    done();
}

static void test_what_had_ended_may_go(void)
{
    begin();
    revoke('b', BEFORE_S - 1);
    CU_ASSERT_EQUAL(diff("abc", CM_REASON_UNSPECIFIED, "ac"), CM_OK);
    CU_ASSERT_EQUAL(diff("abc", CM_REASON_UNSPECIFIED, "a"), CM_CORRUPT);
    done();
}

static void test_what_came_off_hold_may_go(void)
{
    begin();
    CU_ASSERT_EQUAL(diff("abc", CM_REASON_CERTIFICATE_HOLD, ""), CM_OK);
    revoke('b', BEFORE_S); /* but this one is revoked now */
    CU_ASSERT_EQUAL(diff("abc", CM_REASON_CERTIFICATE_HOLD, "ac"), CM_CORRUPT);
    done();
}

CM_TEST_SUITE(diff, CM_TEST(test_entries_may_come),
              CM_TEST(test_an_entry_that_is_missing_for_no_reason_is_found),
              CM_TEST(test_what_had_ended_may_go), CM_TEST(test_what_came_off_hold_may_go));

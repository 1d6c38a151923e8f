/*
 * The book: what was read is found and listed, whatever the order of changes; a naive model says what a
 * list has to be.
 */
#include "engine/revocation/book.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/x509/crl.h"
#include "engine/x509/der_writer.h"
#include "engine/x509/template.h"
#include "tests/support/test_main.h"
#include "tests/unit/revocation/changes.h"

enum { GENERATION = 7, OTHER = 9, SHARDS = 3 };

static struct changes *changes;
static struct cm_book *book;

static void open_book(uint32_t shards_count)
{
    struct cm_error err;
    changes = changes_new();
    CU_ASSERT_EQUAL_FATAL(cm_book_new(&book, &err), CM_OK);
    cm_book_add_generation(book, GENERATION, shards_count);
}

static void close_book(void)
{
    cm_book_free(book);
    free(changes);
}

static void read_book(void)
{
    struct cm_error err;
    CU_ASSERT_EQUAL_FATAL(cm_book_read(book, &changes->reader, NULL, NULL, &err), CM_OK);
}

static struct cm_revocation *revoke(uint64_t number)
{
    uint8_t octets[CM_SERIAL_SIZE];
    return changes_add(changes, GENERATION, changes_serial(number, 8, octets));
}

static struct cm_book_list list(const struct cm_book_question *question)
{
    struct cm_book_list list = { 0 };
    struct cm_error err;
    cm_status status = cm_book_list(book, question, &list, &err);
    if (status != CM_OK)
        printf("  %s\n", err.text);
    CU_ASSERT_EQUAL_FATAL(status, CM_OK);
    return list;
}

static const struct cm_book_question complete = { .generation_number = GENERATION };

/* The reasons of a list, a character each: u k h r ...; "?" where an entry is none. */
static const char *reasons(const struct cm_book_question *question)
{
    static char text[64];
    struct cm_book_list entries = list(question);
    struct cm_bytes rest = entries.entries;
    struct cm_crl_entry entry;
    struct cm_error err;
    cm_status status;
    size_t size = 0;
    while (size < sizeof text - 2 && cm_crl_next_entry(&rest, &entry, &status, &err))
        text[size++] = entry.reason == CM_REASON_UNSPECIFIED        ? 'u'
                       : entry.reason == CM_REASON_KEY_COMPROMISE   ? 'k'
                       : entry.reason == CM_REASON_CERTIFICATE_HOLD ? 'h'
                       : entry.reason == CM_REASON_REMOVE_FROM_CRL  ? 'r'
                                                                    : 'x';
    if (status != CM_OK)
        text[size++] = '?';
    text[size] = '\0';
    cm_book_list_done(&entries);
    return text;
}

static void test_an_empty_book_lists_nothing_and_finds_nothing(void)
{
    struct cm_book_found found;
    open_book(1);
    read_book();
    struct cm_book_list entries = list(&complete);
    CU_ASSERT_EQUAL(entries.entries.size, 0);
    CU_ASSERT_EQUAL(entries.entries_count, 0);
    cm_book_list_done(&entries);
    CU_ASSERT_FALSE(cm_book_find(book, GENERATION, cm_bytes("\1", 1), &found));
    CU_ASSERT_FALSE(cm_book_find(book, GENERATION, cm_bytes(NULL, 0), &found));
    CU_ASSERT_EQUAL(cm_book_revision(book), 0);
    CU_ASSERT_EQUAL(cm_book_shard_revision(book, GENERATION, 0), 0);
    close_book();
}

static void test_what_was_read_is_found_with_all_that_is_known(void)
{
    struct cm_book_found found;
    open_book(SHARDS);
    struct cm_revocation *row = revoke(1);
    row->reason = CM_REASON_KEY_COMPROMISE;
    row->revoked_s = 253402300799;
    row->invalidity_s = -631152000;
    row->not_after_s = 253402300798;
    read_book();
    CU_ASSERT_FATAL(cm_book_find(book, GENERATION, row->serial, &found));
    CU_ASSERT_EQUAL(found.reason, CM_REASON_KEY_COMPROMISE);
    CU_ASSERT_EQUAL(found.revoked_s, 253402300799);
    CU_ASSERT_EQUAL(found.invalidity_s, -631152000);
    CU_ASSERT_EQUAL(found.not_after_s, 253402300798);
    CU_ASSERT_EQUAL(found.revision, row->revision);
    CU_ASSERT_FALSE(cm_book_find(book, OTHER, row->serial, &found));
    close_book();
}

static void test_generations_that_are_not_known_are_passed_over(void)
{
    struct cm_book_found found;
    uint8_t octets[CM_SERIAL_SIZE];
    open_book(1);
    struct cm_bytes serial = changes_serial(1, 8, octets);
    changes_add(changes, OTHER, serial);
    read_book();
    CU_ASSERT_FALSE(cm_book_find(book, OTHER, serial, &found));
    CU_ASSERT_EQUAL(cm_book_revision(book), changes->revision);
    /* Known late: everything is read again, and nothing counts twice. */
    revoke(2);
    read_book();
    cm_book_add_generation(book, OTHER, 1);
    read_book();
    CU_ASSERT(cm_book_find(book, OTHER, serial, &found));
    struct cm_book_counts counts;
    cm_book_count(book, GENERATION, &counts);
    CU_ASSERT_EQUAL(counts.revoked, 1);
    close_book();
}

static void test_a_hold_that_is_lifted_is_gone_and_stands_in_the_delta(void)
{
    struct cm_book_found found;
    struct cm_book_counts counts;
    struct cm_book_question delta = complete;
    open_book(1);
    revoke(1);
    struct cm_revocation *row = revoke(2);
    row->reason = CM_REASON_CERTIFICATE_HOLD;
    read_book();
    CU_ASSERT_STRING_EQUAL(reasons(&complete), "uh");
    cm_book_count(book, GENERATION, &counts);
    CU_ASSERT_EQUAL(counts.revoked, 1);
    CU_ASSERT_EQUAL(counts.held, 1);
    delta.is_delta = true;
    delta.base_revision = cm_book_revision(book);
    CU_ASSERT_STRING_EQUAL(reasons(&delta), "");
    row->reason = CM_REASON_REMOVE_FROM_CRL;
    changes_touch(changes, row);
    read_book();
    CU_ASSERT_STRING_EQUAL(reasons(&complete), "u");
    CU_ASSERT_STRING_EQUAL(reasons(&delta), "r");
    CU_ASSERT_FALSE(cm_book_find(book, GENERATION, row->serial, &found));
    cm_book_count(book, GENERATION, &counts);
    CU_ASSERT_EQUAL(counts.held, 0);
    /* And revoked after all. */
    row->reason = CM_REASON_KEY_COMPROMISE;
    changes_touch(changes, row);
    read_book();
    CU_ASSERT_STRING_EQUAL(reasons(&complete), "uk");
    CU_ASSERT_STRING_EQUAL(reasons(&delta), "k");
    close_book();
}

static void test_what_a_published_list_shows_and_the_store_does_not_is_put_back(void)
{
    struct cm_book_found found;
    struct cm_book_counts counts;
    uint8_t octets[CM_SERIAL_SIZE];
    open_book(1);
    struct cm_revocation *held = revoke(2), *lifted = revoke(3);
    held->reason = CM_REASON_CERTIFICATE_HOLD;
    lifted->reason = CM_REASON_REMOVE_FROM_CRL;
    read_book();
    int64_t revision = cm_book_revision(book);
    struct cm_crl_entry entry = { .serial = changes_serial(1, 8, octets),
                                  .reason = CM_REASON_SUPERSEDED };
    CU_ASSERT(cm_book_falls_short(book, GENERATION, &entry));
    struct cm_revocation row = { .generation_number = GENERATION,
                                 .serial = entry.serial,
                                 .reason = CM_REASON_SUPERSEDED,
                                 .revoked_s = 1700000001,
                                 .not_after_s = 1800000000 };
    cm_book_put_back(book, &row);
    CU_ASSERT_FALSE(cm_book_falls_short(book, GENERATION, &entry));
    CU_ASSERT_FATAL(cm_book_find(book, GENERATION, entry.serial, &found));
    CU_ASSERT_EQUAL(found.reason, CM_REASON_SUPERSEDED);
    CU_ASSERT_EQUAL(found.revoked_s, 1700000001);
    CU_ASSERT_EQUAL(cm_book_revision(book), revision);
    CU_ASSERT_STRING_EQUAL(reasons(&complete), "xh");
    /* On hold in the list says nothing against a store that knows the serial; revoked for good does. */
    entry.reason = CM_REASON_CERTIFICATE_HOLD;
    entry.serial = lifted->serial;
    CU_ASSERT_FALSE(cm_book_falls_short(book, GENERATION, &entry));
    entry.reason = CM_REASON_UNSPECIFIED;
    CU_ASSERT(cm_book_falls_short(book, GENERATION, &entry));
    entry.serial = held->serial;
    CU_ASSERT(cm_book_falls_short(book, GENERATION, &entry));
    row.serial = held->serial;
    cm_book_put_back(book, &row);
    CU_ASSERT_STRING_EQUAL(reasons(&complete), "xx");
    cm_book_count(book, GENERATION, &counts);
    CU_ASSERT_EQUAL(counts.revoked, 2);
    CU_ASSERT_EQUAL(counts.held, 0);
    /* What the store says later counts where it goes further, and not where it goes less far. */
    held->reason = CM_REASON_REMOVE_FROM_CRL;
    changes_touch(changes, held);
    read_book();
    CU_ASSERT_STRING_EQUAL(reasons(&complete), "xx");
    held->reason = CM_REASON_KEY_COMPROMISE;
    changes_touch(changes, held);
    read_book();
    CU_ASSERT_STRING_EQUAL(reasons(&complete), "xk");
    close_book();
}

static void test_an_entry_leaves_after_a_list_that_shows_it_past_its_end(void)
{
    struct cm_book_question question = complete;
    struct cm_book_list entries;
    open_book(1);
    revoke(1);
    struct cm_revocation *row = revoke(2);
    row->not_after_s = 1000;
    read_book();
    int64_t revision = cm_book_revision(book);
    CU_ASSERT_STRING_EQUAL(reasons(&question), "uu");
    question.shown_s = 1000; /* it had not ended then: notAfter is inclusive */
    question.shown_revision = revision;
    CU_ASSERT_STRING_EQUAL(reasons(&question), "uu");
    question.shown_s = 1001;
    entries = list(&question);
    CU_ASSERT_EQUAL(entries.entries_count, 1);
    CU_ASSERT_EQUAL(entries.dropped_count, 1);
    cm_book_list_done(&entries);
    /* A question that knows of no list before has it back. */
    CU_ASSERT_STRING_EQUAL(reasons(&complete), "uu");
    CU_ASSERT_STRING_EQUAL(reasons(&question), "u");
    close_book();
}

static void test_what_was_revoked_after_its_end_is_shown_once(void)
{
    struct cm_book_question question = complete;
    open_book(1);
    read_book();
    CU_ASSERT_STRING_EQUAL(reasons(&question), "");
    question.shown_s = 5000;
    question.shown_revision = cm_book_revision(book);
    revoke(1)->not_after_s = 1000;
    read_book();
    CU_ASSERT_STRING_EQUAL(reasons(&question), "u");
    question.shown_revision = cm_book_revision(book);
    CU_ASSERT_STRING_EQUAL(reasons(&question), "");
    close_book();
}

static void test_a_list_stays_as_it_was_while_somebody_has_it(void)
{
    open_book(1);
    revoke(1);
    read_book();
    struct cm_book_list before = list(&complete), same = list(&complete);
    struct cm_bytes copy = cm_bytes_copy(before.entries);
    CU_ASSERT_PTR_EQUAL(before.entries.data, same.entries.data);
    revoke(2);
    read_book();
    struct cm_book_list after = list(&complete);
    CU_ASSERT_EQUAL(after.entries_count, 2);
    CU_ASSERT(cm_bytes_equal(before.entries, copy));
    cm_book_list_done(&before);
    CU_ASSERT(cm_bytes_equal(same.entries, copy));
    cm_book_list_done(&same);
    cm_book_list_done(&after);
    free((void *)(uintptr_t)copy.data);
    close_book();
}

static void note_change(const struct cm_revocation *revocation, uint32_t shard, void *arg)
{
    unsigned *seen = arg;
    CU_ASSERT_EQUAL(revocation->generation_number, GENERATION);
    CU_ASSERT_EQUAL(shard, cm_crl_shard(revocation->serial, SHARDS));
    seen[shard]++;
}

static void test_reading_tells_which_shards_have_changed(void)
{
    unsigned seen[SHARDS] = { 0 };
    struct cm_error err;
    open_book(SHARDS);
    struct cm_revocation *row = revoke(4);
    revoke(5);
    revoke(7);
    CU_ASSERT_EQUAL(cm_book_read(book, &changes->reader, note_change, seen, &err), CM_OK);
    CU_ASSERT_EQUAL(seen[0], 0);
    CU_ASSERT_EQUAL(seen[1], 2);
    CU_ASSERT_EQUAL(seen[2], 1);
    CU_ASSERT_EQUAL(cm_book_shard_revision(book, GENERATION, 1), changes->revision);
    CU_ASSERT_EQUAL(cm_book_shard_revision(book, GENERATION, 2), changes->revision - 1);
    CU_ASSERT_EQUAL(cm_book_shard_revision(book, GENERATION, 0), 0);
    changes_touch(changes, row);
    CU_ASSERT_EQUAL(cm_book_read(book, &changes->reader, note_change, seen, &err), CM_OK);
    CU_ASSERT_EQUAL(seen[1], 3);
    close_book();
}

static void test_a_read_that_fails_keeps_what_it_had_and_goes_on_later(void)
{
    struct cm_error err;
    open_book(1);
    for (uint64_t i = 1; i <= 5; i++)
        revoke(i);
    changes->fails_after = 3;
    CU_ASSERT_EQUAL(cm_book_read(book, &changes->reader, NULL, NULL, &err), CM_IO);
    CU_ASSERT_EQUAL(cm_book_revision(book), 3);
    CU_ASSERT_STRING_EQUAL(reasons(&complete), "uuu");
    changes->fails_after = 0;
    read_book();
    CU_ASSERT_STRING_EQUAL(reasons(&complete), "uuuuu");
    close_book();
}

/* One bad row may not keep the others of its list from being shown. */
static void test_a_date_that_no_list_can_show_is_shown_as_the_nearest(void)
{
    struct cm_book_found found;
    open_book(1);
    struct cm_revocation *early = revoke(1);
    early->revoked_s = CM_DER_TIME_MIN_S - 1;
    struct cm_revocation *late = revoke(2);
    late->revoked_s = 300000000000;
    late->invalidity_s = INT64_MAX;
    CU_ASSERT_FALSE(cm_book_shows_as_it_is(early));
    CU_ASSERT_FALSE(cm_book_shows_as_it_is(late));
    CU_ASSERT_TRUE(cm_book_shows_as_it_is(revoke(3)));
    read_book();
    CU_ASSERT_STRING_EQUAL(reasons(&complete), "uuu");
    CU_ASSERT_TRUE(cm_book_find(book, GENERATION, early->serial, &found));
    CU_ASSERT_EQUAL(found.revoked_s, CM_DER_TIME_MIN_S);
    CU_ASSERT_TRUE(cm_book_find(book, GENERATION, late->serial, &found));
    CU_ASSERT_EQUAL(found.revoked_s, CM_DER_TIME_MAX_S);
    CU_ASSERT_EQUAL(found.invalidity_s, CM_DER_TIME_MAX_S);
    close_book();
}

static void test_rows_that_are_none_are_refused(void)
{
    struct cm_error err;
    struct cm_book_list entries;
    struct cm_book_question question = complete;
    open_book(SHARDS);
    struct cm_revocation *row = revoke(3);
    row->serial = cm_bytes("\x81", 1); /* negative */
    revoke(4);
    read_book();
    CU_ASSERT_EQUAL(cm_book_list(book, &question, &entries, &err), CM_CORRUPT);
    /* The other shards have theirs. */
    question.shard = 1;
    CU_ASSERT_STRING_EQUAL(reasons(&question), "u");
    question.shard = SHARDS;
    CU_ASSERT_EQUAL(cm_book_list(book, &question, &entries, &err), CM_NOT_FOUND);
    question = (struct cm_book_question){ .generation_number = OTHER };
    CU_ASSERT_EQUAL(cm_book_list(book, &question, &entries, &err), CM_NOT_FOUND);
    revoke(5)->serial.size = 0;
    CU_ASSERT_EQUAL(cm_book_read(book, &changes->reader, NULL, NULL, &err), CM_CORRUPT);
    close_book();
}

/* ------------------------------------------------------------------ the model -- */

static int compare_rows(const void *one, const void *other)
{
    const struct cm_revocation *const *a = one, *const *b = other;
    const struct cm_bytes x = (*a)->serial, y = (*b)->serial;
    if (x.size != y.size)
        return x.size < y.size ? -1 : 1;
    return memcmp(x.data, y.data, x.size);
}

static bool model_goes(const struct cm_revocation *row, const struct cm_book_question *question)
{
    return row->reason == CM_REASON_REMOVE_FROM_CRL
           || (row->not_after_s < question->shown_s && row->revision <= question->shown_revision);
}

static struct cm_bytes model_list(const struct cm_book_question *question)
{
    static uint8_t octets[CHANGES_MAX * CM_CRL_ENTRY_SIZE_MAX];
    static const struct cm_revocation *rows[CHANGES_MAX];
    uint32_t count = 0;
    size_t size = 0;
    for (uint32_t i = 0; i < changes->count; i++) {
        const struct cm_revocation *row = &changes->rows[i];
        if (row->generation_number == question->generation_number
            && cm_crl_shard(row->serial, SHARDS) == question->shard
            && (question->is_delta ? row->revision > question->base_revision
                                   : !model_goes(row, question)))
            rows[count++] = row;
    }
    qsort(rows, count, sizeof rows[0], compare_rows);
    for (uint32_t i = 0; i < count; i++) {
        struct cm_crl_entry entry = { .serial = rows[i]->serial,
                                      .revoked_s = rows[i]->revoked_s,
                                      .invalidity_s = rows[i]->invalidity_s,
                                      .reason = model_goes(rows[i], question)
                                                    ? CM_REASON_REMOVE_FROM_CRL
                                                    : rows[i]->reason };
        size += cm_crl_entry_write(&entry, octets + size);
    }
    return cm_bytes(octets, size);
}

static unsigned draw(unsigned bound)
{
    return (unsigned)rand() % bound;
}

/* As the store has it: what is revoked for good stays so, and a key compromise stays one. */
static bool may_become(enum cm_reason before, enum cm_reason after)
{
    if (before == CM_REASON_CERTIFICATE_HOLD || before == CM_REASON_REMOVE_FROM_CRL)
        return true;
    if (before == CM_REASON_KEY_COMPROMISE)
        return after == CM_REASON_KEY_COMPROMISE;
    return after != CM_REASON_CERTIFICATE_HOLD && after != CM_REASON_REMOVE_FROM_CRL;
}

static void change_at_random(void)
{
    static const enum cm_reason reasons_to_draw[] = {
        CM_REASON_UNSPECIFIED, CM_REASON_KEY_COMPROMISE, CM_REASON_CERTIFICATE_HOLD,
        CM_REASON_REMOVE_FROM_CRL, CM_REASON_SUPERSEDED
    };
    struct cm_revocation *row;
    if (changes->count == 0 || draw(3) > 0) {
        uint8_t octets[CM_SERIAL_SIZE];
        for (unsigned i = 0; i < sizeof octets; i++)
            octets[i] = (uint8_t)draw(256);
        size_t size = 1 + draw(CM_SERIAL_SIZE);
        octets[0] = (uint8_t)(1 + octets[0] % 127);
        if (size > 1 && draw(4) == 0)
            octets[0] = 0, octets[1] |= 0x80;
        for (uint32_t i = 0; i < changes->count; i++)
            if (cm_bytes_equal(changes->rows[i].serial, cm_bytes(octets, size)))
                return;
        row = changes_add(changes, GENERATION, cm_bytes(octets, size));
        row->reason = CM_REASON_REMOVE_FROM_CRL;
    } else {
        row = &changes->rows[draw(changes->count)];
        changes_touch(changes, row);
    }
    enum cm_reason reason = reasons_to_draw[draw(5)];
    if (may_become(row->reason, reason))
        row->reason = reason;
    row->not_after_s = 1000 + draw(10000);
    row->revoked_s = 500 + draw(10000);
    row->invalidity_s = draw(2) ? 400 + draw(100) : 0;
}

static void compare_with_model(const struct cm_book_question *question)
{
    struct cm_book_list entries = list(question);
    struct cm_bytes expected = model_list(question);
    CU_ASSERT_EQUAL(entries.revision, changes->revision);
    CU_ASSERT_FATAL(cm_bytes_equal(entries.entries, expected));
    cm_book_list_done(&entries);
}

static void test_lists_are_those_of_a_naive_model(void)
{
    int64_t revisions[8] = { 0 };
    srand(5);
    open_book(SHARDS);
    struct cm_book_question question = complete;
    for (unsigned round = 0; round < 120; round++) {
        unsigned count = draw(40);
        for (unsigned i = 0; i < count; i++)
            change_at_random();
        read_book();
        question.shard = draw(SHARDS);
        question.is_delta = draw(3) == 0;
        question.base_revision = revisions[draw(8)];
        compare_with_model(&question);
        revisions[draw(8)] = changes->revision;
        if (draw(4) == 0) {
            question.shown_revision = changes->revision;
            question.shown_s += draw(400);
        } else if (draw(20) == 0) {
            question.shown_revision = question.shown_s = 0;
        }
    }
    for (question.shard = 0; question.shard < SHARDS; question.shard++)
        compare_with_model(&question);
    close_book();
}

static void test_many_are_all_found(void)
{
    struct cm_book_found found;
    unsigned missing = 0;
    open_book(SHARDS);
    for (uint64_t i = 0; i < 20000; i++)
        revoke(1000 + i * 3);
    read_book();
    for (uint32_t i = 0; i < changes->count; i++)
        missing += !cm_book_find(book, GENERATION, changes->rows[i].serial, &found);
    CU_ASSERT_EQUAL(missing, 0);
    uint8_t octets[CM_SERIAL_SIZE];
    CU_ASSERT_FALSE(cm_book_find(book, GENERATION, changes_serial(1001, 8, octets), &found));
    close_book();
}

/* ------------------------------------------------------------------ threads -- */

static atomic_bool is_over;
static atomic_uint rounds_count;

/* Looks up and lists until told to stop; lists never shrink here, and never miss what was shown. */
static void *ask(void *arg)
{
    struct cm_book_question question = { .generation_number = GENERATION,
                                         .shard = *(const uint32_t *)arg };
    uint32_t before = 0;
    bool good = true;
    while (!atomic_load(&is_over)) {
        struct cm_book_list entries = { 0 };
        struct cm_book_found found;
        uint8_t octets[CM_SERIAL_SIZE];
        int64_t revision = cm_book_revision(book);
        good = good && cm_book_list(book, &question, &entries, NULL) == CM_OK
               && entries.entries_count >= before && entries.revision >= revision;
        before = entries.entries_count;
        cm_book_list_done(&entries);
        if (revision > 0 && revision <= 3000)
            good = good
                   && cm_book_find(book, GENERATION, changes_serial((uint64_t)revision, 8, octets),
                                   &found);
        struct cm_book_question delta = question;
        delta.is_delta = true;
        delta.base_revision = revision / 2;
        good = good && cm_book_list(book, &delta, &entries, NULL) == CM_OK;
        cm_book_list_done(&entries);
        atomic_fetch_add(&rounds_count, 1);
    }
    return good ? NULL : arg;
}

static void test_many_may_ask_while_one_reads(void)
{
    uint32_t shards[4] = { 0, 1, 2, 0 };
    pthread_t threads[4];
    void *wrong;
    open_book(SHARDS);
    atomic_store(&is_over, false);
    for (unsigned i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, ask, &shards[i]);
    for (uint64_t i = 1; i <= 3000 || atomic_load(&rounds_count) < 400; i++) {
        if (i <= 3000)
            revoke(i);
        else
            changes_touch(changes, &changes->rows[i % 3000]);
        if (i % 7 == 0)
            read_book();
    }
    read_book();
    atomic_store(&is_over, true);
    for (unsigned i = 0; i < 4; i++) {
        pthread_join(threads[i], &wrong);
        CU_ASSERT_PTR_NULL(wrong);
    }
    close_book();
}

CM_TEST_SUITE(book, CM_TEST(test_an_empty_book_lists_nothing_and_finds_nothing),
              CM_TEST(test_what_was_read_is_found_with_all_that_is_known),
              CM_TEST(test_generations_that_are_not_known_are_passed_over),
              CM_TEST(test_a_hold_that_is_lifted_is_gone_and_stands_in_the_delta),
              CM_TEST(test_what_a_published_list_shows_and_the_store_does_not_is_put_back),
              CM_TEST(test_an_entry_leaves_after_a_list_that_shows_it_past_its_end),
              CM_TEST(test_what_was_revoked_after_its_end_is_shown_once),
              CM_TEST(test_a_list_stays_as_it_was_while_somebody_has_it),
              CM_TEST(test_reading_tells_which_shards_have_changed),
              CM_TEST(test_a_read_that_fails_keeps_what_it_had_and_goes_on_later),
              CM_TEST(test_a_date_that_no_list_can_show_is_shown_as_the_nearest),
              CM_TEST(test_rows_that_are_none_are_refused),
              CM_TEST(test_lists_are_those_of_a_naive_model), CM_TEST(test_many_are_all_found),
              CM_TEST(test_many_may_ask_while_one_reads));

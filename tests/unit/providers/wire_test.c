#include "providers/host/wire.h"

#include <stdlib.h>

#include "tests/support/test_main.h"

static struct cm_buffer out;
static struct cm_wire_frame frame;

/* The one frame that is in out. */
static struct cm_bytes body_of(enum cm_wire_kind kind, uint64_t id)
{
    size_t size = 0;
    CU_ASSERT_EQUAL_FATAL(cm_wire_next(cm_bytes(out.data, out.size), &frame, &size), CM_WIRE_WHOLE);
    CU_ASSERT_EQUAL(size, out.size);
    CU_ASSERT_EQUAL(frame.kind, kind);
    CU_ASSERT_EQUAL(frame.id, id);
    return frame.body;
}

static void begin(void)
{
    out.size = 0;
}

static void test_wire_carries_hello_with_texts_that_are_absent(void)
{
    const struct cm_wire_hello sent = {
        .kind = "openssl",
        .settings = { .name = "soft", .folder = "", .options = "a=1 b=2", .workers_count = 7 },
        .call_deadline_ms = 123,
        .signs_anything = true
    };
    struct cm_wire_hello got;
    begin();
    cm_wire_write_hello(&out, &sent);
    CU_ASSERT_TRUE_FATAL(cm_wire_read_hello(body_of(CM_WIRE_HELLO, 0), &got));
    CU_ASSERT_STRING_EQUAL(got.kind, "openssl");
    CU_ASSERT_STRING_EQUAL(got.settings.name, "soft");
    CU_ASSERT_STRING_EQUAL(got.settings.folder, "");
    CU_ASSERT_PTR_NULL(got.settings.passphrase_ref);
    CU_ASSERT_PTR_NULL(got.settings.module);
    CU_ASSERT_STRING_EQUAL(got.settings.options, "a=1 b=2");
    CU_ASSERT_EQUAL(got.settings.workers_count, 7);
    CU_ASSERT_EQUAL(got.call_deadline_ms, 123);
    CU_ASSERT_TRUE(got.signs_anything);
}

static void test_wire_carries_floors_whole(void)
{
    const struct cm_wire_open_key sent = { .reference = "file:a",
                                           .alg = CM_SIGALG_ECDSA_SHA256,
                                           .spec = { .type = CM_KEY_RSA, .bits = 3072 },
                                           .has_floor = true,
                                           .floor = { .issuer_name = cm_bytes_str("name"),
                                                      .lanes = 5,
                                                      .validity_s_max = 1ll << 39,
                                                      .allows_no_expiry = true,
                                                      .past_s_max = 77,
                                                      .is_responder = true,
                                                      .responder_validity_s_max = 66,
                                                      .crl_validity_s_max = 55,
                                                      .ocsp_validity_s_max = 44,
                                                      .rate_per_s_max = 88,
                                                      .burst = 99 } };
    struct cm_wire_open_key got;
    begin();
    cm_wire_write_open_key(&out, CM_WIRE_CREATE_KEY, 9, &sent);
    CU_ASSERT_TRUE_FATAL(cm_wire_read_open_key(body_of(CM_WIRE_CREATE_KEY, 9), &got));
    CU_ASSERT_STRING_EQUAL(got.reference, "file:a");
    CU_ASSERT_EQUAL(got.alg, CM_SIGALG_ECDSA_SHA256);
    CU_ASSERT_EQUAL(got.spec.type, CM_KEY_RSA);
    CU_ASSERT_EQUAL(got.spec.bits, 3072);
    CU_ASSERT_TRUE_FATAL(got.has_floor);
    CU_ASSERT_TRUE(cm_bytes_is(got.floor.issuer_name, "name"));
    CU_ASSERT_EQUAL(got.floor.lanes, 5);
    CU_ASSERT_EQUAL(got.floor.validity_s_max, 1ll << 39);
    CU_ASSERT_TRUE(got.floor.allows_no_expiry);
    CU_ASSERT_EQUAL(got.floor.past_s_max, 77);
    CU_ASSERT_TRUE(got.floor.is_responder);
    CU_ASSERT_EQUAL(got.floor.responder_validity_s_max, 66);
    CU_ASSERT_EQUAL(got.floor.crl_validity_s_max, 55);
    CU_ASSERT_EQUAL(got.floor.ocsp_validity_s_max, 44);
    CU_ASSERT_EQUAL(got.floor.rate_per_s_max, 88);
    CU_ASSERT_EQUAL(got.floor.burst, 99);
}

static void test_wire_carries_a_blob_and_the_reference_that_the_key_has_then(void)
{
    static uint8_t blob[CM_WIRE_BLOB_SIZE_MAX + 1] = { 1, [CM_WIRE_BLOB_SIZE_MAX - 1] = 2 };
    struct cm_wire_open_key sent = { .reference = "https://v/keys/k" }, got;
    struct cm_wire_key_opened opened = { .key = { .type = CM_KEY_P256,
                                                  .alg = CM_SIGALG_ECDSA_SHA256,
                                                  .signature_size_max = 72,
                                                  .spki = cm_bytes_str("spki"),
                                                  .reference = "https://v/keys/k/1" } };
    struct cm_wire_key_opened read;
    begin();
    sent.spec.transfer_blob = cm_bytes(blob, CM_WIRE_BLOB_SIZE_MAX);
    cm_wire_write_open_key(&out, CM_WIRE_CREATE_KEY, 9, &sent);
    CU_ASSERT_TRUE_FATAL(cm_wire_read_open_key(body_of(CM_WIRE_CREATE_KEY, 9), &got));
    CU_ASSERT_TRUE(cm_bytes_equal(got.spec.transfer_blob, sent.spec.transfer_blob));
    begin();
    sent.spec.transfer_blob.size++;
    cm_wire_write_open_key(&out, CM_WIRE_CREATE_KEY, 9, &sent);
    CU_ASSERT_FALSE(cm_wire_read_open_key(body_of(CM_WIRE_CREATE_KEY, 9), &got));
    begin();
    cm_wire_write_key_opened(&out, 9, &opened);
    CU_ASSERT_TRUE_FATAL(cm_wire_read_key_opened(body_of(CM_WIRE_KEY_OPENED, 9), &read));
    CU_ASSERT_STRING_EQUAL(read.key.reference, "https://v/keys/k/1");
    begin();
    opened.key.reference = "two\nlines"; /* cannot cross: as if there were none */
    cm_wire_write_key_opened(&out, 9, &opened);
    CU_ASSERT_TRUE_FATAL(cm_wire_read_key_opened(body_of(CM_WIRE_KEY_OPENED, 9), &read));
    CU_ASSERT_PTR_NULL(read.key.reference);
}

static void test_wire_carries_notices_as_one_line_that_can_be_printed(void)
{
    char large[CM_WIRE_NOTICE_MAX + 10];
    const char *text = NULL;
    begin();
    cm_wire_write_notice(&out, "one\ntwo \x1b[1m\x7f \xc3\xa4 ~");
    CU_ASSERT_TRUE_FATAL(cm_wire_read_notice(body_of(CM_WIRE_NOTICE, 0), &text));
    CU_ASSERT_STRING_EQUAL(text, "one?two ?[1m? ?? ~");
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    begin();
    cm_wire_write_notice(&out, large);
    CU_ASSERT_TRUE_FATAL(cm_wire_read_notice(body_of(CM_WIRE_NOTICE, 0), &text));
    CU_ASSERT_EQUAL(strlen(text), CM_WIRE_NOTICE_MAX);
}

static void test_wire_carries_why_a_signer_refuses_as_one_line_that_can_be_printed(void)
{
    char large[CM_WIRE_NOTICE_MAX + 10];
    struct cm_wire_ready ready = { .status = CM_DENIED, .text = "no\n\x1b[1m\xff" }, ready_read;
    struct cm_wire_key_opened opened = { .status = CM_DENIED, .text = ready.text }, opened_read;
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    for (unsigned i = 0; i < 3; i++) {
        begin();
        cm_wire_write_ready(&out, &ready);
        CU_ASSERT_TRUE_FATAL(cm_wire_read_ready(body_of(CM_WIRE_READY, 0), &ready_read));
        CU_ASSERT_TRUE(i != 0 || strcmp(ready_read.text, "no??[1m?") == 0);
        CU_ASSERT_TRUE(i != 1 || strlen(ready_read.text) == CM_WIRE_NOTICE_MAX);
        CU_ASSERT_TRUE(i != 2 || !ready_read.text);
        begin();
        cm_wire_write_key_opened(&out, 9, &opened);
        CU_ASSERT_TRUE_FATAL(cm_wire_read_key_opened(body_of(CM_WIRE_KEY_OPENED, 9), &opened_read));
        CU_ASSERT_TRUE(i != 0 || strcmp(opened_read.text, "no??[1m?") == 0);
        CU_ASSERT_TRUE(i != 1 || strlen(opened_read.text) == CM_WIRE_NOTICE_MAX);
        CU_ASSERT_TRUE(i != 2 || !opened_read.text);
        ready.text = opened.text = i == 0 ? large : "";
    }
}

static void test_wire_carries_every_figure_of_a_pace(void)
{
    const struct cm_provider_pace sent = { .rate_per_s = 1,
                                           .in_flight = 2,
                                           .waiting = 3,
                                           .succeeded_count = (1ull << 53) - 1,
                                           .throttled_count = 5,
                                           .failed_count = 6,
                                           .latency_us_median = 7,
                                           .latency_us_p99 = UINT32_MAX,
                                           .circuits_open = 9 };
    struct cm_provider_pace got;
    begin();
    cm_wire_write_pace(&out, &sent);
    CU_ASSERT_TRUE_FATAL(cm_wire_read_pace(body_of(CM_WIRE_PACE, 0), &got));
    CU_ASSERT_EQUAL(got.rate_per_s, 1);
    CU_ASSERT_EQUAL(got.in_flight, 2);
    CU_ASSERT_EQUAL(got.waiting, 3);
    CU_ASSERT_EQUAL(got.succeeded_count, (1ull << 53) - 1);
    CU_ASSERT_EQUAL(got.throttled_count, 5);
    CU_ASSERT_EQUAL(got.failed_count, 6);
    CU_ASSERT_EQUAL(got.latency_us_median, 7);
    CU_ASSERT_EQUAL(got.latency_us_p99, UINT32_MAX);
    CU_ASSERT_EQUAL(got.circuits_open, 9);
}

static void test_wire_carries_batches_item_by_item(void)
{
    static const uint8_t hash[CM_WIRE_INTENT_SIZE] = { 1, 2, 3 };
    struct cm_sign_item items[3] = { { .message = cm_bytes_str("first"), .intent_hash = hash },
                                     { .message = cm_bytes_str("") },
                                     { .message = cm_bytes_str("third") } };
    const struct cm_sign_batch batch = {
        .lane = CM_LANE_OCSP, .items = items, .items_count = 3, .deadline_ns = 1ull << 60
    };
    struct cm_wire_sign sign;
    struct cm_bytes message;
    const uint8_t *intent;
    begin();
    cm_wire_write_sign(&out, 42, 7, &batch);
    CU_ASSERT_EQUAL(out.size, cm_wire_size_of_sign(&batch));
    CU_ASSERT_TRUE_FATAL(cm_wire_read_sign(body_of(CM_WIRE_SIGN, 42), &sign));
    CU_ASSERT_EQUAL(sign.key_id, 7);
    CU_ASSERT_EQUAL(sign.lane, CM_LANE_OCSP);
    CU_ASSERT_EQUAL(sign.deadline_ns, 1ull << 60);
    CU_ASSERT_EQUAL_FATAL(sign.items_count, 3);
    for (unsigned i = 0; i < 3; i++) {
        cm_wire_next_item(&sign, &message, &intent);
        CU_ASSERT_TRUE(cm_bytes_equal(message, items[i].message));
        CU_ASSERT_EQUAL(intent != NULL, i == 0);
        CU_ASSERT_TRUE(i != 0 || memcmp(intent, hash, sizeof hash) == 0);
    }
}

static void test_wire_carries_signatures_of_what_was_signed_only(void)
{
    uint8_t signature[] = "signature", stale[] = "stale";
    const struct cm_sign_item items[] = {
        { .status = CM_OK, .signature = signature, .signature_size = 9 },
        { .status = CM_DENIED, .signature = stale, .signature_size = 5 },
        { .status = CM_OK, .signature = signature, .signature_size = 4 },
    };
    const size_t sizes[] = { 9, 0, 4 };
    struct cm_wire_signed got;
    struct cm_bytes bytes;
    cm_status status;
    begin();
    cm_wire_write_signed(&out, 3, items, 3, "why");
    CU_ASSERT_TRUE_FATAL(cm_wire_read_signed(body_of(CM_WIRE_SIGNED, 3), &got));
    CU_ASSERT_STRING_EQUAL(got.text, "why");
    CU_ASSERT_EQUAL_FATAL(got.items_count, 3);
    for (unsigned i = 0; i < 3; i++) {
        cm_wire_next_signature(&got, &status, &bytes);
        CU_ASSERT_EQUAL(status, items[i].status);
        CU_ASSERT_EQUAL(bytes.size, sizes[i]);
    }
}

/* ------------------------------------------------------------------ hostile -- */

static bool reads(struct cm_bytes body, enum cm_wire_kind kind)
{
    struct cm_wire_hello hello;
    struct cm_wire_ready ready;
    struct cm_wire_open_key open_key;
    struct cm_wire_key_opened opened;
    struct cm_wire_sign sign;
    struct cm_wire_signed signed_;
    struct cm_provider_pace pace;
    const char *text;
    switch (kind) {
    case CM_WIRE_HELLO:
        return cm_wire_read_hello(body, &hello);
    case CM_WIRE_READY:
        return cm_wire_read_ready(body, &ready);
    case CM_WIRE_OPEN_KEY:
        return cm_wire_read_open_key(body, &open_key);
    case CM_WIRE_KEY_OPENED:
        return cm_wire_read_key_opened(body, &opened);
    case CM_WIRE_SIGN:
        return cm_wire_read_sign(body, &sign);
    case CM_WIRE_NOTICE:
        return cm_wire_read_notice(body, &text);
    case CM_WIRE_PACE:
        return cm_wire_read_pace(body, &pace);
    default:
        return cm_wire_read_signed(body, &signed_);
    }
}

static void write_each(unsigned which)
{
    uint8_t signature[8] = { 0 };
    struct cm_sign_item items[2] = { { .message = cm_bytes_str("one") },
                                     { .message = cm_bytes_str("three") } };
    const struct cm_sign_item done[2] = {
        { .status = CM_OK, .signature = signature, .signature_size = 8 }, { .status = CM_UNCERTAIN }
    };
    const struct cm_sign_batch batch = { .items = items, .items_count = 2 };
    begin();
    if (which == 0)
        cm_wire_write_hello(&out, &(struct cm_wire_hello){ .kind = "k", .call_deadline_ms = 1 });
    else if (which == 1)
        cm_wire_write_ready(&out, &(struct cm_wire_ready){ .caps = { 1, 1, true, 1 } });
    else if (which == 2)
        cm_wire_write_open_key(&out, CM_WIRE_OPEN_KEY, 1,
                               &(struct cm_wire_open_key){ .reference = "r", .has_floor = true });
    else if (which == 3)
        cm_wire_write_key_opened(
            &out, 1,
            &(struct cm_wire_key_opened){ .key = { .type = CM_KEY_P256,
                                                   .alg = CM_SIGALG_ECDSA_SHA256,
                                                   .signature_size_max = 72,
                                                   .spki = cm_bytes_str("spki"),
                                                   .reference = "ref" } });
    else if (which == 4)
        cm_wire_write_sign(&out, 1, 1, &batch);
    else if (which == 6)
        cm_wire_write_notice(&out, "look");
    else if (which == 7)
        cm_wire_write_pace(&out, &(struct cm_provider_pace){ .rate_per_s = 1 });
    else
        cm_wire_write_signed(&out, 1, done, 2, NULL);
}

static void test_wire_refuses_every_message_that_is_cut_or_has_more(void)
{
    for (unsigned which = 0; which < 8; which++) {
        size_t size;
        write_each(which);
        CU_ASSERT_EQUAL_FATAL(cm_wire_next(cm_bytes(out.data, out.size), &frame, &size),
                              CM_WIRE_WHOLE);
        CU_ASSERT_TRUE(reads(frame.body, frame.kind));
        for (size_t cut = 0; cut < frame.body.size; cut++) {
            /* In memory of its own size, so that a sanitizer sees a step too far. */
            uint8_t *copy = malloc(cut + 1);
            memcpy(copy, frame.body.data, cut);
            CU_ASSERT_FALSE(reads(cm_bytes(copy, cut), frame.kind));
            free(copy);
        }
        struct cm_wire_frame whole = frame;
        cm_buffer_append(&out, "", 1);
        CU_ASSERT_FALSE(
            reads(cm_bytes(out.data + CM_WIRE_HEAD_SIZE, whole.body.size + 1), whole.kind));
    }
}

static void test_wire_bounds_what_messages_may_say(void)
{
    struct cm_wire_frame found;
    size_t size;
    write_each(1); /* status, no text, items_max */
    out.data[CM_WIRE_HEAD_SIZE + 3] = 0;
    CU_ASSERT_FALSE(reads(body_of(CM_WIRE_READY, 0), CM_WIRE_READY)); /* no items at all */
    out.data[CM_WIRE_HEAD_SIZE + 6] = 0xff;
    CU_ASSERT_FALSE(reads(body_of(CM_WIRE_READY, 0), CM_WIRE_READY)); /* more than anyone has */
    write_each(4);
    out.data[CM_WIRE_HEAD_SIZE + 8] = CM_LANE_AUDIT + 1;
    CU_ASSERT_FALSE(reads(body_of(CM_WIRE_SIGN, 1), CM_WIRE_SIGN));
    write_each(5); /* count, no text, rows */
    out.data[CM_WIRE_HEAD_SIZE + 6] = CM_INVALID;
    CU_ASSERT_FALSE(reads(body_of(CM_WIRE_SIGNED, 1), CM_WIRE_SIGNED));
    write_each(6); /* length, text, NUL */
    out.data[CM_WIRE_HEAD_SIZE + 3] = '\n';
    CU_ASSERT_FALSE(reads(body_of(CM_WIRE_NOTICE, 0), CM_WIRE_NOTICE));
    begin();
    cm_wire_write_notice(&out, "");
    CU_ASSERT_FALSE(reads(body_of(CM_WIRE_NOTICE, 0), CM_WIRE_NOTICE));
    begin();
    cm_wire_write_signed(&out, 1, NULL, 0, "two\nlines");
    CU_ASSERT_FALSE(reads(body_of(CM_WIRE_SIGNED, 1), CM_WIRE_SIGNED));
    write_each(3); /* ends in 'r', 'e', 'f', NUL */
    out.data[out.size - 2] = 0x1b;
    CU_ASSERT_FALSE(reads(body_of(CM_WIRE_KEY_OPENED, 1), CM_WIRE_KEY_OPENED));
    begin();
    cm_wire_write_ready(&out, &(struct cm_wire_ready){ .status = CM_DENIED, .text = "why" });
    out.data[CM_WIRE_HEAD_SIZE + 4] = '\n'; /* status, length, text */
    CU_ASSERT_FALSE(reads(body_of(CM_WIRE_READY, 0), CM_WIRE_READY));
    begin();
    cm_wire_write_key_opened(&out, 1,
                             &(struct cm_wire_key_opened){ .status = CM_DENIED, .text = "why" });
    out.data[CM_WIRE_HEAD_SIZE + 4] = 0x1b;
    CU_ASSERT_FALSE(reads(body_of(CM_WIRE_KEY_OPENED, 1), CM_WIRE_KEY_OPENED));
    write_each(7); /* 12 octets, then a count */
    out.data[CM_WIRE_HEAD_SIZE + 12 + 6] = 0x20;
    CU_ASSERT_FALSE(reads(body_of(CM_WIRE_PACE, 0), CM_WIRE_PACE));
    write_each(0);
    out.data[4]++; /* another version */
    CU_ASSERT_EQUAL(cm_wire_next(cm_bytes(out.data, out.size), &found, &size), CM_WIRE_GARBAGE);
    write_each(0);
    out.data[3] = 0xff; /* four gigabytes */
    CU_ASSERT_EQUAL(cm_wire_next(cm_bytes(out.data, out.size), &found, &size), CM_WIRE_GARBAGE);
    write_each(0);
    out.data[6] = CM_WIRE_KIND_END;
    CU_ASSERT_EQUAL(cm_wire_next(cm_bytes(out.data, out.size), &found, &size), CM_WIRE_GARBAGE);
    CU_ASSERT_EQUAL(cm_wire_next(cm_bytes(out.data, 7), &found, &size), CM_WIRE_PART);
}

static void test_wire_refuses_texts_with_a_nul_inside(void)
{
    write_each(2); /* length 1, 'r', NUL */
    out.data[CM_WIRE_HEAD_SIZE + 2] = '\0';
    CU_ASSERT_FALSE(reads(body_of(CM_WIRE_OPEN_KEY, 1), CM_WIRE_OPEN_KEY));
    write_each(2);
    out.data[CM_WIRE_HEAD_SIZE + 3] = 'x';
    CU_ASSERT_FALSE(reads(body_of(CM_WIRE_OPEN_KEY, 1), CM_WIRE_OPEN_KEY));
    cm_buffer_done(&out);
}

CM_TEST_SUITE(wire, CM_TEST(test_wire_carries_hello_with_texts_that_are_absent),
              CM_TEST(test_wire_carries_floors_whole),
              CM_TEST(test_wire_carries_a_blob_and_the_reference_that_the_key_has_then),
              CM_TEST(test_wire_carries_notices_as_one_line_that_can_be_printed),
              CM_TEST(test_wire_carries_why_a_signer_refuses_as_one_line_that_can_be_printed),
              CM_TEST(test_wire_carries_every_figure_of_a_pace),
              CM_TEST(test_wire_carries_batches_item_by_item),
              CM_TEST(test_wire_carries_signatures_of_what_was_signed_only),
              CM_TEST(test_wire_refuses_every_message_that_is_cut_or_has_more),
              CM_TEST(test_wire_bounds_what_messages_may_say),
              CM_TEST(test_wire_refuses_texts_with_a_nul_inside));

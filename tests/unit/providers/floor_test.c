#include "engine/base/audit_context.h"
#include "providers/host/floor.h"

#include <stdio.h>

#include "engine/base/clock.h"
#include "engine/base/hash.h"
#include "engine/x509/der_writer.h"
#include "tests/support/tbs_maker.h"
#include "tests/support/test_main.h"

enum { DAY_S = 86400 };

#define USAGE_SIGNATURE "300e0603551d0f0101ff040403020780"
#define USAGE_CERT_SIGN "300e0603551d0f0101ff040403020204"
#define USAGE_CRL_SIGN  "300e0603551d0f0101ff040403020102"
#define CA_TRUE         "300f0603551d130101ff040530030101ff"
#define CA_TRUE_PATH    "30120603551d130101ff040830060101ff020100"
#define CA_ABSENT       "300c0603551d130101ff04023000"
#define CA_FALSE        "300f0603551d130101ff04053003010100"
#define PURPOSE_CLIENT  "30130603551d25040c300a06082b06010505070302"
#define PURPOSE_OCSP    "30130603551d25040c300a06082b06010505070309"
#define PURPOSES_BOTH   "301d0603551d250416301406082b0601050507030206082b06010505070309"
#define NETSCAPE_CLIENT "301106096086480186f8420101040403020780"
#define NETSCAPE_SSL_CA "301106096086480186f8420101040403020204"
#define UNKNOWN         "300a0603550405040304aabb"

static uint8_t memory[TBS_SIZE_MAX];
static char text[CM_FLOOR_TEXT_SIZE];

static struct cm_floor floor_of(unsigned lanes)
{
    return (struct cm_floor){ .issuer_name = tbs_name("CA"),
                              .lanes = lanes,
                              .validity_s_max = 10 * DAY_S,
                              .responder_validity_s_max = 10 * DAY_S,
                              .past_s_max = DAY_S };
}

static const unsigned all_lanes = CM_LANE_BIT(CM_LANE_LEAF) | CM_LANE_BIT(CM_LANE_CRL)
                                  | CM_LANE_BIT(CM_LANE_OCSP) | CM_LANE_BIT(CM_LANE_CEREMONY);

/* Of the key that is asked: TBS_KEY_HASH. */
static const uint8_t *own_hash(void)
{
    static uint8_t hash[CM_SHA1_SIZE];
    size_t size;
    CU_ASSERT_TRUE_FATAL(
        cm_hex_decode(TBS_KEY_HASH, strlen(TBS_KEY_HASH), hash, sizeof hash, &size));
    return hash;
}

static bool allows_under(const struct cm_floor *floor, enum cm_lane lane, struct cm_bytes message)
{
    uint8_t hash[CM_SHA256_SIZE];
    cm_sha256(&message, 1, hash);
    const struct cm_floor_question question = { .lane = lane,
                                                .message = message,
                                                .intent_hash = hash,
                                                .key_hash = own_hash(),
                                                .now_s = cm_clock_wall_s() };
    return cm_floor_allows(floor, &question, text);
}

/* With the intent that stands for it. */
static bool allows(enum cm_lane lane, struct cm_bytes message)
{
    const struct cm_floor floor = floor_of(all_lanes);
    return allows_under(&floor, lane, message);
}

static bool allows_parts(enum cm_lane lane, struct tbs_parts parts)
{
    return allows(lane, tbs_make(memory, &parts));
}

static void expect_words(const char *words)
{
    if (!strstr(text, words))
        printf("\"%s\" lacks \"%s\"\n", text, words);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, words));
}

static void expect_denied(enum cm_lane lane, struct tbs_parts parts, const char *words)
{
    CU_ASSERT_FALSE(allows_parts(lane, parts));
    expect_words(words);
}

static void expect_response_denied(struct tbs_response_parts parts, const char *words)
{
    CU_ASSERT_FALSE(allows(CM_LANE_OCSP, tbs_make_response(memory, &parts)));
    expect_words(words);
}

static void expect_crl_denied(struct tbs_crl_parts parts, const char *words)
{
    CU_ASSERT_FALSE(allows(CM_LANE_CRL, tbs_make_crl(memory, &parts)));
    expect_words(words);
}

static void test_floor_allows_a_plain_leaf(void)
{
    CU_ASSERT_TRUE(allows_parts(CM_LANE_LEAF, (struct tbs_parts){ 0 }));
    CU_ASSERT_TRUE(allows_parts(
        CM_LANE_LEAF,
        (struct tbs_parts){ .extensions = USAGE_SIGNATURE CA_ABSENT PURPOSE_CLIENT UNKNOWN }));
}

static void test_floor_lets_no_authority_out_of_the_leaf_lane(void)
{
    static const char *const extensions[] = { CA_TRUE, CA_TRUE_PATH, USAGE_SIGNATURE CA_TRUE };
    for (size_t i = 0; i < 3; i++)
        expect_denied(CM_LANE_LEAF, (struct tbs_parts){ .extensions = extensions[i] },
                      "CA certificate");
    expect_denied(CM_LANE_LEAF, (struct tbs_parts){ .extensions = USAGE_CERT_SIGN }, "sign");
    expect_denied(CM_LANE_LEAF, (struct tbs_parts){ .extensions = USAGE_CRL_SIGN }, "sign");
    expect_denied(CM_LANE_LEAF, (struct tbs_parts){ .extensions = NETSCAPE_SSL_CA }, "Netscape");
    expect_denied(CM_LANE_LEAF, (struct tbs_parts){ .extensions = NETSCAPE_CLIENT }, "Netscape");
    expect_denied(CM_LANE_LEAF, (struct tbs_parts){ .extensions = PURPOSE_OCSP }, "OCSP");
    expect_denied(CM_LANE_LEAF, (struct tbs_parts){ .extensions = PURPOSES_BOTH }, "OCSP");
}

static void test_floor_is_not_deceived_by_a_second_extension_or_another_encoding(void)
{
    expect_denied(CM_LANE_LEAF, (struct tbs_parts){ .extensions = CA_ABSENT CA_TRUE }, "twice");
    expect_denied(CM_LANE_LEAF, (struct tbs_parts){ .extensions = CA_TRUE CA_ABSENT }, "twice");
    /* TRUE as 0x01, a length in two octets, rubbish behind, an extension that is cut short */
    CU_ASSERT_FALSE(allows_parts(
        CM_LANE_LEAF, (struct tbs_parts){ .extensions = "300f0603551d130101ff04053003010101" }));
    CU_ASSERT_FALSE(allows_parts(
        CM_LANE_LEAF, (struct tbs_parts){ .extensions = "30100603551d130101ff04063081030101ff" }));
    CU_ASSERT_FALSE(allows_parts(
        CM_LANE_LEAF, (struct tbs_parts){ .extensions = "300e0603551d130101ff040430000500" }));
    CU_ASSERT_FALSE(
        allows_parts(CM_LANE_LEAF, (struct tbs_parts){ .extensions = "300b0603551d130101ff0403" }));
    CU_ASSERT_FALSE(allows_parts(CM_LANE_LEAF, (struct tbs_parts){ .behind = "0500" }));
    /* cA FALSE is the default, and not written in DER; it makes no authority of anyone. */
    CU_ASSERT_TRUE(allows_parts(CM_LANE_LEAF, (struct tbs_parts){ .extensions = CA_FALSE }));
}

static void test_floor_wants_version_3_and_a_serial_of_1_to_20_octets(void)
{
    expect_denied(CM_LANE_LEAF, (struct tbs_parts){ .version = "a003020101" }, "version");
    CU_ASSERT_FALSE(allows_parts(CM_LANE_LEAF, (struct tbs_parts){ .version = "" }));
    expect_denied(CM_LANE_LEAF, (struct tbs_parts){ .serial = "00" }, "zero");
    expect_denied(CM_LANE_LEAF, (struct tbs_parts){ .serial = "ff" }, "zero");
    expect_denied(CM_LANE_LEAF, (struct tbs_parts){ .serial = "8001" }, "zero");
    CU_ASSERT_FALSE(allows_parts(CM_LANE_LEAF, (struct tbs_parts){ .serial = "0001" }));
    CU_ASSERT_FALSE(allows_parts(CM_LANE_LEAF, (struct tbs_parts){ .serial = "" }));
    CU_ASSERT_TRUE(allows_parts(
        CM_LANE_LEAF, (struct tbs_parts){ .serial = "7f01020304050607080910111213141516171819" }));
    expect_denied(CM_LANE_LEAF,
                  (struct tbs_parts){ .serial = "7f0102030405060708091011121314151617181920" },
                  "20 octets");
}

static void test_floor_knows_its_own_name_only(void)
{
    expect_denied(CM_LANE_LEAF, (struct tbs_parts){ .issuer = "CB" }, "own name");
    expect_denied(CM_LANE_LEAF, (struct tbs_parts){ .issuer = "CA " }, "own name");
    expect_denied(CM_LANE_CEREMONY, (struct tbs_parts){ .issuer = "Root" }, "own name");
}

static void test_floor_bounds_the_validity(void)
{
    int64_t now_s = cm_clock_wall_s();
    CU_ASSERT_TRUE(
        allows_parts(CM_LANE_LEAF, (struct tbs_parts){ .not_before_s = now_s,
                                                       .not_after_s = now_s + 10 * DAY_S }));
    expect_denied(
        CM_LANE_LEAF,
        (struct tbs_parts){ .not_before_s = now_s, .not_after_s = now_s + 10 * DAY_S + 1 },
        "validity");
    expect_denied(CM_LANE_LEAF,
                  (struct tbs_parts){ .not_before_s = now_s, .not_after_s = now_s - 1 }, "before");
    expect_denied(CM_LANE_LEAF, (struct tbs_parts){ .not_before_s = now_s - DAY_S - 5 }, "past");
    expect_denied(CM_LANE_LEAF, (struct tbs_parts){ .not_before_s = now_s + DAY_S + 5 }, "future");
    expect_denied(CM_LANE_CEREMONY, (struct tbs_parts){ .not_after_s = now_s + 11 * DAY_S },
                  "validity");
}

static void test_floor_allows_no_expiry_only_where_it_says_so(void)
{
    struct cm_bytes endless =
        tbs_make(memory, &(struct tbs_parts){ .not_after_s = CM_DER_TIME_MAX_S });
    uint8_t hash[CM_SHA256_SIZE];
    struct cm_floor floor = floor_of(all_lanes);
    const struct cm_floor_question question = {
        .lane = CM_LANE_LEAF, .message = endless, .intent_hash = hash, .now_s = cm_clock_wall_s()
    };
    cm_sha256(&endless, 1, hash);
    CU_ASSERT_FALSE(cm_floor_allows(&floor, &question, text));
    floor.allows_no_expiry = true;
    CU_ASSERT_TRUE(cm_floor_allows(&floor, &question, text));
    /* The leave is for that one date. */
    expect_denied(CM_LANE_LEAF, (struct tbs_parts){ .not_after_s = CM_DER_TIME_MAX_S - 1 },
                  "validity");
}

static bool allows_intent(enum cm_lane lane, struct cm_bytes message, const uint8_t *hash)
{
    struct cm_floor floor = floor_of(all_lanes);
    const struct cm_floor_question question = {
        .lane = lane, .message = message, .intent_hash = hash, .now_s = cm_clock_wall_s()
    };
    return cm_floor_allows(&floor, &question, text);
}

static void test_floor_signs_only_what_an_intent_stands_for(void)
{
    struct cm_bytes leaf = tbs_make(memory, &(struct tbs_parts){ 0 });
    uint8_t hash[CM_SHA256_SIZE], crl_memory[TBS_SIZE_MAX];
    cm_sha256(&leaf, 1, hash);
    CU_ASSERT_TRUE(allows_intent(CM_LANE_LEAF, leaf, hash));
    CU_ASSERT_FALSE(allows_intent(CM_LANE_LEAF, leaf, NULL));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "intent"));
    CU_ASSERT_FALSE(allows_intent(CM_LANE_CEREMONY, leaf, NULL));
    hash[31] ^= 1;
    CU_ASSERT_FALSE(allows_intent(CM_LANE_LEAF, leaf, hash));
    const struct tbs_parts responder = { .extensions = USAGE_SIGNATURE PURPOSE_OCSP };
    leaf = tbs_make(memory, &responder);
    cm_sha256(&leaf, 1, hash);
    CU_ASSERT_TRUE(allows_intent(CM_LANE_OCSP, leaf, hash));
    CU_ASSERT_FALSE(allows_intent(CM_LANE_OCSP, leaf, NULL));
    expect_words("intent");
    /* CRLs need none; but one that comes along is looked at. */
    struct cm_bytes crl = tbs_make_crl(crl_memory, &(struct tbs_crl_parts){ 0 });
    CU_ASSERT_TRUE(allows_intent(CM_LANE_CRL, crl, NULL));
    CU_ASSERT_FALSE(allows_intent(CM_LANE_CRL, crl, hash));
}

static void test_floor_keeps_the_lanes_apart(void)
{
    uint8_t other[TBS_SIZE_MAX];
    struct cm_bytes leaf = tbs_make(memory, &(struct tbs_parts){ 0 });
    struct cm_bytes crl = tbs_make_crl(other, &(struct tbs_crl_parts){ 0 });
    CU_ASSERT_FALSE(allows(CM_LANE_CRL, leaf));
    CU_ASSERT_FALSE(allows(CM_LANE_OCSP, leaf));
    CU_ASSERT_TRUE(allows(CM_LANE_CRL, crl));
    CU_ASSERT_FALSE(allows(CM_LANE_LEAF, crl));
    CU_ASSERT_FALSE(allows(CM_LANE_OCSP, crl));
    CU_ASSERT_FALSE(allows(CM_LANE_CEREMONY, crl));
    struct cm_bytes response = tbs_make_response(other, &(struct tbs_response_parts){ 0 });
    CU_ASSERT_TRUE(allows(CM_LANE_OCSP, response));
    CU_ASSERT_FALSE(allows(CM_LANE_LEAF, response));
    CU_ASSERT_FALSE(allows(CM_LANE_CRL, response));
}

static void test_floor_signs_checkpoints_with_a_key_for_nothing_else(void)
{
    uint8_t octets[CM_CHECKPOINT_MESSAGE_SIZE + 1] = CM_CHECKPOINT_CONTEXT;
    const struct cm_floor floor = { .lanes = CM_LANE_BIT(CM_LANE_AUDIT) };
    struct cm_bytes checkpoint = cm_bytes(octets, CM_CHECKPOINT_MESSAGE_SIZE);
    CU_ASSERT_TRUE(allows_under(&floor, CM_LANE_AUDIT, checkpoint));
    for (unsigned lane = 0; lane < CM_LANE_AUDIT; lane++) {
        CU_ASSERT_FALSE(allows((enum cm_lane)lane, checkpoint)); /* a CA's key, in any lane */
        CU_ASSERT_FALSE(allows_under(&floor, (enum cm_lane)lane, checkpoint));
    }
    CU_ASSERT_FALSE(allows(CM_LANE_AUDIT, checkpoint));
    CU_ASSERT_FALSE(allows_under(&floor, CM_LANE_AUDIT, cm_bytes(octets, sizeof octets)));
    CU_ASSERT_FALSE(
        allows_under(&floor, CM_LANE_AUDIT, cm_bytes(octets, CM_CHECKPOINT_MESSAGE_SIZE - 1)));
    CU_ASSERT_FALSE(
        allows_under(&floor, CM_LANE_AUDIT, tbs_make(memory, &(struct tbs_parts){ 0 })));
    octets[CM_CHECKPOINT_CONTEXT_SIZE - 1] = ' '; /* its NUL */
    CU_ASSERT_FALSE(allows_under(&floor, CM_LANE_AUDIT, checkpoint));
}

static void test_floor_signs_crls_of_its_own_name_for_a_time_that_is_bounded(void)
{
    int64_t now_s = cm_clock_wall_s();
    struct cm_floor floor = floor_of(all_lanes);
    const struct tbs_crl_parts for_two_days = { .this_update_s = now_s,
                                                .next_update_s = now_s + 2 * DAY_S };
    expect_crl_denied((struct tbs_crl_parts){ .issuer = "CB" }, "own name");
    expect_crl_denied((struct tbs_crl_parts){ .version = "020102" }, "version");
    expect_crl_denied((struct tbs_crl_parts){ .this_update_s = now_s + DAY_S + 5 }, "future");
    expect_crl_denied((struct tbs_crl_parts){ .next_update_s = now_s - 5 }, "before thisUpdate");
    expect_crl_denied(
        (struct tbs_crl_parts){ .this_update_s = now_s, .next_update_s = now_s + 400 * DAY_S + 1 },
        "longer");
    CU_ASSERT_TRUE(allows(
        CM_LANE_CRL,
        tbs_make_crl(memory, &(struct tbs_crl_parts){ .this_update_s = now_s,
                                                      .next_update_s = now_s + 400 * DAY_S })));
    floor.crl_validity_s_max = DAY_S;
    CU_ASSERT_FALSE(allows_under(&floor, CM_LANE_CRL, tbs_make_crl(memory, &for_two_days)));
    floor.crl_validity_s_max = 2 * DAY_S;
    CU_ASSERT_TRUE(allows_under(&floor, CM_LANE_CRL, tbs_make_crl(memory, &for_two_days)));
}

static void test_floor_signs_responses_that_name_its_own_key(void)
{
    struct cm_floor floor = floor_of(all_lanes);
    const struct tbs_response_parts usual = { 0 };
    expect_response_denied(
        (struct tbs_response_parts){ .key_hash = "001112131415161718191a1b1c1d1e1f20212223" },
        "another key");
    expect_response_denied((struct tbs_response_parts){ .key_hash = "10" }, "another key");
    expect_response_denied((struct tbs_response_parts){ .responder_name = "CA" }, "by its key");
    struct cm_floor_question question = { .lane = CM_LANE_OCSP,
                                          .message = tbs_make_response(memory, &usual),
                                          .now_s = cm_clock_wall_s() };
    CU_ASSERT_FALSE(cm_floor_allows(&floor, &question, text)); /* a key without a hash */
    question.key_hash = own_hash();
    CU_ASSERT_TRUE(cm_floor_allows(&floor, &question, text));
}

static void test_floor_reads_each_response_to_its_end(void)
{
    static const char *const good[] = { "8000", "8200", "a111180f32303236303130313030303030305a",
                                        "a116180f32303236303130313030303030305aa0030a0101" };
    static const char *const bad[] = { "800100",
                                       "8100",
                                       "8300",
                                       "0500",
                                       "a100",
                                       "a10f170d3236303130313030303030305a",
                                       "a116180f32303236303130313030303030305aa003020101",
                                       "a113180f32303236303130313030303030305a0500",
                                       "" };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        CU_ASSERT_TRUE(allows(CM_LANE_OCSP, tbs_make_response(memory, &(struct tbs_response_parts){
                                                                          .status = good[i] })));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CU_ASSERT_FALSE(allows(CM_LANE_OCSP, tbs_make_response(memory, &(struct tbs_response_parts){
                                                                           .status = bad[i] })));
    CU_ASSERT_TRUE(allows(CM_LANE_OCSP, tbs_make_response(memory, &(struct tbs_response_parts){
                                                                      .singles_count = 8 })));
    expect_response_denied((struct tbs_response_parts){ .is_empty = true }, "nothing");
    expect_response_denied((struct tbs_response_parts){ .behind = "0500" }, "");
    CU_ASSERT_TRUE(allows(CM_LANE_OCSP, tbs_make_response(memory, &(struct tbs_response_parts){
                                                                      .behind = "a1023000" })));
}

static void test_floor_knows_hash_algorithms_by_their_oid(void)
{
    static const char *const bad[] = { "",
                                       "0500",
                                       "0400",
                                       "06052b0e03021a02",
                                       "060080",
                                       "060180",
                                       "06052b0e03021a3000",
                                       "06052b0e03021a05000500" };
    CU_ASSERT_TRUE(
        allows(CM_LANE_OCSP, tbs_make_response(memory, &(struct tbs_response_parts){
                                                           .hash_algorithm = "06052b0e03021a" })));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CU_ASSERT_FALSE(allows(
            CM_LANE_OCSP,
            tbs_make_response(memory, &(struct tbs_response_parts){ .hash_algorithm = bad[i] })));
}

/* One that is well formed, twice; no OBJECT IDENTIFIER, no value, FALSE written out, no SEQUENCE. */
static const char *const bad_extensions[] = { UNKNOWN UNKNOWN, "30060404040474aa", "30050603550405",
                                              "300d06035504050101000403020101", "0500" };

static const char *in_list(const char *extensions)
{
    static char list[128];
    unsigned size = (unsigned)strlen(extensions) / 2;
    snprintf(list, sizeof list, "a1%02x30%02x%s", size + 2, size, extensions);
    return list;
}

static void test_floor_reads_extensions_of_responses_and_crls(void)
{
    CU_ASSERT_TRUE(
        allows(CM_LANE_OCSP, tbs_make_response(memory, &(struct tbs_response_parts){
                                                           .behind_single = in_list(UNKNOWN) })));
    CU_ASSERT_TRUE(allows(
        CM_LANE_OCSP,
        tbs_make_response(memory, &(struct tbs_response_parts){ .behind = in_list(UNKNOWN) })));
    for (size_t i = 0; i < sizeof bad_extensions / sizeof bad_extensions[0]; i++) {
        const char *list = in_list(bad_extensions[i]), *words = i == 0 ? "twice" : "";
        expect_response_denied((struct tbs_response_parts){ .behind_single = list }, words);
        expect_response_denied((struct tbs_response_parts){ .behind = list }, words);
        expect_crl_denied((struct tbs_crl_parts){ .extensions = bad_extensions[i] }, words);
    }
}

static void test_floor_bounds_the_times_of_responses(void)
{
    int64_t now_s = cm_clock_wall_s();
    expect_response_denied((struct tbs_response_parts){ .has_no_next = true }, "no nextUpdate");
    expect_response_denied((struct tbs_response_parts){ .this_update_s = now_s + 320 }, "future");
    expect_response_denied((struct tbs_response_parts){ .produced_s = now_s + 320 }, "future");
    expect_response_denied((struct tbs_response_parts){ .next_update_s = now_s - 5 },
                           "before thisUpdate");
    const struct tbs_response_parts longer = { .next_update_s = now_s + 30 * DAY_S + 320 };
    expect_response_denied(longer, "too far");
    CU_ASSERT_TRUE(
        allows(CM_LANE_OCSP, tbs_make_response(memory, &(struct tbs_response_parts){
                                                           .this_update_s = now_s - 40 * DAY_S,
                                                           .next_update_s = now_s + 30 * DAY_S })));
    struct cm_floor floor = floor_of(all_lanes);
    floor.ocsp_validity_s_max = 31 * DAY_S;
    CU_ASSERT_TRUE(allows_under(&floor, CM_LANE_OCSP, tbs_make_response(memory, &longer)));
    floor.ocsp_validity_s_max = DAY_S;
    CU_ASSERT_FALSE(allows_under(&floor, CM_LANE_OCSP, tbs_make_response(memory, &longer)));
}

static void test_floor_of_a_responder_signs_responses_and_no_certificate(void)
{
    struct cm_floor floor = floor_of(CM_LANE_BIT(CM_LANE_OCSP));
    const struct tbs_response_parts usual = { 0 };
    const struct tbs_parts responder = { .extensions = USAGE_SIGNATURE PURPOSE_OCSP };
    CU_ASSERT_TRUE(allows_under(&floor, CM_LANE_OCSP, tbs_make(memory, &responder)));
    floor.is_responder = true;
    CU_ASSERT_TRUE(allows_under(&floor, CM_LANE_OCSP, tbs_make_response(memory, &usual)));
    CU_ASSERT_FALSE(allows_under(&floor, CM_LANE_OCSP, tbs_make(memory, &responder)));
    expect_words("no certificates");
    CU_ASSERT_FALSE(allows_under(&floor, CM_LANE_LEAF, tbs_make(memory, &(struct tbs_parts){ 0 })));
    CU_ASSERT_FALSE(
        allows_under(&floor, CM_LANE_CRL, tbs_make_crl(memory, &(struct tbs_crl_parts){ 0 })));
}

static void test_floor_bounds_responders_certificates_by_themselves(void)
{
    int64_t now_s = cm_clock_wall_s();
    struct cm_floor floor = floor_of(all_lanes);
    const struct tbs_parts short_one = { .not_before_s = now_s,
                                         .not_after_s = now_s + 2 * DAY_S,
                                         .extensions = USAGE_SIGNATURE PURPOSE_OCSP };
    const struct tbs_parts long_one = { .not_before_s = now_s,
                                        .not_after_s = now_s + 20 * DAY_S,
                                        .extensions = USAGE_SIGNATURE PURPOSE_OCSP };
    CU_ASSERT_FALSE(allows_under(&floor, CM_LANE_OCSP, tbs_make(memory, &long_one)));
    floor.responder_validity_s_max = 20 * DAY_S;
    CU_ASSERT_TRUE(allows_under(&floor, CM_LANE_OCSP, tbs_make(memory, &long_one)));
    floor.responder_validity_s_max = DAY_S;
    CU_ASSERT_FALSE(allows_under(&floor, CM_LANE_OCSP, tbs_make(memory, &short_one)));
    expect_words("validity");
    floor.responder_validity_s_max = 0; /* however long a leaf may live */
    CU_ASSERT_FALSE(allows_under(&floor, CM_LANE_OCSP, tbs_make(memory, &short_one)));
    expect_words("no responder a certificate");
}

static void test_floor_gives_no_responder_an_endless_certificate(void)
{
    struct cm_floor floor = floor_of(all_lanes);
    const struct tbs_parts endless = { .not_after_s = CM_DER_TIME_MAX_S,
                                       .extensions = USAGE_SIGNATURE PURPOSE_OCSP };
    floor.allows_no_expiry = true; /* for leaves */
    CU_ASSERT_FALSE(allows_under(&floor, CM_LANE_OCSP, tbs_make(memory, &endless)));
    expect_words("validity");
    CU_ASSERT_TRUE(
        allows_under(&floor, CM_LANE_LEAF,
                     tbs_make(memory, &(struct tbs_parts){ .not_after_s = CM_DER_TIME_MAX_S })));
}

static void test_floor_hashes_the_bits_of_a_key(void)
{
    /* RFC 8410, 10.1: an Ed25519 key; the hash by openssl dgst -sha1 over its 32 octets */
    static const char spki_hex[] =
        "302a300506032b657003210019bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1";
    uint8_t spki[64], hash[CM_SHA1_SIZE];
    char hex[2 * CM_SHA1_SIZE + 1];
    size_t size;
    CU_ASSERT_TRUE_FATAL(cm_hex_decode(spki_hex, strlen(spki_hex), spki, sizeof spki, &size));
    CU_ASSERT_TRUE(cm_floor_hash_key(cm_bytes(spki, size), hash));
    cm_hex_encode(cm_bytes(hash, sizeof hash), hex);
    CU_ASSERT_STRING_EQUAL(hex, "a28cc1f86e5960d3e03ae75c962c97a8d448293c");
    CU_ASSERT_FALSE(cm_floor_hash_key(cm_bytes(spki, size - 1), hash));
    CU_ASSERT_FALSE(cm_floor_hash_key(cm_bytes(NULL, 0), hash));
}

static void test_floor_gives_responders_certificates_in_the_ocsp_lane_only(void)
{
    CU_ASSERT_TRUE(allows_parts(CM_LANE_OCSP,
                                (struct tbs_parts){ .extensions = USAGE_SIGNATURE PURPOSE_OCSP }));
    expect_denied(CM_LANE_OCSP, (struct tbs_parts){ .extensions = PURPOSES_BOTH }, "alone");
    expect_denied(CM_LANE_OCSP, (struct tbs_parts){ .extensions = PURPOSE_CLIENT }, "alone");
    expect_denied(CM_LANE_OCSP, (struct tbs_parts){ .extensions = CA_TRUE PURPOSE_OCSP },
                  "CA certificate");
    expect_denied(CM_LANE_OCSP, (struct tbs_parts){ .extensions = NETSCAPE_SSL_CA PURPOSE_OCSP },
                  "Netscape");
}

static void test_floor_makes_authorities_in_the_ceremony_lane_of_a_key_for_it(void)
{
    const struct tbs_parts authority = { .extensions = CA_TRUE_PATH USAGE_CERT_SIGN };
    struct cm_bytes message = tbs_make(memory, &authority);
    struct cm_floor floor = floor_of(CM_LANE_BIT(CM_LANE_LEAF));
    uint8_t hash[CM_SHA256_SIZE];
    struct cm_floor_question question = { .lane = CM_LANE_CEREMONY,
                                          .message = message,
                                          .intent_hash = hash,
                                          .now_s = cm_clock_wall_s() };
    cm_sha256(&message, 1, hash);
    CU_ASSERT_TRUE(allows(CM_LANE_CEREMONY, message));
    CU_ASSERT_FALSE(cm_floor_allows(&floor, &question, text));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "lane"));
    question.lane = (enum cm_lane)9;
    CU_ASSERT_FALSE(cm_floor_allows(&floor, &question, text));
}

static void test_floor_refuses_whatever_is_cut_short_or_spoilt(void)
{
    struct cm_bytes leaf =
        tbs_make(memory, &(struct tbs_parts){ .extensions = USAGE_SIGNATURE CA_ABSENT });
    for (size_t size = 0; size < leaf.size; size++)
        CU_ASSERT_FALSE(allows(CM_LANE_LEAF, cm_bytes(leaf.data, size)));
    for (unsigned lane = 0; lane <= CM_LANE_CEREMONY; lane++)
        for (size_t at = 0; at < leaf.size; at++) {
            uint8_t before = memory[at];
            memory[at] ^= 0xff;
            (void)allows((enum cm_lane)lane, leaf); /* does not read past the end */
            memory[at] = before;
        }
    CU_ASSERT_TRUE(allows(CM_LANE_LEAF, leaf));
}

static void test_floor_lets_as_many_through_as_its_rate(void)
{
    const struct cm_floor floor = { .rate_per_s_max = 100, .burst = 10 };
    const struct cm_floor none = { 0 };
    struct cm_floor_bucket bucket = { 0 }, other = { 0 };
    uint64_t now_ns = 5 * CM_NS_PER_S;
    for (unsigned i = 0; i < 10; i++)
        CU_ASSERT_TRUE(cm_floor_take(&floor, &bucket, now_ns));
    CU_ASSERT_FALSE(cm_floor_take(&floor, &bucket, now_ns));
    now_ns += 10 * CM_NS_PER_MS + 1000;
    CU_ASSERT_TRUE(cm_floor_take(&floor, &bucket, now_ns));
    CU_ASSERT_FALSE(cm_floor_take(&floor, &bucket, now_ns));
    now_ns += 3600 * CM_NS_PER_S; /* no more than a burst is saved up */
    for (unsigned i = 0; i < 10; i++)
        CU_ASSERT_TRUE(cm_floor_take(&floor, &bucket, now_ns));
    CU_ASSERT_FALSE(cm_floor_take(&floor, &bucket, now_ns));
    for (unsigned i = 0; i < 1000; i++)
        CU_ASSERT_TRUE(cm_floor_take(&none, &other, now_ns));
}

CM_TEST_SUITE(floor, CM_TEST(test_floor_allows_a_plain_leaf),
              CM_TEST(test_floor_lets_no_authority_out_of_the_leaf_lane),
              CM_TEST(test_floor_is_not_deceived_by_a_second_extension_or_another_encoding),
              CM_TEST(test_floor_wants_version_3_and_a_serial_of_1_to_20_octets),
              CM_TEST(test_floor_knows_its_own_name_only), CM_TEST(test_floor_bounds_the_validity),
              CM_TEST(test_floor_allows_no_expiry_only_where_it_says_so),
              CM_TEST(test_floor_signs_only_what_an_intent_stands_for),
              CM_TEST(test_floor_keeps_the_lanes_apart),
              CM_TEST(test_floor_signs_checkpoints_with_a_key_for_nothing_else),
              CM_TEST(test_floor_signs_crls_of_its_own_name_for_a_time_that_is_bounded),
              CM_TEST(test_floor_signs_responses_that_name_its_own_key),
              CM_TEST(test_floor_reads_each_response_to_its_end),
              CM_TEST(test_floor_knows_hash_algorithms_by_their_oid),
              CM_TEST(test_floor_reads_extensions_of_responses_and_crls),
              CM_TEST(test_floor_bounds_the_times_of_responses),
              CM_TEST(test_floor_gives_responders_certificates_in_the_ocsp_lane_only),
              CM_TEST(test_floor_of_a_responder_signs_responses_and_no_certificate),
              CM_TEST(test_floor_bounds_responders_certificates_by_themselves),
              CM_TEST(test_floor_gives_no_responder_an_endless_certificate),
              CM_TEST(test_floor_hashes_the_bits_of_a_key),
              CM_TEST(test_floor_makes_authorities_in_the_ceremony_lane_of_a_key_for_it),
              CM_TEST(test_floor_refuses_whatever_is_cut_short_or_spoilt),
              CM_TEST(test_floor_lets_as_many_through_as_its_rate));

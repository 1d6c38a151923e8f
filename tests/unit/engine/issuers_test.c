/* Which generations are opened, which of them issue, and what stands in their certificates for life. */
#include "engine/issuers.h"

#include <stdio.h>

#include "engine/base/hash.h"
#include "tests/support/tbs_maker.h"
#include "tests/support/test_main.h"
#include "tests/unit/engine/issuing_rig.h"

static struct issuing_rig rig;

/* The group that wants certificates of the authority. */
static void add_group(void)
{
    static const struct cm_profile *profiles[1];
    static struct cm_settings_group group;
    profiles[0] = cm_profile_builtin("device-client");
    group = (struct cm_settings_group){
        .name = "default", .authority = &rig.authority, .profiles = profiles, .profiles_count = 1
    };
    rig.settings.groups = &group;
    rig.settings.groups_count = 1;
    rig.settings.profiles = profiles;
    rig.settings.profiles_count = 1;
}

static void test_active_generations_issue_and_the_others_only_tell(void)
{
    issuing_begin(&rig, "openssl", NULL);
    issuing_add(&rig, CM_GENERATION_RETIRED, 30);
    issuing_add(&rig, CM_GENERATION_ACTIVE, 365);
    issuing_add(&rig, CM_GENERATION_RETIRING, 30);
    issuing_add(&rig, CM_GENERATION_COMPROMISED, 30);
    issuing_add(&rig, CM_GENERATION_PENDING, 30);
    issuing_add(&rig, CM_GENERATION_RETIRED, -1); /* has ended */
    CU_ASSERT_EQUAL_FATAL(issuing_open(&rig), CM_OK);
    CU_ASSERT_EQUAL_FATAL(rig.issuers.keys_count, 5);
    for (uint32_t i = 0; i < 5; i++) {
        const struct cm_issuer_key *key = &rig.issuers.keys[i];
        CU_ASSERT_EQUAL(key->issues, i == 1);
        CU_ASSERT_PTR_NOT_NULL_FATAL(key->key);
        CU_ASSERT_TRUE(cm_bytes_equal(key->key->spki, key->issuer.spki));
        CU_ASSERT_EQUAL(key->public_key.type, CM_KEY_P256);
        CU_ASSERT_PTR_EQUAL(cm_issuers_by_generation(&rig.issuers, key->generation_number), key);
        CU_ASSERT_EQUAL(key->templates != NULL, i == 1 || i == 4); /* what is pending is ready */
    }
    CU_ASSERT_STRING_EQUAL(rig.issuers.keys[2].name, "issuing-3");
    CU_ASSERT_TRUE(cm_issuers_have(&rig.issuers, &rig.authority));
    CU_ASSERT_EQUAL(rig.notices_count, 0);
    issuing_end(&rig);
}

static void test_a_generation_that_only_tells_is_none_to_issue_with(void)
{
    issuing_begin(&rig, "openssl", NULL);
    issuing_add(&rig, CM_GENERATION_RETIRED, 30);
    add_group();
    CU_ASSERT_EQUAL(issuing_open(&rig), CM_NOT_FOUND);
    CU_ASSERT_FALSE(cm_issuers_have(&rig.issuers, &rig.authority));
    CU_ASSERT_PTR_NOT_NULL(strstr(rig.issuers.err.text, "no active generation"));
    issuing_end(&rig);
}

static bool is_there(void *arg)
{
    return ((struct cm_issuer_key *)arg)->key != NULL;
}

static void test_a_late_key_that_issues_nothing_is_told_and_tried_again(void)
{
    char path[500], hidden[510];
    issuing_begin(&rig, "openssl", NULL);
    issuing_add(&rig, CM_GENERATION_RETIRING, 30);
    issuing_add(&rig, CM_GENERATION_ACTIVE, 30);
    snprintf(path, sizeof path, "%s/issuing-1.pem", rig.folder);
    snprintf(hidden, sizeof hidden, "%s.away", path);
    CU_ASSERT_EQUAL_FATAL(rename(path, hidden), 0);
    CU_ASSERT_EQUAL_FATAL(issuing_open(&rig), CM_OK);
    CU_ASSERT_PTR_NULL(rig.issuers.keys[0].key);
    CU_ASSERT_PTR_NOT_NULL(rig.issuers.keys[1].key);
    CU_ASSERT_TRUE(issuing_told(&rig, "no CRLs and OCSP responses of issuing-1"));
    CU_ASSERT_EQUAL_FATAL(rename(hidden, path), 0);
    CU_ASSERT_TRUE(issuing_wait(&rig, is_there, &rig.issuers.keys[0]));
    CU_ASSERT_TRUE(cm_issuers_are_idle(&rig.issuers));
    issuing_end(&rig);
}

static void test_a_missing_key_that_issues_fails_the_start(void)
{
    issuing_begin(&rig, "openssl", NULL);
    issuing_add(&rig, CM_GENERATION_RETIRING, 30);
    issuing_add_with(&rig, CM_GENERATION_ACTIVE, 30, "software", "file:nowhere.pem");
    CU_ASSERT_EQUAL(issuing_open(&rig), CM_NO_KEY);
    CU_ASSERT_PTR_NOT_NULL(strstr(rig.issuers.err.text, "key of issuing-2"));
    issuing_end(&rig);
}

static void test_another_key_than_the_certificates_is_refused(void)
{
    issuing_begin(&rig, "openssl", NULL);
    issuing_add(&rig, CM_GENERATION_RETIRED, 30);
    issuing_add_with(&rig, CM_GENERATION_RETIRED, 30, "software", "file:issuing-1.pem");
    CU_ASSERT_EQUAL(issuing_open(&rig), CM_OK);
    CU_ASSERT_PTR_NULL(rig.issuers.keys[1].key);
    CU_ASSERT_TRUE(issuing_told(&rig, "its key is not the certificate's"));
    issuing_end(&rig);
    issuing_begin(&rig, "openssl", NULL);
    issuing_add(&rig, CM_GENERATION_RETIRED, 30);
    issuing_add_with(&rig, CM_GENERATION_ACTIVE, 30, "software", "file:issuing-1.pem");
    CU_ASSERT_EQUAL(issuing_open(&rig), CM_MISMATCH);
    issuing_end(&rig);
}

static void test_a_provider_that_is_gone_is_a_notice_unless_it_issues(void)
{
    issuing_begin(&rig, "openssl", NULL);
    issuing_add_with(&rig, CM_GENERATION_RETIRED, 30, "gone", "file:issuing-1.pem");
    CU_ASSERT_EQUAL(issuing_open(&rig), CM_OK);
    CU_ASSERT_PTR_NULL(rig.issuers.keys[0].key);
    CU_ASSERT_TRUE(issuing_told(&rig, "provider is not in the settings"));
    issuing_end(&rig);
    issuing_begin(&rig, "openssl", NULL);
    issuing_add_with(&rig, CM_GENERATION_ACTIVE, 30, "gone", "file:issuing-1.pem");
    CU_ASSERT_EQUAL(issuing_open(&rig), CM_NOT_FOUND);
    issuing_end(&rig);
}

/* ------------------------------------------------------------------ while it runs -- */

static void move_to(unsigned position, enum cm_generation_state to)
{
    const struct cm_audit_event audit = { .kind = "test",
                                          .actor = cm_bytes_str("test"),
                                          .detail = cm_bytes_str("{}") };
    struct cm_transition transition = { .number = issuing_generation(&rig, position).number,
                                        .to = to,
                                        .may_be_last = true };
    struct cm_store_op op = { .kind = CM_STORE_TRANSITION,
                              .transition = &transition,
                              .audit = &audit };
    struct cm_error err;
    CU_ASSERT_EQUAL(cm_store_apply(rig.store, &op, &err), CM_OK);
}

static void look(void)
{
    cm_issuers_look(&rig.issuers);
    CU_ASSERT_TRUE(issuing_wait(&rig, issuing_is_idle, &rig));
}

static void test_a_look_takes_up_who_issues_by_now(void)
{
    issuing_begin(&rig, "openssl", NULL);
    issuing_add(&rig, CM_GENERATION_ACTIVE, 30);
    issuing_add(&rig, CM_GENERATION_PENDING, 30);
    CU_ASSERT_EQUAL_FATAL(issuing_open(&rig), CM_OK);
    const struct cm_issuer_key *keys = rig.issuers.keys;
    move_to(1, CM_GENERATION_ACTIVE);
    look();
    CU_ASSERT_TRUE(keys[0].issues && keys[1].issues);
    move_to(0, CM_GENERATION_RETIRING);
    look();
    CU_ASSERT_FALSE(keys[0].issues);
    CU_ASSERT_TRUE(keys[1].issues);
    CU_ASSERT_TRUE(issuing_told(&rig, "issuing-1 is retiring"));
    move_to(1, CM_GENERATION_COMPROMISED);
    look();
    CU_ASSERT_FALSE(keys[1].issues);
    CU_ASSERT_FALSE(cm_issuers_have(&rig.issuers, &rig.authority));
    issuing_end(&rig);
}

static void test_a_generation_that_comes_later_is_made_ready_and_told(void)
{
    issuing_begin(&rig, "openssl", NULL);
    issuing_add(&rig, CM_GENERATION_ACTIVE, 30);
    rig.authority.crl_url = "http://crl/${issuer}/${shard}.crl";
    rig.authority.crl_shards = 4;
    CU_ASSERT_EQUAL_FATAL(issuing_open(&rig), CM_OK);
    const struct cm_issuer_key *first = rig.issuers.keys;
    issuing_add(&rig, CM_GENERATION_PENDING, 30);
    cm_issuers_look(&rig.issuers);
    cm_issuers_look(&rig.issuers); /* one that comes while the first is not over */
    CU_ASSERT_TRUE(issuing_wait(&rig, issuing_is_idle, &rig));
    CU_ASSERT_EQUAL_FATAL(rig.issuers.keys_count, 2);
    CU_ASSERT_PTR_EQUAL(rig.issuers.keys, first);
    CU_ASSERT_EQUAL(rig.added_count, 1);
    CU_ASSERT_PTR_NOT_NULL(first[1].key);
    CU_ASSERT_FALSE(first[1].issues);
    CU_ASSERT_STRING_EQUAL(first[1].crl_url, "http://crl/issuing-2/${shard}.crl");
    CU_ASSERT_EQUAL(issuing_generation(&rig, 1).crl_shards, 4);
    issuing_end(&rig);
}

static void test_one_that_is_active_issues_as_soon_as_its_key_is_there(void)
{
    char path[500], hidden[510];
    issuing_begin(&rig, "openssl", NULL);
    issuing_add(&rig, CM_GENERATION_ACTIVE, 30);
    CU_ASSERT_EQUAL_FATAL(issuing_open(&rig), CM_OK);
    issuing_add(&rig, CM_GENERATION_ACTIVE, 30);
    snprintf(path, sizeof path, "%s/issuing-2.pem", rig.folder);
    snprintf(hidden, sizeof hidden, "%s.away", path);
    CU_ASSERT_EQUAL_FATAL(rename(path, hidden), 0);
    look();
    CU_ASSERT_FALSE(rig.issuers.keys[1].issues);
    CU_ASSERT_TRUE(issuing_told(&rig, "no certificates of issuing-2 for now"));
    CU_ASSERT_EQUAL_FATAL(rename(hidden, path), 0);
    CU_ASSERT_TRUE(issuing_wait(&rig, is_there, &rig.issuers.keys[1]));
    CU_ASSERT_TRUE(rig.issuers.keys[1].issues);
    issuing_end(&rig);
}

static void test_who_may_wait_starts_without_an_active_generation(void)
{
    issuing_begin(&rig, "openssl", NULL);
    issuing_add(&rig, CM_GENERATION_COMPROMISED, 30);
    add_group();
    rig.may_wait = true;
    CU_ASSERT_EQUAL(issuing_open(&rig), CM_OK);
    CU_ASSERT_PTR_NOT_NULL(rig.issuers.keys[0].key); /* it tells what has become of its own */
    CU_ASSERT_TRUE(issuing_told(&rig, "requests of group default wait"));
    issuing_end(&rig);
}

static void on_signed(struct cm_sign_batch *batch, void *arg)
{
    (void)batch;
    *(bool *)arg = true;
}

static bool is_true(void *arg)
{
    return *(bool *)arg;
}

static cm_status sign(uint32_t position, enum cm_lane lane, struct cm_bytes message)
{
    uint8_t signature[CM_SIGNATURE_SIZE_MAX], hash[CM_SHA256_SIZE];
    bool is_done = false;
    struct cm_error err;
    struct cm_sign_item item = { .message = message,
                                 .intent_hash = hash,
                                 .signature = signature,
                                 .signature_space = sizeof signature };
    struct cm_sign_batch batch = { .key = rig.issuers.keys[position].key,
                                   .lane = lane,
                                   .items = &item,
                                   .items_count = 1,
                                   .done = on_signed,
                                   .done_arg = &is_done };
    cm_sha256(&message, 1, hash);
    CU_ASSERT_EQUAL_FATAL(cm_provider_sign(rig.providers[0], &batch, &err), CM_OK);
    CU_ASSERT_TRUE_FATAL(issuing_wait(&rig, is_true, &is_done));
    return item.status;
}

/* A floor for certificates would let a stolen engine go on with a key that was retired. */
static void test_a_hosted_key_that_only_tells_has_a_floor_for_that(void)
{
    static const char *const names[] = { "issuing-1", "issuing-2" };
    uint8_t memory[TBS_SIZE_MAX];
    issuing_begin(&rig, "openssl-hosted", NULL);
    issuing_add(&rig, CM_GENERATION_RETIRED, 30);
    issuing_add(&rig, CM_GENERATION_ACTIVE, 30);
    add_group();
    CU_ASSERT_EQUAL_FATAL(issuing_open(&rig), CM_OK);
    CU_ASSERT_PTR_NOT_NULL_FATAL(rig.issuers.keys[0].key);
    for (uint32_t i = 0; i < 2; i++) {
        struct tbs_parts leaf = { .issuer = names[i] };
        struct tbs_crl_parts crl = { .issuer = names[i] };
        CU_ASSERT_EQUAL(sign(i, CM_LANE_LEAF, tbs_make(memory, &leaf)), i == 0 ? CM_DENIED : CM_OK);
        CU_ASSERT_EQUAL(sign(i, CM_LANE_CRL, tbs_make_crl(memory, &crl)), CM_OK);
    }
    CU_ASSERT_PTR_NULL(cm_issuer_template(&rig.issuers.keys[0], rig.settings.profiles[0]));
    CU_ASSERT_PTR_NOT_NULL(cm_issuer_template(&rig.issuers.keys[1], rig.settings.profiles[0]));
    issuing_end(&rig);
}

/* ------------------------------------------------------------------ what is fixed -- */

static void test_shards_and_url_are_fixed_at_the_first_start_with_a_url(void)
{
    issuing_begin(&rig, "openssl", NULL);
    issuing_add(&rig, CM_GENERATION_ACTIVE, 30);
    issuing_add(&rig, CM_GENERATION_RETIRING, 30);
    rig.authority.crl_shards = 16;
    CU_ASSERT_EQUAL_FATAL(issuing_open(&rig), CM_OK);
    CU_ASSERT_EQUAL(rig.issuers.keys[0].issuer.crl_shards, 1); /* no URL tells them apart */
    CU_ASSERT_EQUAL(issuing_generation(&rig, 0).crl_shards, 0);
    CU_ASSERT_EQUAL(issuing_count_audit(&rig, "ca-fix"), 0);
    issuing_close(&rig);
    rig.authority.crl_url = "http://pki.example/crl/${issuer}/${shard}.crl";
    issuing_reopen(&rig);
    CU_ASSERT_EQUAL(rig.issuers.keys[0].issuer.crl_shards, 16);
    CU_ASSERT_STRING_EQUAL(rig.issuers.keys[1].issuer.crl_url,
                           "http://pki.example/crl/issuing-2/${shard}.crl");
    struct cm_generation stored = issuing_generation(&rig, 0);
    CU_ASSERT_EQUAL(stored.crl_shards, 16);
    CU_ASSERT_TRUE(cm_bytes_is(stored.crl_url, "http://pki.example/crl/issuing-1/${shard}.crl"));
    CU_ASSERT_EQUAL(stored.state, CM_GENERATION_ACTIVE);
    CU_ASSERT_TRUE(cm_bytes_equal(stored.certificate, rig.issuers.keys[0].certificate));
    CU_ASSERT_EQUAL(issuing_generation(&rig, 1).state, CM_GENERATION_RETIRING);
    CU_ASSERT_EQUAL(issuing_count_audit(&rig, "ca-fix"), 2);
    CU_ASSERT_EQUAL(rig.notices_count, 0);
    issuing_end(&rig);
}

static void test_what_is_fixed_wins_over_the_settings(void)
{
    issuing_begin(&rig, "openssl", NULL);
    issuing_add(&rig, CM_GENERATION_ACTIVE, 30);
    rig.authority.crl_shards = 4;
    rig.authority.crl_url = "http://a.example/${issuer}/${shard}.crl";
    CU_ASSERT_EQUAL_FATAL(issuing_open(&rig), CM_OK);
    issuing_close(&rig);
    rig.authority.crl_shards = 8;
    rig.authority.crl_url = "http://b.example/${issuer}/${shard}.crl";
    issuing_reopen(&rig);
    CU_ASSERT_EQUAL(rig.issuers.keys[0].issuer.crl_shards, 4);
    CU_ASSERT_STRING_EQUAL(rig.issuers.keys[0].issuer.crl_url,
                           "http://a.example/issuing-1/${shard}.crl");
    CU_ASSERT_TRUE(issuing_told(&rig, "for new generations"));
    issuing_close(&rig);
    rig.authority.crl_url = NULL; /* certificates are out that name it */
    issuing_reopen(&rig);
    CU_ASSERT_STRING_EQUAL(rig.issuers.keys[0].issuer.crl_url,
                           "http://a.example/issuing-1/${shard}.crl");
    CU_ASSERT_TRUE(issuing_told(&rig, "for new generations"));
    CU_ASSERT_EQUAL(issuing_count_audit(&rig, "ca-fix"), 1);
    issuing_end(&rig);
}

CM_TEST_SUITE(issuers, CM_TEST(test_active_generations_issue_and_the_others_only_tell),
              CM_TEST(test_a_generation_that_only_tells_is_none_to_issue_with),
              CM_TEST(test_a_late_key_that_issues_nothing_is_told_and_tried_again),
              CM_TEST(test_a_missing_key_that_issues_fails_the_start),
              CM_TEST(test_another_key_than_the_certificates_is_refused),
              CM_TEST(test_a_provider_that_is_gone_is_a_notice_unless_it_issues),
              CM_TEST(test_a_hosted_key_that_only_tells_has_a_floor_for_that),
              CM_TEST(test_shards_and_url_are_fixed_at_the_first_start_with_a_url),
              CM_TEST(test_what_is_fixed_wins_over_the_settings),
              CM_TEST(test_a_look_takes_up_who_issues_by_now),
              CM_TEST(test_a_generation_that_comes_later_is_made_ready_and_told),
              CM_TEST(test_one_that_is_active_issues_as_soon_as_its_key_is_there),
              CM_TEST(test_who_may_wait_starts_without_an_active_generation));

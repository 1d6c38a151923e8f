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

static void test_active_generations_issue_and_those_after_them_only_tell(void)
{
    issuing_begin(&rig, "openssl", NULL);
    issuing_add(&rig, CM_GENERATION_RETIRED, 30);
    issuing_add(&rig, CM_GENERATION_ACTIVE, 365);
    issuing_add(&rig, CM_GENERATION_RETIRING, 30);
    issuing_add(&rig, CM_GENERATION_COMPROMISED, 30);
    issuing_add(&rig, CM_GENERATION_PENDING, 30);
    issuing_add(&rig, CM_GENERATION_RETIRED, -1); /* has ended */
    CU_ASSERT_EQUAL_FATAL(issuing_open(&rig), CM_OK);
    CU_ASSERT_EQUAL_FATAL(rig.issuers.keys_count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        const struct cm_issuer_key *key = &rig.issuers.keys[i];
        CU_ASSERT_EQUAL(key->issues, i == 1);
        CU_ASSERT_PTR_NOT_NULL_FATAL(key->key);
        CU_ASSERT_TRUE(cm_bytes_equal(key->key->spki, key->issuer.spki));
        CU_ASSERT_EQUAL(key->public_key.type, CM_KEY_P256);
        CU_ASSERT_PTR_EQUAL(cm_issuers_by_generation(&rig.issuers, key->generation_number), key);
        CU_ASSERT_EQUAL(key->templates != NULL, key->issues);
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

CM_TEST_SUITE(issuers, CM_TEST(test_active_generations_issue_and_those_after_them_only_tell),
              CM_TEST(test_a_generation_that_only_tells_is_none_to_issue_with),
              CM_TEST(test_a_late_key_that_issues_nothing_is_told_and_tried_again),
              CM_TEST(test_a_missing_key_that_issues_fails_the_start),
              CM_TEST(test_another_key_than_the_certificates_is_refused),
              CM_TEST(test_a_provider_that_is_gone_is_a_notice_unless_it_issues),
              CM_TEST(test_a_hosted_key_that_only_tells_has_a_floor_for_that),
              CM_TEST(test_shards_and_url_are_fixed_at_the_first_start_with_a_url),
              CM_TEST(test_what_is_fixed_wins_over_the_settings));

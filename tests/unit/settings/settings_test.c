/*
 * Goal: a settings file is understood whole.
 * Method: small changes of a good file, and what they become.
 */
#include "tests/support/test_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/settings/settings_rig.h"

static void test_the_keys_of_revocation_are_read(void)
{
    struct cm_settings *settings = rig_good(
        HEAD "    crl-validity: 2d\n    crl-overlap: 1d\n    crl-delay: 500ms\n"
             "    delta-crl-validity: 1h\n    ocsp-validity: 2h\n"
             "    ocsp-responder: soft\n    responder-validity: 9d\n" GROUPS GROUPS_END REQUESTERS
             "    operations: [revoke, retire]\n");
    const struct cm_settings_authority *authority = &settings->authorities[0];
    CU_ASSERT_EQUAL(authority->crl_validity_s, 2 * 86400);
    CU_ASSERT_EQUAL(authority->crl_overlap_s, 86400);
    CU_ASSERT_EQUAL(authority->crl_delay_ms, 500);
    CU_ASSERT_EQUAL(authority->delta_validity_s, 3600);
    CU_ASSERT_EQUAL(authority->ocsp_validity_s, 7200);
    CU_ASSERT_PTR_EQUAL(authority->ocsp_responder, &settings->providers[0]);
    CU_ASSERT_EQUAL(authority->responder_validity_s, 9 * 86400);
    CU_ASSERT_EQUAL(settings->requesters[0].operations,
                    CM_OPERATION_BIT(CM_OPERATION_REVOKE) | CM_OPERATION_BIT(CM_OPERATION_RETIRE));
    cm_settings_free(settings);
}

static void test_a_schedule_is_read(void)
{
    struct cm_settings *settings =
        rig_good(HEAD "    issues-for: 90d\n    rotate-ahead: 1h\n    rotation: automatic\n"
                      "    retired-keys: destroy\n" GROUPS GROUPS_END REQUESTERS);
    const struct cm_settings_authority *authority = &settings->authorities[0];
    CU_ASSERT_EQUAL(authority->issues_for_ms, 90ll * 86400000);
    CU_ASSERT_EQUAL(authority->rotate_ahead_ms, 3600000);
    CU_ASSERT_EQUAL(authority->rotation, CM_ROTATION_AUTOMATIC);
    CU_ASSERT_TRUE(authority->destroys_retired_keys);
    cm_settings_free(settings);
    settings = rig_good(HEAD "    issues-for: 10s\n" GROUPS GROUPS_END REQUESTERS);
    authority = &settings->authorities[0];
    CU_ASSERT_EQUAL(authority->rotate_ahead_ms, 1000);
    CU_ASSERT_EQUAL(authority->rotation, CM_ROTATION_WARN);
    CU_ASSERT_FALSE(authority->destroys_retired_keys);
    cm_settings_free(settings);
}

static void test_the_status_service_may_listen_anywhere(void)
{
    static const char *const listens[] = { "127.0.0.1:0", "0.0.0.0:80", "[::1]:65535", "[::]:1" };
    for (size_t i = 0; i < sizeof listens / sizeof listens[0]; i++) {
        char text[1024];
        snprintf(text, sizeof text, GOOD "status: {listen: \"%s\", publish-folder: www}\n",
                 listens[i]);
        struct cm_settings *settings = rig_good(text);
        CU_ASSERT_STRING_EQUAL(settings->status.listen, listens[i]);
        CU_ASSERT_PTR_NOT_NULL(strstr(settings->status.publish_folder, "/www"));
        cm_settings_free(settings);
    }
    struct cm_settings *settings = rig_good(GOOD "    operations: []\n");
    CU_ASSERT_EQUAL(settings->requesters[0].operations, 0);
    cm_settings_free(settings);
}

static void test_absent_keys_have_their_defaults(void)
{
    struct cm_settings *settings = rig_good(GOOD);
    CU_ASSERT_EQUAL(settings->queue_kind, CM_QUEUE_KIND_SPOOL);
    CU_ASSERT_STRING_EQUAL(settings->spool.requester, "local");
    CU_ASSERT_STRING_EQUAL(settings->spool.device_from, "file-name");
    CU_ASSERT_EQUAL(settings->redis.lease_ms, 60000);
    CU_ASSERT_EQUAL(settings->redis.deliveries_max, 5);
    CU_ASSERT_EQUAL(settings->redis.results_max, 0);
    CU_ASSERT_STRING_EQUAL(settings->redis.prefix, "certmill");
    CU_ASSERT_PTR_NULL(settings->redis.url);
    CU_ASSERT_PTR_NULL(settings->redis.password);
    CU_ASSERT_PTR_NULL(settings->authorities[0].crl_url);
    CU_ASSERT_EQUAL(settings->authorities[0].crl_shards, 1);
    CU_ASSERT_EQUAL(settings->authorities[0].crl_validity_s, 7 * 86400);
    CU_ASSERT_EQUAL(settings->authorities[0].crl_overlap_s, 3 * 86400);
    CU_ASSERT_EQUAL(settings->authorities[0].crl_delay_ms, 5000);
    CU_ASSERT_EQUAL(settings->authorities[0].delta_validity_s, 0);
    CU_ASSERT_EQUAL(settings->authorities[0].ocsp_validity_s, 86400);
    CU_ASSERT_EQUAL(settings->authorities[0].issues_for_ms, 0);
    CU_ASSERT_PTR_NULL(settings->authorities[0].ocsp_responder);
    CU_ASSERT_EQUAL(settings->authorities[0].responder_validity_s, 30 * 86400);
    CU_ASSERT_PTR_NULL(settings->status.listen);
    CU_ASSERT_EQUAL(settings->status.threads, 2);
    CU_ASSERT_EQUAL(settings->status.connections_max, 1000);
    CU_ASSERT_EQUAL(settings->status.deadline_ms, 10000);
    CU_ASSERT_EQUAL(settings->status.ocsp_answers_max, 100000);
    CU_ASSERT_PTR_NULL(settings->status.publish_folder);
    CU_ASSERT_EQUAL(settings->requesters[0].operations,
                    CM_OPERATION_BIT(CM_OPERATION_ISSUE) | CM_OPERATION_BIT(CM_OPERATION_RENEW));
    CU_ASSERT_TRUE(settings->groups[0].reuse_key);
    CU_ASSERT_EQUAL(settings->groups[0].renewal_window_s, 0);
    CU_ASSERT_EQUAL(settings->groups[0].renewal_grace_s, 0);
    CU_ASSERT_EQUAL(settings->groups[0].renewal_key, CM_RENEWAL_KEY_EITHER);
    CU_ASSERT_EQUAL(settings->groups[0].quota_per_day, 0);
    CU_ASSERT_TRUE(settings->requesters[0].remember_refusals);
    CU_ASSERT_EQUAL(settings->engine.batch_items_max, 256);
    CU_ASSERT_EQUAL(settings->engine.batch_age_ms_max, 4);
    CU_ASSERT_EQUAL(settings->engine.batches_in_flight, 8);
    CU_ASSERT_EQUAL(settings->engine.intent_hold_s, 3600);
    CU_ASSERT_EQUAL(settings->engine.clock_step_s_max, 5);
    CU_ASSERT_EQUAL(settings->engine.check_signatures, 1);
    cm_settings_free(settings);
}

static void test_relative_paths_start_in_the_folder_of_the_file(void)
{
    char expected[512];
    struct cm_settings *settings =
        rig_good("version: 1\n" STORE
                 "providers: [{name: a, kind: openssl, keys: /k, passphrase: \"file:p\"}]\n"
                 "queue: {redis: {url: \"unix:///r.sock\", password: \"env:PW\"}}\n" AUTHORITY
                 "requesters: [{name: local, groups: []}]\n");
    snprintf(expected, sizeof expected, "%s/s.db", cm_test_scratch());
    CU_ASSERT_STRING_EQUAL(settings->store_path, expected);
    CU_ASSERT_STRING_EQUAL(settings->folder, cm_test_scratch());
    CU_ASSERT_STRING_EQUAL(settings->providers[0].keys, "/k");
    snprintf(expected, sizeof expected, "file:%s/p", cm_test_scratch());
    CU_ASSERT_STRING_EQUAL(settings->providers[0].passphrase, expected);
    CU_ASSERT_STRING_EQUAL(settings->redis.password, "env:PW");
    cm_settings_free(settings);
}

static void test_a_group_says_when_and_with_which_key_it_renews(void)
{
    struct cm_settings *settings =
        rig_good(HEAD GROUPS GROUPS_END "    renewal-window: 90d\n    renew-after-expiry: 36h\n"
                                        "    renewal-key: new\n" REQUESTERS);
    CU_ASSERT_EQUAL(settings->groups[0].renewal_window_s, 90 * 86400);
    CU_ASSERT_EQUAL(settings->groups[0].renewal_grace_s, 36 * 3600);
    CU_ASSERT_EQUAL(settings->groups[0].renewal_key, CM_RENEWAL_KEY_NEW);
    cm_settings_free(settings);
    settings = rig_good(HEAD GROUPS GROUPS_END "    renewal-window: 36500d\n"
                                               "    renewal-key: same\n" REQUESTERS);
    CU_ASSERT_EQUAL(settings->groups[0].renewal_window_s, 36500LL * 86400);
    CU_ASSERT_EQUAL(settings->groups[0].renewal_key, CM_RENEWAL_KEY_SAME);
    cm_settings_free(settings);
}

static void test_names_become_pointers(void)
{
    struct cm_settings *settings = rig_good(GOOD);
    const struct cm_settings_group *group = cm_settings_group(settings, cm_bytes_str("default"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(group);
    CU_ASSERT_PTR_EQUAL(group->authority, cm_settings_authority(settings, "issuing"));
    CU_ASSERT_EQUAL(group->profiles_count, 2);
    CU_ASSERT_PTR_EQUAL(group->profiles[0], cm_profile_builtin("device-client"));
    const struct cm_settings_requester *requester =
        cm_settings_requester(settings, cm_bytes_str("local"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(requester);
    CU_ASSERT_PTR_EQUAL(requester->groups[0], group);
    CU_ASSERT_PTR_NOT_NULL(cm_settings_provider(settings, "soft"));
    cm_settings_free(settings);
}

static void test_finders_find_no_name_that_is_not_there(void)
{
    struct cm_settings *settings = rig_good(GOOD);
    CU_ASSERT_PTR_NULL(cm_settings_group(settings, cm_bytes_str("defaul")));
    CU_ASSERT_PTR_NULL(cm_settings_group(settings, cm_bytes(NULL, 0)));
    CU_ASSERT_PTR_NULL(cm_settings_requester(settings, cm_bytes_str("default")));
    CU_ASSERT_PTR_NULL(cm_settings_authority(settings, ""));
    CU_ASSERT_PTR_NULL(cm_settings_provider(settings, "hard"));
    CU_ASSERT_PTR_NULL(cm_settings_profile(settings, cm_bytes_str("device")));
    cm_settings_free(settings);
}

static void test_an_own_profile_takes_what_it_does_not_say_from_its_base(void)
{
    const struct cm_profile *base = cm_profile_builtin("device-client");
    struct cm_settings *settings =
        rig_good(PROFILE "    validity: 90d\n    key-types: [p384]\n    revocation-info: no\n"
                         "  - name: meter-2\n    base: meter\n    purposes: []\n    backdate: 2h\n"
                         "    subject:\n    - {field: o, text: Meters}\n"
                         "    - {field: cn, text: \"${device}\", optional: yes}\n"
                         "  - name: answers\n    base: ocsp-responder\n"
                         "  - name: answers-2\n    base: ocsp-responder\n    ocsp-no-check: no\n");
    const struct cm_profile *meter = cm_settings_profile(settings, cm_bytes_str("meter"));
    const struct cm_profile *second = cm_settings_profile(settings, cm_bytes_str("meter-2"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(meter);
    CU_ASSERT_PTR_NOT_NULL_FATAL(second);
    CU_ASSERT_EQUAL(meter->validity_s, 90 * 86400);
    CU_ASSERT_EQUAL(meter->key_types, CM_KEY_TYPE_BIT(CM_KEY_P384));
    CU_ASSERT_TRUE(meter->no_revocation_info);
    CU_ASSERT_PTR_EQUAL(meter->subject, base->subject);
    CU_ASSERT_EQUAL(meter->purposes_count, base->purposes_count);
    CU_ASSERT_EQUAL(second->validity_s, 90 * 86400);
    CU_ASSERT_EQUAL(second->backdate_s, 7200);
    CU_ASSERT_EQUAL(second->purposes_count, 0);
    CU_ASSERT_EQUAL(second->subject_count, 2);
    CU_ASSERT_EQUAL(second->subject[0].field, CM_SUBJECT_O);
    CU_ASSERT_STRING_EQUAL(second->subject[1].text, "${device}");
    CU_ASSERT_TRUE(second->subject[1].optional);
    CU_ASSERT_FALSE(second->subject[0].optional);
    CU_ASSERT_FALSE(meter->ocsp_no_check);
    CU_ASSERT_TRUE(cm_settings_profile(settings, cm_bytes_str("answers"))->ocsp_no_check);
    CU_ASSERT_FALSE(cm_settings_profile(settings, cm_bytes_str("answers-2"))->ocsp_no_check);
    cm_settings_free(settings);
}

static void test_a_profile_may_have_no_expiry(void)
{
    struct cm_settings *settings = rig_good(PROFILE "    validity: no-expiry\n");
    CU_ASSERT_EQUAL(cm_settings_profile(settings, cm_bytes_str("meter"))->validity_s,
                    CM_VALIDITY_NO_EXPIRY);
    cm_settings_free(settings);
}

static void test_burst_is_the_rate_unless_it_is_said(void)
{
    struct cm_settings *settings = rig_good(GOOD "    rate: 50\n");
    CU_ASSERT_EQUAL(settings->requesters[0].burst, 50);
    cm_settings_free(settings);
    settings = rig_good(GOOD "    rate: 50\n    burst: 200\n    quota-per-day: 5000000000\n");
    CU_ASSERT_EQUAL(settings->requesters[0].burst, 200);
    CU_ASSERT_EQUAL(settings->requesters[0].quota_per_day, 5000000000u);
    cm_settings_free(settings);
}

static void test_results_are_single_unless_it_is_said(void)
{
    struct cm_settings *settings = rig_good(GOOD);
    CU_ASSERT_FALSE(settings->requesters[0].groups_results);
    cm_settings_free(settings);
    settings = rig_good(GOOD "    results: grouped\n");
    CU_ASSERT_TRUE(settings->requesters[0].groups_results);
    cm_settings_free(settings);
}

static const char authenticated[] = HEAD GROUPS GROUPS_END
    "queue: {kind: redis, redis: {url: \"redis://h\"}}\n"
    "requesters:\n"
    "- {name: a, groups: [default]}\n"
    "- {name: b, groups: [], auth: hmac-sha256, secret: env:B,\n"
    "   old-secrets: [\"file:old\", \"credential:c\"], clock-window: 90s}\n"
    "- {name: c, groups: [], auth: ed25519, public-keys: [" KEY ", k.pem]}\n";

static void test_requesters_say_how_they_authenticate(void)
{
    char file_path[520];
    snprintf(file_path, sizeof file_path, "%s/k.pem", cm_test_scratch());
    FILE *file = fopen(file_path, "w");
    fputs("-----BEGIN PUBLIC KEY-----\n"
          "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
          "-----END PUBLIC KEY-----\n",
          file);
    fclose(file);
    struct cm_settings *settings = rig_good(authenticated);
    const struct cm_settings_requester *requesters = settings->requesters;
    CU_ASSERT_EQUAL(requesters[0].auth, CM_AUTH_NONE);
    CU_ASSERT_EQUAL(requesters[1].auth, CM_AUTH_HMAC_SHA256);
    CU_ASSERT_EQUAL_FATAL(requesters[1].secrets_count, 3);
    CU_ASSERT_STRING_EQUAL(requesters[1].secrets[0], "env:B");
    CU_ASSERT_EQUAL(strncmp(requesters[1].secrets[1], "file:/", 6), 0);
    CU_ASSERT_STRING_EQUAL(requesters[1].secrets[2], "credential:c");
    CU_ASSERT_EQUAL(requesters[1].clock_window_ms, 90000);
    CU_ASSERT_EQUAL(requesters[2].auth, CM_AUTH_ED25519);
    CU_ASSERT_EQUAL_FATAL(requesters[2].public_keys_count, 2);
    CU_ASSERT_EQUAL(requesters[2].public_keys[0][0], 0xd7);
    CU_ASSERT_EQUAL(requesters[2].public_keys[1][0], 0x19);
    CU_ASSERT_EQUAL(requesters[2].clock_window_ms, 300000);
    cm_settings_free(settings);
}

static void test_anchors_may_be_used(void)
{
    struct cm_settings *settings =
        rig_good(HEAD "groups:\n- {name: a, authority: issuing, profiles: &p [idevid]}\n"
                      "- {name: b, authority: issuing, profiles: *p}\n"
                      "requesters: [{name: local, groups: [a, b]}]\n");
    CU_ASSERT_PTR_EQUAL(settings->groups[1].profiles[0], cm_profile_builtin("idevid"));
    cm_settings_free(settings);
}

static void test_free_takes_null(void)
{
    cm_settings_free(NULL);
}

static void test_sessions_of_a_token_are_a_number_or_measured(void)
{
    static const struct {
        const char *line;
        uint32_t expected;
    } rows[] = {
        { "", 0 }, { ", sessions: auto", 0 }, { ", sessions: 4", 4 }, { ", sessions: 64", 64 }
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct cm_settings *settings = NULL;
        struct cm_error err = { 0 };
        char text[1024];
        snprintf(text, sizeof text,
                 "version: 1\n" STORE
                 "providers:\n  - {name: h, kind: pkcs11, module: m.so%s}\n" AUTHORITY GROUPS
                     GROUPS_END REQUESTERS,
                 rows[i].line);
        CU_ASSERT_EQUAL(rig_read(text, &settings, &err), CM_OK);
        if (!settings)
            continue;
        CU_ASSERT_EQUAL(settings->providers[0].workers, rows[i].expected);
        CU_ASSERT_STRING_EQUAL(settings->providers[0].kind, "pkcs11");
        CU_ASSERT_EQUAL(settings->providers[0].module[0], '/'); /* from the file's folder */
        cm_settings_free(settings);
    }
}

/* Every one is the JSON that the backend reads: providers/keyvault/options.h. */
static void test_the_map_of_a_key_vault_becomes_its_options(void)
{
    static const struct {
        const char *text, *options[3]; /* between them the folder */
    } rows[] = {
        { VAULT(""),
          { "{\"credential\":\"managed-identity\",\"require\":\"software\",\"in-flight\":256,"
            "\"timeout-ms\":10000,\"watch-ms\":300000,\"api-version\":\"7.4\"}" } },
        { VAULT(
              "passphrase: \"file:key-pass\", keyvault: {credential: client-certificate, tenant: t, "
              "client: c, certificate: own.pem, require: hsm, in-flight: 9, rate: 40, timeout: 3s, "
              "watch: 1m, trust: 'a\"b.pem', resource: \"https://vault.azure.net\", "
              "authority: \"https://login.example:8443/\", api-version: 7.6}"),
          { "{\"credential\":\"client-certificate\",\"tenant\":\"t\",\"client\":\"c\",\"certificate\":\"",
            "/own.pem\",\"require\":\"hsm\",\"in-flight\":9,\"rate\":40,\"timeout-ms\":3000,"
            "\"watch-ms\":60000,\"trust\":\"",
            "/a\\\"b.pem\",\"resource\":\"https://vault.azure.net\",\"authority\":\"https://login.example:8443/\","
            "\"api-version\":\"7.6\"}" } },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct cm_settings *settings = NULL;
        struct cm_error err = { 0 };
        char expected[2048], *folder = realpath(cm_test_scratch(), NULL);
        const char *const *options = rows[i].options;
        if (options[1])
            snprintf(expected, sizeof expected, "%s%s%s%s%s", options[0], folder, options[1],
                     folder, options[2]);
        else
            snprintf(expected, sizeof expected, "%s", options[0]);
        free(folder);
        CU_ASSERT_EQUAL(rig_read(rows[i].text, &settings, &err), CM_OK);
        if (!settings) {
            CU_ASSERT_STRING_EQUAL(err.text, "");
            continue;
        }
        CU_ASSERT_STRING_EQUAL(settings->providers[0].kind, "keyvault");
        CU_ASSERT_STRING_EQUAL(settings->providers[0].options, expected);
        cm_settings_free(settings);
    }
}

/* JSON has no such path. Were it left out of the options, the system's CAs would be trusted. */
CM_TEST_SUITE(settings, CM_TEST(test_absent_keys_have_their_defaults),
              CM_TEST(test_the_keys_of_revocation_are_read), CM_TEST(test_a_schedule_is_read),
              CM_TEST(test_the_status_service_may_listen_anywhere),
              CM_TEST(test_relative_paths_start_in_the_folder_of_the_file),
              CM_TEST(test_a_group_says_when_and_with_which_key_it_renews),
              CM_TEST(test_names_become_pointers),
              CM_TEST(test_finders_find_no_name_that_is_not_there),
              CM_TEST(test_an_own_profile_takes_what_it_does_not_say_from_its_base),
              CM_TEST(test_a_profile_may_have_no_expiry),
              CM_TEST(test_burst_is_the_rate_unless_it_is_said),
              CM_TEST(test_results_are_single_unless_it_is_said),
              CM_TEST(test_requesters_say_how_they_authenticate), CM_TEST(test_anchors_may_be_used),
              CM_TEST(test_free_takes_null),
              CM_TEST(test_sessions_of_a_token_are_a_number_or_measured),
              CM_TEST(test_the_map_of_a_key_vault_becomes_its_options));

/*
 * Goal: who may approve, and what wants approvals, is understood whole or refused with its line.
 * Method: public keys of every kind in a folder, and files that name them.
 */
#include "tests/support/test_main.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/pem.h>

#include "tests/unit/settings/settings_rig.h"
#include "tests/support/rsa_pairs.h"

/* The tests append to the good file. */
#define ANN  "operators:\n  - {name: ann, key: ed25519.pem, roles: [security, keys]}\n" /* 14, 15 */
#define BOTH ANN "  - {name: bob, key: p256.pem}\n"                                     /* 16 */

/* The same with a schedule, which says on line 8 what happens by itself. */
#define SCHEDULED(rotation)                                                                        \
    HEAD "    issues-for: 90d\n    rotation: " rotation "\n" GROUPS GROUPS_END REQUESTERS BOTH

static void write_key(const char *name, EVP_PKEY *key, bool is_private)
{
    char file_path[512];
    snprintf(file_path, sizeof file_path, "%s/%s", cm_test_scratch(), name);
    FILE *file = fopen(file_path, "w");
    if (!key || !file
        || (is_private ? PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL)
                       : PEM_write_PUBKEY(file, key))
               != 1)
        abort();
    fclose(file);
    EVP_PKEY_free(key);
}

static int make_keys(void)
{
    write_key("ed25519.pem", EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), false);
    write_key("p256.pem", EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"), false);
    write_key("p384.pem", EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384"), false);
    write_key("rsa.pem", cm_rsa_pair(0), false);
    write_key("private.pem", EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), true);
    return 0;
}

static const struct rig_refusal bad_files[] = {
    { GOOD "operators:\n  - {name: ann}\n", ":15: operators[0]: the key \"key\" is missing" },
    { GOOD "operators:\n  - name: ann\n    key: missing.pem\n",
      ":16: operators[0].key: expected the PEM file of an Ed25519 or P-256 public key" },
    { GOOD "operators:\n  - {name: ann, key: certmill.yaml}\n",
      ":15: operators[0].key: expected the PEM file of an Ed25519 or P-256 public key" },
    { GOOD "operators:\n  - {name: ann, key: p384.pem}\n", ":15: operators[0].key: expected" },
    { GOOD "operators:\n  - {name: ann, key: rsa.pem}\n", ":15: operators[0].key: expected" },
    { GOOD "operators:\n  - {name: ann, key: private.pem}\n", ":15: operators[0].key: expected" },
    { GOOD ANN "  - {name: ann, key: p256.pem}\n",
      ":16: operators[1].name: the name \"ann\" stands twice" },
    { GOOD ANN "  - {name: bob, key: ed25519.pem}\n",
      ":16: operators[1].key: the same key as that of ann" },
    { GOOD ANN "  - name: bob\n    key: p256.pem\n    roles: [ok, a b]\n",
      ":18: operators[1].roles[1]: expected" },
    { GOOD BOTH "dual-control:\n  - {operation: activat}\n",
      ":18: dual-control[0].operation: expected root-key or create or cross-sign" },
    { GOOD BOTH "dual-control:\n  - {operation: activate, approvals: 1}\n",
      ":18: dual-control[0].approvals: expected a number from 2 to 16" },
    { GOOD BOTH "dual-control:\n  - operation: activate\n    approvals: 3\n",
      ":19: dual-control[0].approvals: 3 approvals are more than there are operators: 2" },
    { GOOD BOTH "dual-control:\n  - operation: activate\n    role: security\n",
      ":18: dual-control[0].approvals: 2 approvals are more than there are operators with the "
      "role security: 1" },
    { GOOD "dual-control: [{operation: retire}]\n",
      ":14: dual-control[0].approvals: 2 approvals are more than there are operators: 0" },
    { GOOD BOTH "dual-control:\n  - {operation: retire}\n  - {operation: retire}\n",
      ":19: dual-control[1].operation: retire stands there twice" },
    { GOOD BOTH "dual-control:\n  - {operation: retire, valid: 31d}\n",
      ":18: dual-control[0].valid: expected a duration from 1s to 30d" },
    { SCHEDULED("prepare") "dual-control: [{operation: rotate}]\n",
      ":8: authorities[0].rotation: dual-control wants approvals for rotate, which a schedule has "
      "not: expected warn" },
    { SCHEDULED("automatic") "dual-control: [{operation: create}, {operation: activate}]\n",
      ":8: authorities[0].rotation: dual-control wants approvals for activate, which a schedule has "
      "not: expected warn or prepare" },
    { SCHEDULED("automatic") "dual-control: [{operation: retire}]\n",
      ":8: authorities[0].rotation: dual-control wants approvals for retire" },
};

static void test_bad_files_are_refused_with_line_and_expectation(void)
{
    rig_expect_refusals(bad_files, sizeof bad_files / sizeof bad_files[0]);
}

static void test_operators_and_what_wants_them_are_found(void)
{
    struct cm_settings *settings =
        rig_good(GOOD BOTH "dual-control:\n  - operation: activate\n"
                           "  - {operation: revoke-group, approvals: 2, valid: 90m}\n");
    const struct cm_settings_operator *ann = cm_settings_operator(settings, cm_bytes_str("ann"));
    const struct cm_settings_operator *bob = cm_settings_operator(settings, cm_bytes_str("bob"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(ann);
    CU_ASSERT_PTR_NOT_NULL_FATAL(bob);
    CU_ASSERT_PTR_NULL(cm_settings_operator(settings, cm_bytes_str("eve")));
    CU_ASSERT_EQUAL(ann->key.size, 44);
    CU_ASSERT_EQUAL(bob->key.size, 91);
    CU_ASSERT_TRUE(cm_settings_operator_counts(ann, "keys"));
    CU_ASSERT_TRUE(cm_settings_operator_counts(bob, NULL));
    CU_ASSERT_FALSE(cm_settings_operator_counts(bob, "keys"));
    const struct cm_settings_dual_control *activate =
        cm_settings_dual_control(settings, CM_CEREMONY_ACTIVATE);
    CU_ASSERT_PTR_NOT_NULL_FATAL(activate);
    CU_ASSERT_EQUAL(activate->approvals, 2);
    CU_ASSERT_PTR_NULL(activate->role);
    CU_ASSERT_EQUAL(activate->valid_s, 86400);
    CU_ASSERT_EQUAL(cm_settings_dual_control(settings, CM_CEREMONY_REVOKE_GROUP)->valid_s, 5400);
    CU_ASSERT_PTR_NULL(cm_settings_dual_control(settings, CM_CEREMONY_ROOT_KEY));
    cm_settings_free(settings);
}

/* The words of the settings are those of the list that everything else goes by. */
static void test_every_operation_may_be_marked(void)
{
    for (unsigned i = 0; i < CM_CEREMONY_COUNT; i++) {
        char text[1024];
        enum cm_ceremony found = CM_CEREMONY_COUNT;
        const char *name = cm_ceremony_name((enum cm_ceremony)i);
        snprintf(text, sizeof text, "%sdual-control:\n  - {operation: %s}\n", GOOD BOTH, name);
        struct cm_settings *settings = rig_good(text);
        CU_ASSERT_PTR_NOT_NULL(cm_settings_dual_control(settings, (enum cm_ceremony)i));
        CU_ASSERT_TRUE(cm_ceremony_find(cm_bytes_str(name), &found));
        CU_ASSERT_EQUAL(found, i);
        cm_settings_free(settings);
    }
}

/* In either order, and by itself with other approvals. */
static void test_cross_sign_is_marked_as_create_is_unless_it_is_itself(void)
{
    static const char *const lists[] = {
        "[{operation: create, valid: 1h}]",
        "[{operation: create}, {operation: cross-sign, valid: 1h}]",
        "[{operation: cross-sign, valid: 1h}, {operation: create}]",
        "[{operation: cross-sign, valid: 1h}]"
    };
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        char text[1024];
        snprintf(text, sizeof text, "%sdual-control: %s\n", GOOD BOTH, lists[i]);
        struct cm_settings *settings = rig_good(text);
        const struct cm_settings_dual_control *cross =
            cm_settings_dual_control(settings, CM_CEREMONY_CROSS_SIGN);
        CU_ASSERT_PTR_NOT_NULL_FATAL(cross);
        CU_ASSERT_EQUAL(cross->valid_s, 3600);
        CU_ASSERT_EQUAL(cm_settings_dual_control(settings, CM_CEREMONY_CREATE) != NULL, i < 3);
        cm_settings_free(settings);
    }
}

static void test_a_schedule_may_do_what_is_not_marked(void)
{
    cm_settings_free(rig_good(SCHEDULED("warn") "dual-control: [{operation: rotate}]\n"));
    cm_settings_free(rig_good(
        SCHEDULED("prepare") "dual-control: [{operation: activate}, {operation: retire}]\n"));
    cm_settings_free(rig_good(SCHEDULED("automatic") "dual-control: [{operation: compromise}]\n"));
}

CM_TEST_SUITE_WITH(operators, make_keys, NULL,
                   CM_TEST(test_bad_files_are_refused_with_line_and_expectation),
                   CM_TEST(test_operators_and_what_wants_them_are_found),
                   CM_TEST(test_cross_sign_is_marked_as_create_is_unless_it_is_itself),
                   CM_TEST(test_every_operation_may_be_marked),
                   CM_TEST(test_a_schedule_may_do_what_is_not_marked));

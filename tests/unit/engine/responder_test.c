/* Who signs OCSP responses: keys made, certificates issued, found again, renewed, and waited for. */
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/promises.h"
#include "tests/support/test_main.h"
#include "tests/unit/engine/responding_rig.h"

static struct responding_rig rig;

static void test_a_ca_key_answers_itself_where_no_provider_is_named(void)
{
    responding_begin(&rig, "openssl-hosted", NULL, NULL);
    CU_ASSERT_PTR_NULL(responding_find(&rig, 0)); /* never inside a call */
    responding_wait_for_changes(&rig, 1);
    const struct cm_responder *responder = responding_find(&rig, 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(responder);
    CU_ASSERT_PTR_EQUAL(responder->key, rig.issuing.issuers.keys[0].key);
    CU_ASSERT_EQUAL(responder->certificate.size, 0);
    CU_ASSERT_EQUAL(responder->not_after_s, rig.issuing.issuers.keys[0].issuer.not_after_s);
    CU_ASSERT_EQUAL(memcmp(responder->key_hash, responder->issuer.key_sha1, 20), 0);
    CU_ASSERT_EQUAL(rig.changed_generation, responder->generation_number);
    CU_ASSERT_PTR_NULL(cm_responders_find(rig.responders, 99));
    responding_expect_openssl_to_verify(&rig, 0);
    CU_ASSERT_EQUAL(responding_count(&rig).certificates, 0);
    responding_end(&rig);
}

/* Alone for OCSP signing, not asked about itself, of the CA's own hand, and short-lived. */
static void check_certificate(const struct cm_responder *responder, const struct cm_issuer_key *ca)
{
    X509 *x509 = responding_read_certificate(responder->certificate);
    X509 *issuer = responding_read_certificate(ca->certificate);
    EVP_PKEY *key = X509_get0_pubkey(issuer);
    char name[80];
    CU_ASSERT_EQUAL(X509_verify(x509, key), 1);
    CU_ASSERT_EQUAL(X509_get_extended_key_usage(x509), XKU_OCSP_SIGN);
    CU_ASSERT_EQUAL(X509_get_key_usage(x509), KU_DIGITAL_SIGNATURE);
    CU_ASSERT_TRUE(X509_get_ext_by_NID(x509, NID_id_pkix_OCSP_noCheck, -1) >= 0);
    CU_ASSERT_TRUE(X509_get_ext_by_NID(x509, NID_crl_distribution_points, -1) < 0);
    X509_NAME_get_text_by_NID(X509_get_subject_name(x509), NID_commonName, name, sizeof name);
    CU_ASSERT_STRING_EQUAL(name, "OCSP responder issuing-1");
    int64_t left_s = responder->not_after_s - cm_clock_wall_s();
    CU_ASSERT_TRUE(left_s > 29 * RESPONDING_DAY_S && left_s <= 30 * RESPONDING_DAY_S);
    X509_free(x509);
    X509_free(issuer);
}

static void issue_and_verify(const char *kind, const char *responders_kind)
{
    responding_begin(&rig, kind, NULL, responders_kind);
    rig.issuing.authority.crl_url = "http://pki.example/0.crl";
    responding_wait_for_changes(&rig, 1);
    const struct cm_responder *responder = responding_find(&rig, 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(responder);
    CU_ASSERT_PTR_NOT_EQUAL(responder->key, rig.issuing.issuers.keys[0].key);
    check_certificate(responder, &rig.issuing.issuers.keys[0]);
    responding_expect_openssl_to_verify(&rig, 0);
    struct cm_store_counts counts = responding_count(&rig);
    cm_certificate_number number = 0;
    CU_ASSERT_EQUAL(cm_clones_claim(&rig.clones, cm_clones_fingerprint(responder->key->spki),
                                    cm_bytes_str("a device"), &number),
                    CM_CLONE_KNOWN);
    CU_ASSERT_EQUAL(number, counts.last_number);
    CU_ASSERT_EQUAL(counts.certificates, 1);
    CU_ASSERT_EQUAL(counts.devices, 1);
    CU_ASSERT_EQUAL(counts.open_intents, 0);
    CU_ASSERT_EQUAL(issuing_count_audit(&rig.issuing, "ocsp-responder"), 1);
    CU_ASSERT_TRUE(issuing_told(&rig.issuing, "new key: file:ocsp-issuing-1.pem"));
    responding_end(&rig);
}

static void test_a_delegated_responder_gets_a_key_and_a_certificate(void)
{
    issue_and_verify("openssl", "openssl");
}

static void test_signers_allow_a_delegated_responder_what_it_needs(void)
{
    issue_and_verify("openssl-hosted", "openssl-hosted");
}

static void test_key_and_certificate_are_used_again_after_a_restart(void)
{
    responding_begin(&rig, "openssl", NULL, "openssl");
    responding_wait_for_changes(&rig, 1);
    struct cm_bytes first = cm_bytes_copy(responding_find(&rig, 0)->certificate);
    responding_restart(&rig);
    responding_wait_for_changes(&rig, 1);
    CU_ASSERT_TRUE(cm_bytes_equal(responding_find(&rig, 0)->certificate, first));
    CU_ASSERT_FALSE(issuing_told(&rig.issuing, "new key"));
    CU_ASSERT_EQUAL(responding_count(&rig).certificates, 1);
    /* Past the half of its life there is a new one. */
    cm_clock_set_wall_offset_ms(16 * RESPONDING_DAY_S * 1000ll);
    responding_restart(&rig);
    responding_wait_for_changes(&rig, 1);
    CU_ASSERT_FALSE(cm_bytes_equal(responding_find(&rig, 0)->certificate, first));
    CU_ASSERT_EQUAL(responding_count(&rig).certificates, 2);
    free((void *)(uintptr_t)first.data);
    responding_end(&rig);
}

static void test_a_certificate_for_another_key_is_not_used_again(void)
{
    char path[500];
    responding_begin(&rig, "openssl", NULL, "openssl");
    responding_wait_for_changes(&rig, 1);
    snprintf(path, sizeof path, "%s/ocsp-issuing-1.pem", rig.issuing.folder);
    CU_ASSERT_EQUAL_FATAL(unlink(path), 0);
    responding_restart(&rig);
    responding_wait_for_changes(&rig, 1);
    CU_ASSERT_EQUAL(responding_count(&rig).certificates, 2);
    responding_expect_openssl_to_verify(&rig, 0);
    responding_end(&rig);
}

static void test_a_certificate_is_renewed_when_half_of_its_life_is_over(void)
{
    responding_begin(&rig, "openssl", NULL, "openssl");
    responding_wait_for_changes(&rig, 1);
    const struct cm_responder *first = responding_find(&rig, 0);
    cm_clock_set_wall_offset_ms(14 * RESPONDING_DAY_S * 1000ll);
    cm_responders_look(rig.responders);
    issuing_pause(&rig.issuing, 50);
    CU_ASSERT_EQUAL(rig.changes_count, 1);
    cm_clock_set_wall_offset_ms(16 * RESPONDING_DAY_S * 1000ll);
    cm_responders_look(rig.responders);
    responding_wait_for_changes(&rig, 2);
    const struct cm_responder *second = responding_find(&rig, 0);
    CU_ASSERT_PTR_NOT_EQUAL(second, first);
    CU_ASSERT_FALSE(cm_bytes_equal(second->certificate, first->certificate)); /* both there */
    CU_ASSERT_PTR_EQUAL(second->key, first->key);
    CU_ASSERT_TRUE(second->not_after_s > first->not_after_s);
    CU_ASSERT_EQUAL(responding_count(&rig).certificates, 2);
    responding_end(&rig);
}

static void test_a_certificate_that_has_ended_answers_nothing(void)
{
    responding_begin(&rig, "fake", responding_away_script(&rig), "openssl");
    responding_wait_for_changes(&rig, 1);
    responding_touch(rig.away);
    cm_clock_set_wall_offset_ms(29 * RESPONDING_DAY_S * 1000ll);
    cm_responders_look(rig.responders);
    responding_wait_for_words(&rig, "renewing the OCSP responder of issuing-1");
    CU_ASSERT_PTR_NOT_NULL(responding_find(&rig, 0));
    cm_clock_set_wall_offset_ms(31 * RESPONDING_DAY_S * 1000ll);
    CU_ASSERT_PTR_NULL(responding_find(&rig, 0));
    responding_end(&rig);
}

static void test_a_certificate_that_ends_with_its_issuer_is_not_renewed(void)
{
    responding_begin(&rig, "openssl", NULL, "openssl");
    rig.issuing.authority.responder_validity_s = 400 * RESPONDING_DAY_S;
    responding_wait_for_changes(&rig, 1);
    CU_ASSERT_EQUAL(responding_find(&rig, 0)->not_after_s,
                    rig.issuing.issuers.keys[0].issuer.not_after_s);
    cm_clock_set_wall_offset_ms(360 * RESPONDING_DAY_S * 1000ll);
    cm_responders_look(rig.responders);
    issuing_pause(&rig.issuing, 50);
    CU_ASSERT_EQUAL(rig.changes_count, 1);
    responding_end(&rig);
}

/* The shortest that the settings allow; the profile's backdate is five times as long. */
static void test_a_certificate_of_a_minute_is_valid_now_and_for_most_of_it(void)
{
    responding_begin(&rig, "openssl", NULL, "openssl");
    rig.issuing.authority.responder_validity_s = 60;
    responding_wait_for_changes(&rig, 1);
    CU_ASSERT_TRUE(responding_find(&rig, 0)->not_after_s > cm_clock_wall_s() + 45);
    responding_expect_openssl_to_verify(&rig, 0);
    issuing_pause(&rig.issuing, 50);
    CU_ASSERT_EQUAL(rig.changes_count, 1);
    responding_end(&rig);
}

static void test_a_ca_key_that_is_away_is_told_and_waited_for_with_the_same_bytes(void)
{
    const char *script = responding_away_script(&rig);
    responding_touch(rig.away);
    responding_begin(&rig, "fake", script, "openssl");
    responding_wait_for_words(&rig, "no OCSP responses yet from the OCSP responder of issuing-1");
    CU_ASSERT_PTR_NULL(responding_find(&rig, 0));
    CU_ASSERT_EQUAL(responding_count(&rig).open_intents, 1);
    cm_certificate_number promised = responding_count(&rig).last_number;
    CU_ASSERT_EQUAL_FATAL(unlink(rig.away), 0);
    responding_wait_for_changes(&rig, 1);
    struct cm_store_counts counts = responding_count(&rig);
    CU_ASSERT_EQUAL(counts.open_intents, 0);
    CU_ASSERT_EQUAL(counts.certificates, 1);
    CU_ASSERT_EQUAL(counts.last_number, promised);
    responding_end(&rig);
}

static void test_a_wrong_signature_abandons_its_serial(void)
{
    responding_begin(&rig, "fake", "item=0:wrong", "openssl");
    responding_wait_for_words(&rig, "did not verify");
    CU_ASSERT_EQUAL(responding_count(&rig).abandoned, 1);
    CU_ASSERT_EQUAL(responding_count(&rig).open_intents, 0);
    responding_wait_for_changes(&rig, 1);
    CU_ASSERT_EQUAL(responding_count(&rig).certificates, 1);
    CU_ASSERT_EQUAL(issuing_count_audit(&rig.issuing, "ocsp-responder"), 2);
    responding_expect_openssl_to_verify(&rig, 0);
    responding_end(&rig);
}

static void test_a_key_that_cannot_be_opened_is_told_and_tried_again(void)
{
    char path[500];
    responding_prepare(&rig, "openssl", NULL, "openssl");
    snprintf(path, sizeof path, "%s/ocsp-issuing-1.pem", rig.issuing.folder);
    responding_touch(path);
    CU_ASSERT_EQUAL(chmod(path, 0600), 0);
    responding_open(&rig);
    responding_wait_for_words(&rig, "no OCSP responses yet from the OCSP responder of issuing-1");
    CU_ASSERT_EQUAL_FATAL(unlink(path), 0);
    responding_wait_for_changes(&rig, 1);
    responding_end(&rig);
}

static void test_each_generation_has_its_own_and_a_retired_one_too(void)
{
    issuing_begin(&rig.issuing, "openssl-hosted", NULL);
    rig.issuing.authority.ocsp_responder = &rig.issuing.providers_settings[0];
    rig.issuing.authority.responder_validity_s = 30 * RESPONDING_DAY_S;
    issuing_add(&rig.issuing, CM_GENERATION_RETIRED, 100);
    issuing_add(&rig.issuing, CM_GENERATION_ACTIVE, 365);
    CU_ASSERT_EQUAL_FATAL(issuing_open(&rig.issuing), CM_OK);
    responding_open(&rig);
    responding_wait_for_changes(&rig, 2);
    CU_ASSERT_PTR_NOT_EQUAL(responding_find(&rig, 0)->key, responding_find(&rig, 1)->key);
    CU_ASSERT_FALSE(
        cm_bytes_equal(responding_find(&rig, 0)->key->spki, responding_find(&rig, 1)->key->spki));
    responding_expect_openssl_to_verify(&rig, 0);
    responding_expect_openssl_to_verify(&rig, 1);
    responding_end(&rig);
}

static int64_t suspect(void *arg)
{
    (void)arg;
    return -1;
}

static void test_nothing_is_issued_while_the_clock_is_suspect(void)
{
    responding_prepare(&rig, "openssl", NULL, "openssl");
    responding_open(&rig);
    rig.responders->env.time_ms = suspect;
    for (unsigned i = 0; i < 200 && !rig.responders->slots[0].key; i++)
        issuing_pause(&rig.issuing, 50);
    CU_ASSERT_PTR_NOT_NULL(rig.responders->slots[0].key);
    issuing_pause(&rig.issuing, 50);
    CU_ASSERT_EQUAL(responding_count(&rig).last_number, 0);
    rig.responders->env.time_ms = NULL;
    responding_wait_for_changes(&rig, 1);
    responding_end(&rig);
}

/* ------------------------------------------------------------------ a promise left behind -- */

static void abandon_one(struct cm_promise *promise, void *arg)
{
    (void)arg;
    struct cm_abandoned_row row = { .serial = promise->item.serial,
                                    .generation_number = promise->generation_number };
    const struct cm_audit_event audit = { .kind = "abandon",
                                          .actor = cm_bytes_str("engine"),
                                          .detail = cm_bytes_str("{}") };
    struct cm_store_op op = { .kind = CM_STORE_RECORD,
                              .abandoned = &row,
                              .abandoned_count = 1,
                              .intents_closed = &promise->intent_number,
                              .intents_closed_count = 1,
                              .audit = &audit };
    struct cm_error err;
    CU_ASSERT_EQUAL(cm_store_apply(rig.issuing.store, &op, &err), CM_OK);
}

static void test_a_promise_that_a_crash_leaves_is_one_like_any_other(void)
{
    struct cm_promises promises = { 0 };
    struct cm_error err;
    const char *script = responding_away_script(&rig);
    responding_touch(rig.away);
    responding_begin(&rig, "fake", script, "openssl");
    responding_wait_for_words(&rig, "no OCSP responses yet");
    CU_ASSERT_EQUAL(responding_count(&rig).open_intents, 1);
    CU_ASSERT_EQUAL_FATAL(unlink(rig.away), 0);
    responding_close(&rig); /* before it was signed */
    issuing_close(&rig.issuing);
    issuing_reopen(&rig.issuing);
    CU_ASSERT_EQUAL_FATAL(cm_store_reader_begin(rig.issuing.reader, &err), CM_OK);
    CU_ASSERT_EQUAL_FATAL(cm_promises_load(&promises, rig.issuing.reader, &err), CM_OK);
    cm_store_reader_end(rig.issuing.reader);
    CU_ASSERT_EQUAL(promises.open_count, 1);
    cm_serials_init(&rig.issuing.serials, responding_count(&rig).last_number);
    responding_open(&rig);
    responding_wait_for_changes(&rig, 1);
    CU_ASSERT_EQUAL(responding_count(&rig).open_intents, 1); /* not of the new certificate */
    cm_promises_walk(&promises, abandon_one, NULL);
    cm_promises_done(&promises);
    struct cm_store_counts counts = responding_count(&rig);
    CU_ASSERT_EQUAL(counts.open_intents, 0);
    CU_ASSERT_EQUAL(counts.abandoned, 1);
    CU_ASSERT_EQUAL(counts.certificates, 1);
    responding_end(&rig);
}

static void test_a_token_without_a_key_of_ours_is_told_plainly(void)
{
    responding_prepare(&rig, "openssl", NULL, "openssl");
    rig.issuing.providers_settings[1].kind = "pkcs11";
    responding_open(&rig);
    responding_wait_for_words(&rig, "no key of an authority is in provider responders");
    responding_end(&rig);
}

CM_TEST_SUITE(responder, CM_TEST(test_a_ca_key_answers_itself_where_no_provider_is_named),
              CM_TEST(test_a_delegated_responder_gets_a_key_and_a_certificate),
              CM_TEST(test_signers_allow_a_delegated_responder_what_it_needs),
              CM_TEST(test_key_and_certificate_are_used_again_after_a_restart),
              CM_TEST(test_a_certificate_for_another_key_is_not_used_again),
              CM_TEST(test_a_certificate_is_renewed_when_half_of_its_life_is_over),
              CM_TEST(test_a_certificate_that_has_ended_answers_nothing),
              CM_TEST(test_a_certificate_that_ends_with_its_issuer_is_not_renewed),
              CM_TEST(test_a_certificate_of_a_minute_is_valid_now_and_for_most_of_it),
              CM_TEST(test_a_ca_key_that_is_away_is_told_and_waited_for_with_the_same_bytes),
              CM_TEST(test_a_wrong_signature_abandons_its_serial),
              CM_TEST(test_a_key_that_cannot_be_opened_is_told_and_tried_again),
              CM_TEST(test_each_generation_has_its_own_and_a_retired_one_too),
              CM_TEST(test_nothing_is_issued_while_the_clock_is_suspect),
              CM_TEST(test_a_promise_that_a_crash_leaves_is_one_like_any_other),
              CM_TEST(test_a_token_without_a_key_of_ours_is_told_plainly));

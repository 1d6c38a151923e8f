/* Who signs OCSP responses: keys made, certificates issued, found again, renewed, and waited for. */
#include "engine/revocation/responder_parts.h"

#include <openssl/ocsp.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/hash.h"
#include "engine/promises.h"
#include "tests/support/test_main.h"
#include "tests/unit/engine/issuing_rig.h"

enum { DAY_S = 86400 };

static struct issuing_rig rig;
static struct cm_responders *responders;
static unsigned changes_count;
static int64_t changed_generation;
static char away[450];
static struct cm_clones clones;
static struct cm_book *book; /* NULL: the responders have none */

/* ------------------------------------------------------------------ the rig -- */

static void on_changed(int64_t generation_number, void *arg)
{
    (void)arg;
    changes_count++;
    changed_generation = generation_number;
}

static void open_responders(void)
{
    cm_clones_init(&clones);
    const struct cm_responders_env env = { .loop = rig.loop,
                                           .settings = &rig.settings,
                                           .store = rig.store,
                                           .providers = rig.providers,
                                           .issuers = &rig.issuers,
                                           .book = book,
                                           .serials = &rig.serials,
                                           .clones = &clones,
                                           .on_notice = issuing_on_notice,
                                           .on_changed = on_changed,
                                           .arg = &rig };
    struct cm_error err;
    changes_count = 0;
    CU_ASSERT_EQUAL_FATAL(cm_responders_open(&env, &responders, &err), CM_OK);
}

/* One active generation, its key with this provider; responders' keys in the second one. */
static void begin(const char *kind, const char *options, const char *responders_kind)
{
    issuing_begin(&rig, kind, options);
    if (responders_kind) {
        issuing_add_provider(&rig, responders_kind, NULL);
        rig.authority.ocsp_responder = &rig.providers_settings[1];
        rig.authority.responder_validity_s = 30 * DAY_S;
    }
    issuing_add(&rig, CM_GENERATION_ACTIVE, 365);
    CU_ASSERT_EQUAL_FATAL(issuing_open(&rig), CM_OK);
    open_responders();
}

static bool are_idle(void *arg)
{
    (void)arg;
    return cm_responders_are_idle(responders);
}

static void close_responders(void)
{
    cm_responders_stop(responders);
    CU_ASSERT_TRUE(issuing_wait(&rig, are_idle, NULL));
    cm_responders_close(responders);
    cm_clones_done(&clones);
}

static void end(void)
{
    close_responders();
    issuing_end(&rig);
    cm_clock_set_wall_offset_ms(0);
}

static void restart(void)
{
    close_responders();
    issuing_close(&rig);
    issuing_reopen(&rig);
    open_responders();
}

static bool has_changed(void *arg)
{
    return changes_count >= *(unsigned *)arg;
}

static void wait_for_changes(unsigned count)
{
    CU_ASSERT_TRUE_FATAL(issuing_wait(&rig, has_changed, &count));
}

static const struct cm_responder *find(uint32_t position)
{
    return cm_responders_find(responders, rig.issuers.keys[position].generation_number);
}

static struct cm_store_counts count(void)
{
    struct cm_store_counts counts;
    struct cm_error err;
    CU_ASSERT_EQUAL_FATAL(cm_store_reader_begin(rig.reader, &err), CM_OK);
    CU_ASSERT_EQUAL_FATAL(cm_store_count(rig.reader, &counts, &err), CM_OK);
    cm_store_reader_end(rig.reader);
    return counts;
}

static bool is_told(void *arg)
{
    return issuing_told(&rig, arg);
}

static void wait_for_words(const char *words)
{
    CU_ASSERT_TRUE_FATAL(issuing_wait(&rig, is_told, (void *)(uintptr_t)words));
}

static void touch(const char *path)
{
    FILE *file = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    fclose(file);
}

/* The script of a fake that is away while there is a file. */
static const char *away_script(void)
{
    static char script[500];
    static unsigned scripts_count;
    snprintf(away, sizeof away, "%s/away-%u", cm_test_scratch(), scripts_count++);
    snprintf(script, sizeof script, "away=%s", away);
    return script;
}

/* ------------------------------------------------------------------ OpenSSL -- */

static X509 *read_certificate(struct cm_bytes der)
{
    const unsigned char *at = der.data;
    X509 *x509 = d2i_X509(NULL, &at, (long)der.size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(x509);
    return x509;
}

static bool is_done(void *arg)
{
    return *(bool *)arg;
}

static void on_signed(struct cm_sign_batch *batch, void *arg)
{
    (void)batch;
    *(bool *)arg = true;
}

/* As the status service makes one: good, for serial 7 of the generation. */
static struct cm_bytes make_response(const struct cm_responder *responder, struct cm_arena *arena)
{
    static const uint8_t sha1_id[] = { 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e,
                                       0x03, 0x02, 0x1a, 0x05, 0x00 };
    uint8_t id[100] = { 0x30, 0 }, *at = id + 2, signature[CM_SIGNATURE_SIZE_MAX];
    int64_t now_s = cm_clock_wall_s();
    struct cm_error err;
    bool done = false;
    memcpy(at, sha1_id, sizeof sha1_id);
    at += sizeof sha1_id;
    *at++ = 4;
    *at++ = 20;
    memcpy(at, responder->issuer.name_sha1, 20);
    at += 20;
    *at++ = 4;
    *at++ = 20;
    memcpy(at, responder->issuer.key_sha1, 20);
    at += 20;
    memcpy(at, "\x02\x01\x07", 3);
    at += 3;
    id[1] = (uint8_t)(at - id - 2);
    const struct cm_ocsp_single single = { .cert_id = cm_bytes(id, (size_t)(at - id)),
                                           .this_update_s = now_s,
                                           .next_update_s = now_s + DAY_S };
    struct cm_ocsp_response response = { .produced_s = now_s,
                                         .singles = &single,
                                         .singles_count = 1 };
    memcpy(response.responder_key_hash, responder->key_hash, sizeof response.responder_key_hash);
    struct cm_sign_item item = { .signature = signature, .signature_space = sizeof signature };
    struct cm_sign_batch batch = { .key = responder->key,
                                   .lane = CM_LANE_OCSP,
                                   .items = &item,
                                   .items_count = 1,
                                   .done = on_signed,
                                   .done_arg = &done };
    CU_ASSERT_EQUAL_FATAL(cm_ocsp_compose(&response, arena, &item.message, &err), CM_OK);
    CU_ASSERT_EQUAL_FATAL(cm_provider_sign(responder->key->provider, &batch, &err), CM_OK);
    CU_ASSERT_TRUE_FATAL(issuing_wait(&rig, is_done, &done));
    CU_ASSERT_EQUAL_FATAL(item.status, CM_OK);
    return cm_ocsp_assemble(item.message, responder->key->alg,
                            cm_bytes(signature, item.signature_size), responder->certificate,
                            arena);
}

/* A relying party that knows the CA and nothing else. */
static bool openssl_verifies(struct cm_bytes der, struct cm_bytes ca)
{
    const unsigned char *at = der.data;
    OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &at, (long)der.size);
    OCSP_BASICRESP *basic = response ? OCSP_response_get1_basic(response) : NULL;
    X509_STORE *trusted = X509_STORE_new();
    STACK_OF(X509) *known = sk_X509_new_null();
    X509 *x509 = read_certificate(ca);
    CU_ASSERT_PTR_NOT_NULL_FATAL(basic);
    X509_STORE_add_cert(trusted, x509);
    sk_X509_push(known, x509);
    bool verifies = OCSP_basic_verify(basic, known, trusted, 0) == 1;
    sk_X509_free(known);
    X509_free(x509);
    X509_STORE_free(trusted);
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(response);
    return verifies;
}

static void expect_openssl_to_verify(uint32_t position)
{
    struct cm_arena arena;
    cm_arena_init(&arena, 8192);
    const struct cm_responder *responder = find(position);
    CU_ASSERT_PTR_NOT_NULL_FATAL(responder);
    struct cm_bytes response = make_response(responder, &arena);
    CU_ASSERT_TRUE(openssl_verifies(response, rig.issuers.keys[position].certificate));
    cm_arena_done(&arena);
}

/* ------------------------------------------------------------------ tests -- */

static void test_a_ca_key_answers_itself_where_no_provider_is_named(void)
{
    begin("openssl-hosted", NULL, NULL);
    CU_ASSERT_PTR_NULL(find(0)); /* never inside a call */
    wait_for_changes(1);
    const struct cm_responder *responder = find(0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(responder);
    CU_ASSERT_PTR_EQUAL(responder->key, rig.issuers.keys[0].key);
    CU_ASSERT_EQUAL(responder->certificate.size, 0);
    CU_ASSERT_EQUAL(responder->not_after_s, rig.issuers.keys[0].issuer.not_after_s);
    CU_ASSERT_EQUAL(memcmp(responder->key_hash, responder->issuer.key_sha1, 20), 0);
    CU_ASSERT_EQUAL(changed_generation, responder->generation_number);
    CU_ASSERT_PTR_NULL(cm_responders_find(responders, 99));
    expect_openssl_to_verify(0);
    CU_ASSERT_EQUAL(count().certificates, 0);
    end();
}

/* Alone for OCSP signing, not asked about itself, of the CA's own hand, and short-lived. */
static void check_certificate(const struct cm_responder *responder, const struct cm_issuer_key *ca)
{
    X509 *x509 = read_certificate(responder->certificate);
    X509 *issuer = read_certificate(ca->certificate);
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
    CU_ASSERT_TRUE(left_s > 29 * DAY_S && left_s <= 30 * DAY_S);
    X509_free(x509);
    X509_free(issuer);
}

static void issue_and_verify(const char *kind, const char *responders_kind)
{
    begin(kind, NULL, responders_kind);
    rig.authority.crl_url = "http://pki.example/0.crl";
    wait_for_changes(1);
    const struct cm_responder *responder = find(0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(responder);
    CU_ASSERT_PTR_NOT_EQUAL(responder->key, rig.issuers.keys[0].key);
    check_certificate(responder, &rig.issuers.keys[0]);
    expect_openssl_to_verify(0);
    struct cm_store_counts counts = count();
    cm_certificate_number number = 0;
    CU_ASSERT_EQUAL(cm_clones_claim(&clones, cm_clones_fingerprint(responder->key->spki),
                                    cm_bytes_str("a device"), &number),
                    CM_CLONE_KNOWN);
    CU_ASSERT_EQUAL(number, counts.last_number);
    CU_ASSERT_EQUAL(counts.certificates, 1);
    CU_ASSERT_EQUAL(counts.devices, 1);
    CU_ASSERT_EQUAL(counts.open_intents, 0);
    CU_ASSERT_EQUAL(issuing_count_audit(&rig, "ocsp-responder"), 1);
    CU_ASSERT_TRUE(issuing_told(&rig, "new key: file:ocsp-issuing-1.pem"));
    end();
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
    begin("openssl", NULL, "openssl");
    wait_for_changes(1);
    struct cm_bytes first = cm_bytes_copy(find(0)->certificate);
    restart();
    wait_for_changes(1);
    CU_ASSERT_TRUE(cm_bytes_equal(find(0)->certificate, first));
    CU_ASSERT_FALSE(issuing_told(&rig, "new key"));
    CU_ASSERT_EQUAL(count().certificates, 1);
    /* Past the half of its life there is a new one. */
    cm_clock_set_wall_offset_ms(16 * DAY_S * 1000ll);
    restart();
    wait_for_changes(1);
    CU_ASSERT_FALSE(cm_bytes_equal(find(0)->certificate, first));
    CU_ASSERT_EQUAL(count().certificates, 2);
    free((void *)(uintptr_t)first.data);
    end();
}

static void test_a_certificate_for_another_key_is_not_used_again(void)
{
    char path[500];
    begin("openssl", NULL, "openssl");
    wait_for_changes(1);
    snprintf(path, sizeof path, "%s/ocsp-issuing-1.pem", rig.folder);
    CU_ASSERT_EQUAL_FATAL(unlink(path), 0);
    restart();
    wait_for_changes(1);
    CU_ASSERT_EQUAL(count().certificates, 2);
    expect_openssl_to_verify(0);
    end();
}

static void test_a_certificate_is_renewed_when_half_of_its_life_is_over(void)
{
    begin("openssl", NULL, "openssl");
    wait_for_changes(1);
    const struct cm_responder *first = find(0);
    cm_clock_set_wall_offset_ms(14 * DAY_S * 1000ll);
    cm_responders_look(responders);
    issuing_pause(&rig, 50);
    CU_ASSERT_EQUAL(changes_count, 1);
    cm_clock_set_wall_offset_ms(16 * DAY_S * 1000ll);
    cm_responders_look(responders);
    wait_for_changes(2);
    const struct cm_responder *second = find(0);
    CU_ASSERT_PTR_NOT_EQUAL(second, first);
    CU_ASSERT_FALSE(cm_bytes_equal(second->certificate, first->certificate)); /* both there */
    CU_ASSERT_PTR_EQUAL(second->key, first->key);
    CU_ASSERT_TRUE(second->not_after_s > first->not_after_s);
    CU_ASSERT_EQUAL(count().certificates, 2);
    end();
}

static void test_a_certificate_that_has_ended_answers_nothing(void)
{
    begin("fake", away_script(), "openssl");
    wait_for_changes(1);
    touch(away);
    cm_clock_set_wall_offset_ms(29 * DAY_S * 1000ll);
    cm_responders_look(responders);
    wait_for_words("renewing the OCSP responder of issuing-1");
    CU_ASSERT_PTR_NOT_NULL(find(0));
    cm_clock_set_wall_offset_ms(31 * DAY_S * 1000ll);
    CU_ASSERT_PTR_NULL(find(0));
    end();
}

static void test_a_certificate_that_ends_with_its_issuer_is_not_renewed(void)
{
    begin("openssl", NULL, "openssl");
    rig.authority.responder_validity_s = 400 * DAY_S;
    wait_for_changes(1);
    CU_ASSERT_EQUAL(find(0)->not_after_s, rig.issuers.keys[0].issuer.not_after_s);
    cm_clock_set_wall_offset_ms(360 * DAY_S * 1000ll);
    cm_responders_look(responders);
    issuing_pause(&rig, 50);
    CU_ASSERT_EQUAL(changes_count, 1);
    end();
}

/* The shortest that the settings allow; the profile's backdate is five times as long. */
static void test_a_certificate_of_a_minute_is_valid_now_and_for_most_of_it(void)
{
    begin("openssl", NULL, "openssl");
    rig.authority.responder_validity_s = 60;
    wait_for_changes(1);
    CU_ASSERT_TRUE(find(0)->not_after_s > cm_clock_wall_s() + 45);
    expect_openssl_to_verify(0);
    issuing_pause(&rig, 50);
    CU_ASSERT_EQUAL(changes_count, 1);
    end();
}

static void test_a_ca_key_that_is_away_is_told_and_waited_for_with_the_same_bytes(void)
{
    const char *script = away_script();
    touch(away);
    begin("fake", script, "openssl");
    wait_for_words("no OCSP responses yet from the OCSP responder of issuing-1");
    CU_ASSERT_PTR_NULL(find(0));
    CU_ASSERT_EQUAL(count().open_intents, 1);
    cm_certificate_number promised = count().last_number;
    CU_ASSERT_EQUAL_FATAL(unlink(away), 0);
    wait_for_changes(1);
    struct cm_store_counts counts = count();
    CU_ASSERT_EQUAL(counts.open_intents, 0);
    CU_ASSERT_EQUAL(counts.certificates, 1);
    CU_ASSERT_EQUAL(counts.last_number, promised);
    end();
}

static void test_a_wrong_signature_abandons_its_serial(void)
{
    begin("fake", "item=0:wrong", "openssl");
    wait_for_words("did not verify");
    CU_ASSERT_EQUAL(count().abandoned, 1);
    CU_ASSERT_EQUAL(count().open_intents, 0);
    wait_for_changes(1);
    CU_ASSERT_EQUAL(count().certificates, 1);
    CU_ASSERT_EQUAL(issuing_count_audit(&rig, "ocsp-responder"), 2);
    expect_openssl_to_verify(0);
    end();
}

static void test_a_key_that_cannot_be_opened_is_told_and_tried_again(void)
{
    char path[500];
    issuing_begin(&rig, "openssl", NULL);
    issuing_add_provider(&rig, "openssl", NULL);
    rig.authority.ocsp_responder = &rig.providers_settings[1];
    rig.authority.responder_validity_s = 30 * DAY_S;
    issuing_add(&rig, CM_GENERATION_ACTIVE, 365);
    CU_ASSERT_EQUAL_FATAL(issuing_open(&rig), CM_OK);
    snprintf(path, sizeof path, "%s/ocsp-issuing-1.pem", rig.folder);
    touch(path);
    CU_ASSERT_EQUAL(chmod(path, 0600), 0);
    open_responders();
    wait_for_words("no OCSP responses yet from the OCSP responder of issuing-1");
    CU_ASSERT_EQUAL_FATAL(unlink(path), 0);
    wait_for_changes(1);
    end();
}

static void put_device_in_quarantine(void)
{
    struct cm_device_row row = { .id = cm_bytes_str("ocsp-responder/issuing-1"),
                                 .group = cm_bytes_str("ocsp-responders"),
                                 .state = CM_DEVICE_QUARANTINED };
    const struct cm_audit_event audit = { .kind = "test",
                                          .actor = cm_bytes_str("test"),
                                          .detail = cm_bytes_str("{}") };
    struct cm_store_op op = {
        .kind = CM_STORE_DEVICES, .devices = &row, .devices_count = 1, .audit = &audit
    };
    struct cm_error err;
    CU_ASSERT_EQUAL_FATAL(cm_store_apply(rig.store, &op, &err), CM_OK);
    CU_ASSERT_EQUAL(op.devices_changed, 1);
}

static void reinstate_device(void)
{
    struct cm_order order = { .kind = CM_ORDER_REINSTATE,
                              .device = cm_bytes_str("ocsp-responder/issuing-1"),
                              .actor = cm_bytes_str("test"),
                              .time_s = (int64_t)time(NULL) };
    struct cm_store_op op = { .kind = CM_STORE_RECORD, .orders = &order, .orders_count = 1 };
    struct cm_error err;
    CU_ASSERT_EQUAL_FATAL(cm_store_apply(rig.store, &op, &err), CM_OK);
    CU_ASSERT_EQUAL(order.devices_changed, 1);
}

static void test_a_device_in_quarantine_gets_no_certificate_until_it_is_let_out(void)
{
    issuing_begin(&rig, "openssl", NULL);
    rig.authority.ocsp_responder = &rig.providers_settings[0];
    rig.authority.responder_validity_s = 30 * DAY_S;
    issuing_add(&rig, CM_GENERATION_ACTIVE, 365);
    CU_ASSERT_EQUAL_FATAL(issuing_open(&rig), CM_OK);
    put_device_in_quarantine();
    open_responders();
    wait_for_words("not allowed");
    CU_ASSERT_PTR_NULL(find(0));
    CU_ASSERT_EQUAL(count().certificates, 0);
    reinstate_device();
    wait_for_changes(1);
    CU_ASSERT_EQUAL(count().certificates, 1);
    CU_ASSERT_EQUAL(count().open_intents, 0);
    end();
}

/* Barred between the look and the record: what was signed is given up, once. */
static void test_what_was_signed_for_a_device_that_is_barred_meanwhile_is_abandoned(void)
{
    const char *script = away_script();
    touch(away);
    begin("fake", script, "openssl");
    wait_for_words("no OCSP responses yet from the OCSP responder of issuing-1");
    CU_ASSERT_EQUAL(count().open_intents, 1);
    put_device_in_quarantine();
    CU_ASSERT_EQUAL_FATAL(unlink(away), 0);
    wait_for_words("its device is not allowed");
    CU_ASSERT_EQUAL(count().open_intents, 0);
    CU_ASSERT_EQUAL(count().abandoned, 1);
    wait_for_words("device ocsp-responder/issuing-1 is not allowed");
    reinstate_device();
    wait_for_changes(1);
    CU_ASSERT_EQUAL(count().certificates, 1);
    CU_ASSERT_EQUAL(count().abandoned, 1);
    end();
}

static void read_book(void)
{
    struct cm_error err;
    CU_ASSERT_EQUAL_FATAL(cm_book_read(book, rig.reader, NULL, NULL, &err), CM_OK);
}

static void begin_with_book(void)
{
    struct cm_error err;
    CU_ASSERT_EQUAL_FATAL(cm_book_new(&book, &err), CM_OK);
    cm_book_add_generation(book, 1, 1);
    begin("openssl", NULL, "openssl");
    CU_ASSERT_EQUAL(rig.issuers.keys[0].generation_number, 1);
    wait_for_changes(1);
}

static void end_with_book(void)
{
    end();
    cm_book_free(book);
    book = NULL;
}

static void carry_out(struct cm_order order)
{
    order.time_s = cm_clock_wall_s();
    order.actor = cm_bytes_str("tester");
    order.why = cm_bytes_str("a test");
    struct cm_store_op op = { .kind = CM_STORE_RECORD, .orders = &order, .orders_count = 1 };
    struct cm_error err;
    CU_ASSERT_EQUAL_FATAL(cm_store_apply(rig.store, &op, &err), CM_OK);
    CU_ASSERT_EQUAL_FATAL(order.code, CM_REFUSAL_NONE);
    read_book();
}

static void order_for_serial(struct cm_bytes serial)
{
    carry_out((struct cm_order){
        .kind = CM_ORDER_REVOKE, .serial = serial, .reason = CM_REASON_SUPERSEDED });
}

static void order_for_device(enum cm_order_kind kind)
{
    carry_out(
        (struct cm_order){ .kind = kind, .device = cm_bytes_str("ocsp-responder/issuing-1") });
}

static void revoke_what_is_in_use(void)
{
    struct cm_certificate read;
    CU_ASSERT_EQUAL_FATAL(cm_certificate_read(find(0)->certificate, &read, NULL), CM_OK);
    order_for_serial(read.serial);
}

static void test_a_certificate_that_is_revoked_has_a_successor_at_once(void)
{
    begin_with_book();
    const struct cm_responder *first = find(0);
    revoke_what_is_in_use();
    CU_ASSERT_PTR_EQUAL(find(0), first); /* until there is another */
    cm_responders_look(responders);
    wait_for_changes(2);
    CU_ASSERT_PTR_NOT_EQUAL(find(0), first);
    CU_ASSERT_FALSE(cm_bytes_equal(find(0)->certificate, first->certificate));
    CU_ASSERT_PTR_EQUAL(find(0)->key, first->key);
    expect_openssl_to_verify(0);
    cm_responders_look(responders);
    issuing_pause(&rig, 50);
    CU_ASSERT_EQUAL(count().certificates, 2);
    end_with_book();
}

static void test_a_certificate_that_comes_off_hold_goes_on(void)
{
    begin_with_book();
    const struct cm_responder *first = find(0);
    order_for_device(CM_ORDER_QUARANTINE); /* its certificate is on hold */
    cm_responders_look(responders);
    wait_for_words("not allowed");
    CU_ASSERT_PTR_EQUAL(find(0), first);
    order_for_device(CM_ORDER_REINSTATE);
    wait_for_changes(2);
    CU_ASSERT_EQUAL(count().certificates, 1); /* nothing was promised in the quarantine */
    CU_ASSERT_EQUAL(count().open_intents, 0);
    CU_ASSERT(cm_bytes_equal(find(0)->certificate, first->certificate));
    end_with_book();
}

static void test_a_certificate_that_is_revoked_is_not_used_after_a_restart(void)
{
    begin_with_book();
    struct cm_bytes first = cm_bytes_copy(find(0)->certificate);
    close_responders();
    struct cm_certificate read;
    CU_ASSERT_EQUAL_FATAL(cm_certificate_read(first, &read, NULL), CM_OK);
    order_for_serial(read.serial);
    open_responders();
    wait_for_changes(1);
    CU_ASSERT_FALSE(cm_bytes_equal(find(0)->certificate, first));
    CU_ASSERT_EQUAL(count().certificates, 2);
    free((void *)(uintptr_t)first.data);
    end_with_book();
}

static void test_each_generation_has_its_own_and_a_retired_one_too(void)
{
    issuing_begin(&rig, "openssl-hosted", NULL);
    rig.authority.ocsp_responder = &rig.providers_settings[0];
    rig.authority.responder_validity_s = 30 * DAY_S;
    issuing_add(&rig, CM_GENERATION_RETIRED, 100);
    issuing_add(&rig, CM_GENERATION_ACTIVE, 365);
    CU_ASSERT_EQUAL_FATAL(issuing_open(&rig), CM_OK);
    open_responders();
    wait_for_changes(2);
    CU_ASSERT_PTR_NOT_EQUAL(find(0)->key, find(1)->key);
    CU_ASSERT_FALSE(cm_bytes_equal(find(0)->key->spki, find(1)->key->spki));
    expect_openssl_to_verify(0);
    expect_openssl_to_verify(1);
    end();
}

static int64_t suspect(void *arg)
{
    (void)arg;
    return -1;
}

static void test_nothing_is_issued_while_the_clock_is_suspect(void)
{
    issuing_begin(&rig, "openssl", NULL);
    rig.authority.ocsp_responder = &rig.providers_settings[0];
    rig.authority.responder_validity_s = 30 * DAY_S;
    issuing_add(&rig, CM_GENERATION_ACTIVE, 365);
    CU_ASSERT_EQUAL_FATAL(issuing_open(&rig), CM_OK);
    open_responders();
    responders->env.time_ms = suspect;
    for (unsigned i = 0; i < 200 && !responders->slots[0].key; i++)
        issuing_pause(&rig, 50);
    CU_ASSERT_PTR_NOT_NULL(responders->slots[0].key);
    issuing_pause(&rig, 50);
    CU_ASSERT_EQUAL(count().last_number, 0);
    responders->env.time_ms = NULL;
    wait_for_changes(1);
    end();
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
    CU_ASSERT_EQUAL(cm_store_apply(rig.store, &op, &err), CM_OK);
}

static void test_a_promise_that_a_crash_leaves_is_one_like_any_other(void)
{
    struct cm_promises promises = { 0 };
    struct cm_error err;
    const char *script = away_script();
    touch(away);
    begin("fake", script, "openssl");
    wait_for_words("no OCSP responses yet");
    CU_ASSERT_EQUAL(count().open_intents, 1);
    CU_ASSERT_EQUAL_FATAL(unlink(away), 0);
    close_responders(); /* before it was signed */
    issuing_close(&rig);
    issuing_reopen(&rig);
    CU_ASSERT_EQUAL_FATAL(cm_store_reader_begin(rig.reader, &err), CM_OK);
    CU_ASSERT_EQUAL_FATAL(cm_promises_load(&promises, rig.reader, &err), CM_OK);
    cm_store_reader_end(rig.reader);
    CU_ASSERT_EQUAL(promises.open_count, 1);
    cm_serials_init(&rig.serials, count().last_number);
    open_responders();
    wait_for_changes(1);
    CU_ASSERT_EQUAL(count().open_intents, 1); /* not of the new certificate */
    cm_promises_walk(&promises, abandon_one, NULL);
    cm_promises_done(&promises);
    struct cm_store_counts counts = count();
    CU_ASSERT_EQUAL(counts.open_intents, 0);
    CU_ASSERT_EQUAL(counts.abandoned, 1);
    CU_ASSERT_EQUAL(counts.certificates, 1);
    end();
}

/* ------------------------------------------------------------------ names of keys -- */

static void expect_reference(const char *kind, const char *neighbour, const char *expected)
{
    char *reference = cm_responder_reference(kind, neighbour, "issuing-2");
    CU_ASSERT_PTR_NOT_NULL_FATAL(reference);
    if (strcmp(reference, expected) != 0)
        printf("\"%s\" is not \"%s\"\n", reference, expected);
    CU_ASSERT_STRING_EQUAL(reference, expected);
    free(reference);
}

static void test_a_key_is_named_beside_one_of_its_provider(void)
{
    expect_reference("openssl", NULL, "file:ocsp-issuing-2.pem");
    expect_reference("openssl", "file:keys/issuing.pem", "file:ocsp-issuing-2.pem");
    expect_reference("pkcs11", "pkcs11:token=Factory;object=issuing-1?pin-source=file:/run/pin",
                     "pkcs11:token=Factory;object=ocsp-issuing-2?pin-source=file:/run/pin");
    expect_reference("pkcs11", "pkcs11:id=%01%02;serial=8c1f;type=private;token=a",
                     "pkcs11:serial=8c1f;token=a;object=ocsp-issuing-2");
    expect_reference("pkcs11", "pkcs11:object=issuing-1", "pkcs11:object=ocsp-issuing-2");
    expect_reference("keyvault", "https://v.vault.azure.net/keys/issuing/0123456789abcdef",
                     "https://v.vault.azure.net/keys/ocsp-issuing-2");
    CU_ASSERT_PTR_NULL(cm_responder_reference("pkcs11", NULL, "issuing-2"));
    CU_ASSERT_PTR_NULL(cm_responder_reference("keyvault", NULL, "issuing-2"));
    CU_ASSERT_PTR_NULL(cm_responder_reference("keyvault", "file:a", "issuing-2"));
}

static void test_a_token_without_a_key_of_ours_is_told_plainly(void)
{
    issuing_begin(&rig, "openssl", NULL);
    issuing_add_provider(&rig, "openssl", NULL);
    rig.providers_settings[1].kind = "pkcs11";
    rig.authority.ocsp_responder = &rig.providers_settings[1];
    rig.authority.responder_validity_s = 30 * DAY_S;
    issuing_add(&rig, CM_GENERATION_ACTIVE, 365);
    CU_ASSERT_EQUAL_FATAL(issuing_open(&rig), CM_OK);
    open_responders();
    wait_for_words("no key of an authority is in provider responders");
    end();
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
              CM_TEST(test_a_device_in_quarantine_gets_no_certificate_until_it_is_let_out),
              CM_TEST(test_what_was_signed_for_a_device_that_is_barred_meanwhile_is_abandoned),
              CM_TEST(test_a_certificate_that_is_revoked_has_a_successor_at_once),
              CM_TEST(test_a_certificate_that_is_revoked_is_not_used_after_a_restart),
              CM_TEST(test_a_certificate_that_comes_off_hold_goes_on),
              CM_TEST(test_each_generation_has_its_own_and_a_retired_one_too),
              CM_TEST(test_nothing_is_issued_while_the_clock_is_suspect),
              CM_TEST(test_a_promise_that_a_crash_leaves_is_one_like_any_other),
              CM_TEST(test_a_key_is_named_beside_one_of_its_provider),
              CM_TEST(test_a_token_without_a_key_of_ours_is_told_plainly));

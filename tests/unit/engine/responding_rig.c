#include "tests/unit/engine/responding_rig.h"

#include <openssl/ocsp.h>
#include <stdio.h>

#include "engine/base/clock.h"
#include "tests/support/test_main.h"

/* The argument is the issuing rig, which stands first in ours. */
static void on_changed(int64_t generation_number, void *arg)
{
    struct responding_rig *rig = arg;
    rig->changes_count++;
    rig->changed_generation = generation_number;
}

void responding_open(struct responding_rig *rig)
{
    cm_clones_init(&rig->clones);
    const struct cm_responders_env env = { .loop = rig->issuing.loop,
                                           .settings = &rig->issuing.settings,
                                           .store = rig->issuing.store,
                                           .providers = rig->issuing.providers,
                                           .issuers = &rig->issuing.issuers,
                                           .book = rig->book,
                                           .serials = &rig->issuing.serials,
                                           .clones = &rig->clones,
                                           .on_notice = issuing_on_notice,
                                           .on_changed = on_changed,
                                           .arg = &rig->issuing };
    struct cm_error err;
    rig->changes_count = 0;
    CU_ASSERT_EQUAL_FATAL(cm_responders_open(&env, &rig->responders, &err), CM_OK);
}

void responding_prepare(struct responding_rig *rig, const char *kind, const char *options,
                        const char *responders_kind)
{
    issuing_begin(&rig->issuing, kind, options);
    if (responders_kind) {
        issuing_add_provider(&rig->issuing, responders_kind, NULL);
        rig->issuing.authority.ocsp_responder = &rig->issuing.providers_settings[1];
        rig->issuing.authority.responder_validity_s = 30 * RESPONDING_DAY_S;
    }
    issuing_add(&rig->issuing, CM_GENERATION_ACTIVE, 365);
    CU_ASSERT_EQUAL_FATAL(issuing_open(&rig->issuing), CM_OK);
}

void responding_begin(struct responding_rig *rig, const char *kind, const char *options,
                      const char *responders_kind)
{
    responding_prepare(rig, kind, options, responders_kind);
    responding_open(rig);
}

static bool are_idle(void *arg)
{
    return cm_responders_are_idle(arg);
}

void responding_close(struct responding_rig *rig)
{
    cm_responders_stop(rig->responders);
    CU_ASSERT_TRUE(issuing_wait(&rig->issuing, are_idle, rig->responders));
    cm_responders_close(rig->responders);
    cm_clones_done(&rig->clones);
}

void responding_end(struct responding_rig *rig)
{
    responding_close(rig);
    issuing_end(&rig->issuing);
    cm_clock_set_wall_offset_ms(0);
}

void responding_restart(struct responding_rig *rig)
{
    responding_close(rig);
    issuing_close(&rig->issuing);
    issuing_reopen(&rig->issuing);
    responding_open(rig);
}

struct wait {
    struct responding_rig *rig;
    unsigned count;
    const char *words;
};

static bool has_changed(void *arg)
{
    const struct wait *wait = arg;
    return wait->rig->changes_count >= wait->count;
}

void responding_wait_for_changes(struct responding_rig *rig, unsigned count)
{
    struct wait wait = { .rig = rig, .count = count };
    CU_ASSERT_TRUE_FATAL(issuing_wait(&rig->issuing, has_changed, &wait));
}

static bool is_told(void *arg)
{
    const struct wait *wait = arg;
    return issuing_told(&wait->rig->issuing, wait->words);
}

void responding_wait_for_words(struct responding_rig *rig, const char *words)
{
    struct wait wait = { .rig = rig, .words = words };
    CU_ASSERT_TRUE_FATAL(issuing_wait(&rig->issuing, is_told, &wait));
}

const struct cm_responder *responding_find(const struct responding_rig *rig, uint32_t position)
{
    return cm_responders_find(rig->responders,
                              rig->issuing.issuers.keys[position].generation_number);
}

struct cm_store_counts responding_count(struct responding_rig *rig)
{
    struct cm_store_counts counts;
    struct cm_error err;
    CU_ASSERT_EQUAL_FATAL(cm_store_reader_begin(rig->issuing.reader, &err), CM_OK);
    CU_ASSERT_EQUAL_FATAL(cm_store_count(rig->issuing.reader, &counts, &err), CM_OK);
    cm_store_reader_end(rig->issuing.reader);
    return counts;
}

void responding_touch(const char *path)
{
    FILE *file = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    fclose(file);
}

const char *responding_away_script(struct responding_rig *rig)
{
    static char script[500];
    static unsigned scripts_count;
    snprintf(rig->away, sizeof rig->away, "%s/away-%u", cm_test_scratch(), scripts_count++);
    snprintf(script, sizeof script, "away=%s", rig->away);
    return script;
}

/* ------------------------------------------------------------------ OpenSSL -- */

X509 *responding_read_certificate(struct cm_bytes der)
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
static struct cm_bytes make_response(struct responding_rig *rig,
                                     const struct cm_responder *responder, struct cm_arena *arena)
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
                                           .next_update_s = now_s + RESPONDING_DAY_S };
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
    CU_ASSERT_TRUE_FATAL(issuing_wait(&rig->issuing, is_done, &done));
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
    X509 *x509 = responding_read_certificate(ca);
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

void responding_expect_openssl_to_verify(struct responding_rig *rig, uint32_t position)
{
    struct cm_arena arena;
    cm_arena_init(&arena, 8192);
    const struct cm_responder *responder = responding_find(rig, position);
    CU_ASSERT_PTR_NOT_NULL_FATAL(responder);
    struct cm_bytes response = make_response(rig, responder, &arena);
    CU_ASSERT_TRUE(openssl_verifies(response, rig->issuing.issuers.keys[position].certificate));
    cm_arena_done(&arena);
}

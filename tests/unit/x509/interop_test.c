/*
 * Every built-in profile with every key type, CRLs and OCSP responses, shown to the programs that verify
 * and lint them: openssl, certtool and ocsptool of GnuTLS, zlint. The key type of the CAs stands in the
 * environment variable CERTMILL_TEST_CA_KEY.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/x509/ocsp_response.h"
#include "engine/x509/pem_writer.h"
#include "tests/support/test_main.h"
#include "tests/unit/x509/crl_rig.h"

static const char *write_pem(const char *name, struct cm_bytes der)
{
    return pki_write_file(name, cm_pem_write("CERTIFICATE", der, &pki.arena));
}

static const char *name_file(const struct pki_issued *issued)
{
    return cm_arena_printf(&pki.arena, "%s-%s.pem", issued->profile->name,
                           cm_key_type_name(issued->type));
}

static void expect_success(const char *command)
{
    char output[500];
    if (pki_run(command, output, sizeof output) != 0) {
        printf("    %s\n    %s\n", command, output);
        CU_FAIL("a program that must accept it does not");
    }
}

/* It says this, whatever it comes to. */
static void expect_words(const char *command, const char *words)
{
    char output[4000];
    pki_run(command, output, sizeof output);
    if (strstr(output, words))
        return;
    printf("    %s\n    %s\n", command, output);
    CU_FAIL("a program says something else");
}

static void check_openssl_verify(const struct pki_issued *issued)
{
    const char *root = write_pem("root.pem", pki.root);
    const char *issuing = write_pem("issuing.pem", pki.issuing);
    const char *leaf = write_pem(name_file(issued), issued->der);
    expect_success(cm_arena_printf(
        &pki.arena, "openssl verify -x509_strict -policy_check -CAfile %s -untrusted %s %s 2>&1",
        root, issuing, leaf));
}

static void test_openssl_verify_strict_accepts_every_certificate(void)
{
    if (!pki_has_program("openssl")) {
        cm_test_skip("openssl is not installed");
        return;
    }
    pki_for_each_profile(check_openssl_verify);
}

static void check_certtool(const struct pki_issued *issued)
{
    const char *root = write_pem("root.pem", pki.root);
    const char *leaf = write_pem(name_file(issued), issued->der);
    struct cm_bytes first = cm_pem_write("CERTIFICATE", issued->der, &pki.arena);
    struct cm_bytes second = cm_pem_write("CERTIFICATE", pki.issuing, &pki.arena);
    const char *chain = pki_write_file(
        "chain.pem", cm_bytes_str(cm_arena_printf(&pki.arena, "%s%s", (const char *)first.data,
                                                  (const char *)second.data)));
    expect_success(cm_arena_printf(&pki.arena, "certtool -i --infile %s 2>&1", leaf));
    expect_success(cm_arena_printf(
        &pki.arena, "certtool --verify --load-ca-certificate %s --infile %s 2>&1", root, chain));
}

static void test_gnutls_accepts_every_certificate(void)
{
    if (!pki_has_program("certtool")) {
        cm_test_skip("certtool is not installed");
        return;
    }
    pki_for_each_profile(check_certtool);
}

static const char *zlint;

static void expect_no_zlint_error(const char *path)
{
    static char output[200000];
    const char *command = cm_arena_printf(
        &pki.arena,
        "%s -excludeSources=Apple,CABF_BR,CABF_EV,CABF_SMIME_BR,ETSI_ESI,Mozilla %s 2>&1", zlint,
        path);
    CU_ASSERT_EQUAL(pki_run(command, output, sizeof output), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(output, "\"pass\""));
    for (char *at = output; (at = strstr(at, "\"result\":\"")) != NULL; at += 10) {
        if (strncmp(at + 10, "error", 5) != 0 && strncmp(at + 10, "fatal", 5) != 0)
            continue;
        printf("    %s: ...%.120s\n", path, at - (at - output > 80 ? 80 : at - output));
        CU_FAIL("zlint finds an error");
    }
}

static void check_zlint(const struct pki_issued *issued)
{
    expect_no_zlint_error(write_pem(name_file(issued), issued->der));
}

static bool find_zlint(void)
{
    const char *deps = getenv("CERTMILL_SOURCE_ROOT");
    const char *unpacked = cm_arena_printf(&pki.arena, "%s/.deps/usr/bin/zlint", deps ? deps : ".");
    zlint = pki_has_program("zlint") ? "zlint" : pki_has_program(unpacked) ? unpacked : NULL;
    if (!zlint)
        cm_test_skip("zlint is not installed");
    return zlint != NULL;
}

static void test_zlint_finds_no_error_in_any_certificate(void)
{
    if (find_zlint())
        pki_for_each_profile(check_zlint);
}

/* --- CRLs ----------------------------------------------------------------------------------------- */

#define SHARD_URL "http://pki.example/crl/issuing/13.crl"

/* A device's certificate, whose shard is 13; the root, and the CA between them. */
struct chain {
    const char *root, *issuing, *leaf;
    struct cm_bytes serial;
};

static struct cm_bytes issue(const struct cm_profile *profile)
{
    struct cm_template_input in = pki_input(CM_KEY_P256);
    struct cm_tbs tbs;
    struct cm_refusal refusal;
    CU_ASSERT_FATAL(pki_compose(profile, &pki.issuer, &in, &tbs, &refusal));
    CU_ASSERT_EQUAL(tbs.crl_shard, 13);
    return cm_certificate_assemble(tbs.der, pki.issuer.sigalg,
                                   pki_sign(&pki.issuing_key, pki.issuer.sigalg, tbs.der),
                                   &pki.arena);
}

static struct chain make_chain(void)
{
    return (struct chain){ .root = write_pem("root.pem", pki.root),
                           .issuing = write_pem("issuing.pem", pki.issuing),
                           .leaf =
                               write_pem("leaf.pem", issue(cm_profile_builtin("device-client"))),
                           .serial = pki_input(CM_KEY_P256).serial };
}

static struct cm_crl shard_crl(void)
{
    struct cm_crl crl = crl_rig_crl();
    crl.this_update_s -= 1; /* not in the future of a program that runs in the same second */
    crl.url = SHARD_URL;
    crl.user_certificates = true;
    return crl;
}

/* Revokes the serial, or none where it is empty. */
static const char *write_crl(const char *name, const struct cm_crl *crl, struct cm_bytes serial)
{
    struct cm_crl_entry entry = { .serial = serial,
                                  .revoked_s = crl->this_update_s - 60,
                                  .invalidity_s = crl->this_update_s - 3600,
                                  .reason = CM_REASON_KEY_COMPROMISE };
    struct cm_bytes der = crl_rig_sign(crl, crl_rig_write(&entry, serial.size > 0));
    return pki_write_file(name, cm_pem_write("X509 CRL", der, &pki.arena));
}

static const char *verify_command(const struct chain *chain, const char *flags, const char *crl)
{
    return cm_arena_printf(&pki.arena,
                           "openssl verify -x509_strict -crl_check %s -CAfile %s -untrusted %s "
                           "-CRLfile %s %s 2>&1",
                           flags, chain->root, chain->issuing, crl, chain->leaf);
}

static void test_openssl_verify_finds_what_is_revoked(void)
{
    struct chain chain = make_chain();
    struct cm_crl crl = shard_crl();
    expect_words(verify_command(&chain, "", write_crl("crl.pem", &crl, chain.serial)),
                 "certificate revoked");
    expect_success(verify_command(&chain, "", write_crl("none.pem", &crl, cm_bytes(NULL, 0))));
    expect_success(verify_command(&chain, "", write_crl("other.pem", &crl, cm_bytes("\x2d", 1))));
    crl.url = "http://pki.example/crl/issuing/12.crl"; /* another shard says nothing about it */
    expect_words(verify_command(&chain, "", write_crl("shard.pem", &crl, cm_bytes(NULL, 0))),
                 "scope");
}

static void test_openssl_verify_finds_what_a_delta_revokes(void)
{
    struct chain chain = make_chain();
    struct cm_crl crl = shard_crl();
    char joined[8000];
    crl.freshest_url = "http://pki.example/crl/issuing/13-delta.crl";
    const char *complete = write_crl("complete.pem", &crl, cm_bytes(NULL, 0));
    crl.freshest_url = NULL;
    crl.is_delta = true;
    crl.base_number = crl.number;
    crl.number++;
    const char *delta = write_crl("delta.pem", &crl, chain.serial);
    expect_success(verify_command(&chain, "-extended_crl -use_deltas", complete));
    pki_run(cm_arena_printf(&pki.arena, "cat %s %s", complete, delta), joined, sizeof joined);
    const char *both = pki_write_file("both.pem", cm_bytes_str(joined));
    expect_words(verify_command(&chain, "-extended_crl -use_deltas", both), "certificate revoked");
}

static void test_gnutls_verifies_lists(void)
{
    if (!pki_has_program("certtool")) {
        cm_test_skip("certtool is not installed");
        return;
    }
    struct chain chain = make_chain();
    struct cm_crl crl = shard_crl();
    for (unsigned with_entry = 0; with_entry < 2; with_entry++) {
        const char *path =
            write_crl("crl.pem", &crl, with_entry ? chain.serial : cm_bytes(NULL, 0));
        expect_words(
            cm_arena_printf(&pki.arena,
                            "certtool --verify-crl --load-ca-certificate %s --infile %s 2>&1",
                            chain.issuing, path),
            "Verified");
        expect_words(cm_arena_printf(&pki.arena, "certtool -l --infile %s 2>&1", path),
                     with_entry ? "Revoked certificates (1)" : "No revoked certificates");
    }
}

static void test_zlint_finds_no_error_in_any_list(void)
{
    struct cm_crl crl = shard_crl();
    if (!find_zlint())
        return;
    expect_no_zlint_error(write_crl("crl.pem", &crl, cm_bytes("\x2d", 1)));
    expect_no_zlint_error(write_crl("empty.pem", &crl, cm_bytes(NULL, 0)));
    crl.url = NULL;
    expect_no_zlint_error(write_crl("whole.pem", &crl, cm_bytes("\x2d", 1)));
}

/* --- OCSP ----------------------------------------------------------------------------------------- */

/* About the chain's leaf, signed by the issuing CA, or by a responder with a certificate of its own. */
static const char *write_response(const struct chain *chain, enum cm_ocsp_state state,
                                  bool is_delegated)
{
    const struct pki_key *key = is_delegated ? &pki.keys[CM_KEY_P256] : &pki.issuing_key;
    enum cm_sigalg sigalg = cm_sigalg_default(key->type);
    ASN1_INTEGER *serial = crl_rig_integer(chain->serial);
    OCSP_CERTID *id = pki_cert_id(EVP_sha1(), serial);
    unsigned char *id_der = NULL;
    struct cm_ocsp_single single = { .state = state,
                                     .revoked_s = pki.now_s - 60,
                                     .reason = CM_REASON_SUPERSEDED,
                                     .this_update_s = pki.now_s - 1,
                                     .next_update_s = pki.now_s + 600 };
    struct cm_ocsp_response response = { .produced_s = pki.now_s - 1,
                                         .singles = &single,
                                         .singles_count = 1 };
    struct cm_ocsp_issuer_hashes hashes;
    struct cm_bytes tbs;
    single.cert_id.size = (size_t)i2d_OCSP_CERTID(id, &id_der);
    single.cert_id.data = id_der;
    CU_ASSERT_TRUE_FATAL(cm_ocsp_hash_issuer(pki.issuer.name, key->spki, &hashes));
    memcpy(response.responder_key_hash, hashes.key_sha1, sizeof hashes.key_sha1);
    CU_ASSERT_EQUAL_FATAL(cm_ocsp_compose(&response, &pki.arena, &tbs, NULL), CM_OK);
    struct cm_bytes certificate =
        is_delegated ? issue(cm_profile_builtin("ocsp-responder")) : cm_bytes(NULL, 0);
    OPENSSL_free(id_der);
    OCSP_CERTID_free(id);
    ASN1_INTEGER_free(serial);
    return pki_write_file("response.der", cm_ocsp_assemble(tbs, sigalg, pki_sign(key, sigalg, tbs),
                                                           certificate, &pki.arena));
}

/* Calls check with a response of each state, by each kind of responder. */
static void for_each_response(void (*check)(const struct chain *chain, const char *path,
                                            const char *state, bool is_delegated))
{
    static const char *const states[] = { "good", "revoked", "unknown" };
    struct chain chain = make_chain();
    for (unsigned state = 0; state < 3; state++)
        for (unsigned is_delegated = 0; is_delegated < 2; is_delegated++)
            check(&chain, write_response(&chain, (enum cm_ocsp_state)state, is_delegated),
                  states[state], is_delegated);
}

static void check_openssl_ocsp(const struct chain *chain, const char *path, const char *state,
                               bool is_delegated)
{
    (void)is_delegated;
    const char *command = cm_arena_printf(
        &pki.arena, "openssl ocsp -respin %s -issuer %s -cert %s -CAfile %s -no_nonce 2>&1", path,
        chain->issuing, chain->leaf, chain->root);
    expect_words(command, "Response verify OK");
    expect_words(command, cm_arena_printf(&pki.arena, "leaf.pem: %s", state));
}

static void test_openssl_ocsp_verifies_every_response(void)
{
    for_each_response(check_openssl_ocsp);
}

/*
 * Among its trusted CAs, GnuTLS looks for a responder by their subject key identifiers, which are no SHA-1
 * hashes here: the CA is named as the signer. A responder that brings a certificate is found by itself.
 */
static void check_ocsptool(const struct chain *chain, const char *path, const char *state,
                           bool is_delegated)
{
    expect_words(cm_arena_printf(&pki.arena, "ocsptool -e --load-response %s --load-%s %s 2>&1",
                                 path, is_delegated ? "trust" : "signer", chain->issuing),
                 "Verifying OCSP Response: Success");
    expect_words(cm_arena_printf(&pki.arena, "ocsptool -j --infile %s 2>&1", path),
                 cm_arena_printf(&pki.arena, "Certificate Status: %s", state));
}

static void test_gnutls_verifies_every_response(void)
{
    if (!pki_has_program("ocsptool")) {
        cm_test_skip("ocsptool is not installed");
        return;
    }
    for_each_response(check_ocsptool);
}

static int set_up(void)
{
    const char *type = getenv("CERTMILL_TEST_CA_KEY");
    return pki_init(type ? cm_key_type_find(type) : CM_KEY_P256);
}

CM_TEST_SUITE_WITH(interop, set_up, pki_done,
                   CM_TEST(test_openssl_verify_strict_accepts_every_certificate),
                   CM_TEST(test_gnutls_accepts_every_certificate),
                   CM_TEST(test_zlint_finds_no_error_in_any_certificate),
                   CM_TEST(test_openssl_verify_finds_what_is_revoked),
                   CM_TEST(test_openssl_verify_finds_what_a_delta_revokes),
                   CM_TEST(test_gnutls_verifies_lists),
                   CM_TEST(test_zlint_finds_no_error_in_any_list),
                   CM_TEST(test_openssl_ocsp_verifies_every_response),
                   CM_TEST(test_gnutls_verifies_every_response));

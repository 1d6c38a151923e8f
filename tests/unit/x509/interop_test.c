/*
 * Every built-in profile with every key type, shown to the programs that verify and lint
 * certificates: openssl verify, certtool of GnuTLS, zlint. The key type of the CAs stands
 * in the environment variable CERTMILL_TEST_CA_KEY.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/x509/pem_writer.h"
#include "tests/support/test_main.h"
#include "tests/unit/x509/pki.h"

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
        CU_FAIL("a program that must accept the certificate does not");
    }
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

static void check_zlint(const struct pki_issued *issued)
{
    static char output[200000];
    const char *leaf = write_pem(name_file(issued), issued->der);
    const char *command = cm_arena_printf(
        &pki.arena,
        "%s -excludeSources=Apple,CABF_BR,CABF_EV,CABF_SMIME_BR,ETSI_ESI,Mozilla %s 2>&1", zlint,
        leaf);
    CU_ASSERT_EQUAL(pki_run(command, output, sizeof output), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(output, "\"pass\""));
    for (char *at = output; (at = strstr(at, "\"result\":\"")) != NULL; at += 10) {
        if (strncmp(at + 10, "error", 5) != 0 && strncmp(at + 10, "fatal", 5) != 0)
            continue;
        printf("    %s %s: ...%.120s\n", issued->profile->name, cm_key_type_name(issued->type),
               at - (at - output > 80 ? 80 : at - output));
        CU_FAIL("zlint finds an error");
    }
}

static void test_zlint_finds_no_error_in_any_certificate(void)
{
    const char *deps = getenv("CERTMILL_SOURCE_ROOT");
    const char *unpacked = cm_arena_printf(&pki.arena, "%s/.deps/usr/bin/zlint", deps ? deps : ".");
    zlint = pki_has_program("zlint") ? "zlint" : pki_has_program(unpacked) ? unpacked : NULL;
    if (!zlint) {
        cm_test_skip("zlint is not installed");
        return;
    }
    pki_for_each_profile(check_zlint);
}

static int set_up(void)
{
    const char *type = getenv("CERTMILL_TEST_CA_KEY");
    return pki_init(type ? cm_key_type_find(type) : CM_KEY_P256);
}

CM_TEST_SUITE_WITH(interop, set_up, pki_done,
                   CM_TEST(test_openssl_verify_strict_accepts_every_certificate),
                   CM_TEST(test_gnutls_accepts_every_certificate),
                   CM_TEST(test_zlint_finds_no_error_in_any_certificate));

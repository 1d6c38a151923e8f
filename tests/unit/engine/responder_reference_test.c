/* What the key of a responder is called: beside one of its provider, in the words of its kind. */
#include "engine/revocation/responder_parts.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/support/test_main.h"

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

CM_TEST_SUITE(responder_reference, CM_TEST(test_a_key_is_named_beside_one_of_its_provider));

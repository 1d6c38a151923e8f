#include "tests/conformance/provider_backends.h"

#include <stdio.h>
#include <stdlib.h>

#include "providers/backends.h"
#include "providers/fake/fake.h"
#include "tests/support/token_maker.h"

/* The fake token is not hosted: it lives in the memory of its process. */
static struct rig_backend backends[] = {
    { .name = "openssl", .ops = &cm_provider_openssl },
    { .name = "fake", .ops = &cm_provider_fake },
    { .name = "softhsm", .ops = &cm_provider_pkcs11, .token = "certmill%20test", .pin = TOKEN_PIN },
    { .name = "fake-token", .ops = &cm_provider_pkcs11, .token = "fake", .pin = TOKEN_PIN },
    { .name = "openssl-hosted", .ops = &cm_provider_openssl, .is_hosted = true },
    { .name = "fake-hosted", .ops = &cm_provider_fake, .is_hosted = true },
    { .name = "softhsm-hosted",
      .ops = &cm_provider_pkcs11,
      .token = "certmill%20test",
      .pin = TOKEN_PIN,
      .is_hosted = true },
    { .name = "keyvault", .ops = &cm_provider_keyvault, .is_vault = true },
    { .name = "keyvault-hosted",
      .ops = &cm_provider_keyvault,
      .is_hosted = true,
      .is_vault = true },
};

const struct rig_backend *backend;

bool is_in_token(void)
{
    return backend->module != NULL;
}

bool is_in_vault(void)
{
    return backend->is_vault;
}

bool is_supported(const char *key_name, enum cm_sigalg alg)
{
    static const struct {
        const char *key_name;
        enum cm_sigalg alg;
    } curves[] = { { "p256", CM_SIGALG_ECDSA_SHA256 },
                   { "p384", CM_SIGALG_ECDSA_SHA384 },
                   { "p521", CM_SIGALG_ECDSA_SHA512 } };
    if (!is_in_vault())
        return true;
    for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++)
        if (strcmp(curves[i].key_name, key_name) == 0)
            return alg == CM_SIGALG_UNKNOWN || alg == curves[i].alg;
    return strcmp(key_name, "ed25519") != 0;
}

static const char *find_module(const char *name)
{
    if (strncmp(name, "fake-token", 10) == 0)
        return token_fake_module();
    return strncmp(name, "softhsm", 7) == 0 && token_softhsm_module() && token_softhsm_make()
               ? token_softhsm_module()
               : NULL;
}

/* The one that $CM_TEST_PROVIDER names. */
int choose_backend(void)
{
    const char *name = getenv("CM_TEST_PROVIDER");
    for (size_t i = 0; name && i < sizeof backends / sizeof backends[0]; i++) {
        if (strcmp(backends[i].name, name) != 0)
            continue;
        backends[i].module = find_module(name);
        backend = &backends[i];
    }
    if (!backend) {
        printf("CM_TEST_PROVIDER names no provider\n");
        return 1;
    }
    rig_use(backend);
    return 0;
}

void on_backend(void (*check)(struct rig *rig))
{
    struct rig rig;
    if (backend->ops == &cm_provider_pkcs11 && !is_in_token()) {
        cm_test_skip("no SoftHSM: neither its module nor softhsm2-util; tools/setup --tests");
        return;
    }
    rig_open(&rig, backend->ops, NULL, WORKERS);
    check(&rig);
    rig_close(&rig);
}

void expect_refusal(struct rig *rig, const char *reference, enum cm_sigalg alg, cm_status expected,
                    const char *words)
{
    struct cm_key *key = NULL;
    struct cm_error err = { .status = CM_OK };
    CU_ASSERT_EQUAL(rig_open_key(rig, reference, alg, &key, &err), expected);
    CU_ASSERT_EQUAL(err.status, expected);
    CU_ASSERT_PTR_NULL(key);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, words));
    if (!strstr(err.text, words))
        printf("\"%s\" lacks \"%s\"\n", err.text, words);
    cm_provider_close_key(key);
}

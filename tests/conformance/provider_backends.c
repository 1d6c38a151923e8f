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
    { "softhsm", &cm_provider_pkcs11, NULL, "certmill%20test", TOKEN_PIN, false },
    { "fake-token", &cm_provider_pkcs11, NULL, "fake", TOKEN_PIN, false },
    { .name = "openssl-hosted", .ops = &cm_provider_openssl, .is_hosted = true },
    { .name = "fake-hosted", .ops = &cm_provider_fake, .is_hosted = true },
    { "softhsm-hosted", &cm_provider_pkcs11, NULL, "certmill%20test", TOKEN_PIN, true },
};

const struct rig_backend *backend;

bool is_in_token(void)
{
    return backend->module != NULL;
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

#include "tests/conformance/rig_vault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/test_main.h"

bool rig_vault_is_foreign(void)
{
    return getenv("CM_TEST_VAULT") != NULL;
}

struct cm_keyvault *rig_vault(void)
{
    static struct cm_keyvault vault;
    if (rig_vault_is_foreign())
        snprintf(vault.url, sizeof vault.url, "%s", getenv("CM_TEST_VAULT"));
    else if (vault.pid == 0)
        CU_ASSERT_TRUE_FATAL(cm_keyvault_start(&vault, NULL));
    return &vault;
}

const char *rig_vault_options(const struct cm_keyvault *vault, const char *more)
{
    static char options[2048];
    if (rig_vault_is_foreign())
        return getenv("CM_TEST_VAULT_OPTIONS");
    snprintf(options, sizeof options,
             "{\"credential\": \"client-secret\", \"client\": \"%s\", \"trust\": \"%s\", "
             "\"resource\": \"https://vault.azure.net\", \"authority\": \"%s\"%s%s%s}",
             CM_KEYVAULT_CLIENT_ID, vault->certificate, vault->url,
             strstr(more, "\"rate\"") ? "" : ", \"rate\": 1000000",
             strstr(more, "\"timeout-ms\"") ? "" : ", \"timeout-ms\": 120000", more);
    return options;
}

const char *rig_vault_secret(const char *text)
{
    static char reference[512];
    snprintf(reference, sizeof reference, "file:%s/client-secret", cm_test_scratch());
    FILE *file = fopen(reference + 5, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    fputs(text, file);
    fclose(file);
    chmod(reference + 5, 0600);
    return reference;
}

const char *rig_vault_reference(const struct cm_keyvault *vault, const char *name)
{
    static char reference[512];
    int size = snprintf(reference, sizeof reference, "%s/keys/%s", vault->url, name);
    if (rig_vault_is_foreign())
        snprintf(reference + size, sizeof reference - (size_t)size, "-%ld", (long)getpid());
    return reference;
}

void rig_vault_make_key(struct cm_keyvault *vault, const char *name, enum cm_key_type type,
                        uint32_t bits)
{
    static const char *const curves[CM_KEY_TYPE_COUNT] = {
        [CM_KEY_P256] = "P-256", [CM_KEY_P384] = "P-384", [CM_KEY_P521] = "P-521"
    };
    char members[128];
    if (type == CM_KEY_RSA)
        snprintf(members, sizeof members, "{\"kty\":\"RSA-HSM\",\"key_size\":%u}", bits);
    else
        snprintf(members, sizeof members, "{\"kty\":\"EC-HSM\",\"crv\":\"%s\"}", curves[type]);
    cm_keyvault_create_key(vault, name, members, NULL);
}

/* What becomes of signatures that are withdrawn while the vault has them. */
#include "providers/backends.h"
#include "tests/conformance/provider_rig.h"
#include "tests/support/keyvault_process.h"

#include <stdio.h>

static struct cm_keyvault vault;

static struct cm_key *open_vault(struct rig *rig)
{
    char options[800], secret[520], kid[CM_KEYVAULT_KID_SIZE];
    struct cm_key *key = NULL;
    CU_ASSERT_FATAL(cm_keyvault_start(&vault, NULL));
    cm_keyvault_create_key(&vault, "ca", "{\"kty\":\"EC-HSM\",\"crv\":\"P-256\"}", kid);
    snprintf(options, sizeof options,
             "{\"credential\": \"client-secret\", \"client\": \"%s\", \"trust\": \"%s\", "
             "\"resource\": \"https://vault.azure.net\"}",
             CM_KEYVAULT_CLIENT_ID, vault.certificate);
    snprintf(secret, sizeof secret, "file:%s",
             rig_write_file("client-secret", CM_KEYVAULT_CLIENT_SECRET,
                            strlen(CM_KEYVAULT_CLIENT_SECRET), 0600));
    const struct cm_provider_settings settings = { .passphrase_ref = secret, .options = options };
    CU_ASSERT_EQUAL_FATAL(rig_try_open(rig, &cm_provider_keyvault, &settings, NULL), CM_OK);
    CU_ASSERT_EQUAL_FATAL(rig_open_key(rig, kid, CM_SIGALG_UNKNOWN, &key, NULL), CM_OK);
    return key;
}

/* Without a deadline they would be asked for again and again, though nobody wants them. */
static void test_signatures_that_are_withdrawn_while_they_are_out_do_not_wait_again(void)
{
    struct rig rig;
    struct cm_key *key = open_vault(&rig);
    struct rig_batch *batch = rig_batch_new(&rig, key, 2);
    cm_keyvault_fault(&vault, "{\"on\":\"sign\",\"kind\":\"status\",\"status\":429,"
                              "\"delay_ms\":500,\"count\":0,\"retry_after\":\"1\"}");
    CU_ASSERT_EQUAL(rig_submit(batch), CM_OK);
    for (unsigned i = 0; cm_provider_pace(rig.provider).in_flight < 2 && i < 1000; i++)
        rig_run_for(&rig, 5);
    CU_ASSERT_EQUAL(cm_provider_pace(rig.provider).in_flight, 2);
    cm_provider_cancel(rig.provider, &batch->batch);
    rig_wait(&rig, &batch->dones, 1);
    CU_ASSERT_EQUAL(rig_count_status(batch, CM_CANCELLED), 2);
    cm_keyvault_clear_faults(&vault);
    rig_sign(batch);
    CU_ASSERT_TRUE(rig_all_verify(batch));
    rig_batch_free(batch);
    cm_provider_close_key(key);
    rig_close(&rig);
    cm_keyvault_stop(&vault);
}

CM_TEST_SUITE(keyvault_cancel,
              CM_TEST(test_signatures_that_are_withdrawn_while_they_are_out_do_not_wait_again));

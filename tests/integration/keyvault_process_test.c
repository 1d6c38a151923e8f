/* The vault that C tests start: it comes up, obeys, counts, and ends. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/keyvault_process.h"
#include "tests/support/test_main.h"

static void a_vault_is_started_with_options_and_ends_when_it_is_stopped(void)
{
    static const char *const options[] = { "--region", "somewhere", NULL };
    struct cm_keyvault vault;
    CU_ASSERT_FATAL(cm_keyvault_start(&vault, options));
    pid_t pid = vault.pid;
    CU_ASSERT(pid > 0 && vault.port > 0 && vault.control_port > 0);
    CU_ASSERT_EQUAL(access(vault.certificate, R_OK), 0);
    CU_ASSERT_EQUAL(strncmp(vault.url, "https://127.0.0.1:", 18), 0);
    cm_keyvault_stop(&vault);
    CU_ASSERT_NOT_EQUAL(kill(pid, 0), 0);
    cm_keyvault_stop(&vault);
}

static void a_wrong_option_is_told_from_a_start(void)
{
    static const char *const options[] = { "--port", "none", NULL };
    struct cm_keyvault vault;
    CU_ASSERT_FALSE(cm_keyvault_start(&vault, options));
    CU_ASSERT_EQUAL(vault.pid, 0);
}

static void keys_faults_and_statistics_go_through_the_control_port(void)
{
    struct cm_keyvault vault;
    char first[CM_KEYVAULT_KID_SIZE], second[CM_KEYVAULT_KID_SIZE];
    CU_ASSERT_FATAL(cm_keyvault_start(&vault, NULL));
    cm_keyvault_create_key(&vault, "ca", "{\"kty\":\"EC-HSM\",\"crv\":\"P-384\"}", first);
    cm_keyvault_create_key(&vault, "ca", "{\"kty\":\"EC\"}", second);
    CU_ASSERT_EQUAL(strncmp(first, vault.url, strlen(vault.url)), 0);
    CU_ASSERT_STRING_NOT_EQUAL(first, second);
    /* Managed identity is on the same port, so a fault can be seen from here. */
    const char *path = "/metadata/identity/oauth2/token";
    cm_keyvault_fault(&vault,
                      "[{\"on\":\"identity\",\"kind\":\"status\",\"status\":200,\"count\":2}]");
    free(cm_keyvault_control(&vault, "GET", path, NULL));
    CU_ASSERT_EQUAL(cm_keyvault_statistic(&vault, "requests.identity"), 1);
    CU_ASSERT_EQUAL(cm_keyvault_statistic(&vault, "faults"), 1);
    CU_ASSERT_EQUAL(cm_keyvault_statistic(&vault, "requests.create"), 0);
    cm_keyvault_clear_faults(&vault);
    cm_keyvault_stop(&vault);
}

CM_TEST_SUITE(keyvault_process,
              CM_TEST(a_vault_is_started_with_options_and_ends_when_it_is_stopped),
              CM_TEST(a_wrong_option_is_told_from_a_start),
              CM_TEST(keys_faults_and_statistics_go_through_the_control_port));

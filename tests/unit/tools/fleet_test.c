/*
 * Goal: a fleet is what a factory would send: requests that the strict reader takes, keys that
 * signed them, no key twice.
 * Method: small fleets, every request through the engine's reader and proof of possession.
 */
#include "tests/support/test_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/x509/proof.h"
#include "tools/fleet.h"

static struct cm_fleet *make(const struct cm_fleet_settings *settings)
{
    struct cm_fleet *fleet = NULL;
    struct cm_error err = { 0 };
    if (cm_fleet_make(settings, NULL, &fleet, &err) != CM_OK) {
        printf("    %s\n", err.text);
        abort();
    }
    return fleet;
}

static void test_fleet_mix_has_the_shares_that_it_names(void)
{
    struct cm_fleet_settings settings;
    cm_fleet_settings_mix(100, &settings);
    struct cm_fleet *fleet = make(&settings);
    char text[128];
    CU_ASSERT_STRING_EQUAL(cm_fleet_describe(fleet, text, sizeof text),
                           "90 P-256, 3 P-384, 3 RSA-2048, 4 Ed25519");
    uint32_t counts[CM_KEY_TYPE_COUNT] = { 0 };
    for (uint32_t i = 0; i < 100; i++)
        counts[fleet->devices[i].type]++;
    CU_ASSERT_EQUAL(memcmp(counts, fleet->counts, sizeof counts), 0);
    cm_fleet_free(fleet);
}

static void test_fleet_rsa_keys_are_no_more_than_allowed(void)
{
    struct cm_fleet_settings settings;
    cm_fleet_settings_mix(200, &settings);
    settings.rsa_max = 1;
    struct cm_fleet *fleet = make(&settings);
    CU_ASSERT_EQUAL(fleet->counts[CM_KEY_RSA], 1);
    CU_ASSERT_EQUAL(fleet->counts[CM_KEY_P256], 200 - 6 - 1 - 8);
    cm_fleet_free(fleet);
}

static void check_request(struct cm_proof *proof, const struct cm_fleet_device *device, uint32_t i)
{
    struct cm_arena arena;
    struct cm_csr csr;
    struct cm_refusal refusal = { 0 };
    char id[CM_FLEET_ID_SIZE];
    cm_arena_init(&arena, 4096);
    cm_fleet_device_id(i, id);
    bool read = cm_csr_read(device->csr, &arena, &csr, &refusal);
    CU_ASSERT_TRUE_FATAL(read);
    CU_ASSERT_EQUAL(csr.key.type, device->type);
    CU_ASSERT_TRUE(cm_proof_check(proof, &csr, &refusal));
    CU_ASSERT_TRUE(cm_bytes_is(cm_name_find(csr.name, CM_OID_COMMON_NAME), id));
    CU_ASSERT_EQUAL(csr.sans_count, i % 10 == 9 ? 1 : 0);
    CU_ASSERT_EQUAL(csr.quirks, 0);
    cm_arena_done(&arena);
}

static void test_fleet_requests_are_read_and_prove_their_keys(void)
{
    struct cm_fleet_settings settings;
    struct cm_proof *proof = NULL;
    struct cm_error err;
    CU_ASSERT_EQUAL_FATAL(cm_proof_new(&proof, &err), CM_OK);
    cm_fleet_settings_mix(60, &settings);
    settings.percent[CM_KEY_P521] = 10;
    settings.threads_count = 3;
    struct cm_fleet *fleet = make(&settings);
    for (uint32_t i = 0; i < fleet->devices_count; i++)
        check_request(proof, &fleet->devices[i], i);
    CU_ASSERT_EQUAL(fleet->counts[CM_KEY_P521], 6);
    cm_fleet_free(fleet);
    cm_proof_free(proof);
}

static void test_fleet_has_no_two_requests_alike(void)
{
    struct cm_fleet_settings settings;
    cm_fleet_settings_uniform(64, CM_KEY_P256, &settings);
    struct cm_fleet *fleet = make(&settings);
    CU_ASSERT_EQUAL(fleet->counts[CM_KEY_P256], 64);
    for (uint32_t i = 0; i < 64; i++)
        for (uint32_t j = 0; j < i; j++)
            CU_ASSERT_FALSE(cm_bytes_equal(fleet->devices[i].csr, fleet->devices[j].csr));
    cm_fleet_free(fleet);
}

static void test_fleet_files_are_never_written_over(void)
{
    struct cm_fleet_settings settings;
    struct cm_error err = { 0 };
    char folder[300], path[360];
    struct stat found;
    cm_fleet_settings_uniform(3, CM_KEY_ED25519, &settings);
    struct cm_fleet *fleet = make(&settings);
    snprintf(folder, sizeof folder, "%s/csrs", cm_test_scratch());
    CU_ASSERT_EQUAL(cm_fleet_write_csrs(fleet, folder, &err), CM_IO);
    CU_ASSERT_EQUAL_FATAL(mkdir(folder, 0700), 0);
    CU_ASSERT_EQUAL(cm_fleet_write_csrs(fleet, folder, &err), CM_OK);
    snprintf(path, sizeof path, "%s/device-000003.csr", folder);
    CU_ASSERT_EQUAL(stat(path, &found), 0);
    CU_ASSERT_EQUAL(cm_fleet_write_csrs(fleet, folder, &err), CM_IO);
    snprintf(path, sizeof path, "%s/devices.csv", cm_test_scratch());
    CU_ASSERT_EQUAL(cm_fleet_write_allow_list(fleet, path, "default", &err), CM_OK);
    CU_ASSERT_EQUAL(cm_fleet_write_allow_list(fleet, path, "default", &err), CM_IO);
    cm_fleet_free(fleet);
}

CM_TEST_SUITE(fleet, CM_TEST(test_fleet_mix_has_the_shares_that_it_names),
              CM_TEST(test_fleet_rsa_keys_are_no_more_than_allowed),
              CM_TEST(test_fleet_requests_are_read_and_prove_their_keys),
              CM_TEST(test_fleet_has_no_two_requests_alike),
              CM_TEST(test_fleet_files_are_never_written_over));

/*
 * Goal: a fleet that was kept is the fleet that was made, and a file that is not to be believed is not.
 * Method: small fleets, their files cut off and changed octet by octet; texts of mixes.
 */
#include "tests/support/test_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/fleet_cache.h"

static struct cm_fleet_settings settings;
static char folder[400], path[CM_FLEET_CACHE_PATH_SIZE];
static struct cm_fleet *made;

static void keep(void)
{
    struct cm_error err;
    snprintf(folder, sizeof folder, "%s/fleets", cm_test_scratch());
    CU_ASSERT_EQUAL_FATAL(cm_fleet_settings_read("p256=60,ed25519=40", 10, &settings, &err), CM_OK);
    CU_ASSERT_EQUAL_FATAL(cm_fleet_make(&settings, NULL, &made, &err), CM_OK);
    CU_ASSERT_EQUAL_FATAL(cm_fleet_cache_write(folder, &settings, made, &err), CM_OK);
    cm_fleet_cache_path(folder, &settings, path);
}

static cm_status read_again(struct cm_error *err)
{
    struct cm_fleet *fleet = NULL;
    cm_status status = cm_fleet_cache_read(folder, &settings, &fleet, err);
    cm_fleet_free(fleet);
    return status;
}

static size_t read_file(uint8_t *octets, size_t space)
{
    FILE *file = fopen(path, "r");
    size_t size = file ? fread(octets, 1, space, file) : 0;
    if (file)
        fclose(file);
    return size;
}

static void write_file(const uint8_t *octets, size_t size)
{
    FILE *file = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    fwrite(octets, 1, size, file);
    fclose(file);
}

static void test_cache_gives_the_fleet_that_was_made(void)
{
    struct cm_fleet *fleet = NULL;
    struct cm_error err;
    keep();
    CU_ASSERT_EQUAL_FATAL(cm_fleet_cache_read(folder, &settings, &fleet, &err), CM_OK);
    CU_ASSERT_EQUAL(fleet->devices_count, 10);
    CU_ASSERT_EQUAL(memcmp(fleet->counts, made->counts, sizeof made->counts), 0);
    for (uint32_t i = 0; i < 10; i++) {
        CU_ASSERT_EQUAL(fleet->devices[i].type, made->devices[i].type);
        CU_ASSERT_TRUE(cm_bytes_equal(fleet->devices[i].csr, made->devices[i].csr));
    }
    cm_fleet_free(fleet);
    cm_fleet_free(made);
}

static void test_cache_has_a_file_for_each_number_and_mix(void)
{
    struct cm_error err;
    keep();
    CU_ASSERT_PTR_NOT_NULL(strstr(path, "/fleet-10-p256-6-ed25519-4.csrs"));
    settings.devices_count = 11;
    CU_ASSERT_EQUAL(read_again(&err), CM_NOT_FOUND);
    cm_fleet_free(made);
}

static void test_cache_believes_no_file_of_which_an_octet_is_another(void)
{
    static uint8_t octets[20000];
    struct cm_error err;
    keep();
    size_t size = read_file(octets, sizeof octets);
    CU_ASSERT_TRUE_FATAL(size > 1000 && size < sizeof octets);
    for (size_t i = 0; i < size; i += i < 120 ? 1 : 61) {
        octets[i] ^= 1;
        write_file(octets, size);
        CU_ASSERT_EQUAL(read_again(&err), CM_MALFORMED);
        octets[i] ^= 1;
    }
    write_file(octets, size);
    CU_ASSERT_EQUAL(read_again(&err), CM_OK);
    cm_fleet_free(made);
}

static void test_cache_believes_no_file_that_is_cut_off_or_too_long(void)
{
    static uint8_t octets[20000];
    static const size_t sizes[] = { 0, 1, 16, 20, 90, 500 };
    struct cm_error err;
    keep();
    size_t size = read_file(octets, sizeof octets);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        write_file(octets, sizes[i]);
        CU_ASSERT_EQUAL(read_again(&err), CM_MALFORMED);
    }
    write_file(octets, size - 1);
    CU_ASSERT_EQUAL(read_again(&err), CM_MALFORMED);
    write_file(octets, size + 1);
    CU_ASSERT_EQUAL(read_again(&err), CM_MALFORMED);
    cm_fleet_free(made);
}

static void test_cache_says_that_a_file_is_of_another_version(void)
{
    static uint8_t octets[20000];
    struct cm_error err = { 0 };
    keep();
    size_t size = read_file(octets, sizeof octets);
    octets[19]++;
    write_file(octets, size);
    CU_ASSERT_EQUAL(read_again(&err), CM_MALFORMED);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "version"));
    cm_fleet_free(made);
}

/* --- mixes --------------------------------------------------------------------------------------- */

static void test_mix_is_read_as_it_is_typed(void)
{
    struct cm_error err;
    uint32_t counts[CM_KEY_TYPE_COUNT];
    CU_ASSERT_EQUAL(cm_fleet_settings_read("p256=90,rsa-2048=10", 1000, &settings, &err), CM_OK);
    cm_fleet_count_types(&settings, counts);
    CU_ASSERT_EQUAL(counts[CM_KEY_P256], 900);
    CU_ASSERT_EQUAL(counts[CM_KEY_RSA], 100);
}

static void test_mix_without_p256_has_none(void)
{
    struct cm_error err;
    uint32_t counts[CM_KEY_TYPE_COUNT];
    CU_ASSERT_EQUAL(cm_fleet_settings_read("p384=33,ed25519=67", 10, &settings, &err), CM_OK);
    cm_fleet_count_types(&settings, counts);
    CU_ASSERT_EQUAL(counts[CM_KEY_P256], 0);
    CU_ASSERT_EQUAL(counts[CM_KEY_P384], 3);
    CU_ASSERT_EQUAL(counts[CM_KEY_ED25519], 7);
}

static void test_mix_that_is_none_is_refused_with_the_reason(void)
{
    static const struct {
        const char *text, *word;
    } wrong[] = { { "", "no kind" },
                  { "p256", "whole number" },
                  { "p256=", "whole number" },
                  { "p256=99", "99, not 100" },
                  { "p256=0", "whole number" },
                  { "p256=50,p256=50", "twice" },
                  { "dsa=100", "no kind" },
                  { "p256=100,", "no kind" },
                  { "p256=10x", "whole number" },
                  { "p256=101", "whole number" } };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct cm_error err = { 0 };
        CU_ASSERT_EQUAL(cm_fleet_settings_read(wrong[i].text, 10, &settings, &err), CM_INVALID);
        CU_ASSERT_PTR_NOT_NULL(strstr(err.text, wrong[i].word));
    }
}

CM_TEST_SUITE(fleet_cache, CM_TEST(test_cache_gives_the_fleet_that_was_made),
              CM_TEST(test_cache_has_a_file_for_each_number_and_mix),
              CM_TEST(test_cache_believes_no_file_of_which_an_octet_is_another),
              CM_TEST(test_cache_believes_no_file_that_is_cut_off_or_too_long),
              CM_TEST(test_cache_says_that_a_file_is_of_another_version),
              CM_TEST(test_mix_is_read_as_it_is_typed), CM_TEST(test_mix_without_p256_has_none),
              CM_TEST(test_mix_that_is_none_is_refused_with_the_reason));

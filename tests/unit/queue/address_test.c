#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "queue/redis/address.h"
#include "tests/support/test_main.h"

static struct cm_redis_address address;
static struct cm_error err;

static cm_status read_url(const char *url)
{
    return cm_redis_address_read(url, NULL, &address, &err);
}

static void test_a_unix_socket_with_and_without_a_database(void)
{
    CU_ASSERT_EQUAL(read_url("unix:///run/redis.sock"), CM_OK);
    CU_ASSERT_STRING_EQUAL(address.socket, "/run/redis.sock");
    CU_ASSERT_EQUAL(address.db, 0);
    CU_ASSERT_EQUAL(read_url("unix:///run/redis.sock?db=3"), CM_OK);
    CU_ASSERT_EQUAL(address.db, 3);
}

static void test_a_host_with_all_its_parts(void)
{
    CU_ASSERT_EQUAL(read_url("redis://app:p%40ss%3A@queue.example:6380/2"), CM_OK);
    CU_ASSERT_STRING_EQUAL(address.host, "queue.example");
    CU_ASSERT_STRING_EQUAL(address.user, "app");
    CU_ASSERT_STRING_EQUAL(address.password, "p@ss:");
    CU_ASSERT_EQUAL(address.port, 6380);
    CU_ASSERT_EQUAL(address.db, 2);
    CU_ASSERT_EQUAL(read_url("redis://[::1]:7000"), CM_OK);
    CU_ASSERT_STRING_EQUAL(address.host, "::1");
    CU_ASSERT_EQUAL(address.port, 7000);
    CU_ASSERT_EQUAL(read_url("redis://localhost"), CM_OK);
    CU_ASSERT_EQUAL(address.port, 6379);
}

static void test_what_is_no_address_is_refused(void)
{
    static const char *const urls[] = { "",
                                        "localhost",
                                        "http://x",
                                        "unix://",
                                        "unix://a",
                                        "unix:///a?x=1",
                                        "unix:///a?db=",
                                        "redis://",
                                        "redis://:1",
                                        "redis://a:",
                                        "redis://a:0",
                                        "redis://a:65536",
                                        "redis://a:1x",
                                        "redis://a/x",
                                        "redis://u%zz@host",
                                        "redis://u:%00@host",
                                        "redis://[::1",
                                        "redis://[::1]x",
                                        "redis://a/99999999999" };
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++)
        CU_ASSERT_EQUAL(read_url(urls[i]), CM_INVALID);
    CU_ASSERT_EQUAL(read_url(NULL), CM_INVALID);
    CU_ASSERT_EQUAL(read_url("rediss://"), CM_INVALID);
    CU_ASSERT_EQUAL(read_url("redisss://host"), CM_INVALID);
}

static void test_a_host_over_tls_has_the_same_parts(void)
{
    CU_ASSERT_EQUAL(read_url("rediss://user:secret@host.example:6380/3"), CM_OK);
    CU_ASSERT_TRUE(address.is_tls);
    CU_ASSERT_STRING_EQUAL(address.host, "host.example");
    CU_ASSERT_STRING_EQUAL(address.user, "user");
    CU_ASSERT_EQUAL(address.port, 6380);
    CU_ASSERT_EQUAL(address.db, 3);
    CU_ASSERT_EQUAL(read_url("redis://host.example"), CM_OK);
    CU_ASSERT_FALSE(address.is_tls);
}

static void test_parts_that_are_too_long_are_refused(void)
{
    char url[700];
    snprintf(url, sizeof url, "unix:///%0*d", 200, 0);
    CU_ASSERT_EQUAL(read_url(url), CM_INVALID);
    snprintf(url, sizeof url, "redis://%0*d", 300, 0);
    CU_ASSERT_EQUAL(read_url(url), CM_INVALID);
    snprintf(url, sizeof url, "redis://u:%0*d@host", 300, 0);
    CU_ASSERT_EQUAL(read_url(url), CM_INVALID);
}

static cm_status read_password(const char *reference)
{
    return cm_redis_address_read("redis://h", reference, &address, &err);
}

/* The file "password" in the scratch folder, and its reference. */
static const char *write_password(const char *text, mode_t mode)
{
    static char reference[420];
    snprintf(reference, sizeof reference, "file:%s/password", cm_test_scratch());
    const char *path = reference + strlen("file:");
    FILE *file = fopen(path, "we");
    if (!file || fputs(text, file) < 0 || fclose(file) != 0 || chmod(path, mode) != 0)
        abort();
    return reference;
}

static void test_a_password_is_read_where_its_reference_points(void)
{
    CU_ASSERT_EQUAL(read_password(write_password("in a file\n", 0600)), CM_OK);
    CU_ASSERT_STRING_EQUAL(address.password, "in a file");
    setenv("CREDENTIALS_DIRECTORY", cm_test_scratch(), 1);
    CU_ASSERT_EQUAL(read_password("credential:password"), CM_OK);
    CU_ASSERT_STRING_EQUAL(address.password, "in a file");
    setenv("CM_TEST_PASSWORD", "in a variable", 1);
    CU_ASSERT_EQUAL(read_password("env:CM_TEST_PASSWORD"), CM_OK);
    CU_ASSERT_STRING_EQUAL(address.password, "in a variable");
}

static void test_a_password_that_cannot_be_read_is_told_as_such(void)
{
    CU_ASSERT_EQUAL(read_password("file:/nonexistent"), CM_NOT_FOUND);
    CU_ASSERT_PTR_NOT_NULL(
        strstr(err.text, "the Redis password: secret file /nonexistent: No such"));
    CU_ASSERT_EQUAL(read_password("env:CM_TEST_ABSENT"), CM_NOT_FOUND);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "CM_TEST_ABSENT"));
    CU_ASSERT_EQUAL(read_password("credential:absent"), CM_NOT_FOUND);
    CU_ASSERT_EQUAL(read_password(write_password("\n", 0600)), CM_MALFORMED);
    CU_ASSERT_EQUAL(read_password("hunter2"), CM_MALFORMED);
    CU_ASSERT_PTR_NULL(strstr(err.text, "hunter2"));
}

static void test_a_password_that_others_can_read_is_refused(void)
{
    CU_ASSERT_EQUAL(read_password(write_password("open\n", 0644)), CM_DENIED);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "chmod 600"));
}

static void test_a_password_is_never_cut_short(void)
{
    char text[258];
    memset(text, 'x', sizeof text);
    text[255] = '\0';
    CU_ASSERT_EQUAL(read_password(write_password(text, 0600)), CM_OK);
    CU_ASSERT_STRING_EQUAL(address.password, text);
    text[255] = 'x';
    text[256] = '\0';
    CU_ASSERT_EQUAL(read_password(write_password(text, 0600)), CM_MALFORMED);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "256 octets; at most 255"));
}

CM_TEST_SUITE(address, CM_TEST(test_a_unix_socket_with_and_without_a_database),
              CM_TEST(test_a_host_with_all_its_parts),
              CM_TEST(test_a_host_over_tls_has_the_same_parts),
              CM_TEST(test_what_is_no_address_is_refused),
              CM_TEST(test_parts_that_are_too_long_are_refused),
              CM_TEST(test_a_password_is_read_where_its_reference_points),
              CM_TEST(test_a_password_that_cannot_be_read_is_told_as_such),
              CM_TEST(test_a_password_that_others_can_read_is_refused),
              CM_TEST(test_a_password_is_never_cut_short));

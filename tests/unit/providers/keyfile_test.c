#include "providers/keyfile.h"
#include "tests/support/test_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

static const char *path_of(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", cm_test_scratch(), name);
    return path;
}

static void read_content(const char *path, char *content, size_t space)
{
    FILE *file = fopen(path, "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    content[fread(content, 1, space - 1, file)] = '\0';
    fclose(file);
}

static EVP_PKEY *read_key(const char *path, const char *passphrase)
{
    union {
        const char *given;
        void *taken;
    } word = { .given = passphrase ? passphrase : "" };
    FILE *file = fopen(path, "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    EVP_PKEY *pkey = PEM_read_PrivateKey(file, NULL, NULL, word.taken);
    fclose(file);
    return pkey;
}

/* The file holds the private half of spki, and only its owner can read it. */
static void expect_file(const char *path, const char *passphrase,
                        const struct cm_keyfile_spki *spki)
{
    struct stat status;
    unsigned char *der = NULL;
    EVP_PKEY *pkey = read_key(path, passphrase);
    CU_ASSERT_PTR_NOT_NULL_FATAL(pkey);
    int size = i2d_PUBKEY(pkey, &der);
    CU_ASSERT_TRUE(
        size > 0 && cm_bytes_equal(cm_bytes(der, (size_t)size), cm_bytes(spki->data, spki->size)));
    OPENSSL_free(der);
    EVP_PKEY_free(pkey);
    CU_ASSERT_EQUAL_FATAL(stat(path, &status), 0);
    CU_ASSERT_EQUAL(status.st_mode & 07777, 0600);
}

static void test_keyfile_holds_the_key_whose_public_half_is_returned(void)
{
    static const enum cm_key_type types[] = { CM_KEY_P256, CM_KEY_P384, CM_KEY_P521, CM_KEY_ED25519,
                                              CM_KEY_RSA };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct cm_keyfile_spki spki = { .size = 0 };
        struct cm_error err;
        const char *path = path_of(cm_key_type_name(types[i]));
        CU_ASSERT_EQUAL(cm_keyfile_generate(types[i], 2048, path, NULL, &spki, &err), CM_OK);
        expect_file(path, NULL, &spki);
    }
}

static void test_keyfile_with_a_passphrase_opens_with_it_only(void)
{
    char content[4096];
    struct cm_keyfile_spki spki = { .size = 0 };
    const char *path = path_of("locked");
    CU_ASSERT_EQUAL_FATAL(cm_keyfile_generate(CM_KEY_P256, 0, path, "secret", &spki, NULL), CM_OK);
    read_content(path, content, sizeof content);
    CU_ASSERT_PTR_EQUAL(strstr(content, "-----BEGIN ENCRYPTED PRIVATE KEY-----"), content);
    expect_file(path, "secret", &spki);
    CU_ASSERT_PTR_NULL(read_key(path, "wrong"));
}

static void test_keyfile_is_pkcs8_where_there_is_no_passphrase(void)
{
    char content[4096];
    struct cm_keyfile_spki spki;
    const char *path = path_of("plain");
    CU_ASSERT_EQUAL_FATAL(cm_keyfile_generate(CM_KEY_P384, 0, path, NULL, &spki, NULL), CM_OK);
    read_content(path, content, sizeof content);
    CU_ASSERT_PTR_EQUAL(strstr(content, "-----BEGIN PRIVATE KEY-----"), content);
}

static void test_keyfile_mode_does_not_depend_on_the_umask(void)
{
    struct cm_keyfile_spki spki;
    mode_t before = umask(0);
    const char *path = path_of("umask");
    CU_ASSERT_EQUAL(cm_keyfile_generate(CM_KEY_P256, 0, path, NULL, &spki, NULL), CM_OK);
    umask(before);
    expect_file(path, NULL, &spki);
}

static void test_keyfile_is_never_written_over(void)
{
    char content[64];
    struct cm_keyfile_spki spki = { .size = 7 };
    struct cm_error err;
    const char *path = path_of("there");
    FILE *file = fopen(path, "w");
    fputs("precious", file);
    fclose(file);
    CU_ASSERT_EQUAL(cm_keyfile_generate(CM_KEY_P256, 0, path, NULL, &spki, &err), CM_EXISTS);
    CU_ASSERT_EQUAL(err.status, CM_EXISTS);
    read_content(path, content, sizeof content);
    CU_ASSERT_STRING_EQUAL(content, "precious");
    CU_ASSERT_EQUAL(spki.size, 7);
}

static void test_keyfile_does_not_follow_a_dangling_link(void)
{
    struct cm_keyfile_spki spki;
    char target[512];
    snprintf(target, sizeof target, "%s", path_of("target"));
    const char *path = path_of("link");
    CU_ASSERT_EQUAL_FATAL(symlink(target, path), 0);
    CU_ASSERT_EQUAL(cm_keyfile_generate(CM_KEY_P256, 0, path, NULL, &spki, NULL), CM_EXISTS);
    CU_ASSERT_NOT_EQUAL(access(target, F_OK), 0);
}

static void test_keyfile_of_a_size_that_is_not_supported_leaves_no_file(void)
{
    static const uint32_t sizes[] = { 0, 1024, 2047, 8193, 1u << 31 };
    struct cm_keyfile_spki spki;
    const char *path = path_of("refused");
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        CU_ASSERT_EQUAL(cm_keyfile_generate(CM_KEY_RSA, sizes[i], path, NULL, &spki, NULL),
                        CM_UNSUPPORTED);
    CU_ASSERT_EQUAL(cm_keyfile_generate(CM_KEY_UNKNOWN, 0, path, NULL, &spki, NULL),
                    CM_UNSUPPORTED);
    CU_ASSERT_NOT_EQUAL(access(path, F_OK), 0);
}

static void test_keyfile_in_an_absent_folder_is_an_error(void)
{
    struct cm_keyfile_spki spki;
    struct cm_error err;
    const char *path = path_of("absent/key.pem");
    CU_ASSERT_EQUAL(cm_keyfile_generate(CM_KEY_P256, 0, path, NULL, &spki, &err), CM_IO);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "absent/key.pem"));
}

CM_TEST_SUITE(keyfile, CM_TEST(test_keyfile_holds_the_key_whose_public_half_is_returned),
              CM_TEST(test_keyfile_with_a_passphrase_opens_with_it_only),
              CM_TEST(test_keyfile_is_pkcs8_where_there_is_no_passphrase),
              CM_TEST(test_keyfile_mode_does_not_depend_on_the_umask),
              CM_TEST(test_keyfile_is_never_written_over),
              CM_TEST(test_keyfile_does_not_follow_a_dangling_link),
              CM_TEST(test_keyfile_of_a_size_that_is_not_supported_leaves_no_file),
              CM_TEST(test_keyfile_in_an_absent_folder_is_an_error));

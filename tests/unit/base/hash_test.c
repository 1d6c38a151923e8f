/* Hashes, against the values that their standards give. */
#include "engine/base/hash.h"

#include "tests/support/test_main.h"

static void expect_hex(const uint8_t *hash, size_t size, const char *hex)
{
    char text[2 * CM_SHA256_SIZE + 1];
    cm_hex_encode(cm_bytes(hash, size), text);
    CU_ASSERT_STRING_EQUAL(text, hex);
}

/* FIPS 180-4's examples; "abc" in the pieces "a", nothing, "bc". */
static void test_hashes_of_pieces_are_those_of_the_whole(void)
{
    const struct cm_bytes pieces[] = { cm_bytes_str("a"), cm_bytes(NULL, 0), cm_bytes_str("bc") };
    uint8_t hash[CM_SHA256_SIZE];
    for (unsigned twice = 0; twice < 2; twice++) {
        cm_sha256(pieces, 3, hash);
        expect_hex(hash, CM_SHA256_SIZE,
                   "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        cm_sha1(pieces, 3, hash);
        expect_hex(hash, CM_SHA1_SIZE, "a9993e364706816aba3e25717850c26c9cd0d89d");
    }
}

static void test_nothing_has_a_hash_too(void)
{
    uint8_t hash[CM_SHA256_SIZE];
    cm_sha1(NULL, 0, hash);
    expect_hex(hash, CM_SHA1_SIZE, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    cm_sha256(NULL, 0, hash);
    expect_hex(hash, CM_SHA256_SIZE,
               "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

CM_TEST_SUITE(hash, CM_TEST(test_hashes_of_pieces_are_those_of_the_whole),
              CM_TEST(test_nothing_has_a_hash_too));

/*
 * The Merkle tree, against values that were computed elsewhere: by the definition of RFC 6962, 2.1, written
 * down again in Python over hashlib. Up to eight entries they are those of Certificate Transparency's own
 * tests.
 */
#include "engine/authority/merkle.h"

#include "tests/support/test_main.h"

enum { ENTRIES = 17 };

/* By size: the root, and SHA-256 over the hashes of all its inclusion proofs, leaf by leaf. */
static const struct {
    const char *root, *proofs;
} known[ENTRIES + 1] = {
    { "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
    { "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
    { "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
      "ec55835d49a10abecc507fefb1b874098fc7a52637d60a408e44f90afd7e12e1" },
    { "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
      "b76a36905ed802e2d0c8433fa8d12b7558d45bdf928a25b2534977fdfb741d38" },
    { "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
      "e89db3074f0096efff28e33d1f9c056a418e56c2469c0ca9338f0dac83f8a7c5" },
    { "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
      "a03e6b733bdcdf6b6bd83dea6a6ec96d51e97cce41cec72e776b5a72a37e38aa" },
    { "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
      "b7431dbc0076d1b04472710781f9ac646e775c961231cfa31bbe81893e1390d4" },
    { "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
      "01688050409bbd8a94c1126f30ff219bb9439f6ac0674d47765dc0549af9a450" },
    { "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
      "0bed93696ee8df408435ab7b6a9a54fae303b1f85cb16e591f0d7c15ae4c674c" },
    { "eb096883abe4c838c213f6aa04f7135ac6c43c4843dddef52e13b4b393f42c9e",
      "b152b9c685f9d327280cd3761723c1ad5edc53c25c0219547e2a83c2725ff6f1" },
    { "809c36bacc5ddc0eeed8271aea2322c39010d0167d885d738c471b344d7f4b4d",
      "9e016546cdae6d9a09d59c12b8ba5fe591565d7a88f4581f589a38032cd92e46" },
    { "e89155ebb224e1a8933c2c6dcbb54e963e27002ca2491c826a3cff63f9b37906",
      "d71ef3696c3b7287f3b61c6cd178aec2e45287cbac50092e20cc9c904dee374e" },
    { "9e653684090a9e9a36daa03d0fc65b4b199aa6edf4e9ac374cbd48e17da26a97",
      "711a6eb3aeff86e499134c50ca98e5eca68f9c1fed24b30f306f2f8ef2e39d9d" },
    { "7dc9d4875523e3050b9e22b1dfa4e30d562ccc618c6d4d25f774113357f8a22b",
      "25bd91deef2789f2a2bc0a91b8e56f7f4cf88c9fc375b334a807d68298d1b990" },
    { "4a14cbf64aa009acf37d6e9d9d7e9aadd1bea585bb42bc2cfdaad34b7ebe5501",
      "09f28e6dc585d8f8eeb93e88f0a9f9e0fcc61daa3c78d1f20d16acab2850e90b" },
    { "b0915023bad68200f4db2082030686f8a86866d1dfe751de859fb3d38811c404",
      "461052948cb9755d51506218436ee40a44e1beb4b7268caa9f14927517bffd80" },
    { "77a39366974a4f8bf0d3914214349669c11a926ca7fb0d396a95fc15b720b5e2",
      "f04af4388c1c04bd2dfa2f8052b4cd8e452162852070e5cc4ed0c0161dfd852f" },
    { "a2671fe5959a8bd34f61629797972e70b5f91eda38ae4167c4cefbfde07de9ab",
      "fd0ffca443f3c6caaea3a7c054e46e0c6e747d4f97507d4ed3702cf4e74027e1" },
};

static uint8_t leaves[ENTRIES][CM_SHA256_SIZE];

static void make_leaves(void)
{
    static const char *const first[] = { "",   "\0",   "\x10",     "\x20\x21",
                                         "01", "@ABC", "PQRSTUVW", "`abcdefghijklmno" };
    static const size_t sizes[] = { 0, 1, 1, 2, 2, 4, 8, 16 };
    for (unsigned i = 0; i < ENTRIES; i++) {
        uint8_t octets[16];
        struct cm_bytes entry = cm_bytes(octets, i < 8 ? sizes[i] : i - 7);
        if (i < 8)
            memcpy(octets, first[i], sizes[i]);
        else
            memset(octets, (int)(0x70 + i - 8), entry.size);
        cm_merkle_hash_leaf(&entry, 1, leaves[i]);
    }
}

static void root_of(unsigned count, uint8_t root[CM_SHA256_SIZE])
{
    struct cm_merkle tree;
    cm_merkle_begin(&tree);
    for (unsigned i = 0; i < count; i++)
        cm_merkle_add(&tree, leaves[i]);
    cm_merkle_root(&tree, root);
}

static void expect_hex(const uint8_t hash[CM_SHA256_SIZE], const char *hex)
{
    char text[2 * CM_SHA256_SIZE + 1];
    cm_hex_encode(cm_bytes(hash, CM_SHA256_SIZE), text);
    CU_ASSERT_STRING_EQUAL(text, hex);
}

static void test_roots_are_those_of_the_definition(void)
{
    uint8_t root[CM_SHA256_SIZE];
    make_leaves();
    for (unsigned n = 0; n <= ENTRIES; n++) {
        root_of(n, root);
        expect_hex(root, known[n].root);
    }
}

static void test_proofs_are_those_of_the_definition(void)
{
    static uint8_t all[ENTRIES * CM_MERKLE_DEPTH_MAX][CM_SHA256_SIZE];
    uint8_t hash[CM_SHA256_SIZE];
    make_leaves();
    for (unsigned n = 1; n <= ENTRIES; n++) {
        size_t count = 0;
        for (unsigned i = 0; i < n; i++) {
            struct cm_merkle_proof proof;
            cm_merkle_prove(leaves[0], n, i, &proof);
            memcpy(all[count], proof.hashes, proof.hashes_count * CM_SHA256_SIZE);
            count += proof.hashes_count;
        }
        const struct cm_bytes octets = cm_bytes(all[0], count * CM_SHA256_SIZE);
        cm_sha256(&octets, 1, hash);
        expect_hex(hash, known[n].proofs);
    }
}

static void test_a_proof_is_good_for_its_leaf_its_place_and_its_tree_alone(void)
{
    uint8_t root[CM_SHA256_SIZE];
    make_leaves();
    for (unsigned n = 1; n <= ENTRIES; n++) {
        root_of(n, root);
        for (unsigned i = 0; i < n; i++) {
            struct cm_merkle_proof proof;
            cm_merkle_prove(leaves[0], n, i, &proof);
            for (unsigned leaf = 0; leaf < ENTRIES; leaf++)
                CU_ASSERT_EQUAL(cm_merkle_verify(&proof, leaves[leaf], root), leaf == i);
            struct cm_merkle_proof other = proof;
            other.index = (i + 1) % n;
            CU_ASSERT(n == 1 || !cm_merkle_verify(&other, leaves[i], root));
            other = proof;
            other.hashes_count++;
            CU_ASSERT(!cm_merkle_verify(&other, leaves[i], root));
            if (n > 1) {
                other.hashes_count -= 2;
                CU_ASSERT(!cm_merkle_verify(&other, leaves[i], root));
                other = proof;
                other.hashes[0][31] ^= 1;
                CU_ASSERT(!cm_merkle_verify(&other, leaves[i], root));
            }
            root[0] ^= 1;
            CU_ASSERT(!cm_merkle_verify(&proof, leaves[i], root));
            root[0] ^= 1;
        }
    }
}

static void test_a_proof_of_nonsense_is_none(void)
{
    static const struct {
        uint32_t index, leaves_count, hashes_count;
    } odd[] = { { 0, 0, 0 }, { 1, 1, 0 }, { 5, 3, 2 }, { 0, UINT32_MAX, CM_MERKLE_DEPTH_MAX + 1 } };
    make_leaves();
    for (unsigned i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        struct cm_merkle_proof proof = { .index = odd[i].index,
                                         .leaves_count = odd[i].leaves_count,
                                         .hashes_count = odd[i].hashes_count };
        CU_ASSERT(!cm_merkle_verify(&proof, leaves[0], leaves[0]));
    }
}

CM_TEST_SUITE(merkle, CM_TEST(test_roots_are_those_of_the_definition),
              CM_TEST(test_proofs_are_those_of_the_definition),
              CM_TEST(test_a_proof_is_good_for_its_leaf_its_place_and_its_tree_alone),
              CM_TEST(test_a_proof_of_nonsense_is_none));

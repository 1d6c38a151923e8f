/* The digest of an operation is the root over what it records, in the order of the tables. */
#include "engine/authority/record_tree.h"

#include "tests/support/test_main.h"

#include <stdio.h>

enum { ROWS = 5 };

static struct cm_certificate_row rows[ROWS];
static struct cm_abandoned_row given_up[2];
static struct cm_store_op op;
static char ders[ROWS][8];

static struct cm_serial serial_of(uint64_t number)
{
    struct cm_serial serial = { { 0 } };
    cm_big_endian_write(number, serial.octets, 8);
    return serial;
}

static void fill(void)
{
    for (unsigned i = 0; i < ROWS; i++) {
        snprintf(ders[i], sizeof ders[i], "0der%u", i);
        rows[i] = (struct cm_certificate_row){ .serial = serial_of(100 + i),
                                               .der = cm_bytes_str(ders[i]) };
    }
    for (unsigned i = 0; i < 2; i++)
        given_up[i] =
            (struct cm_abandoned_row){ .serial = serial_of(50 + i), .generation_number = 7 };
    op = (struct cm_store_op){ .certificates = rows,
                               .certificates_count = ROWS,
                               .abandoned = given_up,
                               .abandoned_count = 2 };
}

/* As whoever reads the tables makes it. */
static void root_of_tables(uint8_t root[CM_SHA256_SIZE])
{
    struct cm_merkle tree;
    struct cm_audited audited = { .generation_number = 7 };
    uint8_t hash[CM_SHA256_SIZE];
    cm_merkle_begin(&tree);
    for (unsigned i = 0; i < ROWS; i++) {
        audited.der = cm_bytes_str(ders[i]);
        cm_record_tree_hash(&audited, hash);
        cm_merkle_add(&tree, hash);
    }
    audited.is_abandoned = true;
    for (unsigned i = 0; i < 2; i++) {
        memcpy(audited.serial, serial_of(50 + i).octets, CM_SERIAL_SIZE);
        cm_record_tree_hash(&audited, hash);
        cm_merkle_add(&tree, hash);
    }
    cm_merkle_root(&tree, root);
}

static void test_the_order_of_the_rows_does_not_matter(void)
{
    struct cm_record_tree tree;
    uint8_t root[CM_SHA256_SIZE];
    fill();
    root_of_tables(root);
    cm_record_tree(&op, &tree);
    CU_ASSERT(memcmp(tree.root, root, sizeof root) == 0);
    struct cm_certificate_row row = rows[0];
    struct cm_abandoned_row other = given_up[0];
    rows[0] = rows[3];
    rows[3] = row;
    given_up[0] = given_up[1];
    given_up[1] = other;
    cm_record_tree(&op, &tree);
    CU_ASSERT(memcmp(tree.root, root, sizeof root) == 0);
    CU_ASSERT_EQUAL(tree.first, 100);
    CU_ASSERT_EQUAL(tree.last, 104);
}

static void test_a_leaf_that_is_hashed_already_is_taken(void)
{
    struct cm_record_tree tree;
    uint8_t root[CM_SHA256_SIZE], leaf[CM_SHA256_SIZE];
    fill();
    root_of_tables(root);
    cm_merkle_hash_leaf(&rows[2].der, 1, leaf);
    rows[2].leaf_hash = leaf;
    rows[2].der = cm_bytes_str("not looked at");
    cm_record_tree(&op, &tree);
    CU_ASSERT(memcmp(tree.root, root, sizeof root) == 0);
}

static void test_what_is_abandoned_is_another_leaf_than_any_certificate(void)
{
    struct cm_record_tree tree, other;
    fill();
    op.certificates_count = 0;
    cm_record_tree(&op, &tree);
    CU_ASSERT_EQUAL(tree.first, 0);
    given_up[1].generation_number++;
    cm_record_tree(&op, &other);
    CU_ASSERT(memcmp(tree.root, other.root, sizeof tree.root) != 0);
}

static void test_nothing_has_the_hash_of_nothing(void)
{
    static const struct cm_store_op nothing = { .kind = CM_STORE_RECORD };
    struct cm_record_tree tree;
    uint8_t hash[CM_SHA256_SIZE];
    cm_record_tree(&nothing, &tree);
    cm_sha256(NULL, 0, hash);
    CU_ASSERT(memcmp(tree.root, hash, sizeof hash) == 0);
}

CM_TEST_SUITE(record_tree, CM_TEST(test_the_order_of_the_rows_does_not_matter),
              CM_TEST(test_a_leaf_that_is_hashed_already_is_taken),
              CM_TEST(test_what_is_abandoned_is_another_leaf_than_any_certificate),
              CM_TEST(test_nothing_has_the_hash_of_nothing));

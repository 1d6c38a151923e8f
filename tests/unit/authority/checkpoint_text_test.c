/* Checkpoints as text: what is written is what is read, and a signature is one of the key that is named. */
#include "engine/authority/checkpoint_text.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "tests/support/test_main.h"

static struct cm_arena arena;
static uint8_t spki[256], signature[64];

/* Signed with an Ed25519 key that is made for it. */
static struct cm_checkpoint make(void)
{
    struct cm_checkpoint checkpoint = {
        .number = 7, .audit = 4711, .time_ms = 1700000000000, .sigalg = cm_bytes_str("ed25519")
    };
    uint8_t message[CM_CHECKPOINT_MESSAGE_SIZE], *at = spki;
    size_t size = sizeof signature;
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    cm_arena_init(&arena, 4096);
    memset(checkpoint.hash, 0xab, sizeof checkpoint.hash);
    memset(checkpoint.previous, 0xcd, sizeof checkpoint.previous);
    checkpoint.spki = cm_bytes(spki, (size_t)i2d_PUBKEY(key, &at));
    cm_checkpoint_write(&checkpoint, message);
    CU_ASSERT_EQUAL(EVP_DigestSignInit(context, NULL, NULL, NULL, key), 1);
    CU_ASSERT_EQUAL(EVP_DigestSign(context, signature, &size, message, sizeof message), 1);
    checkpoint.signature = cm_bytes(signature, size);
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    return checkpoint;
}

static void test_a_line_is_read_as_it_was_written(void)
{
    struct cm_checkpoint checkpoint = make(), read;
    struct cm_bytes line = cm_checkpoint_line(&checkpoint, &arena);
    CU_ASSERT_EQUAL(line.data[line.size - 1], '\n');
    CU_ASSERT_TRUE_FATAL(cm_checkpoint_read_line(line, &arena, &read));
    CU_ASSERT_TRUE(cm_checkpoint_equals(&checkpoint, &read));
    CU_ASSERT_TRUE(cm_checkpoint_is_signed(&read));
    cm_arena_done(&arena);
}

static void test_nothing_that_is_cut_off_is_a_checkpoint(void)
{
    struct cm_checkpoint checkpoint = make(), read;
    struct cm_bytes line = cm_checkpoint_line(&checkpoint, &arena);
    for (size_t size = 0; size + 1 < line.size; size++)
        CU_ASSERT_FALSE(cm_checkpoint_read_line(cm_bytes(line.data, size), &arena, &read));
    CU_ASSERT_FALSE(cm_checkpoint_read_line(cm_bytes_str("{\"v\":1}\n"), &arena, &read));
    cm_arena_done(&arena);
}

static void test_a_signature_holds_for_every_octet_of_its_checkpoint(void)
{
    struct cm_checkpoint checkpoint = make(), other = checkpoint;
    CU_ASSERT_TRUE(cm_checkpoint_is_signed(&checkpoint));
    other.number++;
    CU_ASSERT_FALSE(cm_checkpoint_is_signed(&other));
    other = checkpoint;
    other.audit--;
    CU_ASSERT_FALSE(cm_checkpoint_is_signed(&other));
    other = checkpoint;
    other.time_ms++;
    CU_ASSERT_FALSE(cm_checkpoint_is_signed(&other));
    other = checkpoint;
    other.hash[31] ^= 1;
    CU_ASSERT_FALSE(cm_checkpoint_is_signed(&other));
    other = checkpoint;
    other.previous[0] ^= 1;
    CU_ASSERT_FALSE(cm_checkpoint_is_signed(&other));
    other = checkpoint;
    other.sigalg = cm_bytes_str("none");
    CU_ASSERT_FALSE(cm_checkpoint_is_signed(&other));
    CU_ASSERT_FALSE(cm_checkpoint_equals(&checkpoint, &other));
    spki[40] ^= 1; /* another key */
    CU_ASSERT_FALSE(cm_checkpoint_is_signed(&checkpoint));
    cm_arena_done(&arena);
}

CM_TEST_SUITE(checkpoint_text, CM_TEST(test_a_line_is_read_as_it_was_written),
              CM_TEST(test_nothing_that_is_cut_off_is_a_checkpoint),
              CM_TEST(test_a_signature_holds_for_every_octet_of_its_checkpoint));

/*
 * Signatures of software keys eight at a time: in any number and of any kind they verify under OpenSSL,
 * nonces of RFC 6979 give the RFC's own signatures, and random ones are never the same.
 */
#include "tests/conformance/provider_rig.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>

#include "engine/multibuffer/multibuffer.h"
#include "providers/backends.h"
#include "providers/openssl/nonce.h"

enum { COUNT_MAX = 2 * CM_MB_LANES + 3 };

static const struct {
    const char *key;
    enum cm_sigalg alg; /* UNKNOWN: the key's own */
} kinds[] = {
    { "p256", CM_SIGALG_UNKNOWN },           { "p256", CM_SIGALG_ECDSA_SHA512 },
    { "p384", CM_SIGALG_UNKNOWN },           { "p521", CM_SIGALG_UNKNOWN },
    { "p521", CM_SIGALG_ECDSA_SHA256 },      { "ed25519", CM_SIGALG_UNKNOWN },
    { "rsa2048", CM_SIGALG_UNKNOWN },        { "rsa2048", CM_SIGALG_RSA_PSS_SHA256 },
    { "rsa3072", CM_SIGALG_RSA_SHA384 },     { "rsa3072", CM_SIGALG_RSA_PSS_SHA512 },
    { "rsa4096", CM_SIGALG_RSA_PSS_SHA384 },
};
#define KINDS_COUNT (sizeof kinds / sizeof kinds[0])

static void expect_all_verify(const char *options, uint32_t count_max, uint32_t step)
{
    struct rig rig;
    rig_open(&rig, &cm_provider_openssl, options, 1);
    for (size_t i = 0; i < KINDS_COUNT; i++) {
        struct cm_key *key = rig_key(&rig, kinds[i].key, kinds[i].alg);
        for (uint32_t count = 1; count <= count_max; count += step) {
            struct rig_batch *batch = rig_batch_new(&rig, key, count);
            rig_sign(batch);
            CU_ASSERT_EQUAL(rig_count_status(batch, CM_OK), count);
            CU_ASSERT_TRUE(rig_all_verify(batch));
            rig_batch_free(batch);
        }
        cm_provider_close_key(key);
    }
    rig_close(&rig);
}

static void test_any_number_of_any_kind_verifies(void)
{
    printf("  %s\n", cm_mb_describe());
    expect_all_verify("multi-buffer=auto", COUNT_MAX, 1);
}

static void test_so_it_does_without_lanes(void)
{
    expect_all_verify("multi-buffer=off", CM_MB_LANES, 3);
}

/* --- keys of the RFC ------------------------------------------------------------------------------ */

/* RFC 6979, A.2.5 to A.2.7: private key, and the signature of "sample" with the hash of the curve's size. */
static const struct {
    const char *group;
    enum cm_mb_kind curve;
    enum cm_sigalg alg;
    const char *scalar, *r, *s;
} examples[] = {
    { "P-256", CM_MB_P256, CM_SIGALG_ECDSA_SHA256,
      "C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721",
      "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716",
      "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8" },
    { "P-384", CM_MB_P384, CM_SIGALG_ECDSA_SHA384,
      "6B9D3DAD2E1B8C1C05B19875B6659F4DE23C3B667BF297BA9AA47740787137D896D5724E4C70A825F872C9EA60D2EDF5",
      "94EDBB92A5ECB8AAD4736E56C691916B3F88140666CE9FA73D64C4EA95AD133C81A648152E44ACF96E36DD1E80FABE46",
      "99EF4AEB15F178CEA1FE40DB2603138F130E740A19624526203B6351D0A3A94FA329C145786E679E7B82C71A38628AC8" },
    { "P-521", CM_MB_P521, CM_SIGALG_ECDSA_SHA512,
      "00FAD06DAA62BA3B25D2FB40133DA757205DE67F5BB0018FEE8C86E1B68C7E75CAA896EB32F1F47C70855836A6D16FCC1466"
      "F6D8FBEC67DB89EC0C08B0E996B83538",
      "00C328FAFCBD79DD77850370C46325D987CB525569FB63C5D3BC53950E6D4C5F174E25A1EE9017B5D450606ADD152B534931"
      "D7D4E8455CC91F9B15BF05EC36E377FA",
      "00617CCE7CF5064806C467F678D3B4080D6F1CC50AF26CA209417308281B68AF282623EAA63E5B5C0723D8B8C37FF0777B1A"
      "20F8CCB1DCCC43997F1EE0E44DA4A67A" },
};

/* The whole key of a private one. */
static EVP_PKEY *key_of(const char *group_name, const char *scalar_text)
{
    EC_GROUP *group =
        EC_GROUP_new_by_curve_name(OBJ_txt2nid(strcmp(group_name, "P-256") == 0   ? "prime256v1"
                                               : strcmp(group_name, "P-384") == 0 ? "secp384r1"
                                                                                  : "secp521r1"));
    EC_POINT *point = EC_POINT_new(group);
    BIGNUM *scalar = NULL;
    unsigned char octets[CM_MB_FIELD_SIZE_MAX * 2 + 1];
    EVP_PKEY *pkey = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    BN_hex2bn(&scalar, scalar_text);
    EC_POINT_mul(group, point, scalar, NULL, NULL, NULL);
    size_t size = EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, octets,
                                     sizeof octets, NULL);
    OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, group_name, 0);
    OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, octets, size);
    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_PRIV_KEY, scalar);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_fromdata_init(context);
    CU_ASSERT_EQUAL_FATAL(EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_KEYPAIR, params), 1);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    EVP_PKEY_CTX_free(context);
    EC_POINT_free(point);
    EC_GROUP_free(group);
    BN_free(scalar);
    return pkey;
}

static void write_key(const char *name, EVP_PKEY *pkey)
{
    char *data;
    BIO *bio = BIO_new(BIO_s_mem());
    CU_ASSERT_TRUE(PEM_write_bio_PKCS8PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL));
    long size = BIO_get_mem_data(bio, &data);
    rig_write_file(name, data, (size_t)size, 0600);
    BIO_free(bio);
    EVP_PKEY_free(pkey);
}

static void expect_numbers(const struct cm_sign_item *item, const char *r_text, const char *s_text)
{
    const unsigned char *at = item->signature;
    ECDSA_SIG *numbers = d2i_ECDSA_SIG(NULL, &at, (long)item->signature_size);
    BIGNUM *r = NULL, *s = NULL;
    BN_hex2bn(&r, r_text);
    BN_hex2bn(&s, s_text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(numbers);
    CU_ASSERT_EQUAL(BN_cmp(ECDSA_SIG_get0_r(numbers), r), 0);
    CU_ASSERT_EQUAL(BN_cmp(ECDSA_SIG_get0_s(numbers), s), 0);
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(numbers);
}

static void try_example(size_t index, uint32_t count)
{
    struct rig rig;
    struct cm_key *key = NULL;
    struct cm_error err;
    write_key("rfc.pem", key_of(examples[index].group, examples[index].scalar));
    rig_open(&rig, &cm_provider_openssl, "nonces=rfc6979", 1);
    cm_status status = rig_open_key(&rig, "file:rfc.pem", examples[index].alg, &key, &err);
    if (status == CM_UNSUPPORTED && !cm_mb_takes(examples[index].curve)) {
        cm_test_skip("%s", err.text);
    } else {
        CU_ASSERT_EQUAL_FATAL(status, CM_OK);
        struct rig_batch *batch = rig_batch_new(&rig, key, count);
        for (uint32_t i = 0; i < count; i++)
            batch->items[i].message = cm_bytes_str("sample");
        rig_sign(batch);
        for (uint32_t i = 0; i < count; i++)
            expect_numbers(&batch->items[i], examples[index].r, examples[index].s);
        rig_batch_free(batch);
        cm_provider_close_key(key);
    }
    rig_close(&rig);
}

static void test_nonces_of_rfc_6979_give_its_signatures(void)
{
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        try_example(i, 1);
        try_example(i, CM_MB_LANES);
    }
}

/* --- nonces --------------------------------------------------------------------------------------- */

static void test_random_nonces_are_all_different_and_in_range(void)
{
    enum { DRAWS = 200 };
    static cm_mb_limb drawn[DRAWS][CM_MB_LIMBS_MAX];
    for (int curve = CM_MB_P256; curve <= CM_MB_P521; curve++) {
        struct cm_ossl_order order;
        CU_ASSERT_TRUE_FATAL(cm_ossl_order_find((enum cm_mb_kind)curve, &order));
        struct cm_ossl_nonces *nonces = cm_ossl_nonces_new(&order, NULL);
        CU_ASSERT_PTR_NOT_NULL_FATAL(nonces);
        bool is_top_set = false; /* none is cut short */
        for (size_t i = 0; i < DRAWS; i++) {
            CU_ASSERT_TRUE(cm_ossl_nonce_draw(nonces, NULL, drawn[i]));
            size_t top = (order.bits - 1) / 64;
            is_top_set |= drawn[i][top] >> ((order.bits - 1) % 64) & 1;
            for (size_t k = 0; k < i; k++)
                CU_ASSERT_NOT_EQUAL(memcmp(drawn[i], drawn[k], sizeof drawn[i]), 0);
            CU_ASSERT_TRUE(drawn[i][top] <= order.limbs[top]);
        }
        CU_ASSERT_TRUE(is_top_set);
        cm_ossl_nonces_free(nonces);
    }
}

CM_TEST_SUITE(lanes, CM_TEST(test_any_number_of_any_kind_verifies),
              CM_TEST(test_so_it_does_without_lanes),
              CM_TEST(test_nonces_of_rfc_6979_give_its_signatures),
              CM_TEST(test_random_nonces_are_all_different_and_in_range));

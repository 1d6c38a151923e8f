/* Why the deprecated calls: engine/x509/raw_key.h. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "engine/x509/raw_key.h"

#include <assert.h>
#include <stdlib.h>

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/obj_mac.h>
#include <openssl/rsa.h>

#include "engine/x509/signature.h"

/* A key object for each curve and a signature: those of the request at hand are put into them. */
struct cm_raw_keys {
    EC_KEY *curves[CM_KEY_P521 + 1];
    ECDSA_SIG *signature; /* owns r and s */
    BIGNUM *r, *s;
};

_Static_assert(CM_KEY_P256 < CM_KEY_P384 && CM_KEY_P384 < CM_KEY_P521, "curves index an array");

static const int curve_nids[CM_KEY_P521 + 1] = {
    [CM_KEY_P256] = NID_X9_62_prime256v1,
    [CM_KEY_P384] = NID_secp384r1,
    [CM_KEY_P521] = NID_secp521r1,
};

static bool make_signature(struct cm_raw_keys *keys)
{
    BIGNUM *r = BN_new(), *s = BN_new();
    keys->signature = ECDSA_SIG_new();
    if (!r || !s || !keys->signature || ECDSA_SIG_set0(keys->signature, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        return false;
    }
    keys->r = r;
    keys->s = s;
    return true;
}

struct cm_raw_keys *cm_raw_keys_new(void)
{
    struct cm_raw_keys *keys = calloc(1, sizeof *keys);
    if (!keys)
        return NULL;
    if (!make_signature(keys)) {
        cm_raw_keys_free(keys);
        return NULL;
    }
    for (unsigned type = CM_KEY_P256; type <= CM_KEY_P521; type++) {
        keys->curves[type] = EC_KEY_new_by_curve_name(curve_nids[type]);
        if (!keys->curves[type]) {
            cm_raw_keys_free(keys);
            return NULL;
        }
    }
    return keys;
}

void cm_raw_keys_free(struct cm_raw_keys *keys)
{
    if (!keys)
        return;
    for (unsigned type = CM_KEY_P256; type <= CM_KEY_P521; type++)
        EC_KEY_free(keys->curves[type]);
    ECDSA_SIG_free(keys->signature);
    free(keys);
}

/*
 * Drains this thread's error queue: a verdict that is not an outage is the request's fault. The
 * allocator's own error may stand below those of its callers.
 */
static enum cm_raw_verdict verdict_of_failure(enum cm_raw_verdict otherwise)
{
    unsigned long error;
    while ((error = ERR_get_error()) != 0)
        if (ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE)
            otherwise = CM_RAW_FAILED;
    return otherwise;
}

/* Its octets were read by our reader: OpenSSL's decodes them and encodes them again to compare. */
static bool put_signature(struct cm_raw_keys *keys, const struct cm_public_key *key,
                          struct cm_bytes signature)
{
    struct cm_bytes r, s;
    return cm_signature_read_ecdsa(key, signature, &r, &s)
           && BN_bin2bn(r.data, (int)r.size, keys->r) && BN_bin2bn(s.data, (int)s.size, keys->s);
}

enum cm_raw_verdict cm_raw_check_point(struct cm_raw_keys *keys, const struct cm_public_key *key)
{
    assert(key->type >= CM_KEY_P256 && key->type <= CM_KEY_P521);
    if (EC_KEY_oct2key(keys->curves[key->type], key->point.data, key->point.size, NULL) == 1)
        return CM_RAW_GOOD;
    return verdict_of_failure(CM_RAW_BAD_KEY);
}

enum cm_raw_verdict cm_raw_verify_ecdsa(struct cm_raw_keys *keys, const struct cm_public_key *key,
                                        struct cm_bytes digest, struct cm_bytes signature)
{
    enum cm_raw_verdict verdict = cm_raw_check_point(keys, key);
    EC_KEY *curve = keys->curves[key->type];
    if (verdict != CM_RAW_GOOD)
        return verdict;
    if (put_signature(keys, key, signature)
        && ECDSA_do_verify(digest.data, (int)digest.size, keys->signature, curve) == 1)
        return CM_RAW_GOOD;
    return verdict_of_failure(CM_RAW_BAD_SIGNATURE);
}

/* A fresh object every time: an RSA keeps the Montgomery form of its first modulus for ever. */
static RSA *rsa_new(const struct cm_public_key *key)
{
    RSA *rsa = RSA_new();
    BIGNUM *modulus = BN_bin2bn(key->modulus.data, (int)key->modulus.size, NULL);
    BIGNUM *exponent = BN_bin2bn(key->exponent.data, (int)key->exponent.size, NULL);
    if (rsa && modulus && exponent && RSA_set0_key(rsa, modulus, exponent, NULL) == 1)
        return rsa;
    BN_free(modulus);
    BN_free(exponent);
    RSA_free(rsa);
    return NULL;
}

static bool is_pss_of(RSA *rsa, const EVP_MD *hash, struct cm_bytes digest, const uint8_t *encoded)
{
    return RSA_verify_PKCS1_PSS_mgf1(rsa, digest.data, hash, hash, encoded, RSA_PSS_SALTLEN_DIGEST)
           == 1;
}

static bool verify_pss(RSA *rsa, const EVP_MD *hash, struct cm_bytes digest,
                       struct cm_bytes signature)
{
    uint8_t encoded[CM_SIGNATURE_SIZE_MAX];
    return RSA_public_decrypt((int)signature.size, signature.data, encoded, rsa, RSA_NO_PADDING)
               == RSA_size(rsa)
           && is_pss_of(rsa, hash, digest, encoded);
}

enum cm_raw_verdict cm_raw_verify_rsa(const struct cm_public_key *key, const EVP_MD *hash,
                                      bool is_pss, struct cm_bytes digest,
                                      struct cm_bytes signature)
{
    assert(key->modulus.size == signature.size && signature.size <= CM_SIGNATURE_SIZE_MAX);
    RSA *rsa = rsa_new(key);
    if (!rsa)
        return CM_RAW_FAILED;
    bool is_good = is_pss ? verify_pss(rsa, hash, digest, signature)
                          : RSA_verify(EVP_MD_get_type(hash), digest.data, (unsigned)digest.size,
                                       signature.data, (unsigned)signature.size, rsa)
                                == 1;
    RSA_free(rsa);
    return is_good ? CM_RAW_GOOD : verdict_of_failure(CM_RAW_BAD_SIGNATURE);
}

bool cm_raw_is_pss_of(const struct cm_public_key *key, const EVP_MD *hash, struct cm_bytes digest,
                      const uint8_t *encoded)
{
    RSA *rsa = rsa_new(key);
    bool is_it = rsa && is_pss_of(rsa, hash, digest, encoded);
    RSA_free(rsa);
    ERR_clear_error();
    return is_it;
}

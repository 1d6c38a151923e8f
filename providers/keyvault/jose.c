#include "providers/keyvault/jose.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>

#include "engine/base/base64url.h"
#include "engine/x509/der_writer.h"
#include "engine/x509/key.h"

enum { FIELD_SIZE_MAX = 66, RSA_SIZE_MAX = CM_RSA_BITS_MAX / 8, SIGNATURE_DER_SIZE_MAX = 144 };

/* Orders of the base points (SEC 2, 2.4.2, 2.5.1, 2.6.1): r and s are below them. */
static const uint8_t order_p256[] = {
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
};
static const uint8_t order_p384[] = {
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf,
    0x58, 0x1a, 0x0d, 0xb2, 0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73,
};
static const uint8_t order_p521[] = {
    0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xfa, 0x51, 0x86, 0x87, 0x83, 0xbf, 0x2f, 0x96, 0x6b,
    0x7f, 0xcc, 0x01, 0x48, 0xf7, 0x09, 0xa5, 0xd0, 0x3b, 0xb5, 0xc9, 0xb8, 0x89, 0x9c,
    0x47, 0xae, 0xbb, 0x6f, 0xb7, 0x1e, 0x91, 0x38, 0x64, 0x09,
};

static const struct curve {
    enum cm_key_type type;
    const char *crv;
    const char *alg;
    enum cm_sigalg sigalg; /* the only one that the service has for the curve */
    const uint8_t *order;
    size_t size; /* of the field and of the order; octets */
} curves[] = {
    { CM_KEY_P256, "P-256", "ES256", CM_SIGALG_ECDSA_SHA256, order_p256, sizeof order_p256 },
    { CM_KEY_P384, "P-384", "ES384", CM_SIGALG_ECDSA_SHA384, order_p384, sizeof order_p384 },
    { CM_KEY_P521, "P-521", "ES512", CM_SIGALG_ECDSA_SHA512, order_p521, sizeof order_p521 },
};
enum { CURVES_COUNT = sizeof curves / sizeof curves[0] };

static const char *const rsa_algs[CM_SIGALG_COUNT] = {
    [CM_SIGALG_RSA_SHA256] = "RS256",     [CM_SIGALG_RSA_SHA384] = "RS384",
    [CM_SIGALG_RSA_SHA512] = "RS512",     [CM_SIGALG_RSA_PSS_SHA256] = "PS256",
    [CM_SIGALG_RSA_PSS_SHA384] = "PS384", [CM_SIGALG_RSA_PSS_SHA512] = "PS512",
};

static const struct curve *curve_of(enum cm_key_type type)
{
    for (size_t i = 0; i < CURVES_COUNT; i++)
        if (curves[i].type == type)
            return &curves[i];
    return NULL;
}

const char *cm_jose_alg(enum cm_sigalg alg, enum cm_key_type type)
{
    const struct curve *curve = curve_of(type);
    if (curve)
        return curve->sigalg == alg ? curve->alg : NULL;
    return type == CM_KEY_RSA && alg < CM_SIGALG_COUNT ? rsa_algs[alg] : NULL;
}

/* ------------------------------------------------------------------ members -- */

/* A text may hold a NUL where the reader of the JSON let it through. Empty: no such text. */
static struct cm_bytes text_of(const json_t *object, const char *member)
{
    const json_t *text = json_object_get(object, member);
    return json_is_string(text) ? cm_bytes(json_string_value(text), json_string_length(text))
                                : cm_bytes(NULL, 0);
}

size_t cm_jose_octets(const json_t *object, const char *member, uint8_t *ret_octets, size_t space)
{
    struct cm_bytes text = text_of(object, member);
    if (text.size > CM_BASE64URL_SIZE(space))
        return 0;
    size_t size = text.size * 3 / 4;
    return cm_base64url_decode(text, ret_octets, size) ? size : 0;
}

/* ------------------------------------------------------------------ public keys -- */

static cm_status complain(struct cm_error *err, cm_status status, const char *what,
                          struct cm_bytes value)
{
    char shown[48];
    return CM_FAIL(err, status, CM_ORIGIN_SELF, 0, "the vault's key: %s \"%s\"", what,
                   cm_bytes_printable(value, shown, sizeof shown));
}

/* Makes the key as OpenSSL has it, which finds points that are not on their curve. */
static cm_status make_spki(const char *algorithm, OSSL_PARAM_BLD *builder,
                           struct cm_bytes *ret_spki, struct cm_error *err)
{
    uint8_t *der = NULL;
    int size = -1;
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, algorithm, NULL);
    if (params && context && EVP_PKEY_fromdata_init(context) == 1
        && EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) == 1)
        size = i2d_PUBKEY(key, &der);
    EVP_PKEY_free(key);
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    if (size <= 0)
        return CM_FAIL(err, CM_CORRUPT, CM_ORIGIN_OPENSSL, 0, "the vault's key is not a valid one");
    *ret_spki = cm_bytes(der, (size_t)size);
    return CM_OK;
}

/* Left-padded to the field's size: other writers than the service leave leading zeros out. */
static bool read_coordinate(const json_t *jwk, const char *member, uint8_t *ret_octets, size_t size)
{
    uint8_t octets[FIELD_SIZE_MAX];
    size_t came = cm_jose_octets(jwk, member, octets, size);
    if (came == 0)
        return false;
    memset(ret_octets, 0, size - came);
    memcpy(ret_octets + size - came, octets, came);
    return true;
}

static cm_status read_ec(const json_t *jwk, struct cm_bytes *ret_spki, struct cm_error *err)
{
    uint8_t point[1 + 2 * FIELD_SIZE_MAX] = { 4 }; /* uncompressed */
    struct cm_bytes crv = text_of(jwk, "crv");
    const struct curve *curve = NULL;
    for (size_t i = 0; i < CURVES_COUNT && !curve; i++)
        curve = cm_bytes_is(crv, curves[i].crv) ? &curves[i] : NULL;
    if (!curve)
        return complain(err, CM_UNSUPPORTED, "certmill signs with P-256, P-384 and P-521, not",
                        crv);
    if (!read_coordinate(jwk, "x", point + 1, curve->size)
        || !read_coordinate(jwk, "y", point + 1 + curve->size, curve->size))
        return complain(err, CM_CORRUPT, "x or y is absent, malformed or too long for", crv);
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    if (!builder
        || OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, curve->crv, 0) != 1
        || OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point,
                                            1 + 2 * curve->size)
               != 1) {
        OSSL_PARAM_BLD_free(builder);
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_OPENSSL, 0, "the vault's key");
    }
    cm_status status = make_spki("EC", builder, ret_spki, err);
    OSSL_PARAM_BLD_free(builder);
    return status;
}

static cm_status read_rsa(const json_t *jwk, struct cm_bytes *ret_spki, struct cm_error *err)
{
    uint8_t n[RSA_SIZE_MAX], e[8];
    size_t n_size = cm_jose_octets(jwk, "n", n, sizeof n);
    size_t e_size = cm_jose_octets(jwk, "e", e, sizeof e);
    if (n_size == 0 || e_size == 0)
        return complain(err, CM_CORRUPT, "n or e is absent, malformed or too long for",
                        text_of(jwk, "kty"));
    BIGNUM *modulus = BN_bin2bn(n, (int)n_size, NULL);
    BIGNUM *exponent = BN_bin2bn(e, (int)e_size, NULL);
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    cm_status status;
    if (modulus && exponent && builder
        && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, modulus) == 1
        && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, exponent) == 1)
        status = make_spki("RSA", builder, ret_spki, err);
    else
        status = CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_OPENSSL, 0, "the vault's key");
    OSSL_PARAM_BLD_free(builder);
    BN_free(exponent);
    BN_free(modulus);
    return status;
}

/* Whatever the rest of certmill would not take, it does not get: sizes, exponents. */
static cm_status describe(struct cm_jwk *jwk, struct cm_error *err)
{
    struct cm_refusal refusal;
    struct cm_public_key key;
    if (!cm_public_key_read(jwk->spki, &key, &refusal)) {
        cm_jwk_done(jwk);
        return CM_FAIL(err, CM_CORRUPT, CM_ORIGIN_SELF, 0, "the vault's key: %s", refusal.message);
    }
    jwk->type = key.type;
    jwk->bits = key.bits;
    return CM_OK;
}

cm_status cm_jwk_read(const json_t *jwk, struct cm_jwk *ret_jwk, struct cm_error *err)
{
    struct cm_jwk read = { 0 };
    struct cm_bytes kty = text_of(jwk, "kty");
    bool is_ec = cm_bytes_is(kty, "EC") || cm_bytes_is(kty, "EC-HSM");
    bool is_rsa = cm_bytes_is(kty, "RSA") || cm_bytes_is(kty, "RSA-HSM");
    if (kty.size == 0)
        return CM_FAIL(err, CM_CORRUPT, CM_ORIGIN_SELF, 0, "the vault's answer holds no key (kty)");
    if (!is_ec && !is_rsa)
        return complain(err, CM_UNSUPPORTED, "certmill signs with EC and RSA keys, not", kty);
    read.is_in_hsm = cm_bytes_is(kty, "EC-HSM") || cm_bytes_is(kty, "RSA-HSM");
    cm_status status = is_ec ? read_ec(jwk, &read.spki, err) : read_rsa(jwk, &read.spki, err);
    if (status == CM_OK)
        status = describe(&read, err);
    if (status == CM_OK)
        *ret_jwk = read;
    return status;
}

void cm_jwk_done(struct cm_jwk *jwk)
{
    if (!jwk)
        return;
    OPENSSL_free((void *)(uintptr_t)jwk->spki.data);
    *jwk = (struct cm_jwk){ 0 };
}

json_t *cm_jose_create_request(const struct cm_key_spec *spec, bool in_hsm)
{
    const struct curve *curve = curve_of(spec->type);
    bool is_rsa = spec->type == CM_KEY_RSA
                  && (spec->bits == 2048 || spec->bits == 3072 || spec->bits == 4096);
    if (curve)
        return json_pack("{s:s, s:s}", "kty", in_hsm ? "EC-HSM" : "EC", "crv", curve->crv);
    if (is_rsa)
        return json_pack("{s:s, s:i}", "kty", in_hsm ? "RSA-HSM" : "RSA", "key_size",
                         (int)spec->bits);
    return NULL;
}

/* ------------------------------------------------------------------ signatures -- */

/* Not zero, and below the order: nothing else comes out of ECDSA. */
static bool is_scalar(const struct curve *curve, const uint8_t *octets)
{
    static const uint8_t zero[FIELD_SIZE_MAX];
    return memcmp(octets, zero, curve->size) != 0 && memcmp(octets, curve->order, curve->size) < 0;
}

static void put_scalar(struct cm_der_writer *w, const uint8_t *octets, size_t size)
{
    size_t mark = cm_der_mark(w);
    while (octets[0] == 0) {
        octets++;
        size--;
    }
    cm_der_put(w, cm_bytes(octets, size));
    if (octets[0] & 0x80)
        cm_der_put_byte(w, 0);
    cm_der_wrap(w, CM_DER_INTEGER, mark);
}

static uint32_t write_ecdsa(const struct curve *curve, const uint8_t *raw, uint8_t *ret_signature,
                            uint32_t space)
{
    uint8_t buffer[SIGNATURE_DER_SIZE_MAX];
    struct cm_der_writer w;
    const uint8_t *r = raw, *s = raw + curve->size;
    if (!is_scalar(curve, r) || !is_scalar(curve, s))
        return 0;
    cm_der_writer_init(&w, buffer, sizeof buffer);
    size_t mark = cm_der_mark(&w);
    put_scalar(&w, s, curve->size);
    put_scalar(&w, r, curve->size);
    cm_der_wrap(&w, CM_DER_SEQUENCE, mark);
    struct cm_bytes der = cm_der_written(&w);
    if (der.size > space)
        return 0;
    memcpy(ret_signature, der.data, der.size);
    return (uint32_t)der.size;
}

uint32_t cm_jose_signature(const json_t *answer, enum cm_key_type type, uint32_t bits,
                           uint8_t *ret_signature, uint32_t space)
{
    uint8_t raw[CM_SIGNATURE_SIZE_MAX];
    size_t size = cm_jose_octets(answer, "value", raw, sizeof raw);
    const struct curve *curve = curve_of(type);
    if (curve)
        return size == 2 * curve->size ? write_ecdsa(curve, raw, ret_signature, space) : 0;
    if (type != CM_KEY_RSA || size == 0 || size != (bits + 7) / 8 || size > space)
        return 0;
    memcpy(ret_signature, raw, size);
    return (uint32_t)size;
}

#include "engine/x509/key.h"

#include "engine/x509/oid.h"

#define ED25519_KEY_SIZE 32

/* The algorithm and the bits of a SubjectPublicKeyInfo. */
struct spki {
    struct cm_bytes whole;
    enum cm_oid algorithm;
    struct cm_bytes algorithm_oid;
    size_t algorithm_offset;
    struct cm_der parameters; /* what stands behind the OID; may be at its end */
    struct cm_bytes key;      /* of the BIT STRING, whole octets */
    size_t key_offset;
};

static bool read_spki(struct cm_der *der, struct spki *spki)
{
    struct cm_der_element element;
    struct cm_der inside, algorithm;
    if (!cm_der_read(der, CM_DER_SEQUENCE, "subjectPublicKeyInfo", &element))
        return false;
    spki->whole = element.whole;
    inside = cm_der_inside(der, element.content);
    spki->algorithm_offset = inside.position;
    if (!cm_der_enter(&inside, CM_DER_SEQUENCE, "public key algorithm", &algorithm)
        || !cm_der_read_oid(&algorithm, "public key algorithm", &spki->algorithm_oid))
        return false;
    spki->algorithm = cm_oid_find(spki->algorithm_oid);
    spki->parameters = algorithm;
    spki->key_offset = inside.position;
    return cm_der_read_bit_string(&inside, "subjectPublicKey", &spki->key)
           && cm_der_finish(&inside, "subjectPublicKeyInfo");
}

/* Inside the key the code is key.encoding whatever the reader found; its words are kept. */
static bool refuse_encoding(const struct cm_der *der)
{
    char text[160];
    memcpy(text, der->refusal->message, sizeof text - 1);
    text[sizeof text - 1] = '\0';
    return cm_refuse(der->refusal, CM_REFUSAL_KEY_ENCODING, CM_REFUSAL_NO_OFFSET, "%s", text);
}

static bool refuse_oid(const struct cm_der *der, enum cm_refusal_code code, size_t offset,
                       struct cm_bytes oid)
{
    char dotted[CM_OID_TEXT_SIZE];
    return cm_refuse(der->refusal, code, offset, "%s", cm_oid_dotted(oid, dotted, sizeof dotted));
}

/* --- elliptic curves -------------------------------------------------------------------------------- */

static const struct curve {
    enum cm_oid oid;
    enum cm_key_type type;
    uint32_t bits;
} curves[] = {
    { CM_OID_P256, CM_KEY_P256, 256 },
    { CM_OID_P384, CM_KEY_P384, 384 },
    { CM_OID_P521, CM_KEY_P521, 521 },
};

static bool read_curve(struct spki *spki, const struct curve **ret_curve)
{
    struct cm_der *parameters = &spki->parameters;
    size_t offset = spki->algorithm_offset;
    struct cm_bytes oid;
    if (cm_der_at_end(parameters) || cm_der_next_is(parameters, CM_DER_NULL)
        || cm_der_next_is(parameters, CM_DER_SEQUENCE))
        return cm_refuse(parameters->refusal, CM_REFUSAL_KEY_EC_EXPLICIT_PARAMS, offset,
                         "the curve is not named by its object identifier");
    if (!cm_der_read_oid(parameters, "curve", &oid) || !cm_der_finish(parameters, "curve"))
        return refuse_encoding(parameters);
    enum cm_oid found = cm_oid_find(oid);
    for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++) {
        *ret_curve = &curves[i];
        if (curves[i].oid == found)
            return true;
    }
    return refuse_oid(parameters, CM_REFUSAL_KEY_EC_CURVE_NOT_ALLOWED, offset, oid);
}

static bool refuse_point_format(const struct spki *spki, uint8_t format)
{
    const char *name = format == 2 || format == 3   ? "compressed"
                       : format == 6 || format == 7 ? "hybrid"
                                                    : "unknown";
    return cm_refuse(spki->parameters.refusal, CM_REFUSAL_KEY_EC_POINT_FORMAT, spki->key_offset,
                     "%s point, expected an uncompressed one", name);
}

static bool read_ec(struct spki *spki, struct cm_public_key *key)
{
    const struct curve *curve;
    struct cm_refusal *refusal = spki->parameters.refusal;
    if (!read_curve(spki, &curve))
        return false;
    size_t size = 1 + 2 * ((curve->bits + 7) / 8);
    if (spki->key.size == 1 && spki->key.data[0] == 0)
        return cm_refuse(refusal, CM_REFUSAL_KEY_EC_INFINITY, spki->key_offset, NULL);
    if (spki->key.size > 0 && spki->key.data[0] != 4)
        return refuse_point_format(spki, spki->key.data[0]);
    if (spki->key.size != size)
        return cm_refuse(refusal, CM_REFUSAL_KEY_EC_POINT_INVALID, spki->key_offset,
                         "point of %zu bytes, expected %zu", spki->key.size, size);
    *key = (struct cm_public_key){ .type = curve->type, .bits = curve->bits, .point = spki->key };
    return true;
}

/* --- RSA -------------------------------------------------------------------------------------------- */

static uint32_t bits_of(struct cm_bytes magnitude)
{
    if (magnitude.size == 0)
        return 0;
    uint32_t bits = (uint32_t)magnitude.size * 8;
    for (uint8_t top = magnitude.data[0]; !(top & 0x80); top = (uint8_t)(top << 1))
        bits--;
    return bits;
}

static struct cm_bytes without_sign_octet(struct cm_bytes integer)
{
    return integer.data[0] == 0 ? cm_bytes(integer.data + 1, integer.size - 1) : integer;
}

static bool check_modulus(const struct cm_der *der, size_t offset, struct cm_bytes modulus,
                          struct cm_public_key *key)
{
    if (modulus.data[0] & 0x80)
        return cm_refuse(der->refusal, CM_REFUSAL_KEY_RSA_NEGATIVE, offset, NULL);
    key->modulus = without_sign_octet(modulus);
    key->bits = bits_of(key->modulus);
    if (key->bits < CM_RSA_BITS_MIN || key->bits > CM_RSA_BITS_MAX || key->bits % 8 != 0)
        return cm_refuse(der->refusal, CM_REFUSAL_KEY_RSA_SIZE, offset,
                         "%u bits, allowed %d to %d in whole octets", key->bits, CM_RSA_BITS_MIN,
                         CM_RSA_BITS_MAX);
    if (!(key->modulus.data[key->modulus.size - 1] & 1))
        return cm_refuse(der->refusal, CM_REFUSAL_KEY_RSA_MODULUS_EVEN, offset, NULL);
    return true;
}

static bool check_exponent(const struct cm_der *der, size_t offset, struct cm_bytes exponent,
                           struct cm_public_key *key)
{
    static const uint8_t f4[] = { 0x01, 0x00, 0x01 };
    if (!cm_bytes_equal(exponent, cm_bytes(f4, sizeof f4)))
        return cm_refuse(der->refusal, CM_REFUSAL_KEY_RSA_EXPONENT, offset,
                         "an exponent of %zu octets other than 65537", exponent.size);
    key->exponent = exponent;
    return true;
}

static bool read_rsa(struct spki *spki, struct cm_public_key *key)
{
    struct cm_der bits = cm_der_inside(&spki->parameters, spki->key), numbers;
    struct cm_bytes modulus, exponent;
    if (!cm_der_read_null(&spki->parameters, "rsaEncryption parameters")
        || !cm_der_finish(&spki->parameters, "rsaEncryption parameters")
        || !cm_der_enter(&bits, CM_DER_SEQUENCE, "RSAPublicKey", &numbers)
        || !cm_der_finish(&bits, "RSAPublicKey"))
        return refuse_encoding(&bits);
    size_t modulus_offset = numbers.position;
    if (!cm_der_read_integer(&numbers, "modulus", &modulus))
        return refuse_encoding(&numbers);
    size_t exponent_offset = numbers.position;
    if (!cm_der_read_integer(&numbers, "exponent", &exponent)
        || !cm_der_finish(&numbers, "RSAPublicKey"))
        return refuse_encoding(&numbers);
    *key = (struct cm_public_key){ .type = CM_KEY_RSA };
    return check_modulus(&numbers, modulus_offset, modulus, key)
           && check_exponent(&numbers, exponent_offset, exponent, key);
}

/* --- Ed25519 ---------------------------------------------------------------------------------------- */

static bool read_ed25519(struct spki *spki, struct cm_public_key *key)
{
    if (!cm_der_finish(&spki->parameters, "Ed25519 parameters"))
        return refuse_encoding(&spki->parameters);
    if (spki->key.size != ED25519_KEY_SIZE)
        return cm_refuse(spki->parameters.refusal, CM_REFUSAL_KEY_ENCODING, spki->key_offset,
                         "Ed25519 key of %zu bytes, expected %d", spki->key.size, ED25519_KEY_SIZE);
    *key = (struct cm_public_key){ .type = CM_KEY_ED25519, .bits = 256, .point = spki->key };
    return true;
}

bool cm_public_key_read_der(struct cm_der *der, struct cm_public_key *ret_key,
                            struct cm_bytes *ret_spki)
{
    struct spki spki;
    if (!read_spki(der, &spki))
        return false;
    *ret_spki = spki.whole;
    switch (spki.algorithm) {
    case CM_OID_EC_PUBLIC_KEY:
        return read_ec(&spki, ret_key);
    case CM_OID_RSA_ENCRYPTION:
        return read_rsa(&spki, ret_key);
    case CM_OID_ED25519:
        return read_ed25519(&spki, ret_key);
    default:
        return refuse_oid(der, CM_REFUSAL_KEY_ALG_NOT_ALLOWED, spki.algorithm_offset,
                          spki.algorithm_oid);
    }
}

bool cm_public_key_read(struct cm_bytes spki, struct cm_public_key *ret_key,
                        struct cm_refusal *refusal)
{
    struct cm_der der = cm_der_open(spki, refusal);
    struct cm_bytes whole;
    if (!cm_public_key_read_der(&der, ret_key, &whole))
        return false;
    if (!cm_der_at_end(&der))
        return cm_refuse(refusal, CM_REFUSAL_DER_TRAILING_DATA, der.position,
                         "%zu bytes after the key", der.end - der.position);
    return true;
}

bool cm_public_key_bits(struct cm_bytes spki, struct cm_bytes *ret_bits)
{
    struct cm_refusal ignored;
    struct cm_der der = cm_der_open(spki, &ignored), inner;
    struct cm_bytes algorithm;
    return cm_der_enter(&der, CM_DER_SEQUENCE, "key", &inner) && cm_der_finish(&der, "key")
           && cm_der_read_sequence(&inner, "algorithm", &algorithm)
           && cm_der_read_bit_string(&inner, "key", ret_bits) && cm_der_finish(&inner, "key");
}

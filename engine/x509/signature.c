#include "engine/x509/signature.h"

#define ED25519_SIGNATURE_SIZE 64

static bool read_scalar(struct cm_der *numbers, size_t size_max, struct cm_bytes *ret_scalar)
{
    return cm_der_read_unsigned(numbers, "scalar", ret_scalar) && ret_scalar->size > 0
           && ret_scalar->size <= size_max;
}

bool cm_signature_read_ecdsa(const struct cm_public_key *key, struct cm_bytes signature,
                             struct cm_bytes *ret_r, struct cm_bytes *ret_s)
{
    struct cm_refusal ignored;
    struct cm_der der = cm_der_open(signature, &ignored), numbers;
    size_t size_max = (key->bits + 7) / 8;
    return cm_der_enter(&der, CM_DER_SEQUENCE, "ECDSA-Sig-Value", &numbers) && cm_der_at_end(&der)
           && read_scalar(&numbers, size_max, ret_r) && read_scalar(&numbers, size_max, ret_s)
           && cm_der_at_end(&numbers);
}

bool cm_signature_is_well_formed(const struct cm_public_key *key, struct cm_bytes signature)
{
    struct cm_bytes r, s;
    switch (key->type) {
    case CM_KEY_P256:
    case CM_KEY_P384:
    case CM_KEY_P521:
        return cm_signature_read_ecdsa(key, signature, &r, &s);
    case CM_KEY_RSA:
        return signature.size == key->modulus.size;
    case CM_KEY_ED25519:
        return signature.size == ED25519_SIGNATURE_SIZE;
    case CM_KEY_UNKNOWN:
    case CM_KEY_TYPE_COUNT:
        break;
    }
    return false;
}

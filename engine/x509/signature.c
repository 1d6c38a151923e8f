#include "engine/x509/signature.h"

#include "engine/x509/der_writer.h"

#define ED25519_SIGNATURE_SIZE 64
#define SCALAR_SIZE_MAX        66 /* of P-521 */

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

static void put_number(struct cm_der_writer *w, struct cm_bytes number)
{
    size_t mark = cm_der_mark(w);
    while (number.size > 1 && number.data[0] == 0)
        number = cm_bytes_from(number, 1);
    cm_der_put(w, number);
    if (number.data[0] & 0x80)
        cm_der_put_byte(w, 0); /* else it were negative */
    cm_der_wrap(w, CM_DER_INTEGER, mark);
}

size_t cm_signature_write_ecdsa(struct cm_bytes r, struct cm_bytes s, uint8_t *signature,
                                size_t space)
{
    uint8_t buffer[2 * SCALAR_SIZE_MAX + 16];
    struct cm_der_writer w;
    cm_der_writer_init(&w, buffer, sizeof buffer);
    size_t mark = cm_der_mark(&w);
    put_number(&w, s);
    put_number(&w, r);
    cm_der_wrap(&w, CM_DER_SEQUENCE, mark);
    struct cm_bytes written = cm_der_written(&w);
    if (written.size == 0 || written.size > space)
        return 0;
    memcpy(signature, written.data, written.size);
    return written.size;
}

#include "providers/pkcs11/key.h"

#include <openssl/x509.h>

enum { POINT_SIZE_MAX = 160, MODULUS_SIZE_MAX = 1025, CERTIFICATE_SIZE_MAX = 16384 };

/* The curves that certmill knows, by CKA_EC_PARAMS, with the AlgorithmIdentifier of their keys. */
#define OCTETS(...) (const uint8_t[]){ __VA_ARGS__ }, sizeof((uint8_t[]){ __VA_ARGS__ })

static const struct curve {
    enum cm_key_type type;
    size_t point_size;
    struct cm_bytes params[2]; /* an OID; for Ed25519 a PrintableString too */
    struct cm_bytes algorithm;
} curves[] = {
    { CM_KEY_P256,
      65,
      { { OCTETS(0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07) } },
      { OCTETS(0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
               0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07) } },
    { CM_KEY_P384,
      97,
      { { OCTETS(0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22) } },
      { OCTETS(0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b,
               0x81, 0x04, 0x00, 0x22) } },
    { CM_KEY_P521,
      133,
      { { OCTETS(0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23) } },
      { OCTETS(0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b,
               0x81, 0x04, 0x00, 0x23) } },
    { CM_KEY_ED25519,
      32,
      { { OCTETS(0x06, 0x03, 0x2b, 0x65, 0x70) },
        { OCTETS(0x13, 0x0c, 'e', 'd', 'w', 'a', 'r', 'd', 's', '2', '5', '5', '1', '9') } },
      { OCTETS(0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70) } },
};

static const struct cm_bytes rsa_algorithm = { OCTETS(
    0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00) };

struct cm_bytes cm_p11_curve_params(enum cm_key_type type)
{
    for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++)
        if (curves[i].type == type)
            return curves[i].params[0];
    return cm_bytes(NULL, 0);
}

/* ------------------------------------------------------------------ encoding -- */

void cm_p11_put_integer(struct cm_der_writer *w, struct cm_bytes value)
{
    while (value.size > 1 && value.data[0] == 0)
        value = cm_bytes_from(value, 1);
    size_t mark = cm_der_mark(w);
    cm_der_put(w, value);
    if (value.data[0] & 0x80)
        cm_der_put_byte(w, 0);
    cm_der_wrap(w, CM_DER_INTEGER, mark);
}

/* What was written is the key; the algorithm comes before it. */
static bool finish(struct cm_der_writer *w, struct cm_bytes algorithm, struct cm_p11_spki *ret_spki)
{
    cm_der_put_byte(w, 0); /* unused bits */
    cm_der_wrap(w, CM_DER_BIT_STRING, 0);
    cm_der_put(w, algorithm);
    cm_der_wrap(w, CM_DER_SEQUENCE, 0);
    struct cm_bytes written = cm_der_written(w);
    ret_spki->size = (uint32_t)written.size;
    memmove(ret_spki->octets, written.data, written.size);
    return written.size > 0;
}

/* ------------------------------------------------------------------ keys -- */

/* The bare point: tokens wrap it into an OCTET STRING, as they should, or do not. */
static struct cm_bytes unwrap_point(struct cm_bytes value, size_t size)
{
    const uint8_t *d = value.data;
    if (value.size == size)
        return value;
    if (value.size == size + 2 && d[0] == 0x04 && d[1] == size)
        return cm_bytes_from(value, 2);
    if (value.size == size + 3 && d[0] == 0x04 && d[1] == 0x81 && d[2] == size)
        return cm_bytes_from(value, 3);
    if (value.size == size + 3 && d[0] == 0x03 && d[1] == size + 1 && d[2] == 0)
        return cm_bytes_from(value, 3); /* Ed25519 as a BIT STRING, in drafts of v3.0 */
    return cm_bytes(NULL, 0);
}

static const struct curve *find_curve(struct cm_bytes params)
{
    for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++)
        for (size_t k = 0; k < 2; k++)
            if (params.size > 0 && cm_bytes_equal(params, curves[i].params[k]))
                return &curves[i];
    return NULL;
}

static bool read_ec(struct cm_p11_use *use, CK_OBJECT_HANDLE from, struct cm_p11_spki *ret_spki,
                    CK_RV *failure_io)
{
    uint8_t params[64], value[POINT_SIZE_MAX], buffer[CM_P11_SPKI_SIZE];
    struct cm_der_writer w;
    size_t size = cm_p11_read(use, from, CKA_EC_PARAMS, params, sizeof params, failure_io);
    const struct curve *curve = find_curve(cm_bytes(params, size));
    size = cm_p11_read(use, from, CKA_EC_POINT, value, sizeof value, failure_io);
    if (!curve || size == 0)
        return false;
    struct cm_bytes point = unwrap_point(cm_bytes(value, size), curve->point_size);
    if (point.size == 0)
        return false;
    cm_der_writer_init(&w, buffer, sizeof buffer);
    cm_der_put(&w, point);
    return finish(&w, curve->algorithm, ret_spki);
}

static bool read_rsa(struct cm_p11_use *use, CK_OBJECT_HANDLE from, struct cm_p11_spki *ret_spki,
                     CK_RV *failure_io)
{
    uint8_t modulus[MODULUS_SIZE_MAX], exponent[64], buffer[CM_P11_SPKI_SIZE];
    struct cm_der_writer w;
    size_t modulus_size = cm_p11_read(use, from, CKA_MODULUS, modulus, sizeof modulus, failure_io);
    size_t exponent_size =
        cm_p11_read(use, from, CKA_PUBLIC_EXPONENT, exponent, sizeof exponent, failure_io);
    if (modulus_size == 0 || exponent_size == 0)
        return false;
    cm_der_writer_init(&w, buffer, sizeof buffer);
    cm_p11_put_integer(&w, cm_bytes(exponent, exponent_size));
    cm_p11_put_integer(&w, cm_bytes(modulus, modulus_size));
    cm_der_wrap(&w, CM_DER_SEQUENCE, 0);
    return finish(&w, rsa_algorithm, ret_spki);
}

static bool read_key(struct cm_p11_use *use, const struct cm_p11_object *object,
                     CK_OBJECT_HANDLE from, struct cm_p11_spki *ret_spki, CK_RV *failure_io)
{
    return object->type == CKK_RSA ? read_rsa(use, from, ret_spki, failure_io)
                                   : read_ec(use, from, ret_spki, failure_io);
}

static bool read_certificate(struct cm_p11_use *use, CK_OBJECT_HANDLE from,
                             struct cm_p11_spki *ret_spki, CK_RV *failure_io)
{
    uint8_t value[CERTIFICATE_SIZE_MAX], *to = ret_spki->octets;
    const uint8_t *at = value;
    size_t size = cm_p11_read(use, from, CKA_VALUE, value, sizeof value, failure_io);
    X509 *certificate = size > 0 ? d2i_X509(NULL, &at, (long)size) : NULL;
    X509_PUBKEY *key = certificate ? X509_get_X509_PUBKEY(certificate) : NULL;
    int spki_size = key ? i2d_X509_PUBKEY(key, NULL) : 0;
    bool fits = spki_size > 0 && spki_size <= CM_P11_SPKI_SIZE;
    if (fits)
        ret_spki->size = (uint32_t)i2d_X509_PUBKEY(key, &to);
    X509_free(certificate);
    return fits;
}

/* CKA_ID links the halves of a pair; a pair without one is linked by its label. */
static bool find_partner(struct cm_p11_use *use, const struct cm_p11_object *object,
                         CK_OBJECT_CLASS class, CK_OBJECT_HANDLE *ret_handle, CK_RV *failure_io)
{
    struct cm_p11_object copy = *object;
    CK_RV code;
    CK_ATTRIBUTE attributes[] = { { CKA_CLASS, &class, sizeof class },
                                  { CKA_ID, copy.id, copy.id_size } };
    if (copy.id_size == 0)
        attributes[1] = (CK_ATTRIBUTE){ CKA_LABEL, copy.label, strlen(copy.label) };
    if (attributes[1].ulValueLen == 0)
        return false;
    bool found = cm_p11_first(use, attributes, 2, ret_handle, &code);
    if (*failure_io == CKR_OK)
        *failure_io = code;
    return found;
}

static bool read_any(struct cm_p11_use *use, const struct cm_p11_object *object,
                     struct cm_p11_spki *ret_spki, CK_RV *failure_io)
{
    CK_OBJECT_HANDLE from;
    if (find_partner(use, object, CKO_PUBLIC_KEY, &from, failure_io)
        && read_key(use, object, from, ret_spki, failure_io))
        return true;
    if (find_partner(use, object, CKO_CERTIFICATE, &from, failure_io)
        && read_certificate(use, from, ret_spki, failure_io))
        return true;
    return read_key(use, object, object->handle, ret_spki, failure_io);
}

bool cm_p11_public_read(struct cm_p11_use *use, const struct cm_p11_object *object,
                        struct cm_p11_spki *ret_spki, CK_RV *ret_code)
{
    CK_RV failure = CKR_OK;
    bool read = read_any(use, object, ret_spki, &failure);
    *ret_code = read ? CKR_OK : failure; /* what was found otherwise will do */
    return read;
}

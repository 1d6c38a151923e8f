#include "tools/fleet_csr.h"

#include <stdlib.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "engine/x509/der_writer.h"
#include "engine/x509/oid.h"

enum { RSA_BITS = 2048, POINT_SIZE_MAX = 133, SPKI_SIZE_MAX = 400, CSR_SIZE_MAX = 2048 };

struct cm_csr_maker {
    EVP_PKEY_CTX *generators[CM_KEY_TYPE_COUNT];
    EVP_MD_CTX *signing;
};

static const struct {
    const char *algorithm; /* OpenSSL's names */
    const char *curve;
    enum cm_oid oid; /* of the curve, or of an algorithm without curves */
} key_types[CM_KEY_TYPE_COUNT] = {
    [CM_KEY_P256] = { "EC", "P-256", CM_OID_P256 },
    [CM_KEY_P384] = { "EC", "P-384", CM_OID_P384 },
    [CM_KEY_P521] = { "EC", "P-521", CM_OID_P521 },
    [CM_KEY_RSA] = { "RSA", NULL, CM_OID_RSA_ENCRYPTION },
    [CM_KEY_ED25519] = { "ED25519", NULL, CM_OID_ED25519 },
};

static cm_status fail(struct cm_error *err, const char *what, enum cm_key_type type)
{
    return CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_OPENSSL, (int64_t)ERR_peek_error(), "%s (%s)",
                   what, cm_key_type_name(type));
}

static cm_status open_generator(struct cm_csr_maker *maker, enum cm_key_type type,
                                struct cm_error *err)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, key_types[type].algorithm, NULL);
    maker->generators[type] = context;
    if (!context || EVP_PKEY_keygen_init(context) <= 0)
        return fail(err, "no key generator", type);
    if (key_types[type].curve && EVP_PKEY_CTX_set_group_name(context, key_types[type].curve) <= 0)
        return fail(err, "no such curve", type);
    if (type == CM_KEY_RSA && EVP_PKEY_CTX_set_rsa_keygen_bits(context, RSA_BITS) <= 0)
        return fail(err, "key size", type);
    return CM_OK;
}

cm_status cm_csr_maker_new(struct cm_csr_maker **ret_maker, struct cm_error *err)
{
    struct cm_csr_maker *maker = calloc(1, sizeof *maker);
    cm_status status = CM_OK;
    if (!maker)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for a fleet");
    maker->signing = EVP_MD_CTX_new();
    if (!maker->signing)
        status = CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for a fleet");
    for (unsigned type = 1; type < CM_KEY_TYPE_COUNT && status == CM_OK; type++)
        status = open_generator(maker, (enum cm_key_type)type, err);
    if (status != CM_OK) {
        cm_csr_maker_free(maker);
        return status;
    }
    *ret_maker = maker;
    return CM_OK;
}

void cm_csr_maker_free(struct cm_csr_maker *maker)
{
    if (!maker)
        return;
    for (unsigned type = 1; type < CM_KEY_TYPE_COUNT; type++)
        EVP_PKEY_CTX_free(maker->generators[type]);
    EVP_MD_CTX_free(maker->signing);
    free(maker);
}

/* --- SubjectPublicKeyInfo ------------------------------------------------------------------------ */

static void put_oid(struct cm_der_writer *w, enum cm_oid oid)
{
    cm_der_put_tlv(w, CM_DER_OID, cm_oid_content(oid));
}

static void put_bits(struct cm_der_writer *w, struct cm_bytes bytes)
{
    size_t mark = cm_der_mark(w);
    cm_der_put(w, bytes);
    cm_der_put_byte(w, 0);
    cm_der_wrap(w, CM_DER_BIT_STRING, mark);
}

/* By hand where the key is a point: OpenSSL's encoder takes longer than making the key. */
static bool put_spki(struct cm_der_writer *w, enum cm_key_type type, EVP_PKEY *key)
{
    unsigned char point[POINT_SIZE_MAX], *der = NULL;
    size_t size = sizeof point;
    if (type == CM_KEY_RSA) {
        int der_size = i2d_PUBKEY(key, &der);
        if (der_size > 0)
            cm_der_put(w, cm_bytes(der, (size_t)der_size));
        OPENSSL_free(der);
        return der_size > 0;
    }
    if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point, &size)
        <= 0)
        return false;
    size_t whole = cm_der_mark(w);
    put_bits(w, cm_bytes(point, size));
    size_t algorithm = cm_der_mark(w);
    put_oid(w, key_types[type].oid);
    if (key_types[type].curve)
        put_oid(w, CM_OID_EC_PUBLIC_KEY);
    cm_der_wrap(w, CM_DER_SEQUENCE, algorithm);
    cm_der_wrap(w, CM_DER_SEQUENCE, whole);
    return true;
}

/* --- CertificationRequest ------------------------------------------------------------------------ */

/* SEQUENCE OF Extension with one SubjectAltName, as the attribute extensionRequest. */
static void put_dns(struct cm_der_writer *w, const char *dns)
{
    size_t mark = cm_der_mark(w);
    cm_der_put_tlv(w, CM_DER_CONTEXT(2), cm_bytes_str(dns));
    cm_der_wrap(w, CM_DER_SEQUENCE, mark);
    cm_der_wrap(w, CM_DER_OCTET_STRING, mark);
    put_oid(w, CM_OID_SUBJECT_ALT_NAME);
    cm_der_wrap(w, CM_DER_SEQUENCE, mark);
    cm_der_wrap(w, CM_DER_SEQUENCE, mark);
    cm_der_wrap(w, CM_DER_SET, mark);
    put_oid(w, CM_OID_EXTENSION_REQUEST);
    cm_der_wrap(w, CM_DER_SEQUENCE, mark);
}

static void put_subject(struct cm_der_writer *w, const char *name)
{
    size_t mark = cm_der_mark(w);
    cm_der_put_tlv(w, CM_DER_UTF8_STRING, cm_bytes_str(name));
    put_oid(w, CM_OID_COMMON_NAME);
    cm_der_wrap(w, CM_DER_SEQUENCE, mark);
    cm_der_wrap(w, CM_DER_SET, mark);
    cm_der_wrap(w, CM_DER_SEQUENCE, mark);
}

static bool put_info(struct cm_der_writer *w, enum cm_key_type type, EVP_PKEY *key,
                     const char *name, const char *dns)
{
    size_t mark = cm_der_mark(w);
    if (dns)
        put_dns(w, dns);
    cm_der_wrap(w, CM_DER_CONTEXT_CONSTRUCTED(0), mark);
    if (!put_spki(w, type, key))
        return false;
    put_subject(w, name);
    cm_der_put_uint(w, 0);
    cm_der_wrap(w, CM_DER_SEQUENCE, mark);
    return true;
}

static bool sign(struct cm_csr_maker *maker, enum cm_sigalg alg, EVP_PKEY *key,
                 struct cm_bytes message, uint8_t *signature, size_t *size)
{
    const char *hash = cm_sigalg_hash(alg);
    return EVP_MD_CTX_reset(maker->signing) == 1
           && EVP_DigestSignInit_ex(maker->signing, NULL, *hash ? hash : NULL, NULL, NULL, key,
                                    NULL)
                  == 1
           && EVP_DigestSign(maker->signing, signature, size, message.data, message.size) == 1;
}

static bool make_csr(struct cm_csr_maker *maker, enum cm_key_type type, EVP_PKEY *key,
                     const char *name, const char *dns, struct cm_arena *arena,
                     struct cm_bytes *ret_csr)
{
    uint8_t info[CSR_SIZE_MAX], csr[CSR_SIZE_MAX], signature[CM_SIGNATURE_SIZE_MAX];
    size_t signature_size = sizeof signature;
    enum cm_sigalg alg = cm_sigalg_default(type);
    struct cm_der_writer w;
    cm_der_writer_init(&w, info, sizeof info);
    if (!put_info(&w, type, key, name, dns))
        return false;
    struct cm_bytes message = cm_der_written(&w);
    if (!sign(maker, alg, key, message, signature, &signature_size))
        return false;
    cm_der_writer_init(&w, csr, sizeof csr);
    put_bits(&w, cm_bytes(signature, signature_size));
    cm_der_put(&w, cm_sigalg_der(alg));
    cm_der_put(&w, message);
    cm_der_wrap(&w, CM_DER_SEQUENCE, 0);
    *ret_csr = cm_arena_copy(arena, cm_der_written(&w));
    return ret_csr->size > 0;
}

cm_status cm_csr_maker_make(struct cm_csr_maker *maker, enum cm_key_type type, const char *name,
                            const char *dns, struct cm_arena *arena, struct cm_bytes *ret_csr,
                            struct cm_error *err)
{
    EVP_PKEY *key = NULL;
    if (EVP_PKEY_generate(maker->generators[type], &key) <= 0)
        return fail(err, "could not make a key", type);
    bool made = make_csr(maker, type, key, name, dns, arena, ret_csr);
    EVP_PKEY_free(key);
    return made ? CM_OK : fail(err, "could not make a request", type);
}

#include "engine/x509/algorithm.h"

#define DER(...)                                                                                   \
    {                                                                                              \
        (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })                 \
    }
#define ECDSA(last) DER(0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, last)
#define RSA(last)                                                                                  \
    DER(0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, last, 0x05, 0x00)
/* RSASSA-PSS-params with hashAlgorithm, maskGenAlgorithm and saltLength, trailerField left out. */
#define RSA_PSS(hash, salt)                                                                        \
    DER(0x30, 0x41, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a, 0x30, 0x34,  \
        0xa0, 0x0f, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, hash,  \
        0x05, 0x00, 0xa1, 0x1c, 0x30, 0x1a, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01,  \
        0x01, 0x08, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, hash,  \
        0x05, 0x00, 0xa2, 0x03, 0x02, 0x01, salt)

static const struct cm_bytes encodings[CM_SIGALG_COUNT] = {
    [CM_SIGALG_ECDSA_SHA256] = ECDSA(0x02),
    [CM_SIGALG_ECDSA_SHA384] = ECDSA(0x03),
    [CM_SIGALG_ECDSA_SHA512] = ECDSA(0x04),
    [CM_SIGALG_RSA_SHA256] = RSA(0x0b),
    [CM_SIGALG_RSA_SHA384] = RSA(0x0c),
    [CM_SIGALG_RSA_SHA512] = RSA(0x0d),
    [CM_SIGALG_RSA_PSS_SHA256] = RSA_PSS(0x01, 0x20),
    [CM_SIGALG_RSA_PSS_SHA384] = RSA_PSS(0x02, 0x30),
    [CM_SIGALG_RSA_PSS_SHA512] = RSA_PSS(0x03, 0x40),
    [CM_SIGALG_ED25519] = DER(0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70),
};

static const struct {
    const char *name;
    enum cm_key_type key;
    const char *hash;
} sigalgs[CM_SIGALG_COUNT] = { [CM_SIGALG_UNKNOWN] = { "unknown", CM_KEY_UNKNOWN, "" },
#define X(symbol, name_, key_, hash_) [CM_SIGALG_##symbol] = { name_, CM_KEY_##key_, hash_ },
                               CM_SIGALG_MAP(X)
#undef X
};

static const char *const key_types[CM_KEY_TYPE_COUNT] = { [CM_KEY_UNKNOWN] = "unknown",
#define X(symbol, name) [CM_KEY_##symbol] = name,
                                                          CM_KEY_TYPE_MAP(X)
#undef X
};

const char *cm_key_type_name(enum cm_key_type type)
{
    return key_types[type < CM_KEY_TYPE_COUNT ? type : CM_KEY_UNKNOWN];
}

enum cm_key_type cm_key_type_find(const char *name)
{
    for (unsigned type = 1; type < CM_KEY_TYPE_COUNT; type++)
        if (strcmp(key_types[type], name) == 0)
            return (enum cm_key_type)type;
    return CM_KEY_UNKNOWN;
}

const char *cm_sigalg_name(enum cm_sigalg alg)
{
    return sigalgs[alg < CM_SIGALG_COUNT ? alg : CM_SIGALG_UNKNOWN].name;
}

enum cm_sigalg cm_sigalg_find(const char *name)
{
    for (unsigned alg = 1; alg < CM_SIGALG_COUNT; alg++)
        if (strcmp(sigalgs[alg].name, name) == 0)
            return (enum cm_sigalg)alg;
    return CM_SIGALG_UNKNOWN;
}

const char *cm_sigalg_hash(enum cm_sigalg alg)
{
    return sigalgs[alg < CM_SIGALG_COUNT ? alg : CM_SIGALG_UNKNOWN].hash;
}

bool cm_sigalg_is_pss(enum cm_sigalg alg)
{
    return alg >= CM_SIGALG_RSA_PSS_SHA256 && alg <= CM_SIGALG_RSA_PSS_SHA512;
}

bool cm_sigalg_fits(enum cm_sigalg alg, enum cm_key_type type)
{
    if (alg >= CM_SIGALG_ECDSA_SHA256 && alg <= CM_SIGALG_ECDSA_SHA512)
        return type >= CM_KEY_P256 && type <= CM_KEY_P521;
    return alg != CM_SIGALG_UNKNOWN && alg < CM_SIGALG_COUNT && sigalgs[alg].key == type;
}

enum cm_sigalg cm_sigalg_default(enum cm_key_type type)
{
    switch (type) {
    case CM_KEY_P256:
        return CM_SIGALG_ECDSA_SHA256;
    case CM_KEY_P384:
        return CM_SIGALG_ECDSA_SHA384;
    case CM_KEY_P521:
        return CM_SIGALG_ECDSA_SHA512;
    case CM_KEY_RSA:
        return CM_SIGALG_RSA_SHA256;
    case CM_KEY_ED25519:
        return CM_SIGALG_ED25519;
    case CM_KEY_UNKNOWN:
    case CM_KEY_TYPE_COUNT:
        break;
    }
    return CM_SIGALG_UNKNOWN;
}

struct cm_bytes cm_sigalg_der(enum cm_sigalg alg)
{
    return encodings[alg < CM_SIGALG_COUNT ? alg : CM_SIGALG_UNKNOWN];
}

enum cm_sigalg cm_sigalg_from_der(struct cm_bytes algorithm_identifier)
{
    for (unsigned alg = 1; alg < CM_SIGALG_COUNT; alg++)
        if (cm_bytes_equal(encodings[alg], algorithm_identifier))
            return (enum cm_sigalg)alg;
    return CM_SIGALG_UNKNOWN;
}

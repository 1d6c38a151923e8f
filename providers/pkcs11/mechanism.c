#include "providers/pkcs11/key.h"

#include <stdio.h>

/* The digest is made here where the token lets us: fewer bytes travel, and it has less to do. */
static const struct way {
    enum cm_sigalg alg;
    CK_MECHANISM_TYPE digest; /* takes the digest */
    CK_MECHANISM_TYPE whole;  /* takes the message */
} ways[] = {
    { CM_SIGALG_ECDSA_SHA256, CKM_ECDSA, CKM_ECDSA_SHA256 },
    { CM_SIGALG_ECDSA_SHA384, CKM_ECDSA, CKM_ECDSA_SHA384 },
    { CM_SIGALG_ECDSA_SHA512, CKM_ECDSA, CKM_ECDSA_SHA512 },
    { CM_SIGALG_RSA_SHA256, CKM_RSA_PKCS, CKM_SHA256_RSA_PKCS },
    { CM_SIGALG_RSA_SHA384, CKM_RSA_PKCS, CKM_SHA384_RSA_PKCS },
    { CM_SIGALG_RSA_SHA512, CKM_RSA_PKCS, CKM_SHA512_RSA_PKCS },
    { CM_SIGALG_RSA_PSS_SHA256, CKM_RSA_PKCS_PSS, CKM_SHA256_RSA_PKCS_PSS },
    { CM_SIGALG_RSA_PSS_SHA384, CKM_RSA_PKCS_PSS, CKM_SHA384_RSA_PKCS_PSS },
    { CM_SIGALG_RSA_PSS_SHA512, CKM_RSA_PKCS_PSS, CKM_SHA512_RSA_PKCS_PSS },
    { CM_SIGALG_ED25519, CKM_EDDSA, CKM_EDDSA },
};

static const struct {
    CK_MECHANISM_TYPE type;
    const char *name;
} names[] = {
    { CKM_ECDSA, "ECDSA" },
    { CKM_ECDSA_SHA256, "ECDSA_SHA256" },
    { CKM_ECDSA_SHA384, "ECDSA_SHA384" },
    { CKM_ECDSA_SHA512, "ECDSA_SHA512" },
    { CKM_RSA_PKCS, "RSA_PKCS" },
    { CKM_SHA256_RSA_PKCS, "SHA256_RSA_PKCS" },
    { CKM_SHA384_RSA_PKCS, "SHA384_RSA_PKCS" },
    { CKM_SHA512_RSA_PKCS, "SHA512_RSA_PKCS" },
    { CKM_RSA_PKCS_PSS, "RSA_PKCS_PSS" },
    { CKM_SHA256_RSA_PKCS_PSS, "SHA256_RSA_PKCS_PSS" },
    { CKM_SHA384_RSA_PKCS_PSS, "SHA384_RSA_PKCS_PSS" },
    { CKM_SHA512_RSA_PKCS_PSS, "SHA512_RSA_PKCS_PSS" },
    { CKM_EDDSA, "EDDSA" },
};

/* What signing takes beyond the digest. */
static const struct hash {
    const char *name;
    uint8_t number; /* the last octet of its OID */
    CK_MECHANISM_TYPE type;
    CK_ULONG mgf;
    uint8_t size;
} hashes[] = {
    { "SHA256", 1, CKM_SHA256, CKG_MGF1_SHA256, 32 },
    { "SHA384", 2, CKM_SHA384, CKG_MGF1_SHA384, 48 },
    { "SHA512", 3, CKM_SHA512, CKG_MGF1_SHA512, 64 },
};

static const struct hash *hash_of(enum cm_sigalg alg)
{
    const struct hash *hash = hashes;
    while (strcmp(hash->name, cm_sigalg_hash(alg)) != 0)
        hash++;
    return hash;
}

/* ------------------------------------------------------------------ picking -- */

static bool offers(struct cm_p11_use *use, CK_MECHANISM_TYPE type, CK_FLAGS flag, uint32_t bits)
{
    CK_MECHANISM_INFO info;
    if (use->module->f->C_GetMechanismInfo(use->slot, type, &info) != CKR_OK
        || (info.flags & flag) == 0)
        return false;
    /* Some tokens leave the sizes out, and Ed25519 has 255 bits or 256, as one counts. */
    return info.ulMaxKeySize == 0 || type == CKM_EDDSA
           || (bits >= info.ulMinKeySize && bits <= info.ulMaxKeySize);
}

bool cm_p11_mechanism_makes(struct cm_p11_use *use, CK_MECHANISM_TYPE type, uint32_t bits)
{
    return offers(use, type, CKF_GENERATE_KEY_PAIR, bits);
}

/* "ECDSA (256 to 521 bits), RSA_PKCS (...)". */
static void list_offers(struct cm_p11_use *use, char *list, size_t space)
{
    size_t used = 0;
    list[0] = '\0';
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        CK_MECHANISM_INFO info;
        if (use->module->f->C_GetMechanismInfo(use->slot, names[i].type, &info) != CKR_OK
            || (info.flags & CKF_SIGN) == 0)
            continue;
        int more = snprintf(list + used, space - used, "%s%s (%lu-%lu)", used > 0 ? ", " : "",
                            names[i].name, info.ulMinKeySize, info.ulMaxKeySize);
        used += more > 0 && (size_t)more < space - used ? (size_t)more : 0;
    }
    list[used] = '\0';
}

cm_status cm_p11_mechanism_pick(struct cm_p11_use *use, enum cm_sigalg alg, uint32_t bits,
                                struct cm_p11_mechanism *ret_mechanism, struct cm_error *err)
{
    const struct way *way = ways;
    char list[160];
    while (way->alg != alg)
        way++;
    if (way->digest != way->whole && offers(use, way->digest, CKF_SIGN, bits)) {
        *ret_mechanism = (struct cm_p11_mechanism){ .type = way->digest };
        return CM_OK;
    }
    if (offers(use, way->whole, CKF_SIGN, bits)) {
        *ret_mechanism = (struct cm_p11_mechanism){ .type = way->whole, .hashes_itself = true };
        return CM_OK;
    }
    list_offers(use, list, sizeof list);
    return CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_SELF, 0,
                   "token %s does not sign %s with %u bits; it offers: %s", use->token->label,
                   cm_sigalg_name(alg), bits, list[0] ? list : "nothing that signs");
}

/* ------------------------------------------------------------------ in -- */

/* RFC 8017 9.2: DigestInfo. Returns its size. */
static CK_ULONG wrap_digest(const struct hash *hash, const uint8_t *digest, uint8_t *info)
{
    const uint8_t head[] = { 0x30,         (uint8_t)(17 + hash->size),
                             0x30,         0x0d,
                             0x06,         0x09,
                             0x60,         0x86,
                             0x48,         0x01,
                             0x65,         0x03,
                             0x04,         0x02,
                             hash->number, 0x05,
                             0x00,         0x04,
                             hash->size };
    memcpy(info, head, sizeof head);
    memcpy(info + sizeof head, digest, hash->size);
    return sizeof head + hash->size;
}

/* ECDSA takes the digest's first octets; tokens should cut it themselves, and older ones do not. */
static CK_ULONG cut_digest(const struct cm_p11_key *key, CK_ULONG size)
{
    CK_ULONG order_size = (key->key.bits + 7) / 8;
    return size < order_size ? size : order_size;
}

/* What C_Sign gets; *data points to the message or into space. False when OpenSSL failed. */
static bool prepare(const struct cm_p11_key *key, EVP_MD_CTX *digest, struct cm_bytes message,
                    uint8_t *space, struct cm_bytes *ret_data)
{
    uint8_t octets[EVP_MAX_MD_SIZE];
    unsigned size;
    *ret_data = message.size > 0 ? message : cm_bytes(space, 0); /* never NULL */
    if (key->mechanism.hashes_itself)
        return true;
    if (EVP_DigestInit_ex2(digest, key->hash, NULL) <= 0
        || EVP_DigestUpdate(digest, message.data, message.size) <= 0
        || EVP_DigestFinal_ex(digest, octets, &size) <= 0)
        return false;
    if (key->mechanism.type == CKM_RSA_PKCS) {
        *ret_data = cm_bytes(space, wrap_digest(hash_of(key->key.alg), octets, space));
        return true;
    }
    memcpy(space, octets, size);
    *ret_data = cm_bytes(space, key->mechanism.type == CKM_ECDSA ? cut_digest(key, size) : size);
    return true;
}

/* ------------------------------------------------------------------ out -- */

/* PKCS#11 gives r and s side by side, certificates hold SEQUENCE { r, s } (RFC 3279 2.2.3). */
static bool encode_ecdsa(const uint8_t *raw, size_t raw_size, size_t half, uint8_t *signature,
                         uint32_t space, uint32_t *ret_size)
{
    uint8_t buffer[CM_SIGNATURE_SIZE_MAX];
    struct cm_der_writer w;
    if (raw_size != 2 * half)
        return false;
    cm_der_writer_init(&w, buffer, sizeof buffer);
    cm_p11_put_integer(&w, cm_bytes(raw + half, half));
    cm_p11_put_integer(&w, cm_bytes(raw, half));
    cm_der_wrap(&w, CM_DER_SEQUENCE, 0);
    struct cm_bytes written = cm_der_written(&w);
    if (written.size == 0 || written.size > space)
        return false;
    memcpy(signature, written.data, written.size);
    *ret_size = (uint32_t)written.size;
    return true;
}

static bool is_ecdsa(enum cm_sigalg alg)
{
    return alg >= CM_SIGALG_ECDSA_SHA256 && alg <= CM_SIGALG_ECDSA_SHA512;
}

static bool convert(const struct cm_p11_key *key, const uint8_t *raw, size_t raw_size,
                    uint8_t *signature, uint32_t space, uint32_t *ret_size)
{
    if (is_ecdsa(key->key.alg))
        return encode_ecdsa(raw, raw_size, (key->key.bits + 7) / 8, signature, space, ret_size);
    if (raw_size != key->key.signature_size_max || raw_size > space)
        return false;
    memcpy(signature, raw, raw_size);
    *ret_size = (uint32_t)raw_size;
    return true;
}

/* ------------------------------------------------------------------ signing -- */

struct cm_p11_outcome cm_p11_sign(struct cm_p11_use *use, const struct cm_p11_key *key,
                                  EVP_MD_CTX *digest, CK_OBJECT_HANDLE handle,
                                  struct cm_bytes message, uint8_t *signature, uint32_t space,
                                  uint32_t *ret_size)
{
    const CK_FUNCTION_LIST *f = use->module->f;
    uint8_t prepared[EVP_MAX_MD_SIZE + 32], raw[CM_SIGNATURE_SIZE_MAX];
    CK_ULONG raw_size = sizeof raw;
    CK_RSA_PKCS_PSS_PARAMS pss;
    CK_MECHANISM mechanism = { .mechanism = key->mechanism.type };
    struct cm_p11_outcome outcome = { .code = CKR_HOST_MEMORY };
    struct cm_bytes data;
    if (!prepare(key, digest, message, prepared, &data))
        return outcome;
    if (cm_sigalg_is_pss(key->key.alg)) {
        const struct hash *hash = hash_of(key->key.alg);
        pss = (CK_RSA_PKCS_PSS_PARAMS){ hash->type, hash->mgf, hash->size };
        mechanism.pParameter = &pss;
        mechanism.ulParameterLen = sizeof pss;
    }
    outcome.code = f->C_SignInit(use->session, &mechanism, handle);
    if (outcome.code != CKR_OK)
        return outcome;
    outcome.reached_token = true;
    /* The cast: PKCS#11 has no const; C_Sign reads. */
    outcome.code =
        f->C_Sign(use->session, (CK_BYTE_PTR)(uintptr_t)data.data, data.size, raw, &raw_size);
    if (outcome.code == CKR_OK)
        outcome.malformed = !convert(key, raw, raw_size, signature, space, ret_size);
    return outcome;
}

#include "providers/openssl/internal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/err.h>
#include <openssl/x509.h>

#include "providers/openssl/lanes.h"
#include "providers/verify.h"

enum { RSA_BITS_MIN = 2048, RSA_BITS_MAX = 8 * CM_SIGNATURE_SIZE_MAX };

/* Providers spell curves differently. */
static const struct {
    const char *name;
    enum cm_key_type type;
} curves[] = {
    { "prime256v1", CM_KEY_P256 }, { "P-256", CM_KEY_P256 }, { "secp256r1", CM_KEY_P256 },
    { "secp384r1", CM_KEY_P384 },  { "P-384", CM_KEY_P384 }, { "secp521r1", CM_KEY_P521 },
    { "P-521", CM_KEY_P521 },
};

static enum cm_key_type type_of_curve(const EVP_PKEY *pkey)
{
    char name[64];
    if (EVP_PKEY_get_group_name(pkey, name, sizeof name, NULL) <= 0)
        return CM_KEY_UNKNOWN;
    for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++)
        if (strcasecmp(curves[i].name, name) == 0)
            return curves[i].type;
    return CM_KEY_UNKNOWN;
}

static enum cm_key_type type_of(const EVP_PKEY *pkey)
{
    if (EVP_PKEY_is_a(pkey, "EC"))
        return type_of_curve(pkey);
    if (EVP_PKEY_is_a(pkey, "ED25519"))
        return CM_KEY_ED25519;
    if (!EVP_PKEY_is_a(pkey, "RSA"))
        return CM_KEY_UNKNOWN;
    int bits = EVP_PKEY_get_bits(pkey);
    return bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX ? CM_KEY_RSA : CM_KEY_UNKNOWN;
}

/* Fills what the public half tells. */
static cm_status describe(struct cm_ossl_key *self, const char *reference, enum cm_sigalg alg,
                          struct cm_error *err)
{
    struct cm_key *key = &self->key;
    key->type = type_of(self->pkey);
    key->bits = (uint32_t)EVP_PKEY_get_bits(self->pkey);
    if (key->type == CM_KEY_UNKNOWN) {
        const char *name = EVP_PKEY_get0_type_name(self->pkey);
        return CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_SELF, 0,
                       "key %s: %s of %u bits is not supported (P-256, P-384, P-521, RSA of 2048 "
                       "to 8192 bits, Ed25519 are)",
                       reference, name ? name : "a key", key->bits);
    }
    key->alg = alg == CM_SIGALG_UNKNOWN ? cm_sigalg_default(key->type) : alg;
    if (!cm_sigalg_fits(key->alg, key->type))
        return CM_FAIL(err, CM_MISMATCH, CM_ORIGIN_SELF, 0, "key %s: a %s key cannot sign with %s",
                       reference, cm_key_type_name(key->type), cm_sigalg_name(key->alg));
    int spki_size = i2d_PUBKEY(self->pkey, &self->spki);
    int signature_size = EVP_PKEY_get_size(self->pkey);
    if (spki_size <= 0 || signature_size <= 0 || signature_size > CM_SIGNATURE_SIZE_MAX)
        return CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_OPENSSL, (int64_t)ERR_peek_error(),
                       "key %s: its public key cannot be had", reference);
    key->spki = cm_bytes(self->spki, (size_t)spki_size);
    key->signature_size_max = (uint32_t)signature_size;
    return CM_OK;
}

/* A key file can hold a public key that is not the private key's; only a signature tells. */
static cm_status prove(struct cm_ossl_key *self, const char *reference, struct cm_error *err)
{
    struct cm_bytes message = cm_bytes_str(CM_PROOF_TEXT);
    uint8_t signature[CM_SIGNATURE_SIZE_MAX];
    struct cm_sign_item item = { .message = message,
                                 .signature = signature,
                                 .signature_space = sizeof signature };
    cm_ossl_key_sign(self, 0, &item, 1);
    if (item.status != CM_OK)
        return CM_FAIL(err, self->remote ? CM_UNAVAILABLE : CM_CORRUPT, CM_ORIGIN_OPENSSL,
                       (int64_t)ERR_peek_error(), "key %s: signing a test message", reference);
    if (!cm_spki_verify(self->key.spki, self->key.alg, message,
                        cm_bytes(signature, item.signature_size)))
        return CM_FAIL(err, CM_CORRUPT, CM_ORIGIN_OPENSSL, (int64_t)ERR_peek_error(),
                       "key %s: its signatures do not verify with its public key", reference);
    return CM_OK;
}

/* All lanes at once: a key that does not sign well in them signs one by one. */
static bool lanes_are_good(struct cm_ossl_key *self, struct cm_ossl_signer *signer)
{
    struct cm_bytes message = cm_bytes_str(CM_PROOF_TEXT);
    uint8_t signatures[CM_MB_LANES][CM_MB_RSA_SIZE_MAX];
    struct cm_sign_item items[CM_MB_LANES];
    for (unsigned i = 0; i < CM_MB_LANES; i++)
        items[i] = (struct cm_sign_item){ .message = message,
                                          .signature = signatures[i],
                                          .signature_space = sizeof signatures[i] };
    bool are_good = cm_ossl_lanes_sign(self->lanes, signer, items, CM_MB_LANES) == 0xff;
    for (unsigned i = 0; are_good && i < CM_MB_LANES; i++)
        are_good = cm_spki_verify(self->key.spki, self->key.alg, message,
                                  cm_bytes(signatures[i], items[i].signature_size));
    return are_good;
}

/* Fails where fixed nonces are wanted and cannot be had. */
static cm_status open_lanes(struct cm_ossl_key *self, const struct cm_ossl_options *options,
                            const char *reference, struct cm_error *err)
{
    struct cm_ossl_signer *signer = cm_ossl_key_signer(self, 0);
    if (!signer)
        return CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_OPENSSL, (int64_t)ERR_peek_last_error(),
                       "key %s: prepare to sign with %s", reference, cm_sigalg_name(self->key.alg));
    if (!self->remote && !options->forgoes_lanes)
        self->lanes = cm_ossl_lanes_new(self->pkey, &self->key, self->has_fixed_nonces);
    if (self->lanes && !lanes_are_good(self, signer)) {
        cm_ossl_lanes_free(self->lanes);
        self->lanes = NULL;
    }
    if (signer->lacks_fixed_nonces && !self->lanes)
        return CM_FAIL(
            err, CM_UNSUPPORTED, CM_ORIGIN_SELF, 0,
            "key %s: nonces of RFC 6979 take OpenSSL 3.2 or multi-buffer signing, and there is "
            "neither",
            reference);
    return CM_OK;
}

cm_status cm_ossl_key_open(const struct cm_ossl_source *source, const char *reference,
                           enum cm_sigalg alg, uint32_t workers_count, struct cm_ossl_key **ret_key,
                           struct cm_error *err)
{
    struct cm_ossl_key *self =
        calloc(1, sizeof *self + workers_count * sizeof(struct cm_ossl_signer *));
    if (!self)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for a key");
    self->key.backend = self;
    self->remote = !cm_ossl_is_file(reference);
    self->signers_count = workers_count;
    self->has_fixed_nonces = source->options.has_fixed_nonces;
    self->reference = strdup(reference);
    cm_status status = self->reference
                           ? cm_ossl_load(source, reference, &self->pkey, err)
                           : CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for a key");
    if (status == CM_OK)
        status = describe(self, reference, alg, err);
    if (status == CM_OK)
        status = open_lanes(self, &source->options, reference, err);
    if (status == CM_OK)
        status = prove(self, reference, err);
    ERR_clear_error();
    if (status != CM_OK) {
        cm_ossl_key_free(self);
        return status;
    }
    *ret_key = self;
    return CM_OK;
}

void cm_ossl_key_free(struct cm_ossl_key *self)
{
    if (!self)
        return;
    for (uint32_t i = 0; i < self->signers_count; i++) {
        if (self->signers[i])
            cm_ossl_signer_done(self->signers[i]);
        free(self->signers[i]);
    }
    cm_ossl_lanes_free(self->lanes);
    EVP_PKEY_free(self->pkey);
    OPENSSL_free(self->spki);
    free(self->reference);
    free(self);
}

/* ------------------------------------------------------------------ signing -- */

struct cm_ossl_signer *cm_ossl_key_signer(struct cm_ossl_key *key, uint32_t worker_index)
{
    struct cm_ossl_signer *signer = key->signers[worker_index];
    if (signer)
        return signer;
    signer = calloc(1, sizeof *signer);
    if (!signer)
        return NULL;
    if (cm_ossl_signer_init(signer, key->pkey, key->key.alg, key->has_fixed_nonces, NULL)
        != CM_OK) {
        cm_ossl_signer_done(signer);
        free(signer);
        return NULL;
    }
    key->signers[worker_index] = signer;
    return signer;
}

static cm_status sign_one(const struct cm_ossl_key *key, struct cm_ossl_signer *signer,
                          struct cm_sign_item *item)
{
    if (cm_ossl_signer_sign(signer, key->pkey, item->message, item->signature,
                            item->signature_space, &item->signature_size))
        return CM_OK;
    return key->remote ? CM_UNCERTAIN : CM_UNAVAILABLE;
}

/* The signer cannot make it alone where only lanes have the nonces that are wanted. */
static bool do_lanes_pay(const struct cm_ossl_key *key, const struct cm_ossl_signer *signer,
                         uint32_t count)
{
    return key->lanes && (count >= key->lanes->worth || signer->lacks_fixed_nonces);
}

void cm_ossl_key_sign(struct cm_ossl_key *key, uint32_t worker_index, struct cm_sign_item *items,
                      uint32_t count)
{
    struct cm_ossl_signer *signer = cm_ossl_key_signer(key, worker_index);
    uint8_t made = signer && do_lanes_pay(key, signer, count)
                       ? cm_ossl_lanes_sign(key->lanes, signer, items, count)
                       : 0;
    for (uint32_t i = 0; i < count; i++) {
        if (made >> i & 1)
            items[i].status = CM_OK;
        else
            items[i].status = signer ? sign_one(key, signer, &items[i]) : CM_UNAVAILABLE;
    }
}

#include "engine/x509/proof.h"

#include <stdatomic.h>
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "engine/x509/raw_key.h"
#include "engine/x509/signature.h"
#include "engine/x509/signature_lanes.h"

struct cm_proof {
    struct cm_raw_keys *keys;
    EVP_MD *hashes[CM_SIGALG_COUNT]; /* fetched once; NULL for Ed25519 */
    EVP_MD_CTX *hash_ctx;
    EVP_MD_CTX *ed25519_ctx;
    bool forgoes_lanes;
    _Atomic uint64_t in_lanes_count, one_by_one_count;
};

static bool fetch_hashes(struct cm_proof *proof)
{
    for (unsigned alg = 1; alg < CM_SIGALG_COUNT; alg++) {
        const char *name = cm_sigalg_hash((enum cm_sigalg)alg);
        if (name[0] && !(proof->hashes[alg] = EVP_MD_fetch(NULL, name, NULL)))
            return false;
    }
    return true;
}

cm_status cm_proof_new(struct cm_proof **ret_proof, struct cm_error *err)
{
    struct cm_proof *proof = calloc(1, sizeof *proof);
    if (!proof)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "proof of possession");
    proof->keys = cm_raw_keys_new();
    proof->hash_ctx = EVP_MD_CTX_new();
    proof->ed25519_ctx = EVP_MD_CTX_new();
    if (!proof->keys || !proof->hash_ctx || !proof->ed25519_ctx || !fetch_hashes(proof)) {
        cm_proof_free(proof);
        return CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_OPENSSL, (int64_t)ERR_peek_last_error(),
                       "prepare the proof of possession");
    }
    *ret_proof = proof;
    return CM_OK;
}

void cm_proof_free(struct cm_proof *proof)
{
    if (!proof)
        return;
    for (unsigned alg = 0; alg < CM_SIGALG_COUNT; alg++)
        EVP_MD_free(proof->hashes[alg]);
    EVP_MD_CTX_free(proof->hash_ctx);
    EVP_MD_CTX_free(proof->ed25519_ctx);
    cm_raw_keys_free(proof->keys);
    free(proof);
}

static enum cm_raw_verdict verify_ed25519(struct cm_proof *proof, const struct cm_public_key *key,
                                          struct cm_bytes message, struct cm_bytes signature)
{
    EVP_PKEY *pkey =
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key->point.data, key->point.size);
    if (!pkey)
        return CM_RAW_FAILED;
    EVP_MD_CTX_reset(proof->ed25519_ctx);
    bool is_good = EVP_DigestVerifyInit(proof->ed25519_ctx, NULL, NULL, NULL, pkey) == 1
                   && EVP_DigestVerify(proof->ed25519_ctx, signature.data, signature.size,
                                       message.data, message.size)
                          == 1;
    EVP_PKEY_free(pkey);
    ERR_clear_error();
    return is_good ? CM_RAW_GOOD : CM_RAW_BAD_SIGNATURE;
}

static bool hash_message(struct cm_proof *proof, enum cm_sigalg alg, struct cm_bytes message,
                         uint8_t *digest, unsigned *ret_size)
{
    return EVP_DigestInit_ex2(proof->hash_ctx, proof->hashes[alg], NULL) == 1
           && EVP_DigestUpdate(proof->hash_ctx, message.data, message.size) == 1
           && EVP_DigestFinal_ex(proof->hash_ctx, digest, ret_size) == 1;
}

static enum cm_raw_verdict verify(struct cm_proof *proof, const struct cm_public_key *key,
                                  enum cm_sigalg alg, struct cm_bytes message,
                                  struct cm_bytes signature)
{
    uint8_t octets[EVP_MAX_MD_SIZE];
    unsigned size;
    if (key->type == CM_KEY_ED25519)
        return verify_ed25519(proof, key, message, signature);
    if (!hash_message(proof, alg, message, octets, &size))
        return CM_RAW_FAILED;
    struct cm_bytes digest = cm_bytes(octets, size);
    if (key->type == CM_KEY_RSA)
        return cm_raw_verify_rsa(key, proof->hashes[alg], cm_sigalg_is_pss(alg), digest, signature);
    return cm_raw_verify_ecdsa(proof->keys, key, digest, signature);
}

cm_status cm_signature_verify(struct cm_proof *proof, const struct cm_public_key *key,
                              enum cm_sigalg alg, struct cm_bytes message,
                              struct cm_bytes signature)
{
    if (!cm_sigalg_fits(alg, key->type))
        return CM_MISMATCH;
    if (!cm_signature_is_well_formed(key, signature))
        return CM_MALFORMED;
    switch (verify(proof, key, alg, message, signature)) {
    case CM_RAW_GOOD:
        return CM_OK;
    case CM_RAW_BAD_SIGNATURE:
        return CM_CORRUPT;
    case CM_RAW_BAD_KEY:
        return CM_NO_KEY;
    case CM_RAW_FAILED:
        break;
    }
    return CM_NO_MEMORY;
}

/* --- many at once ---------------------------------------------------------------------------------- */

static void check_one(struct cm_proof *proof, struct cm_signature_check *check)
{
    check->status =
        check->verifier
            ? cm_verifier_check(check->verifier, check->message, check->signature)
            : cm_signature_verify(proof, check->key, check->alg, check->message, check->signature);
    atomic_fetch_add_explicit(&proof->one_by_one_count, 1, memory_order_relaxed);
}

static void run(struct cm_proof *proof, enum cm_lane_set_kind kind, struct cm_lane_set *set)
{
    const struct cm_lane_hashes hashes = { .hashes = proof->hashes, .ctx = proof->hash_ctx };
    uint8_t good = set->count >= cm_lane_set_worth(kind) ? cm_lane_set_run(kind, set, &hashes) : 0;
    for (unsigned i = 0; i < set->count; i++) {
        if (good >> i & 1)
            set->checks[i]->status = CM_OK;
        else
            check_one(proof, set->checks[i]);
    }
    atomic_fetch_add_explicit(&proof->in_lanes_count, (uint64_t)__builtin_popcount(good),
                              memory_order_relaxed);
    set->count = 0;
}

static bool is_point_good(struct cm_proof *proof, const struct cm_signature_check *check)
{
    bool is_ec = check->key->type != CM_KEY_ED25519 && check->key->type != CM_KEY_RSA;
    return !is_ec || check->verifier || cm_raw_check_point(proof->keys, check->key) == CM_RAW_GOOD;
}

/* What is wrong with others is told by the way that goes one by one. */
static bool fits_lane(struct cm_proof *proof, const struct cm_signature_check *check,
                      enum cm_lane_set_kind *ret_kind)
{
    return !proof->forgoes_lanes && cm_sigalg_fits(check->alg, check->key->type)
           && cm_lane_set_find(check->key, ret_kind)
           && cm_signature_is_well_formed(check->key, check->signature)
           && is_point_good(proof, check);
}

void cm_signatures_verify(struct cm_proof *proof, struct cm_signature_check *checks, uint32_t count)
{
    struct cm_lane_set sets[CM_LANE_SETS_COUNT] = { 0 };
    enum cm_lane_set_kind kind;
    for (uint32_t i = 0; i < count; i++) {
        if (!fits_lane(proof, &checks[i], &kind)) {
            check_one(proof, &checks[i]);
            continue;
        }
        sets[kind].checks[sets[kind].count++] = &checks[i];
        if (sets[kind].count == CM_MB_LANES)
            run(proof, kind, &sets[kind]);
    }
    for (unsigned i = 0; i < CM_LANE_SETS_COUNT; i++)
        if (sets[i].count > 0)
            run(proof, (enum cm_lane_set_kind)i, &sets[i]);
}

void cm_proof_forgo_lanes(struct cm_proof *proof)
{
    proof->forgoes_lanes = true;
}

struct cm_proof_counts cm_proof_count(const struct cm_proof *proof)
{
    return (struct cm_proof_counts){
        .in_lanes = atomic_load_explicit(&proof->in_lanes_count, memory_order_relaxed),
        .one_by_one = atomic_load_explicit(&proof->one_by_one_count, memory_order_relaxed),
    };
}

/* --- a CSR's own ----------------------------------------------------------------------------------- */

bool cm_proof_accept(cm_status status, struct cm_refusal *refusal)
{
    enum cm_refusal_code code = CM_REFUSAL_ENGINE_INTERNAL;
    switch (status) {
    case CM_OK:
        return true;
    case CM_MISMATCH:
        code = CM_REFUSAL_CSR_SIGALG_MISMATCH;
        break;
    case CM_MALFORMED:
        code = CM_REFUSAL_CSR_SIGNATURE_ENCODING;
        break;
    case CM_NO_KEY:
        code = CM_REFUSAL_KEY_EC_POINT_INVALID;
        break;
    case CM_CORRUPT:
        code = CM_REFUSAL_CSR_SIGNATURE_INVALID;
        break;
    default:
        break;
    }
    return cm_refuse(refusal, code, CM_REFUSAL_NO_OFFSET, NULL);
}

bool cm_proof_check(struct cm_proof *proof, const struct cm_csr *csr, struct cm_refusal *refusal)
{
    return cm_proof_accept(
        cm_signature_verify(proof, &csr->key, csr->sigalg, csr->info, csr->signature), refusal);
}

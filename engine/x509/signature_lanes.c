#include "engine/x509/signature_lanes.h"

#include "engine/x509/pkcs1.h"
#include "engine/x509/raw_key.h"
#include "engine/x509/signature.h"

static const struct {
    enum cm_key_type type;
    uint32_t rsa_bits; /* 0: any */
    enum cm_mb_kind kind;
    /* Eight at once by crypto-mb against one by OpenSSL, bench/suites --benchmark_filter=^signatures (docs/benchmarks.md). */
    unsigned worth;
} kinds[CM_LANE_SETS_COUNT] = {
    [CM_LANE_SET_P256] = { CM_KEY_P256, 0, CM_MB_P256, 3 },
    [CM_LANE_SET_P384] = { CM_KEY_P384, 0, CM_MB_P384, 1 },
    [CM_LANE_SET_P521] = { CM_KEY_P521, 0, CM_MB_P521, 2 },
    [CM_LANE_SET_ED25519] = { CM_KEY_ED25519, 0, CM_MB_ED25519, 2 },
    [CM_LANE_SET_RSA_2048] = { CM_KEY_RSA, 2048, CM_MB_RSA, 3 },
    [CM_LANE_SET_RSA_3072] = { CM_KEY_RSA, 3072, CM_MB_RSA, 3 },
    [CM_LANE_SET_RSA_4096] = { CM_KEY_RSA, 4096, CM_MB_RSA, 3 },
};

bool cm_lane_set_find(const struct cm_public_key *key, enum cm_lane_set_kind *ret_kind)
{
    for (unsigned i = 0; i < CM_LANE_SETS_COUNT; i++) {
        if (kinds[i].type != key->type
            || (kinds[i].rsa_bits != 0 && kinds[i].rsa_bits != key->bits))
            continue;
        *ret_kind = (enum cm_lane_set_kind)i;
        return cm_mb_takes(kinds[i].kind);
    }
    return false;
}

unsigned cm_lane_set_worth(enum cm_lane_set_kind kind)
{
    return kinds[kind].worth;
}

static bool hash(const struct cm_signature_check *check, const struct cm_lane_hashes *hashes,
                 uint8_t *digest, unsigned *ret_size)
{
    return EVP_DigestInit_ex2(hashes->ctx, hashes->hashes[check->alg], NULL) == 1
           && EVP_DigestUpdate(hashes->ctx, check->message.data, check->message.size) == 1
           && EVP_DigestFinal_ex(hashes->ctx, digest, ret_size) == 1;
}

/* --- ECDSA --------------------------------------------------------------------------------------- */

static void put_number(struct cm_bytes number, uint8_t *field, size_t size)
{
    memset(field, 0, size - number.size);
    memcpy(field + size - number.size, number.data, number.size);
}

static bool fill_ecdsa(const struct cm_signature_check *check, const struct cm_lane_hashes *hashes,
                       size_t size, struct cm_mb_ecdsa_check *lane)
{
    struct cm_bytes r, s;
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned digest_size;
    if (!cm_signature_read_ecdsa(check->key, check->signature, &r, &s)
        || !hash(check, hashes, digest, &digest_size))
        return false;
    put_number(r, lane->r, size);
    put_number(s, lane->s, size);
    /* Of a hash that is longer than the order its left octets count (FIPS 186-5, 6.4.2). */
    put_number(cm_bytes(digest, digest_size < size ? digest_size : size), lane->digest, size);
    lane->point = check->key->point.data + 1;
    return true;
}

static uint8_t run_ecdsa(enum cm_mb_kind curve, const struct cm_lane_set *set,
                         const struct cm_lane_hashes *hashes)
{
    struct cm_mb_ecdsa_check lanes[CM_MB_LANES];
    for (unsigned i = 0; i < set->count; i++)
        if (!fill_ecdsa(set->checks[i], hashes, cm_mb_field_size(curve), &lanes[i]))
            return 0;
    return cm_mb_ecdsa_verify(curve, lanes, set->count);
}

/* --- Ed25519 ------------------------------------------------------------------------------------- */

static uint8_t run_ed25519(const struct cm_lane_set *set)
{
    struct cm_mb_ed25519_check lanes[CM_MB_LANES];
    for (unsigned i = 0; i < set->count; i++)
        lanes[i] = (struct cm_mb_ed25519_check){ .key = set->checks[i]->key->point.data,
                                                 .signature = set->checks[i]->signature.data,
                                                 .message = set->checks[i]->message };
    return cm_mb_ed25519_verify(lanes, set->count);
}

/* --- RSA ----------------------------------------------------------------------------------------- */

static bool is_encoding_of(const struct cm_signature_check *check,
                           const struct cm_lane_hashes *hashes, const uint8_t *encoded)
{
    uint8_t digest[EVP_MAX_MD_SIZE], expected[CM_MB_RSA_SIZE_MAX];
    size_t size = check->key->modulus.size;
    unsigned digest_size;
    if (!hash(check, hashes, digest, &digest_size))
        return false;
    if (cm_sigalg_is_pss(check->alg))
        return cm_raw_is_pss_of(check->key, hashes->hashes[check->alg],
                                cm_bytes(digest, digest_size), encoded);
    return cm_pkcs1_encode(check->alg, cm_bytes(digest, digest_size), expected, size)
           && memcmp(encoded, expected, size) == 0;
}

static uint8_t run_rsa(uint32_t bits, const struct cm_lane_set *set,
                       const struct cm_lane_hashes *hashes)
{
    struct cm_mb_rsa_check lanes[CM_MB_LANES];
    for (unsigned i = 0; i < set->count; i++) {
        lanes[i].modulus = set->checks[i]->key->modulus.data;
        lanes[i].signature = set->checks[i]->signature.data;
    }
    uint8_t good = cm_mb_rsa_public(bits, lanes, set->count);
    for (unsigned i = 0; i < set->count; i++)
        if (!is_encoding_of(set->checks[i], hashes, lanes[i].encoded))
            good &= (uint8_t) ~(1U << i);
    return good;
}

uint8_t cm_lane_set_run(enum cm_lane_set_kind kind, const struct cm_lane_set *set,
                        const struct cm_lane_hashes *hashes)
{
    switch (kinds[kind].kind) {
    case CM_MB_ED25519:
        return run_ed25519(set);
    case CM_MB_RSA:
        return run_rsa(kinds[kind].rsa_bits, set, hashes);
    default:
        return run_ecdsa(kinds[kind].kind, set, hashes);
    }
}

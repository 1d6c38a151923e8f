/*
 * Signature lanes: checks of one kind that go through multi-buffer arithmetic together.
 *
 * Of each kind up to eight gather; a full set is computed at once. A check that is not well-formed, or
 * whose point is not on its curve, never gets into a lane. Internal to engine/x509 (proof.c).
 */
#ifndef CM_X509_SIGNATURE_LANES_H
#define CM_X509_SIGNATURE_LANES_H

#include <openssl/evp.h>

#include "engine/multibuffer/multibuffer.h"
#include "engine/x509/proof.h"

/* RSA by the size of the modulus: lanes are all of one size. */
enum cm_lane_set_kind {
    CM_LANE_SET_P256,
    CM_LANE_SET_P384,
    CM_LANE_SET_P521,
    CM_LANE_SET_ED25519,
    CM_LANE_SET_RSA_2048,
    CM_LANE_SET_RSA_3072,
    CM_LANE_SET_RSA_4096,
    CM_LANE_SETS_COUNT
};

struct cm_lane_set {
    struct cm_signature_check *checks[CM_MB_LANES];
    unsigned count;
};

/* False: checks with this key go one by one. */
bool cm_lane_set_find(const struct cm_public_key *key, enum cm_lane_set_kind *ret_kind);

/* How many there must be for the lanes to be cheaper than OpenSSL. */
unsigned cm_lane_set_worth(enum cm_lane_set_kind kind);

/* What the hashes are made with; of the caller's thread. By enum cm_sigalg; NULL for Ed25519. */
struct cm_lane_hashes {
    EVP_MD *const *hashes;
    EVP_MD_CTX *ctx;
};

/*
 * Bit i: the signature of check i is good. A lane that is not is put to OpenSSL by the caller, whose word counts: the
 * library refuses a few good signatures (one with a hash that begins with 32 zero bits, in Wycheproof's vectors).
 */
uint8_t cm_lane_set_run(enum cm_lane_set_kind kind, const struct cm_lane_set *set,
                        const struct cm_lane_hashes *hashes);

#endif

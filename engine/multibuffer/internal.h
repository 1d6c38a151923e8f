/*
 * The library's functions that are used here, found by name. Internal to engine/multibuffer.
 */
#ifndef CM_MULTIBUFFER_INTERNAL_H
#define CM_MULTIBUFFER_INTERNAL_H

#include "engine/multibuffer/multibuffer.h"

#include <crypto_mb/cpu_features.h>
#include <crypto_mb/ec_nistp256.h>
#include <crypto_mb/ec_nistp384.h>
#include <crypto_mb/ec_nistp521.h>
#include <crypto_mb/ed25519.h>
#include <crypto_mb/rsa.h>
#include <crypto_mb/version.h>

#define CM_MB_FUNCTION_MAP(X)                                                                      \
    X(mbx_get_cpu_features)                                                                        \
    X(mbx_is_crypto_mb_applicable)                                                                 \
    X(mbx_getversion)                                                                              \
    X(mbx_nistp256_ecdsa_verify_mb8)                                                               \
    X(mbx_nistp256_ecdsa_sign_mb8)                                                                 \
    X(mbx_nistp384_ecdsa_verify_mb8)                                                               \
    X(mbx_nistp384_ecdsa_sign_mb8)                                                                 \
    X(mbx_nistp521_ecdsa_verify_mb8)                                                               \
    X(mbx_nistp521_ecdsa_sign_mb8)                                                                 \
    X(mbx_ed25519_verify_mb8)                                                                      \
    X(mbx_ed25519_sign_mb8)                                                                        \
    X(mbx_RSA_pub65537_Method)                                                                     \
    X(mbx_rsa_public_mb8)                                                                          \
    X(mbx_rsa_private_crt_ssl_mb8)

struct cm_mb_library {
#define X(name) __typeof__(name) *name;
    CM_MB_FUNCTION_MAP(X)
#undef X
};

/* Its functions are found. */
const struct cm_mb_library *cm_mb_library(void);

/* agreement.c; whatever it finds, the error queue is empty. */
bool cm_mb_agrees(enum cm_mb_kind kind);

/* The lane that lane i computes: itself, or the first for those that nobody asked for. */
static inline unsigned cm_mb_lane(unsigned i, unsigned count)
{
    return i < count ? i : 0;
}

/* The library's status, four bits a lane, as one bit a lane that is good; of the lanes that were asked for. */
uint8_t cm_mb_good_lanes(mbx_status status, unsigned count);

/* Big-endian octets as limbs. */
void cm_mb_limbs_from(const uint8_t *octets, size_t size, cm_mb_limb *limbs, size_t limbs_count);

#endif

/* In place of the library where its headers were not there to build with. Nobody may call the rest. */
#include "engine/multibuffer/multibuffer.h"

#include <stdlib.h>

bool cm_mb_takes(enum cm_mb_kind kind)
{
    (void)kind;
    return false;
}

const char *cm_mb_describe(void)
{
    return "this build is without crypto-mb";
}

uint8_t cm_mb_ecdsa_verify(enum cm_mb_kind curve, const struct cm_mb_ecdsa_check *checks,
                           unsigned count)
{
    (void)curve, (void)checks, (void)count;
    abort();
}

uint8_t cm_mb_ecdsa_sign(enum cm_mb_kind curve, const cm_mb_limb *scalar,
                         struct cm_mb_ecdsa_draft *drafts, unsigned count)
{
    (void)curve, (void)scalar, (void)drafts, (void)count;
    abort();
}

uint8_t cm_mb_ed25519_verify(const struct cm_mb_ed25519_check *checks, unsigned count)
{
    (void)checks, (void)count;
    abort();
}

uint8_t cm_mb_ed25519_sign(const uint8_t *seed, const uint8_t *key,
                           const struct cm_mb_ed25519_draft *drafts, unsigned count)
{
    (void)seed, (void)key, (void)drafts, (void)count;
    abort();
}

uint8_t cm_mb_rsa_public(uint32_t bits, struct cm_mb_rsa_check *checks, unsigned count)
{
    (void)bits, (void)checks, (void)count;
    abort();
}

uint8_t cm_mb_rsa_private(uint32_t bits, const struct cm_mb_rsa_key *key,
                          const struct cm_mb_rsa_draft *drafts, unsigned count)
{
    (void)bits, (void)key, (void)drafts, (void)count;
    abort();
}

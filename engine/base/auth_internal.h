/*
 * Auth, inside: an HMAC that is keyed once and used again and again. For engine/base/auth*.c.
 */
#ifndef CM_BASE_AUTH_INTERNAL_H
#define CM_BASE_AUTH_INTERNAL_H

#include <openssl/evp.h>

#include "engine/base/auth.h"

#define CM_AUTH_MAC_SIZE       32
#define CM_AUTH_SIGNATURE_SIZE 64

/* Owned by the caller, freed with EVP_MAC_CTX_free, which wipes the key. */
CM_MUST_USE cm_status cm_auth_mac_new(struct cm_bytes secret, EVP_MAC_CTX **ret_mac,
                                      struct cm_error *err);

bool cm_auth_mac_compute(EVP_MAC_CTX *mac, struct cm_bytes message,
                         uint8_t ret_value[CM_AUTH_MAC_SIZE]);

#endif

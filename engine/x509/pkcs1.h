/*
 * EMSA-PKCS1-v1_5: the octets that an RSA signature is a power of (RFC 8017, 9.2). Pure; any thread.
 *
 * There is one such encoding of a hash, so that whoever verifies makes it again and compares all of it:
 * nothing is parsed that a forger could stretch.
 */
#ifndef CM_X509_PKCS1_H
#define CM_X509_PKCS1_H

#include "engine/x509/algorithm.h"

/* Writes size octets, those of the modulus. False: alg is none of RSA PKCS#1 v1.5, or size is too small. */
bool cm_pkcs1_encode(enum cm_sigalg alg, struct cm_bytes digest, uint8_t *ret_encoded, size_t size);

#endif

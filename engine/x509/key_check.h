/*
 * Weak keys: arithmetic that finds keys which anyone can factor or knows. Run after the proof of
 * possession, so that a stranger cannot have it computed for nothing.
 *
 * RSA: a prime factor below 752, a repeating pattern, the ROCA fingerprint
 * (CVE-2017-15361), primes so close that 110 rounds of Fermat's method factor the modulus (CA/B
 * Baseline Requirements 6.1.1.3 ask for 100). Ed25519: points of small order, encodings of y that
 * are not reduced. All: public keys whose private key is printed in a standard (the generator,
 * whose private key is 1; the test vectors of RFC 6979 and RFC 8032). Any thread.
 */
#ifndef CM_X509_KEY_CHECK_H
#define CM_X509_KEY_CHECK_H

#include "engine/x509/key.h"

/* Fails with: false and a key.* code, or engine.internal when out of memory. */
bool cm_key_check(const struct cm_public_key *key, struct cm_refusal *refusal);

#endif

/*
 * RSA key pairs that the build has made, for tests to which it does not matter where a key comes from: making
 * one takes a second, and under valgrind half a minute.
 */
#ifndef CM_TESTS_SUPPORT_RSA_PAIRS_H
#define CM_TESTS_SUPPORT_RSA_PAIRS_H

#include <openssl/evp.h>

enum { CM_RSA_PAIRS = 3 };

/* One of CM_RSA_PAIRS with 2,048 bits, always the same; the caller frees it. A failure ends the test. */
EVP_PKEY *cm_rsa_pair(unsigned which);

/* The one with 1024, 2048, 3072 or 4096 bits; NULL: there is none with so many. */
EVP_PKEY *cm_rsa_pair_of(unsigned bits);

#endif

/* The RSA half of engine/x509/key_check.h. Internal to engine/x509; any thread. */
#ifndef CM_X509_KEY_CHECK_RSA_H
#define CM_X509_KEY_CHECK_RSA_H

#include "engine/x509/key.h"

bool cm_key_check_rsa(struct cm_bytes modulus, struct cm_refusal *refusal);

#endif

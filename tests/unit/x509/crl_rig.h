/*
 * Lists for tests: entries encoded one behind the other, lists signed by the issuing CA of pki.h, and
 * OpenSSL's reading of them. Failing to make something ends the program.
 */
#ifndef CM_TESTS_X509_CRL_RIG_H
#define CM_TESTS_X509_CRL_RIG_H

#include <openssl/x509v3.h>

#include "engine/x509/crl.h"
#include "tests/unit/x509/pki.h"

#define CRL_RIG_URL      "http://pki.example/crl/issuing/3.crl"
#define CRL_RIG_FRESHEST "http://pki.example/crl/issuing/3-delta.crl"

/* The same values in every run. */
uint32_t crl_rig_random(void);

/* A serial of so many octets, positive and minimal, random; in the arena of pki. */
struct cm_bytes crl_rig_serial(size_t size);

/* Of the issuing CA, number 7, from now to a day later; no extension that is optional. */
struct cm_crl crl_rig_crl(void);

/* Encoded, in the order in which they stand; in the arena of pki. */
struct cm_bytes crl_rig_write(const struct cm_crl_entry *entries, size_t count);

/* The whole list, signed. */
struct cm_bytes crl_rig_sign(const struct cm_crl *crl, struct cm_bytes entries);

/* OpenSSL's reading, which must take all of it. */
X509_CRL *crl_rig_parse(struct cm_bytes der);

ASN1_INTEGER *crl_rig_integer(struct cm_bytes serial);

bool crl_rig_is_time(const ASN1_TIME *time, int64_t time_s);

/* What d2i makes of an extension of a list; NULL when it is not there, or is critical otherwise than said. */
void *crl_rig_extension(X509_CRL *list, int nid, bool critical);

#endif

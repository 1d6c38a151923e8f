/*
 * A small PKI for tests: keys of every type, a root and an issuing CA, certificates signed with
 * OpenSSL. Everything lives until pki_done(). Failing to make something ends the
 * program: no test would mean anything.
 */
#ifndef CM_TESTS_X509_PKI_H
#define CM_TESTS_X509_PKI_H

#include <openssl/ocsp.h>

#include "engine/x509/certificate.h"

struct pki_key {
    EVP_PKEY *key;
    struct cm_bytes spki;
    enum cm_key_type type;
};

struct pki {
    int64_t now_s; /* when it was made: programs that verify have the same clock */
    struct cm_arena arena;
    struct cm_composer *composer;
    struct pki_key keys[CM_KEY_TYPE_COUNT]; /* of devices, by type */
    struct pki_key root_key;
    struct pki_key issuing_key;
    struct cm_bytes root; /* certificates, DER */
    struct cm_bytes issuing;
    struct cm_issuer issuer; /* the issuing CA, with URLs and 16 CRL shards */
};

extern struct pki pki;

/* For CM_TEST_SUITE_WITH. The CA keys are of this type; RSA keys have 2048 bits. */
int pki_init(enum cm_key_type ca_type);
int pki_done(void);

struct pki_key pki_new_key(enum cm_key_type type);

/* The signature of an algorithm over a message, with OpenSSL. */
struct cm_bytes pki_sign(const struct pki_key *key, enum cm_sigalg sigalg, struct cm_bytes message);

/* An input with serial, device "device-0001", the moment of pki_init and the key of this type. */
struct cm_template_input pki_input(enum cm_key_type type);

/* A template; NULL and the reason printed when it cannot be built. Freed by the caller. */
struct cm_template *pki_template(const struct cm_profile *profile, const struct cm_issuer *issuer);

/* Composes with a template made and freed here. */
bool pki_compose(const struct cm_profile *profile, const struct cm_issuer *issuer,
                 const struct cm_template_input *in, struct cm_tbs *ret_tbs,
                 struct cm_refusal *refusal);

struct pki_issued {
    const struct cm_profile *profile;
    enum cm_key_type type; /* of the device's key */
    struct cm_tbs tbs;
    struct cm_bytes der;
};

/*
 * Composes, lints and signs a certificate for each built-in profile that the issuing CA issues, with
 * each key type, and calls check with it.
 */
void pki_for_each_profile(void (*check)(const struct pki_issued *));

/* OpenSSL's reading of a certificate, which must take all of it. */
X509 *pki_parse(struct cm_bytes der);

/* What OpenSSL asks with about a certificate of the issuing CA. */
OCSP_CERTID *pki_cert_id(const EVP_MD *hash, const ASN1_INTEGER *serial);

/* Writes a file into the scratch folder; its path lives in the arena. */
const char *pki_write_file(const char *name, struct cm_bytes bytes);

/* Runs a command line, its output in ret_output (cut to fit); the exit status. */
int pki_run(const char *command, char *ret_output, size_t output_space);

/* Is this program there? By PATH, or by path. */
bool pki_has_program(const char *program);

#endif

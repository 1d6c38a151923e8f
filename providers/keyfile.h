/*
 * Key files: makes a private key in a file of its own.
 *
 * The file holds PKCS#8 in PEM, encrypted (PBES2: PBKDF2-HMAC-SHA256 with 600,000 rounds,
 * AES-256-CBC) when there is a passphrase. It never exists with wider permissions than 0600, is
 * never written over, and is on the disk, name and all, when the call returns. The folder, which
 * should be 0700, is the caller's.
 */
#ifndef CM_PROVIDERS_KEYFILE_H
#define CM_PROVIDERS_KEYFILE_H

#include "engine/base/bytes.h"
#include "engine/base/status.h"
#include "engine/x509/algorithm.h"

/* A SubjectPublicKeyInfo in DER. The largest is RSA-8192's. */
struct cm_keyfile_spki {
    uint8_t data[1100];
    size_t size; /* bytes */
};

/*
 * Does:       makes a key of the type and writes it to path. bits counts for RSA only: 2048 to 8192.
 *             passphrase NULL leaves the file unencrypted. Takes seconds for large RSA keys.
 * Thread:     any.
 * Fails with: EXISTS (nothing is touched), UNSUPPORTED (type or bits), IO, DENIED, NO_MEMORY; no
 *             file is left behind.
 */
CM_MUST_USE cm_status cm_keyfile_generate(enum cm_key_type type, uint32_t bits, const char *path,
                                          const char *passphrase, struct cm_keyfile_spki *ret_spki,
                                          struct cm_error *err);

#endif

/*
 * Foreign CA: a CA that is not ours, as a file has it: its certificate, whoever has signed that, or its request
 * (PKCS#10); PEM or DER. What stands in it decides nothing but name, key and key identifier.
 *
 * Whoever wants a key certified shows that it is theirs: by a request, or by a certificate that the key itself has
 * signed. Another CA's signature on it shows nothing of the kind; then a request comes beside it. One thread.
 */
#ifndef CM_TOOLS_FOREIGN_CA_H
#define CM_TOOLS_FOREIGN_CA_H

#include "engine/authority/cross.h"
#include "engine/base/arena.h"
#include "engine/base/status.h"
#include "engine/x509/key.h"

/* Spans are in the arena. */
struct cm_foreign_ca {
    struct cm_bytes subject; /* Name */
    struct cm_bytes spki;
    struct cm_bytes ski; /* of its certificate; empty: it has none */
    struct cm_public_key key;
    int64_t not_after_s; /* of its certificate; INT64_MAX: a request has none */
    enum cm_cross_proof proof;
};

/*
 * Does:       reads the file at path, and the request at csr_path that shows the same key (NULL: none). The whole is
 *             strict DER; the signature that is the proof verifies; the key is one that certmill reads, and no
 *             weak one; a certificate is a CA's that may sign certificates, and valid now; a request asks for one.
 * Fails with: NOT_FOUND, IO; MALFORMED, UNSUPPORTED (it is neither, or none that certmill reads), CORRUPT (a signature
 *             does not verify), MISMATCH (it is no CA's, or not valid now; the request is for another key).
 *             Texts begin with the path.
 */
CM_MUST_USE cm_status cm_foreign_ca_read(const char *path, const char *csr_path,
                                         struct cm_arena *arena, struct cm_foreign_ca *ret_ca,
                                         struct cm_error *err);

#endif

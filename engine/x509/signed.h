/*
 * Signed: what certificates, CRLs and OCSP responses have in common (RFC 5280, 4.1.1): a body that is
 * signed, the algorithm, the signature. Private to this folder; any thread.
 */
#ifndef CM_X509_SIGNED_H
#define CM_X509_SIGNED_H

#include "engine/x509/algorithm.h"
#include "engine/x509/der_writer.h"

/* Spans over what was read. */
struct cm_signed {
    struct cm_bytes tbs;       /* the body, tag included: what the signature is over */
    struct cm_der inside;      /* a reader over the body's content */
    struct cm_bytes algorithm; /* AlgorithmIdentifier, tag included */
    struct cm_bytes signature; /* content of the BIT STRING, without the unused-bits octet */
};

/* Reads the whole of der: nothing stands behind it. what: "certificate". */
bool cm_signed_read(struct cm_der *der, const char *what, struct cm_signed *ret_signed);

/* Refuses where the algorithm inside of the body is another than the one beside it. */
bool cm_signed_check(const struct cm_der *der, const struct cm_signed *read,
                     struct cm_bytes inner_algorithm);

/* Octets that the whole has beside the body, at most. */
size_t cm_signed_room(enum cm_sigalg sigalg, size_t signature_size);

/* Algorithm and signature, as they stand behind the body. */
void cm_signed_put_tail(struct cm_der_writer *w, enum cm_sigalg sigalg, struct cm_bytes signature);

/* The whole. */
void cm_signed_put(struct cm_der_writer *w, struct cm_bytes tbs, enum cm_sigalg sigalg,
                   struct cm_bytes signature);

#endif

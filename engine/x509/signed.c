#include "engine/x509/signed.h"

#define HEADERS_SIZE 16 /* of the BIT STRING, its unused-bits octet, and the whole */

bool cm_signed_read(struct cm_der *der, const char *what, struct cm_signed *ret_signed)
{
    struct cm_signed read;
    struct cm_der whole;
    if (!cm_der_enter(der, CM_DER_SEQUENCE, what, &whole) || !cm_der_finish(der, what))
        return false;
    struct cm_der body = whole;
    if (!cm_der_read_sequence(&whole, what, &read.tbs)
        || !cm_der_read_sequence(&whole, "signatureAlgorithm", &read.algorithm)
        || !cm_der_read_bit_string(&whole, "signature", &read.signature)
        || !cm_der_finish(&whole, what)
        || !cm_der_enter(&body, CM_DER_SEQUENCE, what, &read.inside))
        return false;
    *ret_signed = read;
    return true;
}

bool cm_signed_check(const struct cm_der *der, const struct cm_signed *read,
                     struct cm_bytes inner_algorithm)
{
    return cm_bytes_equal(read->algorithm, inner_algorithm)
           || cm_refuse(der->refusal, CM_REFUSAL_CSR_SIGALG_MISMATCH, CM_REFUSAL_NO_OFFSET,
                        "the two signature algorithms differ");
}

size_t cm_signed_room(enum cm_sigalg sigalg, size_t signature_size)
{
    return cm_sigalg_der(sigalg).size + signature_size + HEADERS_SIZE;
}

void cm_signed_put_tail(struct cm_der_writer *w, enum cm_sigalg sigalg, struct cm_bytes signature)
{
    size_t mark = cm_der_mark(w);
    cm_der_put(w, signature);
    cm_der_put_byte(w, 0); /* unused bits */
    cm_der_wrap(w, CM_DER_BIT_STRING, mark);
    cm_der_put(w, cm_sigalg_der(sigalg));
}

void cm_signed_put(struct cm_der_writer *w, struct cm_bytes tbs, enum cm_sigalg sigalg,
                   struct cm_bytes signature)
{
    size_t mark = cm_der_mark(w);
    cm_signed_put_tail(w, sigalg, signature);
    cm_der_put(w, tbs);
    cm_der_wrap(w, CM_DER_SEQUENCE, mark);
}

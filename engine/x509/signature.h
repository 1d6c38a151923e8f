/*
 * Signatures as octets: what needs no key. For engine/x509 and for who makes signatures; any thread.
 */
#ifndef CM_X509_SIGNATURE_H
#define CM_X509_SIGNATURE_H

#include "engine/x509/key.h"

/*
 * True where the octets have the form of a signature by this key. For ECDSA: strict DER of two
 * integers, positive, not longer than the order of the curve.
 */
bool cm_signature_is_well_formed(const struct cm_public_key *key, struct cm_bytes signature);

/* The two numbers of such an ECDSA signature, big-endian; false where it has another form. */
bool cm_signature_read_ecdsa(const struct cm_public_key *key, struct cm_bytes signature,
                             struct cm_bytes *ret_r, struct cm_bytes *ret_s);

/*
 * Writes the DER of one whose numbers are given in big-endian octets with zeros before them. Its size; 0 where
 * it does not fit into the space.
 */
size_t cm_signature_write_ecdsa(struct cm_bytes r, struct cm_bytes s, uint8_t *signature,
                                size_t space);

#endif

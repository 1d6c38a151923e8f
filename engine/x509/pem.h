/*
 * PEM: from what people send to the DER inside it.
 *
 * A request comes as DER or as one PEM block (RFC 7468) labelled CERTIFICATE REQUEST or NEW
 * CERTIFICATE REQUEST. Accepted around it: white space before and after the block, CRLF line ends,
 * white space at the end of a line, lines of any length, no final newline. Everything else is
 * refused: other text, several blocks, headers, other labels, white space inside a line, missing
 * or wrong padding, padding bits that are not zero. A private key anywhere is refused as such
 * before anything else is looked at. Any thread.
 */
#ifndef CM_X509_PEM_H
#define CM_X509_PEM_H

#include "engine/base/arena.h"
#include "engine/base/refusal.h"

#define CM_CSR_SIZE_MAX      16384 /* bytes of DER */
#define CM_CSR_TEXT_SIZE_MAX 32768 /* bytes of PEM */

/*
 * DER of a request in either form: the input itself when it is DER, else decoded into the arena.
 * DER is not looked at beyond its first byte.
 */
bool cm_pem_read_csr(struct cm_bytes input, struct cm_arena *arena, struct cm_bytes *ret_der,
                     struct cm_refusal *refusal);

/*
 * Base64 (RFC 4648, 4), padded and without white space, strictly: into the arena. False, and nothing is
 * written, when it is none.
 */
bool cm_base64_read(struct cm_bytes text, struct cm_arena *arena, struct cm_bytes *ret_bytes);

#endif

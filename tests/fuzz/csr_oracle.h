/*
 * What holds for every input of the CSR reader, with OpenSSL as the other opinion: whatever we
 * accept, OpenSSL reads to its last byte with the same subject, key and alternative names, and its
 * verdict on the signature is ours. Used by the fuzzers and by the unit tests.
 */
#ifndef CM_TESTS_FUZZ_CSR_ORACLE_H
#define CM_TESTS_FUZZ_CSR_ORACLE_H

#include "engine/x509/proof.h"

/*
 * Takes a request (PEM or DER) the whole way: read, proof of possession, weak keys. NULL when
 * everything holds, else what does not; *ret_code is the engine's answer, CM_REFUSAL_NONE for good.
 */
const char *cm_csr_oracle(struct cm_proof *proof, struct cm_bytes input,
                          enum cm_refusal_code *ret_code);

#endif

/* The whole way of a CSR, against OpenSSL: tests/fuzz/csr_oracle.h. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/fuzz/csr_oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct cm_proof *proof;
    enum cm_refusal_code code;
    if (!proof && cm_proof_new(&proof, NULL) != CM_OK)
        abort();
    const char *problem = cm_csr_oracle(proof, cm_bytes(data, size), &code);
    if (problem) {
        fprintf(stderr, "%s (%s)\n", problem, cm_refusal_name(code));
        abort();
    }
    return 0;
}

/*
 * Requests of tests/data/csr, and what the reader makes of octets, held against OpenSSL
 * (tests/fuzz/csr_oracle.h). For tests of engine/x509/csr.h; the test's thread.
 */
#ifndef CM_TESTS_UNIT_X509_CSR_RIG_H
#define CM_TESTS_UNIT_X509_CSR_RIG_H

#include "engine/x509/csr.h"
#include "engine/x509/proof.h"

extern struct cm_arena csr_arena;
extern struct cm_proof *csr_proof;

/* For CM_TEST_SUITE_WITH. */
int csr_rig_set_up(void);
int csr_rig_tear_down(void);

/* A file of the folder, in the arena. */
struct cm_bytes csr_file(const char *name);

/* What the reader says; that it is not what OpenSSL says fails the test. It reads a copy of exactly the
 * size, so that the sanitizers see the first octet too many. */
enum cm_refusal_code csr_code(struct cm_bytes input, const char *what);

#endif

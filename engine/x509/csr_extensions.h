/*
 * The extensions that a CSR requests. Internal to engine/x509: csr.c reads the frame, this reads
 * the content of the extensionRequest attribute.
 */
#ifndef CM_X509_CSR_EXTENSIONS_H
#define CM_X509_CSR_EXTENSIONS_H

#include "engine/x509/csr.h"

/* Reads the next element of der, which is Extensions, into the requested part of *csr. */
bool cm_csr_read_extensions(struct cm_der *der, struct cm_arena *arena, struct cm_csr *csr);

#endif

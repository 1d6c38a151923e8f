/*
 * DER file: certificates and CRLs as they lie about, one DER value or any number of PEM blocks.
 *
 * Text around blocks (`openssl x509 -text`, bag attributes) and blocks of other labels are passed over.
 * "-" is standard input. One thread.
 */
#ifndef CM_TOOLS_DER_FILE_H
#define CM_TOOLS_DER_FILE_H

#include "engine/base/bytes.h"
#include "engine/base/status.h"

#define CM_LABEL_CERTIFICATE "CERTIFICATE"
#define CM_LABEL_CRL         "X509 CRL"

/* One value; where names it in messages: "old.pem" or "old.pem, block 3". Both are valid inside the
   call. What it fails with ends the walk. */
typedef cm_status cm_der_file_fn(struct cm_bytes der, const char *where, void *arg,
                                 struct cm_error *err);

/*
 * Does:       calls each for every value of the file, in their order.
 * Fails with: NOT_FOUND, IO; MALFORMED (a block that is broken, or none of this label); what each fails
 *             with.
 */
CM_MUST_USE cm_status cm_der_file_walk(const char *path, const char *label, cm_der_file_fn *each,
                                       void *arg, struct cm_error *err);

/* The same of a text in memory, called path in messages. */
CM_MUST_USE cm_status cm_der_text_walk(struct cm_bytes text, const char *path, const char *label,
                                       cm_der_file_fn *each, void *arg, struct cm_error *err);

/* Whether the text is a DER value by its beginning; else it is PEM, or nothing. */
bool cm_text_is_der(struct cm_bytes text);

/* A whole file or standard input, in memory of malloc's, NUL behind it. Fails with: NOT_FOUND, IO. */
CM_MUST_USE cm_status cm_whole_file_read(const char *path, struct cm_bytes *ret_content,
                                         struct cm_error *err);

#endif

/*
 * What the linter has read of a TBSCertificate, before any rule has judged it. Private to lint.c.
 */
#ifndef CM_X509_LINT_READER_H
#define CM_X509_LINT_READER_H

#include "engine/x509/altname.h"
#include "engine/x509/extension.h"
#include "engine/x509/key.h"

#define CM_LINT_EXTENSIONS_MAX 16

struct cm_lint_time {
    uint8_t tag;
    int64_t time_s;
};

struct cm_lint_reading {
    struct cm_bytes serial; /* content */
    struct cm_bytes sigalg; /* the others: tag included */
    struct cm_bytes issuer;
    struct cm_bytes subject;
    struct cm_bytes spki;
    struct cm_lint_time not_before;
    struct cm_lint_time not_after;

    struct cm_extension extensions[CM_LINT_EXTENSIONS_MAX];
    size_t extensions_count;

    /* Values of extensions; as they are here where the extension is absent. */
    struct cm_bytes ski;
    struct cm_bytes aki;
    struct cm_bytes purposes;         /* whole SEQUENCE */
    struct cm_bytes policies;         /* whole SEQUENCE */
    struct cm_bytes name_constraints; /* whole SEQUENCE; its insides are for a rule */
    struct cm_bytes crl_url;
    struct cm_bytes ocsp_url;
    struct cm_bytes ca_issuers_url;
    unsigned key_usage;
    bool ca;
    int path_len; /* CM_PATH_LEN_NONE */

    /* Names. A name that breaks its syntax is counted, and its flag is off. */
    bool subject_is_good;
    unsigned subject_counts[CM_SUBJECT_FIELD_COUNT];
    bool altnames_are_good;
    struct cm_altname_value altnames[CM_ALTNAMES_MAX];
    size_t altnames_count;
};

/* False when it is not strict DER of the one form that certmill writes; refusal says where. */
bool cm_lint_read(struct cm_bytes tbs, struct cm_lint_reading *ret_reading,
                  struct cm_refusal *refusal);

#endif

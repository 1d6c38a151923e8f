/*
 * To-be-signed bytes for tests of the signer's floor: well-formed unless a part says otherwise.
 */
#ifndef CM_TESTS_SUPPORT_TBS_MAKER_H
#define CM_TESTS_SUPPORT_TBS_MAKER_H

#include "engine/base/bytes.h"

#define TBS_SIZE_MAX 4096

/* Hex strings hold DER; NULL stands for the usual. */
struct tbs_parts {
    const char *version;    /* usual: a0 03 02 01 02 */
    const char *serial;     /* content of the INTEGER; usual: 01 */
    const char *issuer;     /* a common name; usual: "CA" */
    int64_t not_before_s;   /* 0: now */
    int64_t not_after_s;    /* 0: not_before_s and a day */
    const char *extensions; /* elements of the SEQUENCE; usual: none but a key usage */
    const char *behind;     /* after the extensions */
};

/* Of the name with this CN, DER. Lives until the process ends. */
struct cm_bytes tbs_name(const char *common_name);

/* The bytes are in memory, which has TBS_SIZE_MAX. */
struct cm_bytes tbs_make(uint8_t *memory, const struct tbs_parts *parts);

/* TBSCertList. */
struct tbs_crl_parts {
    const char *version;                  /* hex of the first element; usual: 02 01 01 */
    const char *issuer;                   /* a common name; usual: "CA" */
    int64_t this_update_s, next_update_s; /* 0: now, and an hour later */
    const char *extensions;               /* elements of the SEQUENCE; usual: a CRL number */
};

struct cm_bytes tbs_make_crl(uint8_t *memory, const struct tbs_crl_parts *parts);

#define TBS_KEY_HASH "101112131415161718191a1b1c1d1e1f20212223" /* of the usual responder */

/* ResponseData. */
struct tbs_response_parts {
    const char *responder_name;           /* a common name; NULL: by key */
    const char *key_hash;                 /* hex; usual: TBS_KEY_HASH */
    const char *hash_algorithm;           /* content of the SEQUENCE; usual: SHA-1, NULL */
    const char *status;                   /* usual: good */
    int64_t produced_s;                   /* 0: now */
    int64_t this_update_s, next_update_s; /* 0: now, and a day later */
    unsigned singles_count;               /* usual: 1 */
    bool is_empty;                        /* no single at all */
    bool has_no_next;                     /* no nextUpdate */
    const char *behind_single;            /* after the times of each */
    const char *behind;                   /* after the responses */
};

struct cm_bytes tbs_make_response(uint8_t *memory, const struct tbs_response_parts *parts);

#endif

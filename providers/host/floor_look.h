/*
 * What the parts of the floor share: one look at one message. floor.c is the lanes and certificates,
 * floor_status.c CRLs and OCSP responses.
 */
#ifndef CM_PROVIDERS_HOST_FLOOR_LOOK_H
#define CM_PROVIDERS_HOST_FLOOR_LOOK_H

#include "engine/x509/der.h"
#include "providers/host/floor.h"

enum { CM_FLOOR_FUTURE_S_MAX = 86400 };

/* What is being looked at, and where the complaint goes. */
struct cm_look {
    const struct cm_floor *floor;
    const struct cm_floor_question *question;
    struct cm_refusal *refusal; /* of the DER reader */
    char *text;
    /* of a TBSCertificate */
    int64_t validity_s_max; /* in this lane */
    bool allows_no_expiry;  /* in this lane */
    bool is_ca, has_netscape_type;
    unsigned usages;
    bool has_ocsp_purpose, has_other_purpose;
};

/* False, always: text says why. */
bool cm_look_deny(struct cm_look *look, const char *why);

/* All of the message is strict DER, and one SEQUENCE, whose inside is to be read. */
bool cm_look_open(struct cm_look *look, struct cm_der *ret_inside);

/* A SEQUENCE, whatever is in it. */
bool cm_look_skip(struct cm_der *der, const char *what);

/* The Name that comes next is the key's own. */
bool cm_look_issuer(struct cm_look *look, struct cm_der *der);

/* floor_status.c */
bool cm_look_response(struct cm_look *look);
bool cm_look_crl(struct cm_look *look);

#endif

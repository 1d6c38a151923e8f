/*
 * What the makers of templates share: the insides of template and composer. Private to this folder.
 */
#ifndef CM_X509_INTERNAL_H
#define CM_X509_INTERNAL_H

#include <openssl/evp.h>

#include "engine/x509/extension.h"
#include "engine/x509/template.h"
#include "engine/x509/text_template.h"

#define CM_TBS_SIZE_MAX  (32 * 1024) /* 64 long names and a key of 8192 bits fit */
#define CM_TEXT_SIZE_MAX (16 * 1024) /* expanded texts of one certificate */

struct cm_composer {
    EVP_MD *hash[2];        /* owned; by enum cm_ski_method */
    EVP_MD_CTX *context[2]; /* owned; initialised once with its hash */
    uint8_t tbs[CM_TBS_SIZE_MAX];
    uint8_t text[CM_TEXT_SIZE_MAX];
};

struct cm_template {
    const struct cm_profile *profile; /* borrowed */
    struct cm_issuer issuer;          /* its spans and strings live in memory */
    struct cm_arena memory;

    struct cm_text_template *subject;      /* one a rule */
    struct cm_text_template *altnames;     /* one a rule */
    struct cm_text_template *altname_oids; /* one a rule; without parts where there is no OID */

    struct cm_bytes head;             /* signature algorithm and issuer */
    struct cm_bytes extensions[2];    /* constant ones; [1] is for RSA keys: key usage differs */
    struct cm_bytes crl_url_parts[2]; /* around ${shard}; empty where the URL is constant */
};

/* The subject alone, tag included, in the arena. Fails as cm_template_compose does. */
bool cm_template_compose_subject(const struct cm_template *template, struct cm_composer *composer,
                                 const struct cm_template_input *in, struct cm_arena *arena,
                                 struct cm_bytes *ret_name, struct cm_refusal *refusal);

#endif

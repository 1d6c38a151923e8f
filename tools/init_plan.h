/*
 * What `certmill init` is asked to make. Private to tools/init*.c.
 */
#ifndef CM_TOOLS_INIT_PLAN_H
#define CM_TOOLS_INIT_PLAN_H

#include "engine/base/arena.h"
#include "engine/base/status.h"
#include "engine/settings/settings.h"
#include "tools/command.h"
#include "tools/new_authority.h"
#include "tools/new_files.h"

struct cm_init_plan {
    const struct cm_call *call;
    const char *folder;
    const char *organization; /* NULL: none */
    /* where the keys live */
    const char *provider;      /* kind: "openssl", "pkcs11", "keyvault" */
    const char *module;        /* pkcs11; NULL: the token's URI names it */
    const char *token;         /* pkcs11: URI that the keys' references begin with */
    const char *vault_options; /* keyvault: JSON, once the folder is there */
    const char
        *key_label;       /* pkcs11, keyvault: the keys are called LABEL-root and LABEL-issuing-1 */
    const char *root_key; /* reference of one that is there; NULL: one is made */
    const char *issuing_key;     /* the same */
    const char *passphrase;      /* secret reference as it stands in the settings, or NULL */
    const char *passphrase_from; /* the same with an absolute path, once the folder is there */
    enum cm_key_type key_type;
    uint32_t key_bits; /* RSA */
    bool sub_ca;       /* the issuing CA may sign CAs below it */
    /* what is around them */
    const char *queue;     /* "spool", "redis" */
    const char *redis_url; /* NULL with the spool */
    const char *base_url;  /* of CRLs, OCSP and CA certificates; NULL: none in certificates */
    const char *listen;    /* of the status service; NULL: there is none */
    struct cm_arena *arena;
    struct cm_new_files *files;
};

/* Keys live in a token, not in files. */
bool cm_init_is_in_token(const struct cm_init_plan *plan);

/* The same of a key vault. */
bool cm_init_is_in_vault(const struct cm_init_plan *plan);

/* ", in its token", ", in its vault", "". */
const char *cm_init_place(const struct cm_init_plan *plan);

/* The provider instance of the plan: "soft", "hsm" or "vault". */
const char *cm_init_provider_name(const struct cm_init_plan *plan);

/* An authority that init has made. Spans live in the plan's arena. */
struct cm_init_authority {
    struct cm_new_authority ca;
    const char *key_path; /* the new file; NULL: not in a file, or it was there already */
    const char *path;     /* of the certificate */
};

/* Text of certmill.yaml, in the plan's arena. */
struct cm_bytes cm_init_settings_text(const struct cm_init_plan *plan);

/*
 * Makes both keys, the self-signed root and the issuing certificate, and writes ca/. The session is
 * the caller's, who closes both keys (cm_new_authority_close_key) when all is done, or undone.
 * Fails with: EXISTS, IO, and what providers and templates fail with.
 */
CM_MUST_USE cm_status cm_init_make_authorities(const struct cm_init_plan *plan,
                                               struct cm_provider_session *session,
                                               struct cm_init_authority *ret_root,
                                               struct cm_init_authority *ret_issuing,
                                               struct cm_error *err);

#endif

/*
 * What `certmill init` is asked to make. Private to tools/init*.c.
 */
#ifndef CM_TOOLS_INIT_PLAN_H
#define CM_TOOLS_INIT_PLAN_H

#include "engine/base/arena.h"
#include "engine/base/status.h"
#include "engine/settings/settings.h"
#include "tools/new_files.h"

struct cm_init_plan {
    const char *folder;
    const char *organization;    /* NULL: none */
    const char *passphrase;      /* secret reference as it stands in the settings, or NULL */
    const char *passphrase_from; /* the same with an absolute path, once the folder is there */
    const char *queue;           /* "spool", "redis" */
    const char *redis_url;       /* NULL with the spool */
    const char *base_url;        /* of CRLs, OCSP and CA certificates; NULL: none in certificates */
    bool sub_ca;                 /* the issuing CA may sign CAs below it */
    enum cm_key_type key_type;
    uint32_t key_bits; /* RSA */
    struct cm_arena *arena;
    struct cm_new_files *files;
};

/* A certificate of an authority that init has made. Spans live in the plan's arena. */
struct cm_init_authority {
    const char *name;     /* "root", "issuing" */
    const char *key;      /* reference within the provider: "file:root.pem" */
    const char *key_path; /* the file */
    const char *path;     /* of the certificate */
    struct cm_bytes der;
    enum cm_sigalg sigalg;
    char fingerprint[65]; /* SHA-256 of der, hex */
};

/* Text of certmill.yaml, in the plan's arena. */
struct cm_bytes cm_init_settings_text(const struct cm_init_plan *plan);

/*
 * Makes both keys, the self-signed root and the issuing certificate, and writes keys/ and ca/.
 * Fails with: EXISTS, IO, and what providers and templates fail with.
 */
CM_MUST_USE cm_status cm_init_make_authorities(const struct cm_init_plan *plan,
                                               struct cm_init_authority *ret_root,
                                               struct cm_init_authority *ret_issuing,
                                               struct cm_error *err);

#endif

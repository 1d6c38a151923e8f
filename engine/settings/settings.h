/*
 * Settings: one YAML file, read into one immutable struct.
 *
 * cm_settings_read checks everything that can be checked without opening keys, queue or store:
 * unknown keys, types, ranges, names that refer to nothing. The first fault stops it, with file,
 * line and what was expected:
 *
 *     certmill.yaml:12: groups[0].authority: "isuing" is not an authority (there is: issuing)
 *
 * Relative paths in the file are relative to the file's folder; in the struct they are absolute or
 * relative to the working directory, ready for open(). Durations are written "5s", "15m", "24h",
 * "365d" or "4ms"; here they are numbers with the unit in the name. Reload builds a second struct
 * and swaps it; nothing here is written after it was made.
 *
 * docs/reference/settings.md explains every key; docs and reader share one table.
 *
 * Owns: cm_settings owns every string and array it points at. Thread: any, read-only.
 */
#ifndef CM_ENGINE_SETTINGS_H
#define CM_ENGINE_SETTINGS_H

#include "engine/base/auth.h"
#include "engine/base/ceremony.h"
#include "engine/base/status.h"
#include "engine/x509/profile.h"

enum cm_queue_kind { CM_QUEUE_KIND_SPOOL, CM_QUEUE_KIND_REDIS };

struct cm_settings_spool {
    const char *folder;      /* holds incoming/, answered/, refused/; default "spool" */
    const char *requester;   /* default "local" */
    const char *device_from; /* "file-name" (default), "cn", "serial-number" */
};

struct cm_settings_redis {
    const char *url;
    const char *tls_ca;          /* with rediss://; NULL: the system's */
    const char *tls_certificate; /* NULL: none */
    const char *tls_key;         /* NULL: none */
    const char *tls_server_name; /* NULL: the host of the URL */
    const char *prefix;          /* default "certmill" */
    const char *consumer;        /* default: host name and process id */
    const char *password;        /* secret reference, or NULL */
    uint32_t lease_ms;           /* default 60 s */
    uint32_t deliveries_max;     /* default 5 */
    uint32_t results_max;        /* default 0: never trimmed */
    uint32_t notices_max;        /* default 0: never trimmed */
};

struct cm_settings_provider {
    const char *name;
    const char *kind;       /* "openssl", "pkcs11", "keyvault" */
    const char *module;     /* pkcs11: of the vendor; or NULL */
    const char *keys;       /* folder that relative key references start in */
    const char *passphrase; /* secret reference, or NULL */
    uint32_t workers;       /* 0: the backend decides */
    const char *
        options; /* as providers/keyvault/options.h or providers/openssl/options.h read them; else NULL */
    uint32_t call_deadline_ms; /* of a signer process; default 10 s */
};

/* What happens when a key of an authority has issued for long enough. X(SYMBOL, name) */
#define CM_ROTATION_MAP(X)                                                                         \
    X(WARN, "warn")           /* it is said */                                                     \
    X(PREPARE, "prepare")     /* and the next one is made */                                       \
    X(AUTOMATIC, "automatic") /* and issues when its turn has come */

enum cm_rotation {
#define X(symbol, name) CM_ROTATION_##symbol,
    CM_ROTATION_MAP(X)
#undef X
        CM_ROTATION_COUNT
};

struct cm_settings_authority {
    const char *name;
    const char
        *crl_url; /* http; may hold ${shard} and ${issuer}; NULL: no CRL distribution point */
    const char *ocsp_url;
    const char *ca_issuers_url; /* may hold ${issuer} */
    uint32_t crl_shards;        /* default 1 */
    uint32_t crl_validity_s;    /* nextUpdate - thisUpdate; default 7 d */
    uint32_t crl_overlap_s;     /* a CRL is renewed when so much is left of it; default 3 d */
    uint32_t crl_delay_ms;      /* from a revocation to its CRL; default 5 s */
    uint32_t delta_validity_s;  /* of a delta CRL; default 0: there are none */
    uint32_t ocsp_validity_s;   /* nextUpdate - thisUpdate; default 1 d */
    const struct cm_settings_provider
        *ocsp_responder;           /* delegated keys live there; NULL: the CA's own
                                                          keys sign */
    uint32_t responder_validity_s; /* of a delegated responder's certificate; default 30 d */
    bool keeps_on_compromise;      /* what a key has issued stays good when it is compromised */
    uint32_t signatures_per_s_max; /* of one key; default 50,000 */
    /* engine/schedule.h */
    int64_t issues_for_ms;   /* a key of it; 0: there is no schedule */
    int64_t rotate_ahead_ms; /* the next one is made so long before; default a tenth */
    enum cm_rotation rotation;
    bool destroys_retired_keys; /* with AUTOMATIC; default false: they are archived */
};

/* Which key a renewal may ask a certificate for. X(SYMBOL, name) */
#define CM_RENEWAL_KEY_MAP(X)                                                                      \
    X(EITHER, "either")                                                                            \
    X(SAME, "same") /* that of the certificate that is renewed */                                  \
    X(NEW, "new")   /* one that was never certified */

enum cm_renewal_key {
#define X(symbol, name) CM_RENEWAL_KEY_##symbol,
    CM_RENEWAL_KEY_MAP(X)
#undef X
        CM_RENEWAL_KEY_COUNT
};

struct cm_settings_group {
    const char *name;
    const struct cm_settings_authority *authority;
    const struct cm_profile *const *profiles; /* allowed; the first is the default */
    uint32_t profiles_count;
    uint32_t rate_per_s;    /* requests; 0: no limit */
    uint32_t burst;         /* requests; default: rate_per_s */
    uint64_t quota_per_day; /* certificates; 0: no limit */
    bool reinstates_fresh;  /* a device comes back without its certificates; default false */
    bool reuse_key;         /* a device may be certified again for a key of its own; default true */
    int64_t renewal_window_s; /* before a certificate's end; 0: it is renewed at any time */
    int64_t renewal_grace_s;  /* after its end; default 0: it is not renewed any more */
    enum cm_renewal_key renewal_key;
};

/* What a requester may ask for. X(SYMBOL, name): as in the field op of requests. */
#define CM_OPERATION_MAP(X)                                                                        \
    X(ISSUE, "issue")                                                                              \
    X(RENEW, "renew")                                                                              \
    X(REVOKE, "revoke")                                                                            \
    X(QUARANTINE, "quarantine")                                                                    \
    X(REINSTATE, "reinstate")                                                                      \
    X(RETIRE, "retire")

enum cm_operation {
#define X(symbol, name) CM_OPERATION_##symbol,
    CM_OPERATION_MAP(X)
#undef X
        CM_OPERATION_COUNT
};

#define CM_OPERATION_BIT(operation) (1u << (operation))

const char *cm_operation_name(enum cm_operation operation); /* "issue" */
bool cm_operation_find(struct cm_bytes name, enum cm_operation *ret_operation);

/* It changes what certificates are worth; else a certificate comes of it. */
static inline bool cm_operation_is_order(enum cm_operation operation)
{
    return operation != CM_OPERATION_ISSUE && operation != CM_OPERATION_RENEW;
}

struct cm_settings_requester {
    const char *name;
    const struct cm_settings_group *const *groups; /* it may ask for; */
    uint32_t groups_count;                         /* 0 is none: default deny */
    uint32_t rate_per_s;
    uint32_t burst;
    uint64_t quota_per_day;
    unsigned operations;        /* CM_OPERATION_BIT()s it has a right to; default: issue, renew */
    bool remember_refusals;     /* the same id gets the same refusal again; default true */
    bool groups_results;        /* several results may stand in one entry; default false */
    enum cm_auth_method auth;   /* default none */
    const char *const *secrets; /* HMAC_SHA256: references; the first is the one to sign with */
    uint32_t secrets_count;
    const uint8_t (*public_keys)[CM_AUTH_PUBLIC_KEY_SIZE]; /* ED25519 */
    uint32_t public_keys_count;
    int64_t clock_window_ms; /* default 5 min */
};

/* Someone whose signature approves plans (engine/authority/approval.h). */
struct cm_settings_operator {
    const char *name;
    struct cm_bytes key; /* SubjectPublicKeyInfo, DER: Ed25519 or P-256 */
    const char *const *roles;
    uint32_t roles_count;
};

/* How many of them an operation wants. */
struct cm_settings_dual_control {
    enum cm_ceremony operation;
    uint32_t approvals; /* of different operators, at least 2 */
    const char *role;   /* that each of them has; NULL: any will do */
    int64_t valid_s;    /* from the preparation of a plan to its end; default 1 d */
};

struct cm_settings_status {
    const char
        *listen; /* "127.0.0.1:8080", "[::1]:8080"; port 0: the system's choice; NULL: no service */
    uint32_t threads;           /* default 2 */
    uint32_t connections_max;   /* default 1,000 */
    uint32_t deadline_ms;       /* of a request, and of taking its answer; default 10 s */
    uint32_t ocsp_answers_max;  /* kept at a time; default 100,000 */
    const char *publish_folder; /* CRLs and CA certificates are written below it, under the paths of
                                   their URLs; NULL: not */
};

struct cm_settings_audit {
    const char *key; /* reference; NULL: there are no checkpoints */
    const struct cm_settings_provider *provider;
    uint32_t interval_ms;     /* default 1 min */
    uint32_t rows;            /* default 10,000 */
    const char *file;         /* checkpoints are appended to it; NULL: none */
    const char *redis_stream; /* and to this one, of the queue's Redis; NULL: none */
};

struct cm_settings_engine {
    uint32_t workers;           /* CPU threads; 0: as many as processors */
    uint32_t batch_items_max;   /* default 256 */
    uint32_t batch_age_ms_max;  /* default 4 */
    uint32_t batches_in_flight; /* default 8 */
    uint32_t intent_hold_s;     /* an open intent waits so long for its request; default 1 h */
    uint32_t
        clock_step_s_max; /* the wall clock may lie so far before the store's last row; default 5 s */
    uint32_t check_signatures; /* of ECDSA and Ed25519: every n-th is verified before it leaves;
                                     default 1 (all). RSA: always all */
    bool forgoes_lanes;        /* no multi-buffer arithmetic; default: where there is any */
    bool signs_inline; /* providers are opened in this process; default: in signer processes */
};

struct cm_settings {
    const char *path;   /* of the file */
    const char *folder; /* it lies in */
    const char *store_path;
    enum cm_queue_kind queue_kind;
    struct cm_settings_spool spool;
    struct cm_settings_redis redis;
    const struct cm_settings_provider *providers;
    uint32_t providers_count;
    const struct cm_settings_authority *authorities;
    uint32_t authorities_count;
    const struct cm_profile *const *profiles; /* built-in ones and those of the file */
    uint32_t profiles_count;
    const struct cm_settings_group *groups;
    uint32_t groups_count;
    const char *const *fresh_groups; /* names of those with reinstates_fresh */
    uint32_t fresh_groups_count;
    const struct cm_settings_requester *requesters;
    uint32_t requesters_count;
    const struct cm_settings_operator *operators;
    uint32_t operators_count;
    const struct cm_settings_dual_control *dual_control;
    uint32_t dual_control_count;
    struct cm_settings_engine engine;
    struct cm_settings_status status;
    struct cm_settings_audit audit;
    uint8_t sha256[32]; /* of the file as it was read */
};

/*
 * Owns:       *ret_settings is the caller's, until cm_settings_free.
 * Fails with: NOT_FOUND, IO, MALFORMED; err->text begins with "FILE:LINE: ".
 */
CM_MUST_USE cm_status cm_settings_read(const char *path, struct cm_settings **ret_settings,
                                       struct cm_error *err);
void cm_settings_free(struct cm_settings *settings);

/* NULL when there is none of that name. */
const struct cm_settings_provider *cm_settings_provider(const struct cm_settings *settings,
                                                        const char *name);
const struct cm_settings_authority *cm_settings_authority(const struct cm_settings *settings,
                                                          const char *name);
const struct cm_settings_group *cm_settings_group(const struct cm_settings *settings,
                                                  struct cm_bytes name);
const struct cm_settings_requester *cm_settings_requester(const struct cm_settings *settings,
                                                          struct cm_bytes name);
const struct cm_profile *cm_settings_profile(const struct cm_settings *settings,
                                             struct cm_bytes name);
const struct cm_settings_operator *cm_settings_operator(const struct cm_settings *settings,
                                                        struct cm_bytes name);

/* What the operation wants; NULL: nothing, it is not marked. A cross-sign that is not marked itself wants what a
 * create does: whoever has marked that means every CA below ours. */
const struct cm_settings_dual_control *cm_settings_dual_control(const struct cm_settings *settings,
                                                                enum cm_ceremony operation);

/* Whether the operator counts where role (NULL: any) is asked for. */
bool cm_settings_operator_counts(const struct cm_settings_operator *operator, const char * role);

/* A duration as settings have them ("90s", "365d"), in whole seconds. False: the text is none. */
bool cm_duration_read(const char *text, int64_t *ret_s);

#endif

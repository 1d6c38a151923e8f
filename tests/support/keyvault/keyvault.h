/*
 * keyvault_emulator: Azure Key Vault's keys REST API for tests, a program of its own (one process, one
 * vault, one thread). Keys are real, signatures are real, and it misbehaves as it is told.
 *
 *     keyvault_emulator --folder /tmp/vault --until-eof
 *     {"port":40001,"control_port":40002,"certificate":"/tmp/vault/tls.pem"}
 *
 * `port` speaks TLS: the vault, and the token endpoint POST /TENANT/oauth2/v2.0/token. `control_port`
 * speaks plain HTTP: managed identity (GET /metadata/identity/oauth2/token, GET /msi/token), and the
 * test's own levers, which need no token:
 *
 *     POST   /emulator/faults          one fault or a list of them; they queue up (faults.c says how)
 *     DELETE /emulator/faults          none from now on
 *     GET    /emulator/statistics      what was asked and answered so far; `requests` has the refused ones too
 *     POST   /emulator/tokens/revoke   every bearer token is unknown from now on
 *     POST   /emulator/throttle        {"scale":0.1, "on", "sliding", "count_throttled", "period_ms",
 *                                  "retry_after"}: changes what --throttle and its companions say
 *     any    /emulator/vault/...       the vault without token, latency, throttle, faults and statistics:
 *                                  POST /emulator/vault/keys/NAME/create?api-version=7.6
 *
 * `--help` lists the options. tests/support/keyvault.py and keyvault_process.h start and stop it.
 *
 * What the real service does is not known in every point. Where it is not, this is what the emulator does:
 *
 *   - The token is looked at before api-version, and both before the path.
 *   - 403's inner codes are KeyDisabled, KeyNotYetValid, KeyExpired and KeyOperationForbidden. There is
 *     no clock tolerance around nbf and exp.
 *   - An unversioned call means the newest version, disabled or not.
 *   - A version whose key_ops lack the operation, and one that does not fit alg, answer as 403 and 400.
 *   - key_ops default to everything that the type can do, but not "import".
 *   - Lists are in the order of their identifiers, so nobody learns that the newest comes last.
 *   - Coordinates and JWK integers of EC keys have the field's full size; RSA's n has the modulus's.
 *   - Create, import, key and other transactions are throttled each on a sum of its own; GET of a key,
 *     PATCH and DELETE count as key transactions, rotate as create. What fails with 401 is not counted,
 *     what fails otherwise is. A fixed window begins with the first request after the last one ended.
 *   - Deletion, recovery and purge are done when they are answered.
 *   - A client that leaves while its answer waits is noticed when the answer is due.
 *   - PSS salts are as long as the digest; when verifying too.
 *
 * Not there: encrypt, decrypt, wrapKey, unwrapKey, release, backup, restore, rng, attestation, rotation
 * policies, P-256K, oct keys, certificates and secrets, Managed HSM, permissions.
 *
 * The program's files: main.c starts and ends it; options.c; certificate.c makes what TLS shows;
 * server.c listens; exchange.c is one request and its answer; vault.c is the table of the API;
 * handlers.c what each does; keys.c the store of keys and versions; material.c makes and reads key
 * material; byok.c opens transfer blobs; sign.c; tokens.c gives and checks tokens; entra.c is the token
 * endpoint; assertion.c reads client assertions; identity.c is managed identity; throttle.c; faults.c;
 * control.c; text.c is base64url and the like.
 */
#ifndef CM_TESTS_SUPPORT_KEYVAULT_KEYVAULT_H
#define CM_TESTS_SUPPORT_KEYVAULT_KEYVAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>

/* ------------------------------------------------------------------ operations -- */

/* As faults and statistics call them. "other" is what no line of the API's table says. */
#define KV_OPERATIONS(X)                                                                           \
    X(sign)                                                                                        \
    X(verify)                                                                                      \
    X(get)                                                                                         \
    X(create)                                                                                      \
    X(import)                                                                                      \
    X(update)                                                                                      \
    X(rotate)                                                                                      \
    X(delete)                                                                                      \
    X(list)                                                                                        \
    X(versions)                                                                                    \
    X(deleted)                                                                                     \
    X(token)                                                                                       \
    X(identity)                                                                                    \
    X(other)

enum kv_operation {
#define X(name) KV_OPERATION_##name,
    KV_OPERATIONS(X)
#undef X
        KV_OPERATION_COUNT
};

struct kv_exchange;
extern const char *const kv_operation_names[KV_OPERATION_COUNT];

/* ------------------------------------------------------------------ options.c -- */

enum kv_challenge {
    KV_CHALLENGE_RESOURCE, /* authorization, resource */
    KV_CHALLENGE_URI,      /* authorization_uri, resource */
    KV_CHALLENGE_SCOPE,    /* authorization, scope */
    KV_CHALLENGE_BOTH,     /* authorization, resource and scope */
    KV_CHALLENGE_BESIDE    /* authorization, resource; behind other schemes */
};

struct kv_throttle_options {
    bool on, sliding, count_throttled;
    double scale;
    int period_ms;
    int retry_after_s; /* < 0: no header */
};

struct kv_options {
    const char *folder;
    int port, control_port;
    bool until_eof, any_token;
    const char *tenant, *client_id, *client_secret, *client_certificate, *federated_token;
    const char *resource, *challenge_resource, *authority, *identity_header, *region;
    enum kv_challenge challenge;
    int token_life_s, refresh_in_s; /* refresh_in_s < 0: not said */
    int latency_ms, jitter_ms, idle_s;
    struct kv_throttle_options throttle;
};

/* Ends the program for --help and for what it cannot read. */
void kv_options_read(struct kv_options *options, int argc, char **argv);

/* ------------------------------------------------------------------ keys.c -- */

enum kv_family { KV_EC, KV_RSA };

struct kv_type {
    enum kv_family family;
    bool is_hsm;
    int bits; /* RSA: of the modulus; EC: 256, 384, 521 */
    unsigned long public_exponent;
};

struct kv_attributes {
    bool enabled;
    json_int_t nbf, exp; /* < 0: none */
};

struct kv_version {
    struct kv_version *next; /* the one before it */
    char id[33];
    struct kv_type type;
    EVP_PKEY *pkey;
    json_t *jwk; /* kty and the public members */
    json_t *key_ops, *tags;
    struct kv_attributes attributes;
    json_int_t created, updated;
    EVP_PKEY_CTX *signing; /* of the algorithm used last */
    const struct kv_algorithm *signing_algorithm;
};

struct kv_key {
    struct kv_key *next;
    char name[128]; /* as it was first spelt */
    struct kv_version *newest;
    json_int_t deleted; /* when; 0: it is not */
};

enum { KV_BUCKETS = 1024, KV_RETENTION_DAYS = 90 };

struct kv_keys {
    struct kv_key *buckets[KV_BUCKETS];
};

bool kv_name_is_good(const char *name);
struct kv_key *kv_keys_find(struct kv_keys *keys, const char *name);

/* Takes the version over; the name's key comes to be with its first. */
struct kv_key *kv_keys_add(struct kv_keys *keys, const char *name, struct kv_version *version);
void kv_keys_purge(struct kv_keys *keys, struct kv_key *key);
void kv_keys_done(struct kv_keys *keys);

/* The newest where id is NULL or empty; NULL when there is none. */
struct kv_version *kv_key_version(const struct kv_key *key, const char *id);

/* Takes the key over. NULL: out of memory. */
struct kv_version *kv_version_new(EVP_PKEY *pkey, const struct kv_type *type);
void kv_version_free(struct kv_version *version);
bool kv_version_may(const struct kv_version *version, const char *operation);

/* ------------------------------------------------------------------ material.c -- */

/* "EC-HSM" and the like; kv_type_read also wants crv or key_size. False: no such type. */
const char *kv_kty_name(const struct kv_type *type);
const char *kv_curve_name(int bits);
bool kv_type_read(json_t *members, struct kv_type *ret_type);

EVP_PKEY *kv_material_generate(const struct kv_type *type);

/* From a JWK with its private members; checked. NULL: it is none. */
EVP_PKEY *kv_material_read(json_t *jwk, struct kv_type *ret_type);

/* The type of a key that came from outside. False: not one that a vault takes. */
bool kv_material_type(EVP_PKEY *pkey, struct kv_type *ret_type);

/* kty and the public members. */
json_t *kv_material_jwk(EVP_PKEY *pkey, const struct kv_type *type);

/* ------------------------------------------------------------------ byok.c -- */

/* Opens a transfer blob (base64 of the file). NULL: *ret_reason says why not. */
EVP_PKEY *kv_byok_open(struct kv_keys *keys, const char *blob, const char **ret_reason);

/* ------------------------------------------------------------------ sign.c -- */

enum { KV_SIGNATURE_SIZE_MAX = 512, KV_DIGEST_SIZE_MAX = 64 };

/* NULL: no such algorithm. */
const struct kv_algorithm *kv_algorithm_find(const char *name);
size_t kv_algorithm_digest_size(const struct kv_algorithm *algorithm);
bool kv_algorithm_fits(const struct kv_algorithm *algorithm, const struct kv_type *type);

/* The digest has the algorithm's size. The signature's size; 0: OpenSSL failed. */
size_t kv_sign(struct kv_version *version, const struct kv_algorithm *algorithm,
               const uint8_t *digest, uint8_t *ret_signature);
bool kv_verify(struct kv_version *version, const struct kv_algorithm *algorithm,
               const uint8_t *digest, const uint8_t *signature, size_t signature_size);

/* ------------------------------------------------------------------ tokens.c -- */

struct kv_tokens {
    struct kv_token *list;
    size_t count, capacity;
};

/* A token for the vault; valid for the time of the option. The text is the list's, and begins with
 * "emulator-token-", for whoever looks for tokens where none belong. */
const char *kv_tokens_give(struct kv_tokens *tokens, int life_s);
bool kv_tokens_know(const struct kv_tokens *tokens, const char *text);
void kv_tokens_revoke(struct kv_tokens *tokens);

/* ------------------------------------------------------------------ throttle.c -- */

enum kv_budget {
    KV_BUDGET_KEYS,
    KV_BUDGET_CREATE,
    KV_BUDGET_IMPORT,
    KV_BUDGET_OTHER,
    KV_BUDGET_COUNT
};

enum { KV_WINDOW_SLICES = 200 };

struct kv_window {
    int64_t begin_ms; /* fixed: when it began; 0: it has not */
    int64_t sum;
    int64_t slice[KV_WINDOW_SLICES], slice_number[KV_WINDOW_SLICES]; /* sliding */
};

struct kv_throttle {
    struct kv_throttle_options options;
    struct kv_window windows[KV_BUDGET_COUNT];
};

/* What a transaction with a key of this type costs of KV_BUDGET_KEYS. */
int kv_throttle_cost(const struct kv_type *type);

/* Counts one transaction; false: it is one too many. */
bool kv_throttle_take(struct kv_throttle *throttle, enum kv_budget budget, int cost);

/* ------------------------------------------------------------------ faults.c -- */

#define KV_FAULTS(X)                                                                               \
    X(none, "none")                                                                                \
    X(status, "status")                                                                            \
    X(slow, "slow")                                                                                \
    X(truncate, "truncate")                                                                        \
    X(close_before, "close-before")                                                                \
    X(close_after_headers, "close-after-headers")                                                  \
    X(wrong_kid, "wrong-kid")                                                                      \
    X(wrong_version, "wrong-version")                                                              \
    X(bad_signature, "bad-signature")                                                              \
    X(bad_json, "bad-json")                                                                        \
    X(huge, "huge")                                                                                \
    X(empty, "empty")

enum kv_fault_kind {
#define X(name, text) KV_FAULT_##name,
    KV_FAULTS(X)
#undef X
        KV_FAULT_COUNT
};

struct kv_fault {
    struct kv_fault *next;
    int on; /* an operation; -1: any */
    enum kv_fault_kind kind;
    int status;
    int delay_ms;
    char retry_after[64]; /* empty: no header */
    int64_t left;         /* times to play; < 0: until cleared */
    int64_t every, seen;
    int64_t size; /* of huge */
};

struct kv_faults {
    struct kv_fault *first;
};

/* One object or a list of them. False: nothing was queued, *ret_reason says why. */
bool kv_faults_add(struct kv_faults *faults, json_t *request, const char **ret_reason);
void kv_faults_clear(struct kv_faults *faults);

/* The fault that this request meets; kind none for most. */
struct kv_fault kv_faults_take(struct kv_faults *faults, enum kv_operation operation);

/* ------------------------------------------------------------------ the emulator -- */

struct kv_statistics {
    uint64_t requests[KV_OPERATION_COUNT];
    uint64_t signed_count, throttled, unauthorized, faults, tokens, connections;
    uint64_t connections_open, signs_in_flight, signs_in_flight_max;
};

struct kv_emulator {
    struct kv_options options;
    struct event_base *base;
    SSL_CTX *tls;
    struct evhttp *vault, *control;
    int port, control_port;
    X509 *client_certificate; /* NULL: no assertions are taken */
    json_t *used_jti;
    struct kv_keys keys;
    struct kv_tokens tokens;
    struct kv_throttle throttle;
    struct kv_faults faults;
    struct kv_statistics statistics;
    struct kv_exchange *exchanges; /* that have no answer yet */
};

/* ------------------------------------------------------------------ exchange.c -- */

/* One request and its answer. Handlers set the answer; whoever routed finishes it. */
struct kv_exchange {
    struct kv_exchange *next, **previous; /* of the emulator's */
    struct kv_emulator *emulator;
    struct evhttp_request *http;
    enum kv_operation operation;
    bool is_trusted;  /* came over the control port */
    bool has_latency; /* the vault's */
    enum evhttp_cmd_type method;
    char host[128]; /* of kid */
    char *path;     /* decoded, without a slash at its end */
    struct evkeyvalq query;
    json_t *body; /* an object, or NULL */
    struct kv_fault fault;
    /* what the path names */
    const char *name, *version_id;
    struct kv_key *key;
    struct kv_version *version;
    /* the answer */
    int status;
    json_t *answer;   /* NULL: no body */
    char *raw_answer; /* instead */
    struct event *timer;
};

struct kv_exchange *kv_exchange_new(struct kv_emulator *emulator, struct evhttp_request *http);

/* Counts it; trusted ones do without. */
void kv_exchange_begin(struct kv_exchange *exchange, enum kv_operation operation);

/* Sends the answer, later where latency or a fault say so, and frees. */
void kv_exchange_finish(struct kv_exchange *exchange);

/* At the end of the program: no answer any more. */
void kv_exchange_drop(struct kv_exchange *exchange);

void kv_exchange_header(struct kv_exchange *exchange, const char *name, const char *value);
const char *kv_exchange_asked_header(const struct kv_exchange *exchange, const char *name);

/* NULL when the query has no such parameter. */
const char *kv_exchange_parameter(const struct kv_exchange *exchange, const char *name);

/* Takes the JSON over. */
void kv_answer(struct kv_exchange *exchange, int status, json_t *answer);

/* The service's error shape; inner may be NULL. */
void kv_refuse(struct kv_exchange *exchange, int status, const char *code, const char *inner,
               const char *format, ...) __attribute__((format(printf, 5, 6)));

/* ------------------------------------------------------------------ the stations -- */

/* vault.c: path is without /emulator/vault. */
void kv_vault_request(struct kv_exchange *exchange, char *path);

/* Plays the next fault of the operation; true: it is the answer, and nothing else is done. */
bool kv_exchange_meets_fault(struct kv_exchange *exchange);

/* handlers.c */
void kv_handle_create(struct kv_exchange *exchange);
void kv_handle_import(struct kv_exchange *exchange);
void kv_handle_get(struct kv_exchange *exchange);
void kv_handle_update(struct kv_exchange *exchange);
void kv_handle_rotate(struct kv_exchange *exchange);
void kv_handle_delete(struct kv_exchange *exchange);
void kv_handle_get_deleted(struct kv_exchange *exchange);
void kv_handle_recover(struct kv_exchange *exchange);
void kv_handle_purge(struct kv_exchange *exchange);
void kv_handle_sign(struct kv_exchange *exchange);
void kv_handle_verify(struct kv_exchange *exchange);

/* lists.c */
void kv_handle_list(struct kv_exchange *exchange);
void kv_handle_versions(struct kv_exchange *exchange);
void kv_handle_list_deleted(struct kv_exchange *exchange);

/* bundle.c: the answers' shapes. */
json_t *kv_bundle(const struct kv_exchange *exchange, const struct kv_key *key,
                  const struct kv_version *version);
json_t *kv_deleted_bundle(const struct kv_exchange *exchange, const struct kv_key *key);
/* with_version: whether kid says it. */
json_t *kv_list_item(const struct kv_exchange *exchange, const struct kv_key *key,
                     const struct kv_version *version, bool with_version);
json_t *kv_deleted_item(const struct kv_exchange *exchange, const struct kv_key *key);
/* Without a version where it is NULL. */
json_t *kv_kid(const struct kv_exchange *exchange, const struct kv_key *key,
               const struct kv_version *version);

/* entra.c: true when the path is one of its own; the exchange is then answered. */
bool kv_entra_request(struct kv_exchange *exchange);

/* assertion.c: NULL when the JWT is good, or why it is not ("AADSTS...: ..."). */
const char *kv_assertion_check(struct kv_exchange *exchange, const char *jwt, const char *client);

/* identity.c and control.c: the plain port. */
bool kv_identity_request(struct kv_exchange *exchange);
void kv_control_request(struct kv_exchange *exchange);

/* server.c: both listeners. False: it has said why not. */
bool kv_server_start(struct kv_emulator *emulator);
void kv_server_stop(struct kv_emulator *emulator);

/* certificate.c: a self-signed certificate, written to path; for 127.0.0.1, localhost, and
 * pool.managedhsm.localhost, which clients take for a Managed HSM. NULL: it has said why not. */
SSL_CTX *kv_certificate_make(const char *path);

/* ------------------------------------------------------------------ text.c -- */

/* Base64url without padding; the text is the caller's (free). */
char *kv_base64url(const uint8_t *bytes, size_t size);

/* Either alphabet, with or without padding. Size; -1: it is none, or needs more than size_max. */
long kv_base64_read(const char *text, uint8_t *ret_bytes, size_t size_max);

/* The same into memory of its own (free). NULL: it is none. */
uint8_t *kv_base64_new(const char *text, size_t *ret_size);

json_t *kv_json_base64url(const uint8_t *bytes, size_t size);
void kv_random_hex(char *ret_text, size_t characters);
void kv_random_uuid(char ret_text[37]);
int64_t kv_now_ms(void); /* monotonic */

#endif

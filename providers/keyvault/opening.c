/*
 * Opening: from a reference to a key that has been proved.
 *
 *     open     read the key (without a version: the newest enabled one) -> handle -> proof
 *     create   is the name free? -> make it, or import it -> handle -> proof
 *
 * Each step is one call to the vault, whose answer begins the next.
 */
#include "providers/keyvault/internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/base64url.h"
#include "engine/base/clock.h"
#include "providers/verify.h"

enum {
    DEADLINE_S = 30,
    PROOFS_MAX = 4,       /* a key that was just made may be refused for a moment */
    PROOF_WAIT_MS = 1000, /* before it is tried again */
    PAGES_MAX = 64,       /* of versions: 25 on each */
    NEXT_PAGE_SIZE_MAX = 2048
};

struct opening {
    struct cm_keyvault *self;
    struct cm_vault *vault;
    struct cm_vault_uri uri;
    enum cm_sigalg alg;
    cm_key_opened_fn *opened;
    void *arg;
    struct cm_vault_call call;
    char url[CM_KEYVAULT_URL_SIZE + NEXT_PAGE_SIZE_MAX];
    char *body;                  /* owned */
    bool is_new, is_perhaps_new; /* made here */
    struct cm_key_spec spec;
    uint8_t *blob; /* of the spec, owned */
    /* the newest enabled version so far */
    struct cm_vault_uri newest;
    int64_t newest_s;
    unsigned pages_count;
    char *next_page; /* owned */
    /* the proof */
    struct cm_vault_key *key;
    uint8_t hash[EVP_MAX_MD_SIZE];
    size_t hash_size;
    char sign_body[CM_VAULT_SIGN_BODY_SIZE];
    unsigned proofs_count;
    struct cm_timer timer;
    struct cm_task refusal;
    struct cm_error err;
};

/* ------------------------------------------------------------------ the end -- */

static void finish(struct opening *opening, cm_status status, const struct cm_error *err)
{
    struct cm_key *key = status == CM_OK ? &opening->key->key : NULL;
    const struct cm_error none = { .status = CM_OK };
    if (status == CM_OK)
        cm_vault_key_watch(opening->key);
    else
        cm_vault_key_free(opening->key);
    opening->opened(status, key, status == CM_OK ? &none : err, opening->arg);
    cm_timer_done(&opening->timer);
    free(opening->body);
    free(opening->blob);
    free(opening->next_page);
    free(opening);
}

static void finish_later(void *arg)
{
    struct opening *opening = arg;
    finish(opening, opening->err.status, &opening->err);
}

/* A key that was made and then cannot be used is named: it stays in the vault. */
static void fail(struct opening *opening, const struct cm_error *err)
{
    struct cm_error why = *err;
    if (opening->is_new)
        (void)CM_FAIL(&why, err->status, CM_ORIGIN_SELF, 0, "%.140s; the key %.60s %s", err->text,
                      opening->uri.name,
                      opening->is_perhaps_new ? "may be there all the same" : "was made and stays");
    finish(opening, why.status, &why);
}

/* ------------------------------------------------------------------ asking -- */

static void ask(struct opening *opening, const char *method, const char *path, const char *more,
                cm_vault_done_fn *done)
{
    cm_vault_write_url(opening->vault, path, more, opening->url, sizeof opening->url);
    opening->call = (struct cm_vault_call){
        .method = method,
        .url = opening->url,
        .body = opening->body,
        .cost_us = CM_PACE_COST_OTHER_US,
        .deadline_ns = cm_clock_monotonic_ns() + DEADLINE_S * CM_NS_PER_S,
        .done = done,
        .arg = opening,
    };
    cm_vault_submit(opening->vault, &opening->call);
}

static void ask_key(struct opening *opening, const struct cm_vault_uri *uri, cm_vault_done_fn *done)
{
    char path[CM_VAULT_NAME_SIZE + CM_VAULT_VERSION_SIZE + 16];
    snprintf(path, sizeof path, "/keys/%s%s%s", uri->name, uri->version[0] ? "/" : "",
             uri->version);
    ask(opening, "GET", path, "", done);
}

/* ------------------------------------------------------------------ the proof -- */

static void prove(void *arg);

/* Of a new key the name may not be known everywhere yet, nor the right to use it. */
static bool may_come_right(const struct opening *opening, cm_status status)
{
    bool is_early = opening->is_new && (status == CM_DENIED || status == CM_NO_KEY);
    return opening->proofs_count < PROOFS_MAX && (is_early || status == CM_UNAVAILABLE);
}

static void on_proof(struct cm_vault_call *call, cm_status status, const json_t *answer,
                     const struct cm_error *err)
{
    struct opening *opening = call->arg;
    uint8_t signature[CM_SIGNATURE_SIZE_MAX];
    struct cm_error why = *err;
    if (status == CM_OK
        && cm_vault_key_take(opening->key, answer, cm_bytes(opening->hash, opening->hash_size),
                             signature, sizeof signature, &why)
               > 0) {
        finish(opening, CM_OK, NULL);
        return;
    }
    if (may_come_right(opening, why.status))
        cm_timer_start(&opening->timer, opening->self->env.loop, PROOF_WAIT_MS, prove, opening);
    else
        fail(opening, &why);
}

static void prove(void *arg)
{
    struct opening *opening = arg;
    struct cm_vault_key *key = opening->key;
    opening->proofs_count++;
    opening->call = (struct cm_vault_call){
        .method = "POST",
        .url = key->sign_url,
        .body = opening->sign_body,
        .nature = CM_VAULT_READ, /* nobody keeps the signature */
        .cost_us = key->cost_us,
        .deadline_ns = cm_clock_monotonic_ns() + DEADLINE_S * CM_NS_PER_S,
        .done = on_proof,
        .arg = opening,
    };
    cm_vault_submit(opening->vault, &opening->call);
}

static void take_bundle(struct opening *opening, const struct cm_vault_uri *asked,
                        const json_t *bundle)
{
    struct cm_error err;
    if (cm_vault_key_new(opening->self, opening->vault, asked, bundle, opening->alg, &opening->key,
                         &err)
        != CM_OK) {
        fail(opening, &err);
        return;
    }
    opening->hash_size =
        cm_vault_key_hash(opening->key, cm_bytes_str(CM_PROOF_TEXT), opening->hash);
    if (opening->hash_size == 0) {
        (void)CM_FAIL(&err, CM_NO_MEMORY, CM_ORIGIN_OPENSSL, 0, "hash a proof");
        fail(opening, &err);
        return;
    }
    cm_vault_key_write_body(opening->key, cm_bytes(opening->hash, opening->hash_size),
                            opening->sign_body);
    prove(opening);
}

/* ------------------------------------------------------------------ opening -- */

static void ask_versions(struct opening *opening);

static void on_version(struct cm_vault_call *call, cm_status status, const json_t *answer,
                       const struct cm_error *err)
{
    struct opening *opening = call->arg;
    if (status == CM_OK)
        take_bundle(opening, &opening->newest, answer);
    else
        fail(opening, err);
}

static void note_version(struct opening *opening, const json_t *item)
{
    const json_t *attributes = json_object_get(item, "attributes");
    const char *kid = json_string_value(json_object_get(item, "kid"));
    int64_t created_s = json_integer_value(json_object_get(attributes, "created"));
    struct cm_vault_uri uri;
    if (!kid || cm_vault_uri_read(kid, &uri, NULL) != CM_OK || uri.version[0] == '\0'
        || !cm_vault_uri_same_vault(&uri, &opening->uri)
        || strcasecmp(uri.name, opening->uri.name) != 0
        || !json_is_true(json_object_get(attributes, "enabled")))
        return;
    if (opening->newest.version[0] == '\0' || created_s > opening->newest_s) {
        opening->newest = uri;
        opening->newest_s = created_s;
    }
}

/* The link is the vault's own words: only its query is taken, on our own host and path. */
static cm_status keep_next_page(struct opening *opening, const json_t *answer, struct cm_error *err)
{
    const char *link = json_string_value(json_object_get(answer, "nextLink"));
    const char *query = link ? strchr(link, '?') : NULL;
    free(opening->next_page);
    opening->next_page = NULL;
    if (!link || link[0] == '\0')
        return CM_OK;
    if (!query || strlen(query) >= NEXT_PAGE_SIZE_MAX || ++opening->pages_count > PAGES_MAX)
        return CM_FAIL(err, CM_CORRUPT, CM_ORIGIN_SELF, 0,
                       "the vault's list of the versions of key %.80s does not end; name a version",
                       opening->uri.name);
    opening->next_page = strdup(query);
    if (!opening->next_page)
        abort();
    return CM_OK;
}

static void on_versions(struct cm_vault_call *call, cm_status status, const json_t *answer,
                        const struct cm_error *err)
{
    struct opening *opening = call->arg;
    struct cm_error why;
    size_t i;
    json_t *item;
    bool is_refused = cm_status_class(status) == CM_CLASS_REFUSE;
    if (status != CM_OK) {
        fail(opening, is_refused && opening->err.status != CM_OK ? &opening->err : err);
        return;
    }
    json_array_foreach(json_object_get(answer, "value"), i, item) note_version(opening, item);
    if (keep_next_page(opening, answer, &why) != CM_OK) {
        fail(opening, &why);
    } else if (opening->next_page) {
        ask_versions(opening);
    } else if (opening->newest.version[0] != '\0') {
        ask_key(opening, &opening->newest, on_version);
    } else if (opening->err.status != CM_OK) {
        fail(opening, &opening->err);
    } else {
        (void)CM_FAIL(&why, CM_NO_KEY, CM_ORIGIN_SELF, 0, "key %.80s has no enabled version",
                      opening->uri.name);
        fail(opening, &why);
    }
}

static void ask_versions(struct opening *opening)
{
    char path[CM_VAULT_NAME_SIZE + 32];
    snprintf(path, sizeof path, "/keys/%s/versions", opening->uri.name);
    ask(opening, "GET", path, "", on_versions);
    if (!opening->next_page)
        return;
    char *query = strchr(opening->url, '?');
    snprintf(query, sizeof opening->url - (size_t)(query - opening->url), "%s", opening->next_page);
}

static bool is_enabled(const json_t *bundle)
{
    return !json_is_false(json_object_get(json_object_get(bundle, "attributes"), "enabled"));
}

/* Without a version the vault sends the latest. Where that is disabled, it may say so, refuse (403) or
 * hide it (404): the newest enabled one is looked for, and the refusal holds when there is none, or
 * when that is refused too. */
static void on_key(struct cm_vault_call *call, cm_status status, const json_t *answer,
                   const struct cm_error *err)
{
    struct opening *opening = call->arg;
    bool is_refused = err->native == 403 || err->native == 404;
    bool may_be_disabled = status == CM_OK ? !is_enabled(answer) : is_refused;
    if (status != CM_OK)
        opening->err = *err;
    if (may_be_disabled && opening->uri.version[0] == '\0')
        ask_versions(opening);
    else if (status != CM_OK)
        fail(opening, err);
    else
        take_bundle(opening, &opening->uri, answer);
}

static struct opening *begin(struct cm_provider *provider, const char *reference,
                             enum cm_sigalg alg, cm_key_opened_fn *opened, void *arg)
{
    struct opening *opening = calloc(1, sizeof *opening);
    if (!opening)
        abort();
    opening->self = (struct cm_keyvault *)provider;
    opening->alg = alg;
    opening->opened = opened;
    opening->arg = arg;
    if (cm_vault_uri_read(reference, &opening->uri, &opening->err) == CM_OK)
        opening->vault = cm_keyvault_vault(opening->self, &opening->uri);
    return opening;
}

static void refuse(struct opening *opening)
{
    opening->refusal = (struct cm_task){ .run = finish_later, .arg = opening };
    cm_loop_post(opening->self->env.loop, &opening->refusal);
}

void cm_keyvault_open_key(struct cm_provider *provider, const char *reference, enum cm_sigalg alg,
                          cm_key_opened_fn *opened, void *arg)
{
    struct opening *opening = begin(provider, reference, alg, opened, arg);
    if (opening->err.status != CM_OK)
        refuse(opening);
    else
        ask_key(opening, &opening->uri, on_key);
}

/* ------------------------------------------------------------------ making -- */

/* key_hsm is the whole file of the transfer, as the service's import takes it (BYOK). */
static json_t *import_request(const struct opening *opening)
{
    struct cm_bytes blob = opening->spec.transfer_blob;
    json_t *request = cm_jose_create_request(&opening->spec, true);
    char *text = malloc(CM_BASE64URL_SIZE(blob.size) + 1);
    if (!request || !text)
        abort();
    cm_base64url_encode(blob, text);
    json_object_del(request, "key_size");
    json_object_set_new(request, "key_hsm", json_string(text));
    json_object_set_new(request, "key_ops", json_pack("[s, s]", "sign", "verify"));
    free(text);
    return json_pack("{s:o, s:{s:b}}", "key", request, "attributes", "enabled", 1);
}

static json_t *create_request(const struct opening *opening)
{
    bool in_hsm = opening->self->options.requires_hsm || cm_vault_is_managed_hsm(opening->vault);
    json_t *request = cm_jose_create_request(&opening->spec, in_hsm);
    json_object_set_new(request, "key_ops", json_pack("[s, s]", "sign", "verify"));
    json_object_set_new(request, "attributes", json_pack("{s:b}", "enabled", 1));
    return request;
}

/* No answer, or none that says that it was not: it had reached the vault, or somebody before it. */
static bool may_have_been_made(const struct cm_error *err)
{
    return err->status == CM_UNCERTAIN || err->status == CM_CORRUPT || err->native >= 500;
}

static void on_made(struct cm_vault_call *call, cm_status status, const json_t *answer,
                    const struct cm_error *err)
{
    struct opening *opening = call->arg;
    struct cm_error why = *err;
    free(opening->body);
    opening->body = NULL;
    opening->is_perhaps_new = may_have_been_made(err);
    opening->is_new = status == CM_OK || opening->is_perhaps_new;
    if (opening->is_perhaps_new)
        why.status = CM_UNCERTAIN;
    if (status != CM_OK)
        fail(opening, &why);
    else
        take_bundle(opening, &opening->uri, answer);
}

static void make(struct opening *opening)
{
    bool is_import = opening->spec.transfer_blob.size > 0;
    json_t *request = is_import ? import_request(opening) : create_request(opening);
    char path[CM_VAULT_NAME_SIZE + 32];
    opening->body = json_dumps(request, JSON_COMPACT);
    json_decref(request);
    if (!opening->body)
        abort();
    snprintf(path, sizeof path, "/keys/%s%s", opening->uri.name, is_import ? "" : "/create");
    ask(opening, is_import ? "PUT" : "POST", path, "", on_made);
    opening->call.nature = CM_VAULT_ONCE;
}

/* To make a key of a name that exists would make another version of it. */
static void on_name_looked_up(struct cm_vault_call *call, cm_status status, const json_t *answer,
                              const struct cm_error *err)
{
    struct opening *opening = call->arg;
    struct cm_error why;
    (void)answer;
    if (status == CM_NO_KEY) {
        make(opening);
        return;
    }
    if (status != CM_OK)
        why = *err;
    else
        (void)CM_FAIL(&why, CM_EXISTS, CM_ORIGIN_SELF, 0, "vault %.80s has a key %.80s already",
                      opening->uri.host, opening->uri.name);
    fail(opening, &why);
}

static cm_status check_spec(struct opening *opening, const struct cm_key_spec *spec)
{
    json_t *request = cm_jose_create_request(spec, true);
    json_decref(request);
    if (!request)
        return CM_FAIL(&opening->err, CM_UNSUPPORTED, CM_ORIGIN_SELF, 0,
                       "Key Vault makes no %s keys of that size", cm_key_type_name(spec->type));
    enum cm_sigalg alg =
        opening->alg == CM_SIGALG_UNKNOWN ? cm_sigalg_default(spec->type) : opening->alg;
    if (!cm_jose_alg(alg, spec->type))
        return CM_FAIL(&opening->err, CM_MISMATCH, CM_ORIGIN_SELF, 0,
                       "key %.80s (%s) could not sign with %s", opening->uri.name,
                       cm_key_type_name(spec->type), cm_sigalg_name(alg));
    if (opening->uri.version[0] != '\0')
        return CM_FAIL(&opening->err, CM_MALFORMED, CM_ORIGIN_SELF, 0,
                       "a new key has no version yet: leave /%.64s out", opening->uri.version);
    return CM_OK;
}

static void keep_spec(struct opening *opening, const struct cm_key_spec *spec)
{
    opening->spec = *spec;
    if (spec->transfer_blob.size == 0)
        return;
    opening->blob = malloc(spec->transfer_blob.size);
    if (!opening->blob)
        abort();
    memcpy(opening->blob, spec->transfer_blob.data, spec->transfer_blob.size);
    opening->spec.transfer_blob.data = opening->blob;
}

void cm_keyvault_make_key(struct cm_provider *provider, const char *reference,
                          const struct cm_key_spec *spec, enum cm_sigalg alg,
                          cm_key_opened_fn *opened, void *arg)
{
    struct opening *opening = begin(provider, reference, alg, opened, arg);
    if (opening->err.status != CM_OK || check_spec(opening, spec) != CM_OK) {
        refuse(opening);
        return;
    }
    keep_spec(opening, spec);
    ask_key(opening, &opening->uri, on_name_looked_up);
}

/* ------------------------------------------------------------------ destroying -- */

struct destruction {
    struct cm_vault_call call;
    char url[CM_KEYVAULT_URL_SIZE];
    cm_key_destroyed_fn *destroyed;
    void *arg;
};

static void on_deleted(struct cm_vault_call *call, cm_status status, const json_t *answer,
                       const struct cm_error *err)
{
    struct destruction *destruction = call->arg;
    const struct cm_error none = { .status = CM_OK };
    /* Gone, or about to be: by the request whose answer was lost. */
    bool is_ours = call->may_be_done && (err->native == 404 || err->native == 409);
    bool is_gone = status == CM_OK || is_ours;
    (void)answer;
    destruction->destroyed(is_gone ? CM_OK : status, is_gone ? &none : err, destruction->arg);
    free(destruction);
}

/* The service deletes a name with all its versions, and keeps them for its retention time. */
void cm_keyvault_destroy_key(struct cm_key *key, cm_key_destroyed_fn *destroyed, void *arg)
{
    struct cm_vault_key *self = key->backend;
    struct destruction *destruction = calloc(1, sizeof *destruction);
    char path[CM_VAULT_NAME_SIZE + 16];
    if (!destruction)
        abort();
    destruction->destroyed = destroyed;
    destruction->arg = arg;
    snprintf(path, sizeof path, "/keys/%s", self->uri.name);
    cm_vault_write_url(self->vault, path, "", destruction->url, sizeof destruction->url);
    destruction->call = (struct cm_vault_call){
        .method = "DELETE",
        .url = destruction->url,
        .cost_us = CM_PACE_COST_OTHER_US,
        .deadline_ns = cm_clock_monotonic_ns() + DEADLINE_S * CM_NS_PER_S,
        .done = on_deleted,
        .arg = destruction,
    };
    cm_vault_submit(self->vault, &destruction->call);
}

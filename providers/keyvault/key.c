#include "providers/keyvault/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "engine/base/base64url.h"
#include "engine/base/clock.h"
#include "providers/verify.h"

/* ------------------------------------------------------------------ what the vault says of it -- */

static bool may_sign(const json_t *jwk)
{
    const json_t *operations = json_object_get(jwk, "key_ops");
    size_t i;
    json_t *operation;
    if (!operations)
        return true;
    json_array_foreach(operations, i, operation) if (json_is_string(operation)
                                                     && strcmp(json_string_value(operation), "sign")
                                                            == 0) return true;
    return false;
}

static cm_status check_attributes(const struct cm_vault_uri *uri, const json_t *bundle,
                                  struct cm_error *err)
{
    const json_t *attributes = json_object_get(bundle, "attributes");
    const json_t *from = json_object_get(attributes, "nbf"),
                 *to = json_object_get(attributes, "exp");
    int64_t now_s = cm_clock_wall_s();
    if (json_is_false(json_object_get(attributes, "enabled")))
        return CM_FAIL(err, CM_NO_KEY, CM_ORIGIN_SELF, 0, "key %.80s: this version is disabled",
                       uri->name);
    if (json_is_integer(from) && json_integer_value(from) > now_s)
        return CM_FAIL(err, CM_NO_KEY, CM_ORIGIN_SELF, 0, "key %.80s is not valid yet (nbf)",
                       uri->name);
    if (json_is_integer(to) && json_integer_value(to) <= now_s)
        return CM_FAIL(err, CM_NO_KEY, CM_ORIGIN_SELF, 0, "key %.80s has expired (exp)", uri->name);
    if (!may_sign(json_object_get(bundle, "key")))
        return CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0, "key %.80s may not sign (key_ops)",
                       uri->name);
    return CM_OK;
}

/* The version that the answer is about; where one was asked for, that one. */
static cm_status take_version(struct cm_vault_key *key, const struct cm_vault_uri *asked,
                              const json_t *bundle, struct cm_error *err)
{
    const char *kid = json_string_value(json_object_get(json_object_get(bundle, "key"), "kid"));
    struct cm_vault_uri expected = *asked;
    if (!kid || cm_vault_uri_read(kid, &key->uri, err) != CM_OK || key->uri.version[0] == '\0')
        return CM_FAIL(err, CM_CORRUPT, CM_ORIGIN_SELF, 0, "the vault's answer names no key");
    if (expected.version[0] == '\0')
        memcpy(expected.version, key->uri.version, sizeof expected.version);
    if (!cm_vault_uri_same_vault(&expected, &key->uri)
        || !cm_vault_uri_same_key(&expected, &key->uri))
        return CM_FAIL(err, CM_CORRUPT, CM_ORIGIN_SELF, 0,
                       "asked for key %.60s, the vault's answer is about %.120s", asked->name, kid);
    return CM_OK;
}

static cm_status check_protection(const struct cm_vault_key *key, struct cm_error *err)
{
    if (!key->owner->options.requires_hsm || key->jwk.is_in_hsm)
        return CM_OK;
    return CM_FAIL(err, CM_MISMATCH, CM_ORIGIN_SELF, 0,
                   "key %.80s is protected by software, and the settings require an HSM",
                   key->uri.name);
}

static cm_status choose_algorithm(struct cm_vault_key *key, enum cm_sigalg alg,
                                  struct cm_error *err)
{
    struct cm_key *head = &key->key;
    head->type = key->jwk.type;
    head->bits = key->jwk.bits;
    head->alg = alg == CM_SIGALG_UNKNOWN ? cm_sigalg_default(head->type) : alg;
    key->alg = cm_jose_alg(head->alg, head->type);
    if (!cm_sigalg_fits(head->alg, head->type) || !key->alg)
        return CM_FAIL(err, CM_MISMATCH, CM_ORIGIN_SELF, 0, "key %.80s (%s) cannot sign with %s",
                       key->uri.name, cm_key_type_name(head->type), cm_sigalg_name(head->alg));
    /* SEQUENCE of two INTEGERs, each as long as the field and perhaps an octet more */
    head->signature_size_max =
        head->type == CM_KEY_RSA ? (head->bits + 7) / 8 : 2 * ((head->bits + 7) / 8 + 3) + 3;
    return CM_OK;
}

/* ------------------------------------------------------------------ checking signatures -- */

static cm_status make_verifier(struct cm_vault_key *key, struct cm_error *err)
{
    const uint8_t *der = key->jwk.spki.data;
    key->digest = EVP_MD_fetch(NULL, cm_sigalg_hash(key->key.alg), NULL);
    key->public_key = d2i_PUBKEY(NULL, &der, (long)key->jwk.spki.size);
    key->verifier = key->public_key ? EVP_PKEY_CTX_new(key->public_key, NULL) : NULL;
    bool is_ready = key->digest && key->verifier && EVP_PKEY_verify_init(key->verifier) == 1;
    if (is_ready && cm_sigalg_is_pss(key->key.alg))
        is_ready = cm_pss_set(key->verifier);
    else if (is_ready && key->key.type == CM_KEY_RSA)
        is_ready = EVP_PKEY_CTX_set_rsa_padding(key->verifier, RSA_PKCS1_PADDING) == 1;
    is_ready = is_ready && EVP_PKEY_CTX_set_signature_md(key->verifier, key->digest) == 1;
    if (is_ready)
        return CM_OK;
    return CM_FAIL(err, CM_CORRUPT, CM_ORIGIN_OPENSSL, 0, "the public key of %.80s", key->uri.name);
}

size_t cm_vault_key_hash(const struct cm_vault_key *key, struct cm_bytes message,
                         uint8_t ret_hash[EVP_MAX_MD_SIZE])
{
    unsigned size = 0;
    if (EVP_Digest(message.data, message.size, ret_hash, &size, key->digest, NULL) != 1)
        return 0;
    return size;
}

void cm_vault_key_write_body(const struct cm_vault_key *key, struct cm_bytes hash,
                             char ret_body[CM_VAULT_SIGN_BODY_SIZE])
{
    char text[CM_BASE64URL_SIZE(EVP_MAX_MD_SIZE) + 1];
    cm_base64url_encode(hash, text);
    snprintf(ret_body, CM_VAULT_SIGN_BODY_SIZE, "{\"alg\":\"%s\",\"value\":\"%s\"}", key->alg,
             text);
}

uint32_t cm_vault_key_take(const struct cm_vault_key *key, const json_t *answer,
                           struct cm_bytes hash, uint8_t *ret_signature, uint32_t space,
                           struct cm_error *err)
{
    const char *kid = json_string_value(json_object_get(answer, "kid"));
    struct cm_vault_uri uri;
    char shown[121];
    if (!kid || cm_vault_uri_read(kid, &uri, NULL) != CM_OK
        || !cm_vault_uri_same_key(&uri, &key->uri) || !cm_vault_uri_same_vault(&uri, &key->uri)) {
        kid = kid ? kid : "no key that it names";
        (void)CM_FAIL(err, CM_CORRUPT, CM_ORIGIN_SELF, 0, "key %.60s: the vault signed with %s",
                      key->uri.name, cm_bytes_printable(cm_bytes_str(kid), shown, sizeof shown));
        return 0;
    }
    uint32_t size = cm_jose_signature(answer, key->key.type, key->key.bits, ret_signature, space);
    if (size > 0 && EVP_PKEY_verify(key->verifier, ret_signature, size, hash.data, hash.size) == 1)
        return size;
    (void)CM_FAIL(err, CM_CORRUPT, CM_ORIGIN_OPENSSL, 0,
                  "key %.80s: the vault's signature does not verify", key->uri.name);
    return 0;
}

/* ------------------------------------------------------------------ another version -- */

enum { LOOK_DEADLINE_S = 60 };

static void look_later(struct cm_vault_key *key);
static void destroy(struct cm_vault_key *key);

static void tell_version(struct cm_vault_key *key, const char *version)
{
    char text[CM_ERROR_TEXT_SIZE];
    snprintf(key->told_version, sizeof key->told_version, "%s", version);
    snprintf(text, sizeof text,
             "vault %.50s has another version of key %.50s, %.33s: another key, that is not used",
             key->uri.host, key->uri.name, version);
    key->owner->env.notice(key->owner->env.arg, text);
}

static void on_latest(struct cm_vault_call *call, cm_status status, const json_t *answer,
                      const struct cm_error *err)
{
    struct cm_vault_key *key = call->arg;
    struct cm_vault_uri latest;
    (void)err;
    key->is_looking = false;
    if (key->is_closed) {
        destroy(key);
        return;
    }
    const char *kid =
        status == CM_OK ? json_string_value(json_object_get(json_object_get(answer, "key"), "kid"))
                        : NULL;
    if (kid && cm_vault_uri_read(kid, &latest, NULL) == CM_OK
        && !cm_vault_uri_same_key(&latest, &key->uri)
        && strcasecmp(latest.version, key->told_version) != 0)
        tell_version(key, latest.version);
    look_later(key);
}

static void look(void *arg)
{
    struct cm_vault_key *key = arg;
    key->is_looking = true;
    key->look = (struct cm_vault_call){
        .method = "GET",
        .url = key->latest_url,
        .cost_us = CM_PACE_COST_OTHER_US,
        .deadline_ns = cm_clock_monotonic_ns() + LOOK_DEADLINE_S * CM_NS_PER_S,
        .done = on_latest,
        .arg = key,
    };
    cm_vault_submit(key->vault, &key->look);
}

static void look_later(struct cm_vault_key *key)
{
    cm_timer_start(&key->look_timer, key->owner->env.loop, key->owner->options.watch_ms, look, key);
}

void cm_vault_key_watch(struct cm_vault_key *key)
{
    look(key);
}

/* ------------------------------------------------------------------ life -- */

static void write_urls(struct cm_vault_key *key)
{
    char path[CM_VAULT_NAME_SIZE + CM_VAULT_VERSION_SIZE + 32];
    cm_vault_uri_write(&key->uri, key->reference);
    snprintf(path, sizeof path, "/keys/%s/%s/sign", key->uri.name, key->uri.version);
    cm_vault_write_url(key->vault, path, "", key->sign_url, sizeof key->sign_url);
    snprintf(path, sizeof path, "/keys/%s", key->uri.name);
    cm_vault_write_url(key->vault, path, "", key->latest_url, sizeof key->latest_url);
}

cm_status cm_vault_key_new(struct cm_keyvault *self, struct cm_vault *vault,
                           const struct cm_vault_uri *asked, const json_t *bundle,
                           enum cm_sigalg alg, struct cm_vault_key **ret_key, struct cm_error *err)
{
    struct cm_vault_key *key = calloc(1, sizeof *key);
    if (!key)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for a key");
    key->owner = self;
    key->vault = vault;
    cm_status status = take_version(key, asked, bundle, err);
    if (status == CM_OK)
        status = check_attributes(&key->uri, bundle, err);
    if (status == CM_OK)
        status = cm_jwk_read(json_object_get(bundle, "key"), &key->jwk, err);
    if (status == CM_OK)
        status = check_protection(key, err);
    if (status == CM_OK)
        status = choose_algorithm(key, alg, err);
    if (status == CM_OK)
        status = make_verifier(key, err);
    if (status != CM_OK) {
        cm_vault_key_free(key);
        return status;
    }
    write_urls(key);
    key->cost_us = cm_pace_cost_us(key->key.type, key->key.bits, key->jwk.is_in_hsm,
                                   cm_vault_is_managed_hsm(key->vault));
    key->key.provider = &self->head;
    key->key.spki = key->jwk.spki;
    key->key.reference = key->reference;
    key->key.backend = key;
    *ret_key = key;
    return CM_OK;
}

static void destroy(struct cm_vault_key *key)
{
    cm_timer_done(&key->look_timer);
    EVP_PKEY_CTX_free(key->verifier);
    EVP_PKEY_free(key->public_key);
    EVP_MD_free(key->digest);
    cm_jwk_done(&key->jwk);
    free(key);
}

void cm_vault_key_free(struct cm_vault_key *key)
{
    if (!key)
        return;
    if (!key->is_looking) {
        destroy(key);
        return;
    }
    key->is_closed = true;
    key->look.is_cancelled = true;
    cm_vault_sweep(key->vault);
}

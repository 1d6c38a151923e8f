#include "providers/pkcs11/key.h"

#include <stdlib.h>

#include <openssl/err.h>

#include "engine/base/clock.h"
#include "engine/x509/key.h"
#include "providers/verify.h"

/* Between two searches for a key that was not there. */
#define FIND_AGAIN_NS CM_NS_PER_S

/* ------------------------------------------------------------------ describing -- */

static uint32_t signature_size_max(const struct cm_key *key)
{
    uint32_t half = (key->bits + 7) / 8;
    if (key->type == CM_KEY_RSA)
        return half;
    return key->type == CM_KEY_ED25519 ? 64 : 2 * (half + 3) + 3;
}

/* Fills what the public half tells. */
static cm_status describe(struct cm_p11_key *self, enum cm_sigalg alg, struct cm_error *err)
{
    struct cm_key *key = &self->key;
    struct cm_public_key public;
    struct cm_refusal refusal;
    key->spki = cm_bytes(self->spki.octets, self->spki.size);
    if (!cm_public_key_read(key->spki, &public, &refusal))
        return CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_SELF, 0,
                       "key %s: its public key is none of P-256, P-384, P-521, RSA, Ed25519",
                       self->uri.shown);
    key->type = public.type;
    key->bits = public.bits;
    key->signature_size_max = signature_size_max(key);
    key->alg = alg == CM_SIGALG_UNKNOWN ? cm_sigalg_default(key->type) : alg;
    if (!cm_sigalg_fits(key->alg, key->type))
        return CM_FAIL(err, CM_MISMATCH, CM_ORIGIN_SELF, 0, "key %s: a %s key cannot sign with %s",
                       self->uri.shown, cm_key_type_name(key->type), cm_sigalg_name(key->alg));
    return key->signature_size_max <= CM_SIGNATURE_SIZE_MAX
               ? CM_OK
               : CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_SELF, 0,
                         "key %s: %u bits are more than 8192", self->uri.shown, key->bits);
}

static cm_status prepare_hash(struct cm_p11_key *self, struct cm_error *err)
{
    EVP_MD_free(self->hash); /* of the first try to open it */
    self->hash = NULL;
    if (self->mechanism.hashes_itself)
        return CM_OK;
    self->hash = EVP_MD_fetch(NULL, cm_sigalg_hash(self->key.alg), NULL);
    return self->hash ? CM_OK
                      : CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_OPENSSL, (int64_t)ERR_peek_error(),
                                "prepare to hash for %s", cm_sigalg_name(self->key.alg));
}

/* The worker's own digest context; NULL when there is no memory, or none is needed. */
static EVP_MD_CTX *digest_of(struct cm_p11_key *self, uint32_t worker_index)
{
    if (!self->digests[worker_index] && self->hash)
        self->digests[worker_index] = EVP_MD_CTX_new();
    return self->digests[worker_index];
}

/* ------------------------------------------------------------------ proving -- */

static cm_status prove(struct cm_p11_key *self, struct cm_p11_use *use, CK_OBJECT_HANDLE handle,
                       EVP_MD_CTX *digest, CK_RV *ret_code, struct cm_error *err)
{
    struct cm_bytes message = cm_bytes_str(CM_PROOF_TEXT);
    uint8_t signature[CM_SIGNATURE_SIZE_MAX];
    uint32_t size = 0;
    char name[32];
    struct cm_p11_outcome outcome =
        cm_p11_sign(use, self, digest, handle, message, signature, sizeof signature, &size);
    *ret_code = outcome.code;
    if (outcome.code != CKR_OK)
        return CM_FAIL(err, cm_p11_status(outcome.code), CM_ORIGIN_PKCS11, (int64_t)outcome.code,
                       "key %s: token %s does not sign a test message: %s", self->uri.shown,
                       use->token->label, cm_p11_code_name(outcome.code, name));
    bool holds =
        !outcome.malformed
        && cm_spki_verify(self->key.spki, self->key.alg, message, cm_bytes(signature, size));
    ERR_clear_error();
    return holds ? CM_OK
                 : CM_FAIL(err, CM_CORRUPT, CM_ORIGIN_SELF, 0,
                           "key %s: what token %s signs does not verify with its public key",
                           self->uri.shown, use->token->label);
}

/* ------------------------------------------------------------------ opening -- */

static cm_status explain_no_public(const struct cm_p11_key *self, const struct cm_p11_use *use,
                                   CK_RV code, struct cm_error *err)
{
    char name[32];
    if (code != CKR_OK)
        return CM_FAIL(err, cm_p11_status(code), CM_ORIGIN_PKCS11, (int64_t)code,
                       "key %s: reading its public key from token %s: %s", self->uri.shown,
                       use->token->label, cm_p11_code_name(code, name));
    return CM_FAIL(err, CM_NO_KEY, CM_ORIGIN_SELF, 0,
                   "key %s: token %s holds neither its public key nor a certificate of the "
                   "same CKA_ID, of a kind that certmill knows",
                   self->uri.shown, use->token->label);
}

static cm_status open_with(struct cm_p11_key *self, struct cm_p11_use *use, enum cm_sigalg alg,
                           EVP_MD_CTX *digest, CK_RV *ret_code, struct cm_error *err)
{
    cm_status status = cm_p11_object_find(use, &self->uri, &self->object, ret_code, err);
    if (status != CM_OK)
        return status;
    if (self->object.asks_each_time)
        return CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_SELF, 0,
                       "key %s wants the PIN for every signature (CKA_ALWAYS_AUTHENTICATE): it "
                       "cannot sign unattended",
                       self->uri.shown);
    if (!cm_p11_public_read(use, &self->object, &self->spki, ret_code))
        return explain_no_public(self, use, *ret_code, err);
    status = describe(self, alg, err);
    if (status == CM_OK)
        status = cm_p11_mechanism_pick(use, self->key.alg, self->key.bits, &self->mechanism, err);
    if (status == CM_OK)
        status = prepare_hash(self, err);
    if (status == CM_OK)
        status = prove(self, use, self->object.handle, digest, ret_code, err);
    if (status == CM_OK) {
        atomic_store(&self->handle, self->object.handle);
        atomic_store(&self->handle_epoch, use->epoch);
    }
    return status;
}

/* Once more where the token was lost meanwhile, without anybody having noticed. */
static bool is_worth_another_try(CK_RV code)
{
    switch (cm_p11_meaning(code)) {
    case CM_P11_STRIKE:
    case CM_P11_LOST:
    case CM_P11_REMOVED:
    case CM_P11_BROKEN:
        return true;
    case CM_P11_FINE:
    case CM_P11_REFUSED:
        break;
    }
    return false;
}

/* With OK nothing is left of why the first try failed: it would be the operator's to read. */
static cm_status open_twice(struct cm_p11_key *self, enum cm_sigalg alg, uint32_t worker_index,
                            EVP_MD_CTX *digest, struct cm_error *err)
{
    cm_status status = CM_OK;
    for (unsigned i = 0; i < 2; i++) {
        struct cm_p11_use use;
        CK_RV code = CKR_OK;
        status = cm_p11_token_use(self->token, worker_index, &use, err);
        if (status != CM_OK)
            break;
        status = open_with(self, &use, alg, digest, &code, err);
        cm_p11_token_give(&use, code);
        if (status == CM_OK || !is_worth_another_try(code))
            break;
    }
    if (status == CM_OK)
        *err = (struct cm_error){ .status = CM_OK };
    return status;
}

cm_status cm_p11_key_open(struct cm_p11_token *token, const struct cm_p11_uri *uri,
                          enum cm_sigalg alg, uint32_t worker_index, struct cm_p11_key **ret_key,
                          struct cm_error *err)
{
    struct cm_p11_key *self =
        calloc(1, sizeof *self + token->access->workers_count * sizeof self->digests[0]);
    if (!self)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for a key");
    self->key.backend = self;
    self->token = token;
    self->uri = *uri;
    pthread_mutex_init(&self->mutex, NULL);
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    cm_status status = digest
                           ? open_twice(self, alg, worker_index, digest, err)
                           : CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for a key");
    EVP_MD_CTX_free(digest);
    if (status != CM_OK) {
        cm_p11_key_free(self);
        return status;
    }
    *ret_key = self;
    return CM_OK;
}

void cm_p11_key_free(struct cm_p11_key *self)
{
    if (!self)
        return;
    for (uint32_t i = 0; i < self->token->access->workers_count; i++)
        EVP_MD_CTX_free(self->digests[i]);
    EVP_MD_free(self->hash);
    pthread_mutex_destroy(&self->mutex);
    free(self);
}

/* ------------------------------------------------------------------ finding again -- */

void cm_p11_key_names(const struct cm_p11_key *self, struct cm_p11_uri *ret_uri)
{
    *ret_uri = self->uri;
    if (self->object.label[0] != '\0')
        memcpy(ret_uri->object, self->object.label, sizeof ret_uri->object);
    if (self->object.id_size == 0)
        return;
    memcpy(ret_uri->id, self->object.id, sizeof ret_uri->id);
    ret_uri->id_size = self->object.id_size;
}

/* A token whose files were taken away answers searches with nothing (SoftHSM does). */
static void doubt_an_empty_token(struct cm_p11_use *use, CK_RV *ret_code)
{
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_ATTRIBUTE attribute = { CKA_CLASS, &class, sizeof class };
    CK_OBJECT_HANDLE any;
    if (!cm_p11_first(use, &attribute, 1, &any, ret_code) && *ret_code == CKR_OK)
        cm_p11_token_doubt(use->token, use->epoch, cm_p11_token_may_restart(use->token));
}

/* The very same key: id, label and public key as when it was opened, and it signs with it. */
static cm_status find_again(struct cm_p11_key *self, struct cm_p11_use *use, EVP_MD_CTX *digest,
                            CK_RV *ret_code)
{
    struct cm_p11_object object;
    struct cm_p11_spki spki;
    struct cm_p11_uri names;
    cm_p11_key_names(self, &names);
    cm_status status = cm_p11_object_find(use, &names, &object, ret_code, NULL);
    if (status == CM_NO_KEY) {
        doubt_an_empty_token(use, ret_code);
        return CM_TOKEN_REMOVED;
    }
    if (status != CM_OK)
        return status;
    if (!cm_p11_public_read(use, &object, &spki, ret_code))
        return cm_p11_status(*ret_code);
    if (!cm_bytes_equal(self->key.spki, cm_bytes(spki.octets, spki.size)))
        return CM_CORRUPT;
    status = prove(self, use, object.handle, digest, ret_code, NULL);
    if (status == CM_OK) {
        atomic_store(&self->handle, object.handle);
        atomic_store(&self->handle_epoch, use->epoch);
    }
    return status;
}

static cm_status handle_of(struct cm_p11_key *self, struct cm_p11_use *use, EVP_MD_CTX *digest,
                           CK_OBJECT_HANDLE *ret_handle, CK_RV *ret_code)
{
    cm_status status = CM_OK;
    if (atomic_load_explicit(&self->handle_epoch, memory_order_acquire) != use->epoch) {
        pthread_mutex_lock(&self->mutex); /* { */
        if (atomic_load(&self->handle_epoch) == use->epoch) {
            status = CM_OK;
        } else if (cm_clock_monotonic_ns() < self->next_find_ns) {
            status = self->find_status;
        } else {
            status = find_again(self, use, digest, ret_code);
            self->find_status = status;
            /* A token that was lost again says nothing about the key. */
            bool paced = status != CM_OK && !is_worth_another_try(*ret_code);
            self->next_find_ns = paced ? cm_clock_monotonic_ns() + FIND_AGAIN_NS : 0;
        }
        pthread_mutex_unlock(&self->mutex); /* } */
    }
    *ret_handle = atomic_load_explicit(&self->handle, memory_order_relaxed);
    return status;
}

/* ------------------------------------------------------------------ signing -- */

/* Codes of C_Sign that it gives before it has the token sign. */
static bool came_before_signing(CK_RV code)
{
    switch (code) {
    case CKR_SESSION_HANDLE_INVALID:
    case CKR_USER_NOT_LOGGED_IN:
    case CKR_OBJECT_HANDLE_INVALID:
    case CKR_KEY_HANDLE_INVALID:
    case CKR_TOKEN_NOT_PRESENT:
    case CKR_OPERATION_NOT_INITIALIZED:
    case CKR_CRYPTOKI_NOT_INITIALIZED:
        return true;
    default:
        return cm_p11_meaning(code) == CM_P11_REFUSED;
    }
}

static cm_status judge(const struct cm_p11_outcome *outcome)
{
    if (outcome->code == CKR_OK)
        return outcome->malformed ? CM_CORRUPT : CM_OK;
    if (outcome->reached_token && !came_before_signing(outcome->code))
        return CM_UNCERTAIN;
    return cm_p11_status(outcome->code) == CM_TOKEN_REMOVED ? CM_TOKEN_REMOVED : CM_UNAVAILABLE;
}

/* An item has fewer statuses than an opening: whatever keeps a token away, the item is not signed. */
static cm_status status_of_item(cm_status status)
{
    return status == CM_TOKEN_REMOVED || status == CM_CORRUPT ? status : CM_UNAVAILABLE;
}

static cm_status try_to_sign(struct cm_p11_key *self, uint32_t worker_index, EVP_MD_CTX *digest,
                             struct cm_bytes message, uint8_t *signature, uint32_t space,
                             uint32_t *ret_size, bool *ret_again)
{
    struct cm_p11_use use;
    struct cm_p11_outcome outcome = { .code = CKR_OK };
    CK_OBJECT_HANDLE handle;
    *ret_again = false;
    cm_status status = cm_p11_token_use(self->token, worker_index, &use, NULL);
    if (status != CM_OK)
        return status_of_item(status);
    status = handle_of(self, &use, digest, &handle, &outcome.code);
    if (status == CM_OK) {
        outcome = cm_p11_sign(&use, self, digest, handle, message, signature, space, ret_size);
        status = judge(&outcome);
    } else {
        status = status_of_item(status);
    }
    cm_p11_token_give(&use, outcome.code);
    *ret_again = status != CM_UNCERTAIN && is_worth_another_try(outcome.code);
    return status;
}

/* What certainly was not signed is tried once more, in a new session: most faults end there. */
cm_status cm_p11_key_sign(struct cm_p11_key *self, uint32_t worker_index, struct cm_bytes message,
                          uint8_t *signature, uint32_t space, uint32_t *ret_size)
{
    bool again;
    EVP_MD_CTX *digest = digest_of(self, worker_index);
    if (!digest && self->hash)
        return CM_UNAVAILABLE;
    cm_status status =
        try_to_sign(self, worker_index, digest, message, signature, space, ret_size, &again);
    if (again)
        status =
            try_to_sign(self, worker_index, digest, message, signature, space, ret_size, &again);
    return status;
}

#include "tools/new_authority.h"

#include <stdio.h>
#include <string.h>

#include <openssl/rand.h>
#include <openssl/sha.h>

#include "engine/base/clock.h"
#include "engine/store/store.h"
#include "engine/x509/certificate.h"
#include "engine/x509/csr_writer.h"
#include "providers/verify.h"
#include "tools/interruptions.h"
#include "tools/vault_flags.h"

/* What was wrapped elsewhere is whatever it is; the spec only says what was expected. */
static cm_status check_transferred(const struct cm_new_authority *authority, struct cm_error *err)
{
    const struct cm_key_spec *spec = &authority->spec;
    const struct cm_key *key = authority->handle;
    if (authority->has_key || spec->transfer_blob.size == 0
        || (key->type == spec->type && (spec->bits == 0 || key->bits == spec->bits)))
        return CM_OK;
    return CM_FAIL(err, CM_MISMATCH, CM_ORIGIN_SELF, 0,
                   "the key that was imported is %s with %u bits, not what --key-type says",
                   cm_key_type_name(key->type), key->bits);
}

/* A vault's key has versions; the one that was proved is this authority's. */
static cm_status pin(struct cm_new_authority *authority, struct cm_error *err)
{
    const char *reference = authority->handle->reference;
    if (!reference)
        return CM_OK;
    if (strlen(reference) >= sizeof authority->pinned)
        return CM_FAIL(err, CM_INVALID, CM_ORIGIN_SELF, 0, "the key's reference is too long");
    strcpy(authority->pinned, reference);
    authority->key = authority->pinned;
    return CM_OK;
}

cm_status cm_new_authority_open_key(struct cm_new_authority *authority,
                                    struct cm_provider_session *session, struct cm_error *err)
{
    cm_status status = cm_interruptions_check(err);
    if (status == CM_OK)
        status = authority->has_key
                     ? cm_provider_session_open_key(session, authority->key, CM_SIGALG_UNKNOWN,
                                                    &authority->handle, err)
                     : cm_provider_session_create_key(session, authority->key, &authority->spec,
                                                      &authority->handle, err);
    authority->session = session;
    if (status != CM_OK)
        return status;
    authority->sigalg = authority->handle->alg;
    status = check_transferred(authority, err);
    return status == CM_OK ? pin(authority, err) : status;
}

/* Shaped as the engine's serials are: 44 bits of milliseconds, 20 of a counter, 96 random. */
cm_status cm_new_authority_draw_serial(uint8_t serial[CM_SERIAL_SIZE], struct cm_error *err)
{
    static uint32_t counter;
    uint64_t number = (uint64_t)cm_clock_wall_ms() << 20 | ++counter;
    cm_big_endian_write(number, serial, 8);
    if (RAND_bytes(serial + 8, CM_SERIAL_SIZE - 8) != 1)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_SELF, 0, "the random generator failed");
    return CM_OK;
}

static size_t fill_attributes(const struct cm_new_authority *authority,
                              struct cm_attribute attributes[2])
{
    size_t count = 0;
    attributes[count++] = (struct cm_attribute){ cm_bytes_str("cn"), cm_bytes_str(authority->cn) };
    if (authority->organization)
        attributes[count++] =
            (struct cm_attribute){ cm_bytes_str("o"), cm_bytes_str(authority->organization) };
    return count;
}

cm_status cm_new_authority_subject(const struct cm_new_authority *authority, struct cm_arena *arena,
                                   struct cm_bytes *ret_name, struct cm_error *err)
{
    struct cm_attribute attributes[2];
    struct cm_composer *composer = NULL;
    const struct cm_authority_input in = {
        .profile = authority->profile,
        .attributes = attributes,
        .attributes_count = fill_attributes(authority, attributes),
    };
    cm_status status = cm_composer_new(&composer, err);
    if (status == CM_OK)
        status = cm_authority_compose_subject(composer, &in, arena, ret_name, err);
    cm_composer_free(composer);
    return status;
}

cm_status cm_new_authority_compose(struct cm_authority_input in, struct cm_arena *arena,
                                   struct cm_tbs *ret_tbs, struct cm_error *err)
{
    uint8_t serial[CM_SERIAL_SIZE];
    struct cm_composer *composer = NULL;
    cm_status status = cm_new_authority_draw_serial(serial, err);
    if (status == CM_OK)
        status = cm_composer_new(&composer, err);
    if (status != CM_OK)
        return status;
    in.serial = cm_bytes(serial, sizeof serial);
    in.issue_time_s = cm_clock_wall_s();
    status = cm_authority_compose(composer, &in, arena, ret_tbs, err);
    cm_composer_free(composer);
    return status;
}

static cm_status compose(const struct cm_new_authority *authority,
                         const struct cm_new_authority_signer *signer, struct cm_arena *arena,
                         struct cm_tbs *ret_tbs, struct cm_error *err)
{
    struct cm_attribute attributes[2];
    const struct cm_authority_input in = {
        .profile = authority->profile,
        .issuer = signer->issuer,
        .sigalg = signer->key->alg,
        .spki = authority->handle->spki,
        .key_type = authority->handle->type,
        .attributes = attributes,
        .attributes_count = fill_attributes(authority, attributes),
    };
    return cm_new_authority_compose(in, arena, ret_tbs, err);
}

cm_status cm_new_authority_sign(struct cm_new_authority *authority,
                                const struct cm_new_authority_signer *signer,
                                struct cm_arena *arena, struct cm_error *err)
{
    uint8_t hash[SHA256_DIGEST_LENGTH];
    struct cm_tbs tbs;
    cm_status status = compose(authority, signer, arena, &tbs, err);
    if (status == CM_OK)
        status = cm_interruptions_check(err);
    if (status == CM_OK && signer->record)
        status = signer->record(authority, tbs.der, signer->arg, err);
    if (status == CM_OK)
        status = cm_provider_session_certify(signer->session, signer->key, tbs.der, arena,
                                             &authority->der, err);
    if (status != CM_OK)
        return status;
    SHA256(authority->der.data, authority->der.size, hash);
    cm_hex_encode(cm_bytes(hash, sizeof hash), authority->fingerprint);
    return CM_OK;
}

static cm_status compose_request(const struct cm_new_authority *authority, struct cm_arena *arena,
                                 struct cm_bytes *ret_info, struct cm_error *err)
{
    struct cm_csr_input in = {
        .spki = authority->handle->spki,
        .key_type = authority->handle->type,
        .profile = authority->profile,
    };
    cm_status status = cm_new_authority_subject(authority, arena, &in.subject, err);
    return status == CM_OK ? cm_csr_compose(&in, arena, ret_info, err) : status;
}

cm_status cm_new_authority_request(struct cm_new_authority *authority,
                                   const struct cm_new_authority_signer *signer,
                                   struct cm_arena *arena, struct cm_error *err)
{
    uint8_t signature[CM_SIGNATURE_SIZE_MAX], hash[SHA256_DIGEST_LENGTH];
    size_t size = 0;
    struct cm_bytes info;
    struct cm_csr csr;
    cm_status status = compose_request(authority, arena, &info, err);
    if (status == CM_OK)
        status = cm_interruptions_check(err);
    if (status == CM_OK)
        status = signer->record(authority, info, signer->arg, err);
    if (status == CM_OK)
        status = cm_provider_session_sign(authority->session, authority->handle, info, signature,
                                          &size, err);
    if (status != CM_OK)
        return status;
    authority->der =
        cm_certificate_assemble(info, authority->sigalg, cm_bytes(signature, size), arena);
    SHA256(authority->der.data, authority->der.size, hash);
    cm_hex_encode(cm_bytes(hash, sizeof hash), authority->fingerprint);
    return cm_csr_check_authority(authority->der, arena, &csr, err);
}

static void undo_key(struct cm_new_authority *authority, struct cm_key *key)
{
    char left[CM_LEFT_TEXT_SIZE];
    if (cm_provider_session_take_back(authority->session, key, authority->key, left) != CM_OK)
        fprintf(stderr, "certmill: %s\n", left);
    else
        fprintf(stderr, "certmill: the new key %s was destroyed again%s\n", authority->key,
                cm_vault_keeps(authority->key) ? "; " CM_VAULT_KEEPS : "");
}

void cm_new_authority_close_key(struct cm_new_authority *authority, bool undo)
{
    struct cm_key *key = authority->handle;
    authority->handle = NULL;
    if (key && undo && !authority->has_key)
        undo_key(authority, key);
    else if (key)
        cm_provider_close_key(key);
}

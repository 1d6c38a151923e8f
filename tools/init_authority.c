/* The two authorities of a new deployment: keys, certificates, files. */
#include "tools/init_plan.h"

#include <openssl/rand.h>
#include <openssl/sha.h>

#include "engine/base/clock.h"
#include "engine/base/secret.h"
#include "engine/store/store.h"
#include "engine/x509/authority.h"
#include "engine/x509/certificate.h"
#include "engine/x509/pem_writer.h"
#include "providers/keyfile.h"
#include "tools/key_session.h"

#define PROVIDER "soft"

/* An authority under way. */
struct making {
    const struct cm_init_plan *plan;
    struct cm_init_authority *authority;
    const struct cm_profile *profile;
    const char *cn;
    struct cm_bytes spki;
    struct cm_key_session *signer;  /* whose key signs it */
    const struct cm_issuer *issuer; /* NULL: itself */
    struct cm_error *err;
};

/* ---------------------------------------------------------------------------------- keys -- */

static cm_status make_key(const struct cm_init_plan *plan,
                          const struct cm_init_authority *authority, struct cm_bytes *ret_spki,
                          struct cm_error *err)
{
    struct cm_keyfile_spki spki;
    struct cm_secret secret = { 0 };
    if (plan->passphrase_from) {
        cm_status status = cm_secret_read(plan->passphrase_from, NULL, &secret, err);
        if (status != CM_OK)
            return status;
    }
    cm_status status = cm_keyfile_generate(plan->key_type, plan->key_bits, authority->key_path,
                                           secret.text, &spki, err);
    cm_secret_done(&secret);
    if (status != CM_OK)
        return status;
    cm_new_files_note(plan->files, authority->key_path);
    *ret_spki = cm_arena_copy(plan->arena, cm_bytes(spki.data, spki.size));
    return CM_OK;
}

static cm_status open_key(const struct cm_init_plan *plan,
                          const struct cm_init_authority *authority, struct cm_key_session *session,
                          struct cm_error *err)
{
    const struct cm_settings_provider provider = {
        .name = PROVIDER,
        .kind = "openssl",
        .keys = cm_arena_printf(plan->arena, "%s/keys", plan->folder),
        .passphrase = plan->passphrase_from,
    };
    return cm_key_session_open(session, &provider, authority->key, err);
}

/* -------------------------------------------------------------------------- certificates -- */

/* Shaped as the engine's serials are: 44 bits of milliseconds, 20 of a counter, 96 random. */
static cm_status draw_serial(uint8_t serial[CM_SERIAL_SIZE], uint32_t counter, struct cm_error *err)
{
    uint64_t number = (uint64_t)cm_clock_wall_ms() << 20 | counter;
    for (int i = 0; i < 8; i++)
        serial[i] = (uint8_t)(number >> (56 - 8 * i));
    if (RAND_bytes(serial + 8, CM_SERIAL_SIZE - 8) != 1)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_SELF, 0, "the random generator failed");
    return CM_OK;
}

static cm_status compose(struct making *making, struct cm_composer *composer,
                         struct cm_tbs *ret_tbs)
{
    const struct cm_init_plan *plan = making->plan;
    uint8_t serial[CM_SERIAL_SIZE];
    struct cm_attribute attributes[2] = { { cm_bytes_str("cn"), cm_bytes_str(making->cn) } };
    size_t attributes_count = 1;
    cm_status status = draw_serial(serial, making->issuer ? 2 : 1, making->err);
    if (status != CM_OK)
        return status;
    if (plan->organization)
        attributes[attributes_count++] =
            (struct cm_attribute){ cm_bytes_str("o"), cm_bytes_str(plan->organization) };
    const struct cm_authority_input in = {
        .profile = making->profile,
        .issuer = making->issuer,
        .sigalg = making->signer->key->alg,
        .serial = cm_bytes(serial, sizeof serial),
        .issue_time_s = cm_clock_wall_s(),
        .spki = making->spki,
        .key_type = plan->key_type,
        .attributes = attributes,
        .attributes_count = attributes_count,
    };
    return cm_authority_compose(composer, &in, plan->arena, ret_tbs, making->err);
}

static cm_status sign(struct making *making, const struct cm_tbs *tbs)
{
    const struct cm_init_plan *plan = making->plan;
    uint8_t signature[CM_SIGNATURE_SIZE_MAX];
    size_t size = 0;
    cm_status status = cm_key_session_sign(making->signer, tbs->der, signature, &size, making->err);
    if (status != CM_OK)
        return status;
    making->authority->der = cm_certificate_assemble(tbs->der, making->signer->key->alg,
                                                     cm_bytes(signature, size), plan->arena);
    return CM_OK;
}

static cm_status write_certificate(struct making *making)
{
    struct cm_init_authority *authority = making->authority;
    uint8_t hash[SHA256_DIGEST_LENGTH];
    SHA256(authority->der.data, authority->der.size, hash);
    cm_hex_encode(cm_bytes(hash, sizeof hash), authority->fingerprint);
    return cm_new_files_write(making->plan->files, authority->path, 0644,
                              cm_pem_write("CERTIFICATE", authority->der, making->plan->arena),
                              making->err);
}

static cm_status make_certificate(struct making *making)
{
    struct cm_composer *composer = NULL;
    struct cm_tbs tbs;
    cm_status status = cm_composer_new(&composer, making->err);
    if (status == CM_OK)
        status = compose(making, composer, &tbs);
    cm_composer_free(composer);
    if (status == CM_OK)
        status = sign(making, &tbs);
    if (status == CM_OK)
        status = write_certificate(making);
    return status;
}

/* ------------------------------------------------------------------------------- the two -- */

static struct cm_init_authority describe(const struct cm_init_plan *plan, const char *name,
                                         const char *key_file)
{
    return (struct cm_init_authority){
        .name = name,
        .key = cm_arena_printf(plan->arena, "file:%s", key_file),
        .key_path = cm_arena_printf(plan->arena, "%s/keys/%s", plan->folder, key_file),
        .path = cm_arena_printf(plan->arena, "%s/ca/%s.pem", plan->folder, name),
    };
}

/* "NAME Root CA", where the organization's name leaves room for it. */
static const char *common_name(const struct cm_init_plan *plan, const char *what)
{
    bool fits = plan->organization && strlen(plan->organization) + strlen(what) < 64;
    return cm_arena_printf(plan->arena, "%s%s%s", fits ? plan->organization : "", fits ? " " : "",
                           what);
}

static cm_status sign_both(struct making *root, struct making *issuing)
{
    struct cm_certificate certificate;
    struct cm_issuer issuer;
    cm_status status = make_certificate(root);
    if (status == CM_OK)
        status = cm_certificate_read(root->authority->der, &certificate, root->err);
    if (status == CM_OK)
        status = cm_issuer_from_certificate(&certificate, &issuer, root->err);
    if (status != CM_OK)
        return status;
    issuing->issuer = &issuer;
    return make_certificate(issuing);
}

/* Opening the issuing key proves it, too, before anything relies on it. */
static cm_status prove_issuing(const struct cm_init_plan *plan, struct cm_init_authority *issuing,
                               struct cm_error *err)
{
    struct cm_key_session session;
    cm_status status = open_key(plan, issuing, &session, err);
    if (status == CM_OK)
        issuing->sigalg = session.key->alg;
    cm_key_session_close(&session);
    return status;
}

cm_status cm_init_make_authorities(const struct cm_init_plan *plan,
                                   struct cm_init_authority *ret_root,
                                   struct cm_init_authority *ret_issuing, struct cm_error *err)
{
    struct cm_key_session session = { 0 };
    struct cm_profile issuing_profile = *cm_profile_builtin("issuing-ca");
    if (!plan->sub_ca)
        issuing_profile.path_len = 0;
    *ret_root = describe(plan, "root", "root.pem");
    *ret_issuing = describe(plan, "issuing", "issuing-1.pem");
    struct making root = { .plan = plan,
                           .authority = ret_root,
                           .profile = cm_profile_builtin("root-ca"),
                           .cn = common_name(plan, "Root CA"),
                           .signer = &session,
                           .err = err };
    struct making issuing = { .plan = plan,
                              .authority = ret_issuing,
                              .profile = &issuing_profile,
                              .cn = common_name(plan, "Issuing CA 1"),
                              .signer = &session,
                              .err = err };
    cm_status status = make_key(plan, ret_root, &root.spki, err);
    if (status == CM_OK)
        status = make_key(plan, ret_issuing, &issuing.spki, err);
    if (status == CM_OK)
        status = prove_issuing(plan, ret_issuing, err);
    if (status != CM_OK)
        return status;
    status = open_key(plan, ret_root, &session, err);
    if (status == CM_OK) {
        ret_root->sigalg = session.key->alg;
        status = sign_both(&root, &issuing);
    }
    cm_key_session_close(&session);
    return status;
}

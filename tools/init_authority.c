/* The two authorities of a new deployment: keys, certificates, files. */
#include "tools/init_plan.h"

#include <stdio.h>
#include <string.h>

#include "engine/x509/certificate.h"
#include "engine/x509/pem_writer.h"
#include "tools/token_key.h"
#include "tools/vault_flags.h"

bool cm_init_is_in_token(const struct cm_init_plan *plan)
{
    return strcmp(plan->provider, "pkcs11") == 0;
}

bool cm_init_is_in_vault(const struct cm_init_plan *plan)
{
    return strcmp(plan->provider, "keyvault") == 0;
}

const char *cm_init_place(const struct cm_init_plan *plan)
{
    if (cm_init_is_in_vault(plan))
        return ", in its vault";
    return cm_init_is_in_token(plan) ? ", in its token" : "";
}

const char *cm_init_provider_name(const struct cm_init_plan *plan)
{
    if (cm_init_is_in_vault(plan))
        return "vault";
    return cm_init_is_in_token(plan) ? "hsm" : "soft";
}

static void describe_key(const struct cm_init_plan *plan, const char *existing, const char *name,
                         struct cm_init_authority *authority)
{
    const char *label = cm_arena_printf(plan->arena, "%s-%s", plan->key_label, name);
    authority->ca.has_key = existing != NULL;
    authority->ca.spec = (struct cm_key_spec){ .type = plan->key_type, .bits = plan->key_bits };
    if (existing) {
        authority->ca.key = existing;
    } else if (cm_init_is_in_token(plan)) {
        authority->ca.key = cm_token_key_reference(plan->token, label, plan->arena);
    } else if (cm_init_is_in_vault(plan)) {
        authority->ca.key = cm_vault_flags_key(plan->call, label, plan->arena);
    } else {
        authority->ca.key = cm_arena_printf(plan->arena, "file:%s.pem", name);
        authority->key_path = cm_arena_printf(plan->arena, "%s/keys/%s.pem", plan->folder, name);
    }
}

/* "NAME Root CA", where the organization's name leaves room for it. */
static const char *common_name(const struct cm_init_plan *plan, const char *what)
{
    bool fits = plan->organization && strlen(plan->organization) + strlen(what) < 64;
    return cm_arena_printf(plan->arena, "%s%s%s", fits ? plan->organization : "", fits ? " " : "",
                           what);
}

static struct cm_init_authority describe(const struct cm_init_plan *plan, const char *name,
                                         const char *what)
{
    return (struct cm_init_authority){
        .ca = { .name = name, .cn = common_name(plan, what), .organization = plan->organization },
        .path = cm_arena_printf(plan->arena, "%s/ca/%s.pem", plan->folder, name),
    };
}

static cm_status sign(const struct cm_init_plan *plan, struct cm_init_authority *authority,
                      struct cm_init_authority *by, const struct cm_issuer *issuer,
                      struct cm_error *err)
{
    const struct cm_new_authority_signer signer = { .session = by->ca.session,
                                                    .key = by->ca.handle,
                                                    .issuer = issuer };
    cm_status status = cm_new_authority_sign(&authority->ca, &signer, plan->arena, err);
    if (status != CM_OK)
        return status;
    return cm_new_files_write(plan->files, authority->path, 0644,
                              cm_pem_write("CERTIFICATE", authority->ca.der, plan->arena), err);
}

static cm_status sign_both(const struct cm_init_plan *plan, struct cm_init_authority *root,
                           struct cm_init_authority *issuing, struct cm_error *err)
{
    struct cm_certificate certificate;
    struct cm_issuer issuer;
    cm_status status = sign(plan, root, root, NULL, err);
    if (status == CM_OK)
        status = cm_certificate_read(root->ca.der, &certificate, err);
    if (status == CM_OK)
        status = cm_issuer_from_certificate(&certificate, &issuer, err);
    if (status == CM_OK)
        status = sign(plan, issuing, root, &issuer, err);
    return status;
}

/* However they are spelled: certificates of one key could not be told apart by those who check them. */
static cm_status refuse_one_key(const struct cm_init_authority *root,
                                const struct cm_init_authority *issuing, struct cm_error *err)
{
    if (!cm_bytes_equal(root->ca.handle->spki, issuing->ca.handle->spki))
        return CM_OK;
    return CM_FAIL(err, CM_EXISTS, CM_ORIGIN_SELF, 0,
                   "the root and the issuing authority cannot have one key: %s and %s are the same",
                   root->ca.key, issuing->ca.key);
}

cm_status cm_init_make_authorities(const struct cm_init_plan *plan,
                                   struct cm_provider_session *session,
                                   struct cm_init_authority *ret_root,
                                   struct cm_init_authority *ret_issuing, struct cm_error *err)
{
    struct cm_profile issuing_profile = *cm_profile_builtin("issuing-ca");
    if (!plan->sub_ca)
        issuing_profile.path_len = 0;
    *ret_root = describe(plan, "root", "Root CA");
    *ret_issuing = describe(plan, "issuing", "Issuing CA 1");
    describe_key(plan, plan->root_key, "root", ret_root);
    describe_key(plan, plan->issuing_key, "issuing-1", ret_issuing);
    ret_root->ca.profile = cm_profile_builtin("root-ca");
    ret_issuing->ca.profile = &issuing_profile;
    cm_status status = cm_new_authority_open_key(&ret_root->ca, session, err);
    if (status == CM_OK)
        status = cm_new_authority_open_key(&ret_issuing->ca, session, err);
    if (status == CM_OK)
        status = refuse_one_key(ret_root, ret_issuing, err);
    if (status == CM_OK)
        status = sign_both(plan, ret_root, ret_issuing, err);
    ret_issuing->ca.profile = NULL; /* it ends with this call */
    return status;
}

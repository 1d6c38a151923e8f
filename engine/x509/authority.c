#include "engine/x509/authority.h"

#include "engine/x509/internal.h"
#include "engine/x509/lint.h"

static struct cm_template_input template_input(const struct cm_authority_input *in)
{
    return (struct cm_template_input){
        .serial = in->serial,
        .issue_time_s = in->issue_time_s,
        .validity_s = in->validity_s,
        .attributes = in->attributes,
        .attributes_count = in->attributes_count,
        .spki = in->spki,
        .key_type = in->key_type,
        .subject = in->subject,
        .ski = in->ski,
    };
}

static cm_status fail(struct cm_error *err, const struct cm_refusal *refusal)
{
    return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "%s: %s", cm_refusal_name(refusal->code),
                   refusal->message);
}

/* The name comes out of a template, and a template needs an issuer: a stand-in, of which nothing remains. */
cm_status cm_authority_compose_subject(struct cm_composer *composer,
                                       const struct cm_authority_input *in, struct cm_arena *arena,
                                       struct cm_bytes *ret_name, struct cm_error *err)
{
    static const uint8_t stand_in[] = { 0x30, 0x02, 0x05, 0x00 };
    const struct cm_issuer nobody = {
        .name = cm_bytes(stand_in, sizeof stand_in),
        .ski = cm_bytes(stand_in, sizeof stand_in),
        .not_before_s = CM_DER_TIME_MIN_S,
        .not_after_s = CM_DER_TIME_MAX_S,
        .path_len = CM_PATH_LEN_NONE,
        .sigalg = CM_SIGALG_ECDSA_SHA256,
    };
    struct cm_template_input input = template_input(in);
    struct cm_template *template;
    struct cm_refusal refusal;
    cm_status status = cm_template_build(in->profile, &nobody, &template, err);
    if (status != CM_OK)
        return status;
    bool is_named =
        cm_template_compose_subject(template, composer, &input, arena, ret_name, &refusal);
    cm_template_free(template);
    return is_named ? CM_OK : fail(err, &refusal);
}

/* An issuer that is its own subject. */
static cm_status make_self(struct cm_composer *composer, const struct cm_authority_input *in,
                           struct cm_arena *arena, struct cm_issuer *ret_self, struct cm_error *err)
{
    struct cm_issuer self = {
        .spki = in->spki,
        .not_before_s = CM_DER_TIME_MIN_S,
        .not_after_s = CM_DER_TIME_MAX_S,
        .path_len = CM_PATH_LEN_NONE,
        .sigalg = in->sigalg,
    };
    uint8_t *ski = cm_arena_alloc(arena, CM_SKI_SIZE);
    if (!cm_composer_ski(composer, in->profile->ski_method, in->spki, ski))
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "the key is no public key");
    self.ski = cm_bytes(ski, CM_SKI_SIZE);
    cm_status status = cm_authority_compose_subject(composer, in, arena, &self.name, err);
    if (status == CM_OK)
        *ret_self = self;
    return status;
}

cm_status cm_authority_compose(struct cm_composer *composer, const struct cm_authority_input *in,
                               struct cm_arena *arena, struct cm_tbs *ret_tbs, struct cm_error *err)
{
    struct cm_template_input input = template_input(in);
    struct cm_issuer self;
    struct cm_template *template;
    struct cm_refusal refusal;
    struct cm_tbs tbs;
    cm_status status = in->issuer ? CM_OK : make_self(composer, in, arena, &self, err);
    if (status != CM_OK)
        return status;
    const struct cm_issuer *issuer = in->issuer ? in->issuer : &self;
    status = cm_template_build(in->profile, issuer, &template, err);
    if (status != CM_OK)
        return status;
    bool is_good =
        cm_template_compose(template, composer, &input, arena, &tbs, &refusal)
        && cm_lint_given(composer, tbs.der, in->profile, issuer, in->subject, in->ski, &refusal);
    cm_template_free(template);
    if (!is_good)
        return fail(err, &refusal);
    *ret_tbs = tbs;
    return CM_OK;
}

#include "tests/unit/x509/template_rig.h"

#include "engine/x509/lint.h"
#include "tests/support/test_main.h"

const uint8_t issuer_name[ISSUER_NAME_SIZE] = { 0x30, 0x11, 0x31, 0x0f, 0x30, 0x0d, 0x06,
                                                0x03, 0x55, 0x04, 0x03, 0x0c, 0x06, 'I',
                                                's',  's',  'u',  'e',  'r' };
const uint8_t spki[SPKI_SIZE] = {
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04, 0x6b, 0x17, 0xd1, 0xf2, 0xe1,
    0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d,
    0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96, 0x4f, 0xe3, 0x42, 0xe2, 0xfe,
    0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce, 0x33, 0x57, 0x6b,
    0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5
};

struct cm_arena arena;
struct cm_composer *composer;
struct cm_issuer issuer;
struct cm_template_input input;
struct cm_refusal refusal;
struct cm_tbs tbs;

void reset(void)
{
    issuer = (struct cm_issuer){
        .name = cm_bytes(issuer_name, sizeof issuer_name),
        .ski = cm_bytes("0123456789abcdefghij", 20),
        .spki = cm_bytes("", 0),
        .not_before_s = 1577836800,
        .not_after_s = 2840140799,
        .path_len = CM_PATH_LEN_NONE,
        .sigalg = CM_SIGALG_ECDSA_SHA256,
        .crl_shards = 8,
        .crl_url = "http://pki.example/crl/i/${shard}.crl",
        .ocsp_url = "http://pki.example/ocsp",
        .ca_issuers_url = "http://pki.example/ca/i.cer",
    };
    input = (struct cm_template_input){
        .serial = cm_bytes("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0d", 12),
        .issue_time_s = ISSUED_S,
        .device = cm_bytes_str("device-1"),
        .spki = cm_bytes(spki, sizeof spki),
        .key_type = CM_KEY_P256,
    };
    refusal = (struct cm_refusal){ 0 };
}

bool compose(const struct cm_profile *profile)
{
    struct cm_template *template = NULL;
    struct cm_error err = { 0 };
    if (cm_template_build(profile, &issuer, &template, &err) != CM_OK)
        printf("    %s\n", err.text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(template);
    refusal = (struct cm_refusal){ 0 };
    bool is_composed = cm_template_compose(template, composer, &input, &arena, &tbs, &refusal);
    cm_template_free(template);
    return is_composed;
}

struct cm_certificate issue(const struct cm_profile *profile)
{
    struct cm_certificate certificate = { 0 };
    struct cm_error err = { 0 };
    if (!compose(profile) || !cm_lint_tbs(composer, tbs.der, profile, &issuer, &refusal))
        printf("    %s\n", refusal.message);
    CU_ASSERT_EQUAL_FATAL(refusal.code, CM_REFUSAL_NONE);
    struct cm_bytes der =
        cm_certificate_assemble(tbs.der, issuer.sigalg, cm_bytes("sig", 3), &arena);
    CU_ASSERT_EQUAL_FATAL(cm_certificate_read(der, &certificate, &err), CM_OK);
    return certificate;
}

void refuse(const struct cm_profile *profile, enum cm_refusal_code code)
{
    CU_ASSERT_FALSE(compose(profile));
    if (refusal.code != code)
        printf("    %s: %s\n", cm_refusal_name(refusal.code), refusal.message);
    CU_ASSERT_EQUAL(refusal.code, code);
}

struct cm_profile builtin(const char *name)
{
    reset();
    return *cm_profile_builtin(name);
}

bool contains(struct cm_bytes whole, const char *part)
{
    return memmem(whole.data, whole.size, part, strlen(part)) != NULL;
}

int set_up(void)
{
    cm_arena_init(&arena, 1 << 16);
    return cm_composer_new(&composer, NULL) != CM_OK;
}

int tear_down(void)
{
    cm_composer_free(composer);
    cm_arena_done(&arena);
    return 0;
}

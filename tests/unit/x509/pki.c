#include "tests/unit/x509/pki.h"

#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine/x509/authority.h"
#include "engine/x509/lint.h"
#include "tests/support/rsa_pairs.h"
#include "tests/support/test_main.h"

struct pki pki;

/* Also for set-up functions, where CUnit's assertions are not allowed. */
#define MUST(condition) must((condition), #condition, __LINE__)

static void must(bool holds, const char *condition, int line)
{
    if (holds)
        return;
    printf("pki.c:%d: %s\n", line, condition);
    abort();
}

static unsigned rsa_pairs_given;

static EVP_PKEY *generate(enum cm_key_type type)
{
    switch (type) {
    case CM_KEY_P256:
        return EVP_EC_gen("P-256");
    case CM_KEY_P384:
        return EVP_EC_gen("P-384");
    case CM_KEY_P521:
        return EVP_EC_gen("P-521");
    case CM_KEY_RSA:
        return cm_rsa_pair(rsa_pairs_given++ % CM_RSA_PAIRS);
    default:
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    }
}

struct pki_key pki_new_key(enum cm_key_type type)
{
    struct pki_key key = { .key = generate(type), .type = type };
    unsigned char *der = NULL;
    int size = i2d_PUBKEY(key.key, &der);
    MUST(size > 0);
    key.spki = cm_arena_copy(&pki.arena, cm_bytes(der, (size_t)size));
    OPENSSL_free(der);
    return key;
}

struct cm_bytes pki_sign(const struct pki_key *key, enum cm_sigalg sigalg, struct cm_bytes message)
{
    const char *hash = cm_sigalg_hash(sigalg);
    uint8_t *signature = cm_arena_alloc(&pki.arena, CM_SIGNATURE_SIZE_MAX);
    size_t size = CM_SIGNATURE_SIZE_MAX;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *key_context;
    MUST(EVP_DigestSignInit_ex(context, &key_context, *hash ? hash : NULL, NULL, NULL, key->key,
                               NULL)
         == 1);
    if (cm_sigalg_is_pss(sigalg)) {
        EVP_PKEY_CTX_set_rsa_padding(key_context, RSA_PKCS1_PSS_PADDING);
        EVP_PKEY_CTX_set_rsa_pss_saltlen(key_context, RSA_PSS_SALTLEN_DIGEST);
    }
    MUST(EVP_DigestSign(context, signature, &size, message.data, message.size) == 1);
    EVP_MD_CTX_free(context);
    return cm_bytes(signature, size);
}

static struct cm_bytes make_authority(const char *profile, const char *name,
                                      const struct pki_key *key, const struct cm_issuer *issuer,
                                      const struct pki_key *signer)
{
    const struct cm_attribute attributes[] = {
        { cm_bytes_str("cn"), cm_bytes_str(name) },
        { cm_bytes_str("o"), cm_bytes_str("Musterwerke M\xc3\xbcnchen") },
        { cm_bytes_str("c"), cm_bytes_str("DE") },
    };
    struct cm_authority_input in = {
        .profile = cm_profile_builtin(profile),
        .issuer = issuer,
        .sigalg = cm_sigalg_default(signer->type),
        .serial = issuer ? cm_bytes("\x01\x02\x03\x04\x05\x06\x07\x08\x09", 9)
                         : cm_bytes("\x7f\x02\x03\x04\x05\x06\x07\x08\x09", 9),
        .issue_time_s = pki.now_s - 86400,
        .spki = key->spki,
        .key_type = key->type,
        .attributes = attributes,
        .attributes_count = 3,
    };
    struct cm_tbs tbs;
    struct cm_error err = { 0 };
    if (cm_authority_compose(pki.composer, &in, &pki.arena, &tbs, &err) != CM_OK)
        printf("    %s: %s\n", name, err.text);
    MUST(err.status == CM_OK);
    struct cm_bytes signature = pki_sign(signer, in.sigalg, tbs.der);
    return cm_certificate_assemble(tbs.der, in.sigalg, signature, &pki.arena);
}

static struct cm_issuer issuer_of(struct cm_bytes der)
{
    struct cm_certificate certificate;
    struct cm_issuer issuer = { 0 };
    struct cm_error err = { 0 };
    if (cm_certificate_read(der, &certificate, &err) != CM_OK
        || cm_issuer_from_certificate(&certificate, &issuer, &err) != CM_OK)
        printf("    %s\n", err.text);
    MUST(err.status == CM_OK);
    return issuer;
}

int pki_init(enum cm_key_type ca_type)
{
    pki.now_s = time(NULL);
    cm_arena_init(&pki.arena, 1 << 16);
    if (cm_composer_new(&pki.composer, NULL) != CM_OK)
        return 1;
    for (unsigned type = 1; type < CM_KEY_TYPE_COUNT; type++)
        pki.keys[type] = pki_new_key((enum cm_key_type)type);
    pki.root_key = pki_new_key(ca_type);
    pki.issuing_key = pki_new_key(ca_type);
    pki.root = make_authority("root-ca", "Test Root", &pki.root_key, NULL, &pki.root_key);
    struct cm_issuer root = issuer_of(pki.root);
    pki.issuing =
        make_authority("issuing-ca", "Test Issuing 1", &pki.issuing_key, &root, &pki.root_key);
    pki.issuer = issuer_of(pki.issuing);
    pki.issuer.crl_shards = 16;
    pki.issuer.crl_url = "http://pki.example/crl/issuing/${shard}.crl";
    pki.issuer.ocsp_url = "http://pki.example/ocsp";
    pki.issuer.ca_issuers_url = "http://pki.example/ca/issuing.cer";
    return 0;
}

int pki_done(void)
{
    for (unsigned type = 1; type < CM_KEY_TYPE_COUNT; type++)
        EVP_PKEY_free(pki.keys[type].key);
    EVP_PKEY_free(pki.root_key.key);
    EVP_PKEY_free(pki.issuing_key.key);
    cm_composer_free(pki.composer);
    cm_arena_done(&pki.arena);
    return 0;
}

struct cm_template_input pki_input(enum cm_key_type type)
{
    return (struct cm_template_input){
        .serial = cm_bytes("\x01\x97\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\x2d", 16),
        .issue_time_s = pki.now_s,
        .device = cm_bytes_str("device-0001"),
        .spki = pki.keys[type].spki,
        .key_type = type,
    };
}

struct cm_template *pki_template(const struct cm_profile *profile, const struct cm_issuer *issuer)
{
    struct cm_template *template = NULL;
    struct cm_error err;
    if (cm_template_build(profile, issuer, &template, &err) != CM_OK)
        printf("    %s: %s\n", profile->name, err.text);
    return template;
}

bool pki_compose(const struct cm_profile *profile, const struct cm_issuer *issuer,
                 const struct cm_template_input *in, struct cm_tbs *ret_tbs,
                 struct cm_refusal *refusal)
{
    struct cm_template *template = pki_template(profile, issuer);
    MUST(template != NULL);
    bool is_composed =
        cm_template_compose(template, pki.composer, in, &pki.arena, ret_tbs, refusal);
    cm_template_free(template);
    return is_composed;
}

static const struct cm_attribute attributes[] = {
    { { (const uint8_t *)"hw-type", 7 }, { (const uint8_t *)"1.3.6.1.4.1.55555.1", 19 } },
    { { (const uint8_t *)"hw-serial", 9 }, { (const uint8_t *)"SN-0001", 7 } },
    { { (const uint8_t *)"dns", 3 }, { (const uint8_t *)"device-0001.plant.example", 25 } },
    { { (const uint8_t *)"ip", 2 }, { (const uint8_t *)"10.1.2.3", 8 } },
    { { (const uint8_t *)"o", 1 }, { (const uint8_t *)"Musterwerke", 11 } },
};

void pki_for_each_profile(void (*check)(const struct pki_issued *))
{
    const struct cm_profile *profile;
    for (size_t index = 0; (profile = cm_profile_builtin_at(index)) != NULL; index++) {
        if (strcmp(profile->name, "root-ca") == 0 || strcmp(profile->name, "issuing-ca") == 0)
            continue;
        for (unsigned type = 1; type < CM_KEY_TYPE_COUNT; type++) {
            struct pki_issued issued = { .profile = profile, .type = (enum cm_key_type)type };
            struct cm_template_input in = pki_input(issued.type);
            struct cm_refusal refusal = { 0 };
            in.attributes = attributes;
            in.attributes_count = sizeof attributes / sizeof attributes[0];
            if (!pki_compose(profile, &pki.issuer, &in, &issued.tbs, &refusal)
                || !cm_lint_tbs(pki.composer, issued.tbs.der, profile, &pki.issuer, &refusal))
                printf("    %s: %s\n", profile->name, refusal.message);
            MUST(refusal.code == CM_REFUSAL_NONE);
            struct cm_bytes signature =
                pki_sign(&pki.issuing_key, pki.issuer.sigalg, issued.tbs.der);
            issued.der =
                cm_certificate_assemble(issued.tbs.der, pki.issuer.sigalg, signature, &pki.arena);
            check(&issued);
        }
    }
}

X509 *pki_parse(struct cm_bytes der)
{
    const unsigned char *next = der.data;
    X509 *x509 = d2i_X509(NULL, &next, (long)der.size);
    MUST(x509 && next == der.data + der.size);
    return x509;
}

OCSP_CERTID *pki_cert_id(const EVP_MD *hash, const ASN1_INTEGER *serial)
{
    X509 *issuing = pki_parse(pki.issuing);
    OCSP_CERTID *id = OCSP_cert_id_new(hash, X509_get_subject_name(issuing),
                                       X509_get0_pubkey_bitstr(issuing), serial);
    MUST(id != NULL);
    X509_free(issuing);
    return id;
}

const char *pki_write_file(const char *name, struct cm_bytes bytes)
{
    const char *path = cm_arena_printf(&pki.arena, "%s/%s", cm_test_scratch(), name);
    FILE *file = fopen(path, "wb");
    MUST(file != NULL);
    MUST(fwrite(bytes.data, 1, bytes.size, file) == bytes.size);
    fclose(file);
    return path;
}

int pki_run(const char *command, char *ret_output, size_t output_space)
{
    FILE *pipe = popen(command, "r");
    MUST(pipe != NULL);
    size_t used = fread(ret_output, 1, output_space - 1, pipe);
    ret_output[used] = '\0';
    char rest[512];
    while (fread(rest, 1, sizeof rest, pipe) > 0)
        ; /* else the program ends by SIGPIPE */
    int status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool pki_has_program(const char *program)
{
    char output[8];
    const char *command = cm_arena_printf(&pki.arena, "command -v '%s' 2>/dev/null", program);
    return pki_run(command, output, sizeof output) == 0;
}

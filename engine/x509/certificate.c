#include "engine/x509/certificate.h"

#include "engine/x509/proof.h"

#include "engine/x509/der_writer.h"
#include "engine/x509/extension.h"
#include "engine/x509/key.h"
#include "engine/x509/name_constraints.h"
#include "engine/x509/signed.h"

#define PATH_LEN_MAX 32767

struct cm_bytes cm_certificate_assemble(struct cm_bytes tbs, enum cm_sigalg sigalg,
                                        struct cm_bytes signature, struct cm_arena *arena)
{
    size_t size = tbs.size + cm_signed_room(sigalg, signature.size);
    struct cm_der_writer w;
    cm_der_writer_init(&w, cm_arena_alloc(arena, size), size);
    cm_signed_put(&w, tbs, sigalg, signature);
    return cm_der_written(&w);
}

static bool read_path_len(struct cm_der *inner, struct cm_certificate *certificate)
{
    struct cm_bytes magnitude;
    size_t offset = inner->position;
    int path_len = 0;
    if (!cm_der_read_unsigned(inner, "pathLenConstraint", &magnitude))
        return false;
    for (size_t index = 0; index < magnitude.size && path_len <= PATH_LEN_MAX; index++)
        path_len = path_len << 8 | magnitude.data[index];
    if (path_len > PATH_LEN_MAX)
        return cm_refuse(inner->refusal, CM_REFUSAL_DER_TOO_LARGE, offset, "pathLenConstraint");
    certificate->path_len = path_len;
    return true;
}

static bool read_basic_constraints(struct cm_der *value, struct cm_certificate *certificate)
{
    struct cm_der inner;
    size_t offset = value->position;
    if (!cm_der_enter(value, CM_DER_SEQUENCE, "basicConstraints", &inner))
        return false;
    if (cm_der_next_is(&inner, CM_DER_BOOLEAN)) {
        if (!cm_der_read_boolean(&inner, "cA", &certificate->is_ca))
            return false;
        if (!certificate->is_ca)
            return cm_refuse(value->refusal, CM_REFUSAL_DER_DEFAULT_ENCODED, offset,
                             "cA is FALSE by default");
    }
    if (cm_der_next_is(&inner, CM_DER_INTEGER) && !read_path_len(&inner, certificate))
        return false;
    return cm_der_finish(&inner, "basicConstraints");
}

static bool read_key_usage(struct cm_der *value, struct cm_certificate *certificate)
{
    uint16_t bits;
    if (!cm_der_read_named_bits(value, "keyUsage", &bits))
        return false;
    certificate->key_usage = bits;
    return true;
}

static bool read_altnames(struct cm_der *value, struct cm_certificate *certificate)
{
    struct cm_der_element altnames;
    if (!cm_der_read(value, CM_DER_SEQUENCE, "subjectAltName", &altnames))
        return false;
    certificate->altnames = altnames.whole;
    return true;
}

static bool read_name_constraints(struct cm_der *value, struct cm_certificate *certificate)
{
    struct cm_name_constraints ignored;
    struct cm_der again = *value;
    return cm_der_read_sequence(value, "nameConstraints", &certificate->name_constraints)
           && cm_name_constraints_read(&again, &ignored);
}

static bool read_extension_value(struct cm_der *extensions, const struct cm_extension *extension,
                                 struct cm_certificate *certificate)
{
    struct cm_der value = cm_der_inside(extensions, extension->value);
    bool is_read;
    switch (extension->id) {
    case CM_OID_SUBJECT_KEY_ID:
        is_read = cm_der_read_octet_string(&value, "subjectKeyIdentifier", &certificate->ski);
        break;
    case CM_OID_AUTHORITY_KEY_ID:
        is_read = cm_extension_read_aki(&value, &certificate->aki);
        break;
    case CM_OID_BASIC_CONSTRAINTS:
        is_read = read_basic_constraints(&value, certificate);
        break;
    case CM_OID_KEY_USAGE:
        is_read = read_key_usage(&value, certificate);
        break;
    case CM_OID_SUBJECT_ALT_NAME:
        is_read = read_altnames(&value, certificate);
        break;
    case CM_OID_NAME_CONSTRAINTS:
        is_read = read_name_constraints(&value, certificate);
        break;
    case CM_OID_CERTIFICATE_POLICIES:
        is_read = cm_der_read_sequence(&value, "certificatePolicies", &certificate->policies);
        break;
    case CM_OID_EXTENDED_KEY_USAGE:
        is_read = cm_der_read_sequence(&value, "extKeyUsage", &certificate->purposes);
        break;
    default:
        return true;
    }
    return is_read && cm_der_finish(&value, "extension");
}

static bool read_extensions(struct cm_der *tbs, struct cm_certificate *certificate)
{
    struct cm_extensions extensions;
    if (!cm_extensions_enter(tbs, CM_DER_CONTEXT_CONSTRUCTED(3), &extensions))
        return false;
    while (!cm_extensions_are_read(&extensions)) {
        struct cm_extension extension;
        if (!cm_extensions_next(&extensions, &extension)
            || !read_extension_value(&extensions.list, &extension, certificate))
            return false;
    }
    return true;
}

static bool read_version(struct cm_der *tbs)
{
    struct cm_der version;
    struct cm_bytes number;
    size_t offset = tbs->position;
    if (!cm_der_enter(tbs, CM_DER_CONTEXT_CONSTRUCTED(0), "version", &version)
        || !cm_der_read_unsigned(&version, "version", &number)
        || !cm_der_finish(&version, "version"))
        return false;
    if (number.size != 1 || number.data[0] != 2)
        return cm_refuse(tbs->refusal, CM_REFUSAL_CSR_VERSION, offset, "version is not v3");
    return true;
}

static bool read_validity(struct cm_der *tbs, struct cm_certificate *certificate)
{
    struct cm_der validity;
    return cm_der_enter(tbs, CM_DER_SEQUENCE, "validity", &validity)
           && cm_der_read_time(&validity, "notBefore", &certificate->not_before_s)
           && cm_der_read_time(&validity, "notAfter", &certificate->not_after_s)
           && cm_der_finish(&validity, "validity");
}

static bool read_tbs(struct cm_der *tbs, struct cm_certificate *certificate,
                     struct cm_bytes *ret_algorithm)
{
    return read_version(tbs) && cm_der_read_integer(tbs, "serialNumber", &certificate->serial)
           && cm_der_read_sequence(tbs, "signature", ret_algorithm)
           && cm_der_read_sequence(tbs, "issuer", &certificate->issuer)
           && read_validity(tbs, certificate)
           && cm_der_read_sequence(tbs, "subject", &certificate->subject)
           && cm_der_read_sequence(tbs, "subjectPublicKeyInfo", &certificate->spki)
           && read_extensions(tbs, certificate) && cm_der_finish(tbs, "TBSCertificate");
}

static bool read_certificate(struct cm_der *der, struct cm_certificate *certificate)
{
    struct cm_signed outer;
    struct cm_bytes inner_algorithm;
    if (!cm_signed_read(der, "certificate", &outer)
        || !read_tbs(&outer.inside, certificate, &inner_algorithm)
        || !cm_signed_check(der, &outer, inner_algorithm))
        return false;
    certificate->tbs = outer.tbs;
    certificate->signature = outer.signature;
    certificate->sigalg = cm_sigalg_from_der(outer.algorithm);
    return true;
}

cm_status cm_certificate_read(struct cm_bytes der, struct cm_certificate *ret, struct cm_error *err)
{
    struct cm_refusal refusal;
    struct cm_der reader = cm_der_open(der, &refusal);
    struct cm_certificate certificate = { .der = der, .path_len = CM_PATH_LEN_NONE };
    if (!cm_der_check(der, &refusal) || !read_certificate(&reader, &certificate))
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "certificate: %s", refusal.message);
    if (certificate.sigalg == CM_SIGALG_UNKNOWN)
        return CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_SELF, 0,
                       "certificate: signature algorithm not supported");
    *ret = certificate;
    return CM_OK;
}

cm_status cm_certificate_read_tbs(struct cm_bytes tbs, struct cm_certificate *ret,
                                  struct cm_error *err)
{
    struct cm_refusal refusal;
    struct cm_der reader = cm_der_open(tbs, &refusal), inside;
    struct cm_certificate certificate = { .tbs = tbs, .path_len = CM_PATH_LEN_NONE };
    struct cm_bytes algorithm;
    if (!cm_der_check(tbs, &refusal)
        || !cm_der_enter(&reader, CM_DER_SEQUENCE, "TBSCertificate", &inside)
        || !cm_der_finish(&reader, "TBSCertificate")
        || !read_tbs(&inside, &certificate, &algorithm))
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "TBSCertificate: %s", refusal.message);
    certificate.sigalg = cm_sigalg_from_der(algorithm);
    if (certificate.sigalg == CM_SIGALG_UNKNOWN)
        return CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_SELF, 0,
                       "TBSCertificate: signature algorithm not supported");
    *ret = certificate;
    return CM_OK;
}

bool cm_certificate_is_signed_by(const struct cm_certificate *certificate,
                                 const struct cm_certificate *by)
{
    struct cm_verifier *verifier;
    struct cm_public_key key;
    struct cm_refusal refusal;
    struct cm_error err;
    if (!cm_bytes_equal(certificate->issuer, by->subject)
        || !cm_public_key_read(by->spki, &key, &refusal)
        || cm_verifier_new(&key, certificate->sigalg, &verifier, &err) != CM_OK)
        return false;
    bool is_good = cm_verifier_check(verifier, certificate->tbs, certificate->signature) == CM_OK;
    cm_verifier_free(verifier);
    return is_good;
}

cm_status cm_issuer_from_certificate(const struct cm_certificate *certificate,
                                     struct cm_issuer *ret_issuer, struct cm_error *err)
{
    struct cm_public_key key;
    struct cm_refusal refusal;
    if (!certificate->is_ca || !(certificate->key_usage & CM_USAGE_KEY_CERT_SIGN))
        return CM_FAIL(err, CM_MISMATCH, CM_ORIGIN_SELF, 0,
                       "not the certificate of a CA that may sign certificates");
    if (certificate->ski.size == 0)
        return CM_FAIL(err, CM_MISMATCH, CM_ORIGIN_SELF, 0,
                       "the CA certificate has no subject key identifier");
    if (!cm_public_key_read(certificate->spki, &key, &refusal))
        return CM_FAIL(err, CM_MISMATCH, CM_ORIGIN_SELF, 0, "the CA certificate's key: %s",
                       refusal.message);
    *ret_issuer = (struct cm_issuer){
        .name = certificate->subject,
        .ski = certificate->ski,
        .spki = certificate->spki,
        .not_before_s = certificate->not_before_s,
        .not_after_s = certificate->not_after_s,
        .path_len = certificate->path_len,
        .name_constraints = certificate->name_constraints,
        .sigalg = cm_sigalg_default(key.type),
    };
    return CM_OK;
}

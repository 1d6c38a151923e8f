#include "tools/foreign_ca.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/x509/certificate.h"
#include "engine/x509/csr_writer.h"
#include "engine/x509/key_check.h"
#include "engine/x509/proof.h"
#include "tools/der_file.h"
#include "tools/time_text.h"

#define EMPTY_NAME_SIZE            2 /* a SEQUENCE of nothing */
#define REFUSE(reading, code, ...) CM_FAIL((reading)->err, code, CM_ORIGIN_SELF, 0, __VA_ARGS__)

struct reading {
    const char *path;
    struct cm_arena *arena;
    struct cm_foreign_ca *ca;
    struct cm_error *err;
};

/* The same failure, with the file's name in front. */
static cm_status name_file(const struct reading *reading, cm_status status,
                           const struct cm_error *why)
{
    return REFUSE(reading, status, "%.100s: %s", reading->path, why->text);
}

/* --------------------------------------------------------------------------------- name and key -- */

/* That a point lies on its curve shows when OpenSSL takes it: no signature may have shown it. */
static cm_status check_key(const struct reading *reading)
{
    struct cm_foreign_ca *ca = reading->ca;
    struct cm_verifier *verifier = NULL;
    struct cm_refusal refusal;
    struct cm_error why;
    if (!cm_public_key_read(ca->spki, &ca->key, &refusal) || !cm_key_check(&ca->key, &refusal))
        return REFUSE(reading, CM_MALFORMED, "%.100s: its key: %s: %s", reading->path,
                      cm_refusal_name(refusal.code), refusal.message);
    cm_status status = cm_verifier_new(&ca->key, cm_sigalg_default(ca->key.type), &verifier, &why);
    cm_verifier_free(verifier);
    return status == CM_OK ? CM_OK : name_file(reading, status, &why);
}

static cm_status check_name_and_key(const struct reading *reading)
{
    return reading->ca->subject.size > EMPTY_NAME_SIZE
               ? check_key(reading)
               : REFUSE(reading, CM_MISMATCH, "%.100s: its subject is empty", reading->path);
}

/* --------------------------------------------------------------------------------- certificates -- */

static cm_status check_dates(const struct reading *reading,
                             const struct cm_certificate *certificate)
{
    int64_t now_s = cm_clock_wall_s();
    char date[CM_TIME_TEXT_SIZE];
    if (certificate->not_after_s < now_s)
        return REFUSE(reading, CM_MISMATCH, "%.100s: it has ended on %s", reading->path,
                      cm_time_write(certificate->not_after_s, date));
    if (certificate->not_before_s > now_s)
        return REFUSE(reading, CM_MISMATCH, "%.100s: it begins on %s only", reading->path,
                      cm_time_write(certificate->not_before_s, date));
    return CM_OK;
}

/* Without a key usage its key may do anything (RFC 5280, 4.2.1.3). */
static cm_status check_authority(const struct reading *reading,
                                 const struct cm_certificate *certificate)
{
    if (!certificate->is_ca)
        return REFUSE(reading, CM_MISMATCH, "%.100s: it is no CA's: it does not say so",
                      reading->path);
    if (certificate->key_usage != 0 && !(certificate->key_usage & CM_USAGE_KEY_CERT_SIGN))
        return REFUSE(reading, CM_MISMATCH,
                      "%.100s: its key may not sign certificates: its key usage has no keyCertSign",
                      reading->path);
    if (certificate->ski.size > CM_SKI_SIZE_MAX)
        return REFUSE(reading, CM_UNSUPPORTED,
                      "%.100s: its subject key identifier is longer than %d octets", reading->path,
                      CM_SKI_SIZE_MAX);
    return check_dates(reading, certificate);
}

/* The name of its issuer is its own, and so is the key that it refers to. One that its next or last key has signed is
   self-issued, and refers to another. */
static bool claims_own_signature(const struct cm_certificate *certificate)
{
    return cm_bytes_equal(certificate->subject, certificate->issuer)
           && (certificate->aki.size == 0 || cm_bytes_equal(certificate->aki, certificate->ski));
}

static cm_status take_certificate(struct reading *reading, const struct cm_certificate *certificate)
{
    struct cm_foreign_ca *ca = reading->ca;
    bool is_own = claims_own_signature(certificate);
    *ca = (struct cm_foreign_ca){ .subject = certificate->subject,
                                  .spki = certificate->spki,
                                  .ski = certificate->ski,
                                  .not_after_s = certificate->not_after_s,
                                  .proof =
                                      is_own ? CM_CROSS_PROOF_SELF_SIGNED : CM_CROSS_PROOF_NONE };
    cm_status status = check_authority(reading, certificate);
    if (status == CM_OK)
        status = check_name_and_key(reading);
    if (status == CM_OK && is_own && !cm_certificate_is_signed_by(certificate, certificate))
        status =
            REFUSE(reading, CM_CORRUPT,
                   "%.100s: it is self-signed, and its signature does not verify", reading->path);
    return status;
}

/* ------------------------------------------------------------------------------------- requests -- */

static bool has(struct cm_bytes content, const char *text)
{
    return memmem(content.data, content.size, text, strlen(text)) != NULL;
}

static cm_status read_request(struct reading *reading, struct cm_bytes content,
                              struct cm_csr *ret_csr)
{
    struct cm_refusal refusal;
    struct cm_error why;
    struct cm_bytes der;
    if (!cm_text_is_der(content) && !has(content, "-----BEGIN "))
        return REFUSE(reading, CM_MALFORMED, "%.100s: it is neither PEM nor DER", reading->path);
    if (!cm_pem_read_csr(content, reading->arena, &der, &refusal))
        return REFUSE(reading, CM_MALFORMED, "%.100s: it is no certificate, and no request: %s",
                      reading->path, refusal.message);
    cm_status status =
        cm_csr_check_authority(cm_arena_copy(reading->arena, der), reading->arena, ret_csr, &why);
    return status == CM_OK ? CM_OK : name_file(reading, status, &why);
}

/* One that a device has made is not to become a CA's certificate by a slip. */
static cm_status take_request(struct reading *reading, struct cm_bytes content)
{
    struct cm_csr csr;
    cm_status status = read_request(reading, content, &csr);
    if (status != CM_OK)
        return status;
    if (!csr.is_ca)
        return REFUSE(reading, CM_MISMATCH,
                      "%.100s: the request asks for no CA's certificate (basicConstraints with cA)",
                      reading->path);
    *reading->ca = (struct cm_foreign_ca){ .subject = csr.subject,
                                           .spki = csr.spki,
                                           .not_after_s = INT64_MAX,
                                           .proof = CM_CROSS_PROOF_REQUEST };
    return check_name_and_key(reading);
}

/* --------------------------------------------------------------------------- what the file is -- */

struct found {
    struct cm_arena *arena;
    struct cm_bytes der;
    unsigned count;
};

static cm_status keep(struct cm_bytes der, const char *where, void *arg, struct cm_error *err)
{
    struct found *found = arg;
    (void)where;
    (void)err;
    found->count++;
    found->der = cm_arena_copy(found->arena, der);
    return CM_OK;
}

/* In a TBSCertificate of version 3 a version comes first, which is tagged; in a request a bare number. */
static bool is_request(struct cm_bytes der)
{
    struct cm_refusal ignored;
    struct cm_der reader = cm_der_open(der, &ignored), outer, inner;
    return cm_der_enter(&reader, CM_DER_SEQUENCE, "request", &outer)
           && cm_der_enter(&outer, CM_DER_SEQUENCE, "request", &inner)
           && cm_der_next_is(&inner, CM_DER_INTEGER);
}

static cm_status read_certificate(struct reading *reading, struct cm_bytes content)
{
    struct found found = { .arena = reading->arena };
    struct cm_certificate certificate;
    struct cm_error why;
    cm_status status =
        cm_der_text_walk(content, reading->path, CM_LABEL_CERTIFICATE, keep, &found, reading->err);
    if (status != CM_OK)
        return status;
    if (found.count != 1)
        return REFUSE(reading, CM_MALFORMED, "%.100s: expected one certificate, found %u",
                      reading->path, found.count);
    status = cm_certificate_read(found.der, &certificate, &why);
    return status == CM_OK ? take_certificate(reading, &certificate)
                           : name_file(reading, status, &why);
}

static cm_status read_content(struct reading *reading, struct cm_bytes content)
{
    bool is_certificate = cm_text_is_der(content)
                              ? !is_request(content)
                              : has(content, "-----BEGIN " CM_LABEL_CERTIFICATE "-----");
    return is_certificate ? read_certificate(reading, content) : take_request(reading, content);
}

/* ---------------------------------------------------------------------------- request beside it -- */

/* Of the same key; what else it asks for counts for nothing. */
static cm_status add_proof(struct reading *reading, struct cm_bytes content)
{
    struct cm_csr csr;
    cm_status status = read_request(reading, content, &csr);
    if (status == CM_OK && !cm_bytes_equal(csr.spki, reading->ca->spki))
        status =
            REFUSE(reading, CM_MISMATCH, "%.100s: the request is for another key", reading->path);
    if (status == CM_OK)
        reading->ca->proof = CM_CROSS_PROOF_REQUEST;
    return status;
}

static cm_status read_file(struct reading *reading, const char *path,
                           cm_status (*take)(struct reading *, struct cm_bytes))
{
    struct cm_bytes content;
    reading->path = strcmp(path, "-") == 0 ? "standard input" : path;
    cm_status status = cm_whole_file_read(path, &content, reading->err);
    if (status != CM_OK)
        return status;
    status = take(reading, content);
    free((void *)(uintptr_t)content.data);
    return status;
}

cm_status cm_foreign_ca_read(const char *path, const char *csr_path, struct cm_arena *arena,
                             struct cm_foreign_ca *ret_ca, struct cm_error *err)
{
    struct reading reading = { .arena = arena, .ca = ret_ca, .err = err };
    cm_status status = read_file(&reading, path, read_content);
    return status == CM_OK && csr_path ? read_file(&reading, csr_path, add_proof) : status;
}

/*
 * The signer's floor: the first byte is the lane, with its highest bit where no intent comes along, the
 * rest the message. What it lets out of the leaf lane makes no authority of anyone, by OpenSSL's
 * reading; out of the OCSP lane come responses, and responders' certificates that an intent stands for
 * and that end in time.
 */
#include <stdlib.h>

#include <openssl/ocsp.h>
#include <openssl/x509v3.h>

#include "engine/base/hash.h"
#include "providers/host/floor.h"

enum { NOW_S = 1795867200, DAY_S = 86400, SIZE_MAX_HERE = 65536 };
enum { LANE_BITS = 0x7f, NO_INTENT = 0x80, RESPONDER_DAYS_MAX = 5 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* CN=CA, as the seeds have it. */
static const uint8_t name[] = { 0x30, 0x0d, 0x31, 0x0b, 0x30, 0x09, 0x06, 0x03,
                                0x55, 0x04, 0x03, 0x0c, 0x02, 'C',  'A' };

/* Of the key that is asked, as the seeds have it. */
static const uint8_t key_hash[CM_SHA1_SIZE] = { 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16,
                                                0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d,
                                                0x1e, 0x1f, 0x20, 0x21, 0x22, 0x23 };

/* A certificate around the TBSCertificate: any algorithm, no signature. Size, or 0. */
static size_t dress(struct cm_bytes tbs, uint8_t *out)
{
    static const uint8_t rest[] = { 0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
                                    0x3d, 0x04, 0x03, 0x02, 0x03, 0x02, 0x00, 0x00 };
    size_t content = tbs.size + sizeof rest;
    const uint8_t head[] = { 0x30, 0x83, (uint8_t)(content >> 16), (uint8_t)(content >> 8),
                             (uint8_t)content };
    memcpy(out, head, sizeof head);
    memcpy(out + sizeof head, tbs.data, tbs.size);
    memcpy(out + sizeof head + tbs.size, rest, sizeof rest);
    return sizeof head + content;
}

static bool contains(struct cm_bytes bytes, struct cm_bytes part)
{
    for (size_t at = 0; at + part.size <= bytes.size; at++)
        if (memcmp(bytes.data + at, part.data, part.size) == 0)
            return true;
    return false;
}

static void check_ends_in_time(const X509 *x509)
{
    int days, seconds;
    if (!ASN1_TIME_diff(&days, &seconds, X509_get0_notBefore(x509), X509_get0_notAfter(x509))
        || days > RESPONDER_DAYS_MAX || (days == RESPONDER_DAYS_MAX && seconds > 0))
        abort();
}

static void check_certificate(struct cm_bytes tbs, bool is_responder)
{
    uint8_t *certificate = malloc(tbs.size + 64);
    const unsigned char *at = certificate;
    if (!certificate)
        abort();
    size_t size = dress(tbs, certificate);
    X509 *x509 = d2i_X509(NULL, &at, (long)size);
    if (x509) {
        uint32_t flags = X509_get_extension_flags(x509);
        uint32_t usage = flags & EXFLAG_KUSAGE ? X509_get_key_usage(x509) : 0;
        if ((flags & EXFLAG_CA) || (usage & (KU_KEY_CERT_SIGN | KU_CRL_SIGN)))
            abort();
        if (is_responder)
            check_ends_in_time(x509);
    }
    X509_free(x509);
    free(certificate);
}

/* A responder's certificate makes no authority, and an intent stands for it; all else is a response of
 * our key. */
static void check_ocsp(struct cm_bytes tbs, bool has_intent)
{
    const unsigned char *at = tbs.data;
    OCSP_RESPDATA *response = d2i_OCSP_RESPDATA(NULL, &at, (long)tbs.size);
    if (!response) {
        if (!has_intent)
            abort();
        check_certificate(tbs, true);
        return;
    }
    if (at != tbs.data + tbs.size || !contains(tbs, cm_bytes(key_hash, sizeof key_hash)))
        abort();
    OCSP_RESPDATA_free(response);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct cm_floor floor = { .issuer_name = cm_bytes(name, sizeof name),
                                    .lanes = 0xf,
                                    .validity_s_max = 10 * DAY_S,
                                    .allows_no_expiry = true,
                                    .responder_validity_s_max = RESPONDER_DAYS_MAX * DAY_S,
                                    .past_s_max = DAY_S };
    uint8_t hash[CM_SHA256_SIZE];
    char text[CM_FLOOR_TEXT_SIZE];
    if (size < 1 || size > SIZE_MAX_HERE)
        return 0;
    bool has_intent = (data[0] & NO_INTENT) == 0;
    const struct cm_floor_question question = { .lane = (enum cm_lane)(data[0] & LANE_BITS),
                                                .message = cm_bytes(data + 1, size - 1),
                                                .intent_hash = has_intent ? hash : NULL,
                                                .key_hash = key_hash,
                                                .now_s = NOW_S };
    cm_sha256(&question.message, 1, hash);
    if (cm_floor_allows(&floor, &question, text)) {
        if (!has_intent && (question.lane == CM_LANE_LEAF || question.lane == CM_LANE_CEREMONY))
            abort();
        if (question.lane == CM_LANE_LEAF)
            check_certificate(question.message, false);
        if (question.lane == CM_LANE_OCSP)
            check_ocsp(question.message, has_intent);
    } else if (text[0] == '\0') {
        abort(); /* a refusal says why */
    }
    return 0;
}

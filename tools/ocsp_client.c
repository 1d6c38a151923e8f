#include "tools/ocsp_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ocsp.h>

#include "tools/http_ask.h"

enum { NONCE_SIZE = 32, CLOCK_SKEW_S = 300, GET_URL_MAX = 255 };

/* One question under way. */
struct exchange {
    const struct cm_ocsp_question *question;
    X509 *issuer;
    OCSP_CERTID *id; /* the request's copy is its own */
    OCSP_REQUEST *request;
    OCSP_RESPONSE *response;
    OCSP_BASICRESP *basic;
    struct cm_ocsp_said *said;
};

static void exchange_done(struct exchange *exchange)
{
    X509_free(exchange->issuer);
    OCSP_CERTID_free(exchange->id);
    OCSP_REQUEST_free(exchange->request);
    OCSP_RESPONSE_free(exchange->response);
    OCSP_BASICRESP_free(exchange->basic);
    ERR_clear_error();
}

/* --- the request ---------------------------------------------------------------------------- */

static OCSP_CERTID *make_id(const struct cm_ocsp_question *question, const X509 *issuer)
{
    const EVP_MD *hash = strcmp(question->hash, "sha1") == 0 ? EVP_sha1() : EVP_sha256();
    BIGNUM *number = BN_bin2bn(question->serial.data, (int)question->serial.size, NULL);
    ASN1_INTEGER *serial = number ? BN_to_ASN1_INTEGER(number, NULL) : NULL;
    OCSP_CERTID *id = NULL;
    if (serial)
        id = OCSP_cert_id_new(hash, X509_get_subject_name(issuer), X509_get0_pubkey_bitstr(issuer),
                              serial);
    ASN1_INTEGER_free(serial);
    BN_free(number);
    return id;
}

static cm_status make_request(struct exchange *exchange, struct cm_error *err)
{
    const struct cm_ocsp_question *question = exchange->question;
    const unsigned char *at = question->issuer.data;
    exchange->issuer = d2i_X509(NULL, &at, (long)question->issuer.size);
    if (!exchange->issuer)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "the issuer's certificate is none");
    exchange->id = make_id(question, exchange->issuer);
    exchange->request = OCSP_REQUEST_new();
    OCSP_CERTID *copy = exchange->id ? OCSP_CERTID_dup(exchange->id) : NULL;
    if (!exchange->request || !copy || !OCSP_request_add0_id(exchange->request, copy))
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for a request");
    if (question->with_nonce && !OCSP_request_add1_nonce(exchange->request, NULL, NONCE_SIZE))
        return CM_FAIL(err, CM_IO, CM_ORIGIN_SELF, 0, "the random generator failed");
    return CM_OK;
}

/* RFC 9919: base64, and what an URL does not take escaped. False when it would be too long. */
static bool make_get_url(const char *url, struct cm_bytes request, char ret_url[GET_URL_MAX + 1])
{
    char base64[GET_URL_MAX + 1];
    if ((request.size + 2) / 3 * 4 > GET_URL_MAX)
        return false;
    EVP_EncodeBlock((unsigned char *)base64, request.data, (int)request.size);
    size_t size = strlen(url);
    bool has_slash = size > 0 && url[size - 1] == '/';
    if (size + !has_slash > GET_URL_MAX)
        return false;
    size = (size_t)snprintf(ret_url, GET_URL_MAX + 1, "%s%s", url, has_slash ? "" : "/");
    for (const char *at = base64; *at; at++) {
        bool is_plain = *at != '+' && *at != '/' && *at != '=';
        if (size + (is_plain ? 1 : 3) > GET_URL_MAX)
            return false;
        if (is_plain)
            ret_url[size++] = *at;
        else
            size +=
                (size_t)snprintf(ret_url + size, GET_URL_MAX + 1 - size, "%%%02X", (unsigned)*at);
    }
    ret_url[size] = '\0';
    return true;
}

static cm_status send_request(struct exchange *exchange, struct cm_bytes *ret_answer,
                              struct cm_error *err)
{
    char get_url[GET_URL_MAX + 1];
    unsigned char *der = NULL;
    const char *url = exchange->question->url;
    long http_status = 0;
    int size = i2d_OCSP_REQUEST(exchange->request, &der);
    if (size <= 0)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for a request");
    struct cm_bytes request = cm_bytes(der, (size_t)size);
    exchange->said->was_sent_as_get =
        !exchange->question->with_nonce && make_get_url(url, request, get_url);
    cm_status status =
        exchange->said->was_sent_as_get
            ? cm_http_ask(get_url, NULL, cm_bytes(NULL, 0), &http_status, ret_answer, err)
            : cm_http_ask(url, "application/ocsp-request", request, &http_status, ret_answer, err);
    OPENSSL_free(der);
    if (status == CM_OK && http_status != 200) {
        free((void *)(uintptr_t)ret_answer->data);
        status = CM_FAIL(err, CM_UNAVAILABLE, CM_ORIGIN_SELF, 0, "%.150s answered HTTP %ld", url,
                         http_status);
    }
    return status;
}

/* --- the answer ----------------------------------------------------------------------------- */

static cm_status read_response(struct exchange *exchange, struct cm_bytes answer,
                               struct cm_error *err)
{
    const unsigned char *at = answer.data;
    exchange->response = answer.size > 0 ? d2i_OCSP_RESPONSE(NULL, &at, (long)answer.size) : NULL;
    if (!exchange->response || at != answer.data + answer.size)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "what came is no OCSP response");
    int code = OCSP_response_status(exchange->response);
    if (code != OCSP_RESPONSE_STATUS_SUCCESSFUL)
        return CM_FAIL(err, code == OCSP_RESPONSE_STATUS_UNAUTHORIZED ? CM_DENIED : CM_UNAVAILABLE,
                       CM_ORIGIN_SELF, 0, "the responder says %s%s", OCSP_response_status_str(code),
                       code == OCSP_RESPONSE_STATUS_UNAUTHORIZED
                           ? ": it does not answer for this issuer"
                           : "");
    exchange->basic = OCSP_response_get1_basic(exchange->response);
    if (!exchange->basic)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "the response has no basic answer");
    return CM_OK;
}

static X509_STORE *trust_issuer_alone(X509 *issuer)
{
    X509_STORE *store = X509_STORE_new();
    if (!store || !X509_STORE_add_cert(store, issuer)
        || !X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN)) {
        X509_STORE_free(store);
        return NULL;
    }
    return store;
}

static cm_status verify(struct exchange *exchange, struct cm_error *err)
{
    X509_STORE *store = trust_issuer_alone(exchange->issuer);
    STACK_OF(X509) *known = sk_X509_new_null();
    bool is_good = store && known && sk_X509_push(known, exchange->issuer) > 0
                   && OCSP_basic_verify(exchange->basic, known, store, 0) == 1;
    unsigned long why = ERR_peek_last_error();
    const char *reason = why ? ERR_reason_error_string(why) : NULL;
    X509_STORE_free(store);
    sk_X509_free(known);
    if (is_good)
        return CM_OK;
    return CM_FAIL(err, CM_CORRUPT, CM_ORIGIN_SELF, 0, "the answer does not verify: %s",
                   reason ? reason : "unknown error");
}

static void describe_responder(struct exchange *exchange)
{
    struct cm_ocsp_said *said = exchange->said;
    STACK_OF(X509) *certificates = sk_X509_new_null();
    X509 *signer = NULL;
    const unsigned char *der = NULL;
    size_t size = 0;
    if (certificates)
        sk_X509_push(certificates, exchange->issuer);
    if (OCSP_resp_get0_signer(exchange->basic, &signer, certificates) == 1
        && X509_NAME_get0_der(X509_get_subject_name(signer), &der, &size) == 1) {
        cm_name_write(cm_bytes(der, size), said->responder);
        said->is_delegated = X509_cmp(signer, exchange->issuer) != 0;
    }
    sk_X509_free(certificates);
}

static int64_t to_seconds(const ASN1_GENERALIZEDTIME *time)
{
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    int days = 0, seconds = 0;
    if (time && epoch)
        ASN1_TIME_diff(&days, &seconds, epoch, time);
    ASN1_TIME_free(epoch);
    return (int64_t)days * 86400 + seconds;
}

static cm_status check_nonce(struct exchange *exchange, struct cm_error *err)
{
    int outcome =
        exchange->question->with_nonce ? OCSP_check_nonce(exchange->request, exchange->basic) : -1;
    exchange->said->echoes_nonce = outcome == 1;
    if (outcome == 0)
        return CM_FAIL(err, CM_MISMATCH, CM_ORIGIN_SELF, 0,
                       "the answer has another nonce than the request");
    return CM_OK;
}

static cm_status read_single(struct exchange *exchange, struct cm_error *err)
{
    struct cm_ocsp_said *said = exchange->said;
    ASN1_GENERALIZEDTIME *revoked = NULL, *from = NULL, *until = NULL;
    int state = 0, reason = 0;
    if (OCSP_resp_find_status(exchange->basic, exchange->id, &state, &reason, &revoked, &from,
                              &until)
        != 1)
        return CM_FAIL(err, CM_MISMATCH, CM_ORIGIN_SELF, 0,
                       "the answer says nothing about the certificate that was asked for");
    if (OCSP_check_validity(from, until, CLOCK_SKEW_S, -1) != 1)
        return CM_FAIL(err, CM_EXPIRED, CM_ORIGIN_SELF, 0,
                       "the answer is not valid now; compare the clocks");
    said->state = state == V_OCSP_CERTSTATUS_GOOD      ? CM_OCSP_GOOD
                  : state == V_OCSP_CERTSTATUS_REVOKED ? CM_OCSP_REVOKED
                                                       : CM_OCSP_UNKNOWN;
    said->this_update_s = to_seconds(from);
    said->next_update_s = until ? to_seconds(until) : 0;
    said->produced_s = to_seconds(OCSP_resp_get0_produced_at(exchange->basic));
    said->revoked_s = revoked ? to_seconds(revoked) : 0;
    said->reason = reason > 0 ? (enum cm_reason)reason : CM_REASON_UNSPECIFIED;
    return CM_OK;
}

static cm_status take_answer(struct exchange *exchange, struct cm_bytes answer,
                             struct cm_error *err)
{
    cm_status status = read_response(exchange, answer, err);
    if (status == CM_OK)
        status = verify(exchange, err);
    if (status == CM_OK)
        status = check_nonce(exchange, err);
    if (status == CM_OK)
        status = read_single(exchange, err);
    if (status == CM_OK)
        describe_responder(exchange);
    return status;
}

cm_status cm_ocsp_ask(const struct cm_ocsp_question *question, struct cm_ocsp_said *ret_said,
                      struct cm_error *err)
{
    struct cm_ocsp_said said = { 0 };
    struct exchange exchange = { .question = question, .said = &said };
    struct cm_bytes answer = { 0 };
    cm_status status = make_request(&exchange, err);
    if (status == CM_OK)
        status = send_request(&exchange, &answer, err);
    if (status == CM_OK) {
        status = take_answer(&exchange, answer, err);
        free((void *)(uintptr_t)answer.data);
    }
    exchange_done(&exchange);
    if (status == CM_OK)
        *ret_said = said;
    return status;
}

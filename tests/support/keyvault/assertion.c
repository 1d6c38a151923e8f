#include "tests/support/keyvault/keyvault.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/rsa.h>
#include <openssl/x509.h>

enum { SKEW_S = 300 };

struct jwt {
    char *text; /* header '.' claims; the NUL stands where the signature began */
    const char *signature;
    json_t *header, *claims;
};

static json_t *read_part(const char *text, size_t length)
{
    char *part = strndup(text, length);
    size_t size = 0;
    uint8_t *bytes = part ? kv_base64_new(part, &size) : NULL;
    json_t *json = bytes ? json_loadb((const char *)bytes, size, 0, NULL) : NULL;
    free(bytes);
    free(part);
    return json;
}

static bool read_jwt(const char *text, struct jwt *ret_jwt)
{
    const char *first = strchr(text, '.'), *second = first ? strchr(first + 1, '.') : NULL;
    if (!second || strchr(second + 1, '.'))
        return false;
    *ret_jwt = (struct jwt){
        .text = strndup(text, (size_t)(second - text)),
        .signature = second + 1,
        .header = read_part(text, (size_t)(first - text)),
        .claims = read_part(first + 1, (size_t)(second - first - 1)),
    };
    return ret_jwt->text && json_is_object(ret_jwt->header) && json_is_object(ret_jwt->claims);
}

static void jwt_done(struct jwt *jwt)
{
    json_decref(jwt->header);
    json_decref(jwt->claims);
    free(jwt->text);
}

static const char *word_of(json_t *object, const char *name)
{
    const char *word = json_string_value(json_object_get(object, name));
    return word ? word : "";
}

/* ------------------------------------------------------------------ signature -- */

static bool names_certificate(const struct jwt *jwt, X509 *certificate, const char *member,
                              const EVP_MD *hash)
{
    uint8_t thumbprint[EVP_MAX_MD_SIZE], said[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    long said_size = kv_base64_read(word_of(jwt->header, member), said, sizeof said);
    return X509_digest(certificate, hash, thumbprint, &size) == 1 && said_size == (long)size
           && memcmp(said, thumbprint, size) == 0;
}

static bool is_signed(const struct jwt *jwt, X509 *certificate, bool with_pss)
{
    size_t size = 0;
    uint8_t *signature = kv_base64_new(jwt->signature, &size);
    EVP_PKEY_CTX *key_context = NULL;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good =
        signature && context
        && EVP_DigestVerifyInit(context, &key_context, EVP_sha256(), NULL,
                                X509_get0_pubkey(certificate))
               == 1
        && (!with_pss
            || (EVP_PKEY_CTX_set_rsa_padding(key_context, RSA_PKCS1_PSS_PADDING) == 1
                && EVP_PKEY_CTX_set_rsa_pss_saltlen(key_context, RSA_PSS_SALTLEN_DIGEST) == 1))
        && EVP_DigestVerify(context, signature, size, (const uint8_t *)jwt->text, strlen(jwt->text))
               == 1;
    EVP_MD_CTX_free(context);
    free(signature);
    return good;
}

static bool signature_is_good(const struct jwt *jwt, X509 *certificate)
{
    const char *algorithm = word_of(jwt->header, "alg");
    if (strcmp(algorithm, "PS256") == 0)
        return names_certificate(jwt, certificate, "x5t#S256", EVP_sha256())
               && is_signed(jwt, certificate, true);
    return strcmp(algorithm, "RS256") == 0 && names_certificate(jwt, certificate, "x5t", EVP_sha1())
           && is_signed(jwt, certificate, false);
}

/* ------------------------------------------------------------------ claims -- */

/* The token endpoint, as the challenge or as the client spells its host. */
static bool is_for_us(const struct kv_exchange *exchange, const char *audience)
{
    const struct kv_emulator *emulator = exchange->emulator;
    const char *host = kv_exchange_asked_header(exchange, "Host");
    char url[512], usual[64];
    snprintf(usual, sizeof usual, "127.0.0.1:%d", emulator->port);
    const char *const hosts[] = { usual, host ? host : usual };
    for (size_t i = 0; i < 2; i++) {
        snprintf(url, sizeof url, "https://%s/%s/oauth2/v2.0/token", hosts[i],
                 emulator->options.tenant);
        if (strcmp(url, audience) == 0)
            return true;
    }
    return false;
}

static bool is_in_time(const struct jwt *jwt)
{
    json_int_t now = time(NULL);
    json_t *nbf = json_object_get(jwt->claims, "nbf"), *exp = json_object_get(jwt->claims, "exp");
    return json_is_integer(nbf) && json_is_integer(exp) && json_integer_value(nbf) <= now + SKEW_S
           && json_integer_value(exp) > now;
}

/* Remembers it for the life of the emulator. */
static bool is_new(struct kv_emulator *emulator, const char *jti)
{
    if (!*jti || json_object_get(emulator->used_jti, jti))
        return false;
    return json_object_set_new(emulator->used_jti, jti, json_true()) == 0;
}

static const char *check_claims(struct kv_exchange *exchange, const struct jwt *jwt,
                                const char *client)
{
    if (strcmp(word_of(jwt->claims, "iss"), client) != 0
        || strcmp(word_of(jwt->claims, "sub"), client) != 0)
        return "AADSTS700021: Client assertion application identifier does not match 'client_id'.";
    if (!is_for_us(exchange, word_of(jwt->claims, "aud")))
        return "AADSTS700023: Client assertion audience claim does not match the token endpoint.";
    if (!is_in_time(jwt))
        return "AADSTS700024: Client assertion is not within its valid time range.";
    if (!is_new(exchange->emulator, word_of(jwt->claims, "jti")))
        return "AADSTS50027: Client assertion's jti is missing or was used before.";
    return NULL;
}

const char *kv_assertion_check(struct kv_exchange *exchange, const char *jwt_text,
                               const char *client)
{
    X509 *certificate = exchange->emulator->client_certificate;
    struct jwt jwt = { NULL, NULL, NULL, NULL };
    const char *reason;
    if (!read_jwt(jwt_text, &jwt))
        reason = "AADSTS50027: JWT token is invalid or malformed.";
    else if (!certificate || !signature_is_good(&jwt, certificate))
        reason =
            "AADSTS700027: The certificate with identifier used to sign the client assertion is not "
            "registered on application, or its signature is wrong.";
    else
        reason = check_claims(exchange, &jwt, client);
    jwt_done(&jwt);
    return reason;
}

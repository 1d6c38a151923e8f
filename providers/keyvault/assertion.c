#include "providers/keyvault/assertion.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "engine/base/base64url.h"
#include "engine/base/hash.h"

enum { JTI_SIZE = 16, RSA_BITS_MIN = 2048, FILE_BUFFER_SIZE = 4096, SIGNATURE_SIZE_MAX = 2048 };

/* A certificate and its private key. */
struct pair {
    X509 *certificate;
    EVP_PKEY *key;
};

static void pair_done(struct pair *pair)
{
    X509_free(pair->certificate);
    EVP_PKEY_free(pair->key);
}

/* --- the file ------------------------------------------------------------------------------------ */

struct passphrase {
    const char *text; /* NULL: none */
    bool was_asked;
};

/* Without this OpenSSL would ask on the terminal. */
static int give_passphrase(char *buffer, int space, int is_writing, void *arg)
{
    struct passphrase *passphrase = arg;
    size_t size = passphrase->text ? strlen(passphrase->text) : 0;
    passphrase->was_asked = true;
    if (is_writing || size == 0 || size > (size_t)space)
        return -1;
    memcpy(buffer, passphrase->text, size);
    return (int)size;
}

static cm_status open_file(const char *path, FILE **ret_file, struct cm_error *err)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return CM_FAIL(err, errno == ENOENT || errno == ENOTDIR ? CM_NOT_FOUND : CM_DENIED,
                       CM_ORIGIN_OS, errno, "certificate file %s", path);
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && !(status.st_mode & S_IRWXO)) {
        *ret_file = fdopen(fd, "r");
        if (*ret_file)
            return CM_OK;
    }
    close(fd);
    return CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0,
                   "certificate file %s holds a private key and is open to all users, or is no "
                   "plain file; run chmod 600",
                   path);
}

static cm_status read_pair(FILE *file, const char *path, const char *passphrase_text,
                           struct pair *pair, struct cm_error *err)
{
    struct passphrase passphrase = { .text = passphrase_text };
    pair->key = PEM_read_PrivateKey(file, NULL, give_passphrase, &passphrase);
    if (!pair->key)
        return passphrase.was_asked
                   ? CM_FAIL(err, CM_DENIED, CM_ORIGIN_OPENSSL, 0,
                             "the private key in %s cannot be opened with its passphrase", path)
                   : CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_OPENSSL, 0,
                             "certificate file %s holds no private key", path);
    rewind(file);
    pair->certificate = PEM_read_X509(file, NULL, give_passphrase, &passphrase);
    if (!pair->certificate)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_OPENSSL, 0,
                       "certificate file %s holds no certificate", path);
    if (!EVP_PKEY_is_a(pair->key, "RSA") || EVP_PKEY_get_bits(pair->key) < RSA_BITS_MIN)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0,
                       "the key in %s is not RSA of 2048 bits or more: Entra takes no other", path);
    if (X509_check_private_key(pair->certificate, pair->key) != 1)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_OPENSSL, 0,
                       "the first certificate in %s is not that of the private key", path);
    return CM_OK;
}

/* The stream's buffer is ours, so that what stood in it can be wiped. */
static cm_status read_file(const char *path, const char *passphrase, struct pair *pair,
                           struct cm_error *err)
{
    char buffer[FILE_BUFFER_SIZE];
    FILE *file;
    cm_status status = open_file(path, &file, err);
    if (status != CM_OK)
        return status;
    setvbuf(file, buffer, _IOFBF, sizeof buffer);
    status = read_pair(file, path, passphrase, pair, err);
    fclose(file);
    OPENSSL_cleanse(buffer, sizeof buffer);
    return status;
}

/* --- the token ----------------------------------------------------------------------------------- */

static json_t *make_header(X509 *certificate)
{
    uint8_t hash[CM_SHA256_SIZE];
    char text[CM_BASE64URL_SIZE(CM_SHA256_SIZE) + 1];
    if (X509_digest(certificate, EVP_sha256(), hash, NULL) != 1)
        return NULL;
    cm_base64url_encode(cm_bytes(hash, sizeof hash), text);
    return json_pack("{s:s, s:s, s:s}", "alg", "PS256", "typ", "JWT", "x5t#S256", text);
}

static json_t *make_payload(const struct cm_assertion_claims *claims)
{
    uint8_t id[JTI_SIZE];
    char jti[2 * JTI_SIZE + 1];
    if (RAND_bytes(id, sizeof id) != 1)
        return NULL;
    cm_hex_encode(cm_bytes(id, sizeof id), jti);
    json_int_t now_s = claims->now_s;
    return json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I}", "aud", claims->audience, "iss",
                     claims->client, "sub", claims->client, "jti", jti, "iat", now_s, "nbf", now_s,
                     "exp", now_s + CM_ASSERTION_LIFE_S);
}

/* Writes base64url of the object's text behind *next. */
static bool put_object(char **next, const char *end, json_t *object)
{
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    size_t size = text ? strlen(text) : 0;
    bool is_put = text && CM_BASE64URL_SIZE(size) < (size_t)(end - *next);
    if (is_put) {
        cm_base64url_encode(cm_bytes(text, size), *next);
        *next += strlen(*next);
    }
    free(text);
    return is_put;
}

static bool sign(EVP_PKEY *key, struct cm_bytes message, uint8_t *signature, size_t *size)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *parameters;
    bool is_signed =
        context && EVP_DigestSignInit_ex(context, &parameters, "SHA256", NULL, NULL, key, NULL) == 1
        && EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) == 1
        && EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST) == 1
        && EVP_DigestSign(context, signature, size, message.data, message.size) == 1;
    EVP_MD_CTX_free(context);
    return is_signed;
}

static bool put_signature(char *start, char *next, const char *end, EVP_PKEY *key)
{
    uint8_t signature[SIGNATURE_SIZE_MAX];
    size_t size = sizeof signature;
    if (!sign(key, cm_bytes(start, (size_t)(next - start)), signature, &size)
        || CM_BASE64URL_SIZE(size) + 1 >= (size_t)(end - next))
        return false;
    *next++ = '.';
    cm_base64url_encode(cm_bytes(signature, size), next);
    return true;
}

static bool put_token(char *start, const char *end, const struct pair *pair,
                      const struct cm_assertion_claims *claims)
{
    char *next = start;
    json_t *header = make_header(pair->certificate), *payload = make_payload(claims);
    bool is_put = put_object(&next, end, header) && next + 1 < end;
    if (is_put)
        *next++ = '.';
    is_put =
        is_put && put_object(&next, end, payload) && put_signature(start, next, end, pair->key);
    json_decref(header);
    json_decref(payload);
    return is_put;
}

cm_status cm_assertion_make(const char *path, const char *passphrase,
                            const struct cm_assertion_claims *claims, char **ret_assertion,
                            struct cm_error *err)
{
    struct pair pair = { NULL, NULL };
    cm_status status = read_file(path, passphrase, &pair, err);
    if (status == CM_OK) {
        /* Six characters at most in JSON for each of what was given, then four for three. */
        size_t space = CM_BASE64URL_SIZE(SIGNATURE_SIZE_MAX) + 1024
                       + 8 * (2 * strlen(claims->client) + strlen(claims->audience));
        char *assertion = OPENSSL_malloc(space);
        if (assertion && put_token(assertion, assertion + space, &pair, claims)) {
            *ret_assertion = assertion;
        } else {
            OPENSSL_free(assertion);
            status =
                CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_OPENSSL, 0, "sign an assertion with %s", path);
        }
    }
    pair_done(&pair);
    return status;
}

#include "tests/support/keyvault/keyvault.h"

#include <stdio.h>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

enum { DAY_S = 86400, LIFE_DAYS = 30 };

static bool add_extension(X509 *certificate, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    bool done = extension && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return done;
}

static bool fill(X509 *certificate, EVP_PKEY *key)
{
    X509_NAME *name = X509_get_subject_name(certificate);
    return X509_set_version(certificate, X509_VERSION_3) == 1
           && ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1) == 1
           && X509_gmtime_adj(X509_getm_notBefore(certificate), -DAY_S)
           && X509_gmtime_adj(X509_getm_notAfter(certificate), LIFE_DAYS * DAY_S)
           && X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                         (const unsigned char *)"keyvault_emulator", -1, -1, 0)
                  == 1
           && X509_set_issuer_name(certificate, name) == 1 && X509_set_pubkey(certificate, key) == 1
           && add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE,pathlen:0")
           && add_extension(certificate, NID_key_usage, "critical,digitalSignature,keyCertSign")
           && add_extension(certificate, NID_subject_key_identifier, "hash")
           && add_extension(certificate, NID_subject_alt_name,
                            "IP:127.0.0.1,DNS:localhost,DNS:pool.managedhsm.localhost")
           && X509_sign(certificate, key, EVP_sha256()) > 0;
}

static bool write_pem(const char *path, X509 *certificate)
{
    FILE *file = fopen(path, "w");
    bool done = file && PEM_write_X509(file, certificate) == 1;
    return file && fclose(file) == 0 && done;
}

SSL_CTX *kv_certificate_make(const char *path)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    bool good = key && certificate && tls && fill(certificate, key)
                && SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION) == 1
                && SSL_CTX_use_certificate(tls, certificate) == 1
                && SSL_CTX_use_PrivateKey(tls, key) == 1 && write_pem(path, certificate);
    X509_free(certificate);
    EVP_PKEY_free(key);
    if (good)
        return tls;
    fprintf(stderr, "keyvault_emulator: cannot make or write %s\n", path);
    ERR_print_errors_fp(stderr);
    SSL_CTX_free(tls);
    return NULL;
}

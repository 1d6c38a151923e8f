/*
 * make_csrs COUNT KEY-TYPE NAME: new keys, and a request signed by each.
 *
 * Writes COUNT requests (PKCS#10 in DER, each preceded by its size in 4 octets big-endian) to
 * standard output; their subjects are CN=NAME-0, NAME-1, ... KEY-TYPE: p256, p384, p521, ed25519,
 * rsa2048, rsa3072, rsa4096. OpenSSL's own encoder makes them, so that the engine's is not what it
 * is tested with.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

static EVP_PKEY *make_key(const char *type)
{
    if (strcmp(type, "p256") == 0)
        return EVP_EC_gen("P-256");
    if (strcmp(type, "p384") == 0)
        return EVP_EC_gen("P-384");
    if (strcmp(type, "p521") == 0)
        return EVP_EC_gen("P-521");
    if (strcmp(type, "ed25519") == 0)
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    if (strncmp(type, "rsa", 3) == 0)
        return EVP_RSA_gen((unsigned)strtoul(type + 3, NULL, 10));
    return NULL;
}

static int sign(X509_REQ *csr, EVP_PKEY *key, const char *type, const char *name)
{
    X509_NAME *subject = X509_REQ_get_subject_name(csr);
    const EVP_MD *hash = strcmp(type, "ed25519") == 0 ? NULL : EVP_sha256();
    return X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1,
                                      -1, 0)
           && X509_REQ_set_pubkey(csr, key) && X509_REQ_sign(csr, key, hash) > 0;
}

static int write_csr(X509_REQ *csr)
{
    unsigned char *der = NULL;
    int size = i2d_X509_REQ(csr, &der);
    if (size <= 0)
        return 0;
    const unsigned char octets[4] = { (unsigned char)(size >> 24), (unsigned char)(size >> 16),
                                      (unsigned char)(size >> 8), (unsigned char)size };
    int done =
        fwrite(octets, 1, 4, stdout) == 4 && fwrite(der, 1, (size_t)size, stdout) == (size_t)size;
    OPENSSL_free(der);
    return done;
}

static int make_one(const char *type, const char *name)
{
    EVP_PKEY *key = make_key(type);
    X509_REQ *csr = X509_REQ_new();
    int done = key && csr && sign(csr, key, type, name) && write_csr(csr);
    X509_REQ_free(csr);
    EVP_PKEY_free(key);
    return done;
}

int main(int argc, char **argv)
{
    char name[96];
    if (argc != 4) {
        fputs("usage: make_csrs COUNT KEY-TYPE NAME\n", stderr);
        return 2;
    }
    for (long i = 0; i < strtol(argv[1], NULL, 10); i++) {
        snprintf(name, sizeof name, "%.60s-%ld", argv[3], i);
        if (!make_one(argv[2], name)) {
            fprintf(stderr, "make_csrs: no request of type %s\n", argv[2]);
            return 1;
        }
    }
    return fflush(stdout) == 0 ? 0 : 1;
}

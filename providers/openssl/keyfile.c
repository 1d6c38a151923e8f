#include "providers/keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

enum { PBKDF2_ROUNDS = 600000, PBKDF2_SALT_SIZE = 16 };
enum { RSA_BITS_MIN = 2048, RSA_BITS_MAX = 8192 };

/* ------------------------------------------------------------------ keys -- */

static EVP_PKEY *generate(enum cm_key_type type, uint32_t bits)
{
    switch (type) {
    case CM_KEY_P256:
        return EVP_EC_gen("P-256");
    case CM_KEY_P384:
        return EVP_EC_gen("P-384");
    case CM_KEY_P521:
        return EVP_EC_gen("P-521");
    case CM_KEY_RSA:
        return bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX ? EVP_RSA_gen(bits) : NULL;
    case CM_KEY_ED25519:
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    case CM_KEY_UNKNOWN:
    case CM_KEY_TYPE_COUNT:
        break;
    }
    return NULL;
}

/* ------------------------------------------------------------------ PEM -- */

static bool write_encrypted(BIO *bio, PKCS8_PRIV_KEY_INFO *plain, const char *passphrase)
{
    X509_ALGOR *scheme = PKCS5_pbe2_set_iv(EVP_aes_256_cbc(), PBKDF2_ROUNDS, NULL, PBKDF2_SALT_SIZE,
                                           NULL, NID_hmacWithSHA256);
    if (!scheme)
        return false;
    X509_SIG *encrypted = PKCS8_set0_pbe(passphrase, (int)strlen(passphrase), plain, scheme);
    if (!encrypted) {
        X509_ALGOR_free(scheme);
        return false;
    }
    bool written = PEM_write_bio_PKCS8(bio, encrypted) > 0;
    X509_SIG_free(encrypted);
    return written;
}

/* Memory BIOs wipe their buffer when it grows and when it is released. NULL on failure. */
static BIO *encode(EVP_PKEY *pkey, const char *passphrase)
{
    BIO *bio = BIO_new(BIO_s_mem());
    PKCS8_PRIV_KEY_INFO *plain = EVP_PKEY2PKCS8(pkey);
    bool written = bio && plain
                   && (passphrase ? write_encrypted(bio, plain, passphrase)
                                  : PEM_write_bio_PKCS8_PRIV_KEY_INFO(bio, plain) > 0);
    PKCS8_PRIV_KEY_INFO_free(plain);
    if (written)
        return bio;
    BIO_free(bio);
    return NULL;
}

/* ------------------------------------------------------------------ file -- */

static int write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t put = write(fd, data, size);
        if (put < 0 && errno != EINTR)
            return errno;
        if (put > 0) {
            data += put;
            size -= (size_t)put;
        }
    }
    return fsync(fd) == 0 ? 0 : errno;
}

/* Makes the file's name durable. */
static int sync_folder_of(const char *path)
{
    char copy[PATH_MAX];
    if (strlen(path) >= sizeof copy)
        return ENAMETOOLONG;
    strcpy(copy, path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int code = fsync(fd) == 0 ? 0 : errno;
    close(fd);
    return code;
}

static cm_status status_of(int code)
{
    if (code == EEXIST)
        return CM_EXISTS;
    return code == EACCES || code == EPERM || code == EROFS ? CM_DENIED : CM_IO;
}

static cm_status write_file(const char *path, const char *data, size_t size, struct cm_error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (fd < 0)
        return CM_FAIL(err, status_of(errno), CM_ORIGIN_OS, errno, "create key file %s", path);
    int code = write_all(fd, data, size);
    if (close(fd) != 0 && code == 0)
        code = errno;
    if (code == 0)
        code = sync_folder_of(path);
    if (code == 0)
        return CM_OK;
    unlink(path);
    return CM_FAIL(err, status_of(code), CM_ORIGIN_OS, code, "write key file %s", path);
}

static cm_status write_key(EVP_PKEY *pkey, const char *path, const char *passphrase,
                           struct cm_error *err)
{
    char *data;
    BIO *bio = encode(pkey, passphrase);
    if (!bio)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_OPENSSL, (int64_t)ERR_peek_error(),
                       "encode the key for %s", path);
    long size = BIO_get_mem_data(bio, &data);
    cm_status status = write_file(path, data, (size_t)size, err);
    BIO_free(bio);
    return status;
}

static bool encode_public(const EVP_PKEY *pkey, struct cm_keyfile_spki *ret_spki)
{
    unsigned char *at = ret_spki->data;
    int size = i2d_PUBKEY(pkey, NULL);
    if (size <= 0 || (size_t)size > sizeof ret_spki->data || i2d_PUBKEY(pkey, &at) != size)
        return false;
    ret_spki->size = (size_t)size;
    return true;
}

cm_status cm_keyfile_generate(enum cm_key_type type, uint32_t bits, const char *path,
                              const char *passphrase, struct cm_keyfile_spki *ret_spki,
                              struct cm_error *err)
{
    struct cm_keyfile_spki spki;
    /* Asked before a long search for primes; O_EXCL decides. */
    if (access(path, F_OK) == 0)
        return CM_FAIL(err, CM_EXISTS, CM_ORIGIN_OS, EEXIST, "create key file %s", path);
    EVP_PKEY *pkey = generate(type, bits);
    if (!pkey || !encode_public(pkey, &spki)) {
        EVP_PKEY_free(pkey);
        return CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_OPENSSL, (int64_t)ERR_peek_error(),
                       "make a %s key of %u bits", cm_key_type_name(type), bits);
    }
    cm_status status = write_key(pkey, path, passphrase, err);
    EVP_PKEY_free(pkey);
    if (status == CM_OK)
        *ret_spki = spki;
    return status;
}

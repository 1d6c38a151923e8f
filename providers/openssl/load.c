#include "providers/openssl/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/store.h>
#include <openssl/ui.h>

/* A PEM file of an encrypted RSA-8192 key is below 8 KiB. */
enum { KEYFILE_SIZE_MAX = 64 * 1024 };

/* ------------------------------------------------------------------ passphrase -- */

/* Answers OpenSSL's questions: the passphrase is read when it is asked for, and wiped. */
struct passphrase {
    const struct cm_ossl_source *source;
    bool asked;
    cm_status status;
    struct cm_error err;
};

static int give(struct passphrase *passphrase, const struct cm_secret *secret, char *buffer,
                int space)
{
    int size = secret->size <= (size_t)space ? (int)secret->size : -1;
    if (size > 0)
        memcpy(buffer, secret->text, secret->size);
    else
        passphrase->status = CM_FAIL(&passphrase->err, CM_DENIED, CM_ORIGIN_SELF, 0,
                                     "the passphrase is longer than %d bytes", space);
    return size;
}

static int answer_passphrase(char *buffer, int space, int for_writing, void *arg)
{
    struct passphrase *passphrase = arg;
    struct cm_secret secret;
    (void)for_writing;
    passphrase->asked = true;
    if (!passphrase->source->passphrase->reference) {
        passphrase->status = CM_FAIL(&passphrase->err, CM_DENIED, CM_ORIGIN_SELF, 0,
                                     "the key is encrypted and settings name no passphrase");
        return -1;
    }
    cm_status status =
        cm_passphrase_read(passphrase->source->passphrase, &secret, &passphrase->err);
    if (status != CM_OK) {
        passphrase->status = passphrase->err.status = CM_DENIED;
        return -1;
    }
    int size = give(passphrase, &secret, buffer, space);
    cm_secret_done(&secret);
    return size;
}

/* Why no key came out of what was found. */
static cm_status explain_failure(const struct passphrase *passphrase, const char *reference,
                                 struct cm_error *err)
{
    if (passphrase->status != CM_OK) {
        ERR_clear_error();
        return CM_FAIL(err, passphrase->status, CM_ORIGIN_SELF, 0, "key %s: %s", reference,
                       passphrase->err.text);
    }
    if (passphrase->asked)
        return CM_FAIL(err, CM_DENIED, CM_ORIGIN_OPENSSL, (int64_t)ERR_peek_error(),
                       "key %s: the passphrase is wrong or the file damaged", reference);
    return CM_FAIL(err, CM_NO_KEY, CM_ORIGIN_OPENSSL, (int64_t)ERR_peek_error(),
                   "key %s: no private key found there", reference);
}

/* ------------------------------------------------------------------ files -- */

bool cm_ossl_is_file(const char *reference)
{
    return strncasecmp(reference, "file:", 5) == 0;
}

static cm_status check_keyfile(const char *path, int fd, size_t *ret_size, struct cm_error *err)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return CM_FAIL(err, CM_UNAVAILABLE, CM_ORIGIN_OS, errno, "key file %s", path);
    if (!S_ISREG(status.st_mode))
        return CM_FAIL(err, CM_NO_KEY, CM_ORIGIN_SELF, 0, "key file %s is not a file", path);
    if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0,
                       "key file %s can be reached by others than its owner; run chmod 600 %s",
                       path, path);
    if (status.st_size > KEYFILE_SIZE_MAX)
        return CM_FAIL(err, CM_NO_KEY, CM_ORIGIN_SELF, 0, "key file %s is too large", path);
    *ret_size = (size_t)status.st_size;
    return CM_OK;
}

/* The content, to be released with OPENSSL_clear_free(buffer, size). */
static cm_status read_keyfile(const char *path, char **ret_buffer, size_t *ret_size,
                              struct cm_error *err)
{
    size_t size = 0, used = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return CM_FAIL(err, errno == EACCES ? CM_DENIED : CM_NO_KEY, CM_ORIGIN_OS, errno,
                       "key file %s", path);
    cm_status status = check_keyfile(path, fd, &size, err);
    char *buffer = status == CM_OK ? OPENSSL_malloc(size + 1) : NULL;
    if (status == CM_OK && !buffer)
        status = CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for a key file");
    while (status == CM_OK && used < size) {
        ssize_t got = read(fd, buffer + used, size - used);
        if (got > 0)
            used += (size_t)got;
        else if (got == 0 || errno != EINTR)
            status = CM_FAIL(err, CM_UNAVAILABLE, CM_ORIGIN_OS, got == 0 ? 0 : errno,
                             "read key file %s", path);
    }
    close(fd);
    if (status != CM_OK) {
        OPENSSL_clear_free(buffer, buffer ? size + 1 : 0);
        return status;
    }
    *ret_buffer = buffer;
    *ret_size = size;
    return CM_OK;
}

cm_status cm_ossl_file_path(const struct cm_ossl_source *source, const char *reference, char *path,
                            size_t space, struct cm_error *err)
{
    const char *name = reference + 5;
    bool relative = name[0] != '/' && source->folder;
    int size =
        snprintf(path, space, "%s%s%s", relative ? source->folder : "", relative ? "/" : "", name);
    if (size >= (int)space)
        return CM_FAIL(err, CM_NO_KEY, CM_ORIGIN_SELF, 0, "the path of a key is too long");
    return CM_OK;
}

static cm_status load_file(const struct cm_ossl_source *source, const char *reference,
                           EVP_PKEY **ret_pkey, struct cm_error *err)
{
    char path[PATH_MAX];
    struct passphrase passphrase = { .source = source };
    char *buffer = NULL;
    size_t size = 0;
    cm_status status = cm_ossl_file_path(source, reference, path, sizeof path, err);
    if (status == CM_OK)
        status = read_keyfile(path, &buffer, &size, err);
    if (status != CM_OK)
        return status;
    BIO *bio = BIO_new_mem_buf(buffer, (int)size);
    EVP_PKEY *pkey =
        bio ? PEM_read_bio_PrivateKey_ex(bio, NULL, answer_passphrase, &passphrase, NULL, NULL)
            : NULL;
    BIO_free(bio);
    OPENSSL_clear_free(buffer, size + 1);
    if (!pkey)
        return explain_failure(&passphrase, reference, err);
    *ret_pkey = pkey;
    return CM_OK;
}

/* ------------------------------------------------------------------ stores -- */

/* The first private key; NULL when there is none. */
static EVP_PKEY *take_first_key(OSSL_STORE_CTX *store)
{
    EVP_PKEY *pkey = NULL;
    while (!pkey && !OSSL_STORE_eof(store)) {
        OSSL_STORE_INFO *info = OSSL_STORE_load(store);
        if (info && OSSL_STORE_INFO_get_type(info) == OSSL_STORE_INFO_PKEY)
            pkey = OSSL_STORE_INFO_get1_PKEY(info);
        OSSL_STORE_INFO_free(info);
        if (!info && OSSL_STORE_error(store))
            break;
    }
    return pkey;
}

static cm_status load_from_store(const struct cm_ossl_source *source, const char *uri,
                                 EVP_PKEY **ret_pkey, struct cm_error *err)
{
    struct passphrase passphrase = { .source = source };
    UI_METHOD *ui = UI_UTIL_wrap_read_pem_callback(answer_passphrase, 0);
    OSSL_STORE_CTX *store =
        ui ? OSSL_STORE_open_ex(uri, NULL, NULL, ui, &passphrase, NULL, NULL, NULL) : NULL;
    EVP_PKEY *pkey = NULL;
    cm_status status = CM_OK;
    if (!store && passphrase.asked)
        status = explain_failure(&passphrase, uri, err);
    else if (!store)
        status = CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_OPENSSL, (int64_t)ERR_peek_error(),
                         "key %s: no OpenSSL provider opens this kind of reference", uri);
    else if (OSSL_STORE_expect(store, OSSL_STORE_INFO_PKEY) <= 0 || !(pkey = take_first_key(store)))
        status = explain_failure(&passphrase, uri, err);
    OSSL_STORE_close(store);
    UI_destroy_method(ui);
    ERR_clear_error();
    if (status == CM_OK)
        *ret_pkey = pkey;
    return status;
}

cm_status cm_ossl_load(const struct cm_ossl_source *source, const char *reference,
                       EVP_PKEY **ret_pkey, struct cm_error *err)
{
    if (cm_ossl_is_file(reference))
        return load_file(source, reference, ret_pkey, err);
    /* A bare path would reach the same file through a store, without the check of its mode. */
    size_t scheme = strspn(reference, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                      "0123456789+-.");
    if (scheme == 0 || reference[scheme] != ':')
        return CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_SELF, 0,
                       "key %s: not a reference; files are named file:PATH", reference);
    return load_from_store(source, reference, ret_pkey, err);
}

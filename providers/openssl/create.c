#include "providers/openssl/internal.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include "providers/keyfile.h"

/* Asked before a key is made that could not sign as it is wanted to. */
static cm_status check(const char *reference, const struct cm_key_spec *spec, enum cm_sigalg alg,
                       struct cm_error *err)
{
    if (!cm_ossl_is_file(reference))
        return CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_SELF, 0,
                       "key %s: only files (file:PATH) are made here", reference);
    if (alg != CM_SIGALG_UNKNOWN && !cm_sigalg_fits(alg, spec->type))
        return CM_FAIL(err, CM_MISMATCH, CM_ORIGIN_SELF, 0, "key %s: a %s key cannot sign with %s",
                       reference, cm_key_type_name(spec->type), cm_sigalg_name(alg));
    return CM_OK;
}

cm_status cm_ossl_create(const struct cm_ossl_source *source, const char *reference,
                         const struct cm_key_spec *spec, enum cm_sigalg alg, struct cm_error *err)
{
    char path[PATH_MAX];
    struct cm_secret passphrase = { 0 };
    struct cm_keyfile_spki ignored;
    cm_status status = check(reference, spec, alg, err);
    if (status == CM_OK)
        status = cm_ossl_file_path(source, reference, path, sizeof path, err);
    if (status == CM_OK && source->passphrase->reference
        && cm_passphrase_read(source->passphrase, &passphrase, err) != CM_OK)
        status = CM_DENIED;
    if (status == CM_OK)
        status = cm_keyfile_generate(spec->type, spec->bits, path, passphrase.text, &ignored, err);
    else if (err)
        err->status = status;
    cm_secret_done(&passphrase);
    return status;
}

cm_status cm_ossl_destroy(const struct cm_ossl_source *source, const char *reference,
                          struct cm_error *err)
{
    char path[PATH_MAX];
    if (!cm_ossl_is_file(reference))
        return CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_SELF, 0,
                       "key %s: only files (file:PATH) are destroyed here", reference);
    cm_status status = cm_ossl_file_path(source, reference, path, sizeof path, err);
    if (status != CM_OK)
        return status;
    if (unlink(path) != 0)
        return CM_FAIL(err, errno == EACCES || errno == EPERM ? CM_DENIED : CM_IO, CM_ORIGIN_OS,
                       errno, "remove key file %s", path);
    return CM_OK;
}

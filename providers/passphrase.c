#include "providers/passphrase.h"

#include <stdlib.h>
#include <string.h>

cm_status cm_passphrase_open(struct cm_passphrase *passphrase,
                             const struct cm_provider_settings *settings, struct cm_error *err)
{
    passphrase->folder = settings->folder ? strdup(settings->folder) : NULL;
    passphrase->reference = settings->passphrase_ref ? strdup(settings->passphrase_ref) : NULL;
    if (!settings->folder != !passphrase->folder
        || !settings->passphrase_ref != !passphrase->reference)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for a provider");
    if (!passphrase->reference || !cm_secret_is_asked(passphrase->reference)
        || cm_secret_read(passphrase->reference, NULL, &passphrase->kept, err) == CM_OK)
        return CM_OK;
    if (err)
        err->status = CM_DENIED;
    return CM_DENIED;
}

void cm_passphrase_close(struct cm_passphrase *passphrase)
{
    cm_secret_done(&passphrase->kept);
    free(passphrase->reference);
    free(passphrase->folder);
    *passphrase = (struct cm_passphrase){ 0 };
}

cm_status cm_passphrase_read(const struct cm_passphrase *passphrase, struct cm_secret *ret_secret,
                             struct cm_error *err)
{
    return passphrase->kept.text
               ? cm_secret_copy(&passphrase->kept, ret_secret, err)
               : cm_secret_read(passphrase->reference, passphrase->folder, ret_secret, err);
}

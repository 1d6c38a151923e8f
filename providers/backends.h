/*
 * Backends: the kinds of provider that this build has, by the names that settings use.
 */
#ifndef CM_PROVIDERS_BACKENDS_H
#define CM_PROVIDERS_BACKENDS_H

#include "providers/provider.h"

/*
 * Keys from files and from any OpenSSL 3 provider.
 *
 *     file:PATH       PKCS#8 in PEM, plain or encrypted; readable by its owner only
 *     pkcs11:...      and every other URI: looked up through OSSL_STORE
 *
 * The passphrase of settings serves encrypted files and the PIN that a store asks for. Nothing is
 * ever asked on a terminal. Takes no options.
 */
extern const struct cm_provider_ops cm_provider_openssl;

/* NULL when this build has no backend of that name. */
const struct cm_provider_ops *cm_provider_find(const char *name);

#endif

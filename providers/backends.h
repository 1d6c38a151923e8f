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
 * ever asked on a terminal. Signs in multi-buffer lanes where it can; options: openssl/options.h.
 */
extern const struct cm_provider_ops cm_provider_openssl;

/*
 * Keys in a token (HSM, smart card, SoftHSM), through the vendor's PKCS#11 module.
 *
 *     pkcs11:token=LABEL;object=LABEL     and the other attributes of RFC 7512: token, manufacturer,
 *                                         model, serial, slot-id; object, id; module-path, pin-source
 *
 * The module is that of settings, or the URI's module-path where settings name none. The passphrase
 * of settings is the user PIN; it is read again for each login and kept nowhere. One login serves
 * all sessions; a PIN that the token refuses is never tried again before the instance is reopened.
 *
 * workers_count is the number of sessions, each with a thread; 0 has the first key's token measured
 * for it. A token that allows fewer has fewer, and the opened key's notice says so. Tokens that
 * differ much go into instances of their own: the smallest number counts for all of an instance.
 *
 * When the token is lost, items end UNAVAILABLE, TOKEN_REMOVED or UNCERTAIN at once, and each
 * second one of them tries to come back; keys are found and proved again before they sign. Takes
 * no options.
 */
extern const struct cm_provider_ops cm_provider_pkcs11;

/*
 * Keys in Azure Key Vault or Managed HSM, over their REST API.
 *
 *     https://VAULT.vault.azure.net/keys/KEY[/VERSION]    (keyvault/uri.h)
 *
 * Without a version the newest enabled one is taken; an opened key stays with its version, and the
 * key's reference names it. When the vault has another version later, that is told as a notice and
 * not followed. Options: keyvault/options.h. The passphrase of settings is the client secret.
 *
 * Nothing blocks: hundreds of requests are out at once, at a pace that the vault allows
 * (keyvault/pace.h). An outage or a 429 makes items wait, or end THROTTLED, UNAVAILABLE or EXPIRED;
 * a lost answer is UNCERTAIN. Key names are created with the type that the settings require; a key
 * that is destroyed goes with all versions of its name, and stays recoverable as the vault has it.
 * Name each vault in one instance only: two would spend its budget twice.
 */
extern const struct cm_provider_ops cm_provider_keyvault;

/* NULL when this build has no backend of that name. */
const struct cm_provider_ops *cm_provider_find(const char *name);

#endif

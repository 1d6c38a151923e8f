/*
 * Naming: what a key that we make is called in its provider, where nobody has said it.
 *
 * A key of ours that is there says in which token, or vault, keys are, and how its PIN is found; key
 * files are in the provider's folder. Thread: any.
 */
#ifndef CM_PROVIDERS_NAMING_H
#define CM_PROVIDERS_NAMING_H

/*
 * The reference of a key of this name in a provider of this kind ("openssl", "pkcs11", "keyvault"), beside
 * the one with the reference neighbour (may be NULL). The caller's to free; NULL: nothing says where it
 * belongs.
 */
char *cm_key_name_beside(const char *kind, const char *neighbour, const char *name_of_key);

#endif

#include "providers/backends.h"

#ifdef CM_FAULT_POINTS
#    include "providers/fake/fake.h"
#endif

static const struct cm_provider_ops *const backends[] = {
    &cm_provider_openssl,
    &cm_provider_pkcs11,
    &cm_provider_keyvault,
#ifdef CM_FAULT_POINTS
    &cm_provider_fake,
#endif
};

const struct cm_provider_ops *cm_provider_find(const char *name)
{
    for (size_t i = 0; i < sizeof backends / sizeof backends[0]; i++)
        if (strcmp(backends[i]->name, name) == 0)
            return backends[i];
    return NULL;
}

#include "tests/support/rsa_pairs.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

#include "tests/support/rsa_pairs_made.h"

static EVP_PKEY *read_pair(const unsigned char *der, size_t size)
{
    EVP_PKEY *pair = d2i_AutoPrivateKey(NULL, &der, (long)size);
    if (!pair)
        abort();
    return pair;
}

EVP_PKEY *cm_rsa_pair(unsigned which)
{
    assert(which < CM_RSA_PAIRS);
    if (which == 0)
        return read_pair(rsa_2048_0, sizeof rsa_2048_0);
    if (which == 1)
        return read_pair(rsa_2048_1, sizeof rsa_2048_1);
    return read_pair(rsa_2048_2, sizeof rsa_2048_2);
}

EVP_PKEY *cm_rsa_pair_of(unsigned bits)
{
    switch (bits) {
    case 1024:
        return read_pair(rsa_1024_0, sizeof rsa_1024_0);
    case 2048:
        return cm_rsa_pair(0);
    case 3072:
        return read_pair(rsa_3072_0, sizeof rsa_3072_0);
    case 4096:
        return read_pair(rsa_4096_0, sizeof rsa_4096_0);
    default:
        return NULL;
    }
}

#include "engine/base/hash.h"

#include <pthread.h>
#include <stdlib.h>

#include <openssl/evp.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t context_key; /* frees a thread's context when the thread ends */
static EVP_MD *sha256;
static _Thread_local EVP_MD_CTX *context;

static void free_context(void *arg)
{
    EVP_MD_CTX_free(arg);
}

static void fetch(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (!sha256 || pthread_key_create(&context_key, free_context) != 0)
        abort();
}

static EVP_MD_CTX *thread_context(void)
{
    if (!context) {
        pthread_once(&once, fetch);
        context = EVP_MD_CTX_new();
        if (!context || pthread_setspecific(context_key, context) != 0)
            abort();
    }
    return context;
}

void cm_sha256(const struct cm_bytes *parts, size_t parts_count, uint8_t ret_hash[CM_SHA256_SIZE])
{
    EVP_MD_CTX *ctx = thread_context();
    int good = EVP_DigestInit_ex2(ctx, sha256, NULL);
    for (size_t i = 0; i < parts_count; i++)
        good &= EVP_DigestUpdate(ctx, parts[i].data, parts[i].size);
    good &= EVP_DigestFinal_ex(ctx, ret_hash, NULL);
    if (good != 1)
        abort();
}

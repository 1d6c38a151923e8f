#include "engine/base/hash.h"

#include <pthread.h>
#include <stdlib.h>

#include <openssl/evp.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t context_key; /* frees a thread's context when the thread ends */
static EVP_MD *sha256, *sha1;
static _Thread_local EVP_MD_CTX *context;

static void free_context(void *arg)
{
    EVP_MD_CTX_free(arg);
}

static void fetch(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
    if (!sha256 || !sha1 || pthread_key_create(&context_key, free_context) != 0)
        abort();
}

/* The algorithms, and this thread's context. */
static void prepare_thread(void)
{
    if (context)
        return;
    pthread_once(&once, fetch);
    context = EVP_MD_CTX_new();
    if (!context || pthread_setspecific(context_key, context) != 0)
        abort();
}

static void hash(const EVP_MD *algorithm, const struct cm_bytes *parts, size_t parts_count,
                 uint8_t *ret_hash)
{
    int good = EVP_DigestInit_ex2(context, algorithm, NULL);
    for (size_t i = 0; i < parts_count; i++)
        good &= EVP_DigestUpdate(context, parts[i].data, parts[i].size);
    good &= EVP_DigestFinal_ex(context, ret_hash, NULL);
    if (good != 1)
        abort();
}

void cm_sha256(const struct cm_bytes *parts, size_t parts_count, uint8_t ret_hash[CM_SHA256_SIZE])
{
    prepare_thread();
    hash(sha256, parts, parts_count, ret_hash);
}

void cm_sha1(const struct cm_bytes *parts, size_t parts_count, uint8_t ret_hash[CM_SHA1_SIZE])
{
    prepare_thread();
    hash(sha1, parts, parts_count, ret_hash);
}

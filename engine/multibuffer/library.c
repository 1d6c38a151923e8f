/*
 * Finding the library: by its name at run time, so that one build serves machines with and without it. It
 * is not trusted with a kind before it has agreed with OpenSSL in it.
 */
#include "engine/multibuffer/internal.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#define LIBRARY_NAME "libcrypto_mb.so.11" /* the interface that the headers are of */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct cm_mb_library library;
static bool is_found;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* of who tries */
enum verdict { NOT_TRIED, AGREES, DISAGREES };
static _Atomic(enum verdict) verdicts[CM_MB_KINDS_COUNT];
static char description[256];

const struct cm_mb_library *cm_mb_library(void)
{
    return &library;
}

static bool find_functions(void *handle)
{
#define X(name)                                                                                    \
    library.name = (__typeof__(library.name))(uintptr_t)dlsym(handle, #name);                      \
    if (!library.name)                                                                             \
        return false;
    CM_MB_FUNCTION_MAP(X)
#undef X
    return true;
}

static void describe(const char *text)
{
    snprintf(description, sizeof description, "%s", text);
}

static bool find(void)
{
    void *handle = dlopen(LIBRARY_NAME, RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        describe(LIBRARY_NAME " is not installed");
    else if (!find_functions(handle))
        describe(LIBRARY_NAME " lacks functions");
    else if (!library.mbx_is_crypto_mb_applicable(library.mbx_get_cpu_features()))
        describe("this processor has no AVX-512 IFMA");
    else
        return true;
    return false;
}

static void describe_library(void)
{
    static const char *const names[CM_MB_KINDS_COUNT] = {
        [CM_MB_P256] = "p256",       [CM_MB_P384] = "p384", [CM_MB_P521] = "p521",
        [CM_MB_ED25519] = "ed25519", [CM_MB_RSA] = "rsa",
    };
    const mbxVersion *version = library.mbx_getversion();
    const char *before = "; it does not agree with OpenSSL in, and is not used for, ";
    int size =
        snprintf(description, sizeof description, "crypto-mb %d.%d.%d, eight lanes of AVX-512 IFMA",
                 version->major, version->minor, version->revision);
    for (unsigned kind = 0; kind < CM_MB_KINDS_COUNT; kind++) {
        if (cm_mb_takes((enum cm_mb_kind)kind))
            continue;
        size += snprintf(description + size, sizeof description - (size_t)size, "%s%s", before,
                         names[kind]);
        before = ", ";
    }
}

static void look(void)
{
    is_found = find();
}

static enum verdict try_once(enum cm_mb_kind kind)
{
    pthread_mutex_lock(&mutex); /* { */
    enum verdict verdict = atomic_load(&verdicts[kind]);
    if (verdict == NOT_TRIED)
        verdict = cm_mb_agrees(kind) ? AGREES : DISAGREES;
    atomic_store(&verdicts[kind], verdict);
    pthread_mutex_unlock(&mutex); /* } */
    return verdict;
}

/* A trial takes longer than what a command may have to sign: only of the kind that is asked for. */
bool cm_mb_takes(enum cm_mb_kind kind)
{
    pthread_once(&once, look);
    enum verdict verdict = is_found ? atomic_load(&verdicts[kind]) : DISAGREES;
    return (verdict == NOT_TRIED ? try_once(kind) : verdict) == AGREES;
}

static void describe_once(void)
{
    pthread_once(&once, look);
    if (is_found)
        describe_library();
}

const char *cm_mb_describe(void)
{
    static pthread_once_t described = PTHREAD_ONCE_INIT;
    pthread_once(&described, describe_once);
    return description;
}

uint8_t cm_mb_good_lanes(mbx_status status, unsigned count)
{
    uint8_t good = 0;
    for (unsigned i = 0; i < count; i++)
        if (MBX_GET_STS(status, (int)i) == MBX_STATUS_OK)
            good |= (uint8_t)(1U << i);
    return good;
}

void cm_mb_limbs_from(const uint8_t *octets, size_t size, cm_mb_limb *limbs, size_t limbs_count)
{
    for (size_t i = 0; i < limbs_count; i++) {
        size_t end = size > 8 * i ? size - 8 * i : 0;
        size_t begin = end > 8 ? end - 8 : 0;
        limbs[i] = cm_big_endian_read(octets + begin, end - begin);
    }
}

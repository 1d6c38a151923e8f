/* The ceiling: nothing but signature operations, with everything prepared. */
#include "tools/bench/bench.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "engine/base/clock.h"

enum { PAIRS_PER_LOOK = 8, MESSAGE_SIZE = 32 };

/* One type of key, ready to sign and to verify, in one thread. */
struct prepared {
    EVP_PKEY *key;
    EVP_MD_CTX *signing, *verifying; /* Ed25519, which signs messages */
    EVP_PKEY_CTX *sign_context, *verify_context;
    uint8_t signature[CM_SIGNATURE_SIZE_MAX];
    size_t signature_size;
};

struct ceiling_thread {
    pthread_t thread;
    enum cm_key_type device, ca;
    uint32_t ca_bits;
    uint64_t duration_ns;
    pthread_barrier_t *start;
    double per_second; /* negative: OpenSSL failed */
    double cpu_us;
};

static const uint8_t message[MESSAGE_SIZE] = { 1, 2, 3 };

static EVP_PKEY *make_key(enum cm_key_type type, uint32_t rsa_bits)
{
    switch (type) {
    case CM_KEY_P256:
        return EVP_EC_gen("P-256");
    case CM_KEY_P384:
        return EVP_EC_gen("P-384");
    case CM_KEY_P521:
        return EVP_EC_gen("P-521");
    case CM_KEY_RSA:
        return EVP_RSA_gen(rsa_bits);
    case CM_KEY_ED25519:
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    default:
        return NULL;
    }
}

static bool sign_once(struct prepared *with)
{
    with->signature_size = sizeof with->signature;
    if (with->signing)
        return EVP_DigestSignInit_ex(with->signing, NULL, NULL, NULL, NULL, with->key, NULL) == 1
               && EVP_DigestSign(with->signing, with->signature, &with->signature_size, message,
                                 MESSAGE_SIZE)
                      == 1;
    return EVP_PKEY_sign(with->sign_context, with->signature, &with->signature_size, message,
                         MESSAGE_SIZE)
           == 1;
}

static bool verify_once(struct prepared *with)
{
    if (with->verifying)
        return EVP_DigestVerifyInit_ex(with->verifying, NULL, NULL, NULL, NULL, with->key, NULL)
                   == 1
               && EVP_DigestVerify(with->verifying, with->signature, with->signature_size, message,
                                   MESSAGE_SIZE)
                      == 1;
    return EVP_PKEY_verify(with->verify_context, with->signature, with->signature_size, message,
                           MESSAGE_SIZE)
           == 1;
}

static bool prepare_context(EVP_PKEY_CTX *context, enum cm_key_type type)
{
    if (EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()) != 1)
        return false;
    return type != CM_KEY_RSA || EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1;
}

static bool prepare(struct prepared *with, enum cm_key_type type, uint32_t rsa_bits)
{
    *with = (struct prepared){ .key = make_key(type, rsa_bits) };
    if (!with->key)
        return false;
    if (type == CM_KEY_ED25519) {
        with->signing = EVP_MD_CTX_new();
        with->verifying = EVP_MD_CTX_new();
        return with->signing && with->verifying && sign_once(with);
    }
    with->sign_context = EVP_PKEY_CTX_new_from_pkey(NULL, with->key, NULL);
    with->verify_context = EVP_PKEY_CTX_new_from_pkey(NULL, with->key, NULL);
    return with->sign_context && with->verify_context && EVP_PKEY_sign_init(with->sign_context) == 1
           && EVP_PKEY_verify_init(with->verify_context) == 1
           && prepare_context(with->sign_context, type)
           && prepare_context(with->verify_context, type) && sign_once(with);
}

static void let_go(struct prepared *with)
{
    EVP_PKEY_CTX_free(with->sign_context);
    EVP_PKEY_CTX_free(with->verify_context);
    EVP_MD_CTX_free(with->signing);
    EVP_MD_CTX_free(with->verifying);
    EVP_PKEY_free(with->key);
}

static uint64_t thread_cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * CM_NS_PER_S + (uint64_t)now.tv_nsec;
}

static void *run_thread(void *arg)
{
    struct ceiling_thread *self = arg;
    struct prepared device, ca;
    bool good = prepare(&device, self->device, 2048);
    good = prepare(&ca, self->ca, self->ca_bits) && good;
    pthread_barrier_wait(self->start);
    uint64_t begin = cm_clock_monotonic_ns(), now = begin, pairs = 0, cpu_ns = thread_cpu_ns();
    while (good && now - begin < self->duration_ns) {
        for (unsigned i = 0; i < PAIRS_PER_LOOK && good; i++, pairs++)
            good = verify_once(&device) && sign_once(&ca);
        now = cm_clock_monotonic_ns();
    }
    self->per_second = good ? (double)pairs * 1e9 / (double)(now - begin) : -1;
    self->cpu_us = pairs ? (double)(thread_cpu_ns() - cpu_ns) / 1e3 / (double)pairs : 0;
    let_go(&device);
    let_go(&ca);
    return NULL;
}

static cm_status measure_pair(enum cm_key_type device, enum cm_key_type ca, uint32_t ca_bits,
                              double seconds, struct cm_bench_ceiling *ret_ceiling,
                              struct cm_error *err)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned count = processors > 0 ? (unsigned)processors : 1;
    struct ceiling_thread *threads = calloc(count, sizeof *threads);
    pthread_barrier_t start;
    struct cm_bench_ceiling sum = { 0 };
    bool failed = false;
    if (!threads || pthread_barrier_init(&start, NULL, count) != 0)
        abort();
    for (unsigned i = 0; i < count; i++) {
        threads[i] = (struct ceiling_thread){ .device = device,
                                              .ca = ca,
                                              .ca_bits = ca_bits,
                                              .start = &start,
                                              .duration_ns = (uint64_t)(seconds * 1e9) };
        if (pthread_create(&threads[i].thread, NULL, run_thread, &threads[i]) != 0)
            abort(); /* the others wait for it */
    }
    for (unsigned i = 0; i < count; i++) {
        pthread_join(threads[i].thread, NULL);
        failed = failed || threads[i].per_second < 0;
        sum.per_second += threads[i].per_second;
        sum.cpu_us += threads[i].cpu_us / count;
    }
    pthread_barrier_destroy(&start);
    free(threads);
    if (failed)
        return CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_OPENSSL, (int64_t)ERR_peek_error(),
                       "the ceiling cannot be measured");
    *ret_ceiling = sum;
    return CM_OK;
}

/* Times of a pair add up by their shares; rates do not. */
cm_status cm_bench_measure_ceiling(const struct cm_fleet_settings *fleet, enum cm_key_type ca,
                                   uint32_t ca_bits, double seconds,
                                   struct cm_bench_ceiling *ret_ceiling, struct cm_error *err)
{
    uint32_t counts[CM_KEY_TYPE_COUNT], types_count = 0;
    struct cm_bench_ceiling pair = { 0 }, sum = { 0 };
    double seconds_each = 0;
    cm_fleet_count_types(fleet, counts);
    for (unsigned type = 1; type < CM_KEY_TYPE_COUNT; type++)
        types_count += counts[type] > 0;
    for (unsigned type = 1; type < CM_KEY_TYPE_COUNT; type++) {
        double share = (double)counts[type] / fleet->devices_count;
        if (counts[type] == 0)
            continue;
        cm_status status =
            measure_pair((enum cm_key_type)type, ca, ca_bits, seconds / types_count, &pair, err);
        if (status != CM_OK)
            return status;
        seconds_each += share / pair.per_second;
        sum.cpu_us += share * pair.cpu_us;
    }
    sum.per_second = seconds_each > 0 ? 1 / seconds_each : 0;
    *ret_ceiling = sum;
    return CM_OK;
}

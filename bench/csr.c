/*
 * CSRs: what a request costs before anyone decides about it. One by one, each of another key, by key type:
 * reading, proof of possession, the look at the key, the hash of it.
 */
#include "engine/x509/csr.h"

#include "bench/requests.h"
#include "bench/suites.h"
#include "engine/base/hash.h"
#include "engine/x509/der.h"
#include "engine/x509/key_check.h"
#include "engine/x509/pem.h"
#include "engine/x509/pem_writer.h"
#include "engine/x509/proof.h"

static struct cm_bytes pems[CM_BENCH_REQUESTS]; /* of the type that was asked for last */
static struct cm_arena pem_arena, scratch;
static struct cm_proof *proof;

static bool open_requests(struct cm_bench_run *run)
{
    struct cm_error err;
    if (!proof && cm_proof_new(&proof, &err) != CM_OK)
        return cm_bench_fail(run, "%s", err.text);
    if (!scratch.block_size) {
        cm_arena_init(&scratch, 1 << 18);
        cm_arena_init(&pem_arena, 1 << 16);
    }
    struct cm_bench_requests *requests = cm_bench_requests(run, (enum cm_key_type)run->bench->kind);
    run->self = requests;
    cm_arena_reset(&pem_arena);
    for (uint32_t i = 0; requests && i < run->size; i++)
        pems[i] = cm_pem_write("CERTIFICATE REQUEST", requests->fleet->devices[i].csr, &pem_arena);
    return requests != NULL;
}

static void close_all(void)
{
    cm_bench_requests_close();
    cm_proof_free(proof);
    if (!scratch.block_size)
        return;
    cm_arena_done(&scratch);
    cm_arena_done(&pem_arena);
}

static bool check_der(struct cm_bench_run *run)
{
    const struct cm_bench_requests *requests = run->self;
    struct cm_refusal refusal;
    for (uint32_t i = 0; i < run->size; i++)
        if (!cm_der_check(requests->fleet->devices[i].csr, &refusal))
            return cm_bench_fail(run, "%s", refusal.message);
    return true;
}

static bool read_pem(struct cm_bench_run *run)
{
    struct cm_refusal refusal;
    struct cm_bytes der;
    cm_arena_reset(&scratch);
    for (uint32_t i = 0; i < run->size; i++)
        if (!cm_pem_read_csr(pems[i], &scratch, &der, &refusal))
            return cm_bench_fail(run, "%s", refusal.message);
    return true;
}

static bool read(struct cm_bench_run *run)
{
    const struct cm_bench_requests *requests = run->self;
    struct cm_refusal refusal;
    struct cm_csr csr;
    cm_arena_reset(&scratch);
    for (uint32_t i = 0; i < run->size; i++)
        if (!cm_csr_read(requests->fleet->devices[i].csr, &scratch, &csr, &refusal))
            return cm_bench_fail(run, "%s", refusal.message);
    return true;
}

static bool prove(struct cm_bench_run *run)
{
    const struct cm_bench_requests *requests = run->self;
    struct cm_refusal refusal;
    for (uint32_t i = 0; i < run->size; i++)
        if (!cm_proof_check(proof, &requests->csrs[i], &refusal))
            return cm_bench_fail(run, "%s", refusal.message);
    return true;
}

static bool check_key(struct cm_bench_run *run)
{
    const struct cm_bench_requests *requests = run->self;
    struct cm_refusal refusal;
    for (uint32_t i = 0; i < run->size; i++)
        if (!cm_key_check(&requests->csrs[i].key, &refusal))
            return cm_bench_fail(run, "%s", refusal.message);
    return true;
}

static bool hash_key(struct cm_bench_run *run)
{
    const struct cm_bench_requests *requests = run->self;
    uint8_t digest[CM_SHA256_SIZE];
    for (uint32_t i = 0; i < run->size; i++)
        cm_sha256(&requests->csrs[i].spki, 1, digest);
    return true;
}

#define BENCH(label, type, function, count)                                                        \
    {                                                                                              \
        .name = label, .kind = CM_KEY_##type, .setup = open_requests, .run = (function),           \
        .sizes = {                                                                                 \
            (count)                                                                                \
        }                                                                                          \
    }
#define OF_EACH_TYPE(label, function)                                                              \
    BENCH(label "/p256", P256, function, CM_BENCH_REQUESTS),                                       \
        BENCH(label "/p384", P384, function, CM_BENCH_REQUESTS),                                   \
        BENCH(label "/p521", P521, function, CM_BENCH_REQUESTS),                                   \
        BENCH(label "/ed25519", ED25519, function, CM_BENCH_REQUESTS),                             \
        BENCH(label "/rsa", RSA, function, CM_BENCH_RSA_REQUESTS)

static const struct cm_bench benches[] = {
    BENCH("pem/p256", P256, read_pem, CM_BENCH_REQUESTS),
    BENCH("der/p256", P256, check_der, CM_BENCH_REQUESTS),
    OF_EACH_TYPE("read", read),
    OF_EACH_TYPE("prove", prove),
    OF_EACH_TYPE("key-check", check_key),
    BENCH("key-hash/p256", P256, hash_key, CM_BENCH_REQUESTS),
};

const struct cm_bench_suite cm_bench_csr = { "csr", benches, CM_BENCH_COUNT(benches), close_all };

/*
 * Signatures: verifying many at once, in lanes of eight where this processor has them, beside the same one by
 * one. By key type and number.
 */
#include "engine/x509/proof.h"

#include "bench/requests.h"
#include "bench/suites.h"
#include "engine/multibuffer/multibuffer.h"

static struct cm_proof *together, *one_by_one;
/* Of the type that was asked for last. */
static struct cm_signature_check checks[CM_BENCH_REQUESTS];

static bool open_proofs(struct cm_bench_run *run)
{
    struct cm_error err;
    if (together)
        return true;
    if (cm_proof_new(&together, &err) != CM_OK || cm_proof_new(&one_by_one, &err) != CM_OK)
        return cm_bench_fail(run, "%s", err.text);
    cm_proof_forgo_lanes(one_by_one);
    return true;
}

static bool open_signatures(struct cm_bench_run *run)
{
    struct cm_bench_requests *requests = cm_bench_requests(run, (enum cm_key_type)run->bench->kind);
    for (uint32_t i = 0; requests && i < run->size; i++) {
        const struct cm_csr *csr = &requests->csrs[i];
        checks[i] = (struct cm_signature_check){
            .key = &csr->key, .alg = csr->sigalg, .message = csr->info, .signature = csr->signature
        };
    }
    return requests && open_proofs(run);
}

static void close_all(void)
{
    cm_bench_requests_close();
    cm_proof_free(together);
    cm_proof_free(one_by_one);
}

static bool verify(struct cm_bench_run *run, struct cm_proof *proof)
{
    cm_signatures_verify(proof, checks, run->size);
    for (uint32_t i = 0; i < run->size; i++)
        if (checks[i].status != CM_OK)
            return cm_bench_fail(run, "a signature does not verify");
    return true;
}

static bool verify_together(struct cm_bench_run *run)
{
    return verify(run, together);
}

static bool verify_one_by_one(struct cm_bench_run *run)
{
    return verify(run, one_by_one);
}

/* Without lanes both are the same thing. */
static const char *missing_lanes(void)
{
    return cm_mb_takes(CM_MB_P256) ? NULL : cm_mb_describe();
}

#define BENCH(label, type, function, absence, ...)                                                 \
    {                                                                                              \
        .name = label, .kind = (type), .setup = open_signatures, .run = (function),                \
        .missing = (absence), .sizes = {                                                           \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define BOTH(name, type)                                                                           \
    BENCH("verify/" name, type, verify_together, missing_lanes, 1, 2, 3, 8, 64),                   \
        BENCH("verify-one-by-one/" name, type, verify_one_by_one, NULL, 1, 8)

static const struct cm_bench benches[] = {
    BOTH("p256", CM_KEY_P256),       BOTH("p384", CM_KEY_P384), BOTH("p521", CM_KEY_P521),
    BOTH("ed25519", CM_KEY_ED25519), BOTH("rsa", CM_KEY_RSA),
};

const struct cm_bench_suite cm_bench_signatures = { "signatures", benches, CM_BENCH_COUNT(benches),
                                                    close_all };

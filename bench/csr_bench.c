/*
 * What a request costs before anyone decides about it: reading the CSR, proof of possession, the
 * hash of the key. Prints one JSON line for each key type.
 *
 *     build/bench/csr_bench [REQUESTS]
 *
 * One thread; microseconds of processor time for one request.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench/measure.h"
#include "engine/base/hash.h"
#include "engine/x509/proof.h"
#include "tools/fleet.h"

enum { REQUESTS = 2000, RSA_REQUESTS = 20, BATCH = 256, READ_ROUNDS = 20 };

static double read_us(const struct cm_fleet *fleet, struct cm_arena *arena)
{
    struct cm_refusal refusal;
    struct cm_csr csr;
    double begin = cpu_now_us();
    for (uint32_t i = 0; i < fleet->devices_count * READ_ROUNDS; i++) {
        if (i % BATCH == 0)
            cm_arena_reset(arena);
        check(cm_csr_read(fleet->devices[i % fleet->devices_count].csr, arena, &csr, &refusal),
              "a request was not read");
    }
    return (cpu_now_us() - begin) / (fleet->devices_count * READ_ROUNDS);
}

static double prove_us(const struct cm_fleet *fleet, struct cm_proof *proof, struct cm_csr *csrs)
{
    struct cm_refusal refusal;
    double begin = cpu_now_us();
    for (uint32_t i = 0; i < fleet->devices_count; i++)
        check(cm_proof_check(proof, &csrs[i], &refusal), "a proof failed");
    return (cpu_now_us() - begin) / fleet->devices_count;
}

static double hash_us(const struct cm_fleet *fleet, const struct cm_csr *csrs)
{
    uint8_t digest[32];
    double begin = cpu_now_us();
    for (uint32_t i = 0; i < fleet->devices_count; i++)
        cm_sha256(&csrs[i].spki, 1, digest);
    return (cpu_now_us() - begin) / fleet->devices_count;
}

static void measure(enum cm_key_type type, uint32_t count)
{
    struct cm_fleet_settings settings;
    struct cm_fleet *fleet = NULL;
    struct cm_proof *proof = NULL;
    struct cm_error err;
    struct cm_arena arena;
    struct cm_refusal refusal;
    cm_fleet_settings_uniform(count, type, &settings);
    check(cm_fleet_make(&settings, NULL, &fleet, &err) == CM_OK, "no fleet");
    check(cm_proof_new(&proof, &err) == CM_OK, "no proof");
    cm_arena_init(&arena, 1 << 20);
    double reading = read_us(fleet, &arena);
    struct cm_csr *csrs = calloc(count, sizeof *csrs);
    cm_arena_reset(&arena);
    for (uint32_t i = 0; i < count; i++)
        check(csrs && cm_csr_read(fleet->devices[i].csr, &arena, &csrs[i], &refusal), "no request");
    double proving = prove_us(fleet, proof, csrs), hashing = hash_us(fleet, csrs);
    printf("{\"key\":\"%s\",\"requests\":%u,\"read_us\":%.2f,\"prove_us\":%.2f,\"hash_us\":%.2f}\n",
           cm_key_type_name(type), count, reading, proving, hashing);
    free(csrs);
    cm_arena_done(&arena);
    cm_proof_free(proof);
    cm_fleet_free(fleet);
}

int main(int argc, char **argv)
{
    int wanted = argc > 1 ? atoi(argv[1]) : REQUESTS;
    uint32_t count = wanted > 0 ? (uint32_t)wanted : REQUESTS;
    for (unsigned type = 1; type < CM_KEY_TYPE_COUNT; type++)
        measure((enum cm_key_type)type, type == CM_KEY_RSA ? RSA_REQUESTS : count);
    return 0;
}

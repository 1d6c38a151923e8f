/*
 * What one certificate costs before its signature: composing, linting, and the key identifier that
 * is a part of both. Run by hand:
 *
 *     build/bench/x509_bench [PROFILE [ROUNDS]]
 *
 * One thread, one P-256 key, one issuer with every URL; nanoseconds of processor time for each, best
 * of five rounds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "engine/x509/lint.h"

#define ROUNDS_OF 5
#define BATCH     256 /* certificates between two resets of the arena, as in the engine */

/* CN=Issuer */
static const uint8_t name[] = { 0x30, 0x11, 0x31, 0x0f, 0x30, 0x0d, 0x06, 0x03, 0x55, 0x04,
                                0x03, 0x0c, 0x06, 'I',  's',  's',  'u',  'e',  'r' };
/* The generator of P-256, as a public key. */
static const uint8_t spki[] = {
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04, 0x6b, 0x17, 0xd1, 0xf2, 0xe1,
    0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d,
    0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96, 0x4f, 0xe3, 0x42, 0xe2, 0xfe,
    0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce, 0x33, 0x57, 0x6b,
    0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5
};

struct bench {
    const struct cm_profile *profile;
    struct cm_issuer issuer;
    struct cm_template *template;
    struct cm_composer *composer;
    struct cm_template_input input;
    struct cm_arena arena;
    struct cm_tbs tbs;
    struct cm_refusal refusal;
    long rounds;
};

static int64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static bool compose(struct bench *b)
{
    return cm_template_compose(b->template, b->composer, &b->input, &b->arena, &b->tbs,
                               &b->refusal);
}

static bool lint(struct bench *b)
{
    return cm_lint_tbs(b->composer, b->tbs.der, b->profile, &b->issuer, &b->refusal);
}

static bool key_identifier(struct bench *b)
{
    uint8_t ski[CM_SKI_SIZE];
    return cm_composer_ski(b->composer, CM_SKI_RFC7093_1, b->input.spki, ski);
}

/* Nanoseconds of one call, in the best of the rounds; negative when it was refused. */
static double measure(struct bench *b, bool (*station)(struct bench *))
{
    double best = -1;
    for (int round = 0; round < ROUNDS_OF; round++) {
        int64_t begin = now_ns();
        for (long i = 0; i < b->rounds; i++) {
            if (i % BATCH == 0 && station == compose)
                cm_arena_reset(&b->arena);
            if (!station(b))
                return -1;
        }
        double each = (double)(now_ns() - begin) / (double)b->rounds;
        best = best < 0 || each < best ? each : best;
    }
    return best;
}

static bool prepare(struct bench *b, const char *profile)
{
    struct cm_error err = { 0 };
    b->profile = cm_profile_builtin(profile);
    b->issuer = (struct cm_issuer){
        .name = cm_bytes(name, sizeof name),
        .ski = cm_bytes("0123456789abcdefghij", 20),
        .not_before_s = 1577836800,
        .not_after_s = 2840140799,
        .path_len = CM_PATH_LEN_NONE,
        .sigalg = CM_SIGALG_ECDSA_SHA256,
        .crl_shards = 64,
        .crl_url = "http://pki.example/crl/issuing/${shard}.crl",
        .ocsp_url = "http://pki.example/ocsp",
        .ca_issuers_url = "http://pki.example/ca/issuing.cer",
    };
    b->input = (struct cm_template_input){
        .serial = cm_bytes("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10", 16),
        .issue_time_s = 1767268800,
        .device = cm_bytes_str("device-000001"),
        .spki = cm_bytes(spki, sizeof spki),
        .key_type = CM_KEY_P256,
    };
    cm_arena_init(&b->arena, 1 << 20);
    if (b->profile && cm_composer_new(&b->composer, &err) == CM_OK
        && cm_template_build(b->profile, &b->issuer, &b->template, &err) == CM_OK)
        return true;
    fprintf(stderr, "x509_bench: %s: %s\n", profile, b->profile ? err.text : "no such profile");
    return false;
}

int main(int argc, char **argv)
{
    struct bench b = { .rounds = argc > 2 ? atol(argv[2]) : 100000 };
    const char *profile = argc > 1 ? argv[1] : "device-client";
    if (b.rounds <= 0 || !prepare(&b, profile))
        return 2;
    double compose_ns = measure(&b, compose);
    double lint_ns = compose_ns < 0 ? -1 : measure(&b, lint);
    double key_ns = measure(&b, key_identifier);
    if (lint_ns < 0)
        fprintf(stderr, "x509_bench: refused: %s\n", b.refusal.message);
    else
        printf("%s: compose %.0f ns, lint %.0f ns, key identifier %.0f ns, %zu bytes\n", profile,
               compose_ns, lint_ns, key_ns, b.tbs.der.size);
    cm_template_free(b.template);
    cm_composer_free(b.composer);
    cm_arena_done(&b.arena);
    return lint_ns < 0;
}

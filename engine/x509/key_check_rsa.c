#include "engine/x509/key_check_rsa.h"

#include <openssl/bn.h>

#define FERMAT_ROUNDS      110
#define ROCA_PRIME_MAX     167
#define PATTERN_PERIOD_MAX 64 /* bytes */

/* Odd primes below 752: the bound of the CA/B Baseline Requirements, 6.1.6. */
static const uint16_t primes[] = {
    3,   5,   7,   11,  13,  17,  19,  23,  29,  31,  37,  41,  43,  47,  53,  59,  61,  67,  71,
    73,  79,  83,  89,  97,  101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
    173, 179, 181, 191, 193, 197, 199, 211, 223, 227, 229, 233, 239, 241, 251, 257, 263, 269, 271,
    277, 281, 283, 293, 307, 311, 313, 317, 331, 337, 347, 349, 353, 359, 367, 373, 379, 383, 389,
    397, 401, 409, 419, 421, 431, 433, 439, 443, 449, 457, 461, 463, 467, 479, 487, 491, 499, 503,
    509, 521, 523, 541, 547, 557, 563, 569, 571, 577, 587, 593, 599, 601, 607, 613, 617, 619, 631,
    641, 643, 647, 653, 659, 661, 673, 677, 683, 691, 701, 709, 719, 727, 733, 739, 743, 751,
};
#define PRIMES_COUNT (sizeof primes / sizeof primes[0])

/* modulus mod divisor, for whole 32-bit words as RSA sizes here are octets: the rest goes bytewise. */
static uint32_t remainder_of(struct cm_bytes modulus, uint32_t divisor)
{
    uint64_t remainder = 0;
    size_t i = 0;
    for (; i < modulus.size % 4; i++)
        remainder = (remainder << 8 | modulus.data[i]) % divisor;
    for (; i < modulus.size; i += 4) {
        uint32_t word = (uint32_t)modulus.data[i] << 24 | (uint32_t)modulus.data[i + 1] << 16
                        | (uint32_t)modulus.data[i + 2] << 8 | modulus.data[i + 3];
        remainder = (remainder << 32 | word) % divisor;
    }
    return (uint32_t)remainder;
}

/* One long division serves as many primes as fit into 32 bits together. */
static uint32_t small_factor(struct cm_bytes modulus)
{
    for (size_t i = 0; i < PRIMES_COUNT;) {
        size_t begin = i;
        uint64_t product = 1;
        while (i < PRIMES_COUNT && product * primes[i] <= UINT32_MAX)
            product *= primes[i++];
        uint32_t remainder = remainder_of(modulus, (uint32_t)product);
        for (size_t k = begin; k < i; k++)
            if (remainder % primes[k] == 0)
                return primes[k];
    }
    return 0;
}

/* --- ROCA --------------------------------------------------------------------------------------------- */

static bool is_power_of_65537(uint32_t residue, uint32_t prime)
{
    uint32_t power = 1;
    for (uint32_t i = 0; i < prime; i++) {
        if (power == residue)
            return true;
        power = power * 65537u % prime;
    }
    return false;
}

/*
 * The flawed library's primes are k * M + (65537^a mod M), M a product of the first primes; so the
 * modulus is a power of 65537 modulo each of them, which happens by chance about once in 2^27.
 */
static bool is_roca(struct cm_bytes modulus)
{
    for (size_t i = 0; i < PRIMES_COUNT && primes[i] <= ROCA_PRIME_MAX; i++)
        if (!is_power_of_65537(remainder_of(modulus, primes[i]), primes[i]))
            return false;
    return true;
}

/* --- patterns ----------------------------------------------------------------------------------------- */

/* True where a third of the modulus or more, in one piece, repeats with a short period. */
static bool has_pattern(struct cm_bytes modulus)
{
    for (size_t period = 1; period <= PATTERN_PERIOD_MAX; period++) {
        size_t run = 0;
        for (size_t i = period; i < modulus.size; i++) {
            run = modulus.data[i] == modulus.data[i - period] ? run + 1 : 0;
            if (run >= modulus.size / 3)
                return true;
        }
    }
    return false;
}

/* --- close primes ------------------------------------------------------------------------------------- */

/* Numbers of one run; they belong to its BN_CTX frame. */
struct fermat {
    BN_CTX *ctx;
    BIGNUM *n;
    BIGNUM *root;   /* ceiling of the square root of n */
    BIGNUM *a;      /* root + round */
    BIGNUM *square; /* a * a - n */
    BIGNUM *scratch;
    BIGNUM *quotient;
};

/* *root becomes the integer square root, by Newton's method from above. */
static bool integer_sqrt(struct fermat *f, const BIGNUM *value, BIGNUM *root)
{
    BN_zero(root);
    if (BN_is_zero(value))
        return true;
    if (!BN_set_bit(root, (BN_num_bits(value) + 1) / 2))
        return false;
    for (;;) {
        if (!BN_div(f->quotient, NULL, value, root, f->ctx)
            || !BN_add(f->quotient, f->quotient, root) || !BN_rshift1(f->quotient, f->quotient))
            return false;
        if (BN_cmp(f->quotient, root) >= 0)
            return true;
        if (!BN_copy(root, f->quotient))
            return false;
    }
}

/* Residues of a number modulo two products, which serve for every factor of them. */
#define PRODUCT_1 (64u * 63 * 65 * 11 * 17 * 19)
#define PRODUCT_2 (23u * 29 * 31 * 37 * 41 * 43)
static const uint32_t sieve_1[] = { 64, 63, 65, 11, 17, 19 };
static const uint32_t sieve_2[] = { 23, 29, 31, 37, 41, 43 };
#define SIEVE_COUNT 6
#define SIEVE_MAX   65

/* is_square[v] for v below modulus */
static void mark_squares(bool *is_square, uint32_t modulus)
{
    memset(is_square, 0, SIEVE_MAX * sizeof *is_square);
    for (uint32_t i = 0; i < modulus; i++)
        is_square[i * i % modulus] = true;
}

/* Crosses out the rounds in which (a + round)^2 - n is no square modulo one of the numbers. */
static void cross_out(bool *is_open, const uint32_t *sieve, uint32_t a, uint32_t n)
{
    bool is_square[SIEVE_MAX];
    for (size_t i = 0; i < SIEVE_COUNT; i++) {
        uint32_t m = sieve[i];
        mark_squares(is_square, m);
        for (uint32_t round = 0; round < FERMAT_ROUNDS; round++) {
            uint32_t x = (a % m + round) % m;
            if (!is_square[(x * x + m - n % m) % m])
                is_open[round] = false;
        }
    }
}

/* True (in *ret_found) where (root + round)^2 - n is a square: then n is the difference of two. */
static bool try_round(struct fermat *f, uint32_t round, bool *ret_found)
{
    if (!BN_copy(f->a, f->root) || !BN_add_word(f->a, round) || !BN_sqr(f->square, f->a, f->ctx)
        || !BN_sub(f->square, f->square, f->n) || !integer_sqrt(f, f->square, f->scratch)
        || !BN_sqr(f->a, f->scratch, f->ctx))
        return false;
    *ret_found = BN_cmp(f->a, f->square) == 0;
    return true;
}

static bool start_fermat(struct fermat *f, struct cm_bytes modulus)
{
    if (!BN_bin2bn(modulus.data, (int)modulus.size, f->n) || !integer_sqrt(f, f->n, f->root)
        || !BN_sqr(f->square, f->root, f->ctx))
        return false;
    return BN_cmp(f->square, f->n) == 0 || BN_add_word(f->root, 1) == 1;
}

/* A real square root every round would cost a millisecond; the sieve leaves a round in 10,000. */
static bool run_fermat(struct fermat *f, struct cm_bytes modulus, bool *ret_found)
{
    bool is_open[FERMAT_ROUNDS];
    memset(is_open, 1, sizeof is_open);
    if (!start_fermat(f, modulus))
        return false;
    cross_out(is_open, sieve_1, (uint32_t)BN_mod_word(f->root, PRODUCT_1),
              remainder_of(modulus, PRODUCT_1));
    cross_out(is_open, sieve_2, (uint32_t)BN_mod_word(f->root, PRODUCT_2),
              remainder_of(modulus, PRODUCT_2));
    *ret_found = false;
    for (uint32_t round = 0; round < FERMAT_ROUNDS && !*ret_found; round++)
        if (is_open[round] && !try_round(f, round, ret_found))
            return false;
    return true;
}

/* False when out of memory. */
static bool find_close_primes(struct cm_bytes modulus, bool *ret_found)
{
    BN_CTX *ctx = BN_CTX_new();
    if (!ctx)
        return false;
    BN_CTX_start(ctx);
    struct fermat f = { .ctx = ctx };
    f.n = BN_CTX_get(ctx);
    f.root = BN_CTX_get(ctx);
    f.a = BN_CTX_get(ctx);
    f.square = BN_CTX_get(ctx);
    f.scratch = BN_CTX_get(ctx);
    f.quotient = BN_CTX_get(ctx);
    bool is_done = f.quotient && run_fermat(&f, modulus, ret_found);
    BN_CTX_end(ctx);
    BN_CTX_free(ctx);
    return is_done;
}

bool cm_key_check_rsa(struct cm_bytes modulus, struct cm_refusal *refusal)
{
    bool has_close_primes = false;
    uint32_t factor = small_factor(modulus);
    if (factor)
        return cm_refuse(refusal, CM_REFUSAL_KEY_RSA_SMALL_FACTOR, CM_REFUSAL_NO_OFFSET,
                         "the RSA modulus is divisible by %u", factor);
    if (has_pattern(modulus))
        return cm_refuse(refusal, CM_REFUSAL_KEY_RSA_PATTERN, CM_REFUSAL_NO_OFFSET, NULL);
    if (is_roca(modulus))
        return cm_refuse(refusal, CM_REFUSAL_KEY_RSA_ROCA, CM_REFUSAL_NO_OFFSET, NULL);
    if (!find_close_primes(modulus, &has_close_primes))
        return cm_refuse(refusal, CM_REFUSAL_ENGINE_INTERNAL, CM_REFUSAL_NO_OFFSET,
                         "no memory to check an RSA key");
    return !has_close_primes
           || cm_refuse(refusal, CM_REFUSAL_KEY_RSA_CLOSE_PRIMES, CM_REFUSAL_NO_OFFSET, NULL);
}

#include "tools/bench.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include <jansson.h>
#include <openssl/crypto.h>
#include <sqlite3.h>

#include "engine/base/clock.h"

static double ratio(const struct cm_bench_result *result)
{
    return result->ceiling.per_second > 0 ? result->figures.per_second / result->ceiling.per_second
                                          : 0;
}

/* CPU time of all processes for one certificate. */
static double cpu_us(const struct cm_bench_result *result)
{
    double seconds = result->engine_cpu_s + result->signers_cpu_s + result->figures.load_cpu_s
                     + result->redis_cpu_s;
    return result->figures.issued ? seconds * 1e6 / result->figures.issued : 0;
}

/* What the ratio would be if processor time were all that counts. */
static double cpu_ratio(const struct cm_bench_result *result)
{
    return cpu_us(result) > 0 ? result->ceiling.cpu_us / cpu_us(result) : 0;
}

/* Of what the token alone can do. */
static double token_ratio(const struct cm_bench_result *result)
{
    return result->token_per_second > 0 ? result->figures.per_second / result->token_per_second : 0;
}

/*
 * What the processors allow, when each certificate needs the token's own time for its signature and
 * what the rest of the engine takes: the token is software here, on the same processors.
 */
static double token_share_by_cpu(const struct cm_bench_result *result)
{
    double token_us = (result->token_before.cpu_us + result->token_after.cpu_us) / 2;
    return cpu_us(result) > 0 ? token_us / cpu_us(result) : 0;
}

/* --- text ---------------------------------------------------------------------------------------- */

/* 12345678 as "12,345,678". */
static const char *grouped(double value, char text[32])
{
    char digits[24];
    int size = snprintf(digits, sizeof digits, "%.0f", value), at = 0;
    for (int i = 0; i < size; i++) {
        if (i > 0 && (size - i) % 3 == 0)
            text[at++] = ',';
        text[at++] = digits[i];
    }
    text[at] = '\0';
    return text;
}

static void print_cpu(const char *who, double seconds, const struct cm_bench_result *result)
{
    double each_us = result->figures.issued ? seconds * 1e6 / result->figures.issued : 0;
    printf("  %-22s %9.2f s CPU %9.1f us a certificate\n", who, seconds, each_us);
}

static void print_slices(const struct cm_bench_figures *figures)
{
    char number[32];
    printf("\n  each tenth of the run, certificates a second:\n   ");
    for (unsigned i = 0; i < CM_BENCH_SLICES; i++)
        printf(" %s", grouped(figures->slices[i], number));
    printf("\n");
}

static void print_trouble(const struct cm_bench_figures *figures)
{
    if (figures->issued == figures->requests && !figures->repeated && !figures->unknown)
        return;
    printf("\n  NOT WELL: %" PRIu32 " refused, %" PRIu32 " failed, %" PRIu32
           " never answered, %" PRIu32 " answered again, %" PRIu32
           " answers to nothing asked\n  %s\n",
           figures->refused, figures->failed, figures->missing, figures->repeated, figures->unknown,
           figures->problem);
}

void cm_bench_print_text(const struct cm_bench_plan *plan, const struct cm_bench_result *result)
{
    const struct cm_bench_figures *figures = &result->figures;
    char number[32];
    printf("%s certificates in %.2f s through the %s queue, %s keys, %s CA\n\n",
           grouped(figures->issued, number), figures->seconds, plan->queue_name, plan->key_type,
           plan->ca_key);
    printf("  %-22s %11s /s\n", "certificates", grouped(figures->per_second, number));
    printf("  %-22s %11s /s  bare verify + sign, %" PRIu32 " threads\n", "ceiling",
           grouped(result->ceiling.per_second, number), result->processors);
    printf("  %-22s %11.1f %%\n", "of the ceiling", ratio(result) * 100);
    printf("  %-22s %11.1f %%  by processor time\n", "", cpu_ratio(result) * 100);
    if (result->token_per_second > 0) {
        printf("  %-22s %11s /s  bare C_SignInit + C_Sign, %u sessions\n", "token",
               grouped(result->token_per_second, number), result->token_before.sessions);
        printf("  %-22s %11.1f %%\n", "of the token", token_ratio(result) * 100);
        printf("  %-22s %11.1f %%  of the processor time is the token's own\n", "",
               token_share_by_cpu(result) * 100);
    }
    printf("  %-22s %11.1f ms median; p90 %.1f, p99 %.1f, max %.1f\n", "latency", figures->p50_ms,
           figures->p90_ms, figures->p99_ms, figures->max_ms);
    printf("  %-22s %11.1f MB at its peak\n", "memory of the engine",
           (double)result->peak_memory / 1e6);
    printf("  %-22s %11.1f MB\n\n", "store", (double)result->store_size / 1e6);
    print_cpu("engine", result->engine_cpu_s, result);
    print_cpu("signer", result->signers_cpu_s, result);
    if (plan->queue == CM_BENCH_REDIS) {
        print_cpu("load generator", figures->load_cpu_s, result);
        print_cpu("redis-server", result->redis_cpu_s, result);
    }
    printf("  %-22s %11s %13.1f us for one verify + sign\n", "ceiling", "", result->ceiling.cpu_us);
    if (result->others_share > 0.05)
        printf(
            "\n  Other processes took %.0f %% of the processors during the run: believe the CPU\n"
            "  times, not the rates.\n",
            result->others_share * 100);
    print_slices(figures);
    print_trouble(figures);
}

/* --- JSON ---------------------------------------------------------------------------------------- */

static json_t *slices_json(const struct cm_bench_figures *figures)
{
    json_t *slices = json_array();
    for (unsigned i = 0; i < CM_BENCH_SLICES; i++)
        json_array_append_new(slices, json_real(figures->slices[i]));
    return slices;
}

static json_t *settings_json(const struct cm_bench_plan *plan)
{
    return json_pack("{s:s, s:I, s:I, s:s, s:s, s:I, s:s, s:s, s:s}", "queue", plan->queue_name,
                     "rate", (json_int_t)plan->rate_per_s, "window", (json_int_t)plan->window,
                     "key_type", plan->key_type, "ca_key", plan->ca_key, "check_signatures",
                     (json_int_t)plan->check_signatures, "store", "sqlite, synchronous=FULL",
                     "redis_aof", plan->queue == CM_BENCH_REDIS ? plan->redis_aof : "none",
                     "signers", plan->signers);
}

static json_t *versions_json(const struct cm_bench_result *result)
{
    struct utsname system = { 0 };
    uname(&system);
    return json_pack("{s:s, s:s, s:s, s:s, s:s}", "certmill", CERTMILL_VERSION, "openssl",
                     OpenSSL_version(OPENSSL_VERSION), "sqlite", sqlite3_libversion(), "redis",
                     result->redis_version, "kernel", system.release);
}

static json_t *figures_json(const struct cm_bench_figures *figures)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f}", "issued",
                     (json_int_t)figures->issued, "refused", (json_int_t)figures->refused, "failed",
                     (json_int_t)figures->failed, "missing", (json_int_t)figures->missing,
                     "repeated", (json_int_t)figures->repeated, "unknown",
                     (json_int_t)figures->unknown, "seconds", figures->seconds,
                     "certificates_per_second", figures->per_second);
}

const char *cm_bench_command(const struct cm_bench_plan *plan, char *text, size_t space)
{
    snprintf(text, space,
             "certmill bench --devices %" PRIu32 " --queue %s --rate %" PRIu32 " --window %" PRIu32
             " --key-type %s --ca-key %s --check-signatures %" PRIu32
             " --provider %s --signers %s --redis-aof %s",
             plan->devices_count, plan->queue_name, plan->rate_per_s, plan->window, plan->key_type,
             plan->ca_key, plan->check_signatures, plan->provider, plan->signers, plan->redis_aof);
    return text;
}

void cm_bench_print_json(const struct cm_bench_plan *plan, const struct cm_bench_result *result)
{
    const struct cm_bench_figures *figures = &result->figures;
    char command[CM_BENCH_COMMAND_SIZE];
    json_t *object = figures_json(figures);
    json_t *more = json_pack(
        "{s:f, s:f, s:f, s:f, s:f, s:f, s:{s:f, s:f, s:f, s:f}, s:I, s:I, s:I, s:I, s:I, s:o, "
        "s:{s:f, s:f, s:f, s:f}, s:f, s:f, s:f, s:o, s:o, s:s}",
        "ceiling_per_second", result->ceiling.per_second, "ceiling_before",
        result->ceiling_before.per_second, "ceiling_after", result->ceiling_after.per_second,
        "ceiling_cpu_us", result->ceiling.cpu_us, "cpu_us", cpu_us(result), "ratio_to_ceiling",
        ratio(result), "latency_ms", "p50", figures->p50_ms, "p90", figures->p90_ms, "p99",
        figures->p99_ms, "max", figures->max_ms, "peak_memory_bytes",
        (json_int_t)result->peak_memory, "store_bytes", (json_int_t)result->store_size, "batches",
        (json_int_t)result->batches, "devices", (json_int_t)plan->devices_count, "processors",
        (json_int_t)result->processors, "slices", slices_json(figures), "cpu_seconds", "engine",
        result->engine_cpu_s, "signers", result->signers_cpu_s, "load_generator",
        figures->load_cpu_s, "redis_server", result->redis_cpu_s, "ratio_by_cpu_time",
        cpu_ratio(result), "idle_share", result->idle_share, "others_share", result->others_share,
        "settings", settings_json(plan), "versions", versions_json(result), "command",
        cm_bench_command(plan, command, sizeof command));
    json_object_update(object, more);
    json_decref(more);
    if (result->token_per_second > 0) {
        more = json_pack("{s:f, s:i, s:f, s:f}", "token_per_second", result->token_per_second,
                         "token_sessions", (int)result->token_before.sessions, "ratio_to_token",
                         token_ratio(result), "token_share_of_cpu", token_share_by_cpu(result));
        json_object_update(object, more);
        json_decref(more);
    }
    json_dumpf(object, stdout, JSON_REAL_PRECISION(7));
    putchar('\n');
    json_decref(object);
}

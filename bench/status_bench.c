/*
 * What signing CRLs and OCSP responses costs through a provider, in process and in a signer process that
 * holds them to their floor, one worker each.
 *
 *   ocsp   responses a second in batches of 1, 16 and 64, four at a time, beside a bare OpenSSL loop over
 *          the same bytes
 *   crl    one CRL of so many entries at a time: milliseconds, the longest that the loop of this process
 *          was held up, and the memory of both processes at their highest and afterwards
 *
 *     status_bench [SECONDS [ENTRIES]]     (1 second, 1,000,000)
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>

#include "bench/measure.h"
#include "engine/base/clock.h"
#include "engine/x509/crl.h"
#include "engine/x509/ocsp_response.h"
#include "providers/backends.h"
#include "providers/host.h"
#include "providers/keyfile.h"

enum { ITEMS_MAX = 64, BATCHES_MAX = 4, CRLS = 8 };

static const uint8_t issuer_name[] = { 0x30, 0x0d, 0x31, 0x0b, 0x30, 0x09, 0x06, 0x03,
                                       0x55, 0x04, 0x03, 0x0c, 0x02, 'C',  'A' };

struct run {
    struct cm_loop *loop;
    struct cm_provider *provider;
    struct cm_key *key;
    enum cm_lane lane;
    struct cm_bytes message;
    uint32_t items_count, batches_count;
    uint64_t end_ns; /* nothing is submitted later; 0: by rounds_left */
    uint32_t rounds_left;
    uint32_t in_flight;
    uint64_t signatures;
    struct cm_timer tick; /* how long is the loop held up? */
    uint64_t ticked_ns, stall_ns;
    struct cm_sign_batch batches[BATCHES_MAX];
    struct cm_sign_item items[BATCHES_MAX][ITEMS_MAX];
    uint8_t space[BATCHES_MAX][ITEMS_MAX][CM_SIGNATURE_SIZE_MAX];
};

static void fail(const char *text)
{
    fprintf(stderr, "status_bench: %s\n", text);
    exit(1);
}

/* ------------------------------------------------------------------ a provider that signs -- */

static void on_tick(void *arg)
{
    struct run *run = arg;
    uint64_t now_ns = cm_clock_monotonic_ns();
    if (run->ticked_ns && now_ns - run->ticked_ns > run->stall_ns)
        run->stall_ns = now_ns - run->ticked_ns;
    run->ticked_ns = now_ns;
    cm_timer_start(&run->tick, run->loop, 1, on_tick, run);
}

static void submit(struct run *run, struct cm_sign_batch *batch)
{
    struct cm_error err;
    if (cm_provider_sign(run->provider, batch, &err) != CM_OK)
        fail(err.text);
    run->in_flight++;
}

static bool goes_on(struct run *run)
{
    return run->end_ns ? cm_clock_monotonic_ns() < run->end_ns : run->rounds_left-- > 1;
}

static void on_done(struct cm_sign_batch *batch, void *arg)
{
    struct run *run = arg;
    run->in_flight--;
    for (uint32_t i = 0; i < batch->items_count; i++) {
        if (batch->items[i].status != CM_OK)
            fail(cm_status_text(batch->items[i].status));
        run->signatures++;
    }
    if (goes_on(run))
        submit(run, batch);
    else if (run->in_flight == 0)
        cm_loop_stop(run->loop);
}

static void on_key(cm_status status, struct cm_key *key, const struct cm_error *err, void *arg)
{
    struct run *run = arg;
    if (status != CM_OK)
        fail(err->text);
    run->key = key;
    cm_loop_stop(run->loop);
}

static void on_drained(void *arg)
{
    cm_loop_stop(((struct run *)arg)->loop);
}

static void open_run(struct run *run, const char *reference, bool is_hosted)
{
    struct cm_error err;
    const struct cm_host_settings host = { .kind = "openssl" };
    const struct cm_provider_settings settings = { .name = "bench",
                                                   .workers_count = 1,
                                                   .host = &host };
    const struct cm_floor floor = { .issuer_name = cm_bytes(issuer_name, sizeof issuer_name),
                                    .lanes = CM_LANE_BIT(CM_LANE_OCSP) | CM_LANE_BIT(CM_LANE_CRL) };
    if (cm_loop_new(&run->loop, &err) != CM_OK
        || cm_provider_open(is_hosted ? &cm_provider_hosted : &cm_provider_openssl, run->loop,
                            &settings, &run->provider, &err)
               != CM_OK)
        fail(err.text);
    cm_host_bind(run->provider, reference, &floor);
    cm_provider_open_key(run->provider, reference, CM_SIGALG_UNKNOWN, on_key, run);
    cm_loop_run(run->loop);
}

static void close_run(struct run *run)
{
    cm_provider_drain(run->provider, on_drained, run);
    cm_loop_run(run->loop);
    cm_timer_done(&run->tick);
    cm_provider_close_key(run->key);
    cm_provider_close(run->provider);
    cm_loop_free(run->loop);
}

/* Seconds that it took. */
static double sign(struct run *run)
{
    uint64_t begin_ns = cm_clock_monotonic_ns();
    on_tick(run);
    for (uint32_t b = 0; b < run->batches_count; b++) {
        for (uint32_t i = 0; i < run->items_count; i++)
            run->items[b][i] = (struct cm_sign_item){ .message = run->message,
                                                      .signature = run->space[b][i],
                                                      .signature_space = CM_SIGNATURE_SIZE_MAX };
        run->batches[b] = (struct cm_sign_batch){ .key = run->key,
                                                  .lane = run->lane,
                                                  .items = run->items[b],
                                                  .items_count = run->items_count,
                                                  .done = on_done,
                                                  .done_arg = run };
        submit(run, &run->batches[b]);
    }
    cm_loop_run(run->loop);
    cm_timer_stop(&run->tick);
    return (double)(cm_clock_monotonic_ns() - begin_ns) / 1e9;
}

/* ------------------------------------------------------------------ OCSP -- */

static struct cm_bytes make_response(struct cm_bytes spki, struct cm_arena *arena)
{
    uint8_t id[76] = { 0x30, 74, 0x30, 9, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00 };
    struct cm_ocsp_issuer_hashes hashes;
    struct cm_error err;
    struct cm_bytes tbs;
    const struct cm_ocsp_single single = { .cert_id = cm_bytes(id, sizeof id),
                                           .this_update_s = cm_clock_wall_s(),
                                           .next_update_s = cm_clock_wall_s() + 86400 };
    struct cm_ocsp_response response = { .produced_s = cm_clock_wall_s(),
                                         .singles = &single,
                                         .singles_count = 1 };
    if (!cm_ocsp_hash_issuer(cm_bytes(issuer_name, sizeof issuer_name), spki, &hashes))
        fail("the key is none");
    memcpy(id + 13, "\x04\x14", 2);
    memcpy(id + 15, hashes.name_sha1, 20);
    memcpy(id + 35, "\x04\x14", 2);
    memcpy(id + 37, hashes.key_sha1, 20);
    memcpy(id + 57, "\x02\x11\x41", 3); /* a serial of 17 octets */
    memcpy(response.responder_key_hash, hashes.key_sha1, 20);
    if (cm_ocsp_compose(&response, arena, &tbs, &err) != CM_OK)
        fail(err.text);
    return tbs;
}

struct rate {
    double per_second;
    double cpu_us; /* of one, in all processes: what other load leaves alone */
};

static struct rate measure_bare(const char *path, struct cm_bytes message, uint64_t duration_ns)
{
    double begin_us = cpu_of_processes_us();
    uint8_t signature[CM_SIGNATURE_SIZE_MAX];
    FILE *file = fopen(path, "r");
    EVP_PKEY *pkey = file ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : NULL;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    uint64_t begin = cm_clock_monotonic_ns(), now = begin, signatures = 0;
    for (; now - begin < duration_ns; now = cm_clock_monotonic_ns(), signatures++) {
        size_t size = sizeof signature;
        if (EVP_DigestSignInit_ex(context, NULL, "SHA256", NULL, NULL, pkey, NULL) <= 0
            || EVP_DigestSign(context, signature, &size, message.data, message.size) <= 0)
            fail("OpenSSL does not sign");
    }
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(pkey);
    if (file)
        fclose(file);
    return (struct rate){ .per_second = (double)signatures / ((double)(now - begin) / 1e9),
                          .cpu_us = (cpu_of_processes_us() - begin_us) / (double)signatures };
}

static struct rate measure_ocsp(const char *reference, bool is_hosted, uint32_t items_count,
                                struct cm_bytes message, uint64_t duration_ns)
{
    struct run *run = calloc(1, sizeof *run);
    double begin_us = cpu_of_processes_us();
    if (!run)
        exit(1);
    *run = (struct run){ .lane = CM_LANE_OCSP,
                         .message = message,
                         .items_count = items_count,
                         .batches_count = BATCHES_MAX };
    open_run(run, reference, is_hosted);
    run->end_ns = cm_clock_monotonic_ns() + duration_ns;
    struct rate rate = { .per_second = 1 / sign(run) };
    close_run(run);
    rate.per_second *= (double)run->signatures;
    rate.cpu_us = (cpu_of_processes_us() - begin_us) / (double)run->signatures;
    free(run);
    return rate;
}

static void show_ocsp(const char *path, const char *reference, struct cm_bytes spki,
                      uint64_t duration_ns)
{
    static const uint32_t sizes[] = { 1, 16, 64 };
    struct cm_arena arena;
    cm_arena_init(&arena, 4096);
    struct cm_bytes message = make_response(spki, &arena);
    for (size_t i = 0; i < 3; i++) {
        struct rate bare = measure_bare(path, message, duration_ns);
        struct rate in_process = measure_ocsp(reference, false, sizes[i], message, duration_ns);
        struct rate hosted = measure_ocsp(reference, true, sizes[i], message, duration_ns);
        printf("{\"lane\":\"ocsp\",\"octets\":%zu,\"batch\":%u,\"bare_per_second\":%.0f,"
               "\"in_process_per_second\":%.0f,\"hosted_per_second\":%.0f,\"ratio\":%.2f,"
               "\"bare_cpu_us\":%.1f,\"in_process_cpu_us\":%.1f,\"hosted_cpu_us\":%.1f}\n",
               message.size, sizes[i], bare.per_second, in_process.per_second, hosted.per_second,
               hosted.per_second / bare.per_second, bare.cpu_us, in_process.cpu_us, hosted.cpu_us);
        fflush(stdout);
    }
    cm_arena_done(&arena);
}

/* ------------------------------------------------------------------ CRLs -- */

static struct cm_bytes make_crl(uint32_t entries_count, struct cm_arena *arena)
{
    uint8_t *entries = malloc((size_t)entries_count * CM_CRL_ENTRY_SIZE_MAX);
    size_t size = 0;
    struct cm_bytes tbs;
    struct cm_error err;
    if (!entries)
        exit(1);
    for (uint32_t i = 0; i < entries_count; i++) {
        uint8_t serial[20] = { 0x41 };
        cm_big_endian_write(i, serial + 1, 4);
        const struct cm_crl_entry entry = { .serial = cm_bytes(serial, sizeof serial),
                                            .revoked_s = cm_clock_wall_s() - 86400,
                                            .reason = CM_REASON_UNSPECIFIED };
        size += cm_crl_entry_write(&entry, entries + size);
    }
    const struct cm_crl crl = { .issuer = cm_bytes(issuer_name, sizeof issuer_name),
                                .aki = cm_bytes("0123456789abcdefghij", 20),
                                .sigalg = CM_SIGALG_ECDSA_SHA256,
                                .this_update_s = cm_clock_wall_s(),
                                .next_update_s = cm_clock_wall_s() + 7 * 86400,
                                .number = 7 };
    if (cm_crl_compose(&crl, cm_bytes(entries, size), arena, &tbs, &err) != CM_OK)
        fail(err.text);
    free(entries);
    return tbs;
}

/* "VmHWM:" or "VmRSS:" of a process, in MB. */
static double memory_mb(int32_t pid, const char *row)
{
    char path[64], line[128];
    double mb = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, row, strlen(row)) == 0)
            mb = atof(line + strlen(row)) / 1024;
    if (file)
        fclose(file);
    return mb;
}

static void show_crl(const char *reference, bool is_hosted, struct cm_bytes message)
{
    struct run *run = calloc(1, sizeof *run);
    double begin_us = cpu_of_processes_us();
    if (!run)
        exit(1);
    *run = (struct run){ .lane = CM_LANE_CRL,
                         .message = message,
                         .items_count = 1,
                         .batches_count = 1,
                         .rounds_left = CRLS };
    open_run(run, reference, is_hosted);
    int32_t pid = cm_provider_state(run->provider).pid;
    double before_mb = memory_mb(getpid(), "VmRSS:");
    double ms = sign(run) * 1000 / CRLS;
    double grown_mb = memory_mb(getpid(), "VmRSS:") - before_mb;
    double highest_mb = pid ? memory_mb(pid, "VmHWM:") : 0;
    double after_mb = pid ? memory_mb(pid, "VmRSS:") : 0;
    close_run(run); /* a signer's processor time is known when it has ended */
    printf("{\"lane\":\"crl\",\"octets\":%zu,\"hosted\":%s,\"ms\":%.0f,\"cpu_ms\":%.0f,"
           "\"stall_ms\":%.0f,\"own_rss_grown_mb\":%.0f,\"signer_hwm_mb\":%.0f,"
           "\"signer_rss_mb\":%.0f}\n",
           message.size, is_hosted ? "true" : "false", ms,
           (cpu_of_processes_us() - begin_us) / 1000 / CRLS, (double)run->stall_ns / 1e6, grown_mb,
           highest_mb, after_mb);
    free(run);
}

int main(int argc, char **argv)
{
    char folder[] = "/tmp/status_bench.XXXXXX", path[64], reference[80];
    struct cm_keyfile_spki spki;
    struct cm_error err;
    struct cm_arena arena;
    if (argc > 1 && strcmp(argv[1], "signer") == 0)
        return cm_signer_main(CM_SIGNER_FD, cm_provider_find);
    uint64_t duration_ns = (uint64_t)((argc > 1 ? atof(argv[1]) : 1.0) * 1e9);
    uint32_t entries_count = argc > 2 ? (uint32_t)atoi(argv[2]) : 1000000;
    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof path, "%s/key.pem", folder);
    snprintf(reference, sizeof reference, "file:%s", path);
    if (cm_keyfile_generate(CM_KEY_P256, 0, path, NULL, &spki, &err) != CM_OK)
        fail(err.text);
    show_ocsp(path, reference, cm_bytes(spki.data, spki.size), duration_ns);
    cm_arena_init(&arena, 65536);
    struct cm_bytes crl = make_crl(entries_count, &arena);
    show_crl(reference, false, crl);
    show_crl(reference, true, crl);
    cm_arena_done(&arena);
    unlink(path);
    rmdir(folder);
    return 0;
}

/*
 * Signatures a second through the provider, with one and with two workers, in process and in a signer
 * process, beside a bare OpenSSL loop on one thread in the same run: what the asynchronous way costs,
 * and what the process boundary costs on top. The processor time of a signature is that of all
 * processes.
 *
 *     provider_bench [SECONDS [KEY-TYPE]]     (1 second, p256)
 */
#include "bench/measure.h"
#include "engine/base/clock.h"
#include "providers/backends.h"
#include "providers/host.h"
#include "providers/keyfile.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>

enum { ITEMS = 256, BATCHES = 4, MESSAGE_SIZE = 500 };

static uint8_t message[MESSAGE_SIZE];

struct run {
    struct cm_loop *loop;
    struct cm_provider *provider;
    struct cm_key *key;
    const char *reference;
    uint64_t end_ns;
    uint64_t signatures;
    uint32_t in_flight;
    struct cm_sign_batch batches[BATCHES];
    struct cm_sign_item items[BATCHES][ITEMS];
    uint8_t signatures_space[BATCHES][ITEMS][CM_SIGNATURE_SIZE_MAX];
};

static void fail(const struct cm_error *err)
{
    fprintf(stderr, "provider_bench: %s\n", err->text);
    exit(1);
}

static void on_drained(void *arg)
{
    struct run *run = arg;
    cm_loop_stop(run->loop);
}

static void submit(struct run *run, struct cm_sign_batch *batch)
{
    struct cm_error err;
    if (cm_provider_sign(run->provider, batch, &err) != CM_OK)
        fail(&err);
    run->in_flight++;
}

static void on_done(struct cm_sign_batch *batch, void *arg)
{
    struct run *run = arg;
    run->in_flight--;
    for (uint32_t i = 0; i < batch->items_count; i++)
        run->signatures += batch->items[i].status == CM_OK;
    if (cm_clock_monotonic_ns() < run->end_ns)
        submit(run, batch);
    else if (run->in_flight == 0)
        cm_provider_drain(run->provider, on_drained, run);
}

static void on_key(cm_status status, struct cm_key *key, const struct cm_error *err, void *arg)
{
    struct run *run = arg;
    if (status != CM_OK)
        fail(err);
    run->key = key;
    run->end_ns += cm_clock_monotonic_ns();
    for (unsigned b = 0; b < BATCHES; b++) {
        for (unsigned i = 0; i < ITEMS; i++)
            run->items[b][i] = (struct cm_sign_item){ .message = cm_bytes(message, MESSAGE_SIZE),
                                                      .signature = run->signatures_space[b][i],
                                                      .signature_space = CM_SIGNATURE_SIZE_MAX };
        run->batches[b] = (struct cm_sign_batch){ .key = key,
                                                  .items = run->items[b],
                                                  .items_count = ITEMS,
                                                  .done = on_done,
                                                  .done_arg = run };
        submit(run, &run->batches[b]);
    }
}

struct rate {
    double per_second;
    double cpu_us; /* of one */
};

static struct rate measure_provider(const char *reference, bool is_hosted, uint32_t workers_count,
                                    uint64_t duration_ns)
{
    struct cm_error err;
    struct run *run = calloc(1, sizeof *run);
    const struct cm_host_settings host = { .kind = "openssl", .signs_anything = true };
    const struct cm_provider_settings settings = { .name = "bench",
                                                   .workers_count = workers_count,
                                                   .host = &host };
    const struct cm_provider_ops *ops = is_hosted ? &cm_provider_hosted : &cm_provider_openssl;
    double begin_us = cpu_of_processes_us();
    if (!run)
        exit(1);
    run->end_ns = duration_ns;
    if (cm_loop_new(&run->loop, &err) != CM_OK
        || cm_provider_open(ops, run->loop, &settings, &run->provider, &err) != CM_OK)
        fail(&err);
    cm_provider_open_key(run->provider, reference, CM_SIGALG_UNKNOWN, on_key, run);
    cm_loop_run(run->loop);
    double seconds = (double)(cm_clock_monotonic_ns() - (run->end_ns - duration_ns)) / 1e9;
    struct rate rate = { .per_second = (double)run->signatures / seconds };
    cm_provider_close_key(run->key);
    cm_provider_close(run->provider);
    cm_loop_free(run->loop);
    rate.cpu_us = (cpu_of_processes_us() - begin_us) / (double)run->signatures;
    free(run);
    return rate;
}

/* What everyone writes: one thread, EVP_DigestSign with its initialisation every time. */
static double measure_bare(const char *path, enum cm_key_type type, uint64_t duration_ns)
{
    uint8_t signature[CM_SIGNATURE_SIZE_MAX];
    const char *hash = cm_sigalg_hash(cm_sigalg_default(type));
    FILE *file = fopen(path, "r");
    EVP_PKEY *pkey = file ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : NULL;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    uint64_t begin = cm_clock_monotonic_ns(), now = begin, signatures = 0;
    for (; now - begin < duration_ns; now = cm_clock_monotonic_ns(), signatures++) {
        size_t size = sizeof signature;
        if (EVP_DigestSignInit_ex(context, NULL, hash[0] ? hash : NULL, NULL, NULL, pkey, NULL) <= 0
            || EVP_DigestSign(context, signature, &size, message, MESSAGE_SIZE) <= 0)
            exit(1);
    }
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(pkey);
    if (file)
        fclose(file);
    return (double)signatures / ((double)(now - begin) / 1e9);
}

int main(int argc, char **argv)
{
    char folder[] = "/tmp/provider_bench.XXXXXX", path[64], reference[80];
    struct cm_keyfile_spki spki;
    struct cm_error err;
    uint64_t duration_ns = (uint64_t)((argc > 1 ? atof(argv[1]) : 1.0) * 1e9);
    enum cm_key_type type = argc > 2 ? cm_key_type_find(argv[2]) : CM_KEY_P256;
    if (argc > 1 && strcmp(argv[1], "signer") == 0)
        return cm_signer_main(CM_SIGNER_FD, cm_provider_find);
    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof path, "%s/key.pem", folder);
    snprintf(reference, sizeof reference, "file:%s", path);
    if (cm_keyfile_generate(type, 2048, path, NULL, &spki, &err) != CM_OK)
        fail(&err);
    double bare = measure_bare(path, type, duration_ns);
    struct rate one = measure_provider(reference, false, 1, duration_ns);
    struct rate one_hosted = measure_provider(reference, true, 1, duration_ns);
    struct rate two = measure_provider(reference, false, 2, duration_ns);
    struct rate two_hosted = measure_provider(reference, true, 2, duration_ns);
    double bare_again = measure_bare(path, type, duration_ns);
    unlink(path);
    rmdir(folder);
    printf("{\"key\":\"%s\",\"bare_per_second\":%.0f,\"bare_again_per_second\":%.0f,"
           "\"one_worker_per_second\":%.0f,\"two_workers_per_second\":%.0f,"
           "\"one_worker_hosted_per_second\":%.0f,\"two_workers_hosted_per_second\":%.0f,"
           "\"one_worker_cpu_us\":%.2f,\"one_worker_hosted_cpu_us\":%.2f,"
           "\"two_workers_cpu_us\":%.2f,\"two_workers_hosted_cpu_us\":%.2f}\n",
           cm_key_type_name(type), bare, bare_again, one.per_second, two.per_second,
           one_hosted.per_second, two_hosted.per_second, one.cpu_us, one_hosted.cpu_us, two.cpu_us,
           two_hosted.cpu_us);
    return 0;
}

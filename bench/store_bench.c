/*
 * What a durable certificate costs, and whether that stays so as the store grows. Prints one JSON line, and
 * one of orders where there are some.
 *
 *     store_bench FILE ROWS [BATCH [IN_FLIGHT [LOOKUPS [FLEET [ORDERS [DEVICES [RATE]]]]]]]
 *
 * FILE is made when it is not there; else ROWS are added to it. With LOOKUPS other than 0 every request is
 * also looked up before, as an unknown one, with its device. The certificates are of FLEET devices, by
 * number; the first DEVICES (10,000) of them are on the list. Then ORDERS are carried out, one an operation:
 * certificates revoked by serial, devices by id; and the group of the devices on the list goes into
 * quarantine and comes back, piece by piece. With RATE so many certificates a second are due.
 *
 * A large store is filled fast with large batches, and measured with those of the engine:
 *
 *     store_bench FILE 10000000 1024 16 0 1000000 0 1000000
 *     store_bench FILE 200000 256 8 1 1000000 0 1000000
 *
 * cpu_us_per_row is the store's thread, lookup_us_per_row what a worker's reader would take. open_* is what
 * the start took, and what was in memory behind it; wait_ms_* from submit to durable, stalls included;
 * log_mb the write-ahead log at its longest.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/store_load.h"

enum { IN_FLIGHT_MAX = 64, DEVICES_PRESET = 10000 };

struct bench {
    struct load load;
    const char *path;
    unsigned orders;
    int64_t rows_before;
    double open_s, open_cpu_s;
    long open_memory_mb;
};

static double cpu_us(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6
           + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static long memory_mb(const char *name)
{
    char line[128];
    long kb = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, name, strlen(name)) == 0)
            kb = strtol(line + strlen(name), NULL, 10);
    if (file)
        fclose(file);
    return kb / 1024;
}

static double size_mb(const char *path, const char *suffix)
{
    char name[4096];
    struct stat status;
    snprintf(name, sizeof name, "%s%s", path, suffix);
    return stat(name, &status) == 0 ? (double)status.st_size / 1e6 : 0;
}

static void open_store(struct bench *bench)
{
    struct load *load = &bench->load;
    struct cm_error err;
    struct cm_store_settings settings = { .path = bench->path,
                                          .create = access(bench->path, F_OK) != 0 };
    double begin_us = cpu_us();
    uint64_t begin_ns = cm_clock_monotonic_ns();
    load_check(cm_loop_new(&load->loop, &err), &err);
    load_check(cm_store_open(&cm_store_sqlite, load->loop, &settings, &load->store, &err), &err);
    bench->open_s = (double)(cm_clock_monotonic_ns() - begin_ns) / 1e9;
    bench->open_cpu_s = (cpu_us() - begin_us) / 1e6;
    bench->open_memory_mb = memory_mb("VmRSS:");
}

static void report(struct bench *bench)
{
    struct load *load = &bench->load;
    double rows = (double)load->done;
    printf(
        "{\"bench\":\"store\",\"rows_before\":%lld,\"rows\":%.0f,\"batch\":%u,\"in_flight\":%u,"
        "\"cpu_us_per_row\":%.2f,\"lookup_us_per_row\":%.2f,\"harness_us_per_row\":%.2f,"
        "\"rows_per_second\":%.0f,\"wait_ms_p50\":%.1f,\"wait_ms_p99\":%.1f,\"wait_ms_max\":%.1f,"
        "\"open_s\":%.2f,\"open_cpu_s\":%.2f,\"open_memory_mb\":%ld,\"peak_memory_mb\":%ld,"
        "\"store_mb\":%.1f,\"log_mb\":%.1f}\n",
        (long long)bench->rows_before, rows, load->batch_size, load->in_flight,
        load->store_us / rows, load->lookup_us / rows, load->loop_us / rows,
        rows / load->wall_us * 1e6, load_wait_ms(load, 0.5), load_wait_ms(load, 0.99),
        load_wait_ms(load, 1), bench->open_s, bench->open_cpu_s, bench->open_memory_mb,
        memory_mb("VmHWM:"), size_mb(bench->path, ""), size_mb(bench->path, "-wal"));
}

/* --------------------------------------------------------------------- orders -- */

static void carry_out(struct bench *bench, struct cm_order *order)
{
    struct cm_error err;
    struct cm_store_op op = { .kind = CM_STORE_RECORD, .orders = order, .orders_count = 1 };
    order->time_s = cm_clock_wall_s();
    order->actor = cm_bytes_str("bench");
    load_check(cm_store_apply(bench->load.store, &op, &err), &err);
    if (order->code != CM_REFUSAL_NONE) {
        fprintf(stderr, "store_bench: %s\n", order->message);
        exit(1);
    }
}

static void order_devices(struct bench *bench)
{
    for (unsigned i = 0; i < bench->orders; i++) {
        char id[32];
        int size = snprintf(id, sizeof id, "device-%08u", i % bench->load.devices);
        struct cm_order order = { .kind = CM_ORDER_REVOKE, .device = cm_bytes(id, (size_t)size) };
        carry_out(bench, &order);
    }
}

static void order_serials(struct bench *bench)
{
    for (unsigned i = 0; i < bench->load.kept_count; i++) {
        struct cm_order order = { .kind = CM_ORDER_REVOKE,
                                  .serial = cm_serial_content(&bench->load.kept[i]) };
        carry_out(bench, &order);
    }
}

static void order_whole_group(struct bench *bench, enum cm_order_kind kind)
{
    struct cm_order order = { .kind = kind, .group = cm_bytes_str("default") };
    do {
        carry_out(bench, &order);
        order.after_device = order.last_device;
    } while (order.last_device != 0);
}

/* In and out again, so that certificates may be added. */
static void order_group(struct bench *bench)
{
    order_whole_group(bench, CM_ORDER_QUARANTINE);
    order_whole_group(bench, CM_ORDER_REINSTATE);
}

static double cost_us(struct bench *bench, void (*orders)(struct bench *bench), unsigned count)
{
    double before = cpu_us();
    orders(bench);
    return (cpu_us() - before) / count;
}

static void run_orders(struct bench *bench)
{
    double serials = cost_us(bench, order_serials, bench->load.kept_count);
    double devices = cost_us(bench, order_devices, bench->orders);
    double group = cost_us(bench, order_group, 2 * bench->load.devices);
    printf("{\"bench\":\"store-orders\",\"orders\":%u,\"cpu_us_per_serial\":%.1f,"
           "\"cpu_us_per_device\":%.1f,\"cpu_us_per_device_of_group\":%.1f}\n",
           bench->orders, serials, devices, group);
}

/* ----------------------------------------------------------------------- whole -- */

static unsigned argument(int argc, char **argv, int index, unsigned preset)
{
    return argc > index ? (unsigned)strtoul(argv[index], NULL, 10) : preset;
}

/* False where they make no sense. */
static bool read_arguments(struct bench *bench, int argc, char **argv)
{
    struct load *load = &bench->load;
    bench->path = argc > 1 ? argv[1] : "";
    load->batch_size = argument(argc, argv, 3, 256);
    load->in_flight = argument(argc, argv, 4, 8);
    load->fleet = argument(argc, argv, 6, DEVICES_PRESET);
    bench->orders = argument(argc, argv, 7, 0);
    load->devices = argument(argc, argv, 8, DEVICES_PRESET);
    load->rate = argument(argc, argv, 9, 0);
    load->kept_max = bench->orders;
    load->kept = calloc(bench->orders + 1, sizeof *load->kept);
    return argc >= 3 && load->kept && load->fleet > 0 && load->devices > 0 && load->batch_size > 0
           && load->in_flight > 0 && load->in_flight <= IN_FLIGHT_MAX;
}

static void measure(struct bench *bench, uint64_t rows, bool looks_up)
{
    struct load *load = &bench->load;
    struct cm_store_counts counts;
    struct cm_store_reader *reader;
    struct cm_error err;
    load_check(cm_store_reader_open(load->store, &reader, &err), &err);
    load_check(cm_store_count(reader, &counts, &err), &err);
    bench->rows_before = counts.certificates;
    load->reader = looks_up ? reader : NULL;
    load_run(load, rows);
    report(bench);
    cm_store_reader_close(reader);
}

int main(int argc, char **argv)
{
    static struct bench bench;
    if (!read_arguments(&bench, argc, argv)) {
        fprintf(stderr, "usage: store_bench FILE ROWS [BATCH [IN_FLIGHT [LOOKUPS [FLEET [ORDERS"
                        " [DEVICES [RATE]]]]]]]\n");
        return 2;
    }
    open_store(&bench);
    load_devices(&bench.load);
    measure(&bench, strtoull(argv[2], NULL, 10), argument(argc, argv, 5, 0) != 0);
    if (bench.orders > 0)
        run_orders(&bench);
    free(bench.load.kept);
    free(bench.load.waits_ms);
    cm_store_close(bench.load.store);
    cm_loop_free(bench.load.loop);
    return 0;
}

/* The only C++ here: the tables of bench/harness.h, handed to Google Benchmark. */
#include "bench/harness.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include <benchmark/benchmark.h>

namespace
{

bool has_failed;

/* Off the clock; true where there is nothing to do. */
bool step_aside(benchmark::State &state, cm_bench_step *step, cm_bench_run &run)
{
    if (!step)
        return true;
    state.PauseTiming();
    bool is_done = step(&run);
    state.ResumeTiming();
    return is_done;
}

bool iterate(benchmark::State &state, cm_bench_run &run)
{
    const cm_bench &bench = *run.bench;
    for (auto _ : state) {
        if (!step_aside(state, bench.prepare, run) || !bench.run(&run)
            || !step_aside(state, bench.settle, run))
            return false;
    }
    return true;
}

void report(benchmark::State &state, const cm_bench_run &run)
{
    double items = static_cast<double>(state.iterations()) * run.size;
    state.SetItemsProcessed(static_cast<int64_t>(items));
    if (run.bytes > 0)
        state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(run.bytes));
    for (const cm_bench_counter &counter : run.counters)
        if (counter.name)
            state.counters[counter.name] = counter.sum / items;
}

void measure(benchmark::State &state, const cm_bench *bench, uint32_t size)
{
    cm_bench_run run = {};
    run.bench = bench;
    run.size = size;
    if ((!bench->setup || bench->setup(&run)) && iterate(state, run)) {
        report(state, run);
    } else {
        has_failed = true;
        state.SkipWithError(run.failure[0] ? run.failure : "it failed, and did not say why");
    }
    if (bench->teardown)
        bench->teardown(&run);
}

/* 0: as many as it takes. */
benchmark::IterationCount iterations_of(const cm_bench *bench, uint32_t size)
{
    enum { ITEMS = 4096, LEAST = 16, MOST = 256 };
    if (std::getenv("BENCH_ONCE"))
        return 1;
    return bench->is_bounded ? std::clamp<int64_t>(ITEMS / size, LEAST, MOST) : 0;
}

void add(const std::string &name, const cm_bench *bench, uint32_t size)
{
    auto *added = benchmark::RegisterBenchmark(
        name.c_str(), [bench, size](benchmark::State &state) { measure(state, bench, size); });
    added->Unit(benchmark::kMicrosecond);
    if (auto iterations = iterations_of(bench, size))
        added->Iterations(iterations);
    if (bench->is_concurrent)
        added->MeasureProcessCPUTime()->UseRealTime();
}

void add_sizes(const std::string &name, const cm_bench *bench)
{
    if (const char *why = bench->missing ? bench->missing() : nullptr) {
        std::fprintf(stderr, "SKIP %s: %s\n", name.c_str(), why);
        return;
    }
    if (bench->sizes[0] == 0)
        add(name, bench, 1);
    for (unsigned i = 0; i < CM_BENCH_SIZES_MAX && bench->sizes[i] > 0; i++)
        add(name + "/" + std::to_string(bench->sizes[i]), bench, bench->sizes[i]);
}

} // namespace

int main(int argc, char **argv)
{
    if (argc > 1 && std::strcmp(argv[1], "signer") == 0)
        return cm_bench_signer_main();
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv))
        return 2;
    for (auto *suite = cm_bench_suites; *suite; suite++)
        for (size_t i = 0; i < (*suite)->benches_count; i++)
            add_sizes(std::string((*suite)->name) + "/" + (*suite)->benches[i].name,
                      &(*suite)->benches[i]);
    benchmark::RunSpecifiedBenchmarks();
    for (auto *suite = cm_bench_suites; *suite; suite++)
        if ((*suite)->close)
            (*suite)->close();
    benchmark::Shutdown();
    return has_failed ? 1 : 0;
}

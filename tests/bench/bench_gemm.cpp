// SPDX-License-Identifier: MIT
// How fast are matrix products, and how far are they from the CPU's best library?
//
// One line of JSON a case: the shapes of tests/cases/gemm_cases.hpp with each variant that the device can
// run, plain and transposed, the symmetric product X X^T of the squares, and a batch. Times are medians from
// submission to completion; `spread` is the distance between the quartiles over the median; gpu_ms comes from
// timestamps (null where there are none). `peer` is OpenBLAS's sgemm in the same run (null where the library
// is not installed), which is a yardstick for CPU drivers only; `plain_ratio` of a symmetric product is the
// full product's time over its own.
//
//   bench_gemm [--device SELECT] [--variant NAME] [--repeats N] [--size MxNxK]
#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cases/gemm_cases.hpp"
#include "heron/heron.hpp"
#include "linalg/gemm.hpp"
#include "support/reference.hpp"

namespace {

using namespace heron;
using Clock = std::chrono::steady_clock;

struct Sample {
    double median;
    double spread;
};

Sample summarize(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    const auto at = [&](double q) {
        return values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1))];
    };
    return {at(0.5), at(0.5) > 0 ? (at(0.75) - at(0.25)) / at(0.5) : 0};
}

Sample time_ms(int repeats, const std::function<void()>& once) {
    std::vector<double> values;
    for (int repeat = -2; repeat < repeats; ++repeat) {
        const auto begin = Clock::now();
        once();
        if (repeat >= 0)
            values.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
    }
    return summarize(values);
}

// cblas_sgemm, found at run time: no build dependency for a yardstick.
using Sgemm = void (*)(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha,
                       const float* a, int lda, const float* b, int ldb, float beta, float* c, int ldc);

Sgemm find_sgemm() {
    void* library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    return library ? reinterpret_cast<Sgemm>(dlsym(library, "cblas_sgemm")) : nullptr;
}

struct Options {
    DeviceOptions device;
    std::string variant;
    int repeats = 9;
    std::vector<test::GemmSize> sizes = test::gemm_benchmark_sizes();
};

struct Case {
    test::GemmSize size;
    std::uint64_t batch = 1;
    bool transposed_b = false;
    bool symmetric = false;
    DType dtype = DType::f32;
};

std::vector<float> random_floats(std::uint64_t count, std::uint64_t seed) {
    test::Random random(seed);
    std::vector<float> values(count);
    for (float& value : values) value = static_cast<float>(random.uniform() - 0.5);
    return values;
}

Sample run_case(const Device& device, const Case& x, const std::string& variant, Sgemm sgemm,
                const Options& options, const Sample* plain) {
    const std::uint64_t m = x.size.m, n = x.size.n, k = x.size.k;
    const std::vector<float> a = random_floats(x.batch * m * k, 1), b = random_floats(x.batch * k * n, 2);
    const auto upload = [&](const std::vector<float>& values) {
        Buffer buffer = device.create_buffer(values.size() * 4);
        buffer.write(std::as_bytes(std::span(values)));
        return buffer;
    };
    const Buffer buffer_a = upload(a), buffer_b = upload(b);
    const Buffer buffer_d = device.create_buffer(x.batch * m * n * 4);
    Graph graph(device);
    Tensor ta = graph.external("a", buffer_a.view(DType::f32, {x.batch, m, k}));
    Tensor tb = graph.external(
        "b", buffer_b.view(DType::f32, {x.batch, x.transposed_b ? n : k, x.transposed_b ? k : n}));
    Tensor td = graph.external("d", buffer_d.view(DType::f32, {x.batch, m, n}));
    if (x.dtype != DType::f32) {  // converted once; the step only multiplies
        const Tensor half_a = graph.state("half a", x.dtype, ta.shape),
                     half_b = graph.state("half b", x.dtype, tb.shape);
        graph.set_phase(Phase::initialize);
        convert(graph, ta, half_a);
        convert(graph, tb, half_b);
        graph.set_phase(Phase::step);
        ta = half_a;
        tb = half_b;
    }
    GemmOptions gemm_options;
    gemm_options.variant = variant;
    gemm_options.transpose_b = x.transposed_b ? Transpose::yes : Transpose::no;
    if (x.symmetric)
        syrk(graph, ta, {}, td, gemm_options);
    else
        gemm(graph, ta, tb, {}, td, gemm_options);
    Plan plan = graph.compile({.profile = true});
    plan.allocate();
    plan.initialize();
    std::vector<double> gpu;
    const Sample wall = time_ms(options.repeats, [&] {
        plan.run();
        double sum = 0;
        const std::vector<DispatchTiming> timings = plan.timings();
        for (const DispatchTiming& timing : timings) sum += timing.ns * 1e-6;
        if (!timings.empty()) gpu.push_back(sum);
    });

    const double flops = 2.0 * static_cast<double>(m * n) * static_cast<double>(k * x.batch);
    nlohmann::ordered_json line;
    line["benchmark"] = "gemm";
    line["device"] = device.info().name;
    line["driver"] = device.info().driver;
    line["m"] = m;
    line["n"] = n;
    line["k"] = k;
    line["batch"] = x.batch;
    line["dtype"] = to_string(x.dtype);
    line["transposed_b"] = x.transposed_b;
    line["symmetric"] = x.symmetric;
    line["variant"] = choose_gemm(device.capabilities(), {m, n, k, x.batch, x.symmetric}, variant).kernel->info.name;
    line["forced"] = !variant.empty();
    line["wall_ms"] = wall.median;
    line["spread"] = wall.spread;
    line["gpu_ms"] = gpu.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(summarize(gpu).median);
    line["gflops"] = flops / wall.median * 1e-6;  // of the full product, symmetric ones too
    line["peer"] = nullptr;
    if (sgemm && x.batch == 1 && x.dtype == DType::f32) {
        std::vector<float> d(m * n);
        const auto narrow = [](std::uint64_t value) { return static_cast<int>(value); };
        const Sample peer = time_ms(options.repeats, [&] {
            const bool transposed =
                x.transposed_b || x.symmetric;  // 101: row major; 111, 112: as is, transposed
            sgemm(101, 111, transposed ? 112 : 111, narrow(m), narrow(n), narrow(k), 1.0f, a.data(),
                  narrow(k), x.symmetric ? a.data() : b.data(), narrow(transposed ? k : n), 0.0f, d.data(),
                  narrow(n));
        });
        line["peer"] = "OpenBLAS sgemm";
        line["peer_ms"] = peer.median;
        line["peer_gflops"] = flops / peer.median * 1e-6;
        line["peer_ratio"] = peer.median / wall.median;
    }
    if (plain) line["plain_ratio"] = plain->median / wall.median;
    std::cout << line.dump() << std::endl;
    return wall;
}

void run(const Device& device, const Options& options) {
    const Sgemm sgemm = find_sgemm();
    std::vector<std::string> variants{options.variant};
    if (options.variant.empty())
        for (const GemmKernel& kernel : gemm_kernels())
            if (kernel.missing(device.capabilities()).empty()) variants.emplace_back(kernel.info.name);
    for (const test::GemmSize& size : options.sizes)
        for (const std::string& variant : variants) {
            // What the table does not choose is only of interest where it is near.
            if (!variant.empty() && options.variant.empty() && size.m * size.n * size.k > 512 * 512 * 512)
                continue;
            const Sample plain = run_case(device, {.size = size}, variant, sgemm, options, nullptr);
            if (!variant.empty() && options.variant.empty()) continue;
            run_case(device, {.size = size, .transposed_b = true}, variant, sgemm, options, nullptr);
            run_case(device, {.size = size, .dtype = DType::f16}, variant, sgemm, options, nullptr);
            if (size.m == size.n)
                run_case(device, {.size = size, .symmetric = true}, variant, sgemm, options, &plain);
            if (size.m * size.n * size.k <= 128 * 128 * 128)
                run_case(device, {.size = size, .batch = 64}, variant, sgemm, options, nullptr);
        }
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string key = argv[i];
        if (key == "--device") options.device.select = argv[i + 1];
        if (key == "--variant") options.variant = argv[i + 1];
        if (key == "--repeats") options.repeats = std::max(3, std::atoi(argv[i + 1]));
        if (key == "--size") {
            unsigned long m = 0, n = 0, k = 0;
            if (std::sscanf(argv[i + 1], "%lux%lux%lu", &m, &n, &k) != 3 || m * n * k == 0) {
                std::cerr << "bench_gemm: --size takes MxNxK, not " << argv[i + 1] << "\n";
                return 1;
            }
            options.sizes = {{m, n, k}};
        }
    }
    try {
        const Device device = Device::create(options.device);
        std::cerr << device.explain() << "\n";
        run(device, options);
    } catch (const std::exception& error) {
        std::cerr << "bench_gemm: " << error.what() << "\n";
        return 1;
    }
}

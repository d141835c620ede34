// SPDX-License-Identifier: MIT
// How fast are matrix products, and how far are they from the CPU's best library?
//
// One line of JSON a case: the shapes of tests/cases/gemm_cases.hpp with each variant that the device can
// run, plain and transposed, the symmetric product X X^T of the squares, and a batch. The peer is OpenBLAS's
// sgemm (null where the library is not installed; peer_core: the processor that it chose its kernels for),
// which is a yardstick for CPU drivers only; `plain_ratio` of a symmetric product is the time of
// X times X^T as a full product over its own, `naive_ratio` the time of a shader without tiles over that of
// the chosen kernel.
#include <cstdio>
#include <string>
#include <vector>

#include "bench.hpp"
#include "blas.hpp"
#include "cases/gemm_cases.hpp"
#include "heron/heron.hpp"
#include "linalg/gemm.hpp"
#include "naive_gemm.hpp"
#include "support/reference.hpp"

namespace {

using namespace heron;
using namespace heron::bench;

// Up to so many multiplications, what is slow beside the chosen kernel is measured too.
constexpr std::uint64_t kNear = 512 * 512 * 512;

struct Options {
    std::string variant;
    int repeats = 0;
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
    const Times times = time_plan(plan, options.repeats);
    const Sample wall = times.wall_ms;

    const double flops = 2.0 * static_cast<double>(m * n) * static_cast<double>(k * x.batch);
    Line line("gemm", device);
    line.fields["m"] = m;
    line.fields["n"] = n;
    line.fields["k"] = k;
    line.fields["batch"] = x.batch;
    line.fields["dtype"] = to_string(x.dtype);
    line.fields["transposed_b"] = x.transposed_b;
    line.fields["symmetric"] = x.symmetric;
    line.fields["variant"] =
        choose_gemm(device.capabilities(), {m, n, k, x.batch, x.symmetric, x.dtype, x.dtype}, variant)
            .kernel->info.name;
    line.fields["forced"] = !variant.empty();
    line.times(times);
    line.fields["gflops"] = flops / wall.median * 1e-6;  // of the full product, symmetric ones too
    if (sgemm && x.batch == 1 && x.dtype == DType::f32) {
        std::vector<float> d(m * n);
        const auto narrow = [](std::uint64_t value) { return static_cast<int>(value); };
        const bool transposed = x.transposed_b || x.symmetric;
        // 101: row major; 111, 112: as is, transposed
        const Sample peer = time_ms(options.repeats, [&] {
            sgemm(101, 111, transposed ? 112 : 111, narrow(m), narrow(n), narrow(k), 1.0f, a.data(),
                  narrow(k), x.symmetric ? a.data() : b.data(), narrow(transposed ? k : n), 0.0f, d.data(),
                  narrow(n));
        });
        line.peer("OpenBLAS sgemm", {peer, {}});
        line.fields["peer_gflops"] = flops / peer.median * 1e-6;
        line.fields["peer_core"] = openblas_core();
    } else {
        line.no_peer();
    }
    if (plain) line.fields["plain_ratio"] = plain->median / wall.median;
    const bool whole = x.batch == 1 && !x.transposed_b && !x.symmetric && x.dtype == DType::f32;
    if (variant.empty() && whole && m * n * k <= kNear) {
        const Sample naive = naive_gemm_times(device, buffer_a, buffer_b, m, n, k, options.repeats).wall_ms;
        line.fields["naive_ms"] = naive.median;
        line.fields["naive_ratio"] = naive.median / wall.median;
    }
    line.print();
    return wall;
}

void run(const Device& device, const Options& options) {
    const Sgemm sgemm = find<Sgemm>("cblas_sgemm");
    std::vector<std::string> variants{options.variant};
    if (options.variant.empty())
        for (const GemmKernel& kernel : gemm_kernels())
            if (kernel.missing(device.capabilities()).empty()) variants.emplace_back(kernel.info.name);
    const auto find_kernel = [](const std::string& variant) -> const GemmKernel* {
        for (const GemmKernel& kernel : gemm_kernels())
            if (kernel.info.name == variant) return &kernel;
        return nullptr;
    };
    for (const test::GemmSize& size : options.sizes)
        for (const std::string& variant : variants) {
            // What the table does not choose is only of interest where it is near.
            if (!variant.empty() && options.variant.empty() && size.m * size.n * size.k > kNear) continue;
            const GemmKernel* kernel = find_kernel(variant);
            const DType dtype = kernel == nullptr ? DType::f32
                                : kernel->pairs   ? DType::f16
                                                  : kernel->matrix_units.value_or(DType::f32);
            // Small matrices are never alone.
            const bool small = size.m * size.n * size.k <= 64 * 64 * 64;
            const std::uint64_t batch = small ? 512 : 1;
            if (kernel != nullptr &&
                !kernel
                     ->impossible(device.capabilities(), {size.m, size.n, size.k, batch, false, dtype, dtype})
                     .empty())
                continue;
            if (small) {
                run_case(device, {.size = size, .batch = batch, .dtype = dtype}, variant, sgemm, options,
                         nullptr);
                continue;
            }
            run_case(device, {.size = size, .dtype = dtype}, variant, sgemm, options, nullptr);
            if (!variant.empty() && options.variant.empty()) continue;
            const Sample transposed = run_case(device, {.size = size, .transposed_b = true, .dtype = dtype},
                                               variant, sgemm, options, nullptr);
            run_case(device, {.size = size, .dtype = DType::f16}, variant, sgemm, options, nullptr);
            if (size.m == size.n)
                run_case(device, {.size = size, .symmetric = true, .dtype = dtype}, variant, sgemm, options,
                         &transposed);
            if (size.m * size.n * size.k <= 128 * 128 * 128)
                run_case(device, {.size = size, .batch = 64, .dtype = dtype}, variant, sgemm, options,
                         nullptr);
        }
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Times matrix products beside OpenBLAS; one line of JSON a case.", "bench_gemm");
    Options options;
    std::string size;
    app.add_option("--variant", options.variant, "only this implementation, e.g. gemm_tiled")
        ->type_name("NAME");
    app.add_option("--size", size, "only this shape")
        ->type_name("MxNxK")
        ->check([&options](const std::string& text) -> std::string {
            unsigned long m = 0, n = 0, k = 0;
            char end = 0;
            if (std::sscanf(text.c_str(), "%lux%lux%lu%c", &m, &n, &k, &end) != 3 || m == 0 || n == 0 ||
                k == 0)
                return "must be MxNxK, e.g. 256x128x512";
            options.sizes = {{m, n, k}};
            return {};
        });
    return run_program(app, argc, argv, 9, [&](Device& device, int repeats) {
        options.repeats = repeats;
        run(device, options);
    });
}

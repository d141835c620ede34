// SPDX-License-Identifier: MIT
// Measures on a device what src/linalg/gemm_tuning.hpp holds, and prints its lines; those of kernels that the
// device cannot run are left out. On standard error: every measurement.
#include <array>
#include <cstdio>
#include <initializer_list>
#include <string>

#include "bench.hpp"
#include "heron/heron.hpp"
#include "linalg/gemm.hpp"

namespace {

using namespace heron;
using namespace heron::bench;

const GemmKernel* runnable(const Device& device, std::string_view name) {
    for (const GemmKernel& kernel : gemm_kernels())
        if (kernel.info.name == name && kernel.missing(device.capabilities()).empty()) return &kernel;
    return nullptr;
}

double gflops(const Device& device, const GemmKernel& kernel, std::uint64_t m, std::uint64_t n,
              std::uint64_t k, int repeats) {
    const DType dtype = kernel.matrix_units.value_or(kernel.pairs ? DType::f16 : DType::f32);
    Graph graph(device);
    const Tensor a = graph.state("a", dtype, {m, k}), b = graph.state("b", dtype, {k, n}),
                 d = graph.state("d", DType::f32, {m, n});
    graph.set_phase(Phase::initialize);  // zeros would save power, and so raise a GPU's clock
    fill_random(graph, a, {.control = false});
    fill_random(graph, b, {.control = false});
    graph.set_phase(Phase::step);
    GemmOptions options;
    options.variant = kernel.info.name;
    options.split = SplitK::when_needed;
    gemm(graph, a, b, {}, d, options);
    Plan plan = graph.compile({.profile = true});
    plan.allocate();
    plan.initialize();
    Contest contest;
    const std::size_t own = contest.add(plan);
    contest.run(repeats);
    const Times times = contest[own];
    const double ms = times.gpu_ms ? times.gpu_ms->median : times.wall_ms.median;
    const double rate = 2.0 * static_cast<double>(m * n) * static_cast<double>(k) / ms * 1e-6;
    std::fprintf(stderr, "%s %lux%lux%lu: %.4g GFLOP/s\n", kernel.info.name, static_cast<unsigned long>(m),
                 static_cast<unsigned long>(n), static_cast<unsigned long>(k), rate);
    return rate;
}

void print_rate(const Device& device, const char* constant, const char* name, int repeats) {
    if (const GemmKernel* kernel = runnable(device, name))
        std::printf("constexpr double %s = %.3g;\n", constant,
                    gflops(device, *kernel, 512, 512, 512, repeats));
}

// From how many tiles on `large` is at least as fast as `small`, by doubling.
void print_crossing(const Device& device, const char* constant, const char* large_name,
                    const char* small_name, int repeats) {
    const GemmKernel* large = runnable(device, large_name);
    const GemmKernel* small = runnable(device, small_name);
    if (!large || !small || device.capabilities().cpu) return;
    std::uint64_t crossing = 0;
    for (std::uint64_t down = 1, across = 2; down * across <= 2048;) {
        const std::uint64_t m = down * large->tile_rows(device.capabilities()),
                            n = across * large->tile_cols(device.capabilities());
        if (gflops(device, *large, m, n, 1024, repeats) < gflops(device, *small, m, n, 1024, repeats))
            crossing = 0;
        else if (crossing == 0)
            crossing = down * across;
        (down < across ? down : across) *= 2;
    }
    if (crossing != 0)
        std::printf("constexpr std::uint64_t %s = %lu;\n", constant, static_cast<unsigned long>(crossing));
    else
        std::printf("// %s: %s was never faster\n", constant, large_name);
}

// The largest k in `extents` up to which gemm_small is at least as fast as gemm_tiled for one matrix of 32 x
// 32, which has no other workgroups to wait with.
void print_small(const Device& device, const char* constant, std::initializer_list<std::uint64_t> extents,
                 int repeats) {
    const GemmKernel* small = runnable(device, "gemm_small");
    const GemmKernel* tiled = runnable(device, "gemm_tiled");
    if (!small || !tiled || device.capabilities().cpu) return;
    std::uint64_t longest = 0;
    for (const std::uint64_t k : extents) {
        if (gflops(device, *small, 32, 32, k, repeats) < gflops(device, *tiled, 32, 32, k, repeats)) break;
        longest = k;
    }
    std::printf("constexpr std::uint64_t %s = %lu;\n", constant, static_cast<unsigned long>(longest));
}

// The smallest extent in `from` from which on gemm_packed is at least as fast as what would be chosen without
// it.
template <class Shape>
void print_packed(const Device& device, const char* constant, std::initializer_list<std::uint64_t> extents,
                  int repeats, const Shape& shape) {
    const GemmKernel* packed = runnable(device, "gemm_packed");
    if (!packed) return;
    std::uint64_t from = 0;
    for (const std::uint64_t extent : extents) {
        const auto [m, n, k] = shape(extent);
        const GemmKernel& other =
            *choose_gemm(device.capabilities(),
                         {.m = m, .n = n, .k = k, .batch = 1, .symmetric = false, .packing = false})
                 .kernel;
        if (gflops(device, *packed, m, n, k, repeats) < gflops(device, other, m, n, k, repeats))
            from = 0;
        else if (from == 0)
            from = extent;
    }
    if (from != 0)
        std::printf("constexpr std::uint64_t %s = %lu;\n", constant, static_cast<unsigned long>(from));
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app(
        "Measures what the table of GEMM kernels chooses by; prints lines of src/linalg/gemm_tuning.hpp.",
        "tune_gemm");
    return run_program(app, argc, argv, 9, [](Device& device, int repeats) {
        std::printf("// %s, %s\n", device.info().name.c_str(), device.info().driver.c_str());
        print_rate(device, "kCpuRate", "gemm_cpu", repeats);
        print_rate(device, "kCpuMediumRate", "gemm_cpu_medium", repeats);
        print_rate(device, "kCpuSmallRate", "gemm_cpu_small", repeats);
        using Extents = std::array<std::uint64_t, 3>;
        print_packed(device, "kPackedSide", {16, 24, 32, 48, 64, 96}, repeats, [](std::uint64_t x) {
            return Extents{x, 512, 512};
        });
        print_packed(device, "kPackedSquare", {32, 48, 64, 80, 96, 128}, repeats, [](std::uint64_t x) {
            return Extents{x, x, 512};
        });
        print_packed(device, "kPackedDepth", {8, 16, 24, 32, 64}, repeats, [](std::uint64_t x) {
            return Extents{512, 512, x};
        });
        print_small(device, "kSmallDepth", {32, 64, 128, 256, 512, 1024, 2048}, repeats);
        print_crossing(device, "kTiledLargeTiles", "gemm_tiled_large", "gemm_tiled", repeats);
        print_crossing(device, "kCoopmatLargeTiles", "gemm_coopmat_large", "gemm_coopmat", repeats);
    });
}

// SPDX-License-Identifier: MIT
// How fast are matrix products, and how far are they from the CPU's best library?
//
// One line of JSON a case: the shapes of tests/cases/gemm_cases.hpp with each variant that the device can
// run, plain and transposed, the symmetric product X X^T of the squares, and a batch. Measured by turns with
// each: OpenBLAS's sgemm as its peer (null where the library is not installed; peer_core: the processor that
// it chose its kernels for), which is a yardstick for CPU drivers only; for a symmetric product, X times X^T
// as a full product, whose time over its own is `plain_ratio`; a shader without tiles, whose time over that
// of the chosen kernel is `naive_ratio`.
#include <cstdio>
#include <optional>
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

// A plan that multiplies, and what it reads and writes.
class Product {
public:
    Product(const Device& device, const Case& x, const std::string& variant)
        : a_(random_floats(x.batch * x.size.m * x.size.k, 1)),
          b_(random_floats(x.batch * x.size.k * x.size.n, 2)),
          device_a_(upload(device, a_)),
          device_b_(upload(device, b_)),
          device_d_(device.create_buffer(x.batch * x.size.m * x.size.n * 4)),
          plan_(compile(device, x, variant)) {
        plan_.allocate();
        plan_.initialize();
    }
    Plan& plan() { return plan_; }
    const std::vector<float>& a() const { return a_; }
    const std::vector<float>& b() const { return b_; }
    const Buffer& device_a() const { return device_a_; }
    const Buffer& device_b() const { return device_b_; }
    const Buffer& device_d() const { return device_d_; }

private:
    static Buffer upload(const Device& device, const std::vector<float>& values) {
        Buffer buffer = device.create_buffer(values.size() * 4);
        buffer.write(std::as_bytes(std::span(values)));
        return buffer;
    }
    Plan compile(const Device& device, const Case& x, const std::string& variant) const {
        const std::uint64_t m = x.size.m, n = x.size.n, k = x.size.k;
        Graph graph(device);
        Tensor a = graph.external("a", device_a_.view(DType::f32, {x.batch, m, k}));
        Tensor b = graph.external(
            "b", device_b_.view(DType::f32, {x.batch, x.transposed_b ? n : k, x.transposed_b ? k : n}));
        const Tensor d = graph.external("d", device_d_.view(DType::f32, {x.batch, m, n}));
        if (x.dtype != DType::f32) {  // converted once; the step only multiplies
            const Tensor half_a = graph.state("half a", x.dtype, a.shape),
                         half_b = graph.state("half b", x.dtype, b.shape);
            graph.set_phase(Phase::initialize);
            convert(graph, a, half_a);
            convert(graph, b, half_b);
            graph.set_phase(Phase::step);
            a = half_a;
            b = half_b;
        }
        GemmOptions options;
        options.variant = variant;
        options.transpose_b = x.transposed_b ? Transpose::yes : Transpose::no;
        if (x.symmetric)
            syrk(graph, a, {}, d, options);
        else
            gemm(graph, a, b, {}, d, options);
        return graph.compile({.profile = true});
    }

    std::vector<float> a_, b_;
    Buffer device_a_, device_b_, device_d_;
    Plan plan_;
};

void run_case(const Device& device, const Case& x, const std::string& variant, Sgemm sgemm, int repeats) {
    const std::uint64_t m = x.size.m, n = x.size.n, k = x.size.k;
    Product product(device, x, variant);
    Contest contest;
    const std::size_t own = contest.add(product.plan());

    std::optional<std::size_t> blas, full, naive;
    std::vector<float> d;
    if (sgemm && x.batch == 1 && x.dtype == DType::f32) {
        d.resize(m * n);
        const auto narrow = [](std::uint64_t value) { return static_cast<int>(value); };
        const bool transposed = x.transposed_b || x.symmetric;
        const float* b = x.symmetric ? product.a().data() : product.b().data();
        // 101: row major; 111, 112: as is, transposed
        blas = contest.add([&, narrow, transposed, b] {
            sgemm(101, 111, transposed ? 112 : 111, narrow(m), narrow(n), narrow(k), 1.0f, product.a().data(),
                  narrow(k), b, narrow(transposed ? k : n), 0.0f, d.data(), narrow(n));
        });
    }
    std::optional<Product> full_product;
    if (x.symmetric) {
        Case whole = x;
        whole.symmetric = false;
        whole.transposed_b = true;
        full = contest.add(full_product.emplace(device, whole, variant).plan());
    }
    std::optional<Plan> naive_plan;
    const bool plain = x.batch == 1 && !x.transposed_b && !x.symmetric && x.dtype == DType::f32;
    if (variant.empty() && plain && m * n * k <= kNear)
        naive = contest.add(naive_plan.emplace(
            naive_gemm_plan(device, product.device_a(), product.device_b(), product.device_d(), m, n, k)));
    contest.run(repeats);

    const double flops = 2.0 * static_cast<double>(m * n) * static_cast<double>(k * x.batch);
    const double ms = contest[own].wall_ms.median;
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
    line.times(contest[own]);
    line.fields["gflops"] = flops / ms * 1e-6;  // of the full product, symmetric ones too
    if (blas) {
        line.peer("OpenBLAS sgemm", contest[*blas]);
        line.fields["peer_gflops"] = flops / contest[*blas].wall_ms.median * 1e-6;
        line.fields["peer_core"] = openblas_core();
    } else {
        line.no_peer();
    }
    if (full) line.fields["plain_ratio"] = contest[own].ratio_of(contest[*full]);
    if (naive) {
        line.fields["naive_ms"] = contest[*naive].wall_ms.median;
        line.fields["naive_ratio"] = contest[own].ratio_of(contest[*naive]);
    }
    line.print();
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
            const auto run = [&](const Case& x) { run_case(device, x, variant, sgemm, options.repeats); };
            if (small) {
                run({.size = size, .batch = batch, .dtype = dtype});
                continue;
            }
            run({.size = size, .dtype = dtype});
            if (!variant.empty() && options.variant.empty()) continue;
            run({.size = size, .transposed_b = true, .dtype = dtype});
            run({.size = size, .dtype = DType::f16});
            if (size.m == size.n) run({.size = size, .symmetric = true, .dtype = dtype});
            if (size.m * size.n * size.k <= 128 * 128 * 128) run({.size = size, .batch = 64, .dtype = dtype});
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
            const std::vector<std::uint64_t> extents = extents_of(text);
            if (extents.size() != 3) return "must be MxNxK, e.g. 256x128x512";
            options.sizes = {{extents[0], extents[1], extents[2]}};
            return {};
        });
    return run_program(app, argc, argv, 9, [&](Device& device, int repeats) {
        options.repeats = repeats;
        run(device, options);
    });
}

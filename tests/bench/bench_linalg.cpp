// SPDX-License-Identifier: MIT
// How fast are the primitives of heron/linalg.hpp, and how far are they from a CPU's best library?
//
// One line of JSON a case: primitive, rows, cols, batch, the FLOPs that its textbook algorithm needs
// (LAPACK's counts; none for what only moves memory), and the bytes that ours moves. The peer of
// factorisations and products is OpenBLAS (its LAPACK; matrices of a batch one after the other, the copy of
// the input that it overwrites included), a yardstick for CPU drivers only; the peer of the others is a copy
// of as many bytes on the same device.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "bench.hpp"
#include "blas.hpp"
#include "copy.hpp"
#include "heron/heron.hpp"
#include "support/reference.hpp"

namespace {

using namespace heron;
using namespace heron::bench;

struct Size {
    std::uint64_t batch, rows, cols;
};

enum class Input { random, spd, lower };

// What a primitive is given: its input, and a maker of results.
struct Request {
    Graph& graph;
    Tensor in;
    Size size;
    mutable int made = 0;  // tensors, for their names

    Tensor make(std::uint64_t rows, std::uint64_t cols, DType dtype = DType::f32) const {
        return graph.state("made " + std::to_string(made++), dtype, {size.batch, rows, cols});
    }
    Tensor list(std::uint64_t count, DType dtype = DType::f32) const {
        return graph.state("made " + std::to_string(made++), dtype, {size.batch, count});
    }
};

// A peer works on a copy of one matrix, row major (so LAPACK sees its transpose, which costs the same).
struct Peer {
    const char* name;    // null: a copy on the device
    const char* symbol;  // what must be there
    void (*run)(float* a, int rows, int cols);
};

struct Primitive {
    const char* name;
    Input input;
    std::vector<Size> sizes;
    double (*flops)(double rows, double cols);  // of one matrix
    void (*add)(const Request& request);
    Peer peer;
};

// --- OpenBLAS, one matrix

void spotrf(float* a, int n, int) {
    int info = 0;
    find<Routine<const char*, const int*, float*, const int*, int*>>("spotrf_")("U", &n, a, &n, &info);
}
void spd_inverse_of_blas(float* a, int n, int) {
    int info = 0;
    spotrf(a, n, n);
    find<Routine<const char*, const int*, float*, const int*, int*>>("spotri_")("U", &n, a, &n, &info);
}
void strsm(float* a, int n, int) {
    std::vector<float> x(static_cast<std::size_t>(n) * n, 1.0f);
    find<Strsm>("cblas_strsm")(101, 141, 122, 111, 131, n, n, 1.0f, a, n, x.data(), n);
}
void strtri(float* a, int n, int) {
    int info = 0;
    find<Routine<const char*, const char*, const int*, float*, const int*, int*>>("strtri_")("U", "N", &n, a,
                                                                                             &n, &info);
}
void ssytrf(float* a, int n, int) {
    int info = 0;
    const int length = 64 * n;
    std::vector<int> pivots(static_cast<std::size_t>(n));
    std::vector<float> work(static_cast<std::size_t>(length));
    find<Routine<const char*, const int*, float*, const int*, int*, float*, const int*, int*>>("ssytrf_")(
        "U", &n, a, &n, pivots.data(), work.data(), &length, &info);
}
// The column-major matrix that LAPACK sees is cols x rows; ours is factored as the tall one that it is.
void sgeqrf(float* a, int rows, int cols) {
    int info = 0;
    const int length = 64 * std::max(rows, cols);
    std::vector<float> tau(static_cast<std::size_t>(cols)), work(static_cast<std::size_t>(length));
    find<Routine<const int*, const int*, float*, const int*, float*, float*, const int*, int*>>("sgeqrf_")(
        &rows, &cols, a, &rows, tau.data(), work.data(), &length, &info);
    find<Routine<const int*, const int*, const int*, float*, const int*, const float*, float*, const int*,
                 int*>>("sorgqr_")(&rows, &cols, &cols, a, &rows, tau.data(), work.data(), &length, &info);
}
std::vector<float> ssyevd_values(float* a, int n) {
    int info = 0;
    const int length = 1 + 6 * n + 2 * n * n, integers = 3 + 5 * n;
    std::vector<float> values(static_cast<std::size_t>(n)), work(static_cast<std::size_t>(length));
    std::vector<int> iwork(static_cast<std::size_t>(integers));
    find<Routine<const char*, const char*, const int*, float*, const int*, float*, float*, const int*, int*,
                 const int*, int*>>("ssyevd_")("V", "U", &n, a, &n, values.data(), work.data(), &length,
                                               iwork.data(), &integers, &info);
    return values;
}
void ssyevd(float* a, int n, int) { ssyevd_values(a, n); }
// V f(w) V^T, as a function of a matrix is had where there is only LAPACK.
void power_by_ssyevd(float* a, int n, int) {
    const std::vector<float> values = ssyevd_values(a, n);
    const std::size_t size = static_cast<std::size_t>(n);
    std::vector<float> scaled(size * size), result(size * size);
    for (std::size_t i = 0; i < size; ++i)
        for (std::size_t j = 0; j < size; ++j)
            scaled[i * size + j] = a[i * size + j] / std::sqrt(std::abs(values[i]));
    find<Sgemm>("cblas_sgemm")(101, 112, 111, n, n, n, 1.0f, scaled.data(), n, a, n, 0.0f, result.data(), n);
}
void sgesdd(float* a, int rows, int cols) {
    int info = 0;
    const int k = std::min(rows, cols), length = 4 * k * k + 7 * k + 64 * std::max(rows, cols) + 3 * k;
    std::vector<float> s(static_cast<std::size_t>(k)), u(static_cast<std::size_t>(rows) * k),
        v(static_cast<std::size_t>(k) * cols), work(static_cast<std::size_t>(length));
    std::vector<int> iwork(static_cast<std::size_t>(8 * k));
    find<Routine<const char*, const int*, const int*, float*, const int*, float*, float*, const int*, float*,
                 const int*, float*, const int*, int*, int*>>("sgesdd_")(
        "S", &rows, &cols, a, &rows, s.data(), u.data(), &rows, v.data(), &k, work.data(), &length,
        iwork.data(), &info);
}
// Five steps of X <- a X + (b (X X^T) + c (X X^T)^2) X by plain products.
void newton_schulz(float* a, int rows, int cols) {
    const auto sgemm = find<Sgemm>("cblas_sgemm");
    const std::size_t m = static_cast<std::size_t>(rows), n = static_cast<std::size_t>(cols);
    std::vector<float> x(a, a + m * n), gram(m * m), square(m * m), next(m * n);
    for (int step = 0; step < 5; ++step) {
        sgemm(101, 111, 112, rows, rows, cols, 1.0f, x.data(), cols, x.data(), cols, 0.0f, gram.data(), rows);
        square = gram;
        sgemm(101, 111, 111, rows, rows, rows, 1.0f, gram.data(), rows, gram.data(), rows, -4.0f,
              square.data(), rows);
        next = x;
        sgemm(101, 111, 111, rows, cols, rows, 1.0f, square.data(), rows, x.data(), cols, 3.0f, next.data(),
              cols);
        x.swap(next);
        for (float& value : x) value = std::min(1.0f, std::max(-1.0f, value));
    }
}

constexpr Peer kCopy{nullptr, nullptr, nullptr};

double no_flops(double, double) { return 0; }

const std::vector<Size> kSquares{{32, 64, 64}, {8, 128, 128}, {1, 256, 256}, {1, 1024, 1024}};
const std::vector<Size> kSmallSquares{{32, 64, 64}, {8, 128, 128}, {1, 256, 256}};
const std::vector<Size> kTall{{8, 256, 64}, {1, 1024, 256}};
const std::vector<Size> kLong{{1, 2048, 2048}};

const std::vector<Primitive>& primitives() {
    static const std::vector<Primitive> list{
        {"polar",
         Input::random,
         {{32, 64, 64}, {1, 256, 1024}, {1, 512, 512}},
         [](double m, double n) { return 5 * (4 * m * m * n + 2 * m * m * m); },
         [](const Request& r) { polar(r.graph, r.in, r.make(r.size.rows, r.size.cols)); },
         {"OpenBLAS sgemm", "cblas_sgemm", newton_schulz}},
        {"cholesky",
         Input::spd,
         kSquares,
         [](double n, double) { return n * n * n / 3; },
         [](const Request& r) { cholesky(r.graph, r.in, r.make(r.size.rows, r.size.cols)); },
         {"OpenBLAS spotrf", "spotrf_", spotrf}},
        {"spd_inverse",
         Input::spd,
         kSquares,
         [](double n, double) { return n * n * n; },
         [](const Request& r) { spd_inverse(r.graph, r.in, r.make(r.size.rows, r.size.cols)); },
         {"OpenBLAS spotrf, spotri", "spotri_", spd_inverse_of_blas}},
        {"triangular_solve",
         Input::lower,
         kSquares,
         [](double n, double) { return n * n * n; },
         [](const Request& r) {
             triangular_solve(r.graph, r.in, r.make(r.size.rows, r.size.cols),
                              r.make(r.size.rows, r.size.cols));
         },
         {"OpenBLAS strsm", "cblas_strsm", strsm}},
        {"triangular_inverse",
         Input::lower,
         kSquares,
         [](double n, double) { return n * n * n / 3; },
         [](const Request& r) { triangular_inverse(r.graph, r.in, r.make(r.size.rows, r.size.cols)); },
         {"OpenBLAS strtri", "strtri_", strtri}},
        {"ldlt",
         Input::spd,
         kSmallSquares,
         [](double n, double) { return n * n * n / 3; },
         [](const Request& r) {
             ldlt(r.graph, r.in,
                  {.l = r.make(r.size.rows, r.size.cols),
                   .d = r.make(r.size.rows, 2),
                   .permutation = r.list(r.size.rows, DType::u32)});
         },
         {"OpenBLAS ssytrf", "ssytrf_", ssytrf}},
        {"qr",
         Input::random,
         kTall,
         [](double m, double n) { return 4 * m * n * n - 4 * n * n * n / 3; },
         [](const Request& r) {
             qr(r.graph, r.in, r.make(r.size.rows, r.size.cols), r.make(r.size.cols, r.size.cols));
         },
         {"OpenBLAS sgeqrf, sorgqr", "sorgqr_", sgeqrf}},
        {"eigh",
         Input::spd,
         kSquares,
         [](double n, double) { return 9 * n * n * n; },
         [](const Request& r) { eigh(r.graph, r.in, r.list(r.size.rows), r.make(r.size.rows, r.size.cols)); },
         {"OpenBLAS ssyevd", "ssyevd_", ssyevd}},
        {"svd",
         Input::random,
         {{8, 64, 64}, {1, 256, 128}, {1, 1024, 1024}},
         [](double m, double n) { return 14 * m * n * n + 8 * n * n * n; },
         [](const Request& r) {
             const std::uint64_t k = std::min(r.size.rows, r.size.cols);
             svd(r.graph, r.in, r.make(r.size.rows, k), r.list(k), r.make(r.size.cols, k));
         },
         {"OpenBLAS sgesdd", "sgesdd_", sgesdd}},
        {"inverse_root",
         Input::spd,
         kSmallSquares,
         [](double n, double) { return 9 * n * n * n + 2 * n * n * n; },
         [](const Request& r) { inverse_root(r.graph, r.in, r.make(r.size.rows, r.size.cols)); },
         {"OpenBLAS ssyevd, sgemm", "ssyevd_", power_by_ssyevd}},
        {"matrix_power",
         Input::spd,
         kSmallSquares,
         [](double n, double) { return 9 * n * n * n + 2 * n * n * n; },
         [](const Request& r) { matrix_power(r.graph, r.in, r.make(r.size.rows, r.size.cols)); },
         {"OpenBLAS ssyevd, sgemm", "ssyevd_", power_by_ssyevd}},
        {"accumulate_factor",
         Input::random,
         {{1, 4096, 128}, {1, 4096, 512}},
         [](double m, double n) { return m * n * n; },
         [](const Request& r) { accumulate_factor(r.graph, r.in, r.make(r.size.cols, r.size.cols)); },
         {"OpenBLAS sgemm", "cblas_sgemm",
          [](float* a, int m, int n) {
              std::vector<float> gram(static_cast<std::size_t>(n) * n);
              find<Sgemm>("cblas_sgemm")(101, 112, 111, n, n, m, 1.0f, a, n, a, n, 0.0f, gram.data(), n);
          }}},
        {"sum", Input::random, kLong, no_flops, [](const Request& r) { sum(r.graph, r.in, r.list(1)); },
         kCopy},
        {"row_norms", Input::random, kLong, no_flops,
         [](const Request& r) { row_norms(r.graph, r.in, r.list(r.size.rows)); }, kCopy},
        {"column_norms", Input::random, kLong, no_flops,
         [](const Request& r) { column_norms(r.graph, r.in, r.list(r.size.cols)); }, kCopy},
        {"normalize_rows", Input::random, kLong, no_flops,
         [](const Request& r) { normalize_rows(r.graph, r.in, r.make(r.size.rows, r.size.cols)); }, kCopy},
        {"dct",
         Input::random,
         {{1, 1024, 1024}},
         no_flops,
         [](const Request& r) { dct(r.graph, r.in, r.make(r.size.rows, r.size.cols)); },
         kCopy},
        {"fill_random", Input::random, kLong, no_flops,
         [](const Request& r) { fill_random(r.graph, r.make(r.size.rows, r.size.cols), {.control = false}); },
         kCopy},
        {"argsort",
         Input::random,
         {{1, 64, 1024}, {1, 1, 65536}},
         no_flops,
         [](const Request& r) { argsort(r.graph, r.in, r.make(r.size.rows, r.size.cols, DType::u32)); },
         kCopy},
    };
    return list;
}

std::vector<float> input_of(const Primitive& primitive, const Size& size) {
    test::Random random(1);
    const std::uint64_t m = size.rows, n = size.cols;
    std::vector<float> all(size.batch * m * n);
    for (float& value : all) value = static_cast<float>(random.uniform() - 0.5);
    if (primitive.input == Input::random) return all;
    // Symmetric with a diagonal that makes it positive definite and well conditioned; its lower half is a
    // triangular matrix that solves well, too.
    for (std::uint64_t b = 0; b < size.batch; ++b)
        for (std::uint64_t i = 0; i < n; ++i) {
            float* a = &all[b * n * n];
            a[i * n + i] = static_cast<float>(n);
            for (std::uint64_t j = i + 1; j < n; ++j)
                a[i * n + j] = primitive.input == Input::spd ? a[j * n + i] : 0.0f;
        }
    return all;
}

void run_case(const Device& device, const Primitive& primitive, const Size& size, int repeats) {
    const std::vector<float> values = input_of(primitive, size);
    Buffer buffer = device.create_buffer(values.size() * 4);
    buffer.write(std::as_bytes(std::span(values)));
    Graph graph(device);
    primitive.add(
        {graph, graph.external("in", buffer.view(DType::f32, {size.batch, size.rows, size.cols})), size});
    Plan plan = graph.compile({.profile = true});
    plan.allocate();
    plan.initialize();

    const double flops = primitive.flops(static_cast<double>(size.rows), static_cast<double>(size.cols)) *
                         static_cast<double>(size.batch);
    const Times times = time_plan(plan, repeats);
    Line line("linalg", device);
    line.fields["primitive"] = primitive.name;
    line.fields["batch"] = size.batch;
    line.fields["rows"] = size.rows;
    line.fields["cols"] = size.cols;
    line.fields["dispatches"] = plan.dispatch_count();
    line.fields["bytes"] = plan.bytes();
    line.times(times);
    line.fields["gflops"] = flops > 0 ? nlohmann::ordered_json(flops / times.wall_ms.median * 1e-6) : nullptr;
    if (!primitive.peer.name) {
        line.peer("copy", copy_times(device, plan.bytes(), repeats));
    } else if (openblas(primitive.peer.symbol)) {
        std::vector<float> copy(size.rows * size.cols);
        const Sample peer = time_ms(repeats, [&] {
            for (std::uint64_t b = 0; b < size.batch; ++b) {
                std::memcpy(copy.data(), &values[b * copy.size()], copy.size() * 4);
                primitive.peer.run(copy.data(), static_cast<int>(size.rows), static_cast<int>(size.cols));
            }
        });
        line.peer(primitive.peer.name, {peer, {}});
    } else {
        line.no_peer();
    }
    line.print();
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app(
        "Times the primitives of heron/linalg.hpp beside OpenBLAS, or a copy; one line of JSON a case.",
        "bench_linalg");
    std::string only, shape;
    std::vector<Size> sizes;
    std::vector<std::string> names;
    for (const Primitive& primitive : primitives()) names.emplace_back(primitive.name);
    app.add_option("--only", only, "this primitive alone")->check(CLI::IsMember(names))->type_name("NAME");
    app.add_option("--size", shape, "this shape instead of each primitive's own")
        ->type_name("[BATCHx]ROWSxCOLS")
        ->check([&sizes](const std::string& text) -> std::string {
            unsigned long b = 1, m = 0, n = 0;
            char end = 0;
            if (std::sscanf(text.c_str(), "%lux%lux%lu%c", &b, &m, &n, &end) != 3) {
                b = 1;
                if (std::sscanf(text.c_str(), "%lux%lu%c", &m, &n, &end) != 2) m = 0;
            }
            if (b == 0 || m == 0 || n == 0) return "must be ROWSxCOLS or BATCHxROWSxCOLS, e.g. 32x64x64";
            sizes = {{b, m, n}};
            return {};
        });
    return run_program(app, argc, argv, 9, [&](Device& device, int repeats) {
        for (const Primitive& primitive : primitives()) {
            if (!only.empty() && only != primitive.name) continue;
            for (const Size& size : sizes.empty() ? primitive.sizes : sizes) {
                if (primitive.input != Input::random && size.rows != size.cols) {
                    std::cerr << primitive.name << " is left out: it needs square matrices\n";
                    continue;
                }
                run_case(device, primitive, size, repeats);
            }
        }
    });
}

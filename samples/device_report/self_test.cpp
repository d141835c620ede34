// SPDX-License-Identifier: MIT
// The checks, each with a plain float64 reference and a bound that its comment explains. u = 2^-24. Kernels
// that take 16-bit elements are checked with them too.
#include "self_test.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <exception>
#include <limits>
#include <random>
#include <span>
#include <vector>

namespace {

using heron::DType;
using heron::Tensor;
using heron::Transpose;

constexpr double kU = 0x1p-24;

// A row-major matrix on the host.
struct Matrix {
    std::size_t rows = 0;
    std::size_t cols = 0;
    std::vector<double> v;

    Matrix(std::size_t r, std::size_t c) : rows(r), cols(c), v(r * c) {}
    double& operator()(std::size_t r, std::size_t c) { return v[r * cols + c]; }
    double operator()(std::size_t r, std::size_t c) const { return v[r * cols + c]; }
};

// Largest relative error of rounding to a 16-bit type; that of f32 is within the other bounds.
double rounding(DType dtype) { return dtype == DType::f16 ? 0x1p-11 : dtype == DType::bf16 ? 0x1p-8 : 0; }

std::uint16_t to_half(DType dtype, float value) {
    return dtype == DType::f16 ? heron::f32_to_f16(value) : heron::f32_to_bf16(value);
}

float from_half(DType dtype, std::uint16_t bits) {
    return dtype == DType::f16 ? heron::f16_to_f32(bits) : heron::bf16_to_f32(bits);
}

// Values are exact in `dtype`, so that host and device begin with the same matrix.
Matrix random_matrix(std::size_t rows, std::size_t cols, std::uint32_t seed, DType dtype = DType::f32) {
    std::mt19937 random(seed);  // its numbers are fixed by the standard; those of the distributions are not
    Matrix m(rows, cols);
    for (double& x : m.v) {
        const auto value = static_cast<float>(static_cast<double>(random()) / 0x1p31 - 1.0);
        x = dtype == DType::f32 ? value : from_half(dtype, to_half(dtype, value));
    }
    return m;
}

Matrix transposed(const Matrix& a) {
    Matrix t(a.cols, a.rows);
    for (std::size_t r = 0; r < a.rows; ++r)
        for (std::size_t c = 0; c < a.cols; ++c) t(c, r) = a(r, c);
    return t;
}

Matrix product(const Matrix& a, const Matrix& b) {
    Matrix p(a.rows, b.cols);
    for (std::size_t r = 0; r < a.rows; ++r)
        for (std::size_t k = 0; k < a.cols; ++k)
            for (std::size_t c = 0; c < b.cols; ++c) p(r, c) += a(r, k) * b(k, c);
    return p;
}

Matrix combined(double alpha, const Matrix& a, double beta, const Matrix& b) {
    Matrix s(a.rows, a.cols);
    for (std::size_t i = 0; i < s.v.size(); ++i) s.v[i] = alpha * a.v[i] + beta * b.v[i];
    return s;
}

double norm(const Matrix& a) {
    double sum = 0;
    for (const double x : a.v) sum += x * x;
    return std::sqrt(sum);
}

double distance(const Matrix& a, const Matrix& b) { return norm(combined(1, a, -1, b)); }

// Newton-Schulz as heron::polar defines it, with the same coefficients.
Matrix polar_reference(const Matrix& a) {
    const bool tall = a.rows > a.cols;
    Matrix x = tall ? transposed(a) : a;
    const double scale = 1.0 / (norm(x) + 1e-7);
    for (double& value : x.v) value *= scale;
    for (const auto& [p, q, r] : heron::newton_schulz_coefficients("muon", 5)) {
        const Matrix s = product(x, transposed(x));
        const Matrix b = combined(q, s, r, product(s, s));
        x = combined(p, x, 1, product(b, x));
    }
    return tall ? transposed(x) : x;
}

class Bench {
public:
    explicit Bench(const heron::Device& device) : device_(device) {}

    heron::Buffer upload(const Matrix& m, DType dtype = DType::f32) const {
        heron::Buffer buffer = device_.create_buffer((m.v.size() * heron::bytes_of(dtype) + 3) / 4 * 4);
        write(buffer, m, dtype);
        return buffer;
    }
    static void write(heron::Buffer& buffer, const Matrix& m, DType dtype = DType::f32) {
        const std::vector<float> values(m.v.begin(), m.v.end());
        if (dtype == DType::f32) return buffer.write(std::as_bytes(std::span(values)));
        std::vector<std::uint16_t> halves;
        for (const float value : values) halves.push_back(to_half(dtype, value));
        halves.resize((halves.size() + 1) / 2 * 2);
        buffer.write(std::as_bytes(std::span(halves)));
    }
    static Matrix download(const heron::Buffer& buffer, std::size_t rows, std::size_t cols,
                           DType dtype = DType::f32) {
        Matrix m(rows, cols);
        if (dtype == DType::f32) {
            std::vector<float> values(rows * cols);
            buffer.read(std::as_writable_bytes(std::span(values)));
            std::ranges::copy(values, m.v.begin());
        } else {
            std::vector<std::uint16_t> halves((rows * cols + 1) / 2 * 2);
            buffer.read(std::as_writable_bytes(std::span(halves)));
            for (std::size_t i = 0; i < m.v.size(); ++i) m.v[i] = from_half(dtype, halves[i]);
        }
        return m;
    }
    static heron::TensorView view(const heron::Buffer& buffer, const Matrix& like, DType dtype = DType::f32) {
        return buffer.view(dtype, {like.rows, like.cols});
    }
    const heron::Device& device() const { return device_; }

private:
    const heron::Device& device_;
};

void run(const heron::Graph& graph) {
    heron::Plan plan = graph.compile({.name = "self-test"});
    plan.allocate();
    plan.run();
}

// A NaN anywhere must not pass: it fails every comparison.
double ratio(double error, double scale) {
    const double value = error / scale;
    return std::isfinite(value) ? value : std::numeric_limits<double>::infinity();
}

// "gemm", or "gemm f16".
std::string with_type(const std::string& name, DType dtype) {
    return dtype == DType::f32 ? name : name + " " + heron::to_string(dtype);
}

// norm(D - D_ref) <= 3 u (sqrt(k + 2) |alpha| |A| |B| + 2 |beta| |C|), and the rounding of a 16-bit D on top,
// the bound of heron::gemm; all four transposes.
CheckResult check_gemm(const Bench& bench, DType dtype) {
    CheckResult result{.name = with_type("gemm", dtype) + ", all transposes", .allowed = 3};
    const std::size_t m = 67, n = 129, k = 301;
    const float alpha = 1.25f, beta = -0.5f;
    const Matrix a = random_matrix(m, k, 1, dtype), b = random_matrix(k, n, 2, dtype),
                 c = random_matrix(m, n, 3, dtype);
    const Matrix expected = combined(alpha, product(a, b), beta, c);
    const double scale =
        kU * (std::sqrt(double(k + 2)) * std::abs(alpha) * norm(a) * norm(b) + 2 * std::abs(beta) * norm(c)) +
        rounding(dtype) * norm(expected) / result.allowed;
    for (const Transpose ta : {Transpose::no, Transpose::yes})
        for (const Transpose tb : {Transpose::no, Transpose::yes}) {
            const Matrix stored_a = ta == Transpose::yes ? transposed(a) : a;
            const Matrix stored_b = tb == Transpose::yes ? transposed(b) : b;
            const heron::Buffer ba = bench.upload(stored_a, dtype), bb = bench.upload(stored_b, dtype),
                                bc = bench.upload(c, dtype);
            heron::Graph graph(bench.device());
            const Tensor d = graph.external("c", Bench::view(bc, c, dtype));
            heron::gemm(
                graph, graph.external("a", Bench::view(ba, stored_a, dtype)),
                graph.external("b", Bench::view(bb, stored_b, dtype)), d, d,
                {.transpose_a = ta, .transpose_b = tb, .alpha = alpha, .beta = beta, .guarded = false});
            run(graph);
            result.error =
                std::max(result.error, ratio(distance(bench.download(bc, m, n, dtype), expected), scale));
        }
    return result;
}

// As gemm, and the two halves must be mirror images to the bit.
CheckResult check_syrk(const Bench& bench) {
    CheckResult result{.name = "syrk", .allowed = 3};
    const std::size_t m = 130, k = 77;
    const Matrix a = random_matrix(m, k, 4);
    const heron::Buffer ba = bench.upload(a), bd = bench.upload(Matrix(m, m));
    heron::Graph graph(bench.device());
    heron::syrk(graph, graph.external("a", Bench::view(ba, a)), {},
                graph.external("d", bd.view(DType::f32, {m, m})), {.guarded = false});
    run(graph);
    const Matrix d = bench.download(bd, m, m);
    const Matrix expected = product(a, transposed(a));
    result.error = ratio(distance(d, expected), kU * std::sqrt(double(k + 2)) * norm(a) * norm(a));
    if (distance(d, transposed(d)) != 0) result.failure = "the result is not symmetric";
    return result;
}

// Error of a sum of N by a tree <= 2 u ceil(log2 N) sum |x|; the norm's is judged by the same count of
// roundings. Two of the elements are not finite in the third reduction.
CheckResult check_reductions(const Bench& bench) {
    CheckResult result{.name = "sum, norm, non-finite count", .allowed = 2};
    const std::size_t count = 100003;
    Matrix x = random_matrix(1, count, 5);
    const heron::Buffer finite = bench.upload(x);
    double sum = 0, absolute = 0;
    for (const double value : x.v) {
        sum += value;
        absolute += std::abs(value);
    }
    const double length = norm(x);
    x.v[17] = std::numeric_limits<double>::infinity();
    x.v[count - 1] = std::numeric_limits<double>::quiet_NaN();
    const heron::Buffer broken = bench.upload(x);
    const heron::Buffer results = bench.upload(Matrix(1, 3 * 64));

    heron::Graph graph(bench.device());
    const Tensor input = graph.external("x", Bench::view(finite, x));
    heron::sum(graph, input, graph.external("sum", results.view(DType::f32, {1})), false);
    heron::frobenius_norm(graph, input, graph.external("norm", results.view(DType::f32, {1}, 256)), false);
    heron::count_nonfinite(graph, graph.external("y", Bench::view(broken, x)),
                           graph.external("count", results.view(DType::u32, {1}, 512)), false);
    run(graph);
    const Matrix found = bench.download(results, 1, 3 * 64);
    std::uint32_t nonfinite = 0;
    results.read(std::as_writable_bytes(std::span(&nonfinite, 1)), 512);
    const double depth = std::ceil(std::log2(double(count)));
    result.error = std::max(ratio(std::abs(found.v[0] - sum), kU * depth * absolute),
                            ratio(std::abs(found.v[64] - length), kU * depth * length));
    if (nonfinite != 2)
        result.failure = "counted " + std::to_string(nonfinite) + " non-finite elements, there are 2";
    return result;
}

// Distance to the same polynomial in float64, relative to the result: 1e-5 with f32 iterates; with 16-bit
// ones, whose rounding the iteration's slopes of up to 3.4 amplify, the bounds of the library's own tests.
CheckResult check_polar(const Bench& bench, const char* name, std::size_t rows, std::size_t cols, DType dtype,
                        bool one_workgroup) {
    CheckResult result{.name = with_type(name, dtype) + (one_workgroup ? ", one workgroup" : ", tiled"),
                       .allowed = dtype == DType::f32   ? 1e-5
                                  : dtype == DType::f16 ? 0.02
                                                        : 0.15};
    const Matrix a = random_matrix(rows, cols, 6, dtype);
    const heron::Buffer ba = bench.upload(a, dtype), bo = bench.upload(Matrix(rows, cols), dtype);
    heron::Graph graph(bench.device());
    heron::polar(graph, graph.external("a", Bench::view(ba, a, dtype)),
                 graph.external("o", Bench::view(bo, a, dtype)),
                 {.precision = dtype, .one_workgroup = one_workgroup, .guarded = false});
    run(graph);
    const Matrix expected = polar_reference(a);
    result.error = ratio(distance(bench.download(bo, rows, cols, dtype), expected), norm(expected));
    return result;
}

// What a step changes, against float64, relative: weights themselves would hide an update that is wrong. With
// 16-bit weights and gradients the f32 master weights are compared, and the weights must be these, rounded.
template <class Make, class Reference>
CheckResult check_optimizer(const Bench& bench, const std::string& name, std::size_t rows, std::size_t cols,
                            DType dtype, Make make, Reference reference) {
    CheckResult result{.name = with_type(name, dtype) + ", 3 steps", .allowed = 1e-4};
    constexpr int kSteps = 3;
    const Matrix start = random_matrix(rows, cols, 7, dtype);
    const heron::Buffer weight = bench.upload(start, dtype);
    heron::Buffer gradient = bench.upload(Matrix(rows, cols), dtype);
    const auto optimizer = make(bench.device());
    optimizer->add({.name = "w",
                    .weight = Bench::view(weight, start, dtype),
                    .gradient = Bench::view(gradient, start, dtype)});
    heron::Plan plan =
        heron::compile(bench.device(), {optimizer.get()}, {.master_weights = dtype != DType::f32});
    plan.allocate();
    plan.initialize();
    Matrix expected = start;
    for (int step = 1; step <= kSteps; ++step) {
        const Matrix g = random_matrix(rows, cols, 100 + static_cast<std::uint32_t>(step), dtype);
        Bench::write(gradient, g, dtype);
        plan.run();
        reference(step, g, expected);
    }
    Matrix found = bench.download(weight, rows, cols, dtype);
    if (dtype != DType::f32) {
        std::vector<float> master(rows * cols);
        plan.read_state("w.master", std::as_writable_bytes(std::span(master)));
        for (std::size_t i = 0; i < master.size(); ++i) {
            if (found.v[i] != from_half(dtype, to_half(dtype, master[i])))
                result.failure = "a weight is not its master weight, rounded";
            found.v[i] = master[i];
        }
    }
    const Matrix expected_update = combined(1, expected, -1, start);
    result.error = ratio(distance(combined(1, found, -1, start), expected_update), norm(expected_update));
    if (heron::status(plan).step != kSteps) result.failure = "the status does not show three steps";
    return result;
}

CheckResult check_adamw(const Bench& bench, DType dtype) {
    const heron::AdamWOptions o{.lr = 0.01f};
    Matrix m(83, 57), v(83, 57);
    return check_optimizer(
        bench, "AdamW", 83, 57, dtype,
        [&](const heron::Device& device) { return std::make_unique<heron::AdamW>(device, o); },
        [&](int step, const Matrix& g, Matrix& w) {
            const double b1 = o.beta1, b2 = o.beta2, lr = o.lr;
            const double c1 = 1 - std::pow(b1, step), c2 = 1 - std::pow(b2, step);
            for (std::size_t i = 0; i < w.v.size(); ++i) {
                m.v[i] += (1 - b1) * (g.v[i] - m.v[i]);
                v.v[i] += (1 - b2) * (g.v[i] * g.v[i] - v.v[i]);
                w.v[i] = (1 - lr * o.weight_decay) * w.v[i] -
                         lr * (m.v[i] / c1) / (std::sqrt(v.v[i] / c2) + o.eps);
            }
        });
}

CheckResult check_muon(const Bench& bench, std::size_t rows, std::size_t cols, DType dtype) {
    const heron::MuonOptions o{.lr = 0.02f, .weight_decay = 0.1f};
    Matrix m(rows, cols);
    return check_optimizer(
        bench, "Muon " + std::to_string(rows) + " x " + std::to_string(cols), rows, cols, dtype,
        [&](const heron::Device& device) { return std::make_unique<heron::Muon>(device, o); },
        [&](int, const Matrix& g, Matrix& w) {
            m = combined(o.momentum, m, 1.0 - o.momentum, g);
            const Matrix update = polar_reference(combined(1.0 - o.momentum, g, o.momentum, m));
            const double factor = std::sqrt(std::max(1.0, double(rows) / double(cols)));
            w = combined(1.0 - double(o.lr) * o.weight_decay, w, -o.lr * factor, update);
        });
}

}  // namespace

void self_test(const heron::Device& device, const std::function<void(const CheckResult&)>& report) {
    const Bench bench(device);
    const auto attempt = [&report](const std::string& name, const std::function<CheckResult()>& check) {
        CheckResult result{.name = name};
        try {
            result = check();
        } catch (const std::exception& error) {
            result.failure = error.what();
        }
        report(result);
    };
    attempt("syrk", [&] { return check_syrk(bench); });
    attempt("reductions", [&] { return check_reductions(bench); });
    for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
        attempt(with_type("gemm", dtype), [&] { return check_gemm(bench, dtype); });
        attempt(with_type("polar 24 x 40", dtype),
                [&] { return check_polar(bench, "polar 24 x 40", 24, 40, dtype, true); });
        attempt(with_type("polar 150 x 70", dtype),
                [&] { return check_polar(bench, "polar 150 x 70", 150, 70, dtype, false); });
        attempt(with_type("AdamW", dtype), [&] { return check_adamw(bench, dtype); });
        attempt(with_type("Muon 33 x 20", dtype), [&] { return check_muon(bench, 33, 20, dtype); });
        attempt(with_type("Muon 96 x 160", dtype), [&] { return check_muon(bench, 96, 160, dtype); });
    }
}

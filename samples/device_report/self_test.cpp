// SPDX-License-Identifier: MIT
// The checks, each with a plain float64 reference and a bound that its comment explains. u = 2^-24.
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
using heron::Shape;
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

// Values are exact in f32, so that host and device begin with the same matrix.
Matrix random_matrix(std::size_t rows, std::size_t cols, std::uint32_t seed) {
    std::mt19937 random(seed);  // its numbers are fixed by the standard; those of the distributions are not
    Matrix m(rows, cols);
    for (double& x : m.v) x = static_cast<float>((static_cast<double>(random()) / 0x1p31 - 1.0));
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

    heron::Buffer upload(const Matrix& m) const {
        const std::vector<float> values(m.v.begin(), m.v.end());
        heron::Buffer buffer = device_.create_buffer(values.size() * sizeof(float));
        buffer.write(std::as_bytes(std::span(values)));
        return buffer;
    }
    Matrix download(const heron::Buffer& buffer, std::size_t rows, std::size_t cols) const {
        std::vector<float> values(rows * cols);
        buffer.read(std::as_writable_bytes(std::span(values)));
        Matrix m(rows, cols);
        std::ranges::copy(values, m.v.begin());
        return m;
    }
    static heron::TensorView view(const heron::Buffer& buffer, const Matrix& like) {
        return buffer.view(DType::f32, {like.rows, like.cols});
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

// norm(D - D_ref) <= 3 u (sqrt(k + 2) |alpha| |A| |B| + 2 |beta| |C|), the bound of linalg.hpp; all four
// transposes.
CheckResult check_gemm(const Bench& bench) {
    CheckResult result{.name = "gemm, all transposes", .allowed = 3};
    const std::size_t m = 67, n = 129, k = 301;
    const float alpha = 1.25f, beta = -0.5f;
    const Matrix a = random_matrix(m, k, 1), b = random_matrix(k, n, 2), c = random_matrix(m, n, 3);
    const Matrix expected = combined(alpha, product(a, b), beta, c);
    const double scale =
        kU * (std::sqrt(double(k + 2)) * std::abs(alpha) * norm(a) * norm(b) + 2 * std::abs(beta) * norm(c));
    for (const Transpose ta : {Transpose::no, Transpose::yes})
        for (const Transpose tb : {Transpose::no, Transpose::yes}) {
            const Matrix stored_a = ta == Transpose::yes ? transposed(a) : a;
            const Matrix stored_b = tb == Transpose::yes ? transposed(b) : b;
            const heron::Buffer ba = bench.upload(stored_a), bb = bench.upload(stored_b),
                                bc = bench.upload(c);
            heron::Graph graph(bench.device());
            const Tensor d = graph.external("c", Bench::view(bc, c));
            heron::gemm(
                graph, graph.external("a", Bench::view(ba, stored_a)),
                graph.external("b", Bench::view(bb, stored_b)), d, d,
                {.transpose_a = ta, .transpose_b = tb, .alpha = alpha, .beta = beta, .guarded = false});
            run(graph);
            result.error = std::max(result.error, ratio(distance(bench.download(bc, m, n), expected), scale));
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

// Distance to the same polynomial in float64, relative to the result: expectations for f32 are 1e-5.
CheckResult check_polar(const Bench& bench, const char* name, std::size_t rows, std::size_t cols,
                        bool one_workgroup) {
    CheckResult result{.name = name, .allowed = 1e-5};
    const Matrix a = random_matrix(rows, cols, 6);
    const heron::Buffer ba = bench.upload(a), bo = bench.upload(Matrix(rows, cols));
    heron::Graph graph(bench.device());
    heron::polar(graph, graph.external("a", Bench::view(ba, a)), graph.external("o", Bench::view(bo, a)),
                 {.one_workgroup = one_workgroup, .guarded = false});
    run(graph);
    const Matrix expected = polar_reference(a);
    result.error = ratio(distance(bench.download(bo, rows, cols), expected), norm(expected));
    return result;
}

// What a step changes, against float64, relative: weights themselves would hide an update that is wrong.
template <class Make, class Reference>
CheckResult check_optimizer(const Bench& bench, const char* name, std::size_t rows, std::size_t cols,
                            Make make, Reference reference) {
    CheckResult result{.name = name, .allowed = 1e-4};
    constexpr int kSteps = 3;
    const Matrix start = random_matrix(rows, cols, 7);
    const heron::Buffer weight = bench.upload(start);
    heron::Buffer gradient = bench.upload(Matrix(rows, cols));
    const auto optimizer = make(bench.device());
    optimizer->add(
        {.name = "w", .weight = Bench::view(weight, start), .gradient = Bench::view(gradient, start)});
    heron::Plan plan = heron::compile(bench.device(), {optimizer.get()});
    plan.allocate();
    plan.initialize();
    Matrix expected = start;
    for (int step = 1; step <= kSteps; ++step) {
        const Matrix g = random_matrix(rows, cols, 100 + static_cast<std::uint32_t>(step));
        const std::vector<float> values(g.v.begin(), g.v.end());
        gradient.write(std::as_bytes(std::span(values)));
        plan.run();
        reference(step, g, expected);
    }
    const Matrix update = combined(1, bench.download(weight, rows, cols), -1, start);
    const Matrix expected_update = combined(1, expected, -1, start);
    result.error = ratio(distance(update, expected_update), norm(expected_update));
    if (heron::status(plan).step != kSteps) result.failure = "the status does not show three steps";
    return result;
}

CheckResult check_adamw(const Bench& bench) {
    const heron::AdamWOptions o{.lr = 0.01f};
    Matrix m(83, 57), v(83, 57);
    return check_optimizer(
        bench, "AdamW, 3 steps", 83, 57,
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

CheckResult check_muon(const Bench& bench, const char* name, std::size_t rows, std::size_t cols) {
    const heron::MuonOptions o{.lr = 0.02f, .weight_decay = 0.1f};
    Matrix m(rows, cols);
    return check_optimizer(
        bench, name, rows, cols,
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
    const std::pair<const char*, std::function<CheckResult()>> checks[] = {
        {"gemm", [&] { return check_gemm(bench); }},
        {"syrk", [&] { return check_syrk(bench); }},
        {"reductions", [&] { return check_reductions(bench); }},
        {"polar 24 x 40", [&] { return check_polar(bench, "polar 24 x 40, one workgroup", 24, 40, true); }},
        {"polar 150 x 70", [&] { return check_polar(bench, "polar 150 x 70, tiled", 150, 70, false); }},
        {"AdamW", [&] { return check_adamw(bench); }},
        {"Muon 33 x 20", [&] { return check_muon(bench, "Muon 33 x 20, 3 steps", 33, 20); }},
        {"Muon 96 x 160", [&] { return check_muon(bench, "Muon 96 x 160, 3 steps", 96, 160); }},
    };
    for (const auto& [name, check] : checks) {
        CheckResult result{.name = name};
        try {
            result = check();
        } catch (const std::exception& error) {
            result.failure = error.what();
        }
        report(result);
    }
}

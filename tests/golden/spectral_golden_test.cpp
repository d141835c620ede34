// SPDX-License-Identifier: MIT
// Eigenvalues, singular values, powers and polar factors of the primitives' golden files (float64 LAPACK),
// which do not depend on signs or on the basis of repeated eigenvalues.
//
// Bounds: specification section 11.13. An inverse root magnifies rounding errors of its matrix by the
// condition number kappa, so roots are compared up to kappa = 1e4 and judged by their residual beyond.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "heron/heron.hpp"
#include "support/device_fixture.hpp"
#include "support/golden.hpp"
#include "support/reference.hpp"

namespace heron::test {
namespace {

constexpr double kEps = 0x1p-23;
constexpr float kNoFloor = 1e-9f;  // the condition number is at most 1e6

Matrix matrix_of(const GoldenTensor& tensor) {
    const auto rows = static_cast<Eigen::Index>(tensor.shape[0]);
    return Eigen::Map<const Matrix>(tensor.values.data(), rows,
                                    static_cast<Eigen::Index>(tensor.values.size()) / rows);
}

Shape shape_of(const Matrix& x) {
    return {static_cast<std::uint64_t>(x.rows()), static_cast<std::uint64_t>(x.cols())};
}

std::vector<double> list(const Matrix& x) { return {x.data(), x.data() + x.size()}; }

class SpectralGoldenTest : public DeviceTest {
protected:
    Tensor input(Graph& graph, const Matrix& x) {
        return graph.external("in" + std::to_string(inputs_++),
                              guarded(encode({x}, DType::f32, static_cast<std::uint64_t>(x.cols())))
                                  .view(DType::f32, shape_of(x)));
    }

    // What `build` writes into a tensor of that shape.
    template <typename Build>
    Matrix run(std::uint64_t rows, std::uint64_t cols, Build build) {
        GuardedBuffer& buffer = guarded(std::vector<float>(rows * cols, 77.0f));
        Graph graph(device());
        build(graph, graph.external("out", buffer.view(DType::f32, {rows, cols})));
        Plan plan = graph.compile({.name = "spectral golden"});
        plan.allocate();
        plan.run();
        return decode(buffer.read<std::byte>(), DType::f32, 1, rows, cols, cols)[0];
    }

    Matrix power(const Matrix& a, double exponent, double damping = 0) {
        const std::uint64_t n = shape_of(a)[0];
        return run(n, n, [&](Graph& graph, const Tensor& out) {
            matrix_power(graph, input(graph, a), out,
                         {.exponent = exponent, .damping = static_cast<float>(damping), .floor = kNoFloor});
        });
    }

    void inverse_root(GoldenResult& result, const GoldenCase& golden, const std::string& name,
                      const Matrix& a, double damping, double kappa) {
        const int p = std::stoi(name.substr(name.rfind('_') + 1));
        const auto n = static_cast<double>(a.rows());
        const Matrix x = power(a, -1.0 / p, damping);
        const GoldenTensor expected = golden.tensor(name);
        if (kappa <= 1e4) result.add(name, frobenius_error(list(x), expected.values), (kappa + n) * kEps);
        Matrix product = rounded(a, DType::f32);
        product.diagonal().array() += static_cast<double>(static_cast<float>(damping));
        for (int i = 0; i < p; ++i) product = x * product;
        // The eigensystem's errors, and that X is rounded, by sqrt(n) u in this norm, which its p-th power
        // magnifies p times.
        result.add(name + " residual", (product - Matrix::Identity(a.rows(), a.cols())).norm(),
                   (n + p * std::sqrt(n)) * kappa * kEps);
    }

    void positive_definite(const GoldenCase& golden, GoldenResult& result) {
        const Matrix a = matrix_of(golden.tensor("a"));
        const std::uint64_t n = shape_of(a)[0];
        const double kappa = 1 / golden.number("smallest_over_largest");
        const GoldenTensor expected = golden.tensor("eig_ascending");
        const Matrix values = run(1, n, [&](Graph& graph, const Tensor& out) {
            eigh(graph, input(graph, a), out, graph.temporary(DType::f32, {n, n}));
        });
        result.add("eig_ascending", maximum_error(list(values), expected.values),
                   5 * static_cast<double>(n) * kEps);
        // What 64 iterations in float64 leave, which depends on the gap between the largest eigenvalues; each
        // in f32 adds its roundings.
        constexpr std::uint32_t kIterations = 64;
        const Matrix start = rounded(random_matrix(1, n, n), DType::f32);
        const Matrix largest = run(1, 1, [&](Graph& graph, const Tensor& out) {
            power_iteration(graph, input(graph, a), input(graph, start), out,
                            {.iterations = kIterations, .mix = 0.0f});
        });
        Matrix v = start.transpose();
        for (std::uint32_t i = 1; i < kIterations; ++i) v = (a * v).normalized();
        const double left =
            1 - Matrix(v.transpose() * a * v)(0, 0) / v.squaredNorm() / expected.values.back();
        result.add("power iteration", std::abs(largest(0, 0) / expected.values.back() - 1),
                   left + (static_cast<double>(n) + kIterations) * kEps);
        for (const std::string& name : golden.tensor_names())
            if (name.starts_with("inv_root_")) inverse_root(result, golden, name, a, 0, kappa);
        // Errors of the smallest eigenvalues are magnified by the slope of the root there.
        result.add("sqrt", frobenius_error(list(power(a, 0.5)), golden.tensor("sqrt").values),
                   (static_cast<double>(n) + std::sqrt(kappa)) * kEps);
    }

    void general(const GoldenCase& golden, GoldenResult& result) {
        const Matrix a = matrix_of(golden.tensor("a"));
        const std::uint64_t m = shape_of(a)[0], n = shape_of(a)[1], k = std::min(m, n);
        const auto length = static_cast<double>(std::max(m, n));
        const Matrix s = run(1, k, [&](Graph& graph, const Tensor& out) {
            svd(graph, input(graph, a), Tensor{}, out, Tensor{});
        });
        result.add("singular_values", maximum_error(list(s), golden.tensor("singular_values").values),
                   5 * length * kEps);
        const Matrix polar_factor =
            run(m, n, [&](Graph& graph, const Tensor& out) { polar_by_svd(graph, input(graph, a), out); });
        result.add("polar", frobenius_error(list(polar_factor), golden.tensor("polar").values),
                   (2 * golden.number("cond") + length) * kEps);
    }

    // By whole inverses, which is what Woodbury's formula avoids.
    void woodbury(const GoldenCase& golden, GoldenResult& result) {
        const Matrix x = matrix_of(golden.tensor("x")), g = matrix_of(golden.tensor("g"));
        const Matrix before = matrix_of(golden.tensor("inverse_before")), u = matrix_of(golden.tensor("u"));
        const double damping = golden.number("damping"), count = golden.number("N"),
                     gamma = golden.number("gamma");
        const Matrix fisher = x.transpose() * x / count;
        const double kappa = fisher.norm() / damping + 1;
        const GoldenTensor solution = golden.tensor("woodbury_solution");
        // Below this, rounding the matrix leaves hardly a digit: primitives_golden_test has the small system.
        if (damping >= 16 * kEps * fisher.trace())
            result.add("woodbury_solution",
                       frobenius_error(list(power(fisher, -1.0, damping) * g), solution.values),
                       kappa * kEps);
        const Matrix updated = gamma * power(before, -1.0) + (1 - gamma) * u * u.transpose();
        const Vector spectrum = symmetric_eigen(updated).values;
        result.add("inverse_after",
                   frobenius_error(list(power(updated, -1.0)), golden.tensor("inverse_after").values),
                   4 * spectrum[spectrum.size() - 1] / spectrum[0] * kEps);
    }

    int inputs_ = 0;
};

TEST_P(SpectralGoldenTest, EveryFile) {
    run_golden("primitives", GetParam().name, [&](const GoldenCase& golden, GoldenResult& result) {
        // Sizes and how the matrix was made; what other tests compare.
        for (const char* known : {"n", "m", "scale"}) (void)golden.number(known, 0);
        (void)golden.text("spectrum", "");
        if (golden.has("rank")) (void)golden.is_null("rank");
        if (golden.has_tensor("eig_ascending")) {
            positive_definite(golden, result);
        } else if (golden.has_tensor("singular_values")) {
            general(golden, result);
        } else if (golden.has_tensor("woodbury_solution")) {
            woodbury(golden, result);
        } else {
            const Matrix a = matrix_of(golden.tensor("a"));
            const double eps = golden.number("eps");
            const double kappa = a.norm() / eps + 1;
            for (const std::string& name : golden.tensor_names())
                if (name.starts_with("inv_root_")) inverse_root(result, golden, name, a, eps, kappa);
        }
        for (const char* other : {"b", "cholesky_L", "solve_b", "q", "r", "small_gram"})
            if (golden.has_tensor(other)) golden.ignore(other);
    });
}

HERON_DEVICE_TESTS(SpectralGoldenTest);

}  // namespace
}  // namespace heron::test

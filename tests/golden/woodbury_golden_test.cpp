// SPDX-License-Identifier: MIT
// Woodbury solves, gradient windows and changed Cholesky factors against float64.
//
// Bounds of solutions are those of the residuals (tests/linalg/woodbury_test.cpp) times the largest that the
// inverse makes of them. They are never met, so from 5 % on they are capped; a percent is what equal rows
// cost with a small lambda in float32, whatever one does (specification section 2.2). Residuals are those of
// section 2.8.
//
// Where lambda is below 4 eps tr(K), the solves raise it to that: results are compared with float64 for the
// damping that was used, then, which has to be that one.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "heron/heron.hpp"
#include "support/device_fixture.hpp"
#include "support/golden.hpp"
#include "support/polar_reference.hpp"

namespace heron::test {
namespace {

constexpr double kEps = 0x1p-23;
constexpr double kUnit = 0x1p-24;
constexpr double kDivisions = 13 * kUnit;  // Vulkan allows one 5 u
constexpr double kCap = 0.05;
constexpr double kLargestCondition = 1e4;  // up to which results are compared, beyond it residuals alone

class WoodburyGoldenTest : public DeviceTest {
protected:
    struct Result {
        GuardedBuffer* buffer;
        Tensor tensor;
        std::vector<double> values() const {
            const std::vector<float> floats = buffer->floats();
            return {floats.begin(), floats.end()};
        }
        Matrix matrix() const {
            return matrix_of(values(), tensor.shape[0], tensor.shape.count() / tensor.shape[0]);
        }
    };
    Result place(Graph& graph, const GoldenTensor& tensor) {
        GuardedBuffer& buffer = guarded(tensor.floats());
        return {&buffer, graph.external(name(), buffer.view(DType::f32, tensor.shape))};
    }
    Result zeros(Graph& graph, const Shape& shape, DType dtype = DType::f32) {
        GuardedBuffer& buffer = guarded(std::vector<float>(shape.count(), 0.0f));
        return {&buffer, graph.external(name(), buffer.view(dtype, shape))};
    }
    static void run(const Graph& graph) {
        Plan plan = graph.compile({.name = "woodbury golden"});
        plan.allocate();
        plan.run();
    }
    static Matrix matrix(const GoldenTensor& tensor) {
        const std::uint64_t rows = tensor.shape[0];
        return matrix_of(tensor.values, rows, tensor.values.size() / rows);
    }
    // The Gram matrix itself, from rows over powers of two.
    static std::vector<double> gram_of(const Result& gram, const Result& exponents) {
        std::vector<double> values = gram.values();
        const std::vector<std::int32_t> e = exponents.buffer->read<std::int32_t>();
        for (std::size_t i = 0; i < e.size(); ++i)
            for (std::size_t j = 0; j < e.size(); ++j)
                values[i * e.size() + j] *= std::ldexp(1.0, e[i] + e[j]);
        return values;
    }
    static double condition_of(const Matrix& symmetric) {
        return spectral_norm(symmetric) * spectral_norm(inverse(symmetric));
    }
    // A system lambda I + U^T U in float64.
    struct System {
        Matrix u, k;
        double lambda;

        System(const Matrix& rows, double damping) : u(rows), k(rows * rows.transpose()), lambda(damping) {}
        Matrix small() const { return k + lambda * Matrix::Identity(k.rows(), k.cols()); }
        // window_gram(): 64 u |u_i| |u_j| for each element; the rows are rounded, too.
        double gram_bound() const { return k.norm() == 0 ? 0 : 66 * kUnit * u.squaredNorm() / k.norm(); }
        Matrix apply(const Matrix& x) const { return lambda * x + u.transpose() * (u * x); }
        // Without rows of zeros, which take no part in U^T q.
        double norm_there(const Matrix& x) const {
            double squares = 0;
            for (Eigen::Index i = 0; i < k.rows(); ++i)
                if (k(i, i) > 0) squares += x(i, 0) * x(i, 0);
            return std::sqrt(squares);
        }
        // |y - (K + lambda I) q|
        double small_residual(const Matrix& y, const Matrix& q) const {
            return 20 * kEps * std::sqrt(static_cast<double>(k.rows())) *
                   (norm_there(y) + k.norm() * norm_there(q));
        }
        // |x - U^T q| for that q: the largest singular value of U^T (K + lambda I)^-1 times that, and the
        // sum's own rounding.
        double range_error(const Matrix& y, const Matrix& q) const {
            const Vector squares = symmetric_eigen(k).values.cwiseMax(0.0);
            const double largest = (squares.array().sqrt() / (squares.array() + lambda)).maxCoeff();
            return small_residual(y, q) * largest + 2 * kEps * std::sqrt(squares.maxCoeff()) * norm_there(q);
        }
    };
    static double capped(double bound) { return std::min(bound, kCap) + kDivisions; }

    // The file's z, of a system that is given, beside what its matrix and right-hand side make of it.
    void check_small_system(const GoldenCase& golden, GoldenResult& results, const System& system,
                            bool as_in_file) {
        const GoldenTensor u = golden.tensor("U"), b = golden.tensor("b"), ub = golden.tensor("Ub"),
                           z = golden.tensor("z");
        const Matrix small = system.small();
        const std::uint64_t s = u.shape[0], d = u.shape[1];
        Graph graph(device());
        GoldenTensor column = b, matrix_tensor{Shape{s, s}, {small.data(), small.data() + small.size()}};
        column.shape = Shape{d, 1};
        const Result product = zeros(graph, Shape{s, 1}), solved = zeros(graph, Shape{s, 1});
        gemm(graph, place(graph, u).tensor, place(graph, column).tensor, {}, product.tensor);
        spd_solve(graph, place(graph, matrix_tensor).tensor, product.tensor, solved.tensor);
        run(graph);
        const Matrix given = matrix(b), right = product.matrix(), computed = solved.matrix();
        // gemm_error_ratio() of support/reference.hpp.
        results.add("Ub", (right - matrix(ub)).norm() / (system.u.norm() * given.norm()),
                    3 * std::sqrt(static_cast<double>(d + 2)) * kUnit);
        const double rows = std::max(2.0, static_cast<double>(s)), condition = condition_of(small);
        if (as_in_file && condition <= kLargestCondition)
            results.add("z", frobenius_error(solved.values(), z.values), capped(condition * rows * kUnit));
        results.add("z residual",
                    (small * computed - right).norm() / (3 * small.norm() * computed.norm() + right.norm()),
                    (rows + 4) * kUnit);
    }

    void check_low_rank(const GoldenCase& golden, GoldenResult& results) {
        const GoldenTensor u = golden.tensor("U"), b = golden.tensor("b"), y = golden.tensor("y");
        const GoldenTensor x = golden.tensor("x"), x_range = golden.tensor("x_range");
        const double lambda = golden.number("lambda");
        const std::uint64_t s = u.shape[0];
        const Matrix b64 = matrix(b), y64 = matrix(y);
        const System wanted(matrix(u), lambda);
        const double least = 4 * kEps * wanted.k.trace();
        const bool raised = lambda < least;
        for (const Refinement refinement : {Refinement::automatic, Refinement::always}) {
            Graph graph(device());
            const Result rows = place(graph, u), gram = zeros(graph, Shape{s, s});
            const Result exponents = zeros(graph, Shape{s}, DType::u32);
            const Window window{rows.tensor, gram.tensor, exponents.tensor};
            const Result solution = zeros(graph, b.shape), range = zeros(graph, b.shape);
            const Result damping = zeros(graph, Shape{1}), range_damping = zeros(graph, Shape{1});
            WoodburyOptions options{.lambda = static_cast<float>(lambda), .refinement = refinement};
            window_gram(graph, window);
            options.damping = damping.tensor;
            woodbury_solve(graph, window, place(graph, b).tensor, solution.tensor, options);
            options.damping = range_damping.tensor;
            woodbury_range(graph, window, place(graph, y).tensor, range.tensor, options);
            run(graph);
            results.add("gram", frobenius_error(gram_of(gram, exponents), golden.tensor("gram").values),
                        wanted.gram_bound());
            // In a sum of s squares, each of d products.
            const double expected_damping = raised ? least : lambda;
            for (const Result& used : {damping, range_damping})
                results.add("damping", std::abs(used.values()[0] / expected_damping - 1), 1e-5);

            const System system(wanted.u, damping.values()[0]);
            const Matrix q = solve_symmetric(system.small(), y64),
                         z = solve_symmetric(system.small(), system.u * b64);
            const Matrix exact =
                             raised ? Matrix((b64 - system.u.transpose() * z) / system.lambda) : matrix(x),
                         exact_range = raised ? system.u.transpose() * q : matrix(x_range);
            const Matrix solved = solution.matrix(), ranged = range.matrix();
            results.add("x", (solved - exact).norm() / exact.norm(),
                        capped((system.range_error(system.u * b64, z) + 50 * kEps * b64.norm()) /
                               (system.lambda * exact.norm())));
            results.add("x_range", (ranged - exact_range).norm() / exact_range.norm(),
                        capped(system.range_error(y64, q) / exact_range.norm()));
            const double norm = spectral_norm(system.u);
            // Where b is in the span of the rows it is b that has no more digits.
            if (b64.norm() <= 4 * system.lambda * exact.norm())
                results.add("x residual", (b64 - system.apply(solved)).norm(),
                            50 * kEps * (b64.norm() + (system.lambda + norm * norm) * solved.norm()));
            results.add("x_range residual", (system.u.transpose() * y64 - system.apply(ranged)).norm() / norm,
                        system.small_residual(y64, q) +
                            2 * kEps * (norm * norm + system.lambda) * system.norm_there(q));
            if (refinement == Refinement::automatic) check_small_system(golden, results, system, !raised);
        }
    }

    void check_diagonal(const GoldenCase& golden, GoldenResult& results) {
        const GoldenTensor d = golden.tensor("D"), u = golden.tensor("U"), c = golden.tensor("C");
        const GoldenTensor b = golden.tensor("b"), x = golden.tensor("x");
        const Matrix c64 = matrix(c), u64 = matrix(u);
        const bool definite = symmetric_eigen(c64).values.minCoeff() > 0;
        for (const bool claimed : {true, false}) {
            if (claimed && !definite) continue;
            Graph graph(device());
            const Result solution = zeros(graph, b.shape);
            woodbury_diagonal(graph, place(graph, d).tensor, place(graph, u).tensor, place(graph, c).tensor,
                              place(graph, b).tensor, solution.tensor, {.positive_definite = claimed});
            run(graph);
            Matrix a = u64 * c64 * u64.transpose();
            for (std::uint64_t i = 0; i < d.values.size(); ++i)
                a(static_cast<Eigen::Index>(i), static_cast<Eigen::Index>(i)) += d.values[i];
            const Matrix b64 = matrix(b), solved = solution.matrix();
            const double norm = spectral_norm(a), condition = condition_of(a);
            results.add("x", frobenius_error(solution.values(), x.values), capped(50 * kEps * condition));
            results.add("x residual", (a * solved - b64).norm(),
                        50 * kEps * (b64.norm() + std::min(condition, 100.0) * norm * solved.norm()));
        }
        check_capacitance(golden, results);
    }

    // C^-1 + U^T D^-1 U, which the solves make within themselves.
    void check_capacitance(const GoldenCase& golden, GoldenResult& results) {
        const GoldenTensor d = golden.tensor("D"), u = golden.tensor("U"), c = golden.tensor("C");
        const std::uint64_t s = c.shape[0];
        GoldenTensor scaled = u, unit{c.shape, std::vector<double>(c.values.size(), 0.0)};
        for (std::size_t i = 0; i < scaled.values.size(); ++i) scaled.values[i] /= d.values[i / s];
        for (std::uint64_t i = 0; i < s; ++i) unit.values[i * (s + 1)] = 1.0;
        Graph graph(device());
        const Result l = zeros(graph, c.shape), blocks = zeros(graph, Shape{s, 2}),
                     capacitance = zeros(graph, c.shape);
        const Result permutation = zeros(graph, Shape{s}, DType::u32);
        const LdltFactor factor{l.tensor, blocks.tensor, permutation.tensor};
        ldlt(graph, place(graph, c).tensor, factor);
        ldlt_solve(graph, factor, place(graph, unit).tensor, capacitance.tensor);
        GemmOptions options;
        options.transpose_a = Transpose::yes;
        options.beta = 1.0f;
        gemm(graph, place(graph, u).tensor, place(graph, scaled).tensor, capacitance.tensor,
             capacitance.tensor, options);
        run(graph);
        const Matrix inverted = inverse(matrix(c)), expected = matrix(golden.tensor("capacitance"));
        const double length = static_cast<double>(u.shape[0]), rows = std::max(2.0, static_cast<double>(s));
        const double inverse_error = 10 * rows * condition_of(matrix(c)) * inverted.norm();
        const double product_error =
            3 * std::sqrt(length + 2) * matrix(u).norm() * matrix(scaled).norm() + 2 * inverted.norm();
        results.add("capacitance", frobenius_error(capacitance.values(), golden.tensor("capacitance").values),
                    capped((inverse_error + product_error) * kUnit / expected.norm()));
    }

    void check_ring(const GoldenCase& golden, GoldenResult& results) {
        const std::uint64_t s = static_cast<std::uint64_t>(golden.number("m"));
        const std::uint64_t d = static_cast<std::uint64_t>(golden.number("d"));
        const int steps = static_cast<int>(golden.number("steps"));
        const double lambda = golden.number("lambda");
        for (const bool normalized : {false, true}) {
            Graph graph(device());
            const Result rows = zeros(graph, Shape{s, d}), gram = zeros(graph, Shape{s, s}),
                         x = zeros(graph, Shape{d});
            const Result exponents = zeros(graph, Shape{s}, DType::u32),
                         slot = zeros(graph, Shape{1}, DType::u32);
            const Result g = zeros(graph, Shape{d});
            const Tensor newest = graph.temporary(DType::f32, Shape{s});
            const Window window{rows.tensor, gram.tensor, exponents.tensor, normalized};
            window_push(graph, window, g.tensor, slot.tensor, {.newest = newest});
            woodbury_range(graph, window, newest, x.tensor, {.lambda = static_cast<float>(lambda)});
            Plan plan = graph.compile({.name = "woodbury golden"});
            plan.allocate();
            for (int step = 1; step <= steps; ++step) {
                const std::string t = "." + std::to_string(step);
                g.buffer->write(golden.tensor("g" + t).floats());
                plan.run();
                if (!golden.has_tensor("gram" + t)) continue;
                // The newest row of the window: x = A^-1 U^T y for its unit vector.
                const Matrix u = rows_of(rows, exponents, normalized);
                const double least = 4 * kEps * u.squaredNorm();
                const System system(u, std::max(lambda, least));
                results.add("gram" + t,
                            frobenius_error(gram_of(gram, exponents), golden.tensor("gram" + t).values),
                            system.gram_bound());
                Matrix y = Matrix::Zero(u.rows(), 1);
                y(static_cast<Eigen::Index>((static_cast<std::uint64_t>(step) - 1) % s), 0) = 1;
                const GoldenTensor file = golden.tensor("x" + t);
                const Matrix q = solve_symmetric(system.small(), y);
                const Matrix expected = lambda < least ? u.transpose() * q : matrix(file);
                results.add("x" + t, (x.matrix() - expected).norm() / expected.norm(),
                            capped(system.range_error(y, q) / expected.norm()));
                if (!normalized) check_factor(golden, results, t, gram_of(gram, exponents), lambda);
            }
        }
    }
    static Matrix rows_of(const Result& rows, const Result& exponents, bool normalized) {
        Matrix u = rows.matrix();
        const std::vector<std::int32_t> e = exponents.buffer->read<std::int32_t>();
        for (Eigen::Index i = 0; normalized && i < u.rows(); ++i)
            u.row(i) *= std::ldexp(1.0, e[static_cast<std::size_t>(i)]);
        return u;
    }
    // The Cholesky factor of the window's Gram matrix plus lambda.
    void check_factor(const GoldenCase& golden, GoldenResult& results, const std::string& t,
                      const std::vector<double>& gram, double lambda) {
        const GoldenTensor expected = golden.tensor("chol" + t);
        GoldenTensor system{expected.shape, gram};
        for (std::uint64_t i = 0; i < system.shape[0]; ++i)
            system.values[i * (system.shape[0] + 1)] += lambda;
        Graph graph(device());
        const Result factor = zeros(graph, system.shape);
        cholesky(graph, place(graph, system).tensor, factor.tensor);
        run(graph);
        const Matrix l = factor.matrix(), a = matrix(system);
        const double rows = std::max(2.0, static_cast<double>(l.rows())), condition = condition_of(a);
        if (condition <= kLargestCondition)
            results.add("chol" + t, frobenius_error(factor.values(), expected.values),
                        capped(condition * rows * kUnit));
        results.add("chol" + t + " residual", (a - l * l.transpose()).norm() / a.norm(),
                    rows * kEps + kDivisions);
    }

    // Changed Cholesky factors. A downdate takes 1 - |L^-1 w|^2 of the smallest that is left, which magnifies
    // rounding errors by as much; in one of them hardly anything is left.
    void check_cholesky_changes(const GoldenCase& golden, GoldenResult& results) {
        const GoldenTensor l = golden.tensor("L"), a = golden.tensor("A"),
                           replaced = golden.tensor("A_replaced");
        const std::uint64_t n = l.shape[0],
                            index = static_cast<std::uint64_t>(golden.number("replaced_index"));
        GoldenTensor column{Shape{n}, std::vector<double>(n)};
        for (std::uint64_t i = 0; i < n; ++i) column.values[i] = replaced.values[i * n + index];
        Graph graph(device());
        const Result factor = zeros(graph, a.shape), up = place(graph, l), down = place(graph, l),
                     near = place(graph, l), changed = place(graph, l);
        GuardedBuffer& row = guarded(std::vector<std::uint32_t>{static_cast<std::uint32_t>(index)});
        cholesky(graph, place(graph, a).tensor, factor.tensor);
        cholesky_update(graph, up.tensor, place(graph, golden.tensor("v")).tensor);
        cholesky_downdate(graph, down.tensor, place(graph, golden.tensor("w")).tensor);
        cholesky_downdate(graph, near.tensor, place(graph, golden.tensor("w_near")).tensor);
        cholesky_replace_row(graph, changed.tensor, graph.external(name(), row.view(DType::u32, Shape{1})),
                             place(graph, column).tensor);
        run(graph);
        const Matrix l64 = matrix(l), a64 = matrix(a), changed64 = matrix(replaced);
        const double n2 = std::max(2.0, static_cast<double>(n));
        // `left` of the smallest eigenvalue. The residual is relative to what the change begins with.
        const auto add = [&](const char* what, const Result& result, const Matrix& of, double left) {
            const Matrix computed = result.matrix();
            const double condition = std::max(condition_of(a64), condition_of(changed64));
            results.add(what, frobenius_error(result.values(), golden.tensor(what).values),
                        capped(8 * kEps * condition / left));
            results.add(std::string(what) + " residual", (of - computed * computed.transpose()).norm(),
                        8 * n2 * kEps * std::max(a64.norm(), of.norm()));
        };
        const auto downdate = [&](const char* what, const Result& result, const char* vector) {
            const Matrix w = matrix(golden.tensor(vector));
            add(what, result, a64 - w * w.transpose(), 1 - (inverse(l64) * w).squaredNorm());
        };
        const Matrix v = matrix(golden.tensor("v"));
        add("L", factor, a64, 1);
        add("L_up", up, a64 + v * v.transpose(), 1);
        downdate("L_down", down, "w");
        downdate("L_down_near", near, "w_near");
        add("L_replaced", changed, changed64, 1);
    }

private:
    std::string name() { return "tensor" + std::to_string(names_++); }
    int names_ = 0;
};

TEST_P(WoodburyGoldenTest, EveryFile) {
    run_golden("woodbury", GetParam().name, [&](const GoldenCase& golden, GoldenResult& results) {
        if (golden.has_tensor("x_range")) check_low_rank(golden, results);
        if (golden.has_tensor("D")) check_diagonal(golden, results);
        if (golden.has("steps")) check_ring(golden, results);
        if (golden.has_tensor("L_up")) check_cholesky_changes(golden, results);
        for (const char* key : {"m", "d", "n"})
            if (golden.has(key)) golden.is_null(key);
    });
}

HERON_DEVICE_TESTS(WoodburyGoldenTest);

}  // namespace
}  // namespace heron::test

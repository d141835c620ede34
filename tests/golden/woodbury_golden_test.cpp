// SPDX-License-Identifier: MIT
// Woodbury solves, gradient windows and changed Cholesky factors against float64.
//
// Bounds of solutions are those of the residuals (tests/linalg/woodbury_test.cpp) times the largest that the
// inverse can make of them: 1 / lambda for b - A x, 1 / (2 sqrt(lambda)) for the small system of the range
// form.
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

class WoodburyGoldenTest : public DeviceTest {
protected:
    struct Result {
        GuardedBuffer* buffer;
        Tensor tensor;
        std::vector<double> values() const {
            const std::vector<float> floats = buffer->floats();
            return {floats.begin(), floats.end()};
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
    static double solve_bound(double lambda, const Matrix& u, double b, double x) {
        const double norm = spectral_norm(u);
        return 50 * kEps * (b + (lambda + norm * norm) * x) / (lambda * x);
    }
    static double norm(const std::vector<double>& x) {
        double sum = 0;
        for (const double value : x) sum += value * value;
        return std::sqrt(sum);
    }

    void check_low_rank(const GoldenCase& golden, GoldenResult& results) {
        const GoldenTensor u = golden.tensor("U"), b = golden.tensor("b"), y = golden.tensor("y");
        const GoldenTensor x = golden.tensor("x"), x_range = golden.tensor("x_range");
        const double lambda = golden.number("lambda");
        const std::uint64_t s = u.shape[0];
        for (const Refinement refinement : {Refinement::automatic, Refinement::always}) {
            Graph graph(device());
            const Result rows = place(graph, u), gram = zeros(graph, Shape{s, s});
            const Result exponents = zeros(graph, Shape{s}, DType::u32);
            const Window window{rows.tensor, gram.tensor, exponents.tensor};
            const Result solution = zeros(graph, b.shape), range = zeros(graph, b.shape);
            const WoodburyOptions options{.lambda = static_cast<float>(lambda), .refinement = refinement};
            window_gram(graph, window);
            woodbury_solve(graph, window, place(graph, b).tensor, solution.tensor, options);
            woodbury_range(graph, window, place(graph, y).tensor, range.tensor, options);
            run(graph);
            const Matrix u64 = matrix(u), k = u64 * u64.transpose();
            results.add("gram", frobenius_error(gram_of(gram, exponents), golden.tensor("gram").values),
                        1e-6);
            results.add("x", frobenius_error(solution.values(), x.values),
                        solve_bound(lambda, u64, norm(b.values), norm(x.values)));
            Matrix system = k;
            system.diagonal().array() += lambda;
            const Matrix right = matrix_of(y.values, s, 1), q = solve_symmetric(system, right);
            results.add("x_range", frobenius_error(range.values(), x_range.values),
                        20 * kEps * std::sqrt(static_cast<double>(s)) * (right.norm() + k.norm() * q.norm()) /
                            (2 * std::sqrt(lambda) * norm(x_range.values)));
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
            const double condition = spectral_norm(a) * spectral_norm(inverse(a));
            results.add("x", frobenius_error(solution.values(), x.values), 50 * kEps * condition);
        }
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
                results.add("gram" + t,
                            frobenius_error(gram_of(gram, exponents), golden.tensor("gram" + t).values),
                            1e-6);
                results.add("x" + t, frobenius_error(x.values(), golden.tensor("x" + t).values), 2e-5);
                golden.ignore("chol" + t);  // of the Gram matrix plus lambda; x is made of it
            }
        }
    }

    // Changed Cholesky factors; the last downdate leaves a matrix with 2e-4 of its smallest eigenvalue.
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
        const auto add = [&](const char* what, const Result& result, double bound) {
            results.add(what, frobenius_error(result.values(), golden.tensor(what).values), bound);
        };
        const double condition = std::pow(spectral_norm(matrix(l)) * spectral_norm(inverse(matrix(l))), 2);
        const double bound = 8 * kEps * condition;
        add("L", factor, bound);
        add("L_up", up, bound);
        add("L_down", down, 10 * bound);
        add("L_replaced", changed, 10 * bound);
        add("L_down_near", near, bound / 2e-4);
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
        for (const char* tensor : {"Ub", "z", "capacitance"}) golden.ignore(tensor);  // within the operations
    });
}

HERON_DEVICE_TESTS(WoodburyGoldenTest);

}  // namespace
}  // namespace heron::test

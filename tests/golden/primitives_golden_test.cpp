// SPDX-License-Identifier: MIT
// Dense primitives against float64 LAPACK: each file has the tensors of one matrix; each block below takes
// those of one family of operations. Tensors that nothing here computes are named at the end.
//
// Bounds: a factor, root or solution of a matrix with condition number kappa has a relative error of a modest
// multiple of kappa n u in float32 whatever one does; what is smaller than that is not asked for.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "heron/heron.hpp"
#include "support/device_fixture.hpp"
#include "support/golden.hpp"
#include "support/polar_reference.hpp"

namespace heron::test {
namespace {

const std::string kRoot = "inv_root_";  // and p

class PrimitivesGoldenTest : public DeviceTest {
protected:
    // Inputs and results of one operation after the other, each in a plan of its own.
    Tensor input(Graph& graph, const std::string& name, const GoldenTensor& tensor) {
        return graph.external(name, guarded(tensor.floats()).view(DType::f32, tensor.shape));
    }
    struct Result {
        GuardedBuffer* buffer;
        Tensor tensor;
        std::vector<double> values() const {
            const std::vector<float> floats = buffer->floats();
            return {floats.begin(), floats.end()};
        }
    };
    Result result(Graph& graph, const std::string& name, const Shape& shape) {
        GuardedBuffer& buffer = guarded(shape.count() * sizeof(float));
        return {&buffer, graph.external(name, buffer.view(DType::f32, shape))};
    }
    static void run(const Graph& graph) {
        Plan plan = graph.compile({.name = "primitives golden"});
        plan.allocate();
        plan.run();
    }

    // Cholesky factor, solution and inverse of a symmetric positive definite matrix.
    void check_positive_definite(const GoldenCase& golden, GoldenResult& results) {
        const GoldenTensor a = golden.tensor("a"), b = golden.tensor("b");
        const double n = static_cast<double>(a.shape[0]);
        const double condition = 1.0 / golden.number("smallest_over_largest");
        Graph graph(device());
        const Tensor ta = input(graph, "a", a), tb = input(graph, "b", b);
        const Result factor = result(graph, "factor", a.shape), solution = result(graph, "x", b.shape),
                     inverse = result(graph, "inverse", a.shape);
        cholesky(graph, ta, factor.tensor);
        spd_solve(graph, ta, tb, solution.tensor);
        spd_inverse(graph, ta, inverse.tensor);
        run(graph);
        // A itself is rounded to float32, which moves the results as much as the operations do.
        const double bound = condition * std::max(n, 2.0) * 0x1p-24;
        // Vulkan allows a division 5 u: root and division twice, and a product, decide for small matrices.
        const double solved = bound + 13 * 0x1p-24;
        results.add("cholesky_L", frobenius_error(factor.values(), golden.tensor("cholesky_L").values),
                    bound);
        results.add("solve_b", frobenius_error(solution.values(), golden.tensor("solve_b").values), solved);
        if (golden.has_tensor("inv_root_1"))
            results.add("inv_root_1", frobenius_error(inverse.values(), golden.tensor("inv_root_1").values),
                        solved);
    }

    // Roots by every method: Newton in one workgroup and by products, Denman-Beavers, Newton-Schulz.
    void check_roots(const GoldenCase& golden, GoldenResult& results) {
        const std::vector<std::string> names = golden.tensor_names();
        const bool any = std::any_of(names.begin(), names.end(), [](const std::string& name) {
            return name.starts_with(kRoot) || name == "sqrt";
        });
        if (!any) return;
        const GoldenTensor a = golden.tensor("a");
        const double n = static_cast<double>(a.shape[0]);
        const double eps = golden.has("eps") ? golden.number("eps") : 0.0;
        double trace = 0;
        for (std::uint64_t i = 0; i < a.shape[0]; ++i) trace += a.values[i * (a.shape[0] + 1)];
        const double condition =
            golden.has("eps") ? trace / eps : 1.0 / golden.number("smallest_over_largest");
        std::set<std::uint32_t> orders;
        for (const std::string& name : names)
            if (name.starts_with(kRoot))
                orders.insert(static_cast<std::uint32_t>(std::stoul(name.substr(kRoot.size()))));
        if (golden.has_tensor("sqrt")) orders.insert(2);  // comes with it
        for (const std::uint32_t p : orders)
            for (const RootMethod method :
                 {RootMethod::newton, RootMethod::denman_beavers, RootMethod::newton_schulz})
                for (const bool small : {true, false}) {
                    if (method != RootMethod::newton && (p != 2 || small)) continue;
                    Graph graph(device());
                    const Result root = result(graph, "root", a.shape),
                                 square = result(graph, "sqrt", a.shape);
                    GuardedBuffer& used = guarded(sizeof(std::uint32_t));
                    InverseRootOptions options{.p = p,
                                               .damping = {.absolute = static_cast<float>(eps)},
                                               .method = method,
                                               .one_workgroup = small};
                    options.iterations_used = graph.external("used", used.view(DType::u32, Shape{1}));
                    const bool both = method != RootMethod::newton && golden.has_tensor("sqrt");
                    if (both) options.square_root = square.tensor;
                    inverse_root(graph, input(graph, "a", a), root.tensor, options);
                    run(graph);
                    // heron/linalg/inverse_root.hpp: a residual of n kappa u, for p > 4 times p / 2, is p
                    // times the error of the root. Each iteration rounds X by up to 4 u. The result is
                    // rounded, too.
                    const double rounding = 4.0 * used.read<std::uint32_t>()[0] + 1;
                    const double share = p > 4 ? 0.5 : 1.0 / p;
                    const std::string name = kRoot + std::to_string(p);
                    if (golden.has_tensor(name))
                        results.add(name + " " + to_string(method),
                                    frobenius_error(root.values(), golden.tensor(name).values),
                                    (condition * std::max(n, 2.0) * share + rounding) * 0x1p-24);
                    if (both)
                        results.add("sqrt", frobenius_error(square.values(), golden.tensor("sqrt").values),
                                    (std::sqrt(condition) * std::max(n, 2.0) + rounding) * 0x1p-24);
                }
    }

    // The inverse of A + eps I, which is the square of the file's inverse square root.
    void check_damped_inverse(const GoldenCase& golden, GoldenResult& results) {
        GoldenTensor a = golden.tensor("a");
        const double eps = golden.number("eps"), n = static_cast<double>(a.shape[0]);
        const std::uint64_t order = a.shape[0];
        double trace = 0;
        for (std::uint64_t i = 0; i < order; ++i) {
            trace += a.values[i * (order + 1)];
            a.values[i * (order + 1)] += eps;
        }
        Graph graph(device());
        const Result inverse = result(graph, "inverse", a.shape);
        spd_inverse(graph, input(graph, "a", a), inverse.tensor);
        run(graph);
        const auto root = matrix_of(golden.tensor("inv_root_2").values, order, order);
        const Matrix expected = root * root;
        results.add(
            "inv_root_2 squared",
            frobenius_error(inverse.values(), {expected.data(), static_cast<std::size_t>(expected.size())}),
            (trace / eps) * n * 0x1p-24);
    }

    // (X^T X / N + damping I)^-1 G by way of the n x n matrix, and its inverse.
    void check_damped_gram(const GoldenCase& golden, GoldenResult& results) {
        const GoldenTensor x = golden.tensor("x"), g = golden.tensor("g");
        const std::uint64_t count = x.shape[0], n = x.shape[1];
        const double damping = golden.number("damping");
        GoldenTensor unit{Shape{n, n}, std::vector<double>(n * n, 0.0)};
        double trace = 0;
        for (const double value : x.values) trace += value * value / static_cast<double>(count);
        for (std::uint64_t i = 0; i < n; ++i) unit.values[i * (n + 1)] = damping;
        Graph graph(device());
        const Tensor tx = input(graph, "x", x), tg = input(graph, "g", g);
        const Tensor damped = input(graph, "damped", unit);
        const Result gram = result(graph, "gram", Shape{count, count});
        const Result inverse = result(graph, "inverse", Shape{n, n}), solution = result(graph, "y", g.shape);
        syrk(graph, tx, {}, gram.tensor);
        GemmOptions average;
        average.transpose_a = Transpose::yes;
        average.alpha = 1.0f / static_cast<float>(count);
        average.beta = 1.0f;
        syrk(graph, tx, damped, damped, average);
        spd_inverse(graph, damped, inverse.tensor);
        spd_solve(graph, damped, tg, solution.tensor);
        run(graph);
        const double bound = (trace / damping) * static_cast<double>(n) * 0x1p-24;
        const GoldenTensor small = golden.tensor("small_gram");
        results.add("small_gram", frobenius_error(gram.values(), golden.tensor("small_gram").values), 1e-6);
        results.add("woodbury_solution",
                    frobenius_error(solution.values(), golden.tensor("woodbury_solution").values), bound);
    }

    // The same by way of the N x N matrix, which has a factor of |X|^2 / (N damping) less to lose; and an
    // inverse after a rank-one change.
    void check_woodbury(const GoldenCase& golden, GoldenResult& results) {
        const GoldenTensor x = golden.tensor("x"), g = golden.tensor("g"),
                           before = golden.tensor("inverse_before");
        const std::uint64_t count = x.shape[0], n = x.shape[1], columns = g.shape[1];
        const double damping = golden.number("damping"), gamma = golden.number("gamma");
        GoldenTensor u = golden.tensor("u");
        u.shape = Shape{n, 1};
        Graph graph(device());
        const Tensor rows = input(graph, "x", x);
        const Window window{rows, result(graph, "gram", Shape{count, count}).tensor,
                            graph.temporary(DType::u32, Shape{count})};
        window_gram(graph, window);
        std::vector<Result> solutions;
        for (std::uint64_t c = 0; c < columns; ++c) {
            GoldenTensor b{Shape{n}, std::vector<double>(n)};
            for (std::uint64_t i = 0; i < n; ++i) b.values[i] = g.values[i * columns + c];
            solutions.push_back(result(graph, "y" + std::to_string(c), Shape{n}));
            woodbury_solve(
                graph, window, input(graph, "g" + std::to_string(c), b), solutions.back().tensor,
                {.lambda = static_cast<float>(damping), .weight = 1.0f / static_cast<float>(count)});
        }
        GuardedBuffer& inverse = guarded(before.floats());
        const Tensor after = graph.external("after", inverse.view(DType::f32, before.shape));
        update_inverse(graph, after, input(graph, "u", u),
                       {.gamma = static_cast<float>(gamma), .beta = static_cast<float>(1 - gamma)});
        run(graph);
        double trace = 0;
        for (const double value : x.values) trace += value * value / static_cast<double>(count);
        const GoldenTensor expected = golden.tensor("woodbury_solution");
        std::vector<double> solution(n * columns);
        for (std::uint64_t c = 0; c < columns; ++c)
            for (std::uint64_t i = 0; i < n; ++i) solution[i * columns + c] = solutions[c].values()[i];
        results.add("woodbury_solve", frobenius_error(solution, expected.values),
                    (trace / damping) * 0x1p-24);
        const std::vector<float> floats = inverse.floats();
        results.add("inverse_after",
                    frobenius_error(std::vector<double>(floats.begin(), floats.end()),
                                    golden.tensor("inverse_after").values),
                    8 * static_cast<double>(n) * 0x1p-24);
    }

    void check_norm(const GoldenCase& golden, GoldenResult& results) {
        const GoldenTensor a = golden.tensor("a");
        Graph graph(device());
        const Result norm = result(graph, "norm", Shape{1});
        frobenius_norm(graph, input(graph, "a", a), norm.tensor);
        run(graph);
        double squares = 0;
        for (const double value : golden.tensor("singular_values").values) squares += value * value;
        const double expected[] = {std::sqrt(squares)};
        results.add("norm", frobenius_error(norm.values(), expected), 1e-6);
    }

    // Unique because R's diagonal is positive; both methods.
    void check_qr(const GoldenCase& golden, GoldenResult& results) {
        const GoldenTensor a = golden.tensor("a"), q = golden.tensor("q"), r = golden.tensor("r");
        const double bound = golden.number("cond") * static_cast<double>(a.shape[1]) * 0x1p-24;
        for (const QrMethod method : {QrMethod::householder, QrMethod::cholesky}) {
            Graph graph(device());
            const Result rq = result(graph, "q", q.shape), rr = result(graph, "r", r.shape);
            qr(graph, input(graph, "a", a), rq.tensor, rr.tensor, {.method = method});
            run(graph);
            results.add("q", frobenius_error(rq.values(), q.values), bound);
            results.add("r", frobenius_error(rr.values(), r.values), bound);
        }
    }
};

TEST_P(PrimitivesGoldenTest, EveryFile) {
    run_golden("primitives", GetParam().name, [&](const GoldenCase& golden, GoldenResult& results) {
        if (golden.has_tensor("cholesky_L")) check_positive_definite(golden, results);
        if (golden.has("eps") && golden.has_tensor("inv_root_2")) check_damped_inverse(golden, results);
        check_roots(golden, results);
        if (golden.has("damping")) check_damped_gram(golden, results);
        if (golden.has("gamma")) check_woodbury(golden, results);
        if (golden.has_tensor("singular_values")) check_norm(golden, results);
        if (golden.has_tensor("q")) check_qr(golden, results);
        // What matrices were made with.
        for (const char* key : {"n", "m", "N", "rank", "cond", "scale", "spectrum"})
            if (golden.has(key)) golden.is_null(key);
        // spectral_golden_test compares these.
        for (const char* tensor : {"eig_ascending", "polar"}) golden.ignore(tensor);
    });
}

HERON_DEVICE_TESTS(PrimitivesGoldenTest);

}  // namespace
}  // namespace heron::test

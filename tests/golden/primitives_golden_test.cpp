// SPDX-License-Identifier: MIT
// Dense primitives against float64 LAPACK: each file has the tensors of one matrix; each block below takes
// those of one family of operations. Tensors that nothing here computes are named at the end.
//
// Bounds: a factor, root or solution of a matrix with condition number kappa has a relative error of a modest
// multiple of kappa n u in float32 whatever one does; what is smaller than that is not asked for. That is the
// worst case, which is never met: from 1 % on the bound is capped. Above kappa = 1e4 rounding the matrix to
// float32 alone moves the file's results by about kappa u: there the results are those of the rounded matrix
// in float64, to a tenth. Residuals (specification section 11.13) hold for every kappa.
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
constexpr double kUnit = 0x1p-24;
constexpr double kEps = 0x1p-23;
// Vulkan allows a division 5 u: a root and a division or two, and a product, decide for small matrices.
constexpr double kDivisions = 13 * kUnit;
constexpr double kLargestCondition = 1e4;  // up to which results are the file's

// Of a result's relative error.
double value_bound(double condition, double n, double share = 1.0) {
    return std::min(condition * std::max(n, 2.0) * share * kUnit,
                    condition <= kLargestCondition ? 0.01 : 0.1) +
           kDivisions;
}

Matrix matrix(const GoldenTensor& tensor) {
    return matrix_of(tensor.values, tensor.shape[0], tensor.values.size() / tensor.shape[0]);
}
// As the device has it.
Matrix rounded_matrix(const GoldenTensor& tensor) {
    const std::vector<float> floats = tensor.floats();
    const std::vector<double> values(floats.begin(), floats.end());
    return matrix_of(values, tensor.shape[0], values.size() / tensor.shape[0]);
}
Matrix identity(const Matrix& like) { return Matrix::Identity(like.rows(), like.rows()); }
double norm1(const Matrix& a) { return a.cwiseAbs().colwise().sum().maxCoeff(); }
// X^exponent of a symmetric positive definite matrix.
Matrix power_of(const Matrix& a, double exponent) {
    const SymmetricEigen eigen = symmetric_eigen(a);
    return eigen.vectors * eigen.values.array().pow(exponent).matrix().asDiagonal() *
           eigen.vectors.transpose();
}

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
        Matrix matrix() const {
            return matrix_of(values(), tensor.shape[0], tensor.shape.count() / tensor.shape[0]);
        }
    };
    // The file's result up to a condition number of 1e4, beyond it `rounded`, which is that of the rounded
    // matrix.
    template <typename Rounded>
    static double error(const Result& computed, const GoldenTensor& expected, double condition,
                        const Rounded& rounded) {
        const Matrix value = computed.matrix();
        const Matrix right = condition <= kLargestCondition ? matrix(expected) : Matrix(rounded());
        return (value - right).norm() / right.norm();
    }
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
        const Matrix a32 = rounded_matrix(a), b32 = rounded_matrix(b);
        const Matrix l = factor.matrix(), x = solution.matrix(), inverted = inverse.matrix();
        const double bound = value_bound(condition, n), rows = std::max(n, 2.0);
        results.add(
            "cholesky_L",
            error(factor, golden.tensor("cholesky_L"), condition, [&] { return cholesky_factor(a32); }),
            bound);
        results.add("cholesky_L residual", (a32 - l * l.transpose()).norm() / a32.norm(),
                    rows * kEps + kDivisions);
        results.add(
            "solve_b",
            error(solution, golden.tensor("solve_b"), condition, [&] { return solve_symmetric(a32, b32); }),
            bound);
        // heron/linalg/spd.hpp, for each column; 4 for divisions and roots.
        for (Eigen::Index c = 0; c < x.cols(); ++c)
            results.add(
                "solve_b residual",
                (a32 * x.col(c) - b32.col(c)).norm() / (3 * a32.norm() * x.col(c).norm() + b32.col(c).norm()),
                (rows + 4) * kUnit);
        if (golden.has_tensor("inv_root_1"))
            results.add(
                "inv_root_1",
                error(inverse, golden.tensor("inv_root_1"), condition, [&] { return test::inverse(a32); }),
                bound);
        results.add("inverse residual",
                    norm1(identity(a32) - a32 * inverted) / (norm1(a32) * norm1(inverted)), 10 * rows * kEps);
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
                    const double rounding = (4.0 * used.read<std::uint32_t>()[0] + 1) * kUnit;
                    const double times = p > 4 ? 0.5 * p : 1.0;
                    const std::string name = kRoot + std::to_string(p);
                    Matrix damped = rounded_matrix(a);
                    damped.diagonal().array() += static_cast<double>(static_cast<float>(eps));
                    if (golden.has_tensor(name)) {
                        const std::string what = name + " " + to_string(method);
                        results.add(what,
                                    error(root, golden.tensor(name), condition,
                                          [&] { return power_of(damped, -1.0 / p); }),
                                    value_bound(condition, n, times / p) + rounding);
                        const Matrix x = root.matrix();
                        Matrix residual = damped;
                        for (std::uint32_t i = 0; i < p; ++i) residual = x * residual;
                        results.add(what + " residual", (residual - identity(damped)).norm(),
                                    std::max(n, 2.0) * (condition * times * kEps + p * rounding));
                    }
                    if (both) {
                        const Matrix y = square.matrix();
                        results.add("sqrt", frobenius_error(square.values(), golden.tensor("sqrt").values),
                                    value_bound(std::sqrt(condition), n) + rounding);
                        // Twice the root's error: it comes from an iteration, not from a factorisation.
                        results.add("sqrt residual", (y * y - damped).norm() / damped.norm(),
                                    2 * (std::sqrt(condition) * std::max(n, 2.0) * kUnit + rounding));
                    }
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
        const double condition = trace / eps + 1;
        const Matrix a32 = rounded_matrix(a), root = matrix(golden.tensor("inv_root_2")),
                     computed = inverse.matrix();
        const Matrix expected = condition <= kLargestCondition ? root * root : test::inverse(a32);
        results.add("inv_root_2 squared", (computed - expected).norm() / expected.norm(),
                    value_bound(condition, n));
        results.add("inverse residual",
                    norm1(identity(a32) - a32 * computed) / (norm1(a32) * norm1(computed)),
                    10 * std::max(n, 2.0) * kEps);
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
        // gemm_error_ratio() of support/reference.hpp, and that x is rounded.
        const Matrix x32 = rounded_matrix(x), g32 = rounded_matrix(g);
        const GoldenTensor small = golden.tensor("small_gram");
        results.add("small_gram", frobenius_error(gram.values(), small.values),
                    (3 * std::sqrt(static_cast<double>(n + 2)) + 2) * kUnit * x32.squaredNorm() /
                        matrix(small).norm());
        // The n x n matrix has rounding errors of some u |A|, also where damping is all that it has: hardly a
        // digit of the solution is left below this. The one by way of the N x N matrix is checked even so.
        if (damping < 16 * kEps * trace) return;
        const double condition = trace / damping + 1;
        results.add("woodbury_solution",
                    error(solution, golden.tensor("woodbury_solution"), condition,
                          [&] { return damped_solution(x32, g32, damping); }),
                    value_bound(condition, static_cast<double>(n)));
        add_damped_residual(results, "woodbury_solution residual", x32, g32, damping, solution.matrix());
        const Matrix system = damped_system(x32, damping), inverted = inverse.matrix();
        results.add("inverse residual",
                    norm1(identity(system) - system * inverted) / (norm1(system) * norm1(inverted)),
                    10 * std::max(2.0, static_cast<double>(n)) * kEps);
    }
    // X^T X / N + damping I, and (that)^-1 G.
    static Matrix damped_system(const Matrix& x, double damping) {
        Matrix system = x.transpose() * x / static_cast<double>(x.rows());
        system.diagonal().array() += damping;
        return system;
    }
    static Matrix damped_solution(const Matrix& x, const Matrix& g, double damping) {
        return solve_symmetric(damped_system(x, damping), g);
    }
    static void add_damped_residual(GoldenResult& results, const char* what, const Matrix& x, const Matrix& g,
                                    double damping, const Matrix& y) {
        const double n = std::max(2.0, static_cast<double>(x.cols()));
        const double size = damping + x.squaredNorm() / static_cast<double>(x.rows());
        results.add(what, (damped_system(x, damping) * y - g).norm() / (size * y.norm()), 10 * n * kEps);
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
        std::vector<Result> solutions, dampings;
        for (std::uint64_t c = 0; c < columns; ++c) {
            GoldenTensor b{Shape{n}, std::vector<double>(n)};
            for (std::uint64_t i = 0; i < n; ++i) b.values[i] = g.values[i * columns + c];
            solutions.push_back(result(graph, "y" + std::to_string(c), Shape{n}));
            dampings.push_back(result(graph, "damping" + std::to_string(c), Shape{1}));
            WoodburyOptions options{.lambda = static_cast<float>(damping),
                                    .weight = 1.0f / static_cast<float>(count)};
            options.damping = dampings.back().tensor;
            woodbury_solve(graph, window, input(graph, "g" + std::to_string(c), b), solutions.back().tensor,
                           options);
        }
        GuardedBuffer& inverse = guarded(before.floats());
        const Tensor after = graph.external("after", inverse.view(DType::f32, before.shape));
        update_inverse(graph, after, input(graph, "u", u),
                       {.gamma = static_cast<float>(gamma), .beta = static_cast<float>(1 - gamma)});
        run(graph);
        const Matrix x32 = rounded_matrix(x), g32 = rounded_matrix(g);
        // Below 4 eps tr A, damping is raised to that (woodbury-lowrank-family.md, 2.2): the solution is that
        // one's.
        const double trace = x32.squaredNorm() / static_cast<double>(count);
        const double used = std::max(damping, 4 * kEps * trace), condition = trace / used + 1;
        for (const Result& of_column : dampings)
            results.add("woodbury_solve damping", std::abs(of_column.values()[0] / used - 1), 1e-5);
        const GoldenTensor file = golden.tensor("woodbury_solution");
        const Matrix expected =
            condition <= kLargestCondition ? matrix(file) : damped_solution(x32, g32, used);
        Matrix solution(expected.rows(), expected.cols());
        for (std::uint64_t c = 0; c < columns; ++c)
            solution.col(static_cast<Eigen::Index>(c)) = solutions[c].matrix();
        // Of the small system, which has the large eigenvalues alone: without n.
        results.add("woodbury_solve", (solution - expected).norm() / expected.norm(),
                    value_bound(condition, 1.0));
        add_damped_residual(results, "woodbury_solve residual", x32, g32, used, solution);
        const std::vector<float> floats = inverse.floats();
        const GoldenTensor changed = golden.tensor("inverse_after");
        // Errors are relative to P / gamma, from which the change is subtracted.
        const double size = matrix(before).norm() / (gamma * matrix(changed).norm());
        results.add("inverse_after",
                    frobenius_error(std::vector<double>(floats.begin(), floats.end()), changed.values),
                    8 * std::max(static_cast<double>(n), 2.0) * kUnit * std::max(size, 1.0) + kDivisions);
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
        // A sum in a tree, whose error a root halves; the root itself; A is rounded.
        const double levels =
            std::ceil(std::log2(std::max<double>(2.0, static_cast<double>(a.values.size()))));
        results.add("norm", frobenius_error(norm.values(), expected), levels * kUnit + kDivisions);
    }

    // Unique because R's diagonal is positive; both methods.
    void check_qr(const GoldenCase& golden, GoldenResult& results) {
        const GoldenTensor a = golden.tensor("a"), q = golden.tensor("q"), r = golden.tensor("r");
        const double condition = golden.number("cond"), n = std::max(2.0, static_cast<double>(a.shape[1]));
        const double bound = value_bound(condition, n);
        const Matrix a32 = rounded_matrix(a);
        const auto exact_r = [&] { return Matrix(cholesky_factor(a32.transpose() * a32).transpose()); };
        for (const QrMethod method : {QrMethod::householder, QrMethod::cholesky}) {
            Graph graph(device());
            const Result rq = result(graph, "q", q.shape), rr = result(graph, "r", r.shape);
            qr(graph, input(graph, "a", a), rq.tensor, rr.tensor, {.method = method});
            run(graph);
            results.add("q", error(rq, q, condition, [&] { return a32 * test::inverse(exact_r()); }), bound);
            results.add("r", error(rr, r, condition, exact_r), bound);
            const Matrix orthogonal = rq.matrix(), upper = rr.matrix();
            results.add("q r residual", (a32 - orthogonal * upper).norm() / a32.norm(),
                        4 * n * kUnit + kDivisions);
            results.add(
                "orthogonality",
                (orthogonal.transpose() * orthogonal - Matrix::Identity(upper.rows(), upper.rows())).norm(),
                (4 * n + 2 * std::sqrt(static_cast<double>(a.shape[0]))) * kUnit + 2 * kDivisions);
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

// SPDX-License-Identifier: MIT
// Aggregators of Jacobians against float64, on every device.
#include <heron/aggregate.hpp>
#include <heron/optim/adamw.hpp>
#include <heron/train.hpp>

#include "aggregate/reference_aggregate.hpp"
#include "linalg/linalg_test.hpp"
#include "support/commands.hpp"

namespace heron::test {
namespace {

constexpr double kRegEps = 1e-4f, kNormEps = 1e-4f;

// A Jacobian in guarded memory, and all that is known about its aggregate.
struct PlacedJacobian {
    std::vector<Placed> rows, gradients;
    std::vector<JacobianPart> parts;
    Words weights, status, residual;
    Placed gram;

    AggregateOutputs outputs() const { return {weights.tensor, gram.tensor, status.tensor, residual.tensor}; }
    std::uint64_t objectives() const { return rows[0].rows; }
    // All parts side by side, as placed.
    Matrix matrix() const {
        Eigen::Index cols = 0;
        for (const Placed& part : rows) cols += part.items[0].cols();
        Matrix j(rows[0].items[0].rows(), cols);
        cols = 0;
        for (const Placed& part : rows) {
            j.middleCols(cols, part.items[0].cols()) = part.items[0];
            cols += part.items[0].cols();
        }
        return j;
    }
    Vector aggregate() const {
        Eigen::Index cols = 0;
        for (const Placed& part : gradients) cols += part.items[0].cols();
        Vector all(cols);
        cols = 0;
        for (const Placed& part : gradients) {
            const Matrix values = part.read()[0];
            all.segment(cols, values.cols()) = values.row(0).transpose();
            cols += values.cols();
        }
        return all;
    }
    Vector weights64() const {
        const std::vector<float> values = weights.floats();
        return Eigen::Map<const Eigen::VectorXf>(values.data(), static_cast<Eigen::Index>(values.size()))
            .cast<double>();
    }
};

class JacobianTest : public LinalgTest {
protected:
    PlacedJacobian jacobian(Graph& graph, const std::vector<Matrix>& parts, DType dtype = DType::f32,
                            std::uint64_t gap = 0, DType gradient_dtype = DType::f32) {
        PlacedJacobian j;
        for (const Matrix& part : parts) {
            j.rows.push_back(place(graph, {part}, dtype, gap));
            j.gradients.push_back(
                blank(graph, 1, 1, static_cast<std::uint64_t>(part.cols()), 0, gradient_dtype));
            j.parts.push_back({j.rows.back().tensor, j.gradients.back().tensor});
        }
        const std::uint64_t k = j.objectives();
        j.weights = words(graph, k, DType::f32);
        j.status = words(graph, 1);
        j.residual = words(graph, 1, DType::f32);
        j.gram = blank(graph, 1, k, k);
        return j;
    }
    Tensor preference(Graph& graph, const Vector& values) {
        return place(graph, {Matrix(values.transpose())})
            .tensor.reshape({static_cast<std::uint64_t>(values.size())});
    }
    static Vector mean_preference(std::uint64_t k) {
        return Vector::Constant(static_cast<Eigen::Index>(k), 1.0f / static_cast<float>(k));
    }

    // The longest sums of products, and the trees (aggregate.hpp).
    double gram_unit(bool gpu_variants) {
        return ((gpu_variants || !device().capabilities().cpu ? 64 : 512) + 8) * kUnit;
    }
    void check_gram(const PlacedJacobian& j, bool gpu_variants, const std::string& what) {
        const Matrix rows = j.matrix(), gram = j.gram.read()[0], expected = rows * rows.transpose();
        EXPECT_EQ(gram, gram.transpose());
        for (Eigen::Index a = 0; a < gram.rows(); ++a)
            for (Eigen::Index b = 0; b < gram.cols(); ++b)
                ratio("Gram matrix", rows, std::abs(gram(a, b) - expected(a, b)),
                      gram_unit(gpu_variants) * rows.row(a).norm() * rows.row(b).norm(), what);
    }
    // weights^T J for the weights as they are.
    void check_combination(const PlacedJacobian& j, const Vector& weights, const std::string& what) {
        const Matrix rows = j.matrix();
        const Vector is = j.aggregate();
        const Matrix sums = Matrix(weights.transpose()) * rows,
                     sizes = Matrix(weights.cwiseAbs().transpose()) * Matrix(rows.cwiseAbs());
        const double unit = unit_roundoff(j.gradients[0].dtype);
        for (Eigen::Index i = 0; i < is.size(); ++i)
            ratio("combination", rows, std::abs(is[i] - sums(0, i)),
                  (static_cast<double>(rows.rows()) + 1) * kUnit * sizes(0, i) +
                      (unit > kUnit ? unit * sizes(0, i) : 0) + 0x1p-24,
                  what);
    }
    void check_dual_cone(const PlacedJacobian& j, const Vector& preferred, bool joint, bool gpu_variants,
                         const std::string& what, double norm_eps = kNormEps, double reg_eps = kRegEps) {
        EXPECT_EQ(j.status.statuses()[0], "ok") << what;
        EXPECT_LE(j.residual.floats()[0], 0x1p-30) << what;
        check_gram(j, gpu_variants, what);
        const Vector weights = j.weights64();
        check_combination(j, weights, what);
        const Matrix rows = j.matrix(), gram = j.gram.read()[0];
        // Of the Gram matrix that the device has, solutions are exact but for their rounding to f32.
        Matrix v = dual_cone_solutions(dual_cone_matrix(gram, norm_eps, reg_eps), preferred, joint);
        for (Eigen::Index i = 0; i < weights.size(); ++i)
            ratio("weights", rows, std::abs(weights[i] - v.col(i).sum()),
                  3 * kUnit * v.col(i).cwiseAbs().sum() + 1e-8 * v.cwiseAbs().maxCoeff(), what);
        // And of the exact one, within what its error can do.
        const Matrix exact = rows * rows.transpose();
        v = dual_cone_solutions(dual_cone_matrix(exact, norm_eps, reg_eps), preferred, joint);
        const Vector norms = rows.rowwise().norm();
        double spread = 0;
        for (Eigen::Index i = 0; i < v.rows(); ++i)
            spread += gram_unit(gpu_variants) * norms.norm() * norms.dot(v.row(i).transpose().cwiseAbs());
        const Vector sums = (Matrix(v.colwise().sum()) * rows).row(0).transpose();
        const double unit = unit_roundoff(j.gradients[0].dtype);
        ratio("aggregate", rows, (j.aggregate() - sums).norm(),
              (spread > 0 ? spread / std::sqrt(reg_eps * exact.trace()) : 0) +
                  (static_cast<double>(rows.rows()) + 1) * (kUnit + unit) *
                      norms.dot(v.colwise().sum().transpose()),
              what);
    }
};

TEST_P(JacobianTest, DualConesMatchFloat64) {
    for (bool gpu_variants : {false, true}) {
        struct Case {
            PlacedJacobian j;
            Vector preferred;
            bool joint;
            std::string what;
        };
        std::vector<Case> cases;
        Graph graph(gpu_variants ? smallest_gpu() : device());
        for (std::uint64_t k : {1u, 2u, 3u, 5u, 8u, 9u, 17u, 33u, 64u, 128u})
            for (bool joint : {false, true}) {
                if (k == 128 && !joint) continue;
                if (gpu_variants && (k == 2 || k == 5 || k == 128)) continue;
                // In few dimensions all are in conflict, in many hardly any; gradients have a common part.
                std::vector<Matrix> parts;
                const std::vector<std::uint64_t> sizes = k == 3 ? std::vector<std::uint64_t>{1, 129, 4097, 2}
                                                         : k == 9
                                                             ? std::vector<std::uint64_t>{5, 1}
                                                             : std::vector<std::uint64_t>{k / 2 + 1, 3, k};
                for (std::uint64_t n : sizes) {
                    Matrix part = random_matrix(k, n, k + n);
                    part.rowwise() += Eigen::RowVectorXd(0.3 * random_matrix(1, n, n).row(0));
                    for (Eigen::Index i = 0; i < part.rows(); ++i) part.row(i) *= std::pow(2.0, i % 3);
                    parts.push_back(part);
                }
                const DType dtype = k == 5 ? DType::f16 : k == 8 ? DType::bf16 : DType::f32;
                Case c{jacobian(graph, parts, dtype, dtype == DType::f32 ? k % 3 : 1,
                                k == 5 ? DType::bf16 : DType::f32),
                       mean_preference(k), joint,
                       std::to_string(k) + " objectives" + (joint ? ", joint" : "") +
                           (gpu_variants ? ", smallest GPU" : "")};
                DualConeOptions options;
                options.outputs = c.j.outputs();
                if (k == 3 || k == 17) {
                    c.preferred =
                        rounded(Matrix(random_matrix(1, k, 3).cwiseAbs()), DType::f32).row(0).transpose();
                    options.preference = preference(graph, c.preferred);
                }
                (joint ? aggregate_dualproj : aggregate_upgrad)(graph, c.j.parts, options);
                cases.push_back(std::move(c));
            }
        run(graph);
        for (const Case& c : cases) check_dual_cone(c.j, c.preferred, c.joint, gpu_variants, c.what);
    }
}

TEST_P(JacobianTest, MgdaMatchesFloat64) {
    for (bool gpu_variants : {false, true}) {
        Graph graph(gpu_variants ? smallest_gpu() : device());
        std::vector<PlacedJacobian> jacobians;
        for (std::uint64_t k : {1u, 2u, 7u, 33u, 128u}) {
            jacobians.push_back(
                jacobian(graph, {random_matrix(k, 40, k) * 1e15, random_matrix(k, 9, k + 1) * 1e15}));
            aggregate_mgda(graph, jacobians.back().parts,
                           {.max_iterations = 60, .outputs = jacobians.back().outputs()});
        }
        run(graph);
        for (const PlacedJacobian& j : jacobians) {
            const std::string what = std::to_string(j.objectives()) + " objectives";
            const Matrix gram = j.gram.read()[0];
            const Vector weights = j.weights64(), expected = min_norm_weights(gram, 1e-3f, 60);
            EXPECT_NEAR(weights.sum(), 1, 1e-6);
            // The same steps on the same matrix.
            ratio("weights", j.matrix(), (weights - expected).cwiseAbs().maxCoeff(), 2 * kUnit, what);
            check_combination(j, weights, what);
            const Vector g = gram * expected;
            EXPECT_NEAR(j.residual.floats()[0], (expected.dot(g) - g.minCoeff()) / gram.trace(), 1e-6);
            EXPECT_EQ(j.status.statuses()[0], j.objectives() <= 2 ? "ok" : "not_converged") << what;
        }
    }
}

TEST_P(JacobianTest, MeansMatchFloat64) {
    Graph graph(device());
    std::vector<std::pair<PlacedJacobian, Vector>> means;
    for (DType dtype : {DType::f32, DType::f16, DType::bf16})
        for (DType out : {DType::f32, DType::f16, DType::bf16})
            for (std::uint64_t k : {1u, 3u, 12u}) {
                PlacedJacobian j = jacobian(
                    graph, {random_matrix(k, 65, k), Matrix(k, 0), random_matrix(k, 2, 1)}, dtype, k, out);
                const Vector preferred =
                    rounded(Matrix(random_matrix(1, k, 3)), DType::f32).row(0).transpose();
                MeanOptions options;
                if (k == 3) options.preference = preference(graph, preferred);
                aggregate_mean(graph, j.parts, options);
                means.emplace_back(std::move(j), k == 3 ? preferred : mean_preference(k));
            }
    EXPECT_EQ(graph.compile({}).level_count(), 1u);
    run(graph);
    for (const auto& [j, weights] : means) check_combination(j, weights, "mean");
}

// Zero rows, equal and opposite gradients, gradients of all sizes.
TEST_P(JacobianTest, SpecialJacobians) {
    struct Case {
        PlacedJacobian j;
        double norm_eps;
        const char* what;
    };
    std::vector<Case> cases;
    Graph graph(device());
    const auto add = [&](const char* what, const Matrix& rows, double norm_eps = kNormEps) {
        Case c{jacobian(graph, {rows}), norm_eps, what};
        aggregate_upgrad(graph, c.j.parts,
                         {.norm_eps = static_cast<float>(norm_eps), .outputs = c.j.outputs()});
        cases.push_back(std::move(c));
    };
    const Matrix random = random_matrix(4, 9, 1);
    add("zero", Matrix::Zero(4, 9), 0);
    Matrix rows = random;
    rows.row(2).setZero();
    add("one zero row", rows);
    rows.row(2) = rows.row(1);
    add("two equal rows", rows);
    rows.row(2) = -rows.row(1);
    add("two opposite rows", rows);
    rows.row(2) = -1e-3 * rows.row(1);
    add("an opposite row a thousand times shorter", rows);
    rows = random;
    rows.row(0) *= 1e6;
    rows.row(1) *= 1e-6;
    add("rows of different sizes", rows);
    add("small, with the absolute threshold", 1e-4 * random);
    add("small", 1e-4 * random, 0);
    add("smaller", 1e-13 * random, 0);
    add("large", 1e18 * random);
    run(graph);
    for (const Case& c : cases) check_dual_cone(c.j, mean_preference(4), false, false, c.what, c.norm_eps);
    // The threshold is what decides about conflicts.
    EXPECT_LT((cases[6].j.weights64() - mean_preference(4)).norm(), 1e-6);
    EXPECT_GT((cases[7].j.weights64() - mean_preference(4)).norm(), 1e-2);
}

// More objectives than dimensions, and a regularization below the errors of the Gram matrix.
TEST_P(JacobianTest, SingularProgramsAreSolvedForALargerDiagonal) {
    Graph graph(device());
    std::vector<PlacedJacobian> jacobians;
    for (std::uint64_t k : {6u, 24u, 40u}) {
        jacobians.push_back(jacobian(graph, {random_matrix(k, 3, k), random_matrix(k, 1, k + 1)}));
        aggregate_upgrad(graph, jacobians.back().parts,
                         {.reg_eps = 1e-10f, .outputs = jacobians.back().outputs()});
    }
    run(graph);
    for (const PlacedJacobian& j : jacobians) {
        const std::string status = j.status.statuses()[0];
        EXPECT_TRUE(status == "ok" || status == "jittered") << status << ": " << j.residual.floats()[0];
        EXPECT_LE(j.residual.floats()[0], 0x1p-30);
        const Matrix rows = j.matrix();
        const Vector weights = j.weights64();
        const Vector agreement = (rows * Matrix(j.aggregate())).col(0);
        // H v >= 0: <g_i, aggregate> may be below zero by tr (reg + raise) w_i, the raise as large as the
        // error.
        const double largest = gram_unit(false) * static_cast<double>(rows.rows());
        for (Eigen::Index i = 0; i < agreement.size(); ++i)
            ratio("conflict", rows, std::max(0.0, -agreement[i]),
                  rows.squaredNorm() * largest * weights.cwiseAbs().sum(), status);
    }
}

TEST_P(JacobianTest, WhatIsNotFiniteIsReportedAndReachesTheAggregate) {
    Graph graph(device());
    std::vector<PlacedJacobian> bad;
    for (double value : {kNan, kInfinity, 1e30}) {
        Matrix rows = random_matrix(3, 300, 1);
        rows(1, 200) = value;
        for (int kind = 0; kind < 3; ++kind) {
            bad.push_back(jacobian(graph, {random_matrix(3, 50, 2), rows}));
            const PlacedJacobian& j = bad.back();
            if (kind == 0) aggregate_upgrad(graph, j.parts, {.outputs = j.outputs()});
            if (kind == 1) aggregate_dualproj(graph, j.parts, {.outputs = j.outputs()});
            if (kind == 2) aggregate_mgda(graph, j.parts, {.outputs = j.outputs()});
        }
    }
    PlacedJacobian good = jacobian(graph, {random_matrix(3, 50, 2)});
    aggregate_upgrad(graph, good.parts, {.outputs = good.outputs()});
    PlacedJacobian unwanted = jacobian(graph, {random_matrix(3, 50, 2)});
    const Vector preferences = Eigen::Vector3d(1, kNan, 1);
    aggregate_upgrad(graph, unwanted.parts,
                     {.preference = preference(graph, preferences), .outputs = unwanted.outputs()});
    run(graph);
    for (std::size_t i = 0; i < bad.size(); ++i) {
        const PlacedJacobian& j = bad[i];
        EXPECT_EQ(j.status.statuses()[0], "nonfinite");
        EXPECT_EQ(j.residual.floats()[0], std::numeric_limits<float>::infinity());
        EXPECT_LT((j.weights64() - mean_preference(3)).norm(), 1e-7);
        const Vector aggregate = j.aggregate();
        // Squares of 1e30 are no floats, but the mean is.
        EXPECT_EQ(std::isfinite(aggregate[250]), i >= 6);
        for (Eigen::Index e = 0; e < aggregate.size(); ++e)
            if (e != 250) {
                EXPECT_TRUE(std::isfinite(aggregate[e])) << e;
            }
    }
    check_dual_cone(good, mean_preference(3), false, false, "beside others that are not finite");
    EXPECT_EQ(unwanted.status.statuses()[0], "nonfinite");
    EXPECT_TRUE(std::isnan(unwanted.aggregate()[0]));
}

TEST_P(JacobianTest, GivesTheSameBitsEveryTime) {
    expect_same_bits(2e4, 2, [&](Graph& graph) {
        std::vector<GuardedBuffer*> results;
        for (int kind = 0; kind < 3; ++kind) {
            PlacedJacobian j =
                jacobian(graph, {random_matrix(9, 9001, 1), random_matrix(9, 30, 2)}, DType::f32, 1);
            if (kind == 0) aggregate_upgrad(graph, j.parts, {.outputs = j.outputs()});
            if (kind == 1) aggregate_dualproj(graph, j.parts, {.outputs = j.outputs()});
            if (kind == 2) aggregate_mgda(graph, j.parts, {.outputs = j.outputs()});
            for (const Placed& gradient : j.gradients) results.push_back(gradient.buffer);
            for (GuardedBuffer* buffer : {j.weights.buffer, j.residual.buffer, j.gram.buffer})
                results.push_back(buffer);
        }
        return results;
    });
}

TEST_P(JacobianTest, LevelsDoNotDependOnTheNumberOfParts) {
    for (std::size_t parts : {1u, 40u}) {
        Graph upgrad(device()), mgda(device());
        const auto random = [&](std::uint64_t n) { return random_matrix(3, n + 1, n); };
        std::vector<Matrix> matrices;
        for (std::size_t i = 0; i < parts; ++i) matrices.push_back(random(i));
        aggregate_upgrad(upgrad, jacobian(upgrad, matrices).parts);
        aggregate_mgda(mgda, jacobian(mgda, matrices).parts);
        EXPECT_EQ(upgrad.compile({}).level_count(), 5u);
        EXPECT_EQ(upgrad.compile({}).dispatch_count(), 5u);
        EXPECT_EQ(mgda.compile({}).level_count(), 4u);
    }
}

// The aggregate is an optimizer's gradient: two plans in one command buffer. The step is what it is for a
// gradient from elsewhere, and none where an objective's gradient is not finite.
TEST_P(JacobianTest, GoesBeforeAnOptimizer) {
    constexpr std::uint64_t kCount = 37, kObjectives = 3;
    const std::vector<float> weights(kCount, 0.5f);
    GuardedBuffer& rows = guarded(std::vector<float>(kObjectives * kCount));
    GuardedBuffer &weight = guarded(weights), &alone = guarded(weights);
    GuardedBuffer &gradient = guarded(weights), &copy = guarded(weights);
    const auto adamw = [&](AdamW& optimizer, GuardedBuffer& w, GuardedBuffer& g) {
        optimizer.add({"w", w.view(DType::f32, {kCount}), g.view(DType::f32, {kCount})});
        Plan plan = compile(device(), {&optimizer});
        plan.allocate();
        plan.initialize();
        return plan;
    };
    AdamW optimizer(device(), {.lr = 0.1f}), reference(device(), {.lr = 0.1f});
    Plan step = adamw(optimizer, weight, gradient), lone_step = adamw(reference, alone, copy);

    Graph graph(device());
    const std::vector<JacobianPart> jacobian{
        {graph.external("rows", rows.view(DType::f32, {kObjectives, kCount})),
         graph.external("gradient", gradient.view(DType::f32, {kCount}))}};
    aggregate_upgrad(graph, jacobian);
    Plan aggregation = graph.compile({.name = "aggregation"});
    aggregation.allocate();

    Commands commands(device());
    const VkCommandBuffer both = commands.begin();
    aggregation.record(both);
    step.record(both);
    commands.end(both);
    for (std::uint64_t i = 1; i <= 3; ++i) {
        const Matrix j = random_matrix(kObjectives, kCount, i);
        std::vector<float> values(j.data(), j.data() + j.size());
        if (i == 2) values[50] = std::numeric_limits<float>::quiet_NaN();
        rows.write(values);
        const std::vector<float> before = weight.floats();
        commands.submit(both);
        EXPECT_EQ(status(step).last_skipped, i == 2);
        if (i == 2) {
            EXPECT_EQ(weight.floats(), before);
            continue;
        }
        EXPECT_NE(weight.floats(), before);
        copy.write(gradient.floats());
        lone_step.run();
        EXPECT_EQ(weight.floats(), alone.floats());
    }
}

TEST_P(JacobianTest, RefusesWhatDoesNotFit) {
    Graph graph(device());
    const auto f32 = [&](const Shape& shape) { return graph.temporary(DType::f32, shape); };
    const Tensor rows = f32({3, 10}), gradient = f32({10}), other = f32({2, 5});
    Tensor corner = rows;
    corner.shape = Shape{9};
    const std::vector<JacobianPart> good{{rows, gradient}, {f32({3, 4}), f32({2, 2})}};
    const auto upgrad = [&](const std::vector<JacobianPart>& parts, const DualConeOptions& options = {}) {
        return [&graph, parts, options] { aggregate_upgrad(graph, parts, options); };
    };
    expect_refusals(
        graph,
        {
            {"0 parts", upgrad({})},
            {"rows of part 0 is empty", upgrad({{{}, gradient}})},
            {"as many in all parts", upgrad({{rows, gradient}, {other, f32({5})}})},
            {"1 to 128", upgrad({{f32({129, 10}), gradient}})},
            {"must be a matrix", upgrad({{f32({2, 3, 10}), gradient}})},
            {"gradient of part 1 is 11 f32; it must have 10", upgrad({good[0], {f32({3, 10}), f32({11})}})},
            {"f32, f16 or bf16", upgrad({{rows, graph.temporary(DType::u32, {10})}})},
            {"no elements", upgrad({{f32({3, 0}), f32({0})}})},
            {"gradient of part 0 (1x10 f32) overlaps the rows of part 0",
             upgrad({{rows, rows.row_range(1, 1)}})},
            {"gradient of part 1 (10 f32) overlaps the gradient of part 0",
             upgrad({{rows, gradient}, {rows, gradient}})},
            {"the preference is 4 f32", upgrad(good, {.preference = f32({4})})},
            {"norm_eps is -1", upgrad(good, {.norm_eps = -1})},
            {"reg_eps is 0", upgrad(good, {.reg_eps = 0})},
            {"reg_eps is nan", upgrad(good, {.reg_eps = std::numeric_limits<float>::quiet_NaN()})},
            {"`weights` is 2 f32", upgrad(good, {.outputs = {.weights = f32({2})}})},
            {"`gram` is 3x2 f32", upgrad(good, {.outputs = {.gram = f32({3, 2})}})},
            {"status is 2 u32", upgrad(good, {.outputs = {.status = graph.temporary(DType::u32, {2})}})},
            {"`residual` is 1 u32",
             upgrad(good, {.outputs = {.residual = graph.temporary(DType::u32, {1})}})},
            {"`gram` (9 f32) overlaps the rows of part 0",
             upgrad({{rows, gradient}}, {.outputs = {.gram = corner}})},
            {"epsilon is -1", [&] { aggregate_mgda(graph, good, {.epsilon = -1}); }},
            {"max_iterations is 0", [&] { aggregate_mgda(graph, good, {.max_iterations = 0}); }},
            {"max_iterations is 5000", [&] { aggregate_mgda(graph, good, {.max_iterations = 5000}); }},
        });
}

HERON_DEVICE_TESTS(JacobianTest);

}  // namespace
}  // namespace heron::test

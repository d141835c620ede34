// SPDX-License-Identifier: MIT
// matrix_power() on every device against float64: exponents, damping, the rules for small eigenvalues.
#include <cmath>
#include <string>
#include <vector>

#include "linalg/linalg_test.hpp"

namespace heron::test {
namespace {

std::uint32_t code(MatrixStatus status) { return static_cast<std::uint32_t>(status); }

// Eigenvalues from 1 down to 1 / condition, evenly spaced in the logarithm, times `scale`.
Matrix positive_matrix(std::uint64_t n, double condition, double scale, std::uint64_t seed) {
    const Matrix x = random_matrix(n, n, seed);
    Vector values(static_cast<Eigen::Index>(n));
    for (Eigen::Index i = 0; i < values.size(); ++i)
        values[i] = scale * std::pow(condition, -static_cast<double>(i) /
                                                    std::max(1.0, static_cast<double>(values.size() - 1)));
    const Matrix v = symmetric_eigen(x + x.transpose()).vectors;
    return v * values.asDiagonal() * v.transpose();
}

Matrix symmetric(const Matrix& a) { return (a + a.transpose()) / 2; }

// V f(lambda) V^T in float64 of what the device sees.
Matrix reference(const Matrix& a, const std::function<double(double)>& f) {
    const Matrix x = symmetric(rounded(a, DType::f32));
    const double scale = x.cwiseAbs().maxCoeff();
    const SymmetricEigen eigen = symmetric_eigen(x / scale);
    const Matrix& v = eigen.vectors;
    Vector values = eigen.values * scale;
    for (double& value : values) value = f(value);
    return v * values.asDiagonal() * v.transpose();
}

class MatrixPowerTest : public LinalgTest {
protected:
    struct Added {
        std::vector<Matrix> items;
        Placed result;
        Words status;
    };

    void add(Graph& graph, const std::vector<Matrix>& items, MatrixPowerOptions options) {
        const auto n = static_cast<std::uint64_t>(items[0].cols());
        const Added added{items, blank(graph, items.size(), n, n), words(graph, items.size())};
        options.status = added.status.tensor;
        matrix_power(graph, place(graph, items).tensor, added.result.tensor, options);
        added_.push_back(added);
    }

    Matrix result(std::size_t index, std::size_t item = 0) const {
        Matrix x = added_[index].result.read()[item];
        EXPECT_EQ((x - x.transpose()).cwiseAbs().maxCoeff(), 0.0) << "not exactly symmetric";
        return x;
    }
    std::uint32_t status(std::size_t index, std::size_t item = 0) const {
        return added_[index].status.words()[item];
    }

    std::vector<Added> added_;
};

// ||X^p A - I|| / (n kappa eps), the bar of the specification for inverse roots of any kind.
TEST_P(MatrixPowerTest, InverseRootsPassTheResidualTest) {
    struct Run {
        std::uint64_t n;
        double condition;
        int p;
    };
    std::vector<Run> runs;
    for (std::uint64_t n : {1u, 2u, 3u, 16u, 33u})
        for (double condition : {10.0, 1e4, 1e6})
            for (int p : {1, 2, 3, 4, 7}) runs.push_back({n, n == 1 ? 1.0 : condition, p});
    Graph graph(device());
    for (const Run& run : runs)
        add(graph, {positive_matrix(run.n, run.condition, 1.0, run.n)},
            {.exponent = -1.0 / run.p, .floor = 1e-9f});
    run(graph);
    for (std::size_t i = 0; i < runs.size(); ++i) {
        const Matrix a = symmetric(rounded(added_[i].items[0], DType::f32)), x = result(i);
        Matrix product = a;
        for (int p = 0; p < runs[i].p; ++p) product = x * product;
        const Matrix distance = product - Matrix::Identity(a.rows(), a.cols());
        // p factors have an error each.
        ratio("residual", a, distance.norm(),
              static_cast<double>(runs[i].n) * runs[i].condition * kEps32 *
                  (runs[i].p > 4 ? 0.5 * runs[i].p : 1.0),
              std::to_string(runs[i].n) + " rows, condition " + std::to_string(runs[i].condition) + ", p " +
                  std::to_string(runs[i].p));
        EXPECT_EQ(status(i), code(MatrixStatus::ok));
    }
}

// What damping is added to.
TEST_P(MatrixPowerTest, InverseRootsOfEveryKindPassTheResidualTest) {
    struct Run {
        MatrixKind kind;
        int p;
        DampedGram x;
    };
    std::vector<Run> runs;
    Graph graph(device());
    for (MatrixKind kind : finite_matrix_kinds())
        for (std::uint64_t n : {9u, 40u})
            for (int p : {1, 2, 4}) {
                runs.push_back({kind, p, DampedGram(kind, n)});
                add(graph, {runs.back().x.gram},
                    {.exponent = -1.0 / p, .damping = static_cast<float>(runs.back().x.damping)});
            }
    run(graph);
    for (std::size_t i = 0; i < runs.size(); ++i) {
        const Run& run = runs[i];
        const Matrix x = result(i);
        Matrix product = run.x.damped();
        for (int p = 0; p < run.p; ++p) product = x * product;
        ratio("residual", x, (product - Matrix::Identity(x.rows(), x.cols())).norm(),
              static_cast<double>(x.rows()) * run.x.condition * kEps32,
              std::string(to_string(run.kind)) + ", p " + std::to_string(run.p));
        EXPECT_EQ(status(i), code(MatrixStatus::ok)) << to_string(run.kind);
    }
}

// Distances to the powers themselves: positive ones, and exponents that are no roots.
TEST_P(MatrixPowerTest, RealExponentsMatchFloat64) {
    const std::vector<double> exponents{-0.7, 0.5, 1.0 / 3, -1.0 / 6, 1.5};
    const double condition = 100;
    Graph graph(device());
    for (std::uint64_t n : {7u, 33u, 65u})
        for (double exponent : exponents)
            add(graph, {positive_matrix(n, condition, 3.0, n)}, {.exponent = exponent});
    run(graph);
    for (std::size_t i = 0; i < added_.size(); ++i) {
        const double exponent = exponents[i % exponents.size()];
        const Matrix should = reference(added_[i].items[0], [&](double x) { return std::pow(x, exponent); });
        // An error of n u in the eigenvalues, the smallest of which counts kappa times its share.
        ratio("distance from the float64 power", should, (result(i) - should).norm() / should.norm(),
              std::abs(exponent) * condition * static_cast<double>(should.rows()) * kUnit,
              std::to_string(should.rows()) + " rows to the " + std::to_string(exponent));
    }
}

// The powers of a diagonal matrix are those of its elements, so that only the power function errs: 4 u, and
// as much again for eigenvalues that are off by an ulp.
TEST_P(MatrixPowerTest, PowersOfNumbersAreAccurate) {
    const std::vector<double> exponents{-0.25, 0.5, -0.5, 1.0, -1.0, 1.0 / 3, -1.0 / 6, -0.7, 2.0, 0.0, -2.5};
    std::vector<Matrix> items;
    Random random(5);
    for (int i = 0; i < 40; ++i)
        items.push_back(rounded(Matrix::Constant(1, 1, std::exp2(24 * random.uniform() - 12)), DType::f32));
    for (double value : {1.0, 2.0, 0.5, 0.70710678, 1.4142135, 1e-12, 1e12})
        items.push_back(rounded(Matrix::Constant(1, 1, value), DType::f32));
    Graph graph(device());
    for (double exponent : exponents) add(graph, items, {.exponent = exponent});
    run(graph);
    for (std::size_t e = 0; e < exponents.size(); ++e)
        for (std::size_t i = 0; i < items.size(); ++i) {
            const double expected = std::pow(items[i](0, 0), exponents[e]);
            EXPECT_NEAR(result(e, i)(0, 0) / expected, 1.0, (4 + 4 * std::abs(exponents[e])) * 0x1p-24)
                << items[i](0, 0) << "^" << exponents[e];
        }
}

TEST_P(MatrixPowerTest, DampingAndRulesForSmallEigenvalues) {
    const Matrix v = positive_matrix(9, 10, 1, 3);
    const Matrix vectors = symmetric_eigen(v).vectors;
    const auto with = [&](std::vector<double> values) {
        values.resize(9, 0.0);
        return Matrix(vectors * Eigen::Map<Vector>(values.data(), 9).asDiagonal() * vectors.transpose());
    };
    const Matrix full = with({1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2});
    const Matrix deficient = with({1, 0.5, 0.25, 0.2});
    const Matrix rounded_off = with({1, 0.5, 0.25, 0.2, 0.004, -0.003});
    const Matrix indefinite = with({1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, -0.2});
    Graph graph(device());
    add(graph, {full}, {.exponent = -0.5, .damping = 0.1f});
    add(graph, {full}, {.exponent = -0.5, .relative_damping = 0.2f});
    add(graph, {deficient}, {.exponent = -0.5, .floor = 0.01f});
    add(graph, {deficient}, {.exponent = -0.5, .floor_rule = SpectrumFloor::drop, .floor = 0.01f});
    add(graph, {indefinite}, {.exponent = -0.5, .damping = 0.1f, .floor_rule = SpectrumFloor::shift});
    add(graph, {indefinite}, {.exponent = -0.5, .floor = 0.01f});
    add(graph, {deficient}, {.exponent = 0.5, .floor_rule = SpectrumFloor::drop});
    add(graph, {deficient}, {.exponent = -0.5, .floor_rule = SpectrumFloor::drop, .absolute_floor = 0.22f});
    const SpectrumFloor level = SpectrumFloor::level, clear = SpectrumFloor::clear,
                        exact = SpectrumFloor::exact;
    add(graph, {deficient}, {.exponent = -0.5, .floor_rule = level});
    add(graph, {rounded_off}, {.exponent = -0.5, .damping = 0.005f, .floor_rule = level, .floor = 0.01f});
    add(graph, {rounded_off}, {.exponent = -0.5, .damping = 0.1f, .floor_rule = level, .floor = 0.01f});
    add(graph, {rounded_off}, {.exponent = -0.5, .damping = 0.005f, .floor_rule = clear, .floor = 0.01f});
    add(graph, {deficient}, {.exponent = -0.5, .floor_rule = clear});
    add(graph, {with({3})}, {.exponent = -0.5, .floor_rule = level});
    add(graph, {rounded_off}, {.exponent = -0.5, .damping = 1e-8f, .floor_rule = exact, .floor = 0.01f});
    add(graph, {deficient}, {.exponent = -0.5, .floor_rule = exact, .floor = 0.01f, .absolute_floor = 1e-6f});
    run(graph);
    const auto inverse_root = [](double x) { return 1 / std::sqrt(x); };
    struct Expected {
        std::function<double(double)> f;
        MatrixStatus status;
    };
    const double damping = static_cast<double>(0.1f), floor = static_cast<double>(0.01f);
    const std::vector<Expected> expected{
        {[&](double x) { return inverse_root(x + damping); }, MatrixStatus::ok},
        {[&](double x) { return inverse_root(x + static_cast<double>(0.2f)); }, MatrixStatus::ok},
        {[&](double x) { return inverse_root(std::max(x, floor)); }, MatrixStatus::jittered},
        {[&](double x) { return x <= floor ? 0.0 : inverse_root(x); }, MatrixStatus::rank_deficient},
        {[&](double x) { return inverse_root(x + 0.2 + damping); }, MatrixStatus::indefinite},
        {[&](double x) { return inverse_root(std::max(x, floor)); }, MatrixStatus::indefinite},
        {[&](double x) { return x <= 1e-5 ? 0.0 : std::sqrt(x); }, MatrixStatus::rank_deficient},
        {[&](double x) { return x <= 0.22 ? 0.0 : inverse_root(x); }, MatrixStatus::rank_deficient},
        {[&](double x) { return inverse_root(x <= 1e-5 ? 0.2 : x); }, MatrixStatus::jittered},
        {[&](double x) { return inverse_root((x <= floor ? 0.2 : x) + 0.005); }, MatrixStatus::jittered},
        {[&](double x) { return inverse_root((x <= floor ? 0.0 : x) + damping); }, MatrixStatus::ok},
        {[&](double x) { return inverse_root((x <= floor ? 0.0 : x) + 0.005); }, MatrixStatus::ok},
        {[&](double x) { return inverse_root(x <= 1e-5 ? 0x1p-23 : x); }, MatrixStatus::jittered},
        {[&](double) { return inverse_root(3); }, MatrixStatus::jittered},
        {[&](double x) { return inverse_root((x <= floor ? 0.0 : x) + static_cast<double>(1e-8f)); },
         MatrixStatus::ok},
        {[&](double x) { return inverse_root(x <= floor ? static_cast<double>(1e-6f) : x); },
         MatrixStatus::ok},
    };
    for (std::size_t i = 0; i < expected.size(); ++i) {
        const Matrix should = reference(added_[i].items[0], expected[i].f), is = result(i);
        // Errors of 9 u in an eigenvalue count 0.5 lambda^-1.5, at most 500 here.
        EXPECT_LE((is - should).norm() / should.norm(), i == 2 || i == 5 ? 1e-5 : 5e-6) << "case " << i;
        EXPECT_EQ(status(i), code(expected[i].status)) << "case " << i;
    }
}

TEST_P(MatrixPowerTest, ScalesThatSquareToNothingWork) {
    Graph graph(device());
    for (double scale : {1e-18, 1e18, 1e-30, 1e30, 3e38})
        add(graph, {positive_matrix(12, 100, scale, 7)}, {.exponent = -0.25});
    run(graph);
    for (std::size_t i = 0; i < added_.size(); ++i) {
        const Matrix should = reference(added_[i].items[0], [](double x) { return std::pow(x, -0.25); });
        EXPECT_LE((result(i) - should).norm() / should.norm(), 1e-5) << i;
        EXPECT_EQ(status(i), code(MatrixStatus::ok));
    }
}

TEST_P(MatrixPowerTest, BadMatricesGiveZeroAndDoNotTouchTheOthers) {
    const Matrix good = positive_matrix(20, 100, 1, 4);
    Graph graph(device());
    add(graph,
        {good, make_matrix(MatrixKind::one_nan, 20, 20, 1), good, Matrix::Zero(20, 20),
         make_matrix(MatrixKind::one_inf, 20, 20, 2), -good},
        {});
    add(graph, {good}, {});
    add(graph, {Matrix::Zero(5, 5)}, {.damping = 0.25f});
    // Finite, with eigenvalues of 1e38 and 5e38: the larger one is not in f32.
    Matrix enormous(2, 2);
    enormous << 3e38, 2e38, 2e38, 3e38;
    for (const float damping : {0.0f, 0.1f})
        add(graph, {enormous, Matrix::Identity(2, 2)}, {.relative_damping = damping});
    // Eigenvalues within f32, and beyond it with the damping.
    Matrix sum(2, 2);
    sum << 3e38, 0, 0, 1;
    add(graph, {sum, Matrix::Identity(2, 2)}, {.damping = 1e38f});
    add(graph, {sum, Matrix::Identity(2, 2)}, {.relative_damping = 0.5f});
    run(graph);
    for (const std::size_t i : {3u, 4u, 5u, 6u}) {
        EXPECT_EQ(status(i, 0), code(MatrixStatus::nonfinite));
        EXPECT_EQ(result(i, 0), Matrix(Matrix::Zero(2, 2)));
        EXPECT_EQ(status(i, 1), code(MatrixStatus::ok));
    }
    const std::vector<MatrixStatus> expected{MatrixStatus::ok,        MatrixStatus::nonfinite,
                                             MatrixStatus::ok,        MatrixStatus::singular,
                                             MatrixStatus::nonfinite, MatrixStatus::singular};
    for (std::size_t item = 0; item < expected.size(); ++item) {
        EXPECT_EQ(status(0, item), code(expected[item])) << item;
        if (expected[item] == MatrixStatus::ok)
            EXPECT_EQ(result(0, item), result(1)) << item;
        else
            EXPECT_EQ(result(0, item), Matrix(Matrix::Zero(20, 20))) << item;
    }
    EXPECT_EQ(result(2), Matrix(2 * Matrix::Identity(5, 5)));
}

TEST_P(MatrixPowerTest, SameBitsWholeOrSplitAndEveryTime) {
    expect_same_bits(1e5, 2, [&](Graph& graph) -> std::vector<GuardedBuffer*> {
        const Placed a = place(graph, {spd_matrix(40, 1e3, 1), spd_matrix(40, 1e3, 2)}, DType::f32, 3);
        const Placed x = blank(graph, 2, 40, 40, 1);
        matrix_power(graph, a.tensor, x.tensor, {.exponent = -0.3});
        return {x.buffer};
    });
}

TEST_P(MatrixPowerTest, RefusesWhatDoesNotFit) {
    Graph graph(device());
    const Tensor a = graph.temporary(DType::f32, {2, 4, 4}), x = graph.temporary(DType::f32, {2, 4, 4});
    expect_refusals(
        graph,
        {
            {"A is empty", [&] { matrix_power(graph, {}, x); }},
            {"must be square",
             [&] {
                 matrix_power(graph, graph.temporary(DType::f32, {4, 5}), x);
             }},
            {"of the same shape",
             [&] {
                 matrix_power(graph, a, graph.temporary(DType::f32, {4, 4}));
             }},
            {"of the same shape",
             [&] {
                 matrix_power(graph, a, graph.temporary(DType::f16, {2, 4, 4}));
             }},
            {"result (2x4x4 f32) overlaps", [&] { matrix_power(graph, a, a); }},
            {"exponent is", [&] { matrix_power(graph, a, x, {.exponent = NAN}); }},
            {"within f32's range", [&] { matrix_power(graph, a, x, {.exponent = 1e39}); }},
            {"damping is -", [&] { matrix_power(graph, a, x, {.damping = -1.0f}); }},
            {"floor_rule", [&] { matrix_power(graph, a, x, {.floor_rule = static_cast<SpectrumFloor>(6)}); }},
            {"absolute_floor is -", [&] { matrix_power(graph, a, x, {.absolute_floor = -1.0f}); }},
            {"floor is 1", [&] { matrix_power(graph, a, x, {.floor = 1.0f}); }},
            {"2 u32", [&] { matrix_power(graph, a, x, {.status = graph.temporary(DType::u32, {3})}); }},
            {"belongs to another graph",
             [&] {
                 Graph other(device());
                 other.temporary(DType::f32, {1});  // whose number A has here
                 matrix_power(graph, a, x, {.values = other.temporary(x.dtype, x.shape)});
             }},
            {"basis is",
             [&] {
                 matrix_power(graph, a, x, {.basis = graph.temporary(DType::f32, {4, 4})});
             }},
        });
}

HERON_DEVICE_TESTS(MatrixPowerTest);

}  // namespace
}  // namespace heron::test

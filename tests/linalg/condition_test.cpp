// SPDX-License-Identifier: MIT
// condition_estimate() on every device against singular values in float64.
#include <array>

#include "linalg/linalg_test.hpp"

namespace heron::test {
namespace {

class ConditionTest : public LinalgTest {
protected:
    static Matrix root_of(const Matrix& a, double root) {
        const SymmetricEigen eigen = symmetric_eigen(a);
        return eigen.vectors * eigen.values.array().pow(-1 / root).matrix().asDiagonal() *
               eigen.vectors.transpose();
    }
    static double condition_of(const Matrix& a) {
        const SymmetricEigen eigen = symmetric_eigen(a);
        return eigen.values.maxCoeff() / eigen.values.minCoeff();
    }
};

// From below, but for roundings: of A and X |A| and |X| change by sqrt(n) u of themselves, of the power
// iterations by 2 sqrt(n) u, of logarithms up to 2^7 by 2^-16 (SPIR-V asks for 3 ulp of log2, 3 + 2 |x| of
// exp2). The other side is what the header promises of spectra that are even in their logarithms.
TEST_P(ConditionTest, IsBelowTheConditionNumberByAFactorOfTwoAtMost) {
    for (const double root : {1.0, 2.0, 4.0, 8.0})
        for (const double condition : {1.0, 1e2, 1e5}) {
            Graph graph(device());
            std::vector<Matrix> matrices;
            std::vector<Words> estimates;
            for (const std::uint64_t n : {1u, 2u, 7u, 16u, 33u, 130u}) {
                const Matrix a = rounded(spd_matrix(n, condition, n), DType::f32);
                matrices.push_back(a);
                const Placed pa = place(graph, {a}, DType::f32, n % 3),
                             px = place(graph, {root_of(a, root)}, DType::f32, n % 2);
                estimates.push_back(words(graph, 1, DType::f32));
                condition_estimate(graph, pa.tensor, px.tensor, estimates.back().tensor, {.root = root});
            }
            run(graph);
            for (std::size_t i = 0; i < matrices.size(); ++i) {
                const double exact = condition_of(matrices[i]),
                             is = static_cast<double>(estimates[i].floats()[0]),
                             n = static_cast<double>(matrices[i].rows());
                const double rounding = exact * ((1 + root) * 3 * std::sqrt(n) * kUnit + 0x1p-15);
                const std::string what =
                    "root " + std::to_string(root) + " condition " + std::to_string(exact);
                ratio("condition, from above", matrices[i], std::max(0.0, is - exact), rounding, what);
                ratio("condition, from below", matrices[i], std::max(0.0, exact / is - 1), 1.0, what);
            }
        }
}

TEST_P(ConditionTest, TakesBatchesOfEverySizeAndType) {
    const std::uint64_t n = 20;
    const Matrix a = spd_matrix(n, 100, 1), x = root_of(a, 2);
    for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
        Graph graph(device());
        std::vector<Matrix> as{a, Matrix::Zero(n, n), 64 * a}, xs{x, Matrix::Zero(n, n), x / 8};
        if (dtype == DType::f32)
            for (const int exponent : {80, -80, 126, -100}) {
                as.push_back(std::ldexp(1.0, exponent) * a);
                xs.push_back(std::ldexp(1.0, -exponent / 2) * x);
            }
        as.push_back(a);
        as.back()(3, 4) = kNan;
        xs.push_back(x);
        as.push_back(a);
        xs.push_back(x);
        xs.back()(0, 0) = kInfinity;
        const Placed pa = place(graph, as, dtype, 2), px = place(graph, xs, dtype, 2);
        const Words estimate = words(graph, as.size(), DType::f32);
        condition_estimate(graph, pa.tensor, px.tensor, estimate.tensor, {.root = 2});
        run(graph);
        const std::vector<float> is = estimate.floats();
        // Of the matrices as rounded; scales cancel but for the logarithms.
        const double exact = spectral_norm(pa.items[0]) * std::pow(spectral_norm(px.items[0]), 2);
        for (std::size_t i = 0; i < is.size(); ++i)
            if (i == 1 || i + 2 >= is.size())
                EXPECT_EQ(is[i], std::numeric_limits<float>::max()) << i;
            else
                EXPECT_NEAR(is[i], is[0], 1e-3 * static_cast<double>(is[0])) << i;
        EXPECT_GE(is[0], 0.5 * exact);
        EXPECT_LE(is[0], 1.001 * exact);
    }
}

// Of A + d I, X being its root: 1 where d is far above A, whatever A.
TEST_P(ConditionTest, CountsTheDampingThatWasAdded) {
    const std::uint64_t n = 17;
    const Matrix a = rounded(spd_matrix(n, 1e4, 1), DType::f32), identity = Matrix::Identity(n, n);
    for (const auto& [damping, relative] :
         {std::pair{0.0f, 0.0f}, std::pair{0.01f, 0.0f}, std::pair{0.0f, 0.1f}, std::pair{0.5f, 0.5f},
          std::pair{1e6f, 0.0f}}) {
        Graph graph(device());
        const double d = static_cast<double>(damping) + static_cast<double>(relative) * spectral_norm(a);
        const Placed pa = place(graph, {a}), px = place(graph, {root_of(a + d * identity, 4)});
        const Words estimate = words(graph, 1, DType::f32);
        condition_estimate(graph, pa.tensor, px.tensor, estimate.tensor,
                           {.root = 4, .damping = damping, .relative_damping = relative});
        run(graph);
        const double exact = condition_of(a + d * identity), is = static_cast<double>(estimate.floats()[0]);
        EXPECT_GE(is, 0.5 * exact) << d;
        EXPECT_LE(is, 1.001 * exact) << d;
        if (damping == 1e6f) EXPECT_NEAR(is, 1, 1e-3);
    }
}

// Below normal numbers, and above the largest: nothing is said.
TEST_P(ConditionTest, NormsThatF32CannotTellAreTheLargestFloat) {
    const Matrix one = Matrix::Identity(6, 6);
    Graph graph(device());
    const std::vector<std::array<double, 2>> scales{{1e-39, 1}, {1, 1e-39}, {1e38, 1e38}, {2e-38, 1 / 2e-38}};
    std::vector<Matrix> as, xs;
    for (const auto& [of_a, of_x] : scales) {
        as.push_back(of_a * one);
        xs.push_back(of_x * one);
    }
    const Placed pa = place(graph, as), px = place(graph, xs);
    const Words estimate = words(graph, scales.size(), DType::f32);
    condition_estimate(graph, pa.tensor, px.tensor, estimate.tensor);
    run(graph);
    for (std::size_t i = 0; i < 3; ++i)
        EXPECT_EQ(estimate.floats()[i], std::numeric_limits<float>::max()) << i;
    EXPECT_NEAR(estimate.floats()[3], 1, 1e-3);
}

TEST_P(ConditionTest, IsTheLargestFloatWhereThereIsNoRoot) {
    const std::uint64_t n = 12;
    const Matrix good = spd_matrix(n, 100, 1);
    Matrix indefinite = good;
    indefinite(4, 4) -= 2;
    Graph graph(device());
    const Placed pa = place(graph, {good, indefinite, good}), px = blank(graph, 3, n, n);
    const Words status = words(graph, 3), estimate = words(graph, 3, DType::f32);
    inverse_root(graph, pa.tensor, px.tensor, {.p = 4, .status = status.tensor});
    condition_estimate(graph, pa.tensor, px.tensor, estimate.tensor,
                       {.root = 4, .root_status = status.tensor});
    run(graph);
    const std::vector<float> is = estimate.floats();
    EXPECT_EQ(is[1], std::numeric_limits<float>::max());
    EXPECT_EQ(is[0], is[2]);
    EXPECT_TRUE(is[0] >= 50 && is[0] <= 100.1f) << is[0];
}

// What is taken over as a root has a condition: of a matrix of rank 5 that of what is not zero.
TEST_P(ConditionTest, IsThereForRootsOfLessThanFullRank) {
    const std::uint64_t n = 12;
    const Matrix half = random_matrix(n, 5, 1), a = rounded(half * half.transpose(), DType::f32);
    Graph graph(device());
    const Placed pa = place(graph, {a}), px = blank(graph, 1, n, n);
    const Words status = words(graph, 1), estimate = words(graph, 1, DType::f32);
    matrix_power(graph, pa.tensor, px.tensor,
                 {.exponent = -0.5, .floor_rule = SpectrumFloor::level, .status = status.tensor});
    condition_estimate(graph, pa.tensor, px.tensor, estimate.tensor,
                       {.root = 2, .root_status = status.tensor});
    run(graph);
    const SymmetricEigen eigen = symmetric_eigen(a);
    const double exact = eigen.values[n - 1] / eigen.values[n - 5];
    EXPECT_EQ(status.statuses()[0], "jittered");
    EXPECT_GE(estimate.floats()[0], 0.5 * exact);
    EXPECT_LE(estimate.floats()[0], 1.001 * exact);
}

TEST_P(ConditionTest, TheSameBitsEveryTimeAndSplit) {
    expect_same_bits(1e4, 2, [&](Graph& graph) {
        std::vector<GuardedBuffer*> results;
        for (const std::uint64_t n : {5u, 70u}) {
            const Matrix a = spd_matrix(n, 1e3, n);
            const Words estimate = words(graph, 1, DType::f32);
            condition_estimate(graph, place(graph, {a}).tensor, place(graph, {root_of(a, 2)}).tensor,
                               estimate.tensor, {.root = 2});
            results.push_back(estimate.buffer);
        }
        return results;
    });
}

TEST_P(ConditionTest, RefusesWhatDoesNotFitAndAddsNothing) {
    Graph graph(device());
    const auto tensor = [&](const Shape& shape, DType dtype = DType::f32) {
        return graph.temporary(dtype, shape);
    };
    const Tensor a = tensor({4, 4}), x = tensor({4, 4}), one = tensor({1});
    const auto with = [&](const ConditionOptions& options) {
        return [&, options] { condition_estimate(graph, a, x, one, options); };
    };
    expect_refusals(
        graph,
        {
            {"A is empty", [&] { condition_estimate(graph, {}, x, one); }},
            {"must be square",
             [&] {
                 condition_estimate(graph, tensor({3, 4}), x, one);
             }},
            {"shapes must agree",
             [&] {
                 condition_estimate(graph, a, tensor({5, 5}), one);
             }},
            {"one f32 for each matrix", [&] { condition_estimate(graph, a, x, tensor({2})); }},
            {"one f32 for each matrix", [&] { condition_estimate(graph, a, x, tensor({1}, DType::f16)); }},
            {"overlaps A",
             [&] {
                 Tensor inside = a;
                 inside.shape = Shape{1};
                 condition_estimate(graph, a, x, inside);
             }},
            {"root is", with({.root = 0})},
            {"root is", with({.root = kNan})},
            {"iterations is 0", with({.iterations = 0})},
            {"iterations is 65", with({.iterations = 65})},
            {"status is 2 u32", with({.root_status = tensor({2}, DType::u32)})},
        });
    condition_estimate(graph, tensor({0, 3, 3}), tensor({0, 3, 3}), tensor({0}));
    EXPECT_EQ(graph.compile({}).dispatch_count(), 0u);
}

HERON_DEVICE_TESTS(ConditionTest);

}  // namespace
}  // namespace heron::test

// SPDX-License-Identifier: MIT
// sum(), frobenius_norm() and count_nonfinite() against float64, on every device.
#include <cmath>
#include <limits>

#include "linalg/linalg_test.hpp"
#include "support/worst_ratios.hpp"

namespace heron::test {
namespace {

struct Outcome {
    std::vector<float> sums, norms;
    std::vector<std::uint32_t> nonfinite;
};

class ReduceTest : public LinalgTest {
protected:
    // One matrix for each item of the batch; all three reductions.
    void add(Graph& graph, const std::vector<Matrix>& items, DType dtype = DType::f32,
             std::uint64_t gap = 0) {
        const Placed x = place(graph, items, dtype, gap);
        const std::uint64_t count = items.size();
        const Added added{items, dtype, words(graph, count, DType::f32), words(graph, count, DType::f32),
                          words(graph, count)};
        sum(graph, x.tensor, added.sums.tensor);
        frobenius_norm(graph, x.tensor, added.norms.tensor);
        count_nonfinite(graph, x.tensor, added.counts.tensor);
        added_.push_back(added);
    }

    Outcome outcome(std::size_t index = 0) const {
        const Added& added = added_[index];
        return {added.sums.floats(), added.norms.floats(), added.counts.words()};
    }

    // Finite input only.
    void check() {
        for (std::size_t i = 0; i < added_.size(); ++i) {
            const Outcome is = outcome(i);
            for (std::size_t item = 0; item < added_[i].items.size(); ++item) {
                const Matrix x = rounded(added_[i].items[item], added_[i].dtype);
                const double depth =
                    std::max(1.0, std::ceil(std::log2(std::max<double>(1, static_cast<double>(x.size())))));
                // Drivers may flush subnormals, once for each addition.
                const double bound =
                    2 * 0x1p-24 * depth * x.cwiseAbs().sum() + static_cast<double>(x.size()) * 0x1p-126;
                const auto largest = static_cast<std::uint64_t>(std::max(x.rows(), x.cols()));
                const auto share = [](double error, double allowed) {
                    return error == 0 ? 0 : error / allowed;
                };
                ratios_.add("sum", largest,
                            share(std::abs(static_cast<double>(is.sums[item]) - x.sum()), bound));
                EXPECT_LE(std::abs(static_cast<double>(is.sums[item]) - x.sum()), bound)
                    << GetParam().name << ": sum of " << x.rows() << "x" << x.cols() << " "
                    << to_string(added_[i].dtype);
                // The norm is half as sensitive as the sum of squares; the root and the scaling add a few
                // roundings.
                const double norm = x.stableNorm();
                ratios_.add("norm", largest,
                            share(std::abs(static_cast<double>(is.norms[item]) - norm),
                                  (depth + 4) * 0x1p-24 * norm));
                EXPECT_LE(std::abs(static_cast<double>(is.norms[item]) - norm), (depth + 4) * 0x1p-24 * norm)
                    << GetParam().name << ": norm of " << x.rows() << "x" << x.cols() << " "
                    << to_string(added_[i].dtype) << " is " << is.norms[item] << ", should be " << norm;
                EXPECT_EQ(is.nonfinite[item], 0u);
            }
        }
    }

    struct Added {
        std::vector<Matrix> items;
        DType dtype;
        Words sums, norms, counts;
    };
    std::vector<Added> added_;
    WorstRatios ratios_;
};

TEST_P(ReduceTest, MatchesFloat64ForEverySize) {
    Graph graph(device());
    for (std::uint64_t n :
         {1u, 2u, 3u, 5u, 7u, 8u, 15u, 16u, 17u, 31u, 33u, 63u, 65u, 127u, 129u, 255u, 257u, 1000u})
        add(graph, {random_matrix(1, n, n)});
    for (std::uint64_t n : {4095u, 4096u, 4097u, 8192u, 100003u}) add(graph, {random_matrix(n, 1, n)});
    add(graph, {random_matrix(64, 64, 1), random_matrix(64, 64, 2), random_matrix(64, 64, 3)});
    add(graph, {random_matrix(100, 41, 4), random_matrix(100, 41, 5)}, DType::f32, 3);
    add(graph, {random_matrix(301, 41, 6)}, DType::f32, 7);
    run(graph);
    check();
}

// Same signs are the worst case of a sum: every rounding goes the same way.
TEST_P(ReduceTest, ErrorStaysWithinTheBoundForEqualElements) {
    Graph graph(device());
    add(graph, {Matrix::Constant(1, 4096, 0.1)});
    add(graph, {Matrix::Constant(1000, 1031, 0.1)});
    add(graph, {Matrix::Constant(700, 3, 1.0 / 3)});
    run(graph);
    check();
}

TEST_P(ReduceTest, TakesThreePassesForVeryLargeTensors) {
    Graph graph(device());
    constexpr std::uint64_t kCount = 4096 * 4096 + 5;
    add(graph, {Matrix::Constant(1, kCount, 0.5)});
    Plan plan = graph.compile({});
    EXPECT_EQ(plan.level_count(), 3u);
    run(graph);
    EXPECT_EQ(outcome().sums[0], static_cast<float>(kCount) * 0.5f);
    EXPECT_NEAR(outcome().norms[0], 0.5 * std::sqrt(static_cast<double>(kCount)), 1e-3);
    EXPECT_EQ(outcome().nonfinite[0], 0u);
}

TEST_P(ReduceTest, Takes16BitElements) {
    Graph graph(device());
    for (DType dtype : {DType::f16, DType::bf16}) {
        add(graph, {random_matrix(33, 35, 1)}, dtype);
        add(graph, {random_matrix(33, 35, 2), random_matrix(33, 35, 3)}, dtype, 1);
        add(graph, {random_matrix(200, 67, 4)}, dtype, 2);
    }
    run(graph);
    check();
}

// Squares of these overflow or underflow f32.
TEST_P(ReduceTest, NormNeitherOverflowsNorUnderflows) {
    Graph graph(device());
    for (double scale : {1e-37, 1e-30, 1e-19, 4e15, 1e18, 1e30, 1e36}) {
        Matrix x = random_matrix(60, 90, 8) * scale;
        x = x.unaryExpr(
            [](double v) { return std::abs(v) < 1.2e-38 ? 0.0 : v; });  // drivers may flush subnormals
        add(graph, {x});
        x(3, 7) = 1;  // beside the small, and beside the large ones
        add(graph, {x});
        Matrix mixed = random_matrix(10, 10, 9);
        mixed.row(2) *= scale;
        add(graph, {mixed.unaryExpr([](double v) { return std::abs(v) < 1.2e-38 ? 0.0 : v; })});
    }
    add(graph, {Matrix::Zero(50, 3)});
    run(graph);
    check();
}

TEST_P(ReduceTest, NonfiniteElementsAreCountedAndReachTheResult) {
    Graph graph(device());
    for (DType dtype : {DType::f32, DType::f16, DType::bf16}) {
        Matrix nan = random_matrix(99, 101, 1), infinite = nan, both = nan;
        nan(98, 100) = kNan;
        infinite(0, 0) = -kInfinity;
        infinite(50, 50) = -kInfinity;
        both(0, 1) = kInfinity;
        both(1, 0) = kNan;
        both(98, 3) = -kNan;
        add(graph, {nan, infinite, both}, dtype);
    }
    add(graph, {Matrix::Constant(300, 300, kNan)});
    run(graph);
    for (std::size_t i = 0; i < 3; ++i) {
        const Outcome is = outcome(i);
        EXPECT_EQ(is.nonfinite, (std::vector<std::uint32_t>{1, 2, 3}));
        EXPECT_TRUE(std::isnan(is.sums[0]) && std::isnan(is.norms[0]));
        EXPECT_EQ(is.sums[1], -std::numeric_limits<float>::infinity());
        EXPECT_EQ(is.norms[1], std::numeric_limits<float>::infinity());
        EXPECT_TRUE(std::isnan(is.sums[2]) && std::isnan(is.norms[2]));
    }
    EXPECT_EQ(outcome(3).nonfinite[0], 90000u);
}

TEST_P(ReduceTest, NothingSumsToZero) {
    Graph graph(device());
    add(graph, {Matrix(0, 5)});
    add(graph, {Matrix(5, 0), Matrix(5, 0)});
    run(graph);
    for (std::size_t i = 0; i < 2; ++i)
        for (std::size_t item = 0; item < i + 1; ++item) {
            EXPECT_EQ(outcome(i).sums[item], 0.0f);
            EXPECT_EQ(outcome(i).norms[item], 0.0f);
            EXPECT_EQ(outcome(i).nonfinite[item], 0u);
        }
}

TEST_P(ReduceTest, GivesTheSameBitsEveryTime) {
    std::vector<std::vector<float>> results;
    for (int round = 0; round < 5; ++round) {
        added_.clear();
        Graph graph(device());
        add(graph, {random_matrix(500, 333, 1)});
        run(graph);
        results.push_back({outcome().sums[0], outcome().norms[0]});
    }
    for (const auto& result : results) EXPECT_EQ(result, results[0]);
}

TEST_P(ReduceTest, RefusesWhatDoesNotFit) {
    Graph graph(device());
    const Tensor x = graph.temporary(DType::f32, {3, 4, 5}), three = graph.temporary(DType::f32, {3});
    expect_refusals(graph,
                    {
                        {"x is empty", [&] { sum(graph, {}, three); }},
                        {"`result` is empty", [&] { sum(graph, x, {}); }},
                        {"3 f32, one for each matrix",
                         [&] { frobenius_norm(graph, x, graph.temporary(DType::f32, {4})); }},
                        {"3 u32, one for each matrix", [&] { count_nonfinite(graph, x, three); }},
                        {"f32, f16 or bf16", [&] { sum(graph, graph.temporary(DType::u32, {3}), three); }},
                        {"overlaps x",
                         [&] {
                             sum(graph, three.reshape({3, 1, 1}), three);
                         }},
                    });
}

HERON_DEVICE_TESTS(ReduceTest);

}  // namespace
}  // namespace heron::test

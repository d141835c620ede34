// SPDX-License-Identifier: MIT
// power_iteration() on every device against float64.
#include <cmath>
#include <string>
#include <vector>

#include "linalg/linalg_test.hpp"

namespace heron::test {
namespace {

Matrix positive(std::uint64_t n, std::uint64_t seed) {
    const Matrix x = random_matrix(n, n, seed);
    return rounded(x * x.transpose(), DType::f32);
}

class PowerIterationTest : public LinalgTest {
protected:
    struct Outcome {
        std::vector<float> vectors, values;
        std::vector<std::uint32_t> status;
    };

    Outcome run(const std::vector<Matrix>& items, const std::vector<float>& start, std::uint32_t iterations,
                float mix = 1e-3f, int steps = 1) {
        const auto n = static_cast<std::uint64_t>(items[0].cols());
        const std::uint64_t count = items.size();
        GuardedBuffer& vector = guarded(start);
        GuardedBuffer& value = guarded(std::vector<float>(count, 77.0f));
        GuardedBuffer& status = guarded(std::vector<std::uint32_t>(count, 77));
        Graph graph(device());
        power_iteration(
            graph, graph.external("a", guarded(encode(items, DType::f32, n)).view(DType::f32, {count, n, n})),
            graph.external("v", vector.view(DType::f32, {count, n})),
            graph.external("value", value.view(DType::f32, {count})),
            {.iterations = iterations,
             .mix = mix,
             .status = graph.external("status", status.view(DType::u32, {count}))});
        Plan plan = graph.compile({});
        plan.allocate();
        EXPECT_TRUE(plan.hazards().empty());
        for (int i = 0; i < steps; ++i) plan.run();
        return {vector.floats(), value.floats(), status.read<std::uint32_t>()};
    }
};

// The same iteration in float64, from the same start without the random part.
TEST_P(PowerIterationTest, MatchesTheIterationInFloat64) {
    for (std::uint64_t n : {1u, 2u, 7u, 33u, 130u}) {
        const Matrix a = positive(n, n);
        const Matrix start = rounded(random_matrix(n, 1, n + 1), DType::f32);
        const Outcome is = run({a}, {start.data(), start.data() + n}, 3, 0.0f);
        Matrix v = start / start.norm();
        double value = 0;
        for (int i = 0; i < 3; ++i) {
            const Matrix w = a * v;
            value = (v.transpose() * w)(0, 0);
            v = w / w.norm();
        }
        ratio("largest eigenvalue", a, std::abs(static_cast<double>(is.values[0]) - value), 1e-5 * value,
              std::to_string(n));
        for (std::uint64_t i = 0; i < n; ++i)
            ratio("its eigenvector", a,
                  std::abs(static_cast<double>(is.vectors[i]) - v(static_cast<Eigen::Index>(i), 0)), 1e-5,
                  std::to_string(n));
        EXPECT_EQ(is.status[0], 0u);
    }
}

TEST_P(PowerIterationTest, FindsTheLargestEigenvalueOverTheStepsFromZero) {
    const Matrix a = positive(40, 3), b = positive(40, 4) * 1e18, c = positive(40, 5) * 1e-18;
    const Outcome is = run({a, b, Matrix::Zero(40, 40), c}, std::vector<float>(160, 0.0f), 4, 1e-3f, 30);
    for (const auto& [item, matrix] : {std::pair<std::size_t, const Matrix&>{0, a}, {1, b}, {3, c}}) {
        const double largest = symmetric_eigen(matrix).values[39];
        EXPECT_LE(static_cast<double>(is.values[item]), largest * (1 + 2 * std::sqrt(40.0) * 0x1p-24))
            << item;
        EXPECT_GE(static_cast<double>(is.values[item]), largest * 0.9999) << item;
    }
    EXPECT_EQ(is.values[2], 0.0f);
}

TEST_P(PowerIterationTest, FindsTheLargestEigenvalueOfEveryKind) {
    std::vector<Matrix> items;
    for (MatrixKind kind : finite_matrix_kinds()) items.push_back(DampedGram(kind, 40).gram);
    const Outcome is = run(items, std::vector<float>(40 * items.size(), 0.0f), 4, 1e-3f, 30);
    // 120 iterations do not tell the two of a cluster apart, which differ by 2e-4.
    constexpr double kAllowed = 2e-4;
    for (std::size_t item = 0; item < items.size(); ++item) {
        const double largest = spectral_norm(items[item]), value = static_cast<double>(is.values[item]);
        ratio("largest eigenvalue, from below", items[item], std::max(0.0, largest - value),
              kAllowed * largest, to_string(finite_matrix_kinds()[item]));
        ratio("largest eigenvalue, from above", items[item], std::max(0.0, value - largest),
              2 * std::sqrt(40.0) * kUnit * largest, to_string(finite_matrix_kinds()[item]));
        EXPECT_EQ(is.status[item], 0u);
    }
}

// However long the start is made by the random part: the value is a Rayleigh quotient, the vector of norm 1.
TEST_P(PowerIterationTest, OneIterationFromNothingIsALowerBound) {
    for (std::uint64_t n : {1u, 3u, 40u})
        for (float mix : {0.0f, 1e-3f, 1.0f}) {
            const auto order = static_cast<Eigen::Index>(n);
            const Matrix one = 2 * Matrix::Identity(order, order), zero = Matrix::Zero(order, order);
            std::vector<float> start(3 * n, 0.0f);
            std::fill(start.begin() + 2 * order, start.end(), 1e-39f);
            const Outcome is = run({one, zero, one}, start, 1, mix);
            EXPECT_EQ(is.status, (std::vector<std::uint32_t>{0, 0, 0}));
            EXPECT_NEAR(is.values[0], 2.0f, 1e-5f) << n << " " << mix;
            EXPECT_EQ(is.values[1], 0.0f);
            EXPECT_NEAR(is.values[2], 2.0f, 1e-5f) << n << " " << mix;
            for (std::uint64_t item = 0; item < 3; ++item) {
                double squares = 0;
                for (std::uint64_t i = 0; i < n; ++i)
                    squares += std::pow(static_cast<double>(is.vectors[item * n + i]), 2);
                EXPECT_NEAR(squares, 1.0, 1e-5) << n << " " << mix << " " << item;
            }
        }
}

// The eigenvalue is in f32's range, and so is all that leads to it, whatever the start.
TEST_P(PowerIterationTest, ReachesTheEndsOfTheRange) {
    for (const double scale : {3.3e38, 1e-35})
        for (const std::uint64_t n : {1u, 2u, 3u, 1000u})
            for (const float mix : {0.0f, 1e-3f, 1.0f}) {
                const auto order = static_cast<Eigen::Index>(n);
                const Matrix a = rounded(scale * Matrix::Identity(order, order), DType::f32);
                std::vector<float> start(2 * n, 0.0f);
                start[n] = 1.0f;
                const Outcome is = run({a, a}, start, 2, mix);
                const std::string where =
                    std::to_string(scale) + ", " + std::to_string(n) + " rows, mix " + std::to_string(mix);
                EXPECT_EQ(is.status, (std::vector<std::uint32_t>{0, 0})) << where;
                // As in the header.
                const double bound = 2 * std::sqrt(static_cast<double>(n)) * 0x1p-24 * a(0, 0) + 1.2e-38;
                for (const float value : is.values)
                    ratio("largest eigenvalue at the ends of the range", a,
                          std::abs(static_cast<double>(value) - a(0, 0)), bound, where);
            }
}

// Without the random part, power iteration never leaves an invariant subspace.
TEST_P(PowerIterationTest, ANewDominantDirectionEnters) {
    Matrix a = Matrix::Identity(10, 10);
    a(3, 3) = 5;
    std::vector<float> start(10, 0.0f);
    start[0] = 1.0f;
    EXPECT_EQ(run({a}, start, 4, 0.0f, 10).values[0], 1.0f);
    EXPECT_NEAR(run({a}, start, 4, 1e-3f, 10).values[0], 5.0f, 1e-4f);
}

TEST_P(PowerIterationTest, NonfiniteMatricesAreReportedAndRecover) {
    const Matrix good = positive(12, 1);
    std::vector<float> start(36, 1.0f);
    for (std::size_t i = 24; i < 36; ++i) start[i] = NAN;  // a bad start alone is no failure
    const Outcome is = run({good, make_matrix(MatrixKind::one_nan, 12, 12, 1), good}, start, 40);
    EXPECT_EQ(is.status, (std::vector<std::uint32_t>{0, 1, 0}));
    EXPECT_EQ(is.values[1], 0.0f);
    for (float x : is.vectors) EXPECT_TRUE(std::isfinite(x));
    EXPECT_NEAR(is.values[2], is.values[0], 1e-3f * is.values[0]);
}

TEST_P(PowerIterationTest, SameBitsWholeOrSplitAndEveryTime) {
    expect_same_bits(1e4, 1, [&](Graph& graph) -> std::vector<GuardedBuffer*> {
        const Placed a = place(graph, {positive(70, 1), positive(70, 2)});
        const Placed v = place(graph, {random_matrix(2, 70, 3)}), value = blank(graph, 1, 1, 2);
        power_iteration(graph, a.tensor, v.tensor, value.tensor.reshape({2}), {.iterations = 5});
        return {v.buffer, value.buffer};
    });
}

TEST_P(PowerIterationTest, RefusesWhatDoesNotFit) {
    Graph graph(device());
    const Tensor a = graph.temporary(DType::f32, {2, 4, 4}), v = graph.temporary(DType::f32, {2, 4});
    const Tensor value = graph.temporary(DType::f32, {2});
    expect_refusals(
        graph, {
                   {"must be square",
                    [&] {
                        power_iteration(graph, graph.temporary(DType::f32, {4, 5}), v, value);
                    }},
                   {"4 f32 for each matrix",
                    [&] {
                        power_iteration(graph, a, graph.temporary(DType::f32, {2, 5}), value);
                    }},
                   {"one f32 for each matrix",
                    [&] { power_iteration(graph, a, v, graph.temporary(DType::f32, {3})); }},
                   {"iterations is 0", [&] { power_iteration(graph, a, v, value, {.iterations = 0}); }},
                   {"mix is", [&] { power_iteration(graph, a, v, value, {.mix = -1.0f}); }},
                   {"overlaps", [&] { power_iteration(graph, a, a.batch_item(0).row_range(0, 2), value); }},
               });
}

HERON_DEVICE_TESTS(PowerIterationTest);

}  // namespace
}  // namespace heron::test

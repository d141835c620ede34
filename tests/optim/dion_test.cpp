// SPDX-License-Identifier: MIT
// What is Dion's own: the first Q, momenta of low rank, and views.
#include <gtest/gtest.h>

#include <cmath>

#include "optim/optimizer_checks.hpp"
#include "optim/reference_dion.hpp"
#include "support/golden.hpp"

namespace heron::test {
namespace {

constexpr DionQr kMethods[] = {DionQr::automatic, DionQr::householder, DionQr::cqr, DionQr::rcqr};

MakeOptimizer dion(const DionOptions& options) {
    return [=](const Device& device) { return std::make_unique<Dion>(device, options); };
}

Matrix state_matrix(const Training& training, const std::string& name, std::uint64_t rows,
                    std::uint64_t cols) {
    return matrix_of(doubles(training.state(name)), rows, cols);
}

void set_gradient(Training& training, const Matrix& g) {
    training.tensor().set_gradient(std::vector<float>(g.data(), g.data() + g.size()));
}

class DionTest : public DeviceTest {};

TEST_P(DionTest, FirstQIsNormalAndDependsOnSeedAndNameAlone) {
    const auto first = [&](std::vector<TestTensor> tensors, std::uint32_t seed) {
        StepOptions options;
        options.seed = seed;
        Training training(device(), dion({.rank_fraction = 0.5}), std::move(tensors), options);
        return training.state("a.q");
    };
    const TestTensor a{.name = "a", .shape = {60, 200}}, b{.name = "b", .shape = {60, 200}};
    const std::vector<float> q = first({a}, 7);
    EXPECT_EQ(q.size(), 60u * 30u);
    double mean = 0, square = 0;
    for (const float x : q) {
        mean += x / static_cast<double>(q.size());
        square += static_cast<double>(x) * x / static_cast<double>(q.size());
    }
    // Five standard deviations.
    EXPECT_NEAR(mean, 0.0, 5 / std::sqrt(static_cast<double>(q.size())));
    EXPECT_NEAR(square, 1.0, 5 * std::sqrt(2.0 / static_cast<double>(q.size())));
    EXPECT_EQ(first({b, a}, 7), q);
    EXPECT_NE(first({a}, 8), q);
    Training both(device(), dion({.rank_fraction = 0.5}), {a, b});
    EXPECT_NE(both.state("a.q"), both.state("b.q"));
}

TEST_P(DionTest, RankIsRoundedUpToItsMultiple) {
    const auto rank = [&](const DionOptions& options, const Shape& shape) {
        Training training(device(), dion(options), {{.name = "a", .shape = shape}});
        return training.plan().state_view("a.q").shape;
    };
    EXPECT_EQ(rank({.rank_fraction = 0.25}, {10, 24}), (Shape{10, 3}));
    EXPECT_EQ(rank({.rank_fraction = 0.25, .rank_multiple = 4}, {24, 10}), (Shape{10, 4}));
    EXPECT_EQ(rank({.rank_fraction = 0.9, .rank_multiple = 8}, {24, 10}), (Shape{10, 10}));
    EXPECT_EQ(rank({.rank = 5, .rank_fraction = 0.1}, {24, 10}), (Shape{10, 5}));
    EXPECT_EQ(rank({.rank = 50}, {24, 10}), (Shape{10, 10}));
    EXPECT_EQ(rank(DionOptions::simple(2), {10, 24}), (Shape{24, 2}));
}

// Where dion's Cholesky methods leave columns of zeros for ever: the momentum has rank 1 (of small integers,
// so that what it lacks is zero and no rounding error), then full rank.
TEST_P(DionTest, ColumnsThatVanishComeBack) {
    constexpr std::uint64_t kRows = 40, kCols = 12, kRank = 6;
    for (const DionQr qr : kMethods) {
        SCOPED_TRACE(static_cast<int>(qr));
        DionOptions options{.weight_decay = 0.0f, .rank_fraction = 0.5, .qr = qr};
        Training training(device(), dion(options), {{.name = "a", .shape = {kRows, kCols}}});
        Matrix rank_one = Matrix::Zero(kRows, kCols);
        rank_one.row(3).setConstant(2.0);
        rank_one.row(17).setConstant(-4.0);
        for (int step = 1; step <= 4; ++step) {
            const std::vector<double> before = doubles(training.tensor().weight());
            set_gradient(training, rank_one);
            training.plan().run();
            const Matrix q = state_matrix(training, "a.q", kCols, kRank);
            for (Eigen::Index column = 0; column < q.cols(); ++column) {
                EXPECT_GT(q.col(column).norm(), 0.2) << "step " << step << ", column " << column;
                EXPECT_LT(q.col(column).norm(), 3.0) << "step " << step << ", column " << column;
            }
            // P has orthonormal columns, or fewer, and those of Q have unit length: sqrt(rank) bounds the
            // norm.
            std::vector<double> update = doubles(training.tensor().weight());
            for (std::size_t i = 0; i < update.size(); ++i) update[i] = before[i] - update[i];
            const double lr = static_cast<double>(options.lr) * std::sqrt(40.0 / 12.0);
            EXPECT_LE(spectral_norm(matrix_of(update, kRows, kCols)) / lr, std::sqrt(6.0) * 1.001);
            EXPECT_EQ(training.nonfinite(), std::vector<std::string>{});
        }
        for (unsigned step = 1; step <= 3; ++step) training.steps(step, 1);
        const Matrix q = state_matrix(training, "a.q", kCols, kRank);
        EXPECT_GT(singular_values(q)[kRank - 1], 0.05);
        // What the momentum has now is used in every direction of the subspace.
        const std::vector<double> before = doubles(training.tensor().weight());
        training.steps(4, 1);
        std::vector<double> update = doubles(training.tensor().weight());
        for (std::size_t i = 0; i < update.size(); ++i) update[i] = before[i] - update[i];
        const double lr = static_cast<double>(options.lr) * std::sqrt(40.0 / 12.0);
        EXPECT_GT(singular_values(matrix_of(update, kRows, kCols))[kRank - 1] / lr, 0.05);
    }
}

// Q lies in the momentum's null space: nothing that a power iteration could begin with.
TEST_P(DionTest, QWithoutPartInTheMomentumIsDrawnAnew) {
    for (const DionQr qr : {DionQr::cqr, DionQr::rcqr}) {
        Training training(device(), dion({.rank = 2, .qr = qr}), {{.name = "a", .shape = {20, 6}}});
        std::vector<float> q(12, 0.0f);
        q[0] = q[3] = 1.0f;  // columns e_0 and e_1
        training.set_state("a.q", q);
        Matrix g = Matrix::Zero(20, 6);
        g.rightCols(4).setConstant(1.0);
        set_gradient(training, g);
        training.plan().run();
        const Matrix fresh = state_matrix(training, "a.q", 6, 2);
        EXPECT_GT(fresh.bottomRows(4).norm(), 0.1);
        EXPECT_GT(singular_values(fresh)[1], 0.01);
        // M - (1 - mu) 0: nothing was taken from it.
        EXPECT_EQ(training.state("a.momentum"), training.tensor().gradient_values());
    }
}

// A Y = M Q with a condition number of 2400, above what one pass of Cholesky QR can do: P loses its
// orthogonality, but no column of it, and so none of the update, is longer than 1.
TEST_P(DionTest, IllConditionedMomentaKeepUpdatesBounded) {
    const SafetensorsReader file(golden_file("dion", "simple-full-square"));
    const auto floats = [&](const char* name) {
        const std::vector<double> values = file.read_as_double(name);
        return std::vector<float>(values.begin(), values.end());
    };
    for (const DionQr qr : kMethods) {
        SCOPED_TRACE(static_cast<int>(qr));
        const DionOptions options{.weight_decay = 0.0f, .qr = qr};
        Training training(device(), dion(options), {{.name = "a", .shape = {8, 8}}});
        training.tensor().set_weight(std::vector<float>(64, 0.0f));
        training.tensor().set_gradient(floats("g.1"));
        training.set_state("a.q", floats("q.0"));
        training.plan().run();
        const Matrix update = matrix_of(doubles(training.tensor().weight()), 8, 8);
        EXPECT_LE(update.norm() / static_cast<double>(options.lr), std::sqrt(8.0) * 1.001);
    }
}

TEST_P(DionTest, BlocksAreMatricesOfTheirOwn) {
    const DionOptions options{.rank_fraction = 0.5};
    for (const TestTensor& fused :
         {TestTensor{.name = "f", .shape = {18, 10}, .view = {.row_splits = {8, 10}}},
          TestTensor{.name = "f", .shape = {16, 10}, .view = {.heads = 2}},
          TestTensor{.name = "f", .shape = {2, 8, 10}, .view = {.batch = true}}}) {
        SCOPED_TRACE(fused.shape.text());
        const std::uint64_t rows[] = {8, fused.shape[0] == 18 ? 10u : 8u};
        Training whole(device(), dion(options), {fused});
        Training apart(device(), dion(options),
                       {{.name = "a", .shape = {rows[0], 10}}, {.name = "b", .shape = {rows[1], 10}}});
        const auto join = [](std::vector<float> a, const std::vector<float>& b) {
            a.insert(a.end(), b.begin(), b.end());
            return a;
        };
        whole.tensor().set_weight(join(apart.tensor(0).weight(), apart.tensor(1).weight()));
        whole.set_state("f.q", join(apart.state("a.q"), apart.state("b.q")));
        for (unsigned step = 1; step <= 2; ++step) {
            apart.draw_gradients(step);
            whole.tensor().set_gradient(
                join(apart.tensor(0).gradient_values(), apart.tensor(1).gradient_values()));
            apart.plan().run();
            whole.plan().run();
        }
        EXPECT_EQ(whole.tensor().weight(), join(apart.tensor(0).weight(), apart.tensor(1).weight()));
        EXPECT_EQ(whole.state("f.momentum"), join(apart.state("a.momentum"), apart.state("b.momentum")));
        EXPECT_EQ(whole.state("f.q"), join(apart.state("a.q"), apart.state("b.q")));
    }
}

TEST_P(DionTest, LevelsDoNotGrowWithTheNumberOfMatrices) {
    const auto levels = [&](std::size_t count) {
        std::vector<TestTensor> tensors;
        for (std::size_t i = 0; i < count; ++i)
            tensors.push_back({.name = "p" + std::to_string(i), .shape = {24 + i, 40}});
        Training training(device(), dion({.rank_fraction = 0.25}), tensors);
        return training.plan().level_count();
    };
    EXPECT_EQ(levels(1), 9u);  // statistics, advance, and seven with a QR of one dispatch
    EXPECT_EQ(levels(5), 9u);
}

TEST_P(DionTest, OptionsAndMatricesOutOfRangeAreRefused) {
    const auto refused = [](const auto& act, const std::string& word) { expect_refused(act, {word}); };
    const auto make = [&](const DionOptions& options) {
        return [this, options] { Dion(device(), options); };
    };
    refused(make({.momentum = 1.01}), "momentum");
    refused(make({.rank_fraction = 0.0}), "rank_fraction");
    refused(make({.rank_fraction = 1.5}), "rank_fraction");
    refused(make({.rank_multiple = 0}), "rank_multiple");
    refused(make({.power_iterations = 0}), "power_iterations");
    refused(make({.qr = static_cast<DionQr>(9)}), "qr");
    refused(make({.oversample = 0.5}), "oversample");
    refused(make({.eps = -1.0}), "eps");
    refused(make({.shape_factor = static_cast<ShapeFactor>(9)}), "shape_factor");
    refused(
        [&] {
            Training(device(), dion({.rank = 2, .qr = DionQr::householder}),
                     {{.name = "long", .shape = {3, 4097}}});
        },
        "DionQr::automatic");
    refused([&] { Training(device(), dion({}), {{.name = "v", .shape = {7}}}); }, "AdamW");
}

HERON_DEVICE_TESTS(DionTest);

}  // namespace
}  // namespace heron::test

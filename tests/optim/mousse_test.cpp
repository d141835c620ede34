// SPDX-License-Identifier: MIT
// Mousse: grafting, views, refreshes without a root, options.
#include <gtest/gtest.h>

#include <cmath>

#include "optim/optimizer_checks.hpp"
#include "optim/reference_kronecker.hpp"

namespace heron::test {
namespace {

MakeOptimizer mousse(const MousseOptions& options) {
    return [=](const Device& device) { return std::make_unique<Mousse>(device, options); };
}

class MousseTest : public DeviceTest {};

// Converged Newton-Schulz iterations give a polar factor of norm sqrt(k), whatever the whiteners.
TEST_P(MousseTest, UpdatesHaveTheSizeOfThePolarFactor) {
    MousseOptions options;
    options.lr = 1.0f;
    options.exponent = 0.5;
    options.weight_decay = 0.0f;
    options.shape_factor = ShapeFactor::none;
    options.refresh.interval = 1;
    options.polar.coefficients.assign(20, {1.875, -1.25, 0.375});
    for (const bool graft : {true, false}) {
        options.graft = graft;
        Training training(device(), mousse(options), {{.name = "w", .shape = {9, 16}}});
        for (unsigned step = 1; step <= 3; ++step) {
            training.tensor().set_weight(std::vector<float>(9 * 16, 0.0f));
            training.draw_gradients(step);
            training.plan().run();
            double sum = 0;
            for (const double value : doubles(training.tensor().weight())) sum += value * value;
            if (graft)
                EXPECT_NEAR(std::sqrt(sum), 3.0, 3e-5);
            else
                EXPECT_GT(std::abs(std::sqrt(sum) - 3.0), 0.1);
        }
    }
}

TEST_P(MousseTest, BlocksAreMatricesOfTheirOwnWithStaggeredRefreshes) {
    MousseOptions options;
    options.refresh = {.interval = 2, .turn_flops = 0};
    options.max_order = 12;
    const std::vector<ReferenceBlock> blocks{{16, 7, std::sqrt(16.0 / 7)}, {9, 7, std::sqrt(9.0 / 7)}};
    Training training(device(), mousse(options),
                      {{.name = "w", .shape = {25, 7}, .view = {.row_splits = {16, 9}}}});
    std::vector<MousseReference> references;
    for (const ReferenceBlock& b : blocks)
        references.emplace_back(options, b.rows, b.cols, b.factor, references.size());
    for (unsigned step = 1; step <= 4; ++step) {
        training.draw_gradients(step);
        const std::vector<float> before = training.tensor().weight();
        const std::vector<double> gradient = doubles(training.tensor().gradient_values());
        training.plan().run();
        const std::vector<float> after = training.tensor().weight();
        std::size_t at = 0;
        for (std::size_t i = 0; i < blocks.size(); ++i) {
            const std::size_t end = at + blocks[i].rows * blocks[i].cols;
            std::vector<double> expected(before.begin() + at, before.begin() + end);
            references[i].step(expected, {gradient.begin() + at, gradient.begin() + end}, step);
            double error = 0, update = 0;
            for (std::size_t k = at; k < end; ++k) {
                error += std::pow(after[k] - expected[k - at], 2);
                update += std::pow(expected[k - at] - before[k], 2);
            }
            EXPECT_LE(std::sqrt(error / update), 1e-4) << "step " << step << ", block " << i;
            at = end;
        }
    }
}

TEST_P(MousseTest, OneSideAloneHasNoStateOfTheOther) {
    MousseOptions options;
    options.refresh.interval = 1;
    options.exponent = 0.25;
    options.damping = 1e-3f;
    for (const MousseSides sides : {MousseSides::left, MousseSides::right}) {
        options.sides = sides;
        Training training(device(), mousse(options), {{.name = "w", .shape = {9, 6}}});
        const std::string other = sides == MousseSides::left ? "R" : "L";
        EXPECT_EQ(training.states_of(0).count(other), 0u);
        EXPECT_EQ(training.states_of(0).count(sides == MousseSides::left ? "L" : "R"), 1u);
        MousseReference reference(options, 9, 6, std::sqrt(9.0 / 6));
        SCOPED_TRACE("without " + other);
        expect_steps(training, reference, 3);
    }
}

TEST_P(MousseTest, WeightsDecayInEveryForm) {
    MousseOptions options;
    options.damping = 1e-3f;
    expect_every_decay<Mousse, MousseReference>(device(), options);
}

// A gradient of two columns leaves L a null space, of which f32 makes anything up to n u of the largest
// eigenvalue: the whitener there is that of the smallest eigenvalue that is none of it.
TEST_P(MousseTest, NullSpacesGetTheRootOfTheWeakestDirection) {
    Training training(device(), mousse({}), {{.name = "w", .shape = {9, 2}}});
    training.draw_gradients(3);
    training.plan().run();
    const Matrix g = matrix_of(doubles(training.tensor().gradient_values()), 9, 2);
    const Matrix l = g * g.transpose() * (9 / g.squaredNorm());
    const Vector values = symmetric_eigen(l).values;
    const Vector found = symmetric_eigen(matrix_of(doubles(training.state("w.L_whitener")), 9, 9)).values;
    EXPECT_NEAR(found[0], std::pow(values[8], -0.125), 1e-5);
    for (Eigen::Index i = 1; i < 9; ++i) EXPECT_NEAR(found[i], std::pow(values[7], -0.125), 1e-5) << i;
}

TEST_P(MousseTest, RefreshesWithoutARootKeepTheLastWhitener) {
    MousseOptions options;
    options.refresh.interval = 1;
    Training training(device(), mousse(options), {{.name = "w", .shape = {8, 6}}});
    expect_kept_roots(training, "w.L", "w.R");
}

TEST_P(MousseTest, RefusesOptionsOutOfRangeByName) {
    const auto refused = [&](const char* name, auto&& change) {
        expect_option_refused<Mousse, MousseOptions>(device(), name, change);
    };
    refused("lr", [](MousseOptions& o) { o.lr = -1; });
    refused("momentum", [](MousseOptions& o) { o.momentum = 1; });
    refused("factor_decay", [](MousseOptions& o) { o.factor_decay = -0.1; });
    refused("exponent", [](MousseOptions& o) { o.exponent = 0; });
    refused("damping", [](MousseOptions& o) { o.damping = -1; });
    refused("weight_decay", [](MousseOptions& o) { o.weight_decay = -1; });
    refused("decay", [](MousseOptions& o) { o.decay = static_cast<DecayForm>(5); });
    refused("refresh.interval", [](MousseOptions& o) { o.refresh.interval = 0; });
    refused("max_order", [](MousseOptions& o) { o.max_order = 5000; });
    refused("sides", [](MousseOptions& o) { o.sides = static_cast<MousseSides>(9); });
    refused("shape_factor", [](MousseOptions& o) { o.shape_factor = static_cast<ShapeFactor>(9); });
    refused("polar.guarded", [](MousseOptions& o) { o.polar.guarded = false; });
}

HERON_DEVICE_TESTS(MousseTest);

}  // namespace
}  // namespace heron::test

// SPDX-License-Identifier: MIT
// Mousse: grafting, views, refreshes without a root, options.
#include <gtest/gtest.h>

#include <algorithm>
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
// eigenvalue: in a step that renews it the whitener there is that of the smallest eigenvalue that is none of
// it, and after it that of damping, twice.
TEST_P(MousseTest, NullSpacesGetTheRootOfTheWeakestDirectionAndThenOfDamping) {
    for (const std::uint32_t interval : {1u, 10u}) {
        SCOPED_TRACE(interval);
        MousseOptions options;
        options.refresh.interval = interval;
        Training training(device(), mousse(options), {{.name = "w", .shape = {9, 2}}});
        training.draw_gradients(3);
        training.plan().run();
        const Matrix g = matrix_of(doubles(training.tensor().gradient_values()), 9, 2);
        const Matrix l = g * g.transpose() * (9 / g.squaredNorm());
        const Vector values = symmetric_eigen(l).values;
        const Vector found = symmetric_eigen(matrix_of(doubles(training.state("w.L_whitener")), 9, 9)).values;
        const double null = interval == 1 ? std::pow(values[7], -0.125) : std::pow(2e-10, -0.125);
        std::vector<double> expected(7, null);
        expected.push_back(std::pow(values[7], -0.125));
        expected.push_back(std::pow(values[8], -0.125));
        std::sort(expected.begin(), expected.end());
        for (Eigen::Index i = 0; i < 9; ++i)
            EXPECT_NEAR(found[i], expected[static_cast<std::size_t>(i)], 1e-5 * null) << i;
    }
}

// What a gradient has in the null space of the whiteners before it, ten steps' of float64.
TEST_P(MousseTest, GradientsBetweenRefreshesAreFloat64s) {
    MousseOptions options;
    options.refresh = {.interval = 5, .stagger = false};
    for (const auto& [rows, cols] : {std::pair{6, 10}, std::pair{10, 6}, std::pair{12, 3}}) {
        SCOPED_TRACE(std::to_string(rows) + " x " + std::to_string(cols));
        const auto m = static_cast<std::uint64_t>(rows), n = static_cast<std::uint64_t>(cols);
        Training training(device(), mousse(options), {{.name = "w", .shape = {m, n}}});
        MousseReference reference(options, m, n, std::sqrt(static_cast<double>(m) / static_cast<double>(n)));
        expect_steps(training, reference, 10);
    }
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

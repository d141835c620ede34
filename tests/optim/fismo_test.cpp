// SPDX-License-Identifier: MIT
// FISMO: what its derivation promises (paper, section on the constrained step), views, refreshes, failures.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "optim/optimizer_checks.hpp"
#include "optim/reference_kronecker.hpp"

namespace heron::test {
namespace {

MakeOptimizer fismo(const FismoOptions& options) {
    return [=](const Device& device) { return std::make_unique<Fismo>(device, options); };
}

// One step is the maximiser of <G, D> itself: rate 1, no momentum, the exact polar factor.
FismoOptions plain(Whitening whitening) {
    FismoOptions options;
    options.lr = 1.0f;
    options.momentum = 0.0;
    options.whitening = whitening;
    options.refresh.interval = 1;
    options.shape_factor = ShapeFactor::none;
    options.exact_polar = true;
    return options;
}

class FismoTest : public DeviceTest {
protected:
    static Matrix matrix_state(const Training& training, const std::string& name, std::uint64_t order) {
        return matrix_of(doubles(training.state(name)), order, order);
    }
};

// max <G, D> subject to |P^(1/2) D Q^(1/2)|_2 <= 1: the step is feasible, reaches the dual norm, and no other
// feasible matrix does better. W begins at zero, so that the update is exact.
TEST_P(FismoTest, StepIsTheSteepestOneInTheMetricOfItsFactors) {
    constexpr std::uint64_t kRows = 12, kCols = 7;
    for (const Whitening whitening : {Whitening::symmetric, Whitening::cholesky}) {
        SCOPED_TRACE(whitening == Whitening::symmetric ? "symmetric" : "cholesky");
        FismoOptions options = plain(whitening);
        options.factor_decay = 0.3;
        Training training(device(), fismo(options), {{.name = "w", .shape = {kRows, kCols}}});
        for (unsigned step = 1; step <= 3; ++step) {
            training.tensor().set_weight(std::vector<float>(kRows * kCols, 0.0f));
            training.draw_gradients(step, 0.01);
            training.plan().run();
            const Matrix g = matrix_of(doubles(training.tensor().gradient_values()), kRows, kCols);
            const Matrix d = -matrix_of(doubles(training.tensor().weight()), kRows, kCols);
            // P^(1/2) is the inverse of S_P up to a rotation, which no norm sees.
            const Matrix sp = whitener_reference(matrix_state(training, "w.P", kRows), whitening),
                         sq = whitener_reference(matrix_state(training, "w.Q", kCols), whitening);
            const Matrix constrained = inverse(sp) * d * inverse(sq).transpose();
            EXPECT_NEAR(spectral_norm(constrained), 1.0, 2e-5);
            const double dual = singular_values(sp.transpose() * g * sq).sum();
            const double reached = g.cwiseProduct(d).sum();
            EXPECT_NEAR(reached, dual, 2e-5 * dual);
            std::mt19937 random(step);
            for (int other = 0; other < 20; ++other) {
                const Matrix x = gaussian(kRows, kCols, random);
                const Matrix feasible = sp * (x / spectral_norm(x)) * sq.transpose();
                EXPECT_LE(g.cwiseProduct(feasible).sum(), reached * (1 + 2e-5));
            }
        }
    }
}

// Powers of two pass through every operation but the eps of the norm, also where f32 holds no squares of the
// gradients.
TEST_P(FismoTest, StepsDoNotDependOnTheSizeOfTheGradients) {
    for (const Whitening whitening : {Whitening::symmetric, Whitening::cholesky})
        for (const MomentumSpace space : {MomentumSpace::whitened, MomentumSpace::gradient}) {
            FismoOptions options;
            options.whitening = whitening;
            options.momentum_space = space;
            options.refresh.interval = 1;
            options.polar.eps = 0;
            const auto run = [&](float scale) {
                Training training(device(), fismo(options), {{.name = "w", .shape = {9, 14}}});
                for (unsigned step = 1; step <= 3; ++step) {
                    training.draw_gradients(step);
                    std::vector<float> gradient = training.tensor().gradient_values();
                    for (float& value : gradient) value *= scale;
                    training.tensor().set_gradient(gradient);
                    training.plan().run();
                }
                EXPECT_EQ(failures(training, "w.P_failures"), 0u);
                return training.tensor().weight();
            };
            const std::vector<float> expected = run(1.0f);
            for (const float scale : {0x1p-10f, 0x1p50f}) EXPECT_EQ(run(scale), expected) << scale;
            // Here the norm before the polar factor is added up in another order.
            EXPECT_LE(update_error(normal_values(expected.size(), 1), run(0x1p-60f), doubles(expected)),
                      1e-5);
        }
}

// Without factors: P = Q = I.
TEST_P(FismoTest, IsMuonWhereTheFactorsAreTheIdentity) {
    FismoOptions options;
    options.max_order = 1;
    options.nesterov = true;
    options.weight_decay = 0.1f;
    Training whitened(device(), fismo(options), {{.name = "w", .shape = {20, 30}}});
    Training muon(
        device(),
        [](const Device& on) { return std::make_unique<Muon>(on, MuonOptions{.weight_decay = 0.1f}); },
        {{.name = "w", .shape = {20, 30}}});
    whitened.steps(1, 3);
    muon.steps(1, 3);
    EXPECT_TRUE(whitened.bits() == muon.bits());
}

// Symmetric and Cholesky whiteners differ by a rotation, which the polar factor carries through.
TEST_P(FismoTest, WhitenersAgreeWithMomentumInTheSpaceOfTheGradient) {
    FismoOptions options;
    options.refresh.interval = 2;
    for (const Shape& shape :
         {Shape{18, 11}, Shape{3, 256}, Shape{256, 3}}) {  // these with gaps between rows
        const auto run = [&](Whitening whitening) {
            options.whitening = whitening;
            Training training(device(), fismo(options), {{.name = "w", .shape = shape}});
            training.steps(1, shape.count() < 256 ? 4 : 2);
            return training.tensor().weight();
        };
        const std::vector<float> symmetric = run(Whitening::symmetric), cholesky = run(Whitening::cholesky);
        EXPECT_LE(update_error(normal_values(shape.count(), 1), cholesky, doubles(symmetric)), 1e-4)
            << shape.text();
    }
}

TEST_P(FismoTest, EveryViewIsItsBlocks) {
    struct ViewCase {
        const char* name;
        Shape shape;
        MatrixView view;
        std::vector<ReferenceBlock> blocks;
    };
    const auto block = [](std::uint64_t rows, std::uint64_t cols) {
        return ReferenceBlock{
            rows, cols, std::sqrt(std::max(1.0, static_cast<double>(rows) / static_cast<double>(cols)))};
    };
    const ViewCase views[] = {
        {"q, k, v", {30, 7}, {.row_splits = {16, 9, 5}}, {block(16, 7), block(9, 7), block(5, 7)}},
        {"experts", {3, 9, 5}, {.batch = true}, {block(9, 5), block(9, 5), block(9, 5)}},
        {"convolution", {10, 3, 2, 2}, {}, {block(10, 12)}},
        {"one side too long", {100, 70}, {.row_splits = {60, 40}}, {block(60, 70), block(40, 70)}},
    };
    for (const MomentumSpace space : {MomentumSpace::whitened, MomentumSpace::gradient})
        for (const ViewCase& view : views) {
            SCOPED_TRACE(view.name);
            FismoOptions options;
            options.momentum_space = space;
            // Staggered: every other block begins with the second step.
            options.refresh = {.interval = 2, .turn_flops = 0};
            options.max_order = 64;
            options.weight_decay = 0.1f;
            Training training(device(), fismo(options),
                              {{.name = "w", .shape = view.shape, .view = view.view}});
            std::vector<FismoReference> references;
            for (const ReferenceBlock& b : view.blocks)
                references.emplace_back(options, b.rows, b.cols, b.factor, references.size());
            for (unsigned step = 1; step <= 4; ++step) {
                training.draw_gradients(step);
                const std::vector<float> before = training.tensor().weight();
                const std::vector<double> gradient = doubles(training.tensor().gradient_values());
                training.plan().run();
                std::size_t at = 0;
                for (std::size_t i = 0; i < view.blocks.size(); ++i) {
                    const std::size_t count = view.blocks[i].rows * view.blocks[i].cols;
                    const auto part = [&](const auto& all) {
                        return std::decay_t<decltype(all)>(all.begin() + at, all.begin() + at + count);
                    };
                    std::vector<double> expected = doubles(part(before));
                    references[i].step(expected, part(gradient), step);
                    EXPECT_LE(update_error(part(before), part(training.tensor().weight()), expected), 1e-4)
                        << "step " << step << ", block " << i;
                    at += count;
                }
                ASSERT_EQ(at, before.size());
            }
        }
}

TEST_P(FismoTest, WeightsDecayInEveryForm) {
    expect_every_decay<Fismo, FismoReference>(device(), FismoOptions());
}

TEST_P(FismoTest, StaggeredRefreshesSpreadOverTheInterval) {
    FismoOptions options;
    options.refresh = {.interval = 3, .turn_flops = 0};
    std::vector<TestTensor> tensors;
    for (int i = 0; i < 4; ++i) tensors.push_back({.name = "w" + std::to_string(i), .shape = {6, 5}});
    Training training(device(), fismo(options), tensors);
    for (unsigned step = 1; step <= 5; ++step) {
        std::vector<std::vector<float>> before;
        for (const TestTensor& tensor : tensors) before.push_back(training.state(tensor.name + ".P"));
        training.steps(step, 1);
        for (std::size_t i = 0; i < tensors.size(); ++i)
            EXPECT_EQ(training.state(tensors[i].name + ".P") != before[i], (step - 1) % 3 == i % 3)
                << "step " << step << ", tensor " << i;
    }
}

// Levels do not grow with the number of tensors.
TEST_P(FismoTest, TensorsShareTheLevelsOfTheLargest) {
    FismoOptions options;
    options.refresh.interval = 1;
    Training one(device(), fismo(options), {{.name = "w", .shape = {90, 100}}});
    Training many(device(), fismo(options),
                  {{.name = "w", .shape = {90, 100}},
                   {.name = "x", .shape = {90, 100}},
                   {.name = "y", .shape = {8, 9}},
                   {.name = "z", .shape = {90, 4}}});
    EXPECT_LE(many.plan().level_count(), one.plan().level_count() + 2);
}

// A factor that has no root stays as it was, with its whitener, and is counted; training goes on, and the
// others do not notice.
TEST_P(FismoTest, FactorsWithoutARootKeepTheLastGoodOne) {
    for (const Whitening whitening : {Whitening::symmetric, Whitening::cholesky})
        for (const float poison :
             {-5.0f, std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
            SCOPED_TRACE(poison);
            FismoOptions options;
            options.whitening = whitening;
            options.refresh.interval = 1;
            const std::vector<TestTensor> tensors{{.name = "a", .shape = {8, 6}},
                                                  {.name = "b", .shape = {8, 6}}};
            Training training(device(), fismo(options), tensors), healthy(device(), fismo(options), tensors);
            training.steps(1, 1);
            healthy.steps(1, 1);
            std::vector<float> p = training.state("a.P");
            p[9] = poison;  // on the diagonal
            training.set_state("a.P", p);
            const std::vector<std::byte> whitener = training.state_bytes("a.P_whitener"),
                                         average = training.state_bytes("a.P");
            const std::vector<float> weight = training.tensor(0).weight();
            training.steps(2, 2);
            healthy.steps(2, 2);
            EXPECT_EQ(failures(training, "a.P_failures"), 2u);
            EXPECT_EQ(failures(training, "a.Q_failures"), 0u);
            EXPECT_EQ(failures(training, "b.P_failures"), 0u);
            EXPECT_TRUE(training.state_bytes("a.P_whitener") == whitener);
            EXPECT_TRUE(training.state_bytes("a.P") == average);
            EXPECT_EQ(training.tensor(1).weight(), healthy.tensor(1).weight());
            EXPECT_NE(training.tensor(0).weight(), weight);
            for (const float value : training.tensor(0).weight()) EXPECT_TRUE(std::isfinite(value));
            // Once the average is good again, it goes on.
            training.set_state("a.P", healthy.state("a.P"));
            training.steps(4, 1);
            EXPECT_EQ(failures(training, "a.P_failures"), 2u);
            EXPECT_FALSE(training.state_bytes("a.P_whitener") == whitener);
        }
}

// As Muon's: f16 iterates stay within 0.02, the Gram form within f32's class.
TEST_P(FismoTest, SixteenBitIteratesAndTheGramFormStayWithinTheirClass) {
    for (const bool gram : {true, false}) {
        FismoOptions options;
        options.refresh.interval = 1;
        options.polar.one_workgroup = false;
        if (gram)
            options.polar.form = PolarForm::gram;
        else
            options.polar.precision = DType::f16;
        Training training(device(), fismo(options), {{.name = "w", .shape = {40, 96}}});
        FismoReference reference(options, 40, 96, 1.0);
        training.draw_gradients(1);
        const std::vector<float> before = training.tensor().weight();
        std::vector<double> expected = doubles(before);
        reference.step(expected, doubles(training.tensor().gradient_values()), 1);
        training.plan().run();
        EXPECT_LE(update_error(before, training.tensor().weight(), expected), gram ? 1e-4 : 0.02);
    }
}

// A refresh in every step of a large square matrix costs at most 1.6 times Muon's step.
TEST_P(FismoTest, CholeskyFormCostsAtMostSixTenthsMoreThanMuon) {
    constexpr std::uint64_t kOrder = 1024;
    const Buffer memory = device().create_buffer(2 * kOrder * kOrder * sizeof(float));
    const auto flops = [&](Optimizer&& optimizer) {
        const Shape shape{kOrder, kOrder};
        optimizer.add({"w", memory.view(DType::f32, shape),
                       memory.view(DType::f32, shape, kOrder * kOrder * sizeof(float))});
        return compile(device(), {&optimizer}).flops();
    };
    const double muon = flops(Muon(device()));
    EXPECT_LE(flops(Fismo(device(), {.refresh = {.interval = 1}})), 1.6 * muon);
    EXPECT_LE(flops(Fismo(device(), {.momentum_space = MomentumSpace::whitened, .refresh = {.interval = 1}})),
              1.6 * muon);
}

TEST_P(FismoTest, RefusesOptionsOutOfRangeByName) {
    const auto refused = [&](const char* name, auto&& change) {
        expect_option_refused<Fismo, FismoOptions>(device(), name, change);
    };
    refused("polar has options of its own beside exact_polar", [](FismoOptions& o) {
        o.exact_polar = true;
        o.polar.precision = DType::f16;
    });
    refused("lr", [](FismoOptions& o) { o.lr = -1; });
    refused("momentum", [](FismoOptions& o) { o.momentum = 1; });
    refused("factor_decay", [](FismoOptions& o) { o.factor_decay = 1; });
    refused("damping", [](FismoOptions& o) { o.damping = std::numeric_limits<float>::infinity(); });
    refused("weight_decay", [](FismoOptions& o) { o.weight_decay = -1; });
    refused("decay", [](FismoOptions& o) { o.decay = static_cast<DecayForm>(5); });
    refused("refresh.interval", [](FismoOptions& o) { o.refresh.interval = 0; });
    refused("max_order", [](FismoOptions& o) { o.max_order = 0; });
    refused("max_order", [](FismoOptions& o) {
        o.whitening = Whitening::symmetric;
        o.max_order = 4097;
    });
    refused("whitening", [](FismoOptions& o) { o.whitening = static_cast<Whitening>(2); });
    refused("momentum_space", [](FismoOptions& o) { o.momentum_space = static_cast<MomentumSpace>(2); });
    refused("statistic_scale", [](FismoOptions& o) { o.statistic_scale = static_cast<StatisticScale>(2); });
    refused("polar.eps", [](FismoOptions& o) { o.polar.eps = -1; });
    refused("polar.guarded", [](FismoOptions& o) { o.polar.guarded = false; });
}

HERON_DEVICE_TESTS(FismoTest);

}  // namespace
}  // namespace heron::test

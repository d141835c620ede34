// SPDX-License-Identifier: MIT
// SINGD on layers of every kind and in every structure against float64; 16-bit factors, loss scales,
// micro-batches, captures that are no numbers, INGD's rates. What holds for every optimizer:
// optimizer_test.cpp.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "optim/reference_singd.hpp"
#include "optim/test_layer.hpp"

namespace heron::test {
namespace {

constexpr MatrixStructure kStructures[] = {{.kind = StructureKind::dense},
                                           {.kind = StructureKind::diagonal},
                                           {.kind = StructureKind::block_diagonal, .block = 2},
                                           {.kind = StructureKind::lower_toeplitz},
                                           {.kind = StructureKind::upper_toeplitz},
                                           {.kind = StructureKind::hierarchical, .first = 1, .last = 2}};

class SingdTest : public LayersTest {
protected:
    static SingdOptions options_of(const MatrixStructure& inputs, const MatrixStructure& outputs) {
        SingdOptions options;
        options.lr = 0.2f;
        options.lr_cov = 0.1f;
        options.damping = 0.05;
        options.refresh.interval = 1;
        options.inputs = inputs;
        options.outputs = outputs;
        return options;
    }
    Plan plan_of(const SingdOptions& options, const StepOptions& step = {},
                 const std::vector<LayerCase>& cases = layers_of_every_kind()) {
        return LayersTest::plan_of(std::make_unique<Singd>(device(), options), cases, step);
    }
    // On the sums of a a^T and s s^T of a layer.
    std::pair<double, double> scales(const SingdOptions& options, std::size_t l) const {
        const TestLayer& layer = layers_[l];
        const LayerCase of = layers_of_every_kind()[l];
        const double n = static_cast<double>(layer.samples()), r = static_cast<double>(layer.positions());
        if (!of.patches || options.conv_scaling == ConvScaling::shared)
            return {1 / static_cast<double>(layer.inputs(0).rows()), layer.scale()};
        // a over the positions and mean over samples; s times samples, where the loss was divided by them,
        // and positions, and mean over all rows.
        const double undo = of.loss == LossReduction::mean_over_batch ? n : 1;
        return {1 / (n * r * r), undo * undo * r * r / (n * r)};
    }
    // The largest change of any weight in three steps, and whether it is float64's within `bound` of it.
    void expect_float64(const SingdOptions& options, double bound) {
        Plan plan = plan_of(options);
        for (TestLayer& layer : layers_) layer.draw(0);
        std::vector<std::vector<SingdFactors>> factors(layers_.size());
        std::vector<std::vector<Matrix>> expected(layers_.size()), first = expected, momentum = expected;
        for (std::size_t l = 0; l < layers_.size(); ++l)
            for (std::uint64_t g = 0; g < layers_[l].groups(); ++g) {
                factors[l].emplace_back(layers_[l].gradient(g).cols(), layers_[l].m());
                expected[l].push_back(layers_[l].parameters(g));
                momentum[l].push_back(Matrix::Zero(expected[l][g].rows(), expected[l][g].cols()));
            }
        first = expected;
        for (unsigned t = 1; t <= 3; ++t) {
            for (std::size_t l = 0; l < layers_.size(); ++l) {
                layers_[l].draw(100 * t + static_cast<unsigned>(l));
                for (std::uint64_t g = 0; g < layers_[l].groups(); ++g) {
                    const Matrix a = layers_[l].inputs(g), s = layers_[l].output_gradients(g);
                    const auto [of_a, of_s] = scales(options, l);
                    factors[l][g].move(options, of_a * (a.transpose() * a), of_s * (s.transpose() * s), t,
                                       layers_of_every_kind()[l].damping_scale);
                    momentum[l][g] = 0.9 * momentum[l][g] + factors[l][g].direction(layers_[l].gradient(g));
                    expected[l][g] -= static_cast<double>(options.lr) * momentum[l][g];
                }
            }
            plan.run();
        }
        for (std::size_t l = 0; l < layers_.size(); ++l)
            for (std::uint64_t g = 0; g < layers_[l].groups(); ++g)
                EXPECT_LE((layers_[l].parameters(g) - expected[l][g]).norm(),
                          bound * (expected[l][g] - first[l][g]).norm() + 9 * 0x1p-24 * expected[l][g].norm())
                    << "layer " << l << ", group " << g;
    }
};

TEST_P(SingdTest, LayersOfEveryKindMatchFloat64) {
    const std::size_t count = std::size(kStructures);
    for (std::size_t i = 0; i < count; ++i) {
        SCOPED_TRACE("structure " + std::to_string(i));
        SingdOptions options = options_of(kStructures[i], kStructures[(i + 2) % count]);
        options.normalize_lr_cov = i % 2 == 1;
        expect_float64(options, 1e-5);
    }
}

TEST_P(SingdTest, FactorsOfIkfacHaveADampingEach) {
    SingdOptions options = options_of(kStructures[0], kStructures[0]);
    options.kfac_like = true;
    options.alpha1 = 0;
    options.damping = 0.3;
    expect_float64(options, 1e-5);
}

TEST_P(SingdTest, ConvolutionsOfIngdAreScaledAsItsCodes) {
    SingdOptions options = SingdOptions::ingd(0.1f, 1);
    options.lr = 0.2f;
    options.lr_cov_schedule = {};  // its first steps are too small to be seen
    ASSERT_EQ(options.conv_scaling, ConvScaling::alecwangcq);
    expect_float64(options, 1e-5);
}

// Three steps with factors of 16 bits: each is rounded to 2^-9 (bf16) or 2^-12 of itself at every refresh,
// and P has four of them.
TEST_P(SingdTest, SixteenBitFactorsMatchFloat64ToTheirRounding) {
    for (const DType dtype : {DType::f16, DType::bf16}) {
        SCOPED_TRACE(to_string(dtype));
        // f16 without products of dense matrices, which drivers take long to compile for every type.
        SingdOptions options = options_of(kStructures[dtype == DType::bf16 ? 0 : 1], kStructures[2]);
        options.factor_dtype = dtype;
        expect_float64(options, 3 * 4 * unit_of(dtype));
        Plan plan = plan_of(options);
        EXPECT_EQ(plan.state_view("linear.weight.K").dtype, dtype);
        EXPECT_EQ(plan.state_view("linear.weight.C_momentum").dtype, dtype);
    }
}

TEST_P(SingdTest, LossScalesAreDividedOut) {
    for (const std::size_t structure : {0, 1, 3}) {
        const SingdOptions options = options_of(kStructures[structure], kStructures[structure]);
        std::vector<std::vector<float>> results;
        for (const float scale : {1.0f, 1024.0f}) {
            StepOptions step;
            step.loss_scale.initial = scale;
            Plan plan = plan_of(options, step);
            for (unsigned t = 1; t <= 2; ++t) {
                for (TestLayer& layer : layers_) layer.draw(t, static_cast<double>(scale));
                plan.run();
            }
            results.push_back(weights());
        }
        EXPECT_EQ(results[0], results[1]);
    }
}

// Two equal micro-batches have the mean of one, to the bit.
TEST_P(SingdTest, StatisticsAreMeansOverMicroBatches) {
    for (const std::size_t structure : {0, 2, 4}) {
        const SingdOptions options = options_of(kStructures[structure], kStructures[5]);
        std::vector<std::vector<float>> results;
        for (const int batches : {0, 2}) {
            StepOptions step;
            step.accumulate = batches > 0;
            Plan plan = plan_of(options, step);
            for (unsigned t = 1; t <= 2; ++t) {
                for (TestLayer& layer : layers_) layer.draw(t);
                for (int batch = 0; batch < batches; ++batch) plan.wait(plan.submit_accumulate());
                plan.run();
            }
            results.push_back(weights());
        }
        EXPECT_EQ(results[0], results[1]);
    }
}

TEST_P(SingdTest, RefreshesThatAreNotFiniteAreDroppedAndCounted) {
    Plan plan = plan_of(options_of(kStructures[0], kStructures[1]));
    const auto run = [&](float value) {
        for (TestLayer& layer : layers_) {
            layer.draw(1);
            if (value != 0) layer.set_inputs(value);
        }
        plan.run();
    };
    run(0);
    const std::vector<float> k = floats(plan, "linear.weight.K");
    EXPECT_EQ(words(plan, "linear.weight.K_failures"), std::vector<std::uint32_t>{0});
    for (const float value :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), 3e30f}) {
        run(value);
        for (const float weight : weights()) ASSERT_TRUE(std::isfinite(weight));
        EXPECT_EQ(floats(plan, "linear.weight.K"), k);
    }
    EXPECT_EQ(words(plan, "linear.weight.K_failures"), std::vector<std::uint32_t>{3});
    EXPECT_EQ(status(plan).skipped, 0u);
    run(0);
    EXPECT_NE(floats(plan, "linear.weight.K"), k);
}

TEST_P(SingdTest, IntervalAndStaggerSayWhenFactorsMove) {
    SingdOptions options = options_of({}, {});
    options.refresh = {.interval = 3, .turn_flops = 0};
    for (const bool stagger : {false, true}) {
        options.refresh.stagger = stagger;
        const std::vector<LayerCase> cases{layers_of_every_kind()[0], layers_of_every_kind()[1]};
        Plan plan = plan_of(options, {}, cases);
        std::vector<std::string> moves(2);
        for (unsigned t = 1; t <= 6; ++t) {
            const std::vector<float> before[] = {floats(plan, "linear.weight.K"),
                                                 floats(plan, "sum.weight.K")};
            for (TestLayer& layer : layers_) layer.draw(t);
            plan.run();
            for (std::size_t l = 0; l < 2; ++l)
                moves[l] +=
                    floats(plan, l == 0 ? "linear.weight.K" : "sum.weight.K") == before[l] ? '-' : 'K';
        }
        EXPECT_EQ(moves[0], "K--K--");
        EXPECT_EQ(moves[1], stagger ? "-K--K-" : "K--K--");
    }
}

TEST_P(SingdTest, LevelsDoNotDependOnTheNumberOfLayers) {
    const SingdOptions options = options_of(kStructures[0], kStructures[5]);
    const std::vector<LayerCase> one{layers_of_every_kind()[0]};
    std::vector<LayerCase> many = one;
    for (int copy = 0; copy < 4; ++copy) {
        many.push_back(one[0]);
        many.back().name += std::to_string(copy);
    }
    const std::uint64_t dispatches = plan_of(options, {}, one).dispatch_count();
    EXPECT_EQ(plan_of(options, {}, many).dispatch_count(), dispatches);
}

// k <= 100: 2e-4; k < 500: 2e-3; then lr_cov (k from 0, steps from 1).
TEST(Singd, RatesOfIngdAreItsCodes) {
    const SingdOptions options = SingdOptions::ingd(0.3f, 5);
    const auto rate = [&](std::uint64_t k) {
        return static_cast<double>(options.lr_cov) * options.lr_cov_schedule.factor(k + 1);
    };
    for (const std::uint64_t k : {0u, 1u, 99u, 100u}) EXPECT_DOUBLE_EQ(rate(k), 2e-4f) << k;
    for (const std::uint64_t k : {101u, 102u, 400u, 499u}) EXPECT_DOUBLE_EQ(rate(k), 2e-3f) << k;
    for (const std::uint64_t k : {500u, 501u, 100000u}) EXPECT_DOUBLE_EQ(rate(k), 0.3f) << k;
    EXPECT_EQ(options.step.decay_from, 100u);
}

HERON_DEVICE_TESTS(SingdTest);

}  // namespace
}  // namespace heron::test

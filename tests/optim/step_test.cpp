// SPDX-License-Identifier: MIT
// What stands around the recipes: hyperparameters on the GPU, clipping, loss scale, accumulation, averages,
// budgets.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "optim/hyper.hpp"
#include "optim/reference.hpp"
#include "optim/step_builder.hpp"
#include "optim/training.hpp"

namespace heron::test {
namespace {

constexpr double kU = 0x1p-24;

MakeOptimizer plain_sgd(float lr = 1.0f, const Schedule& schedule = {}) {
    return [=](const Device& device) {
        return std::make_unique<Sgd>(device, SgdOptions{.lr = lr, .schedule = schedule});
    };
}
MakeOptimizer adamw(const AdamWOptions& options = {}) {
    return [=](const Device& device) { return std::make_unique<AdamW>(device, options); };
}
MakeOptimizer with_name(MakeOptimizer make, std::string name) {
    return [=](const Device& device) {
        std::unique_ptr<Optimizer> optimizer = make(device);
        optimizer->set_name(name);
        return optimizer;
    };
}

// Keeps the values of its hyperparameters in the state "values".
class HyperProbe : public Optimizer {
public:
    HyperProbe(const Device& device, std::vector<HyperValue> values)
        : Optimizer(device, "probe"), values_(std::move(values)) {}

private:
    std::vector<HyperValue> hyper() const override { return values_; }
    std::string options_text() const override { return "probe"; }
    void build(StepBuilder& step) const override {
        const Tensor kept = step.graph().state("values", DType::f32, Shape{values_.size()});
        convert(step.graph(), step.hyper(), kept);
    }
    std::vector<HyperValue> values_;
};

class StepTest : public DeviceTest {
protected:
    // Values of hyperparameters in step t.
    struct Probe {
        Probe(Device& device, const std::vector<HyperValue>& values)
            : count(values.size()),
              training(device, [=](const Device& on) { return std::make_unique<HyperProbe>(on, values); },
                       {}) {}
        std::vector<float> at(std::uint64_t t) {
            gpu::StepControl control = training.control();
            control.step = static_cast<std::uint32_t>(t - 1);
            training.set_control(control);
            training.plan().run();
            return training.state("values");
        }
        std::size_t count;
        Training training;
    };
};

TEST_P(StepTest, BiasCorrectionsAreAccurateFromTheFirstStepTo2To31) {
    const std::vector<double> betas{0.0, 0.5, 0.9, 0.95, 0.99, 0.999, 0.9999, 0.9999999};
    std::vector<HyperValue> values;
    for (const double beta : betas) values.push_back(HyperValue::inverse_correction(beta));
    for (const double beta : betas) values.push_back(HyperValue::correction_ratio(0.9, beta));
    for (const double beta : betas) values.push_back(HyperValue::correction_growth(beta, 0.75));
    values.push_back(HyperValue::step());
    values.push_back(HyperValue::after_first(0.25));
    values.push_back(HyperValue::constant(0.1));
    Probe probe(device(), values);
    std::vector<std::uint64_t> steps{1,   2,    3,    5,     10,      31,       100,
                                     316, 1000, 3000, 10000, 1000000, 16777217, std::uint64_t{1} << 31};
    double worst = 0;  // error of the first kind, as a share of what is allowed
    for (const std::uint64_t t : steps) {
        const std::vector<float> actual = probe.at(t);
        const auto correction = [&](double beta) {
            return beta == 0.0 ? 1.0 : -std::expm1(static_cast<double>(t) * std::log(beta));
        };
        for (std::size_t i = 0; i < betas.size(); ++i) {
            const double inverse = 1 / correction(betas[i]);
            const double ratio = std::sqrt(correction(betas[i])) / correction(0.9);
            worst = std::max(worst, std::abs(actual[i] - inverse) / (9 * kU * inverse));
            // 4 u of the correction and 5 of the division (2.5 ulp); the ratio has two corrections, a root
            // and a division.
            EXPECT_LE(std::abs(actual[i] - inverse), 9 * kU * inverse)
                << "beta " << betas[i] << " step " << t;
            EXPECT_LE(std::abs(actual[betas.size() + i] - ratio), 16 * kU * ratio)
                << "beta " << betas[i] << " step " << t;
            // Two corrections, a product and a division.
            const double next = betas[i] == 0.0 ? 1.0 : -std::expm1((t + 1.0) * std::log(betas[i]));
            const double growth = 0.75 * correction(betas[i]) / next;
            EXPECT_LE(std::abs(actual[2 * betas.size() + i] - growth), 14 * kU * growth)
                << "beta " << betas[i] << " step " << t;
        }
        EXPECT_EQ(actual[3 * betas.size()], static_cast<float>(t));
        EXPECT_EQ(actual[3 * betas.size() + 1], t == 1 ? 1.0f : 0.25f);
        EXPECT_EQ(actual[3 * betas.size() + 2], 0.1f);
    }
    RecordProperty("bias correction", std::to_string(worst));
}

TEST_P(StepTest, PowersOfTheStepAreAccurate) {
    const std::vector<double> exponents{-0.8, -0.5, -2.0, -0.01};
    std::vector<HyperValue> values;
    for (const double exponent : exponents) values.push_back(HyperValue::power_of_step(exponent));
    Probe probe(device(), values);
    for (const std::uint64_t t : {std::uint64_t{1}, std::uint64_t{2}, std::uint64_t{3}, std::uint64_t{10},
                                  std::uint64_t{1000}, std::uint64_t{16777217}, std::uint64_t{1} << 31}) {
        const std::vector<float> actual = probe.at(t);
        for (std::size_t i = 0; i < exponents.size(); ++i) {
            const float exponent = static_cast<float>(exponents[i]), time = static_cast<float>(t);
            const double x = exponent * std::log(static_cast<double>(time));
            // exp's own 4 ulp; log, product and their argument are off by 5 u relative to x.
            EXPECT_NEAR(actual[i], std::exp(x), (8 + 5 * std::abs(x)) * kU * std::exp(x))
                << exponents[i] << " step " << t;
            if (t == 1) EXPECT_EQ(actual[i], 1.0f);
        }
    }
}

TEST_P(StepTest, SchedulesOnTheDeviceEqualThoseOnTheHost) {
    const std::vector<Schedule> schedules{
        {},
        Schedule::constant(0.3f),
        Schedule::warmup_cosine(10, 1000, 0.1f),
        Schedule::warmup_stable_decay(7, 500, 100),
        Schedule::exponential(1.0f, 1e-6f, 300).then_constant(50).then_linear(1.0f, 3),
        Schedule::linear(0.0f, 1.0f, 3).then_cosine(0.5f, 1).then_exponential(2.0f, 2000000000u)};
    std::vector<HyperValue> values;
    for (const Schedule& schedule : schedules) values.push_back(HyperValue::scheduled(0.02f, schedule));
    Probe probe(device(), values);
    for (const std::uint64_t t :
         {1,   2,   3,   4,   5,   7,   8,   10,  11,  12,  100,  299,  300,        301,
          350, 352, 353, 354, 400, 401, 499, 505, 700, 999, 1000, 1001, 1000000000, 2147483647}) {
        const std::vector<float> actual = probe.at(t);
        for (std::size_t i = 0; i < schedules.size(); ++i) {
            const double expected = static_cast<double>(0.02f) * schedules[i].factor(t);
            // Cancellation near a factor of 0 costs units of the piece's largest factor; 14 = |log 1e-6|.
            EXPECT_NEAR(actual[i], expected, 8 * kU * 0.02 + 16 * kU * std::abs(expected))
                << "schedule " << i << " step " << t;
        }
    }
}

// What shaders/core/math.glsl says of itself: schedules whose factor is the function alone, at exact
// arguments.
TEST_P(StepTest, ExponentialsAndCosinesAreAccurateToFourUlp) {
    constexpr std::uint32_t kSteps = 1 << 20;
    const std::vector<float> ends{1e-30f, 1e-6f, 0.5f, 0.999f, 3.0f, 1e30f};
    std::vector<HyperValue> values{HyperValue::scheduled(1.0f, Schedule::cosine(0.0f, 1.0f, kSteps))};
    for (const float end : ends)
        values.push_back(HyperValue::scheduled(1.0f, Schedule::exponential(1.0f, end, kSteps)));
    Probe probe(device(), values);
    for (const std::uint32_t elapsed : {1u, 2u, 3u, 1000u, 77777u, 262144u, 400001u, 524287u, 524288u,
                                        524289u, 777777u, 1000003u, 1048575u}) {
        const std::vector<float> actual = probe.at(elapsed + 1);
        const float x = static_cast<float>(elapsed) / static_cast<float>(kSteps);
        const double sine = std::sin(0.5 * std::numbers::pi * static_cast<double>(x));
        EXPECT_NEAR(actual[0], sine * sine, 8 * kU * sine * sine) << "cosine at " << elapsed;
        for (std::size_t i = 0; i < ends.size(); ++i) {
            const float argument = x * static_cast<float>(std::log(static_cast<double>(ends[i])));
            const double expected = std::exp(static_cast<double>(argument));
            EXPECT_NEAR(actual[i + 1], expected, 8 * kU * expected)
                << "exp to " << ends[i] << " at " << elapsed;
        }
    }
}

// Draws are those that fill_random() makes of the same numbers: it is tested against float64.
class DrawProbe : public Optimizer {
public:
    explicit DrawProbe(const Device& device) : Optimizer(device, "probe") {}

private:
    std::vector<HyperValue> hyper() const override {
        return {HyperValue::exponential_draw(), HyperValue::constant(1), HyperValue::exponential_draw()};
    }
    std::string options_text() const override { return "probe"; }
    void build(StepBuilder& step) const override {
        convert(step.graph(), step.hyper(), step.graph().state("values", DType::f32, Shape{3}));
        fill_random(step.graph(), step.graph().state("expected", DType::f32, Shape{1}),
                    {.distribution = Distribution::exponential,
                     .tensor = gpu::STEP_DRAW_STREAM,
                     .stream = gpu::STEP_DRAW_STREAM});
    }
};

TEST_P(StepTest, ExponentialDrawsDependOnSeedAndStepAlone) {
    std::vector<float> seen;
    double sum = 0;
    for (const std::uint32_t seed : {0u, 1u, 0xfffffff0u}) {
        StepOptions options;
        options.seed = seed;
        Training training(
            device(), [](const Device& on) { return std::make_unique<DrawProbe>(on); }, {}, options);
        for (int step = 1; step <= 100; ++step) {
            training.plan().run();
            const std::vector<float> values = training.state("values");
            EXPECT_EQ(values[0], training.state("expected")[0]);
            EXPECT_EQ(values[2], values[0]);
            seen.push_back(values[0]);
            sum += values[0];
        }
    }
    std::sort(seen.begin(), seen.end());
    EXPECT_EQ(std::adjacent_find(seen.begin(), seen.end()), seen.end());
    EXPECT_NEAR(sum / 300, 1.0, 4 / std::sqrt(300.0));  // four standard deviations
}

TEST_P(StepTest, SetLearningRateHoldsFromTheNextStepAndBelongsToOneOptimizer) {
    Training training(device(), {{with_name(plain_sgd(1.0f, Schedule::constant(0.5f)), "one"),
                                  {{.name = "a", .shape = {5}}}},
                                 {with_name(plain_sgd(1.0f), "two"), {{.name = "b", .shape = {5}}}}});
    const auto moved = [&](std::size_t i) {
        training.tensor(i).set_weight(std::vector<float>(5, 0.0f));
        training.tensor(i).set_gradient(std::vector<float>(5, 1.0f));
        training.plan().run();
        return -training.tensor(i).weight()[0];
    };
    EXPECT_EQ(moved(0), 0.5f);
    set_learning_rate(training.plan(), "one", 0.25f);
    EXPECT_EQ(moved(0), 0.125f);
    EXPECT_EQ(moved(1), 1.0f);
    EXPECT_THROW(set_learning_rate(training.plan(), "three", 0.1f), Error);
    EXPECT_THROW(set_learning_rate(training.plan(), "one", -0.1f), Error);
    EXPECT_THROW(set_learning_rate(training.plan(), "one", std::numeric_limits<float>::quiet_NaN()), Error);
}

TEST_P(StepTest, ScalesOfAParameterMultiplyRateAndDecay) {
    const AdamWOptions options{.lr = 0.01f, .weight_decay = 0.1f};
    Training training(device(), adamw(options),
                      {{.name = "a", .shape = {33}, .lr_scale = 0.5f, .weight_decay_scale = 3.0f},
                       {.name = "b", .shape = {33}, .lr_scale = 0.0f}});
    const std::vector<float> before = training.tensor(0).weight(), still = training.tensor(1).weight();
    training.plan().run();
    std::vector<double> w = doubles(before);
    AdamWReference(options, 0.5, 3.0).step(w, doubles(training.tensor(0).gradient_values()), 1);
    EXPECT_TRUE(within(training.tensor(0).weight(), w, [&](std::size_t i) {
        return 16 * kU * (std::abs(w[i]) + std::abs(w[i] - static_cast<double>(before[i])));
    }));
    EXPECT_EQ(training.tensor(1).weight(), still);
}

// W - G, so that the weights show the gradients as the step sees them.
TEST_P(StepTest, ClipsByNormThenByValue) {
    for (const double scale : {1.0, 1e-30, 1e25}) {
        SCOPED_TRACE(scale);
        StepOptions options;
        options.clip_norm = static_cast<float>(2.0 * scale);
        options.clip_value = static_cast<float>(0.05 * scale);
        Training training(device(), plain_sgd(),
                          {{.name = "a", .shape = {1000}}, {.name = "b", .shape = {77, 3}}}, options);
        training.draw_gradients(1, scale);
        double norm = 0;
        for (std::size_t i = 0; i < 2; ++i) {
            training.tensor(i).set_weight(std::vector<float>(training.tensor(i).count(), 0.0f));
            for (const float g : training.tensor(i).gradient_values())
                norm += std::pow(static_cast<double>(g), 2);
        }
        norm = std::sqrt(norm);
        training.plan().run();
        EXPECT_NEAR(status(training.plan()).gradient_norm, norm, 20 * kU * norm);
        const double largest = std::min(0.05 * scale, 1.3e19);
        for (std::size_t i = 0; i < 2; ++i) {
            std::vector<double> expected;
            for (const float g : training.tensor(i).gradient_values())
                expected.push_back(-std::clamp(g * 2.0 * scale / norm, -largest, largest));
            // 1e-30: subnormals are lost where a device flushes them.
            EXPECT_TRUE(within(training.tensor(i).weight(), expected,
                               [&](std::size_t k) { return 30 * kU * std::abs(expected[k]) + 2e-38; }));
        }
    }
}

TEST_P(StepTest, GradientsBelowTheNormAreLeftAlone) {
    StepOptions options;
    options.clip_norm = 1000.0f;
    Training training(device(), plain_sgd(), {{.name = "a", .shape = {10}}}, options);
    training.tensor().set_weight(std::vector<float>(10, 0.0f));
    training.plan().run();
    for (std::size_t i = 0; i < 10; ++i)
        EXPECT_EQ(-training.tensor().weight()[i], training.tensor().gradient_values()[i]);
}

TEST_P(StepTest, NormOfManyTensorsIsWithinTheBoundOfReductions) {
    std::vector<TestTensor> tensors;
    for (std::size_t i = 0; i < 60; ++i)
        tensors.push_back({.name = "p" + std::to_string(i), .shape = {1 + 97 * i}});
    tensors.push_back({.name = "large", .shape = {700, 501}});
    Training training(device(), plain_sgd(), tensors);
    double sum = 0;
    std::size_t count = 0;
    for (std::size_t i = 0; i < training.size(); ++i)
        for (const float g : training.tensor(i).gradient_values()) {
            sum += static_cast<double>(g) * g;
            ++count;
        }
    training.plan().run();
    const double allowed =
        kU * std::ceil(std::log2(static_cast<double>(count))) + 4 * kU;  // half of the sum's, and the root's
    EXPECT_NEAR(status(training.plan()).gradient_norm, std::sqrt(sum), allowed * std::sqrt(sum));
}

TEST_P(StepTest, StaticLossScaleIsDividedOut) {
    StepOptions options;
    options.loss_scale.initial = 1024.0f;
    Training training(device(), plain_sgd(), {{.name = "a", .shape = {10}, .gradient_dtype = DType::f16}},
                      options);
    training.tensor().set_weight(std::vector<float>(10, 0.0f));
    training.tensor().set_gradient(std::vector<float>(10, 512.0f));
    EXPECT_EQ(status(training.plan()).loss_scale, 1024.0f);
    training.plan().run();
    EXPECT_EQ(training.tensor().weight()[0], -0.5f);
    EXPECT_NEAR(status(training.plan()).gradient_norm, 0.5 * std::sqrt(10.0), 1e-6);
    EXPECT_EQ(status(training.plan()).loss_scale, 1024.0f);
}

TEST_P(StepTest, DynamicLossScaleFallsAtInfinityAndGrowsAfterGoodSteps) {
    StepOptions options;
    options.loss_scale = {.initial = 8.0f, .dynamic = true, .growth_interval = 3};
    Training training(device(), plain_sgd(), {{.name = "a", .shape = {4}}}, options);
    const auto step = [&](float gradient) {
        training.tensor().set_weight(std::vector<float>(4, 0.0f));
        training.tensor().set_gradient(std::vector<float>(4, gradient));
        training.plan().run();
        float scale;
        const gpu::StepControl control = training.control();
        std::memcpy(&scale, &control.loss_scale, 4);
        EXPECT_EQ(status(training.plan()).loss_scale, scale);
        return scale;
    };
    EXPECT_EQ(training.plan().state_view("heron.control").address + offsetof(gpu::StepControl, loss_scale),
              loss_scale_address(training.plan()));
    EXPECT_EQ(step(8.0f), 8.0f);
    EXPECT_EQ(training.tensor().weight()[0], -1.0f);
    EXPECT_EQ(step(std::numeric_limits<float>::infinity()), 4.0f);
    EXPECT_EQ(step(std::numeric_limits<float>::quiet_NaN()), 2.0f);
    EXPECT_EQ(step(2.0f), 2.0f);
    EXPECT_EQ(training.tensor().weight()[0], -1.0f);
    EXPECT_EQ(step(2.0f), 2.0f);
    EXPECT_EQ(step(2.0f), 4.0f);
    EXPECT_EQ(status(training.plan()).step, 4u);
    EXPECT_EQ(status(training.plan()).skipped, 2u);
    for (int k = 0; k < 60; ++k) step(std::numeric_limits<float>::infinity());
    EXPECT_EQ(status(training.plan()).loss_scale, 0x1p-24f);
}

TEST_P(StepTest, AccumulatedStepUsesTheMeanOfTheMicroBatches) {
    StepOptions options;
    options.accumulate = true;
    for (const DType dtype : {DType::f32, DType::f16}) {
        Training training(
            device(), plain_sgd(),
            {{.name = "a", .shape = {1001}, .gradient_dtype = dtype}, {.name = "b", .shape = {3}}}, options);
        for (unsigned round = 0; round < 2; ++round) {
            std::vector<std::vector<double>> sums;
            for (std::size_t i = 0; i < 2; ++i) {
                training.tensor(i).set_weight(std::vector<float>(training.tensor(i).count(), 0.0f));
                sums.emplace_back(training.tensor(i).count(), 0.0);
            }
            for (unsigned micro = 1; micro <= 3; ++micro) {
                training.draw_gradients(10 * round + micro);
                for (std::size_t i = 0; i < 2; ++i)
                    for (std::size_t k = 0; k < sums[i].size(); ++k)
                        sums[i][k] -= training.tensor(i).gradient_values()[k];
                training.plan().wait(training.plan().submit_accumulate());
            }
            training.draw_gradients(99);  // what the gradients hold when the step runs does not matter
            training.plan().run();
            for (std::size_t i = 0; i < 2; ++i) {
                for (double& sum : sums[i]) sum /= 3;
                EXPECT_TRUE(within(training.tensor(i).weight(), sums[i],
                                   [&](std::size_t k) { return 4 * kU * (std::abs(sums[i][k]) + 1); }));
            }
            EXPECT_EQ(training.control().micro_batches, 0u);
        }
        // A step without micro-batches, and one with a spoiled one, change nothing.
        const auto bits = training.bits();
        training.plan().run();
        EXPECT_TRUE(training.bits() == bits);
        EXPECT_EQ(status(training.plan()).skipped, 1u);
        const std::vector<float> before = training.tensor(1).weight();
        training.tensor(1).set_gradient({0.0f, std::numeric_limits<float>::infinity(), 0.0f});
        training.plan().wait(training.plan().submit_accumulate());
        training.plan().run();
        EXPECT_EQ(training.tensor(1).weight(), before);
        EXPECT_EQ(status(training.plan()).skipped, 2u);
        training.draw_gradients(5);
        training.plan().wait(training.plan().submit_accumulate());
        training.plan().run();
        EXPECT_EQ(status(training.plan()).step, 3u);
        EXPECT_NE(training.tensor(1).weight(), before);
    }
}

// The sum of finite micro-batches may not fit: then the step is skipped, or, where none ever is, goes on with
// a finite sum.
TEST_P(StepTest, AccumulatedOverflowIsSkippedOrSaturates) {
    constexpr float kLargest = std::numeric_limits<float>::max();
    for (const bool skips : {true, false}) {
        StepOptions options;
        options.accumulate = true;
        options.skip_nonfinite = skips;
        Training training(device(), plain_sgd(), {{.name = "a", .shape = {5}}}, options);
        const std::vector<float> before = training.tensor().weight();
        for (const float sign : {1.0f, 1.0f, -1.0f}) {
            training.tensor().set_gradient({sign * kLargest, 1.0f, sign * 1e38f, -sign * kLargest, 0.0f});
            training.plan().wait(training.plan().submit_accumulate());
        }
        if (!skips) EXPECT_EQ(training.nonfinite(), std::vector<std::string>{});
        training.plan().run();
        EXPECT_EQ(training.tensor().weight() == before, skips);
        EXPECT_EQ(status(training.plan()).skipped, skips ? 1u : 0u);
        if (!skips) EXPECT_EQ(training.nonfinite(), std::vector<std::string>{});
    }
}

TEST_P(StepTest, AverageFollowsTheParameterFromItsFirstValue) {
    for (const DType dtype : {DType::f32, DType::bf16}) {
        StepOptions options;
        options.ema_decay = 0.75f;
        Training training(device(), plain_sgd(0.1f), {{.name = "a", .shape = {37}, .weight_dtype = dtype}},
                          options);
        std::vector<double> average = doubles(training.tensor().weight());
        EXPECT_EQ(doubles(training.state("a.ema")), average);
        for (unsigned step = 1; step <= 3; ++step) {
            training.steps(step, 1);
            const std::vector<float> now = training.tensor().weight();
            for (std::size_t i = 0; i < average.size(); ++i) average[i] = 0.75 * average[i] + 0.25 * now[i];
            EXPECT_TRUE(within(training.state("a.ema"), average,
                               [&](std::size_t i) { return 6 * kU * (std::abs(average[i]) + 1); }));
        }
    }
}

// A NaN is the caller's, and stays one for the caller to see; the other weights do not notice.
TEST_P(StepTest, WeightThatIsNaNStaysNaN) {
    for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
        Training training(device(), plain_sgd(0.5f), {{.name = "a", .shape = {5}, .weight_dtype = dtype}});
        training.tensor().set_weight({1, std::numeric_limits<float>::quiet_NaN(), 1, 1, 1});
        training.tensor().set_gradient(std::vector<float>(5, 1.0f));
        training.plan().run();
        const std::vector<float> weight = training.tensor().weight();
        EXPECT_TRUE(std::isnan(weight[1])) << to_string(dtype) << " " << weight[1];
        for (const std::size_t i : {0, 2, 3, 4}) EXPECT_EQ(weight[i], 0.5f);
        EXPECT_EQ(training.control().step, 1u);
    }
}

TEST_P(StepTest, MasterCopiesKeepUpdatesThatTheParameterCannotHold) {
    StepOptions options;
    options.master_weights = true;
    Training training(device(), plain_sgd(1e-4f), {{.name = "a", .shape = {5}, .weight_dtype = DType::bf16}},
                      options);
    training.tensor().set_weight(std::vector<float>(5, 1.0f));
    training.plan().initialize();
    training.tensor().set_gradient(std::vector<float>(5, 1.0f));
    for (int step = 0; step < 100; ++step) training.plan().run();
    EXPECT_NEAR(training.state("a.master")[0], 0.99, 1e-5);
    EXPECT_EQ(training.tensor().weight()[0], rounded(0.99, DType::bf16));
}

TEST_P(StepTest, GroupsAndTensorsMergeIntoThreeDispatches) {
    std::vector<Training::Group> groups;
    for (int g = 0; g < 3; ++g) {
        Training::Group group{
            with_name(adamw({.lr = 0.001f * static_cast<float>(g + 1), .beta2 = 0.9 + 0.03 * g}),
                      "group" + std::to_string(g)),
            {}};
        for (int k = 0; k < 20; ++k)
            group.tensors.push_back({.name = "p" + std::to_string(g) + "." + std::to_string(k),
                                     .shape = {static_cast<std::uint64_t>(1 + 37 * k)}});
        groups.push_back(group);
    }
    StepOptions options;
    options.clip_norm = 1.0f;
    Training training(device(), groups, options);
    EXPECT_EQ(training.plan().dispatch_count(), 3u) << training.plan().describe();
    EXPECT_EQ(training.plan().level_count(), 3u);
    training.plan().run();
    options.clip_norm = 0;
    options.skip_nonfinite = false;
    Training bare(device(), groups, options);
    EXPECT_EQ(bare.plan().dispatch_count(), 2u) << bare.plan().describe();
}

// Three levels a Newton-Schulz iteration plus six, and three more for the restarts of the Gram form, which
// the longer ones of these matrices get; six in all where every matrix fits one workgroup.
TEST_P(StepTest, LevelsDoNotGrowWithTheNumberOfTensors) {
    for (const std::size_t count : {1, 10, 1000})
        for (const bool small : {true, false}) {
            SCOPED_TRACE(std::to_string(count) + (small ? " small" : " mixed"));
            Muon muon_group(device(), MuonOptions::keller_jordan());
            AdamW adamw_group(device());
            std::deque<TrainedTensor> tensors;
            for (std::size_t i = 0; i < count; ++i) {
                const std::uint64_t rows = 1 + (i * 7) % 16, cols = 1 + (i * 11) % 24;
                const bool large = !small && i % 100 == 0;
                tensors.emplace_back(
                    device(),
                    TestTensor{.name = "w" + std::to_string(i),
                               .shape = large ? Shape{130 + rows, 300 + cols} : Shape{rows, cols}},
                    1);
                muon_group.add(tensors.back().parameter());
                tensors.emplace_back(device(), TestTensor{.name = "b" + std::to_string(i), .shape = {rows}},
                                     1);
                adamw_group.add(tensors.back().parameter());
            }
            StepOptions options;
            options.clip_norm = 1.0f;
            const Plan plan = compile(device(), {&muon_group, &adamw_group}, options);
            EXPECT_LE(plan.level_count(), small ? 6u : 3u * 5 + 6 + 3) << plan.describe();
            EXPECT_NE(
                plan.describe().find("step: " + std::to_string(plan.dispatch_count()) + " dispatches in " +
                                     std::to_string(plan.level_count()) + " levels, " +
                                     std::to_string(plan.level_count() - 1) + " barriers between them"),
                std::string::npos)
                << plan.describe();
        }
}

HERON_DEVICE_TESTS(StepTest);

}  // namespace
}  // namespace heron::test

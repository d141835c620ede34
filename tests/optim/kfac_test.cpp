// SPDX-License-Identifier: MIT
// K-FAC and EK-FAC on layers of every kind against float64; dampings of layers, loss scales, micro-batches,
// captures that are no numbers, refreshes. What holds for every optimizer: optimizer_test.cpp.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <filesystem>
#include <limits>

#include "optim/one_plan.hpp"
#include "optim/optimizer_checks.hpp"
#include "optim/test_layer.hpp"
#include "support/matrix.hpp"
#include "support/polar_reference.hpp"

namespace heron::test {
namespace {

// One group of a layer in float64.
class GroupReference {
public:
    GroupReference(const TestLayer& layer, std::uint64_t group, const KfacOptions& options)
        : layer_(layer),
          group_(group),
          o_(options),
          a_(identity(layer.inputs(group).cols())),
          s_(identity(layer.m())) {}

    // The direction of step k (from 0); every step refreshes, except EK-FAC's basis.
    Matrix direction(int k) {
        const Matrix a = layer_.inputs(group_), s = layer_.output_gradients(group_),
                     g = layer_.gradient(group_);
        const double decay = o_.factor_decay, rows = static_cast<double>(a.rows());
        a_ = decay * a_ + (1 - decay) * (a.transpose() * a) / rows;
        s_ = decay * s_ + (1 - decay) * layer_.scale() * (s.transpose() * s);
        const double damping =
            static_cast<double>(o_.damping) * layer_.inputs_damping() * layer_.outputs_damping();
        if (o_.method == KfacMethod::inverse) {
            const double mean_a = a_.trace() / static_cast<double>(a_.rows());
            const double mean_s = s_.trace() / static_cast<double>(s_.rows());
            return inverse(s_ + std::sqrt(damping * mean_s / mean_a) * identity(s_.rows())) * g *
                   inverse(a_ + std::sqrt(damping * mean_a / mean_s) * identity(a_.rows()));
        }
        if (o_.method == KfacMethod::eigen || k == 0) {
            ea_ = symmetric_eigen(a_);
            es_ = symmetric_eigen(s_);
            moments_ = es_.values * ea_.values.transpose();
        } else {
            // Every sample's gradient for itself.
            const Eigen::Index r = layer_.reduces() ? 1 : static_cast<Eigen::Index>(layer_.positions());
            Matrix sums = Matrix::Zero(moments_.rows(), moments_.cols());
            for (Eigen::Index i = 0; i < a.rows(); i += r) {
                const Matrix sample = Matrix(s.middleRows(i, r)).transpose() * Matrix(a.middleRows(i, r));
                sums += (es_.vectors.transpose() * sample * ea_.vectors).array().square().matrix();
            }
            moments_ = decay * moments_ + (1 - decay) * layer_.scale() * sums;
        }
        const Matrix v = (es_.vectors.transpose() * g * ea_.vectors).array() / (moments_.array() + damping);
        return es_.vectors * v * ea_.vectors.transpose();
    }
    const Matrix& a() const { return a_; }

private:
    static Matrix identity(Eigen::Index order) { return Matrix::Identity(order, order); }

    const TestLayer& layer_;
    std::uint64_t group_;
    const KfacOptions& o_;
    Matrix a_, s_, moments_;
    SymmetricEigen ea_, es_;
};

KfacOptions options_of(KfacMethod method) {
    KfacOptions options;
    options.method = method;
    options.lr = 0.2f;
    options.damping = 0.05f;
    options.factor_decay = 0.5;
    options.refresh.interval = method == KfacMethod::ekfac ? 100 : 1;
    options.kl_clip = 1e-3f;
    return options;
}

class KfacTest : public LayersTest {
protected:
    Plan plan_of(const std::vector<LayerCase>& cases, const KfacOptions& options,
                 const StepOptions& step = {}) {
        return LayersTest::plan_of(std::make_unique<Kfac>(device(), options), cases, step);
    }
};

// Statistics of all kinds of layers, the clip over all of them, momentum.
TEST_P(KfacTest, LayersOfEveryKindMatchFloat64) {
    for (const KfacMethod method : {KfacMethod::inverse, KfacMethod::eigen, KfacMethod::ekfac}) {
        SCOPED_TRACE(static_cast<int>(method));
        const KfacOptions options = options_of(method);
        Plan plan = plan_of(layers_of_every_kind(), options);
        for (TestLayer& layer : layers_) layer.draw(0);  // before references look at shapes
        std::vector<std::vector<GroupReference>> references(layers_.size());
        std::vector<std::vector<Matrix>> momentum(layers_.size());
        for (std::size_t l = 0; l < layers_.size(); ++l)
            for (std::uint64_t g = 0; g < layers_[l].groups(); ++g) {
                references[l].emplace_back(layers_[l], g, options);
                momentum[l].push_back(Matrix::Zero(layers_[l].m(), layers_[l].gradient(g).cols()));
            }
        for (int k = 0; k < 3; ++k) {
            std::vector<std::vector<Matrix>> before(layers_.size()), directions(layers_.size());
            const double lr = static_cast<double>(options.lr);
            double sum = 0;
            for (std::size_t l = 0; l < layers_.size(); ++l) {
                layers_[l].draw(100 * static_cast<unsigned>(k) + 10 * static_cast<unsigned>(l) + 5);
                for (std::uint64_t g = 0; g < layers_[l].groups(); ++g) {
                    before[l].push_back(layers_[l].parameters(g));
                    directions[l].push_back(references[l][g].direction(k));
                    sum += lr * lr * (directions[l][g].array() * layers_[l].gradient(g).array()).sum();
                }
            }
            const double nu = std::min(1.0, std::sqrt(static_cast<double>(*options.kl_clip) / std::abs(sum)));
            EXPECT_LT(nu, 0.9);  // else the clip is not tested
            plan.run();
            const KfacClip clip = kfac_clip(plan);
            EXPECT_NEAR(clip.factor, nu, 1e-4 * nu);
            EXPECT_NEAR(clip.products, sum / (lr * lr), 2e-4 * std::abs(sum) / (lr * lr));
            const double change = -nu * (1 - lr * nu / 2) * sum / lr;
            EXPECT_NEAR(clip.predicted_change, change, 4e-4 * std::abs(change));
            for (std::size_t l = 0; l < layers_.size(); ++l)
                for (std::uint64_t g = 0; g < layers_[l].groups(); ++g) {
                    SCOPED_TRACE(layers_of_every_kind()[l].name + " group " + std::to_string(g) + " step " +
                                 std::to_string(k));
                    momentum[l][g] = options.step.momentum * momentum[l][g] + nu * directions[l][g];
                    const Matrix expected = -lr * momentum[l][g];
                    const Matrix update = layers_[l].parameters(g) - before[l][g];
                    EXPECT_LE((update - expected).norm(),
                              1e-4 * expected.norm() + 3 * 0x1p-24 * before[l][g].norm());
                }
        }
    }
}

TEST_P(KfacTest, FactorsWithADampingEachHaveAScaleEach) {
    KfacOptions options = options_of(KfacMethod::inverse);
    options.damping_split = DampingSplit::full;
    const LayerCase of = layers_of_every_kind()[2];
    Plan plan = plan_of({of}, options);
    layers_[0].draw(1);
    plan.run();
    for (const bool inputs : {true, false}) {
        const std::string name = of.name + (inputs ? ".weight.A" : ".weight.S");
        const Matrix factor = matrix_of(doubles(floats(plan, name)), 4, 4),
                     found = matrix_of(doubles(floats(plan, name + "_inverse")), 4, 4);
        const double scale = inputs ? layers_[0].inputs_damping() : layers_[0].outputs_damping();
        const Matrix expected =
            inverse(factor + static_cast<double>(options.damping) * scale * Matrix::Identity(4, 4));
        EXPECT_LE((found - expected).norm(), 1e-5 * expected.norm()) << name;
    }
}

// Elsewhere a layer's scales are factors on the damping of its product, powers of two to the bit.
TEST_P(KfacTest, ScaledDampingsAreThoseOfARunWithThem) {
    for (const KfacMethod method : {KfacMethod::eigen, KfacMethod::batch}) {
        KfacOptions options = options_of(method);
        options.damping_unit = DampingUnit::mean;
        if (method == KfacMethod::eigen) options.damping_split = DampingSplit::full;  // inverses' alone
        std::vector<std::vector<float>> results;
        for (const bool scaled : {true, false}) {
            LayerCase of = layers_of_every_kind()[0];
            if (scaled) of.damping_scale = {.inputs = 8.0f, .outputs = 0.5f};
            options.damping = scaled ? 0.05f : 0.2f;
            Plan plan = plan_of({of}, options);
            for (unsigned k = 0; k < 2; ++k) {
                layers_[0].draw(k);
                plan.run();
            }
            results.push_back(weights());
        }
        EXPECT_EQ(results[0], results[1]);
    }
}

// In the second step weights go half of the way back.
TEST_P(KfacTest, LookaheadTakesLayers) {
    const KfacOptions options = options_of(KfacMethod::inverse);
    const std::vector<LayerCase> cases = layers_of_every_kind();
    std::vector<std::vector<float>> after[2];  // of Kfac, of Lookahead around it: after no step, and two
    for (const bool wrapped : {false, true}) {
        auto inner = std::make_unique<Kfac>(device(), options);
        Plan plan = wrapped ? LayersTest::plan_of(
                                  std::make_unique<Lookahead>(device(), std::move(inner),
                                                              LookaheadOptions{.steps = 2, .alpha = 0.5f}),
                                  cases)
                            : LayersTest::plan_of(std::move(inner), cases);
        after[wrapped].push_back(weights());
        for (unsigned k = 0; k < 2; ++k) {
            for (TestLayer& layer : layers_) layer.draw(10 * k);
            plan.run();
        }
        after[wrapped].push_back(weights());
        EXPECT_EQ(floats(plan, "linear.weight.momentum").size(), 20u);
    }
    EXPECT_EQ(after[0][0], after[1][0]);
    for (std::size_t i = 0; i < after[0][0].size(); ++i) {
        const double first = after[0][0][i], last = after[0][1][i];
        ASSERT_NEAR(after[1][1][i], 0.5 * (first + last), 2 * 0x1p-24 * (std::abs(first) + std::abs(last)));
    }
    EXPECT_NE(after[0][1], after[1][1]);
}

// From the next step on as if it had been an option, and so after a checkpoint.
TEST_P(KfacTest, DampingCanBeSet) {
    const std::filesystem::path file = std::filesystem::temp_directory_path() /
                                       ("heron_kfac_" + std::to_string(GetParam().index) + ".safetensors");
    std::vector<std::vector<float>> results;
    for (const bool set : {true, false}) {
        KfacOptions options = options_of(KfacMethod::inverse);
        if (!set) options.damping = 0.2f;
        Plan plan = plan_of({layers_of_every_kind()[0]}, options);
        if (set) {
            set_damping(plan, "kfac", 0.2f);
            save_checkpoint(plan, file);
            set_damping(plan, "kfac", 0.7f);
            load_checkpoint(plan, file);
        }
        layers_[0].draw(1);
        plan.run();
        results.push_back(weights());
        EXPECT_THROW(set_damping(plan, "kfac", 0.0f), Error);
        EXPECT_THROW(set_damping(plan, "adamw", 0.1f), Error);
        EXPECT_THROW(kfac_clip(plan, "adamw"), Error);
    }
    EXPECT_EQ(results[0], results[1]);
    std::filesystem::remove(file);
}

// kfac-jax: over 0.9^5 below a ratio of 0.25, times that above 0.75.
TEST(Kfac, DampingFollowsTheRatioOfReductions) {
    const double factor = std::pow(0.9, 5);
    const auto adapted = [](double change) { return adapted_damping(0.1f, change, -2.0); };
    EXPECT_NEAR(adapted(-1.6), 0.1 * factor, 1e-7);
    EXPECT_EQ(adapted(-1.5), 0.1f);
    EXPECT_EQ(adapted(-0.5), 0.1f);
    EXPECT_NEAR(adapted(-0.4), 0.1 / factor, 1e-7);
    EXPECT_NEAR(adapted(1.0), 0.1 / factor, 1e-7);
    EXPECT_NEAR(adapted_damping(0.1f, 0.0, 0.0), 0.1 / factor, 1e-7);
    EXPECT_NEAR(adapted_damping(0.1f, -1.0, -1.0, {.decay = 0.5f, .interval = 1}), 0.05, 1e-8);
    EXPECT_EQ(adapted_damping(0.1f, -1.0, -1.0, {.least = 0.08f}), 0.08f);
    EXPECT_EQ(adapted_damping(0.1f, 1.0, -1.0, {.largest = 0.11f}), 0.11f);
    EXPECT_THROW(adapted_damping(0.0f, 1.0, 1.0), Error);
    EXPECT_THROW(adapted_damping(0.1f, 1.0, 1.0, {.lower = 1.0f}), Error);
    EXPECT_THROW(adapted_damping(0.1f, 1.0, 1.0, {.interval = 0}), Error);
}

// Powers of two go through everything exactly.
TEST_P(KfacTest, LossScalesAreDividedOut) {
    for (const KfacMethod method : {KfacMethod::inverse, KfacMethod::ekfac})
        for (const bool accumulate : {false, true}) {
            SCOPED_TRACE(std::to_string(static_cast<int>(method)) + (accumulate ? " accumulated" : ""));
            std::vector<float> results[2];
            for (const bool scaled : {false, true}) {
                StepOptions step;
                step.accumulate = accumulate;
                if (scaled) {
                    step.loss_scale.initial = 1024.0f;
                    step.loss_scale.dynamic = true;
                    step.loss_scale.growth_interval = 1;
                }
                Plan plan = plan_of(layers_of_every_kind(), options_of(method), step);
                for (unsigned k = 0; k < 3; ++k) {
                    const auto scale = static_cast<double>(status(plan).loss_scale);
                    EXPECT_EQ(scale, scaled ? 1024.0 * (1u << k) : 1.0);
                    unsigned seed = 100 * k;
                    for (TestLayer& layer : layers_) layer.draw(seed += 10, scale);
                    if (accumulate) plan.wait(plan.submit_accumulate());
                    plan.run();
                }
                results[scaled] = weights();
            }
            EXPECT_EQ(results[0], results[1]);
        }
}

// Those of a step that was skipped do not count.
TEST_P(KfacTest, StatisticsAreMeansOverMicroBatches) {
    StepOptions step;
    step.accumulate = true;
    KfacOptions options = options_of(KfacMethod::inverse);
    Plan plan = plan_of({layers_of_every_kind()[0]}, options, step);
    TestLayer& layer = layers_[0];
    Matrix a = Matrix::Identity(5, 5);
    for (unsigned k = 0; k < 2; ++k) {  // the second step begins anew
        layer.draw(7, std::numeric_limits<double>::quiet_NaN());
        plan.wait(plan.submit_accumulate());
        plan.run();
        EXPECT_EQ(status(plan).skipped, k + 1);
        Matrix sum = Matrix::Zero(5, 5);
        for (unsigned micro = 0; micro < 3; ++micro) {
            layer.draw(100 * k + 10 * micro);
            const Matrix rows = layer.inputs(0);
            sum += rows.transpose() * rows / static_cast<double>(rows.rows()) / 3;
            plan.wait(plan.submit_accumulate());
        }
        plan.run();
        a = 0.5 * a + 0.5 * sum;
        const Matrix found = matrix_of(doubles(floats(plan, "linear.weight.A")), 5, 5);
        EXPECT_LE((found - a).norm(), 1e-6 * a.norm());
    }
}

// Captures that are not finite, or too large to be squared, and factors without an inverse.
TEST_P(KfacTest, WhatIsNotFiniteIsLeftOutAndCounted) {
    for (const KfacMethod method : {KfacMethod::inverse, KfacMethod::eigen}) {
        Plan plan = plan_of({layers_of_every_kind()[0]}, options_of(method));
        TestLayer& layer = layers_[0];
        layer.draw(3);
        plan.run();
        const std::string name = "linear.weight";
        const char* failures = method == KfacMethod::inverse ? ".inverse_failures" : ".eigen_failures";
        const std::vector<float> a = floats(plan, name + ".A"), s = floats(plan, name + ".S");
        std::uint32_t count = 0;
        for (const float bad :
             {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), 1e25f}) {
            layer.set_inputs(bad);
            plan.run();
            EXPECT_EQ(words(plan, name + ".left_out"), (std::vector<std::uint32_t>{++count, 0}));
            EXPECT_EQ(floats(plan, name + ".A"), a);
            EXPECT_NE(floats(plan, name + ".S"), s);
            for (const float weight : weights()) ASSERT_TRUE(std::isfinite(weight));
        }
        EXPECT_EQ(words(plan, name + failures), (std::vector<std::uint32_t>{0, 0}));
        const std::string root = name + (method == KfacMethod::inverse ? ".A_inverse" : ".A_vectors");
        const std::vector<float> before = floats(plan, root);
        std::vector<float> broken(a.size(), std::numeric_limits<float>::quiet_NaN());
        plan.write_state(name + ".A", std::as_bytes(std::span(broken)));
        plan.run();
        EXPECT_EQ(words(plan, name + failures), (std::vector<std::uint32_t>{1, 0}));
        EXPECT_EQ(floats(plan, root), before);
        for (const float weight : weights()) ASSERT_TRUE(std::isfinite(weight));
    }
}

// Of A + sqrt(damping) pi I and S + sqrt(damping) / pi I; nothing else is different. 1 where damping is far
// above both.
TEST_P(KfacTest, DiagnosticsAreConditionNumbersOfTheDampedFactors) {
    KfacOptions options = options_of(KfacMethod::inverse);
    for (const float damping : {1e-6f, 1.0f, 1e12f}) {
        options.damping = damping;
        std::vector<float> after;
        for (const bool diagnostics : {false, true}) {
            options.diagnostics = diagnostics;
            Plan plan = plan_of({layers_of_every_kind()[0]}, options);
            layers_[0].draw(3);
            plan.run();
            if (!diagnostics) {
                after = weights();
                continue;
            }
            EXPECT_EQ(weights(), after);
            const std::vector<float> conditions = floats(plan, "linear.weight.inverse_condition");
            std::array<Matrix, 2> factors;
            for (const std::size_t side : {0, 1}) {
                const std::vector<float> values =
                    floats(plan, std::string("linear.weight") + (side == 0 ? ".A" : ".S"));
                const auto order =
                    static_cast<std::uint64_t>(std::lround(std::sqrt(static_cast<double>(values.size()))));
                factors[side] = matrix_of(doubles(values), order, order);
            }
            for (const std::size_t side : {0, 1}) {
                const auto mean = [&](const Matrix& of) {
                    return of.trace() / static_cast<double>(of.rows());
                };
                const double added =
                    std::sqrt(static_cast<double>(damping) * mean(factors[side]) / mean(factors[1 - side]));
                const SymmetricEigen eigen = symmetric_eigen(factors[side]);
                const double exact = (eigen.values.maxCoeff() + added) / (eigen.values.minCoeff() + added),
                             is = static_cast<double>(conditions[side]);
                EXPECT_GE(is, 0.5 * exact) << side << " damping " << damping;
                EXPECT_LE(is, 1.01 * exact) << side << " damping " << damping;
                if (damping == 1e12f) EXPECT_NEAR(is, 1, 0.01);
            }
            std::vector<float> broken = floats(plan, "linear.weight.A");
            broken[1] = broken[static_cast<std::size_t>(factors[0].rows())] = 1e9f;  // indefinite
            plan.write_state("linear.weight.A", std::as_bytes(std::span(broken)));
            plan.run();
            if (damping > 1) continue;  // which makes anything definite
            EXPECT_EQ(words(plan, "linear.weight.inverse_failures"), (std::vector<std::uint32_t>{1, 0}));
            EXPECT_EQ(floats(plan, "linear.weight.inverse_condition")[0], std::numeric_limits<float>::max());
            EXPECT_LT(floats(plan, "linear.weight.inverse_condition")[1], 1e9f);
        }
    }
    options.method = KfacMethod::eigen;
    expect_refused([&] { Kfac unused(device(), options); }, {"Kfac", "diagnostics without method inverse"});
}

TEST_P(KfacTest, IntervalsAndStaggerSayWhenFactorsAndInversesMove) {
    KfacOptions options = options_of(KfacMethod::inverse);
    options.factor_interval = 2;
    std::vector<LayerCase> cases{layers_of_every_kind()[0], layers_of_every_kind()[1]};
    for (const bool stagger : {false, true}) {
        options.refresh = {.interval = 3, .stagger = stagger, .turn_flops = 0};
        Plan plan = plan_of(cases, options);
        for (unsigned k = 0; k < 7; ++k) {
            for (TestLayer& layer : layers_) layer.draw(20 * k);
            std::vector<std::vector<float>> a, inverse;
            for (const LayerCase& of : cases) {
                a.push_back(floats(plan, of.name + ".weight.A"));
                inverse.push_back(floats(plan, of.name + ".weight.A_inverse"));
            }
            plan.run();
            for (unsigned l = 0; l < 2; ++l) {
                SCOPED_TRACE("step " + std::to_string(k) + " layer " + std::to_string(l));
                EXPECT_EQ(floats(plan, cases[l].name + ".weight.A") != a[l], k % 2 == 0);
                EXPECT_EQ(floats(plan, cases[l].name + ".weight.A_inverse") != inverse[l],
                          k % 3 == (stagger ? l : 0));
            }
        }
    }
}

// Staggered, first refreshes come in turns, too: till its own a layer takes its gradient.
TEST_P(KfacTest, LayersTakeTheirGradientsUntilTheirFirstTurns) {
    for (const auto& [method, at_refresh] :
         {std::pair{KfacMethod::inverse, false}, std::pair{KfacMethod::eigen, false},
          std::pair{KfacMethod::eigen, true}, std::pair{KfacMethod::ekfac, false}}) {
        SCOPED_TRACE(std::to_string(static_cast<int>(method)) + (at_refresh ? ", damped at refresh" : ""));
        KfacOptions options = options_of(method);
        options.refresh = {.interval = 4, .turn_flops = 0};
        options.step.momentum = 0;
        options.kl_clip.reset();
        Plan plan = plan_of({layers_of_every_kind()[0], layers_of_every_kind()[1]}, options);
        options.damping_at_refresh = at_refresh;
        for (unsigned k = 0; k < 2; ++k) {
            std::vector<Matrix> before;
            for (unsigned l = 0; l < 2; ++l) {
                layers_[l].draw(10 * k + l);
                before.push_back(layers_[l].parameters(0));
            }
            plan.run();
            for (unsigned l = 0; l < 2; ++l) {
                SCOPED_TRACE("step " + std::to_string(k) + " layer " + std::to_string(l));
                const Matrix expected = before[l] - static_cast<double>(options.lr) * layers_[l].gradient(0);
                const double distance = (layers_[l].parameters(0) - expected).norm();
                if (k < l)
                    EXPECT_LE(distance, 1e-6);
                else
                    EXPECT_GE(distance, 1e-3);
            }
        }
    }
}

TEST_P(KfacTest, GrowthThatHasNotBegunChangesNothing) {
    std::vector<std::vector<float>> results;
    for (const std::uint32_t growth : {0u, 100u}) {
        KfacOptions options = options_of(KfacMethod::inverse);
        options.refresh = {.interval = 3, .growth = growth};
        Plan plan = plan_of({layers_of_every_kind()[0], layers_of_every_kind()[1]}, options);
        for (unsigned k = 0; k < 5; ++k) {
            for (TestLayer& layer : layers_) layer.draw(20 * k);
            plan.run();
        }
        results.push_back(weights());
    }
    EXPECT_EQ(results[0], results[1]);
}

TEST_P(KfacTest, CurvatureIsTheIdentityUntilTheFirstRefresh) {
    for (const KfacMethod method : {KfacMethod::inverse, KfacMethod::eigen, KfacMethod::ekfac}) {
        SCOPED_TRACE(static_cast<int>(method));
        KfacOptions options = options_of(method);
        options.refresh = {.interval = 1, .first = 3};
        options.step.momentum = 0;
        options.kl_clip.reset();
        Plan plan = plan_of({layers_of_every_kind()[0]}, options);
        for (unsigned k = 0; k < 3; ++k) {
            layers_[0].draw(10 * k);
            const Matrix before = layers_[0].parameters(0);
            plan.run();
            const Matrix expected = before - static_cast<double>(options.lr) * layers_[0].gradient(0);
            const double distance = (layers_[0].parameters(0) - expected).norm();
            if (k < 2)
                EXPECT_LE(distance, 1e-6);
            else
                EXPECT_GE(distance, 1e-3);
        }
    }
}

TEST_P(KfacTest, LevelsDoNotDependOnTheNumberOfLayers) {
    for (const KfacMethod method : {KfacMethod::inverse, KfacMethod::eigen, KfacMethod::ekfac}) {
        LayerCase of = layers_of_every_kind()[0];
        const std::uint32_t one = plan_of({of}, options_of(method)).level_count();
        std::vector<LayerCase> many;
        for (int l = 0; l < 6; ++l) {
            of.name = "layer" + std::to_string(l);
            many.push_back(of);
        }
        EXPECT_EQ(plan_of(many, options_of(method)).level_count(), one);
    }
}

// Two of one structure share their dispatches; each clips by its own layers and rate.
TEST_P(KfacTest, OptimizersOfOnePlanClipEachForItself) {
    expect_each_for_itself(
        device(), Shape{5, 4}, 1e-6,
        [](const Device& on, std::size_t i) {
            KfacOptions options = options_of(KfacMethod::inverse);
            options.lr = i == 0 ? 0.2f : 0.05f;
            return std::make_unique<Kfac>(on, options);
        },
        [](const std::string& name, Training& together, Training& alone) {
            const KfacClip clip = kfac_clip(together.plan(), name), its = kfac_clip(alone.plan(), name);
            EXPECT_GT(its.factor, 0.0f);
            EXPECT_NEAR(clip.factor, its.factor, 1e-5 * static_cast<double>(its.factor));
        });
}

// As an engine's frames do.
TEST_P(KfacTest, CapturesCanMove) {
    Plan plan = plan_of({layers_of_every_kind()[0]}, options_of(KfacMethod::inverse));
    layers_[0].draw(7);
    plan.run();
    const std::vector<float> still = weights();
    plan = plan_of({layers_of_every_kind()[0]}, options_of(KfacMethod::inverse));
    TestLayer other(device(), layers_of_every_kind()[0]);
    other.draw(7);
    layers_[0].draw(7);
    layers_[0].set_inputs(3.0f);
    const Plan::Rebinding moved[] = {{"linear.weight.inputs", other.layer().inputs},
                                     {"linear.weight.output_gradients", other.layer().output_gradients}};
    plan.rebind(moved);
    plan.run();
    EXPECT_EQ(weights(), still);
}

HERON_DEVICE_TESTS(KfacTest);

}  // namespace
}  // namespace heron::test

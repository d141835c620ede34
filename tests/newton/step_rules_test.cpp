// SPDX-License-Identifier: MIT
// Lengths and dampings of steps against what they are for.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <heron/error.hpp>
#include <heron/newton.hpp>
#include <limits>
#include <string>
#include <vector>

namespace heron::test {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// f(x) = x^2 / 2 from x = 1 along -1: f decreases enough up to 2 (1 - c), for Goldstein's condition from 2 c
// on.
double along(double step) { return (1 - step) * (1 - step) / 2; }
double search(ArmijoSearch& rule) {
    rule.begin(along(0), -1);
    while (!rule.accepts(along(rule.step()))) continue;
    return rule.step();
}

TEST(ArmijoSearch, ShortensUntilTheLossFallsEnough) {
    ArmijoSearch rule({.largest = 4});
    // 4, 3.2, 2.56, 2.048, then 1.6384 < 1.8
    EXPECT_DOUBLE_EQ(search(rule), 4 * std::pow(0.8, 4));
    // The next begins at half as much again: 2.4576, 1.966, 1.573.
    EXPECT_DOUBLE_EQ(search(rule), 4 * std::pow(0.8, 6) * 1.5);
}

TEST(ArmijoSearch, BeginsWhereItWasToldTo) {
    ArmijoSearch conservative({.largest = 1, .start = SearchStart::conservative});
    EXPECT_EQ(search(conservative), 1);
    EXPECT_EQ(search(conservative), 1);
    // Goldstein's condition lengthens what is too short: after a search that ended at 0.01 much is left.
    ArmijoSearch goldstein({.largest = 1, .start = SearchStart::goldstein});
    goldstein.begin(1, -1);
    for (int i = 0; i < 15; ++i) EXPECT_FALSE(goldstein.accepts(2));
    EXPECT_TRUE(goldstein.accepts(2)) << "the last trial is taken as it is";
    EXPECT_FALSE(goldstein.gave_up());
    const double shortest = goldstein.step();
    EXPECT_NEAR(shortest, std::pow(0.8, 15), 1e-12);
    const double longer = search(goldstein);
    EXPECT_GE(longer, 0.2 - 1e-12);
    EXPECT_LT(longer, 0.3);
}

TEST(ArmijoSearch, NeverTakesALossThatIsNotFinite) {
    for (double loss : {kInfinity, -kInfinity, std::nan("")}) {
        ArmijoSearch rule({.max_trials = 2});
        rule.begin(1, -1);
        EXPECT_FALSE(rule.accepts(loss));
        EXPECT_FALSE(rule.accepts(loss));
        EXPECT_TRUE(rule.accepts(loss));
        EXPECT_TRUE(rule.gave_up());
        EXPECT_EQ(rule.step(), 0);
        EXPECT_EQ(search(rule), 1) << "the next search begins anew";
        EXPECT_FALSE(rule.gave_up());
    }
}

TEST(LevenbergMarquardt, FollowsTheRatioOfDecreases) {
    LevenbergMarquardt rule({.lambda = 2, .raise = 1.5, .lower = 0.5, .smallest = 0.75, .largest = 4});
    EXPECT_DOUBLE_EQ(rule.update(-0.5, -2, 2), 0.5);  // half of what the model says: stays
    EXPECT_EQ(rule.lambda(), 2);
    EXPECT_DOUBLE_EQ(rule.update(-0.1, -2, 2), 0.1);
    EXPECT_EQ(rule.lambda(), 3);
    rule.update(std::nan(""), -2, 2);
    EXPECT_EQ(rule.lambda(), 4) << "raised, up to the largest";
    for (int i = 0; i < 4; ++i) rule.update(-1, -2, 2);
    EXPECT_EQ(rule.lambda(), 0.75);
}

TEST(GradientDampingRule, AdaptsToTheStepsThatWork) {
    GradientDampingRule smooth({.epsilon = 0});
    smooth.begin({.loss = 1, .gradient_norm = 3});
    EXPECT_EQ(smooth.lambda(), 3);
    EXPECT_FALSE(smooth.accepts({.loss = 0.99, .gradient_norm = 1}));  // 0.01 < 1 / 24
    EXPECT_EQ(smooth.lambda(), 6);
    smooth.failed();
    EXPECT_EQ(smooth.lambda(), 12);
    EXPECT_TRUE(smooth.accepts({.loss = 0.98, .gradient_norm = 1}));  // 0.02 >= 1 / 96
    EXPECT_EQ(smooth.radius(), 0.5);

    GradientDampingRule universal({.rule = GradientDamping::super_universal, .smallest = 1e-5, .power = 2});
    universal.begin({.loss = 1, .gradient_norm = 3});
    EXPECT_EQ(universal.lambda(), 9);
    EXPECT_FALSE(universal.accepts({.loss = 0, .gradient_norm = 6}, 0.5));  // 0.5 < 1
    EXPECT_EQ(universal.lambda(), 36);
    EXPECT_TRUE(universal.accepts({.loss = 5, .gradient_norm = 6}, 0.5));
    EXPECT_EQ(universal.radius(), 1);

    GradientDampingRule root({.rule = GradientDamping::square_root, .initial = 3});
    root.begin({.loss = 1, .gradient_norm = 3});
    EXPECT_EQ(root.lambda(), 3);
    EXPECT_FALSE(root.accepts({.loss = 2, .gradient_norm = 0}));
    EXPECT_EQ(root.radius(), 6);
    EXPECT_TRUE(root.accepts({.loss = 1, .gradient_norm = 9}));
    EXPECT_EQ(root.radius(), 3);
}

TEST(GradientDampingRule, EndsAfterItsTrials) {
    GradientDampingRule rule({.max_trials = 3});
    rule.begin({.loss = 1, .gradient_norm = 1});
    EXPECT_FALSE(rule.accepts({.loss = 2, .gradient_norm = 1}));
    rule.failed();
    EXPECT_FALSE(rule.gave_up());
    EXPECT_TRUE(rule.accepts({.loss = 2, .gradient_norm = 1})) << "the last one, for want of a better";
    EXPECT_FALSE(rule.gave_up());
    for (bool solved : {true, false}) {
        rule.begin({.loss = 1, .gradient_norm = 1});
        for (int i = 0; i < 3; ++i) {
            EXPECT_FALSE(rule.gave_up());
            if (solved)
                EXPECT_FALSE(rule.accepts({.loss = kInfinity, .gradient_norm = 1}));
            else
                rule.failed();
        }
        EXPECT_TRUE(rule.gave_up());
    }
}

TEST(StepRules, RefuseWhatMakesNoSense) {
    const double nan = std::nan("");
    const std::vector<std::pair<std::string, std::function<void()>>> refusals{
        {"largest is 0", [] { ArmijoSearch({.largest = 0}); }},
        {"aggressiveness is 1", [] { ArmijoSearch({.aggressiveness = 1}); }},
        {"decrease is nan", [&] { ArmijoSearch({.decrease = nan}); }},
        {"increase is 0.5", [] { ArmijoSearch({.increase = 0.5}); }},
        {"SearchStart", [] { ArmijoSearch({.start = static_cast<SearchStart>(3)}); }},
        {"lambda is 0", [] { LevenbergMarquardt({.lambda = 0}); }},
        {"raise is 0.5", [] { LevenbergMarquardt({.raise = 0.5}); }},
        {"lower is 2", [] { LevenbergMarquardt({.lower = 2}); }},
        {"bad is 1", [] { LevenbergMarquardt({.bad = 1}); }},
        {"largest is inf", [] { LevenbergMarquardt({.largest = kInfinity}); }},
        {"initial is nan", [&] { GradientDampingRule({.initial = nan}); }},
        {"smallest is 0", [] { GradientDampingRule({.smallest = 0}); }},
        {"epsilon is -1", [] { GradientDampingRule({.epsilon = -1}); }},
        {"power is -1", [] { GradientDampingRule({.power = -1}); }},
        {"max_trials is 0", [] { GradientDampingRule({.max_trials = 0}); }},
        {"GradientDamping", [] { GradientDampingRule({.rule = static_cast<GradientDamping>(3)}); }},
    };
    for (const auto& [needle, call] : refusals) {
        try {
            call();
            ADD_FAILURE() << needle << ": accepted";
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
            EXPECT_NE(std::string(error.what()).find(needle), std::string::npos) << error.what();
        }
    }
}

}  // namespace
}  // namespace heron::test

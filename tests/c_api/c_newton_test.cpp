// SPDX-License-Identifier: MIT
// The rules of lengths and dampings do through C what they do through C++, number for number.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "heron/heron.h"
#include "heron/newton.hpp"

namespace heron {
namespace {

// Losses along a step of some length from 1: they fall, rise again, and beyond 4 are none.
double loss_at(double length) {
    return length > 4 ? std::numeric_limits<double>::infinity() : 1 - 0.5 * length + 0.25 * length * length;
}

TEST(CNewton, ArmijoSearchIsThatOfCpp) {
    heron_armijo_options options;
    ASSERT_EQ(heron_armijo_options_init(&options), HERON_SUCCESS);
    EXPECT_EQ(options.max_trials, ArmijoOptions{}.max_trials);
    options.largest = 8;
    options.start = HERON_SEARCH_START_GOLDSTEIN;
    heron_armijo_search* search = nullptr;
    ASSERT_EQ(heron_armijo_search_create(&options, &search), HERON_SUCCESS) << heron_last_error();
    ArmijoSearch expected({.largest = 8, .start = SearchStart::goldstein});
    for (int step = 0; step < 3; ++step) {
        ASSERT_EQ(heron_armijo_search_begin(search, 1, -0.5), HERON_SUCCESS);
        expected.begin(1, -0.5);
        for (bool accepted = false; !accepted;) {
            const double length = heron_armijo_search_step(search);
            EXPECT_EQ(length, expected.step());
            ASSERT_EQ(heron_armijo_search_accepts(search, loss_at(length), &accepted), HERON_SUCCESS);
            ASSERT_EQ(accepted, expected.accepts(loss_at(length)));
        }
        EXPECT_LT(heron_armijo_search_step(search), 4);
        EXPECT_FALSE(heron_armijo_search_gave_up(search));
    }
    ASSERT_EQ(heron_armijo_search_begin(search, 1, -0.5), HERON_SUCCESS);
    for (bool accepted = false; !accepted;)
        ASSERT_EQ(heron_armijo_search_accepts(search, std::nan(""), &accepted), HERON_SUCCESS);
    EXPECT_TRUE(heron_armijo_search_gave_up(search));
    EXPECT_EQ(heron_armijo_search_step(search), 0);
    heron_armijo_search_destroy(search);

    options.decrease = 1;
    search = nullptr;
    EXPECT_EQ(heron_armijo_search_create(&options, &search), HERON_ERROR_INVALID_ARGUMENT);
    EXPECT_NE(std::string(heron_last_error()).find("decrease"), std::string::npos) << heron_last_error();
    EXPECT_EQ(search, nullptr);
}

TEST(CNewton, LevenbergMarquardtIsThatOfCpp) {
    heron_levenberg_marquardt* rule = nullptr;
    ASSERT_EQ(heron_levenberg_marquardt_create(nullptr, &rule), HERON_SUCCESS) << heron_last_error();
    LevenbergMarquardt expected;
    EXPECT_EQ(heron_levenberg_marquardt_lambda(rule), expected.lambda());
    for (const double change : {-1.0, -0.4, -0.05, 0.3, std::nan("")}) {
        double ratio = 0;
        ASSERT_EQ(heron_levenberg_marquardt_update(rule, change, -1.5, 1, &ratio), HERON_SUCCESS);
        const double expected_ratio = expected.update(change, -1.5, 1);
        if (std::isnan(change))
            EXPECT_TRUE(std::isnan(ratio));
        else
            EXPECT_EQ(ratio, expected_ratio);
        EXPECT_EQ(heron_levenberg_marquardt_lambda(rule), expected.lambda());
    }
    EXPECT_NE(heron_levenberg_marquardt_lambda(rule), 1);
    heron_levenberg_marquardt_destroy(rule);
}

TEST(CNewton, GradientDampingsAreThoseOfCpp) {
    for (const GradientDamping kind : {GradientDamping::normalized_smoothness,
                                       GradientDamping::super_universal, GradientDamping::square_root}) {
        heron_gradient_damping_options options;
        ASSERT_EQ(heron_gradient_damping_options_init(&options), HERON_SUCCESS);
        options.rule = static_cast<heron_gradient_damping>(kind);
        options.max_trials = 4;
        heron_gradient_damping_rule* rule = nullptr;
        ASSERT_EQ(heron_gradient_damping_rule_create(&options, &rule), HERON_SUCCESS) << heron_last_error();
        GradientDampingRule expected({.rule = kind, .max_trials = 4});
        ASSERT_EQ(heron_gradient_damping_rule_begin(rule, 2, 1.5), HERON_SUCCESS);
        expected.begin({2, 1.5});
        ASSERT_EQ(heron_gradient_damping_rule_failed(rule), HERON_SUCCESS);
        expected.failed();
        for (const double loss : {3.0, 1.0}) {
            bool accepted = false;
            ASSERT_EQ(heron_gradient_damping_rule_accepts(rule, loss, 0.5, loss == 1 ? 9 : -9, &accepted),
                      HERON_SUCCESS);
            EXPECT_EQ(accepted, expected.accepts({loss, 0.5}, loss == 1 ? 9 : -9));
            EXPECT_EQ(accepted, loss == 1);
            EXPECT_EQ(heron_gradient_damping_rule_lambda(rule), expected.lambda());
            EXPECT_EQ(heron_gradient_damping_rule_radius(rule), expected.radius());
        }
        ASSERT_EQ(heron_gradient_damping_rule_begin(rule, 2, 1.5), HERON_SUCCESS);
        for (int trial = 0; trial < 4; ++trial)
            ASSERT_EQ(heron_gradient_damping_rule_failed(rule), HERON_SUCCESS);
        EXPECT_TRUE(heron_gradient_damping_rule_gave_up(rule));
        heron_gradient_damping_rule_destroy(rule);
    }
}

TEST(CNewton, NullIsRefusedOrEmpty) {
    heron_armijo_search_destroy(nullptr);
    heron_levenberg_marquardt_destroy(nullptr);
    heron_gradient_damping_rule_destroy(nullptr);
    bool accepted = false;
    EXPECT_EQ(heron_armijo_search_create(nullptr, nullptr), HERON_ERROR_INVALID_ARGUMENT);
    EXPECT_EQ(heron_armijo_search_begin(nullptr, 1, -1), HERON_ERROR_INVALID_ARGUMENT);
    EXPECT_EQ(heron_armijo_search_accepts(nullptr, 1, &accepted), HERON_ERROR_INVALID_ARGUMENT);
    EXPECT_EQ(heron_armijo_search_step(nullptr), 0);
    EXPECT_FALSE(heron_armijo_search_gave_up(nullptr));
    EXPECT_EQ(heron_levenberg_marquardt_lambda(nullptr), 0);
    EXPECT_EQ(heron_gradient_damping_rule_lambda(nullptr), 0);
    EXPECT_FALSE(heron_gradient_damping_rule_gave_up(nullptr));
}

}  // namespace
}  // namespace heron

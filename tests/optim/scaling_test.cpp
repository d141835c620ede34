// SPDX-License-Identifier: MIT
// Scaling rules: which factor each role gets, at which width; dampings that reach the factors.
#include "heron/scaling.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "optim/training.hpp"

namespace heron::test {
namespace {

Parameter named(std::string name, const Shape& shape, Role role = Role::automatic) {
    Parameter parameter;
    parameter.name = std::move(name);
    parameter.weight.shape = parameter.gradient.shape = shape;
    parameter.role = role;
    return parameter;
}

// A network of width 512: matrix, filters of 16 x 3 x 3 inputs, embedding, head, bias, first layer.
std::vector<Parameter> network() {
    std::vector<Parameter> parameters{named("fc", {64, 512}),      named("conv", {8, 16, 3, 3}),
                                      named("embed", {1000, 512}), named("lm_head", {1000, 512}),
                                      named("bias", {512}),        named("first", {512, 784}, Role::input)};
    parameters[3].lr_scale = 0.5f;
    parameters[3].weight_decay_scale = 0.5f;
    return parameters;
}

using Scales = std::vector<double>;

// Of fc, embed, lm_head, bias, first; over what they were before.
Scales rates(const WidthRules& rules) {
    std::vector<Parameter> parameters = network();
    scale_learning_rates(parameters, rules);
    Scales result;
    for (const std::size_t i : {0u, 2u, 3u, 4u, 5u})
        result.push_back(static_cast<double>(parameters[i].lr_scale) / (i == 3 ? 0.5 : 1.0));
    return result;
}

// Each row of the table of exponents, at four times the base width.
TEST(ScalingRules, WidthExponentsAreThoseOfEachKindOfUpdate) {
    EXPECT_EQ(rates({}), (Scales{1, 1, 1, 1, 1}));
    EXPECT_EQ(rates(WidthRules::mup_sgd(128)), (Scales{1, 4, 0.25, 4, 4}));
    EXPECT_EQ(rates(WidthRules::mup_adam(128)), (Scales{0.25, 1, 0.25, 1, 1}));
    EXPECT_EQ(rates(WidthRules::mup_shampoo(128)), (Scales{1, 2, 0.5, 2, 2}));
    EXPECT_EQ(rates(WidthRules::mup_orthogonal(128)), (Scales{1, 2, 0.5, 2, 2}));
    EXPECT_EQ(rates(WidthRules::mup_kfac(128)), (Scales{1, 1, 1, 1, 1}));
    EXPECT_EQ(rates(WidthRules::mup_foof(128)), (Scales{4, 4, 1, 4, 4}));
    const double root = static_cast<double>(static_cast<float>(std::sqrt(512.0)));
    const double inverse = static_cast<double>(static_cast<float>(1 / std::sqrt(512.0)));
    EXPECT_EQ(rates(WidthRules::u_mup_adam()), (Scales{inverse, inverse, 1, 1, 1}));
    EXPECT_EQ(rates(WidthRules::u_mup_sgd()), (Scales{inverse, inverse, 1, 512, 1}));
    EXPECT_EQ(rates(WidthRules::u_mup_sgd_to_output_scale()), (Scales{root, root, 1, 512, 1}));
    EXPECT_EQ(rates(WidthRules::dion()),
              (Scales{1, 1, static_cast<double>(static_cast<float>(0.5 / std::sqrt(512.0))) / 0.5, 1, 1}));
}

TEST(ScalingRules, FiltersCountTheirWholeInput) {
    std::vector<Parameter> parameters = network();
    scale_learning_rates(parameters, WidthRules::mup_adam(128));
    EXPECT_EQ(parameters[1].lr_scale, static_cast<float>(128.0 / 144));
}

TEST(ScalingRules, RulesMultiplyWhatIsThere) {
    std::vector<Parameter> parameters = network();
    scale_learning_rates(parameters, WidthRules::mup_adam(128));
    scale_learning_rates(parameters, 1 / std::sqrt(16.0));  // of residual branches in a network of 16 layers
    EXPECT_EQ(parameters[0].lr_scale, 0.0625f);
    EXPECT_EQ(parameters[3].lr_scale, 0.03125f);
}

TEST(ScalingRules, WeightDecayFollowsTheWidthOrNotTheRate) {
    std::vector<Parameter> parameters = network();
    scale_weight_decay(parameters, WidthRules::decay_adamw(128));
    EXPECT_EQ(parameters[0].weight_decay_scale, 2.0f);
    EXPECT_EQ(parameters[2].weight_decay_scale, 1.0f);
    EXPECT_EQ(parameters[3].weight_decay_scale, 1.0f);
    EXPECT_EQ(parameters[4].weight_decay_scale, 1.0f);
    EXPECT_EQ(parameters[0].lr_scale, 1.0f);
    parameters = network();
    scale_weight_decay(parameters, WidthRules::decay_matrix(128));
    scale_learning_rates(parameters, WidthRules::mup_adam(128));
    parameters[4].lr_scale = 0;
    make_decay_independent(parameters);
    // 1 / 4 of the rule, over the rate's factor of 1 / 4.
    EXPECT_EQ(parameters[0].weight_decay_scale, 1.0f);
    EXPECT_EQ(parameters[3].weight_decay_scale, 1.0f);
    EXPECT_EQ(parameters[4].weight_decay_scale, 1.0f);
    EXPECT_EQ(parameters[0].lr_scale * parameters[0].weight_decay_scale, 0.25f);
}

TEST(ScalingRules, DampingGrowsWithTheInputsAndFallsWithTheOutputs) {
    std::vector<Parameter> parameters = network();
    scale_damping(parameters, 128);
    const auto scales = [&](std::size_t i) {
        return std::pair(parameters[i].damping_scale.inputs, parameters[i].damping_scale.outputs);
    };
    EXPECT_EQ(scales(0), std::pair(4.0f, 2.0f));
    EXPECT_EQ(scales(2), std::pair(0.25f, 1.0f));  // words x width: the columns are what comes out
    EXPECT_EQ(scales(3), std::pair(4.0f, 1.0f));
    EXPECT_EQ(scales(4), std::pair(1.0f, 1.0f));
    EXPECT_EQ(scales(5), std::pair(1.0f, 0.25f));
}

TEST(ScalingRules, WhatIsOutOfRangeChangesNothing) {
    const auto refused = [](const char* name, auto&& call) {
        std::vector<Parameter> parameters = network();
        try {
            call(parameters);
            ADD_FAILURE() << name << " was not refused";
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
            EXPECT_NE(std::string(error.what()).find(name), std::string::npos) << error.what();
        }
        for (const Parameter& parameter : parameters)
            EXPECT_EQ(parameter.lr_scale, parameter.name == "lm_head" ? 0.5f : 1.0f);
    };
    using List = std::vector<Parameter>;
    refused("base_width", [](List& p) { scale_learning_rates(p, WidthRules{0, 1}); });
    refused("exponent", [](List& p) { scale_learning_rates(p, WidthRules{1, 5}); });
    refused("lr_scale of \"lm_head\"",
            [](List& p) { scale_learning_rates(p, WidthRules{.base_width = 1e-30, .head = 4}); });
    refused("factor", [](List& p) { scale_learning_rates(p, -1); });
    refused("lr_scale of", [](List& p) { scale_learning_rates(p, 1e39); });
    refused("weight_decay_scale", [](List& p) { scale_weight_decay(p, WidthRules{1e-30, 4}); });
    refused("weight_decay_scale of \"late\"", [](List& p) {
        List late{named("late", {8, 8})};
        late[0].lr_scale = 1e-30f;
        late[0].weight_decay_scale = 1e30f;
        (void)p;
        make_decay_independent(late);
    });
    refused("base_width", [](List& p) { scale_damping(p, -1); });
}

class ScalingTest : public DeviceTest {};

// The factor of either side gets its own damping.
TEST_P(ScalingTest, DampingScalesReachTheFactorOfTheirSide) {
    struct Case {
        MakeOptimizer make;
        std::string outputs, inputs;
    };
    const std::vector<Case> cases{
        {[](const Device& on) { return std::make_unique<Fismo>(on); }, "P_whitener", "Q_whitener"},
        {[](const Device& on) { return std::make_unique<Mousse>(on, MousseOptions{.damping = 1e-2f}); },
         "L_whitener", "R_whitener"},
        {[](const Device& on) { return std::make_unique<Shampoo>(on, ShampooOptions{.epsilon = 1e-3f}); },
         "factor0_whitener", "factor1_whitener"},
        {[](const Device& on) {
             return std::make_unique<Shampoo4Bit>(
                 on, Shampoo4BitOptions{.epsilon = 1e-3f, .statistics = {}, .roots = {}});
         },
         "root0", "root1"}};
    for (const Case& entry : cases) {
        const auto states = [&](const DampingScales& scales) {
            TrainedTensor tensor(device(), {.name = "w", .shape = {5, 6}}, 3);
            Parameter parameter = tensor.parameter();
            parameter.damping_scale = scales;
            const std::unique_ptr<Optimizer> optimizer = entry.make(device());
            optimizer->add(parameter);
            Plan plan = compile(device(), {optimizer.get()});
            plan.allocate();
            plan.initialize();
            plan.run();
            const auto read = [&](const std::string& name) {
                std::vector<float> values(plan.state_view("w." + name).shape.count());
                plan.read_state("w." + name, std::as_writable_bytes(std::span(values)));
                return values;
            };
            return std::pair(read(entry.outputs), read(entry.inputs));
        };
        const auto plain = states({}), outputs = states({.outputs = 30.0f}),
                   inputs = states({.inputs = 30.0f});
        SCOPED_TRACE(entry.outputs);
        EXPECT_NE(outputs.first, plain.first);
        EXPECT_NE(inputs.second, plain.second);
        EXPECT_EQ(inputs.first, plain.first);
    }
}

TEST_P(ScalingTest, ParametersWithImpossibleDampingsAreRefused) {
    TrainedTensor tensor(device(), {.name = "w", .shape = {5, 6}}, 3);
    Parameter parameter = tensor.parameter();
    parameter.damping_scale.inputs = -1;
    AdamW adamw(device());
    EXPECT_THROW(adamw.add(parameter), Error);
}

HERON_DEVICE_TESTS(ScalingTest);

}  // namespace
}  // namespace heron::test

// SPDX-License-Identifier: MIT
// Schedules and routing on the host.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>
#include <string>
#include <string_view>
#include <vector>

#include "heron/heron.hpp"

namespace heron::test {
namespace {

TEST(Schedule, IsOneWhereNothingIsSaid) {
    EXPECT_EQ(Schedule().factor(1), 1.0);
    EXPECT_EQ(Schedule().factor(std::uint64_t{1} << 40), 1.0);
    EXPECT_EQ(Schedule::constant().factor(7), 1.0);
}

TEST(Schedule, PiecesFollowEachOtherAndTheLastFactorStays) {
    const Schedule schedule =
        Schedule::linear(0.0f, 1.0f, 10).then_constant(5).then_cosine(0.1f, 20).then_exponential(0.001f, 4);
    EXPECT_EQ(schedule.factor(1), 0.0);
    EXPECT_EQ(schedule.factor(6), 0.5);
    EXPECT_EQ(schedule.factor(11), 1.0);
    EXPECT_EQ(schedule.factor(15), 1.0);
    EXPECT_EQ(schedule.factor(16), 1.0);
    EXPECT_NEAR(schedule.factor(26), 0.55, 1e-7);
    EXPECT_NEAR(schedule.factor(31), 1 - 0.9 * 0.5 * (1 - std::cos(std::numbers::pi * 0.75)), 1e-7);
    EXPECT_NEAR(schedule.factor(36), 0.1, 1e-7);
    EXPECT_NEAR(schedule.factor(38), 0.01, 1e-8);
    EXPECT_NEAR(schedule.factor(40), 0.001, 1e-9);
    EXPECT_NEAR(schedule.factor(1'000'000'000'000), 0.001, 1e-9);
}

TEST(Schedule, NamedFormsReachTheirEnds) {
    const Schedule cosine = Schedule::warmup_cosine(10, 110, 0.2f);
    EXPECT_EQ(cosine.factor(1), 0.0);
    EXPECT_EQ(cosine.factor(11), 1.0);
    EXPECT_NEAR(cosine.factor(61), 0.6, 1e-7);
    EXPECT_NEAR(cosine.factor(111), 0.2, 1e-7);
    const Schedule stable = Schedule::warmup_stable_decay(10, 100, 20);
    EXPECT_EQ(stable.factor(6), 0.5);
    EXPECT_EQ(stable.factor(80), 1.0);
    EXPECT_EQ(stable.factor(91), 0.5);
    EXPECT_EQ(stable.factor(101), 0.0);
    EXPECT_EQ(Schedule::warmup_stable_decay(0, 5, 5).factor(1), 1.0);
}

TEST(Schedule, SequencesAreFollowedStepByStep) {
    const float factors[] = {0.5f, 0.0f, 3.0f};
    const Schedule schedule = Schedule::sequence(factors);
    EXPECT_EQ(schedule.factor(1), 0.5);
    EXPECT_EQ(schedule.factor(2), 0.0);
    EXPECT_EQ(schedule.factor(3), 3.0);
    EXPECT_EQ(schedule.factor(1000), 3.0);
    EXPECT_EQ(Schedule::sequence({}).factor(1), 1.0);
}

TEST(Schedule, RefusesWhatCannotBeFollowed) {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    EXPECT_THROW(Schedule::constant(nan), Error);
    EXPECT_THROW(Schedule::constant(-1.0f), Error);
    EXPECT_THROW(Schedule::sequence(std::vector<float>{1.0f, nan}), Error);
    EXPECT_THROW(Schedule::linear(0.0f, std::numeric_limits<float>::infinity(), 3), Error);
    EXPECT_THROW(Schedule::linear(0.0f, 1.0f, 0), Error);
    EXPECT_THROW(Schedule::exponential(0.0f, 1.0f, 3), Error);
    EXPECT_THROW(Schedule::constant().then_linear(0.0f, 3), Error);
    EXPECT_THROW(Schedule::warmup_cosine(10, 10), Error);
    EXPECT_THROW(Schedule::warmup_stable_decay(60, 100, 41), Error);
    EXPECT_THROW(Schedule::warmup_stable_decay(0, 100, 0), Error);
    try {
        Schedule::constant().then_cosine(0.0f, 3);
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
        EXPECT_NE(std::string(error.what()).find("lasts for ever"), std::string::npos) << error.what();
    }
}

Parameter named(std::string name, const Shape& shape, Role role = Role::automatic) {
    Parameter parameter;
    parameter.name = std::move(name);
    parameter.weight.shape = parameter.gradient.shape = shape;
    parameter.role = role;
    return parameter;
}

TEST(Routing, SendsHiddenMatricesToTheMatrixOptimizerAndNothingElse) {
    const std::vector<Parameter> parameters{named("blocks.0.fc.weight", {64, 32}),
                                            named("blocks.0.fc.bias", {64}),
                                            named("tok_EMBED.weight", {1000, 32}),
                                            named("model.wte", {1000, 32}),
                                            named("pos.wpe", {128, 32}),
                                            named("unembed", {1000, 32}),
                                            named("lm_head.weight", {1000, 32}),
                                            named("vocab_out", {1000, 32}),
                                            named("gate", {1, 32}),
                                            named("column", {32, 1}),
                                            named("conv.weight", {16, 8, 3, 3}),
                                            named("scalar", {})};
    const std::vector<Route> routes = route(parameters);
    ASSERT_EQ(routes.size(), parameters.size());
    const Role expected[] = {Role::hidden_matrix, Role::vector, Role::embedding,     Role::embedding,
                             Role::embedding,     Role::head,   Role::head,          Role::embedding,
                             Role::vector,        Role::vector, Role::hidden_matrix, Role::vector};
    for (std::size_t i = 0; i < routes.size(); ++i) {
        EXPECT_EQ(routes[i].role, expected[i]) << routes[i].name;
        EXPECT_EQ(routes[i].matrix, expected[i] == Role::hidden_matrix) << routes[i].name;
        EXPECT_FALSE(routes[i].reason.empty());
    }
    const std::string report = routing_report(routes);
    for (const Parameter& parameter : parameters) EXPECT_NE(report.find(parameter.name), std::string::npos);
}

TEST(Routing, ExplicitRolesWinAndSuspiciousShapesAreNamed) {
    std::vector<Parameter> parameters{named("embed", {100, 32}, Role::hidden_matrix),
                                      named("bias", {64}, Role::hidden_matrix),
                                      named("fc", {64, 32}, Role::head),
                                      named("tokens", {50000, 64}),
                                      named("depthwise", {64, 1, 3, 3}),
                                      named("experts", {8, 64, 32}),
                                      named("more_experts", {8, 64, 32}),
                                      named("attn.head_proj", {64, 32})};
    parameters[6].view.batch = true;
    const std::vector<Route> routes = route(parameters);
    EXPECT_TRUE(routes[0].matrix);
    EXPECT_FALSE(routes[0].warning.empty());
    EXPECT_TRUE(routes[1].matrix);
    EXPECT_FALSE(routes[1].warning.empty());
    EXPECT_FALSE(routes[2].matrix);
    EXPECT_TRUE(routes[2].warning.empty());
    for (const std::size_t suspicious : {3, 4, 5, 7})
        EXPECT_FALSE(routes[suspicious].warning.empty()) << suspicious;
    EXPECT_TRUE(routes[6].warning.empty());
    EXPECT_NE(routing_report(routes).find("warning"), std::string::npos);
}

TEST(Routing, TiedWeightsCountAsEmbedding) {
    std::vector<Parameter> parameters{named("decoder.proj", {100, 32}), named("tok_embed", {100, 32}),
                                      named("up", {64, 32}), named("mixed.0", {64, 32}),
                                      named("mixed.1", {64, 32})};
    parameters[0].weight.address = parameters[1].weight.address = 0x1000;
    parameters[2].weight.address = 0x2000;
    parameters[3].weight.address = parameters[4].weight.address = 0x3000;
    const std::vector<Route> routes = route(parameters);
    for (const std::size_t tied : {0, 1}) {
        EXPECT_EQ(routes[tied].role, Role::embedding);
        EXPECT_FALSE(routes[tied].matrix);
        EXPECT_NE(routes[tied].reason.find("tied"), std::string::npos);
        EXPECT_NE(routes[tied].warning.find(parameters[1 - tied].name), std::string::npos);
    }
    EXPECT_TRUE(routes[2].matrix && routes[2].warning.empty());
    for (const std::size_t shared : {3, 4}) {
        EXPECT_TRUE(routes[shared].matrix);
        EXPECT_NE(routes[shared].warning.find("once"), std::string::npos);
    }
}

TEST(Routing, WordsCountAsWholeComponentsOfTheName) {
    const auto role = [](const std::string& name) {
        const std::vector<Parameter> one{named(name, {96, 64})};
        return route(one)[0].role;
    };
    for (const char* name : {"pos_emb", "tokenEmbedding.weight", "model.embed_tokens.weight", "embeddings.0",
                             "transformer.wte2.weight", "EMB"})
        EXPECT_EQ(role(name), Role::embedding) << name;
    for (const char* name : {"lm_head.weight", "LMHead.w", "head0.weight", "classifier.head", "unembedding"})
        EXPECT_EQ(role(name), Role::head) << name;
    for (const char* name : {"threshead.w", "attn.heads.proj", "subheading", "ember.weight", "overhead.w"})
        EXPECT_EQ(role(name), Role::hidden_matrix) << name;
}

TEST(Routing, NamesAndShapesThatLookLikeHeadsOrRoutersAreWarnedAbout) {
    const auto warning = [](const std::string& name, const Shape& shape) {
        const std::vector<Parameter> one{named(name, shape)};
        const Route result = route(one)[0];
        EXPECT_TRUE(result.matrix) << name;
        return result.warning;
    };
    EXPECT_NE(warning("output.weight", {1000, 64}).find("an output head"), std::string::npos);
    EXPECT_NE(warning("classifier.weight", {10, 64}).find("an output head"), std::string::npos);
    EXPECT_NE(warning("moe.router.weight", {8, 64}).find("a router"), std::string::npos);
    EXPECT_NE(warning("moe.gate.weight", {8, 64}).find("a router"), std::string::npos);
    EXPECT_NE(warning("tokembed.weight", {100, 64}).find("embed"), std::string::npos);
    EXPECT_NE(warning("proj", {8192, 64}).find("vocabulary"), std::string::npos);
    for (const char* name : {"attn.heads.proj", "attention.output.dense.weight", "mlp.gate_proj.weight",
                             "threshead.w", "blocks.3.fc2.weight"})
        EXPECT_EQ(warning(name, {96, 64}), "") << name;
}

TEST(Routing, NamesDecideOfMatricesAsLongAsAVocabulary) {
    const auto routed = [](const std::string& name, const Shape& shape) {
        const std::vector<Parameter> one{named(name, shape)};
        return route(one)[0];
    };
    for (const char* name : {"shared.weight", "decoder.shared.weight", "model.shared.weight", "tokens"}) {
        EXPECT_EQ(routed(name, {32128, 512}).role, Role::embedding) << name;
        EXPECT_FALSE(routed(name, {32128, 512}).matrix) << name;
        EXPECT_NE(routed(name, {32128, 512}).warning.find("an embedding by name and size"), std::string::npos)
            << name;
    }
    for (const char* name : {"fc.weight", "module.fc.weight", "score.weight", "transformer.score.weight",
                             "decoder.weight", "output.weight"}) {
        const Route vocabulary = routed(name, {32000, 4096}), small = routed(name, {1000, 512});
        EXPECT_EQ(vocabulary.role, Role::head) << name;
        EXPECT_NE(vocabulary.warning.find("an output head by name and size"), std::string::npos) << name;
        EXPECT_TRUE(small.matrix) << name;
        EXPECT_NE(small.warning.find("is it an output head"), std::string::npos) << name;
    }
    // A hidden layer that widens, one in a block, one of several: by shape at most.
    for (const char* name : {"blocks.0.mlp.fc.weight", "fc1.weight", "blocks.3.decoder.weight"}) {
        EXPECT_EQ(routed(name, {16384, 4096}).warning, "") << name;
        EXPECT_TRUE(routed(name, {32000, 4096}).matrix) << name;
    }
    EXPECT_TRUE(routed("output.weight", {16384, 4096}).matrix);
    // Tables of relative positions, of any size.
    for (const char* name : {"layers.0.blocks.1.attn.relative_position_bias_table",
                             "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"})
        EXPECT_EQ(routed(name, {169, 3}).role, Role::embedding) << name;
    EXPECT_TRUE(routed("table_proj.weight", {64, 32}).matrix);
    EXPECT_TRUE(routed("bias_net.weight", {64, 32}).matrix);
}

TEST(Routing, TheFirstFiltersOfAListAreAnInputLayer) {
    const std::vector<Parameter> network{named("stem.bias", {64}), named("stem.conv.weight", {64, 3, 7, 7}),
                                         named("layer1.conv.weight", {64, 3, 3, 3}),
                                         named("layer2.conv.weight", {96, 1, 3, 3})};
    const std::vector<Route> routes = route(network);
    EXPECT_EQ(routes[1].role, Role::input);
    EXPECT_FALSE(routes[1].matrix);
    EXPECT_NE(routes[1].reason.find("first filters, of 3 input channels"), std::string::npos);
    EXPECT_TRUE(routes[2].matrix);
    EXPECT_EQ(routes[2].warning, "");
    EXPECT_TRUE(routes[3].matrix);
    EXPECT_NE(routes[3].warning.find("where that is a depthwise convolution"), std::string::npos);

    const auto first = [](const std::string& name, const Shape& shape, Role role = Role::automatic) {
        const std::vector<Parameter> one{named(name, shape, role)};
        return route(one)[0];
    };
    const Route grey = first("conv.weight", {16, 1, 3, 3});  // no groups: not depthwise
    EXPECT_EQ(grey.role, Role::input);
    EXPECT_EQ(grey.warning.find("depthwise"), std::string::npos);
    EXPECT_EQ(first("sound.weight", {512, 1, 10}).role, Role::input);
    EXPECT_TRUE(first("blocks.4.dw.weight", {64, 1, 3, 3}).matrix);
    EXPECT_TRUE(first("blocks.4.conv.weight", {64, 32, 3, 3}).matrix);
    EXPECT_TRUE(first("conv.weight", {16, 3, 3, 3}, Role::hidden_matrix).matrix);
}

TEST(Routing, MatricesThatLieSideBySideAreWarnedAbout) {
    const auto warning = [](const std::string& name, const Shape& shape) {
        const std::vector<Parameter> one{named(name, shape)};
        return route(one)[0].warning;
    };
    EXPECT_NE(warning("transformer.h.0.attn.c_attn.weight", {768, 2304}).find("Conv1D"), std::string::npos);
    EXPECT_EQ(warning("transformer.h.0.attn.c_attn.weight", {2304, 768}), "");
    EXPECT_EQ(warning("transformer.h.0.mlp.c_fc.weight", {768, 2304}), "");
}

// Before the rules, which have what it leaves to them.
TEST(Routing, AsksTheCallersRule) {
    const std::vector<Parameter> parameters{named("tok_embedding", {100, 32}), named("mixer.head", {64, 32}),
                                            named("head", {100, 32}), named("bias", {64}),
                                            named("first", {64, 784}, Role::input)};
    std::vector<std::string> asked;
    const std::vector<Route> routes =
        route_by(parameters, [&](std::string_view name, const Shape& shape, Role role) {
            asked.emplace_back(name);
            if (name.starts_with("mixer.") && shape.rank() == 2) return Role::hidden_matrix;
            return role;
        });
    EXPECT_EQ(asked, (std::vector<std::string>{"tok_embedding", "mixer.head", "head", "bias", "first"}));
    const Role expected[] = {Role::embedding, Role::hidden_matrix, Role::head, Role::vector, Role::input};
    for (std::size_t i = 0; i < routes.size(); ++i) EXPECT_EQ(routes[i].role, expected[i]) << routes[i].name;
    EXPECT_TRUE(routes[1].matrix);

    EXPECT_THROW(route_by(parameters, {}), Error);
    EXPECT_THROW(
        route_by(parameters, [](std::string_view, const Shape&, Role) { return static_cast<Role>(42); }),
        Error);
    struct Own {};
    EXPECT_THROW(route_by(parameters, [](std::string_view, const Shape&, Role) -> Role { throw Own(); }),
                 Own);
}

TEST(Routing, RefusesARoleThatIsNone) {
    const std::vector<Parameter> one{named("fc", {8, 8}, static_cast<Role>(42))};
    EXPECT_THROW(route(one), Error);
}

}  // namespace
}  // namespace heron::test

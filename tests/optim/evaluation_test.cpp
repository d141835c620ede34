// SPDX-License-Identifier: MIT
// Other weights in the place of those that are trained, and back.
#include <gtest/gtest.h>

#include "optim/optimizer_checks.hpp"

namespace heron::test {
namespace {

class EvaluationTest : public DeviceTest {
protected:
    static std::unique_ptr<Optimizer> lookahead(const Device& on) {
        return std::make_unique<Lookahead>(on, std::make_unique<AdamW>(on, AdamWOptions{.lr = 0.1f}),
                                           LookaheadOptions{.steps = 2, .alpha = 0.5f});
    }
    static std::vector<Parameter> parameters_of(const Training& training) {
        std::vector<Parameter> parameters;
        for (std::size_t i = 0; i < training.size(); ++i)
            parameters.push_back(training.tensor(i).parameter());
        return parameters;
    }
};

// A training that is evaluated after every step, and one that is not, end with the same bits.
TEST_P(EvaluationTest, LoadsAStateAndGivesTheWeightsBack) {
    const std::vector<TestTensor> tensors{{.name = "a", .shape = {9, 13}},
                                          {.name = "b", .shape = {7}, .weight_dtype = DType::f16},
                                          {.name = "none", .shape = {0, 3}},
                                          {.name = "c", .shape = {301}, .weight_dtype = DType::bf16}};
    const StepOptions options{.ema_decay = 0.9f};
    Training training(device(), lookahead, tensors, options), twin(device(), lookahead, tensors, options);
    const std::vector<Parameter> parameters = parameters_of(training);
    EvaluationWeights slow(training.plan(), parameters, "slow"), ema(training.plan(), parameters, "ema");
    for (unsigned step = 1; step <= 3; ++step) {
        training.steps(step, 1);
        twin.steps(step, 1);
        for (const auto& [weights, name] : {std::pair{&slow, ".slow"}, {&ema, ".ema"}}) {
            const auto before = training.bits();
            weights->load();
            for (std::size_t i = 0; i < tensors.size(); ++i) {
                const std::vector<float> state = training.state(tensors[i].name + name);
                std::vector<float> expected;
                for (const float value : state)
                    expected.push_back(rounded(value, training.tensor(i).tensor().weight_dtype));
                EXPECT_EQ(training.tensor(i).weight(), expected) << tensors[i].name << name;
            }
            weights->restore();
            EXPECT_EQ(training.bits(), before);
        }
    }
    EXPECT_EQ(training.bits(), twin.bits());
}

TEST_P(EvaluationTest, RefusesWhatIsNotNext) {
    Training training(device(), lookahead, {{.name = "a", .shape = {5}}});
    const std::vector<Parameter> parameters = parameters_of(training);
    EvaluationWeights slow(training.plan(), parameters, "slow");
    const auto before = training.bits();
    expect_refused([&] { slow.restore(); }, {"load()"});
    slow.load();
    expect_refused([&] { slow.load(); }, {"restore()"});
    slow.restore();
    EXPECT_EQ(training.bits(), before);
    expect_refused([&] { EvaluationWeights(training.plan(), parameters, "ema"); }, {"\"a.ema\""});
}

HERON_DEVICE_TESTS(EvaluationTest);

}  // namespace
}  // namespace heron::test

// SPDX-License-Identifier: MIT
// Lookahead around every optimizer of the registry, whatever its momentum looks like.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "optim/optimizer_checks.hpp"
#include "optim/registry.hpp"

namespace heron::test {
namespace {

class LookaheadTest : public DeviceTest {
protected:
    template <class Check>
    void for_every_inner_optimizer(const Check& check) {
        for (const OptimizerCase& entry : optimizer_registry()) {
            if (entry.name.starts_with("lookahead")) continue;
            SCOPED_TRACE(entry.name + " on " + GetParam().name);
            check(entry, TestTensor{.name = "w", .shape = entry.shapes[4]});
        }
    }
    static MakeOptimizer around(const OptimizerCase& entry, const LookaheadOptions& options) {
        return [=](const Device& on) { return std::make_unique<Lookahead>(on, entry.make(on), options); };
    }
    // The parameter's momentum in a plan without Lookahead; none where it has none.
    static std::optional<Plan::StateEntry> momentum_of(Training& training) {
        for (const char* name : {"w.momentum", "w.m"})
            for (const Plan::StateEntry& state : training.plan().states())
                if (state.name == name) return state;
        return std::nullopt;
    }
    static void expect_zeros(const Training& training, const std::string& state) {
        const std::vector<std::byte> bytes = training.state_bytes(state);
        EXPECT_TRUE(std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; }))
            << state;
    }
};

TEST_P(LookaheadTest, AlphaOfOneChangesNoBit) {
    for_every_inner_optimizer([&](const OptimizerCase& entry, const TestTensor& tensor) {
        Training plain(device(), entry.make, {tensor});
        const std::optional<Plan::StateEntry> momentum = momentum_of(plain);
        const bool pulls = momentum && momentum->dtype != DType::u32;
        Training wrapped(
            device(),
            around(entry, {.steps = 2,
                           .alpha = 1.0f,
                           .momentum = pulls ? LookaheadMomentum::pullback : LookaheadMomentum::none}),
            {tensor});
        plain.steps(1, 3);
        wrapped.steps(1, 3);
        const auto bits = wrapped.bits();
        for (const auto& [name, bytes] : plain.bits()) EXPECT_EQ(bits.at(name), bytes) << name;
    });
}

// Half of the way that the inner optimizer's two steps went; its momentum is gone, in every format.
TEST_P(LookaheadTest, AlphaOfAHalfGoesHalfOfTheWay) {
    for_every_inner_optimizer([&](const OptimizerCase& entry, const TestTensor& tensor) {
        Training plain(device(), entry.make, {tensor});
        const std::optional<Plan::StateEntry> momentum = momentum_of(plain);
        Training wrapped(
            device(),
            around(entry, {.steps = 2,
                           .alpha = 0.5f,
                           .momentum = momentum ? LookaheadMomentum::reset : LookaheadMomentum::none}),
            {tensor});
        const std::vector<double> start = doubles(plain.tensor().weight());
        plain.steps(1, 2);
        wrapped.steps(1, 2);
        const std::vector<double> after = doubles(plain.tensor().weight());
        const std::vector<float> between = wrapped.tensor().weight();
        std::vector<double> expected(after.size());
        for (std::size_t i = 0; i < after.size(); ++i) expected[i] = 0.5 * start[i] + 0.5 * after[i];
        // The halves' difference is rounded, and the sum.
        EXPECT_TRUE(within(between, expected, [&](std::size_t i) {
            return 2 * 0x1p-24 * (std::abs(start[i]) + std::abs(after[i])) + 1e-37;
        }));
        EXPECT_EQ(wrapped.state("w.slow"), between);
        if (!momentum) return;
        expect_zeros(wrapped, momentum->name);
        if (momentum->dtype == DType::u32) expect_zeros(wrapped, momentum->name + "_scale");
    });
}

// In bf16 the momentum is one of the two neighbours of what f32 has; C is not rounded.
TEST_P(LookaheadTest, MomentumInBf16IsPulledBack) {
    const TestTensor tensor{.name = "w", .shape = {301}};
    const auto inner = [](const Device& on) {
        return std::make_unique<Sgd>(on, SgdOptions{.momentum = 0.9, .moments = MomentFormat::bf16});
    };
    const auto outer = [=](const Device& on) {
        return std::make_unique<Lookahead>(
            on, inner(on),
            LookaheadOptions{.steps = 1, .alpha = 0.5f, .momentum = LookaheadMomentum::pullback});
    };
    Training wrapped(device(), outer, {tensor}), plain(device(), inner, {tensor});
    wrapped.steps(1, 1);
    plain.steps(1, 1);
    const std::vector<float> pulled = decode(wrapped.state_bytes("w.momentum"), DType::bf16),
                             before = decode(plain.state_bytes("w.momentum"), DType::bf16),
                             slow = wrapped.state("w.slow_momentum");
    for (std::size_t i = 0; i < pulled.size(); ++i) {
        EXPECT_EQ(slow[i], 0.5f * before[i]) << i;  // C was 0; a half is exact
        EXPECT_LE(std::abs(pulled[i] - slow[i]), 0x1p-7f * std::abs(slow[i])) << i;
    }
}

HERON_DEVICE_TESTS(LookaheadTest);

}  // namespace
}  // namespace heron::test

// SPDX-License-Identifier: MIT
// Shampoo: shapes, starts and staggered refreshes, refreshes without a root, options.
#include <gtest/gtest.h>

#include <cmath>

#include "optim/optimizer_checks.hpp"
#include "optim/reference_shampoo.hpp"
#include "optim/tensor_blocks.hpp"

namespace heron::test {
namespace {

MakeOptimizer shampoo(const ShampooOptions& options) {
    return [=](const Device& device) { return std::make_unique<Shampoo>(device, options); };
}

TEST(TensorBlocks, SmallNeighboursAreMergedFromTheLast) {
    EXPECT_EQ(merge_axes(Shape{4, 5}, 1024, 1), (Shape{20}));
    EXPECT_EQ(merge_axes(Shape{4, 5}, 1024, 2), (Shape{4, 5}));
    EXPECT_EQ(merge_axes(Shape{8, 3, 3, 3}, 16, 1), (Shape{8, 3, 9}));
    EXPECT_EQ(merge_axes(Shape{8, 3, 3, 3}, 1024, 2), (Shape{8, 27}));
    EXPECT_EQ(merge_axes(Shape{1, 7, 1}, 4, 2), (Shape{7}));
    EXPECT_EQ(merge_axes(Shape{}, 4, 1), (Shape{1}));
    EXPECT_EQ(merge_axes(Shape{0, 3}, 16, 1), (Shape{0}));
}

TEST(TensorBlocks, BlocksCoverTheTensorInRowMajorOrder) {
    const std::vector<TensorBlock> blocks = tensor_blocks(Shape{48, 80}, 32);
    ASSERT_EQ(blocks.size(), 6u);
    EXPECT_EQ(blocks[2].extents, (Shape{32, 16}));
    EXPECT_EQ(blocks[2].first[1], 64u);
    EXPECT_EQ(blocks[3].extents, (Shape{16, 32}));
    EXPECT_EQ(blocks[3].first[0], 32u);
    EXPECT_TRUE(tensor_blocks(Shape{0, 4}, 32).empty());
}

class ShampooTest : public DeviceTest {};

// Three steps of what is grafted, a root in the fourth whose turn it is for none but the first tensor, then
// one after the other.
TEST_P(ShampooTest, RefreshesBeginAtTheStartAndTakeTurns) {
    ShampooOptions options;
    options.refresh.interval = 3;
    options.refresh.first = 4;
    options.epsilon = 1e-2f;
    options.beta2 = 0.9;
    options.graft = ShampooGraft::adagrad;
    options.exponents[2] = {0.5, 0.0};
    const std::vector<Shape> shapes{{5, 4}, {7}, {3, 6}};
    Training training(device(), shampoo(options),
                      {{.name = "a", .shape = shapes[0]},
                       {.name = "b", .shape = shapes[1]},
                       {.name = "c", .shape = shapes[2]}});
    std::vector<ShampooReference> references;
    std::vector<std::vector<double>> w;
    for (std::size_t i = 0; i < 3; ++i) {
        references.emplace_back(options, shapes[i], i);
        references[i].states = training.states_of(i);
        w.emplace_back(doubles(training.tensor(i).weight()));
    }
    for (unsigned step = 1; step <= 9; ++step) {
        training.draw_gradients(step);
        std::vector<std::vector<float>> before;
        for (std::size_t i = 0; i < 3; ++i) before.push_back(training.tensor(i).weight());
        training.plan().run();
        for (std::size_t i = 0; i < 3; ++i) {
            w[i] = doubles(before[i]);
            references[i].step(w[i], doubles(training.tensor(i).gradient_values()), step);
            EXPECT_LE(update_error(before[i], training.tensor(i).weight(), w[i]), 1e-4)
                << "step " << step << ", tensor " << i;
        }
    }
}

TEST_P(ShampooTest, RefreshesWithoutARootKeepTheLastOne) {
    ShampooOptions options;
    options.epsilon = 0;
    Training training(device(), shampoo(options), {{.name = "w", .shape = {8, 6}}});
    expect_kept_roots(training, "w.factor0", "w.factor1");
}

TEST_P(ShampooTest, RefusesOptionsOutOfRangeByName) {
    const auto refused = [&](const char* name, auto&& change) {
        expect_option_refused<Shampoo, ShampooOptions>(device(), name, change);
    };
    refused("lr", [](ShampooOptions& o) { o.lr = -1; });
    refused("beta1", [](ShampooOptions& o) { o.beta1 = 1; });
    refused("beta2", [](ShampooOptions& o) { o.beta2 = 1.1; });
    refused("beta3", [](ShampooOptions& o) { o.beta3 = -0.5; });
    refused("epsilon", [](ShampooOptions& o) { o.epsilon = -1; });
    refused("epsilon with pseudo_inverse", [](ShampooOptions& o) { o.root = ShampooRoot::pseudo_inverse; });
    refused("relative_epsilon", [](ShampooOptions& o) { o.relative_epsilon = -1; });
    refused("order of exponents", [](ShampooOptions& o) { o.exponents[9] = {0.5}; });
    refused("exponents[2]", [](ShampooOptions& o) { o.exponents[2] = {0.5, 0.5, 0.5}; });
    refused("exponents[2]", [](ShampooOptions& o) { o.exponents[2] = {-0.5}; });
    refused("exponents[2]", [](ShampooOptions& o) {
        o.root = ShampooRoot::newton;
        o.exponents[2] = {0.3};
    });
    refused("trace_exponent", [](ShampooOptions& o) { o.trace_exponent = 5; });
    refused("block_size", [](ShampooOptions& o) { o.block_size = 5000; });
    refused("least_order", [](ShampooOptions& o) { o.least_order = 0; });
    refused("refresh.interval", [](ShampooOptions& o) { o.refresh.interval = 0; });
    refused("refresh.first", [](ShampooOptions& o) { o.refresh.first = 0x80000000u; });
    refused("graft", [](ShampooOptions& o) { o.graft = static_cast<ShampooGraft>(9); });
    refused("graft_beta", [](ShampooOptions& o) { o.graft_beta = 1; });
    refused("graft_eps", [](ShampooOptions& o) { o.graft_eps = -1; });
    refused("weight_decay", [](ShampooOptions& o) { o.weight_decay = -1; });
    refused("decay", [](ShampooOptions& o) { o.decay = static_cast<ShampooDecay>(9); });
    refused("momentum", [](ShampooOptions& o) { o.momentum = 1; });
    refused("dampening", [](ShampooOptions& o) { o.dampening = 2; });
    refused("statistic", [](ShampooOptions& o) { o.statistic = static_cast<ShampooStatistic>(9); });
    refused("qr_steps", [](ShampooOptions& o) { o.qr_steps = 65; });
    refused("statistic with eigenbasis", [](ShampooOptions& o) {
        o.eigenbasis = true;
        o.statistic = ShampooStatistic::whitened;
    });
    refused("root", [](ShampooOptions& o) { o.root = static_cast<ShampooRoot>(9); });
}

// A matrix takes fourth roots, which Denman-Beavers does not have.
TEST_P(ShampooTest, RefusesParametersWhoseRootsTheMethodDoesNotHave) {
    ShampooOptions options;
    options.root = ShampooRoot::denman_beavers;
    expect_refused(
        [&] {
            Training training(device(), shampoo(options), {{.name = "w", .shape = {8, 6}}});
        },
        {"\"w\""});
    Training vector(device(), shampoo(options), {{.name = "w", .shape = {8}}});
}

HERON_DEVICE_TESTS(ShampooTest);

}  // namespace
}  // namespace heron::test

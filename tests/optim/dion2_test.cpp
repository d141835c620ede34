// SPDX-License-Identifier: MIT
// What is Dion2's and NorDion2's own: the selection, views, long lines.
#include <gtest/gtest.h>

#include <cmath>

#include "optim/optimizer_checks.hpp"
#include "optim/reference_dion.hpp"

namespace heron::test {
namespace {

template <class Algorithm, class Options>
MakeOptimizer maker(const Options& options) {
    return [=](const Device& device) { return std::make_unique<Algorithm>(device, options); };
}

class Dion2Test : public DeviceTest {};

// Of equal lines the first; others keep their weights but for the decay, and their momentum.
TEST_P(Dion2Test, TiesTakeTheFirstLines) {
    for (const bool wide : {true, false}) {
        const Shape shape = wide ? Shape{8, 12} : Shape{12, 8};
        Training training(device(), maker<Dion2>(Dion2Options{.fraction = 0.5, .weight_decay = 0.0f}),
                          {{.name = "a", .shape = shape}});
        // Lines of alternating signs and the same l1 norm, line 6 smaller, line 7 larger than the others.
        std::vector<float> gradient(96);
        const auto line_of = [&](std::size_t i) { return wide ? i / 12 : i % 8; };
        for (std::size_t i = 0; i < 96; ++i) {
            const std::size_t along = wide ? i % 12 : i / 8;
            gradient[i] = (along * (line_of(i) + 1)) % 3 == 0 ? 1.0f : -1.0f;
            if (line_of(i) == 6) gradient[i] *= 0.5f;
            if (line_of(i) == 7) gradient[i] *= 2.0f;
        }
        training.tensor().set_gradient(gradient);
        const std::vector<float> before = training.tensor().weight();
        training.plan().run();
        const std::vector<float> after = training.tensor().weight(), momentum = training.state("a.momentum");
        for (std::size_t i = 0; i < 96; ++i) {
            const std::size_t line = line_of(i);
            const bool selected = line == 7 || line < 3;
            EXPECT_EQ(after[i] != before[i], selected) << line;
            EXPECT_EQ(momentum[i], selected ? 0.95f * gradient[i] : gradient[i]) << line;
        }
    }
}

TEST_P(Dion2Test, BlocksAreMatricesOfTheirOwn) {
    const auto check = [&](const auto& options, const MakeOptimizer& make, std::vector<std::uint64_t> heights,
                           const TestTensor& tensor) {
        Training training(device(), make, {tensor});
        std::vector<std::vector<double>> expected;
        std::vector<Dion2Reference> references;
        const std::vector<double> before = doubles(training.tensor().weight());
        std::size_t first = 0;
        for (const std::uint64_t height : heights) {
            references.emplace_back(options, height, 7, sqrt_of_ratio(height, 7));
            expected.emplace_back(before.begin() + first, before.begin() + first + height * 7);
            first += height * 7;
        }
        for (unsigned step = 1; step <= 2; ++step) {
            training.draw_gradients(step);
            const std::vector<double> g = doubles(training.tensor().gradient_values());
            first = 0;
            for (std::size_t b = 0; b < heights.size(); ++b) {
                references[b].step(expected[b], {g.begin() + first, g.begin() + first + heights[b] * 7},
                                   step);
                first += heights[b] * 7;
            }
            training.plan().run();
        }
        std::vector<double> whole;
        for (const std::vector<double>& block : expected)
            whole.insert(whole.end(), block.begin(), block.end());
        // The update is at most lr sqrt(m / n) a step; Newton-Schulz in float32 is within 1e-5 of float64.
        EXPECT_TRUE(within(training.tensor().weight(), whole, [&](std::size_t i) {
            return 3 * 0x1p-24 * std::abs(whole[i]) + 2e-5 * static_cast<double>(options.lr) * 2;
        }));
    };
    const TestTensor split{.name = "a", .shape = {30, 7}, .view = {.row_splits = {16, 9, 5}}};
    const TestTensor experts{.name = "a", .shape = {4, 9, 7}, .view = {.batch = true}};
    check(Dion2Options(), maker<Dion2>(Dion2Options()), {16, 9, 5}, split);
    check(Dion2Options(), maker<Dion2>(Dion2Options()), {9, 9, 9, 9}, experts);
    check(NorDion2Options(), maker<NorDion2>(NorDion2Options()), {16, 9, 5}, split);
    check(NorDion2Options(), maker<NorDion2>(NorDion2Options()), {9, 9, 9, 9}, experts);
}

// Lines of several parts, in the ways of a CPU driver and of a GPU.
TEST_P(Dion2Test, LongLinesAreSelectedByTheirNorms) {
    for (const bool gpu_variants : {false, true})
        for (const Shape& shape : {Shape{7, 1030}, Shape{1030, 7}, Shape{24, 333}}) {
            SCOPED_TRACE(shape.text());
            const Dion2Options options{.fraction = 0.4, .weight_decay = 0.0f};
            Training training(device({.cpu = gpu_variants}), maker<Dion2>(options),
                              {{.name = "a", .shape = shape}});
            training.draw_gradients(1);
            std::vector<double> w = doubles(training.tensor().weight());
            Dion2Reference reference(options, shape[0], shape[1], sqrt_of_ratio(shape[0], shape[1]));
            reference.step(w, doubles(training.tensor().gradient_values()), 1);
            training.plan().run();
            EXPECT_TRUE(within(
                training.state("a.momentum"), reference.states.at("momentum"),
                [&](std::size_t i) { return 2 * 0x1p-24 * std::abs(reference.states.at("momentum")[i]); }));
        }
}

TEST_P(Dion2Test, AFractionOfOneIsMuonWithALaterDecay) {
    // In the first step the momentum is the gradient with both.
    const std::vector<TestTensor> tensors{{.name = "a", .shape = {20, 31}}, {.name = "b", .shape = {31, 20}}};
    Training dion2(device(), maker<Dion2>(Dion2Options{.fraction = 1.0}), tensors);
    Training muon(device(), maker<Muon>(MuonOptions::dion()), tensors);
    dion2.steps(1, 1);
    muon.steps(1, 1);
    for (std::size_t i = 0; i < 2; ++i) {
        const std::vector<double> expected = doubles(muon.tensor(i).weight());
        EXPECT_TRUE(within(dion2.tensor(i).weight(), expected, [&](std::size_t k) {
            return 3 * 0x1p-24 * std::abs(expected[k]) + 1e-5 * 0.01 * 1.25;
        }));
    }
}

TEST_P(Dion2Test, OptionsOutOfRangeAreRefused) {
    const auto refused = [](const auto& act, const std::string& word) { expect_refused(act, {word}); };
    Device& d = device();
    refused([&] { Dion2(d, {.fraction = 0.0}); }, "fraction");
    refused([&] { Dion2(d, {.fraction = 1.1}); }, "fraction");
    refused([&] { Dion2(d, {.ef_decay = -0.1}); }, "ef_decay");
    refused([&] { Dion2(d, {.polar = {.guarded = false}}); }, "guarded");
    refused([&] { NorDion2(d, {.momentum = 1.5}); }, "momentum");
    refused([&] { NorDion2(d, {.beta2 = 1.0}); }, "beta2");
    refused([&] { NorDion2(d, {.eps = 1e-60}); }, "eps");
    refused([&] { Training(d, maker<NorDion2>(NorDion2Options()), {{.name = "v", .shape = {7}}}); }, "AdamW");
}

HERON_DEVICE_TESTS(Dion2Test);

}  // namespace
}  // namespace heron::test

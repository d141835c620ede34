// SPDX-License-Identifier: MIT
// 4-bit Shampoo: bits of its state, what quantisation costs, refreshes that fail, resumption, options.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "optim/optimizer_checks.hpp"
#include "optim/reference_shampoo4bit.hpp"

namespace heron::test {
namespace {

MakeOptimizer shampoo4bit(const Shampoo4BitOptions& options) {
    return [=](const Device& device) { return std::make_unique<Shampoo4Bit>(device, options); };
}

// Everything quantised, renewed in every step.
Shampoo4BitOptions eager() {
    Shampoo4BitOptions options;
    options.lr = 0.01f;
    options.epsilon = 1e-2f;
    options.least_elements = 0;
    options.statistics.interval = options.roots.interval = 1;
    return options;
}

std::vector<std::pair<std::string, Shampoo4BitOptions>> forms() {
    Shampoo4BitOptions newton = eager(), naive = eager(), adamw = eager();
    newton.root = Shampoo4BitRoot::newton;
    naive.storage = Shampoo4BitStorage::factor;
    naive.bits = 8;
    adamw.base = Shampoo4BitBase::adamw;
    adamw.bits = 2;
    adamw.block_size = 5;
    adamw.statistics.interval = 2;
    return {{"eigenvectors", eager()}, {"newton", newton}, {"factor", naive}, {"adamw", adamw}};
}

class Shampoo4BitTest : public DeviceTest {};

TEST_P(Shampoo4BitTest, StatesHaveTheBitsThatTheyPromise) {
    const std::uint64_t m = 200, n = 256;
    const auto bytes = [&](std::uint32_t bits) {
        Shampoo4BitOptions options;
        options.bits = bits;
        Training training(device(), shampoo4bit(options), {{.name = "w", .shape = {m, n}}});
        std::map<std::string, std::uint64_t> sizes;
        std::uint64_t sum = 0;
        for (const Plan::StateEntry& state : training.plan().states())
            if (state.name.starts_with("w."))
                sum += sizes[state.name.substr(2)] = state.shape.count() * bytes_of(state.dtype);
        EXPECT_EQ(sizes["momentum"], 4 * m * n);
        if (bits == 4) {
            EXPECT_EQ(sizes["basis1_codes"], n * n / 2);
            EXPECT_EQ(sizes["basis1_absmax"], 4 * n * 4);
            EXPECT_EQ(sizes["eigenvalues1"], 4 * n);
            EXPECT_EQ(sizes["root1_codes"], n * n / 2);
            EXPECT_EQ(sizes["root1_diagonal"], 4 * n);
            EXPECT_EQ(sizes["root0_codes"], m * m / 2);
            EXPECT_FALSE(sizes.contains("basis1"));
        }
        return sum - 4 * m * n;
    };
    const std::uint64_t squares = m * m + n * n;
    // Codes, and for each row of up to 256 ten numbers.
    EXPECT_LT(bytes(4), squares * 12 / 10);
    EXPECT_GT(bytes(8), squares * 2);
    EXPECT_GT(bytes(32), squares * 8);
}

// Before it preconditions it is SGD or AdamW, to the bit: gradients are scaled and clipped once.
TEST_P(Shampoo4BitTest, BeforeItsStartItIsItsBase) {
    StepOptions step;
    step.clip_norm = 1.0f;
    step.loss_scale.initial = 256.0f;
    const auto weights = [&](const MakeOptimizer& make) {
        Training training(device(), make, {{.name = "a", .shape = {9, 14}}, {.name = "b", .shape = {5}}},
                          step);
        training.steps(1, 3);
        return std::vector<std::vector<float>>{training.tensor(0).weight(), training.tensor(1).weight()};
    };
    Shampoo4BitOptions sgd, adamw = Shampoo4BitOptions::adamw();
    sgd.nesterov = true;
    sgd.weight_decay = adamw.weight_decay = 0.1f;
    sgd.start_step = adamw.start_step = 4;
    EXPECT_EQ(
        weights(shampoo4bit(sgd)), weights([&](const Device& on) {
            return std::make_unique<Sgd>(
                on,
                SgdOptions{.lr = sgd.lr, .momentum = sgd.momentum, .nesterov = true, .weight_decay = 0.1f});
        }));
    EXPECT_EQ(weights(shampoo4bit(adamw)), weights([&](const Device& on) {
                  return std::make_unique<AdamW>(on, AdamWOptions{.lr = adamw.lr, .weight_decay = 0.1f});
              }));
}

// Four bits for the bases and the roots move the direction by a tenth or two, not more; eight bits by far
// less.
TEST_P(Shampoo4BitTest, QuantisedDirectionsAreCloseToThoseOfF32) {
    const auto run = [&](std::uint32_t bits) {
        Shampoo4BitOptions options = eager();
        options.momentum = 0;
        options.bits = bits;
        Training training(device(), shampoo4bit(options), {{.name = "w", .shape = {40, 72}}});
        training.steps(1, 4);
        const std::vector<float> before = training.tensor().weight();
        training.steps(5, 1);
        std::vector<float> update = training.tensor().weight();
        for (std::size_t i = 0; i < update.size(); ++i) update[i] -= before[i];
        return update;
    };
    const std::vector<float> exact = run(32);
    const auto distance = [&](const std::vector<float>& x) {
        double error = 0, size = 0;
        for (std::size_t i = 0; i < x.size(); ++i) {
            error += std::pow(static_cast<double>(x[i]) - static_cast<double>(exact[i]), 2);
            size += std::pow(static_cast<double>(exact[i]), 2);
        }
        return std::sqrt(error / size);
    };
    const double four = distance(run(4)), eight = distance(run(8));
    EXPECT_LT(four, 0.25);
    EXPECT_LT(eight, 0.05);
    EXPECT_GT(four, 4 * eight);
}

TEST_P(Shampoo4BitTest, RefreshesThatFailKeepWhatThereIsAndAreCounted) {
    for (const auto& [name, form] : forms()) {
        SCOPED_TRACE(name);
        Shampoo4BitOptions options = form;
        options.statistics.interval = 1;
        options.epsilon = 0;
        Training training(device(), shampoo4bit(options), {{.name = "w", .shape = {7, 6}}});
        const std::vector<std::byte> start = training.state_bytes("w.root1_codes");
        training.tensor().set_gradient(std::vector<float>(42, 0.0f));
        training.plan().run();  // nothing yet to take a root of
        EXPECT_EQ(failures(training, "w.failures1"), 1u);
        EXPECT_TRUE(training.state_bytes("w.root1_codes") == start);
        // Squares of the largest gradients, far beyond f32: nothing that is kept may become infinite.
        training.draw_gradients(1, 1e30);
        training.plan().run();
        EXPECT_EQ(training.nonfinite(), std::vector<std::string>{});
        for (int step = 0; step < 2; ++step) {
            training.draw_gradients(2);
            training.plan().run();
        }
        EXPECT_EQ(training.nonfinite(), std::vector<std::string>{});
    }
}

TEST_P(Shampoo4BitTest, GradientsOfAnySizeLeaveFiniteStates) {
    for (const auto& [name, options] : forms())
        for (const double scale : {1e-40, 1e-25, 1e-12, 1e9, 1e18, 3e37}) {
            SCOPED_TRACE(name + " " + std::to_string(std::log10(scale)));
            Training training(device(), shampoo4bit(options), {{.name = "w", .shape = {7, 6}}});
            for (unsigned step = 1; step <= 3; ++step) {
                training.draw_gradients(step, scale);
                training.plan().run();
            }
            EXPECT_EQ(training.nonfinite(), std::vector<std::string>{});
        }
}

TEST_P(Shampoo4BitTest, QuantisedTrainingsRepeatAndResumeToTheBit) {
    const std::filesystem::path file = std::filesystem::temp_directory_path() /
                                       ("heron_4bit_" + std::to_string(GetParam().index) + ".safetensors");
    for (const auto& [name, options] : forms()) {
        SCOPED_TRACE(name);
        const std::vector<TestTensor> tensors{{.name = "a", .shape = {9, 14}}, {.name = "b", .shape = {5}}};
        Training whole(device(), shampoo4bit(options), tensors);
        whole.steps(1, 3);
        save_checkpoint(whole.plan(), file);
        whole.steps(4, 2);
        Training resumed(device(), shampoo4bit(options), tensors, {}, 50);
        load_checkpoint(resumed.plan(), file);
        resumed.steps(4, 2);
        EXPECT_TRUE(resumed.bits() == whole.bits());
    }
    std::filesystem::remove(file);
}

// Blocks take their turns, the vector has none; the reference has the same turns.
TEST_P(Shampoo4BitTest, BlocksTakeTurns) {
    Shampoo4BitOptions options = eager();
    options.bits = 32;
    options.block_size = 4;
    options.statistics = {.interval = 2, .turn_flops = 0};
    options.roots = {.interval = 3, .turn_flops = 0};
    const std::vector<Shape> shapes{{5, 4}, {7}, {3, 6}};
    const std::uint64_t first_block[] = {0, 2, 2};
    Training training(device(), shampoo4bit(options),
                      {{.name = "a", .shape = shapes[0]},
                       {.name = "b", .shape = shapes[1]},
                       {.name = "c", .shape = shapes[2]}});
    std::vector<Shampoo4BitReference> references;
    for (std::size_t i = 0; i < 3; ++i) {
        references.emplace_back(options, shapes[i], first_block[i]);
        references[i].states = training.states_of(i);
    }
    for (unsigned step = 1; step <= 6; ++step) {
        training.draw_gradients(step);
        std::vector<std::vector<float>> before;
        for (std::size_t i = 0; i < 3; ++i) before.push_back(training.tensor(i).weight());
        training.plan().run();
        for (std::size_t i = 0; i < 3; ++i) {
            std::vector<double> w = doubles(before[i]);
            references[i].step(w, doubles(training.tensor(i).gradient_values()), step);
            double error = 0, update = 0;
            const std::vector<float> after = training.tensor(i).weight();
            for (std::size_t k = 0; k < w.size(); ++k) {
                error += std::pow(after[k] - w[k], 2);
                update += std::pow(w[k] - static_cast<double>(before[i][k]), 2);
            }
            EXPECT_LE(std::sqrt(error / update), 1e-4) << "step " << step << ", tensor " << i;
        }
    }
}

TEST_P(Shampoo4BitTest, RefusesOptionsOutOfRangeByName) {
    const auto refused = [&](const char* name, auto&& change) {
        Shampoo4BitOptions options;
        change(options);
        try {
            Shampoo4Bit unused(device(), options);
            ADD_FAILURE() << name << " was not refused";
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
            EXPECT_NE(std::string(error.what()).find(name), std::string::npos) << error.what();
        }
    };
    using Options = Shampoo4BitOptions;
    refused("base", [](Options& o) { o.base = static_cast<Shampoo4BitBase>(2); });
    refused("lr", [](Options& o) { o.lr = std::numeric_limits<float>::infinity(); });
    refused("momentum", [](Options& o) { o.momentum = 1; });
    refused("beta1", [](Options& o) { o.beta1 = -0.1; });
    refused("beta2", [](Options& o) { o.beta2 = 1; });
    refused("eps", [](Options& o) { o.eps = -1; });
    refused("weight_decay", [](Options& o) { o.weight_decay = -1; });
    refused("factor_decay", [](Options& o) { o.factor_decay = 1.5; });
    refused("epsilon", [](Options& o) { o.epsilon = -1; });
    refused("bits", [](Options& o) { o.bits = 5; });
    refused("quantizer_block", [](Options& o) { o.quantizer_block = 40; });
    refused("storage", [](Options& o) { o.storage = static_cast<Shampoo4BitStorage>(2); });
    refused("root", [](Options& o) { o.root = static_cast<Shampoo4BitRoot>(2); });
    refused("statistic_rectifications", [](Options& o) { o.statistic_rectifications = 9; });
    refused("root_rectifications", [](Options& o) { o.root_rectifications = 9; });
    refused("block_size", [](Options& o) { o.block_size = 0; });
    refused("statistics.interval", [](Options& o) { o.statistics.interval = 0; });
    refused("roots.doublings", [](Options& o) { o.roots.doublings = 17; });
    refused("start_step", [](Options& o) { o.start_step = 0; });
}

// Blocks may be longer than what can be factored, as long as no parameter has such.
TEST_P(Shampoo4BitTest, RefusesParametersWhoseFactorsAreTooLarge) {
    Shampoo4BitOptions options = eager();
    options.block_size = 8192;
    Training small(device(), shampoo4bit(options), {{.name = "w", .shape = {6, 4}}});
    small.steps(1, 1);
    for (const Shape& shape : {Shape{5000, 2}, Shape{2, 50, 100}})
        expect_refused(
            [&] { Training training(device(), shampoo4bit(options), {{.name = "w", .shape = shape}}); },
            {"\"w\"", "5000", "block_size"});
    Training vector(device(), shampoo4bit(options), {{.name = "w", .shape = {5000}}});
}

HERON_DEVICE_TESTS(Shampoo4BitTest);

}  // namespace
}  // namespace heron::test

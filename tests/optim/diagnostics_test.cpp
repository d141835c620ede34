// SPDX-License-Identifier: MIT
// The option `diagnostics`: condition numbers and iterations of refreshes, and nothing else that is
// different.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "optim/optimizer_checks.hpp"
#include "support/matrix.hpp"
#include "support/polar_reference.hpp"

namespace heron::test {
namespace {

class DiagnosticsTest : public DeviceTest {
protected:
    // Of a factor and what its root adds to it.
    static double condition_of(const Training& training, const std::string& factor, std::uint64_t order,
                               double damping) {
        const std::vector<double> values = doubles(training.state(factor));
        const SymmetricEigen eigen = symmetric_eigen(matrix_of(values, order, order));
        return (eigen.values.maxCoeff() + damping) / (std::max(0.0, eigen.values.minCoeff()) + damping);
    }

    static std::size_t states_named(const Training& training, const std::string& name) {
        return training.states_of(0).count(name);
    }

    struct Sides {
        std::string left, right;  // of 9 rows, of full rank after a step, and of 16 columns
        bool iterates = false;
        double damping = 0;
        bool both = false;  // the right one is definite, too
    };

    template <class Algorithm, class Options>
    void check(Options options, const Sides& sides) {
        const auto make = [](const Options& of) {
            return [of](const Device& device) { return std::make_unique<Algorithm>(device, of); };
        };
        const std::vector<TestTensor> tensors{{.name = "w", .shape = {9, 16}},
                                              {.name = "v", .shape = {5, 5}}};
        options.refresh.interval = 2;
        options.refresh.first = 0;
        options.diagnostics = false;
        Training without(device(), make(options), tensors);
        options.diagnostics = true;
        Training training(device(), make(options), tensors);
        EXPECT_EQ(training.state("w." + sides.left + "_condition")[0], 0.0f) << "before a refresh";
        EXPECT_EQ(states_named(without, sides.left + "_condition"), 0u);
        float last = 0;
        for (unsigned step = 1; step <= 4; ++step) {
            without.steps(step, 1);
            training.steps(step, 1);
            EXPECT_EQ(training.tensor(0).weight(), without.tensor(0).weight()) << "step " << step;
            EXPECT_EQ(training.tensor(1).weight(), without.tensor(1).weight()) << "step " << step;
            const float now = training.state("w." + sides.left + "_condition")[0];
            if (now != last) {  // a refresh of what the state holds
                expect_condition(training, "w." + sides.left, 9, sides.damping);
                if (sides.both) expect_condition(training, "w." + sides.right, 16, sides.damping);
                const float right = training.state("w." + sides.right + "_condition")[0];
                EXPECT_GT(right, 1.0f);
                EXPECT_LT(right, 1e9f) << "it has a root";
                if (sides.iterates) {
                    const std::uint32_t iterations = failures(training, "w." + sides.left + "_iterations");
                    EXPECT_GE(iterations, 1u);
                    EXPECT_LE(iterations, 40u);
                }
            }
            last = now;
        }
        EXPECT_GT(last, 1.0f);
        EXPECT_EQ(failures(training, "w." + sides.left + "_failures"), 0u);
        expect_checkpoints_to_fit(training, without);
    }

    static void expect_condition(const Training& training, const std::string& factor, std::uint64_t order,
                                 double damping) {
        const double is = static_cast<double>(training.state(factor + "_condition")[0]),
                     exact = condition_of(training, factor, order, damping);
        EXPECT_GE(is, 0.5 * exact) << factor;
        EXPECT_LE(is, 1.01 * exact) << factor;
    }

    // Either way: a training can be watched from any step on.
    void expect_checkpoints_to_fit(Training& training, Training& without) {
        const std::filesystem::path file =
            std::filesystem::temp_directory_path() /
            ("heron_diagnostics_" + std::to_string(GetParam().index) + ".safetensors");
        for (const bool watched : {true, false}) {
            Training &from = watched ? training : without, &to = watched ? without : training;
            from.steps(5, 1);
            save_checkpoint(from.plan(), file);
            load_checkpoint(to.plan(), file);
            from.steps(6, 2);
            to.steps(6, 2);
            EXPECT_EQ(from.tensor(0).weight(), to.tensor(0).weight());
            EXPECT_EQ(from.tensor(1).weight(), to.tensor(1).weight());
        }
        std::filesystem::remove(file);
    }
};

TEST_P(DiagnosticsTest, OfFismo) {
    FismoOptions options;
    check<Fismo>(options, {.left = "P", .right = "Q", .both = true});
    options.whitening = Whitening::symmetric;
    check<Fismo>(options, {.left = "P", .right = "Q", .iterates = true, .both = true});
    options.exponent = 0.25;
    check<Fismo>(options, {.left = "P", .right = "Q", .both = true});
}

TEST_P(DiagnosticsTest, OfMousse) {
    MousseOptions options;
    options.exponent = 0.5;
    check<Mousse>(options, {.left = "L", .right = "R"});
}

TEST_P(DiagnosticsTest, OfShampoo) {
    ShampooOptions options;
    options.graft = ShampooGraft::none;
    check<Shampoo>(options, {.left = "factor0", .right = "factor1"});
    options.qr_steps = 3;
    check<Shampoo>(options, {.left = "factor0", .right = "factor1"});
    options.qr_steps = 0;
    // Far above the statistics, which are some 10: not below 1, as of the factor alone it would be.
    options.beta2 = 1.0;
    options.epsilon = 1e4f;
    for (const ShampooRoot root : {ShampooRoot::eigenvalues, ShampooRoot::newton, ShampooRoot::denman_beavers,
                                   ShampooRoot::newton_two_words}) {
        options.root = root;
        const bool iterates = root != ShampooRoot::eigenvalues;
        // Factors are sums: nothing but epsilon is between them and what the root is taken of.
        check<Shampoo>(
            options,
            {.left = "factor0", .right = "factor1", .iterates = iterates, .damping = 1e4, .both = true});
    }
    options = {};
    options.eigenbasis = options.diagnostics = true;
    expect_refused([&] { Shampoo unused(device(), options); }, {"Shampoo", "diagnostics with eigenbasis"});
}

// A factor without a root is counted, as before.
TEST_P(DiagnosticsTest, AreTheLargestFloatWhereThereIsNoRoot) {
    FismoOptions options;
    options.refresh.interval = 1;
    options.diagnostics = true;
    Training training(device(),
                      [&](const Device& device) { return std::make_unique<Fismo>(device, options); },
                      {{.name = "w", .shape = {8, 6}}});
    training.steps(1, 1);
    std::vector<float> p = training.state("w.P");
    p[9] = -5.0f;  // on the diagonal
    training.set_state("w.P", p);
    training.steps(2, 1);
    EXPECT_EQ(failures(training, "w.P_failures"), 1u);
    EXPECT_EQ(training.state("w.P_condition")[0], std::numeric_limits<float>::max());
    EXPECT_LT(training.state("w.Q_condition")[0], 1e6f);
}

HERON_DEVICE_TESTS(DiagnosticsTest);

}  // namespace
}  // namespace heron::test

// SPDX-License-Identifier: MIT
// The option `diagnostics`: condition numbers and iterations of refreshes, and nothing else that is
// different.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "optim/optimizer_checks.hpp"
#include "support/matrix.hpp"
#include "support/polar_reference.hpp"

namespace heron::test {
namespace {

class DiagnosticsTest : public DeviceTest {
protected:
    static double condition_of(const Training& training, const std::string& factor, std::uint64_t order) {
        const std::vector<double> values = doubles(training.state(factor));
        const SymmetricEigen eigen = symmetric_eigen(matrix_of(values, order, order));
        return eigen.values.maxCoeff() / eigen.values.minCoeff();
    }

    static std::size_t states_named(const Training& training, const std::string& name) {
        return training.states_of(0).count(name);
    }

    // `left` is the factor of 9 rows, of full rank after a step, `right` that of 16 columns.
    template <class Algorithm, class Options>
    void check(Options options, const std::string& left, const std::string& right, bool iterates) {
        const auto make = [](const Options& of) {
            return [of](const Device& device) { return std::make_unique<Algorithm>(device, of); };
        };
        const std::vector<TestTensor> tensors{{.name = "w", .shape = {9, 16}}};
        options.refresh.interval = 2;
        options.refresh.first = 0;
        options.diagnostics = false;
        Training without(device(), make(options), tensors);
        options.diagnostics = true;
        Training training(device(), make(options), tensors);
        EXPECT_EQ(training.state("w." + left + "_condition")[0], 0.0f) << "before a refresh";
        EXPECT_EQ(states_named(without, left + "_condition"), 0u);
        double last = 0;
        for (unsigned step = 1; step <= 4; ++step) {
            without.steps(step, 1);
            training.steps(step, 1);
            EXPECT_EQ(training.tensor().weight(), without.tensor().weight()) << "step " << step;
            const double is = static_cast<double>(training.state("w." + left + "_condition")[0]);
            if (is != last) {  // a refresh of what the state holds
                const double exact = condition_of(training, "w." + left, 9);
                EXPECT_GE(is, 0.5 * exact) << "step " << step;
                EXPECT_LE(is, 1.01 * exact) << "step " << step;
                EXPECT_GT(training.state("w." + right + "_condition")[0], 1.0f);
                if (iterates) {
                    const std::uint32_t iterations = failures(training, "w." + left + "_iterations");
                    EXPECT_GE(iterations, 2u);
                    EXPECT_LE(iterations, 40u);
                }
            }
            last = is;
        }
        EXPECT_GT(last, 1.0);
        EXPECT_EQ(failures(training, "w." + left + "_failures"), 0u);
    }
};

TEST_P(DiagnosticsTest, OfFismo) {
    FismoOptions options;
    check<Fismo>(options, "P", "Q", false);
    options.whitening = Whitening::symmetric;
    check<Fismo>(options, "P", "Q", true);
    options.exponent = 0.25;
    check<Fismo>(options, "P", "Q", false);
}

TEST_P(DiagnosticsTest, OfMousse) {
    MousseOptions options;
    options.exponent = 0.5;
    check<Mousse>(options, "L", "R", false);
}

TEST_P(DiagnosticsTest, OfShampoo) {
    ShampooOptions options;
    options.graft = ShampooGraft::none;
    for (const ShampooRoot root :
         {ShampooRoot::eigenvalues, ShampooRoot::newton, ShampooRoot::denman_beavers}) {
        options.root = root;
        // Iterations need a matrix that has a root: the right factor has rank 9 at first.
        if (root != ShampooRoot::eigenvalues) options.relative_epsilon = 1e-3f;
        if (root == ShampooRoot::eigenvalues) {
            options.qr_steps = 3;
            check<Shampoo>(options, "factor0", "factor1", false);
            options.qr_steps = 0;
        }
        check<Shampoo>(options, "factor0", "factor1", root != ShampooRoot::eigenvalues);
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

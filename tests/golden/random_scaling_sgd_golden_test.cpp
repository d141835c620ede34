// SPDX-License-Identifier: MIT
// SGD with exponential random scaling against a public implementation, with the files' draws.
#include "golden/optimizer_golden.hpp"

namespace heron::test {
namespace {

class RandomScalingSgdGoldenTest : public OptimizerGoldenTest {};

TEST_P(RandomScalingSgdGoldenTest, EveryFile) {
    run_golden("sgdm-random-scaling", GetParam().name, [&](const GoldenCase& golden, GoldenResult& result) {
        RandomScalingSgdOptions options;
        options.lr = static_cast<float>(golden.number("lr", options.lr));
        options.beta = golden.number("beta", options.beta);
        options.mu = static_cast<float>(golden.number("mu", options.mu));
        options.scales = Schedule::sequence(golden.tensor("s").floats());

        OptimizerGolden setup;
        setup.make = [&](const Device& on) { return std::make_unique<RandomScalingSgd>(on, options); };
        setup.element_wise = true;
        setup.lr = options.lr;
        setup.states = {{"Delta", "momentum"}};
        run_case(golden, result, setup);
    });
}

HERON_DEVICE_TESTS(RandomScalingSgdGoldenTest);

}  // namespace
}  // namespace heron::test

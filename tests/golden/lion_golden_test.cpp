// SPDX-License-Identifier: MIT
// Lion against google/automl.
#include "golden/merged_golden.hpp"
#include "golden/optimizer_golden.hpp"

namespace heron::test {
namespace {

class LionGoldenTest : public OptimizerGoldenTest {
protected:
    void run_file(const GoldenCase& golden, GoldenResult& result) {
        LionOptions options;
        options.lr = static_cast<float>(golden.number("lr", options.lr));
        const std::vector<double> betas = golden.numbers("betas", {options.beta1, options.beta2});
        options.beta1 = betas.at(0);
        options.beta2 = betas.at(1);
        options.weight_decay = static_cast<float>(golden.number("weight_decay", options.weight_decay));

        OptimizerGolden setup;
        setup.make = [&](const Device& on) { return std::make_unique<Lion>(on, options); };
        setup.element_wise = true;
        setup.lr = options.lr;
        setup.states = {{"m", "momentum"}};
        run_case(golden, result, setup);
    }
};

TEST_P(LionGoldenTest, EveryFile) {
    run_golden("lion", GetParam().name,
               [&](const GoldenCase& golden, GoldenResult& result) { run_file(golden, result); });
}

TEST_P(LionGoldenTest, SeveralParametersOfOneFile) {
    expect_several_parameters(
        "lion", {"wd-wide", "wd-vec"}, "m",
        [&](const GoldenCase& golden, GoldenResult& result) { run_file(golden, result); });
}

HERON_DEVICE_TESTS(LionGoldenTest);

}  // namespace
}  // namespace heron::test

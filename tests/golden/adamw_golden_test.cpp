// SPDX-License-Identifier: MIT
// AdamW and AMSGrad against torch, KellerJordan's auxiliary Adam, dion, and the AMSGrad paper's formulas.
#include "golden/merged_golden.hpp"
#include "golden/optimizer_golden.hpp"

namespace heron::test {
namespace {

class AdamWGoldenTest : public OptimizerGoldenTest {
protected:
    void run_file(const GoldenCase& golden, GoldenResult& result, bool amsgrad) {
        AdamWOptions options;
        options.lr = static_cast<float>(golden.number("lr", options.lr));
        const std::vector<double> betas = golden.numbers("betas", {});
        options.beta1 = betas.empty() ? golden.number("beta1", options.beta1) : betas.at(0);
        options.beta2 = betas.empty() ? golden.number("beta2", options.beta2) : betas.at(1);
        options.eps = static_cast<float>(golden.number(golden.has("eps") ? "eps" : "epsilon", options.eps));
        // The paper's form has neither decay nor bias correction; its files do not name the former.
        const bool paper = golden.metadata("kind") == "transcription";
        options.weight_decay = static_cast<float>(golden.number("weight_decay", paper ? 0.0 : 0.01));
        options.amsgrad = golden.flag("amsgrad", amsgrad);
        options.cautious_decay = golden.flag("cautious_wd", false);
        options.bias_correction = !paper;

        OptimizerGolden setup;
        setup.make = [&](const Device& on) { return std::make_unique<AdamW>(on, options); };
        setup.element_wise = true;
        setup.lr = options.lr;
        setup.states = {{"m", "m"}, {"v", "v"}, {"vmax", "vmax"}};
        run_case(golden, result, setup);
    }
};

TEST_P(AdamWGoldenTest, EveryFileOfAdamW) {
    run_golden("adamw", GetParam().name,
               [&](const GoldenCase& golden, GoldenResult& result) { run_file(golden, result, false); });
}

TEST_P(AdamWGoldenTest, EveryFileOfAmsgrad) {
    run_golden("amsgrad", GetParam().name,
               [&](const GoldenCase& golden, GoldenResult& result) { run_file(golden, result, true); });
}

TEST_P(AdamWGoldenTest, SeveralParametersOfOneFile) {
    for (const bool amsgrad : {false, true})
        expect_several_parameters(
            amsgrad ? "amsgrad" : "adamw", {"default-wide", "default-conv", "default-vec"},
            amsgrad ? "vmax" : "v",
            [&](const GoldenCase& golden, GoldenResult& result) { run_file(golden, result, amsgrad); });
}

HERON_DEVICE_TESTS(AdamWGoldenTest);

}  // namespace
}  // namespace heron::test

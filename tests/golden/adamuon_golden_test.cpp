// SPDX-License-Identifier: MIT
// AdaMuon against its authors' code, and the paper's formulas.
#include "golden/matrix_golden.hpp"

namespace heron::test {
namespace {

class AdaMuonGoldenTest : public MatrixGoldenTest {
protected:
    void run_file(const GoldenCase& golden, GoldenResult& result) {
        const bool paper = golden.metadata("kind") == "transcription";
        AdaMuonOptions options = paper ? AdaMuonOptions::paper() : AdaMuonOptions();
        options.lr = static_cast<float>(golden.number("lr", options.lr));
        options.weight_decay = static_cast<float>(golden.number("weight_decay", options.weight_decay));
        options.momentum = golden.number(golden.has("beta") ? "beta" : "momentum", options.momentum);
        options.nesterov = golden.flag("nesterov", options.nesterov);
        options.eps = static_cast<float>(golden.number("eps", options.eps));
        options.polar.coefficients = muon_steps(golden);
        OptimizerGolden setup;
        setup.states = {{"momentum", "momentum"}, {"v", "v"}};
        // Ten times what float32 costs of a second moment of Newton-Schulz's result (5.3e-6).
        setup.state_bounds = {{"v", 5.3e-5}};
        run_both<AdaMuon>(golden, result, options, setup);
    }
};

TEST_P(AdaMuonGoldenTest, EveryFile) {
    run_golden("adamuon", GetParam().name,
               [&](const GoldenCase& golden, GoldenResult& result) { run_file(golden, result); });
}

HERON_DEVICE_TESTS(AdaMuonGoldenTest);

}  // namespace
}  // namespace heron::test

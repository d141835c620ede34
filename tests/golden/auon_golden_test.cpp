// SPDX-License-Identifier: MIT
// AuON and Hybrid-AuON against their authors' code, and the paper's formulas.
#include "golden/matrix_golden.hpp"

namespace heron::test {
namespace {

class AuonGoldenTest : public MatrixGoldenTest {
protected:
    void run_file(const GoldenCase& golden, GoldenResult& result, bool hybrid) {
        const bool paper = golden.metadata("kind") == "transcription";
        AuonOptions options = paper ? AuonOptions::paper() : AuonOptions();
        options.hybrid = hybrid;
        options.lr = static_cast<float>(golden.number("lr", options.lr));
        options.weight_decay = static_cast<float>(golden.number("weight_decay", options.weight_decay));
        options.momentum = golden.number("momentum", options.momentum);
        options.nesterov = golden.flag("nesterov", options.nesterov);
        options.gamma = static_cast<float>(golden.number("gamma", options.gamma));
        const double steps = golden.number("ns_steps", hybrid ? (paper ? 1 : 5) : 0);
        if (hybrid)
            options.polar.coefficients =
                newton_schulz_coefficients("muon", static_cast<std::uint32_t>(steps));
        OptimizerGolden setup;
        setup.states = {{"momentum", "momentum"}};
        if (hybrid) return run_both<Auon>(golden, result, options, setup);
        setup.make = [&](const Device& on) { return std::make_unique<Auon>(on, options); };
        run_case(golden, result, setup);
    }
};

TEST_P(AuonGoldenTest, EveryFile) {
    run_golden("auon", GetParam().name,
               [&](const GoldenCase& golden, GoldenResult& result) { run_file(golden, result, false); });
}

TEST_P(AuonGoldenTest, EveryFileOfHybrid) {
    run_golden("hybrid-auon", GetParam().name,
               [&](const GoldenCase& golden, GoldenResult& result) { run_file(golden, result, true); });
}

HERON_DEVICE_TESTS(AuonGoldenTest);

}  // namespace
}  // namespace heron::test

// SPDX-License-Identifier: MIT
// Dion2 and NorDion2 against microsoft/dion. Every file runs in the one-workgroup form of the iteration and
// as separate products.
#include <stdexcept>
#include <string>

#include "golden/matrix_golden.hpp"
#include "golden/merged_golden.hpp"

namespace heron::test {
namespace {

class Dion2GoldenTest : public MatrixGoldenTest {
public:
    template <class Algorithm, class Options>
    void run(const GoldenCase& golden, GoldenResult& result, Options options) {
        options.lr = static_cast<float>(golden.number("lr", options.lr));
        options.fraction = golden.number("fraction", options.fraction);
        options.weight_decay = static_cast<float>(golden.number("weight_decay", options.weight_decay));
        options.shape_factor = dion_factor(golden, options.shape_factor);
        set_dion_polar(golden, options.polar);
        // Of one shard, both scopes are the same.
        const std::string scope = golden.text("selection_scope", "global");
        if (scope != "global" && scope != "local")
            throw std::runtime_error("selection_scope \"" + scope + "\" is not known to this test");
        OptimizerGolden setup;
        setup.view = dion_view(golden);
        setup.states = {{"momentum", "momentum"}, {"v", "v"}};
        // A second moment of what Newton-Schulz gives: ten times what float32 arithmetic costs.
        setup.state_bounds = {{"v", 5.3e-5}};
        run_both<Algorithm>(golden, result, options, setup);
    }

    void run_file(const GoldenCase& golden, GoldenResult& result) {
        const bool normalizes = golden.metadata("source").find("nordion2") != std::string::npos ||
                                golden.name().find("nordion2") != std::string::npos ||
                                golden.has_value("muon_beta2");
        if (normalizes) {
            NorDion2Options options;
            options.momentum = golden.number("mu", options.momentum);
            options.beta2 = golden.number("muon_beta2", options.beta2);
            run<NorDion2>(golden, result, options);
        } else {
            Dion2Options options;
            options.ef_decay = golden.number("ef_decay", options.ef_decay);
            run<Dion2>(golden, result, options);
        }
    }
};

TEST_P(Dion2GoldenTest, EveryFile) {
    run_golden("dion2", GetParam().name,
               [&](const GoldenCase& golden, GoldenResult& result) { run_file(golden, result); });
}

TEST_P(Dion2GoldenTest, SeveralParametersOfOneFile) {
    const auto run = [&](const GoldenCase& golden, GoldenResult& result) { run_file(golden, result); };
    expect_several_parameters("dion2", {"default-wide", "default-tall"}, "momentum", run);
    expect_several_parameters("dion2", {"nordion2-wide", "nordion2-tall"}, "v", run);
}

HERON_DEVICE_TESTS(Dion2GoldenTest);

}  // namespace
}  // namespace heron::test

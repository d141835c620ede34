// SPDX-License-Identifier: MIT
// Mousse against its authors' code.
#include <algorithm>
#include <stdexcept>

#include "golden/optimizer_golden.hpp"

namespace heron::test {
namespace {

class MousseGoldenTest : public OptimizerGoldenTest {
public:
    void run_mousse(const GoldenCase& golden, GoldenResult& result) {
        MousseOptions options;
        options.lr = static_cast<float>(golden.number("lr"));
        options.weight_decay = static_cast<float>(golden.number("weight_decay"));
        options.momentum = golden.number("mu");
        options.nesterov = golden.flag("nesterov", false);
        options.factor_decay = golden.number("shampoo_beta");
        options.exponent = golden.number("shampoo_alpha");
        options.damping = static_cast<float>(golden.number("shampoo_epsilon"));
        options.refresh.interval = static_cast<std::uint32_t>(golden.number("shampoo_update_freq"));
        options.refresh.stagger = false;
        options.graft = golden.flag("apply_norm", true);
        options.polar.eps = golden.number("epsilon");
        const std::string rule =
            golden.is_null("adjust_lr") ? "none" : golden.text("adjust_lr", "spectral_norm");
        if (rule == "rms_norm")
            options.shape_factor = ShapeFactor::match_rms;
        else if (rule == "none")
            options.shape_factor = ShapeFactor::none;
        else if (rule != "spectral_norm")
            throw std::runtime_error("adjust_lr \"" + rule + "\" is not known to this test");
        if (!golden.flag("LR_correction", true) || golden.number("use_LorR", 0) != 0)
            throw std::runtime_error("a form of the official code that Mousse leaves out");
        OptimizerGolden setup;
        setup.states = {{"momentum", "momentum"}, {"L", "L"}, {"R", "R"}, {"eig_L", ""}, {"eig_R", ""}};
        // Ten times what rounding to f32 costs the reference.
        setup.update_bound = std::max(10 * std::stod(golden.metadata("float32_deviation")), 2e-5);
        for (const auto& [name, state] : setup.states) setup.state_bounds[name] = setup.update_bound;
        setup.make = [&](const Device& on) { return std::make_unique<Mousse>(on, options); };
        run_case(golden, result, setup);
    }
};

TEST_P(MousseGoldenTest, EveryFile) {
    run_golden("mousse", GetParam().name,
               [&](const GoldenCase& golden, GoldenResult& result) { run_mousse(golden, result); });
}

HERON_DEVICE_TESTS(MousseGoldenTest);

}  // namespace
}  // namespace heron::test

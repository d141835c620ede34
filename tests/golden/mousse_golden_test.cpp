// SPDX-License-Identifier: MIT
// Mousse against its authors' code.
#include <algorithm>
#include <stdexcept>

#include "golden/optimizer_golden.hpp"
#include "golden/reference_golden.hpp"
#include "optim/reference_kronecker.hpp"

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
        else if (rule == "none" || rule == "None")
            options.shape_factor = ShapeFactor::none;
        else if (rule != "spectral_norm")
            throw std::runtime_error("adjust_lr \"" + rule + "\" is not known to this test");
        const double sides = golden.number("use_LorR", 0);
        if (sides != 0 && sides != 1 && sides != 2)
            throw std::runtime_error("use_LorR " + std::to_string(sides) + " is not known to this test");
        options.sides = static_cast<MousseSides>(static_cast<int>(sides));
        options.scale_in_place = !golden.flag("LR_correction", true);
        // Of other parameters than matrices, and of how it runs.
        for (const char* key : {"betas", "flatten", "use_triton", "optimizer_debug"}) golden.is_null(key);
        OptimizerGolden setup;
        setup.states = {{"momentum", "momentum"}, {"L", "L"}, {"R", "R"}, {"eig_L", ""}, {"eig_R", ""}};
        // Ten times what rounding to f32 costs the reference.
        setup.update_bound = float32_bound(golden);
        for (const auto& [name, state] : setup.states) setup.state_bounds[name] = setup.update_bound;
        setup.make = [&](const Device& on) { return std::make_unique<Mousse>(on, options); };
        run_case(golden, result, setup);
    }
};

TEST_P(MousseGoldenTest, EveryFile) {
    run_golden("mousse", GetParam().name,
               [&](const GoldenCase& golden, GoldenResult& result) { run_mousse(golden, result); });
}

// One side, scaled in place, without a factor of the shape.
TEST_P(MousseGoldenTest, OptionsOfTheOfficialCodeThatNoFileHas) {
    for (const int side : {1, 2}) {
        MousseOptions options;
        options.lr = 0.05f;
        options.exponent = 0.25;
        options.damping = 1e-3f;
        options.refresh = {.interval = 2, .stagger = false};
        options.shape_factor = ShapeFactor::none;
        options.sides = static_cast<MousseSides>(side);
        options.scale_in_place = true;
        const std::uint64_t n = side == 1 ? 5 : 8;
        const std::string factor = side == 1 ? "L" : "R";
        const ReferenceGolden file(
            {.name = "side" + std::to_string(side),
             .hyper = R"({"LR_correction": false, "adjust_lr": "None", "apply_norm": true, "epsilon": 1e-8,
                "lr": 0.05, "mu": 0.95, "nesterov": false, "shampoo_alpha": 0.25, "shampoo_beta": 0.95,
                "shampoo_epsilon": 0.001, "shampoo_update_freq": 2, "weight_decay": 0.01, "use_LorR": )" +
                      std::to_string(side) + "}",
             .shape = {5, 8},
             .states = {{factor, factor, {n, n}}}},
            MousseReference(options, 5, 8, 1.0));
        EXPECT_TRUE(
            file.passes([&](const GoldenCase& golden, GoldenResult& result) { run_mousse(golden, result); }));
    }
}

HERON_DEVICE_TESTS(MousseGoldenTest);

}  // namespace
}  // namespace heron::test

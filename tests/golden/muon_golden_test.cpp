// SPDX-License-Identifier: MIT
// Muon's published forms against their authors' code: KellerJordan, torch.optim.Muon, Moonlight,
// microsoft/dion. Every file runs in the one-workgroup form and as separate products.
#include <stdexcept>

#include "golden/optimizer_golden.hpp"

namespace heron::test {
namespace {

class MuonGoldenTest : public OptimizerGoldenTest {
protected:
    void run_both(const GoldenCase& golden, GoldenResult& result, MuonOptions options,
                  OptimizerGolden setup = {}) {
        setup.states = {{"momentum", "momentum"}};
        for (const bool one_workgroup : {true, false}) {
            options.polar.one_workgroup = one_workgroup;
            setup.make = [options](const Device& on) { return std::make_unique<Muon>(on, options); };
            run_case(golden, result, setup, one_workgroup ? "one workgroup: " : "products: ");
        }
    }

    static std::vector<NewtonSchulzCoefficients> muon_steps(const GoldenCase& golden) {
        const std::uint32_t steps = static_cast<std::uint32_t>(golden.number("ns_steps", 5));
        const std::vector<double> coeff =
            golden.numbers(golden.has("coeff") ? "coeff" : "ns_coefficients", {3.4445, -4.7750, 2.0315});
        return std::vector<NewtonSchulzCoefficients>(steps, {coeff.at(0), coeff.at(1), coeff.at(2)});
    }
};

TEST_P(MuonGoldenTest, EveryFileOfKellerJordan) {
    run_golden("muon", GetParam().name, [&](const GoldenCase& golden, GoldenResult& result) {
        MuonOptions options = MuonOptions::keller_jordan();
        OptimizerGolden setup;
        setup.updates = !golden.has_tensor("w.0");
        options.lr = setup.updates ? 1.0f : static_cast<float>(golden.number("lr", options.lr));
        options.weight_decay = static_cast<float>(golden.number("weight_decay", 0.0));
        options.momentum =
            golden.has("beta") ? golden.number("beta") : golden.number("momentum", options.momentum);
        options.nesterov = golden.flag("nesterov", true);
        options.polar.coefficients = muon_steps(golden);
        options.polar.eps = golden.number("ns_eps", golden.number("eps", 1e-7));
        run_both(golden, result, options, setup);
    });
}

TEST_P(MuonGoldenTest, EveryFileOfTorch) {
    run_golden("muon-torch", GetParam().name, [&](const GoldenCase& golden, GoldenResult& result) {
        MuonOptions options = MuonOptions::torch();
        options.lr = static_cast<float>(golden.number("lr", options.lr));
        options.weight_decay = static_cast<float>(golden.number("weight_decay", options.weight_decay));
        options.momentum = golden.number("momentum", options.momentum);
        options.nesterov = golden.flag("nesterov", true);
        options.polar.coefficients = muon_steps(golden);
        options.polar.eps = golden.number("eps", 1e-7);
        const std::string rule =
            golden.is_null("adjust_lr_fn") ? "original" : golden.text("adjust_lr_fn", "original");
        if (rule == "match_rms_adamw")
            options.shape_factor = ShapeFactor::match_rms;
        else if (rule != "original")
            throw std::runtime_error("adjust_lr_fn \"" + rule + "\" is not known to this test");
        run_both(golden, result, options);
    });
}

TEST_P(MuonGoldenTest, EveryFileOfMoonlight) {
    run_golden("muon-moonlight", GetParam().name, [&](const GoldenCase& golden, GoldenResult& result) {
        const float lr = static_cast<float>(golden.number("lr", 1e-3));
        const float decay = static_cast<float>(golden.has("weight_decay") ? golden.number("weight_decay")
                                                                          : golden.number("wd", 0.1));
        const double momentum = golden.number("momentum", 0.95);
        const bool nesterov = golden.flag("nesterov", true);
        const std::vector<NewtonSchulzCoefficients> steps = muon_steps(golden);
        const std::vector<double> betas = golden.numbers("adamw_betas", {0.9, 0.95});
        const double eps = golden.number("adamw_eps", 1e-8);
        const std::string scale = golden.text("scale", "0.2*sqrt(max(m,n))");
        if (scale != "0.2*sqrt(max(m,n))")
            throw std::runtime_error("scale \"" + scale + "\" is not known to this test");
        if (golden.tensor("w.0").shape.rank() < 2) {
            AdamWOptions options;
            options.lr = lr;
            options.weight_decay = decay;
            options.beta1 = betas.at(0);
            options.beta2 = betas.at(1);
            options.eps = static_cast<float>(eps);
            options.eps_on_uncorrected = true;
            OptimizerGolden setup;
            setup.element_wise = true;
            setup.lr = lr;
            setup.states = {{"m", "m"}, {"v", "v"}};
            setup.make = [&](const Device& on) { return std::make_unique<AdamW>(on, options); };
            run_case(golden, result, setup);
            return;
        }
        MuonOptions options = MuonOptions::moonlight();
        options.lr = lr;
        options.weight_decay = decay;
        options.momentum = momentum;
        options.nesterov = nesterov;
        options.polar.coefficients = steps;
        run_both(golden, result, options);
    });
}

TEST_P(MuonGoldenTest, EveryFileOfDion) {
    run_golden("muon-dion", GetParam().name, [&](const GoldenCase& golden, GoldenResult& result) {
        MuonOptions options = MuonOptions::dion();
        options.lr = static_cast<float>(golden.number("lr", options.lr));
        options.weight_decay = static_cast<float>(golden.number("weight_decay", options.weight_decay));
        options.momentum = golden.number("mu", options.momentum);
        options.nesterov = golden.flag("nesterov", false);
        options.decay = golden.flag("cautious_wd", false) ? DecayForm::cautious : DecayForm::decoupled;
        options.polar.eps = golden.number("epsilon", options.polar.eps);
        const std::string method = golden.text("ns", "polar_express");
        if (method == "newton_schulz" || method == "you5" || method == "quintic") {
            options.polar.coefficients = newton_schulz_coefficients("you5");
            options.polar.norm_factor = 1.0;
        } else if (method != "polar_express") {
            throw std::runtime_error("ns \"" + method + "\" is not known to this test");
        }
        const std::string rule =
            golden.is_null("adjust_lr") ? "none" : golden.text("adjust_lr", "spectral_norm");
        if (rule == "rms_norm")
            options.shape_factor = ShapeFactor::match_rms;
        else if (rule == "none")
            options.shape_factor = ShapeFactor::none;
        else if (rule != "spectral_norm")
            throw std::runtime_error("adjust_lr \"" + rule + "\" is not known to this test");
        OptimizerGolden setup;
        if (golden.has("num_heads"))
            setup.view.heads = static_cast<std::uint32_t>(golden.number("num_heads"));
        for (const double rows : golden.numbers("split_sizes", {}))
            setup.view.row_splits.push_back(static_cast<std::uint64_t>(rows));
        const std::size_t rank = golden.tensor("w.0").shape.rank();
        setup.view.batch = !golden.flag("flatten", false) && rank > 2;
        run_both(golden, result, options, setup);
    });
}

HERON_DEVICE_TESTS(MuonGoldenTest);

}  // namespace
}  // namespace heron::test

// SPDX-License-Identifier: MIT
// Muon's published forms against their authors' code: KellerJordan, torch.optim.Muon, Moonlight,
// microsoft/dion. Every file runs in the one-workgroup form and as separate products.
#include <stdexcept>

#include "golden/merged_golden.hpp"
#include "golden/optimizer_golden.hpp"

namespace heron::test {
namespace {

class MuonGoldenTest : public OptimizerGoldenTest {
public:
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

    void run_keller_jordan(const GoldenCase& golden, GoldenResult& result) {
        MuonOptions options = MuonOptions::keller_jordan();
        OptimizerGolden setup;
        setup.updates = !golden.has_tensor(GoldenCase::tensor_name("w", golden.parameters().front(), 0));
        options.lr = setup.updates ? 1.0f : static_cast<float>(golden.number("lr", options.lr));
        options.weight_decay = static_cast<float>(golden.number("weight_decay", 0.0));
        options.momentum =
            golden.has("beta") ? golden.number("beta") : golden.number("momentum", options.momentum);
        options.nesterov = golden.flag("nesterov", true);
        options.polar.coefficients = muon_steps(golden);
        options.polar.eps = golden.number("ns_eps", golden.number("eps", 1e-7));
        run_both(golden, result, options, setup);
    }

    void run_torch(const GoldenCase& golden, GoldenResult& result) {
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
    }

    void run_moonlight(const GoldenCase& golden, GoldenResult& result) {
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
        // The official optimizer sends what is no matrix to its AdamW.
        AdamWOptions aux;
        aux.lr = lr;
        aux.weight_decay = decay;
        aux.beta1 = betas.at(0);
        aux.beta2 = betas.at(1);
        aux.eps = static_cast<float>(eps);
        aux.eps_on_uncorrected = true;
        OptimizerGolden vectors;
        vectors.element_wise = true;
        vectors.lr = lr;
        vectors.states = {{"m", "m"}, {"v", "v"}};
        vectors.takes = [](const Shape& shape) { return shape.rank() < 2; };
        vectors.make = [&](const Device& on) { return std::make_unique<AdamW>(on, aux); };
        run_case(golden, result, vectors);
        MuonOptions options = MuonOptions::moonlight();
        options.lr = lr;
        options.weight_decay = decay;
        options.momentum = momentum;
        options.nesterov = nesterov;
        options.polar.coefficients = steps;
        OptimizerGolden matrices;
        matrices.takes = [](const Shape& shape) { return shape.rank() >= 2; };
        run_both(golden, result, options, matrices);
    }

    void run_dion(const GoldenCase& golden, GoldenResult& result) {
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
        MatrixView view;
        if (golden.has("num_heads")) view.heads = static_cast<std::uint32_t>(golden.number("num_heads"));
        for (const double rows : golden.numbers("split_sizes", {}))
            view.row_splits.push_back(static_cast<std::uint64_t>(rows));
        const bool flatten = golden.flag("flatten", false);
        setup.view = [=](const Shape& shape) {
            MatrixView of_shape = view;
            of_shape.batch = !flatten && shape.rank() > 2;
            return of_shape;
        };
        run_both(golden, result, options, setup);
    }
};

TEST_P(MuonGoldenTest, EveryFileOfKellerJordan) {
    run_golden("muon", GetParam().name,
               [&](const GoldenCase& golden, GoldenResult& result) { run_keller_jordan(golden, result); });
}

TEST_P(MuonGoldenTest, EveryFileOfTorch) {
    run_golden("muon-torch", GetParam().name,
               [&](const GoldenCase& golden, GoldenResult& result) { run_torch(golden, result); });
}

TEST_P(MuonGoldenTest, EveryFileOfMoonlight) {
    run_golden("muon-moonlight", GetParam().name,
               [&](const GoldenCase& golden, GoldenResult& result) { run_moonlight(golden, result); });
}

TEST_P(MuonGoldenTest, EveryFileOfDion) {
    run_golden("muon-dion", GetParam().name,
               [&](const GoldenCase& golden, GoldenResult& result) { run_dion(golden, result); });
}

TEST_P(MuonGoldenTest, SeveralParametersOfOneFile) {
    const auto run = [&](void (MuonGoldenTest::*file)(const GoldenCase&, GoldenResult&)) {
        return
            [this, file](const GoldenCase& golden, GoldenResult& result) { (this->*file)(golden, result); };
    };
    expect_several_parameters("muon", {"kj-default-wide", "kj-default-conv", "kj-default-tall"}, "momentum",
                              run(&MuonGoldenTest::run_keller_jordan));
    expect_several_parameters("muon-torch", {"plain-wide", "plain-tall"}, "momentum",
                              run(&MuonGoldenTest::run_torch));
    EXPECT_TRUE(MergedGolden("muon", {"kj-update-nonesterov-wide", "kj-update-nonesterov-tall"})
                    .passes(run(&MuonGoldenTest::run_keller_jordan)));
}

HERON_DEVICE_TESTS(MuonGoldenTest);

}  // namespace
}  // namespace heron::test

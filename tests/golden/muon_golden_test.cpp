// SPDX-License-Identifier: MIT
// Muon's published forms against their authors' code: KellerJordan, torch.optim.Muon, Moonlight,
// microsoft/dion. Every file runs in the one-workgroup form and as separate products.
#include <stdexcept>

#include "golden/matrix_golden.hpp"
#include "golden/merged_golden.hpp"
#include "golden/reference_golden.hpp"

namespace heron::test {
namespace {

class MuonGoldenTest : public MatrixGoldenTest {
public:
    void run(const GoldenCase& golden, GoldenResult& result, const MuonOptions& options,
             OptimizerGolden setup = {}) {
        setup.states = {{"momentum", "momentum"}};
        run_both<Muon>(golden, result, options, setup);
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
        run(golden, result, options, setup);
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
        run(golden, result, options);
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
        run(golden, result, options, matrices);
    }

    void run_dion(const GoldenCase& golden, GoldenResult& result) {
        MuonOptions options = MuonOptions::dion();
        options.lr = static_cast<float>(golden.number("lr", options.lr));
        options.weight_decay = static_cast<float>(golden.number("weight_decay", options.weight_decay));
        options.momentum = golden.number("mu", options.momentum);
        options.nesterov = golden.flag("nesterov", false);
        options.decay = golden.flag("cautious_wd", false) ? DecayForm::cautious : DecayForm::decoupled;
        options.shape_factor = dion_factor(golden, options.shape_factor);
        set_dion_polar(golden, options.polar);
        OptimizerGolden setup;
        setup.view = dion_view(golden);
        run(golden, result, options, setup);
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

TEST_P(MuonGoldenTest, EveryNameOfDionsIteration) {
    MuonOptions options = MuonOptions::dion();
    options.lr = 0.02f;
    options.momentum = 0.9;
    options.weight_decay = 0.0f;
    options.shape_factor = ShapeFactor::none;
    options.polar.coefficients = newton_schulz_coefficients("you5");
    options.polar.norm_factor = 1.0;
    for (const char* key : {"\"use_polar_express\": false", "\"ns\": \"newton_schulz\""}) {
        const ReferenceGolden file(
            {.name = "iteration",
             .hyper =
                 std::string(R"({"lr": 0.02, "mu": 0.9, "weight_decay": 0, "adjust_lr": null, )") + key + "}",
             .shape = {9, 14},
             .states = {{"momentum", "momentum", {9, 14}}}},
            MuonReference(options, {{9, 14, 1.0}}));
        EXPECT_TRUE(file.passes([&](const GoldenCase& golden, GoldenResult& result) {
            run_dion(golden, result);
        })) << key;
    }
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

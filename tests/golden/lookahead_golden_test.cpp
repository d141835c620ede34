// SPDX-License-Identifier: MIT
// Lookahead against its authors' code, around SGD, AdamW and others, in the variants for CPU drivers and for
// GPUs.
//
// Files with pull-back of the momentum have a fault of that code in them: from the second synchronization on
// the momentum is mixed with itself. From the step after it the float64 reference stands in for the file.
#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "golden/merged_golden.hpp"
#include "golden/optimizer_golden.hpp"
#include "golden/reference_golden.hpp"
#include "optim/reference_elementwise.hpp"
#include "optim/reference_lookahead.hpp"

namespace heron::test {
namespace {

class LookaheadGoldenTest : public OptimizerGoldenTest {
protected:
    struct Inner {
        std::function<std::unique_ptr<Optimizer>(const Device&)> make;
        std::function<std::unique_ptr<Reference>(const Shape&)> reference;
        double lr;
        // "none": the file's code keeps one under another name than momentum_buffer, and resets nothing.
        std::string momentum = "none";
        bool element_wise = true;
    };

    static Inner inner_of(const GoldenCase& golden) {
        const std::string algorithm = golden.text("inner", "sgd");
        if (algorithm == "sgd") return sgd(golden);
        if (algorithm == "adam" || algorithm == "adamw") return adam(golden, algorithm == "adamw");
        if (algorithm == "lion") return lion(golden);
        if (algorithm == "muon") return muon(golden);
        throw std::runtime_error("inner optimizer \"" + algorithm + "\" is not known to this test");
    }

    static LookaheadOptions options_of(const GoldenCase& golden) {
        LookaheadOptions options;
        options.steps = static_cast<std::uint32_t>(golden.number("la_steps", options.steps));
        options.alpha = static_cast<float>(golden.number("la_alpha", options.alpha));
        const std::string momentum = golden.text("pullback_momentum", "none");
        const bool has_buffer = inner_of(golden).momentum != "none";
        if (momentum == "reset" && has_buffer)
            options.momentum = LookaheadMomentum::reset;
        else if (momentum == "pullback" && has_buffer)
            options.momentum = LookaheadMomentum::pullback;
        else if (momentum != "none" && momentum != "reset")
            throw std::runtime_error("pullback_momentum \"" + momentum + "\" is not known to this test");
        return options;
    }

    void run_file(const GoldenCase& golden, GoldenResult& result) {
        const Inner inner = inner_of(golden);
        const LookaheadOptions options = options_of(golden);
        OptimizerGolden setup;
        setup.make = [&](const Device& on) {
            return std::make_unique<Lookahead>(on, inner.make(on), options);
        };
        setup.element_wise = inner.element_wise;
        setup.lr = inner.lr;
        setup.states = {{"slow", "slow"}};
        for (const bool gpu_variants : {false, true}) {
            setup.disable.cpu = gpu_variants;
            run_case(golden, result, setup, gpu_variants ? "gpu: " : "");
        }
    }

    void run(const GoldenCase& golden, GoldenResult& result) {
        if (golden.text("pullback_momentum", "none") == "pullback")
            run_mended(golden, result);
        else
            run_file(golden, result);
    }

    // The file as it would be without the fault.
    void run_mended(const GoldenCase& golden, GoldenResult& result) {
        const Inner inner = inner_of(golden);
        const LookaheadOptions options = options_of(golden);
        for (const std::string& name : golden.parameters()) {
            const auto tensor = [&](const char* kind, int t) {
                return GoldenCase::tensor_name(kind, name, t);
            };
            const GoldenTensor first = golden.tensor(tensor("w", 0));
            LookaheadReference reference(options, inner.reference(first.shape), inner.momentum);
            std::vector<double> w = first.values;
            for (int t = 1; golden.has_tensor(tensor("g", t)); ++t) {
                reference.step(w, golden.tensor(tensor("g", t)).values, static_cast<std::uint64_t>(t));
                if (t <= 2 * static_cast<int>(options.steps)) continue;
                golden.replace(tensor("w", t), w);
                golden.replace(tensor("state.slow", t), reference.states["slow"]);
            }
        }
        run_file(golden, result);
    }

private:
    static double number(const GoldenCase& golden, const std::string& name, double fallback) {
        return golden.number("inner_hyper." + name, fallback);
    }
    template <class Options>
    static void set_rate_and_decay(const GoldenCase& golden, Options& options) {
        options.lr = static_cast<float>(number(golden, "lr", options.lr));
        options.weight_decay = static_cast<float>(number(golden, "weight_decay", options.weight_decay));
    }
    template <class Options>
    static void set_betas(const GoldenCase& golden, Options& options) {
        const std::vector<double> betas = golden.numbers("inner_hyper.betas", {options.beta1, options.beta2});
        options.beta1 = betas.at(0);
        options.beta2 = betas.at(1);
    }

    static Inner sgd(const GoldenCase& golden) {
        SgdOptions options;
        set_rate_and_decay(golden, options);
        options.momentum = number(golden, "momentum", 0.0);
        options.dampening = number(golden, "dampening", 0.0);
        options.nesterov = golden.flag("inner_hyper.nesterov", false);
        return {[=](const Device& on) { return std::make_unique<Sgd>(on, options); },
                [=](const Shape&) { return std::make_unique<SgdReference>(options); }, options.lr,
                options.momentum > 0 ? "momentum" : "none"};
    }
    // torch's Adam, whose decay is part of the gradient: here without any.
    static Inner adam(const GoldenCase& golden, bool decoupled) {
        AdamWOptions options;
        if (!decoupled) options.weight_decay = 0;
        set_rate_and_decay(golden, options);
        if (!decoupled && options.weight_decay > 0)
            throw std::runtime_error("the weight decay of \"adam\" is not known to this test");
        set_betas(golden, options);
        options.eps = static_cast<float>(number(golden, "eps", options.eps));
        options.amsgrad = golden.flag("inner_hyper.amsgrad", false);
        return {[=](const Device& on) { return std::make_unique<AdamW>(on, options); },
                [=](const Shape&) { return std::make_unique<AdamWReference>(options); }, options.lr};
    }
    static Inner lion(const GoldenCase& golden) {
        LionOptions options;
        set_rate_and_decay(golden, options);
        set_betas(golden, options);
        return {[=](const Device& on) { return std::make_unique<Lion>(on, options); },
                [=](const Shape&) { return std::make_unique<LionReference>(options); }, options.lr};
    }
    // KellerJordan's.
    static Inner muon(const GoldenCase& golden) {
        MuonOptions options = MuonOptions::keller_jordan();
        set_rate_and_decay(golden, options);
        options.momentum = number(golden, "momentum", options.momentum);
        options.nesterov = golden.flag("inner_hyper.nesterov", options.nesterov);
        options.polar.coefficients =
            newton_schulz_coefficients("muon", static_cast<std::uint32_t>(number(golden, "ns_steps", 5)));
        return {[=](const Device& on) { return std::make_unique<Muon>(on, options); },
                [=](const Shape& shape) {
                    const std::uint64_t rows = shape[0], cols = shape.count() / shape[0];
                    const double ratio = static_cast<double>(rows) / static_cast<double>(cols);
                    return std::make_unique<MuonReference>(
                        options, std::vector<ReferenceBlock>{{rows, cols, std::sqrt(std::max(1.0, ratio))}});
                },
                options.lr, "momentum", false};
    }
};

TEST_P(LookaheadGoldenTest, EveryFile) {
    run_golden("lookahead", GetParam().name,
               [&](const GoldenCase& golden, GoldenResult& result) { run(golden, result); });
}

// Both kinds of files: with the fault, and without. A wrong weight of the second parameter is noticed.
TEST_P(LookaheadGoldenTest, SeveralParametersOfOneFile) {
    const auto passes = [&](const char* name, double factor) {
        return MergedGolden("lookahead", {name, name}, "",
                            [&](const std::string& tensor, std::vector<double>& values) {
                                if (tensor == "w.p1.4")
                                    for (double& value : values) value *= factor;
                                return true;
                            })
            .passes([&](const GoldenCase& golden, GoldenResult& result) { run(golden, result); });
    };
    for (const char* name : {"k3a05-sgdm-pullback", "k3a05-sgdm-reset"}) {
        EXPECT_TRUE(passes(name, 1.0)) << name;
        EXPECT_FALSE(passes(name, 0.5)) << name;
    }
}

// What none of the project's files has: other inner optimizers; a reset of a momentum under another name than
// the published code looks for, which changes nothing.
TEST_P(LookaheadGoldenTest, OtherInnerOptimizers) {
    const auto passes = [&](const std::string& inner, std::unique_ptr<Reference> reference,
                            LookaheadMomentum momentum, const std::string& pullback) {
        const ReferenceGolden file({.name = "heron_lookahead",
                                    .hyper = R"({"la_steps": 2, "la_alpha": 0.5, "pullback_momentum": ")" +
                                             pullback + "\", " + inner + "}",
                                    .shape = {9, 5},
                                    .states = {{"slow", "slow", {9, 5}}}},
                                   LookaheadReference({.steps = 2, .alpha = 0.5f, .momentum = momentum},
                                                      std::move(reference), "momentum"));
        return file.passes([&](const GoldenCase& golden, GoldenResult& result) { run(golden, result); });
    };
    constexpr auto none = LookaheadMomentum::none, reset = LookaheadMomentum::reset,
                   pullback = LookaheadMomentum::pullback;
    const std::string of_adam = R"("inner": "adam", "inner_hyper": {"lr": 0.01})",
                      of_lion = R"("inner": "lion", "inner_hyper": {"lr": 0.01, "weight_decay": 0.1})",
                      of_muon = R"("inner": "muon", "inner_hyper": {"lr": 0.02, "momentum": 0.9})";
    const auto adam_reference = [] {
        return std::make_unique<AdamWReference>(AdamWOptions{.lr = 0.01f, .weight_decay = 0});
    };
    const auto muon_reference = [] {
        MuonOptions options = MuonOptions::keller_jordan();
        options.momentum = 0.9;
        return std::make_unique<MuonReference>(options,
                                               std::vector<ReferenceBlock>{{9, 5, std::sqrt(9.0 / 5)}});
    };
    EXPECT_TRUE(passes(of_adam, adam_reference(), none, "none"));
    EXPECT_TRUE(passes(of_adam, adam_reference(), none, "reset"));
    EXPECT_FALSE(passes(of_adam, adam_reference(), none, "pullback")) << "the published code fails";
    EXPECT_FALSE(
        passes(R"("inner": "adam", "inner_hyper": {"weight_decay": 0.1})", adam_reference(), none, "none"));
    EXPECT_TRUE(passes(of_lion,
                       std::make_unique<LionReference>(LionOptions{.lr = 0.01f, .weight_decay = 0.1f}), none,
                       "none"));
    EXPECT_TRUE(passes(of_muon, muon_reference(), none, "none"));
    EXPECT_TRUE(passes(of_muon, muon_reference(), reset, "reset"));
    EXPECT_TRUE(passes(of_muon, muon_reference(), pullback, "pullback"));
    EXPECT_FALSE(passes(of_muon, muon_reference(), none, "reset"));
}

HERON_DEVICE_TESTS(LookaheadGoldenTest);

}  // namespace
}  // namespace heron::test

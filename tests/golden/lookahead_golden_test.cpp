// SPDX-License-Identifier: MIT
// Lookahead against its authors' code, around SGD and AdamW, in the variants for CPU drivers and for GPUs.
//
// Files with pull-back of the momentum have a fault of that code in them: from the second synchronization on
// the momentum is mixed with itself. From the step after it the float64 reference stands in for the file.
#include "golden/merged_golden.hpp"
#include "golden/optimizer_golden.hpp"
#include "optim/reference_lookahead.hpp"

namespace heron::test {
namespace {

class LookaheadGoldenTest : public OptimizerGoldenTest {
protected:
    struct Inner {
        std::function<std::unique_ptr<Optimizer>(const Device&)> make;
        std::function<std::unique_ptr<Reference>()> reference;
        std::string momentum;
        double lr;
    };

    static Inner inner_of(const GoldenCase& golden) {
        const auto number = [&](const std::string& name, double fallback) {
            return golden.number("inner_hyper." + name, fallback);
        };
        const std::string algorithm = golden.text("inner", "sgd");
        if (algorithm == "sgd") {
            SgdOptions options;
            options.lr = static_cast<float>(number("lr", options.lr));
            options.momentum = number("momentum", 0.0);
            options.dampening = number("dampening", 0.0);
            options.nesterov = golden.flag("inner_hyper.nesterov", false);
            options.weight_decay = static_cast<float>(number("weight_decay", 0.0));
            return {[=](const Device& on) { return std::make_unique<Sgd>(on, options); },
                    [=] { return std::make_unique<SgdReference>(options); }, "momentum", options.lr};
        }
        if (algorithm == "adamw") {
            AdamWOptions options;
            options.lr = static_cast<float>(number("lr", options.lr));
            const std::vector<double> betas =
                golden.numbers("inner_hyper.betas", {options.beta1, options.beta2});
            options.beta1 = betas.at(0);
            options.beta2 = betas.at(1);
            options.eps = static_cast<float>(number("eps", options.eps));
            options.weight_decay = static_cast<float>(number("weight_decay", options.weight_decay));
            return {[=](const Device& on) { return std::make_unique<AdamW>(on, options); },
                    [=] { return std::make_unique<AdamWReference>(options); }, "m", options.lr};
        }
        throw std::runtime_error("inner optimizer \"" + algorithm + "\" is not known to this test");
    }

    static LookaheadOptions options_of(const GoldenCase& golden) {
        LookaheadOptions options;
        options.steps = static_cast<std::uint32_t>(golden.number("la_steps", options.steps));
        options.alpha = static_cast<float>(golden.number("la_alpha", options.alpha));
        const std::string momentum = golden.text("pullback_momentum", "none");
        if (momentum == "reset")
            options.momentum = LookaheadMomentum::reset;
        else if (momentum == "pullback")
            options.momentum = LookaheadMomentum::pullback;
        else if (momentum != "none")
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
        setup.element_wise = true;
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
            LookaheadReference reference(options, inner.reference(), inner.momentum);
            std::vector<double> w = golden.tensor(tensor("w", 0)).values;
            for (int t = 1; golden.has_tensor(tensor("g", t)); ++t) {
                reference.step(w, golden.tensor(tensor("g", t)).values, static_cast<std::uint64_t>(t));
                if (t <= 2 * static_cast<int>(options.steps)) continue;
                golden.replace(tensor("w", t), w);
                golden.replace(tensor("state.slow", t), reference.states["slow"]);
            }
        }
        run_file(golden, result);
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

HERON_DEVICE_TESTS(LookaheadGoldenTest);

}  // namespace
}  // namespace heron::test

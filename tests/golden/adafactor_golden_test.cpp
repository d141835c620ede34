// SPDX-License-Identifier: MIT
// Adafactor against torch.optim and Hugging Face's transformers.
#include <stdexcept>

#include "golden/optimizer_golden.hpp"
#include "golden/reference_golden.hpp"
#include "optim/reference_adafactor.hpp"

namespace heron::test {
namespace {

class AdafactorGoldenTest : public OptimizerGoldenTest {
protected:
    // torch's default eps1 is the machine epsilon of the weights: float64's in the files.
    static AdafactorOptions torch(const GoldenCase& golden) {
        AdafactorOptions options;
        options.lr = static_cast<float>(golden.number("lr", options.lr));
        options.decay = golden.number("beta2_decay", options.decay);
        options.clip_threshold = static_cast<float>(golden.number("d", options.clip_threshold));
        options.weight_decay = static_cast<float>(golden.number("weight_decay", 0.0));
        options.eps1 = 0x1p-52f;
        set_eps(golden, options);
        return options;
    }
    static AdafactorOptions transformers(const GoldenCase& golden) {
        AdafactorOptions options = AdafactorOptions::transformers();
        options.clip_threshold = static_cast<float>(golden.number("clip_threshold", options.clip_threshold));
        options.decay = golden.number("decay_rate", options.decay);
        options.weight_decay = static_cast<float>(golden.number("weight_decay", 0.0));
        options.scale_parameter = golden.flag("scale_parameter", true);
        // 0.0 is another form than null in name alone: its first moment is the update.
        if (!golden.is_null("beta1")) options.beta1 = golden.number("beta1", 0.0);
        const bool relative = golden.flag("relative_step", true), warmup = golden.flag("warmup_init", false);
        options.rate = !relative ? AdafactorRate::constant
                       : warmup  ? AdafactorRate::warmup
                                 : AdafactorRate::capped;
        if (!golden.is_null("lr")) options.lr = static_cast<float>(golden.number("lr", options.lr));
        set_eps(golden, options);
        return options;
    }

    void run_file(const GoldenCase& golden, GoldenResult& result) {
        const AdafactorOptions options = is_torch(golden) ? torch(golden) : transformers(golden);
        OptimizerGolden setup;
        setup.make = [&](const Device& on) { return std::make_unique<Adafactor>(on, options); };
        setup.states = {{"row_var", "row"},
                        {"col_var", "col"},
                        {"variance", "v"},
                        {"exp_avg_sq_row", "row"},
                        {"exp_avg_sq_col", "col"},
                        {"exp_avg_sq", "v"},
                        {"exp_avg", options.beta1 > 0 ? "m" : ""}};
        run_case(golden, result, setup);
    }

private:
    // By the file's name, or where that says nothing by what made it.
    static bool is_torch(const GoldenCase& golden) {
        if (golden.name().starts_with("torch")) return true;
        if (golden.name().starts_with("hf")) return false;
        const std::string source = golden.metadata("source");
        if (source.find("torch.optim") != std::string::npos) return true;
        if (source.find("transformers") != std::string::npos) return false;
        throw std::runtime_error("neither the name nor the source \"" + source +
                                 "\" is torch's or transformers'");
    }

    static void set_eps(const GoldenCase& golden, AdafactorOptions& options) {
        if (!golden.has_value("eps")) return;
        const auto [eps1, eps2] = golden.numbers_or_null("eps");
        if (eps1) options.eps1 = static_cast<float>(*eps1);
        if (eps2) options.eps2 = static_cast<float>(*eps2);
    }
};

TEST_P(AdafactorGoldenTest, EveryFile) {
    run_golden("adafactor", GetParam().name,
               [&](const GoldenCase& golden, GoldenResult& result) { run_file(golden, result); });
}

// A first moment of which nothing stays; the file has it as a state.
TEST_P(AdafactorGoldenTest, TransformersBeta1OfZeroIsNotNull) {
    const ReferenceGolden file({.name = "hf-beta1",
                                .hyper = R"({"lr": null, "beta1": 0.0})",
                                .shape = {9, 5},
                                .states = {{"exp_avg", "row", {9}}}},
                               AdafactorReference(AdafactorOptions::transformers(), {9, 5}));
    EXPECT_TRUE(
        file.passes([&](const GoldenCase& golden, GoldenResult& result) { run_file(golden, result); }));
}

// A name that says nothing of the form.
TEST_P(AdafactorGoldenTest, TheSourceTellsTheFormWhereTheNameDoesNot) {
    const auto passes = [&](AdafactorOptions options, const std::string& hyper, const std::string& source) {
        options.weight_decay = 0.1f;
        const ReferenceGolden file(
            {.name = "heron_adafactor", .hyper = hyper, .shape = {9, 5}, .source = source},
            AdafactorReference(options, {9, 5}));
        return file.passes([&](const GoldenCase& golden, GoldenResult& result) { run_file(golden, result); });
    };
    const std::string decay = R"({"weight_decay": 0.1})";
    EXPECT_TRUE(passes({.eps1 = 0x1p-52f}, decay, "torch 2.6.0 torch.optim.Adafactor"));
    EXPECT_TRUE(
        passes(AdafactorOptions::transformers(), decay, "huggingface/transformers @1 optimization.py"));
    EXPECT_FALSE(passes({.eps1 = 0x1p-52f}, decay, "elsewhere"));
}

HERON_DEVICE_TESTS(AdafactorGoldenTest);

}  // namespace
}  // namespace heron::test

// SPDX-License-Identifier: MIT
// GaLore against its authors' code.
#include <stdexcept>

#include "golden/low_rank_golden.hpp"
#include "golden/merged_golden.hpp"
#include "golden/reference_golden.hpp"
#include "optim/reference_low_rank.hpp"

namespace heron::test {
namespace {

class GaLoreGoldenTest : public LowRankGoldenTest {
public:
    void run_file(const GoldenCase& golden, GoldenResult& result) {
        const GaLoreOptions options = read_options(golden);
        const bool adafactor = options.inner == GaLoreInner::adafactor;
        OptimizerGolden full_rank;
        full_rank.make = [&](const Device& on) { return std::make_unique<GaLore>(on, options); };
        full_rank.lr = options.lr;
        full_rank.states = {
            {"m", adafactor && options.beta1 == 0 ? "" : "m"}, {"v", "v"}, {"row", "row"}, {"col", "col"}};
        full_rank.element_wise = !adafactor;
        full_rank.takes = [&](const Shape& shape) { return options.rank == 0 || shape.rank() < 2; };
        run_case(golden, result, full_rank);

        OptimizerGolden matrices = full_rank;
        matrices.element_wise = false;
        matrices.takes = [&](const Shape& shape) { return !full_rank.takes(shape); };
        LowRankFollower follower;
        follower.rank = options.rank;
        follower.interval = static_cast<int>(options.refresh.interval);
        follower.bases = [&](bool tall) { return bases_of(options, tall); };
        if (!adafactor) follower.adam.emplace(options.beta1, options.beta2, static_cast<double>(options.eps));
        follow_bases(golden, matrices, follower);
        run_case(golden, result, matrices);
    }

private:
    static bool is_right(const GaLoreOptions& options, bool tall) {
        return options.projection == GaLoreProjection::right ||
               options.projection == (tall ? GaLoreProjection::standard : GaLoreProjection::reverse);
    }
    static std::vector<FileBasis> bases_of(const GaLoreOptions& options, bool tall) {
        if (options.projection == GaLoreProjection::full)
            return {{"PL", "left", false}, {"PR", "right", true}};
        const bool right = is_right(options, tall);
        return {{"P", right ? "right" : "left", right}};
    }

    static GaLoreOptions read_options(const GoldenCase& golden) {
        GaLoreOptions options;
        golden.number("steps", 0);
        if (!golden.has("rank") || golden.is_null("rank"))
            options.rank = 0;
        else
            options.rank = static_cast<std::uint32_t>(golden.number("rank"));
        options.refresh.interval = static_cast<std::uint32_t>(golden.number("update_proj_gap", 200));
        options.scale = static_cast<float>(golden.number("scale", 1.0));
        const std::string type = golden.text("proj_type", "std");
        const std::vector<std::pair<std::string, GaLoreProjection>> types{
            {"std", GaLoreProjection::standard},
            {"reverse_std", GaLoreProjection::reverse},
            {"left", GaLoreProjection::left},
            {"right", GaLoreProjection::right},
            {"full", GaLoreProjection::full}};
        const auto found =
            std::find_if(types.begin(), types.end(), [&](const auto& one) { return one.first == type; });
        if (found == types.end())
            throw std::runtime_error("proj_type \"" + type + "\" is not known to this test");
        options.projection = found->second;
        const std::string optimizer = golden.text("optimizer", "adamw");
        if (optimizer == "adamw") {
            set_adam_options(golden, options);
            options.bias_correction = golden.flag("correct_bias", true);
            options.schedule = schedule_of(golden, options.lr);
            return options;
        }
        if (optimizer != "adafactor")
            throw std::runtime_error("optimizer \"" + optimizer + "\" is not known to this test");
        options.inner = GaLoreInner::adafactor;
        options.scale_parameter = golden.flag("scale_parameter", true);
        const bool relative = golden.flag("relative_step", true), warmup = golden.flag("warmup_init", false);
        options.adafactor_rate = !relative ? AdafactorRate::constant
                                 : warmup  ? AdafactorRate::warmup
                                           : AdafactorRate::capped;
        if (!golden.is_null("lr")) options.lr = static_cast<float>(golden.number("lr", options.lr));
        options.schedule = schedule_of(golden, options.lr);
        options.weight_decay = static_cast<float>(golden.number("weight_decay", 0.0));
        options.beta1 = golden.is_null("beta1") ? 0.0 : golden.number("beta1", 0.0);
        options.adafactor_decay = golden.number("decay_rate", -0.8);
        options.clip_threshold = static_cast<float>(golden.number("clip_threshold", 1.0));
        if (golden.has_value("eps")) {
            const auto [eps1, eps2] = golden.numbers_or_null("eps");
            if (eps1) options.adafactor_eps = static_cast<float>(*eps1);
            if (eps2) options.adafactor_eps2 = static_cast<float>(*eps2);
        }
        return options;
    }
};

TEST_P(GaLoreGoldenTest, EveryFile) {
    run_golden("galore", GetParam().name,
               [&](const GoldenCase& golden, GoldenResult& result) { run_file(golden, result); });
}

// Options of the authors' code that none of the project's files has.
TEST_P(GaLoreGoldenTest, OtherOptionsOfTheAuthorsCode) {
    const auto passes = [&](const ReferenceGolden& file) {
        return file.passes([&](const GoldenCase& golden, GoldenResult& result) { run_file(golden, result); });
    };
    GaLoreOptions options{.rank = 9,
                          .lr = 0.01f,
                          .weight_decay = 0.1f,
                          .bias_correction = false,
                          .projection = GaLoreProjection::left,
                          .refresh = {.interval = 2, .stagger = false}};
    ReferenceGoldenSettings settings{
        .name = "rank-above-the-side",
        .hyper = R"({"lr": 0.01, "weight_decay": 0.1, "correct_bias": false, "rank": 9, "update_proj_gap": 2,
                     "proj_type": "left", "steps": 4})",
        .shape = {5, 8},
        .states = {{"P", "left", {5, 5}}, {"m", "m", {5, 8}}}};
    EXPECT_TRUE(passes(ReferenceGolden(settings, GaLoreReference(options, settings.shape))));
    // An option that is read wrongly shows.
    options.bias_correction = true;
    EXPECT_FALSE(passes(ReferenceGolden(settings, GaLoreReference(options, settings.shape))));

    GaLoreOptions adafactor{.rank = 3,
                            .lr = 0.02f,
                            .beta1 = 0,
                            .scale = 0.5f,
                            .projection = GaLoreProjection::reverse,
                            .refresh = {.interval = 3, .stagger = false},
                            .inner = GaLoreInner::adafactor,
                            .adafactor_decay = -0.7,
                            .clip_threshold = 0.5f};
    settings = {.name = "adafactor-without-beta1",
                .hyper = R"({"optimizer": "adafactor", "lr": 0.02, "beta1": null, "eps": [1e-30, 1e-3],
                             "clip_threshold": 0.5, "decay_rate": -0.7, "scale_parameter": false,
                             "relative_step": false, "rank": 3, "update_proj_gap": 3, "scale": 0.5,
                             "proj_type": "reverse_std", "steps": 4})",
                .shape = {10, 6},
                .states = {{"P", "left", {10, 3}}, {"row", "row", {3}}}};
    EXPECT_TRUE(passes(ReferenceGolden(settings, GaLoreReference(adafactor, settings.shape))));
}

HERON_DEVICE_TESTS(GaLoreGoldenTest);

}  // namespace
}  // namespace heron::test

// SPDX-License-Identifier: MIT
// Online Subspace Descent against its authors' code.
#include <stdexcept>

#include "golden/low_rank_golden.hpp"
#include "golden/reference_golden.hpp"
#include "optim/reference_low_rank.hpp"

namespace heron::test {
namespace {

class OnlineSubspaceDescentGoldenTest : public LowRankGoldenTest {
public:
    void run_file(const GoldenCase& golden, GoldenResult& result) {
        const OnlineSubspaceDescentOptions options = read_options(golden);
        OptimizerGolden full_rank;
        full_rank.make = [&](const Device& on) {
            return std::make_unique<OnlineSubspaceDescent>(on, options);
        };
        full_rank.lr = options.lr;
        full_rank.states = {{"m", "m"}, {"v", "v"}};
        full_rank.element_wise = true;
        full_rank.takes = [&](const Shape& shape) { return options.rank == 0 || shape.rank() < 2; };
        run_case(golden, result, full_rank);

        OptimizerGolden matrices = full_rank;
        matrices.element_wise = false;
        matrices.takes = [&](const Shape& shape) { return !full_rank.takes(shape); };
        LowRankFollower follower;
        follower.rank = options.rank;
        // Draws are the file's.
        if (options.descent.rule == SubspaceRule::random) follower.interval = std::numeric_limits<int>::max();
        follower.bases = [](bool tall) {
            return std::vector<FileBasis>{{"P", tall ? "right" : "left", tall}};
        };
        follow_bases(golden, matrices, follower);
        run_case(golden, result, matrices);
        if (options.descent.rule == SubspaceRule::random) ignore_next_bases(golden);
    }

private:
    // Files of this algorithm have the basis that the last step leaves, as that of a step to come. Of draws
    // there is nothing to compare in it.
    static void ignore_next_bases(const GoldenCase& golden) {
        for (const std::string& name : golden.parameters()) {
            int t = 1;
            while (golden.has_tensor(GoldenCase::tensor_name("g", name, t))) ++t;
            golden.ignore(GoldenCase::tensor_name("state.P", name, t));
        }
    }

    // "name=<number>" in the file's words for the projector's optimizer.
    static double number_after(const std::string& text, const std::string& name, double fallback) {
        const std::size_t at = text.find(name);
        return at == std::string::npos ? fallback : std::stod(text.substr(at + name.size()));
    }

    static OnlineSubspaceDescentOptions read_options(const GoldenCase& golden) {
        OnlineSubspaceDescentOptions options;
        options.iterations = 0;
        golden.number("steps", 0);
        options.rank = !golden.has("rank") || golden.is_null("rank")
                           ? 0
                           : static_cast<std::uint32_t>(golden.number("rank"));
        const std::string optimizer = golden.text("optimizer", "adamw");
        if (optimizer == "lion") {
            options.inner = GaLoreInner::lion;
            options.beta2 = 0.99;
        } else if (optimizer != "adamw") {
            throw std::runtime_error("optimizer \"" + optimizer + "\" is not known to this test");
        }
        set_adam_options(golden, options);
        options.bias_correction = golden.flag("correct_bias", true);
        options.scale = static_cast<float>(golden.number("scale", 1.0));
        options.descent.rate = static_cast<float>(1 / golden.number("update_proj_gap", 200));
        const std::string type = golden.text("proj_type", "continuous");
        if (type == "continuous_lion") {
            options.descent.rule = SubspaceRule::lion;
            options.descent.beta2 = 0.99;
            options.descent.weight_decay = 0;
        } else if (type == "continuous_sgd") {
            options.descent.rule = SubspaceRule::sgd;
        } else if (type == "random") {
            options.descent.rule = SubspaceRule::random;
            options.descent.interval = 0x80000000u;
        } else if (type != "continuous") {
            throw std::runtime_error("proj_type \"" + type + "\" is not known to this test");
        }
        const std::string projector = golden.text("projector_optimizer", "");
        SubspaceDescentOptions& descent = options.descent;
        descent.beta1 = number_after(projector, "betas=(", descent.beta1);
        if (const std::size_t betas = projector.find("betas=("); betas != std::string::npos)
            descent.beta2 = number_after(projector.substr(betas), ",", descent.beta2);
        descent.eps = static_cast<float>(number_after(projector, "eps=", static_cast<double>(descent.eps)));
        descent.weight_decay = static_cast<float>(
            number_after(projector, "weight_decay=", static_cast<double>(descent.weight_decay)));
        options.schedule = schedule_of(golden, options.lr);
        return options;
    }
};

TEST_P(OnlineSubspaceDescentGoldenTest, EveryFile) {
    run_golden("online_subspace_descent", GetParam().name,
               [&](const GoldenCase& golden, GoldenResult& result) { run_file(golden, result); });
}

// A file that says other things of its projector's optimizer than the project's.
TEST_P(OnlineSubspaceDescentGoldenTest, OptionsOfTheProjectorAreRead) {
    OnlineSubspaceDescentOptions options{.rank = 3, .lr = 0.01f, .scale = 0.5f};
    options.descent = {.rate = 0.1f, .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-6f, .weight_decay = 0.2f};
    const ReferenceGoldenSettings settings{
        .name = "projector",
        .hyper = R"({"lr": 0.01, "rank": 3, "update_proj_gap": 10, "scale": 0.5, "proj_type": "continuous",
                     "projector_optimizer": "AdamW lr=1/gap betas=(0.8,0.95) eps=1e-6 weight_decay=0.2"})",
        .shape = {6, 11}};
    const auto passes = [&] {
        // The reference's basis after a step is the file's of the next.
        SubspaceDescentReference reference(galore_options(options), options.descent, settings.shape);
        return ReferenceGolden(settings, std::move(reference))
            .passes([&](const GoldenCase& golden, GoldenResult& result) { run_file(golden, result); });
    };
    EXPECT_TRUE(passes());
    options.descent.weight_decay = 0.1f;
    EXPECT_FALSE(passes());
}

// Random bases are the file's, which has one more of them than steps.
TEST_P(OnlineSubspaceDescentGoldenTest, RandomBasesAreRead) {
    GaLoreOptions options{
        .rank = 3, .lr = 0.01f, .scale = 0.5f, .refresh = {.interval = 50, .stagger = false}};
    const ReferenceGoldenSettings settings{
        .name = "random-bases",
        .hyper = R"({"lr": 0.01, "rank": 3, "update_proj_gap": 50, "scale": 0.5, "proj_type": "random"})",
        .shape = {6, 11},
        .states = {{"P", "left", {6, 3}}, {"m", "m", {3, 11}}},
        .next = {{"P", "left", {6, 3}}}};
    const auto passes = [&] {
        return ReferenceGolden(settings, GaLoreReference(options, settings.shape))
            .passes([&](const GoldenCase& golden, GoldenResult& result) { run_file(golden, result); });
    };
    EXPECT_TRUE(passes());
    options.scale = 0.25f;
    EXPECT_FALSE(passes());
}

HERON_DEVICE_TESTS(OnlineSubspaceDescentGoldenTest);

}  // namespace
}  // namespace heron::test

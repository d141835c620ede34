// SPDX-License-Identifier: MIT
// AdaMuon against its authors' code, and the paper's formulas.
#include <algorithm>
#include <limits>
#include <map>
#include <random>

#include "golden/adamuon_signs.hpp"
#include "golden/matrix_golden.hpp"
#include "golden/reference_golden.hpp"

namespace heron::test {
namespace {

class AdaMuonGoldenTest : public MatrixGoldenTest {
protected:
    void run_file(const GoldenCase& golden, GoldenResult& result) {
        const bool paper = golden.metadata("kind") == "transcription";
        AdaMuonOptions options = paper ? AdaMuonOptions::paper() : AdaMuonOptions();
        options.lr = static_cast<float>(golden.number("lr", options.lr));
        options.weight_decay = static_cast<float>(golden.number("weight_decay", options.weight_decay));
        options.momentum = golden.number(golden.has("beta") ? "beta" : "momentum", options.momentum);
        options.nesterov = golden.flag("nesterov", options.nesterov);
        options.eps = static_cast<float>(golden.number("eps", options.eps));
        options.polar.coefficients = muon_steps(golden);
        OptimizerGolden setup;
        setup.states = {{"momentum", "momentum"}, {"v", "v"}};
        // Ten times what float32 costs of a second moment of Newton-Schulz's result (5.3e-6).
        setup.state_bounds = {{"v", 5.3e-5}};
        std::map<std::string, AdaMuonSigns> signs;  // by the parameter's name in the plan
        setup.prepare = [&](Plan&, const std::string& in_file, const std::string& in_plan, int t) {
            const GoldenTensor g = golden.tensor(GoldenCase::tensor_name("g", in_file, t));
            if (t == 1)
                signs.insert_or_assign(in_plan,
                                       AdaMuonSigns(options, g.shape[0], g.shape.count() / g.shape[0]));
            std::vector<double> w = golden.tensor(GoldenCase::tensor_name("w", in_file, t - 1)).values;
            signs.at(in_plan).step(w, g.values, static_cast<std::uint64_t>(t));
        };
        setup.undecided = [&](const std::string& in_plan, int) {
            const std::vector<Interval>& intervals = signs.at(in_plan).intervals();
            constexpr double any = std::numeric_limits<double>::infinity();
            return everything_is_undecided_ ? std::vector<Interval>(intervals.size(), {-any, any})
                                            : intervals;
        };
        run_both<AdaMuon>(golden, result, options, setup);
    }

    bool everything_is_undecided_ = false;
};

// AdaMuon in float64, but some elements of the update are multiplied by a factor: what a file with these
// elements would hold.
class Altered : public AdaMuonReference {
public:
    Altered(const AdaMuonOptions& options, const Shape& shape, std::vector<std::size_t> elements,
            double factor)
        : AdaMuonReference(options, {{shape[0], shape[1], 1.0}}),
          elements_(std::move(elements)),
          factor_(factor) {}

    void step(std::vector<double>& w, const std::vector<double>& g, std::uint64_t t) override {
        const std::vector<double> before = w;
        AdaMuonReference::step(w, g, t);
        for (const std::size_t i : elements_) w[i] = before[i] + factor_ * (w[i] - before[i]);
    }

private:
    std::vector<std::size_t> elements_;
    double factor_;
};

TEST_P(AdaMuonGoldenTest, EveryFile) {
    run_golden("adamuon", GetParam().name,
               [&](const GoldenCase& golden, GoldenResult& result) { run_file(golden, result); });
}

// A sign that rounding decides may be the other one; no other sign may, and nothing but the sign, and no more
// than a few.
TEST_P(AdaMuonGoldenTest, ASignThatRoundingDecidesMayBeTheOtherOne) {
    const AdaMuonOptions options{.lr = 0.01f, .weight_decay = 0};
    const Shape shape{48, 80};
    // About one file in eight has such an element: the first one. ReferenceGolden draws w, then g.
    std::uint32_t seed = 0;
    std::size_t undecided = 0;
    double width = 0;
    do {
        ASSERT_LT(++seed, 200u);
        std::mt19937 random(seed);
        gaussian(shape[0], shape[1], random);
        const Matrix g = gaussian(shape[0], shape[1], random);
        const std::vector<double> gradient(g.data(), g.data() + g.size());
        std::vector<double> unused(gradient.size());
        AdaMuonSigns signs(options, shape[0], shape[1]);
        signs.step(unused, gradient, 1);
        width = 0;
        for (std::size_t i = 0; i < gradient.size(); ++i)
            if (const Interval& of = signs.intervals()[i]; of.most - of.least > width) {
                width = of.most - of.least;
                undecided = i;
            }
        // A sign is 0.2 lr, its reversal twice that.
    } while (width < 0.39 * static_cast<double>(options.lr));

    const auto passes = [&](std::vector<std::size_t> elements, double factor) {
        const ReferenceGolden file(
            {.name = "heron_adamuon_sign",
             .hyper =
                 R"({"lr": 0.01, "weight_decay": 0.0, "momentum": 0.95, "nesterov": true, "ns_steps": 5, "eps": 1e-8})",
             .shape = shape,
             .steps = 1,
             .seed = seed},
            Altered(options, shape, std::move(elements), factor));
        return file.passes([&](const GoldenCase& golden, GoldenResult& result) { run_file(golden, result); });
    };
    const std::size_t decided = undecided == 0 ? 1 : 0;
    EXPECT_TRUE(passes({}, 1));
    EXPECT_TRUE(passes({undecided}, -1));
    EXPECT_FALSE(passes({decided}, -1));
    EXPECT_FALSE(passes({undecided, decided}, -1));
    EXPECT_FALSE(passes({undecided}, -1.1));
    EXPECT_FALSE(passes({undecided}, 1.1));
    everything_is_undecided_ = true;
    EXPECT_TRUE(passes({0, 1, 2}, -1));
    EXPECT_FALSE(passes({0, 1, 2, 3}, -1));
}

HERON_DEVICE_TESTS(AdaMuonGoldenTest);

}  // namespace
}  // namespace heron::test

// SPDX-License-Identifier: MIT
// FISMO against a float64 transcription of Algorithm 1 and of this library's options.
#include <algorithm>
#include <stdexcept>

#include "golden/optimizer_golden.hpp"

namespace heron::test {
namespace {

class FismoGoldenTest : public OptimizerGoldenTest {
public:
    void run_fismo(const GoldenCase& golden, GoldenResult& result) {
        FismoOptions options = FismoOptions::paper();
        // The file's factor on the step does not multiply the decay.
        const double scale = golden.number("lr_scale", 1.0);
        options.lr = static_cast<float>(golden.number("lr") * scale);
        options.weight_decay = static_cast<float>(golden.number("weight_decay", 0.0) / scale);
        options.momentum = golden.number("beta");
        options.nesterov = golden.flag("nesterov", false);
        options.factor_decay = golden.number("gamma");
        options.damping = static_cast<float>(golden.number("mu"));
        options.refresh.interval = static_cast<std::uint32_t>(golden.number("refresh", 1));
        options.refresh.stagger = false;
        options.statistic_scale = choice(golden, "stat_norm", "none", {"unit_trace", "none"}) == 0
                                      ? StatisticScale::unit_trace
                                      : StatisticScale::paper;
        options.whitening = choice(golden, "whitening", "symmetric", {"symmetric", "cholesky"}) == 0
                                ? Whitening::symmetric
                                : Whitening::cholesky;
        options.momentum_space = choice(golden, "momentum_space", "whitened", {"whitened", "gradient"}) == 0
                                     ? MomentumSpace::whitened
                                     : MomentumSpace::gradient;
        const auto steps = static_cast<std::uint32_t>(golden.number("ns_steps", 5));
        switch (choice(golden, "polar", "ns5", {"exact", "ns5", "ns_cubic"})) {
            case 0:
                options.exact_polar = true;
                break;
            case 1:
                options.polar.coefficients = newton_schulz_coefficients("muon", steps);
                break;
            case 2:
                options.polar.coefficients.assign(steps, {1.5, -0.5, 0.0});
                break;
        }
        OptimizerGolden setup;
        setup.states = {{"P", "P"},
                        {"Q", "Q"},
                        {"P_whitener", "P_whitener"},
                        {"Q_whitener", "Q_whitener"},
                        {"P_inv_sqrt", "P_whitener"},
                        {"Q_inv_sqrt", "Q_whitener"},
                        {"M", "momentum"},
                        {"polar", ""},
                        {"direction", ""}};
        // Ten times what rounding to f32 costs the file's own author.
        setup.update_bound = float32_bound(golden);
        for (const auto& [name, state] : setup.states) setup.state_bounds[name] = setup.update_bound;
        setup.make = [&](const Device& on) { return std::make_unique<Fismo>(on, options); };
        run_case(golden, result, setup);
    }

private:
    static std::size_t choice(const GoldenCase& golden, const std::string& key, const std::string& fallback,
                              const std::vector<std::string>& known) {
        const std::string value = golden.text(key, fallback);
        const auto at = std::find(known.begin(), known.end(), value);
        if (at == known.end()) throw std::runtime_error(key + " \"" + value + "\" is not known to this test");
        return static_cast<std::size_t>(at - known.begin());
    }
};

TEST_P(FismoGoldenTest, EveryFile) {
    run_golden("fismo", GetParam().name,
               [&](const GoldenCase& golden, GoldenResult& result) { run_fismo(golden, result); });
}

HERON_DEVICE_TESTS(FismoGoldenTest);

}  // namespace
}  // namespace heron::test

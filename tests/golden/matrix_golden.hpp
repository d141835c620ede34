// SPDX-License-Identifier: MIT
// What the golden tests of Muon's family share: both forms of the iteration, and the hyperparameters that
// their files name alike.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "golden/optimizer_golden.hpp"

namespace heron::test {

class MatrixGoldenTest : public OptimizerGoldenTest {
protected:
    // The file in the one-workgroup form and as separate products.
    template <class Algorithm, class Options>
    void run_both(const GoldenCase& golden, GoldenResult& result, Options options,
                  OptimizerGolden setup = {}) {
        for (const bool one_workgroup : {true, false}) {
            options.polar.one_workgroup = one_workgroup;
            setup.make = [options](const Device& on) { return std::make_unique<Algorithm>(on, options); };
            run_case(golden, result, setup, one_workgroup ? "one workgroup: " : "products: ");
        }
    }

    static std::vector<NewtonSchulzCoefficients> muon_steps(const GoldenCase& golden) {
        return newton_schulz_coefficients("muon", static_cast<std::uint32_t>(golden.number("ns_steps", 5)));
    }

    // microsoft/dion: Polar Express unless the file says otherwise.
    static void set_dion_polar(const GoldenCase& golden, PolarOptions& options) {
        options.eps = golden.number("epsilon", options.eps);
        if (!golden.flag("use_polar_express", true)) {
            options.coefficients = newton_schulz_coefficients("you5");
            options.norm_factor = 1.0;
        }
    }
    static ShapeFactor dion_factor(const GoldenCase& golden, ShapeFactor fallback) {
        if (golden.is_null("adjust_lr")) return ShapeFactor::none;
        const std::string rule = golden.text("adjust_lr", "");
        if (rule.empty()) return fallback;
        if (rule == "spectral_norm") return ShapeFactor::sqrt_ratio;
        if (rule == "rms_norm") return ShapeFactor::match_rms;
        throw std::runtime_error("adjust_lr \"" + rule + "\" is not known to this test");
    }
};

}  // namespace heron::test

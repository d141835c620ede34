// SPDX-License-Identifier: MIT
// What the golden tests of Muon's family share: both forms of the iteration, and the hyperparameters that
// their files name alike.
#pragma once

#include <functional>
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
        const auto steps = static_cast<std::uint32_t>(golden.number("ns_steps", 5));
        const std::vector<double> triple =
            golden.numbers(golden.has("coeff") ? "coeff" : "ns_coefficients", {});
        if (triple.empty()) return newton_schulz_coefficients("muon", steps);
        return std::vector<NewtonSchulzCoefficients>(steps, {triple.at(0), triple.at(1), triple.at(2)});
    }

    // microsoft/dion's iteration by name, "ns", or by its flags; Polar Express where the file has neither.
    static void set_dion_polar(const GoldenCase& golden, PolarOptions& options) {
        options.eps = golden.number("epsilon", options.eps);
        const bool polar_express = golden.flag("use_polar_express", true);
        const bool gram = golden.flag("use_gram_newton_schulz", false);
        const std::string method = golden.text("ns", gram            ? "gram_newton_schulz"
                                                     : polar_express ? "polar_express"
                                                                     : "newton_schulz");
        if (method == "polar_express") return;
        options.norm_factor = 1.0;
        if (method == "gram" || method == "gram_newton_schulz") {
            options.form = PolarForm::gram;
            options.coefficients = newton_schulz_coefficients("pe-gram");
        } else if (method.starts_with("newton_schulz") || method == "you5" || method == "quintic") {
            options.coefficients = newton_schulz_coefficients("you5");
        } else {
            throw std::runtime_error("ns \"" + method + "\" is not known to this test");
        }
    }
    // ... and its views: more than two axes are a batch of matrices unless "flatten" says otherwise.
    static std::function<MatrixView(const Shape&)> dion_view(const GoldenCase& golden) {
        MatrixView view;
        if (golden.has_value("num_heads"))
            view.heads = static_cast<std::uint32_t>(golden.number("num_heads"));
        if (golden.has_value("split_sizes"))
            for (const double rows : golden.numbers("split_sizes"))
                view.row_splits.push_back(static_cast<std::uint64_t>(rows));
        const bool flatten = golden.flag("flatten", false);
        return [=](const Shape& shape) {
            MatrixView of_shape = view;
            of_shape.batch = !flatten && shape.rank() > 2;
            return of_shape;
        };
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

// SPDX-License-Identifier: MIT
// Which form of the iteration polar() takes, and what the forms cost.
#include <algorithm>
#include <array>

#include "linalg/polar.hpp"

namespace heron {

std::span<const NewtonSchulzCoefficients> polar_coefficients(const PolarOptions& options) {
    static constexpr NewtonSchulzCoefficients kMuon = {3.4445, -4.7750, 2.0315};
    static constexpr std::array<NewtonSchulzCoefficients, 5> kDefault = {kMuon, kMuon, kMuon, kMuon, kMuon};
    if (options.coefficients.empty()) return kDefault;
    return options.coefficients;
}

bool polar_restarts_before(const PolarOptions& options, std::size_t iteration) {
    return std::find(options.restarts.begin(), options.restarts.end(), iteration) != options.restarts.end();
}

std::size_t polar_products_with_x(PolarForm form, const PolarOptions& options) {
    const std::size_t iterations = polar_coefficients(options).size();
    if (form == PolarForm::standard) return iterations;
    std::size_t count = 1;
    for (std::size_t i = 1; i < iterations; ++i) count += polar_restarts_before(options, i) ? 1 : 0;
    return count;
}

double polar_standard_flops(double k, double K, const PolarOptions& options) {
    double flops = 0.0;
    for (const auto& coefficients : polar_coefficients(options))
        flops += 3.0 * k * k * K + (coefficients.c != 0.0 ? k * k * k : 0.0);
    return flops;
}

double polar_gram_flops(double k, double K, const PolarOptions& options) {
    const auto coefficients = polar_coefficients(options);
    double flops = k * k * K;  // the first R
    bool q_is_identity = true;
    for (std::size_t i = 0; i < coefficients.size(); ++i) {
        if (coefficients[i].c != 0.0) flops += k * k * k;
        if (!q_is_identity) flops += k * k * k;
        q_is_identity = false;
        const bool last = i + 1 == coefficients.size();
        if (last || polar_restarts_before(options, i + 1)) {
            flops += 2.0 * k * k * K + (last ? 0.0 : k * k * K);
            q_is_identity = true;
        } else {
            flops += 2.0 * k * k * k;
        }
    }
    return flops;
}

PolarChoice choose_polar_form(std::uint64_t rows, std::uint64_t cols, const PolarOptions& options) {
    if (rows == cols) return {PolarForm::standard, "a square matrix"};
    if (options.form == PolarForm::standard || options.form == PolarForm::gram)
        return {options.form, "forced by PolarOptions::form"};
    // Rounding errors of R grow with every iteration since it was formed: without a restart singular values
    // that are small against 1 are lost (specification section 1.4), in 16 bits after two iterations already.
    const std::size_t iterations = polar_coefficients(options).size();
    const std::size_t longest = options.precision == DType::f32 ? 4 : 3;
    const std::size_t first_longest = options.precision == DType::f32 ? 4 : 2;
    std::size_t run = 0;
    bool restarted = false;
    for (std::size_t i = 0; i < iterations; ++i) {
        if (polar_restarts_before(options, i)) {
            restarted = true;
            run = 0;
        }
        if (++run > (restarted ? longest : first_longest))
            return {PolarForm::standard, "too many iterations without a restart for the Gram matrix"};
    }
    if (!restarted) return {PolarForm::standard, "no restarts for the Gram matrix"};
    const auto k = static_cast<double>(std::min(rows, cols)), K = static_cast<double>(std::max(rows, cols));
    if (polar_gram_flops(k, K, options) < polar_standard_flops(k, K, options))
        return {PolarForm::gram, "fewer FLOPs than the standard form"};
    return {PolarForm::standard, "no more FLOPs than the Gram form"};
}

}  // namespace heron

// SPDX-License-Identifier: MIT
// Which form of the iteration polar() takes, and what the forms cost: the Gram form where it has clearly
// fewer FLOPs, with restarts so often that it is about as precise as the standard form. How often was
// measured for each precision: before every second iteration, and in two f32 words never.
//
// Rounding errors of the Gram matrix R grow with every iteration since it was formed, and reach singular
// values whose squares they exceed. Relative errors on lavapipe of five iterations of pe-dion, 256 x 2048;
// singular values from 1 to 1e-2 and from 1 to 1e-5, even in their logarithms, and 1, 1/2 ... 1/10 and zeros:
//
//                       to 1e-2                     to 1e-5                     rank 10
//   restarts       f32     f16     bf16        f32     f16     bf16        f32     f16     bf16
//   standard form  1.6e-6  3.5e-3  2.8e-2      4.9e-6  1.7e-2  1.4e-1      2.2e-5  6.9e-2  5.5e-1
//   2, 4           5.9e-6  5.3e-3  4.5e-2      1.1e-5  1.4e-2  1.1e-1      4.2e-5  6.3e-2  5.0e-1
//   2              3.5e-5  2.3e-2  1.9e-1      7.0e-5  4.4e-2  3.6e-1      9.0e-5  7.1e-2  5.7e-1
//   all rounded            -  5.0e-3  3.9e-2           -  1.5e-2  1.1e-1           -  5.5e-2  4.1e-1
//   two words              -  1.7e-6  2.9e-5           -  5.6e-6  4.7e-5           -  2.5e-5  9.8e-5
//   two words, 2, 4        -  6.6e-6  1.7e-4           -  1.1e-5  2.8e-4           -  4.5e-5  1.1e-3
//
// "All rounded" is the standard form with every product and sum rounded to 16 bits, as the published codes
// have it in bf16 (emulated): 16-bit iterates lose that much in any form. With two words
// (PolarOptions::words) f16 is as good as f32, and f32 loses nothing that the table could show.
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
    if (options.form == PolarForm::automatic) return !polar_has_two_f32_words(options) && iteration % 2 == 0;
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
    // At 4/5 the Gram form, which has more levels and smaller products, was never the slower one (lavapipe,
    // k from 64 to 512).
    constexpr double kWorthwhile = 0.8;
    const auto k = static_cast<double>(std::min(rows, cols)), K = static_cast<double>(std::max(rows, cols));
    if (polar_gram_flops(k, K, options) <= kWorthwhile * polar_standard_flops(k, K, options))
        return {PolarForm::gram, "at least a fifth fewer FLOPs than the standard form"};
    return {PolarForm::standard, "the Gram form would not be a fifth fewer FLOPs"};
}

}  // namespace heron

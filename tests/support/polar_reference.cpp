// SPDX-License-Identifier: MIT
#include "support/polar_reference.hpp"

#include <algorithm>

namespace heron::test {

Matrix matrix_of(std::span<const double> values, std::uint64_t rows, std::uint64_t cols) {
    return Eigen::Map<const Matrix>(values.data(), static_cast<Eigen::Index>(rows),
                                    static_cast<Eigen::Index>(cols));
}

Matrix polar_reference(const Matrix& a, const PolarOptions& options) {
    if (a.size() == 0) return a;
    // stableNorm: the square of 1e-200 would vanish.
    const double norm = a.stableNorm();
    const double nu = options.norm_rule == NormRule::added
                          ? options.norm_factor * norm + options.eps
                          : std::max(options.norm_factor * norm, options.eps);
    if (nu == 0.0) return a;
    const bool tall = a.rows() > a.cols();
    Matrix x = (tall ? Matrix(a.transpose()) : a) / nu;
    for (const auto& [ca, cb, cc] :
         options.coefficients.empty() ? newton_schulz_coefficients("muon") : options.coefficients) {
        const Matrix s = x * x.transpose();
        const Matrix b = cb * s + cc * (s * s);
        x = ca * x + b * x;
    }
    return tall ? Matrix(x.transpose()) : x;
}

Matrix gaussian(std::uint64_t rows, std::uint64_t cols, std::mt19937& random) {
    std::normal_distribution<double> normal;
    Matrix a(static_cast<Eigen::Index>(rows), static_cast<Eigen::Index>(cols));
    for (Eigen::Index i = 0; i < a.size(); ++i) a.data()[i] = normal(random);
    return a;
}

Matrix with_singular_values(std::uint64_t rows, std::uint64_t cols, const std::vector<double>& sigma,
                            std::mt19937& random) {
    const auto k = static_cast<Eigen::Index>(sigma.size());
    const Matrix u = orthonormal_basis(gaussian(rows, sigma.size(), random));
    const Matrix v = orthonormal_basis(gaussian(cols, sigma.size(), random));
    return u * Eigen::Map<const Vector>(sigma.data(), k).asDiagonal() * v.transpose();
}

Matrix well_conditioned(std::uint64_t rows, std::uint64_t cols, double low, std::mt19937& random) {
    std::vector<double> sigma(std::min(rows, cols));
    for (std::size_t i = 0; i < sigma.size(); ++i)
        sigma[i] = sigma.size() == 1
                       ? 1.0
                       : low + (1.0 - low) * static_cast<double>(i) / static_cast<double>(sigma.size() - 1);
    return with_singular_values(rows, cols, sigma, random);
}

}  // namespace heron::test

// SPDX-License-Identifier: MIT
// Newton-Schulz in float64, and matrices with chosen singular values.
#pragma once

#include <Eigen/Dense>
#include <algorithm>
#include <random>
#include <span>
#include <vector>

#include "heron/linalg.hpp"

namespace heron::test {

using Matrix64 = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

inline Matrix64 matrix_of(std::span<const double> values, std::uint64_t rows, std::uint64_t cols) {
    return Eigen::Map<const Matrix64>(values.data(), static_cast<Eigen::Index>(rows),
                                      static_cast<Eigen::Index>(cols));
}

// What polar() computes, by its definition: norm, quotient, then the polynomials. Options are taken as given
// in double, coefficients as well.
inline Matrix64 polar_reference(const Matrix64& a, const PolarOptions& options) {
    if (a.size() == 0) return a;
    // stableNorm: the square of 1e-200 would vanish.
    const double norm = a.stableNorm();
    const double nu = options.norm_rule == NormRule::added
                          ? options.norm_factor * norm + options.eps
                          : std::max(options.norm_factor * norm, options.eps);
    if (nu == 0.0) return a;
    const bool tall = a.rows() > a.cols();
    Matrix64 x = (tall ? Matrix64(a.transpose()) : a) / nu;
    for (const auto& [ca, cb, cc] :
         options.coefficients.empty() ? newton_schulz_coefficients("muon") : options.coefficients) {
        const Matrix64 s = x * x.transpose();
        const Matrix64 b = cb * s + cc * (s * s);
        x = (ca * x + b * x).eval();
    }
    return tall ? Matrix64(x.transpose()) : x;
}

inline Matrix64 gaussian(std::uint64_t rows, std::uint64_t cols, std::mt19937& random) {
    std::normal_distribution<double> normal;
    Matrix64 a(static_cast<Eigen::Index>(rows), static_cast<Eigen::Index>(cols));
    for (Eigen::Index i = 0; i < a.size(); ++i) a.data()[i] = normal(random);
    return a;
}

// U diag(sigma) V^T with random U and V; sigma has min(rows, cols) entries.
inline Matrix64 with_singular_values(std::uint64_t rows, std::uint64_t cols, const std::vector<double>& sigma,
                                     std::mt19937& random) {
    const auto k = static_cast<Eigen::Index>(sigma.size());
    const auto basis = [&](std::uint64_t n) {
        const Eigen::MatrixXd g = gaussian(n, sigma.size(), random);
        return Eigen::MatrixXd(Eigen::HouseholderQR<Eigen::MatrixXd>(g).householderQ() *
                               Eigen::MatrixXd::Identity(g.rows(), k));
    };
    const Eigen::MatrixXd u = basis(rows), v = basis(cols);
    return u * Eigen::Map<const Eigen::VectorXd>(sigma.data(), k).asDiagonal() * v.transpose();
}

// Singular values spread evenly over [low, 1].
inline Matrix64 well_conditioned(std::uint64_t rows, std::uint64_t cols, double low, std::mt19937& random) {
    std::vector<double> sigma(std::min(rows, cols));
    for (std::size_t i = 0; i < sigma.size(); ++i)
        sigma[i] = sigma.size() == 1
                       ? 1.0
                       : low + (1.0 - low) * static_cast<double>(i) / static_cast<double>(sigma.size() - 1);
    return with_singular_values(rows, cols, sigma, random);
}

}  // namespace heron::test

// SPDX-License-Identifier: MIT
// Newton-Schulz in float64, and matrices with chosen singular values.
#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "heron/linalg/polar.hpp"
#include "support/matrix.hpp"

namespace heron::test {

Matrix matrix_of(std::span<const double> values, std::uint64_t rows, std::uint64_t cols);

// What polar() computes, by its definition: norm, quotient, then the polynomials. Options are taken as given
// in double, coefficients as well.
Matrix polar_reference(const Matrix& a, const PolarOptions& options);

Matrix gaussian(std::uint64_t rows, std::uint64_t cols, std::mt19937& random);

// U diag(sigma) V^T with random U and V; sigma has min(rows, cols) entries.
Matrix with_singular_values(std::uint64_t rows, std::uint64_t cols, const std::vector<double>& sigma,
                            std::mt19937& random);

// Singular values spread evenly over [low, 1].
Matrix well_conditioned(std::uint64_t rows, std::uint64_t cols, double low, std::mt19937& random);

}  // namespace heron::test

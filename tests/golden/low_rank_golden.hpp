// SPDX-License-Identifier: MIT
// Bases of golden files of GaLore and its relatives.
//
// A file's basis has the signs of its library. Before each step the plan gets the file's basis of that step:
// at a refresh ours takes the same signs, and is compared; errors do not pile up over refreshes.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "golden/optimizer_golden.hpp"
#include "support/matrix.hpp"
#include "support/polar_reference.hpp"

namespace heron::test {

// A basis of the file, as the plan has it: vectors are columns.
inline std::vector<double> basis_columns(const GoldenTensor& basis, bool rows_in_file) {
    if (!rows_in_file) return basis.values;
    const Matrix columns = matrix_of(basis.values, basis.shape[0], basis.shape[1]).transpose();
    return {columns.data(), columns.data() + columns.size()};
}

inline void write_basis(Plan& plan, const std::string& state, const std::vector<double>& values) {
    const std::vector<float> floats(values.begin(), values.end());
    plan.write_state(state, std::as_bytes(std::span(floats)));
}

// The largest singular value over the smallest distance of one of the first r to another (for vectors of the
// longer side to zero, too): float32 turns the vectors by 4 u times that.
inline double closeness(const GoldenTensor& g, std::uint64_t rank, bool longer_side) {
    const Vector values = singular_values(matrix_of(g.values, g.shape[0], g.shape.count() / g.shape[0]));
    const Eigen::Index r = std::min<Eigen::Index>(static_cast<Eigen::Index>(rank), values.size());
    double gap = std::numeric_limits<double>::infinity();
    for (Eigen::Index j = 0; j < r; ++j) {
        for (Eigen::Index k = 0; k < values.size(); ++k)
            if (k != j) gap = std::min(gap, std::abs(values[j] - values[k]));
        if (longer_side) gap = std::min(gap, values[j]);
    }
    return values[0] / gap;
}

}  // namespace heron::test

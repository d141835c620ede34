// SPDX-License-Identifier: MIT
// How the optimizers of matrices see a parameter: as one or more matrices, each with its shape factor.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "heron/optim/matrix.hpp"
#include "heron/train.hpp"

namespace heron {

// One matrix: rows x cols elements of the parameter, contiguous, beginning with element `first`.
struct MatrixBlock {
    std::uint64_t first;
    std::uint64_t rows;
    std::uint64_t cols;
    double shape_factor;
    std::uint64_t count() const { return rows * cols; }
};

// The factor of an m x n matrix.
double shape_factor(ShapeFactor rule, double m, double n);

// Throws (invalid_argument), in the name of `optimizer`, for fewer than two axes, and a view that does not
// fit the shape.
std::vector<MatrixBlock> matrix_blocks(std::string_view optimizer, const Parameter& parameter,
                                       ShapeFactor rule, ConvFactor conv_factor = ConvFactor::matrix);

}  // namespace heron

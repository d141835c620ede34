// SPDX-License-Identifier: MIT
// Rows and columns of a parameter as a matrix optimizer sees them.
#pragma once

#include <cstdint>

#include "heron/train.hpp"

namespace heron {

struct MatrixExtents {
    std::uint64_t rows, cols;
};

// A vector is one row.
inline MatrixExtents matrix_extents(const Parameter& parameter) {
    const Shape& shape = parameter.weight.shape;
    if (shape.rank() < 2) return {1, shape.count()};
    if (parameter.view.batch) return {shape[shape.rank() - 2], shape[shape.rank() - 1]};
    const std::uint64_t rows = shape[0];
    return {rows, rows == 0 ? 0 : shape.count() / rows};
}

}  // namespace heron

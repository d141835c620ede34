// SPDX-License-Identifier: MIT
// Parts of matrices as tensors, for algorithms that go block by block.
#pragma once

#include <cstdint>

#include "heron/graph.hpp"
#include "linalg/integers.hpp"

namespace heron {

// Elements from one matrix of a batch to the next, also where there is only one.
inline std::uint32_t item_stride(const Tensor& tensor) { return narrow(tensor.rows() * tensor.stride()); }

// Rows [row, row + rows), columns [col, col + cols) of one matrix. Where it has 16-bit elements, `row` and
// `col` are even, so that the part begins with a 32-bit word whatever the stride.
inline Tensor block(const Tensor& matrix, std::uint64_t row, std::uint64_t col, std::uint64_t rows,
                    std::uint64_t cols) {
    Tensor part = matrix;
    part.byte_offset += (row * matrix.stride() + col) * bytes_of(matrix.dtype);
    part.shape = Shape{rows, cols};
    part.row_stride = matrix.stride();
    return part;
}

// Of what has a word for each matrix, that of one.
inline Tensor item_word(const Tensor& words, std::uint64_t item) {
    Tensor word = words;
    word.byte_offset += item * sizeof(std::uint32_t);
    word.shape = Shape{1};
    word.row_stride = 0;
    return word;
}

}  // namespace heron

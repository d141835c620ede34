// SPDX-License-Identifier: MIT
#include "optim/matrix_blocks.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "optim/checks.hpp"

namespace heron {

double shape_factor(ShapeFactor rule, double m, double n) {
    switch (rule) {
        case ShapeFactor::none:
            return 1.0;
        case ShapeFactor::max_one_sqrt_ratio:
            return std::sqrt(std::max(1.0, m / n));
        case ShapeFactor::sqrt_ratio:
            return std::sqrt(m / n);
        case ShapeFactor::match_rms:
            return 0.2 * std::sqrt(std::max(m, n));
        case ShapeFactor::spectral:
            return std::sqrt(std::max(m, n));
    }
    return 1.0;
}

std::vector<MatrixBlock> matrix_blocks(std::string_view optimizer, const Parameter& parameter,
                                       ShapeFactor rule, ConvFactor conv_factor) {
    const Shape& shape = parameter.weight.shape;
    const MatrixView& view = parameter.view;
    const std::string who = std::string(optimizer) + ": parameter " + in_quotes(parameter.name);
    if (shape.rank() < 2)
        refuse(who + " has shape " + shape.text() + "; " + std::string(optimizer) +
               " takes matrices, give vectors to AdamW");
    if (view.batch && shape.rank() < 3)
        refuse(who + " has shape " + shape.text() +
               " and view.batch; a batch of matrices has at least three axes");
    if (view.heads > 0 && !view.row_splits.empty())
        refuse(who + " has both view.heads and view.row_splits; set one of them");
    const std::uint64_t count = shape.count();
    const std::size_t rank = shape.rank();
    std::uint64_t items = 1, rows = shape[0];
    if (view.batch) {
        for (std::size_t axis = 0; axis + 2 < rank; ++axis) items *= shape[axis];
        rows = shape[rank - 2];
    }
    std::uint64_t cols = 1;
    for (std::size_t axis = view.batch ? rank - 1 : 1; axis < rank; ++axis) cols *= shape[axis];

    std::vector<std::uint64_t> heights{rows};
    if (view.heads > 0) {
        if (rows % view.heads != 0)
            refuse(who + ": view.heads is " + std::to_string(view.heads) + ", which does not divide its " +
                   std::to_string(rows) + " rows");
        heights.assign(view.heads, rows / view.heads);
    } else if (!view.row_splits.empty()) {
        heights = view.row_splits;
        std::uint64_t sum = 0;
        for (const std::uint64_t height : heights) {
            if (height == 0 || height > rows)
                refuse(who + ": view.row_splits has a block of " + std::to_string(height) + " rows");
            sum += height;
        }
        if (sum != rows)
            refuse(who + ": view.row_splits sum to " + std::to_string(sum) + ", the matrix has " +
                   std::to_string(rows) + " rows" +
                   (sum == cols ? "; its columns are as many, but blocks are rows: of a weight stored in x "
                                  "out (GPT-2's Conv1D) store the transpose, or set no splits"
                                : ""));
    }

    std::vector<MatrixBlock> blocks;
    if (count == 0) return blocks;
    const bool by_kernel = conv_factor == ConvFactor::kernel && !view.batch && rank > 2;
    std::uint64_t first = 0;
    for (std::uint64_t item = 0; item < items; ++item)
        for (const std::uint64_t height : heights) {
            const double m = static_cast<double>(by_kernel ? shape[rank - 2] : height);
            const double n = static_cast<double>(by_kernel ? shape[rank - 1] : cols);
            blocks.push_back({first, height, cols, shape_factor(rule, m, n)});
            first += height * cols;
        }
    return blocks;
}

}  // namespace heron

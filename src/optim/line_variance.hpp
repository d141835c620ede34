// SPDX-License-Identifier: MIT
// Equalizes the rows or columns of a matrix by a running second moment of each (NorMuon, NorDion2).
#pragma once

#include <cstdint>

#include "heron/graph.hpp"
#include "heron/linalg/polar.hpp"

namespace heron {

// What the lines of a contiguous matrix are: its rows, or its columns.
struct Lines {
    bool columns = false;
    std::uint64_t count = 0;    // of the matrix
    std::uint64_t length = 0;   // elements of each
    std::uint64_t segment = 0;  // lines next to each other that are rescaled together; divides `count`

    // All lines of a rows x cols matrix, rescaled together.
    static Lines of(std::uint64_t rows, std::uint64_t cols, bool columns) {
        const std::uint64_t count = columns ? cols : rows;
        return {columns, count, columns ? rows : cols, count};
    }
};

struct LineVarianceOptions {
    double beta2;
    double eps;
    NormRule variance_rule = NormRule::added;  // sqrt(v) + eps, or sqrt(max(v, eps))
    NormRule rescale_rule = NormRule::added;   // norm + eps, or max(norm, eps)
    double target = 0;                         // norm of a rescaled segment; 0: the norm that it had
};

// The sum of squares of every line of `matrix`, f32, lines.count elements: a pass over it, for lines of which
// no product leaves them.
Tensor add_line_squares(Graph& graph, const Tensor& matrix, const Lines& lines);

// v <- beta2 v + (1 - beta2) mean(O_i^2) of every line i of a matrix O, from the sums of squares of its
// lines, and what each line is to be multiplied by: the result, f32, lines.count elements.
//
//   1 / d_i  |O| / (|P| + eps),    d_i = sqrt(v_i) + eps,  P_i = O_i / d_i
//
// `variance` (v) is contiguous f32 of lines.count elements, or with `indices`, lines.count contiguous u32
// that differ from each other, of more: line i's is then element indices[i]. One level.
Tensor add_line_variance(Graph& graph, const Tensor& squares, const Tensor& variance, const Lines& lines,
                         const LineVarianceOptions& options, const Tensor& indices = {});

}  // namespace heron

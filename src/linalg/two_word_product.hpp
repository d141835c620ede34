// SPDX-License-Identifier: MIT
// Matrices of two f32 words an element and their products: twice f32's digits on devices without f64.
#pragma once

#include <cstdint>

#include "heron/graph.hpp"

namespace heron {

// FLOPs of a multiplication of two elements and its addition.
inline constexpr double kTwoWordFlops = 21;

struct TwoWordProduct {
    bool symmetric = false;  // D is square and, but for rounding, symmetric: half of it is computed
    Tensor active{};         // optional u32, one for each item: where it is 0, D stays as it is
    bool guarded = true;
};

// D = A B; A m x k, B k x n, D m x n, each a contiguous f32 tensor of [items, 2 rows, cols]: an item is its
// high words and after them the low ones. An error is below (k + 8)^2 2^-48 |A| |B|, as a rule below (k + 8)
// 2^-46 |A| |B|. Checks nothing; none may be empty, D may not overlap A or B. FLOPs 21 m n k, bytes 8 (m k +
// k n + m n) an item; of a symmetric D half of the FLOPs.
void add_two_word_product(Graph& graph, const Tensor& a, const Tensor& b, const Tensor& d,
                          const TwoWordProduct& options);

}  // namespace heron

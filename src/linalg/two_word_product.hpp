// SPDX-License-Identifier: MIT
// Matrices of two f32 words an element and their products: twice f32's digits on devices without f64.
#pragma once

#include <cstdint>

#include "heron/graph.hpp"

namespace heron {

// FLOPs of a multiplication of two elements and its addition.
inline constexpr double kTwoWordFlops = 21;

struct TwoWordProduct {
    bool transpose_a = false, transpose_b = false;
    bool symmetric = false;  // D is square and, but for rounding, symmetric: half of it is computed
    bool rounded = false;    // D has one word an element and may have a row stride
    double alpha = 1.0, beta = 0.0, diagonal = 0.0;  // in two words, too
    Tensor c{};       // like D in two words, and D itself is possible; read where beta is not 0
    Tensor active{};  // optional u32, one for each item: where it is 0, D stays as it is
    bool guarded = true;
};

// D = alpha op(A) op(B) + beta C + diagonal I; op(A) m x k, op(B) k x n, D m x n, each a contiguous f32
// tensor of [items, 2 rows, cols]: an item is its high words and after them the low ones. Without A and B
// there is no product. Its error is below min(k + 8, 8200) (k + 8) 2^-48 |A| |B|, as a rule below (k + 8)
// 2^-46 |A| |B|; scaling and adding lose 2^-43 of what they give. Checks nothing; none may be empty or have
// 2^31 elements, D may not overlap A or B. One level for each 8192 of k. FLOPs 21 m n k, bytes 8 (m k + k n +
// m n) an item, with C 8 m n more, and 16 m n for each level after the first; of a symmetric D half of the
// FLOPs.
void add_two_word_product(Graph& graph, const Tensor& a, const Tensor& b, const Tensor& d,
                          const TwoWordProduct& options);

}  // namespace heron

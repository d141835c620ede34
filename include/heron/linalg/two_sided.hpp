// SPDX-License-Identifier: MIT
// Products with a matrix on either side, as graph operations (heron/linalg.hpp): preconditioning, changes of
// basis.
#pragma once

#include "heron/export.hpp"
#include "heron/graph.hpp"
#include "heron/linalg/product.hpp"

namespace heron {

struct TwoSidedOptions {
    Transpose transpose_left = Transpose::no;
    Transpose transpose_right = Transpose::no;
    float alpha = 1.0f;  // finite, as beta
    float beta = 0.0f;   // beta == 0 reads no C
    bool guarded = true;
};

// D = alpha op(L) G op(R) + beta C, for every matrix of the batch. L or R or both may be empty, which stands
// for the identity. op(L) p x m, G m x n, op(R) n x q; f32, f16 or bf16 as in gemm(). C may be D or empty; D
// may not overlap L, G or R (without L and R it may be G).
//
// The order with fewer FLOPs is taken: (L G) R costs 2 p n (m + q), L (G R) 2 m q (n + p), the first one
// where they are equal. The product in the middle is a temporary in f32. Error: that of two products, in
// norms |L| |G| |R| |alpha| of Frobenius: 3 u (sqrt(m + 2) + sqrt(n + 2)), plus u |D| for scaling alone and 6
// u |beta| |C|. gemm()'s dispatches for one or two products; every operand once, and 8 p n (L first) or 8 m q
// bytes for the product in the middle. Non-finite elements spread as in gemm(). Throws (invalid_argument)
// where shapes, dtypes or overlaps do not fit.
HERON_API void two_sided_product(Graph& graph, const Tensor& left, const Tensor& g, const Tensor& right,
                                 const Tensor& c, const Tensor& d, const TwoSidedOptions& options = {});

}  // namespace heron

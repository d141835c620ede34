// SPDX-License-Identifier: MIT
// Products of a tensor with one of its Kronecker factors (psgd_factors.hpp), along that factor's axis. x
// holds all elements of the tensor, f32, contiguous; results are temporaries.
#pragma once

#include <cstdint>

#include "heron/linalg/product.hpp"
#include "optim/psgd.h"
#include "optim/psgd_factors.hpp"

namespace heron {

// A diagonal q: q x; with gpu::PSGD_SQUARE q^2 x, with gpu::PSGD_INVERSE x / q.
Tensor psgd_scale(Graph& graph, const PsgdFactor& factor, const Tensor& x, std::uint32_t flags);
// A matrix: Q x, or Q^T x.
Tensor psgd_multiply(Graph& graph, const PsgdFactor& factor, const Tensor& x, Transpose transpose);
// Either: Q x.
Tensor psgd_multiply_once(Graph& graph, const PsgdFactor& factor, const Tensor& x);
// Either: Q^-T x, Q upper triangular.
Tensor psgd_solve(Graph& graph, const PsgdFactor& factor, const Tensor& x);
// C(x): products of x with itself over all other axes, extent x extent, or of a diagonal factor its diagonal.
Tensor psgd_gram(Graph& graph, const PsgdFactor& factor, const Tensor& x);

}  // namespace heron

// SPDX-License-Identifier: MIT
// The quantiser with what optimizers' states need beside it: matrices that stay f32 in the same dispatch, and
// a start.
#pragma once

#include "heron/linalg/quantize.hpp"

namespace heron {

// `bits` of matrices that are not quantised: codes are rows x cols f32, absmax and diagonal empty.
constexpr std::uint32_t kPlainBits = 32;

// quantize(), without its checks, and with kPlainBits.
void store_matrix(Graph& graph, const Tensor& x, const QuantizedMatrix& to, const QuantizeOptions& options);
// scale times the identity, n x n.
void store_identity(Graph& graph, float scale, std::uint64_t n, const QuantizedMatrix& to,
                    const QuantizeOptions& options);
// The matrix itself with kPlainBits, else a temporary that dequantize() fills.
Tensor load_matrix(Graph& graph, const QuantizedMatrix& from, std::uint64_t rows, std::uint64_t cols,
                   const QuantizeOptions& options);

}  // namespace heron

// SPDX-License-Identifier: MIT
// Reductions of whole matrices, and conversion of element types, as graph operations (heron/linalg.hpp).
#pragma once

#include "heron/export.hpp"
#include "heron/graph.hpp"

namespace heron {

// Per matrix of the batch, one f32 each, by a fixed reduction tree (error <= 2 u ceil(log2 N) sum |x|).
// `result` has batch() elements, 0 for matrices without elements. A NaN in a matrix makes its sum and its
// norm NaN, an infinity makes them infinite (infinities of both signs a NaN of the sum). These three: an
// operation an element, each read once; 4096 elements a workgroup, which leaves 12 bytes: a level for each
// factor of 4096 in N.
HERON_API void sum(Graph& graph, const Tensor& x, const Tensor& result, bool guarded = true);
// Frobenius norm; neither overflows nor underflows where the result is representable.
HERON_API void frobenius_norm(Graph& graph, const Tensor& x, const Tensor& result, bool guarded = true);
// Number of NaN and infinite elements, decided on bits; u32, saturating.
HERON_API void count_nonfinite(Graph& graph, const Tensor& x, const Tensor& result, bool guarded = true);

// to = scale * from, converting the dtype; same shape; strides may differ; a finite scale. `to` may be
// `from`. 1 FLOP an element, each read and written once; one rounding of the product, one to a 16-bit dtype,
// in which NaN stays NaN and what is too large becomes infinite.
HERON_API void convert(Graph& graph, const Tensor& from, const Tensor& to, float scale = 1.0f,
                       bool guarded = true);

}  // namespace heron

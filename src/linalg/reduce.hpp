// SPDX-License-Identifier: MIT
// Reductions that other operations begin with, or end.
#pragma once

#include "heron/graph.hpp"

namespace heron {

// The power of two that makes matrices safe to square: `result`, one word for each, is the int k with
// 2^k <= |X|_F < 2^(k + 1), also where the norm exceeds f32; 0 for zero and where X is not finite.
void norm_exponent(Graph& graph, const Tensor& x, const Tensor& result, bool guarded);

// The Frobenius norm, one f32, from partial sums of squares, n x 3 f32 with n <= 4096, as blue_norm() of
// core/reduce.glsl takes them: for kernels that leave them beside what they do.
void combine_norms(Graph& graph, const Tensor& partials, const Tensor& result, bool guarded = true);

}  // namespace heron

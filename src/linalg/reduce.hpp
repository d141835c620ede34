// SPDX-License-Identifier: MIT
// A reduction that other operations of linalg begin with.
#pragma once

#include "heron/graph.hpp"

namespace heron {

// The power of two that makes matrices safe to square: `result`, one word for each, is the int k with
// 2^k <= |X|_F < 2^(k + 1), also where the norm exceeds f32; 0 for zero and where X is not finite.
void norm_exponent(Graph& graph, const Tensor& x, const Tensor& result, bool guarded);

}  // namespace heron

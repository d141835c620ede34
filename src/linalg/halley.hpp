// SPDX-License-Identifier: MIT
// The exact polar factor by dynamically weighted Halley iteration, as graph operations. Checks nothing.
#pragma once

#include "heron/graph.hpp"

namespace heron {

// U of X = U H, U^T U = I and H symmetric positive semidefinite, for a batch of X [items, rows, cols], rows
// >= cols, f32, contiguous, of norm 1 to 2 (or zero: then U is zero). Singular values above max(rows, cols)
// 2^-24 of the largest become 1; those below something between 0 and 1.
//
// Y. Nakatsukasa, Z. Bai, F. Gygi 2010: X <- X (b/c I + (a - b/c) (I + c X^T X)^-1), whose weights make the
// best of a known least singular value. Weights for one far below the largest, 0.02, are not used: rounding
// errors grow with a, which then is at most 34, and 3 n^2 (rows + cols) FLOPs for an iteration more are a
// small price.
Tensor polar_factor(Graph& graph, const Tensor& x, bool guarded);

}  // namespace heron

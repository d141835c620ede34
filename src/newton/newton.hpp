// SPDX-License-Identifier: MIT
// What the operations of heron/newton.hpp share.
#pragma once

#include <cstdint>

#include "heron/graph.hpp"

namespace heron {

// matrix + lambda I into `result`; with `result` the matrix itself, matrix + I. NaN on the diagonal for an
// element of `rhs` or a lambda that is not finite, so that cholesky() names it.
void add_newton_diagonal(Graph& graph, const Tensor& matrix, const Tensor& lambda, const Tensor& rhs,
                         const Tensor& result, bool guarded);

}  // namespace heron

// SPDX-License-Identifier: MIT
// What Cholesky factors need of triangular systems.
#pragma once

#include "heron/linalg/triangular.hpp"

namespace heron {

// X = U^-T B (upper), or X = (L^-1 B)^T (lower), for one T of up to gpu::TRIANGULAR_BLOCK rows, in one
// operation. Zero where T has a zero on its diagonal. Checks nothing; T and X may be blocks of one matrix
// without a common element.
void add_transposed_division(Graph& graph, const Tensor& t, Triangle triangle, const Tensor& b,
                             const Tensor& x, bool guarded);

}  // namespace heron

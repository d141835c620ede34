// SPDX-License-Identifier: MIT
// matrix_power() of a matrix whose eigenvalues are there.
#pragma once

#include "heron/linalg/matrix_power.hpp"

namespace heron {

// result = V diag(f(values)) V^T as matrix_power() has it: values ascending, n f32 (a batch: one after the
// other), vectors n x n f32, eigenvectors as columns; status, one u32 a matrix, says how they were found.
// Checks nothing; options that concern eigh() do not matter.
void spectrum_power(Graph& graph, const Tensor& values, const Tensor& vectors, const Tensor& status,
                    const Tensor& result, const MatrixPowerOptions& options);

}  // namespace heron

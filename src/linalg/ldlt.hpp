// SPDX-License-Identifier: MIT
// What woodbury_diagonal() needs of LDL^T factors.
#pragma once

#include "heron/linalg/ldlt.hpp"

namespace heron {

// X = A^-1, n x n f32 for each factor, apart from it: ldlt_solve() of the identity, which is not stored.
// Checks nothing.
void add_ldlt_inverse(Graph& graph, const LdltFactor& factor, const Tensor& x, bool guarded);

}  // namespace heron

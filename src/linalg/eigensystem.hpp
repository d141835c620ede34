// SPDX-License-Identifier: MIT
// Eigensystems of large symmetric matrices, as eigh() and svd() use them. Checks nothing.
#pragma once

#include <cstdint>

#include "heron/graph.hpp"
#include "linalg/jacobi.hpp"
#include "linalg/secular.hpp"

namespace heron {

// Rows and columns that matrices of that order are stored with.
std::uint64_t eigensystem_size(std::uint64_t order);

// Tridiagonal form, divide and conquer, and back. `x`: [items, size, size], symmetric, of norm 1 to 2 or
// zero, zero beyond `order`; it is overwritten. `jacobi`, which solves the parts, learns of those that do not
// converge. The vectors, of which the first `order` rows and columns count, are orthonormal to rounding
// errors that pile up over the reflectors: 1.5 n u.
Eigensystem large_eigensystem(Graph& graph, Jacobi& jacobi, const Tensor& x, std::uint64_t order,
                              bool guarded);

}  // namespace heron

// SPDX-License-Identifier: MIT
// Divide and conquer for symmetric tridiagonal matrices as graph operations (shaders/linalg/secular.h).
// Nothing here checks its arguments.
#pragma once

#include <cstdint>

#include "heron/graph.hpp"

namespace heron {

struct Eigensystem {
    Tensor values;   // in the columns' order, which is none
    Tensor vectors;  // columns
};

// From the eigensystems of the parts that Tridiagonal::split() has made, values [items, size] (in the parts'
// order) and vectors [items size / leaf, leaf, leaf] with size / leaf a power of two, those of the whole:
// values [items, count], vectors [items, size, size]. `off_diagonal`: [items, size].
Eigensystem join_parts(Graph& graph, Eigensystem parts, const Tensor& off_diagonal, std::uint64_t count,
                       bool guarded);

}  // namespace heron

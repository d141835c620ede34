// SPDX-License-Identifier: MIT
// One block of Shampoo: the statistics of its factors, and their roots multiplied onto a tensor.
#pragma once

#include <vector>

#include "curvature/kronecker_factor.hpp"
#include "optim/tensor_blocks.hpp"

namespace heron {

struct ShampooBlock {
    Shape merged;  // of the whole parameter
    TensorBlock box;
    std::vector<KroneckerFactor> factors;  // one an axis; empty where it has none
};

// `whole`: a contiguous f32 tensor with as many elements as the parameter.

// Adds the block of `whole` to all factors; `whitened`: multiplied by the roots of all other axes.
void add_statistics(Graph& graph, const ShampooBlock& block, const Tensor& whole, bool whitened,
                    const FactorSum& sum);
// The block of `whole` multiplied by all roots: a temporary without gaps, never `whole` itself.
Tensor precondition(Graph& graph, const ShampooBlock& block, const Tensor& whole);
// With eigenvectors in place of roots (renew_basis()) that is the block in their basis; and this the way
// back.
Tensor rotate_back(Graph& graph, const ShampooBlock& block, const Tensor& x);
// Its Frobenius norm, one f32.
Tensor block_norm(Graph& graph, const ShampooBlock& block, const Tensor& whole);
// Puts the block in its place.
void put_block(Graph& graph, const ShampooBlock& block, const Tensor& values, const Tensor& whole);

}  // namespace heron

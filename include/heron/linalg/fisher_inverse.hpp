// SPDX-License-Identifier: MIT
// Inverses of empirical Fisher matrices of m gradients, without the matrix, and pruning by them: the static
// algorithm of M-FAC (Frantar, Kurtic and Alistarh, arXiv 2107.03356; code IST-DASLab/M-FAC, prun.py,
// main_prun.py), as graph operations (heron/linalg.hpp).
//
//   F = damping I + G^T G / m,  G m x d;   C = G G^T / m + damping I = L L^T,   Y = L^-1 G
//   F^-1 = (I - Y^T Y / m) / damping
//
// In blocks: coordinates [0, block), [block, 2 block), ... have matrices of their own, and F is what stands
// on the diagonal. Blocks know nothing of each other, so gradients that do not fit into memory go through it
// in pages of whole blocks: one plan for a page, run once for each of them (Plan::rebind), gives bit for bit
// what one for all gives.
//
// Accuracy: F^-1 x and elements are off by a few u / damping (u = 2^-24) times |x|, so digits are lost where
// they are far below 1 / damping: for coordinates that nearly lie in the span of the gradients, most of all
// where a block has no more coordinates than there are gradients. For right-hand sides that do lie there:
// woodbury_range() (heron/linalg/woodbury.hpp).
//
// All throw heron::Error (invalid_argument) for what does not fit, before anything is added.
#pragma once

#include <cstdint>

#include "heron/export.hpp"
#include "heron/graph.hpp"

namespace heron {

struct FisherInverse {
    // Y: m d f32, contiguous, of any shape, below 2^31; block after block, of each m rows of its coordinates.
    // A state, where it lives longer than a step.
    Tensor rows;
    std::uint32_t gradients = 64;  // m, 1 to 1024; those that are zero count in 1 / m; code
    std::uint64_t block = 128;     // at least 1; code. d or more: one matrix for all
    float damping = 1e-5f;         // finite, above 0, as its reciprocal; code

    // d
    std::uint64_t coordinates() const { return gradients == 0 ? 0 : rows.shape.count() / gradients; }
    std::uint64_t blocks() const { return block == 0 ? 0 : (coordinates() + block - 1) / block; }
};

struct FisherInverseOptions {
    // d u32: gradients count as zero where it is 0, which takes pruned weights out of F.
    Tensor kept;
    // One u32 for each block. ok; jittered: with 2^-21 of C's trace more damping, or ten or a hundred times
    // that; indefinite, or nonfinite: Y is zero, and F^-1 becomes I / damping.
    Tensor status;
    bool guarded = true;
};
// Y, from gradients as rows: m x d; f32, f16 or bf16, apart from Y. 2 d m^2 FLOPs and m^3 / 3 for each block;
// bytes: gradients and Y once, and those of syrk() and triangular_solve(); workspace 4 m^2 bytes for each
// block. Levels: 3, and those of cholesky() and triangular_solve() of m rows.
HERON_API void fisher_inverse(Graph& graph, const Tensor& gradients, const FisherInverse& inverse,
                              const FisherInverseOptions& options = {});

// result = F^-1 x, d f32 each, contiguous, apart. 4 m d FLOPs; reads Y twice. An element of x that is not
// finite reaches all of its block.
HERON_API void fisher_product(Graph& graph, const FisherInverse& inverse, const Tensor& x,
                              const Tensor& result, bool guarded = true);

// The diagonal of F^-1, d f32: within [2^-23, 1] / damping. 2 m d FLOPs; reads Y once.
HERON_API void fisher_diagonal(Graph& graph, const FisherInverse& inverse, const Tensor& result,
                               bool guarded = true);

// result[k] = element (pairs[k][0], pairs[k][1]) of F^-1; pairs n x 2 u32, result n f32. 0 between blocks,
// and for indices beyond d. 2 m FLOPs and 8 m bytes each.
HERON_API void fisher_elements(Graph& graph, const FisherInverse& inverse, const Tensor& pairs,
                               const Tensor& result, bool guarded = true);

// --- Pruning (optimal brain surgeon; Hassibi and Stork 1992): which weights the loss misses least, and what
// the others do about it. `kept` are u32, one for each weight, 0 for those that are pruned; weights f32. A
// round: gradients at the weights, fisher_inverse() with `kept`, scores; prune_smallest() over all scores;
// then prune_weights() with the same Y. The code goes through 16 rounds of densities that fall geometrically,
// and its blocks are of weights that are still there: gather_columns() of gradients and weights by their
// indices, and tensors of that many coordinates, do as it does.

// scores = w^2 / (2 [F^-1]_jj), infinite for those that are pruned already; d f32. Costs fisher_diagonal()
// and 8 d bytes more.
HERON_API void pruning_scores(Graph& graph, const FisherInverse& inverse, const Tensor& weights,
                              const Tensor& kept, const Tensor& scores, bool guarded = true);

// kept becomes 0 for the `count` smallest scores, of equal ones for the first; NaN is larger than any. count
// is at most as many. Costs top_k() of all scores and 8 bytes for each of them that goes.
HERON_API void prune_smallest(Graph& graph, const Tensor& scores, const Tensor& kept, std::uint64_t count,
                              bool guarded = true);

// w <- w + F^-1 z, z = -w / [F^-1]_jj where kept is 0, else 0 (interactions between them are left out, as in
// the code); then w = 0 exactly where kept is 0, also for weights that earlier rounds have pruned. Costs
// fisher_diagonal(), fisher_product() and 24 d bytes more.
HERON_API void prune_weights(Graph& graph, const FisherInverse& inverse, const Tensor& kept,
                             const Tensor& weights, bool guarded = true);

}  // namespace heron

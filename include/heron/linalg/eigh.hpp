// SPDX-License-Identifier: MIT
// Symmetric eigenvalue problems as graph operations; what all of linalg has in common stands in
// heron/linalg.hpp.
#pragma once

#include <cstdint>

#include "heron/export.hpp"
#include "heron/graph.hpp"

namespace heron {

struct EighOptions {
    // The vectors become the rows of `vectors`, else its columns.
    bool vectors_as_rows = false;
    // Warm start: eigenvectors (as columns, n x n, f32) of a matrix that is close to A, from an earlier step;
    // A is rotated into it first. A basis that is not orthonormal to 2^-10, or not finite (all zero in the
    // first step, say), is not used in that step. May not overlap the results' memory, except that it may be
    // `vectors` itself.
    Tensor basis;
    // Budget, 1 to 64; 0: as many as matrices of this size need, with a reserve. Matrices that have converged
    // are frozen: their workgroups return at once.
    std::uint32_t max_sweeps = 0;
    Tensor status;  // see MatrixStatus: ok, nonfinite, not_converged
    bool guarded = true;
};

// A = V diag(values) V^T for each matrix of the batch. A: n x n, f32, f16 or bf16, of which (A + A^T) / 2 is
// taken; scaled by a power of two, so that its norm may be anything (elements below 2^-126 may count as
// zero). `values`: n f32 for each matrix, contiguous, ascending. `vectors`: n x n, f32, orthonormal; signs,
// and bases of repeated eigenvalues, are as they come, the same in every run.
//
// Parallel Jacobi (Golub and Van Loan, 8.5): one workgroup a matrix where it fits shared memory (n <= 62 with
// 16 KiB, 88 with 32, 126 with 64; CPU drivers: n <= 64); else blocks of columns, each pair of which is a
// small problem of one workgroup, whose rotation is applied by products (n up to 4096). Then one step of
// Bjorck and Bowie (1971) makes V orthonormal to rounding (two in the blocked form), and the eigenvalues are
// diag(V^T A V).
//
// Cost of a sweep: 7 n^3 FLOPs in one workgroup, else 12 n^3 and 48 n^3 / m bytes, m = 64 the width of a pair
// (32 with less than 17 KiB of shared memory); 6 to 9 sweeps, 12 where eigenvalues span 2^24. After them 12
// n^3. All in a fixed number of dispatches: about 26 for all small matrices together; two or three for each
// of n / 32 rounds of each sweep of the budget for large ones.
//
// Accuracy, u = 2^-24: |A - V D V^T|_F <= 2 n u |A|_F; |V^T V - I|_F <= 2 n u; eigenvalues to 10 n u |A|_2.
// Small eigenvalues are not relatively accurate. A matrix with a NaN or an infinity: zero eigenvalues, V = I,
// nonfinite. The sweeps ran out: the best so far, not_converged.
HERON_API void eigh(Graph& graph, const Tensor& a, const Tensor& values, const Tensor& vectors,
                    const EighOptions& options = {});

}  // namespace heron

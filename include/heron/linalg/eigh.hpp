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
    // Warm start of Jacobi's method: eigenvectors (as columns, n x n, f32) of a matrix that is close to A,
    // from an earlier step; A is rotated into it first. A basis that is not orthonormal to 2^-10, or not
    // finite (all zero in the first step, say), is not used in that step. May not overlap the results'
    // memory, except that it may be `vectors` itself. The direct method of large matrices does not use it, as
    // Plan::describe() says then: it costs no more than the rotation and four sweeps, and nothing less for a
    // matrix that is nearly diagonal. Where less is enough, `max_sweeps` chooses Jacobi's method.
    Tensor basis;
    // Budget of sweeps, 1 to 64: Jacobi's method at any size. 0: it is for small matrices, with as many as
    // these need and a reserve. Matrices that have converged are frozen: their workgroups return at once.
    std::uint32_t max_sweeps = 0;
    Tensor status;  // see MatrixStatus: ok, nonfinite, not_converged
    bool guarded = true;
};

// A = V diag(values) V^T for each matrix of the batch. A: n x n, f32, f16 or bf16, of which (A + A^T) / 2 is
// taken; scaled by a power of two, so that its norm may be anything (elements below 2^-126 may count as
// zero). `values`: n f32 for each matrix, contiguous, ascending. `vectors`: n x n, f32, orthonormal; signs,
// and bases of repeated eigenvalues, are as they come, the same in every run.
//
// Small matrices: parallel Jacobi (Golub and Van Loan, 8.5), one workgroup a matrix where it fits shared
// memory (n <= 62 with 16 KiB, 88 with 32, 126 with 64; CPU drivers: n <= 64). Then one step of Bjorck and
// Bowie (1971) makes V orthonormal to rounding, and the eigenvalues are diag(V^T A V), in twice the digits
// (Dekker 1971): what roots make of small eigenvalues is no more off than A's own rounding. Large ones, up to
// 4096: Householder's tridiagonal form in panels of 32 columns (Golub and Van Loan, 8.3); divide and conquer
// (Cuppen 1981; Gu and Eisenstat 1995) from parts of up to 32, which Jacobi's method solves; the way back by
// blocks of 128 reflectors; one step of Bjorck and Bowie. With `max_sweeps`: Jacobi's method on blocks of
// columns, each pair of which is a small problem of one workgroup, whose rotation is applied by products; two
// such steps.
//
// Cost, small: 7 n^3 FLOPs and 8 n^3 bytes (in caches) a sweep, 6 to 9 of them, 12 where eigenvalues span
// 2^24, then 35 n^3 FLOPs; about 26 dispatches for all small ones together. Large: 8 n^3 FLOPs, all but 2/3
// n^3 of them in products, and 4/3 n^3 bytes for the other, one product with a vector a column; 3 n + 7
// log2(n / 32) + n / 16 + 40 dispatches or so for all matrices of one size together. Jacobi in blocks: 12 n^3
// and 48 n^3 / m bytes a sweep, m = 64 the width of a pair (32 with less than 17 KiB of shared memory), and
// two or three dispatches for each of n / 32 rounds of each sweep of the budget.
//
// Accuracy, u = 2^-24: |A - V D V^T|_F <= 2 n u |A|_F; |V^T V - I|_F <= 4 n u; eigenvalues to 10 n u |A|_2,
// of one workgroup's matrices to 4 u |lambda| + (4 n u)^2 |A|_2 (of the f32 matrix that A is): others' small
// ones are not relatively accurate. A matrix with a NaN or an infinity: zero eigenvalues, V = I, nonfinite.
// The sweeps ran out: the best so far, not_converged. Eigenvalues beyond the range of f32 are infinite.
HERON_API void eigh(Graph& graph, const Tensor& a, const Tensor& values, const Tensor& vectors,
                    const EighOptions& options = {});

}  // namespace heron

// SPDX-License-Identifier: MIT
// Singular value decompositions as graph operations; what all of linalg has in common stands in
// heron/linalg.hpp.
#pragma once

#include <cstdint>

#include "heron/export.hpp"
#include "heron/graph.hpp"

namespace heron {

struct SvdOptions {
    // Budget of sweeps, 1 to 64: Jacobi's method at any size. 0: it is for small matrices, with as many as
    // these need and a reserve.
    std::uint32_t max_sweeps = 0;
    Tensor status;  // ok, nonfinite, not_converged, rank_deficient
    bool guarded = true;
};

// A = U diag(S) V^T for each matrix of the batch, k = min(m, n). A: m x n, f32, f16 or bf16; U: m x k, V: n x
// k, f32, either may be empty (Tensor{}); S: k f32 for each matrix, contiguous, descending. k up to 4096.
//
// Small k (88; 56 with 16 KiB of shared memory, 120 with 64), or with `max_sweeps`: one-sided block Jacobi on
// the columns of A, or of A^T where that is narrower (Hestenes 1958; Golub and Van Loan, 8.6): the Gram
// matrix of each pair of blocks is made diagonal in one workgroup, and its rotation applied by products,
// until all columns are orthogonal. Large k: the polar factor, A = U_p H, by dynamically weighted Halley
// iteration with Cholesky factors, and H = V diag(S) V^T as eigh() does it; U = U_p V, made orthonormal by
// one step of Bjorck and Bowie (Nakatsukasa and Higham 2013). Where the longer side exceeds 1024 and eight
// times the other, qr() comes first, and R takes the place of A (Chan 1982). Columns beyond the numerical
// rank (S_i <= S_0 times max(m, n) 2^-23, at most 2^-10) are not orthogonal to anything: those columns of the
// left factor (of the right one where m < n) are zero, and the status is rank_deficient.
//
// Accuracy, u = 2^-24, k columns: |A - U S V^T|_F <= 4 max(m, n) u |A|_F; orthonormality of V, and of U
// within the rank, 10 max(m, n) u. A matrix with a NaN or an infinity: S = 0, the factor of the longer side
// zero, the other one I, nonfinite. Singular values beyond the range of f32 are infinite.
//
// Cost, l = max(m, n). A sweep: k^2 (6 l + 4 k) FLOPs and 40 l k^2 / 64 bytes, beside 8 b^3 bytes of each
// pair's own rotations (b columns a pair, at most 120), which caches hold; 6 to 10 sweeps, 15 where singular
// values span 2^24. Large k: k^2 (3 l + 2 k) FLOPs for each of 5 or 6 iterations, eigh(), and 10 l k^2; n / 3
// dispatches more than eigh(). With QR first, l = k in all of this, and 14 l k^2 FLOPs are added.
HERON_API void svd(Graph& graph, const Tensor& a, const Tensor& u, const Tensor& s, const Tensor& v,
                   const SvdOptions& options = {});

// The exact polar factor U V^T over the nonzero singular values; `result` has A's shape, f32, and lies apart
// from it. Orthonormal rows or columns for matrices of full rank, else a partial isometry (and
// rank_deficient). polar() approximates it for a fraction of the cost.
//
// Accuracy: |error|_F <= 200 u S_0 / S_(r-1), r the rank: a perturbation of A by u |A| turns the factor by a
// two-hundredth of that. Cost: svd()'s, 2 m n k FLOPs and 4 (m k + n k + m n) bytes.
//
// CPU drivers, 16 columns (or rows) and more that Jacobi's method would do in one workgroup, without
// `max_sweeps`: by Halley's iteration, as large matrices above, which costs a fifth or less there. Matrices
// for which the Cholesky factor of about H - 2^-20 max(m, n) |A| I says that rank may be lacking, or that are
// not finite, go through svd() as anywhere else; some 50 dispatches more.
HERON_API void polar_by_svd(Graph& graph, const Tensor& a, const Tensor& result,
                            const SvdOptions& options = {});

struct TruncatedSvdOptions {
    // Multiplications by A A^T between two orthonormalisations each, 64 at most. More separate close singular
    // values better; one is enough where `basis` comes from the step before.
    std::uint32_t iterations = 2;
    // Start: m x r f32, of full column rank, such as U of an earlier step, or random numbers. Dependent
    // columns lower the rank of what is found; from a zero basis, or one that is not finite, nothing is
    // found, and U is zero.
    Tensor basis;
    Tensor status;  // as SvdOptions::status, of the SVD at the end
    bool guarded = true;
};

// The r largest singular values and vectors, approximately: U m x r, S r, V n x r, r <= 4096 for any A.
// Subspace iteration Q <- orth(A A^T Q) (Halko, Martinsson and Tropp 2011, algorithm 4.4), then the SVD of
// the r x n matrix Q^T A. Errors fall by (S_r / S_(r-1))^2 an iteration (S_0 the largest); what remains is
// svd()'s. `basis` may be U itself.
//
// Cost, q = `iterations`: 2 m n r (2 q + 1) + 2 m r^2 FLOPs in products, which read A 2 q + 1 times; and 2 q
// + 1 polar_by_svd(), of m x r and n x r in turn, one svd() of r x n. Workspace about 8 r (m + n) bytes, and
// theirs.
HERON_API void truncated_svd(Graph& graph, const Tensor& a, const Tensor& u, const Tensor& s, const Tensor& v,
                             const TruncatedSvdOptions& options);

}  // namespace heron

// SPDX-License-Identifier: MIT
// QR factorisations as graph operations (heron/linalg.hpp).
#pragma once

#include <cstdint>

#include "heron/export.hpp"
#include "heron/graph.hpp"

namespace heron {

enum class QrMethod : std::uint32_t {
    automatic,    // householder up to 32 columns and 1024 rows, cholesky for larger matrices
    householder,  // Q orthonormal to rounding whatever A is; column by column; up to 4096 rows
    cholesky,     // Cholesky QR: products and triangular solves only
};

struct QrOptions {
    QrMethod method = QrMethod::automatic;
    // The diagonal of R is not negative (then Q and R are unique where A has full rank). Always so with
    // cholesky.
    bool positive_diagonal = true;
    // Passes of Cholesky QR, 2..4. Two suffice up to a condition number of about 1e3, three to 1e4; with
    // four, of which the first two may shift, to 1e6 (specification section 11.8; T. Fukaya et al., Shifted
    // Cholesky QR, SIAM J. Sci. Comput. 42, 2020).
    std::uint32_t passes = 4;
    // Optional, one u32 for each matrix (status.hpp): ok; rank_deficient where a diagonal element of R is not
    // above 4 sqrt(n) u times the largest; nonfinite.
    Tensor status;
    bool guarded = true;
};

// A = Q R, thin: A m x n with m >= n (n no larger than cholesky() takes it), Q m x n with orthonormal
// columns, R n x n upper triangular with zeros below; for each matrix of the batch. A f32, f16 or bf16; Q and
// R f32. Q may be A (in place); otherwise they may not overlap.
//
// householder: up to 32 columns one workgroup a matrix, one dispatch for all of a level, 8 m n^2 FLOPs;
// above, panels of 32 columns and products (compact WY), 5 ceil(n / 32) + 3 levels, 4 m n^2 - 4/3 n^3 FLOPs.
// cholesky: X^T X, its factor, X R^-1, and again; A divided by a power of two first. 2 m n^2 + 4/3 n^3 a pass
// (n^3: retries, that return at once), then 2 n^3 more; levels of syrk, cholesky, triangular_solve; and five.
// Bytes: householder 4 m n (2 n + 3) up to 32 columns, which caches serve, above about 4 m n (50 + n / 14);
// cholesky about 4 m n (8 + n / 128) + 50 n^2 a pass. Workspace: 4 m n, householder above 32 columns 12 m n
// and 128 n, cholesky 4 m n and some 16 n^2.
//
// Accuracy: |A - Q R|_F <= 4 n u |A|_F, |Q^T Q - I|_F <= (4 n + 2 sqrt(m)) u (cholesky: within the condition
// numbers above); where the roundings of sums do not average out, as with constant columns, m n u.
// Rank-deficient matrices: householder gives orthonormal Q all the same; with cholesky A = Q R holds, but
// columns of Q that A does not determine may have any length up to 1, and are less orthogonal to the others,
// some 2 u^(1/2) n at most. Q and R are zero where A is not finite, and may be where R is beyond f32's range.
HERON_API void qr(Graph& graph, const Tensor& a, const Tensor& q, const Tensor& r,
                  const QrOptions& options = {});

}  // namespace heron

// SPDX-License-Identifier: MIT
// Symmetric indefinite systems as graph operations (heron/linalg.hpp).
#pragma once

#include "heron/export.hpp"
#include "heron/graph.hpp"
#include "heron/linalg/triangular.hpp"

namespace heron {

// P A P^T = L D L^T for each matrix of a batch.
struct LdltFactor {
    Tensor l;  // n x n f32: unit lower triangular, zeros above
    // n x 2 f32 (a batch of them): D's element (i, i), and (i + 1, i), which is zero except inside of a block
    // of two rows.
    Tensor d;
    Tensor permutation;  // n u32 for each matrix, contiguous: row i of P A is row permutation[i] of A
};

struct LdltOptions {
    Triangle triangle = Triangle::lower;  // the half of A that is read
    // Optional, one u32 for each matrix (status.hpp): ok; singular where a pivot and its column are not above
    // 2 sqrt(n) u times the largest element of A (that column of L and element of D are zero then, and P A
    // P^T = L D L^T still holds); nonfinite where A or D is.
    Tensor status;
    bool guarded = true;
};

// Factors a symmetric matrix that need not be definite, with Bunch and Kaufman's pivots (Math. Comp. 31,
// 1977). A n x n, n <= 4096, f32, f16 or bf16; factor.l may be A (in place), otherwise nothing may overlap.
//
// n^3 / 3 FLOPs. Up to 96 rows one workgroup a matrix, all matrices of a level in one dispatch. Larger ones
// in panels of 60 columns (LAPACK's ssytrf): one workgroup a matrix finds the pivots, which are a chain, and
// brings only their columns up to date, 60 n^2 FLOPs in all; products subtract each panel from what is left
// of A; n^2 (150 + n / 33) bytes in all. Three levels a panel at most; 512 n bytes of workspace a matrix.
//
// Accuracy: |P A P^T - L D L^T|_F <= 10 n u |A|_F (N. Higham, Accuracy and Stability, theorem 11.4, with its
// moderate growth). L and D are zero where A is not finite.
HERON_API void ldlt(Graph& graph, const Tensor& a, const LdltFactor& factor, const LdltOptions& options = {});

struct LdltSolveOptions {
    Tensor status;  // optional, one u32 for each item of X: ok, singular, nonfinite, from D
    bool guarded = true;
};

// X = A^-1 B given ldlt()'s factor: permutation, triangular solve, D^-1, triangular solve, permutation; 2 n^2
// m FLOPs, 8 n m bytes more than two triangular solves, and three levels. B n x m f32, f16 or bf16; X f32,
// may be B, may not overlap the factor. Accuracy: |A x - b|_2 <= 10 n u (|A|_F |x|_2 + |b|_2) for each
// column. X is zero where the status is not ok (singular for an A that is not finite: its D is zero).
HERON_API void ldlt_solve(Graph& graph, const LdltFactor& factor, const Tensor& b, const Tensor& x,
                          const LdltSolveOptions& options = {});

}  // namespace heron

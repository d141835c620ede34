// SPDX-License-Identifier: MIT
// Symmetric positive definite systems and inverses as graph operations (heron/linalg.hpp).
#pragma once

#include "heron/export.hpp"
#include "heron/graph.hpp"
#include "heron/linalg/cholesky.hpp"

namespace heron {

struct CholeskySolveOptions {
    Triangle triangle = Triangle::lower;  // of the factor
    Tensor status;                        // as in TriangularOptions: singular for a zero factor
    bool guarded = true;
};

// X = A^-1 B given cholesky()'s factor of A: two triangular solves (triangular.hpp), 2 n^2 m FLOPs, twice
// their bytes and levels. factor n x n f32, a batch or one for all items; B n x m f32, f16 or bf16; X f32,
// may be B, may not overlap the factor. Accuracy: |A x - b|_2 <= 3 n u |A|_F |x|_2 + |b|_2 n u for each
// column (N. Higham, Accuracy and Stability, theorem 10.4, in norms). X is zero where the factor is (a matrix
// that failed).
HERON_API void cholesky_solve(Graph& graph, const Tensor& factor, const Tensor& b, const Tensor& x,
                              const CholeskySolveOptions& options = {});

// X = A^-1 B in one call, with a temporary factor. `options` as for cholesky(): which half of A is read, what
// is done about indefinite matrices, status. A n x n, one for each item of B. X is zero for failed matrices.
HERON_API void spd_solve(Graph& graph, const Tensor& a, const Tensor& b, const Tensor& x,
                         const CholeskyOptions& options = {});

// X = A^-1, symmetric bit for bit: Cholesky factor, inverse T of the triangle, T^T T (or T T^T) by syrk().
// `options` as for cholesky(). X f32, may be A. 2 n^3 FLOPs; levels and bytes of cholesky(), the triangle's
// inverse and syrk(). Accuracy: |I - A X|_1 <= 20 n u |A|_1 |X|_1 for the jittered A. X is zero if A failed.
HERON_API void spd_inverse(Graph& graph, const Tensor& a, const Tensor& x,
                           const CholeskyOptions& options = {});

}  // namespace heron

// SPDX-License-Identifier: MIT
// Cholesky factors, and what is solved with them, as graph operations (heron/linalg.hpp).
#pragma once

#include <cstdint>

#include "heron/export.hpp"
#include "heron/graph.hpp"
#include "heron/linalg/triangular.hpp"

namespace heron {

// What a factorisation does about a matrix that is not positive definite: attempt 0 is the matrix as it is,
// attempt i > 0 adds jitter 10^(i - 1) to its diagonal, jitter = absolute + relative * (mean of the
// diagonal), until one succeeds. Everything is decided on the device, for each matrix on its own.
struct Jitter {
    std::uint32_t retries = 0;  // 0..8; 0: none
    float absolute = 0.0f;      // >= 0
    float relative = 0.0f;      // >= 0; 1e-6 is a good beginning in f32
};

struct CholeskyOptions {
    Triangle triangle = Triangle::lower;  // lower: A = L L^T; upper: A = U^T U
    Jitter jitter;
    // Optional, one u32 for each matrix (status.hpp): ok, jittered, indefinite, nonfinite.
    Tensor status;
    // Optional, one f32 for each matrix, contiguous: what was added to its diagonal; 0 where nothing was.
    Tensor jitter_used;
    bool one_workgroup = true;  // allow the kernel for small matrices
    bool guarded = true;
};

// L (or U) = Cholesky factor of A, n x n, for each matrix of the batch; n <= 65535 (32-bit indices), on CPU
// drivers n <= 8192 (lavapipe ends loops after 65,535 rounds). Only that triangle of A is read; the
// other triangle of the result is zero. A f32, f16 or bf16; the result f32; it may be A (in place), else it
// may not overlap A.
//
// Up to 88 rows (CPU drivers: 128) one workgroup does a whole matrix, all matrices of a level in one
// dispatch. Larger ones go in panels. GPUs: 32 columns, one level a panel (left-looking; every workgroup
// factors the diagonal block for itself), and syrk() after every eighth. CPU drivers: 64 columns, diagonal
// block, then division by it and products, three levels a panel, and syrk() after every fourth. Retries are
// ceil(n / 32) levels each, of dispatches that return at once where they are not needed. n^3 / 3 FLOPs; 8 n^2
// bytes (small), about n^2 (20 + n / 96) bytes (blocked); workspace 4 n^2 bytes when blocked, twice that with
// retries.
//
// Accuracy: |A - L L^T|_F <= (n + 1) u |A|_F for the jittered A, of norm 2^-100 or more (Higham, Accuracy and
// Stability, theorem 10.3). A pivot is taken for zero when it is not above 2 sqrt(n) u times the diagonal
// element that it is left of: then it consists of rounding errors. Failed matrices (indefinite after all
// attempts, or with a NaN or infinity in the triangle that is read) have a zero factor.
HERON_API void cholesky(Graph& graph, const Tensor& a, const Tensor& factor,
                        const CholeskyOptions& options = {});
// Whether cholesky() takes the one-workgroup form for matrices of n rows.
HERON_API bool cholesky_fits_one_workgroup(const Device& device, std::uint64_t n,
                                           const CholeskyOptions& options = {});

// result[item] = log det(F F^T) = 2 sum log F_ii of a Cholesky factor, lower or upper; f32, contiguous, one
// for each matrix. Minus infinity for a zero factor (one that failed), NaN where the diagonal is not finite.
// n logarithms, 4 n bytes; error <= 4 u sum |log F_ii| + 2 u |result|.
HERON_API void log_determinant(Graph& graph, const Tensor& factor, const Tensor& result, bool guarded = true);

}  // namespace heron

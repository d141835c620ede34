// SPDX-License-Identifier: MIT
// Changes of low rank to inverses and Cholesky factors, as graph operations (heron/linalg.hpp). (The running
// average of a product of low rank is accumulate_factor().)
#pragma once

#include "heron/export.hpp"
#include "heron/graph.hpp"
#include "heron/linalg/status.hpp"

namespace heron {

struct RankOneOptions {
    float gamma = 1.0f;   // above 0
    float beta = 1.0f;    // may be negative
    bool guarded = true;  // see Operation::guarded
};

// P, the inverse of F, becomes the inverse of gamma F + beta u u^T (Sherman, Morrison 1950):
//
//   y = P u, q = u^T y, P <- (P - (beta / (gamma + beta q)) y y^T) / gamma
//
// P: f32, n x n, symmetric to the last bit (all of it is read; it stays so), in place. u: contiguous, f32,
// f16 or bf16, n elements for each matrix. A P that is not finite, or that makes q, y or the divisor so, is
// left as it is (nonfinite); so is one with q < 0 or a divisor that is not positive, which cannot happen with
// exact arithmetic and beta >= 0 (indefinite). 5 n^2 FLOPs, 12 n^2 bytes, three dispatches. Error of an
// update in norm: (n + 10) u (|P| + |change|) / gamma with norms of Frobenius; updates accumulate errors by 1
// / gamma each in directions that u does not visit: renew P now and then.
HERON_API void sherman_morrison(Graph& graph, const Tensor& p, const Tensor& u, const Tensor& status = {},
                                const RankOneOptions& options = {});

// L, the lower Cholesky factor of A, becomes that of A + v v^T, or of A - v v^T (a downdate), by n rotations
// (LINPACK's dchud and dchdd; specification: golden woodbury/chol_updown). L: f32, n x n, n at most 4096, in
// place; what is above the diagonal is neither read nor written. v: contiguous, f32, f16 or bf16, n elements
// for each matrix; it keeps its values.
//
// The rotations are found first, the factor is changed by a second dispatch if all of them exist. L is left
// as it is when A - v v^T is not positive definite to f32 accuracy (indefinite), when a diagonal element is
// not positive (singular), and when the input is not finite or its squares overflow (nonfinite). 6 n^2 FLOPs
// (half of them for finding out), 6 n^2 bytes, one workgroup a matrix for the first dispatch. Backward error
// of an update |L'L'^T - (A + v v^T)| <= 8 n u (|A| + |v|^2); of a downdate as much, over 1 - |L^-1 v|^2.
HERON_API void cholesky_update(Graph& graph, const Tensor& l, const Tensor& v, const Tensor& status = {},
                               bool guarded = true);
HERON_API void cholesky_downdate(Graph& graph, const Tensor& l, const Tensor& v, const Tensor& status = {},
                                 bool guarded = true);

// L, the lower Cholesky factor of A, becomes that of A with row and column `row` replaced by `column`: a
// window of gradients of which one changes. `row`: contiguous u32 in device memory, one element for each
// matrix or one for all; so a plan can be replayed while the window turns. A row beyond n changes nothing and
// is ok. `column`: contiguous, f32, f16 or bf16, n elements for each matrix, its element `row` on the
// diagonal.
//
// Deletes the row (an update of what is below it, which cannot fail) and inserts the new one (a solve and a
// downdate). Conditions, limits and failures as above. 12 n^2 FLOPs, 6 n^2 bytes. Errors add up slowly (1e-6
// relative after 400 replacements of 32 x 32); refactorise once in a turn of the window.
HERON_API void cholesky_replace_row(Graph& graph, const Tensor& l, const Tensor& row, const Tensor& column,
                                    const Tensor& status = {}, bool guarded = true);

}  // namespace heron

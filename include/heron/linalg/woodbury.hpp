// SPDX-License-Identifier: MIT
// Systems of a multiple of the identity, or a diagonal, plus a matrix of low rank, as graph operations
// (heron/linalg.hpp); and windows of gradients, whose Gram matrix is kept up to date. (M. Woodbury 1950; W.
// Hager, SIAM Review 31, 1989.)
#pragma once

#include <cstdint>

#include "heron/export.hpp"
#include "heron/graph.hpp"

namespace heron {

// s rows of d elements, 1 <= s <= 1024, and what is kept of them. All three are the caller's: states, if the
// window lives from step to step. All zero is an empty window: rows of zeros take no part in any formula.
struct Window {
    Tensor rows;  // s x d, or a batch of them; f32, f16 or bf16
    // s x s for each, f32, contiguous: of row i over 2^(exponent i), so that no size of rows harms it
    Tensor gram;
    // s for each, u32, contiguous: signed numbers e with |element of the row| <= 2^e
    Tensor exponents;
    // Rows are kept over 2^e, too: what a 16-bit window needs for gradients that are small or large.
    bool normalized = false;
};

// gram and exponents from `rows`, which are as they are (normalized = false). In f32, sums of up to 1024
// products (while d <= 4 million) in a fixed tree: |error| <= 64 u |u_i| |u_j|. s (s + 8) d FLOPs; reads
// the rows s / 8 + 2 times. A row that is not finite makes the systems of its window nonfinite, as long as it
// is there (window_push(), too); the other windows do not notice.
HERON_API void window_gram(Graph& graph, const Window& window, bool guarded = true);

struct WindowPushOptions {
    // Optional, s f32 for each window: 1 for the new row, else 0, which is `y` of woodbury_range().
    Tensor newest;
    bool guarded = true;
};
// Puts a gradient (d elements for each window; f32, f16 or bf16) into row `slot` (one u32, a state; 0 at
// first), then slot = (slot + 1) mod s. A row and a column of the Gram matrix are made from the rows as
// stored: it is never older than one turn, and as accurate as window_gram()'s. Rows of a 16-bit window are
// rounded once. 4 levels; 2 s d FLOPs; reads the rows once.
HERON_API void window_push(Graph& graph, const Window& window, const Tensor& gradient, const Tensor& slot,
                           const WindowPushOptions& options = {});

// One step of iterative refinement, with residuals through U (the Gram matrix has errors of its own).
enum class Refinement : std::uint32_t {
    automatic,  // for systems whose largest diagonal element is 1000 times the smallest pivot (rows of zeros
                // aside), decided on the device
    never,
    always,
};

// What a solve may keep of a window's small system for the next one: its Cholesky factor. Three states of the
// caller's, all zero at first; nobody else writes them.
struct WindowFactor {
    // Words of `counts`.
    static constexpr std::uint64_t kCounts = 5;
    Tensor factor;  // s x s f32 for each window, contiguous, lower triangular
    Tensor system;  // s x s f32 for each, contiguous: what it is the factor of
    // kCounts u32 for each, contiguous: 1 where there is a factor; the exponent of the system's scale; rows
    // replaced since the factor was made; how often it was made; replacements that broke down.
    Tensor counts;
};

struct WoodburyOptions {
    float lambda = 1e-3f;  // > 0
    // Optional, one f32 on the device for all windows or one for each, contiguous, in place of that: read in
    // every step, so that damping adapts without a new plan. Where it, or it over the weight, is not a
    // positive normal number, that window counts as nonfinite.
    Tensor device_lambda;
    float weight = 1.0f;  // > 0: A = lambda I + weight U^T U, 1 / s for an average
    // The weight is divided by the number of rows that are not zero: an average of what is there in windows
    // that are not full.
    bool average_rows = false;
    Refinement refinement = Refinement::automatic;
    // Optional, one for each window, contiguous. u32: ok; jittered: right for the damping that is reported;
    // indefinite: still not positive definite with ten thousand times more, x is U^T y or b (the plain
    // gradient); nonfinite, the Gram matrix or the device's lambda: x is zero.
    Tensor status;
    Tensor damping;  // f32: lambda as used; 0 for those that failed
    // Optional: windows that turn. A system that has changed in no more than a row and its column since the
    // last solve (one window_push()) has them replaced in its factor (cholesky_replace_row()); one that has
    // not changed is not factored at all. It is factored anew where more has changed (lambda, rows of another
    // size), where the replacement breaks down, and after s replacements; all that is decided on the device,
    // for each window. The least lambda, 4 eps tr(weight K), is rounded up to a power of two times the
    // weight, lest every row changes it. Solves are by substitution: 14 s^2 FLOPs in place of 2 s^3 / 3, but
    // s steps one after the other.
    WindowFactor kept;
    bool guarded = true;
};

// x = A^-1 U^T y = U^T (lambda I + weight K)^-1 y, K = U U^T; y s, x d elements of f32 for each window,
// contiguous. The accurate form for right-hand sides in the span of the rows: for the newest row, y is
// `newest` of window_push(). (woodbury_solve() loses a factor |b| / (lambda |x|) there, which no refinement
// brings back.)
//
// lambda is raised to 4 eps tr(weight K), below which it would drown in rounding errors (eps = 2^-23), and
// ten times that again up to four times where Cholesky breaks down. Everything is divided by a power of two
// first: rows of 1e-18 or 1e18 are as good as any.
//
// Residual: |y - (K + lambda I) q|_inf <= 20 eps (|y| + |K|_F |q|) for x = U^T q (weight 1). 2 s d FLOPs and
// one pass over the rows, with refinement three times that; s^3 / 3 + s^3 / 3 for factor and inverse; levels:
// 4 and those of cholesky() and triangular_inverse() of s rows, 3 more with refinement.
HERON_API void woodbury_range(Graph& graph, const Window& window, const Tensor& y, const Tensor& x,
                              const WoodburyOptions& options = {});

// x = A^-1 b = (b - U^T (lambda I + K)^-1 U b) / lambda (weight 1), for any b: d elements for each window,
// contiguous; f32, f16 or bf16; x f32, apart from b. Rules as above. Two passes over the rows, six with
// refinement.
//
// Accuracy: the error of woodbury_range() for y = U b, and 50 eps |b|, both over lambda. So digits are lost
// where A^-1 b is much smaller than b / lambda, that is where b is in the span of the rows. Where |b| <= 4
// lambda |A^-1 b|, |b - A x| <= 50 eps (|b| + (lambda + |U|_2^2) |x|) with refinement.
//
// Where lambda was raised (jittered), x is (damping I + U^T U)^-1 b, and all of this holds for `damping` in
// place of lambda: what of b is orthogonal to the rows is b / damping in x. So for any b the residual for the
// lambda that was asked for has (damping - lambda) |x| more, which is of the size of A's rounding errors as
// long as Cholesky has not broken down. Over the lambda that was asked for, b - U^T z would be x damping /
// lambda: right for what is orthogonal to the rows, but too long by that factor in their span, with a
// residual as large as that. A caller whose b has nothing there may scale x so.
HERON_API void woodbury_solve(Graph& graph, const Window& window, const Tensor& b, const Tensor& x,
                              const WoodburyOptions& options = {});

struct WoodburyDiagonalOptions {
    // C is positive definite: Cholesky, else ldlt() of C and of C^-1 + U^T D^-1 U. Without C it is the
    // identity.
    bool positive_definite = true;
    // ok; jittered, indefinite (x is b / D), nonfinite (x is zero) as above; singular: C or the small system
    // is, x is b / D. woodbury_diagonal_range(): x is zero where C or the small system has failed.
    Tensor status;
    bool guarded = true;
};
// x = (D + U C U^T)^-1 b. D positive, d f32; U d x s (columns), f32, f16 or bf16; C symmetric s x s f32 or
// empty; b and x d elements, for each item of a batch, contiguous. Through V = D^(-1/2) U R with C = R R^T,
// and I + V^T V. D that is not positive counts as not finite. s^2 d FLOPs and, without C, half as many again
// with it; workspace 8 s d bytes and 28 s^2, for each item.
//
// Residual, A the matrix and kappa its condition number, eps = 2^-23: |b - A x|_2 <= 50 eps (|b|_2 +
// min(kappa, 100) |A|_2 |x|_2).
HERON_API void woodbury_diagonal(Graph& graph, const Tensor& diagonal, const Tensor& u, const Tensor& c,
                                 const Tensor& b, const Tensor& x,
                                 const WoodburyDiagonalOptions& options = {});
// x = (D + U C U^T)^-1 U y = D^-1 U (I + C U^T D^-1 U)^-1 y, y s f32 for each item, contiguous: for b = U y
// the accurate form, as woodbury_range() is (woodbury_diagonal() loses a factor |b| / (D |x|) there). Through
// V as above, from R^-1 y, or C^-1 y where ldlt() factors: C's condition number costs digits, there itself
// (it multiplies |b|_2 in the residual above), else its root. Shapes, rules and cost as above, less one pass
// over U; y may not overlap x.
HERON_API void woodbury_diagonal_range(Graph& graph, const Tensor& diagonal, const Tensor& u, const Tensor& c,
                                       const Tensor& y, const Tensor& x,
                                       const WoodburyDiagonalOptions& options = {});

struct UpdateInverseOptions {
    float gamma = 1.0f;  // > 0
    float beta = 1.0f;   // > 0
    Tensor status;       // ok; indefinite, nonfinite: the update is left out, P becomes P / gamma
    bool guarded = true;
};
// P <- (gamma P^-1 + beta U U^T)^-1, in place: P symmetric positive definite, n x n f32, and exactly
// symmetric afterwards if it was before; U n x k f32, a batch as P is, k no more than cholesky() takes rows.
// P <- (P - W W^T) / gamma, W = P U L^-T, L L^T = U^T P U + (gamma / beta) I; with k = 0 P / gamma. 3 n^2 k +
// 2 n k^2 FLOPs; 12 n^2 + 32 n k bytes; 5 levels and those of cholesky() and triangular_solve() of k rows.
//
// |error|_F <= (n + 10) u kappa |P|_F / gamma, kappa the larger condition number of P and of that k x k
// matrix. Errors grow by about 1 / gamma in each step in directions that no U visits: renew P now and then.
HERON_API void update_inverse(Graph& graph, const Tensor& p, const Tensor& u,
                              const UpdateInverseOptions& options = {});

}  // namespace heron

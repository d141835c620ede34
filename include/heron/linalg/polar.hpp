// SPDX-License-Identifier: MIT
// Polar factors by Newton-Schulz as graph operations (heron/linalg.hpp).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "heron/export.hpp"
#include "heron/graph.hpp"

namespace heron {

// One step of an odd quintic: X <- a X + b (X X^T) X + c (X X^T)^2 X.
struct NewtonSchulzCoefficients {
    double a, b, c;
};

// What a matrix A is divided by before the iteration, with norm = ||A||_F:
//   added:   factor * norm + eps          clamped: max(factor * norm, eps)
enum class NormRule { added, clamped };

enum class PolarForm {
    // The Gram form with a restart every two iterations where that is at least a fifth fewer FLOPs (with five
    // iterations: from K = 7/3 k on), else standard: products of small matrices take longer than their FLOPs
    // say. Restarts so often keep what the Gram matrix costs in accuracy small; two f32 words need none, and
    // it is a fifth fewer from K = 13/9 k on. See polar_form.cpp.
    automatic,
    // S = X X^T; B = b S + c S S; X <- a X + B X
    standard,
    // On the k x k Gram matrix with restarts (Polar Express, appendix F). Needs rows != columns, else
    // standard.
    gram,
};

struct PolarOptions {
    // One triple an iteration, each number between -1e4 and 1e4; empty: muon x 5.
    std::vector<NewtonSchulzCoefficients> coefficients;
    NormRule norm_rule = NormRule::added;
    double norm_factor = 1.0;  // 2^-20 to 2^20
    double eps = 1e-7;         // finite in f32, >= 0
    PolarForm form = PolarForm::automatic;
    // Form gram: iterations, counted from 0, before which the Gram matrix is formed anew: each from 1 to
    // their number - 1.
    std::vector<std::uint32_t> restarts = {2};
    DType precision = DType::f32;  // of what products multiply: f32, f16 or bf16; sums and the norm are f32
    // Numbers of that type for one element of an iterate, 1 or 2: what rounding to the first one lost is the
    // second. Of 16 bits iterates are then f32, and a product is three of 16 bits: for devices whose matrix
    // units take no f32. (Where there are none, f32 is three times as fast. The fused kernel for small
    // matrices multiplies f32, whether 16 bits are asked for or two words of them.) Of f32 they have twice
    // its digits, for ten times its FLOPs, more of its time, and without the fused kernel: nearly float64's
    // result on devices without f64.
    std::uint32_t words = 1;
    bool one_workgroup = true;  // allow the fused kernel for matrices that fit shared memory
    // Optional, one u32 for each matrix (status.hpp), of polar() alone: ok, or nonfinite where the norm is
    // not finite. Besides NaN and infinity that is a finite matrix whose squares add up to more than f32's
    // range, of the elements up to 2^52, or of those above it times 2^-76: neither can happen below 2^24
    // elements.
    Tensor status = {};
    bool guarded = true;
};

// Named coefficient sets (specification table: Jordan et al. 2024; You; Amsel et al. arXiv 2505.16932; CANS
// arXiv 2506.10935; arXiv 2606.00371): "muon", "cubic", "quintic", "you5", "pe-raw", "pe-basic", "pe-gram",
// "pe-dion", "pe-nv", "cans", "deepseekv4", "cubic5". `steps` = 0 takes the set's own length; more repeat the
// last triple (deepseekv4, cubic5 and you5 have a fixed length). "aol" is not one of them: it is made for
// another norm, and with Frobenius' leads singular values to -1.084. Throws (invalid_argument) for unknown
// names, listing the known ones.
//
// The interval of "cans" ends at 1 exactly; it wants a norm_factor of at least 1.01. Of a matrix of rank one
// it makes 1.005, but 2.6 where the norm is 1e-5 too small, and more than f32 holds where it is 0.4 % too
// small, as 16-bit iterates may find it. Optimizers refuse less; polar() takes it, as the published code
// does.
HERON_API std::vector<NewtonSchulzCoefficients> newton_schulz_coefficients(std::string_view name,
                                                                           std::uint32_t steps = 0);
// Polar Express coefficients by the generator of arXiv 2505.16932 (float64, on the host): lower bound l in
// (0, 1) on the singular values, number of steps, safety factor (0.02 or 0), cushion.
HERON_API std::vector<NewtonSchulzCoefficients> polar_express_coefficients(double lower_bound,
                                                                           std::uint32_t steps, double safety,
                                                                           double cushion);

// out = the polynomial iteration applied to A / nu, per matrix of the batch: approximately the polar factor
// U V^T of A. Shapes of a and out are equal; they may be the same tensor. Tall matrices iterate on X^T X, so
// nothing is transposed.
//
// FLOPs of T steps, k the short and K the long side: T (3 k^2 K + k^3) in the standard form; with five, 9 k^2
// K + 11 k^3 in the Gram form that is chosen by itself; by products of two 16-bit words three times that, of
// two f32 words 10.5 times (of the Gram form 10.5 times 3 k^2 K + 17 k^3, which takes no restarts). Bytes: A
// and the result once in one workgroup, a dispatch for each 16 steps of all. By products, for the norm and
// the first iterate A twice and X once; then, in elements of `precision`, 5 k K + 6 k^2 a step and three
// levels (standard form), or of five steps together 13 k K + 50 k^2 and 19 levels (Gram form, f32); CPU
// drivers may take a level more for each large product. Workspace: one or two X, and two (Gram form: six) k x
// k matrices. With two 16-bit words these are f32, and as many bytes again hold the words; bytes are 50 k K +
// 78 k^2 a step, or 142 k K + 586 k^2 of the five; levels three times as many, and one for each matrix that
// is split. With two f32 words an element has 8 bytes (a and out as they are), the Gram form 4 k K + 59 k^2
// and 16 levels; a product takes a level for each 8192 of its terms, the squares of rows, or an `out` that is
// not f32, another, and `out` is never an iterate.
//
// Accuracy: distance from the same polynomials in float64, relative and in Frobenius' norm. A polynomial that
// lifts small singular values lifts their roundings, too; so the first line is for singular values of A from
// a tenth of the largest on, the second with muon and pe-dion (steeper ones lose more) for any, zeros, too:
//
//            f32     f16     bf16    two words of f32    of f16    of bf16
//   0.1..    1e-5    0.02    0.15    2e-6                1e-5      6e-4
//   0..      1e-4    0.1     0.8     2e-6                1e-4      4e-3
//
// in the standard form and in what is chosen by itself; with restarts of one's own up to twice that ("cans":
// seven times; of two f32 words no more, with any named set). (The published codes in bf16 lose as much:
// polar_form.cpp.) Two f32 words lose what f32 loses of the norm and of the result; their matrices end at
// 2^31 - 1 elements (invalid_argument). Rounding to out's type comes on top, and where one singular value is
// nearly the norm, or all are equal, as a vector's is, 8 u times the slope of the polynomials there. One
// workgroup, and products by kernels for GPUs (product.hpp), add up to 32768 squares of a row one by one:
// where all are of one size, as in a row of +-c, K u / 4 times that slope comes on top.
//
// A zero matrix gives zero, one that is not finite NaN in all of its elements; other matrices do not notice.
// The norm is taken without overflow, singular values begin at 1 / norm_factor or below, and how large they
// become is a matter of the coefficients: f16 ends at 65504, which a norm_factor far below 1 exceeds (one
// word is infinite there, two are NaN). Nothing else fails.
//
// `row_squares`, optional: the sum of squares of each row of `out`, f32 without gaps, batch() x rows(), apart
// from both. The last product leaves them (GemmOptions::row_squares), or the workgroup that has the whole
// matrix: nothing is read again. Of the elements before they are rounded to out's type; relative error 2^-14.
HERON_API void polar(Graph& graph, const Tensor& a, const Tensor& out, const PolarOptions& options = {},
                     const Tensor& row_squares = {});

// For recipes that produce the first iterate X = A / nu themselves. Iterates in `x` (dtype =
// options.precision, f32 with two words; contiguous) and returns the tensor that holds the result: x itself
// or a temporary of the same shape. (X has been rounded to it, which small singular values notice.) FLOPs,
// bytes and accuracy are those of polar()'s iterations, with two f32 words one level and 12 k K bytes more; a
// matrix that is not finite gives one that is not.
// `row_squares` as above.
HERON_API Tensor polar_iterate(Graph& graph, const Tensor& x, const PolarOptions& options,
                               const Tensor& row_squares = {});
// Whether polar() takes the one-workgroup form for a rows x cols matrix on this device.
HERON_API bool polar_fits_one_workgroup(const Device& device, std::uint64_t rows, std::uint64_t cols,
                                        const PolarOptions& options);

}  // namespace heron

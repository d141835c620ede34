// SPDX-License-Identifier: MIT
// Dense linear algebra as graph operations: batched, mixed shapes, one dispatch for all operations of a
// level.
//
// Matrices are the last two axes of a tensor, row-major with an optional row stride; the axes before them are
// a batch (all operands have the same batch, or the operand is one matrix used for every item). Sums are
// always f32; operands are f32, f16 or bf16, which needs no 16-bit feature of the device. All functions throw
// heron::Error (invalid_argument) for shapes, dtypes or overlaps that do not fit, naming the operand, and add
// nothing then. An empty result (no rows or no columns) adds nothing; an empty sum (inner dimension 0) gives
// beta C.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "heron/export.hpp"
#include "heron/graph.hpp"

namespace heron {

enum class Transpose : std::uint32_t { no = 0, yes = 1 };

struct GemmOptions {
    Transpose transpose_a = Transpose::no;
    Transpose transpose_b = Transpose::no;
    float alpha = 1.0f;
    float beta = 0.0f;  // beta == 0 reads no C, so that its NaNs do not matter
    bool symmetric =
        false;  // the result is known to be symmetric: half of the tiles are computed and mirrored
    std::string_view
        variant;  // force an implementation by name ("gemm_tiled", "gemm_cpu", ...); empty: the table chooses
    bool guarded = true;  // see Operation::guarded
};

// D = alpha op(A) op(B) + beta C, op(A) m x k, op(B) k x n. C may be D (in place) or empty (beta = 0); D may
// not overlap A or B. Accuracy: norm_F(error) <= 3 u (sqrt(k + 2) |alpha| |A|_F |B|_F + 2 |beta| |C|_F), u =
// 2^-24 (rounding of a 16-bit D comes on top). 2 m n k FLOPs, half of it when symmetric.
HERON_API void gemm(Graph& graph, const Tensor& a, const Tensor& b, const Tensor& c, const Tensor& d,
                    const GemmOptions& options = {});

// D = alpha op(A) op(A)^T + beta C, symmetric, both halves stored. transpose_b is ignored.
HERON_API void syrk(Graph& graph, const Tensor& a, const Tensor& c, const Tensor& d,
                    const GemmOptions& options = {});

// Per matrix of the batch, one f32 each, by a fixed reduction tree (error <= 2 u ceil(log2 N) sum |x|).
// `result` has batch() elements.
HERON_API void sum(Graph& graph, const Tensor& x, const Tensor& result, bool guarded = true);
// Frobenius norm; neither overflows nor underflows where the result is representable.
HERON_API void frobenius_norm(Graph& graph, const Tensor& x, const Tensor& result, bool guarded = true);
// Number of NaN and infinite elements, decided on bits; u32, saturating.
HERON_API void count_nonfinite(Graph& graph, const Tensor& x, const Tensor& result, bool guarded = true);

// to = scale * from, converting the dtype; same shape; strides may differ.
HERON_API void convert(Graph& graph, const Tensor& from, const Tensor& to, float scale = 1.0f,
                       bool guarded = true);

// One step of an odd quintic: X <- a X + b (X X^T) X + c (X X^T)^2 X.
struct NewtonSchulzCoefficients {
    double a, b, c;
};

// What a matrix A is divided by before the iteration, with norm = ||A||_F:
//   added:   factor * norm + eps          clamped: max(factor * norm, eps)
enum class NormRule { added, clamped };

enum class PolarForm {
    automatic,  // the one with fewer FLOPs among those that `precision` allows
    standard,   // S = X X^T; B = b S + c S S; X <- a X + B X
    gram,  // on the k x k Gram matrix with restarts (Polar Express, appendix F); needs rows != columns, else
           // standard
};

struct PolarOptions {
    std::vector<NewtonSchulzCoefficients> coefficients;  // one an iteration; empty: muon x 5
    NormRule norm_rule = NormRule::added;
    double norm_factor = 1.0;
    double eps = 1e-7;
    PolarForm form = PolarForm::standard;
    std::vector<std::uint32_t> restarts = {
        2};                        // Gram form: iterations before which the Gram matrix is formed anew
    DType precision = DType::f32;  // of the iterates; sums and the norm are f32
    bool one_workgroup = true;     // allow the fused kernel for matrices that fit shared memory
    bool guarded = true;
};

// Named coefficient sets (specification table: Jordan et al. 2024; You; Amsel et al. arXiv 2505.16932; CANS
// arXiv 2506.10935; arXiv 2606.00371): "muon", "cubic", "quintic", "you5", "pe-raw", "pe-basic", "pe-gram",
// "pe-dion", "pe-nv", "cans", "deepseekv4", "cubic5". `steps` = 0 takes the set's own length; more repeat the
// last triple (deepseekv4, cubic5 and you5 have a fixed length). Throws (invalid_argument) for unknown names,
// listing the known ones.
HERON_API std::vector<NewtonSchulzCoefficients> newton_schulz_coefficients(std::string_view name,
                                                                           std::uint32_t steps = 0);
// Polar Express coefficients by the generator of arXiv 2505.16932 (float64, on the host): lower bound l in
// (0, 1) on the singular values, number of steps, safety factor (0.02 or 0), cushion.
HERON_API std::vector<NewtonSchulzCoefficients> polar_express_coefficients(double lower_bound,
                                                                           std::uint32_t steps, double safety,
                                                                           double cushion);

// out = the polynomial iteration applied to A / nu, per matrix of the batch: approximately the polar factor U
// V^T. Shapes of a and out are equal; they may be the same tensor. A zero matrix gives zero. Tall matrices
// iterate on X^T X, so nothing is transposed. FLOPs (k short, K long side, T steps): T (3 k^2 K + k^3)
// standard.
HERON_API void polar(Graph& graph, const Tensor& a, const Tensor& out, const PolarOptions& options = {});

// For recipes that produce the first iterate X = A / nu themselves. Iterates in `x` (dtype =
// options.precision, contiguous) and returns the tensor that holds the result: x itself or a temporary of the
// same shape.
HERON_API Tensor polar_iterate(Graph& graph, const Tensor& x, const PolarOptions& options);
// Whether polar() takes the one-workgroup form for a rows x cols matrix on this device.
HERON_API bool polar_fits_one_workgroup(const Device& device, std::uint64_t rows, std::uint64_t cols,
                                        const PolarOptions& options);

}  // namespace heron

// SPDX-License-Identifier: MIT
// Matrix products as graph operations; what all of linalg has in common stands in heron/linalg.hpp.
#pragma once

#include <cstdint>
#include <string_view>

#include "heron/export.hpp"
#include "heron/graph.hpp"

namespace heron {

enum class Transpose : std::uint32_t { no = 0, yes = 1 };  // whether an operand's transpose takes its place

// Whether the sum over k may be split over workgroups, which costs a second dispatch (a level of the plan).
enum class SplitK : std::uint32_t {
    automatic,    // where few tiles would leave the device idle
    when_needed,  // only above 2^15, which one workgroup cannot do
};

struct GemmOptions {
    Transpose transpose_a = Transpose::no;
    Transpose transpose_b = Transpose::no;
    float alpha = 1.0f;  // finite, as beta
    float beta = 0.0f;   // beta == 0 reads no C, so that its NaNs do not matter
    // For symmetric results: half of the tiles are computed; what lies above the diagonal is stored below it.
    bool symmetric = false;
    // Forces an implementation by name ("gemm_tiled", "gemm_cpu", ...); empty: the table chooses. A name that
    // does not exist is refused (invalid_argument), as is one that the device or the operands do not allow
    // (unsupported). Never chosen are "gemm_coopmat2" (f16 by matrices of a workgroup,
    // VK_NV_cooperative_matrix2), "gemm_coopmat_bf16" and "gemm_coopmat_bf16_large" (VK_KHR_shader_bfloat16,
    // built with glslang 15.3 or later): they have not run on any device yet.
    std::string_view variant;
    SplitK split = SplitK::automatic;
    // Implementations that copy the operands into another order first may be chosen: faster for large
    // products on some CPU drivers, but a level more.
    bool packing = true;
    bool guarded = true;  // see Operation::guarded
    // u32, without gaps, one for each matrix of D (one for D alone): where it is 0 that matrix of D is left
    // as it is, for next to nothing. For iterations that freeze what has converged. Empty: all of them. May
    // not overlap D.
    Tensor active;
    // Optional sums of squares of D's rows, m for each matrix, f32 without gaps, apart from everything else;
    // infinite above f32's range. The product leaves a sum for each row and 16 to 128 columns of its results,
    // before these are rounded to D's type, and a dispatch adds those up. Where it cannot (symmetric results,
    // `active`, k in pieces, nothing to multiply) D is read again, as stored. Fixed order; relative error
    // 256 u.
    Tensor row_squares;
};

// D = alpha op(A) op(B) + beta C, op(A) m x k, op(B) k x n. C may be D (in place) or empty (beta = 0); D may
// not overlap A or B. 2 m n k FLOPs, half of it when symmetric (of C, what is above the diagonal is read).
// Accuracy, with u = 2^-24 (rounding of a 16-bit D comes on top; matrix units may round their sums to the
// precision of the operands, 16 bits: u = 2^-11 for f16, 2^-8 for bf16, which a variant has to ask for):
//   norm_F(error) <= 3 u (sqrt(k + 2) |alpha| |A|_F |B|_F + 2 |beta| |C|_F)
// GPU variants add up to 32768 terms one by one: with k / 2 for 3 sqrt(k + 2) where terms are of one sign.
// Bytes: operands and result once each, from memory; a tile of D reads its rows of A and columns of B again,
// through the caches. One level; one more with packing (some CPU drivers; workspace for both operands in f32,
// or for B where rows of A are read in place), and where the sum is split into pieces of 1024 to 32768 terms
// (workspace for D in f32 of those that run together; each further turn is a level). m, n and k up to 2^31.
// A NaN or an infinity reaches what is made of it: its row of D from op(A), its column from op(B) (where D is
// symmetric, their mirror images too), its element from C. Sums beyond f32's range, and results beyond that
// of a 16-bit D, are infinite. alpha = 0 reads neither A nor B.
HERON_API void gemm(Graph& graph, const Tensor& a, const Tensor& b, const Tensor& c, const Tensor& d,
                    const GemmOptions& options = {});

// D = alpha op(A) op(A)^T + beta C, symmetric, both halves stored. transpose_b is ignored. Half of gemm()'s
// FLOPs, its accuracy, bytes (A counts as both operands) and levels.
HERON_API void syrk(Graph& graph, const Tensor& a, const Tensor& c, const Tensor& d,
                    const GemmOptions& options = {});

}  // namespace heron

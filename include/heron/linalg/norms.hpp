// SPDX-License-Identifier: MIT
// Norms of rows and columns, and scaling by them, as graph operations (heron/linalg.hpp).
#pragma once

#include <cstdint>

#include "heron/export.hpp"
#include "heron/graph.hpp"
#include "heron/linalg/polar.hpp"

namespace heron {

enum class NormKind : std::uint32_t {
    two = 0,       // Euclidean; neither overflows nor underflows where the result is representable
    squared = 1,   // its square, a plain sum of squares
    one = 2,       // sum of absolute values
    infinity = 3,  // largest absolute value; exact
};

// The norm of every row (column) of every matrix of x (f32, f16 or bf16) into `result`: contiguous f32,
// batch() x rows() (cols()) elements. A NaN in a row is a NaN in its norm, an infinity an infinity; other
// rows do not notice. No elements have norm 0. Fixed trees: relative error at most 32 u for each factor of
// 512 in the length; 2 FLOPs an element, each read once, and 4 bytes a result; one level for each factor of
// 512 for each lane (up to 128 of them) in the length.
HERON_API void row_norms(Graph& graph, const Tensor& x, const Tensor& result, NormKind kind = NormKind::two,
                         bool guarded = true);
HERON_API void column_norms(Graph& graph, const Tensor& x, const Tensor& result,
                            NormKind kind = NormKind::two, bool guarded = true);

// (sum |x|^p)^(1/p), p = exponent >= 2^-126; infinity: the largest |x|. p = 1, 2 and infinity as above; any
// other takes two passes over x, the second one for the sum of (|x| / M)^p, M the line's largest |x|, so that
// a norm overflows only where it is beyond f32. Relative error at most (1 + 1 / p) (2^-17 + 32 u for each
// factor of 512 in the length), if exp2 and log2 are as exact as Vulkan asks. 8 FLOPs an element, two reads.
HERON_API void row_power_norms(Graph& graph, const Tensor& x, const Tensor& result, float exponent,
                               bool guarded = true);
HERON_API void column_power_norms(Graph& graph, const Tensor& x, const Tensor& result, float exponent,
                                  bool guarded = true);

// out = diag(factors) x, or x diag(factors): factors are contiguous f32, one for each row (column) of every
// matrix, or of one matrix for all of the batch. `out` has the shape of x, any floating-point dtype, and may
// be x. One rounding, and that to a 16-bit dtype; 1 FLOP an element, x read and `out` written once; one
// level.
HERON_API void scale_rows(Graph& graph, const Tensor& x, const Tensor& factors, const Tensor& out,
                          bool guarded = true);
HERON_API void scale_columns(Graph& graph, const Tensor& x, const Tensor& factors, const Tensor& out,
                             bool guarded = true);

struct NormalizeOptions {
    NormKind kind = NormKind::two;
    // A row is divided by max(norm, eps) (clamped, as torch.nn.functional.normalize) or norm + eps (added).
    NormRule rule = NormRule::clamped;
    float eps = 1e-12f;   // at least 0; where the divisor is 0 the row becomes 0
    float scale = 1.0f;   // multiplies the result
    bool guarded = true;  // see Operation::guarded
};

// Every row (column) divided by its norm: x is read twice, `out` written once; 3 FLOPs an element, the levels
// of the norms and one. `out` as for scale_rows. A row with a NaN becomes NaN; one with an infinity becomes
// 0, and NaN where the infinity was. Error of an element: that of the norm, 4 u, and the rounding to a 16-bit
// dtype.
HERON_API void normalize_rows(Graph& graph, const Tensor& x, const Tensor& out,
                              const NormalizeOptions& options = {});
HERON_API void normalize_columns(Graph& graph, const Tensor& x, const Tensor& out,
                                 const NormalizeOptions& options = {});

}  // namespace heron
